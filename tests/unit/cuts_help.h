/* SPDX-License-Identifier: Apache-2.0
 * What edits make of a text, for comparisons. */
#ifndef POSTERN_TESTS_UNIT_CUTS_HELP_H
#define POSTERN_TESTS_UNIT_CUTS_HELP_H
#include "base/buf.h"
#include "spool/envelope.h"

/* The reference: edits applied from behind, each to the whole text. */
static inline void edit(struct slice text, const struct envelope_cut *cuts, uint32_t n, struct buf *out)
{
    buf_clear(out);
    buf_add(out, text);
    for (uint32_t i = n; i-- > 0;) {
        struct buf next = { 0 };
        buf_add(&next, slice_sub(buf_slice(out), 0, cuts[i].at));
        buf_add(&next, cuts[i].with);
        buf_add(&next, slice_sub(buf_slice(out), cuts[i].at + cuts[i].n, out->n));
        buf_deinit(out);
        *out = next;
    }
}

#endif
