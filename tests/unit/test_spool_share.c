/* SPDX-License-Identifier: Apache-2.0
 * Texts shared with other processes: small ones in memory, big ones by their files, before and after the commit. */
#include "spool_help.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int setup(void **state)
{
    struct help *h = *state = mem_new(struct help);
    help_dir(h);
    help_open(h);
    help_here = h;
    return 0;
}

static int teardown(void **state)
{
    struct help *h = *state;
    help_close(h);
    help_remove(h);
    free(h);
    return 0;
}

struct answer {
    bool over;
    struct spool_share share; /* fd: a copy */
    int code;
    struct spool_draft **free; /* within the callback */
};

static void on_share(void *arg, const struct spool_share *share, const struct err *err)
{
    struct answer *a = arg;
    assert_false(a->over);
    a->over = true;
    a->code = share ? 0 : err->code;
    a->share = share ? *share : (struct spool_share){ .fd = -1 };
    if (share) a->share.fd = dup(share->fd);
    if (a->free) spool_draft_free(a->free);
}

static struct spool_share share(struct help *h, struct spool_draft *d)
{
    struct answer a = { 0 };
    struct spool_share out;
    struct err err;
    enum spool_sharing s = spool_draft_share(d, &out, on_share, &a, &err);
    assert_true(s != SPOOL_SHARE_FAILED);
    if (s == SPOOL_SHARED) {
        out.fd = dup(out.fd);
        return out;
    }
    assert_false(a.over);
    HELP_UNTIL(h, a.over);
    assert_int_equal(a.code, 0);
    return a.share;
}

static void check_text(const struct spool_share *s, uint64_t id, uint64_t n)
{
    struct stat st;
    assert_int_equal(s->size, n);
    assert_int_equal(fstat(s->fd, &st), 0);
    assert_int_equal((uint64_t)st.st_size, s->offset + n);
    char *p = mem_alloc(n + 1);
    assert_int_equal(pread(s->fd, p, n + 1, (off_t)s->offset), n);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(p[i], help_byte(id, i));
    free(p);
}

/* Neither the text nor its length can be changed by it. */
static void check_read_only(const struct spool_share *s)
{
    assert_true(pwrite(s->fd, "x", 1, 0) < 0);
    assert_true(pwrite(s->fd, "x", 1, (off_t)s->size) < 0);
    assert_true(!s->size || ftruncate(s->fd, 0) < 0);
    assert_true(ftruncate(s->fd, (off_t)s->size + 1) < 0);
    assert_true(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0) == MAP_FAILED);
}

static const uint64_t sizes[] = { 0, 1, 8128, 20000, 32 << 10, (32 << 10) + 1, 300000, 3 << 20 };

static void test_share_and_commit(void **state)
{
    struct help *h = *state;
    help_recover(h);
    for (uint64_t i = 0; i < countof(sizes); i++) {
        struct help_msg *m = &h->msgs[i + 1];
        struct spool_draft *d = help_draft(h, i + 1, sizes[i]);
        struct spool_share s = share(h, d), again = share(h, d);
        *m = (struct help_msg){ .id = i + 1, .n = sizes[i] };
        check_text(&s, i + 1, sizes[i]);
        check_text(&again, i + 1, sizes[i]);
        check_read_only(&s);
        char env[64];
        snprintf(env, sizeof env, "envelope of %" PRIu64, i + 1);
        spool_draft_commit(d, i + 1, slice_str(env), &m->msg, help_committed, m);
        HELP_UNTIL(h, m->acked);
        check_text(&s, i + 1, sizes[i]); /* whoever has it, keeps it */
        close(s.fd);
        close(again.fd);
        assert_int_equal(help_load(h, i + 1, NULL), sizes[i]);
    }
    help_close(h);
    help_open(h);
    help_recover(h);
    assert_int_equal(h->messages, countof(sizes));
    assert_int_equal(h->damaged, 0);
}

static void test_given_up(void **state)
{
    struct help *h = *state;
    for (uint64_t i = 0; i < countof(sizes); i++) {
        struct answer a = { 0 };
        struct spool_share out;
        struct err err;
        struct spool_draft *d = help_draft(h, 1, sizes[i]);
        enum spool_sharing s = spool_draft_share(d, &out, on_share, &a, &err);
        assert_true(s != SPOOL_SHARE_FAILED);
        if (i % 2) spool_draft_share_cancel(d);
        spool_draft_free(&d); /* while the thread may be at it */
        d = help_draft(h, 2, sizes[i]); /* freed by whoever hears of it */
        a.free = &d;
        if (spool_draft_share(d, &out, on_share, &a, &err) == SPOOL_SHARED) spool_draft_free(&d);
        HELP_UNTIL(h, !d);
        d = help_draft(h, 3, sizes[i]); /* cancelled, asked again, cancelled, committed */
        a = (struct answer){ 0 };
        (void)!spool_draft_share(d, &out, on_share, &a, &err);
        spool_draft_share_cancel(d);
        struct spool_share got = share(h, d);
        check_text(&got, 3, sizes[i]);
        close(got.fd);
        struct help_msg *m = &h->msgs[i + 1];
        *m = (struct help_msg){ .id = 3, .n = sizes[i] };
        spool_draft_commit(d, i + 1, SLICE("x"), &m->msg, help_committed, m);
        HELP_UNTIL(h, m->acked);
        assert_false(a.over);
        m = &h->msgs[countof(sizes) + i + 1];
        *m = (struct help_msg){ .id = 3, .n = sizes[i] };
        d = help_draft(h, 3, sizes[i]);
        (void)!spool_draft_share(d, &out, on_share, &a, &err);
        spool_draft_share_cancel(d);
        spool_draft_commit(d, countof(sizes) + i + 1, SLICE("x"), &m->msg, help_committed, m); /* with the thread at it */
        HELP_UNTIL(h, m->acked);
        assert_false(a.over);
    }
    HELP_UNTIL(h, help_count(h, "draft-") == 0);
}

static void on_loaded(void *arg, struct spool_content *c, const struct err *err)
{
    struct spool_content **out = arg;
    assert_non_null(c);
    *out = c;
}

static void test_content(void **state)
{
    struct help *h = *state;
    for (uint64_t i = 0; i < countof(sizes); i++) {
        struct spool_content *c = NULL;
        struct spool_share s, again;
        struct err err;
        help_put(h, i + 1, sizes[i]);
        assert_non_null(spool_load_start(h->sp, &h->msgs[i + 1].msg, false, on_loaded, &c));
        HELP_UNTIL(h, c);
        assert_true(spool_content_share(c, &s, &err) && spool_content_share(c, &again, &err));
        assert_int_equal(s.fd, again.fd);
        check_text(&s, i + 1, sizes[i]);
        check_read_only(&s);
        spool_content_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_share_and_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
