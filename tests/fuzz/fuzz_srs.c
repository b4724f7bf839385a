/* SPDX-License-Identifier: Apache-2.0
 * SRS: whatever a sender is, what is made of it leads back to it; nothing that was not made here leads anywhere. */
#include "base/mem.h"
#include "mailauth/srs.h"
#include "smtp/address.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint64_t now = 1700000000000;
    static const struct srs_key key = { { "secret", 6 } };
    struct srs s = { .keys = &key, .keys_n = 1, .domain = SLICE("fwd.example") };
    struct buf there = { 0 }, back = { 0 };
    char *copy = mem_slicedup(slice_of(data, n));
    struct slice text = slice_of(copy, n);
    struct address a;
    if (srs_forward(&s, text, now, &there)) {
        must(there.n <= 254 && there.n > s.domain.n + 1 && slice_iends(buf_slice(&there), s.domain));
        bool srs = slice_istarts(buf_slice(&there), SLICE("SRS")) || slice_istarts(buf_slice(&there), SLICE("\"SRS"));
        if (srs && !slice_iends(text, SLICE("@fwd.example")))
            must(srs_reverse(&s, buf_slice(&there), now, &back) == SRS_OK || address_parse(text, &a) != NULL);
        if (!address_parse(text, &a) && srs && !slice_istarts(a.local, SLICE("SRS")) && !slice_istarts(a.local, SLICE("\""))
            && !slice_iends(text, SLICE("@fwd.example")))
            must(slice_eq(buf_slice(&back), text));
    } else {
        must(!there.n);
    }
    buf_clear(&back);
    must(srs_reverse(&s, text, now, &back) != SRS_OK && !back.n);
    buf_deinit(&there);
    buf_deinit(&back);
    free(copy);
    return 0;
}
