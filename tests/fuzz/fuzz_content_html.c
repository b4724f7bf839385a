/* SPDX-License-Identifier: Apache-2.0
 * HTML to text and links. */
#include "base/mem.h"
#include "content_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct slice header = SLICE("Content-Type: text/html; charset=utf-8\r\n\r\n");
    struct arena arena = { 0 };
    struct content_message m;
    char *bytes = mem_alloc(header.n + n + 1);
    memcpy(bytes, header.p, header.n);
    if (n) memcpy(bytes + header.n, data, n);
    must_read(slice_of(bytes, header.n + n), &arena, &m);
    arena_deinit(&arena);
    free(bytes);
    return 0;
}
