/* SPDX-License-Identifier: Apache-2.0
 * Envelopes as they may be on a damaged disk; one that is read and written again reads the same. */
#include <stdlib.h>
#include "spool/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = { 0 };
    struct buf b = { 0 };
    struct envelope e, again;
    struct err err;
    if (envelope_decode(slice_of(data, n), &arena, &e, &err)) {
        must(e.rcpt_n <= 100000 && e.subject.n <= 255 && e.message_id.n <= 255);
        envelope_encode(&e, &b);
        must(envelope_decode(buf_slice(&b), &arena, &again, &err));
        must(again.id == e.id && again.arrival == e.arrival && again.flags == e.flags &&
             again.text_size == e.text_size);
        must(again.rcpt_n == e.rcpt_n && ip_eq(&again.client, &e.client));
        must(slice_eq(again.sender, e.sender) && slice_eq(again.prepend, e.prepend) && slice_eq(again.helo, e.helo));
        for (uint32_t i = 0; i < e.rcpt_n; i++) must(slice_eq(again.rcpts[i], e.rcpts[i]));
    } else {
        must(err.text[0]);
    }
    buf_deinit(&b);
    arena_deinit(&arena);
    return 0;
}
