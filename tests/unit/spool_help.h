/* SPDX-License-Identifier: Apache-2.0
 * What tests of the spool share: a directory, a loop, messages whose text follows from their id. */
#ifndef POSTERN_TESTS_SPOOL_HELP_H
#define POSTERN_TESTS_SPOOL_HELP_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/private.h"

#define HELP_MAX 200000

struct help_msg {
    struct spool_msg msg; /* first */
    uint64_t id, n;       /* n: bytes of text */
    bool known, acked, failed, done;
    char state[32];
};

struct help {
    char dir[64];
    struct event_base *base;
    struct spool *sp;
    struct spool_options o;
    struct help_msg *msgs;  /* by id, 1..HELP_MAX */
    unsigned acks, fails;
    bool recovered;
    uint64_t messages, damaged;
};

static inline char help_byte(uint64_t id, uint64_t i) { return (char)('a' + (id * 7 + i * 13 + i / 97) % 26); }

static inline void help_dir(struct help *h)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(h->dir, sizeof h->dir, "%.40s/postern-spool-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(h->dir));
    h->o =
        (struct spool_options){ .dir = h->dir, .segment_size = 256 << 10, .inline_size = 32 << 10, .free_percent = 0 };
    h->msgs = mem_zalloc((HELP_MAX + 1) * sizeof *h->msgs);
}

static inline void help_open(struct help *h)
{
    struct err err = { 0 };
    bool busy;
    h->base = event_base_new();
    h->sp = spool_open(h->base, &h->o, &busy, &err);
    if (!h->sp) fprintf(stderr, "%s\n", err.text);
    assert_non_null(h->sp);
    h->sp->tick_ms = 20;
}

static inline void help_close(struct help *h)
{
    spool_close(h->sp);
    event_base_free(h->base);
    h->sp = NULL;
}

static inline void help_remove(struct help *h)
{
    DIR *d = opendir(h->dir);
    struct dirent *e;
    while ((e = readdir(d)))
        if (e->d_name[0] != '.') unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(h->dir);
    free(h->msgs);
    h->msgs = NULL;
}

/* Runs the loop until the condition holds, a minute at most. */
#define HELP_UNTIL(h, condition)                                                                     \
    do {                                                                                             \
        struct timeval tick_ = { 0, 5000 };                                                          \
        time_t end_ = time(NULL) + 60;                                                               \
        while (!(condition)) {                                                                       \
            event_base_loopexit((h)->base, &tick_);                                                  \
            event_base_loop((h)->base, EVLOOP_ONCE);                                                 \
            if (time(NULL) > end_) fail_msg("timed out: %s", #condition);                            \
        }                                                                                            \
    } while (0)

static struct help *help_here; /* the callbacks' */

static inline void help_committed(void *arg, bool ok, struct spool_content *content, const struct err *err)
{
    struct help_msg *m = arg;
    if (ok) {
        m->acked = true;
        help_here->acks++;
    } else {
        m->failed = true;
        help_here->fails++;
        assert_true(err->text[0]);
    }
    if (content) {
        uint64_t at = 0;
        for (size_t i = 0; i < content->text.piece_n; i++)
            for (size_t k = 0; k < content->text.pieces[i].n; k++, at++)
                assert_int_equal(content->text.pieces[i].p[k], help_byte(m->id, at));
        assert_int_equal(at, m->n);
    }
    spool_content_free(content);
}

static inline struct spool_draft *help_draft(struct help *h, uint64_t id, uint64_t n)
{
    struct spool_draft *d = spool_draft_new(h->sp);
    struct err err;
    for (uint64_t at = 0; at < n;) {
        size_t room;
        char *to = spool_draft_room(d, &room);
        if (!to) break;
        if (room > n - at) room = (size_t)(n - at);
        for (size_t i = 0; i < room; i++) to[i] = help_byte(id, at + i);
        if (!spool_draft_added(d, room, &err)) break;
        at += room;
    }
    return d;
}

static inline void help_commit(struct help *h, uint64_t id, uint64_t n)
{
    char env[64];
    struct help_msg *m = &h->msgs[id];
    help_here = h;
    *m = (struct help_msg){ .id = id, .n = n };
    snprintf(env, sizeof env, "envelope of %" PRIu64, id);
    spool_draft_commit(help_draft(h, id, n), id, slice_str(env), &m->msg, help_committed, m);
}

static inline void help_put(struct help *h, uint64_t id, uint64_t n) /* and waits */
{
    unsigned before = h->acks + h->fails;
    help_commit(h, id, n);
    HELP_UNTIL(h, h->acks + h->fails == before + 1);
}

static inline struct spool_msg *help_on_message(void *arg, uint64_t id, struct slice envelope, struct slice state)
{
    struct help *h = arg;
    char env[64];
    assert_in_range(id, 1, HELP_MAX);
    snprintf(env, sizeof env, "envelope of %" PRIu64, id);
    assert_true(slice_eq(envelope, slice_str(env)));
    struct help_msg *m = &h->msgs[id];
    assert_false(m->known);
    m->known = true;
    m->id = id;
    assert_true(state.n < sizeof m->state);
    if (state.n) memcpy(m->state, state.p, state.n);
    m->state[state.n] = 0;
    return &m->msg;
}

static inline void help_on_done(void *arg, uint64_t messages, uint64_t damaged)
{
    struct help *h = arg;
    h->recovered = true;
    h->messages = messages;
    h->damaged = damaged;
}

static inline void help_recover(struct help *h)
{
    struct spool_recovery r = { help_on_message, help_on_done, h };
    help_here = h;
    h->recovered = false;
    memset(h->msgs, 0, (HELP_MAX + 1) * sizeof *h->msgs);
    spool_recover(h->sp, &r);
    HELP_UNTIL(h, h->recovered);
}

struct help_load {
    struct help_msg *m;
    uint64_t n;
    bool over, ok;
    int code;
};

static inline void help_loaded(void *arg, struct spool_content *c, const struct err *err)
{
    struct help_load *l = arg;
    l->over = true;
    l->ok = c != NULL;
    if (!c) {
        l->code = err->code;
        return;
    }
    l->n = c->text.n;
    char *all = mem_alloc(c->text.n);
    if (c->text.pieces) {
        size_t at = 0;
        for (size_t i = 0; i < c->text.piece_n; i++) {
            memcpy(all + at, c->text.pieces[i].p, c->text.pieces[i].n);
            at += c->text.pieces[i].n;
        }
    } else {
        assert_int_equal(pread(c->text.fd, all, c->text.n, (off_t)c->text.offset), c->text.n);
    }
    for (uint64_t i = 0; i < c->text.n; i++)
        if (all[i] != help_byte(l->m->id, i)) l->ok = false;
    free(all);
    spool_content_free(c);
}

/* Loads and compares; the number of bytes of its text, or UINT64_MAX and *code. */
static inline uint64_t help_load(struct help *h, uint64_t id, int *code)
{
    struct help_load l = { .m = &h->msgs[id] };
    assert_non_null(spool_load_start(h->sp, &h->msgs[id].msg, false, help_loaded, &l));
    HELP_UNTIL(h, l.over);
    if (code) *code = l.code;
    return l.ok ? l.n : UINT64_MAX;
}

static inline void help_on_sync(void *arg, bool ok) { *(int *)arg = ok ? 1 : -1; }

static inline bool help_sync(struct help *h)
{
    int result = 0;
    spool_sync(h->sp, help_on_sync, &result);
    HELP_UNTIL(h, result);
    return result > 0;
}

static inline unsigned help_count(const struct help *h, const char *prefix)
{
    DIR *d = opendir(h->dir);
    struct dirent *e;
    unsigned n = 0;
    while ((e = readdir(d))) n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return n;
}

#endif
