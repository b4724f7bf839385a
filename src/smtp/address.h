/* SPDX-License-Identifier: Apache-2.0
 * Mailbox addresses in the envelope (RFC 5321 §4.1.2, §4.1.3): the strict grammar. Local parts up to 64, domains up to
 * 255, paths up to 256 bytes (§4.5.3.1). */
#ifndef POSTERN_SMTP_ADDRESS_H
#define POSTERN_SMTP_ADDRESS_H
#include "base/slice.h"

enum address_domain { ADDRESS_NO_DOMAIN, ADDRESS_NAME, ADDRESS_LITERAL };

struct address {
    struct slice text;    /* local@domain as written, without <> and source route; empty: null reverse-path */
    struct slice local;   /* as written, quotes included */
    struct slice domain;  /* as written, literals with brackets; empty for <> and <postmaster> */
    enum address_domain kind;
    bool utf8;            /* some byte of it is not ASCII (RFC 6531 §3.3); the whole is well-formed UTF-8 then */
};

/* Octets of a local part, at most. RFC 5321 §4.5.3.1.1 says 64; of the longer ones, which a server may take, those of rewritten senders are
 * taken ("SRS0=...", mailauth/srs.h): they hold a whole address. */
#define ADDRESS_LOCAL_MAX 254

/* Parses a path "<...>" at the start of *in and moves *in behind it. A source route is skipped. "<>" only when null_ok,
 * "<postmaster>" (any case) only when postmaster_ok. UTF-8 is taken (RFC 6531 §3.3: in local parts, and domains of U-labels) and told
 * by out->utf8: whether it may be used is the caller's question. Lengths are octets. Returns NULL or what is wrong, fit to be sent
 * to the client. Slices point into *in. */
const char *address_parse_path(struct slice *in, bool null_ok, bool postmaster_ok, struct address *out);
/* A bare "local@domain" that fills all of s. */
const char *address_parse(struct slice s, struct address *out);
/* The domain as A-labels, lower case, without final dot (IDNA 2008, non-transitional), NUL-terminated in out[256]. ASCII is only
 * lowered. False: not a domain. The one form in which domains are looked up and compared. */
bool address_domain_ascii(struct slice domain, char out[256]);
/* "example.com": labels of 1..63 letters, digits, hyphens (not at the ends) and underscores, up to 255 in all; a final dot is
 * not allowed. need_dot: at least two labels. */
bool address_domain_ok(struct slice s, bool need_dot);
/* Argument of EHLO and HELO: a domain or an address literal. */
bool address_helo_ok(struct slice s);
/* Local parts: equal when unquoted forms are equal (RFC 5321 §4.1.2); out needs s.n bytes. Returns the length. */
size_t address_local_unquote(struct slice local, char *out);

#endif
