/* SPDX-License-Identifier: Apache-2.0
 * The spool after a crash and on a damaged disk. Nothing acknowledged is lost, nothing damaged goes unreported, and the
 * rest survives. Children run this same program: `test_spool_crash child DIR`. */
#include "spool_help.h"
#include <signal.h>
#include <sys/mman.h>
#include "base/crc32c.h"
#include "spool/envelope.h"

enum { SUBMITTED = 1, ACKED, ENDING, ENDED };
#define ROUNDS 30
#define PER_ROUND 20

/* ---- crashes */

static unsigned char *map_notes(const char *dir)
{
    char path[96];
    snprintf(path, sizeof path, "%s.notes", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, HELP_MAX + 1) == 0);
    unsigned char *notes = mmap(NULL, HELP_MAX + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(notes != MAP_FAILED);
    close(fd);
    return notes;
}

static void child_round(struct help *h, unsigned char *notes, uint64_t ours, uint64_t first)
{
    unsigned before = h->acks;
    for (uint64_t id = first; id < first + PER_ROUND; id++) {
        notes[id] = SUBMITTED;
        help_commit(h, id, id % 17 == 0 ? 70000 : 500 + id * 37 % 6000);
    }
    while (h->acks < before + PER_ROUND) {
        event_base_loop(h->base, EVLOOP_ONCE);
        for (uint64_t id = first; id < first + PER_ROUND; id++)
            if (h->msgs[id].acked) notes[id] = ACKED;
    }
    for (uint64_t id = first; id < first + PER_ROUND; id++) {
        if (id % 10 == 0) {
            spool_save_state(h->sp, &h->msgs[id].msg, SLICE("tried"));
        } else {
            notes[id] = ENDING;
            spool_done(h->sp, &h->msgs[id].msg);
        }
    }
    if (first / PER_ROUND % 4 == 3 && help_sync(h))
        for (uint64_t id = ours; id < first + PER_ROUND; id++)
            if (notes[id] == ENDING) notes[id] = ENDED;
}

static int child(const char *dir)
{
    struct help h = { 0 };
    unsigned char *notes = map_notes(dir);
    snprintf(h.dir, sizeof h.dir, "%s", dir);
    h.o = (struct spool_options){ .dir = h.dir, .segment_size = 128 << 10, .inline_size = 32 << 10 };
    h.msgs = mem_zalloc((HELP_MAX + 1) * sizeof *h.msgs);
    help_open(&h);
    h.sp->compact_min = 64 << 10;
    help_recover(&h);
    uint64_t first = 1;
    while (notes[first]) first += PER_ROUND;
    for (int i = 0; i < ROUNDS; i++) child_round(&h, notes, first, first + (uint64_t)i * PER_ROUND);
    struct spool_figures f; /* let segments go and be copied, too */
    HELP_UNTIL(&h, (spool_get_figures(h.sp, &f), f.segments <= 4));
    help_close(&h);
    free(h.msgs);
    return 0;
}

static void check_after(struct help *h, const unsigned char *notes)
{
    help_open(h);
    help_recover(h);
    assert_int_equal(h->damaged, 0);
    for (uint64_t id = 1; id <= HELP_MAX; id++) {
        const struct help_msg *m = &h->msgs[id];
        if (notes[id] == ACKED && !m->known) fail_msg("message %d was acknowledged and is lost", (int)id);
        if ((!notes[id] || notes[id] == ENDED) && m->known)
            fail_msg("message %d should not be there (%d)", (int)id, notes[id]);
        if (m->known) assert_int_equal(help_load(h, id, NULL), id % 17 == 0 ? 70000 : 500 + id * 37 % 6000);
    }
    help_close(h);
    h->sp = NULL;
}

static int run_child(const char *dir, const char *at, unsigned kill_after_ms)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        if (at) setenv("POSTERN_CRASH_AT", at, 1);
        execl("/proc/self/exe", "test_spool_crash", "child", dir, (char *)NULL);
        _exit(127);
    }
    if (kill_after_ms) {
        usleep(kill_after_ms * 1000);
        kill(pid, SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void crash_at(const char *const *steps, size_t n)
{
    static const unsigned counts[] = { 1, 2, 7 };
    for (size_t i = 0; i < n * countof(counts); i++) {
        struct help h = { 0 };
        char at[64], notes_path[96];
        help_dir(&h);
        snprintf(at, sizeof at, "%s:%u", steps[i / countof(counts)], counts[i % countof(counts)]);
        unsigned char *notes = map_notes(h.dir);
        int status = run_child(h.dir, at, 0);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail_msg("%s did not kill: status %d", at, status);
        h.o.segment_size = 128 << 10;
        check_after(&h, notes);
        status = run_child(h.dir, at, 0); /* and once more on what that one left */
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_after(&h, notes);
        munmap(notes, HELP_MAX + 1);
        snprintf(notes_path, sizeof notes_path, "%s.notes", h.dir);
        unlink(notes_path);
        help_remove(&h);
    }
}

static void test_kill_at_steps(void **state)
{
#ifdef POSTERN_CRASH_POINTS
    static const char *const steps[] = { "draft-first",   "draft-big",     "commit-queued",   "write-before",
                                         "write-after",   "flush-after",   "commit-callback", "done-queued",
                                         "done-written",  "state-written", "segment-new",     "segment-removed",
                                         "compact-copied" };
    crash_at(steps, countof(steps));
#else
    skip();
#endif
}

static void test_kill_at_random(void **state)
{
    struct help h = { 0 };
    char notes_path[96];
    help_dir(&h);
    h.o.segment_size = 128 << 10;
    unsigned char *notes = map_notes(h.dir);
    for (unsigned i = 0; i < 12; i++) {
        run_child(h.dir, NULL, 20 + i * 37 % 200);
        check_after(&h, notes);
    }
    munmap(notes, HELP_MAX + 1);
    snprintf(notes_path, sizeof notes_path, "%s.notes", h.dir);
    unlink(notes_path);
    help_remove(&h);
}

/* ---- damage */

struct image {
    char name[64];
    char *p;
    size_t n, used;
};

static void image_read(struct help *h, struct image *im) /* of the newest segment */
{
    struct dirent *e;
    struct stat st;
    DIR *d = opendir(h->dir);
    im->name[0] = 0;
    while ((e = readdir(d)))
        if (!strncmp(e->d_name, "seg-", 4) && strcmp(e->d_name, im->name) > 0)
            snprintf(im->name, sizeof im->name, "%.40s", e->d_name);
    int fd = openat(dirfd(d), im->name, O_RDONLY);
    closedir(d);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    im->n = (size_t)st.st_size;
    im->p = mem_alloc(im->n);
    assert_int_equal(pread(fd, im->p, im->n, 0), im->n);
    close(fd);
    for (im->used = im->n; im->used && !im->p[im->used - 1];) im->used--;
}

static void image_write(struct help *h, const struct image *im, size_t n)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", h->dir, im->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, im->p, n), n);
    close(fd);
}

static void help_empty(struct help *h)
{
    struct help_msg *keep = h->msgs;
    h->msgs = NULL;
    help_remove(h);
    h->msgs = keep;
    assert_int_equal(mkdir(h->dir, 0700), 0);
}

static void begin(struct help *h)
{
    *h = (struct help){ 0 };
    help_dir(h);
    h->o.segment_size = 64 << 10;
    help_open(h);
}

static void test_torn_tail(void **state)
{
    struct help h;
    struct image im;
    begin(&h);
    help_put(&h, 1, 40);
    help_put(&h, 2, 50);
    uint32_t last = (uint32_t)message_cost(&h.msgs[1].msg) + h.msgs[1].msg.offset;
    last += (uint32_t)message_cost(&h.msgs[2].msg);
    help_put(&h, 3, 60);
    assert_int_equal(h.msgs[3].msg.offset, last);
    size_t end = last + message_cost(&h.msgs[3].msg), text_end = last + RECORD_HEAD + h.msgs[3].msg.meta_n + 60;
    image_read(&h, &im);
    help_close(&h);
    for (int way = 0; way < 3; way++) {
        for (size_t cut = last; cut <= end; cut++) {
            char saved[256];
            memcpy(saved, im.p + cut, end - cut);
            if (way) memset(im.p + cut, way == 1 ? 0 : 0x5a, end - cut);
            help_empty(&h);
            image_write(&h, &im, way ? im.n : cut);
            memcpy(im.p + cut, saved, end - cut);
            for (int round = 0; round < 2; round++) { /* the second owner finds it settled */
                help_open(&h);
                help_recover(&h);
                assert_int_equal(h.damaged, 0);
                assert_true(h.msgs[1].known && h.msgs[2].known);
                assert_int_equal(h.msgs[3].known, cut >= text_end);
                if (round == 0) assert_int_equal(help_load(&h, 2, NULL), 50);
                help_close(&h);
            }
        }
    }
    free(im.p);
    help_remove(&h);
}

/* Every byte of a small spool that was closed: one message may be hit, then it is said; never another. */
static void test_flipped_bytes(void **state)
{
    struct help h;
    struct image im;
    begin(&h);
    for (uint64_t id = 1; id <= 4; id++) help_put(&h, id, 30 + id);
    spool_save_state(h.sp, &h.msgs[2].msg, SLICE("later"));
    spool_done(h.sp, &h.msgs[3].msg);
    help_close(&h);
    image_read(&h, &im);
    for (size_t i = 0; i < im.used; i++) {
        if (i == SEGMENT_HEAD_N) i = SEGMENT_COPY;
        if (i == SEGMENT_COPY + SEGMENT_HEAD_N) i = SEGMENT_HEAD;
        int hit = 0, code;
        im.p[i] ^= 0x21;
        help_empty(&h);
        image_write(&h, &im, im.n);
        im.p[i] ^= 0x21;
        help_open(&h);
        help_recover(&h);
        for (uint64_t id = 1; id <= 4; id++) {
            if (id == 3) continue;
            if (!h.msgs[id].known) {
                hit++;
                assert_true(h.damaged > 0);
            } else if (help_load(&h, id, &code) != 30 + id) {
                hit++;
                assert_int_equal(code, EBADMSG);
            }
        }
        if (hit || h.damaged > (i < SEGMENT_HEAD)) assert_true(help_count(&h, "damaged-") > 0);
        assert_true(hit <= 1);
        if (h.msgs[3].known || strcmp(h.msgs[2].state, "later") != 0) assert_true(h.damaged > 0);
        help_close(&h);
    }
    free(im.p);
    help_remove(&h);
}

static void test_lost_head(void **state)
{
    struct help h;
    struct image im;
    begin(&h);
    help_put(&h, 1, 30);
    help_close(&h);
    image_read(&h, &im);
    help_open(&h);
    help_recover(&h);
    help_put(&h, 2, 30);
    help_close(&h);
    im.p[20] ^= 1;
    im.p[SEGMENT_COPY + 20] ^= 1;
    image_write(&h, &im, im.n);
    help_open(&h);
    help_recover(&h);
    assert_int_equal(h.damaged, 1);
    assert_true(h.msgs[2].known);
    assert_int_equal(help_count(&h, "damaged-"), 1); /* the whole segment */
    help_close(&h);
    free(im.p);
    help_remove(&h);
}

/* A newer format is refused as a whole; a record of an unknown type is reported and its segment left alone. */
static void test_of_a_newer_version(void **state)
{
    struct help h;
    struct image im;
    struct err err;
    bool busy;
    begin(&h);
    help_put(&h, 1, 30);
    help_close(&h);
    image_read(&h, &im);
    struct segment_head head;
    char path[160], record[RECORD_HEAD];
    snprintf(path, sizeof path, "%s/%s", h.dir, im.name);
    int fd = open(path, O_RDWR);
    assert_int_equal(segment_head_read(fd, &head), SEGMENT_OK);
    struct record_head unknown = { .type = 99, .id = 5 };
    record_encode(&unknown, head.sequence, segment_seed(&head), record);
    assert_int_equal(pwrite(fd, record, sizeof record, (off_t)((h.msgs[1].msg.offset + message_cost(&h.msgs[1].msg)))),
                     sizeof record);
    close(fd);
    help_open(&h);
    help_recover(&h);
    assert_int_equal(h.damaged, 1);
    assert_true(h.msgs[1].known);
    help_close(&h);
    im.p[8]++; /* version; with a sum that is right */
    uint32_t crc = crc32c(0, im.p, 60);
    memcpy(im.p + 60, &crc, 4);
    image_write(&h, &im, im.n);
    h.base = event_base_new();
    assert_null(spool_open(h.base, &h.o, &busy, &err));
    assert_non_null(strstr(err.text, "newer version"));
    event_base_free(h.base);
    free(im.p);
    help_remove(&h);
}

static void test_big_files(void **state)
{
    struct help h;
    char path[200], id[ID_TEXT_LEN + 1];
    begin(&h);
    for (uint64_t i = 1; i <= 4; i++) help_put(&h, i, 100000);
    help_close(&h);
    for (uint64_t i = 1; i <= 2; i++) {
        id_format(i, id);
        snprintf(path, sizeof path, "%s/big-%s", h.dir, id);
        if (i == 1)
            unlink(path);
        else
            assert_int_equal(truncate(path, 5), 0);
    }
    id_format(77, id);
    snprintf(path, sizeof path, "%s/big-%s", h.dir, id);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    snprintf(path, sizeof path, "%s/draft-%016x", h.dir, 9);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    help_open(&h);
    assert_int_equal(help_count(&h, "draft-"), 0);
    help_recover(&h);
    assert_int_equal(h.damaged, 2);
    assert_int_equal(h.messages, 2);
    assert_int_equal(help_count(&h, "big-"), 3); /* the orphan stays: it may have been a damaged record's */
    assert_int_equal(help_count(&h, "damaged-"), 3);
    assert_int_equal(help_load(&h, 3, NULL), 100000);
    id_format(4, id);
    snprintf(path, sizeof path, "%s/big-%s", h.dir, id);
    int fd = open(path, O_WRONLY), code = 0;
    assert_int_equal(pwrite(fd, "#", 1, 50000), 1);
    close(fd);
    assert_int_equal(help_load(&h, 4, &code), UINT64_MAX);
    assert_int_equal(code, EBADMSG);
    spool_done(h.sp, &h.msgs[3].msg);
    spool_done(h.sp, &h.msgs[4].msg);
    HELP_UNTIL(&h, help_count(&h, "big-") == 1);
    HELP_UNTIL(&h, help_count(&h, "seg-") == 1);
    help_close(&h);
    help_open(&h);
    help_recover(&h);
    assert_int_equal(h.damaged, 0);
    assert_int_equal(help_count(&h, "big-"), 0); /* now it is whole */
    help_close(&h);
    help_remove(&h);
}

/* A text that is made of records, in a message whose own head is damaged: none of them counts. */
static void test_forged_records(void **state)
{
    struct help h;
    struct image im;
    struct err err;
    char text[RECORD_HEAD * 8];
    begin(&h);
    help_put(&h, 1, 30);
    struct record_head forged = { .type = RECORD_MESSAGE, .id = 666 };
    for (size_t i = 0; i < 8; i++)
        record_encode(&forged, h.sp->active, (uint32_t)i * 0x10000001u, text + i * RECORD_HEAD);
    struct spool_draft *d = spool_draft_new(h.sp);
    assert_true(spool_draft_append(d, slice_of(text, sizeof text), &err));
    h.msgs[2] = (struct help_msg){ .id = 2 };
    spool_draft_commit(d, 2, SLICE("12345678"), &h.msgs[2].msg, help_committed, &h.msgs[2]);
    help_close(&h); /* writes it, and tells nobody any more */
    image_read(&h, &im);
    im.p[h.msgs[1].msg.offset + message_cost(&h.msgs[1].msg) + 3] ^= 1;
    image_write(&h, &im, im.n);
    help_open(&h);
    help_recover(&h);
    assert_int_equal(h.messages, 1);
    assert_int_equal(h.damaged, 1);
    help_close(&h);
    free(im.p);
    help_remove(&h);
}

/* ---- the commands */

static void put_real(struct help *h, uint64_t id, struct slice text)
{
    struct slice rcpt = SLICE("you@example.org");
    struct envelope e = { .id = id,
                          .sender = SLICE("me\"\\\n@example.com"),
                          .rcpts = &rcpt,
                          .rcpt_n = 1,
                          .prepend = SLICE("Received: here\r\n"),
                          .text_size = text.n };
    struct buf b = { 0 };
    struct err err;
    struct spool_draft *d = spool_draft_new(h->sp);
    envelope_encode(&e, &b);
    assert_true(spool_draft_append(d, text, &err));
    spool_draft_commit(d, id, buf_slice(&b), &h->msgs[id].msg, help_committed, &h->msgs[id]);
    h->msgs[id].id = id;
    buf_deinit(&b);
}

static void test_commands(void **state)
{
    struct help h;
    struct buf out = { 0 };
    struct err err;
    char *large = mem_zalloc(100000);
    begin(&h);
    put_real(&h, 1, SLICE("Subject: x\r\n\r\ntext\r\n"));
    put_real(&h, 2, slice_of(large, 100000));
    help_close(&h);
    free(large);
    assert_true(spool_tool_verify(h.dir, false, &out, &err));
    assert_non_null(strstr(buf_cstr(&out), "messages 2 with 100020 bytes"));
    buf_clear(&out);
    assert_true(spool_tool_verify(h.dir, true, &out, &err));
    buf_clear(&out);
    assert_true(spool_tool_dump(h.dir, false, &out, &err));
    assert_non_null(strstr(buf_cstr(&out), "<you@example.org>"));
    assert_non_null(strstr(buf_cstr(&out), "end closed"));
    buf_clear(&out);
    assert_true(spool_tool_dump(h.dir, true, &out, &err));
    assert_non_null(strstr(buf_cstr(&out), "\"sender\":\"me\\\"\\\\x5c\\\\x0a@example.com\""));
    buf_clear(&out);
    assert_true(spool_tool_cat(h.dir, 1, &out, &err));
    assert_true(slice_eq(buf_slice(&out), SLICE("Received: here\r\nSubject: x\r\n\r\ntext\r\n")));
    buf_clear(&out);
    assert_true(spool_tool_cat(h.dir, 2, &out, &err));
    assert_int_equal(out.n, 100016);
    assert_false(spool_tool_cat(h.dir, 3, &out, &err));
    assert_false(spool_tool_verify("/nonexistent", false, &out, &err));
    struct image im;
    image_read(&h, &im);
    im.p[im.used - 150] ^= 1;
    image_write(&h, &im, im.n);
    buf_clear(&out);
    assert_false(spool_tool_verify(h.dir, true, &out, &err));
    assert_non_null(strstr(buf_cstr(&out), "\"damaged\":1"));
    free(im.p);
    buf_deinit(&out);
    help_remove(&h);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "child")) return child(argv[2]);
    log_open("test", LOG_ERROR + 1); /* damage is what this is about */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_tail),      cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_lost_head),      cmocka_unit_test(test_of_a_newer_version),
        cmocka_unit_test(test_big_files),      cmocka_unit_test(test_forged_records),
        cmocka_unit_test(test_commands),       cmocka_unit_test(test_kill_at_steps),
        cmocka_unit_test(test_kill_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
