/* SPDX-License-Identifier: Apache-2.0
 * Checks beside mapped domains and tables: what is written of an address holds for its other names, and what was found in a table
 * holds as long as it is needed, whatever becomes of the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/mem.h"
#include "config/config.h"
#include "config/tables.h"
#include "policy/pipeline.h"

static uint64_t mono = 1000;
uint64_t __wrap_clock_mono_ms(void); // NOLINT(bugprone-reserved-identifier): the linker's name
uint64_t __wrap_clock_mono_ms(void) { return mono; } // NOLINT(bugprone-reserved-identifier)

struct world {
    char folder[40];
    struct config *config;
    struct policy *policy;
    struct policy_engine *engine;
    struct policy_run *run;
};

#define BASE \
    "hostname: mx.postern.example\nlisteners: [{address: \"127.0.0.1:2525\"}]\ndomains: [{name: example.com, deliver: 127.0.0.1}]\n"
#define CHECKS \
    "  sender: {resolvable: no, fqdn: no}\n  recipient: {resolvable: no, fqdn: no}\n  spf: {enabled: no}\n  dkim: {enabled: no}\n" \
    "  arc: {enabled: no}\n  dmarc: {enabled: no}\n  reverse_dns: {enabled: no}\n"

static void on_verdict(void *arg, const struct policy_verdict *v) { *(struct policy_verdict *)arg = *v; }

/* %s: the folder. */
static struct world *begin(const char *more)
{
    struct world *w = mem_new(struct world);
    struct config_report problems = { 0 };
    struct err err;
    struct buf text = { 0 };
    char path[64];
    snprintf(w->folder, sizeof w->folder, "/tmp/postern-checks-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(path, sizeof path, "%s/tables", w->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/list", w->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("192.0.2.0/24\n", f) >= 0);
    fclose(f);
    buf_addf(&text, BASE "system: {directory: %s}\n", w->folder);
    for (const char *at; (at = strstr(more, "%s")); more = at + 2) {
        buf_add(&text, slice_of(more, (size_t)(at - more)));
        buf_add_str(&text, w->folder);
    }
    buf_add_str(&text, more);
    w->config = config_parse(buf_slice(&text), "/nowhere/postern.yaml", &problems);
    buf_deinit(&text);
    if (!w->config) fail_msg("%s", problems.n ? problems.findings[0].text : "?");
    config_report_deinit(&problems);
    w->policy = policy_new(w->config, &err);
    if (!w->policy) fail_msg("%s", err.text);
    w->engine = policy_engine_new(&(struct policy_engine_options){ .config = w->config, .policy = w->policy });
    struct policy_client client = { .zone = &w->config->zones[w->config->zone_n - 1] };
    ip_parse(SLICE("192.0.2.1"), &client.ip);
    w->run = policy_run_new(w->engine, &client, false);
    struct address a = { 0 };
    policy_set_helo(w->run, SLICE("client.example"));
    assert_null(address_parse(SLICE("eve@client.example"), &a));
    policy_set_sender(w->run, &a);
    return w;
}

static void end(struct world *w)
{
    char command[100];
    policy_run_free(&w->run);
    policy_engine_free(w->engine);
    policy_free(w->policy);
    config_free(w->config);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    free(w);
}

/* Which check refuses it; "": none. */
static const char *refused_by(struct world *w, const char *rcpt)
{
    struct policy_verdict v = { .check = "" };
    struct address a;
    assert_null(address_parse(slice_str(rcpt), &a));
    policy_set_recipient(w->run, &a, 0);
    policy_ask(w->run, STAGE_RCPT, &v, on_verdict, &v);
    assert_int_not_equal(v.outcome, POLICY_WAIT);
    return policy_refuses(v.outcome) ? v.check : "";
}

static const char *why_of(const struct world *w, const char *check)
{
    for (size_t i = 0; i < w->policy->n; i++)
        if (!strcmp(w->policy->checks[i]->name, check)) return w->run->slots[i].finding ? w->run->slots[i].finding->why : "";
    return "";
}

static void expect(struct world *w, const char *rcpt, const char *check)
{
    const char *by = refused_by(w, rcpt);
    if (strcmp(by, check) != 0) fail_msg("%s: refused by \"%s\", not by \"%s\"", rcpt, by, check);
}

static void blocked_under_each_name(void **state)
{
    struct world *w = begin("mappings: [{from: old.example, to: example.com}, {from: .tree.example, to: old.example}]\n"
                            "checks:\n" CHECKS
                            "  block: {recipients: [former@example.com, \"/x[0-9]+@example\\\\.com/\", gone@old.example, both@old.example]}\n"
                            "  allow: {recipients: [both@example.com, far@old.example]}\n");
    static const char *const blocked[] = { "former@example.com", "Former@OLD.example", "\"former\"@old.example", "\"f\\ormer\"@tree.example",
                                           "former@a.b.c.Tree.example", "x77@a.tree.example", "gone@old.example" };
    for (size_t i = 0; i < countof(blocked); i++) expect(w, blocked[i], "recipient-list");
    expect(w, "formerly@old.example", "");
    expect(w, "far@old.example", "");
    expect(w, "gone@example.com", ""); /* one of its names alone */
    expect(w, "both@old.example", ""); /* of two that are equally near the allowing one */
    end(w);
}

static void write_block(const struct world *w, const struct table *t, uint64_t made, const char *entry)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err;
    char path[200], aside[210];
    size_t n;
    assert_true(tables_add_row(b, table_source(t), slice_str(entry), SLICE(""), &err));
    void *block = snapshot_finish(b, made, &n);
    snprintf(path, sizeof path, "%s/tables/%s.table", w->folder, table_source(t)->id);
    snprintf(aside, sizeof aside, "%s.new", path);
    FILE *f = fopen(aside, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(block, 1, n, f), n);
    fclose(f);
    assert_int_equal(rename(aside, path), 0);
    free(block);
    snapshot_builder_free(b);
}

/* A connection that stays for hours, and a table that changes meanwhile. */
static void exempt_for_the_whole_connection(void **state)
{
    struct world *w = begin("checks:\n" CHECKS "  greylist: {enabled: yes, exempt: {clients: [{file: %s/list}]}}\n");
    expect(w, "ann@example.com", "");
    assert_string_equal(why_of(w, "greylist"), "exempt: 192.0.2.0/24");
    struct tables *tables = policy_tables(w->policy);
    char path[64];
    snprintf(path, sizeof path, "%s/list", w->folder);
    const struct table *t = tables_of_file(tables, path, LIST_OF_CLIENTS);
    assert_non_null(t);
    size_t before = tables_size(tables);
    write_block(w, t, snapshot_made(table_snapshot(t)) + 1, "203.0.113.0/24");
    tables_poll(tables);
    assert_true(tables_size(tables) > before);
    mono += TABLES_GRACE + 1000;
    tables_poll(tables);
    assert_int_equal(tables_size(tables), snapshot_size(table_snapshot(t))); /* what was found first is no more */
    expect(w, "bob@example.com", "");
    assert_string_equal(why_of(w, "greylist"), "exempt: 192.0.2.0/24");
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_under_each_name),
        cmocka_unit_test(exempt_for_the_whole_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
