/* SPDX-License-Identifier: Apache-2.0
 * The engine: rules and classifier together make one score. */
#include "spam/engine.h"
#include <math.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define BAYES_MOST 750           /* hundredths of a point that the classifier adds at most */
#define BAYES_LEAST (-600)
#define FOUND_MAX 60             /* bytes of what a pattern matched that are told */
#define LISTED_SCORE 200         /* of one domain on a list, at most twice */

struct spam_engine *spam_engine_new(const struct spam_options *o, struct err *err)
{
    struct spam_engine *e = mem_new(struct spam_engine);
    e->options = *o;
    rules_init(&e->rules);
    bool ok = rules_builtin(&e->rules, err);
    for (size_t i = 0; ok && i < o->config->rule_n; i++)
        ok = rules_read_file(&e->rules, o->config->rules[i], err);
    ok = ok && rules_finish(&e->rules, err);
    if (ok && o->directory && o->config->bayes.enabled) {
        bool aside;
        e->table = token_table_open(o->directory, o->config->bayes.tokens, &aside, err);
        ok = e->table != NULL;
        if (aside)
            log_event(LOG_WARNING, "token-table-aside", LOG_STR("directory", o->directory),
                LOG_STR("text", "the table of tokens was damaged; it is kept as tokens.aside, and a new one has begun"));
    }
    if (!ok) {
        spam_engine_free(e);
        return NULL;
    }
    e->suffixes = public_suffix_load();
    e->breaker = word_breaker_new();
    for (size_t i = 0; i < o->config->score_n; i++) {
        struct rule *r = rules_find(&e->rules, slice_str(o->config->scores[i].symbol));
        if (r)
            r->score = r->score_trained = o->config->scores[i].score;
    }
    return e;
}

void spam_engine_free(struct spam_engine *e)
{
    if (!e)
        return;
    token_table_close(e->table);
    word_breaker_free(e->breaker);
    public_suffix_free(e->suffixes);
    rules_deinit(&e->rules);
    free(e);
}

void spam_tokens(const struct spam_engine *e, const struct content_message *m, struct arena *arena, struct token_set *out)
{
    static const uint64_t none[2] = { 0 };
    tokens_take(out, m, e->table ? token_table_key(e->table) : none, e->breaker, arena, NULL, NULL);
}

struct symbols {
    struct spam_verdict *out;
    struct arena *arena;
};

static void add_symbol(struct symbols *s, const char *name, struct slice text, int32_t score)
{
    if (s->out->symbol_n < REPORT_SYMBOLS_MAX)
        s->out->symbols[s->out->symbol_n++] = (struct report_symbol){ SLICE("builtin"), slice_str(name), text, score };
    s->out->score += score;
}

static struct slice symbol_text(struct arena *arena, const struct rule *r, struct slice found)
{
    struct buf b = { .max = REPORT_TEXT_MAX };
    buf_add_str(&b, r->about);
    if (found.n) {
        buf_add_str(&b, *r->about ? ": " : "");
        buf_add_printable(&b, found, FOUND_MAX);
    }
    return buf_keep(&b, arena);
}

/* Whether the classifier has learnt enough to be heard, and what it says. */
static bool ask_bayes(const struct spam_engine *e, const struct content_message *m, struct arena *arena, int32_t *weight)
{
    if (!e->table)
        return false;
    struct token_counts all = token_table_messages(e->table);
    if (all.spam < e->options.config->bayes.min_spam || all.ham < e->options.config->bayes.min_ham || !all.spam || !all.ham)
        return false;
    struct token_set tokens;
    size_t known;
    spam_tokens(e, m, arena, &tokens);
    *weight = bayes_weigh(e->table, &tokens, &known);
    return known >= 10;
}

/* Some points for each unit of the weight, within limits: the classifier may mark by itself, and never confirms. Half of what the
 * rules say, and this: found by cross-validation (docs/spam.md). */
static int32_t bayes_score(int32_t weight)
{
    int32_t v = weight / 4 + 70;
    return v > BAYES_MOST ? BAYES_MOST : v < BAYES_LEAST ? BAYES_LEAST : v;
}

static int32_t configured(const struct config_spam *c, const char *symbol, int32_t score)
{
    for (size_t i = 0; i < c->score_n; i++)
        if (strcmp(c->scores[i].symbol, symbol) == 0)
            score = c->scores[i].score;
    return score;
}

static void ask_lists(struct symbols *s, struct spam_engine *e, const struct content_message *m, struct facts *f, uint64_t deadline)
{
    struct dns_list_hit listed[DNS_LIST_HITS_MAX];
    size_t n = dns_lists_ask(e, m, deadline, s->arena, listed);
    f->n[FACT_LISTED] = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        add_symbol(s, "LINK_LISTED", slice_str(arena_printf(s->arena, "A domain of a link is on a list: %.*s on %s",
            SLICE_ARG(listed[i].domain), listed[i].list)), i < 2 ? configured(e->options.config, "LINK_LISTED", LISTED_SCORE) : 0);
}

void spam_judge(struct spam_engine *e, const struct content_message *m, const struct scan_context *c, uint64_t deadline,
                struct arena *arena, struct spam_verdict *out)
{
    const struct rules *r = &e->rules;
    struct symbols s = { out, arena };
    struct facts *f = arena_alloc(arena, sizeof *f);
    bool *hits = arena_alloc(arena, r->n + 1);
    struct slice *found = arena_alloc(arena, (r->n + 1) * sizeof *found);
    int32_t weight = 0;
    *out = (struct spam_verdict){ .bayes = -1, .symbols = arena_alloc(arena, REPORT_SYMBOLS_MAX * sizeof *out->symbols) };
    facts_take(f, m, c, r->fields, r->field_n, e->suffixes, arena);
    ask_lists(&s, e, m, f, deadline);
    bool trained = ask_bayes(e, m, arena, &weight);
    rules_ask(r, f, hits, found);
    for (size_t i = 0; i < r->n; i++) {
        const struct rule *rule = &r->rules[i];
        int32_t score = trained ? rule->score_trained : rule->score;
        if (!hits[i] || rule->name[0] == '_' || !score)
            continue;
        add_symbol(&s, rule->name, symbol_text(arena, rule, found[i]), score);
        out->header_score += rule->leg == LEG_HEADER ? rule->score : 0;
        out->body_score += rule->leg == LEG_BODY ? rule->score : 0;
    }
    if (!trained)
        return;
    out->bayes = bayes_likelihood(weight);
    add_symbol(&s, "BAYES", slice_str(arena_printf(arena, "The classifier holds it for spam by %d.%02d %%", out->bayes / 100,
        out->bayes % 100)), bayes_score(weight));
}

enum config_spam_class spam_class_of(const struct config_spam *c, int32_t score)
{
    return score >= c->confirmed ? CONFIG_SPAM_CONFIRMED
        : score >= c->bulk       ? CONFIG_SPAM_BULK
        : score >= c->suspected  ? CONFIG_SPAM_SUSPECTED
        : score >= c->unknown    ? CONFIG_SPAM_UNKNOWN
        : score <= c->non_spam   ? CONFIG_SPAM_NON_SPAM
                                 : CONFIG_SPAM_NONE;
}
