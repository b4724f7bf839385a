/* SPDX-License-Identifier: Apache-2.0
 * Messages whose text is edited on its way out: what a server gets is the edited text, whatever way it takes. */
#include "cuts_help.h"
#include "queue_relay.h"

#define PLAIN_PEER "250-peer.example\r\n250-PIPELINING\r\n250 SIZE 9000000"
#define FULL_PEER "250-peer.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 9000000"
#define PREPEND "Received: by relay.example\r\n"

static bool has_dots(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '.' && (!i || s.p[i - 1] == '\n')) return true;
    return false;
}

static uint64_t submit_edited(const char *rcpt, struct slice text, const struct envelope_cut *cuts, uint32_t n, uint32_t flags)
{
    struct slice rcpts = slice_str(rcpt);
    struct err err;
    struct envelope e = { .id = queue_new_id(w.q), .arrival = clock_wall_ms(), .flags = flags, .sender = SLICE("a@example.com"),
                          .rcpts = &rcpts, .rcpt_n = 1, .prepend = SLICE(PREPEND), .text_size = text.n, .zone = SLICE("lan"),
                          .cuts = cuts, .cut_n = n };
    struct spool_draft *d = spool_draft_new(queue_spool(w.q));
    assert_true(spool_draft_append(d, text, &err));
    queue_submit(w.q, d, &e, on_submitted, NULL);
    return e.id;
}

static void unstuff(struct slice s, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && (!i || s.p[i - 1] == '\n')) {
            assert_true(i + 1 < s.n && s.p[i + 1] != '\r'); /* never one alone, which would end it */
            i++;
        }
        buf_add_char(out, s.p[i]);
    }
}

static void expect(struct slice text, const struct envelope_cut *cuts, uint32_t n, uint32_t flags)
{
    struct buf want = { 0 }, got = { 0 }, edited = { 0 };
    char size[40];
    edit(text, cuts, n, &edited);
    if (has_dots(buf_slice(&edited))) flags |= ENVELOPE_HAS_DOTS;
    buf_clear(&peer.log);
    uint64_t id = submit_edited("b@example.com", text, cuts, n, flags);
    RUN_UNTIL(is_done(id));
    buf_add_str(&want, PREPEND);
    buf_add(&want, buf_slice(&edited));
    snprintf(size, sizeof size, " SIZE=%zu", want.n);
    if (!strstr(buf_cstr(&peer.log), size)) fail_msg("%s: %s", buf_cstr(&peer.log), size);
    if (edited.n && (edited.n < 2 || memcmp(edited.p + edited.n - 2, "\r\n", 2) != 0)) buf_add_str(&want, "\r\n");
    unstuff(buf_slice(&peer.last_text), &got);
    if (!slice_eq(buf_slice(&got), buf_slice(&want))) fail_msg("got %s\nnot %s", buf_cstr(&got), buf_cstr(&want));
    buf_deinit(&want);
    buf_deinit(&got);
    buf_deinit(&edited);
}

#define MESSAGE "From: <a@example.com>\r\nSubject: offer\r\n\r\nHello.\r\n.dot\r\nbye\r\n"

static void by_hand(void **state)
{
    struct slice text = SLICE(MESSAGE);
    size_t subject = 23 + 9, body = 23 + 16 + 2;
    const struct envelope_cut cases[][3] = {
        { { .at = subject, .with = SLICE("[SPAM] ") } },
        { { .at = body, .with = SLICE(".\r\n..\r\n") } },                 /* dots that were not there */
        { { .at = body, .n = 8, .with = SLICE("..") } },                   /* before one that begins a line */
        { { .at = body, .n = 6 } },                                       /* a line that becomes empty */
        { { .at = body + 9, .n = 1, .with = SLICE(".") }, { .at = body + 10, .with = SLICE(".") } },
        { { .at = body + 4, .n = text.n - body - 4 } },                   /* the line end at the end goes with it */
        { { .at = text.n, .with = SLICE("no end") } },
        { { .at = 0, .n = text.n } },
        { { .at = 0, .n = text.n, .with = SLICE(".") } },
        { { .at = 0, .with = SLICE("X-A: 1\r\n") }, { .at = 23, .n = 16 }, { .at = text.n, .with = SLICE(".\r\n") } },
    };
    for (int file = 0; file < 2; file++)
        for (size_t i = 0; i < countof(cases); i++) {
            uint32_t n = 0;
            while (n < 3 && (cases[i][n].n || cases[i][n].with.n)) n++;
            disk.as_file = file;
            expect(text, cases[i], n, 0);
            expect(text, cases[i], n, ENVELOPE_HAS_DOTS);
        }
}

static uint32_t dice(uint64_t *state, uint32_t sides)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % sides;
}

/* A text of lines, some of which begin with dots, and edits anywhere in it. */
static uint32_t make(uint64_t *r, size_t n, struct buf *text, struct envelope_cut *cuts)
{
    static const char with[] = "abc\r\n.def\r\n..\r\nghijkl\r\n.";
    uint32_t k = 0, step = (uint32_t)n / 8 + 2;
    buf_clear(text);
    while (text->n < n) {
        if (!dice(r, 3)) buf_add_char(text, '.');
        for (uint32_t i = dice(r, 70); i; i--) buf_add_char(text, (char)('a' + dice(r, 26)));
        buf_add_str(text, "\r\n");
    }
    for (size_t at = dice(r, step); at <= text->n && k < 20; at += dice(r, step)) {
        uint32_t from = dice(r, sizeof with - 1);
        struct envelope_cut c = { .at = at, .n = dice(r, 3) * dice(r, step) };
        if (c.n > text->n - at) c.n = text->n - at;
        if (dice(r, 3)) c.with = slice_of(with + from, dice(r, (uint32_t)(sizeof with - from)));
        if (c.n || c.with.n) cuts[k++] = c;
        at += c.n;
    }
    return k;
}

static void at_random(void **state)
{
    static const size_t sizes[] = { 40, 300, 3000, 40000, 300000 };
    struct buf text = { 0 };
    uint64_t r = 11;
    for (int round = 0; round < 12; round++)
        for (size_t i = 0; i < countof(sizes); i++) {
            struct envelope_cut cuts[20];
            uint32_t n = make(&r, sizes[i], &text, cuts);
            disk.as_file = round % 2;
            expect(buf_slice(&text), cuts, n, round % 3 ? 0 : ENVELOPE_HAS_DOTS);
        }
    buf_deinit(&text);
}

static void without_dots(void **state)
{
    struct buf text = { 0 };
    for (int i = 0; i < 20000; i++) buf_addf(&text, "line %d\r\n", i);
    struct envelope_cut cuts[] = { { .at = 8, .n = 8 }, { .at = 16, .with = SLICE("new\r\n") }, { .at = 80000, .n = 30000 } };
    for (int file = 0; file < 2; file++) {
        disk.as_file = file;
        expect(buf_slice(&text), cuts, 3, 0);
    }
    buf_deinit(&text);
}

static void to_7bit(void **state)
{
    struct slice text = SLICE("From: <a@example.com>\r\nSubject: offer\r\n\r\nHello.\r\n");
    struct envelope_cut cuts[] = { { .at = 23 + 16 + 2, .n = 5, .with = SLICE("Gr\xC3\xBC\xC3\x9F Gott\r\n.") } };
    peer.extensions = PLAIN_PEER;
    for (int file = 0; file < 2; file++) {
        disk.as_file = file;
        uint64_t id = submit_edited("b@example.com", text, cuts, 1, ENVELOPE_HAS_8BIT | ENVELOPE_HAS_DOTS);
        RUN_UNTIL(is_done(id));
        assert_non_null(strstr(buf_cstr(&peer.last_text), "Gr=C3=BC=C3=9F Gott\r\n"));
        assert_non_null(strstr(buf_cstr(&peer.last_text), "\r\n...\r\n"));
    }
}

static void in_8bit(void **state)
{
    struct slice text = SLICE(MESSAGE);
    struct envelope_cut cuts[] = { { .at = 23 + 16 + 2, .n = 5, .with = SLICE("\xC3\xBC") } };
    peer.extensions = FULL_PEER;
    expect(text, cuts, 1, ENVELOPE_HAS_8BIT);
    assert_non_null(strstr(buf_cstr(&peer.log), "BODY=8BITMIME"));
}

static void bounced(void **state)
{
    static const struct rule refuse[] = { { "RCPT", 1, "550 5.1.1 nobody here", false } };
    struct envelope_cut cuts[] = { { .at = 23 + 9, .with = SLICE("[SPAM] ") }, { .at = 23 + 16 + 2, .n = 6, .with = SLICE("Bye") } };
    peer.rules = refuse;
    peer.rule_n = 1;
    uint64_t id = submit_edited("b@example.com", SLICE(MESSAGE), cuts, 2, ENVELOPE_HAS_DOTS);
    RUN_UNTIL(is_done(id) && disk.n == 2 && done_n() == 2);
    assert_non_null(strstr(buf_cstr(&peer.last_text), PREPEND "From: <a@example.com>\r\nSubject: [SPAM] offer\r\n"));
    assert_null(strstr(buf_cstr(&peer.last_text), "Bye"));
}

static void pipelined(void **state)
{
    struct slice text = SLICE(MESSAGE);
    struct envelope_cut cuts[] = { { .at = 23 + 9, .with = SLICE("[SPAM] ") }, { .at = text.n - 5, .n = 5 } };
    for (int i = 0; i < 30; i++) submit_edited("b@example.com", text, cuts, i % 3, ENVELOPE_HAS_DOTS);
    RUN_UNTIL(done_n() == 30);
    assert_int_equal(peer.messages, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(at_random, setup, teardown),
        cmocka_unit_test_setup_teardown(without_dots, setup, teardown),
        cmocka_unit_test_setup_teardown(to_7bit, setup, teardown),
        cmocka_unit_test_setup_teardown(in_8bit, setup, teardown),
        cmocka_unit_test_setup_teardown(bounced, setup, teardown),
        cmocka_unit_test_setup_teardown(pipelined, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
