/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as an attached file. */
#include "unpack_input.h"

static void look(struct unpack *u, uint32_t n)
{
    struct slice data = u->message->parts[n].data;
    unpack_part(u, n);
    unpack_text(u, n, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unpack_input(data, n, "", look);
    return 0;
}
