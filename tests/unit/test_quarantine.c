/* SPDX-License-Identifier: Apache-2.0
 * The quarantine: files and their notes, keeping by way of a worker's link, the index and how it is mended, listings, its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/history.h"
#include "store/quarantine.h"
#include "store/quarantine_index.h"
#include "store/quarantine_link.h"

#define ID(n) ((UINT64_C(1790000000000) + (n) * 7) << 22 | 5)

static char dir[64], root[80];

static int make_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/postern-quarantine-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(root, sizeof root, "%s/quarantine", dir);
    return mkdir(root, 0700);
}

static int remove_dir(void **state)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void path_of(char out[200], uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    snprintf(out, 200, "%s/%02x/%s", root, quarantine_folder(id), text);
}

static int text_fd(const char *text, size_t n)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    return fd;
}

static void encode(uint64_t id, uint32_t rcpt_n, size_t text_n, const char *subject, struct buf *out)
{
    struct slice rcpts[] = { SLICE("a@example.com"), SLICE("B@example.com"), SLICE("c@other.example") };
    struct envelope e = { .id = id, .arrival = id >> 22, .flags = ENVELOPE_QUARANTINED, .client = { .family = 4, .bytes = { 192, 0, 2, 9 } },
                          .sender = SLICE("eve@stranger.example"), .rcpts = rcpts, .rcpt_n = rcpt_n, .text_size = text_n,
                          .subject = slice_str(subject), .hold = SLICE("it looks like spam"), .quarantine = QUARANTINE_SPAM, .score = 1234 };
    envelope_encode(&e, out);
}

/* ---- files */

static const char text[] = "xxSubject: hello\r\n\r\nbody\r\n"; /* begins at 2 */
#define TEXT_N (sizeof text - 3)

static bool write_file(uint64_t id, bool *known, struct err *err)
{
    struct buf envelope = { 0 };
    encode(id, 3, TEXT_N, "hello", &envelope);
    struct quarantine_head h = { .id = id, .stored = clock_wall_ms() };
    struct quarantine_source from = { .envelope = buf_slice(&envelope), .fd = text_fd(text, sizeof text - 1), .offset = 2, .n = TEXT_N };
    uint64_t size;
    bool ok = quarantine_file_write(root, &h, &from, known, &size, err);
    close(from.fd);
    buf_deinit(&envelope);
    return ok;
}

static void files(void **state)
{
    struct err err;
    struct quarantine_head h;
    struct quarantine_note note;
    struct buf envelope = { 0 };
    bool known;
    uint64_t size, before;
    char bytes[TEXT_N];
    assert_true(write_file(ID(1), &known, &err) && !known);
    assert_true(write_file(ID(1), &known, &err) && known); /* again is the same */
    int fd = quarantine_file_open(root, ID(1), &err);
    assert_true(fd >= 0 && quarantine_file_read(fd, &h, &envelope, &before, &err));
    assert_true(h.id == ID(1) && h.text_n == TEXT_N && quarantine_note_count(&h, before) == 0);
    assert_int_equal(pread(fd, bytes, TEXT_N, (off_t)quarantine_text_at(&h)), TEXT_N);
    assert_memory_equal(bytes, text + 2, TEXT_N);
    struct quarantine_note notes[] = { { QUARANTINE_NOTE_RELEASED, 1, 77 }, { QUARANTINE_NOTE_LEARNT, QUARANTINE_LEARNT_HAM, 78 } };
    assert_true(quarantine_file_add_notes(root, ID(1), notes, 2, &size, &err) && size == before + 48);
    assert_true(quarantine_file_note(fd, &h, 0, &note) && note.what == QUARANTINE_NOTE_RELEASED && note.which == 1 && note.when == 77);
    assert_true(quarantine_file_note(fd, &h, 1, &note) && note.what == QUARANTINE_NOTE_LEARNT);
    assert_false(quarantine_file_note(fd, &h, 2, &note));
    char path[200];
    path_of(path, ID(1)); /* a note that was cut off is none, and the next one takes its place */
    assert_int_equal(truncate(path, (off_t)size - 5), 0);
    assert_false(quarantine_file_note(fd, &h, 1, &note));
    assert_true(quarantine_file_add_notes(root, ID(1), notes, 1, &size, &err) && size == before + 48);
    assert_true(quarantine_file_note(fd, &h, 1, &note) && note.what == QUARANTINE_NOTE_RELEASED);
    assert_int_equal(truncate(path, (off_t)before - 1), 0); /* the text is cut off */
    assert_false(quarantine_file_read(fd, &h, &envelope, &size, &err));
    assert_int_equal(err.code, EBADMSG);
    close(fd);
    assert_true(quarantine_file_remove(root, ID(1), &err) && quarantine_file_remove(root, ID(1), &err));
    assert_int_equal(quarantine_file_open(root, ID(1), &err), -1);
    assert_int_equal(err.code, ENOENT);
    buf_deinit(&envelope);
}

/* Each byte of head and envelope counts. */
static void damaged_files(void **state)
{
    struct err err;
    struct quarantine_head h;
    struct buf envelope = { 0 };
    uint64_t size;
    bool known;
    char path[200], c;
    assert_true(write_file(ID(2), &known, &err));
    path_of(path, ID(2));
    int fd = open(path, O_RDWR);
    assert_true(quarantine_file_read(fd, &h, &envelope, &size, &err));
    for (uint64_t at = 0; at < quarantine_text_at(&h); at++) {
        assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
        c ^= 0x41;
        assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
        struct quarantine_head other;
        assert_false(quarantine_file_read(fd, &other, &envelope, &size, &err));
        c ^= 0x41;
        assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
    }
    assert_true(quarantine_file_read(fd, &h, &envelope, &size, &err));
    close(fd);
    buf_deinit(&envelope);
}

/* ---- a store and a worker */

struct world {
    struct event_base *base;
    struct history history;
    struct quarantine *q;
    struct quarantine_link *link;
    json_t *answer;
    int fd;
};

static void world_open(struct world *w, uint64_t keep, uint64_t size)
{
    struct err err;
    int pair[2];
    *w = (struct world){ .base = event_base_new(), .fd = -1 };
    assert_true(history_open(&w->history, dir, 86400000, 1 << 30, &err));
    w->q = quarantine_new(w->base, dir, &(struct quarantine_limits){ .keep = keep, .size = size }, &w->history, &err);
    assert_non_null(w->q);
    w->link = quarantine_link_new(w->base);
    assert_true(channel_pair(pair, &err));
    quarantine_add_worker(w->q, pair[0]);
    quarantine_link_connect(w->link, pair[1]);
}

static void world_close(struct world *w)
{
    quarantine_link_free(w->link);
    quarantine_free(w->q);
    history_close(&w->history);
    event_base_free(w->base);
}

static bool figure_is(struct world *w, const char *name, json_int_t n)
{
    json_t *f = quarantine_figures(w->q);
    const json_t *v = json_object_get(f, name);
    bool is = json_is_integer(v) ? json_integer_value(v) == n : json_is_true(v) == (n != 0);
    json_decref(f);
    return is;
}

static void wait_figure(struct world *w, const char *name, json_int_t n)
{
    uint64_t end = clock_mono_ms() + 20000;
    while (!figure_is(w, name, n) && clock_mono_ms() < end) event_base_loop(w->base, EVLOOP_ONCE);
    if (!figure_is(w, name, n)) print_message("%s is not %lld\n", name, (long long)n);
    assert_true(figure_is(w, name, n));
}

struct kept {
    bool called, kept;
    char why[200];
};

static void on_kept(void *arg, bool kept, const char *why)
{
    struct kept *k = arg;
    *k = (struct kept){ .called = true, .kept = kept };
    snprintf(k->why, sizeof k->why, "%s", why);
}

static struct kept keep(struct world *w, uint64_t id, uint32_t rcpt_n, const char *subject)
{
    struct kept k = { 0 };
    struct buf envelope = { 0 };
    encode(id, rcpt_n, TEXT_N, subject, &envelope);
    int fd = text_fd(text, sizeof text - 1);
    (void)quarantine_keep(w->link, id, buf_slice(&envelope), fd, 2, TEXT_N, on_kept, &k);
    close(fd);
    assert_false(k.called);
    while (!k.called) event_base_loop(w->base, EVLOOP_ONCE);
    buf_deinit(&envelope);
    return k;
}

static void on_answer(void *owner, json_int_t id, json_t *answer, int fd)
{
    struct world *w = owner;
    w->answer = answer;
    w->fd = fd;
}

/* The answer is the caller's. */
static json_t *ask(struct world *w, json_t *request)
{
    w->answer = NULL;
    w->fd = -1;
    quarantine_request(w->q, request, on_answer, w, 1);
    json_decref(request);
    while (!w->answer) event_base_loop(w->base, EVLOOP_ONCE);
    return w->answer;
}

static json_int_t matched(struct world *w, const char *key, const char *value)
{
    json_t *a = ask(w, json_pack("{s:s, s:s}", "op", "quarantine-list", key, value));
    json_int_t n = json_object_get(a, "error") ? -1 : json_integer_value(json_object_get(a, "matched"));
    json_decref(a);
    return n;
}

static json_t *with_id(const char *op, uint64_t id)
{
    char name[ID_TEXT_LEN + 1];
    id_format(id, name);
    return json_pack("{s:s, s:s, s:s}", "op", op, "id", name, "by", "uid 7");
}

static bool note(struct world *w, uint64_t id, const char *what, const char *as, int number)
{
    json_t *m = with_id("quarantine-note", id);
    json_object_set_new(m, "what", json_string(what));
    json_object_set_new(m, "as", json_string(as));
    if (number >= 0) json_object_set_new(m, "numbers", json_pack("[i]", number));
    json_t *a = ask(w, m);
    bool ok = !json_object_get(a, "error");
    json_decref(a);
    return ok;
}

static void keeping(void **state)
{
    struct world w;
    world_open(&w, 0, 0);
    assert_true(keep(&w, ID(1), 3, "first").kept);
    assert_true(keep(&w, ID(1), 3, "first").kept); /* not heard of: once all the same */
    assert_true(keep(&w, ID(2), 1, "se\x1b[31mcond \xff").kept);
    assert_true(figure_is(&w, "messages", 2) && figure_is(&w, "held", 2));
    assert_int_equal(matched(&w, "kind", "spam"), 2);
    assert_int_equal(matched(&w, "kind", "virus"), 0);
    assert_int_equal(matched(&w, "kind", "eaten"), -1);
    assert_int_equal(matched(&w, "recipient", "C@other"), 1);
    assert_int_equal(matched(&w, "recipient", "@example.com"), 2);
    assert_int_equal(matched(&w, "recipient", "@example"), 0);
    assert_int_equal(matched(&w, "sender", "<>"), 0);
    assert_int_equal(matched(&w, "subject", "FIRST"), 1);
    assert_int_equal(matched(&w, "reason", "looks like"), 2);
    json_t *a = ask(&w, with_id("quarantine-open", ID(2)));
    assert_true(w.fd >= 0);
    assert_null(json_object_get(a, "numbers"));
    const json_t *m = json_object_get(a, "message");
    assert_null(strchr(json_string_value(json_object_get(m, "subject")), 0x1b));
    assert_true(json_real_value(json_object_get(m, "score")) > 12.3 && json_real_value(json_object_get(m, "score")) < 12.4);
    close(w.fd);
    json_decref(a);
    json_t *request = with_id("quarantine-open", ID(1));
    json_object_set_new(request, "recipients", json_pack("[s, s]", "b@example.com", "nobody@example.com"));
    a = ask(&w, request);
    assert_int_equal(json_array_size(json_object_get(a, "numbers")), 1);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(a, "numbers"), 0)), 1);
    close(w.fd);
    json_decref(a);
    request = with_id("quarantine-open", ID(1)); /* three times the same one is not all three */
    json_object_set_new(request, "recipients", json_pack("[s, s, s]", "a@example.com", "A@example.com", "a@EXAMPLE.com"));
    a = ask(&w, request);
    json_t *number;
    size_t i;
    assert_true(json_array_size(json_object_get(a, "numbers")) > 0);
    json_array_foreach(json_object_get(a, "numbers"), i, number) assert_int_equal(json_integer_value(number), 0);
    close(w.fd);
    json_decref(a);
    a = ask(&w, with_id("quarantine-show", ID(3)));
    assert_true(json_is_true(json_object_get(a, "missing")));
    json_decref(a);
    world_close(&w);
}

static void notes(void **state)
{
    struct world w;
    world_open(&w, 0, 0);
    assert_true(keep(&w, ID(1), 3, "one").kept && keep(&w, ID(2), 2, "two").kept);
    assert_true(note(&w, ID(1), "released", "new", 1));
    assert_int_equal(matched(&w, "state", "released"), 1);
    assert_int_equal(matched(&w, "state", "held"), 2);
    assert_true(note(&w, ID(1), "released", "new", -1));
    assert_int_equal(matched(&w, "state", "held"), 1);
    assert_true(figure_is(&w, "held", 1));
    json_t *a = ask(&w, with_id("quarantine-open", ID(1)));
    assert_int_equal(json_array_size(json_object_get(a, "numbers")), 0);
    assert_non_null(json_object_get(a, "numbers"));
    close(w.fd);
    json_decref(a);
    assert_true(note(&w, ID(2), "learnt", "ham", -1));
    assert_int_equal(matched(&w, "learnt", "ham"), 1);
    assert_true(note(&w, ID(2), "deleted", "", 0));
    assert_int_equal(matched(&w, "recipient", "a@"), 2);
    assert_true(note(&w, ID(2), "deleted", "", 1)); /* the last one: it is gone */
    assert_true(figure_is(&w, "messages", 1));
    assert_false(note(&w, ID(2), "deleted", "", 1));
    assert_false(note(&w, ID(1), "eaten", "", 1));
    json_decref(ask(&w, with_id("quarantine-delete", ID(1))));
    assert_true(figure_is(&w, "messages", 0) && figure_is(&w, "bytes", 0));
    world_close(&w);
}

/* Listings go on where they ended. */
static void pages(void **state)
{
    struct world w;
    world_open(&w, 0, 0);
    for (unsigned i = 1; i <= 25; i++) assert_true(keep(&w, ID(i), 1, "x").kept);
    uint64_t last = UINT64_MAX;
    char before[20] = "";
    size_t seen = 0;
    for (int page = 0; page < 3; page++) {
        json_t *request = json_pack("{s:s, s:i}", "op", "quarantine-list", "limit", 10);
        if (*before) json_object_set_new(request, "before", json_string(before));
        json_t *a = ask(&w, request), *m;
        size_t i;
        json_array_foreach(json_object_get(a, "messages"), i, m) {
            uint64_t id = 0;
            assert_true(id_parse(json_text(m, "id"), &id) && id < last);
            last = id;
            seen++;
        }
        assert_int_equal(json_integer_value(json_object_get(a, "matched")), 25 - page * 10);
        assert_int_equal(json_object_get(a, "before") != NULL, page < 2);
        if (page < 2) snprintf(before, sizeof before, "%s", json_string_value(json_object_get(a, "before")));
        json_decref(a);
    }
    assert_int_equal(seen, 25);
    world_close(&w);
}

/* The index is made anew from the files, with all that was done. */
static void rebuilding(void **state)
{
    struct world w;
    char path[200];
    world_open(&w, 0, 0);
    for (unsigned i = 1; i <= 20; i++) assert_true(keep(&w, ID(i), 2, "x").kept);
    assert_true(note(&w, ID(3), "released", "new", 0) && note(&w, ID(4), "released", "new", -1) && note(&w, ID(5), "learnt", "spam", -1));
    world_close(&w);
    snprintf(path, sizeof path, "%s/quarantine.db", dir);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 5000; i++) fputs("no database ", f);
    fclose(f);
    path_of(path, ID(6)); /* and a file is damaged, one is lost, one was not written to its end */
    assert_int_equal(truncate(path, 50), 0);
    path_of(path, ID(7));
    strcat(path, ".new");
    fclose(fopen(path, "w"));
    world_open(&w, 0, 0);
    wait_figure(&w, "messages", 19);
    wait_figure(&w, "reading", 0);
    assert_true(figure_is(&w, "held", 18));
    assert_int_equal(matched(&w, "state", "released"), 2);
    assert_int_equal(matched(&w, "learnt", "spam"), 1);
    assert_int_equal(access(path, F_OK), -1);
    path_of(path, ID(6));
    strcat(path, ".damaged");
    assert_int_equal(access(path, F_OK), 0);
    world_close(&w);
    path_of(path, ID(8));
    unlink(path);
    world_open(&w, 0, 0);
    wait_figure(&w, "messages", 18);
    wait_figure(&w, "reading", 0);
    world_close(&w);
}

static void bounds(void **state)
{
    struct world w;
    world_open(&w, 0, 700);
    assert_true(keep(&w, ID(1), 1, "one").kept);
    struct kept k;
    unsigned n = 2;
    while ((k = keep(&w, ID(n), 1, "more")).kept) assert_true(++n < 10);
    assert_non_null(strstr(k.why, "quarantine.size"));
    assert_true(figure_is(&w, "full", 1));
    json_decref(ask(&w, with_id("quarantine-delete", ID(1))));
    assert_true(keep(&w, ID(n), 1, "more").kept);
    quarantine_set_limits(w.q, &(struct quarantine_limits){ .keep = 1 }); /* and all of it has expired */
    wait_figure(&w, "messages", 0);
    world_close(&w);
}

static void link_without_store(void **state)
{
    struct world w;
    struct kept k = { 0 };
    world_open(&w, 0, 0);
    int fd = text_fd(text, sizeof text - 1);
    struct quarantine_transfer *t = quarantine_keep(w.link, ID(1), SLICE("no envelope"), fd, 2, TEXT_N, on_kept, &k);
    while (!k.called) event_base_loop(w.base, EVLOOP_ONCE);
    assert_false(k.kept);
    assert_true(figure_is(&w, "messages", 0));
    k.called = false;
    t = quarantine_keep(w.link, ID(1), SLICE("no envelope"), fd, 2, TEXT_N, on_kept, &k);
    quarantine_cancel(&t);
    quarantine_free(w.q);
    w.q = NULL;
    (void)quarantine_keep(w.link, ID(1), SLICE("x"), fd, 2, TEXT_N, on_kept, &k);
    while (!k.called) event_base_loop(w.base, EVLOOP_ONCE);
    assert_false(k.kept);
    k.called = false;
    (void)quarantine_keep(w.link, ID(1), SLICE("x"), fd, 2, TEXT_N, on_kept, &k);
    while (!k.called) event_base_loop(w.base, EVLOOP_ONCE);
    assert_non_null(strstr(k.why, "not there"));
    close(fd);
    world_close(&w);
}

int main(void)
{
    log_open("test", getenv("POSTERN_LOG") ? LOG_DEBUG : LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damaged_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(keeping, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(notes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(pages, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(rebuilding, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(bounds, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(link_without_store, make_dir, remove_dir),
    };
    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
