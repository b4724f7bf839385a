/* SPDX-License-Identifier: Apache-2.0
 * Providers' networks: from SPF records, and from the file; what is taken is always believable. */
#include "policy/provider.h"
#include "fuzz.h"

static void check(const struct provider_list *l)
{
    if (l->n > PROVIDER_NETWORKS_MAX) abort();
    for (size_t i = 0; i < l->n; i++)
        if (!provider_believes(&l->nets[i])) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct provider_list l = { 0 }, again;
    struct provider_names names = { 0 };
    struct buf text = { 0 };
    uint64_t when;
    struct slice in = slice_of(data, n);
    const char *why = provider_read_spf(in, &l, &names);
    check(&l);
    if (names.n > PROVIDER_LOOKUPS_MAX) abort();
    if (!why && l.n) {
        provider_list_format(&l, "google", 7, &text);
        if (!provider_list_parse(buf_slice(&text), "google", &again, &when) || again.n != l.n || when != 7) abort();
        provider_list_deinit(&again);
    }
    provider_list_deinit(&l);
    if (provider_list_parse(in, "google", &l, &when)) check(&l);
    provider_list_deinit(&l);
    buf_deinit(&text);
    return 0;
}
