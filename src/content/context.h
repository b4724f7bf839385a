/* SPDX-License-Identifier: Apache-2.0
 * What is known of a message beside its bytes when it is looked into: who brought it, for whom, and what the checks found. */
#ifndef POSTERN_CONTENT_CONTEXT_H
#define POSTERN_CONTENT_CONTEXT_H
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/slice.h"
#include "config/config.h"

#define CONTEXT_RCPTS_MAX 10000  /* more are left out, rcpt_more tells */

struct scan_context {
    uint64_t id;                 /* of the message; 0: none (commands) */
    uint64_t arrival;            /* wall ms */
    struct ip client;            /* family 0: not known */
    struct slice client_name;    /* forward-confirmed; empty: none */
    struct slice helo, account, zone; /* zone: its name */
    struct slice sender;         /* without <>; empty: the null reverse-path */
    struct slice *rcpts; uint32_t rcpt_n, rcpt_more;
    bool trusted;                /* from a user of ours or a client that may relay */
    bool allowed;                /* an allow entry spares it: neither spam nor attachments are looked for; viruses are */
    enum config_direction direction;
    struct slice spf, dkim, dmarc, arc; /* result words; empty: not known */
    struct slice dkim_domains;   /* of signatures that pass, separated by blanks */
    int32_t dns_score;           /* of DNS lists with action score, in their own weights */
    int8_t reputation;           /* percent of good mail of the client so far; -1: not known */
    bool greylist_known;         /* the triplet was known before */
    bool tls;                    /* the client came with TLS */
    struct slice *down; uint32_t down_n; /* scanners that are not to be asked: the breaker is open (dispatcher) */
};
/* Of a message from a file: nobody brought it, and nothing is learnt from it. */
extern const struct scan_context scan_context_of_file;
json_t *scan_context_encode(const struct scan_context *c);
bool scan_context_decode(const json_t *j, struct arena *arena, struct scan_context *out, struct err *err) MUST_CHECK;

#endif
