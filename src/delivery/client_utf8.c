/* SPDX-License-Identifier: Apache-2.0
 * Internationalized mail (RFC 6531) meets servers: what a server without SMTPUTF8 cannot have goes back with the reason, what can
 * be said in ASCII is (RFC 6531 §3.5). */
#include <errno.h>
#include <unistd.h>
#include "delivery/internal.h"
#include "smtp/address.h"
#include "smtp/utf8.h"

#define HEADER_LOOK_MAX 65536

/* Everything behind the last @; empty: there is none. */
static struct slice domain_of(struct slice address)
{
    for (size_t i = address.n; i > 0; i--)
        if (address.p[i - 1] == '@') return slice_sub(address, i, address.n);
    return slice_of(NULL, 0);
}

/* The local part may be 8-bit, or a domain that has no A-labels. */
static bool needs_utf8(struct slice address)
{
    char ascii[256];
    if (utf8_ascii(address)) return false;
    struct slice domain = domain_of(address);
    return !utf8_ascii(slice_sub(address, 0, address.n - domain.n)) || !address_domain_ascii(domain, ascii);
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

/* Once for a message. A file was opened to be sent a moment ago: its beginning is at hand. */
static bool header_is_8bit(struct work *w)
{
    const struct spool_text *t = &w->content->text;
    struct look l = { 0 };
    if (w->header_known) return w->header_8bit;
    if (w->env.flags & ENVELOPE_HAS_8BIT) {
        char block[4096];
        for (size_t i = 0; t->pieces && i < t->piece_n && !l.over; i++) look_at(&l, t->pieces[i]);
        for (uint64_t at = 0; !t->pieces && !l.over && at < t->n;) {
            size_t want = t->n - at < sizeof block ? (size_t)(t->n - at) : sizeof block;
            ssize_t k = pread(t->fd, block, want, (off_t)(t->offset + at));
            if (k < 0 && errno == EINTR) continue;
            if (k <= 0) break;
            look_at(&l, slice_of(block, (size_t)k));
            at += (uint64_t)k;
        }
    }
    w->header_known = true;
    w->header_8bit = l.wide;
    return l.wide;
}

/* ---- what a server can have */

const char *client_utf8_refuses(const struct client *c, struct work *w)
{
    if (c->utf8) return NULL;
    if (needs_utf8(w->env.sender)) return "5.6.7 the sender's address is not ASCII, and the server does not take such mail (SMTPUTF8)";
    if (w->env.flags & ENVELOPE_SMTPUTF8 && header_is_8bit(w))
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
    char ascii[256];
    struct slice domain = domain_of(address);
    if (c->utf8 || utf8_ascii(address) || !address_domain_ascii(domain, ascii)) {
        buf_add(out, address);
        return;
    }
    buf_add(out, slice_sub(address, 0, address.n - domain.n));
    buf_add_str(out, ascii);
}
