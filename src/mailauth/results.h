/* SPDX-License-Identifier: Apache-2.0
 * The Authentication-Results field (RFC 8601): ours, and telling whose another one is. */
#ifndef POSTERN_MAILAUTH_RESULTS_H
#define POSTERN_MAILAUTH_RESULTS_H
#include "mailauth/arc.h"
#include "mailauth/dmarc.h"

struct auth_results {
    struct slice authserv_id;    /* our host name */
    struct ip client;            /* family 0: not told. RFC 8617 §4.1.1: smtp.remote-ip with ARC */
    const struct spf *spf_helo, *spf_mailfrom; /* each NULL: not checked */
    struct slice helo, sender;   /* as given; for smtp.helo, smtp.mailfrom */
    const struct dkim *dkim;
    const struct dmarc *dmarc;
    const struct arc *arc;
    const char *dmarc_override;  /* why the policy was not followed ("local policy: ..."); NULL: it was */
};
/* Appends the field's value from the authserv-id on, folded with CRLF and a tab before each result and where a line
 * gets longer than 78, without the last CRLF: behind "Authentication-Results: " it is the field. It is 7-bit. Every
 * text of strangers in it is quoted, made harmless (in comments) or left out: local parts that are quoted or 8-bit,
 * values over 320 bytes; at most 20 signatures are listed. Of a null sender there is one SPF result, with smtp.helo. */
void auth_results_format(const struct auth_results *r, struct buf *out);
/* Is this field's value (behind the colon) of the authserv-id `ours`, or so damaged that a reader might take it for
 * such a one? Comments, quotes, letter case, a final dot and U-labels are seen through (RFC 8601 §5). Damaged is
 * also one without an authserv-id ("spf=pass ..."), with more than a version behind it, with NUL, or with a line end
 * that is no fold. */
bool auth_results_is_from(struct slice value, struct slice ours);

#endif
