/* SPDX-License-Identifier: Apache-2.0
 * The spool in good times and at a failing disk. Crashes and damage: test_spool_crash.c. */
#include "spool_help.h"
#include <sys/mman.h>
#include <sys/uio.h>
#include "base/crc32c.h"
#include "spool/envelope.h"

/* ---- a disk that fails when it is told to (linked with --wrap) */

static _Atomic int fail_write, fail_sync, fail_truncate; /* errno, or 0 */

ssize_t __real_pwritev(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    if (!fail_write) return __real_pwritev(fd, v, n, at);
    __real_pwritev(fd, v, 1, at); /* some of it gets there */
    errno = fail_write;
    return -1;
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_pwritev64(int fd, const struct iovec *v, int n, off_t at) { return __wrap_pwritev(fd, v, n, at); }

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    if (!fail_sync) return __real_fdatasync(fd);
    errno = fail_sync;
    return -1;
}

int __real_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n)
{
    if (!fail_truncate) return __real_ftruncate(fd, n);
    errno = fail_truncate;
    return -1;
}

int __wrap_ftruncate64(int fd, off_t n);
int __wrap_ftruncate64(int fd, off_t n) { return __wrap_ftruncate(fd, n); }

static int setup(void **state)
{
    struct help *h = *state = mem_new(struct help);
    help_dir(h);
    help_open(h);
    return 0;
}

static int teardown(void **state)
{
    struct help *h = *state;
    fail_write = fail_sync = fail_truncate = 0;
    if (h->sp) help_close(h);
    help_remove(h);
    free(h);
    return 0;
}

static void reopen(struct help *h)
{
    help_close(h);
    help_open(h);
    help_recover(h);
}

static void test_write_and_read(void **state)
{
    struct help *h = *state;
    static const uint64_t sizes[] = {
        0, 1, 7, 8, 9, 4096, 8127, 8128, 8129, 32 << 10, (32 << 10) + 1, 300000, 2 << 20
    };
    help_recover(h);
    for (size_t i = 0; i < countof(sizes); i++) help_put(h, i + 1, sizes[i]);
    assert_int_equal(h->acks, countof(sizes));
    for (int round = 0; round < 3; round++) {
        struct buf env = { 0 };
        struct err err;
        for (size_t i = 0; i < countof(sizes); i++) assert_int_equal(help_load(h, i + 1, NULL), sizes[i]);
        assert_true(spool_read_envelope(h->sp, &h->msgs[3].msg, &env, &err));
        assert_true(slice_eq(buf_slice(&env), SLICE("envelope of 3")));
        buf_deinit(&env);
        reopen(h);
        assert_int_equal(h->messages, countof(sizes));
        assert_int_equal(h->damaged, 0);
    }
    for (size_t i = 0; i < countof(sizes); i++) spool_done(h->sp, &h->msgs[i + 1].msg);
    reopen(h);
    assert_int_equal(h->messages, 0);
    assert_int_equal(help_count(h, "big-"), 0);
}

static void test_shared_flush(void **state)
{
    struct help *h = *state;
    struct spool_figures f;
    for (uint64_t i = 1; i <= 500; i++) help_commit(h, i, 100);
    HELP_UNTIL(h, h->acks == 500);
    spool_get_figures(h->sp, &f);
    assert_int_equal(f.messages, 500);
    assert_true(f.flushes < 50);
    assert_true(f.records >= 500);
}

static void test_states(void **state)
{
    struct help *h = *state;
    for (uint64_t i = 1; i <= 20; i++) help_put(h, i, 50);
    for (int round = 0; round < 5; round++) {
        for (uint64_t i = 1; i <= 20; i++) {
            char text[32];
            snprintf(text, sizeof text, "state %d of %" PRIu64, round, i);
            spool_save_state(h->sp, &h->msgs[i].msg, slice_str(text));
            if (round % 2) spool_save_state(h->sp, &h->msgs[i].msg, slice_str(text)); /* replaces one that waits */
        }
        if (round % 2 == 0) assert_true(help_sync(h));
    }
    spool_done(h->sp, &h->msgs[20].msg);
    for (int round = 0; round < 2; round++) {
        reopen(h);
        assert_int_equal(h->messages, 19);
        assert_string_equal(h->msgs[7].state, "state 4 of 7");
        assert_int_equal(help_load(h, 7, NULL), 50);
    }
}

static void test_second_owner(void **state)
{
    struct help *h = *state;
    struct err err;
    bool busy = false;
    assert_null(spool_open(h->base, &h->o, &busy, &err));
    assert_true(busy);
    struct spool_options nowhere = h->o;
    nowhere.dir = "/nonexistent/spool";
    assert_null(spool_open(h->base, &nowhere, &busy, &err));
    assert_false(busy);
}

static void test_abandoned_drafts(void **state)
{
    struct help *h = *state;
    struct spool_draft *a = help_draft(h, 1, 100), *b = help_draft(h, 2, 500000), *none = NULL;
    HELP_UNTIL(h, help_count(h, "draft-") == 1);
    spool_draft_free(&a);
    spool_draft_free(&b);
    spool_draft_free(&none);
    assert_null(b);
    HELP_UNTIL(h, help_count(h, "draft-") == 0);
    assert_int_equal(h->sp->pending, 0);
}

static void relieved(void *arg) { ++*(int *)arg; }

static void test_congestion(void **state)
{
    struct help *h = *state;
    int told = 0, told_b = 0;
    struct spool_draft *d = help_draft(h, 1, 4 << 20), *b = help_draft(h, 2, 4 << 20);
    assert_true(spool_draft_congested(d, relieved, &told)); /* the loop has not run: all of it is outstanding */
    assert_true(spool_draft_congested(b, relieved, &told_b));
    spool_draft_free(&b);
    HELP_UNTIL(h, told);
    assert_false(spool_draft_congested(d, relieved, &told));
    assert_int_equal(told, 1);
    assert_int_equal(told_b, 0);
    spool_draft_free(&d);
}

/* Messages pass through; a few stay. Dead segments go or are written over, and their old records are not seen again. */
static void test_recycling(void **state)
{
    struct help *h = *state;
    struct spool_figures f;
    uint64_t id = 0;
    for (int round = 0; round < 40; round++) {
        unsigned acks = h->acks;
        for (int i = 0; i < 40; i++) help_commit(h, ++id, 4000);
        HELP_UNTIL(h, h->acks == acks + 40);
        for (uint64_t k = id - 39; k <= id; k++) spool_done(h->sp, &h->msgs[k].msg);
        if (round % 4 == 3) HELP_UNTIL(h, (spool_get_figures(h->sp, &f), f.segments <= 2));
    }
    assert_true(f.spare_segments > 0 && f.spare_segments <= SPARES_MAX);
    help_put(h, ++id, 777);
    for (int round = 0; round < 3; round++) {
        reopen(h);
        assert_int_equal(h->messages, 1);
        assert_int_equal(h->damaged, 0);
        assert_int_equal(help_load(h, id, NULL), 777);
    }
}

/* The record that says a message ended must outlive the message's own record, which another message may keep there. */
static void test_ends_are_kept(void **state)
{
    struct help *h = *state;
    uint64_t id = 0;
    h->sp->compact_min = UINT64_MAX;
    for (int i = 0; i < 10; i++) help_put(h, ++id, 4000);
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 100; i++) help_put(h, ++id, 4000);
        if (round == 2) /* far from their records */
            for (uint64_t k = 2; k <= 10; k++) spool_done(h->sp, &h->msgs[k].msg);
        for (uint64_t k = id - 99; k <= id; k++) spool_done(h->sp, &h->msgs[k].msg);
        for (int i = 0; i < 10; i++) {
            usleep(10000);
            event_base_loop(h->base, EVLOOP_NONBLOCK);
        }
    }
    for (int round = 0; round < 2; round++) {
        reopen(h);
        assert_int_equal(h->messages, 1);
        assert_true(h->msgs[1].known);
    }
    h->sp->compact_min = 0; /* now its segment can be let go, and with it all that hung on it */
    help_put(h, ++id, 10);
    spool_done(h->sp, &h->msgs[id].msg);
    struct spool_figures f;
    HELP_UNTIL(h, (spool_get_figures(h->sp, &f), f.segments <= 2));
    reopen(h);
    assert_int_equal(h->messages, 1);
    assert_int_equal(help_load(h, 1, NULL), 4000);
}

/* One message in ten stays, some with a state: their segments are copied forward, again and again. */
static void test_compaction(void **state)
{
    struct help *h = *state;
    struct spool_figures f;
    uint64_t id = 0, stay = 0;
    for (int round = 0; round < 60; round++) {
        unsigned acks = h->acks;
        for (int i = 0; i < 50; i++, id++) help_commit(h, id + 1, (id + 1) % 100 == 0 ? 40000 : 3000);
        HELP_UNTIL(h, h->acks == acks + 50);
        for (uint64_t k = id - 49; k <= id; k++) {
            if (k % 50 == 0) {
                char text[32];
                snprintf(text, sizeof text, "kept %" PRIu64, k);
                spool_save_state(h->sp, &h->msgs[k].msg, slice_str(text));
                stay++;
            } else {
                spool_done(h->sp, &h->msgs[k].msg);
            }
        }
        if (round == 30) { /* and half of those go later */
            for (uint64_t k = 100; k <= id; k += 100) {
                spool_done(h->sp, &h->msgs[k].msg);
                stay--;
            }
        }
    }
    HELP_UNTIL(h, (spool_get_figures(h->sp, &f), f.bytes_total < (3 << 20)));
    assert_int_equal(f.messages, stay);
    for (int round = 0; round < 2; round++) {
        for (uint64_t k = 50; k <= id; k += 50)
            if (round == 0 ? !h->msgs[k].msg.dead : h->msgs[k].known)
                assert_int_equal(help_load(h, k, NULL), k % 100 == 0 ? 40000 : 3000);
        reopen(h);
        assert_int_equal(h->messages, stay);
        assert_int_equal(h->damaged, 0);
        assert_string_equal(h->msgs[50].state, "kept 50");
    }
}

/* Every fourth stays, so no segment has little alive: the segments of mail that only passes through must go all the
 * same. */
static void test_held_by_others(void **state)
{
    struct help *h = *state;
    struct spool_figures f;
    uint64_t id = 0, kept = 0;
    for (int i = 0; i < 400; i++) help_commit(h, ++id, 4000);
    HELP_UNTIL(h, h->acks == 400);
    for (uint64_t k = 1; k <= id; k++) {
        if (k % 3 == 0)
            kept++;
        else
            spool_done(h->sp, &h->msgs[k].msg);
    }
    for (int round = 0; round < 100; round++) {
        unsigned acks = h->acks;
        for (int i = 0; i < 50; i++) help_commit(h, ++id, 4000);
        HELP_UNTIL(h, h->acks == acks + 50);
        for (uint64_t k = id - 49; k <= id; k++) spool_done(h->sp, &h->msgs[k].msg);
    }
    HELP_UNTIL(h, (spool_get_figures(h->sp, &f), f.bytes_total < (5 << 20)));
    for (int round = 0; round < 2; round++) {
        reopen(h);
        assert_int_equal(h->messages, kept);
        assert_int_equal(h->damaged, 0);
    }
}

static void test_commit_while_recovering(void **state)
{
    struct help *h = *state;
    for (uint64_t i = 1; i <= 3000; i++) help_commit(h, i, 200);
    HELP_UNTIL(h, h->acks == 3000);
    help_close(h);
    help_open(h);
    struct spool_recovery r = { help_on_message, help_on_done, h };
    memset(h->msgs, 0, (HELP_MAX + 1) * sizeof *h->msgs);
    h->recovered = false;
    spool_recover(h->sp, &r);
    help_put(h, 5000, 100);
    spool_done(h->sp, &h->msgs[5000].msg);
    help_put(h, 5001, 100);
    HELP_UNTIL(h, h->recovered);
    assert_int_equal(h->messages, 3000);
    reopen(h);
    assert_int_equal(h->messages, 3001);
    help_close(h); /* and in the middle of it */
    help_open(h);
    memset(h->msgs, 0, (HELP_MAX + 1) * sizeof *h->msgs);
    spool_recover(h->sp, &r);
    event_base_loop(h->base, EVLOOP_ONCE);
    reopen(h);
    assert_int_equal(h->messages, 3001);
}

static void close_it(struct help *h)
{
    spool_close(h->sp);
    h->sp = NULL;
}

static void close_on_done(void *arg, uint64_t messages, uint64_t damaged) { close_it(arg); }

static void close_on_commit(void *arg, bool ok, struct spool_content *content, const struct err *err)
{
    assert_true(ok);
    spool_content_free(content);
    close_it(arg);
}

static void close_on_load(void *arg, struct spool_content *content, const struct err *err)
{
    spool_content_free(content);
    close_it(arg);
}

static void close_on_sync(void *arg, bool ok) { close_it(arg); }

/* A spool may be closed from its own callbacks, with others under way; what was handed over is written all the same. */
static void test_close_in_callbacks(void **state)
{
    struct help *h = *state;
    struct spool_recovery r = { help_on_message, close_on_done, h };
    for (int way = 0; way < 4; way++) {
        uint64_t id = (uint64_t)way * 100;
        if (way == 0) spool_recover(h->sp, &r);
        for (int i = 0; i < 20; i++) help_commit(h, ++id, i % 7 == 3 ? 100000 : 3000);
        if (way == 1)
            spool_draft_commit(help_draft(h, 500, 10), 500, SLICE("envelope of 500"), &h->msgs[500].msg,
                               close_on_commit, h);
        if (way == 2) HELP_UNTIL(h, h->msgs[id].acked);
        if (way == 2) spool_load_start(h->sp, &h->msgs[id].msg, false, close_on_load, h);
        if (way == 3) spool_sync(h->sp, close_on_sync, h);
        HELP_UNTIL(h, !h->sp);
        event_base_free(h->base);
        help_open(h);
    }
    help_recover(h);
    assert_int_equal(h->messages, 81);
    assert_int_equal(h->damaged, 0);
}

/* Cancelled loads: no callback, and the segment is free again. */
static void test_cancelled_load(void **state)
{
    struct help *h = *state;
    struct help_load l = { 0 };
    help_put(h, 1, 1000);
    for (int i = 0; i < 10; i++) {
        struct spool_load *load = spool_load_start(h->sp, &h->msgs[1].msg, i % 2, help_loaded, &l);
        spool_load_cancel(&load);
        assert_null(load);
        spool_load_cancel(&load);
    }
    HELP_UNTIL(h, h->sp->segments[0]->pins == 0);
    assert_false(l.over);
}

static void test_many(void **state)
{
    struct help *h = *state;
    help_close(h);
    h->o.segment_size = 8 << 20;
    help_open(h);
    for (uint64_t i = 1; i <= 100000; i += 1000) {
        unsigned acks = h->acks;
        for (uint64_t k = i; k < i + 1000; k++) help_commit(h, k, 120);
        HELP_UNTIL(h, h->acks == acks + 1000);
    }
    for (uint64_t k = 2; k <= 100000; k += 2) spool_done(h->sp, &h->msgs[k].msg);
    reopen(h);
    assert_int_equal(h->messages, 50000);
    assert_int_equal(h->damaged, 0);
    assert_true(h->msgs[99999].known && !h->msgs[2].known);
}

static void test_failing_disk(void **state)
{
    struct help *h = *state;
    static const struct {
        int write, sync, truncate;
    } faults[] = { { ENOSPC, 0, 0 }, { EIO, 0, 0 }, { 0, EIO, 0 }, { 0, EIO, EIO } };
    uint64_t id = 0, alive = 0;
    for (size_t i = 0; i < countof(faults); i++) {
        uint64_t ends = id + 1, stays = id + 2;
        help_put(h, ++id, 3000);
        help_put(h, ++id, 3000);
        help_put(h, ++id, 100000);
        alive += 2;
        fail_write = faults[i].write;
        fail_sync = faults[i].sync;
        fail_truncate = faults[i].truncate;
        spool_save_state(h->sp, &h->msgs[stays].msg, SLICE("old"));
        spool_done(h->sp, &h->msgs[ends].msg);
        help_put(h, ++id, 3000);
        assert_true(h->msgs[id].failed);
        help_put(h, ++id, 200000);
        assert_true(h->msgs[id].failed);
        spool_save_state(h->sp, &h->msgs[stays].msg, SLICE("new"));
        assert_false(help_sync(h));
        if (faults[i].write == ENOSPC) assert_true(spool_full(h->sp));
        fail_write = fail_sync = fail_truncate = 0;
        HELP_UNTIL(h, (help_put(h, ++id, 3000), h->msgs[id].acked)); /* works again when the disk does */
        alive++;
        assert_true(help_sync(h));
        assert_int_equal(help_load(h, id, NULL), 3000);
    }
    reopen(h);
    assert_int_equal(h->messages, alive);
    assert_int_equal(h->damaged, 0);
    assert_false(h->msgs[1].known);
    assert_string_equal(h->msgs[2].state, "new");
    assert_int_equal(help_count(h, "big-"), countof(faults));
}

/* The id of a failed commit may be used again: what voids the failed one must not touch the new one. */
static void test_same_id_again(void **state)
{
    struct help *h = *state;
    help_put(h, 1, 100);
    for (uint64_t n = 1000; n < 100001; n *= 100) {
        uint64_t id = n + 1;
        fail_sync = EIO;
        help_put(h, id, n);
        assert_true(h->msgs[id].failed);
        fail_sync = 0;
        HELP_UNTIL(h, (help_put(h, id, n), h->msgs[id].acked));
    }
    reopen(h);
    assert_int_equal(h->messages, 3);
    assert_int_equal(help_load(h, 1001, NULL), 1000);
    assert_int_equal(help_load(h, 100001, NULL), 100000);
}

static void test_envelope(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com"), SLICE("\"b c\"@example.org"), SLICE("") };
    struct envelope in = {
        .id = 77, .arrival = 1795297811123, .flags = ENVELOPE_8BIT | ENVELOPE_HELD, .helo = SLICE("mail.example"),
        .zone = SLICE("lan"), .sender = SLICE(""), .rcpts = rcpts, .rcpt_n = 3, .prepend = SLICE("Received: x\r\n"),
        .text_size = 123456789012, .message_id = SLICE("<1@x>"), .subject = SLICE("hello"),
    }, out;
    struct buf b = { 0 };
    struct arena arena = { 0 };
    struct err err;
    static const char *const clients[] = { "192.0.2.1", "2001:db8::1", NULL };
    for (size_t i = 0; i < countof(clients); i++) {
        in.client = (struct ip){ 0 };
        if (clients[i]) assert_true(ip_parse(slice_str(clients[i]), &in.client));
        buf_clear(&b);
        envelope_encode(&in, &b);
        assert_true(envelope_decode(buf_slice(&b), &arena, &out, &err));
        assert_true(out.id == in.id && out.arrival == in.arrival && out.flags == in.flags &&
                    out.text_size == in.text_size);
        assert_true(ip_eq(&in.client, &out.client));
        assert_int_equal(out.rcpt_n, 3);
        for (size_t k = 0; k < 3; k++) assert_true(slice_eq(out.rcpts[k], rcpts[k]));
        assert_true(slice_eq(out.prepend, in.prepend) && slice_eq(out.subject, in.subject) &&
                    slice_eq(out.helo, in.helo));
        for (size_t n = 0; n < b.n; n++) { /* torn anywhere: no crash; mostly an error, never more than was there */
            char *part = mem_alloc(n);
            memcpy(part, b.p, n);
            if (envelope_decode(slice_of(part, n), &arena, &out, &err)) assert_true(out.rcpt_n <= 3);
            free(part);
        }
    }
    buf_add(&b, slice_of("\x7f\x02xy", 4)); /* of a later version */
    assert_true(envelope_decode(buf_slice(&b), &arena, &out, &err));
    buf_add(&b, slice_of("\x05\x01x", 3)); /* twice */
    assert_false(envelope_decode(buf_slice(&b), &arena, &out, &err));
    assert_false(envelope_decode(SLICE(""), &arena, &out, &err));
    buf_deinit(&b);
    arena_deinit(&arena);
}

/* A disk that cannot be read says nothing about the text: that is tried again, and only what is another text is damaged. */
static void test_unreadable_is_not_damaged(void **state)
{
    const char text[] = "a large text";
    uint32_t crc = crc32c(0, text, sizeof text);
    int fd = memfd_create("big", MFD_CLOEXEC);
    assert_true(write(fd, text, sizeof text) == sizeof text);
    assert_int_equal(big_check(fd, sizeof text, crc), 0);
    assert_int_equal(big_check(fd, sizeof text, crc + 1), EBADMSG);
    assert_int_equal(big_check(fd, sizeof text + 1, crc), EBADMSG);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int blind = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(blind >= 0);
    assert_int_equal(big_check(blind, sizeof text, crc), EBADF);
    close(blind);
    close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_write_and_read),
        T(test_shared_flush),
        T(test_states),
        T(test_second_owner),
        T(test_abandoned_drafts),
        T(test_congestion),
        T(test_recycling),
        T(test_ends_are_kept),
        T(test_compaction),
        T(test_held_by_others),
        T(test_commit_while_recovering),
        T(test_close_in_callbacks),
        T(test_cancelled_load),
        T(test_many),
        T(test_failing_disk),
        T(test_same_id_again),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_unreadable_is_not_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
