/* SPDX-License-Identifier: Apache-2.0
 * A DNS that is written in the case: its answers at once, or one after the other in an order of chance. */
#include <stdlib.h>
#include "driver.h"

static const char *const types[] = { "TXT", "A", "AAAA", "MX", "PTR" };

static void arpa_name(const struct ip *ip, struct buf *out)
{
    if (ip->family == 4) {
        buf_addf(out, "%u.%u.%u.%u.in-addr.arpa", ip->bytes[3], ip->bytes[2], ip->bytes[1], ip->bytes[0]);
        return;
    }
    for (int i = 15; i >= 0; i--) buf_addf(out, "%x.%x.", ip->bytes[i] & 15u, ip->bytes[i] >> 4);
    buf_add_str(out, "ip6.arpa");
}

static struct slice latin1(const json_t *text, struct arena *arena)
{
    json_t *one = json_pack("{s:O}", "t", (json_t *)text);
    struct slice s = case_text(one, "t", arena);
    json_decref(one);
    return s;
}

static void fill(struct auth_dns_answer *a, enum auth_dns_type type, const json_t *list, struct arena *arena)
{
    size_t n = json_array_size(list);
    struct slice *texts = arena_alloc(arena, (n + 1) * sizeof *texts);
    struct ip *ips = arena_alloc(arena, (n + 1) * sizeof *ips);
    struct auth_dns_mx *mx = arena_alloc(arena, (n + 1) * sizeof *mx);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(list, i);
        if (type == AUTH_DNS_TXT || type == AUTH_DNS_PTR) texts[i] = latin1(e, arena);
        else if (type == AUTH_DNS_MX)
            mx[i] = (struct auth_dns_mx){ (uint16_t)json_integer_value(json_array_get(e, 0)), latin1(json_array_get(e, 1), arena) };
        else if (!ip_parse(slice_str(json_string_value(e)), &ips[i])) abort();
    }
    *a = (struct auth_dns_answer){ .status = n ? AUTH_DNS_OK : AUTH_DNS_NODATA, .n = n };
    if (type == AUTH_DNS_TXT) a->texts = texts;
    else if (type == AUTH_DNS_PTR) a->names = texts;
    else if (type == AUTH_DNS_MX) a->mx = mx;
    else a->ips = ips;
}

static const struct auth_dns_answer *look(struct zone *z, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct auth_dns_answer *a = arena_alloc(z->arena, sizeof *a);
    struct buf key = { 0 };
    if (type == AUTH_DNS_PTR) arpa_name(ip, &key);
    else for (size_t i = 0; i < name.n; i++) buf_add_char(&key, ascii_lower(name.p[i]));
    if (z->asked) json_array_append_new(z->asked, case_json(buf_slice(&key)));
    const json_t *node = json_object_get(z->names, buf_cstr(&key));
    const json_t *list = json_object_get(node, types[type]);
    a->status = node ? AUTH_DNS_NODATA : AUTH_DNS_NXDOMAIN;
    if (json_is_string(list)) a->status = AUTH_DNS_TEMPFAIL;
    else if (list) fill(a, type, list, z->arena);
    buf_deinit(&key);
    return a;
}

static const struct auth_dns_answer *get_now(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    return look(arg, type, name, ip);
}

struct auth_dns zone_dns(struct zone *z)
{
    return (struct auth_dns){ get_now, z };
}

static void start(void *arg, struct lookup *l)
{
    struct zone *z = arg;
    z->open[z->n_open++] = l;
}

static void cancel(void *arg, struct lookup *l)
{
    (void)arg;
    (void)l;
}

struct lookups *zone_lookups(struct zone *z)
{
    struct lookups_calls calls = { start, cancel, NULL, z };
    z->n_open = 0;
    return lookups_new(&calls);
}

void zone_answer_one(struct zone *z)
{
    if (!z->n_open) abort(); /* a check waits for nothing */
    z->seed = z->seed * 1103515245u + 12345u;
    size_t i = (z->seed >> 8) % z->n_open;
    struct lookup *l = z->open[i];
    z->open[i] = z->open[--z->n_open];
    lookup_answer(l, look(z, l->type, slice_str(l->name), &l->ip));
}
