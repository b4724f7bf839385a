/* SPDX-License-Identifier: Apache-2.0
 * Compound files: Office documents and what is in them. The same bytes as packed macros, too. */
#include "content/unpack_cfb.h"
#include "unpack_input.h"

static void look(struct unpack *u, uint32_t n)
{
    must(vba_decompress(u->message->parts[n].data, u->message->arena).n <= (5u << 20));
    unpack_ole(u, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unpack_input(data, n, "application/x-ole-storage", look);
    return 0;
}
