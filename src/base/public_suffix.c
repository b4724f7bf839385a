/* SPDX-License-Identifier: Apache-2.0
 * The public suffix list, by libpsl. */
#include "base/public_suffix.h"
#include <libpsl.h>
#include <stdlib.h>
#include "base/ip.h"
#include "base/mem.h"

#define NAME_MAX_LEN 253 /* RFC 1035 §2.3.4, as text */

struct public_suffix {
    psl_ctx_t *psl;
};

struct public_suffix *public_suffix_load(void)
{
    psl_ctx_t *psl = psl_latest(NULL);
    if (!psl) return NULL;
    struct public_suffix *l = mem_new(struct public_suffix);
    l->psl = psl;
    return l;
}

void public_suffix_free(struct public_suffix *l)
{
    if (!l) return;
    psl_free(l->psl);
    free(l);
}

struct slice public_suffix_registrable(const struct public_suffix *l, struct slice name)
{
    char lower[NAME_MAX_LEN + 1];
    struct ip ip;
    if (name.n && name.p[name.n - 1] == '.') name.n--;
    if (!l || !name.n || name.n > NAME_MAX_LEN || name.p[0] == '.' || ip_parse(name, &ip)) return SLICE("");
    for (size_t i = 0; i < name.n; i++) {
        bool empty_label = name.p[i] == '.' && (i + 1 == name.n || name.p[i + 1] == '.');
        if (!name.p[i] || empty_label) return SLICE("");
        lower[i] = ascii_lower(name.p[i]);
    }
    lower[name.n] = 0;
    const char *found = psl_registrable_domain(l->psl, lower);
    return found ? slice_sub(name, (size_t)(found - lower), name.n) : SLICE("");
}
