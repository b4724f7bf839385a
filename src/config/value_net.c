/* SPDX-License-Identifier: Apache-2.0
 * Addresses, networks, endpoints and next hops. */
#include "config/value.h"
#include "base/mem.h"

#define SMTP_PORT 25

bool value_split_port(struct slice s, struct slice *host, struct slice *port, bool *bracketed)
{
    *port = (struct slice){ 0 };
    *bracketed = s.n && s.p[0] == '[';
    if (*bracketed) {
        ptrdiff_t end = slice_find(s, ']');
        if (end < 0) return false;
        *host = slice_sub(s, 1, (size_t)end);
        s = slice_sub(s, (size_t)end + 1, s.n);
        if (s.n && s.p[0] != ':') return false;
        if (s.n) *port = slice_sub(s, 1, s.n);
        return true;
    }
    struct slice rest = s;
    if (!slice_cut(&rest, ':', host) || slice_find(rest, ':') >= 0) *host = s;
    else *port = rest;
    return true;
}

static bool parse_port(const struct value_source *v, struct slice text, uint16_t *out)
{
    uint64_t n;
    if (!slice_to_u64(text, 65535, &n) || n == 0)
        return value_fail(v, "a port is a number from 1 to 65535", "\"%s\" is not a port",
                          report_quote(v->report, text));
    *out = (uint16_t)n;
    return true;
}

static bool parse_ip(const struct value_source *v, uint64_t family, struct slice text, struct ip *out)
{
    const char *shown = report_quote(v->report, text);
    if (!ip_parse(text, out)) return value_fail(v, NULL, "\"%s\" is not an IP address", shown);
    if (family && out->family != family) {
        *out = (struct ip){ 0 };
        return value_fail(v, NULL, "\"%s\" is not an IPv%d address", shown, (int)family);
    }
    return true;
}

void value_format_net(const struct ip_net *net, struct buf *out)
{
    ip_add(out, &net->ip);
    if (net->prefix < (net->ip.family == 4 ? 32 : 128)) buf_addf(out, "/%u", net->prefix);
}

static bool parse_network(const struct value_source *v, struct slice text, struct ip_net *out)
{
    const char *problem = ip_net_parse(text, out), *shown = report_quote(v->report, text);
    if (!problem) return true;
    const char *hint = "write for example 10.20.30.0/24, 10.0.0.0/255.0.0.0 or 2001:db8::/32";
    if (strstr(problem, "bits set")) { /* the one mistake whose meaning is clear */
        ip_mask(&out->ip, out->prefix);
        struct buf b = { 0 };
        value_format_net(out, &b);
        hint = report_text(v->report, "the network is %s; a single address has no \"/%u\"", buf_cstr(&b), out->prefix);
        buf_deinit(&b);
    }
    *out = (struct ip_net){ 0 };
    return value_fail(v, hint, "\"%s\": %s", shown, problem);
}

static bool parse_endpoint(const struct value_source *v, struct slice text, struct config_listener *l)
{
    static const char hint[] = "write \"*:25\", \"192.0.2.1:25\" or \"[2001:db8::1]:25\"";
    const char *shown = report_quote(v->report, text);
    struct slice host, port;
    bool bracketed;
    if (!value_split_port(text, &host, &port, &bracketed))
        return value_fail(v, hint, "\"%s\" is not an address and port", shown);
    struct ip ip = { 0 };
    bool any = !bracketed && slice_eq(host, SLICE("*")), is_ip = ip_parse(host, &ip);
    if (!port.p)
        return value_fail(v, hint, any || is_ip ? "\"%s\" has no port" : "\"%s\" is not an address and port", shown);
    if (!any && !is_ip)
        return value_fail(v, "listen on the address itself, or on \"*\" for all", "\"%s\" is not an IP address",
                          report_quote(v->report, host));
    if (!parse_port(v, port, &l->port)) return false;
    l->ip = ip;
    return true;
}

void value_format_endpoint(const struct ip *ip, uint16_t port, struct buf *out)
{
    if (!ip->family) buf_add_char(out, '*');
    else if (ip->family == 4) ip_add(out, ip);
    else {
        buf_add_char(out, '[');
        ip_add(out, ip);
        buf_add_char(out, ']');
    }
    buf_addf(out, ":%u", port);
}

static bool parse_server(const struct value_source *v, struct slice text, const char **out)
{
    struct slice host, port;
    bool bracketed;
    struct ip ip;
    uint16_t number;
    if (!value_split_port(text, &host, &port, &bracketed) || !ip_parse(host, &ip))
        return value_fail(v, "write for example 192.0.2.53 or \"127.0.0.1:5353\"",
                          "\"%s\" is not the address of a name server", report_quote(v->report, text));
    if (port.p && !parse_port(v, port, &number)) return false;
    *out = arena_strdup(v->arena, text);
    return true;
}

static bool usable_target(const struct ip *ip)
{
    if (ip->family == 4) return ip->bytes[0] != 0 && ip->bytes[0] < 224;
    static const uint8_t none[16];
    return memcmp(ip->bytes, none, 16) != 0 && ip->bytes[0] != 0xFF;
}

/* Host as name or address; name in lower case. */
static bool set_host(const struct value_source *v, struct slice host, struct config_hop *hop)
{
    if (!ip_parse(host, &hop->ip)) return value_parse_host(v, host, true, &hop->host);
    if (hop->mx) return value_fail(v, "leave out mx, or write a domain", "an address has no MX records");
    if (!usable_target(&hop->ip))
        return value_fail(v, NULL, "\"%s\" is not the address of one host", report_quote(v->report, host));
    struct buf b = { 0 };
    ip_add(&b, &hop->ip);
    hop->host = arena_strdup(v->arena, buf_slice(&b));
    buf_deinit(&b);
    return true;
}

bool value_finish_hop(const struct value_source *v, struct config_hop *hop)
{
    struct slice host = slice_str(hop->host);
    hop->host = NULL;
    if (!host.n) return false; /* told already */
    if (slice_starts(host, SLICE("mx:")) || (slice_find(host, ':') >= 0 && !ip_parse(host, &hop->ip)))
        return value_fail(v, "write the host alone, and port and mx as entries of their own", "\"%s\" is not a host",
                          report_quote(v->report, host));
    if (!set_host(v, host, hop)) return false;
    const char *mx = hop->mx ? "mx:" : "";
    if (hop->port == SMTP_PORT) hop->text = arena_printf(v->arena, "%s%s", mx, hop->host);
    else hop->text = arena_printf(v->arena, hop->ip.family == 6 ? "%s[%s]:%u" : "%s%s:%u", mx, hop->host, hop->port);
    return true;
}

static bool parse_hop(const struct value_source *v, struct slice text, struct config_hop *hop)
{
    static const char hint[] = "write \"host\", \"host:port\", \"192.0.2.7:25\", \"[2001:db8::1]:25\" or \"mx:domain\"";
    const char *shown = report_quote(v->report, text);
    if (!text.n) return value_fail(v, hint, "a next hop is expected");
    if (slice_istarts(text, SLICE("lmtp:"))) return value_fail(v, hint, "delivery over LMTP is not available yet");
    if (slice_ieq(text, SLICE("mailboxes"))) return value_fail(v, hint, "delivery into mailboxes is not available yet");
    struct slice rest = text, host, port;
    hop->mx = slice_istarts(text, SLICE("mx:"));
    if (hop->mx) rest = slice_sub(text, 3, text.n);
    bool bracketed;
    if (!value_split_port(rest, &host, &port, &bracketed) || slice_find(text, '/') >= 0)
        return value_fail(v, hint, "\"%s\" is not a next hop", shown);
    struct ip ip;
    if (bracketed && !ip_parse(host, &ip))
        return value_fail(v, hint, "\"%s\" is not an IP address", report_quote(v->report, host));
    if (!bracketed && slice_find(host, ':') >= 0 && !ip_parse(host, &ip))
        return value_fail(v, hint, "\"%s\" is not a next hop", shown);
    hop->port = SMTP_PORT;
    if (port.p && !parse_port(v, port, &hop->port)) return false;
    hop->text = arena_strdup(v->arena, text);
    return set_host(v, host, hop);
}

bool value_parse_net(const struct value_source *v, const struct schema_option *o, enum schema_type type,
                     struct slice text, void *field)
{
    switch (type) {
    case SCHEMA_IP: return parse_ip(v, o->min, text, field);
    case SCHEMA_NETWORK: return parse_network(v, text, field);
    case SCHEMA_SERVER: return parse_server(v, text, field);
    case SCHEMA_ENDPOINT: return parse_endpoint(v, text, container_of(field, struct config_listener, ip));
    case SCHEMA_HOP: return parse_hop(v, text, field);
    default: return true; /* SCHEMA_ZONE: a name, found when all zones are known */
    }
}
