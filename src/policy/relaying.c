/* SPDX-License-Identifier: Apache-2.0
 * The list `relaying`: for each thing that entries are held against, and for each action, one list of matches. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "config/list.h"
#include "policy/relay.h"

/* In the order in which they decide: the things by themselves, the actions where entries are equally near. */
enum { ON_CONNECT, ON_FROM, ON_TO, ONS };
static const enum config_relaying_on on_bits[ONS] = { CONFIG_RELAYING_CONNECT, CONFIG_RELAYING_FROM, CONFIG_RELAYING_TO };
static const enum config_relaying_action actions[] = { CONFIG_RELAYING_REJECT, CONFIG_RELAYING_OK, CONFIG_RELAYING_RELAY };
#define ACTIONS countof(actions)

struct relaying {
    struct list_match *lists[ONS][ACTIONS];
    struct config_match *entries;
};

bool relaying_is_name(const struct config_relaying *r)
{
    struct match m;
    return !match_parse(slice_str(r->match), LIST_OF_CLIENTS, &m) && m.form != MATCH_NETWORK;
}

/* Is the entry held against `on`? Sender and recipient have no address; whoever claims to be a sender must not relay by that. */
static bool is_for(const struct config_relaying *r, unsigned on, enum config_relaying_action action)
{
    if (!(r->on & on_bits[on]) || r->action != action) return false;
    if (on == ON_CONNECT) return true;
    return (on != ON_FROM || action != CONFIG_RELAYING_RELAY) && relaying_is_name(r);
}

static struct list_match *make(const struct config *c, unsigned on, enum config_relaying_action action,
                               struct config_match *room, size_t *used, struct err *err)
{
    struct config_match_list list = { .entries = room };
    for (size_t i = 0; i < c->relaying_n; i++) {
        const struct config_relaying *r = &c->relaying[i];
        if (is_for(r, on, action))
            room[list.n++] = (struct config_match){ .match = r->match, .comment = r->comment, .place = r->place };
    }
    *used = list.n;
    return list_new(&list, on == ON_CONNECT ? LIST_OF_CLIENTS : LIST_OF_ADDRESSES, NULL, err);
}

struct relaying *relaying_new(const struct config *c, struct err *err)
{
    struct relaying *l = mem_new(struct relaying);
    l->entries = mem_zalloc((c->relaying_n * ONS + 1) * sizeof *l->entries);
    struct config_match *room = l->entries;
    for (unsigned on = 0; on < ONS; on++)
        for (unsigned a = 0; a < ACTIONS; a++) {
            size_t used = 0;
            l->lists[on][a] = make(c, on, actions[a], room, &used, err);
            if (!l->lists[on][a]) {
                relaying_free(l);
                return NULL;
            }
            room += used;
        }
    return l;
}

void relaying_free(struct relaying *l)
{
    if (!l) return;
    for (unsigned on = 0; on < ONS; on++)
        for (unsigned a = 0; a < ACTIONS; a++) list_free(l->lists[on][a]);
    free(l->entries);
    free(l);
}

static void take_nearer(struct list_found *best, const struct list_found *other, enum config_relaying_action action,
                        struct relaying_found *out)
{
    if (other->kind < best->kind || (other->kind == best->kind && other->nearness <= best->nearness)) return;
    *best = *other;
    out->entry = other->entry;
    out->action = action;
}

void relaying_find_client(const struct relaying *l, const struct ip *ip, struct slice name, struct relaying_found *out)
{
    struct list_found best = { 0 }, f;
    *out = (struct relaying_found){ .on = CONFIG_RELAYING_CONNECT };
    for (unsigned a = 0; a < ACTIONS; a++) {
        list_find_ip(l->lists[ON_CONNECT][a], ip, &f);
        if (!f.kind) list_find_host(l->lists[ON_CONNECT][a], name, &f);
        take_nearer(&best, &f, actions[a], out);
    }
}

static void find_domain(const struct relaying *l, unsigned on, struct slice domain, struct relaying_found *out)
{
    struct list_found best = { 0 }, f;
    *out = (struct relaying_found){ .on = on_bits[on] };
    if (!domain.n) return; /* the null reverse-path, <postmaster> */
    for (unsigned a = 0; a < ACTIONS; a++) {
        list_find_address(l->lists[on][a], SLICE(""), domain, &f);
        take_nearer(&best, &f, actions[a], out);
    }
}

void relaying_find_recipient(const struct relaying *l, struct slice rcpt, struct relaying_found *out)
{
    find_domain(l, ON_TO, rcpt, out);
}

void relaying_find(const struct relaying *l, const struct relay_client *who, struct slice sender, struct slice rcpt,
                   struct relaying_found *out)
{
    relaying_find_client(l, &who->ip, who->name, out);
    if (out->action == CONFIG_RELAYING_RELAY && who->distrusted) out->entry = NULL;
    if (!out->entry) find_domain(l, ON_FROM, sender, out);
    if (!out->entry) find_domain(l, ON_TO, rcpt, out);
}
