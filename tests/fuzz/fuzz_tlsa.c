/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: rdata of TLSA and TXT records as a name server may send it. One input is one record. */
#include <stdlib.h>
#include "base/mem.h"
#include "net/resolver_parts.h"
#include "net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resolver_tlsa tlsa[RESOLVER_RECORDS_MAX];
    struct slice texts[RESOLVER_RECORDS_MAX];
    if (size > 65535) return 0;
    char *copy = mem_slicedup(slice_of(data, size)), *records[] = { copy, NULL }, *bytes;
    int len[] = { (int)size };
    if (resolver_read_tlsa(records, len, tlsa)) {
        struct tls_tlsa r = { tlsa[0].usage, tlsa[0].selector, tlsa[0].matching, tlsa[0].n, tlsa[0].data };
        if (tls_tlsa_usable(&r) && r.usage != 2 && r.usage != 3) abort();
    }
    if (resolver_read_txt(records, len, texts, &bytes) && texts[0].n >= size) abort();
    free(bytes);
    free(copy);
    return 0;
}
