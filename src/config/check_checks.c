/* SPDX-License-Identifier: Apache-2.0
 * The policy checks: lists whose entries can be read, times that fit each other, limits that limit, mail authentication whose parts
 * are there, recipients that can be looked up. What the files of lists hold is seen when they are read. */
#include "base/mem.h"
#include "config/match.h"
#include "config/parse.h"

/* ---- lists of matches */

/* Proof is what SPF says of a sender. */
static void check_proven(const struct check *k, const struct config_match *m, bool senders, const struct yaml_node *node)
{
    const struct yaml_node *proven = yaml_get(node, "proven");
    if (!m->proven) return;
    if (!senders) yaml_error(k->report, proven, "remove it", "only senders can be proven: this is no list of senders");
    else if (!k->c->checks.spf.enabled)
        yaml_error(k->report, proven, "set checks.spf.enabled: yes, or remove proven",
                   "without SPF nothing is ever proven: the entry never counts");
}

/* node: the entry, a single word or a group. */
static void check_match(const struct check *k, const struct config_match *m, enum list_of of, bool senders, const struct yaml_node *node)
{
    bool group = node->kind == YAML_GROUP;
    const struct yaml_node *match = group ? yaml_get(node, "match") : node, *file = yaml_get(node, "file"), *table = yaml_get(node, "table"),
                           *reason = yaml_get(node, "reason");
    struct err err;
    if (group && !match && !file && !table)
        yaml_error(k->report, node, "add match:, file: or table:", "the entry names nothing: neither match nor file nor table");
    if (!!match + !!file + !!table > 1)
        yaml_error(k->report, file ? file : table, "make entries of their own of it", "an entry has just one of match, file and table");
    if (match && m->match && !match_check(slice_str(m->match), of, &err))
        yaml_error(k->report, match, NULL, "\"%s\": %s", report_quote(k->report, slice_str(m->match)), err.text);
    if (file) check_file(k, file, m->file, CHECK_FILE_LATER); /* what it held once may be known yet */
    check_table_name(k, m->table, of, table);
    check_proven(k, m, senders, node);
    const char *why = m->reason ? match_reason_problem(slice_str(m->reason)) : NULL;
    if (why) yaml_error(k->report, reason, "it is told to clients, for example: reason: spam from this network", "%s", why);
}

void check_matches(const struct check *k, const struct config_match_list *l, enum list_of of, bool senders,
                   const struct yaml_node *list)
{
    const struct yaml_node *item = yaml_items(list);
    for (size_t i = 0; i < l->n && item; i++, item = item->next) check_match(k, &l->entries[i], of, senders, item);
}

/* RFC 5321 §4.5.1: somebody must be reachable. */
static void check_postmaster(const struct check *k, const struct yaml_node *list)
{
    const struct config_match_list *l = &k->c->checks.block_recipients;
    const struct yaml_node *item = yaml_items(list);
    struct match m;
    for (size_t i = 0; i < l->n && item; i++, item = item->next) {
        if (!l->entries[i].match || match_parse(slice_str(l->entries[i].match), LIST_OF_ADDRESSES, &m)) continue;
        bool mailbox = m.form == MATCH_MAILBOX || m.form == MATCH_LOCAL;
        if (mailbox && slice_ieq(slice_of(m.local, m.local_n), SLICE("postmaster")))
            yaml_warning(k->report, item, "remove it", "the postmaster must be reachable for everybody (RFC 5321)");
    }
}

static void check_lists(const struct check *k, const struct yaml_node *checks)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *allow = yaml_get(checks, "allow"), *block = yaml_get(checks, "block"),
                           *grey = yaml_get(yaml_get(checks, "greylist"), "exempt");
    const struct {
        const struct config_match_list *list;
        enum list_of of;
        const struct yaml_node *node;
    } all[] = {
        { &c->allow_clients, LIST_OF_CLIENTS, yaml_get(allow, "clients") },
        { &c->allow_senders, LIST_OF_ADDRESSES, yaml_get(allow, "senders") },
        { &c->allow_recipients, LIST_OF_ADDRESSES, yaml_get(allow, "recipients") },
        { &c->block_clients, LIST_OF_CLIENTS, yaml_get(block, "clients") },
        { &c->block_senders, LIST_OF_ADDRESSES, yaml_get(block, "senders") },
        { &c->block_recipients, LIST_OF_ADDRESSES, yaml_get(block, "recipients") },
        { &c->greeting_pause.exempt, LIST_OF_CLIENTS, yaml_get(yaml_get(checks, "greeting_pause"), "exempt") },
        { &c->client_limits.exempt, LIST_OF_CLIENTS, yaml_get(yaml_get(checks, "client_limits"), "exempt") },
        { &c->reverse_dns.exempt, LIST_OF_CLIENTS, yaml_get(yaml_get(checks, "reverse_dns"), "exempt") },
        { &c->greylist.exempt_clients, LIST_OF_CLIENTS, yaml_get(grey, "clients") },
        { &c->greylist.exempt_senders, LIST_OF_ADDRESSES, yaml_get(grey, "senders") },
        { &c->greylist.exempt_recipients, LIST_OF_ADDRESSES, yaml_get(grey, "recipients") },
    };
    for (size_t i = 0; i < countof(all); i++) {
        const struct config_match_list *l = all[i].list;
        bool senders = l == &c->allow_senders || l == &c->block_senders || l == &c->greylist.exempt_senders;
        check_matches(k, l, all[i].of, senders, all[i].node);
    }
    check_postmaster(k, yaml_get(block, "recipients"));
}

/* ---- times and limits */

static void check_greylist(const struct check *k, const struct yaml_node *checks)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *node = yaml_get(checks, "greylist"), *delay = yaml_get(node, "delay"),
                           *within = yaml_get(node, "retry_within");
    if (!c->greylist.enabled) return;
    if (c->greylist.delay >= c->greylist.retry_within)
        yaml_error(k->report, yaml_either(within, delay), "make retry_within longer, for example 1d",
                   "a first attempt is forgotten before its delay is over: nothing would ever pass");
    else if (c->greylist.delay < 30000)
        yaml_warning(k->report, delay, "write at least 30s; 2m is usual", "a delay this short stops hardly any spam");
}

static void check_limits(const struct check *k, const struct yaml_node *checks)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *limits = yaml_get(checks, "client_limits");
    if (c->client_limits.enabled && !c->client_limits.connections && !c->client_limits.rate)
        yaml_warning(k->report, limits, "set connections or rate, or enabled: no", "with both at 0 nothing is limited");
    if (c->reputation.enabled && c->reputation.reject_below > 80)
        yaml_warning(k->report, yaml_get(yaml_get(checks, "reputation"), "reject_below"), "20% is a careful value",
                     "networks from which only one mail in five was bad would be refused");
}

/* ---- mail authentication */

static void check_spf(const struct check *k, const struct yaml_node *checks)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *spf = yaml_get(checks, "spf"), *exempt = yaml_get(yaml_get(checks, "greylist"), "exempt");
    if (c->spf.enabled) return;
    if (c->spf.reject) yaml_error(k->report, yaml_get(spf, "reject"), "set enabled: yes", "SPF is not checked: nothing would be refused");
    if (c->spf.unsure == CONFIG_GONE_DEFER)
        yaml_error(k->report, yaml_get(spf, "unsure"), "set enabled: yes", "SPF is not checked: nothing would be deferred");
    if (c->greylist.spf_exempt)
        yaml_error(k->report, yaml_get(exempt, "spf_pass"), "set checks.spf.enabled: yes", "SPF is not checked: nobody would be exempt");
}

static void check_overrides(const struct check *k, const struct yaml_node *list)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *item = yaml_items(list);
    for (size_t i = 0; i < c->dmarc.override_n && item; i++, item = item->next)
        for (size_t j = 0; j < i; j++) {
            const struct config_dmarc_override *a = &c->dmarc.overrides[j], *b = &c->dmarc.overrides[i];
            if (!slice_ieq(slice_str(a->domain), slice_str(b->domain))) continue;
            yaml_error(k->report, yaml_get(item, "domain"), "remove one of them", "%s has an override already, in line %u", b->domain,
                       a->place.line);
            break;
        }
}

static void check_dmarc(const struct check *k, const struct yaml_node *checks)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *dmarc = yaml_get(checks, "dmarc"), *suffixes = yaml_get(dmarc, "suffixes"),
                           *overrides = yaml_get(dmarc, "overrides");
    bool acts = c->dmarc.honor || c->dmarc.override_n;
    check_overrides(k, overrides);
    if (suffixes) check_file(k, suffixes, c->dmarc.suffixes, CHECK_FILE);
    if (c->dmarc.enabled && c->dmarc.suffixes && c->dmarc.organization == CONFIG_ORGANIZATION_WALK && !c->greylist.enabled)
        yaml_warning(k->report, suffixes, "remove it, or set organization: list", "with organization: tree_walk no list is read");
    if (!c->dmarc.enabled && acts)
        yaml_error(k->report, yaml_either(yaml_get(dmarc, "honor"), overrides), "set enabled: yes",
                   "DMARC is not checked: nothing would be done");
    if (c->dmarc.enabled && !c->spf.enabled && !c->dkim.enabled && acts)
        yaml_error(k->report, dmarc, "set checks.spf.enabled or checks.dkim.enabled: yes",
                   "without SPF and DKIM nothing passes DMARC: all mail of domains with a policy would be lost");
    else if (c->dmarc.enabled && !c->spf.enabled && !c->dkim.enabled)
        yaml_warning(k->report, yaml_either(dmarc, checks), "set dmarc.enabled: no, or one of the others: yes",
                     "without SPF and DKIM nothing passes DMARC");
}

static void check_authentication(const struct check *k, const struct yaml_node *checks)
{
    const struct config_checks *c = &k->c->checks;
    const struct yaml_node *sealers = yaml_get(yaml_get(checks, "arc"), "sealers");
    check_spf(k, checks);
    check_dmarc(k, checks);
    if (c->arc.sealer_n && !c->arc.enabled)
        yaml_error(k->report, sealers, "set arc.enabled: yes", "ARC is not checked: no seal is ever seen");
    else if (c->arc.sealer_n && !c->dmarc.enabled)
        yaml_error(k->report, sealers, "set checks.dmarc.enabled: yes", "DMARC is not checked: there is nothing for a seal to excuse");
}

static void check_guard(const struct check *k)
{
    const struct config_guard *g = &k->c->guard;
    const struct yaml_node *outbound = yaml_get(yaml_get(k->root, "guard"), "outbound");
    const struct {
        const char *name;
        const struct config_guard_limit *limit;
    } all[] = { { "account", &g->outbound.account }, { "client", &g->outbound.client }, { "sender_domain", &g->outbound.sender_domain } };
    if (!g->outbound.enabled) return;
    for (size_t i = 0; i < countof(all); i++) {
        const struct config_guard_limit *l = all[i].limit;
        if (l->recipients && (l->recipients < l->messages))
            yaml_warning(k->report, yaml_get(outbound, all[i].name), "make recipients at least as many as messages",
                         "each message has a recipient: more than %u messages never come to pass", l->recipients);
    }
}

/* ---- recipients of a domain */

static bool starts(const char *url, const char *scheme) { return slice_istarts(slice_str(url), slice_str(scheme)); }

static void check_directory(const struct check *k, const struct config_recipients *r, const struct yaml_node *node)
{
    const struct yaml_node *ldap = yaml_get(node, "ldap"), *where = yaml_either(ldap, yaml_get(node, "verify")),
                           *url = yaml_get(ldap, "url"), *filter = yaml_get(ldap, "filter");
    check_file(k, yaml_get(ldap, "ca"), r->ldap.ca, CHECK_FILE);
    check_file(k, yaml_get(ldap, "password_file"), r->ldap.password_file, CHECK_FILE_SECRET_LATER);
    if (!r->ldap.user_dn != !r->ldap.password_file)
        yaml_error(k->report, ldap, "set both, or neither for an anonymous search", "user_dn and password_file belong together");
    if (r->ldap.filter && !strstr(r->ldap.filter, "%s") && !strstr(r->ldap.filter, "%n"))
        yaml_error(k->report, filter, "write for example (mail=%s)", "the filter does not ask for the recipient: %%s or %%n is missing");
    if (r->ldap.url && !starts(r->ldap.url, "ldap://") && !starts(r->ldap.url, "ldaps://") && !starts(r->ldap.url, "ldapi://"))
        yaml_error(k->report, url, "write for example ldaps://dc.example.com", "this is not the address of an LDAP server");
    else if (r->ldap.url && r->ldap.starttls && !starts(r->ldap.url, "ldap://"))
        yaml_error(k->report, yaml_get(ldap, "starttls"), "leave starttls out", "it is for ldap:// only");
    else if (r->ldap.url && r->ldap.user_dn && starts(r->ldap.url, "ldap://") && !r->ldap.starttls &&
             !check_is_here(slice_str(r->ldap.url + 7)))
        yaml_warning(k->report, url, "use ldaps://, or set starttls: yes", "the password crosses the network unencrypted");
    if (r->verify == CONFIG_VERIFY_LDAP && (!r->ldap.url || !r->ldap.base || !r->ldap.filter))
        yaml_error(k->report, where, "add for example ldap: {url: ldaps://dc.example.com, base: \"dc=example,dc=com\", "
                   "filter: (mail=%s)}", "verify: ldap needs ldap.url, ldap.base and ldap.filter");
}

static void check_recipients(const struct check *k, const struct config_recipients *r, const struct yaml_node *node)
{
    const struct yaml_node *list = yaml_get(node, "list"), *verify = yaml_get(node, "verify");
    if (r->reject_code != 450 && r->reject_code != 550)
        yaml_error(k->report, yaml_get(node, "reject_code"), "write 450 while you try it out, 550 when it is sure",
                   "the reply for unknown recipients is 450 or 550");
    check_matches(k, &r->list, LIST_OF_ADDRESSES, false, list);
    check_directory(k, r, node);
    if (r->verify == CONFIG_VERIFY_LIST && !r->list.n)
        yaml_error(k->report, verify, "add list: with its recipients", "verify: list without a list: all mail would be refused");
    else if (r->verify != CONFIG_VERIFY_LIST && r->list.n)
        yaml_warning(k->report, list, "set verify: list", "nobody looks into this list");
}

void check_checks(const struct check *k)
{
    const struct yaml_node *checks = yaml_get(k->root, "checks"), *node = yaml_first(k->root, "domains");
    check_lists(k, checks);
    check_greylist(k, checks);
    check_limits(k, checks);
    check_authentication(k, checks);
    check_guard(k);
    for (size_t i = 0; i < k->c->domain_n && node; i++, node = node->next)
        if (yaml_get(node, "recipients")) check_recipients(k, &k->c->domains[i].recipients, yaml_get(node, "recipients"));
}
