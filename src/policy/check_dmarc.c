/* SPDX-License-Identifier: Apache-2.0
 * DMARC (RFC 7489): is the message its author's? When it is not, these decide, the first that has a say: a trusted sealer for whom it
 * still was (ARC), an entry of `overrides`, the policy of the author's domain where policies are honored. Nothing is done for what
 * cannot be looked up. */
#include "policy/checks.h"
#include "policy/message_auth_parts.h"

static const struct config_place nowhere = { 0 };

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.dmarc.enabled; }

/* ---- what is done */

/* How near an entry is to the domain: its labels count, an exact one before a tree; 0: not at all. */
static unsigned nearness(const char *entry, struct slice domain)
{
    struct slice e = slice_str(entry);
    bool tree = e.n && e.p[0] == '.', within = tree && (slice_ieq(domain, slice_sub(e, 1, e.n)) || slice_iends(domain, e));
    unsigned labels = 1;
    if (!within && !slice_ieq(domain, e)) return 0;
    for (size_t i = 1; i < e.n; i++) labels += e.p[i] == '.';
    return 2 * labels + !tree;
}

static const struct config_dmarc_override *find_override(const struct config *c, struct slice domain)
{
    const struct config_dmarc_override *best = NULL;
    unsigned near = 0;
    for (size_t i = 0; i < c->checks.dmarc.override_n; i++) {
        unsigned n = nearness(c->checks.dmarc.overrides[i].domain, domain);
        if (n <= near) continue;
        near = n;
        best = &c->checks.dmarc.overrides[i];
    }
    return best;
}

/* "example.org: fail (neither SPF nor DKIM passed), policy reject" */
static const char *describe(struct check_call *c, const struct dmarc *d)
{
    const char *author = d->author.n ? check_show(c, d->author) : "no author", *reason = check_show(c, d->reason);
    const char *result = dmarc_result_name(d->result);
    if (d->result != DMARC_PASS && d->result != DMARC_FAIL) return arena_printf(check_arena(c), "%s: %s (%s)", author, result, reason);
    return arena_printf(check_arena(c), "%s: %s (%s), policy %s%s", author, result, reason, dmarc_policy_name(d->published),
                        !d->sampled_out ? "" : d->testing ? ", under test" : ", spared by its rate");
}

static void refuse(struct check_call *c, const struct dmarc *d, struct config_place place, bool theirs, const char *why)
{
    const char *author = check_show(c, d->author);
    const char *text = theirs ? arena_printf(check_arena(c), "%s asks to refuse mail that is not proven to be its own (DMARC)", author)
                              : arena_printf(check_arena(c), "mail of %s is taken only when it is proven to be its own (DMARC)", author);
    check_refuse(c, 550, "5.7.1", place, text, "%s", why);
}

static void override(struct check_call *c, const struct dmarc *d, const struct config_dmarc_override *o, const char *why)
{
    struct message_auth *m = c->run->text;
    const char *entry = check_show(c, slice_str(o->domain));
    m->dmarc_override = arena_printf(check_arena(c), "local policy: override for %s", entry);
    switch (o->action) {
    case CONFIG_DMARC_NONE: check_pass_by(c, o->place, "%s; overrides has %s", why, entry); break;
    case CONFIG_DMARC_QUARANTINE: check_quarantine(c, QUARANTINE_AUTH, o->place, "DMARC: %s; overrides has %s", why, entry); break;
    case CONFIG_DMARC_REJECT:
        refuse(c, d, o->place, false, arena_printf(check_arena(c), "%s; overrides has %s", why, entry));
        break;
    }
}

/* Who hides the author does not get round his policy (RFC 7489 §6.6.1). */
static void refuse_unknown(struct check_call *c, const struct dmarc *d, const char *why)
{
    check_refuse(c, 550, "5.7.1", nowhere,
                 arena_printf(check_arena(c), "it cannot be told whose the message is (DMARC): %s", check_show(c, d->reason)), "%s", why);
}

static void follow(struct check_call *c, const struct dmarc *d, const char *why)
{
    struct message_auth *m = c->run->text;
    bool honor = check_engine(c)->config->checks.dmarc.honor, asks = d->asked != DMARC_ASK_NONE;
    if (!honor && asks) m->dmarc_override = "local policy: policies are not enforced here";
    if (honor && d->asked == DMARC_ASK_REJECT) refuse(c, d, nowhere, true, why);
    else if (honor && d->asked == DMARC_ASK_QUARANTINE) check_quarantine(c, QUARANTINE_AUTH, nowhere, "DMARC: %s", why);
    else check_pass(c, "%s", why);
}

static void tell(struct check_call *c, const struct dmarc *d)
{
    struct message_auth *m = c->run->text;
    const struct config *config = check_engine(c)->config;
    const char *why = describe(c, d);
    const struct config_dmarc_override *o;
    struct arc_excuse excuse;
    if (d->result == DMARC_PERMERROR && config->checks.dmarc.honor) {
        refuse_unknown(c, d, why);
    } else if (d->result == DMARC_PERMERROR && (o = find_override(config, d->author)) && o->action != CONFIG_DMARC_NONE) {
        override(c, d, o, why); /* a second From is no way round it either */
    } else if (d->result == DMARC_TEMPERROR || d->result == DMARC_PERMERROR) {
        check_skip(c, "%s", why);
    } else if (d->result != DMARC_FAIL) {
        check_pass(c, "%s", why);
    } else if (m->arc && arc_excuses(config, m->arc, d, &excuse)) {
        const char *sealer = check_show(c, excuse.sealer);
        m->dmarc_override = arena_printf(check_arena(c), "local policy: sealed by %s, where %s passed", sealer, excuse.what);
        check_pass(c, "%s; excused: sealed by %s, where %s passed", why, sealer, excuse.what);
    } else if ((o = find_override(config, d->author))) {
        override(c, d, o, why);
    } else {
        follow(c, d, why);
    }
}

/* ---- looking up */

static void go(struct check_call *c)
{
    struct message_auth *m = c->run->text;
    struct auth_dns dns = auth_lookups_dns(m->lookups);
    struct dmarc_input in = message_auth_input(m);
    struct dmarc found;
    in.spf = check_facts(c)->spf;
    in.dkim = m->dkim;
    while (!dmarc_check(&in, &dns, check_arena(c), &found)) {
        if (!auth_lookups_open(m->lookups)) continue;
        auth_lookups_wait(m->lookups, c, go);
        return;
    }
    struct dmarc *kept = arena_alloc(check_arena(c), sizeof *kept);
    *kept = found;
    m->dmarc = kept;
    if (check_is_spared(c) && found.result == DMARC_FAIL) m->dmarc_override = "local policy: an allow entry";
    tell(c, kept);
}

static void run(struct check_call *c)
{
    struct message_auth *m = c->run->text;
    if (!m || !m->lookups) {
        check_skip(c, "there is no message to look at");
        return;
    }
    auth_lookups_limit(m->lookups);
    check_when_answered(c, "spf", go);
}

static void cancel(struct check_call *c) { auth_lookups_forget(c->run->text->lookups, c); }

const struct check check_dmarc = { .place_offset = offsetof(struct config, checks.dmarc.place), .name = "dmarc",
                                   .stage = STAGE_CONTENT, .step = 1, .whom = FOR_STRANGERS,
                                   .spared_by = ALLOW_CLIENT | ALLOW_MAIL, .always_runs = true, .wanted = wanted, .run = run,
                                   .cancel = cancel };
