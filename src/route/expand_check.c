/* SPDX-License-Identifier: Apache-2.0
 * Loops and crowds among mappings and aliases that are written in the configuration. */
#include "route/expand_parts.h"

/* The mapping that mail mapped by `m` meets next; NULL: none. One that maps a domain to itself ends the way. */
static const struct expand_mapping *next_mapping(const struct expander *x, const struct expand_mapping *m)
{
    struct expand_way way;
    char domain[256];
    if (!address_domain_ascii(m->to, domain) || expand_find_mapping(x, slice_str(domain), true, &way) != EXPAND_FOUND) return NULL;
    return slice_ieq(way.to, slice_str(domain)) ? NULL : way.mapping;
}

static bool check_mapping(const struct expander *x, const struct expand_mapping *m, struct err *err)
{
    const struct expand_mapping *at = m;
    struct buf way = { .max = 300 };
    bool loops = false;
    unsigned n = 0;
    for (; at && n <= EXPAND_DEPTH_MAX && !loops; n++) {
        buf_addf(&way, "%.*s (line %u) -> ", SLICE_ARG(at->key), at->from->place.line);
        at = next_mapping(x, at);
        loops = at == m;
    }
    if (loops) err_set(err, "line %u: mappings loop: %s%.*s", m->from->place.line, buf_cstr(&way), SLICE_ARG(m->key));
    else if (at)
        err_set(err, "line %u: the mapping of %.*s leads to others more than %d times: map it to the last domain at once",
                m->from->place.line, SLICE_ARG(m->key), EXPAND_DEPTH_MAX);
    buf_deinit(&way);
    return !loops && !at;
}

bool expand_check(const struct expander *x, struct err *err)
{
    for (size_t i = 0; i < x->mapping_n; i++)
        if (!check_mapping(x, x->mapping_list[i], err)) return false;
    for (size_t i = 0; i < x->alias_n; i++)
        if (!expand_check_alias(x, x->alias_list[i], err)) return false;
    return true;
}
