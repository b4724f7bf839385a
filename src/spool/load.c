/* SPDX-License-Identifier: Apache-2.0
 * Reading messages again. Segments are opened for each load by name: one that is pinned keeps it. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/log.h"

static int read_all(int fd, char *p, uint64_t n, uint64_t at)
{
    while (n) {
        ssize_t k = pread(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return k < 0 ? errno : EBADMSG; /* shorter than it was: damaged */
        p += k;
        at += (uint64_t)k;
        n -= (uint64_t)k;
    }
    return 0;
}

static bool bad(struct err *err, const struct place *at, const char *what)
{
    err_set(err, "%s of a record in segment %llu at %llu does not check", what, (unsigned long long)at->sequence,
            (unsigned long long)at->offset);
    err->code = EBADMSG;
    return false;
}

bool record_read(int fd, const struct place *at, char **p, struct record_head *head, struct err *err)
{
    *p = mem_alloc(at->n);
    int error = at->n < RECORD_HEAD ? EBADMSG : read_all(fd, *p, at->n, at->offset);
    if (error && error != EBADMSG) {
        free(*p);
        *p = NULL;
        return err_sys(err, error, "cannot read the spool");
    }
    if (error || !record_decode(*p, at->sequence, at->seed, head)) return bad(err, at, "the head");
    uint64_t text = record_inline(head);
    if (RECORD_HEAD + head->meta_n > at->n || crc32c(0, *p + RECORD_HEAD, head->meta_n) != head->meta_crc)
        return bad(err, at, "the envelope");
    if (text && at->n >= RECORD_HEAD + head->meta_n + text &&
        crc32c(0, *p + RECORD_HEAD + head->meta_n, text) != head->text_crc)
        return bad(err, at, "the text");
    return true;
}

bool record_check(const char *p, const struct record_head *h)
{
    const char *meta = p + RECORD_HEAD;
    return crc32c(0, meta, h->meta_n) == h->meta_crc &&
           (!record_inline(h) || crc32c(0, meta + h->meta_n, h->text_n) == h->text_crc);
}

int big_check(int fd, uint64_t n, uint32_t crc)
{
    struct stat st;
    struct window w;
    uint32_t sum;
    if (fstat(fd, &st) != 0) return errno;
    if ((uint64_t)st.st_size != n) return EBADMSG;
    window_init(&w, fd, n);
    bool ok = window_crc(&w, 0, n, &sum) && sum == crc;
    int error = ok ? 0 : w.error ? w.error : EBADMSG;
    window_deinit(&w);
    return error;
}

struct spool_load {
    struct job job;
    struct spool *sp;
    struct spool_msg msg;
    struct place place;
    struct segment *segment;
    bool envelope_only, check_big, cancelled, saved;
    struct content *content;
    struct err err;
    spool_load_cb *cb;
    void *arg;
};

static bool open_big(struct spool *sp, struct spool_load *l, const struct record_head *head)
{
    struct content *c = l->content;
    char name[NAME_N];
    struct stat st;
    name_big(name, l->msg.id);
    int fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int error = fd < 0 ? errno : 0;
    if (!error && fstat(fd, &st) != 0) error = errno;
    if (!error && (uint64_t)st.st_size != head->text_n) error = EBADMSG;
    if (!error && l->check_big) error = big_check(fd, head->text_n, head->text_crc);
    if (!error) {
        c->pub.text.fd = fd;
        return true;
    }
    if (fd >= 0) close(fd);
    if (error != ENOENT && error != EBADMSG) return err_sys(&l->err, error, "cannot read the file of a large message");
    return bad(&l->err, &l->place, "the large text");
}

static bool load(struct spool *sp, struct spool_load *l)
{
    struct record_head head;
    char name[NAME_N];
    struct content *c = l->content = mem_new(struct content);
    content_init(c);
    name_segment(name, l->place.sequence);
    int fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return err_sys(&l->err, errno, "cannot open segment %s", name);
    bool ok = record_read(fd, &l->place, &c->record, &head, &l->err);
    if (ok && (head.id != l->msg.id || head.meta_n != l->msg.meta_n || head.text_n != l->msg.text_n))
        ok = bad(&l->err, &l->place, "the place");
    if (!ok && l->err.code == EBADMSG)
        damaged_save(sp->dir_fd, fd, l->place.sequence, l->place.offset, message_cost(&l->msg));
    close(fd);
    if (!ok) return false;
    c->pub.envelope = slice_of(c->record + RECORD_HEAD, head.meta_n);
    c->pub.memory = sizeof *c + l->place.n;
    c->pub.text.n = head.text_n;
    if (l->envelope_only) return true;
    if (l->msg.big) return open_big(sp, l, &head);
    c->few[0] = slice_of(c->record + RECORD_HEAD + head.meta_n, head.text_n);
    c->pub.text.pieces = c->few;
    c->pub.text.piece_n = 1;
    return true;
}

static void load_run(struct spool *sp, struct job *j)
{
    struct spool_load *l = container_of(j, struct spool_load, job);
    if (load(sp, l)) return;
    spool_content_free(&l->content->pub);
    l->content = NULL;
}

static void load_done(struct spool *sp, struct job *j)
{
    struct spool_load *l = container_of(j, struct spool_load, job);
    segment_unpin(l->segment);
    if (!l->content && l->err.code == EBADMSG) {
        sp->damaged++;
        log_event(LOG_ERROR, "spool-damaged", LOG_ID(l->msg.id), LOG_STR("dir", sp->dir),
                  LOG_NUM("segment", l->place.sequence), LOG_NUM("offset", l->place.offset), LOG_ERR(&l->err));
    }
    if (l->cancelled || sp->closing)
        spool_content_free(l->content ? &l->content->pub : NULL);
    else
        l->cb(l->arg, l->content ? &l->content->pub : NULL, l->content ? NULL : &l->err);
    free(l);
}

static struct place place_of(const struct spool *sp, const struct segment *s, const struct spool_msg *msg, bool text)
{
    uint64_t n = (uint64_t)RECORD_HEAD + msg->meta_n + (text && !msg->big ? msg->text_n : 0);
    return (struct place){ .sequence = s->sequence, .seed = s->seed, .offset = msg->offset, .n = n };
}

struct spool_load *spool_load_start(struct spool *sp, const struct spool_msg *msg, bool envelope_only,
                                    spool_load_cb *cb, void *arg)
{
    struct spool_load *l = mem_new(struct spool_load);
    assert(!msg->dead);
    l->sp = sp;
    l->job = (struct job){ .run = load_run, .done = load_done };
    l->msg = *msg;
    l->segment = segment_find(sp, msg->segment);
    assert(l->segment);
    l->segment->pins++;
    l->place = place_of(sp, l->segment, msg, !envelope_only);
    l->envelope_only = envelope_only;
    l->check_big = !big_is_fresh(sp, msg->id); /* what was only just written is read by the delivery alone */
    l->cb = cb;
    l->arg = arg;
    pool_submit(sp, &l->job);
    return l;
}

void spool_load_cancel(struct spool_load **l)
{
    if (!*l) return;
    (*l)->cancelled = true;
    *l = NULL;
}

bool spool_read_envelope(struct spool *sp, const struct spool_msg *msg, struct buf *out, struct err *err)
{
    const struct segment *s = segment_find(sp, msg->segment);
    struct record_head head;
    char name[NAME_N], *p;
    assert(s);
    struct place at = place_of(sp, s, msg, false);
    if (sp->peek_fd < 0 || sp->peek_index != s->index) {
        if (sp->peek_fd >= 0) close(sp->peek_fd);
        name_segment(name, s->sequence);
        sp->peek_fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        sp->peek_index = s->index;
        if (sp->peek_fd < 0) return err_sys(err, errno, "cannot open segment %s", name);
    }
    bool ok = record_read(sp->peek_fd, &at, &p, &head, err);
    if (ok) buf_add(out, slice_of(p + RECORD_HEAD, head.meta_n));
    free(p);
    return ok;
}
