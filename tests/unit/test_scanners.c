/* SPDX-License-Identifier: Apache-2.0
 * What scanners say, without the scanners: replies, HTTP's framing, scores, refusals and changes of milters; and how they are opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/un.h>
#include "base/mem.h"
#include "content/scanner_internal.h"

#define assert_slice(s, text) do { struct slice s_ = (s); assert_int_equal(s_.n, strlen(text)); assert_memory_equal(s_.p, text, s_.n); } while (0)

static struct arena arena;
static struct config config = { .hostname = "relay.test", .spam = { .mark = 500 } };
static struct config_scanner one = { .name = "s", .address = "unix:/s" };
static struct scanner scanner = { .c = &one };
static struct scanner_answer answer;
static struct content_message message;
static struct scan_context context;
static struct ask ask = { .s = &scanner, .m = &message, .context = &context, .config = &config, .arena = &arena, .out = &answer };

static int reset(void **state)
{
    arena_deinit(&arena);
    answer = (struct scanner_answer){ .state = SCANNER_FINE };
    context = (struct scan_context){ 0 };
    message = (struct content_message){ 0 };
    return 0;
}

/* ---- numbers and texts */

static void numbers(void **state)
{
    static const struct { const char *text; double value; } good[] = { { "0", 0 }, { "-1.5", -1.5 }, { "+7", 7 }, { "12.", 12 }, { "0.001", 0.001 } };
    static const char *const bad[] = { "", "-", "1e5", "nan", "inf", ".5", "1.2.3", "0x10", " 1", "123456789012345678901", "1,5" };
    double v;
    for (size_t i = 0; i < countof(good); i++) {
        assert_true(scanner_number(slice_str(good[i].text), &v));
        assert_true(fabs(v - good[i].value) < 1e-9);
    }
    for (size_t i = 0; i < countof(bad); i++) assert_false(scanner_number(slice_str(bad[i]), &v));
    assert_int_equal(scanner_hundredths(1.005), 100);
    assert_int_equal(scanner_hundredths(-3.456), -346);
    assert_int_equal(scanner_hundredths(NAN), 0);
    assert_int_equal(scanner_hundredths(INFINITY), SCANNER_SCORE_MAX);
    assert_int_equal(scanner_hundredths(-1e300), -SCANNER_SCORE_MAX);
}

static void texts_are_bounded_and_printable(void **state)
{
    char long_text[1000];
    memset(long_text, 0xC3, sizeof long_text);
    struct slice s = scanner_text(&arena, slice_of(long_text, sizeof long_text));
    assert_true(s.n <= REPORT_TEXT_MAX);
    assert_slice(scanner_text(&arena, SLICE("  a\x1b\n b \n")), "a\\x1b\\x0a b");
    for (size_t i = 0; i + 1 < sizeof long_text; i += 2) memcpy(long_text + i, "\xC3\xA4", 2);
    s = scanner_cut(&arena, slice_of(long_text, sizeof long_text));
    assert_int_equal(s.n, 299); /* not half a character */
    assert_memory_equal(s.p + 296, "...", 3);
}

static void scores_are_scaled(void **state)
{
    double factor;
    scanner_set_score(&ask, 7.5, 5, &factor);
    assert_int_equal(answer.score, 750);
    scanner_set_score(&ask, 6, 12, &factor);
    assert_int_equal(answer.score, 250);
    scanner_set_score(&ask, 6, 0, &factor); /* no threshold: as it is */
    assert_int_equal(answer.score, 600);
    assert_true(answer.judged);
}

/* ---- clamd */

static void replies_of_clamd(void **state)
{
    static const struct { const char *line; enum clamd_said said; uint64_t id; const char *text; } cases[] = {
        { "stream: OK", CLAMD_OK, 0, "OK" },
        { "7: stream: OK", CLAMD_OK, 7, "OK" },
        { "1: stream: Win.Test FOUND", CLAMD_FOUND, 1, "Win.Test" },
        { "stream: a FOUND FOUND", CLAMD_FOUND, 0, "a FOUND" },
        { "1: INSTREAM size limit exceeded. ERROR", CLAMD_LIMIT, 1, "INSTREAM size limit exceeded. ERROR" },
        { "stream: lstat() failed ERROR", CLAMD_ERROR, 0, "stream: lstat() failed ERROR" },
        { "stream:  FOUND", CLAMD_NONSENSE, 0, " FOUND" },
        { "stream: OKAY", CLAMD_NONSENSE, 0, "OKAY" },
        { "file: OK", CLAMD_NONSENSE, 0, "file: OK" },
        { "", CLAMD_NONSENSE, 0, "" },
        { "99999999999: stream: OK", CLAMD_NONSENSE, 0, "99999999999: stream: OK" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice text;
        uint64_t id;
        assert_int_equal(clamd_parse(slice_str(cases[i].line), &id, &text), cases[i].said);
        assert_int_equal(id, cases[i].id);
        assert_slice(text, cases[i].text);
    }
}

static void one_virus_is_told_once(void **state)
{
    scanner_add_virus(&ask, SLICE("A"), slice_of(NULL, 0));
    scanner_add_virus(&ask, SLICE("A"), SLICE("a.exe"));
    scanner_add_virus(&ask, SLICE("B"), SLICE("b.exe"));
    scanner_add_virus(&ask, SLICE("A"), SLICE("c.exe"));
    assert_int_equal(answer.virus_n, 3);
    assert_slice(answer.viruses[0].part, "a.exe");
    assert_slice(answer.viruses[2].part, "c.exe");
    for (char c[2] = "a"; c[0] <= 'z'; c[0]++) scanner_add_virus(&ask, slice_str(c), slice_of(NULL, 0));
    assert_int_equal(answer.virus_n, SCANNER_VIRUSES_MAX);
}

/* ---- HTTP */

static enum talk_step read_http(struct http_reader *r, const char *text, size_t piece)
{
    struct buf in = { 0 };
    struct slice rest = slice_str(text);
    enum talk_step step = TALK_MORE;
    *r = (struct http_reader){ .arena = &arena, .body = { .max = 1000 } };
    while (step == TALK_MORE && rest.n) {
        buf_add(&in, slice_sub(rest, 0, piece));
        rest = slice_sub(rest, piece, rest.n);
        step = http_read(r, &in, false);
    }
    if (step == TALK_MORE) step = http_read(r, &in, true);
    buf_deinit(&in);
    return step;
}

static void bodies_of_http(void **state)
{
    static const struct { const char *text; enum talk_step step; const char *body; } cases[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", TALK_DONE, "abc" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", TALK_DONE, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", TALK_MORE, "abc" },
        { "HTTP/1.1 200\n\nabc", TALK_DONE, "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2;x=y\r\nab\r\n01\r\nc\r\n0\r\nX: y\r\n\r\n", TALK_DONE, "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n", TALK_DONE, "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", TALK_MORE, "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", TALK_BAD, "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", TALK_BAD, "" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", TALK_BAD, "" },
        { "HTTP/1.1 2000 OK\r\n\r\n", TALK_BAD, "" },
        { "HTTP/1.1 099 OK\r\n\r\n", TALK_BAD, "" },
        { "hello\r\n\r\n", TALK_BAD, "" },
    };
    for (size_t i = 0; i < countof(cases); i++)
        for (size_t piece = 1; piece < 200; piece += 66) {
            struct http_reader r;
            assert_int_equal(read_http(&r, cases[i].text, piece), cases[i].step);
            assert_slice(buf_slice(&r.body), cases[i].body);
            buf_deinit(&r.body);
        }
}

/* ---- milters */

static void refusals_of_milters(void **state)
{
    static const struct { const char *text; uint32_t code; const char *enhanced, *words; } good[] = {
        { "550 5.7.1 no", 550, "5.7.1", "no" },
        { "550 no", 550, "", "no" },
        { "451", 451, "", "" },
        { "550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three", 550, "5.7.1", "one two three" },
        { "550 4.7.1 of another class", 550, "", "4.7.1 of another class" },
        { "550 5.7.1234 long", 550, "", "5.7.1234 long" },
        { "450 4.7.1 100%% sure", 450, "4.7.1", "100% sure" },
    };
    static const char *const bad[] = { "", "5", "250 ok", "354 go", "600 x", "5500 x", "abc", "55x no" };
    for (size_t i = 0; i < countof(good); i++) {
        struct report_action a;
        assert_true(milter_parse_reply(slice_str(good[i].text), &arena, &a));
        assert_int_equal(a.code, good[i].code);
        assert_int_equal(a.action, good[i].code >= 500 ? CONFIG_DO_REJECT : CONFIG_DO_DEFER);
        assert_slice(a.enhanced, good[i].enhanced);
        assert_slice(a.text, good[i].words);
    }
    for (size_t i = 0; i < countof(bad); i++) assert_false(milter_parse_reply(slice_str(bad[i]), &arena, &(struct report_action){ 0 }));
}

static void frames_of_milters(void **state)
{
    struct milter_frame f;
    assert_int_equal(milter_take_frame(slice_of("\0\0\0", 3), &f), TALK_MORE);
    assert_int_equal(milter_take_frame(slice_of("\0\0\0\0", 4), &f), TALK_BAD);
    assert_int_equal(milter_take_frame(slice_of("\0\x20\0\0", 4), &f), TALK_BAD);
    assert_int_equal(milter_take_frame(slice_of("\0\0\0\2c", 5), &f), TALK_MORE);
    assert_int_equal(milter_take_frame(slice_of("\0\0\0\2cxy", 7), &f), TALK_DONE);
    assert_int_equal(f.command, 'c');
    assert_int_equal(f.n, 6);
    assert_slice(f.data, "x");
}

/* Fields that are not in the message's bytes, or overlap, are not edited. */
static void fields_elsewhere_are_not_edited(void **state)
{
    struct content_field fields[] = { { .name = SLICE("A"), .at = UINT64_MAX, .n = 5 }, { .name = SLICE("B"), .at = 0, .n = 6 },
                                      { .name = SLICE("C"), .at = 2, .n = 3 } };
    struct milter_edits e;
    message = (struct content_message){ .bytes = SLICE("B: 1\r\n\r\nx"), .header_n = 8, .fields = fields, .field_n = 3 };
    milter_edits_init(&e, &ask);
    assert_null(milter_change_header(&e, slice_of("\0\0\0\1A\0x", 8)));
    assert_null(milter_change_header(&e, slice_of("\0\0\0\1B\0y", 8)));
    assert_null(milter_change_header(&e, slice_of("\0\0\0\1C\0z", 8)));
    assert_null(milter_edits_finish(&e));
    assert_int_equal(answer.edit_n, 1);
    assert_int_equal(answer.edits[0].at, 0);
    assert_int_equal(answer.edits[0].n, 6);
    assert_slice(answer.edits[0].with, "B: y\r\n");
}

static void too_many_edits_are_none(void **state)
{
    struct content_field fields[60];
    struct milter_edits e;
    char bytes[60 * 6 + 3];
    for (size_t i = 0; i < 60; i++) {
        memcpy(bytes + i * 6, "X: y\r\n", 6);
        fields[i] = (struct content_field){ .name = SLICE("X"), .at = i * 6, .n = 6 };
    }
    memcpy(bytes + sizeof bytes - 3, "\r\n", 3);
    message = (struct content_message){ .bytes = slice_of(bytes, sizeof bytes - 1), .header_n = sizeof bytes - 1, .fields = fields, .field_n = 60 };
    milter_edits_init(&e, &ask);
    for (char i = 1; i <= 60; i++) assert_null(milter_change_header(&e, slice_of((char[]){ 0, 0, 0, i, 'X', 0, 'z', 0 }, 8)));
    assert_non_null(milter_edits_finish(&e));
}

/* ---- what is asked */

static void pieces_are_files_outside_archives(void **state)
{
    struct slice names[] = { SLICE("a.zip"), SLICE("in.exe"), SLICE("b.exe"), SLICE("winmail.dat"), SLICE("c.doc") };
    struct content_part parts[] = {
        { 0 },
        { .parent = 0, .is_file = true, .names = &names[0], .name_n = 1, .data = SLICE("zip"), .findings = CONTENT_ARCHIVE },
        { .parent = 1, .is_file = true, .names = &names[1], .name_n = 1, .data = SLICE("exe") },
        { .parent = 0, .is_file = true, .names = &names[2], .name_n = 1, .data = SLICE("exe") },
        { .parent = 0, .is_file = false, .data = SLICE("text") },
        { .parent = 0, .is_file = true, .names = &names[3], .name_n = 1, .data = SLICE("tnef"), .findings = CONTENT_TNEF },
        { .parent = 5, .is_file = true, .data = SLICE("doc") },
        { .parent = 0, .is_file = true },
        { .parent = 2, .is_file = true, .data = SLICE("deep") },
    };
    struct scanner_piece pieces[SCANNER_PIECES_MAX];
    message = (struct content_message){ .bytes = SLICE("all"), .parts = parts, .part_n = countof(parts) };
    assert_int_equal(scanner_pieces(&message, pieces), 5);
    assert_slice(pieces[0].data, "all");
    assert_slice(pieces[1].name, "a.zip");
    assert_slice(pieces[2].name, "b.exe");
    assert_slice(pieces[3].name, "winmail.dat");
    assert_slice(pieces[4].data, "doc");
}

static void trace_of_a_client(void **state)
{
    struct buf b = { 0 };
    context = (struct scan_context){ .sender = SLICE("a\r\nX: y@b"), .helo = SLICE("evil\r\n(x)"), .client_name = SLICE("c.example"), .account = SLICE("u"),
                                     .tls = true, .arrival = 1 };
    assert_true(ip_parse(SLICE("192.0.2.1"), &context.client));
    scanner_add_trace(&b, &ask);
    assert_slice(buf_slice(&b), "Return-Path: <aX: y@b>\r\nReceived: from evil???x? (c.example [192.0.2.1])\r\n\tby relay.test (Postern) with ESMTPSA id "
                                "0000000000000;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
    buf_deinit(&b);
}

static void addresses(void **state)
{
    static const char *const bad[] = { "", "unix:", "unix:relative", "host", "host:", ":25", "host:0", "host:65536", "host:x",
                                       "unix:/01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456" };
    struct err err;
    struct config_scanner c = { .name = "s" };
    for (size_t i = 0; i < countof(bad); i++) {
        c.address = bad[i];
        assert_null(scanner_open(&c, NULL, &err));
        assert_non_null(strstr(err.text, "scanner s"));
    }
    static const struct { const char *text; int family; } good[] = {
        { "unix:/run/x.sock", AF_UNIX }, { "127.0.0.1:3310", AF_INET }, { "[::1]:3310", AF_INET6 }, { "localhost:11333", 0 },
    };
    for (size_t i = 0; i < countof(good); i++) {
        c.address = good[i].text;
        struct scanner *s = scanner_open(&c, NULL, &err);
        assert_non_null(s);
        assert_true(s->address_n > 0);
        if (good[i].family) assert_int_equal(s->addresses[0].address.ss_family, good[i].family);
        scanner_close(&s);
        assert_null(s);
    }
}

static void a_name_without_an_address_is_no_error(void **state)
{
    struct err err;
    struct config_scanner c = { .name = "s", .type = CONFIG_SCANNER_CLAMD, .address = "nowhere.invalid:1", .timeout = 1000 };
    struct scanner *s = scanner_open(&c, NULL, &err);
    assert_non_null(s);
    scanner_ask(s, &message, &context, &config, UINT64_MAX, &arena, &answer);
    assert_int_equal(answer.state, SCANNER_DOWN);
    assert_non_null(memmem(answer.text.p, answer.text.n, "no address for nowhere.invalid", 30));
    scanner_close(&s);
}

static void commands_are_split(void **state)
{
    struct err err;
    struct config_scanner c = { .name = "s", .type = CONFIG_SCANNER_COMMAND, .command = "/bin/x  -a --file={} b" };
    struct scanner *s = scanner_open(&c, "/tmp", &err);
    assert_non_null(s);
    assert_string_equal(s->argv[0], "/bin/x");
    assert_string_equal(s->argv[2], "--file={}");
    assert_string_equal(s->argv[3], "b");
    assert_null(s->argv[4]);
    assert_true(s->by_file);
    scanner_close(&s);
    c.command = "x";
    assert_null(scanner_open(&c, "/tmp", &err));
}

static void kinds(void **state)
{
    assert_true(scanner_is_for_virus(CONFIG_SCANNER_CLAMD) && scanner_is_for_virus(CONFIG_SCANNER_ICAP) && scanner_is_for_virus(CONFIG_SCANNER_COMMAND));
    assert_true(scanner_is_for_spam(CONFIG_SCANNER_SPAMD) && scanner_is_for_spam(CONFIG_SCANNER_RSPAMD));
    assert_false(scanner_is_for_virus(CONFIG_SCANNER_MILTER) || scanner_is_for_spam(CONFIG_SCANNER_MILTER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(numbers, reset),
        cmocka_unit_test_setup(texts_are_bounded_and_printable, reset),
        cmocka_unit_test_setup(scores_are_scaled, reset),
        cmocka_unit_test_setup(replies_of_clamd, reset),
        cmocka_unit_test_setup(one_virus_is_told_once, reset),
        cmocka_unit_test_setup(bodies_of_http, reset),
        cmocka_unit_test_setup(refusals_of_milters, reset),
        cmocka_unit_test_setup(frames_of_milters, reset),
        cmocka_unit_test_setup(fields_elsewhere_are_not_edited, reset),
        cmocka_unit_test_setup(too_many_edits_are_none, reset),
        cmocka_unit_test_setup(pieces_are_files_outside_archives, reset),
        cmocka_unit_test_setup(trace_of_a_client, reset),
        cmocka_unit_test_setup(addresses, reset),
        cmocka_unit_test_setup(a_name_without_an_address_is_no_error, reset),
        cmocka_unit_test_setup(commands_are_split, reset),
        cmocka_unit_test_setup(kinds, reset),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return rc;
}
