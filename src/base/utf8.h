/* SPDX-License-Identifier: Apache-2.0
 * Well-formed UTF-8 (RFC 3629): nothing overlong, no surrogates, nothing above U+10FFFF. */
#ifndef POSTERN_BASE_UTF8_H
#define POSTERN_BASE_UTF8_H
#include "base/slice.h"

/* The character at the start of s: its bytes (1..4) and code point; 0: s is empty or begins with what is none. */
size_t utf8_char(struct slice s, uint32_t *code);
size_t utf8_put(char out[4], uint32_t code); /* code: at most U+10FFFF, no surrogate. Returns its bytes */
/* What a byte above 0x7F is in windows-1252; 0: nothing. */
uint32_t utf8_of_1252(unsigned char byte);
bool utf8_ok(struct slice s);    /* all of it */
bool utf8_ascii(struct slice s); /* no byte above 0x7F */
/* A control character beyond ASCII's: U+0080 to U+009F, line and paragraph separators, the byte order mark, and the marks that turn
 * the direction of text, which make an address look like another one. */
bool utf8_is_control(uint32_t code);
/* Columns that it takes on a terminal: 2 for the wide ones of East Asia and pictures, 0 for marks that stand over others, else 1. */
unsigned utf8_width(uint32_t code);
bool utf8_clean(struct slice s); /* well-formed and without those; ASCII's are the caller's matter */

#endif
