/* SPDX-License-Identifier: Apache-2.0
 * Header checks and rules: read, held against a message, and what they come to. */
#include "content/rules.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "content/report_parts.h"
#include "content/rules_int.h"

#define MATCH_STEPS 500000   /* of one pattern on one text */
#define MATCH_DEPTH 50000
#define MATCH_HEAP 8192      /* KiB */
#define NOTES_MAX 16
#define TIME_SHARE 4         /* header checks and rules may each take this part of scan.timeout */

/* ---- reading */

static bool read_list(const struct rules *r, const struct config_match_list *from, enum list_of of, struct list_match **out, struct err *err)
{
    if (!from->n) return true;
    *out = list_new(from, of, r->tables, err);
    return *out;
}

static bool read_rule(struct rules *r, const struct config_rule *c, struct rule *rule, struct err *err)
{
    const uint32_t options = PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    rule->config = c;
    rule->headers = arena_alloc(&r->arena, (c->when.header_n + 1) * sizeof *rule->headers);
    for (size_t i = 0; i < c->when.header_n; i++)
        if (!rules_pattern_compile(r, slice_str(c->when.headers[i].match), options, &rule->headers[i], err)) return false;
    return read_list(r, &c->when.clients, LIST_OF_CLIENTS, &rule->clients, err) &&
           read_list(r, &c->when.senders, LIST_OF_ADDRESSES, &rule->senders, err) &&
           read_list(r, &c->when.recipients, LIST_OF_ADDRESSES, &rule->recipients, err);
}

static bool read_rules(struct rules *r, struct config_place *place, struct err *err)
{
    const struct config *c = r->config;
    r->rules = arena_alloc(&r->arena, (c->rule_n + 1) * sizeof *r->rules);
    for (size_t i = 0; i < c->rule_n; i++) {
        *place = c->rules[i].place;
        if (c->rules[i].enabled && !read_rule(r, &c->rules[i], &r->rules[r->rule_n++], err)) return false;
    }
    return true;
}

static struct rules *read_all(const struct config *c, const struct tables *tables, struct config_place *place, struct err *err)
{
    struct rules *r = mem_new(struct rules);
    r->config = c;
    r->tables = tables;
    if (!rules_read_headers(r, place, err) || !read_rules(r, place, err)) {
        rules_free(r);
        return NULL;
    }
    r->found = pcre2_match_data_create(r->groups + 1, NULL);
    r->limits = pcre2_match_context_create(NULL);
    if (!r->found || !r->limits) abort(); /* as mem_alloc */
    pcre2_set_match_limit(r->limits, MATCH_STEPS);
    pcre2_set_depth_limit(r->limits, MATCH_DEPTH);
    pcre2_set_heap_limit(r->limits, MATCH_HEAP);
    return r;
}

struct rules *rules_new(const struct config *c, const struct tables *tables, struct err *err)
{
    struct err why = { 0 };
    struct config_place place = { 0 };
    struct rules *r = read_all(c, tables, &place, &why);
    if (r) return r;
    err_set_text(err, "line %u:%u: %s", place.line, place.column, why.text);
    err->code = why.code;
    return NULL;
}

bool rules_check(const struct config *c, const struct tables *tables, struct config_place *place, struct err *err)
{
    struct rules *r = read_all(c, tables, place, err);
    rules_free(r);
    return r;
}

void rules_free(struct rules *r)
{
    if (!r) return;
    rules_free_headers(r);
    for (size_t i = 0; i < r->rule_n; i++) {
        struct rule *rule = &r->rules[i];
        for (size_t k = 0; k < rule->config->when.header_n; k++) pcre2_code_free(rule->headers[k].code);
        list_free(rule->clients);
        list_free(rule->senders);
        list_free(rule->recipients);
    }
    pcre2_match_data_free(r->found);
    pcre2_match_context_free(r->limits);
    arena_deinit(&r->arena);
    free(r);
}

/* ---- what they say */

static bool is_note(const struct report_action *a)
{
    return a->action == CONFIG_DO_WARN || a->action == CONFIG_DO_ADD_HEADER || a->action == CONFIG_DO_REMOVE_HEADER ||
           a->action == CONFIG_DO_STOP;
}

static bool is_told(const struct rules_run *run, const struct report_action *a)
{
    for (size_t i = 0; i < run->report->action_n; i++) {
        const struct report_action *b = &run->report->actions[i];
        if (a->action == b->action && slice_eq(a->by, b->by) && slice_eq(a->name, b->name) && slice_eq(a->text, b->text) &&
            slice_eq(a->address, b->address))
            return true;
    }
    return false;
}

/* The last of those that only tell something. */
static bool drop_note(struct report *r)
{
    for (size_t i = r->action_n; i-- > 0;) {
        if (!is_note(&r->actions[i])) continue;
        memmove(&r->actions[i], &r->actions[i + 1], (r->action_n - i - 1) * sizeof *r->actions);
        r->action_n--;
        return true;
    }
    return false;
}

void rules_tell(struct rules_run *run, struct report_action a)
{
    a.by = run->by;
    a.name = run->name;
    a.place = run->place;
    a.text = slice_sub(a.text, 0, REPORT_TEXT_MAX);
    if (is_told(run, &a) || (is_note(&a) && run->notes++ >= NOTES_MAX)) return;
    while (!report_add_action(run->report, &a, run->arena))
        if (is_note(&a) || !drop_note(run->report)) break;
}

void rules_note(struct rules_run *run, enum config_rule_do what, struct slice text)
{
    rules_tell(run, (struct report_action){ .action = what, .text = arena_slice(run->arena, slice_sub(text, 0, REPORT_TEXT_MAX)) });
}

/* ---- changes of the header */

bool rules_change(struct rules_run *run, const struct content_field *f, uint64_t n, struct slice with)
{
    const struct report *r = run->report;
    const uint64_t size = run->message->bytes.n;
    if (f->at > size || !f->n || f->n > size - f->at) return false;
    for (size_t i = 0; i < r->edit_n; i++)
        if (r->edits[i].at + r->edits[i].n > f->at && f->at + n > r->edits[i].at) return false;
    if (run->change_n == run->change_room) {
        run->change_room = run->change_room ? 2 * run->change_room : 16;
        struct envelope_cut *more = arena_alloc(run->arena, run->change_room * sizeof *more);
        if (run->change_n) memcpy(more, run->changes, run->change_n * sizeof *more);
        run->changes = more;
    }
    return envelope_cuts_add(run->changes, &run->change_n, (struct envelope_cut){ f->at, n, with });
}

/* Those from first to last, which touch each other, as one. */
static bool add_edit(struct rules_run *run, const struct envelope_cut *c, size_t n)
{
    struct buf with = { 0 };
    for (size_t i = 0; i < n; i++) buf_add(&with, c[i].with);
    struct envelope_cut edit = { .at = c->at, .n = c[n - 1].at + c[n - 1].n - c->at, .with = buf_keep(&with, run->arena) };
    return report_add_edit(run->report, &edit, run->arena);
}

void rules_settle(struct rules_run *run)
{
    const struct envelope_cut *c = run->changes;
    size_t lost = 0;
    for (size_t i = 0, n; i < run->change_n; i += n) {
        for (n = 1; i + n < run->change_n && c[i + n - 1].at + c[i + n - 1].n == c[i + n].at; n++) {}
        if (add_edit(run, &c[i], n)) continue;
        for (size_t k = 0; k < n; k++) lost += n == 1 || !add_edit(run, &c[i + k], 1);
    }
    run->change_n = 0;
    if (!lost) return;
    run->notes = 0;
    rules_note(run, CONFIG_DO_WARN, slice_str(arena_printf(run->arena, "%zu changes of the header are not done: too many", lost)));
}

void rules_apply(const struct rules *r, const struct content_message *m, const struct scan_context *c, struct report *report,
                 struct arena *arena)
{
    const uint64_t share = r->config->scan.timeout * 1000 / TIME_SHARE;
    struct rules_run run = { .rules = r, .message = m, .context = c, .report = report, .arena = arena };
    run.deadline = clock_mono_us() + share;
    bool goes_on = !r->line_n || rules_apply_headers(&run);
    run.deadline = clock_mono_us() + share;
    run.gave_up = false;
    run.notes = 0;
    if (goes_on) rules_apply_rules(&run);
    rules_settle(&run);
}
