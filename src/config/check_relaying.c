/* SPDX-License-Identifier: Apache-2.0
 * The list `relaying`: entries that can be read, that say something, and that let no stranger relay. */
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "config/match.h"
#include "config/parse.h"

static const char form_hint[] = "write an IP address, a network, a host or domain, or .example.org for it and all below";

/* A client that is let relay is not to be anybody. */
static void check_trusting(const struct check *k, const struct match *m, const struct yaml_node *where, uint64_t *public)
{
    const char *shown = report_quote(k->report, where->text), *why = NULL;
    static const char hint[] = "name only hosts and networks of your own";
    if (m->form == MATCH_NETWORK && (why = check_net_too_wide(&m->net)))
        yaml_error(k->report, where, hint, "it would relay for strangers: %s is %s", shown, why);
    else if (m->form == MATCH_NETWORK && check_too_many(&m->net, public))
        yaml_error(k->report, where, hint, "the public networks that may relay, up to this one, hold more than %llu addresses: the "
                   "relay would relay for strangers", CHECK_PUBLIC_MAX);
    else if (m->form == MATCH_TREE && check_is_registry(slice_str(m->domain)))
        yaml_error(k->report, where, hint, "it would relay for strangers: everybody below %s", m->domain);
}

static void check_relay_entry(const struct check *k, const struct config_relaying *r, const struct match *m,
                              const struct yaml_node *node, uint64_t *public)
{
    const struct yaml_node *match = yaml_get(node, "match"), *on = yaml_get(node, "on");
    if (r->on & CONFIG_RELAYING_FROM)
        yaml_error(k->report, yaml_either(on, node), "write on: connect for clients, on: to for recipients, or on: [connect, to]",
                   "it would relay for strangers: anybody can claim to be a sender of %s", report_quote(k->report, match->text));
    if (m->form != MATCH_NETWORK && !strchr(m->domain, '.'))
        yaml_error(k->report, match, "name your own domain or host below it", "it would relay for strangers: %s is a top-level domain",
                   m->domain);
    else if (r->on & CONFIG_RELAYING_CONNECT) check_trusting(k, m, match, public);
    else if (m->form == MATCH_TREE && check_is_registry(slice_str(m->domain)))
        yaml_warning(k->report, match, "name your own domain below it",
                     "%s looks like a registry: mail for every domain below it is relayed", m->domain);
}

static void check_entry(const struct check *k, const struct config_relaying *r, const struct yaml_node *node, uint64_t *public)
{
    const struct yaml_node *match = yaml_get(node, "match"), *on = yaml_get(node, "on");
    struct match m;
    const char *why = match_parse(slice_str(r->match), LIST_OF_CLIENTS, &m);
    if (!why && m.form == MATCH_EXPRESSION) why = "regular expressions are not for this list";
    if (why) {
        yaml_error(k->report, match, form_hint, "\"%s\": %s", report_quote(k->report, match->text), why);
        return;
    }
    if (m.form == MATCH_NETWORK && !(r->on & CONFIG_RELAYING_CONNECT))
        yaml_error(k->report, yaml_either(on, node), "write on: connect, or name a domain",
                   "senders and recipients have no address: %s is never found", report_quote(k->report, match->text));
    else if (r->action == CONFIG_RELAYING_RELAY) check_relay_entry(k, r, &m, node, public);
}

/* The same entry with two actions has no right answer. */
struct seen {
    const struct config_relaying *r;
    uint32_t on;
};
static uint64_t hash_of_seen(const void *item) { return hash_ibytes(slice_str(((const struct seen *)item)->r->match)); }
static bool seen_is(const void *item, const void *key)
{
    const struct seen *a = item, *b = key;
    return a->on == b->on && slice_ieq(slice_str(a->r->match), slice_str(b->r->match));
}

static void check_twice(const struct check *k, const struct yaml_node *node)
{
    const struct config *c = k->c;
    struct seen *all = mem_zalloc((3 * c->relaying_n + 1) * sizeof *all);
    struct htable table;
    size_t n = 0;
    htable_init(&table, hash_of_seen);
    for (size_t i = 0; i < c->relaying_n && node; i++, node = node->next) {
        const struct config_relaying *r = &c->relaying[i], *other = NULL;
        for (uint32_t on = CONFIG_RELAYING_CONNECT; r->match && on <= CONFIG_RELAYING_TO; on *= 2) {
            if (!(r->on & on)) continue;
            all[n] = (struct seen){ r, on };
            const struct seen *first = htable_find(&table, hash_of_seen(&all[n]), seen_is, &all[n]);
            if (first) other = first->r;
            else htable_add(&table, &all[n++]);
        }
        if (other)
            report_add(k->report, other->action == r->action, node->place, yaml_path(k->report, node), "keep one of the two",
                       "%s is written twice: also at line %u", report_quote(k->report, slice_str(r->match)), other->place.line);
    }
    htable_deinit(&table);
    free(all);
}

void check_relaying(const struct check *k)
{
    const struct yaml_node *first = yaml_first(k->root, "relaying"), *node = first;
    uint64_t public = 0;
    for (size_t i = 0; i < k->c->relaying_n && node; i++, node = node->next)
        if (k->c->relaying[i].match && k->c->relaying[i].match[0] && yaml_get(node, "match"))
            check_entry(k, &k->c->relaying[i], node, &public);
    check_twice(k, first);
}
