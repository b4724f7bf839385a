/* SPDX-License-Identifier: Apache-2.0
 * Header checks and rules: each flag, action and condition, what tables may be, and patterns that would never end.
 * `test_rules TABLE < LINES` prints what a table says of each line instead, for comparisons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "content/report_parts.h"
#include "content/rules_int.h"

static struct {
    struct config *config;
    struct rules *rules;
    struct arena arena;
    struct content_message message;
    struct scan_context context;
    struct report report;
    struct buf sent;
    char path[64];
} world;

static void forget(void)
{
    rules_free(world.rules);
    config_free(world.config);
    arena_deinit(&world.arena);
    buf_deinit(&world.sent);
    world.rules = NULL;
    world.config = NULL;
}

static int teardown(void **state)
{
    forget();
    if (world.path[0]) unlink(world.path);
    memset(&world, 0, sizeof world);
    return 0;
}

static void parse(const char *text)
{
    struct config_report report;
    struct buf all = { 0 };
    forget();
    buf_addf(&all, "hostname: mx.example.com\ndomains: [{name: example.com, deliver: 192.0.2.1}]\n"
                   "checks: {spf: {enabled: yes}}\nspam: {enabled: yes}\n%s", text);
    world.config = config_parse(buf_slice(&all), "test", &report);
    for (size_t i = 0; i < report.n; i++)
        if (!report.findings[i].warning) print_error("%s: %s\n", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    buf_deinit(&all);
    assert_non_null(world.config);
}

static void configure(const char *text)
{
    struct err err = { 0 };
    parse(text);
    world.rules = rules_new(world.config, NULL, &err);
    if (!world.rules) print_error("%s\n", err.text);
    assert_non_null(world.rules);
    world.context = (struct scan_context){ .direction = CONFIG_DIRECTION_IN };
    world.report = (struct report){ 0 };
}

/* A table as a file. */
static void write_table(const char *text)
{
    if (!world.path[0]) {
        snprintf(world.path, sizeof world.path, "/tmp/rules-XXXXXX");
        close(mkstemp(world.path));
    }
    FILE *f = fopen(world.path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void table(const char *text)
{
    char config[200];
    write_table(text);
    snprintf(config, sizeof config, "header_checks: [{file: %s}]\n", world.path);
    configure(config);
}

/* What is wrong with it. */
static const char *table_error(const char *text)
{
    static struct err err;
    char config[200];
    write_table(text);
    snprintf(config, sizeof config, "header_checks: [{file: %s}]\n", world.path);
    parse(config);
    world.rules = rules_new(world.config, NULL, &err);
    assert_null(world.rules);
    return err.text;
}

/* The parts of the report as a scan process makes them, as far as rules look at them. */
static void tell_parts(void)
{
    const struct content_message *m = &world.message;
    world.report.parts = arena_alloc(&world.arena, m->part_n * sizeof *world.report.parts);
    world.report.part_n = m->part_n;
    for (size_t i = 0; i < m->part_n; i++) {
        const struct content_part *p = &m->parts[i];
        world.report.parts[i] = (struct report_part){ .parent = p->parent, .depth = p->depth, .is_file = p->is_file, .is_mime = p->is_mime,
            .name = p->name_n ? p->names[0] : SLICE(""), .type = p->type, .size = p->size, .at = p->is_mime ? p->at : 0,
            .n = p->is_mime ? p->n : 0, .findings = p->findings };
    }
}

static void apply_bytes(struct slice bytes)
{
    static const struct config_scan limits = { .depth = 8, .parts = 1000, .unpacked = 4 << 20, .ratio = 100, .unpack_time = 2000 };
    struct report before = world.report;
    before.actions = NULL, before.edits = NULL, before.action_n = before.edit_n = before.prepend.n = 0;
    world.report = before;
    content_message_read(&world.message, bytes, &limits, NULL, &world.arena);
    tell_parts();
    rules_apply(world.rules, &world.message, &world.context, &world.report, &world.arena);
}

/* The message as it would be sent. */
static const char *sent(void)
{
    const struct report *r = &world.report;
    uint64_t at = 0;
    buf_clear(&world.sent);
    buf_add(&world.sent, r->prepend);
    for (size_t i = 0; i < r->edit_n; i++) {
        buf_add(&world.sent, slice_sub(world.message.bytes, at, r->edits[i].at));
        buf_add(&world.sent, r->edits[i].with);
        at = r->edits[i].at + r->edits[i].n;
    }
    buf_add(&world.sent, slice_sub(world.message.bytes, at, world.message.bytes.n));
    return buf_cstr(&world.sent);
}

/* "reject 5.7.1 text by rule name; warn ..." */
static const char *said(void)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < world.report.action_n; i++) {
        const struct report_action *a = &world.report.actions[i];
        if (i) buf_add_str(&b, "; ");
        buf_addf(&b, "%s", report_action_name(a->action));
        if (a->enhanced.n) buf_addf(&b, " %u %.*s", a->code, SLICE_ARG(a->enhanced));
        if (a->text.n) buf_addf(&b, " %.*s", SLICE_ARG(a->text));
        if (a->address.n) buf_addf(&b, " <%.*s>", SLICE_ARG(a->address));
        for (size_t k = 0; k < a->part_n; k++) buf_addf(&b, " #%u", a->parts[k]);
    }
    const char *s = arena_strdup(&world.arena, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

static const char *apply(const char *message)
{
    apply_bytes(slice_str(arena_strdup(&world.arena, slice_str(message))));
    return said();
}

/* Does the pattern, with its flags, match that field? */
static bool hit(const char *pattern, const char *field)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s REJECT\n", pattern);
    table(buf_cstr(&b));
    buf_clear(&b);
    buf_addf(&b, "%s\r\n\r\nbody\r\n", field);
    bool yes = strcmp(apply(buf_cstr(&b)), "reject") == 0;
    buf_deinit(&b);
    return yes;
}

/* ---- header checks: patterns */

static void flags_toggle(void **state)
{
    assert_true(hit("/^subject: HELLO/", "Subject: hello"));
    assert_false(hit("/^subject: HELLO/i", "Subject: hello"));
    assert_true(hit("/^subject: HELLO/ii", "Subject: hello"));
    assert_true(hit("/a.+b/", "X: a\r\n b"));       /* . is a line break, too */
    assert_false(hit("/a.+b/s", "X: a\r\n b"));
    assert_false(hit("/^ b/", "X: a\r\n b"));
    assert_true(hit("/^ b/m", "X: a\r\n b"));
    assert_true(hit("/a  b c/x", "X: abc"));
    assert_false(hit("/value/A", "X: value"));
    assert_true(hit("/x: v/A", "X: value"));
    assert_true(hit("/a$/E", "X: a"));
    assert_true(hit("/X: (a+)a/U", "X: aaa"));
    assert_true(hit("/a/X", "X: a"));
}

static void patterns_have_any_delimiter(void **state)
{
    assert_true(hit("~^x: a/b~", "X: a/b"));
    assert_true(hit("/^x: a\\/b/", "X: a/b"));
    assert_true(hit("{x: a{", "X: a"));
    assert_true(hit("!/other/", "X: a"));
    assert_false(hit("!/a/", "X: a"));
    assert_true(hit("! ! /a/", "X: a"));
    assert_true(hit("|^X: a b|", "X: a b"));
}

static void fields_are_matched_as_they_came(void **state)
{
    assert_true(hit("/^X: a\\n\\tb\\n c$/", "X: a\r\n\tb\r\n c"));
    assert_true(hit("/^X: a$/", "X : a"));
    assert_true(hit("/^X:$/", "X:"));
    assert_true(hit("/^X: =\\?utf-8\\?q\\?a\\?=/", "X: =?utf-8?q?a?="));
    assert_true(hit("/\\xE9t\\xE9/", "X: \xE9t\xE9"));
    assert_true(hit("/\xC3\xA9/", "X: \xC3\xA9"));
    assert_true(hit("/^To: b/", "From: a\r\nTo: b"));
    assert_false(hit("/body/", "X: a"));
}

static void mime_and_nested_headers_are_matched(void **state)
{
    static const char message[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain;\r\n name=\"a.txt\"\r\n\r\nx\r\n"
                                  "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-Gone: 1\r\nX-Stays: 2\r\n\r\ninner body\r\n--b--\r\n";
    table("/name=.a\\.txt/ WARN file\n/^subject: (inner)/ WARN $1\n/^X-Gone/ IGNORE\n");
    assert_string_equal(apply(message), "warn file; warn inner; remove-header X-Gone");
    assert_null(strstr(sent(), "X-Gone"));
    assert_non_null(strstr(sent(), "Subject: inner\r\nX-Stays: 2\r\n\r\ninner body"));
}

/* ---- tables */

static void the_first_line_that_matches_counts(void **state)
{
    table("# a comment\n\n/^X: a/ DUNNO\n/^X/ WARN two\n  # between\n/./ WARN three\n");
    assert_string_equal(apply("X: ab\r\nX: b\r\nY: c\r\n\r\n"), "warn two; warn three");
}

static void lines_are_continued(void **state)
{
    table("/^X: a/\n\tREJECT\n# a comment\n\n   no,\n   thanks   \n/^Y/ DUNNO\r\n");
    assert_string_equal(apply("X: a\r\n\r\n"), "reject no,   thanks");
}

static void ifs_nest(void **state)
{
    table("if /^X/\nif !/b/\n/a/ WARN a without b\nendif\n/c/ WARN c\nENDIF\n/a/ WARN a\nif !/^X/\n/./ WARN no X\nendif\n");
    assert_string_equal(apply("X: a\r\n\r\n"), "warn a without b");
    assert_string_equal(apply("X: abc\r\n\r\n"), "warn c");
    assert_string_equal(apply("X: ab\r\n\r\n"), "warn a");
    assert_string_equal(apply("Y: bc\r\n\r\n"), "warn no X");
}

static void lines_of_the_configuration_are_one_table(void **state)
{
    write_table("/^X: file/ WARN from the file\n");
    char config[400];
    snprintf(config, sizeof config, "header_checks:\n  - if /^X/\n  - {file: %s}\n  - /a/ WARN a\n  - endif\n  - line: >-\n      /b/\n      WARN b\n  - /c/ WARN c\n",
             world.path);
    configure(config);
    assert_string_equal(apply("X: file\r\n\r\n"), "warn from the file");
    assert_string_equal(apply("X: a\r\nY: a\r\nY: b\r\nY: c\r\n\r\n"), "warn a; warn b; warn c");
    assert_int_equal(world.report.actions[0].place.line, 8);
    assert_int_equal(world.report.actions[1].place.line, 10);
}

static void groups_are_put_in(void **state)
{
    table("/^X: (a+)(b+)?(c*)/ WARN [$1] [${2}] [$(3)]x $$5 $${1}\n");
    assert_string_equal(apply("X: aabccc\r\n\r\n"), "warn [aa] [b] [ccc]x $5 ${1}");
    assert_string_equal(apply("X: a\r\n\r\n"), "warn [a] [] []x $5 ${1}");
}

static void wrong_tables_are_refused(void **state)
{
    static const struct {
        const char *table, *why;
    } cases[] = {
        { "/a/ REJCT no", ":1: \"REJCT\" is no action: did you mean REJECT?" },
        { "/a/ reject\n/b/ frobnicate", ":2: \"frobnicate\" is no action: for example REJECT" },
        { "/a/", "no action stands behind the pattern" },
        { "/a REJECT", "the pattern has no second /" },
        { "/a\\", "the pattern has no second /" },
        { "!", "there is no pattern" },
        { "/(a/ REJECT", "missing closing parenthesis (at character 3" },
        { "/a/q REJECT", "\"q\" is no flag" },
        { "/usr/local/ REJECT", "does the pattern end too early?" },
        { "/a/ REJECT $1", "$1: the pattern has 0 groups" },
        { "/(a)/ REJECT $0", "no number of a group" },
        { "/(a)/ REJECT $x", "no number of a group" },
        { "/(a)/ REJECT costs 5$", "write $$" },
        { "/(a)/ REJECT ${1", "${ has no }" },
        { "!/(a)/ REJECT $1", "no groups" },
        { "\n# x\nendif", ":3: an endif without its if" },
        { "/x/ DUNNO\nif /a/\n/b/ DUNNO", ":2: an if without its endif" },
        { "if /a/\n /b/ REJECT\nendif", ":1: text behind if" },
        { "if /a/\nendif now", ":2: text behind endif" },
        { " /a/ REJECT", "begins with blanks" },
        { "Subject: REJECT", "is no header check" },
        { "!xax REJECT", "not letters or digits" },
        { "/a/ FILTER smtp:[127.0.0.1]:10025", "FILTER is not known here" },
        { "/a/ REDIRECT nobody", "no address" },
        { "/a/ BCC", "BCC needs an address" },
        { "/a/ PREPEND", "PREPEND needs a header line" },
        { "/a/ PREPEND no header", "no header line" },
        { "/(a)/ REPLACE no $1: header", "no header line" },
        { "/a/ PREPEND X: \xC3\xA9", "ASCII" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const char *why = table_error(cases[i].table);
        if (!strstr(why, cases[i].why)) print_error("%s\n  said: %s\n", cases[i].table, why);
        assert_non_null(strstr(why, cases[i].why));
        assert_non_null(strstr(why, world.path));
    }
    unlink(world.path);
}

static void errors_tell_the_place(void **state)
{
    struct err err = { 0 };
    struct config_place place = { 0 };
    parse("header_checks:\n  - /a/ WARN\n  - /b/ NOTHING\n");
    assert_false(rules_check(world.config, NULL, &place, &err));
    assert_int_equal(place.line, 7);
    assert_int_equal(place.column, 5);
    assert_non_null(strstr(err.text, "\"NOTHING\" is no action"));
    assert_null(rules_new(world.config, NULL, &err));
    assert_non_null(strstr(err.text, "line 7:5: "));
    parse("header_checks:\n  - if /a/\n  - /b/ WARN\n");
    assert_false(rules_check(world.config, NULL, &place, &err));
    assert_int_equal(place.line, 6);
}

/* ---- header checks: actions */

static void actions_are_reported(void **state)
{
    table("/^A/ REJECT\n/^B: (.*)/ reject 5.7.9 no $1\n/^C/ REJECT 4.2.1 later\n/^D/ DISCARD spam\n/^E/ HOLD look\n/^F/ WARN\n/^G/ info seen\n"
          "/^H/ BCC c@example.net\n/^I: (.*)/ REDIRECT $1\n/^J/ OK\n/^K/ PASS fine\n/^L/ REJECT 5.7 x\n/^M/ REJECT \xC3\xA9\n");
    assert_string_equal(apply("A: x\r\nF: x\r\n\r\n"), "reject");
    assert_string_equal(apply("B: you\r\n\r\n"), "reject 550 5.7.9 no you");
    assert_string_equal(apply("C: x\r\n\r\n"), "defer 451 4.2.1 later");
    assert_string_equal(apply("D: x\r\nA: y\r\n\r\n"), "discard spam");
    assert_string_equal(apply("E: x\r\nE: y\r\nF: x\r\nG: y\r\n\r\n"), "hold look; warn F; warn seen");
    assert_string_equal(apply("H: x\r\nH: x\r\nI: a@example.net\r\nI: b@example.net\r\n\r\n"), "copy <c@example.net>; redirect <b@example.net>");
    assert_string_equal(apply("I: nobody\r\nJ: x\r\n\r\n"), "warn redirect: not an address");
    assert_string_equal(apply("K: x\r\nA: x\r\n\r\n"), "warn pass: fine");
    assert_string_equal(apply("L: x\r\n\r\n"), "reject 5.7 x");
    assert_string_equal(apply("M: x\r\n\r\n"), "reject ??");
    assert_string_equal(apply("I: a@example.net\r\nA: x\r\n\r\n"), "reject");
}

static void fields_are_changed(void **state)
{
    table("/^A/ IGNORE\n/^B/ STRIP secret\n/^C: (.*)/ REPLACE X-C: <$1>\n/^D: (.*)/ PREPEND X-D: $1\n/^E: (.*)/ REPLACE $1\n/^F: (.)(.*)/ PREPEND X: $2\n");
    assert_string_equal(apply("A: x\r\nA: y\r\n z\r\nS: 1\r\nB: 2\r\n\r\nA: body\r\n"), "remove-header A; remove-header B; warn strip: secret");
    assert_string_equal(sent(), "S: 1\r\n\r\nA: body\r\n");
    assert_int_equal(world.report.edit_n, 2);
    apply("S: 1\r\nC: a\r\n b\r\nD: c\r\n\td\r\n\r\nbody");
    assert_string_equal(sent(), "S: 1\r\nX-C: <a\r\n b>\r\nX-D: c\r\n\td\r\nD: c\r\n\td\r\n\r\nbody");
    assert_string_equal(apply("E: nothing\r\n\r\n"), "warn what is to be put in is no header line");
    assert_string_equal(sent(), "E: nothing\r\n\r\n");
    apply("F: 1a\r\n \r\n b\r\n\r\n"); /* a line of blanks would end the header for some */
    assert_string_equal(sent(), "X: a  \r\n b\r\nF: 1a\r\n \r\n b\r\n\r\n");
    apply("C: cut off");
    assert_string_equal(sent(), "X-C: <cut off>\r\n");
}

/* Text that comes from a message cannot become a field of its own. */
static void no_field_is_smuggled_in(void **state)
{
    table("/^X: (\\S+)\\s+(.*)/ REPLACE X: $1\n/^Y:(.*)\\n.(.*)/ PREPEND Z:$1\n/^W: ([^\\n]*\\n).(.*)/ REPLACE W: $1$2\n");
    apply("W: a\r\n Bcc: b@example.net\r\n\r\n");
    assert_string_equal(sent(), "W: a Bcc: b@example.net\r\n\r\n");
    for (size_t i = 0; i < world.report.edit_n; i++) assert_true(report_is_header(world.report.edits[i].with));
}

static void many_fields_are_taken_out(void **state)
{
    struct buf b = { 0 };
    table("/^(Received|X-Odd):/ IGNORE\n/^Last/ REJECT\n");
    for (int i = 0; i < 500; i++) buf_add_str(&b, "Received: from a by b\r\n");
    for (int i = 0; i < 40; i++) buf_add_str(&b, "X-Even: 1\r\nX-Odd: 1\r\n");
    buf_add_str(&b, "\r\nbody\r\n");
    apply(buf_cstr(&b));
    assert_null(strstr(sent(), "Received"));
    assert_null(strstr(sent(), "X-Odd"));
    assert_int_equal(world.report.edit_n, 41);
    buf_deinit(&b);
}

static void what_is_only_told_gives_way(void **state)
{
    struct buf b = { 0 };
    table("/^W: (.*)/ WARN $1\n/^B: (.*)/ BCC $1@example.net\n/^Last/ REJECT\n");
    for (int i = 0; i < 100; i++) buf_addf(&b, "W: %d\r\n", i);
    for (int i = 0; i < 45; i++) buf_addf(&b, "B: b%d\r\n", i);
    buf_add_str(&b, "Last: 1\r\n\r\nbody\r\n");
    apply(buf_cstr(&b));
    assert_int_equal(world.report.action_n, REPORT_ACTIONS_MAX);
    assert_int_equal(world.report.actions[REPORT_ACTIONS_MAX - 1].action, CONFIG_DO_REJECT);
    buf_deinit(&b);
}

static void patterns_that_never_end_do_not_count(void **state)
{
    struct buf b = { 0 };
    uint64_t start = clock_mono_ms();
    log_open("test", LOG_ERROR);
    table("/^X: (a+)+$/ REJECT\n!/^X: ((a|aa)+)+$/ REJECT\nif !/^X: ((a|aa)+)+$/\n/./ REJECT\nendif\n/^X/ WARN last\n");
    buf_add_str(&b, "X: ");
    for (int i = 0; i < 5000; i++) buf_add_char(&b, 'a');
    buf_add_str(&b, "!\r\n\r\n");
    assert_non_null(strstr(apply(buf_cstr(&b)), "warn the pattern takes too long: it does not count; warn last"));
    assert_int_equal(world.report.symbol_n, 1);
    assert_string_equal(arena_strdup(&world.arena, world.report.symbols[0].name), "rule-limit");
    assert_true(clock_mono_ms() - start < 5000);
    buf_deinit(&b);
}

static void time_is_limited(void **state)
{
    struct buf b = { 0 };
    uint64_t start = clock_mono_ms();
    log_open("test", LOG_ERROR);
    configure("scan: {timeout: 4s, unpack_time: 2s}\nheader_checks: [\"/^X: (a+)+$/ REJECT\"]\nrules: [{name: x, then: [reject]}]\n");
    for (int i = 0; i < 1990; i++) buf_add_str(&b, "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\r\n");
    buf_add_str(&b, "\r\n");
    apply(buf_cstr(&b));
    assert_true(clock_mono_ms() - start < 30000);
    assert_int_equal(world.report.actions[world.report.action_n - 1].action, CONFIG_DO_REJECT); /* the rule had its own time */
    buf_deinit(&b);
}

/* ---- rules */

#define RULE(when, then) "rules: [{name: r, if: {" when "}, then: [" then "]}]\n"
static const char files[] =
    "Subject: =?utf-8?q?R=C3=A9sum=C3=A9?= for you\r\nX-A: 1\r\nX-a: 2\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n"
    "--b\r\nContent-Type: application/octet-stream; name=\"run.exe\"\r\nContent-Disposition: attachment\r\n\r\nMZ\r\n"
    "--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment\r\n\r\n%PDF-1.4 some more text\r\n--b--\r\n";

static bool holds(const char *rule)
{
    struct scan_context context = world.context;
    struct report report = world.report;
    configure(rule);
    world.context = context;
    world.report = report;
    return strcmp(apply(files), "quarantine") == 0;
}

static void conditions_on_who(void **state)
{
    struct slice rcpts[] = { SLICE("bob@example.com"), SLICE("\"Ann\"@Example.NET") };
    world.context = (struct scan_context){ .sender = SLICE("eve@client.example"), .rcpts = rcpts, .rcpt_n = 2, .zone = SLICE("internet"),
                                           .client_name = SLICE("mail.client.example"), .direction = CONFIG_DIRECTION_IN, .spf = SLICE("fail") };
    assert_true(ip_parse(SLICE("192.0.2.7"), &world.context.client));
    assert_true(holds(RULE("clients: [192.0.2.0/24]", "quarantine")));
    assert_false(holds(RULE("clients: [192.0.3.0/24]", "quarantine")));
    assert_true(holds(RULE("clients: [.client.example]", "quarantine")));
    assert_true(holds(RULE("senders: [client.example]", "quarantine")));
    assert_false(holds(RULE("senders: ['<>', other.example]", "quarantine")));
    assert_true(holds(RULE("recipients: [ann@example.net]", "quarantine")));
    assert_false(holds(RULE("recipients: [carl@example.net]", "quarantine")));
    assert_true(holds(RULE("direction: [in]", "quarantine")));
    assert_false(holds(RULE("direction: [out, through]", "quarantine")));
    assert_true(holds(RULE("spf: [softfail, fail]", "quarantine")));
    assert_false(holds(RULE("spf: [pass]", "quarantine")));
    assert_false(holds(RULE("clients: [192.0.2.0/24], senders: [other.example]", "quarantine")));
    world.context.sender = SLICE("");
    assert_true(holds(RULE("senders: ['<>']", "quarantine")));
    world.context.spf = SLICE("");
    assert_false(holds(RULE("spf: [none, pass, fail]", "quarantine")));
}

static void conditions_on_what(void **state)
{
    assert_true(holds(RULE("headers: [{name: subject, match: 'R.sum. FOR'}]", "quarantine")));
    assert_true(holds(RULE("headers: [{name: x-a, match: '^2$'}]", "quarantine")));
    assert_false(holds(RULE("headers: [{name: x-a, match: '3'}, {name: x-b, match: '.'}]", "quarantine")));
    assert_true(holds(RULE("larger: 100", "quarantine")));
    assert_false(holds(RULE("larger: 1M", "quarantine")));
    assert_true(holds(RULE("smaller: 1M", "quarantine")));
    assert_false(holds(RULE("smaller: 100", "quarantine")));
    assert_true(holds(RULE("attachments: [executable]", "quarantine")));
    assert_true(holds(RULE("attachments: [any]", "quarantine")));
    assert_false(holds(RULE("attachments: [video, macro]", "quarantine")));
    assert_true(holds(RULE("attachments: [{name: '*.PDF'}]", "quarantine")));
    assert_false(holds(RULE("attachments: [{name: '*.PDF', kind: executable}]", "quarantine")));
    assert_false(holds(RULE("attachments: [{larger: 1M}]", "quarantine")));
    assert_true(holds(RULE("attachments: [{larger: 10}]", "quarantine")));
}

static void conditions_on_findings(void **state)
{
    struct report_virus virus = { SLICE("clamd"), SLICE("Eicar"), SLICE("") };
    assert_false(holds(RULE("virus: yes", "quarantine")));
    assert_false(holds(RULE("spam: [none]", "quarantine"))); /* it was not judged */
    world.report = (struct report){ .viruses = &virus, .virus_n = 1, .judged = true, .class = CONFIG_SPAM_BULK };
    assert_true(holds(RULE("virus: yes", "quarantine")));
    assert_true(holds(RULE("spam: [bulk, confirmed]", "quarantine")));
    assert_false(holds(RULE("spam: [none]", "quarantine")));
}

static void rules_go_in_order(void **state)
{
    configure("rules: [{name: a, then: [{action: copy, address: c@example.net}]}, {name: off, enabled: no, then: [discard]}, {name: b, then: [quarantine, stop]}, "
              "{name: c, then: [discard]}]\n");
    assert_string_equal(apply(files), "copy <c@example.net>; quarantine; stop");
    configure("rules: [{name: a, then: [accept]}, {name: b, then: [discard]}]\n");
    assert_string_equal(apply(files), "accept");
    configure("header_checks: [/^Subject/ DISCARD]\nrules: [{name: b, then: [accept]}]\n");
    assert_string_equal(apply(files), "discard");
    assert_int_equal(world.report.actions[0].place.line, 5);
}

static void rules_act(void **state)
{
    configure("rules: [{name: a, then: [{action: add_header, text: 'X-B: 1'}, {action: add_header, text: 'X-C: 2'}, {action: remove_header, text: X-A}, "
              "{action: tag_subject, text: '[x] '}, {action: notify, address: n@example.net}, {action: redirect, address: r@example.net}, strip]}]\n");
    assert_string_equal(apply(files), "add-header X-B: 1; add-header X-C: 2; remove-header X-A; tag-subject [x] ; notify <n@example.net>; "
                                      "redirect <r@example.net>; strip #2 #3");
    assert_non_null(strstr(sent(), "X-B: 1\r\nX-C: 2\r\nSubject: "));
    assert_null(strstr(sent(), "X-A"));
    assert_null(strstr(sent(), "X-a"));
    configure(RULE("attachments: [executable]", "strip"));
    assert_string_equal(apply(files), "strip #2");
}

/* Where header checks, rules and milters want the same bytes the first has its way. */
static void the_first_edit_wins(void **state)
{
    configure("header_checks: ['/^X-A: 1/ REPLACE X-A: new', '/^Subject/ PREPEND X-P: 1']\n"
              "rules: [{name: a, then: [{action: remove_header, text: X-A}, {action: remove_header, text: Subject}]}]\n");
    apply(files);
    assert_true(slice_starts(slice_str(sent()), SLICE("X-P: 1\r\nX-A: new\r\nContent-Type")));
}

/* A part that the report has no room for goes with what it is in. */
static void parts_that_are_not_told_of(void **state)
{
    configure(RULE("attachments: [executable]", "strip"));
    apply_bytes(slice_str(files));
    struct report_part *parts = world.report.parts;
    struct report told = { .parts = (struct report_part[]){ parts[0], parts[1], parts[3] }, .part_n = 3 };
    struct rules_run run = { .rules = world.rules, .message = &world.message, .context = &world.context, .report = &told, .arena = &world.arena,
                             .deadline = UINT64_MAX };
    rules_apply_rules(&run);
    assert_int_equal(told.action_n, 1);
    assert_int_equal(told.actions[0].parts[0], 0);
    told = (struct report){ .parts = &parts[3], .part_n = 1 };
    rules_apply_rules(&run);
    assert_int_equal(told.action_n, 1);
    assert_int_equal(told.actions[0].action, CONFIG_DO_QUARANTINE);
}

/* ---- for comparisons */

static int compare(const char *path)
{
    struct err err = { 0 };
    struct report report = { 0 };
    struct scan_context nobody = { 0 };
    struct config_header_check check = { .file = path };
    struct config config = { .header_checks = &check, .header_check_n = 1 };
    struct slice text, line;
    struct buf in = { 0 };
    struct rules *r = rules_new(&config, NULL, &err);
    if (!r) return fprintf(stderr, "%s\n", err.text), 1;
    for (size_t got = 1; got; in.n += got) got = fread(buf_reserve(&in, 65536), 1, 65536, stdin);
    struct slice all = buf_slice(&in);
    while (all.n) {
        slice_cut(&all, '\n', &line);
        struct rules_run run = { .rules = r, .context = &nobody, .report = &report, .arena = &world.arena, .deadline = UINT64_MAX };
        const struct header_line *l = rules_find_line(&run, line, &text);
        if (l) printf("%.*s\t%s%s%.*s\n", SLICE_ARG(line), header_action_name(l->action), l->text.n ? " " : "", SLICE_ARG(text));
    }
    buf_deinit(&in);
    rules_free(r);
    arena_deinit(&world.arena);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(flags_toggle, teardown),
        cmocka_unit_test_teardown(patterns_have_any_delimiter, teardown),
        cmocka_unit_test_teardown(fields_are_matched_as_they_came, teardown),
        cmocka_unit_test_teardown(mime_and_nested_headers_are_matched, teardown),
        cmocka_unit_test_teardown(the_first_line_that_matches_counts, teardown),
        cmocka_unit_test_teardown(lines_are_continued, teardown),
        cmocka_unit_test_teardown(ifs_nest, teardown),
        cmocka_unit_test_teardown(lines_of_the_configuration_are_one_table, teardown),
        cmocka_unit_test_teardown(groups_are_put_in, teardown),
        cmocka_unit_test_teardown(wrong_tables_are_refused, teardown),
        cmocka_unit_test_teardown(errors_tell_the_place, teardown),
        cmocka_unit_test_teardown(actions_are_reported, teardown),
        cmocka_unit_test_teardown(fields_are_changed, teardown),
        cmocka_unit_test_teardown(no_field_is_smuggled_in, teardown),
        cmocka_unit_test_teardown(many_fields_are_taken_out, teardown),
        cmocka_unit_test_teardown(what_is_only_told_gives_way, teardown),
        cmocka_unit_test_teardown(patterns_that_never_end_do_not_count, teardown),
        cmocka_unit_test_teardown(time_is_limited, teardown),
        cmocka_unit_test_teardown(conditions_on_who, teardown),
        cmocka_unit_test_teardown(conditions_on_what, teardown),
        cmocka_unit_test_teardown(conditions_on_findings, teardown),
        cmocka_unit_test_teardown(rules_go_in_order, teardown),
        cmocka_unit_test_teardown(rules_act, teardown),
        cmocka_unit_test_teardown(the_first_edit_wins, teardown),
        cmocka_unit_test_teardown(parts_that_are_not_told_of, teardown),
    };
    return argc == 2 ? compare(argv[1]) : cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
