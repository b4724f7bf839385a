/* SPDX-License-Identifier: Apache-2.0
 * Base64 (RFC 4648 §4), strict. */
#ifndef POSTERN_BASE_BASE64_H
#define POSTERN_BASE_BASE64_H
#include "base/buf.h"

void base64_add(struct buf *out, struct slice bytes);
/* Adds the bytes. False, and nothing added: a length that is no multiple of four, characters that do not belong, padding elsewhere than at the
 * end, or bits set behind the last byte. */
bool base64_decode(struct slice text, struct buf *out);

#endif
