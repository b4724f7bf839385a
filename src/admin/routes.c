/* SPDX-License-Identifier: Apache-2.0
 * Which route a request is for. */
#include "admin/routes.h"
#include <microhttpd.h>
#include <stdio.h>
#include "base/mem.h"

const struct route *const route_tables[] = {
    routes_status, routes_queue, routes_tables, routes_trace, routes_quarantine, routes_statistics, routes_config,
    routes_keys, routes_doctor, routes_account, routes_accounts, routes_ops, routes_own, routes_web, routes_look,
    routes_backup, routes_import, routes_users,
};
const unsigned route_table_n = countof(route_tables);

static bool path_fits(const struct route *route, struct slice path, struct slice *rest)
{
    struct slice p = slice_str(route->path), before;
    *rest = (struct slice){ 0 };
    if (!slice_cut(&p, '*', &before)) return slice_eq(before, path); /* p: what is behind the asterisk */
    if (!slice_starts(path, before) || path.n < before.n + p.n) return false;
    *rest = slice_sub(path, before.n, path.n - p.n);
    return rest->n && (route->slashes || slice_find(*rest, '/') < 0) && slice_eq(slice_sub(path, path.n - p.n, path.n), p);
}

static const struct route *find_in(const struct route *table, const char *method, struct slice path, struct slice *rest, int *status)
{
    const struct route *found = NULL;
    for (const struct route *t = table; t->path && !found; t++) {
        struct slice its;
        if (!path_fits(t, path, &its)) continue;
        *status = MHD_HTTP_METHOD_NOT_ALLOWED;
        if (strcmp(t->method, method) != 0) continue;
        found = t;
        *rest = its;
    }
    return found;
}

/* A path that is spelled out goes before one with an asterisk, whichever table it is in. */
const struct route *api_route_find(const char *method, struct slice path, struct slice *rest, int *status)
{
    const struct route *found = NULL;
    *status = MHD_HTTP_NOT_FOUND;
    for (unsigned i = 0; i < route_table_n; i++) {
        struct slice its;
        const struct route *t = find_in(route_tables[i], method, path, &its, status);
        if (!t || (found && !strchr(found->path, '*'))) continue;
        if (found && strchr(t->path, '*')) continue;
        found = t;
        *rest = its;
    }
    return found;
}

void api_route_methods(struct slice path, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (unsigned i = 0; i < route_table_n; i++)
        for (const struct route *t = route_tables[i]; t->path; t++) {
            struct slice rest;
            if (!path_fits(t, path, &rest) || strstr(out, t->method)) continue;
            const char *comma = n ? ", " : "", *head = strcmp(t->method, MHD_HTTP_METHOD_GET) ? "" : ", HEAD";
            int k = snprintf(out + n, size - n, "%s%s%s", comma, t->method, head);
            if (k < 0 || (size_t)k >= size - n) return;
            n += (size_t)k;
        }
}
