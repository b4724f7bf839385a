/* SPDX-License-Identifier: Apache-2.0
 * Internationalized mail (RFC 6531) meets servers: what a server without SMTPUTF8 cannot have goes back with the reason, what can
 * be said in ASCII is (RFC 6531 §3.5). */
#include <stdio.h>
#include "base/utf8.h"
#include "delivery/client.h"
#include "smtp/address.h"

#define HEADER_LOOK_MAX 65536

struct slice utf8_plain_address(struct slice address, char room[PLAIN_ADDRESS_ROOM])
{
    char ascii[256];
    size_t at = address.n;
    if (utf8_ascii(address)) return address;
    while (at && address.p[at - 1] != '@') at--;
    struct slice local = slice_sub(address, 0, at);
    if (!at || !utf8_ascii(local) || local.n > PLAIN_ADDRESS_ROOM - sizeof ascii ||
        !address_domain_ascii(slice_sub(address, at, address.n), ascii))
        return address;
    return slice_of(room, (size_t)snprintf(room, PLAIN_ADDRESS_ROOM, "%.*s%s", SLICE_ARG(local), ascii));
}

static bool needs_utf8(struct slice address)
{
    char room[PLAIN_ADDRESS_ROOM];
    return !utf8_ascii(utf8_plain_address(address, room));
}

/* ---- the header */

struct look {
    size_t n, line;      /* bytes so far, and of the line at hand */
    bool wide, over;
};

static void look_at(struct look *l, struct slice s)
{
    for (size_t i = 0; i < s.n && !l->over; i++) {
        char c = s.p[i];
        l->wide = (unsigned char)c >= 0x80;
        l->over = l->wide || ++l->n > HEADER_LOOK_MAX || (c == '\n' && !l->line); /* the empty line ends it */
        if (c == '\n') l->line = 0;
        else if (c != '\r') l->line++;
    }
}

/* Once for a message. */
static bool header_is_8bit(struct work *w)
{
    struct look l = { 0 };
    char block[4096];
    size_t k;
    if (w->header_known) return w->header_8bit;
    if (w->env.flags & ENVELOPE_HAS_8BIT)
        for (uint64_t at = 0; !l.over && (k = work_read_text(w, at, block, sizeof block)); at += k) look_at(&l, slice_of(block, k));
    w->header_known = true;
    w->header_8bit = l.wide;
    return l.wide;
}

/* ---- what a server can have */

const char *client_utf8_refuses(const struct client *c, struct work *w)
{
    if (c->utf8) return NULL;
    if (needs_utf8(w->env.sender)) return "5.6.7 the sender's address is not ASCII, and the server does not take such mail (SMTPUTF8)";
    if (header_is_8bit(w))
        return "5.6.9 the header of the message is not ASCII, and the server does not take such mail (SMTPUTF8)";
    return NULL;
}

const char *client_utf8_refuses_rcpt(const struct client *c, struct slice rcpt)
{
    if (c->utf8 || !needs_utf8(rcpt)) return NULL;
    return "5.6.7 the recipient's address is not ASCII, and the server does not take such mail (SMTPUTF8)";
}

void client_utf8_add_address(const struct client *c, struct slice address, struct buf *out)
{
    char room[PLAIN_ADDRESS_ROOM];
    buf_add(out, c->utf8 ? address : utf8_plain_address(address, room));
}
