/* SPDX-License-Identifier: Apache-2.0
 * Where a request comes from, and what every answer tells the browser. A page of somebody else may make a browser send requests to us: neither by
 * a name that it lets point here (DNS rebinding: Host must be ours) nor with a foreign origin does it get anywhere. */
#include <stdio.h>
#include "admin/web_int.h"

struct slice web_host_name(struct slice host)
{
    struct slice name;
    if (host.n && host.p[0] == '[') {
        host = slice_sub(host, 1, host.n);
        (void)slice_cut(&host, ']', &name);
    } else {
        (void)slice_cut(&host, ':', &name);
    }
    return name;
}

/* An address is nobody's name: only names can be made to point here. */
static bool is_ours(const struct web_site *s, struct slice host)
{
    struct slice name = web_host_name(host);
    struct ip ip;
    if (!name.n) return false;
    return ip_parse(name, &ip) || slice_ieq(name, SLICE("localhost")) || slice_ieq(name, slice_str(s->hostname)) ||
           slice_ieq(name, slice_str(s->host)) || slice_ieq(name, web_host_name(slice_str(s->listen)));
}

/* "https://" and Host, or web.url: one that a proxy in front has. */
static bool is_same_origin(const struct web_site *s, struct slice origin, struct slice host)
{
    struct slice url = slice_str(s->url), prefix = SLICE("https://");
    if (slice_istarts(origin, prefix) && slice_ieq(slice_sub(origin, prefix.n, origin.n), host)) return true;
    ptrdiff_t path = url.n > prefix.n ? slice_find(slice_sub(url, prefix.n, url.n), '/') : -1;
    if (path >= 0) url.n = prefix.n + (size_t)path;
    return url.n && slice_ieq(origin, url);
}

static bool changes(const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0;
}

static bool refuse(struct http_request *r, int status, const char *text)
{
    http_error(r, status, text);
    return false;
}

static enum MHD_Result count_hosts(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    if (slice_ieq(slice_str(name), SLICE(MHD_HTTP_HEADER_HOST))) ++*(unsigned *)arg;
    return MHD_YES;
}

bool web_check(struct http_request *r)
{
    unsigned hosts = 0;
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count_hosts, &hosts);
    if (hosts != 1) return refuse(r, MHD_HTTP_BAD_REQUEST, "one Host is expected"); /* RFC 9112 §3.2 */
    const struct web_site *s = r->web->site;
    const char *host = http_header(r, MHD_HTTP_HEADER_HOST), *origin = http_header(r, "Origin"), *site = http_header(r, "Sec-Fetch-Site");
    if (!is_ours(s, slice_str(host))) return refuse(r, MHD_HTTP_MISDIRECTED_REQUEST, "this server is not called that; see web.url");
    if (!changes(r->method)) return true;
    if (origin && !is_same_origin(s, slice_str(origin), slice_str(host))) return refuse(r, MHD_HTTP_FORBIDDEN, "the request comes from another site");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return refuse(r, MHD_HTTP_FORBIDDEN, "the request comes from another site");
    return true;
}

/* Strict-Transport-Security (RFC 6797) holds for all ports of a host: it is said only where web.url has the port that people mean by https. */
void web_headers(const struct http_request *r, struct MHD_Response *response)
{
    static const char *const headers[][2] = {
        { "X-Frame-Options", "DENY" },
        { "Referrer-Policy", "no-referrer" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()" },
        { "X-Robots-Tag", "noindex, nofollow" },
    };
    for (size_t i = 0; i < countof(headers); i++) MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (!MHD_get_response_header(response, "Content-Security-Policy"))
        MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox");
    if (r->web->site->strict) MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
}

/* ---- is it served? */

void web_complete(const struct admin *a, json_t *web)
{
    if (!web || !json_is_true(json_object_get(web, "enabled")) || json_object_get(web, "error") || (a->site && a->site->web)) return;
    json_object_set_new(web, "error", json_string("certificate and key cannot be used; the log (web-failed) tells why"));
}
