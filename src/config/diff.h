/* SPDX-License-Identifier: Apache-2.0
 * Differences between two texts, as a unified diff. */
#ifndef POSTERN_CONFIG_DIFF_H
#define POSTERN_CONFIG_DIFF_H
#include "base/buf.h"

/* Nothing is added when the texts are equal. Texts whose differing middle is very large are shown as replaced. */
void diff_unified(struct slice old_text, const char *old_name, struct slice new_text, const char *new_name,
                  struct buf *out);

#endif
