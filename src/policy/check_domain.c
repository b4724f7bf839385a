/* SPDX-License-Identifier: Apache-2.0
 * The domains of senders and recipients: whole names that mail can go to, by MX or address records. A sender whose domain takes no
 * mail could never be told of a failure; a recipient's would come back at once. MX and addresses are looked up at the same time. */
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/checks.h"
#include "route/expand.h"
#include "smtp/address.h"

/* The refusals of one side. */
struct wording {
    const char *whose;             /* for people */
    int null_code;
    const char *bad, *null;        /* enhanced codes */
};
static const struct wording of_sender = { "sender", 550, "5.1.8", "5.7.27" };      /* RFC 7505 §4.2 */
static const struct wording of_recipient = { "recipient", 556, "5.1.2", "5.1.10" }; /* §4.1, RFC 7504 */

static const struct config_place nowhere;

static void refuse(struct check_call *call, const struct wording *w, struct slice domain, const char *what)
{
    struct buf text = { 0 };
    const char *shown = check_show(call, domain);
    buf_addf(&text, "the %s's domain %s %s", w->whose, shown, what);
    check_refuse(call, 550, w->bad, nowhere, buf_cstr(&text), "%s %s", shown, what);
    buf_deinit(&text);
}

static void refuse_null_mx(struct check_call *call, const struct wording *w, struct slice domain)
{
    struct buf text = { 0 };
    const char *shown = check_show(call, domain);
    buf_addf(&text, "the %s's domain %s takes no mail (null MX)", w->whose, shown);
    check_refuse(call, w->null_code, w->null, nowhere, buf_cstr(&text), "%s takes no mail (null MX)", shown);
    buf_deinit(&text);
}

/* ---- looking it up */

struct lookup {
    struct check_call *call;
    const struct wording *wording;
    struct slice domain;
    struct resolver_query *mx, *addresses;
    enum resolver_status mx_status, address_status;
    bool null_mx, odd_mx;          /* odd: records that name no host */
    size_t hosts;
    const char *reason;            /* of a failure */
};

static void stop(struct lookup *l)
{
    resolver_cancel(&l->mx);
    resolver_cancel(&l->addresses);
    l->call->own = NULL;
}

static void cancel(struct check_call *call) { stop(call->own); }

/* MX records decide when there are some; without them the addresses do (RFC 5321 §5.1). */
static void conclude(struct lookup *l)
{
    struct check_call *call = l->call;
    if (l->mx) return;
    bool by_mx = l->mx_status == RESOLVER_OK;
    if (l->addresses && !by_mx) return;
    bool found = !l->addresses && l->address_status == RESOLVER_OK; /* perhaps in /etc/hosts, whatever the DNS says */
    stop(l);
    if (l->null_mx) refuse_null_mx(call, l->wording, l->domain);
    else if (by_mx && !l->odd_mx) check_pass(call, "%s has %zu MX", check_show(call, l->domain), l->hosts);
    else if (by_mx) refuse(call, l->wording, l->domain, "has MX records that name no host");
    else if (l->mx_status == RESOLVER_TEMPFAIL) check_skip(call, "MX: %s", l->reason);
    else if (found) check_pass(call, "%s has an address and no MX", check_show(call, l->domain));
    else if (l->address_status == RESOLVER_TEMPFAIL) check_skip(call, "addresses: %s", l->reason);
    else if (l->mx_status == RESOLVER_NXDOMAIN) refuse(call, l->wording, l->domain, "does not exist");
    else refuse(call, l->wording, l->domain, "has neither MX nor address records");
}

static void on_mx(void *arg, const struct resolver_answer *a)
{
    struct lookup *l = arg;
    l->mx = NULL;
    l->mx_status = a->status;
    l->hosts = a->n;
    l->odd_mx = !a->n;
    l->null_mx = a->status == RESOLVER_OK && a->n == 1 && !a->mx[0].name[0]; /* RFC 7505 §3 */
    if (a->status == RESOLVER_TEMPFAIL) l->reason = check_show(l->call, slice_str(a->reason));
    conclude(l);
}

static void on_addresses(void *arg, const struct resolver_answer *a)
{
    struct lookup *l = arg;
    l->addresses = NULL;
    l->address_status = a->status;
    if (a->status == RESOLVER_TEMPFAIL) l->reason = check_show(l->call, slice_str(a->reason));
    conclude(l);
}

static void look_up(struct check_call *call, const struct wording *w, struct slice domain)
{
    struct lookup *l = arena_alloc(check_arena(call), sizeof *l);
    *l = (struct lookup){ .call = call, .wording = w, .domain = domain, .reason = "" };
    call->own = l;
    l->mx = resolver_mx(check_engine(call)->resolver, domain, on_mx, l);
    l->addresses = resolver_addresses(check_engine(call)->resolver, domain, true, true, on_addresses, l);
}

/* ---- whose need no look-up */

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]", as the grammar let it through. */
static bool is_clients_literal(const struct check_facts *f, struct slice literal)
{
    struct slice inner = slice_sub(literal, 1, literal.n - 1);
    struct ip ip;
    if (slice_istarts(inner, SLICE("IPv6:"))) inner = slice_sub(inner, 5, inner.n);
    return ip_parse(inner, &ip) && f->client.ip.family && ip_eq(&ip, &f->client.ip);
}

/* ---- the two rows */

static void sender_run(struct check_call *call)
{
    const struct check_facts *f = check_facts(call);
    const struct config *c = check_engine(call)->config;
    struct slice domain = f->sender_domain;
    if (!f->sender.n) check_pass(call, "a null sender");
    else if (domain.n && domain.p[0] == '[') {
        if (!c->checks.sender.fqdn || is_clients_literal(f, domain)) check_pass(call, "the client's own address");
        else refuse(call, &of_sender, domain, "is not a name, nor your own address");
    } else if (expand_is_ours(check_lists(call)->expander, domain))
        check_pass(call, "a domain of ours");
    else if (c->checks.sender.fqdn && !address_domain_ok(domain, true))
        refuse(call, &of_sender, domain, "is not a full name");
    else if (c->checks.sender.resolvable)
        look_up(call, &of_sender, domain);
    else
        check_pass(call, "a full name");
}

static void recipient_run(struct check_call *call)
{
    const struct check_facts *f = check_facts(call);
    const struct config *c = check_engine(call)->config;
    struct slice domain = f->rcpt_domain;
    if (check_training(c, f->rcpt)) check_pass(call, "what comes there is learnt");
    else if (!domain.n || domain.p[0] == '[') check_pass(call, "no domain to look up");
    else if (expand_is_ours(check_lists(call)->expander, domain) || config_has_route(c, f->rcpt_address->local, domain))
        check_pass(call, "a domain of the configuration");
    else if (c->checks.recipient.fqdn && !address_domain_ok(domain, true))
        refuse(call, &of_recipient, domain, "is not a full name");
    else if (c->checks.recipient.resolvable)
        look_up(call, &of_recipient, domain);
    else
        check_pass(call, "a full name");
}

static bool sender_wanted(const struct config *c, const struct policy *p)
{
    return c->checks.sender.fqdn || c->checks.sender.resolvable;
}
static bool recipient_wanted(const struct config *c, const struct policy *p)
{
    return c->checks.recipient.fqdn || c->checks.recipient.resolvable;
}

const struct check check_sender = { .place_offset = offsetof(struct config, checks.sender.place), .name = "sender",
                                    .stage = STAGE_MAIL,
                                    .step = 0,
                                    .whom = FOR_STRANGERS,
                                    .spared_by = ALLOW_CLIENT,
                                    .wanted = sender_wanted,
                                    .run = sender_run,
                                    .cancel = cancel };
const struct check check_recipient = { .place_offset = offsetof(struct config, checks.recipient.place), .name = "recipient", .stage = STAGE_RCPT, .step = 1, .whom = FOR_ALL,
                                       .wanted = recipient_wanted, .run = recipient_run, .cancel = cancel };
