/* SPDX-License-Identifier: Apache-2.0
 * One message from its bytes to its report: who is asked about it, in what order, and who not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "config/parse.h"
#include "content/report_parts.h"
#include "content/scan.h"
#include "scan/parts.h"
#include "scan/scanning.h"

static struct {
    struct config *config;
    struct scanning *scanning;
    struct arena arena;
    struct report report;
} world;

static const char plain[] = "From: a@example.org\r\nSubject:  =?utf-8?q?hell=6F?=\r\n\r\nsome text\r\n";
#define VIRUS(name) "{name: " name ", type: command, command: /bin/false}"
#define CLEAN(name) "{name: " name ", type: command, command: /bin/true}"

static void configure(const char *text)
{
    struct config_report report;
    struct err err = { 0 };
    char all[4000];
    snprintf(all, sizeof all, "hostname: mx.example.com\ndomains: [{name: example.com, deliver: 192.0.2.1}]\n%s", text);
    world.config = config_parse(slice_str(all), "test", &report);
    for (size_t i = 0; i < report.n; i++)
        if (!report.findings[i].warning) print_error("%s: %s\n", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    assert_non_null(world.config);
    world.scanning = scanning_new(world.config, NULL, &err);
    if (!world.scanning || !scanning_start(world.scanning, &err)) fail_msg("%s", err.text);
}

static int teardown(void **state)
{
    scanning_free(&world.scanning);
    config_free(world.config);
    world.config = NULL;
    arena_deinit(&world.arena);
    return 0;
}

static const struct report *run(const char *message, const struct scan_context *c)
{
    struct scan_context nobody = { .reputation = -1 };
    scanning_run(world.scanning, slice_str(message), c ? c : &nobody, &world.arena, &world.report);
    scanning_settle(world.scanning);
    return &world.report;
}

static const struct report_scanner *scanner(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->scanner_n; i++)
        if (slice_eq(r->scanners[i].name, slice_str(name))) return &r->scanners[i];
    return NULL;
}

/* As the scan process has it: with a folder of its own, with a folder `has` in it. */
static struct scanning *start_in(const char *spam, const char *has, char directory[static 32])
{
    struct config_report report;
    struct err err = { 0 };
    char all[500], path[100];
    snprintf(all, sizeof all, "hostname: mx.example.com\nspam: %s\n", spam);
    snprintf(directory, 32, "/tmp/test-scanning-XXXXXX");
    assert_non_null(mkdtemp(directory));
    if (has) snprintf(path, sizeof path, "%s/%s", directory, has);
    if (has) assert_int_equal(mkdir(path, 0700), 0);
    world.config = config_parse(slice_str(all), "test", &report);
    config_report_deinit(&report);
    assert_non_null(world.config);
    struct scanning *s = world.scanning = scanning_new(world.config, directory, &err);
    if (!s || !scanning_start(s, &err)) fail_msg("%s", err.text);
    return s;
}

static bool had(const char *directory, const char *name)
{
    char command[100];
    snprintf(command, sizeof command, "%s/%s", directory, name);
    bool there = access(command, F_OK) == 0;
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
    return there;
}

static void without_spam_there_is_no_table(void **state)
{
    char directory[32];
    assert_null(scanning_trouble(start_in("{enabled: no}", NULL, directory)));
    assert_false(had(directory, "tokens"));
}

static void with_spam_there_is_a_table(void **state)
{
    char directory[32];
    assert_null(scanning_trouble(start_in("{enabled: yes, dns: no, bayes: {tokens: 1M}}", NULL, directory)));
    assert_true(had(directory, "tokens"));
}

/* A full disk, or rights that lack: all the rest goes on. */
static void without_a_table_all_the_rest_works(void **state)
{
    char directory[32];
    struct err err;
    struct scanning *s = start_in("{enabled: yes, dns: no, bayes: {tokens: 1M}}", "tokens.new", directory);
    assert_non_null(scanning_trouble(s));
    assert_non_null(strstr(scanning_trouble(s), "tokens.new"));
    assert_true(run(plain, NULL)->judged);
    assert_false(scanning_learn(s, slice_str(plain), SLICE("spam"), &world.arena, &err));
    assert_non_null(strstr(err.text, "tokens.new"));
    assert_false(had(directory, "tokens"));
}

static void the_first_virus_ends_it(void **state)
{
    configure("spam: {enabled: no}\nscanners: [" CLEAN("one") ", " VIRUS("two") ", " VIRUS("three") "]");
    const struct report *r = run(plain, NULL);
    assert_int_equal(r->virus_n, 1);
    assert_true(slice_eq(r->viruses[0].scanner, SLICE("two")));
    assert_int_equal(scanner(r, "one")->state, SCANNER_FINE);
    assert_null(scanner(r, "three"));
}

static void spam_is_judged_when_viruses_pass(void **state)
{
    configure("scanners: [" VIRUS("av") "]\nvirus: {action: reject}");
    assert_false(run(plain, NULL)->judged);
    teardown(state);
    configure("scanners: [" VIRUS("av") "]\nvirus: {action: pass}");
    assert_true(run(plain, NULL)->judged);
}

static void who_is_down_is_not_asked(void **state)
{
    struct slice down[] = { SLICE("other"), SLICE("av") };
    struct scan_context c = { .down = down, .down_n = 2 };
    configure("spam: {enabled: no}\nscanners: [" VIRUS("av") ", {name: off, enabled: no, type: command, command: /bin/false}]");
    const struct report *r = run(plain, &c);
    assert_int_equal(r->virus_n, 0);
    assert_int_equal(scanner(r, "av")->state, SCANNER_NOT_ASKED);
    assert_int_equal(r->scanner_n, 1);
}

static void trusted_mail_is_looked_at_as_configured(void **state)
{
    struct scan_context c = { .trusted = true };
    configure("scanners: [" VIRUS("av") ", {name: strangers, type: command, command: /bin/true, trusted_mail: no}]\nvirus: {action: pass}");
    const struct report *r = run(plain, &c);
    assert_int_equal(r->virus_n, 1);
    assert_null(scanner(r, "strangers"));
    assert_false(r->judged);
    teardown(state);
    configure("spam: {trusted_mail: yes}");
    assert_true(run(plain, &c)->judged);
}

static void allowed_mail_is_looked_at_for_viruses_only(void **state)
{
    struct scan_context c = { .allowed = true };
    configure("attachments: {enabled: yes, extensions: [eml, txt]}\nscanners: [" VIRUS("av") "]\nvirus: {action: pass}");
    const struct report *r = run("Content-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n", &c);
    assert_int_equal(r->virus_n, 1);
    assert_false(r->judged);
    for (size_t i = 0; i < r->part_n; i++) assert_int_equal(r->parts[i].blocked.n, 0);
}

static void senders_may_always_and_never_be_spam(void **state)
{
    static const struct {
        const char *sender;
        bool by_spf;
        int32_t score;           /* 0: the engine's */
        enum config_spam_class class;
    } cases[] = {
        { "eve@spam.example", false, 10000, CONFIG_SPAM_CONFIRMED }, { "EVE@Spam.Example", false, 10000, CONFIG_SPAM_CONFIRMED },
        { "a@good.example", false, -10000, CONFIG_SPAM_NON_SPAM },   { "b@good.example", false, 10000, CONFIG_SPAM_CONFIRMED },
        { "x@proven.example", true, -10000, CONFIG_SPAM_NON_SPAM },  { "x@proven.example", false, 0, 0 },
        { "", false, 0, 0 },
    };
    configure("spam: {never_spam: [a@good.example, {match: proven.example, proven: yes}], always_spam: [spam.example, good.example]}");
    for (size_t i = 0; i < countof(cases); i++) {
        struct scan_context c = { .sender = slice_str(cases[i].sender), .spf = cases[i].by_spf ? SLICE("pass") : SLICE("none") };
        const struct report *r = run(plain, &c);
        assert_true(r->judged);
        assert_int_equal(scanner(r, "builtin") == NULL, cases[i].score != 0);
        if (cases[i].score) assert_int_equal(r->score, cases[i].score);
        if (cases[i].score) assert_int_equal(r->class, cases[i].class);
    }
}

static void clients_may_be_exempt(void **state)
{
    struct scan_context c = { .client_name = SLICE("mx.friend.example") };
    configure("spam: {exempt: [192.0.2.0/24, .friend.example]}");
    assert_true(ip_parse(SLICE("198.51.100.1"), &c.client));
    assert_false(run(plain, &c)->judged);
    c.client_name = SLICE("");
    assert_true(run(plain, &c)->judged);
    assert_true(ip_parse(SLICE("192.0.2.7"), &c.client));
    assert_false(run(plain, &c)->judged);
}

static void write_rules(const char *path)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs("rule TEST_BODY\n    text  /pills/\n    score  20\n    about  x\n\n"
          "rule TEST_HEADER\n    subject  /pills/\n    score  20\n    about  x\n\n"
          "rule TEST_GOOD\n    subject  /minutes/\n    score  -20\n    about  x\n", f);
    fclose(f);
}

/* What is learnt by itself is clear without the classifier, by header and text, and from strangers. */
static void only_what_is_clear_is_learnt(void **state)
{
    static const struct {
        const char *subject, *text;
        bool trusted, learnt;
        enum spam_learn as;
    } cases[] = {
        { "pills", "pills", false, true, SPAM_LEARN_SPAM }, { "pills", "pills", true, false, 0 }, { "hello", "pills", false, false, 0 },
        { "pills", "hello", false, false, 0 }, { "minutes", "hello", false, true, SPAM_LEARN_HAM }, { "hello", "hello", false, false, 0 },
    };
    char path[] = "/tmp/test-scanning-XXXXXX", text[300];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_rules(path);
    snprintf(text, sizeof text, "spam: {rules: [%s], trusted_mail: yes}", path);
    configure(text);
    for (size_t i = 0; i < countof(cases); i++) {
        struct scan_context c = { .id = 1, .reputation = -1, .trusted = cases[i].trusted };
        snprintf(text, sizeof text, "From: a@example.org\r\nTo: b@example.com\r\nSubject: %s\r\n\r\n%s\r\n", cases[i].subject, cases[i].text);
        scanning_run(world.scanning, slice_str(text), &c, &world.arena, &world.report);
        if ((world.scanning->settle.message != NULL) != cases[i].learnt) fail_msg("%s, %s", cases[i].subject, cases[i].text);
        if (cases[i].learnt) assert_int_equal(world.scanning->settle.as, cases[i].as);
        scanning_run(world.scanning, slice_str(text), &scan_context_of_file, &world.arena, &world.report);
        assert_null(world.scanning->settle.message); /* what is only looked at */
    }
    unlink(path);
}

static void the_subject_is_found(void **state)
{
    configure("spam: {enabled: no}");
    const struct report *r = run(plain, NULL);
    assert_true(slice_eq(r->subject, SLICE("hello")));
    assert_int_equal(strncmp(plain + r->subject_at, "=?utf-8", 7), 0);
    assert_int_equal(run("From: a@example.org\r\n\r\n", NULL)->subject_at, 0);
}

static void what_is_blocked_is_told_of_among_many_parts(void **state)
{
    struct buf b = { 0 };
    size_t blocked = 0;
    configure("spam: {enabled: no}\nattachments: {enabled: yes}");
    buf_add_str(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n");
    for (int i = 0; i < 700; i++) buf_addf(&b, "--x\r\nContent-Disposition: attachment; filename=\"%d.%s\"\r\n\r\nx\r\n", i, i < 698 ? "txt" : "exe");
    buf_add_str(&b, "--x--\r\n");
    const struct report *r = run(buf_cstr(&b), NULL);
    assert_int_equal(r->part_n, REPORT_PARTS_MAX);
    assert_int_equal(r->parts_more, 701 - REPORT_PARTS_MAX);
    for (size_t i = 0; i < r->part_n; i++) {
        blocked += r->parts[i].blocked.n > 0;
        assert_true(!i || r->parts[i].parent < i);
    }
    assert_int_equal(blocked, 2);
    buf_deinit(&b);
}

/* More than can be told of, all in one part, and one behind them: who takes out what is told of must not leave that one. */
static void what_is_blocked_beyond_the_report_is_not_forgotten(void **state)
{
    struct buf b = { 0 };
    configure("spam: {enabled: no}\nattachments: {enabled: yes}");
    buf_add_str(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n");
    for (int i = 0; i < 600; i++) buf_addf(&b, "begin 644 %d.exe\r\n#0V%%T\r\n`\r\nend\r\n", i);
    buf_add_str(&b, "--x\r\nContent-Disposition: attachment; filename=evil.exe\r\n\r\nMZ\r\n--x--\r\n");
    const struct report *r = run(buf_cstr(&b), NULL);
    bool told = r->parts[0].blocked.n > 0;
    assert_true(r->part_n == REPORT_PARTS_MAX && r->parts_more > 0);
    for (size_t i = 0; i < r->part_n; i++) told |= slice_eq(r->parts[i].name, SLICE("evil.exe")) && r->parts[i].blocked.n;
    assert_true(told);
    buf_deinit(&b);
}

static void a_view_fits_a_frame(void **state)
{
    struct buf b = { 0 };
    configure("spam: {enabled: no}");
    for (int i = 0; i < 2000; i++) buf_addf(&b, "X-%d: %050d\x01\"\"\"\r\n", i, i);
    buf_add_str(&b, "\r\n");
    for (int i = 0; i < 60000; i++) buf_add_str(&b, "\"\"\"\" http://\"\\x.example/ \r\n");
    json_t *view = scanning_view(world.scanning, buf_slice(&b), &world.arena);
    assert_true(json_dumpb(view, NULL, 0, JSON_COMPACT) < (1u << 20) - 4096);
    assert_true(json_array_size(json_object_get(view, "links")) <= SCAN_VIEW_LINKS_MAX);
    assert_true(json_string_length(json_object_get(view, "text")) > 10000);
    json_decref(view);
    buf_deinit(&b);
}

static void fields_are_viewed_to_their_ends(void **state)
{
    configure("spam: {enabled: no}");
    json_t *view = scanning_view(world.scanning, SLICE("Subject: \x1b[2J\x1b]0;x\x07 to the end\r\n\r\n"), &world.arena);
    const char *value = json_string_value(json_array_get(json_array_get(json_object_get(view, "headers"), 0), 1));
    assert_non_null(value);
    assert_string_equal(value + strlen(value) - 10, "to the end");
    json_decref(view);
}

static void what_is_no_message_is_not_learnt(void **state)
{
    struct err err = { 0 };
    configure("spam: {enabled: yes}");
    assert_false(scanning_learn(world.scanning, SLICE("\x7f" "ELF\x02\x01\n\x01\0\0\n"), SLICE("spam"), &world.arena, &err));
    assert_non_null(strstr(err.text, "no header"));
}

static void edits_come_to_their_place(void **state)
{
    struct report r = { 0 };
    struct arena *a = &world.arena;
    assert_true(report_add_edit(&r, &(struct envelope_cut){ 50, 10, SLICE("") }, a));
    assert_true(report_add_edit(&r, &(struct envelope_cut){ 10, 5, SLICE("x") }, a));
    assert_true(report_add_edit(&r, &(struct envelope_cut){ 50, 0, SLICE("before") }, a));
    assert_true(report_add_edit(&r, &(struct envelope_cut){ 60, 0, SLICE("behind") }, a));
    assert_true(report_add_edit(&r, &(struct envelope_cut){ 60, 5, SLICE("") }, a));
    assert_false(report_add_edit(&r, &(struct envelope_cut){ 12, 1, SLICE("") }, a)); /* the first wins */
    assert_false(report_add_edit(&r, &(struct envelope_cut){ 0, 11, SLICE("") }, a));
    assert_false(report_add_edit(&r, &(struct envelope_cut){ 70, 1, SLICE("a\nb") }, a));
    assert_false(report_add_edit(&r, &(struct envelope_cut){ 70, 0, SLICE("") }, a));
    assert_int_equal(r.edit_n, 5);
    for (size_t i = 1; i < r.edit_n; i++) assert_true(report_edit_fits(&r.edits[i], r.edits[i - 1].at + r.edits[i - 1].n));
    assert_true(slice_eq(r.edits[1].with, SLICE("before")) && slice_eq(r.edits[3].with, SLICE("behind")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_spam_there_is_no_table, teardown),
        cmocka_unit_test_teardown(with_spam_there_is_a_table, teardown),
        cmocka_unit_test_teardown(without_a_table_all_the_rest_works, teardown),
        cmocka_unit_test_teardown(the_first_virus_ends_it, teardown),
        cmocka_unit_test_teardown(spam_is_judged_when_viruses_pass, teardown),
        cmocka_unit_test_teardown(who_is_down_is_not_asked, teardown),
        cmocka_unit_test_teardown(trusted_mail_is_looked_at_as_configured, teardown),
        cmocka_unit_test_teardown(allowed_mail_is_looked_at_for_viruses_only, teardown),
        cmocka_unit_test_teardown(senders_may_always_and_never_be_spam, teardown),
        cmocka_unit_test_teardown(clients_may_be_exempt, teardown),
        cmocka_unit_test_teardown(only_what_is_clear_is_learnt, teardown),
        cmocka_unit_test_teardown(the_subject_is_found, teardown),
        cmocka_unit_test_teardown(what_is_blocked_is_told_of_among_many_parts, teardown),
        cmocka_unit_test_teardown(what_is_blocked_beyond_the_report_is_not_forgotten, teardown),
        cmocka_unit_test_teardown(a_view_fits_a_frame, teardown),
        cmocka_unit_test_teardown(fields_are_viewed_to_their_ends, teardown),
        cmocka_unit_test_teardown(what_is_no_message_is_not_learnt, teardown),
        cmocka_unit_test_teardown(edits_come_to_their_place, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
