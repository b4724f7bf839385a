/* SPDX-License-Identifier: Apache-2.0
 * Which domains and addresses are of this house, and who is nobody there. */
#include "route/expand_parts.h"

/* ---- domains */

bool expand_is_ours(const struct expander *x, struct slice domain)
{
    struct expand_way way;
    return config_is_own_host(x->config, domain) || config_domain_of(x->config, domain) || expand_find_mapping(x, domain, false, &way) == EXPAND_FOUND;
}

bool expand_is_ours_address(const struct expander *x, struct slice address)
{
    struct expand_name name;
    return expand_name_make(x, address, &name) && expand_is_ours(x, expand_name_domain(&name));
}

bool expand_is_outside(const struct expander *x, struct slice address)
{
    struct expand_name name;
    return expand_name_make(x, address, &name) && !expand_is_ours(x, expand_name_domain(&name));
}

static bool are_domains_read(const struct expander *x)
{
    for (size_t i = 0; i < x->domain_table_n; i++)
        if (!table_snapshot(x->domain_tables[i])) return false;
    return true;
}

bool expand_is_ready(const struct expander *x)
{
    for (size_t i = 0; i < x->mapping_table_n; i++)
        if (!table_snapshot(x->mapping_tables[i].table)) return false;
    return are_domains_read(x);
}

/* ---- who is there */

bool expand_is_postmaster(const struct expander *x, const struct expand_name *name)
{
    return x->postmaster.n && slice_eq(expand_name_all(name), expand_name_all(&x->postmaster));
}

static bool has_no_way(const struct expander *x, const struct expand_name *name)
{
    struct slice domain = expand_name_domain(name);
    return config_is_own_host(x->config, domain) && !config_domain_of(x->config, domain) && !config_has_route(x->config, expand_name_local(name), domain);
}

bool expand_has_no_mailbox(const struct expander *x, const struct expand_name *name, bool *unread)
{
    bool nobody = has_no_way(x, name) && !expand_is_postmaster(x, name);
    *unread = nobody && !are_domains_read(x);
    return nobody;
}

bool expand_waits(const struct expander *x, struct slice address)
{
    struct expand_name name;
    return expand_name_make(x, address, &name) && has_no_way(x, &name) && expand_is_postmaster(x, &name) && are_domains_read(x);
}

bool expand_is_nobody(const struct expander *x, struct slice address)
{
    struct expand_name name;
    bool unread;
    return expand_name_make(x, address, &name) && expand_has_no_mailbox(x, &name, &unread);
}

/* ---- whose mail is taken */

bool expand_takes_domain(const struct expander *x, struct slice domain, struct config_place *place)
{
    struct expand_way way;
    char name[256];
    if (!address_domain_ascii(domain, name)) return false;
    *place = (struct config_place){ 0 };
    if (x->config->main_domain && slice_ieq(slice_str(name), slice_str(x->config->main_domain))) return true;
    if (expand_find_mapping(x, slice_str(name), false, &way) != EXPAND_FOUND) return false;
    *place = way.place;
    return true;
}

bool expand_knows(const struct expander *x, struct slice local, struct slice domain)
{
    struct expand_name name;
    struct expand_group group;
    char text[ADDRESS_LOCAL_MAX + 1 + 256];
    if (!domain.n) domain = slice_str(x->config->hostname);
    if (!local.n || local.n > ADDRESS_LOCAL_MAX || domain.n > 255) return false;
    memcpy(text, local.p, local.n);
    text[local.n] = '@';
    memcpy(text + local.n + 1, domain.p, domain.n);
    if (!expand_name_make(x, slice_of(text, local.n + 1 + domain.n), &name)) return false;
    if (expand_find_group(x, &name, false, &group) != EXPAND_NONE) return true;
    return config_is_own_host(x->config, expand_name_domain(&name)) && expand_is_postmaster(x, &name);
}
