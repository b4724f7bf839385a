/* SPDX-License-Identifier: Apache-2.0
 * Addresses, networks, endpoints and next hops. */
#include "config/value.h"
#include "base/mem.h"

#define SMTP_PORT 25
#define LMTP_PORT 24
#define LMTP_PATH_MAX 107 /* unix(7) */
#define MAILDIR_PATH_MAX 1000

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
    return !ip_is_unspecified(ip) && ip->bytes[0] != 0xFF;
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

/* Only %d, %n and %u stand for something (config.h). */
static bool parse_maildir(const struct value_source *v, struct slice path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '%' && (i + 1 == path.n || !strchr("dnu", path.p[i + 1])))
            return value_fail(v, "%d is the domain of a recipient, %n the part before the @, %u both", "\"%s\" has a \"%%\" that means nothing",
                              report_quote(v->report, path));
    return true;
}

/* Delivery to a path, as which `whole` is written. */
static bool set_path(const struct value_source *v, struct slice whole, struct slice path, struct config_hop *hop)
{
    bool lmtp = hop->kind == CONFIG_HOP_LMTP;
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7F) return value_fail(v, NULL, "the path has control characters");
    if (!lmtp && !parse_maildir(v, path)) return false;
    if (path.n > (lmtp ? LMTP_PATH_MAX : MAILDIR_PATH_MAX))
        return value_fail(v, lmtp ? "sockets allow only short paths" : NULL, "the path is longer than %d characters",
                          lmtp ? LMTP_PATH_MAX : MAILDIR_PATH_MAX);
    hop->path = arena_strdup(v->arena, path);
    hop->host = hop->text = arena_strdup(v->arena, whole);
    return true;
}

/* Takes "lmtp:" or "maildir:" off. */
static bool cut_kind(struct slice *text, enum config_hop_kind *kind)
{
    struct slice rest = *text, word;
    if (!slice_cut(&rest, ':', &word)) return false;
    if (slice_ieq(word, SLICE("lmtp"))) *kind = CONFIG_HOP_LMTP;
    else if (slice_ieq(word, SLICE("maildir"))) *kind = CONFIG_HOP_MAILDIR;
    else return false;
    *text = rest;
    return true;
}

static uint16_t usual_port(const struct config_hop *hop) { return hop->kind == CONFIG_HOP_LMTP ? LMTP_PORT : SMTP_PORT; }

bool value_finish_hop(const struct value_source *v, struct config_hop *hop)
{
    struct slice host = slice_str(hop->host), whole = host;
    enum config_hop_kind kind = hop->kind;
    hop->host = NULL;
    if (!host.n) return false; /* told already */
    if (cut_kind(&host, &kind) && hop->kind && hop->kind != kind)
        return value_fail(v, "leave protocol out", "\"%s\" says another protocol", report_quote(v->report, whole));
    hop->kind = kind;
    bool path = slice_starts(host, SLICE("/"));
    if (kind == CONFIG_HOP_MAILDIR && !path)
        return value_fail(v, "write for example maildir:/var/mail/%d/%n", "\"%s\" is not an absolute path", report_quote(v->report, host));
    if (kind && path) {
        const char *word = kind == CONFIG_HOP_LMTP ? "lmtp:" : "maildir:";
        return set_path(v, slice_str(arena_printf(v->arena, "%s%.*s", word, SLICE_ARG(host))), host, hop);
    }
    if (slice_starts(host, SLICE("mx:")) || (slice_find(host, ':') >= 0 && !ip_parse(host, &hop->ip)))
        return value_fail(v, "write the host alone, and port and mx as entries of their own", "\"%s\" is not a host",
                          report_quote(v->report, host));
    if (kind && hop->mx) return value_fail(v, "name the host itself", "LMTP is not spoken with MX hosts");
    if (!yaml_get(v->node, "port")) hop->port = usual_port(hop);
    if (!set_host(v, host, hop)) return false;
    const char *before = hop->mx ? "mx:" : kind ? "lmtp:" : "";
    bool brackets = hop->ip.family == 6 && hop->port != usual_port(hop);
    hop->text = arena_printf(v->arena, brackets ? "%s[%s]" : "%s%s", before, hop->host);
    if (hop->port != usual_port(hop)) hop->text = arena_printf(v->arena, "%s:%u", hop->text, hop->port);
    return true;
}

static const char hop_hint[] = "write \"host\", \"host:port\", \"192.0.2.7:25\", \"[2001:db8::1]:25\" or \"mx:domain\"";
static const char local_hint[] = "write \"lmtp:host:24\", \"lmtp:/path/of/socket\" or \"maildir:/path/%d/%n\"";

static bool parse_hop(const struct value_source *v, struct slice text, struct config_hop *hop)
{
    const char *shown = report_quote(v->report, text);
    if (!text.n) return value_fail(v, hop_hint, "a next hop is expected");
    struct slice rest = text, host, port;
    bool local = cut_kind(&rest, &hop->kind);
    const char *hint = local || slice_ieq(text, SLICE("mailboxes")) ? local_hint : hop_hint;
    if (local && slice_starts(rest, SLICE("/"))) return set_path(v, text, rest, hop);
    hop->mx = !local && slice_istarts(text, SLICE("mx:"));
    if (hop->mx) rest = slice_sub(text, 3, text.n);
    if (local && slice_istarts(rest, SLICE("mx:"))) return value_fail(v, "name the host itself", "LMTP is not spoken with MX hosts");
    bool bracketed;
    if (hop->kind == CONFIG_HOP_MAILDIR || !rest.n || !value_split_port(rest, &host, &port, &bracketed) || slice_find(text, '/') >= 0 ||
        slice_ieq(text, SLICE("mailboxes")))
        return value_fail(v, hint, "\"%s\" is not a next hop", shown);
    struct ip ip;
    if (bracketed && !ip_parse(host, &ip))
        return value_fail(v, hint, "\"%s\" is not an IP address", report_quote(v->report, host));
    if (!bracketed && slice_find(host, ':') >= 0 && !ip_parse(host, &ip))
        return value_fail(v, hint, "\"%s\" is not a next hop", shown);
    hop->port = usual_port(hop);
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
    default: return true; /* SCHEMA_ZONE, SCHEMA_LISTENER: found when all of them are known */
    }
}
