/* SPDX-License-Identifier: Apache-2.0
 * Reading a report that a process sent which may have been taken over. */
#include "base/mem.h"
#include "content/message.h"
#include "content/report.h"
#include "content/report_parts.h"
#include "content/wire.h"

#define FINDINGS_ALL (CONTENT_EXTERNAL_LINK | (CONTENT_EXTERNAL_LINK - 1))

static unsigned read_findings(struct wire *w, const json_t *o)
{
    return (unsigned)wire_number(w, o, "findings", UINT32_MAX) & FINDINGS_ALL;
}

/* ---- lists */

static void read_parts(struct wire *w, const json_t *j, uint64_t text_size, struct report *out)
{
    const json_t *all = wire_list(w, j, "parts", REPORT_PARTS_MAX, true, &out->part_n);
    out->parts = arena_alloc(w->arena, (out->part_n + 1) * sizeof *out->parts);
    for (size_t i = 0; i < out->part_n; i++) {
        const json_t *o = json_array_get(all, i);
        struct report_part *p = &out->parts[i];
        *p = (struct report_part){
            .parent = (uint32_t)wire_number(w, o, "parent", i ? i - 1 : 0), .depth = (uint32_t)wire_number(w, o, "depth", UINT32_MAX),
            .is_file = wire_flag(w, o, "file"), .is_mime = wire_flag(w, o, "mime"),
            .name = wire_text(w, o, "name", REPORT_TEXT_MAX), .declared = wire_text(w, o, "declared", REPORT_TEXT_MAX),
            .type = wire_text(w, o, "type", REPORT_TEXT_MAX), .blocked = wire_text(w, o, "blocked", REPORT_TEXT_MAX),
            .size = wire_number(w, o, "size", INT64_MAX), .at = wire_number(w, o, "at", text_size),
            .n = wire_number(w, o, "n", text_size), .findings = read_findings(w, o),
        };
        if (p->n > text_size - p->at || (!p->is_mime && (p->at || p->n))) wire_fail(w, "n");
    }
}

static void read_viruses(struct wire *w, const json_t *j, struct report *out)
{
    const json_t *all = wire_list(w, j, "viruses", REPORT_VIRUSES_MAX, true, &out->virus_n);
    out->viruses = arena_alloc(w->arena, (out->virus_n + 1) * sizeof *out->viruses);
    for (size_t i = 0; i < out->virus_n; i++) {
        const json_t *o = json_array_get(all, i);
        out->viruses[i] = (struct report_virus){ wire_text(w, o, "scanner", REPORT_TEXT_MAX), wire_text(w, o, "name", REPORT_TEXT_MAX),
                                                 wire_text(w, o, "part", REPORT_TEXT_MAX) };
    }
}

static void read_scanners(struct wire *w, const json_t *j, struct report *out)
{
    const json_t *all = wire_list(w, j, "scanners", REPORT_SCANNERS_MAX, true, &out->scanner_n);
    out->scanners = arena_alloc(w->arena, (out->scanner_n + 1) * sizeof *out->scanners);
    for (size_t i = 0; i < out->scanner_n; i++) {
        const json_t *o = json_array_get(all, i);
        out->scanners[i] = (struct report_scanner){
            .name = wire_text(w, o, "name", REPORT_TEXT_MAX), .text = wire_text(w, o, "text", REPORT_TEXT_MAX),
            .state = (enum scanner_state)wire_number(w, o, "state", SCANNER_TOO_LARGE), .us = (uint32_t)wire_number(w, o, "us", UINT32_MAX),
        };
    }
}

static void read_symbols(struct wire *w, const json_t *j, struct report *out)
{
    const json_t *all = wire_list(w, j, "symbols", REPORT_SYMBOLS_MAX, true, &out->symbol_n);
    out->symbols = arena_alloc(w->arena, (out->symbol_n + 1) * sizeof *out->symbols);
    for (size_t i = 0; i < out->symbol_n; i++) {
        const json_t *o = json_array_get(all, i);
        out->symbols[i] = (struct report_symbol){
            .engine = wire_text(w, o, "engine", REPORT_TEXT_MAX), .name = wire_text(w, o, "name", REPORT_TEXT_MAX),
            .text = wire_text(w, o, "text", REPORT_TEXT_MAX), .score = wire_score(w, o, "score"),
        };
    }
}

/* ---- actions and edits */

static void read_action_parts(struct wire *w, const json_t *o, size_t part_n, struct report_action *a)
{
    const json_t *all = wire_list(w, o, "parts", REPORT_PARTS_MAX, false, &a->part_n);
    a->parts = arena_alloc(w->arena, (a->part_n + 1) * sizeof *a->parts);
    for (size_t i = 0; i < a->part_n; i++) {
        const json_t *v = json_array_get(all, i);
        json_int_t n = json_integer_value(v);
        if (!json_is_integer(v) || n < 0 || (uint64_t)n >= part_n) wire_fail(w, "parts");
        a->parts[i] = (uint32_t)n;
    }
}

static void read_actions(struct wire *w, const json_t *j, struct report *out)
{
    const json_t *all = wire_list(w, j, "actions", REPORT_ACTIONS_MAX, true, &out->action_n);
    out->actions = arena_alloc(w->arena, (out->action_n + 1) * sizeof *out->actions);
    for (size_t i = 0; i < out->action_n; i++) {
        const json_t *o = json_array_get(all, i);
        struct report_action *a = &out->actions[i];
        *a = (struct report_action){
            .by = wire_text(w, o, "by", REPORT_TEXT_MAX), .name = wire_text(w, o, "name", REPORT_TEXT_MAX),
            .place = { (uint32_t)wire_number(w, o, "line", UINT32_MAX), (uint32_t)wire_number(w, o, "column", UINT32_MAX) },
            .action = (enum config_rule_do)wire_number(w, o, "do", CONFIG_DO_WARN), .text = wire_text(w, o, "text", REPORT_TEXT_MAX),
            .address = wire_text(w, o, "address", REPORT_TEXT_MAX), .code = (uint32_t)wire_number(w, o, "code", 599),
            .enhanced = wire_text(w, o, "enhanced", REPORT_ENHANCED_MAX),
        };
        if (!report_is_code(a->code)) wire_fail(w, "code");
        if (!report_is_enhanced(a->enhanced, a->code)) wire_fail(w, "enhanced");
        read_action_parts(w, o, out->part_n, a);
    }
}

static void read_edits(struct wire *w, const json_t *j, uint64_t text_size, struct report *out)
{
    const json_t *all = wire_list(w, j, "edits", REPORT_EDITS_MAX, true, &out->edit_n);
    uint64_t end = 0;
    size_t room = ENVELOPE_CUTS_TEXT_MAX;
    out->edits = arena_alloc(w->arena, (out->edit_n + 1) * sizeof *out->edits);
    for (size_t i = 0; i < out->edit_n; i++) {
        const json_t *o = json_array_get(all, i);
        struct envelope_cut *e = &out->edits[i];
        *e = (struct envelope_cut){ wire_number(w, o, "at", text_size), wire_number(w, o, "n", text_size), wire_bytes(w, o, "with", room) };
        if (!report_edit_fits(e, end) || e->n > text_size - e->at) wire_fail(w, "edits");
        end = e->at + e->n;
        room -= e->with.n;
    }
}

bool report_decode(const json_t *j, uint64_t text_size, struct arena *arena, struct report *out, struct err *err)
{
    struct wire w = { .arena = arena, .err = err };
    *out = (struct report){ 0 };
    if (text_size > INT64_MAX || !json_is_object(j)) return err_set(err, "the report is none");
    read_parts(&w, j, text_size, out);
    out->parts_more = (uint32_t)wire_number(&w, j, "parts_more", UINT32_MAX);
    out->findings = read_findings(&w, j);
    read_viruses(&w, j, out);
    read_scanners(&w, j, out);
    out->judged = wire_flag(&w, j, "judged");
    out->score = wire_score(&w, j, "score");
    uint64_t class = wire_number(&w, j, "class", CONFIG_SPAM_CONFIRMED);
    out->class = (enum config_spam_class)class;
    if (!report_is_class(class)) wire_fail(&w, "class");
    read_symbols(&w, j, out);
    read_actions(&w, j, out);
    read_edits(&w, j, text_size, out);
    out->prepend = wire_bytes(&w, j, "prepend", REPORT_PREPEND_MAX);
    if (!report_is_header(out->prepend)) wire_fail(&w, "prepend");
    out->subject_at = wire_number(&w, j, "subject_at", text_size);
    out->subject = wire_text(&w, j, "subject", REPORT_SUBJECT_MAX);
    out->us = (uint32_t)wire_number(&w, j, "us", UINT32_MAX);
    out->crashed = wire_flag(&w, j, "crashed");
    if (w.failed) *out = (struct report){ 0 };
    return !w.failed;
}
