/* SPDX-License-Identifier: Apache-2.0
 * RCPT (RFC 5321 §4.1.1.3): recipients, each taken once; what their next hops are known not to take is refused at once. */
#include <assert.h>
#include <stdio.h>
#include "base/log.h"
#include "base/utf8.h"
#include "policy/relay.h"
#include "route/expand.h"
#include "server/text.h"

#define ROOM_FIRST 4
#define MEMBERS_LOOKED_AT 50 /* of one recipient */

struct slice rcpt_key(const struct address *a, char room[RCPT_KEY_MAX])
{
    assert(a->local.n <= ADDRESS_LOCAL_MAX); /* the grammar saw to it */
    size_t n = address_local_unquote(a->local, room);
    room[n++] = '@';
    if (!address_domain_ascii(a->domain, room + n)) return a->text;
    return slice_of(room, n + strlen(room + n));
}

/* The slot of `key` in the index, or the free slot where it belongs. There is room for one more. */
static uint32_t *find_slot(struct transaction *tx, struct slice key)
{
    uint32_t mask = 2 * tx->rcpt_room - 1;
    for (uint32_t i = (uint32_t)hash_bytes(key) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &tx->rcpt_index[i];
        if (!*slot || slice_eq(tx->rcpt_keys[*slot - 1], key)) return slot;
    }
}

/* Twice the room; what was there before stays in the arena until the transaction ends. */
static void grow(struct session *s)
{
    struct transaction *tx = &s->tx;
    uint32_t room = tx->rcpt_room ? 2 * tx->rcpt_room : ROOM_FIRST;
    struct slice *rcpts = arena_alloc(&s->arena, 2 * (size_t)room * sizeof *rcpts), *keys = rcpts + room;
    if (tx->rcpt_n) {
        memcpy(rcpts, tx->rcpts, tx->rcpt_n * sizeof *rcpts);
        memcpy(keys, tx->rcpt_keys, tx->rcpt_n * sizeof *keys);
    }
    tx->rcpts = rcpts;
    tx->rcpt_keys = keys;
    if (tx->rcpt_dsn) {
        struct envelope_dsn *dsn = arena_alloc(&s->arena, room * sizeof *dsn);
        memcpy(dsn, tx->rcpt_dsn, tx->rcpt_n * sizeof *dsn);
        tx->rcpt_dsn = dsn;
    }
    tx->rcpt_room = room;
    tx->rcpt_index = arena_alloc(&s->arena, 2 * (size_t)room * sizeof *tx->rcpt_index);
    for (uint32_t i = 0; i < tx->rcpt_n; i++) *find_slot(tx, keys[i]) = i + 1;
}

static void add(struct session *s, uint32_t *slot, struct slice rcpt, struct slice key)
{
    struct transaction *tx = &s->tx;
    struct slice kept = arena_slice(&s->arena, rcpt);
    tx->rcpts[tx->rcpt_n] = kept;
    tx->rcpt_keys[tx->rcpt_n] = slice_eq(rcpt, key) ? kept : arena_slice(&s->arena, key);
    *slot = ++tx->rcpt_n;
}

uint8_t rcpt_unite_notify(uint8_t a, uint8_t b)
{
    const uint8_t unsaid = NOTIFY_FAILURE | NOTIFY_DELAY;
    if (a == b) return a;
    uint8_t both = (uint8_t)((a ? a : unsaid) | (b ? b : unsaid));
    return both == NOTIFY_NEVER ? both : both & (uint8_t)~NOTIFY_NEVER;
}

static void note_dsn(struct session *s, uint32_t i, bool again, const struct command_rcpt_params *p)
{
    struct transaction *tx = &s->tx;
    if (!p->given && !tx->rcpt_dsn) return;
    if (!tx->rcpt_dsn) tx->rcpt_dsn = arena_alloc(&s->arena, tx->rcpt_room * sizeof *tx->rcpt_dsn);
    struct envelope_dsn *d = &tx->rcpt_dsn[i];
    d->notify = again ? rcpt_unite_notify(d->notify, p->notify) : p->notify;
    if (!d->orcpt.n) d->orcpt = arena_slice(&s->arena, p->orcpt);
    if (p->given) tx->flags |= ENVELOPE_DSN_SEEN;
}

static void refuse(struct session *s, int code, const char *enhanced, const char *text, struct slice rcpt)
{
    s->server->figures.recipients_refused++;
    session_refuse_rcpt(s, "RCPT", code, enhanced, text, rcpt);
}

/* What the next hop takes. It is asked for once for all recipients of one domain in a row, unless a route may be for one alone. */
static const struct hop_abilities *hop_of(struct session *s, const struct address *rcpt, struct slice name)
{
    struct transaction *tx = &s->tx;
    bool by_domain = !s->server->routes_by_address && slice_eq(name, rcpt->text); /* postmaster goes its own way */
    if (by_domain && tx->hop_domain.n && slice_ieq(tx->hop_domain, rcpt->domain)) return &tx->hop;
    bool known = queue_abilities(s->server->o.queue, policy_sender_decides(s->run) ? tx->sender : SLICE(""), name, &tx->hop);
    if (!known) tx->hop = (struct hop_abilities){ .utf8 = true, .requiretls = true }; /* left to the delivery */
    tx->hop_domain = known && by_domain ? arena_slice(&s->arena, rcpt->domain) : SLICE("");
    return &tx->hop;
}

/* Why the next hop would not take it; code 0: it would. */
struct misfit {
    int code;
    const char *enhanced;
    char text[160];
};

static bool hop_fits(struct session *s, const struct address *rcpt, struct slice name, struct misfit *why)
{
    struct transaction *tx = &s->tx;
    const struct hop_abilities *a = hop_of(s, rcpt, name);
    uint64_t most = a->size_max ? a->size_max : UINT64_MAX;
    bool wide = tx->sender_utf8 || !utf8_ascii(rcpt->local); /* domains go on as A-labels */
    if (wide && !a->utf8) { /* RFC 6531 §3.5 */
        *why = (struct misfit){ 550, "5.6.7", "the next server for this recipient takes no addresses that are not ASCII" };
    } else if (tx->flags & ENVELOPE_REQUIRETLS && !a->requiretls) { /* RFC 8689 §4.2 */
        *why = (struct misfit){ 550, "5.7.30", "the next server for this recipient does not support REQUIRETLS" };
    } else if (tx->declared > most) { /* RFC 1870 §6.1 */
        *why = (struct misfit){ 552, "5.3.4", "" };
        snprintf(why->text, sizeof why->text, "the message is too large for the next server (limit: %llu bytes)", (unsigned long long)most);
    } else {
        if (most > tx->hop_size) tx->hop_size = most;
        return true;
    }
    return false;
}

/* Of several that it stands for one suffices: what the others cannot have comes back for them alone. */
static bool some_hop_fits(struct session *s, const struct expand_result *r, struct misfit *why)
{
    struct misfit other;
    bool fits = r->to_n > MEMBERS_LOOKED_AT;
    for (uint32_t i = 0; i < r->to_n && i < MEMBERS_LOOKED_AT; i++) {
        struct address member;
        fits |= address_parse(r->to[i].address, &member) || hop_fits(s, &member, member.text, i ? &other : why);
    }
    return fits;
}

/* Better a refusal now than a bounce later. What counts is what becomes of the recipient. */
static bool hop_takes(struct session *s, const struct address *rcpt, struct slice name)
{
    const struct expand_result *r = policy_rewriting(s->run);
    struct misfit why = { 0 };
    if (r && r->status == EXPAND_DONE ? some_hop_fits(s, r, &why) : hop_fits(s, rcpt, name, &why)) return true;
    refuse(s, why.code, why.enhanced, why.text, name);
    return false;
}

/* What the command asks for in itself. */
static bool rcpt_ok(struct session *s, const struct command *c, struct command_rcpt_params *params)
{
    struct command_error error;
    bool utf8 = s->tx.flags & ENVELOPE_SMTPUTF8;
    struct command_offer offer = { .esmtp = s->esmtp, .dsn = s->zone->dsn, .utf8 = utf8 };
    if (s->tx.chunked) { /* the text has begun: RFC 3030 §2 */
        session_refuse_rcpt(s, "RCPT", 503, "5.5.1", "recipients come before the text", c->path.text);
        return false;
    }
    if (!command_rcpt_params(c, &offer, params, &error)) {
        session_refuse_rcpt(s, "RCPT", error.code, error.enhanced, error.text, c->path.text);
        return false;
    }
    if (c->path.utf8 && !utf8) { /* RFC 6531 §3.5 */
        refuse(s, 553, "5.6.7", "an address that is not ASCII needs the parameter SMTPUTF8 with MAIL", c->path.text);
        return false;
    }
    return true;
}

/* ---- the recipient that is asked about: what of the command is needed when the checks have answered */

struct asked_rcpt {
    struct address path;
    struct command_rcpt_params params;
    char text[COMMAND_LINE_MAX]; /* what they point to */
};

static void keep(struct session *s, const struct command *c, const struct command_rcpt_params *params)
{
    struct transaction *tx = &s->tx;
    struct slice path = c->path.text, orcpt = params->orcpt;
    assert(path.n + orcpt.n <= COMMAND_LINE_MAX);
    if (!tx->asked) tx->asked = arena_alloc(&s->arena, sizeof *tx->asked); /* once: recipients that are refused must not add up */
    struct asked_rcpt *a = tx->asked;
    a->path = c->path;
    a->params = *params;
    if (path.n) memcpy(a->text, path.p, path.n);
    if (orcpt.n) memcpy(a->text + path.n, orcpt.p, orcpt.n);
    a->path.text = slice_of(a->text, path.n);
    a->path.local = slice_sub(a->path.text, 0, c->path.local.n);
    a->path.domain = slice_sub(a->path.text, path.n - c->path.domain.n, path.n);
    a->params.orcpt = slice_of(a->text + path.n, orcpt.n);
}

/* Together with those they stand for. */
static bool are_too_many(const struct session *s, uint64_t more)
{
    const struct transaction *tx = &s->tx;
    uint64_t n = tx->became + more;
    return tx->rcpt_n >= s->server->o.config->limits.recipients || (n > TEXT_EXPANDED_MAX && n > tx->rcpt_n + 1);
}

/* RFC 5321 §4.5.3.1.10; no error of the client's. */
static void refuse_many(struct session *s)
{
    session_reply(s, 452, "4.5.3", "too many recipients, please send the others another copy");
}

/* The checks have nothing against it. */
static void take(struct session *s, const struct address *path, const struct command_rcpt_params *params)
{
    const struct relay_verdict *v = policy_relay_verdict(s->run);
    bool postmaster = v->postmaster;
    struct address original;
    if (v->rewritten && !address_parse(slice_str(v->original), &original)) path = &original; /* it goes back to whom it came from */
    struct slice rcpt = postmaster ? SLICE("postmaster") : path->text;
    char room[RCPT_KEY_MAX];
    struct slice key = postmaster ? rcpt : rcpt_key(path, room);
    if (s->tx.rcpt_n == s->tx.rcpt_room) grow(s);
    uint32_t *slot = find_slot(&s->tx, key);
    bool again = *slot;
    if (!again) {
        const struct expand_result *r = policy_rewriting(s->run);
        uint64_t more = r ? r->cost : 1;
        if (are_too_many(s, more)) {
            s->tx.full = s->tx.became > s->tx.rcpt_n || more > 1;
            refuse_many(s);
            return;
        }
        if (!hop_takes(s, path, rcpt)) return;
        add(s, slot, rcpt, key);
        s->tx.became += more;
    }
    note_dsn(s, *slot - 1, again, params);
    s->phase = SESSION_RCPT;
    session_reply(s, 250, "2.1.5", "recipient noted");
}

static void decide(struct session *s, const struct policy_verdict *v, const struct address *path,
                   const struct command_rcpt_params *params)
{
    if (policy_refuses(v->outcome)) {
        s->server->figures.recipients_refused++;
        session_policy_refuse(s, "RCPT", v, path->text);
    } else take(s, path, params);
}

static void on_verdict(struct session *s, const struct policy_verdict *v)
{
    const struct asked_rcpt *a = s->tx.asked;
    decide(s, v, &a->path, &a->params);
}

/* One that was taken already, or when there is no room for more: to ask again, which may mean to expand a large group, would be work for
 * nothing. */
static bool is_decided(struct session *s, const struct address *path, const struct command_rcpt_params *params)
{
    const struct transaction *tx = &s->tx;
    char room[RCPT_KEY_MAX];
    const uint32_t *slot = tx->rcpt_room ? find_slot(&s->tx, rcpt_key(path, room)) : NULL;
    if (slot && *slot) {
        note_dsn(s, *slot - 1, true, params);
        session_reply(s, 250, "2.1.5", "recipient noted");
        return true;
    }
    if (tx->full) refuse_many(s);
    return tx->full;
}

void verb_rcpt(struct session *s, const struct command *c)
{
    struct command_rcpt_params params;
    struct policy_verdict v;
    if (!rcpt_ok(s, c, &params) || is_decided(s, &c->path, &params)) return;
    policy_set_recipient(s->run, &c->path, s->tx.rcpt_n);
    if (session_ask(s, STAGE_RCPT, &v, on_verdict)) decide(s, &v, &c->path, &params);
    else keep(s, c, &params);
}
