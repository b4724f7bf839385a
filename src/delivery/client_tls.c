/* SPDX-License-Identifier: Apache-2.0
 * What must hold of TLS towards a host, and whether it held: the strongest of what the next hop, the configuration's tls_policies and
 * the destination itself (DANE) ask for. */
#include <stdio.h>
#include <stdlib.h>
#include "delivery/client.h"
#include "net/tls.h"

#define NAMES_MAX 34
#define NOT_OF_POLICY SLICE("not one of the policy's MX hosts")

/* What is asked for by one who may. Several are combined. */
struct tls_demand {
    enum config_client_tls level;
    bool dane;                         /* where the destination publishes usable TLSA records they decide, as RFC 7672 says */
    bool sts;                          /* its MTA-STS policy counts */
    const char *ca;                    /* NULL: tls.ca */
    const char *const *names;          /* accepted in the certificate; none: see set_names */
    size_t name_n;
    uint32_t min_version;
};

struct tls_state {
    enum tls_need need;
    struct tls_demand demand;
    bool strict;                       /* a TLSA record must match, or the certificate chain */
    bool verified;                     /* after the handshake: it did */
    enum sts_state sts;
    struct dane_records *dane;         /* they decide; NULL: DANE does not apply */
    char domain[260];                  /* ".example.com", to be accepted with and without the dot */
    const char *names[NAMES_MAX];
    size_t name_n;
    struct ssl_st *ssl;                /* the stream's, from the start of the handshake */
};

/* ---- what is asked for */

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

/* Everything that is asked of TLS towards a destination, but for what it publishes itself. Who asks to have the chain verified does not
 * mean another proof; MTA-STS is about domains and their MX records, and who asks for no TLS does not mean it. */
static struct tls_demand demand_of(const struct destination *d)
{
    const struct config *c = d->q->config;
    const struct config_hop *h = d->hop.hop;
    const struct config_tls_policy *p = config_tls_policy_of(c, slice_str(destination_name(d)));
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
    out.dane = out.dane && out.level != CONFIG_CLIENT_TLS_VERIFY && d->q->o.tls;
    out.sts = (p ? p->mta_sts : c->delivery.mta_sts) && destination_by_mx(d) && d->q->o.fetch && d->q->o.tls &&
              out.level != CONFIG_CLIENT_TLS_NONE && out.level < CONFIG_CLIENT_TLS_VERIFY;
    return out;
}

bool client_tls_ready(struct destination *d, struct target *t)
{
    struct tls_demand demand = demand_of(d);
    bool sts = !demand.sts || sts_ready(d); /* both look-ups at once */
    return (!demand.dane || dane_ready(d, t)) && sts;
}

/* What a host that has no TLSA records must be by its domain's policy. */
static bool sts_allows(struct destination *d, const struct target *t, struct buf *why)
{
    enum sts_state state = sts_get(d, t->t.name);
    if (state != STS_STATE_UNKNOWN && state != STS_STATE_FORBIDDEN) return true;
    targets_add_reason(&t->t, "4.7.5", why);
    if (state == STS_STATE_UNKNOWN) buf_add_str(why, sts_failure(d));
    else {
        buf_addf(why, "it is none of the MX hosts that the MTA-STS policy of %s names", destination_name(d));
        tls_count(d, &t->t, NULL, NULL, "validation-failure", NOT_OF_POLICY);
    }
    return false;
}

static bool demand_allows(struct destination *d, const struct target *t, const struct tls_demand *demand, struct buf *why)
{
    enum dane_state state = dane_get(t);
    bool only = demand->level == CONFIG_CLIENT_TLS_DANE_ONLY;
    if (state == DANE_NONE && !only) return sts_allows(d, t, why);
    if (state == DANE_USABLE || (state == DANE_UNUSABLE && !only)) return true;
    targets_add_reason(&t->t, "4.7.5", why);
    if (state == DANE_FAILED) {
        buf_add_str(why, dane_failure(t));
        tls_count(d, &t->t, NULL, NULL, "dnssec-invalid", buf_slice(why));
        return false;
    }
    if (state == DANE_UNUSABLE) buf_add_str(why, "none of its TLSA records is usable");
    else if (!d->secure) buf_add_str(why, "the MX records that name it are not signed (DNSSEC)");
    else buf_add_str(why, "it has no TLSA records that are signed (DNSSEC)");
    buf_add_str(why, ", which tls: dane-only asks for");
    return false;
}

/* RFC 8689 §2: a name out of MX records must be signed, or a policy's; or the administrator says what proves it. */
static bool name_is_known(const struct destination *d, const struct target *t, const struct tls_demand *demand)
{
    if (!destination_by_mx(d) || d->secure || demand->name_n || demand->level >= CONFIG_CLIENT_TLS_VERIFY) return true;
    enum sts_state state = sts_get(d, t->t.name);
    return state == STS_STATE_ENFORCED || state == STS_STATE_TESTING;
}

bool client_tls_allowed(struct destination *d, const struct target *t, struct buf *why)
{
    struct tls_demand demand = demand_of(d);
    if (!demand_allows(d, t, &demand, why)) return false;
    if (!d->hop.require_tls || name_is_known(d, t, &demand)) return true;
    targets_add_reason(&t->t, "5.7.10", why);
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
    if (s->dane) add_accepted(s, s->dane->base); /* RFC 7672 §3.2.2, and the domain below */
    for (size_t i = 0; i < s->demand.name_n && !s->dane; i++) add_accepted(s, s->demand.names[i]);
    if (s->name_n && !s->dane) return;
    if (s->sts != STS_STATE_NONE) { /* RFC 8461 §4.1 */
        add_accepted(s, c->host.name);
        return;
    }
    if (!destination_by_mx(d)) {
        if (!s->dane) add_accepted(s, destination_name(d));
        return;
    }
    snprintf(s->domain, sizeof s->domain, ".%.255s", destination_name(d));
    add_accepted(s, s->domain + 1);
    if (!s->dane) add_accepted(s, s->domain);
    if (!s->dane && d->secure) add_accepted(s, c->host.name);
}

void client_tls_open(struct client *c, const struct target *t)
{
    struct tls_state *s = c->tls = mem_new(struct tls_state);
    enum dane_state state = dane_get(t);
    s->demand = demand_of(c->d);
    if (state == DANE_USABLE) s->dane = dane_records_get(t);
    /* RFC 8461 §2: a policy comes behind DANE, whatever DANE says. */
    if (state == DANE_NONE) s->sts = sts_get(c->d, c->host.name);
    s->strict = s->dane || s->sts == STS_STATE_ENFORCED || s->demand.level == CONFIG_CLIENT_TLS_VERIFY ||
                s->demand.level == CONFIG_CLIENT_TLS_DANE_ONLY || c->d->hop.require_tls;
    if (s->strict || state != DANE_NONE || s->demand.level >= CONFIG_CLIENT_TLS_ENCRYPT) s->need = TLS_MUST;
    else s->need = s->demand.level == CONFIG_CLIENT_TLS_NONE || !c->q->o.tls ? TLS_NEVER : TLS_MAY;
    set_names(s, c);
}

void client_tls_free(struct client *c)
{
    dane_records_put(&c->tls->dane);
    free(c->tls);
    c->tls = NULL;
}

enum tls_need client_tls_need(const struct client *c)
{
    return c->tls->need;
}

bool client_tls_implicit(const struct client *c)
{
    return c->d->hop.hop && c->d->hop.hop->implicit_tls;
}

static const char *sni(const struct client *c)
{
    struct ip ip;
    if (c->tls->dane) return c->tls->dane->base; /* RFC 7672 §8.1 */
    return c->host.name[0] && !ip_parse(slice_str(c->host.name), &ip) ? c->host.name : NULL;
}

/* The chain is looked at even where any certificate will do: it is told in the log, and decides on mail that asks for it (RFC 8689). */
bool client_tls_start(struct client *c, struct buf *reason)
{
    struct tls_state *s = c->tls;
    struct err err;
    char key[sizeof c->name + 8];
    struct tls_wish wish = { .sni = sni(c), .ca = s->demand.ca, .verify = true, .names = s->names, .name_n = s->name_n,
                             .tlsa = s->dane ? s->dane->all : NULL, .tlsa_n = s->dane ? s->dane->n : 0, .dns_id = s->sts != STS_STATE_NONE,
                             .min_version = s->demand.min_version, .keep_on = !s->strict };
    snprintf(key, sizeof key, "%s:%u", c->name, c->host.port);
    s->ssl = c->q->o.tls ? tls_client_session(c->q->o.tls, &wish, key, &err) : NULL;
    if (s->ssl) stream_start_tls_client(c->s, s->ssl);
    else buf_add_str(reason, c->q->o.tls ? err.text : "TLS is not available here");
    return s->ssl != NULL;
}

bool client_tls_proven(const struct client *c, struct buf *reason)
{
    c->tls->verified = !tls_failure(c->tls->ssl)[0];
    if (!c->tls->strict || c->tls->verified) return true;
    client_tls_add_failure(c, reason);
    return false;
}

void client_tls_count(const struct client *c, const char *failure, struct slice reason)
{
    const struct tls_state *s = c->tls;
    struct ip our;
    uint16_t port;
    bool known = c->s && stream_local(c->s, &our, &port);
    if (s->ssl && tls_failure(s->ssl)[0]) { /* in a session that goes on it matters to a policy alone */
        if (failure || s->sts != STS_STATE_NONE || s->dane) failure = tls_failure_kind(s->ssl);
        reason = slice_str(tls_failure(s->ssl));
    }
    if (!failure && s->sts == STS_STATE_TESTING_OTHER) {
        failure = "validation-failure";
        reason = NOT_OF_POLICY;
    }
    tls_count(c->d, &c->host, known ? &our : NULL, s->dane, failure, reason);
}

bool client_tls_verified(const struct client *c)
{
    return c->s && c->tls->verified;
}

const char *client_tls_proof(const struct client *c)
{
    return !client_tls_verified(c) ? "none" : c->tls->dane ? "dane" : "verified";
}

void client_tls_add_failure(const struct client *c, struct buf *out)
{
    if (c->s && c->tls->ssl) buf_add_printable(out, slice_str(tls_failure(c->tls->ssl)), 300);
}

void client_tls_add_cause(const struct client *c, struct buf *out)
{
    const struct tls_state *s = c->tls;
    if (s->need != TLS_MUST) return;
    if (c->d->hop.require_tls) buf_add_str(out, " (REQUIRETLS)");
    else if (s->sts == STS_STATE_ENFORCED) buf_addf(out, " (MTA-STS policy of %s)", destination_name(c->d));
    else if (s->demand.level >= CONFIG_CLIENT_TLS_ENCRYPT) buf_addf(out, " (tls: %s)", config_client_tls_word(s->demand.level));
    else buf_add_str(out, " (it has TLSA records)");
}
