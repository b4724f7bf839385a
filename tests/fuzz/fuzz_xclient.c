/* SPDX-License-Identifier: Apache-2.0
 * XCLIENT's attributes: what is accepted holds nothing that could not stand in a header or log. */
#include "smtp/proxy.h"
#include "fuzz.h"

static void must_be_clean(const char *s)
{
    for (; *s; s++)
        if (*s <= 0x20 || *s >= 0x7F) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct xclient x;
    if (xclient_parse(slice_of(data, n), &x)) return 0;
    must_be_clean(x.name);
    must_be_clean(x.helo);
    must_be_clean(x.login);
    if (!x.given || (x.addr.family && !(x.given & XCLIENT_ADDR))) abort();
    return 0;
}
