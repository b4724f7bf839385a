/* SPDX-License-Identifier: Apache-2.0
 * A provider's networks: from SPF records, and in the form in which they are kept. */
#include "policy/provider.h"
#include <stdlib.h>
#include "base/mem.h"
#include "smtp/address.h"

#define FILE_HEAD "postern provider networks 1"

void provider_list_deinit(struct provider_list *l)
{
    free(l->nets);
    *l = (struct provider_list){ 0 };
}

/* ---- which networks */

/* Not routed on the internet, or addresses that stand for others (RFC 6890 and its successors). */
static const char *const special[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10",   "127.0.0.0/8",    "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",   "192.0.2.0/24",   "192.88.99.0/24",  "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/3",    "2001::/23",       "2001:db8::/32",  "2002::/16",      "3fff::/20",
};

bool provider_believes(const struct ip_net *net)
{
    struct ip_net other;
    if (net->prefix < (net->ip.family == 4 ? PROVIDER_IPV4_LEAST : PROVIDER_IPV6_LEAST)) return false;
    if (net->ip.family == 6 && (net->ip.bytes[0] & 0xE0) != 0x20) return false; /* outside 2000::/3 */
    for (size_t i = 0; i < countof(special); i++)
        if (!ip_net_parse(slice_str(special[i]), &other) &&
            (ip_net_has(&other, &net->ip) || ip_net_has(net, &other.ip)))
            return false;
    return true;
}

static bool list_has(const struct provider_list *l, const struct ip_net *net)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->nets[i].prefix == net->prefix && ip_eq(&l->nets[i].ip, &net->ip)) return true;
    return false;
}

static const char *list_add(struct provider_list *l, const struct ip_net *net)
{
    if (!provider_believes(net)) {
        l->left_out++;
        return NULL;
    }
    if (list_has(l, net)) return NULL;
    if (l->n == PROVIDER_NETWORKS_MAX) return "there are too many networks";
    if (!(l->n & (l->n - 1))) l->nets = mem_grow(l->nets, l->n ? 2 * l->n : 1, sizeof *l->nets);
    l->nets[l->n++] = *net;
    return NULL;
}

/* ---- SPF */

/* "192.0.2.0/24"; SPF lets host bits be set (RFC 7208 §5.6). */
static bool parse_network(struct slice text, int family, struct ip_net *out)
{
    struct slice head;
    unsigned bits = family == 4 ? 32 : 128;
    uint64_t prefix = bits;
    bool has_prefix = slice_cut(&text, '/', &head);
    *out = (struct ip_net){ 0 };
    if ((slice_find(head, ':') >= 0) != (family == 6) || !ip_parse(head, &out->ip)) return false;
    if (has_prefix && !slice_to_u64(text, bits, &prefix)) return false;
    if (out->ip.family != family) prefix = 0; /* a mapped address in ip6: too wide to be believed */
    out->prefix = (uint8_t)prefix;
    ip_mask(&out->ip, out->prefix);
    return true;
}

static const char *add_name(struct provider_names *names, struct slice name)
{
    if (name.n && name.p[name.n - 1] == '.') name.n--;
    if (slice_find(name, '%') >= 0) return NULL; /* a macro: other names for other messages, so no list */
    if (!address_domain_ok(name, false)) return "it refers to something that is no domain name";
    for (size_t i = 0; i < names->n; i++)
        if (slice_ieq(slice_str(names->name[i]), name)) return NULL;
    if (names->n == PROVIDER_LOOKUPS_MAX) return "it takes too many look-ups";
    memcpy(names->name[names->n], name.p, name.n);
    names->name[names->n++][name.n] = 0;
    return NULL;
}

bool provider_is_spf(struct slice record)
{
    return slice_istarts(record, SLICE("v=spf1")) && (record.n == 6 || record.p[6] == ' '); /* RFC 7208 §4.5 */
}

static const char *read_network(struct slice text, int family, struct provider_list *list)
{
    struct ip_net net;
    return parse_network(text, family, &net) ? list_add(list, &net) : "a network is malformed";
}

/* One mechanism: [qualifier] name [":" value]. *all: it was "all". */
static const char *read_mechanism(struct slice term, struct provider_list *list, struct provider_names *names,
                                  bool *all)
{
    bool except = strchr("-~?", term.p[0]) != NULL;
    if (except || term.p[0] == '+') term = slice_sub(term, 1, term.n);
    struct slice value = term, name;
    bool has_value = slice_cut(&value, ':', &name);
    int family = slice_ieq(name, SLICE("ip4")) ? 4 : slice_ieq(name, SLICE("ip6")) ? 6 : 0;
    bool include = slice_ieq(name, SLICE("include"));
    *all = slice_ieq(term, SLICE("all"));
    if (!family && !include) return NULL; /* a, mx, exists, ptr, all */
    if (!has_value) return "a term has no value";
    if (except) return "it holds an exception";
    return include ? add_name(names, value) : read_network(value, family, list);
}

const char *provider_read_spf(struct slice record, struct provider_list *list, struct provider_names *names)
{
    struct slice term, redirect = SLICE("");
    bool all = false;
    if (!provider_is_spf(record)) return "it is no SPF record";
    slice_cut(&record, ' ', &term);
    while (record.n) {
        slice_cut(&record, ' ', &term);
        if (!term.n) continue;
        ptrdiff_t equals = slice_find(term, '='), colon = slice_find(term, ':'), slash = slice_find(term, '/');
        const char *wrong = NULL;
        if (equals >= 0 && (colon < 0 || equals < colon) && (slash < 0 || equals < slash)) { /* a modifier */
            if (slice_istarts(term, SLICE("redirect="))) redirect = slice_sub(term, 9, term.n);
        } else if (!all) /* nothing behind "all" is looked at (RFC 7208 §5.1) */
            wrong = read_mechanism(term, list, names, &all);
        if (wrong) return wrong;
    }
    return redirect.n && !all ? add_name(names, redirect) : NULL; /* RFC 7208 §6.1 */
}

/* ---- on disk: a line for the form, one for provider and time, one for each network, "end" */

void provider_list_format(const struct provider_list *l, const char *provider, uint64_t wall_ms, struct buf *out)
{
    buf_add(out, SLICE(FILE_HEAD "\n"));
    buf_addf(out, "%s %llu\n", provider, (unsigned long long)wall_ms);
    for (size_t i = 0; i < l->n; i++) {
        ip_add(out, &l->nets[i].ip);
        buf_addf(out, "/%u\n", l->nets[i].prefix);
    }
    buf_add(out, SLICE("end\n"));
}

static bool parse_lines(struct slice text, const char *provider, struct provider_list *out, uint64_t *wall_ms)
{
    struct slice line, name;
    struct ip_net net;
    if (!slice_cut(&text, '\n', &line) || !slice_eq(line, SLICE(FILE_HEAD))) return false;
    if (!slice_cut(&text, '\n', &line) || !slice_cut(&line, ' ', &name) || !slice_eq(name, slice_str(provider)) ||
        !slice_to_u64(line, INT64_MAX, wall_ms))
        return false;
    while (slice_cut(&text, '\n', &line)) {
        if (slice_eq(line, SLICE("end"))) return out->n > 0 && !text.n;
        if (ip_net_parse(line, &net) || list_add(out, &net) || out->left_out) return false;
    }
    return false;
}

bool provider_list_parse(struct slice text, const char *provider, struct provider_list *out, uint64_t *wall_ms)
{
    *out = (struct provider_list){ 0 };
    if (parse_lines(text, provider, out, wall_ms)) return true;
    provider_list_deinit(out);
    return false;
}
