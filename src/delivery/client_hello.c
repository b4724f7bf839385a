/* SPDX-License-Identifier: Apache-2.0
 * From the greeting to a session that can take mail: EHLO (LHLO), HELO for old servers, STARTTLS where it is offered
 * or must be, AUTH where the next hop asks for it. */
#include "delivery/client.h"

static void say_hello(struct client *c, const char *verb, enum client_stage stage)
{
    const struct config *config = c->q->config;
    const char *name = config->delivery.helo[0] ? config->delivery.helo : config->hostname;
    struct buf *b = &c->q->scratch;
    buf_clear(b);
    buf_addf(b, "%s %s\r\n", verb, name);
    stream_write(c->s, buf_slice(b));
    stream_set_deadline(c->s, config->timeouts.reply);
    c->stage = stage;
}

void client_hello_start(struct client *c)
{
    c->pipelining = c->has_size = c->eight_bit = c->starttls = c->dsn = c->utf8 = c->requiretls = false;
    c->rcpt_max = c->mail_max = 0;
    say_hello(c, client_is_lmtp(c) ? "LHLO" : "EHLO", CLIENT_EHLO); /* RFC 2033 §4.1 */
}

static bool wants_tls(const struct client *c)
{
    return client_tls_need(c) != TLS_NEVER && !c->no_tls && c->starttls && !stream_is_tls(c->s);
}

void client_usable(struct client *c)
{
    ability_learn(c);
    c->usable = true;
    c->stage = CLIENT_IDLE;
    destination_connected(c->d);
    client_next(c);
}

/* RFC 9422 §3: "RCPTMAX=100 MAILMAX=10 ..."; a limit that is none is passed over. */
static void take_limits(struct client *c, struct slice args)
{
    struct slice word, name;
    uint64_t value;
    while (args.n) {
        slice_cut(&args, ' ', &word);
        if (!slice_cut(&word, '=', &name) || !slice_to_u64(word, 999999, &value) || !value) continue;
        if (slice_ieq(name, SLICE("RCPTMAX"))) c->rcpt_max = (uint32_t)value;
        if (slice_ieq(name, SLICE("MAILMAX"))) c->mail_max = (uint32_t)value;
    }
}

static void take_extensions(struct client *c)
{
    struct slice args;
    c->pipelining = reply_ehlo_has(&c->reply, "PIPELINING", &args);
    c->eight_bit = reply_ehlo_has(&c->reply, "8BITMIME", &args);
    c->starttls = reply_ehlo_has(&c->reply, "STARTTLS", &args);
    c->dsn = reply_ehlo_has(&c->reply, "DSN", &args);
    c->utf8 = reply_ehlo_has(&c->reply, "SMTPUTF8", &args);
    c->requiretls = reply_ehlo_has(&c->reply, "REQUIRETLS", &args);
    if (reply_ehlo_has(&c->reply, "LIMITS", &args)) take_limits(c, args);
    c->has_size = reply_ehlo_has(&c->reply, "SIZE", &args);
    c->size_max = 0; /* RFC 1870 §4: none or 0 is no fixed limit */
    if (c->has_size && args.n && !slice_to_u64(args, UINT64_MAX, &c->size_max)) c->size_max = 0;
}

void client_hello_tls(struct client *c)
{
    struct buf why = { 0 };
    c->stage = CLIENT_TLS;
    stream_set_deadline(c->s, c->q->config->timeouts.reply);
    if (!client_tls_start(c, &why)) client_fail_tls(c, "4.7.5", buf_slice(&why));
    buf_deinit(&why);
}

/* The server said hello, and how is known: on to mail, or to AUTH before it. */
static void go_on(struct client *c)
{
    if (client_tls_need(c) == TLS_MUST && !stream_is_tls(c->s)) {
        client_fail_tls(c, "4.7.4", c->stage == CLIENT_HELO ? SLICE("does not know EHLO, so there is no TLS")
                                                            : SLICE("does not offer STARTTLS"));
        return;
    }
    if (client_tls_need(c) != TLS_NEVER && !c->no_tls) /* else its failure is counted already */
        client_tls_count(c, stream_is_tls(c->s) ? NULL : "starttls-not-supported", SLICE("STARTTLS is not offered"));
    if (c->d->hop.require_tls && !c->requiretls) {
        client_fail_unfit(c, "does not offer REQUIRETLS, which the sender asks for");
        return;
    }
    if (client_auth_wanted(c)) client_auth_start(c);
    else client_usable(c);
}

static void on_ehlo(struct client *c)
{
    take_extensions(c);
    if (!wants_tls(c)) {
        go_on(c);
        return;
    }
    stream_write(c->s, SLICE("STARTTLS\r\n"));
    stream_set_deadline(c->s, c->q->config->timeouts.reply);
    c->stage = CLIENT_STARTTLS;
}

/* RFC 3207 §4: e.g. 454. Without TLS only where it is opportunistic. */
static void on_starttls_refused(struct client *c)
{
    if (client_tls_need(c) != TLS_MUST) {
        if (c->reply.code == 421) client_fail_reply(c);
        else go_on(c);
        return;
    }
    struct buf why = { 0 };
    buf_addf(&why, "refuses STARTTLS (%d %s%s", c->reply.code, c->reply.enhanced, c->reply.enhanced[0] ? " " : "");
    buf_add_printable(&why, slice_of(c->reply.text, c->reply.text_n), 100);
    buf_add_char(&why, ')');
    client_fail_tls(c, "4.7.4", buf_slice(&why));
    buf_deinit(&why);
}

/* RFC 5321 §4.2.4 */
static bool is_unknown(const struct client *c)
{
    return c->reply.code == 500 || c->reply.code == 502;
}

void client_hello_reply(struct client *c)
{
    int class = c->reply.code / 100;
    switch (c->stage) {
    case CLIENT_GREETING:
        if (c->reply.code != 220) client_fail_reply(c);
        else client_hello_start(c);
        break;
    case CLIENT_EHLO:
        if (class == 5 && !stream_is_tls(c->s) && !client_is_lmtp(c)) say_hello(c, "HELO", CLIENT_HELO); /* RFC 5321 §3.2 */
        else if (class != 2 && client_is_lmtp(c) && is_unknown(c)) client_fail_said(c, "it does not know LHLO, so it speaks no LMTP");
        else if (class != 2) client_fail_reply(c);
        else on_ehlo(c);
        break;
    case CLIENT_HELO:
        if (class != 2) client_fail_reply(c);
        else go_on(c);
        break;
    case CLIENT_STARTTLS:
        if (c->reply.code == 220) client_hello_tls(c);
        else on_starttls_refused(c);
        break;
    case CLIENT_AUTH: client_auth_reply(c); break;
    default: client_fail(c, "sent a reply that nobody asked for");
    }
}
