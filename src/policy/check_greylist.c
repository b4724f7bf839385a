/* SPDX-License-Identifier: Apache-2.0
 * Greylisting: the first mail of a client, sender and recipient who have not met is deferred; a mail server comes again, most senders of
 * spam do not. When it came again and its message was taken, the client may send for the sender's domain at once for some days.
 *
 * A client is its network, or, where its name is confirmed and is no name made of the address, the registrable domain of that
 * name: a provider's many hosts are one client, whichever of them comes again. */
#include "policy/checks.h"
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/public_suffix.h"
#include "mailauth/spf.h"
#include "policy/client_net.h"
#include "policy/learn.h"
#include "config/list.h"
#include "policy/memo.h"
#include "policy/pipeline.h"
#include "store/store.h"

#define KEY_MAX STORE_KEY_MAX
#define MEMO_MS 600000
#define KNOWN "its mail for this sender's domain passed lately"
static const struct config_place nowhere = { 0 };

struct grey {
    struct check_call *call;
    struct store_request *request;
    struct slice client; /* who comes, in the connection's arena */
    struct slice allow_key;
};

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.greylist.enabled; }

static void done(struct check_call *c)
{
    struct grey *g = c->own;
    c->own = NULL;
    store_cancel(&g->request);
    free(g);
}

/* ---- the client, who is the same for all recipients of a connection */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Does the name hold the last two numbers of the address, as names of dial-up lines do? */
static bool is_made_of(struct slice name, const struct ip *ip)
{
    unsigned found = 0;
    if (ip->family != 4) return true; /* hosts of providers with IPv6 share their /64 anyway */
    for (size_t i = 0; i < name.n; i++) {
        if (!is_digit(name.p[i]) || (i && is_digit(name.p[i - 1]))) continue;
        unsigned v = 0;
        for (size_t k = i; k < name.n && is_digit(name.p[k]) && v < 1000; k++) v = 10 * v + (unsigned)(name.p[k] - '0');
        found |= v == ip->bytes[2] ? 1 : v == ip->bytes[3] ? 2 : 0;
    }
    return found == 3;
}

static struct slice who_is(struct check_call *c, struct arena *a)
{
    const struct check_facts *f = check_facts(c);
    const struct config_checks *k = &check_engine(c)->config->checks;
    struct slice domain = SLICE("");
    char net[17];
    if (f->reverse == REVERSE_CONFIRMED && !is_made_of(f->reverse_name, &f->client.ip))
        domain = public_suffix_registrable(check_lists(c)->suffixes, f->reverse_name);
    if (domain.n) return domain;
    return arena_slice(a, slice_of(net, client_net(&f->client.ip, k->greylist.ipv4_prefix, k->greylist.ipv6_prefix, net)));
}

static const char *client_exemption(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct list_match *l = check_lists(c)->grey_clients;
    struct list_found found = { 0 };
    list_find_ip(l, &f->client.ip, &found);
    if (!found.kind && f->reverse == REVERSE_CONFIRMED) list_find_host(l, f->reverse_name, &found);
    /* kept as long as the connection, which may outlive the block that a table's entry is in */
    return found.kind ? arena_strdup(&c->run->arenas[SCOPE_CONNECTION], slice_str(found.entry->match)) : NULL;
}

static const struct grey_client *client_of(struct check_call *c)
{
    struct grey_client *g = &c->run->grey_client;
    if (!g->who.n) *g = (struct grey_client){ client_exemption(c), who_is(c, &c->run->arenas[SCOPE_CONNECTION]) };
    return g;
}

/* ---- who is never delayed */

static bool is_exempt(struct check_call *c, const struct grey_client *client)
{
    const struct check_facts *f = check_facts(c);
    const struct policy_lists *l = check_lists(c);
    struct list_found found = { 0 };
    if (check_engine(c)->config->checks.greylist.private_exempt && ip_is_private(&f->client.ip)) {
        check_pass(c, "a private address is never delayed");
        return true;
    }
    bool proven = f->spf && f->spf->result == SPF_PASS;
    if (check_engine(c)->config->checks.greylist.spf_exempt && proven) {
        check_pass(c, "SPF proves that it sends for the sender's domain");
        return true;
    }
    if (!client->exempt) list_find_sender(l->grey_senders, f->sender_local, f->sender_domain, proven, &found);
    if (!client->exempt && !found.kind) list_find_address(l->grey_recipients, f->rcpt_address->local, f->rcpt_domain, &found);
    if (!client->exempt && !found.kind) return false;
    check_pass(c, "exempt: %s", client->exempt ? client->exempt : found.entry->match);
    return true;
}

/* ---- keys */

static struct slice join(struct check_call *c, struct slice a, struct slice b, struct slice d)
{
    struct buf key = { 0 };
    buf_add(&key, a);
    buf_add_char(&key, 0);
    buf_add(&key, b);
    if (d.n) buf_add_char(&key, 0);
    buf_add(&key, d);
    struct slice out = arena_slice(check_arena(c), slice_sub(buf_slice(&key), 0, KEY_MAX));
    buf_deinit(&key);
    for (size_t i = a.n; i < out.n; i++) ((char *)out.p)[i] = ascii_lower(out.p[i]);
    return out;
}

/* ---- the questions */

static void gone(struct check_call *c)
{
    bool defers = check_engine(c)->config->checks.greylist.without_store == CONFIG_GONE_DEFER;
    done(c);
    if (defers)
        check_refuse(c, 451, "4.3.0", nowhere, "a look-up failed, please try again later",
                     "the store does not answer, and greylist.without_store is defer");
    else check_skip(c, "the store does not answer");
}

static void defer(struct check_call *c, uint64_t ms, bool known)
{
    unsigned long long s = (ms + 999) / 1000;
    char text[120];
    done(c);
    snprintf(text, sizeof text, "greylisted: please try again in %llu seconds", s);
    check_refuse(c, 450, "4.7.1", nowhere, text, known ? "came again too early, by %llu s" : "not met before; may come again in %llu s", s);
}

static void on_triplet(void *arg, const struct store_answer *a)
{
    struct grey *g = arg;
    struct check_call *c = g->call;
    const struct policy_engine_options *e = check_engine(c);
    uint64_t delay = e->config->checks.greylist.delay, first, now = clock_wall_ms();
    g->request = NULL;
    if (a->status == STORE_GONE) {
        gone(c);
        return;
    }
    if (a->status == STORE_NONE || a->value.n != sizeof first) {
        defer(c, delay, false);
        return;
    }
    memcpy(&first, a->value.p, sizeof first);
    first = le64toh(first);
    uint64_t waited = now > first ? now - first : 0;
    if (waited < delay) {
        defer(c, delay - waited, true);
        return;
    }
    struct slice key = g->allow_key;
    if (!check_dry(c)) learn_grey_passed(c->run, key);
    done(c);
    check_pass(c, "came again after %llu s", (unsigned long long)waited / 1000);
}

static void ask_triplet(struct check_call *c)
{
    struct grey *g = c->own;
    const struct policy_engine_options *e = check_engine(c);
    const struct check_facts *f = check_facts(c);
    uint64_t now = clock_wall_ms(), value = htole64(now);
    struct slice key = join(c, g->client, f->sender, f->rcpt);
    if (check_dry(c)) g->request = store_get(e->store, STORE_GREYLIST, key, on_triplet, g);
    else
        g->request = store_put_new(e->store, STORE_GREYLIST, key, slice_of(&value, sizeof value),
                                   now + e->config->checks.greylist.retry_within, on_triplet, g);
}

/* For a while it is not asked again, nor is what the store knows begun anew: an eighth of the time it holds, at most. */
static void remember(struct check_call *c, struct slice key)
{
    uint64_t ms = check_engine(c)->config->checks.greylist.allow_for / 8;
    memo_put(check_parts(c)->memo, MEMO_GREYLIST, key, 0, clock_mono_ms() + (ms < MEMO_MS ? ms : MEMO_MS));
}

static void on_allowed(void *arg, const struct store_answer *a)
{
    struct grey *g = arg;
    struct check_call *c = g->call;
    g->request = NULL;
    if (a->status == STORE_GONE) gone(c);
    else if (a->status == STORE_NONE) ask_triplet(c);
    else {
        if (!check_dry(c)) {
            learn_grey_passed(c->run, g->allow_key);
            remember(c, g->allow_key);
        }
        done(c);
        check_learn(c)->grey_known = true;
        check_pass(c, KNOWN);
    }
}

static void run(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    uint64_t nothing;
    const struct grey_client *client = client_of(c);
    if (is_exempt(c, client)) return;
    struct slice key = join(c, client->who, check_facts(c)->sender_domain, SLICE(""));
    if (memo_get(check_parts(c)->memo, MEMO_GREYLIST, key, clock_mono_ms(), &nothing)) {
        check_learn(c)->grey_known = true;
        check_pass(c, KNOWN);
        return;
    }
    struct grey *g = c->own = mem_new(struct grey);
    *g = (struct grey){ .call = c, .client = client->who, .allow_key = key };
    if (!e->store) {
        gone(c);
        return;
    }
    g->request = store_get(e->store, STORE_AUTO_ALLOW, g->allow_key, on_allowed, g);
}

const struct check check_greylist = { .place_offset = offsetof(struct config, checks.greylist.place), .name = "greylist", .stage = STAGE_RCPT, .step = 3, .whom = FOR_STRANGERS,
                                      .spared_by = ALLOW_CLIENT | ALLOW_MAIL | ALLOW_LISTED, .wanted = wanted, .run = run,
                                      .cancel = done };
