/* SPDX-License-Identifier: Apache-2.0
 * Values of DSN parameters: xtext (RFC 3461 §4) and the encodings of internationalized addresses (RFC 6533 §3). */
#ifndef POSTERN_SMTP_XTEXT_H
#define POSTERN_SMTP_XTEXT_H
#include "base/buf.h"

/* xtext of which the decoded form is printable ASCII with blanks; not empty. */
bool xtext_ok(struct slice s);
/* Adds the decoded form of what passed xtext_ok. */
void xtext_decode(struct slice s, struct buf *out);
void xtext_encode(struct slice s, struct buf *out);
/* utf-8-addr-xtext, or, when `wide`, utf-8-addr-unitext: \x{...} stands for what cannot be written as it is. Not empty. */
bool xtext_utf8_ok(struct slice s, bool wide);
/* Adds the address of an ORCPT ("rfc822;xtext", "utf-8;..."); printable. False: it is of another type, or none. */
bool xtext_orcpt_address(struct slice orcpt, struct buf *out);

#endif
