/* SPDX-License-Identifier: Apache-2.0
 * A message's context as a worker sends it: what is accepted says the same when it is written and read again. */
#include <jansson.h>
#include "base/channel.h"
#include "content/context.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = { 0 };
    struct scan_context c, again;
    struct err err;
    json_t *j = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, NULL);
    if (j && scan_context_decode(j, &arena, &c, &err)) {
        json_t *out = scan_context_encode(&c);
        must(json_dumpb(out, NULL, 0, JSON_COMPACT) < CHANNEL_FRAME_MAX);
        must(scan_context_decode(out, &arena, &again, &err));
        must(again.id == c.id && again.direction == c.direction && again.reputation == c.reputation && again.down_n == c.down_n);
        must(slice_eq(again.sender, c.sender) && slice_eq(again.dkim_domains, c.dkim_domains) && again.trusted == c.trusted);
        must((uint64_t)again.rcpt_n + again.rcpt_more >= c.rcpt_n || c.rcpt_more > UINT32_MAX - CONTEXT_RCPTS_MAX);
        json_decref(out);
    }
    json_decref(j);
    arena_deinit(&arena);
    return 0;
}
