/* SPDX-License-Identifier: Apache-2.0
 * Rewritten senders (SRS): what the configuration says of them, with its secrets. Mail that leaves the house for a domain with
 * rewrite_sender has a sender at srs.domain; what comes back to that is led to the original sender. */
#ifndef POSTERN_ROUTE_REWRITE_H
#define POSTERN_ROUTE_REWRITE_H
#include "config/config.h"
#include "mailauth/srs.h"

struct rewriter;

/* Reads srs.secrets_file, once, before rights go; blocks. It rewrites nothing without srs.domain. NULL and an error that names file and line when
 * the secrets cannot be used. The configuration must outlive it. */
struct rewriter *rewriter_new(const struct config *c, struct err *err) MUST_CHECK;
void rewriter_free(struct rewriter *r); /* wipes the secrets; NULL is fine */

/* Appends what stands for the sender when it is sent on. False: it stays as it is: null senders, those of this house (hostname, main_domain and
 * relay domains), and those that get too long. r may be NULL. */
bool rewriter_wrap(const struct rewriter *r, struct slice sender, uint64_t now_ms, struct buf *out);
/* Is it srs.domain? A-labels; r may be NULL. */
bool rewriter_is_domain(const struct rewriter *r, const char *domain);
/* Of a recipient, as srs_reverse. NOT also when r is NULL, FORGED also when the original is no address that mail can be sent to. */
enum srs_outcome rewriter_unwrap(const struct rewriter *r, struct slice rcpt, uint64_t now_ms, struct buf *out);

#endif
