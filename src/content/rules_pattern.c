/* SPDX-License-Identifier: Apache-2.0
 * Patterns, within limits, and texts with what their groups hold. They are interpreted, not made machine code: nobody needs memory that can be
 * written and executed. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/match.h"
#include "content/rules_int.h"

#define TEXT_MAX 65536

bool rules_pattern_compile(struct rules *r, struct slice text, uint32_t options, struct rules_pattern *out, struct err *err)
{
    out->code = match_compile_as(text, options, err);
    if (!out->code) return false;
    pcre2_pattern_info(out->code, PCRE2_INFO_CAPTURECOUNT, &out->groups);
    if (out->groups > r->groups) r->groups = out->groups;
    return true;
}

static bool is_limit(int result)
{
    return result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT || result == PCRE2_ERROR_HEAPLIMIT ||
           result == PCRE2_ERROR_NOMEMORY || result == PCRE2_ERROR_RECURSELOOP;
}

static void give_up(struct rules_run *run, const char *why)
{
    struct report_symbol symbol = { .engine = SLICE("rules"), .name = SLICE("rule-limit") };
    const char *name = arena_strdup(run->arena, run->name);
    if (run->gave_up) return;
    run->gave_up = true;
    symbol.text = slice_str(arena_printf(run->arena, "%.*s %s: %s", SLICE_ARG(run->by), name, why));
    report_add_symbol(run->report, &symbol, run->arena);
    run->notes = 0;
    rules_note(run, CONFIG_DO_WARN, slice_str(why));
    log_event(LOG_WARNING, "rule-limit", LOG_ID(run->context->id), LOG_TEXT("by", run->by), LOG_STR("rule", name), LOG_STR("why", why));
}

bool rules_match(struct rules_run *run, const struct rules_pattern *p, struct slice subject)
{
    const struct rules *r = run->rules;
    if (clock_mono_us() > run->deadline) {
        give_up(run, "all patterns together take too long: no more is looked for");
        return false;
    }
    int result = pcre2_match(p->code, (PCRE2_SPTR)(subject.n ? subject.p : ""), subject.n, 0, 0, r->found, r->limits);
    if (result >= 0) return !p->negated;
    if (result == PCRE2_ERROR_NOMATCH) return p->negated;
    if (is_limit(result)) give_up(run, "the pattern takes too long: it does not count");
    return false;
}

/* ---- texts */

/* A literal, or a group. */
struct piece {
    struct slice literal;        /* of a group: its name */
    bool group;
};

static bool is_name(char c) { return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_'; }

/* Takes the next piece off. NULL, or what is wrong. */
static const char *take_piece(struct slice *s, struct piece *out)
{
    size_t n = 0;
    *out = (struct piece){ .literal = *s };
    ptrdiff_t dollar = slice_find(*s, '$');
    if (dollar) {
        out->literal = slice_sub(*s, 0, dollar < 0 ? s->n : (size_t)dollar);
        *s = slice_sub(*s, out->literal.n, s->n);
        return NULL;
    }
    struct slice rest = slice_sub(*s, 1, s->n);
    char open = rest.n ? rest.p[0] : 0;
    if (open == '$') {
        out->literal = slice_sub(rest, 0, 1);
        *s = slice_sub(rest, 1, rest.n);
        return NULL;
    }
    out->group = true;
    if (open == '{' || open == '(') {
        ptrdiff_t end = slice_find(rest, open == '{' ? '}' : ')');
        if (end < 0) return open == '{' ? "${ has no }" : "$( has no )";
        out->literal = slice_sub(rest, 1, (size_t)end);
        *s = slice_sub(rest, (size_t)end + 1, rest.n);
        return NULL;
    }
    while (n < rest.n && is_name(rest.p[n])) n++;
    out->literal = slice_sub(rest, 0, n);
    *s = slice_sub(rest, n, rest.n);
    return n ? NULL : "a $ with no number: write $$ for the character";
}

const char *rules_text_problem(struct slice text, uint32_t groups, struct arena *arena, bool *uses)
{
    struct piece p;
    uint64_t group;
    *uses = false;
    while (text.n) {
        const char *why = take_piece(&text, &p);
        if (why) return why;
        if (!p.group) continue;
        *uses = true;
        if (!slice_to_u64(p.literal, 65535, &group) || !group) return "behind $ stands no number of a group: write $$ for the character";
        if (group > groups) return arena_printf(arena, "$%u: the pattern has %u groups", (unsigned)group, groups);
    }
    return NULL;
}

static void add_group(const struct rules *r, uint64_t group, struct slice subject, struct buf *out)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->found);
    if (group >= pcre2_get_ovector_count(r->found)) return;
    PCRE2_SIZE from = at[2 * group], to = at[2 * group + 1];
    if (from != PCRE2_UNSET && to != PCRE2_UNSET && from <= to && to <= subject.n) buf_add(out, slice_sub(subject, from, to));
}

struct slice rules_text_expand(const struct rules *r, struct slice text, struct slice subject, struct arena *arena)
{
    struct buf out = { .max = TEXT_MAX };
    struct piece p;
    uint64_t group;
    while (text.n && !take_piece(&text, &p)) {
        if (!p.group) buf_add(&out, p.literal);
        else if (slice_to_u64(p.literal, 65535, &group)) add_group(r, group, subject, &out);
    }
    return buf_keep(&out, arena);
}
