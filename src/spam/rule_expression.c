/* SPDX-License-Identifier: Apache-2.0
 * Expressions of rules: "html.only and links > 3 and not _REPLY", "2 of (A, B, C)". Read into steps for a stack, and worked off. */
#include <assert.h>
#include "base/mem.h"
#include "spam/rule.h"

struct reader {
    struct rules *rules;
    struct rule *rule;
    struct slice in;
    struct rule_op ops[200];
    size_t n, depth, nested;
    struct err *err;
};

static void skip_blanks(struct reader *r)
{
    r->in = slice_trim_blanks(r->in);
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static struct slice peek_name(struct reader *r)
{
    skip_blanks(r);
    size_t n = 0;
    while (n < r->in.n && name_char(r->in.p[n]))
        n++;
    return slice_sub(r->in, 0, n);
}

static void skip(struct reader *r, size_t n)
{
    r->in = slice_sub(r->in, n, r->in.n);
    skip_blanks(r);
}

static bool take(struct reader *r, struct slice what)
{
    skip_blanks(r);
    if (!slice_starts(r->in, what))
        return false;
    skip(r, what.n);
    return true;
}

static bool add(struct reader *r, struct rule_op op)
{
    if (r->n == countof(r->ops))
        return err_set(r->err, "an expression that is too long");
    if (op.kind == RULE_OP_RULE || op.kind == RULE_OP_FACT) {
        if (++r->depth > RULE_STACK)
            return err_set(r->err, "an expression that is too deep");
    } else if (op.kind == RULE_OP_AND || op.kind == RULE_OP_OR)
        r->depth--;
    else if (op.kind == RULE_OP_OF)
        r->depth -= op.index - 1;
    r->ops[r->n++] = op;
    return true;
}

static bool read_number(struct slice s, int32_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v;
    if (!slice_to_u64(slice_sub(s, minus, s.n), INT32_MAX, &v))
        return false;
    *out = minus ? -(int32_t)v : (int32_t)v;
    return true;
}

static bool read_or(struct reader *r);

static bool read_compare(struct reader *r, struct rule_op *op)
{
    static const struct { const char *sign; enum rule_compare compare; } signs[] = {
        { "<=", RULE_LE }, { ">=", RULE_GE }, { "!=", RULE_NE }, { "<", RULE_LT }, { ">", RULE_GT }, { "=", RULE_EQ },
    };
    for (size_t i = 0; i < countof(signs); i++)
        if (take(r, slice_str(signs[i].sign))) {
            struct slice number = peek_name(r);
            op->compare = signs[i].compare;
            if (!read_number(number, &op->number))
                return err_set(r->err, "behind %s belongs a whole number", signs[i].sign);
            skip(r, number.n);
            return true;
        }
    return true;
}

/* "3 of (A, B, links > 2)" from its number on. */
static bool read_of(struct reader *r, int32_t number)
{
    struct slice of = peek_name(r);
    if (!slice_eq(of, SLICE("of")))
        return err_set(r->err, "a number stands behind a sign, or before \"of (...)\"");
    skip(r, of.n);
    if (!take(r, SLICE("(")))
        return err_set(r->err, "behind \"of\" belongs a list in parentheses");
    uint32_t n = 0;
    do {
        if (!read_or(r))
            return false;
        n++;
    } while (take(r, SLICE(",")));
    if (!take(r, SLICE(")")))
        return err_set(r->err, "a parenthesis is not closed");
    return add(r, (struct rule_op){ .kind = RULE_OP_OF, .index = n, .number = number });
}

static bool read_primary(struct reader *r)
{
    struct slice name;
    enum fact fact;
    int32_t number;
    if (take(r, SLICE("(")))
        return read_or(r) && (take(r, SLICE(")")) || err_set(r->err, "a parenthesis is not closed"));
    name = peek_name(r);
    if (!name.n)
        return err_set(r->err, "the name of a rule or of a number is missing");
    skip(r, name.n);
    if (read_number(name, &number))
        return read_of(r, number);
    if (fact_find(name, &fact)) {
        struct rule_op op = { .kind = RULE_OP_FACT, .index = fact };
        return read_compare(r, &op) && add(r, op);
    }
    const struct rule *other = rules_find(r->rules, name);
    if (!other || other == r->rule)
        return err_set(r->err, "%.*s is no number, and no rule that stands above", name.n < 60 ? (int)name.n : 60, name.p);
    return add(r, (struct rule_op){ .kind = RULE_OP_RULE, .index = (uint32_t)(other - r->rules->rules) });
}

static bool read_not(struct reader *r)
{
    struct slice word = peek_name(r);
    if (!slice_eq(word, SLICE("not"))) {
        if (++r->nested > RULE_STACK)
            return err_set(r->err, "an expression that is too deep");
        bool ok = read_primary(r);
        r->nested--;
        return ok;
    }
    skip(r, word.n);
    struct slice again = peek_name(r);
    if (slice_eq(again, SLICE("not")))
        return err_set(r->err, "\"not not\"");
    return read_not(r) && add(r, (struct rule_op){ .kind = RULE_OP_NOT });
}

static bool read_and(struct reader *r)
{
    if (!read_not(r))
        return false;
    while (slice_eq(peek_name(r), SLICE("and"))) {
        skip(r, 3);
        if (!read_not(r) || !add(r, (struct rule_op){ .kind = RULE_OP_AND }))
            return false;
    }
    return true;
}

static bool read_or(struct reader *r)
{
    if (!read_and(r))
        return false;
    while (slice_eq(peek_name(r), SLICE("or"))) {
        skip(r, 2);
        if (!read_and(r) || !add(r, (struct rule_op){ .kind = RULE_OP_OR }))
            return false;
    }
    return true;
}

bool rule_parse_expression(struct rules *rules, struct rule *rule, struct slice text, struct err *err)
{
    struct reader r = { .rules = rules, .rule = rule, .in = text, .err = err };
    if (!read_or(&r))
        return false;
    if (r.in.n)
        return err_set(err, "something is left over behind the expression");
    rule->ops = arena_alloc(&rules->arena, r.n * sizeof *rule->ops);
    memcpy(rule->ops, r.ops, r.n * sizeof *rule->ops);
    rule->op_n = r.n;
    return true;
}

static bool compare(int32_t value, const struct rule_op *op)
{
    switch (op->compare) {
    case RULE_LT: return value < op->number;
    case RULE_LE: return value <= op->number;
    case RULE_EQ: return value == op->number;
    case RULE_NE: return value != op->number;
    case RULE_GE: return value >= op->number;
    case RULE_GT: return value > op->number;
    case RULE_TRUE: return value > 0;
    }
    return false;
}

bool rule_evaluate(const struct rule *rule, const int32_t *facts, const bool *hits)
{
    bool stack[RULE_STACK + 1] = { false };
    size_t n = 0;
    for (const struct rule_op *op = rule->ops; op < rule->ops + rule->op_n; op++)
        switch (op->kind) {
        case RULE_OP_RULE: stack[n++] = hits[op->index]; break;
        case RULE_OP_FACT: stack[n++] = compare(facts[op->index], op); break;
        case RULE_OP_AND: n--; stack[n - 1] = stack[n - 1] && stack[n]; break;
        case RULE_OP_OR: n--; stack[n - 1] = stack[n - 1] || stack[n]; break;
        case RULE_OP_NOT: stack[n - 1] = !stack[n - 1]; break;
        case RULE_OP_OF: {
            int32_t count = 0;
            for (uint32_t i = 0; i < op->index; i++)
                count += stack[--n];
            stack[n++] = count >= op->number;
            break;
        }
        }
    assert(n == 1);
    return stack[0];
}
