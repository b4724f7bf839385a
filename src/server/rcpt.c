/* SPDX-License-Identifier: Apache-2.0
 * RCPT (RFC 5321 §4.1.1.3): recipients, each taken once. */
#include <stdio.h>
#include "base/log.h"
#include "policy/relay.h"
#include "server/session.h"

#define ROOM_FIRST 4

/* The slot of `rcpt` in the index, or the free slot where it belongs. */
static uint32_t *find_slot(struct transaction *tx, struct slice rcpt)
{
    uint32_t mask = 2 * tx->rcpt_room - 1;
    for (uint32_t i = (uint32_t)hash_bytes(rcpt) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &tx->rcpt_index[i];
        if (!*slot || slice_eq(tx->rcpts[*slot - 1], rcpt)) return slot;
    }
}

/* Twice the room; what was there before stays in the arena until the transaction ends. */
static void grow(struct session *s)
{
    struct transaction *tx = &s->tx;
    uint32_t room = tx->rcpt_room ? 2 * tx->rcpt_room : ROOM_FIRST;
    struct slice *rcpts = arena_alloc(&s->arena, room * sizeof *rcpts);
    if (tx->rcpt_n) memcpy(rcpts, tx->rcpts, tx->rcpt_n * sizeof *rcpts);
    tx->rcpts = rcpts;
    tx->rcpt_room = room;
    tx->rcpt_index = arena_alloc(&s->arena, 2 * (size_t)room * sizeof *tx->rcpt_index);
    for (uint32_t i = 0; i < tx->rcpt_n; i++) *find_slot(tx, rcpts[i]) = i + 1;
}

static bool is_known(struct transaction *tx, struct slice rcpt)
{
    return tx->rcpt_n && *find_slot(tx, rcpt);
}

static void add(struct session *s, struct slice rcpt)
{
    struct transaction *tx = &s->tx;
    if (tx->rcpt_n == tx->rcpt_room) grow(s);
    uint32_t *slot = find_slot(tx, rcpt);
    tx->rcpts[tx->rcpt_n] = arena_slice(&s->arena, rcpt);
    *slot = ++tx->rcpt_n;
}

void verb_rcpt(struct session *s, const struct command *c)
{
    const struct config *config = s->server->o.config;
    struct relay_verdict verdict;
    relay_judge(config, s->zone, &c->path, &verdict);
    if (!verdict.allowed) {
        s->server->figures.recipients_refused++;
        session_refuse(s, "RCPT", verdict.code, verdict.enhanced, verdict.text, c->path.text);
        return;
    }
    struct slice rcpt = verdict.postmaster ? SLICE("postmaster") : c->path.text;
    if (!is_known(&s->tx, rcpt)) {
        if (s->tx.rcpt_n >= config->limits.recipients) { /* RFC 5321 §4.5.3.1.10; no error of the client's */
            session_reply(s, 452, "4.5.3", "too many recipients, please send the others another copy");
            return;
        }
        add(s, rcpt);
    }
    s->phase = SESSION_RCPT;
    session_reply(s, 250, "2.1.5", "recipient noted");
}
