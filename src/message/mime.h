/* SPDX-License-Identifier: Apache-2.0
 * What the header of a MIME part says of its body (RFC 2045 §5, §6): as much of it as one must know to walk through the parts. */
#ifndef POSTERN_MESSAGE_MIME_H
#define POSTERN_MESSAGE_MIME_H
#include "base/slice.h"

#define MIME_BOUNDARY_MAX 200 /* RFC 2046 §5.1.1 says 70 */

struct mime_type {
    bool is_text;             /* to be read by people when it is encoded: text/..., message/... but not message/rfc822 */
    bool is_multipart;
    bool is_digest;           /* multipart/digest: its parts are messages unless they say otherwise */
    bool is_sealed;           /* multipart/signed, multipart/encrypted: RFC 1847 */
    bool is_message;          /* message/rfc822 */
    char boundary[MIME_BOUNDARY_MAX];
    size_t boundary_n;        /* 0: none, or too long */
};

void mime_type_parse(struct slice value, struct mime_type *out); /* a Content-Type field's value; what makes no sense is text/plain */
/* Of a whole Content-Transfer-Encoding field; empty: there is none. */
bool mime_is(struct slice field, const char *encoding);
bool mime_is_identity(struct slice field); /* none, 7bit, 8bit, binary */
bool mime_is_8bit(struct slice field);     /* 8bit, binary */

#endif
