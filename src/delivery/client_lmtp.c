/* SPDX-License-Identifier: Apache-2.0
 * LMTP (RFC 2033): LHLO in place of EHLO, and one reply to the text for each recipient that was accepted, in their order. Each is settled by
 * its own reply; what the connection's end leaves without one is tried again. So that no reply can be taken for that to another
 * command nothing is sent behind a text until all of them have come, and one that comes before the text's end counts for nothing. */
#include "delivery/client.h"

bool client_is_lmtp(const struct client *c)
{
    const struct config_hop *h = c->d->hop.hop;
    return h && h->kind == CONFIG_HOP_LMTP;
}

static bool find_next(struct client *c)
{
    const struct work_rcpt *rcpts = c->ending->work->rcpts;
    while (c->text_rcpt != UINT32_MAX && rcpts[c->text_rcpt].settled) c->text_rcpt = rcpts[c->text_rcpt].next;
    return c->text_rcpt != UINT32_MAX;
}

void client_lmtp_reply(struct client *c)
{
    struct part *p = c->ending;
    if (c->reply.code == 421) { /* RFC 5321 §3.8: the server goes away, and nobody is left to say more */
        client_fail_reply(c);
        return;
    }
    if (!client_mail_makes_sense(c)) {
        client_fail(c, "sent a reply that does not fit the text");
        return;
    }
    client_mail_worked(c);
    if (c->reply.code / 100 != 2 || !client_dsn_relayed_one(c, p, c->text_rcpt)) client_decide_one(c, p, c->text_rcpt);
    if (find_next(c)) {
        work_save_soon(p->work);
        client_set_deadline(c);
        return;
    }
    c->ending = NULL;
    c->messages++;
    part_done(p);
    client_next(c);
}
