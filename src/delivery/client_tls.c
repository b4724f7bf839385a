/* SPDX-License-Identifier: Apache-2.0
 * What must hold of TLS towards a host, and whether it held: the strongest of what the next hop, the configuration's tls_policies and
 * the destination itself (DANE) ask for. */
#include <stdio.h>
#include <stdlib.h>
#include "delivery/internal.h"
#include "net/tls.h"

#define NAMES_MAX 34
#define NOT_OF_POLICY SLICE("not one of the policy's MX hosts")

/* What is asked for by one who may. Several are combined. */
struct tls_demand {
    enum config_client_tls level;
    bool dane;                         /* where the destination publishes usable TLSA records they decide, as RFC 7672 says */
    const char *ca;                    /* NULL: tls.ca */
    const char *const *names;          /* accepted in the certificate; none: see set_names */
    size_t name_n;
    uint32_t min_version;
};

struct tls_state {
    enum tls_need need;
    struct tls_demand demand;
    bool dane, strict;                 /* a TLSA record must match; strict: that or the certificate chain */
    enum sts_state sts;
    struct tls_tlsa *tlsa;
    size_t tlsa_n;
    char *bytes;                       /* of tlsa */
    char base[256];
    char domain[260];                  /* ".example.com", to be accepted with and without the dot */
    const char *names[NAMES_MAX];
    size_t name_n;
    struct ssl_st *ssl;                /* the stream's, from the start of the handshake */
};

/* ---- what is asked for */

static bool by_mx(const struct destination *d)
{
    const struct config_hop *h = d->hop.hop;
    return !h || (h->mx && !h->ip.family);
}

/* The domain whose MX records lead there, or the next hop's own name. */
static const char *asked_name(const struct destination *d)
{
    return d->hop.hop ? d->hop.hop->host : d->hop.domain;
}

/* b on top of a: nothing that a asks for is given up. */
static struct tls_demand combine(struct tls_demand a, struct tls_demand b)
{
    if (b.level > a.level) a.level = b.level;
    a.dane = a.dane || b.dane;
    if (b.ca) a.ca = b.ca;
    if (b.name_n) {
        a.names = b.names;
        a.name_n = b.name_n;
    }
    return a;
}

static bool asks_for_dane(enum config_client_tls level)
{
    return level == CONFIG_CLIENT_TLS_DANE || level == CONFIG_CLIENT_TLS_DANE_ONLY;
}

/* Everything that is asked of TLS towards a destination, but for its TLSA records, which each host has of its own. A policy that the
 * domain publishes elsewhere is one more demand to combine here. */
static struct tls_demand demand_of(const struct destination *d)
{
    const struct config *c = d->q->config;
    const struct config_hop *h = d->hop.hop;
    const struct config_tls_policy *p = config_tls_policy_of(c, slice_str(asked_name(d)));
    enum config_client_tls level = h ? h->tls : c->delivery.tls;
    struct tls_demand out = { .level = level, .dane = asks_for_dane(level), .min_version = c->tls.min_version };
    if (h) {
        out.ca = h->ca;
        out.names = h->names;
        out.name_n = h->name_n;
        /* Nobody sees a password, nor a port that is for TLS alone used without it. */
        bool secret = h->auth.user && h->tls != CONFIG_CLIENT_TLS_NONE;
        if (h->implicit_tls || secret) out = combine(out, (struct tls_demand){ .level = CONFIG_CLIENT_TLS_ENCRYPT });
    }
    if (p) {
        out = combine(out, (struct tls_demand){ .level = p->tls, .dane = asks_for_dane(p->tls), .ca = p->ca, .names = p->names,
                                                .name_n = p->name_n });
        if (p->min_version) out.min_version = p->min_version;
    }
    /* RFC 8689 §2: either proof will do. */
    if (d->hop.require_tls) out = combine(out, (struct tls_demand){ .level = CONFIG_CLIENT_TLS_ENCRYPT, .dane = true });
    return out;
}

/* Who asks to have the chain verified does not mean another proof. */
static bool looks_for_dane(const struct destination *d, const struct tls_demand *demand)
{
    return demand->dane && demand->level != CONFIG_CLIENT_TLS_VERIFY && d->q->o.tls;
}

/* MTA-STS is about domains and their MX records; who asks for no TLS, or for a stronger proof, does not mean it. */
static bool looks_for_sts(const struct destination *d, const struct tls_demand *demand)
{
    const struct config_tls_policy *p = config_tls_policy_of(d->q->config, slice_str(asked_name(d)));
    bool wanted = p ? p->mta_sts : d->q->config->delivery.mta_sts;
    return wanted && by_mx(d) && d->q->o.fetch && d->q->o.tls && demand->level != CONFIG_CLIENT_TLS_NONE &&
           demand->level < CONFIG_CLIENT_TLS_VERIFY;
}

bool client_tls_ready(struct destination *d, struct target *t)
{
    struct tls_demand demand = demand_of(d);
    bool sts = !looks_for_sts(d, &demand) || sts_ready(d); /* both look-ups at once */
    return (!looks_for_dane(d, &demand) || dane_ready(d, t)) && sts;
}

static void begin_reason(struct buf *out, const char *code, const struct route_target *t)
{
    buf_addf(out, "%s ", code);
    buf_add_printable(out, slice_str(t->name), 150);
    buf_add_char(out, '[');
    ip_add(out, &t->ip);
    buf_add_str(out, "]: ");
}

/* What a host that has no TLSA records must be by its domain's policy. */
static bool sts_allows(struct destination *d, const struct target *t, const struct tls_demand *demand, struct buf *why)
{
    const char *failure;
    enum sts_state state = looks_for_sts(d, demand) ? sts_get(d, t->t.name, &failure) : STS_STATE_NONE;
    if (state == STS_STATE_UNKNOWN) {
        begin_reason(why, "4.7.5", &t->t);
        buf_add_str(why, failure);
        return false;
    }
    if (state != STS_STATE_FORBIDDEN) return true;
    begin_reason(why, "4.7.5", &t->t);
    buf_addf(why, "it is none of the MX hosts that the MTA-STS policy of %s names", asked_name(d));
    tls_count(d, &t->t, NULL, NULL, 0, "validation-failure", NOT_OF_POLICY);
    return false;
}

static bool demand_allows(struct destination *d, const struct target *t, struct tls_demand demand, struct buf *why)
{
    const char *base, *failure = "";
    const struct tls_tlsa *records;
    size_t n;
    if (!looks_for_dane(d, &demand)) return sts_allows(d, t, &demand, why);
    enum dane_state state = dane_get(t, &base, &records, &n, &failure);
    if (state == DANE_NONE && demand.level != CONFIG_CLIENT_TLS_DANE_ONLY) return sts_allows(d, t, &demand, why);
    if (state == DANE_FAILED) {
        begin_reason(why, "4.7.5", &t->t);
        buf_add_str(why, failure);
        tls_count(d, &t->t, NULL, NULL, 0, "dnssec-invalid", buf_slice(why));
        return false;
    }
    if (demand.level != CONFIG_CLIENT_TLS_DANE_ONLY || state == DANE_USABLE) return true;
    begin_reason(why, "4.7.5", &t->t);
    if (state == DANE_UNUSABLE) buf_add_str(why, "none of its TLSA records is usable");
    else if (!d->secure) buf_add_str(why, "the MX records that name it are not signed (DNSSEC)");
    else buf_add_str(why, "it has no TLSA records that are signed (DNSSEC)");
    buf_add_str(why, ", which tls: dane-only asks for");
    return false;
}

/* RFC 8689 §2: a name out of MX records must be signed, or a policy's; or the administrator says what proves it. */
static bool name_is_known(const struct destination *d, const struct target *t, const struct tls_demand *demand)
{
    const char *failure;
    if (!by_mx(d) || d->secure || demand->name_n || demand->level >= CONFIG_CLIENT_TLS_VERIFY) return true;
    enum sts_state state = looks_for_sts(d, demand) ? sts_get(d, t->t.name, &failure) : STS_STATE_NONE;
    return state == STS_STATE_ENFORCED || state == STS_STATE_TESTING;
}

bool client_tls_allowed(struct destination *d, const struct target *t, struct buf *why)
{
    struct tls_demand demand = demand_of(d);
    if (!demand_allows(d, t, demand, why)) return false;
    if (!d->hop.require_tls || name_is_known(d, t, &demand)) return true;
    begin_reason(why, "5.7.10", &t->t);
    buf_add_str(why, "the MX records that name it are neither signed (DNSSEC) nor confirmed by MTA-STS, which REQUIRETLS"
                     " asks for");
    return false;
}

/* ---- one connection */

static void add_accepted(struct tls_state *s, const char *name)
{
    if (s->name_n < NAMES_MAX) s->names[s->name_n++] = name;
}

/* Names that prove who it is: the ones the administrator wrote; else the host he wrote; else the domain, and what is below it, as the
 * name of an MX host is only what anybody may have put into the DNS, unless it is signed. */
static void set_names(struct tls_state *s, const struct client *c)
{
    const struct destination *d = c->d;
    if (s->dane) add_accepted(s, s->base); /* RFC 7672 §3.2.2, and the domain below */
    for (size_t i = 0; i < s->demand.name_n && !s->dane; i++) add_accepted(s, s->demand.names[i]);
    if (s->name_n && !s->dane) return;
    if (s->sts != STS_STATE_NONE) { /* RFC 8461 §4.1 */
        add_accepted(s, c->host.name);
        return;
    }
    if (!by_mx(d)) {
        if (!s->dane) add_accepted(s, asked_name(d));
        return;
    }
    snprintf(s->domain, sizeof s->domain, ".%.255s", asked_name(d));
    add_accepted(s, s->domain + 1);
    if (!s->dane) add_accepted(s, s->domain);
    if (!s->dane && d->secure) add_accepted(s, c->host.name);
}

static void copy_records(struct tls_state *s, const struct tls_tlsa *records, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += records[i].n;
    s->tlsa = mem_alloc((n + 1) * sizeof *s->tlsa);
    s->bytes = mem_alloc(bytes + 1);
    s->tlsa_n = n;
    bytes = 0;
    for (size_t i = 0; i < n; i++) {
        s->tlsa[i] = records[i];
        memcpy(s->bytes + bytes, records[i].data, records[i].n);
        s->tlsa[i].data = (unsigned char *)s->bytes + bytes;
        bytes += records[i].n;
    }
}

void client_tls_open(struct client *c, const struct target *t)
{
    struct tls_state *s = c->tls = mem_new(struct tls_state);
    const char *base, *failure;
    const struct tls_tlsa *records;
    size_t n;
    enum dane_state state = DANE_NONE;
    s->demand = demand_of(c->d);
    if (looks_for_dane(c->d, &s->demand)) state = dane_get(t, &base, &records, &n, &failure);
    if (state == DANE_USABLE) {
        s->dane = true;
        snprintf(s->base, sizeof s->base, "%s", base);
        copy_records(s, records, n);
    }
    /* RFC 8461 §2: a policy comes behind DANE, whatever DANE says. */
    if (state == DANE_NONE && looks_for_sts(c->d, &s->demand)) s->sts = sts_get(c->d, c->host.name, &failure);
    s->strict = s->dane || s->sts == STS_STATE_ENFORCED || s->demand.level == CONFIG_CLIENT_TLS_VERIFY ||
                s->demand.level == CONFIG_CLIENT_TLS_DANE_ONLY || c->d->hop.require_tls;
    if (s->strict || state != DANE_NONE || s->demand.level >= CONFIG_CLIENT_TLS_ENCRYPT) s->need = TLS_MUST;
    else s->need = s->demand.level == CONFIG_CLIENT_TLS_NONE || !c->q->o.tls ? TLS_NEVER : TLS_MAY;
    set_names(s, c);
}

void client_tls_free(struct client *c)
{
    struct tls_state *s = c->tls;
    if (!s) return;
    free(s->tlsa);
    free(s->bytes);
    free(s);
    c->tls = NULL;
}

enum tls_need client_tls_need(const struct client *c)
{
    return c->tls ? c->tls->need : TLS_NEVER;
}

bool client_tls_implicit(const struct client *c)
{
    return c->d->hop.hop && c->d->hop.hop->implicit_tls;
}

static const char *sni(const struct client *c)
{
    struct ip ip;
    if (c->tls->dane) return c->tls->base; /* RFC 7672 §8.1 */
    return c->host.name[0] && !ip_parse(slice_str(c->host.name), &ip) ? c->host.name : NULL;
}

/* The chain is looked at even where any certificate will do: it is told in the log, and decides on mail that asks for it (RFC 8689). */
bool client_tls_start(struct client *c, struct buf *reason)
{
    struct tls_state *s = c->tls;
    struct err err;
    char key[sizeof c->name + 8];
    struct tls_wish wish = { .sni = sni(c), .ca = s->demand.ca, .verify = true, .names = s->names, .name_n = s->name_n,
                             .tlsa = s->tlsa, .tlsa_n = s->tlsa_n, .dns_id = s->sts != STS_STATE_NONE,
                             .min_version = s->demand.min_version, .keep_on = !s->strict };
    snprintf(key, sizeof key, "%s:%u", c->name, c->host.port);
    s->ssl = c->q->o.tls ? tls_client_session(c->q->o.tls, &wish, key, &err) : NULL;
    if (s->ssl) stream_start_tls_client(c->s, s->ssl);
    else buf_add_str(reason, c->q->o.tls ? err.text : "TLS is not available here");
    return s->ssl != NULL;
}

bool client_tls_proven(const struct client *c, struct buf *reason)
{
    if (!c->tls->strict) return true;
    client_tls_add_failure(c, reason);
    return reason->n == 0;
}

void client_tls_count(const struct client *c, const char *failure, struct slice reason)
{
    const struct tls_state *s = c->tls;
    struct ip our;
    uint16_t port;
    bool known = c->s && stream_local(c->s, &our, &port);
    if (!s) return;
    if (s->ssl && tls_failure(s->ssl)[0]) { /* in a session that goes on it matters to a policy alone */
        if (failure || s->sts != STS_STATE_NONE || s->dane) failure = tls_failure_kind(s->ssl);
        reason = slice_str(tls_failure(s->ssl));
    }
    if (!failure && s->sts == STS_STATE_TESTING_OTHER) {
        failure = "validation-failure";
        reason = NOT_OF_POLICY;
    }
    tls_count(c->d, &c->host, known ? &our : NULL, s->tlsa, s->tlsa_n, failure, reason);
}

bool client_tls_verified(const struct client *c)
{
    return c->s && stream_is_tls(c->s) && c->tls && c->tls->ssl && !tls_failure(c->tls->ssl)[0];
}

const char *client_tls_proof(const struct client *c)
{
    return !client_tls_verified(c) ? "none" : c->tls->dane ? "dane" : "verified";
}

void client_tls_add_failure(const struct client *c, struct buf *out)
{
    if (c->s && c->tls && c->tls->ssl) buf_add_printable(out, slice_str(tls_failure(c->tls->ssl)), 300);
}

void client_tls_add_cause(const struct client *c, struct buf *out)
{
    static const char *const words[] = { "none", "may", "dane", "encrypt", "verify", "dane-only" };
    const struct tls_state *s = c->tls;
    if (s->need != TLS_MUST) return;
    if (c->d->hop.require_tls) buf_add_str(out, " (REQUIRETLS)");
    else if (s->sts == STS_STATE_ENFORCED) buf_addf(out, " (MTA-STS policy of %s)", asked_name(c->d));
    else if (s->demand.level >= CONFIG_CLIENT_TLS_ENCRYPT) buf_addf(out, " (tls: %s)", words[s->demand.level]);
    else buf_add_str(out, " (it has TLSA records)");
}
