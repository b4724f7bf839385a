/* SPDX-License-Identifier: Apache-2.0
 * Frames between workers and the store: what can be read can be written, and is the same again. */
#include <stdlib.h>
#include "base/mem.h"
#include "store/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wire_frame *f = mem_new(struct wire_frame);
    struct slice in = slice_of(data, n), before = in;
    while (wire_take(&in, f) == WIRE_FRAME) {
        struct buf again = { 0 };
        struct slice was = slice_of(before.p, before.n - in.n);
        must(f->space < STORE_SPACES && f->key.n <= STORE_KEY_MAX && f->value.n <= STORE_VALUE_MAX);
        must(f->event.kind < HISTORY_KINDS && (!f->event.rcpt_n || f->event.rcpts));
        wire_add(&again, f);
        must(slice_eq(buf_slice(&again), was));
        buf_deinit(&again);
        before = in;
    }
    free(f);
    return 0;
}
