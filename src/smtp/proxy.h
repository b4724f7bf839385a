/* SPDX-License-Identifier: Apache-2.0
 * What a relay or load balancer in front of us says of the client it speaks for: the header of the PROXY protocol,
 * versions 1 and 2, and the attributes of XCLIENT. Parsers only: whether the speaker may say it is the caller's matter. */
#ifndef POSTERN_SMTP_PROXY_H
#define POSTERN_SMTP_PROXY_H
#include "base/ip.h"

#define PROXY_V1_MAX 107            /* with CRLF */
#define PROXY_V2_MAX (16 + 1024)    /* ours; 16 bytes, addresses, extensions */

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_BAD };

struct proxy_header {
    size_t n;            /* bytes of the header */
    bool named;          /* else (UNKNOWN, LOCAL) nobody is named */
    struct ip client;
    uint16_t port;
};

/* Reads the header at the start of `in`. PROXY_MORE: all of `in` belongs to a header whose end has not come. PROXY_BAD:
 * *error says in a few words why. Addresses and ports on our side are checked and not kept; of the extensions only the
 * checksum means something to us. A client is never an address that no client can have (unspecified, multicast,
 * broadcast). */
enum proxy_result proxy_parse(struct slice in, struct proxy_header *out, const char **error);

enum xclient_attribute {
    XCLIENT_NAME = 1,
    XCLIENT_ADDR = 2,
    XCLIENT_PORT = 4,
    XCLIENT_PROTO = 8,
    XCLIENT_HELO = 16,
    XCLIENT_LOGIN = 32,
    XCLIENT_DESTADDR = 64,
    XCLIENT_DESTPORT = 128,
    XCLIENT_REVERSE_NAME = 256,
};

struct xclient {
    uint32_t given;      /* enum xclient_attribute */
    struct ip addr;      /* family 0: [UNAVAILABLE] */
    uint16_t port;       /* 0: [UNAVAILABLE] */
    bool esmtp;
    char name[256], helo[256], login[256]; /* decoded; "": [UNAVAILABLE] or [TEMPUNAVAIL] */
};

/* XCLIENT's argument: attributes with xtext values (RFC 3461 §4). A value must be as good as if the client had said it
 * itself: a host name, an argument of EHLO, an address, printable ASCII without blanks for LOGIN. Returns NULL, or what
 * is wrong, fit to be sent to the client. */
const char *xclient_parse(struct slice arg, struct xclient *out);

#endif
