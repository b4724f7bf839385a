/* SPDX-License-Identifier: Apache-2.0
 * A message from a file: its lines end as they would on the wire, its header is kept, its body streams by. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/buf.h"
#include "cli/auth.h"
#include "message/crlf.h"
#include "message/header.h"

#define PIECE 65536
#define FIELD_LINE_MIN 4096      /* what has not turned out to be no field by then is one: see header.h */

struct reading {
    struct auth_message *m;
    struct header_reader header;
    struct buf text;             /* with CRLF */
    bool cr;                     /* the last byte was one */
    bool begun;                  /* whether a first line "From " is there is known */
    bool skipping;               /* that line */
    bool told;                   /* on_header */
};

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct auth_header *h = arg;
    auth_header_add(h, slice_of(name.p, (size_t)(value.p + value.n - name.p)));
    if (truncated) h->overflow = true;
}

static void begin_body(struct reading *r)
{
    if (r->told) return;
    r->told = true;
    /* As in the relay: where the header ends is not certain, so no signature can be judged. */
    if (r->header.malformed) r->m->header.overflow = true;
    if (r->m->on_header) r->m->on_header(r->m->arg);
}

/* Where the next piece of header ends that may be read at once: a line, or so much of it that it is a field for certain. A line that is no
 * field begins the body, so all of it must still be at hand when that is seen. 0: not yet. */
static size_t header_piece(const struct reading *r, size_t at, bool last)
{
    ptrdiff_t lf = slice_find(slice_sub(buf_slice(&r->text), at, r->text.n), '\n');
    if (lf >= 0) return (size_t)lf + 1;
    return last || r->text.n - at >= FIELD_LINE_MIN ? r->text.n - at : 0;
}

static void take_text(struct reading *r, bool last)
{
    size_t at = 0, n;
    while (!r->header.ended && at < r->text.n && (n = header_piece(r, at, last)) > 0)
        at += header_read(&r->header, slice_sub(buf_slice(&r->text), at, at + n));
    if (last && !r->header.ended) {
        uint64_t taken = r->header.size;
        header_finish(&r->header);
        at -= (size_t)(taken - r->header.size); /* a last line that is no field */
    }
    if (r->header.ended) {
        begin_body(r);
        auth_body_push(r->m->body, slice_sub(buf_slice(&r->text), at, r->text.n));
        at = r->text.n;
    }
    buf_consume(&r->text, at);
}

static void add_crlf(struct reading *r, struct slice in)
{
    while (in.n) {
        ptrdiff_t lf = slice_find(in, '\n');
        size_t n = lf < 0 ? in.n : (size_t)lf;
        buf_add(&r->text, slice_sub(in, 0, n));
        if (n) r->cr = in.p[n - 1] == '\r';
        if (lf >= 0) {
            buf_add(&r->text, r->cr ? SLICE("\n") : SLICE("\r\n"));
            r->cr = false;
            n++;
        }
        in = slice_sub(in, n, in.n);
    }
}

/* True when it is settled whether there is a line of an mbox. */
static bool pass_mbox_line(struct reading *r, bool last)
{
    struct slice text = buf_slice(&r->text);
    if (!r->begun) {
        if (!last && text.n < 64 && slice_find(text, '\n') < 0) return false;
        r->begun = true;
        r->skipping = crlf_is_mbox(text);
    }
    if (!r->skipping) return true;
    ptrdiff_t lf = slice_find(text, '\n');
    buf_consume(&r->text, lf < 0 ? text.n : (size_t)lf + 1);
    r->skipping = lf < 0;
    return !r->skipping;
}

static void take(struct reading *r, struct slice in, bool last)
{
    add_crlf(r, in);
    if (pass_mbox_line(r, last) || last) take_text(r, last);
}

bool auth_message_read(struct auth_message *m, const char *file, struct arena *arena, struct err *err)
{
    bool standard = !strcmp(file, "-");
    int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "cannot open %.300s", file);
    struct reading r = { .m = m };
    struct buf piece = { 0 };
    char *room = buf_reserve(&piece, PIECE);
    ssize_t k;
    m->header = (struct auth_header){ .arena = arena };
    m->body = auth_body_new();
    header_reader_init(&r.header, on_field, &m->header);
    while ((k = read(fd, room, PIECE)) > 0 || (k < 0 && errno == EINTR))
        if (k > 0) take(&r, slice_of(room, (size_t)k), false);
    int code = errno;
    if (k == 0) {
        take(&r, (struct slice){ 0 }, true);
        auth_body_end(m->body);
    }
    if (!standard) close(fd);
    header_reader_deinit(&r.header);
    buf_deinit(&r.text);
    buf_deinit(&piece);
    return k == 0 || err_sys(err, code, "cannot read %.300s", file);
}

void auth_message_deinit(struct auth_message *m) { auth_body_free(&m->body); }
