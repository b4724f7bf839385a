/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: rdata of MX, PTR, A and AAAA records as a name server may send it. One input is one record. */
#include "base/mem.h"
#include "net/resolver_parts.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resolver_mx mx[RESOLVER_MX_MAX];
    struct ip ips[RESOLVER_IPS_MAX];
    const char *odd = NULL;
    if (size > 65535) return 0;
    char *copy = mem_slicedup(slice_of(data, size)), *records[] = { copy, NULL };
    int len[] = { (int)size };
    size_t n = resolver_read_mx(records, len, mx, &odd);
    if ((n == 1) != (odd == NULL)) abort();
    if (n && mx[0].name[0] && !resolver_name_ok(slice_str(mx[0].name))) abort(); /* what gets through is a host name */
    struct resolver_name names[RESOLVER_NAMES_MAX];
    if (resolver_read_ptr(records, len, names) && !resolver_name_ok(slice_str(names[0].text))) abort();
    resolver_read_ips(records, len, true, ips);
    resolver_read_ips(records, len, false, ips);
    free(copy);
    return 0;
}
