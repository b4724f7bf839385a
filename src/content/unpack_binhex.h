/* SPDX-License-Identifier: Apache-2.0
 * BinHex 4.0 (RFC 1741). */
#ifndef POSTERN_CONTENT_UNPACK_BINHEX_H
#define POSTERN_CONTENT_UNPACK_BINHEX_H
#include "content/unpack_parts.h"

void unpack_binhex(struct unpack *u, uint32_t n, struct slice text); /* files in it become parts below n */

#endif
