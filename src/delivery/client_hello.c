/* SPDX-License-Identifier: Apache-2.0
 * From the greeting to a session that can take mail: EHLO, HELO for old servers, STARTTLS where it is offered. */
#include "delivery/internal.h"

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
    say_hello(c, "EHLO", CLIENT_EHLO);
}

static bool wants_tls(const struct client *c)
{
    return client_tls_need(c) != TLS_NEVER && !c->no_tls && c->starttls && !stream_is_tls(c->s);
}

void client_usable(struct client *c)
{
    c->usable = true;
    c->stage = CLIENT_IDLE;
    destination_connected(c->d);
    client_next(c);
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
    c->has_size = reply_ehlo_has(&c->reply, "SIZE", &args);
    c->size_max = 0; /* RFC 1870 §4: none or 0 is no fixed limit */
    if (c->has_size && args.n && !slice_to_u64(args, UINT64_MAX, &c->size_max)) c->size_max = 0;
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
        if (class == 5 && !stream_is_tls(c->s)) say_hello(c, "HELO", CLIENT_HELO); /* RFC 5321 §3.2 */
        else if (class != 2) client_fail_reply(c);
        else {
            take_extensions(c);
            if (!wants_tls(c)) {
                client_usable(c);
                break;
            }
            stream_write(c->s, SLICE("STARTTLS\r\n"));
            stream_set_deadline(c->s, c->q->config->timeouts.reply);
            c->stage = CLIENT_STARTTLS;
        }
        break;
    case CLIENT_HELO:
        if (class != 2) client_fail_reply(c);
        else client_usable(c);
        break;
    case CLIENT_STARTTLS:
        if (c->reply.code != 220) { /* RFC 3207 §4: e.g. 454; go on without */
            if (c->reply.code == 421) client_fail_reply(c);
            else client_usable(c);
            break;
        }
        c->stage = CLIENT_TLS;
        client_tls_start(c);
        stream_set_deadline(c->s, c->q->config->timeouts.reply);
        break;
    default:
        client_fail(c, "sent a reply that nobody asked for");
    }
}
