/* SPDX-License-Identifier: Apache-2.0
 * Encoded words for people (RFC 2047), outside of the processes that look into messages: only charsets that need no library (UTF-8, US-ASCII,
 * ISO-8859-1 and -15, windows-1252); for words in others stands "[...]". */
#ifndef POSTERN_MESSAGE_WORDS_H
#define POSTERN_MESSAGE_WORDS_H
#include "base/buf.h"

/* The value of an unstructured field, unfolded. What it adds may be anything that is no NUL: it is the caller's to make it fit to be shown. */
void words_add(struct buf *out, struct slice value);

#endif
