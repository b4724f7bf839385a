/* SPDX-License-Identifier: Apache-2.0
 * ARC-Authentication-Results of a trusted sealer: however it is written, it excuses nobody by what stands in comments or quotes. */
#include "policy/message_auth_parts.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *sealers[] = { "lists.example" };
    struct config c = { .checks.arc = { .sealers = sealers, .sealer_n = 1 } };
    struct arc_set set = { .seal_domain = SLICE("lists.example"), .results = slice_of(data, size) };
    struct arc chain = { .result = ARC_PASS, .sets = &set, .n = 1 };
    struct dmarc author = { .author = SLICE("a.example.org"), .organisation = SLICE("example.org") };
    struct arc_excuse e;
    bool excused = arc_excuses(&c, &chain, &author, &e);
    must(!excused || !strcmp(e.what, "DMARC") || !strcmp(e.what, "DKIM") || !strcmp(e.what, "SPF"));
    if (excused) must(size >= strlen(";spf=pass "));
    chain.result = ARC_FAIL;
    must(!arc_excuses(&c, &chain, &author, &e));
    chain.result = ARC_PASS;
    sealers[0] = "others.example";
    must(!arc_excuses(&c, &chain, &author, &e));
    return 0;
}
