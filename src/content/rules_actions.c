/* SPDX-License-Identifier: Apache-2.0
 * Rules, one after the other, and what they do. */
#include "base/mem.h"
#include "content/rules_int.h"

static void remove_fields(struct rules_run *run, struct slice name)
{
    const struct content_message *m = run->message;
    for (size_t i = 0; i < m->field_n; i++)
        if (slice_ieq(m->fields[i].name, name)) rules_change(run, &m->fields[i], m->fields[i].n, SLICE(""));
    rules_note(run, CONFIG_DO_REMOVE_HEADER, name);
}

static void add_field(struct rules_run *run, const char *text)
{
    bool added = report_add_prepend(run->report, slice_str(arena_printf(run->arena, "%s\r\n", text)), run->arena);
    if (added) rules_note(run, CONFIG_DO_ADD_HEADER, slice_str(text));
    else rules_note(run, CONFIG_DO_WARN, SLICE("a header line cannot be added: too many, or it is none"));
}

static void strip(struct rules_run *run, const struct rule_parts *parts)
{
    struct report_action a = { .action = CONFIG_DO_STRIP, .parts = parts->numbers, .part_n = parts->n };
    if (parts->n) rules_tell(run, a);
    if (!parts->lost) return;
    rules_tell(run, (struct report_action){ .action = CONFIG_DO_QUARANTINE, .text = SLICE("too many parts to take those out that were found") });
}

/* False: no further rule. */
static bool act(struct rules_run *run, const struct config_rule_action *c, const struct rule_parts *parts)
{
    struct report_action a = { .action = c->action, .text = slice_str(c->text), .address = slice_str(c->address) };
    switch (c->action) {
    case CONFIG_DO_ADD_HEADER: add_field(run, c->text); return true;
    case CONFIG_DO_REMOVE_HEADER: remove_fields(run, slice_str(c->text)); return true;
    case CONFIG_DO_STRIP: strip(run, parts); return true;
    default: rules_tell(run, a); break;
    }
    return c->action != CONFIG_DO_ACCEPT && c->action != CONFIG_DO_REJECT && c->action != CONFIG_DO_DEFER && c->action != CONFIG_DO_DISCARD &&
           c->action != CONFIG_DO_STOP;
}

void rules_apply_rules(struct rules_run *run)
{
    struct rule_parts parts;
    bool goes_on = true;
    run->by = SLICE("rule");
    for (size_t i = 0; i < run->rules->rule_n && goes_on; i++) {
        const struct rule *rule = &run->rules->rules[i];
        run->name = slice_str(rule->config->name);
        run->place = rule->config->place;
        if (!rule_holds(run, rule, &parts)) continue;
        for (size_t k = 0; k < rule->config->action_n && goes_on; k++) {
            run->place = rule->config->actions[k].place;
            goes_on = act(run, &rule->config->actions[k], &parts);
        }
    }
}
