/* SPDX-License-Identifier: Apache-2.0
 * Addresses in header fields: each one that is found is found again alone. */
#include "base/mem.h"
#include "message/mailbox.h"
#include "fuzz.h"

static bool same(void *arg, struct slice address)
{
    return slice_eq(address, *(struct slice *)arg);
}

static bool check(void *arg, struct slice address)
{
    must(address.n > 2 && address.n <= MAILBOX_MAX && slice_find(address, '@') > 0 && slice_find(address, '\n') < 0);
    must(mailbox_each(address, same, &address) == MAILBOX_OK);
    ++*(size_t *)arg;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t found = 0;
    char *copy = mem_slicedup(slice_of(data, n));
    must(mailbox_each(slice_of(copy, n), check, &found) != MAILBOX_STOPPED && found <= n);
    free(copy);
    return 0;
}
