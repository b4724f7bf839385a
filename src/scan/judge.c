/* SPDX-License-Identifier: Apache-2.0
 * Spam: who is not judged, our own engine, those beside it, the class, and what may be learnt from it. */
#include "base/clock.h"
#include "base/mem.h"
#include "scan/parts.h"
#include "smtp/address.h"

#define LISTED_SCORE 10000   /* 100 points: beyond every level */
#define LEARN_SIDE_MIN 300   /* of auto_learn: 3 points from the header, and from the rest */

/* ---- lists */

static bool client_is_exempt(const struct scan_run *r)
{
    struct list_found found = { 0 };
    if (r->context->client.family) list_find_ip(r->s->exempt, &r->context->client, &found);
    if (!found.kind && r->context->client_name.n) list_find_host(r->s->exempt, r->context->client_name, &found);
    return found.kind != LIST_NONE;
}

static struct list_found find_sender(const struct scan_run *r, const struct list_match *l)
{
    struct list_found found = { 0 };
    struct slice sender = r->context->sender, local = sender;
    char domain[256] = "";
    const char *at = sender.n ? memrchr(sender.p, '@', sender.n) : NULL;
    if (at) local = slice_of(sender.p, (size_t)(at - sender.p));
    if (at && !address_domain_ascii(slice_of(at + 1, sender.n - local.n - 1), domain)) return found;
    list_find_sender(l, local, slice_str(domain), slice_eq(r->context->spf, SLICE("pass")), &found);
    return found;
}

/* The nearer entry of both lists; of the same in both: not spam. */
static bool sender_decides(struct scan_run *r)
{
    if (list_is_empty(r->s->always_spam) && list_is_empty(r->s->never_spam)) return false;
    struct list_found never = find_sender(r, r->s->never_spam), always = find_sender(r, r->s->always_spam);
    enum list_decision d = list_decide(&never, &always);
    if (d == LIST_UNDECIDED) return false;
    struct report_symbol symbol = { SLICE("builtin"), SLICE("SENDER_ALWAYS_SPAM"), SLICE("the sender is in spam.always_spam"), LISTED_SCORE };
    if (d == LIST_ALLOWED)
        symbol = (struct report_symbol){ SLICE("builtin"), SLICE("SENDER_NEVER_SPAM"), SLICE("the sender is in spam.never_spam"), -LISTED_SCORE };
    report_add_symbol(r->report, &symbol, r->arena);
    r->report->judged = true;
    r->report->score = symbol.score;
    return true;
}

/* ---- engines */

static void take_score(struct report *out, int32_t score)
{
    if (!out->judged || score > out->score) out->score = score;
    out->judged = true;
}

static bool is_sure(const struct scan_run *r)
{
    enum config_spam_class class = spam_class_of(&r->config->spam, r->report->score);
    return r->report->judged && r->config->spam.short_circuit && (class == CONFIG_SPAM_CONFIRMED || class == CONFIG_SPAM_NON_SPAM);
}

static void add_symbols(struct scan_run *r, const struct report_symbol *symbols, size_t n, const char *engine)
{
    for (size_t i = 0; i < n; i++) {
        struct report_symbol s = symbols[i];
        s.engine = slice_str(engine);
        report_add_symbol(r->report, &s, r->arena);
    }
}

static struct slice score_text(const struct scan_run *r, int32_t score)
{
    return slice_str(arena_printf(r->arena, "%.2f", score / 100.0));
}

/* Only what is clear without the classifier and the lists in the DNS, on more than one leg, and of strangers; never what is only looked at (id 0). */
static void consider_learning(struct scan_run *r, const struct spam_verdict *v)
{
    const struct config_spam *c = &r->config->spam;
    int64_t rules = (int64_t)v->header_score + v->body_score;
    if (!c->bayes.enabled || !c->bayes.auto_learn || r->context->trusted || !r->context->id) return;
    bool spam = rules >= c->bayes.learn_spam && v->header_score >= LEARN_SIDE_MIN && v->body_score >= LEARN_SIDE_MIN;
    bool ham = rules <= c->bayes.learn_ham && v->header_score <= 0 && v->body_score <= 0 && v->bayes < 5000;
    if (!spam && !ham) return;
    r->s->settle.message = r->message;
    r->s->settle.as = spam ? SPAM_LEARN_SPAM : SPAM_LEARN_HAM;
}

static void ask_builtin(struct scan_run *r)
{
    uint64_t start = clock_mono_us();
    struct spam_verdict v = { .bayes = -1 };
    spam_judge(r->s->spam, r->message, r->context, r->deadline, r->arena, &v);
    add_symbols(r, v.symbols, v.symbol_n, "builtin");
    take_score(r->report, v.score);
    report_add_scanner(r->report, &(struct report_scanner){ SLICE("builtin"), SCANNER_FINE, score_text(r, v.score),
                                                            (uint32_t)(clock_mono_us() - start) }, r->arena);
    consider_learning(r, &v);
}

static void ask_others(struct scan_run *r)
{
    struct content_message first = *r->message; /* large messages are judged by their first bytes */
    if (r->config->spam.max_size && first.bytes.n > r->config->spam.max_size) first.bytes.n = r->config->spam.max_size;
    for (size_t i = 0; i < r->config->scanner_n && !is_sure(r); i++) {
        struct scanner_answer a;
        if (!scanner_is_for_spam(r->config->scanners[i].type) || !scan_asks(r, i)) continue;
        scan_ask(r, i, &first, &a);
        add_symbols(r, a.symbols, a.symbol_n, r->config->scanners[i].name);
        if (a.judged) take_score(r->report, a.score);
    }
}

void scan_judge(struct scan_run *r)
{
    const struct config_spam *c = &r->config->spam;
    if (!c->enabled || r->context->allowed || (r->context->trusted && !c->trusted_mail) || client_is_exempt(r)) return;
    if (!sender_decides(r)) {
        if (c->builtin && r->s->spam) ask_builtin(r);
        ask_others(r);
    }
    if (r->report->judged) r->report->class = spam_class_of(c, r->report->score);
}
