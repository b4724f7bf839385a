/* SPDX-License-Identifier: Apache-2.0
 * The pipeline of a configuration: the checks that are on, the lists they look into; and the engine of a worker, with what single
 * checks keep there. */
#include "policy/pipeline.h"
#include <assert.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/counters.h"
#include "base/mem.h"
#include "base/public_suffix.h"
#include "mailauth/key.h"
#include "policy/dns_lists.h"
#include "policy/explain.h"
#include "config/list.h"
#include "config/tables.h"
#include "policy/memo.h"
#include "policy/recipients.h"
#include "policy/relay.h"
#include "policy/skip.h"
#include "route/expand.h"

#define DKIM_KEYS_KEPT 256 /* some 4 KiB each */

/* ---- made once of a configuration */

static bool load(const struct policy *p, const struct list_match **out, const struct config_match_list *from, enum list_of of,
                 struct err *err)
{
    *out = list_new(from, of, p->tables, err);
    return *out;
}

static bool load_recipients(struct policy *p, struct err *err)
{
    const struct config *c = p->config;
    p->lists.recipients = mem_zalloc((c->domain_n + 1) * sizeof *p->lists.recipients);
    for (size_t i = 0; i < c->domain_n; i++) {
        const struct config_recipients *r = &c->domains[i].recipients;
        if (r->verify == CONFIG_VERIFY_LIST && !load(p, &p->lists.recipients[i], &r->list, LIST_OF_ADDRESSES, err)) return false;
    }
    return true;
}

static bool load_lists(struct policy *p, struct err *err)
{
    const struct config_checks *k = &p->config->checks;
    struct policy_lists *l = &p->lists;
    return load(p, &l->allow_clients, &k->allow_clients, LIST_OF_CLIENTS, err) &&
           load(p, &l->block_clients, &k->block_clients, LIST_OF_CLIENTS, err) &&
           load(p, &l->pause_exempt, &k->greeting_pause.exempt, LIST_OF_CLIENTS, err) &&
           load(p, &l->limits_exempt, &k->client_limits.exempt, LIST_OF_CLIENTS, err) &&
           load(p, &l->reverse_exempt, &k->reverse_dns.exempt, LIST_OF_CLIENTS, err) &&
           load(p, &l->grey_clients, &k->greylist.exempt_clients, LIST_OF_CLIENTS, err) &&
           load(p, &l->allow_senders, &k->allow_senders, LIST_OF_ADDRESSES, err) &&
           load(p, &l->block_senders, &k->block_senders, LIST_OF_ADDRESSES, err) &&
           load(p, &l->allow_recipients, &k->allow_recipients, LIST_OF_ADDRESSES, err) &&
           load(p, &l->block_recipients, &k->block_recipients, LIST_OF_ADDRESSES, err) &&
           load(p, &l->grey_senders, &k->greylist.exempt_senders, LIST_OF_ADDRESSES, err) &&
           load(p, &l->grey_recipients, &k->greylist.exempt_recipients, LIST_OF_ADDRESSES, err) && load_recipients(p, err) &&
           (l->relaying = relaying_new(p->config, err));
}

/* One list for all who ask. */
static bool load_suffixes(struct policy *p, struct err *err)
{
    const struct config_checks *k = &p->config->checks;
    bool dmarc = k->dmarc.enabled && k->dmarc.organization == CONFIG_ORGANIZATION_LIST;
    if (!dmarc && !k->greylist.enabled) return true;
    if (!k->dmarc.suffixes) {
        p->lists.suffixes = public_suffix_load();
        return p->lists.suffixes || !dmarc ||
               err_set(err, "there is no public suffix list: install publicsuffix, or set checks.dmarc.organization: tree_walk");
    }
    struct err why;
    p->lists.suffixes = public_suffix_load_file(k->dmarc.suffixes, &why);
    return p->lists.suffixes || err_set(err, "checks.dmarc.suffixes: %s", why.text);
}

static void free_lists(struct policy *p)
{
    struct policy_lists *l = &p->lists;
    const struct list_match *all[] = { l->allow_clients, l->block_clients, l->pause_exempt, l->limits_exempt, l->reverse_exempt,
                                       l->grey_clients, l->allow_senders, l->block_senders, l->allow_recipients,
                                       l->block_recipients, l->grey_senders, l->grey_recipients };
    for (size_t i = 0; i < countof(all); i++) list_free((struct list_match *)all[i]);
    for (size_t i = 0; l->recipients && i < p->config->domain_n; i++) list_free((struct list_match *)l->recipients[i]);
    free(l->recipients);
    relaying_free((struct relaying *)l->relaying);
    expander_free((struct expander *)l->expander);
    public_suffix_free((struct public_suffix *)l->suffixes);
}

/* Whatever lists say. */
static bool names_always_wanted(const struct policy *p)
{
    const struct config_checks *k = &p->config->checks;
    if (k->reverse_dns.enabled || k->greylist.enabled) return true;
    for (size_t i = 0; i < k->dns_lists.n; i++)
        if (k->dns_lists.lists[i].enabled && k->dns_lists.lists[i].of & CONFIG_DNS_LIST_REVERSE) return true;
    for (size_t i = 0; i < p->config->relaying_n; i++)
        if (p->config->relaying[i].on & CONFIG_RELAYING_CONNECT && relaying_is_name(&p->config->relaying[i])) return true;
    return false;
}

bool check_wants_reverse(const struct policy *p) { return p->reverse; }

bool check_wants_reverse_now(const struct check_call *c)
{
    const struct policy *p = run_policy(c->run);
    return p->reverse_always || list_has_hosts(p->lists.allow_clients) || list_has_hosts(p->lists.block_clients);
}

/* ---- own addresses: who stands in a trusted network by chance is not meant; connections from there may come through a NAT */

static bool is_named_alone(const struct config *c, const struct ip *ip)
{
    struct match m;
    for (size_t i = 0; i < c->relaying_n; i++) {
        const struct config_relaying *r = &c->relaying[i];
        if (r->action != CONFIG_RELAYING_RELAY || match_parse(slice_str(r->match), LIST_OF_CLIENTS, &m)) continue;
        if (m.form == MATCH_NETWORK && m.net.prefix == (ip->family == 4 ? 32 : 128) && ip_net_has(&m.net, ip)) return true;
    }
    for (size_t i = 0; i < c->zone_n; i++)
        for (size_t k = 0; k < c->zones[i].network_n; k++) {
            const struct ip_net *net = &c->zones[i].networks[k];
            if (net->prefix == (ip->family == 4 ? 32 : 128) && ip_net_has(net, ip)) return true;
        }
    return false;
}

static void find_own(struct policy *p)
{
    struct ifaddrs *all = NULL;
    struct ip ip;
    if (getifaddrs(&all) < 0) return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || !ip_from_sockaddr(i->ifa_addr, &ip, NULL) || ip_is_loopback(&ip)) continue;
        ip.scope = 0;
        if (is_named_alone(p->config, &ip)) continue;
        p->own = mem_grow(p->own, p->own_n + 1, sizeof *p->own);
        p->own[p->own_n++] = ip;
    }
    freeifaddrs(all);
}

/* Those that are on; each stage is one run of the table. */
static void choose(struct policy *p)
{
    enum policy_stage stage = STAGE_CONNECT;
    uint8_t step = 0;
    for (const struct check *const *k = checks; *k; k++) {
        assert((*k)->stage > stage || ((*k)->stage == stage && (*k)->step >= step));
        step = (*k)->step;
        while (stage < (*k)->stage) p->from[++stage] = p->n;
        if ((*k)->wanted && !(*k)->wanted(p->config, p)) continue;
        p->checks = mem_grow(p->checks, p->n + 1, sizeof *p->checks);
        p->checks[p->n++] = *k;
    }
    while (stage < STAGES) p->from[++stage] = p->n;
}

static bool load_tables(struct policy *p, struct err *err)
{
    p->tables = tables_new(p->config, err);
    if (p->tables) config_set_tables(p->config, p->tables);
    return p->tables;
}

struct tables *policy_tables(const struct policy *p) { return p->tables; }
const struct expander *policy_expander(const struct policy *p) { return p->lists.expander; }

struct policy *policy_new(const struct config *c, struct err *err)
{
    struct policy *p = mem_new(struct policy);
    p->config = c;
    if (!load_tables(p, err) || !load_lists(p, err) || !load_suffixes(p, err) ||
        !(p->lists.expander = expander_new(c, p->tables, err))) {
        policy_free(p);
        return NULL;
    }
    p->reverse_always = names_always_wanted(p);
    p->reverse = p->reverse_always || list_may_have_hosts(p->lists.allow_clients) || list_may_have_hosts(p->lists.block_clients);
    find_own(p);
    choose(p);
    if (!skips_load(p, checks, err)) {
        policy_free(p);
        return NULL;
    }
    return p;
}

void policy_free(struct policy *p)
{
    if (!p) return;
    free_lists(p);
    config_set_tables(p->config, NULL);
    tables_free(p->tables);
    skips_free(p);
    free(p->checks);
    free(p->own);
    free(p);
}

/* ---- of a worker */

static void find_places(const char *check, struct counter_place *places[POLICY_WAIT + 1])
{
    char label[COUNTER_LABEL_MAX + 1];
    for (unsigned k = 0; k < POLICY_WAIT; k++) {
        snprintf(label, sizeof label, "%s/%s", check, trace_outcome_name(k));
        places[k] = counters_place(COUNTER_CHECK_RUNS, label);
    }
    places[POLICY_WAIT] = counters_place(COUNTER_CHECK_TIME, check);
}

struct policy_engine *policy_engine_new(const struct policy_engine_options *o)
{
    struct policy_engine *e = mem_new(struct policy_engine);
    e->o = *o;
    list_init(&e->explains);
    e->counts = mem_zalloc((o->policy->n + 1) * sizeof *e->counts);
    e->places = mem_zalloc((o->policy->n + 1) * sizeof *e->places);
    for (size_t i = 0; i < o->policy->n; i++) find_places(o->policy->checks[i]->name, e->places[i]);
    e->parts.memo = memo_new();
    if (o->config->checks.dkim.enabled || o->config->checks.arc.enabled) e->parts.dkim_keys = dkim_keys_new(DKIM_KEYS_KEPT);
    e->parts.dns_lists = dns_lists_new(o);
    e->parts.recipients = recipients_new(&e->o);
    return e;
}

void policy_engine_free(struct policy_engine *e)
{
    if (!e) return;
    explain_break_off(e);
    memo_free(e->parts.memo);
    dkim_keys_free(&e->parts.dkim_keys);
    dns_lists_free(e->parts.dns_lists);
    recipients_free(e->parts.recipients);
    free(e->counts);
    free(e->places);
    free(e);
}

struct dns_lists *policy_dns_lists(const struct policy_engine *e)
{
    return e->parts.dns_lists;
}

json_t *policy_figures(const struct policy_engine *e)
{
    const struct policy *p = e->o.policy;
    json_t *all = json_array();
    for (size_t i = 0; i < p->n; i++) {
        json_t *one = json_pack("{s:s, s:s}", "check", p->checks[i]->name, "stage", trace_stage_name(p->checks[i]->stage));
        for (unsigned k = 0; k < POLICY_WAIT; k++)
            json_object_set_new(one, trace_outcome_name(k), json_integer((json_int_t)e->counts[i][k]));
        json_array_append_new(all, one);
    }
    return json_pack("{s:o, s:o}", "checks", all, "dns_lists", dns_lists_figures(e->parts.dns_lists));
}
