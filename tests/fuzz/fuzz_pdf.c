/* SPDX-License-Identifier: Apache-2.0
 * PDF. */
#include "unpack_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    unpack_input(data, n, "application/pdf", unpack_pdf);
    return 0;
}
