/* SPDX-License-Identifier: Apache-2.0
 * Asks the rules: one pass over each text for the words that patterns cannot do without, then only the patterns that may match, within
 * limits; then the expressions, in the order of the files. */
#include <stdlib.h>
#include "base/mem.h"
#include "spam/rule.h"

#define MATCH_LIMIT 200000       /* steps of one pattern at one text: well-written ones need some dozens */
#define HEAP_LIMIT 2048          /* KiB */
#define HTML_MAX (128 << 10)     /* bytes of a text that patterns see */

void rules_init(struct rules *r)
{
    *r = (struct rules){ .prefilter = prefilter_new(), .match = pcre2_match_context_create(NULL),
        .data = pcre2_match_data_create(1, NULL) };
    if (!r->match || !r->data)
        abort();
    pcre2_set_match_limit(r->match, MATCH_LIMIT);
    pcre2_set_heap_limit(r->match, HEAP_LIMIT);
}

void rules_deinit(struct rules *r)
{
    for (size_t i = 0; i < r->n; i++)
        pcre2_code_free(r->rules[i].code);
    free(r->rules);
    free(r->fields);
    prefilter_free(r->prefilter);
    pcre2_match_context_free(r->match);
    pcre2_match_data_free(r->data);
    arena_deinit(&r->arena);
    *r = (struct rules){ 0 };
}

struct rule *rules_find(const struct rules *r, struct slice name)
{
    for (size_t i = 0; i < r->n; i++)
        if (slice_eq(slice_str(r->rules[i].name), name))
            return &r->rules[i];
    return NULL;
}

/* An expression stands on the DNS when anything in it does, else on the body when anything in it does. */
static enum fact_leg leg_of(const struct rules *r, const struct rule *rule)
{
    enum fact_leg leg = LEG_HEADER;
    if (!rule->is_when)
        return look_leg(rule->look);
    for (const struct rule_op *op = rule->ops; op < rule->ops + rule->op_n; op++) {
        enum fact_leg one = op->kind == RULE_OP_FACT ? fact_leg((enum fact)op->index)
            : op->kind == RULE_OP_RULE               ? r->rules[op->index].leg
                                                     : LEG_HEADER;
        leg = one > leg ? one : leg;
    }
    return leg;
}

/* Rules that took the place of others may have come to stand above what they name; nothing may read what is not known yet. */
bool rules_finish(struct rules *r, struct err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < r->rules[i].op_n; k++)
            if (r->rules[i].ops[k].kind == RULE_OP_RULE && r->rules[i].ops[k].index >= i)
                return err_set(err, "%s:%u: %s takes the place of a rule above and names %s, which stands below", r->rules[i].file,
                    r->rules[i].line, r->rules[i].name, r->rules[r->rules[i].ops[k].index].name);
        r->rules[i].leg = leg_of(r, &r->rules[i]);
    }
    prefilter_finish(r->prefilter);
    return true;
}

uint32_t rule_count_matches(const struct rules *r, const struct rule *rule, struct slice text, struct slice *found)
{
    uint32_t count = 0;
    PCRE2_SIZE at = 0;
    if (text.n > HTML_MAX)
        text.n = HTML_MAX;
    while (count < rule->at_least && at <= text.n) {
        if (pcre2_match(rule->code, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, at, 0, r->data, r->match) < 0)
            break;               /* no match; a limit that is reached counts as none */
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->data);
        if (count++ == 0 && found && v[0] <= v[1])
            *found = slice_sub(text, v[0], v[1]);
        at = v[1] > at ? v[1] : at + 1;
    }
    return count;
}

static bool ask_texts(const struct rules *r, const struct rule *rule, const struct fact_texts *t, struct slice *found)
{
    uint32_t count = 0;
    for (size_t i = 0; i < t->n && count < rule->at_least; i++)
        count += rule_count_matches(r, rule, t->v[i], count ? NULL : found);
    return count >= rule->at_least;
}

static bool ask_fields(const struct rules *r, const struct rule *rule, const struct facts *f, struct slice *found)
{
    const struct fact_texts *all = rule->look == LOOK_RAW ? f->raw : f->fields;
    for (size_t i = 0; i < rule->field_n; i++)
        if (rule->absent ? all[rule->fields[i]].n > 0 : ask_texts(r, rule, &all[rule->fields[i]], found))
            return !rule->absent;
    return rule->absent;
}

static bool ask_pattern(const struct rules *r, const struct rule *rule, const struct facts *f, bool *const seen[], struct slice *found)
{
    if (rule->look >= LOOK_HEADER)
        return ask_fields(r, rule, f, found);
    if (rule->prefiltered && !seen[rule->look][rule - r->rules])
        return false;
    return ask_texts(r, rule, &f->texts[rule->look], found);
}

void rules_ask(const struct rules *r, const struct facts *f, bool *hits, struct slice *found)
{
    bool *seen[LOOK_HIDDEN + 1], *all = mem_zalloc((LOOK_HIDDEN + 1) * r->n + 1);
    for (size_t l = 0; l <= LOOK_HIDDEN; l++)
        seen[l] = all + l * r->n;
    prefilter_run(r->prefilter, f->texts[LOOK_SUBJECT].n ? f->texts[LOOK_SUBJECT].v[0] : SLICE(""), seen[LOOK_SUBJECT]);
    for (size_t l = LOOK_TEXT; l <= LOOK_HIDDEN; l++)
        for (size_t i = 0; l != LOOK_WORDS && i < f->texts[l].n; i++)
            prefilter_run(r->prefilter, slice_sub(f->texts[l].v[i], 0, HTML_MAX), seen[l]);
    for (size_t i = 0; i < r->n; i++) /* words: what stands in either */
        seen[LOOK_WORDS][i] = seen[LOOK_SUBJECT][i] || seen[LOOK_TEXT][i];
    for (size_t i = 0; i < r->n; i++) {
        const struct rule *rule = &r->rules[i];
        struct slice none = { 0 }, *where = found ? &found[i] : &none;
        *where = none;
        hits[i] = rule->is_when ? rule_evaluate(rule, f->n, hits) : ask_pattern(r, rule, f, seen, where);
    }
    free(all);
}
