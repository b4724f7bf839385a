/* SPDX-License-Identifier: Apache-2.0
 * The Received header. */
#include "server/received.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "smtp/address.h"

/* Names end up in a header that others parse: nothing but what a domain or an address literal may hold. */
static void add_name(struct buf *out, struct slice s)
{
    if (s.n > 255) s.n = 255; /* RFC 5321 §4.5.3.1.2 */
    if (!s.n) s = SLICE("unknown");
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], low = ascii_lower(c);
        bool fine = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (c && strchr(".-_:[]", c));
        buf_add_char(out, fine ? c : '?');
    }
}

/* A recipient passed the grammar: printable, and ASCII but in mail that was declared to be more (RFC 6531 §3.7.3). Looked at
 * again, for a header must not be opened by a slip elsewhere. */
static void add_path(struct buf *out, struct slice s, bool utf8)
{
    char ascii[256];
    struct slice local = s;
    while (local.n && local.p[local.n - 1] != '@') local.n--;
    /* In ASCII if it can be: the header goes to servers without SMTPUTF8, too (RFC 6531 §3.5). */
    struct slice domain = slice_sub(s, local.n, s.n);
    bool plain = utf8 && utf8_ascii(local) && !utf8_ascii(domain) && address_domain_ascii(domain, ascii);
    if (plain) s = local;
    if (s.n > 320) s.n = 320;
    bool wide = utf8 && utf8_clean(s);
    buf_add_char(out, '<');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_add_char(out, (c >= 0x20 && c < 0x7F) || (c >= 0x80 && wide) ? s.p[i] : '?');
    }
    if (plain) buf_add_str(out, ascii);
    buf_add_char(out, '>');
}

/* RFC 3848, RFC 6531 §4.3: S tells of TLS, A of authentication; both exist with EHLO only. */
static void add_protocol(struct buf *out, const struct received *r)
{
    buf_add_str(out, !r->esmtp ? "SMTP" : r->utf8 ? "UTF8SMTP" : "ESMTP");
    if (r->esmtp && r->tls_version) buf_add_char(out, 'S');
    if (r->esmtp && r->authed) buf_add_char(out, 'A');
}

void received_format(const struct received *r, struct buf *out)
{
    buf_add(out, SLICE("Received: from "));
    add_name(out, r->helo);
    buf_add(out, SLICE(" ("));
    if (r->client_name.n) {
        add_name(out, r->client_name);
        buf_add_char(out, ' ');
    }
    buf_add_char(out, '[');
    ip_add_literal(out, &r->client);
    buf_add(out, SLICE("])\r\n\tby "));
    buf_add_str(out, r->hostname);
    buf_add(out, SLICE(" with "));
    add_protocol(out, r);
    if (r->tls_version) {
        buf_add(out, SLICE(" ("));
        add_name(out, slice_str(r->tls_version));
        buf_add_char(out, ' ');
        add_name(out, slice_str(r->tls_cipher));
        buf_add_char(out, ' ');
        buf_add_u64(out, r->tls_bits > 0 ? (uint64_t)r->tls_bits : 0);
        buf_add(out, SLICE(" bits)\r\n\t"));
    } else
        buf_add_char(out, ' ');
    buf_add(out, SLICE("id "));
    id_add(out, r->id);
    if (r->rcpt.n) {
        buf_add(out, SLICE("\r\n\tfor "));
        add_path(out, r->rcpt, r->utf8);
    }
    buf_add(out, SLICE(";\r\n\t"));
    clock_add_rfc5322(out, r->wall_ms);
    buf_add(out, SLICE("\r\n"));
}
