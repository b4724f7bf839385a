/* SPDX-License-Identifier: Apache-2.0
 * Roles, and what they may do. */
#include "admin/routes.h"
#include "base/mem.h"

#define ALL (RIGHT_SELF | RIGHT_STATUS | RIGHT_MAIL | RIGHT_CONTENT | RIGHT_CHANGE | RIGHT_SENDERS | RIGHT_CONFIG | RIGHT_CONFIGURE | RIGHT_ACCOUNTS | \
             RIGHT_AUDIT | RIGHT_METRICS | RIGHT_OWN)

static const struct {
    const char *name;
    uint32_t rights;
} roles[ROLES] = {
    [ROLE_ADMINISTRATOR] = { "administrator", ALL },
    [ROLE_OPERATOR] = { "operator", RIGHT_SELF | RIGHT_STATUS | RIGHT_MAIL | RIGHT_CONTENT | RIGHT_CHANGE | RIGHT_SENDERS },
    [ROLE_AUDITOR] = { "auditor", RIGHT_SELF | RIGHT_STATUS | RIGHT_MAIL | RIGHT_CONFIG | RIGHT_AUDIT | RIGHT_METRICS },
    [ROLE_USER] = { "user", RIGHT_SELF | RIGHT_OWN },
};

static const struct {
    enum right right;
    const char *name;
} rights[] = {
    { RIGHT_SELF, "self" },       { RIGHT_STATUS, "status" },       { RIGHT_MAIL, "mail" },         { RIGHT_CONTENT, "content" },
    { RIGHT_CHANGE, "change" },   { RIGHT_SENDERS, "senders" },     { RIGHT_CONFIG, "config" },     { RIGHT_CONFIGURE, "configure" },
    { RIGHT_ACCOUNTS, "accounts" }, { RIGHT_AUDIT, "audit" },       { RIGHT_METRICS, "metrics" },   { RIGHT_OWN, "own" },
};

uint32_t role_rights(enum role role)
{
    return (unsigned)role < ROLES ? roles[role].rights : 0;
}

const char *role_name(enum role role)
{
    return (unsigned)role < ROLES ? roles[role].name : "none";
}

bool role_find(struct slice name, enum role *out)
{
    for (unsigned i = 0; i < ROLES; i++) {
        if (!slice_eq(name, slice_str(roles[i].name))) continue;
        *out = (enum role)i;
        return true;
    }
    return false;
}

const char *right_name(enum right one)
{
    for (size_t i = 0; i < countof(rights); i++)
        if (rights[i].right == one) return rights[i].name;
    return "none";
}

bool right_find(struct slice name, enum right *out)
{
    for (size_t i = 0; i < countof(rights); i++) {
        if (!slice_eq(name, slice_str(rights[i].name))) continue;
        *out = rights[i].right;
        return true;
    }
    return false;
}
