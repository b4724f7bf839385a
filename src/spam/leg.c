/* SPDX-License-Identifier: Apache-2.0
 * What a rule is about: the header, or what a reader sees. auto_learn wants both to speak. */
#include "spam/rule.h"

static bool fact_is_of_body(uint32_t f)
{
    return (f >= FACT_TEXT_BYTES && f <= FACT_TEXT_INVISIBLE) || (f >= FACT_HTML_BYTES && f <= FACT_TEXT_BASE64) || f == FACT_TEXT_HAS_RCPT;
}

static bool look_is_of_body(enum look l)
{
    return l == LOOK_TEXT || l == LOOK_HTML || l == LOOK_HIDDEN || l == LOOK_LINK || l == LOOK_HOST || l == LOOK_SHOWN || l == LOOK_NAME ||
           l == LOOK_TYPE;
}

/* Rules that an expression names stand before it. */
static enum rule_leg leg_of(const struct rules *all, const struct rule *r, unsigned depth)
{
    enum rule_leg leg = RULE_LEG_HEADER;
    if (!r->is_when) return look_is_of_body(r->look) ? RULE_LEG_BODY : RULE_LEG_HEADER;
    for (size_t i = 0; i < r->op_n && leg != RULE_LEG_NETWORK; i++) {
        const struct rule_op *o = &r->ops[i];
        enum rule_leg one = RULE_LEG_HEADER;
        if (o->kind == RULE_OP_FACT && o->index == FACT_LISTED) one = RULE_LEG_NETWORK;
        else if (o->kind == RULE_OP_FACT && fact_is_of_body(o->index)) one = RULE_LEG_BODY;
        else if (o->kind == RULE_OP_RULE && depth < RULE_STACK) one = leg_of(all, &all->rules[o->index], depth + 1);
        if (one > leg) leg = one;
    }
    return leg;
}

enum rule_leg rule_leg(const struct rules *all, const struct rule *r) { return leg_of(all, r, 0); }
