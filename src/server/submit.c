/* SPDX-License-Identifier: Apache-2.0
 * A complete message is made durable: its envelope, the fields put in front of it, the commit, and what the client and the log
 * are told. */
#include "base/clock.h"
#include "base/log.h"
#include "net/tls.h"
#include "policy/message_auth.h"
#include "policy/outcome.h"
#include "server/received.h"
#include "server/text.h"

static void log_accepted(const struct session *s)
{
    const struct transaction *tx = &s->tx;
    struct log_field f[22] = { { .key = "" } }, intended;
    char room[INTENDED_ROOM];
    size_t n = 1;
    f[n++] = LOG_ID(tx->id);
    f[n++] = LOG_SESSION(s->id);
    f[n++] = LOG_TEXT("from", tx->sender);
    f[n++] = LOG_TEXT("to", tx->rcpts[0]);
    f[n++] = LOG_NUM("recipients", tx->rcpt_n);
    uint32_t became = tx->final.n - tx->final.groups;
    if (became != tx->rcpt_n) f[n++] = LOG_NUM("became", became);
    f[n++] = LOG_NUM("size", tx->data.size);
    f[n++] = LOG_IP("client", &s->ip);
    f[n++] = LOG_TEXT("message_id", tx->message_id);
    if ((intended = intended_field(s, room)).key) f[n++] = intended;
    if (s->account) f[n++] = LOG_STR("account", s->account);
    if (tx->certificate.n) f[n++] = LOG_TEXT("certificate", tx->certificate);
    if (tx->given) f[n++] = LOG_TEXT("instead_of", tx->given[0]);
    if (tx->quarantine) f[n++] = LOG_STR("quarantine", envelope_quarantine_name(tx->quarantine));
    if (tx->cut_n) f[n++] = LOG_NUM("edits", tx->cut_n);
    if (!s->stream) f[n++] = LOG_STR("client_gone", "yes");
    f[n] = (struct log_field){ .key = NULL };
    log_fields(LOG_INFO, "accepted", f);
}

static void reply_committed(struct session *s, bool ok, const struct err *err)
{
    if (ok) {
        text_reply_taken(s);
        return;
    }
    text_spoil_storage(s, err);
    text_refuse(s, s->tx.rcpts[0]);
}

void text_count_taken(struct session *s)
{
    s->messages++;
    s->rcpts += s->tx.rcpt_n;
    s->bytes += s->tx.data.size;
    s->chatter = 0;
    if (!s->server) return;
    s->server->figures.messages++;
    s->server->figures.bytes += s->tx.data.size;
}

void text_reply_taken(struct session *s)
{
    char text[40] = "queued as ";
    id_format(s->tx.id, text + strlen(text));
    session_reply(s, 250, "2.0.0", text);
}

static enum notice_done what_was_done(const struct transaction *tx)
{
    if (tx->quarantine) return NOTICE_QUARANTINED;
    if (tx->hold.n) return NOTICE_HELD;
    if (tx->given) return NOTICE_REDIRECTED;
    return tx->cut_n ? NOTICE_EDITED : NOTICE_PASSED;
}

static void on_committed(void *arg, bool ok, const struct err *err)
{
    struct session *s = arg;
    if (ok) {
        log_accepted(s);
        if (s->server) session_tell_accepted(s);
        if (s->run && !s->tx.quarantine) policy_message_taken(s->run);
        if (s->server) text_tell(s, what_was_done(&s->tx));
        text_count_taken(s);
    }
    if (!s->stream) { /* the client left before it could be told */
        s->phase = SESSION_OVER;
        session_close(s, "lost", true);
        return;
    }
    reply_committed(s, ok, err);
    session_reset(s);
    session_resume(s);
}

const char *text_missing(struct session *s)
{
    struct transaction *tx = &s->tx;
    bool ours = s->listener->role == CONFIG_ROLE_SUBMISSION && (s->account || s->zone->trust == CONFIG_TRUST_RELAY);
    struct buf out = { 0 };
    if (tx->missing) return tx->missing;
    if (ours && !tx->has_date) {
        buf_add_str(&out, "Date: ");
        clock_add_rfc5322(&out, clock_wall_ms());
        buf_add_str(&out, "\r\n");
    }
    if (ours && !tx->has_message_id) {
        buf_add_str(&out, "Message-ID: <");
        id_add(&out, tx->id);
        buf_addf(&out, "@%s>\r\n", s->server->o.config->hostname);
    }
    tx->missing = out.n ? arena_strdup(&s->arena, buf_slice(&out)) : "";
    buf_deinit(&out);
    return tx->missing;
}

static void format_prepend(struct session *s, uint64_t now, struct buf *out)
{
    struct transaction *tx = &s->tx;
    struct received r = { .helo = slice_str(s->helo), .client = s->ip, .client_name = slice_str(s->client_name),
                          .hostname = s->server->o.config->hostname,
                          .esmtp = s->esmtp, .utf8 = tx->flags & ENVELOPE_SMTPUTF8, .authed = s->account != NULL,
                          .id = tx->id, .wall_ms = now };
    if (stream_is_tls(s->stream)) stream_tls_info(s->stream, &r.tls_version, &r.tls_cipher, &r.tls_bits);
    if (tx->rcpt_n - tx->copy_n == 1 && !tx->given) r.rcpt = tx->rcpts[0]; /* nobody whom the sender did not write */
    buf_clear(out);
    buf_add(out, tx->signatures);
    policy_text_results(s->run, out);
    received_format(&r, out);
    buf_add(out, tx->added);
    buf_add_str(out, text_missing(s));
}

/* Bounces would go to somebody who has nothing to do with it. Another sender by a rule is the administrator's word. */
static bool is_forged(const struct session *s)
{
    return s->tx.sender.n && !policy_outcome(s->run)->has_sender && policy_sender_is_forged(s->run);
}

/* Nobody vouches for its sender. */
static bool is_strange(const struct session *s)
{
    return !policy_sender_decides(s->run) && !policy_outcome(s->run)->has_sender;
}

static uint32_t flags_of(const struct session *s)
{
    const struct transaction *tx = &s->tx;
    uint32_t apart = tx->quarantine ? ENVELOPE_QUARANTINED : tx->hold.n ? ENVELOPE_HELD : 0;
    return tx->flags | (tx->body_8bit ? ENVELOPE_8BIT : 0) | (tx->data.has_dots || tx->edits_dots ? ENVELOPE_HAS_DOTS : 0) |
           (tx->data.has_8bit || tx->edits_8bit ? ENVELOPE_HAS_8BIT : 0) | (s->zone->dsn ? 0 : ENVELOPE_NO_DSN) |
           (s->account ? ENVELOPE_AUTHED : 0) | (is_forged(s) ? ENVELOPE_FORGED : 0) |
           (is_strange(s) ? ENVELOPE_INCOMING : 0) | apart;
}

/* Now: when it is logged, the client may be gone. */
static void note_certificate(struct session *s)
{
    char name[256];
    const struct ssl_st *ssl = stream_ssl(s->stream);
    if (ssl && tls_client_certificate(ssl, name, sizeof name)) s->tx.certificate = arena_slice(&s->arena, slice_str(name));
}

void text_submit(struct session *s)
{
    struct transaction *tx = &s->tx;
    struct buf *prepend = &s->server->scratch;
    uint64_t now = clock_wall_ms();
    note_certificate(s);
    text_apply_outcome(s);
    if (!text_expand(s)) {
        text_give_up(s);
        return;
    }
    format_prepend(s, now, prepend);
    tx->trace = arena_slice(&s->arena, policy_trace(s->run));
    struct envelope e = {
        .id = tx->id, .arrival = now, .flags = flags_of(s), .client = s->ip, .helo = slice_str(s->helo),
        .zone = slice_str(s->zone->name), .sender = tx->sender, .rcpts = tx->final.rcpts, .rcpt_n = tx->final.n,
        .rcpt_dsn = tx->final.dsn, .rcpt_marks = tx->final.marks, .envid = tx->envid,
        .account = slice_sub(slice_str(s->account), 0, ENVELOPE_ACCOUNT_MAX),
        .prepend = buf_slice(prepend), .text_size = tx->data.size, .message_id = tx->message_id, .subject = tx->subject,
        .hold = tx->hold, .trace = tx->trace, .cuts = tx->cuts, .cut_n = tx->cut_n,
        .quarantine = tx->quarantine, .score = tx->score, .findings = tx->findings,
    };
    struct spool_draft *draft = tx->draft;
    policy_set_text(s->run, NULL);
    tx->draft = NULL;
    s->phase = SESSION_COMMIT;
    queue_submit(s->server->o.queue, draft, &e, on_committed, s);
}
