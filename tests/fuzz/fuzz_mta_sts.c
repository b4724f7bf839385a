/* SPDX-License-Identifier: Apache-2.0
 * Fuzz target: MTA-STS. The first byte chooses: the rest is a policy, or TXT records split at NUL. */
#include <stdio.h>
#include "fetch/mta_sts.h"
#include "fuzz.h"

static void read_records(struct slice rest)
{
    struct slice texts[8];
    size_t n = 0;
    char id[STS_ID_MAX + 1];
    while (rest.n && n < 8) slice_cut(&rest, 0, &texts[n++]);
    if (sts_record_parse(texts, n, id) && (!id[0] || strlen(id) > STS_ID_MAX)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sts_policy p;
    struct err err;
    if (!size) return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    if (data[0] & 1) {
        read_records(rest);
        return 0;
    }
    if (!sts_policy_parse(rest, &p, &err)) return 0;
    if (p.max_age > STS_AGE_MAX || p.mx_n > STS_MX_MAX || (p.mode != STS_NONE && !p.mx_n)) abort();
    for (size_t i = 0; i < p.mx_n; i++) {
        char host[260];
        bool wild = p.mx[i][0] == '*';
        snprintf(host, sizeof host, "%s%s", wild ? "x" : "", p.mx[i] + wild);
        if (!sts_policy_covers(&p, slice_str(host))) abort();
    }
    return 0;
}
