/* SPDX-License-Identifier: Apache-2.0
 * Finds in one pass over a text which of thousands of words are in it, so that most patterns need not be tried at all. Letter case of
 * ASCII does not count. Of this folder only. */
#ifndef POSTERN_SPAM_PREFILTER_H
#define POSTERN_SPAM_PREFILTER_H
#include "base/slice.h"

struct prefilter;
struct prefilter *prefilter_new(void);
void prefilter_free(struct prefilter *p); /* NULL is fine */
void prefilter_add(struct prefilter *p, struct slice word, uint32_t id); /* of at least one byte, lower case; copied */
void prefilter_finish(struct prefilter *p);
/* Sets seen[id] of each word in the text; what is set stays. */
void prefilter_run(const struct prefilter *p, struct slice text, bool *seen);

#endif
