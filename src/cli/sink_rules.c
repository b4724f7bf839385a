/* SPDX-License-Identifier: Apache-2.0
 * What the test server does wrong on request: refusals, cut connections and delays at each stage. */
#include <fnmatch.h>
#include <stdlib.h>
#include "cli/sink.h"

static const char *const stage_names[SINK_STAGES] = { "connect", "helo", "mail", "rcpt", "data", "text", "dot" };

static bool parse_stage(struct slice name, enum sink_stage *out, struct err *err)
{
    for (int i = 0; i < SINK_STAGES; i++) {
        if (!slice_eq(name, slice_str(stage_names[i]))) continue;
        *out = (enum sink_stage)i;
        return true;
    }
    return err_set(err, "\"%.*s\" is no stage: connect, helo, mail, rcpt, data, text or dot",
                   (int)(name.n < 40 ? name.n : 40), name.p);
}

/* Cuts *s before the first byte that is one of `stops`. */
static struct slice cut_before(struct slice *s, const char *stops)
{
    size_t i = 0;
    while (i < s->n && !strchr(stops, s->p[i])) i++;
    struct slice head = slice_sub(*s, 0, i);
    *s = slice_sub(*s, i, s->n);
    return head;
}

static bool parse_percent(struct slice s, uint32_t *ppm)
{
    struct slice fraction = s, whole;
    uint64_t w, f = 0, unit = 10000;
    bool has_fraction = slice_cut(&fraction, '.', &whole);
    if (!slice_to_u64(whole, 100, &w)) return false;
    if (has_fraction) {
        if (fraction.n > 4 || !slice_to_u64(fraction, 9999, &f)) return false;
        for (size_t i = 0; i < fraction.n; i++) unit /= 10;
    } else
        unit = 0;
    *ppm = (uint32_t)(w * 10000 + f * unit);
    return *ppm <= 1000000;
}

static bool parse_suffixes(struct sink_rules *r, struct sink_rule *rule, struct slice s, struct slice *text, struct err *err)
{
    *text = slice_str(NULL);
    while (s.n) {
        char kind = s.p[0];
        s = slice_sub(s, 1, s.n);
        if (kind == ':') {
            *text = s;
            return true;
        }
        struct slice value = cut_before(&s, kind == '/' ? ":" : "#/:");
        if (kind == '%' && !parse_percent(value, &rule->ppm)) return err_set(err, "a percentage is 0 to 100");
        if (kind == '#' && (!slice_to_u64(value, UINT32_MAX, &rule->first) || !rule->first))
            return err_set(err, "\"#\" takes how many times, from 1");
        if (kind == '/') rule->pattern = arena_strdup(&r->arena, value);
    }
    return true;
}

static bool make_reply(struct sink_rules *r, struct sink_rule *rule, struct slice text, struct err *err)
{
    if (slice_find(text, '\r') >= 0 || slice_find(text, '\n') >= 0) return err_set(err, "the text must be one line");
    struct buf b = { 0 };
    buf_addf(&b, "%d ", rule->code);
    if (!text.n) buf_addf(&b, "%d.0.0 refused on request", rule->code / 100);
    buf_add(&b, text);
    buf_add_str(&b, "\r\n");
    rule->reply = arena_slice(&r->arena, buf_slice(&b));
    buf_deinit(&b);
    return true;
}

bool sink_rule_parse(struct sink_rules *r, const char *text, bool drop, struct err *err)
{
    if (r->n == countof(r->rules)) return err_set(err, "too many rules");
    struct sink_rule rule = { .drop = drop, .ppm = 1000000 };
    struct slice s = slice_str(text), words;
    if (!parse_stage(cut_before(&s, drop ? "%#/:" : "="), &rule.stage, err)) return false;
    if (!drop) {
        uint64_t code = 0;
        s = slice_sub(s, 1, s.n);
        if (!slice_to_u64(cut_before(&s, "%#/:"), 599, &code) || code < 400)
            return err_set(err, "\"%.100s\": a code from 400 to 599 follows the \"=\"", text);
        rule.code = (int)code;
        if (rule.stage == SINK_TEXT) return err_set(err, "there is no answer at \"text\"; \"dot\" is the one after it");
    }
    if (!parse_suffixes(r, &rule, s, &words, err)) return false;
    if (!drop && !make_reply(r, &rule, words, err)) return false;
    r->rules[r->n++] = rule;
    return true;
}

bool sink_slow_parse(struct sink_rules *r, const char *text, struct err *err)
{
    struct slice s = slice_str(text), name;
    enum sink_stage stage = 0;
    bool has_value = slice_cut(&s, '=', &name);
    if (!parse_stage(name, &stage, err)) return false;
    if (!has_value || !slice_to_u64(s, 3600 * 1000, &r->slow[stage]))
        return err_set(err, "\"%.100s\": milliseconds, at most an hour, follow the \"=\"", text);
    return true;
}

static bool fits(const struct sink_rule *rule, struct slice addresses)
{
    if (!rule->pattern) return true;
    for (size_t at = 0; at < addresses.n;) {
        const char *one = addresses.p + at;
        if (fnmatch(rule->pattern, one, FNM_CASEFOLD) == 0) return true;
        at += strlen(one) + 1;
    }
    return false;
}

/* xorshift64*: good enough to roll dice. */
static uint32_t roll(uint64_t *seed, uint32_t sides)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (uint32_t)(((*seed * 0x2545F4914F6CDD1Dull) >> 33) % sides);
}

const struct sink_rule *sink_rule_find(struct sink_rules *r, enum sink_stage stage, struct slice addresses)
{
    for (size_t i = 0; i < r->n; i++) {
        struct sink_rule *rule = &r->rules[i];
        if (rule->stage != stage || (rule->first && rule->used == rule->first) || !fits(rule, addresses)) continue;
        if (rule->ppm < 1000000 && roll(&r->seed, 1000000) >= rule->ppm) continue;
        rule->used++;
        return rule;
    }
    return NULL;
}
