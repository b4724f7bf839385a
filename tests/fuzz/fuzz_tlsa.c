/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: rdata of TLSA and TXT records as a name server may send it. One input is one record. */
#include "base/mem.h"
#include "net/resolver_parts.h"
#include "net/tls.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_tlsa tlsa[RESOLVER_RECORDS_MAX];
    struct slice texts[RESOLVER_RECORDS_MAX];
    if (size > 65535) return 0;
    char *copy = mem_slicedup(slice_of(data, size)), *records[] = { copy, NULL }, *bytes;
    int len[] = { (int)size };
    if (resolver_read_tlsa(records, len, tlsa) && tls_tlsa_usable(tlsa) && tlsa->usage != 2 && tlsa->usage != 3) abort();
    if (resolver_read_txt(records, len, texts, &bytes) && texts[0].n >= size) abort();
    free(bytes);
    free(copy);
    return 0;
}
