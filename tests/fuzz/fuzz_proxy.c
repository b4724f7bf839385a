/* SPDX-License-Identifier: Apache-2.0
 * PROXY headers: whatever the bytes, a header is taken whole or not at all, and more bytes never change that. */
#include "smtp/proxy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_header h, part;
    const char *why = NULL;
    enum proxy_result r = proxy_parse(slice_of(data, n), &h, &why);
    must(r != PROXY_BAD || why);
    must(r != PROXY_MORE || n < PROXY_V2_MAX);
    if (r != PROXY_DONE) return 0;
    must(h.n > 0 && h.n <= n && h.n <= PROXY_V2_MAX);
    must(!h.named || h.client.family == 4 || h.client.family == 6);
    must(proxy_parse(slice_of(data, h.n), &part, &why) == PROXY_DONE && part.n == h.n);
    must(proxy_parse(slice_of(data, h.n - 1), &part, &why) == PROXY_MORE);
    return 0;
}
