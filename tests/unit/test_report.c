/* SPDX-License-Identifier: Apache-2.0
 * Reports and contexts of scan processes: what is written can be read, what cannot be is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <string.h>
#include "base/channel.h"
#include "base/mem.h"
#include "content/context.h"
#include "content/message.h"
#include "content/report.h"

#define SIZE 1000000

static struct arena arena;

static int teardown(void **state)
{
    arena_deinit(&arena);
    return 0;
}

static struct report round_trip(const struct report *r)
{
    struct report out;
    struct err err = { 0 };
    json_t *j = report_encode(r);
    assert_true(json_dumpb(j, NULL, 0, JSON_COMPACT) < CHANNEL_FRAME_MAX - 4096);
    bool ok = report_decode(j, SIZE, &arena, &out, &err);
    if (!ok) print_error("%s\n", err.text);
    assert_true(ok);
    json_decref(j);
    return out;
}

#define assert_text(s, text) assert_true(slice_eq(s, SLICE(text)))

static void a_report_comes_back(void **state)
{
    struct report_part parts[] = {
        { .is_mime = true, .declared = SLICE("multipart/mixed"), .size = 900, .n = 900 },
        { .depth = 1, .is_file = true, .is_mime = true, .name = SLICE("a.exe"), .type = SLICE("application/x-dosexec"), .size = 70,
          .at = 100, .n = 300, .findings = CONTENT_EXECUTABLE | CONTENT_EXTERNAL_LINK, .blocked = SLICE("extension exe") },
    };
    struct report_virus virus = { SLICE("clamd"), SLICE("Eicar"), SLICE("a.exe") };
    struct report_scanner scanner = { SLICE("clamd"), SCANNER_TOO_LARGE, SLICE("it is"), 77 };
    struct report_symbol symbol = { SLICE("builtin"), SLICE("X"), SLICE("text"), -150 };
    uint32_t stripped[] = { 1 };
    struct report_action action = { .by = SLICE("rule"), .name = SLICE("r"), .place = { 4, 2 }, .action = CONFIG_DO_REJECT,
                                    .text = SLICE("no"), .code = 550, .enhanced = SLICE("5.7.1"), .parts = stripped, .part_n = 1 };
    struct envelope_cut edits[] = { { 10, 5, SLICE("X: y\r\n") }, { 15, 0, SLICE("z") }, { 20, 1, SLICE("") } };
    struct report r = { parts, 2, 3, CONTENT_EXECUTABLE, &virus, 1, &scanner, 1, true, 1234, CONFIG_SPAM_BULK, &symbol, 1, &action, 1,
                        edits, 3, SLICE("A: b\r\n c\r\n"), 40, SLICE("\xE6\x97\xA5"), 99, false };
    struct report o = round_trip(&r);
    assert_int_equal(o.part_n, 2);
    assert_int_equal(o.parts_more, 3);
    assert_text(o.parts[1].name, "a.exe");
    assert_text(o.parts[1].blocked, "extension exe");
    assert_int_equal(o.parts[1].findings, CONTENT_EXECUTABLE | CONTENT_EXTERNAL_LINK);
    assert_int_equal(o.parts[1].at + o.parts[1].n, 400);
    assert_text(o.viruses[0].name, "Eicar");
    assert_int_equal(o.scanners[0].state, SCANNER_TOO_LARGE);
    assert_int_equal(o.symbols[0].score, -150);
    assert_int_equal(o.actions[0].place.line, 4);
    assert_text(o.actions[0].enhanced, "5.7.1");
    assert_int_equal(o.actions[0].parts[0], 1);
    assert_int_equal(o.edit_n, 3);
    assert_text(o.edits[0].with, "X: y\r\n");
    assert_text(o.prepend, "A: b\r\n c\r\n");
    assert_true(o.judged && o.score == 1234 && o.class == CONFIG_SPAM_BULK && !o.crashed);
    json_t *people = report_to_json(&o);
    assert_string_equal(json_string_value(json_object_get(people, "class")), "bulk");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json_array_get(json_object_get(people, "parts"), 1), "findings"), 1)), "external-link");
    json_decref(people);
}

static void the_largest_report_fits_a_frame(void **state)
{
    static struct report_part parts[REPORT_PARTS_MAX + 20];
    static struct report_symbol symbols[REPORT_SYMBOLS_MAX + 1];
    static struct report_action actions[100];
    static struct report_scanner scanners[100];
    static struct report_virus viruses[100];
    static uint32_t numbers[REPORT_PARTS_MAX];
    static char text[70000];
    memset(text, '"', sizeof text);
    struct slice s = slice_of(text, 5000);
    for (uint32_t i = 0; i < REPORT_PARTS_MAX; i++) numbers[i] = i;
    for (uint32_t i = 0; i < countof(parts); i++)
        parts[i] = (struct report_part){ i ? i - 1 : 0, i, true, true, s, s, s, INT64_MAX, SIZE, 0, ~0u, s };
    for (size_t i = 0; i < countof(symbols); i++) symbols[i] = (struct report_symbol){ s, s, s, INT32_MIN };
    for (size_t i = 0; i < 100; i++) {
        actions[i] = (struct report_action){ s, s, { 1, 1 }, CONFIG_DO_STOP, s, s, 999, s, numbers, REPORT_PARTS_MAX };
        scanners[i] = (struct report_scanner){ s, SCANNER_DOWN, s, ~0u };
        viruses[i] = (struct report_virus){ s, s, s };
    }
    struct envelope_cut edits[] = { { 1, 1, slice_of(text, 65000) }, { 2, 1, s }, { 3, 1, slice_of(text, 500) } };
    struct report r = { .parts = parts, .part_n = countof(parts), .symbols = symbols, .symbol_n = countof(symbols), .actions = actions,
                        .action_n = 100, .scanners = scanners, .scanner_n = 100, .viruses = viruses, .virus_n = 100, .edits = edits,
                        .edit_n = 3, .subject = s, .parts_more = 1 };
    struct report o = round_trip(&r);
    assert_int_equal(o.part_n, REPORT_PARTS_MAX);
    assert_int_equal(o.parts_more, 21);
    assert_int_equal(o.edit_n, 2); /* the texts of all three are too much */
    assert_true(o.parts[REPORT_PARTS_MAX - 1].name.n >= 40);
}

static void texts_are_made_clean(void **state)
{
    struct report_part part = { .name = SLICE("a\n\xE2\x80\xAE\xFFz\x7F") };
    struct report r = { .parts = &part, .part_n = 1, .prepend = SLICE("no header"), .subject = SLICE("a\0b") };
    struct report o = round_trip(&r);
    assert_text(o.parts[0].name, "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
    assert_int_equal(o.prepend.n, 0);
    assert_text(o.subject, "a\xEF\xBF\xBD" "b");
}

static void lies_are_refused(void **state)
{
    static const char *const lies[] = {
        "[]", "{\"parts\":{}}", "{\"parts\":[1]}", "{\"parts\":[{\"parent\":1}]}", "{\"parts\":[{},{\"parent\":1}]}",
        "{\"parts\":[{\"mime\":true,\"at\":999999,\"n\":2}]}", "{\"parts\":[{\"at\":5}]}", "{\"parts\":[{\"name\":5}]}",
        "{\"parts\":[{\"name\":\"\\u0007\"}]}", "{\"parts\":[{\"name\":\"\\u202e\"}]}", "{\"parts\":[{\"size\":-1}]}",
        "{\"scanners\":[{\"state\":6}]}", "{\"class\":3}", "{\"class\":64}", "{\"score\":3000000000}", "{\"score\":1.5}",
        "{\"actions\":[{\"do\":99}]}", "{\"actions\":[{\"parts\":[0]}]}", "{\"actions\":[{\"code\":250}]}",
        "{\"actions\":[{\"code\":550,\"enhanced\":\"4.0.0\"}]}", "{\"actions\":[{\"code\":550,\"enhanced\":\"5..0\"}]}", "{\"actions\":[{\"enhanced\":\"0.1.1\"}]}",
        "{\"edits\":[{\"at\":5}]}", "{\"edits\":[{\"at\":5,\"n\":5},{\"at\":9,\"n\":1}]}", "{\"edits\":[{\"at\":1000001,\"n\":1}]}",
        "{\"edits\":[{\"at\":1000000,\"n\":1}]}", "{\"edits\":[{\"with\":\"Lg==\"},{\"with\":\"DQo=\"},{\"with\":\"Cg==\"}]}",
        "{\"edits\":[{\"with\":\"DQ==\"}]}", "{\"edits\":[{\"with\":\"?\"}]}", "{\"prepend\":\"eA==\"}", "{\"prepend\":\"DQo=\"}",
        "{\"prepend\":\"YTpiDQoNCg==\"}", "{\"prepend\":\"IGE6Yg0K\"}", "{\"subject_at\":1000001}", "{\"crashed\":1}",
    };
    for (size_t i = 0; i < countof(lies); i++) {
        struct report out;
        struct err err = { 0 };
        json_t *j = json_loads(lies[i], 0, NULL);
        assert_non_null(j);
        if (report_decode(j, SIZE, &arena, &out, &err)) fail_msg("%s", lies[i]);
        assert_true(err.text[0] && !out.part_n);
        json_decref(j);
    }
}

static void a_context_comes_back(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.org"), SLICE("b@example.org") }, down = SLICE("clamd");
    struct scan_context c = { .id = UINT64_MAX - 3, .arrival = 5, .helo = SLICE("h"), .sender = SLICE("s@example.net"), .rcpts = rcpts,
                              .rcpt_n = 2, .trusted = true, .direction = CONFIG_DIRECTION_OUT, .spf = SLICE("pass"), .dns_score = -3,
                              .reputation = -1, .down = &down, .down_n = 1 }, o;
    struct err err = { 0 };
    assert_true(ip_parse(SLICE("2001:db8::1"), &c.client));
    json_t *j = scan_context_encode(&c);
    assert_true(scan_context_decode(j, &arena, &o, &err));
    assert_true(o.id == c.id && ip_eq(&o.client, &c.client) && o.reputation == -1 && o.dns_score == -3 && o.trusted && !o.allowed);
    assert_int_equal(o.rcpt_n, 2);
    assert_text(o.rcpts[1], "b@example.org");
    assert_text(o.down[0], "clamd");
    json_decref(j);
}

static void recipients_beyond_a_frame_are_counted(void **state)
{
    static struct slice rcpts[50000];
    struct scan_context c = { .rcpts = rcpts, .rcpt_n = 50000, .reputation = 100 }, o;
    struct err err = { 0 };
    static char text[900];
    memset(text, '\\', sizeof text);
    for (size_t i = 0; i < 50000; i++) rcpts[i] = slice_of(text, sizeof text);
    json_t *j = scan_context_encode(&c);
    assert_true(json_dumpb(j, NULL, 0, JSON_COMPACT) < CHANNEL_FRAME_MAX);
    assert_true(scan_context_decode(j, &arena, &o, &err));
    assert_int_equal(o.rcpt_n + o.rcpt_more, 50000);
    assert_true(o.rcpt_n > 100);
    assert_int_equal(o.reputation, 100);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_report_comes_back, teardown),
        cmocka_unit_test_teardown(the_largest_report_fits_a_frame, teardown),
        cmocka_unit_test_teardown(texts_are_made_clean, teardown),
        cmocka_unit_test_teardown(lies_are_refused, teardown),
        cmocka_unit_test_teardown(a_context_comes_back, teardown),
        cmocka_unit_test_teardown(recipients_beyond_a_frame_are_counted, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
