/* SPDX-License-Identifier: Apache-2.0
 * SPF (RFC 7208): may the client send for the sender's domain, and does the name in EHLO belong to it? Both are looked up at once, as
 * soon as the sender is known. The result of the sender counts; that of EHLO is told, and counts where the sender is null. Nobody is
 * held up, unless something before the end of the text depends on the result. */
#include "base/clock.h"
#include "mailauth/spf.h"
#include "policy/auth_lookups.h"
#include "policy/checks.h"
#include "config/list.h"

#define TEXT_MAX 330        /* of a refusal */
#define EXPLANATION_MAX 160 /* of a stranger's words in it */
static const struct config_place nowhere = { 0 };

struct asked {
    struct auth_lookups *lookups;
    struct spf_input helo_in, sender_in;
    bool helo_done, sender_done;
    struct spf helo, sender;
};

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.spf.enabled; }

/* Can the result change what a recipient is told? */
static bool counts_at_rcpt(struct check_call *c)
{
    const struct config_checks *k = &check_engine(c)->config->checks;
    const struct policy_lists *l = check_lists(c);
    return k->spf.reject || k->spf.unsure == CONFIG_GONE_DEFER || (k->greylist.enabled && k->greylist.spf_exempt) ||
           list_has_proven(l->allow_senders) || list_has_proven(l->block_senders) || list_has_proven(l->grey_senders);
}

/* ---- the answer */

static const char *show_ip(struct check_call *c)
{
    struct buf b = { 0 };
    ip_add(&b, &check_facts(c)->client.ip);
    const char *text = arena_strdup(check_arena(c), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

/* "example.org: fail (-all); EHLO mail.example.net: pass" */
static const char *describe(struct check_call *c, const struct asked *a)
{
    const struct spf *s = &a->sender, *h = &a->helo;
    struct buf b = { 0 };
    buf_addf(&b, "%s: %s", s->domain.n ? check_show(c, s->domain) : "no domain", spf_result_name(s->result));
    if (s->reason.n) buf_addf(&b, " (%s)", check_show(c, s->reason));
    if (check_facts(c)->sender.n && check_facts(c)->helo.n)
        buf_addf(&b, "; EHLO %s: %s", check_show(c, check_facts(c)->helo), spf_result_name(h->result));
    const char *text = arena_strdup(check_arena(c), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static void refuse(struct check_call *c, const struct spf *s, const char *why)
{
    struct buf b = { .max = TEXT_MAX }; /* what does not fit is left out */
    buf_addf(&b, "%s does not allow %s to send its mail (SPF)", check_show(c, s->domain), show_ip(c));
    if (s->explanation.n) {
        buf_add_str(&b, "; it says: ");
        buf_add_printable(&b, s->explanation, EXPLANATION_MAX);
    }
    const char *text = arena_strdup(check_arena(c), buf_slice(&b));
    buf_deinit(&b);
    check_refuse(c, 550, "5.7.23", nowhere, text, "%s", why); /* RFC 7372 §3.2 */
}

static void defer(struct check_call *c, const struct spf *s, const char *why)
{
    const char *text = arena_printf(check_arena(c), "whether you may send for %s cannot be looked up at the moment, please try again later",
                                    check_show(c, s->domain));
    check_refuse(c, 451, "4.7.24", nowhere, text, "%s", why); /* RFC 7372 §3.2 */
}

static void conclude(struct check_call *c)
{
    struct asked *a = c->own;
    const struct config_checks *k = &check_engine(c)->config->checks;
    const char *why = describe(c, a);
    enum spf_result result = a->sender.result;
    auth_lookups_free(&a->lookups);
    c->own = NULL;
    check_learn(c)->spf = &a->sender;
    check_learn(c)->spf_helo = &a->helo;
    if (result == SPF_FAIL && k->spf.reject) refuse(c, &a->sender, why);
    else if (result == SPF_TEMPERROR && k->spf.unsure == CONFIG_GONE_DEFER) defer(c, &a->sender, why);
    else if (result == SPF_TEMPERROR || result == SPF_PERMERROR || result == SPF_NONE) check_skip(c, "%s", why);
    else check_pass(c, "%s", why);
}

/* ---- looking up */

static void go(struct check_call *c)
{
    struct asked *a = c->own;
    struct auth_dns dns = auth_lookups_dns(a->lookups);
    struct arena *arena = check_arena(c);
    do {
        if (!a->sender_done) a->sender_done = spf_check(&a->sender_in, &dns, arena, &a->sender);
        if (!a->helo_done) a->helo_done = spf_check(&a->helo_in, &dns, arena, &a->helo);
    } while (!(a->sender_done && a->helo_done) && !auth_lookups_open(a->lookups));
    if (a->sender_done && a->helo_done) conclude(c);
    else auth_lookups_wait(a->lookups, c, go);
}

static void cancel(struct check_call *c)
{
    struct asked *a = c->own;
    auth_lookups_free(&a->lookups);
    c->own = NULL;
}

/* With the domain in A-labels. */
static struct slice sender_of(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    if (!f->sender.n) return SLICE("");
    size_t n = f->sender_local.n + 1 + f->sender_domain.n;
    char *text = arena_alloc(check_arena(c), n);
    memcpy(text, f->sender_local.p, f->sender_local.n);
    text[f->sender_local.n] = '@';
    if (f->sender_domain.n) memcpy(text + f->sender_local.n + 1, f->sender_domain.p, f->sender_domain.n);
    return slice_of(text, n);
}

static void run(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct policy_engine_options *e = check_engine(c);
    if (!f->client.ip.family) {
        check_skip(c, "the client has no address that is known");
        return;
    }
    struct asked *a = arena_alloc(check_arena(c), sizeof *a);
    a->sender_in = (struct spf_input){ .ip = f->client.ip, .helo = f->helo, .sender = sender_of(c), .identity = SPF_MAILFROM,
                                       .receiver = slice_str(e->config->hostname), .now = clock_wall_ms() };
    a->helo_in = a->sender_in;
    a->helo_in.identity = SPF_HELO;
    a->lookups = auth_lookups_new(e);
    c->own = a;
    if (!counts_at_rcpt(c)) check_in_background(c);
    auth_lookups_limit(a->lookups);
    go(c);
}

const struct check check_spf = { .place_offset = offsetof(struct config, checks.spf.place), .name = "spf", .stage = STAGE_MAIL,
                                 .step = 0, .whom = FOR_STRANGERS, .spared_by = ALLOW_CLIENT | ALLOW_MAIL, .always_runs = true,
                                 .wanted = wanted, .run = run, .cancel = cancel };
