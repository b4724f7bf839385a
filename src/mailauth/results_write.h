/* SPDX-License-Identifier: Apache-2.0
 * Words of an Authentication-Results field as they are put into lines. Of this folder only. */
#ifndef POSTERN_MAILAUTH_RESULTS_WRITE_H
#define POSTERN_MAILAUTH_RESULTS_WRITE_H
#include "base/buf.h"

struct results_line {
    struct buf *out;
    size_t column;
};
/* One word that is not broken, behind a blank or a fold. */
void results_word(struct results_line *l, struct slice word);
/* "(...)": what has a meaning in the grammar is made harmless, at most 200 bytes. Nothing when empty. */
void results_comment(struct results_line *l, struct slice text);
/* "name=value", quoted where it is no token (RFC 8601 §2.2, RFC 2045 §5.1). Left out when empty, longer than 320
 * bytes, or not printable ASCII. */
void results_property(struct results_line *l, const char *name, struct slice value);
/* The same of an address: without its local part where that is not plain, the domain as A-labels. */
void results_address(struct results_line *l, const char *name, struct slice address);

/* A value of RFC 8601 §2.2 by itself. */
void results_value(struct buf *out, struct slice value);

#endif
