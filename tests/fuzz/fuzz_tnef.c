/* SPDX-License-Identifier: Apache-2.0
 * TNEF. */
#include "unpack_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unpack_input(data, n, "application/vnd.ms-tnef", unpack_tnef);
    return 0;
}
