/* SPDX-License-Identifier: Apache-2.0
 * Tables: where they are named, what their rows may be, lists that look into them beside their own entries, blocks that change under
 * use, sources that are broken, relay domains in a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/mem.h"
#include "config/list.h"
#include "config/tables.h"

static uint64_t mono = 1000, wall = 1700000000000;
uint64_t __wrap_clock_mono_ms(void); // NOLINT(bugprone-reserved-identifier): the linker's name
uint64_t __wrap_clock_mono_ms(void) { return mono; } // NOLINT(bugprone-reserved-identifier)
uint64_t __wrap_clock_wall_ms(void); // NOLINT(bugprone-reserved-identifier)
uint64_t __wrap_clock_wall_ms(void) { return wall; } // NOLINT(bugprone-reserved-identifier)

static struct {
    char folder[40];
    struct config *config;
    struct tables *tables;
} world;

static void put(const char *name, const void *text, size_t n)
{
    char path[200], aside[210];
    snprintf(path, sizeof path, "%s/%s", world.folder, name);
    snprintf(aside, sizeof aside, "%s.new", path);
    FILE *f = fopen(aside, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    assert_int_equal(rename(aside, path), 0);
}
static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static void forget(void)
{
    tables_free(world.tables);
    config_free(world.config);
    world.tables = NULL;
    world.config = NULL;
}

/* %s: the folder. */
static void configure(const char *text)
{
    struct config_report report;
    struct buf all = { 0 };
    forget();
    buf_addf(&all, "hostname: mx.example.com\nsystem: {directory: %s}\n", world.folder);
    for (const char *p = text, *at; *p; p = at) {
        at = strstr(p, "%s");
        if (!at) at = p + strlen(p);
        buf_add(&all, slice_of(p, (size_t)(at - p)));
        if (*at) buf_add_str(&all, world.folder), at += 2;
    }
    world.config = config_parse(buf_slice(&all), "test", &report);
    for (size_t i = 0; i < report.n; i++)
        if (!report.findings[i].warning) print_error("%s: %s\n", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    buf_deinit(&all);
    assert_non_null(world.config);
}

static void load(void)
{
    struct err err = { .text = "" };
    tables_free(world.tables);
    world.tables = tables_new(world.config, &err);
    if (!world.tables) fail_msg("%s", err.text);
}

static int setup(void **state)
{
    char path[64];
    snprintf(world.folder, sizeof world.folder, "/tmp/postern-tables-XXXXXX");
    if (!mkdtemp(world.folder)) return -1;
    snprintf(path, sizeof path, "%s/tables", world.folder);
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    char command[100];
    forget();
    snprintf(command, sizeof command, "rm -r %s", world.folder);
    return system(command); // NOLINT(cert-env33-c,concurrency-mt-unsafe)
}

/* As the tables process does: rows "entry", "value" by turns, up to NULL. */
static void write_block(const struct table *t, uint64_t made, const char *const *rows)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err;
    char name[120];
    size_t n;
    for (; *rows; rows += 2)
        if (!tables_add_row(b, table_source(t), slice_str(rows[0]), slice_str(rows[1]), &err)) fail_msg("%s: %s", rows[0], err.text);
    void *block = snapshot_finish(b, made, &n);
    snprintf(name, sizeof name, "tables/%s.table", table_source(t)->id);
    put(name, block, n);
    free(block);
    snapshot_builder_free(b);
}
#define WRITE(t, made, ...) write_block(t, made, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static const struct list_entry *by_sender(const struct list_match *l, const char *text, bool proven)
{
    struct list_found f;
    const char *at = strrchr(text, '@');
    list_find_sender(l, at ? slice_of(text, (size_t)(at - text)) : SLICE(""), slice_str(at ? at + 1 : text), proven, &f);
    return f.kind ? f.entry : NULL;
}
static const char *match_of(const struct list_match *l, const char *text)
{
    const struct list_entry *e = by_sender(l, text, true);
    return e ? e->match : "";
}
static const char *by_ip(const struct list_match *l, const char *text)
{
    struct list_found f;
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    list_find_ip(l, &ip, &f);
    return f.kind ? f.entry->match : "";
}

static struct list_match *list(const struct config_match_list *from, enum list_of of)
{
    struct err err;
    struct list_match *l = list_new(from, of, world.tables, &err);
    if (!l) fail_msg("%s", err.text);
    return l;
}

/* ---- where they are named */

static void all_that_is_named_is_a_source(void **state)
{
    put_text("names", "sales@example.com\n");
    put_text("clients", "192.0.2.1\n");
    put_text("groups", "sales anna\n");
    put_text("moved", "old.example new.example\n");
    put_text("ours", "customer.example\n");
    configure("tables:\n"
              "  people: {file: '%s/names'}\n"
              "  groups: {file: '%s/groups'}\n"
              "  moved: {file: '%s/moved'}\n"
              "  ours: {file: '%s/ours'}\n"
              "  unused: {file: '%s/clients'}\n"
              "main_domain: example.com\n"
              "domains: [{table: ours}]\n"
              "aliases: [{table: groups}]\n"
              "mappings: [{table: moved}]\n"
              "copies: [{to: all@example.com, senders: [{table: people}], recipients: [{file: '%s/names'}]}]\n"
              "checks:\n"
              "  allow: {senders: [{table: people}], clients: [{file: '%s/clients'}]}\n"
              "  block: {senders: [{file: '%s/names'}]}\n"
              "rules: [{name: r, if: {clients: [{file: '%s/clients'}], senders: [{table: people}]}, then: [reject]}]\n");
    load();
    assert_int_equal(tables_count(world.tables), 6);
    const struct table *people = tables_of_name(world.tables, "people", LIST_OF_ADDRESSES);
    assert_non_null(people);
    assert_null(tables_of_name(world.tables, "people", LIST_OF_CLIENTS));
    assert_null(tables_of_name(world.tables, "unused", LIST_OF_CLIENTS));
    assert_int_equal(snapshot_entries(table_snapshot(people)), 1);
    assert_string_equal(table_name(people), "people");
    for (size_t i = 0; i < 6; i++) {
        const struct table_source *s = tables_source(world.tables, i);
        assert_true(strlen(s->id) > 17 && !strchr(s->id, '/'));
        for (size_t k = 0; k < i; k++) assert_string_not_equal(s->id, tables_source(world.tables, k)->id);
    }
    assert_int_equal(strncmp(table_source(people)->id, "people-", 7), 0);
    tables_forget_unused(world.tables);
    assert_int_equal(tables_count(world.tables), 1); /* what the test asked for */
}

/* ---- rows */

static void rows_are_what_the_table_is_for(void **state)
{
    static const struct {
        enum list_of of;
        enum config_table_type type;
        const char *entry, *value, *why; /* why NULL: fine */
    } cases[] = {
        { LIST_OF_CLIENTS, CONFIG_TABLE_ANY, "192.0.2.0/24", "", NULL },
        { LIST_OF_CLIENTS, CONFIG_TABLE_ANY, " .example.org ", "a reason", NULL },
        { LIST_OF_CLIENTS, CONFIG_TABLE_ANY, "a@example.org", "", "a mail address" },
        { LIST_OF_CLIENTS, CONFIG_TABLE_CIDR, "10.0.0.0/8", "", NULL },
        { LIST_OF_CLIENTS, CONFIG_TABLE_CIDR, "10.1.2.3", "", NULL },
        { LIST_OF_CLIENTS, CONFIG_TABLE_CIDR, "example.org", "", "type cidr" },
        { LIST_OF_CLIENTS, CONFIG_TABLE_EXACT, "10.1.2.3", "", NULL },
        { LIST_OF_CLIENTS, CONFIG_TABLE_EXACT, "10.0.0.0/8", "", "a network" },
        { LIST_OF_CLIENTS, CONFIG_TABLE_EXACT, "/a/", "", "type exact" },
        { LIST_OF_ADDRESSES, CONFIG_TABLE_EXACT, "a@example.org", "", NULL },
        { LIST_OF_ADDRESSES, CONFIG_TABLE_EXACT, ".example.org", "", "all below" },
        { LIST_OF_ADDRESSES, CONFIG_TABLE_PCRE, "/a.*/", "", NULL },
        { LIST_OF_ADDRESSES, CONFIG_TABLE_PCRE, "/(/", "", "regular expression" },
        { LIST_OF_ADDRESSES, CONFIG_TABLE_PCRE, "a@example.org", "", "type pcre" },
        { LIST_OF_ADDRESSES, CONFIG_TABLE_LDAP, "192.0.2.1", "", "list of clients" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "anna, bert@example.org", NULL },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales@", "anna", NULL },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales@example.com", "anna", NULL },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "", "no addresses" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "anna,,bert", "an empty place" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "|/bin/sh", "a command, a file" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "anna, /var/mail/x", "a command, a file" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", ":include:/etc/list", "a command, a file" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "\"|/bin/sh\"", "is neither" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "anna bert", "\"anna bert\" is neither" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "anna@[192.0.2.1]", "is neither" }, /* nothing is sent there */
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "bert, anna@example.org.", "is neither" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "bert@example.org> NOTIFY=NEVER", "is neither" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "sales", "bert@example.org\r\nDATA", "is neither" },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, "old.example", "new.example\r\nDATA", "is no domain" },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, "old.example", "[192.0.2.1]", "is no domain" },
        { LIST_OF_ALIASES, CONFIG_TABLE_ANY, "two words", "anna", "not the local part" },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, "old.example", "new.example", NULL },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, ".old.example", "new.example", NULL },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, "a@old.example", "new.example", "only domains" },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, "old.example", "", "no domain that takes" },
        { LIST_OF_MAPPINGS, CONFIG_TABLE_ANY, "old.example", "a@new.example", "is no domain" },
        { LIST_OF_DOMAINS, CONFIG_TABLE_SQLITE, "Customer.example", "whatever", NULL },
        { LIST_OF_DOMAINS, CONFIG_TABLE_SQLITE, "a@customer.example", "", "only domains" },
        { LIST_OF_DOMAINS, CONFIG_TABLE_SQLITE, "", "", "empty" },
        { LIST_OF_DOMAINS, CONFIG_TABLE_SQLITE, "a\x01", "", "control characters" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct config_table table = { .name = "t", .type = cases[i].type, .entries = 10 };
        struct table_source s = { .table = &table, .of = cases[i].of };
        struct snapshot_builder *b = snapshot_builder_new();
        struct err err = { .text = "" };
        bool ok = tables_add_row(b, &s, slice_str(cases[i].entry), slice_str(cases[i].value), &err);
        if (ok != !cases[i].why || (!ok && !strstr(err.text, cases[i].why))) fail_msg("%s -> %s: %s", cases[i].entry, cases[i].value, err.text);
        snapshot_builder_free(b);
    }
}

static void a_table_has_a_limit(void **state)
{
    struct config_table table = { .name = "t", .type = CONFIG_TABLE_SQLITE, .entries = 2 };
    struct table_source s = { .table = &table, .of = LIST_OF_ALIASES };
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err = { .text = "" };
    assert_true(tables_add_row(b, &s, SLICE("a"), SLICE("x"), &err));
    assert_true(tables_add_row(b, &s, SLICE("b"), SLICE("x"), &err));
    assert_true(tables_add_row(b, &s, SLICE("A"), SLICE("y"), &err));
    assert_false(tables_add_row(b, &s, SLICE("c d"), SLICE("x"), &err));
    assert_int_equal(err.code, 0);
    assert_false(tables_add_row(b, &s, SLICE("c"), SLICE("x"), &err));
    assert_int_not_equal(err.code, 0);
    snapshot_builder_free(b);
}

static void files_have_values_and_comments(void **state)
{
    put_text("groups", "# who is who\nsales\tanna, bert@example.org # our people\n\nhelp carl,\t#dora\n\"a b\"@example.com  emil\nSales lost\n");
    struct config_table table = { .name = "t", .file = NULL, .type = CONFIG_TABLE_ANY, .entries = 100 };
    struct table_source s = { .table = &table, .of = LIST_OF_ALIASES };
    struct snapshot_entry e;
    struct err err = { .text = "" };
    char path[100];
    size_t n;
    snprintf(path, sizeof path, "%s/groups", world.folder);
    table.file = path;
    void *block = tables_read_file(&s, &n, &err);
    if (!block) fail_msg("%s", err.text);
    struct snapshot *all = snapshot_open(block, n, &err);
    assert_non_null(all);
    assert_int_equal(snapshot_entries(all), 3);
    assert_true(snapshot_find_key(all, SLICE("SALES"), &e));
    assert_string_equal(e.value, "anna, bert@example.org");
    assert_string_equal(e.comment, "our people");
    assert_int_equal(e.line, 2);
    assert_true(snapshot_find_key(all, SLICE("help"), &e));
    assert_string_equal(e.value, "carl,\t#dora");
    assert_true(snapshot_find_key(all, SLICE("a b@example.com"), &e));
    snapshot_free(all);
    put_text("groups", "sales anna\nhelp\n");
    assert_null(tables_read_file(&s, &n, &err));
    assert_non_null(strstr(err.text, "/groups:2: \"help\": it has no addresses"));
}

/* ---- lists */

static void lists_look_into_their_tables_too(void **state)
{
    put_text("people", "joe@example.org told why\n.example.net\n/x.*@y\\.example/\n<>\nann@\n");
    configure("tables: {people: {file: '%s/people'}}\n"
              "domains: [{name: example.com}]\n"
              "checks: {block: {senders: [joe@, {table: people, reason: for all}, example.org, a.b.example.net, ann@, /xx@y.example/]}}\n");
    load();
    struct list_match *l = list(&world.config->checks.block_senders, LIST_OF_ADDRESSES);
    assert_false(list_is_empty(l));
    assert_string_equal(match_of(l, "JOE@example.org"), "joe@example.org");
    assert_string_equal(by_sender(l, "joe@example.org", true)->reason, "told why");
    assert_string_equal(by_sender(l, "joe@example.org", true)->table, "people");
    assert_non_null(strstr(by_sender(l, "joe@example.org", true)->file, "/people"));
    assert_int_equal(by_sender(l, "joe@example.org", true)->line, 1);
    assert_ptr_equal(by_sender(l, "joe@example.org", true), by_sender(l, "Joe@Example.org", false));
    assert_string_equal(match_of(l, "joe@elsewhere.test"), "joe@");
    assert_string_equal(match_of(l, "x@example.org"), "example.org");
    assert_string_equal(match_of(l, "x@b.example.net"), ".example.net");
    assert_string_equal(by_sender(l, "x@b.example.net", true)->reason, "for all");
    assert_string_equal(match_of(l, "x@a.b.example.net"), "a.b.example.net");
    assert_string_equal(match_of(l, "x1@y.example"), "/x.*@y\\.example/");
    assert_string_equal(match_of(l, "xx@y.example"), "/x.*@y\\.example/"); /* of two expressions the first of the list */
    assert_string_equal(match_of(l, ""), "<>");
    assert_non_null(by_sender(l, "ann@example.com", true)->table); /* of the same entry the first of the list */
    assert_string_equal(match_of(l, "z@elsewhere.test"), "");
    list_free(l);
}

static void the_nearest_network_wins_wherever_it_stands(void **state)
{
    put_text("nets", "10.0.0.0/8\n10.1.2.3\n2001:db8::/32\n192.0.2.0/24 from the table\n");
    configure("tables: {nets: {type: cidr, file: '%s/nets'}}\n"
              "domains: [{name: example.com}]\n"
              "checks: {block: {clients: [10.1.0.0/16, 192.0.2.0/24, {table: nets}]}}\n");
    load();
    struct list_match *l = list(&world.config->checks.block_clients, LIST_OF_CLIENTS);
    assert_string_equal(by_ip(l, "10.9.9.9"), "10.0.0.0/8");
    assert_string_equal(by_ip(l, "10.1.9.9"), "10.1.0.0/16");
    assert_string_equal(by_ip(l, "10.1.2.3"), "10.1.2.3");
    assert_string_equal(by_ip(l, "2001:db8::1"), "2001:db8::/32");
    assert_string_equal(by_ip(l, "11.0.0.0"), "");
    struct list_found f;
    list_find_ip(l, &(struct ip){ .family = 4, .bytes = { 192, 0, 2, 1 } }, &f);
    assert_null(f.entry->table);
    assert_false(list_has_hosts(l) || list_may_have_hosts(l));
    list_free(l);
}

static void proof_is_asked_of_whole_tables(void **state)
{
    put_text("people", "joe@example.org\nann@example.org\n");
    configure("tables: {people: {file: '%s/people'}}\n"
              "domains: [{name: example.com}]\n"
              "checks: {spf: {enabled: yes}, allow: {senders: [{table: people, proven: yes}, ann@example.org]}}\n");
    load();
    struct list_match *l = list(&world.config->checks.allow_senders, LIST_OF_ADDRESSES);
    assert_true(list_has_proven(l));
    assert_null(by_sender(l, "joe@example.org", false));
    assert_non_null(by_sender(l, "joe@example.org", true));
    assert_false(by_sender(l, "ann@example.org", true)->proven); /* of the same entry the one that wants no proof */
    assert_ptr_equal(by_sender(l, "ann@example.org", true), by_sender(l, "ann@example.org", false));
    list_free(l);
}

static void what_there_is_not_is_an_error(void **state)
{
    struct config_match m = { .table = "missing", .place = { 4, 2 } };
    const struct config_match_list one = { &m, 1 };
    struct err err = { .text = "" };
    assert_null(list_new(&one, LIST_OF_ADDRESSES, NULL, &err));
    assert_non_null(strstr(err.text, "line 4: there is no table missing"));
    put_text("bad", "example.org\n10.1.2.3\n");
    configure("domains: [{name: example.com}]\nchecks: {block: {senders: [{file: '%s/bad'}]}}\n");
    assert_null(tables_new(world.config, &err));
    assert_non_null(strstr(err.text, "/bad:2: \"10.1.2.3\": an IP address"));
}

/* ---- blocks that change */

#define PEOPLE "tables: {people: {file: '%s/people'}}\ndomains: [{name: example.com}]\n" \
               "checks: {block: {senders: [{table: people}], clients: [{file: '%s/clients'}]}}\n"

static void newer_blocks_are_taken_up(void **state)
{
    put_text("people", "joe@example.org old\n/a.@example.org/\n");
    put_text("clients", "192.0.2.1\n");
    configure(PEOPLE);
    load();
    struct list_match *l = list(&world.config->checks.block_senders, LIST_OF_ADDRESSES);
    const struct table *t = tables_of_name(world.tables, "people", LIST_OF_ADDRESSES);
    const struct list_entry *before = by_sender(l, "joe@example.org", true), *expression = by_sender(l, "ax@example.org", true);
    uint64_t serial = table_serial(t);
    assert_non_null(before);
    assert_non_null(expression);
    tables_poll(world.tables);
    assert_int_equal(table_serial(t), serial);
    WRITE(t, wall - 1, "late@example.org", ""); /* older than the file that was read */
    tables_poll(world.tables);
    assert_int_equal(table_serial(t), serial);
    WRITE(t, wall + 1, "joe@example.org", "old", "/a.@example.org/", "");
    tables_poll(world.tables);
    assert_int_not_equal(table_serial(t), serial); /* lines have no numbers there: another block */
    serial = table_serial(t);
    WRITE(t, wall + 2, "joe@example.org", "old", "/a.@example.org/", "");
    tables_poll(world.tables);
    assert_int_equal(table_serial(t), serial); /* the same in it */
    WRITE(t, wall + 3, "joe@example.org", "new", "/b.@example.org/", "", "ann@example.org", "");
    tables_poll(world.tables);
    assert_string_equal(by_sender(l, "joe@example.org", true)->reason, "new");
    assert_non_null(by_sender(l, "ann@example.org", true));
    assert_non_null(by_sender(l, "bx@example.org", true));
    assert_null(by_sender(l, "ax@example.org", true));
    mono += TABLES_GRACE - 1; /* what was found before is still there */
    tables_poll(world.tables);
    assert_string_equal(before->reason, "old");
    assert_string_equal(before->match, "joe@example.org");
    assert_string_equal(expression->match, "/a.@example.org/");
    size_t with_formers = tables_size(world.tables);
    mono += 2;
    tables_poll(world.tables);
    assert_true(tables_size(world.tables) < with_formers);
    mono += 3 * TABLES_GRACE;
    for (uint64_t i = 0; i < 5; i++) { /* entries of former blocks go, too */
        WRITE(t, wall + 10 + i, "joe@example.org", i % 2 ? "x" : "y");
        tables_poll(world.tables);
        assert_non_null(by_sender(l, "joe@example.org", true));
        mono += TABLES_GRACE;
    }
    list_free(l);
}

static void write_large(const struct table *t, uint64_t made, const char *entry)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err;
    char name[120], *comment = mem_alloc(60001);
    size_t n;
    memset(comment, 'x', 60000);
    comment[60000] = 0;
    for (unsigned i = 0; i < 700; i++) {
        char text[100];
        snprintf(text, sizeof text, "user%u@%s", i, entry);
        comment[0] = (char)('a' + i % 20); /* not the same as that of the entry before */
        struct snapshot_entry e = { .form = SNAPSHOT_KEY, .key = slice_str(text), .match = text, .comment = comment };
        assert_true(snapshot_add(b, &e, false, &err));
    }
    void *block = snapshot_finish(b, made, &n);
    snprintf(name, sizeof name, "tables/%s.table", table_source(t)->id);
    put(name, block, n);
    free(block);
    free(comment);
    snapshot_builder_free(b);
}

/* 42 MB that change every second: former blocks must stay for a while, but not hundreds of them. */
static void a_large_table_that_changes_all_the_time(void **state)
{
    put_text("people", "joe@example.org\n");
    put_text("clients", "");
    configure(PEOPLE);
    load();
    struct list_match *l = list(&world.config->checks.block_senders, LIST_OF_ADDRESSES);
    const struct table *t = tables_of_name(world.tables, "people", LIST_OF_ADDRESSES);
    const struct list_entry *before = NULL;
    for (unsigned i = 0; i < 5; i++) {
        write_large(t, wall + 1 + i, i % 2 ? "one.example" : "two.example");
        tables_poll(world.tables);
        mono += 1000;
        if (!i) before = by_sender(l, "user7@two.example", true);
        assert_true(tables_size(world.tables) < 100u << 20);
        assert_string_equal(before->match, "user7@two.example");
    }
    assert_non_null(by_sender(l, "user7@one.example", true));
    mono += TABLES_GRACE;
    tables_poll(world.tables); /* there is room again */
    tables_poll(world.tables);
    assert_non_null(by_sender(l, "user7@two.example", true));
    list_free(l);
}

static void a_clock_that_was_set_back_does_no_harm(void **state)
{
    put_text("people", "joe@example.org\n");
    put_text("clients", "");
    configure(PEOPLE);
    load();
    struct list_match *l = list(&world.config->checks.block_senders, LIST_OF_ADDRESSES);
    const struct table *t = tables_of_name(world.tables, "people", LIST_OF_ADDRESSES);
    wall -= 3600000;
    WRITE(t, wall, "ann@example.org", "");
    tables_poll(world.tables);
    assert_non_null(by_sender(l, "ann@example.org", true));
    list_free(l);
    wall += 3600000;
}

static void damaged_blocks_change_nothing(void **state)
{
    char name[120];
    put_text("people", "joe@example.org\n");
    put_text("clients", "192.0.2.1\n");
    configure(PEOPLE);
    load();
    struct list_match *l = list(&world.config->checks.block_clients, LIST_OF_CLIENTS);
    const char *id = NULL;
    for (size_t i = 0; i < tables_count(world.tables); i++)
        if (tables_source(world.tables, i)->of == LIST_OF_CLIENTS) id = tables_source(world.tables, i)->id;
    assert_non_null(id);
    assert_int_equal(strncmp(id, "clients-", 8), 0);
    snprintf(name, sizeof name, "tables/%s.table", id);
    put_text(name, "no table at all");
    tables_poll(world.tables);
    tables_poll(world.tables);
    assert_string_equal(by_ip(l, "192.0.2.1"), "192.0.2.1");
    put_text(name, "");
    tables_poll(world.tables);
    assert_string_equal(by_ip(l, "192.0.2.1"), "192.0.2.1");
    list_free(l);
}

static void a_broken_file_has_its_last_good_block(void **state)
{
    struct err err = { .text = "" };
    put_text("people", "joe@example.org\n");
    put_text("clients", "192.0.2.1\n");
    configure(PEOPLE);
    load();
    assert_null(tables_fault(world.tables));
    WRITE(tables_of_name(world.tables, "people", LIST_OF_ADDRESSES), wall, "joe@example.org", "");
    tables_free(world.tables);
    put_text("people", "joe@example.org\n10.0.0.1\n");
    world.tables = tables_new(world.config, &err);
    assert_non_null(world.tables);
    assert_non_null(strstr(tables_fault(world.tables)->text, "/people:2: \"10.0.0.1\""));
    struct list_match *l = list(&world.config->checks.block_senders, LIST_OF_ADDRESSES);
    assert_non_null(by_sender(l, "joe@example.org", true));
    list_free(l);
    put_text("clients", "nonsense@example.org\n"); /* never read before */
    assert_null(tables_new(world.config, &err));
    assert_non_null(strstr(err.text, "/clients:1"));
}

static void who_was_never_reached_has_nothing(void **state)
{
    configure("tables: {people: {type: sqlite, file: '%s/people', query: SELECT 1}}\ndomains: [{name: example.com}]\n"
              "checks: {block: {senders: [{table: people}]}}\n");
    load();
    struct list_match *l = list(&world.config->checks.block_senders, LIST_OF_ADDRESSES);
    const struct table *t = tables_of_name(world.tables, "people", LIST_OF_ADDRESSES);
    assert_null(table_snapshot(t));
    assert_false(list_is_empty(l));
    assert_null(by_sender(l, "joe@example.org", true));
    WRITE(t, 5, "joe@example.org", "");
    tables_poll(world.tables);
    assert_non_null(by_sender(l, "joe@example.org", true));
    assert_null(by_sender(l, "joe@example.org", true)->file);
    list_free(l);
    load(); /* over a restart */
    assert_non_null(table_snapshot(tables_of_name(world.tables, "people", LIST_OF_ADDRESSES)));
}

/* ---- relay domains */

static void domains_may_stand_in_a_table(void **state)
{
    put_text("ours", "Customer.example\n.tree.example\nboth.example\n");
    configure("tables: {ours: {file: '%s/ours'}, more: {type: sqlite, file: '%s/db', query: SELECT 1}}\n"
              "domains: [{name: both.example, deliver: 192.0.2.1}, {table: ours, deliver: 192.0.2.2}, {table: more, subdomains: yes}]\n");
    assert_null(config_domain_of(world.config, SLICE("customer.example")));
    load();
    config_set_tables(world.config, world.tables);
    const struct config_domain *d = config_domain_of(world.config, SLICE("CUSTOMER.example"));
    assert_non_null(d);
    assert_true(d->table);
    assert_string_equal(d->name, "ours");
    assert_string_equal(d->deliver.host, "192.0.2.2");
    assert_null(config_domain_of(world.config, SLICE("x.customer.example")));
    assert_ptr_equal(config_domain_of(world.config, SLICE("tree.example")), d);
    assert_ptr_equal(config_domain_of(world.config, SLICE("a.b.tree.example")), d);
    assert_string_equal(config_domain_of(world.config, SLICE("both.example"))->name, "both.example");
    assert_null(config_domain_of(world.config, SLICE("ours")));
    assert_null(config_domain_of(world.config, SLICE("late.example")));
    WRITE(tables_of_name(world.tables, "more", LIST_OF_DOMAINS), 1, "late.example", "");
    tables_poll(world.tables);
    assert_string_equal(config_domain_of(world.config, SLICE("a.late.example"))->name, "more");
    config_set_tables(world.config, NULL);
    assert_null(config_domain_of(world.config, SLICE("customer.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_is_named_is_a_source, setup, teardown),
        cmocka_unit_test(rows_are_what_the_table_is_for),
        cmocka_unit_test(a_table_has_a_limit),
        cmocka_unit_test_setup_teardown(files_have_values_and_comments, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_look_into_their_tables_too, setup, teardown),
        cmocka_unit_test_setup_teardown(the_nearest_network_wins_wherever_it_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(proof_is_asked_of_whole_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(what_there_is_not_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(newer_blocks_are_taken_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_table_that_changes_all_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_does_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_blocks_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_file_has_its_last_good_block, setup, teardown),
        cmocka_unit_test_setup_teardown(who_was_never_reached_has_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(domains_may_stand_in_a_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
