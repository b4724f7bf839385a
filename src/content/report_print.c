/* SPDX-License-Identifier: Apache-2.0
 * A report for people and programs: names for numbers. */
#include "base/mem.h"
#include "content/message.h"
#include "content/report.h"
#include "content/wire.h"

const char *report_scanner_state_name(enum scanner_state s)
{
    static const char *const names[] = { "fine", "not-asked", "down", "timeout", "nonsense", "too-large" };
    return names[s];
}

const char *report_class_name(enum config_spam_class c)
{
    switch (c) {
    case CONFIG_SPAM_NON_SPAM: return "non-spam";
    case CONFIG_SPAM_NONE: return "none";
    case CONFIG_SPAM_UNKNOWN: return "unknown";
    case CONFIG_SPAM_SUSPECTED: return "suspected";
    case CONFIG_SPAM_BULK: return "bulk";
    case CONFIG_SPAM_CONFIRMED: return "confirmed";
    }
    return "none";
}

const char *report_action_name(enum config_rule_do a)
{
    static const char *const names[] = { "accept",     "reject",        "defer",    "discard", "quarantine", "tag-subject",
                                         "add-header", "remove-header", "redirect", "copy",    "notify",     "strip",
                                         "stop",       "remove-recipient", "change-sender", "hold", "warn" };
    return names[a];
}

static void put_text(json_t *o, const char *key, struct slice s) { wire_put_text(o, key, s, REPORT_TEXT_MAX); }

static void put_score(json_t *o, int32_t score) { json_object_set_new(o, "score", json_real(score / 100.0)); }

static void put_findings(json_t *o, unsigned findings)
{
    json_t *all = json_array();
    for (unsigned bit = 1; bit && bit <= findings; bit <<= 1)
        if (findings & bit) json_array_append_new(all, json_string(content_finding_name(bit)));
    json_object_set_new(o, "findings", all);
}

static json_t *print_part(const struct report_part *p, size_t number)
{
    json_t *o = json_object();
    json_object_set_new(o, "number", json_integer((json_int_t)number));
    if (number) json_object_set_new(o, "parent", json_integer(p->parent));
    json_object_set_new(o, "depth", json_integer(p->depth));
    json_object_set_new(o, "file", json_boolean(p->is_file));
    json_object_set_new(o, "mime", json_boolean(p->is_mime));
    put_text(o, "name", p->name);
    put_text(o, "declared", p->declared);
    put_text(o, "type", p->type);
    json_object_set_new(o, "size", json_integer((json_int_t)p->size));
    put_findings(o, p->findings);
    put_text(o, "blocked", p->blocked);
    return o;
}

static json_t *print_virus(const struct report_virus *v)
{
    json_t *o = json_object();
    put_text(o, "scanner", v->scanner);
    put_text(o, "name", v->name);
    put_text(o, "part", v->part);
    return o;
}

static json_t *print_scanner(const struct report_scanner *s)
{
    json_t *o = json_object();
    put_text(o, "name", s->name);
    json_object_set_new(o, "state", json_string(report_scanner_state_name(s->state)));
    put_text(o, "text", s->text);
    json_object_set_new(o, "us", json_integer(s->us));
    return o;
}

static json_t *print_symbol(const struct report_symbol *s)
{
    json_t *o = json_object();
    put_text(o, "engine", s->engine);
    put_text(o, "name", s->name);
    put_text(o, "text", s->text);
    put_score(o, s->score);
    return o;
}

static json_t *print_action(const struct report_action *a)
{
    json_t *o = json_object(), *parts = json_array();
    put_text(o, "by", a->by);
    put_text(o, "name", a->name);
    wire_put_number(o, "line", a->place.line);
    json_object_set_new(o, "action", json_string(report_action_name(a->action)));
    put_text(o, "text", a->text);
    put_text(o, "address", a->address);
    wire_put_number(o, "code", a->code);
    put_text(o, "enhanced", a->enhanced);
    for (size_t i = 0; i < a->part_n; i++) json_array_append_new(parts, json_integer(a->parts[i]));
    wire_put_list(o, "parts", parts);
    return o;
}

/* What is put into the message as lines of text; other bytes than UTF-8 are shown replaced. */
static json_t *print_lines(struct slice s)
{
    json_t *all = json_array();
    struct slice line;
    while (s.n) {
        slice_cut(&s, '\n', &line);
        json_array_append_new(all, wire_clean_text(slice_trim(line), 1000));
    }
    return all;
}

static json_t *print_edit(const struct envelope_cut *e)
{
    return json_pack("{s:I, s:I, s:o}", "at", (json_int_t)e->at, "n", (json_int_t)e->n, "with", print_lines(e->with));
}

#define PRINT_LIST(o, key, n, one)                                     \
    do {                                                                      \
        json_t *list = json_array();                                          \
        for (size_t i = 0; i < (n); i++) json_array_append_new(list, one);    \
        json_object_set_new(o, key, list);                                    \
    } while (0)

json_t *report_to_json(const struct report *r)
{
    json_t *o = json_object();
    PRINT_LIST(o, "parts", r->part_n, print_part(&r->parts[i], i));
    wire_put_number(o, "parts_more", r->parts_more);
    put_findings(o, r->findings);
    PRINT_LIST(o, "viruses", r->virus_n, print_virus(&r->viruses[i]));
    PRINT_LIST(o, "scanners", r->scanner_n, print_scanner(&r->scanners[i]));
    json_object_set_new(o, "judged", json_boolean(r->judged));
    if (r->judged) put_score(o, r->score);
    if (r->judged) json_object_set_new(o, "class", json_string(report_class_name(r->class)));
    PRINT_LIST(o, "symbols", r->symbol_n, print_symbol(&r->symbols[i]));
    PRINT_LIST(o, "actions", r->action_n, print_action(&r->actions[i]));
    PRINT_LIST(o, "edits", r->edit_n, print_edit(&r->edits[i]));
    if (r->prepend.n) json_object_set_new(o, "prepend", print_lines(r->prepend));
    put_text(o, "subject", r->subject);
    json_object_set_new(o, "us", json_integer(r->us));
    wire_put_flag(o, "crashed", r->crashed);
    return o;
}

bool report_blocks(const struct report *r)
{
    bool blocks = r->virus_n > 0;
    for (size_t i = 0; i < r->part_n; i++) blocks |= r->parts[i].blocked.n > 0;
    return blocks;
}

/* From the end, and a half at a time: writing them to see what they take is not for free. */
static void drop_parts(json_t *o, size_t max)
{
    json_t *parts = json_object_get(o, "parts");
    json_int_t more = json_integer_value(json_object_get(o, "parts_more"));
    while (json_array_size(parts) && json_dumpb(o, NULL, 0, JSON_COMPACT) > max) {
        for (size_t keep = json_array_size(parts) / 2; json_array_size(parts) > keep; more++) json_array_remove(parts, json_array_size(parts) - 1);
        wire_put_number(o, "parts_more", more);
    }
}

json_t *report_to_people(const struct report *r, size_t max)
{
    json_t *o = report_to_json(r);
    if (!r->crashed) json_object_set_new(o, "verdict", json_string(report_blocks(r) ? "block" : "pass"));
    drop_parts(o, max);
    return o;
}

void report_add_view(json_t *to_people, const json_t *view)
{
    static const char *const names[] = { "headers", "text", "links" };
    for (size_t i = 0; i < countof(names); i++) json_object_set(to_people, names[i], json_object_get(view, names[i]));
}
