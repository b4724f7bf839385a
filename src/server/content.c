/* SPDX-License-Identifier: Apache-2.0
 * Header fields of a message that is coming in: hops are counted, what listings show is kept, and who is named in From is
 * asked whether they may be. */
#include <stdio.h>
#include "message/mailbox.h"
#include "server/text.h"

#define LISTED_MAX 255 /* bytes of Subject and Message-ID kept for listings */

/* An unfolded copy (RFC 5322 §2.2.3). */
static struct slice keep_value(struct session *s, struct slice value)
{
    value = slice_trim(value);
    char *to = arena_alloc(&s->arena, LISTED_MAX);
    size_t n = 0;
    for (size_t i = 0; i < value.n && n < LISTED_MAX; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n') to[n++] = value.p[i];
    return slice_of(to, n);
}

static bool may_send_as(void *arg, struct slice address)
{
    struct session *s = arg;
    char text[500];
    struct buf shown = { 0 };
    if (auth_may_send_as(s, address)) return true;
    buf_add_printable(&shown, address, 100);
    int n = snprintf(text, sizeof text, "the From address %.400s does not belong to your account", buf_cstr(&shown));
    buf_deinit(&shown);
    text_spoil(s, 550, "5.7.1", arena_strdup(&s->arena, slice_of(text, (size_t)n)));
    return false;
}

/* RFC 6409 §6.1 and §8.1: the author must be somebody the account may speak for. */
static void check_from(struct session *s, struct slice value, bool truncated)
{
    if (!s->account || !s->server->o.config->auth.sender_must_match) return;
    if (truncated || mailbox_each(value, may_send_as, s) == MAILBOX_MALFORMED)
        text_spoil(s, 550, "5.7.1", "the From field is not understood, and so not known to be yours");
}

void text_on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct session *s = arg;
    struct transaction *tx = &s->tx;
    if (slice_ieq(name, SLICE("Received")))
        tx->hops++;
    else if (slice_ieq(name, SLICE("Date")))
        tx->has_date = true;
    else if (slice_ieq(name, SLICE("From"))) {
        tx->has_from = true;
        check_from(s, value, truncated);
    } else if (!tx->has_subject && slice_ieq(name, SLICE("Subject"))) {
        tx->has_subject = true;
        tx->subject = keep_value(s, value);
    } else if (!tx->has_message_id && slice_ieq(name, SLICE("Message-ID"))) {
        tx->has_message_id = true;
        tx->message_id = keep_value(s, value);
    }
}
