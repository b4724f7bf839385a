/* SPDX-License-Identifier: Apache-2.0
 * Reading a spool's directory by hand, owned or not. Nothing is changed. What its owner appends meanwhile may look like
 * a write that was not finished. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/log.h"
#include "spool/envelope.h"
#include "spool/recover.h"

#define VERIFY_TRIES 3
#define VERIFY_PAUSE_MS 100

static bool open_log(const char *dir, struct log_read *r, struct err *err)
{
    *r = (struct log_read){ .read_only = true };
    r->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir_fd < 0) return err_sys(err, errno, "cannot open %s", dir);
    r->found = found_read(r->dir_fd, dir, err);
    if (r->found) return true;
    close(r->dir_fd);
    return false;
}

static void close_log(struct log_read *r)
{
    close(r->dir_fd);
    log_read_deinit(r);
}

static int open_segment(const struct log_read *r, const struct old_segment *o)
{
    char name[NAME_N];
    name_segment(name, o->sequence);
    return openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Begins to read a segment's records; -1: nothing in it can be read. The descriptor is the caller's to close. */
static int scan_segment(const struct log_read *r, const struct old_segment *o, struct scan *s)
{
    int fd = o->status == SEGMENT_BAD ? -1 : open_segment(r, o);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (fd >= 0) scan_init(s, fd, size > 0 ? (uint64_t)size : 0, &o->head);
    return fd;
}

static int open_big(const struct log_read *r, uint64_t id)
{
    char name[NAME_N];
    name_big(name, id);
    return openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* JSON's string of what is printable of s. */
static void add_json(struct buf *out, struct slice s)
{
    struct buf plain = { 0 };
    buf_add_printable(&plain, s, 400);
    buf_add_char(out, '"');
    for (size_t i = 0; i < plain.n; i++) {
        if (plain.p[i] == '"' || plain.p[i] == '\\') buf_add_char(out, '\\');
        buf_add_char(out, plain.p[i]);
    }
    buf_add_char(out, '"');
    buf_deinit(&plain);
}

static void add_id(struct buf *out, bool json, uint64_t id)
{
    buf_add_str(out, json ? ",\"id\":\"" : " ");
    id_add(out, id);
    if (json) buf_add_char(out, '"');
}

/* ---- verify */

/* Texts of the living; the rest was checked when the log was read. */
static void check_live(struct log_read *r)
{
    int fd = -1;
    uint32_t open_is = 0;
    for (size_t i = 0; i < r->live_n; i++) {
        const struct old_message *m = r->live[i];
        const struct old_segment *o = &r->found->segments[m->segment - 1];
        struct window w;
        uint32_t crc;
        if (m->big) {
            int big = open_big(r, m->id);
            if (big < 0 || big_check(big, m->text_n, m->text_crc) != 0)
                scan_report_add(r, REPORT_BIG, o->sequence, m->offset, m->text_n, m->id);
            if (big >= 0) close(big);
            continue;
        }
        if (open_is != m->segment) {
            if (fd >= 0) close(fd);
            fd = open_segment(r, o);
            open_is = m->segment;
        }
        if (fd < 0) continue; /* its owner let go of it */
        window_init(&w, fd, o->file_size);
        if (!window_crc(&w, (uint64_t)m->offset + RECORD_HEAD + m->meta_n, m->text_n, &crc) || crc != m->text_crc)
            scan_report_add(r, REPORT_TEXT, o->sequence, m->offset, m->text_n, m->id);
        window_deinit(&w);
    }
    if (fd >= 0) close(fd);
}

static void add_report(struct buf *out, bool json, const struct report *p)
{
    const char *level = p->kind == REPORT_TAIL ? "unfinished" : "damaged";
    if (json)
        buf_addf(out, "{\"level\":\"%s\",\"segment\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64, level,
                 p->sequence, p->offset, p->size);
    else
        buf_addf(out, "%s segment %" PRIu64 " offset %" PRIu64 " bytes %" PRIu64, level, p->sequence, p->offset,
                 p->size);
    if (p->id) add_id(out, json, p->id);
    buf_addf(out, json ? ",\"what\":\"%s\"}" : ": %s\n", scan_report_text(p->kind));
}

static void add_verdict(struct buf *out, bool json, const struct log_read *r)
{
    uint64_t text = 0;
    for (size_t i = 0; i < r->live_n; i++) text += r->live[i]->text_n;
    if (json) buf_add_str(out, "{\"reports\":[");
    for (size_t i = 0; i < r->report_n; i++) {
        if (json && i) buf_add_char(out, ',');
        add_report(out, json, &r->reports[i]);
    }
    buf_addf(out,
             json ? "],\"segments\":%zu,\"messages\":%zu,\"text_bytes\":%" PRIu64 ",\"damaged\":%" PRIu64 "}\n"
                  : "segments %zu, messages %zu with %" PRIu64 " bytes of text, damaged places %" PRIu64 "\n",
             r->found->segment_n, r->live_n, text, r->damaged);
}

/* An owner at work may remove between two looks what a message needed that has ended; true damage is still there the
 * next time. */
bool spool_tool_verify(const char *dir, bool json, struct buf *out, struct err *err)
{
    struct log_read r;
    uint64_t damaged = 0;
    for (int i = 0; i < VERIFY_TRIES; i++) {
        if (!open_log(dir, &r, err)) return false;
        log_read_all(&r);
        check_live(&r);
        damaged = r.damaged;
        if (!damaged || i == VERIFY_TRIES - 1) add_verdict(out, json, &r);
        close_log(&r);
        if (!damaged) return true;
        usleep(VERIFY_PAUSE_MS * 1000);
    }
    return err_set(err, "%" PRIu64 " damaged places in %s", damaged, dir);
}

/* ---- dump */

static void add_envelope(struct buf *out, bool json, struct slice meta)
{
    struct arena arena = { 0 };
    struct envelope e;
    struct err err;
    if (!envelope_decode(meta, &arena, &e, &err)) {
        buf_addf(out, json ? ",\"error\":\"%s\"" : " (%s)", err.text);
    } else if (json) {
        buf_add_str(out, ",\"sender\":");
        add_json(out, e.sender);
        buf_add_str(out, ",\"recipients\":[");
        for (uint32_t i = 0; i < e.rcpt_n; i++) {
            if (i) buf_add_char(out, ',');
            add_json(out, e.rcpts[i]);
        }
        buf_add_str(out, "]");
        for (uint32_t i = 0; e.rcpt_marks && i < e.rcpt_n; i++)
            buf_addf(out, "%s\"%s\"%s", i ? "," : ",\"marks\":[", envelope_marks_name(e.rcpt_marks[i]), i + 1 < e.rcpt_n ? "" : "]");
    } else {
        buf_add_str(out, " from <");
        buf_add_printable(out, e.sender, 400);
        buf_add_str(out, "> to");
        for (uint32_t i = 0; i < e.rcpt_n; i++) {
            buf_add_str(out, " <");
            buf_add_printable(out, e.rcpts[i], 400);
            buf_add_char(out, '>');
            if (envelope_marks(&e, i)) buf_addf(out, " (%s)", envelope_marks_name(e.rcpt_marks[i]));
        }
    }
    arena_deinit(&arena);
}

static void add_dones(struct buf *out, bool json, struct slice meta)
{
    if (json) buf_add_str(out, ",\"ended\":[");
    for (size_t i = 0; i < meta.n / DONE_ENTRY; i++) {
        uint64_t id, sequence;
        done_entry(meta.p, i, &id, &sequence);
        buf_add_str(out, !json ? " " : i ? ",{\"id\":\"" : "{\"id\":\"");
        id_add(out, id);
        buf_addf(out, json ? "\",\"segment\":%" PRIu64 "}" : "@%" PRIu64, sequence);
    }
    if (json) buf_add_char(out, ']');
}

static void add_record(struct buf *out, bool json, uint64_t sequence, const struct scan_event *ev)
{
    const struct record_head *h = &ev->head;
    const char *kind = ev->kind == SCAN_GAP ? "gap" : ev->kind == SCAN_DAMAGED ? "damaged" : record_name(h->type);
    buf_addf(out, json ? "{\"segment\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"type\":\"%s\"" :
             "%" PRIu64 " %" PRIu64 " %" PRIu64 " %s", sequence, ev->offset, ev->size, kind);
    if (ev->kind == SCAN_RECORD) {
        if (h->type <= RECORD_STATE) add_id(out, json, h->id);
        if (h->type <= RECORD_COPY) {
            buf_addf(out, json ? ",\"text_bytes\":%" PRIu64 ",\"file\":%s" : " text %" PRIu64 "%s", h->text_n,
                     json ? (h->flags & RECORD_BIG ? "true" : "false") : h->flags & RECORD_BIG ? " in a file" : "");
            add_envelope(out, json, ev->meta);
        }
        if (h->type == RECORD_STATE) buf_addf(out, json ? ",\"state_bytes\":%u" : " state %u", h->meta_n);
        if (h->type == RECORD_DONE) add_dones(out, json, ev->meta);
        if (h->type == RECORD_END)
            buf_addf(out, json ? ",\"closed\":%s" : "%s",
                     h->flags & RECORD_CLEAN ? (json ? "true" : " closed")
                     : json                  ? "false"
                                             : "");
    }
    buf_add_str(out, json ? "}" : "\n");
}

bool spool_tool_dump(const char *dir, bool json, struct buf *out, struct err *err)
{
    struct log_read r;
    bool first = true;
    if (!open_log(dir, &r, err)) return false;
    if (json) buf_add_char(out, '[');
    for (size_t i = 0; i < r.found->segment_n; i++) {
        const struct old_segment *o = &r.found->segments[i];
        struct scan_event ev = { 0 };
        struct scan s;
        int fd = scan_segment(&r, o, &s);
        if (fd < 0) continue;
        while (!(ev.kind == SCAN_RECORD && ev.head.type == RECORD_END) && scan_next(&s, &ev) != SCAN_EOF) {
            if (ev.kind == SCAN_GAP && ev.last && !scan_is_started(&s, ev.offset)) break; /* room not yet used */
            if (json && !first) buf_add_str(out, ",\n");
            add_record(out, json, o->sequence, &ev);
            first = false;
        }
        scan_deinit(&s);
        close(fd);
    }
    if (json) buf_add_str(out, "]\n");
    close_log(&r);
    return true;
}

/* ---- cat */

static bool add_text(struct buf *out, int fd, uint64_t at, uint64_t n, uint32_t want, struct err *err)
{
    struct window w;
    uint32_t crc = 0;
    const char *p = NULL;
    window_init(&w, fd, at + n);
    while (n) {
        uint64_t part = n < 65536 ? n : 65536;
        if (!(p = window_get(&w, at, part))) break;
        crc = crc32c(crc, p, part);
        buf_add(out, slice_of(p, part));
        at += part;
        n -= part;
    }
    window_deinit(&w);
    if (n) return err_set(err, "the text cannot be read");
    return crc == want || err_set(err, "the text is damaged: its sum does not check");
}

static bool add_big(const struct log_read *r, const struct record_head *h, struct buf *out, struct err *err)
{
    int big = open_big(r, h->id);
    if (big < 0) return err_sys(err, errno, "the file of the text cannot be opened");
    bool ok = add_text(out, big, 0, h->text_n, h->text_crc, err);
    close(big);
    return ok;
}

static void add_edited(const struct envelope *e, struct slice text, struct buf *out)
{
    struct slice with;
    uint64_t from, n;
    for (uint64_t at = 0; (n = envelope_run(e, at, &from, &with)); at += n)
        buf_add(out, with.p ? with : slice_sub(text, (size_t)from, (size_t)(from + n)));
}

static bool cat_record(const struct log_read *r, int fd, const struct scan_event *ev, struct buf *out, struct err *err)
{
    struct arena arena = { 0 };
    struct buf text = { 0 };
    struct envelope e;
    const struct record_head *h = &ev->head;
    bool ok = envelope_decode(ev->meta, &arena, &e, err);
    if (ok) {
        ok = h->flags & RECORD_BIG ? add_big(r, h, &text, err)
                                   : add_text(&text, fd, ev->offset + RECORD_HEAD + h->meta_n, h->text_n, h->text_crc, err);
        buf_add(out, e.prepend);
        if (ok && h->text_n == e.text_size) add_edited(&e, buf_slice(&text), out);
        else buf_add(out, buf_slice(&text));
    }
    buf_deinit(&text);
    arena_deinit(&arena);
    return ok;
}

/* The newest first; a message that has ended is shown as long as its record is there. */
bool spool_tool_cat(const char *dir, uint64_t id, struct buf *out, struct err *err)
{
    struct log_read r;
    bool found = false, ok = false;
    if (!open_log(dir, &r, err)) return false;
    for (size_t i = r.found->segment_n; i-- > 0 && !found;) {
        const struct old_segment *o = &r.found->segments[i];
        struct scan_event ev = { 0 };
        struct scan s;
        int fd = scan_segment(&r, o, &s);
        if (fd < 0) continue;
        while (!(ev.kind == SCAN_RECORD && ev.head.type == RECORD_END) && scan_next(&s, &ev) != SCAN_EOF) {
            if (ev.kind != SCAN_RECORD || ev.head.type > RECORD_COPY || ev.head.id != id) continue;
            found = true;
            buf_clear(out);
            ok = cat_record(&r, fd, &ev, out, err);
        }
        scan_deinit(&s);
        close(fd);
    }
    close_log(&r);
    if (!found) return err_set(err, "no such message in %s", dir);
    return ok;
}
