/* SPDX-License-Identifier: Apache-2.0
 * Hostile messages against header checks and rules that do all that can be done: the report can be sent and read again, and its edits leave a
 * message whose header has no field that is neither its own nor one of ours. */
#include "base/log.h"
#include "base/mem.h"
#include "content/report_parts.h"
#include "content/rules.h"
#include "content_message.h"

static const char text[] =
    "hostname: mx.example.com\ndomains: [{name: example.com, deliver: 192.0.2.1}]\nheader_checks:\n"
    "  - '/^X-A: (.*)/ REPLACE X-A: $1'\n  - '/^X-B: (.*)/ PREPEND X-B: $1'\n  - '/^X-C/ IGNORE'\n  - '/^X-D: (.*)/ REPLACE $1'\n"
    "  - '/^X-E: (.*)/ REDIRECT $1'\n  - '/^X-F: (.*)/ BCC $1'\n  - '/^X-G: (.*)/ REJECT $1'\n  - '/^X-H: (a+)+$/ HOLD'\n  - '/^X-I:(.*)\\n(.*)/ PREPEND X-I: $2$1'\n"
    "  - '!/^[\\x00-\\x7f]*$/ STRIP 8bit'\n"
    "rules:\n  - {name: a, if: {headers: [{name: subject, match: '\\w+é|(x+x+)+y'}]}, then: [{action: remove_header, text: Subject}]}\n"
    "  - {name: b, if: {attachments: [executable, {name: '*.txt', larger: 10}]}, then: [strip, {action: add_header, text: 'X-New: 1'}]}\n"
    "  - {name: c, if: {attachments: [any]}, then: [strip, {action: remove_header, text: Received}, stop]}\n";

static struct rules *read_rules(void)
{
    struct config_report report;
    struct err err;
    struct config *c = config_parse(slice_str(text), "fuzz", &report);
    must(c);
    config_report_deinit(&report);
    log_open("fuzz", LOG_ERROR);
    c->scan.timeout = 200; /* a pattern that never ends is among them */
    return rules_new(c, NULL, &err);
}

static void tell_parts(const struct content_message *m, struct report *r, struct arena *arena)
{
    size_t n = m->part_n < REPORT_PARTS_MAX ? m->part_n : REPORT_PARTS_MAX;
    r->parts = arena_alloc(arena, n * sizeof *r->parts);
    for (; r->part_n < n; r->part_n++) {
        const struct content_part *p = &m->parts[r->part_n];
        r->parts[r->part_n] = (struct report_part){ .parent = p->parent, .depth = p->depth, .is_file = p->is_file, .is_mime = p->is_mime,
            .name = p->name_n ? p->names[0] : SLICE(""), .type = p->type, .size = p->size, .at = p->is_mime ? p->at : 0,
            .n = p->is_mime ? p->n : 0, .findings = p->findings };
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules *rules;
    struct arena arena = { 0 };
    struct content_message m;
    struct report report = { 0 }, again;
    struct scan_context nobody = { 0 };
    struct err err;
    if (!rules) rules = read_rules();
    must(rules);
    must_read(slice_of(data, size), &arena, &m);
    tell_parts(&m, &report, &arena);
    rules_apply(rules, &m, &nobody, &report, &arena);
    for (size_t i = 0; i < report.edit_n; i++) must(report_is_header(report.edits[i].with));
    for (size_t i = 0; i < report.action_n; i++)
        for (size_t k = 0; k < report.actions[i].part_n; k++) must(report.actions[i].parts[k] < report.part_n);
    json_t *j = report_encode(&report);
    must(report_decode(j, m.bytes.n, &arena, &again, &err));
    must(again.edit_n == report.edit_n && again.action_n == report.action_n && again.prepend.n == report.prepend.n);
    json_decref(j);
    arena_deinit(&arena);
    return 0;
}
