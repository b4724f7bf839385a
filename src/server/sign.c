/* SPDX-License-Identifier: Apache-2.0
 * A message that came in gets our signatures before it is committed: mail of users DKIM's, mail of strangers that is passed on ARC's
 * seal. The keys are in another process; while it works the session takes no input. */
#include "base/clock.h"
#include "base/log.h"
#include "policy/message_auth.h"
#include "server/text.h"
#include "signer/signer.h"

/* Fields that will be in front of the message are signed with it. */
static void add_missing(struct session *s)
{
    for (struct slice rest = slice_str(text_missing(s)), line; rest.n;) {
        slice_cut(&rest, '\n', &line);
        policy_text_field(s->run, slice_trim(line), false);
    }
}

void text_sign_begin(struct session *s)
{
    const struct server_options *o = &s->server->o;
    const struct auth_header *header = policy_text_header(s->run);
    struct auth_body *body = policy_text_hashes(s->run);
    uint64_t now = clock_wall_ms();
    if (!o->keys || !header || !body || s->tx.header.malformed) return;
    bool seal = policy_text_is_verified(s->run);
    if (!seal) add_missing(s);
    s->tx.signing = seal ? signing_begin_arc(o->keys, header, body, now, &s->arena)
                         : signing_begin_dkim(o->keys, header, body, now, &s->arena);
}

/* Takes no part in what checks say: it is there so that the session waits. */
static void wait(struct session *s, const struct policy_verdict *v) {}

static void on_signed(void *arg, bool ok, struct slice fields)
{
    struct session *s = arg;
    s->then = NULL;
    s->tx.signing = NULL;
    if (ok) {
        s->tx.signatures = arena_slice(&s->arena, fields);
        text_submit(s);
    } else {
        log_event(LOG_ERROR, "not-signed", LOG_SESSION(s->id), LOG_ID(s->tx.id), LOG_STR("reason", "the signer does not answer"));
        text_spoil(s, 451, "4.7.0", "the message cannot be signed at the moment, please try again later");
        text_give_up(s);
    }
    session_resume(s);
}

void text_sign(struct session *s)
{
    struct signing *g = s->tx.signing;
    struct buf results = { 0 };
    if (!g) {
        text_submit(s);
        return;
    }
    policy_text_result_value(s->run, &results);
    s->then = wait;
    if (!signing_start(g, s->server->o.signer, policy_text_chain(s->run), buf_slice(&results), on_signed, s)) {
        s->then = NULL;
        s->tx.signing = NULL;
        text_submit(s);
    }
    buf_deinit(&results);
}
