/* SPDX-License-Identifier: Apache-2.0
 * Administration: where it listens and with which certificate, webhooks that can be reached without telling everybody, logs that somebody reads. */
#include "base/log.h"
#include "base/mem.h"
#include "base/watch.h"
#include "config/parse.h"
#include "config/schema_table.h"
#include "config/value.h"

const char *config_webhook_event_name(uint32_t one)
{
    for (const struct schema_word *w = schema_webhook_events; w->word; w++)
        if (w->value == one) return w->word;
    return "";
}

uint32_t config_webhook_wants(const struct config_webhook *h)
{
    const uint32_t usual = WATCH_VIRUS | WATCH_QUARANTINED | WATCH_QUEUE | WATCH_HEALTH | WATCH_LOGIN | WATCH_CONFIG;
    return h->events ? h->events : usual;
}

uint32_t config_webhook_events(const struct config *c)
{
    uint32_t all = 0;
    for (size_t i = 0; i < c->webhook_n; i++) all |= config_webhook_wants(&c->webhooks[i]);
    return all;
}

/* ---- URLs */

static bool plain_host(struct slice host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = ascii_lower(host.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(".-_:", c))) return false;
    }
    return host.n && host.n <= 253;
}

static bool plain_path(struct slice path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] >= 0x7F || strchr("#\"<>\\", path.p[i])) return false;
    return true;
}

bool config_webhook_url_parse(const char *url, struct config_webhook_url *out)
{
    struct slice s = slice_str(url), host, port, authority;
    uint64_t number = 0;
    bool bracketed, plain = slice_istarts(s, SLICE("http://"));
    *out = (struct config_webhook_url){ .secure = slice_istarts(s, SLICE("https://")) };
    if ((!plain && !out->secure) || s.n > 2000) return false;
    s = slice_sub(s, plain ? 7 : 8, s.n);
    size_t end = 0;
    while (end < s.n && s.p[end] != '/' && s.p[end] != '?') end++;
    authority = slice_sub(s, 0, end);
    out->path = slice_sub(s, end, s.n);
    if (!value_split_port(authority, &host, &port, &bracketed) || !plain_host(host) || !plain_path(out->path)) return false;
    if (port.p && (!slice_to_u64(port, 65535, &number) || !number)) return false;
    if (!bracketed && slice_find(host, ':') >= 0) return false;
    if (out->path.n && out->path.p[0] != '/') return false;
    out->host = host;
    out->port = (uint16_t)(number ? number : plain ? 80 : 443);
    return out->secure || check_is_here(authority);
}

static void check_hook(const struct check *k, const struct config_webhook *h, const struct yaml_node *node)
{
    struct config_webhook_url url;
    const struct yaml_node *at = yaml_get(node, "url"), *file = yaml_get(node, "secret_file");
    check_file(k, file, h->secret_file, CHECK_FILE_SECRET);
    if (!h->url) return; /* said already */
    if (config_webhook_url_parse(h->url, &url)) return;
    if (slice_istarts(slice_str(h->url), SLICE("http://")) && !check_is_here(slice_sub(slice_str(h->url), 7, strlen(h->url))))
        yaml_error(k->report, at, "write https://; http:// is for programs on this machine", "whoever reads it on its way sees addresses of your mail");
    else if (strchr(h->url, '@'))
        yaml_error(k->report, at, "put a password into the path, or check X-Postern-Signature (secret_file)",
                   "a name and a password cannot be part of it");
    else yaml_error(k->report, at, "write for example https://hooks.example.com/postern", "\"%s\" is not the URL of a webhook",
                    report_quote(k->report, slice_str(h->url)));
}

/* ---- web */

static bool listen_ok(struct slice text, bool *here)
{
    struct slice host, port;
    bool bracketed;
    uint64_t number;
    struct ip ip;
    if (!value_split_port(text, &host, &port, &bracketed) || !slice_to_u64(port, 65535, &number) || !number) return false;
    bool any = slice_eq(host, SLICE("*")), address = ip_parse(host, &ip) && bracketed == (ip.family == 6);
    *here = address && ip_is_loopback(&ip);
    return any || address;
}

static void check_url(const struct check *k, const struct yaml_node *web)
{
    const char *url = k->c->web.url;
    const struct yaml_node *at = yaml_get(web, "url");
    if (!url) return;
    if (!slice_istarts(slice_str(url), SLICE("https://")) || strpbrk(url, " ?#<>\"@") || !url[8])
        yaml_error(k->report, at, "write for example https://mail.example.com", "\"%s\" is not the URL of the web administration",
                   report_quote(k->report, slice_str(url)));
    else if (strchr(url + 8, '/') && strchr(url + 8, '/')[1])
        yaml_error(k->report, at, "leave the path away: it has a host of its own", "the web administration cannot be below a path");
}

struct taken {
    struct ip ip;       /* family 0: all addresses of both; all bits 0: all of its own */
    uint16_t port;
};

static bool taken_of(struct slice text, struct taken *out)
{
    struct slice host, port;
    bool bracketed;
    uint64_t number;
    *out = (struct taken){ 0 };
    if (!value_split_port(text, &host, &port, &bracketed) || !slice_to_u64(port, 65535, &number)) return false;
    out->port = (uint16_t)number;
    return slice_eq(host, SLICE("*")) || ip_parse(host, &out->ip);
}

/* Nobody could listen at both. */
static bool clash(const struct taken *a, const struct taken *b)
{
    if (a->port != b->port) return false;
    if (!a->ip.family || !b->ip.family) return true;
    return a->ip.family == b->ip.family &&
           (ip_is_unspecified(&a->ip) || ip_is_unspecified(&b->ip) || ip_eq(&a->ip, &b->ip));
}

static void check_free(const struct check *k, const struct yaml_node *at)
{
    const struct config *c = k->c;
    struct taken own, other;
    if (!taken_of(slice_str(c->web.listen), &own)) return;
    if (c->quarantine.digest.listen && taken_of(slice_str(c->quarantine.digest.listen), &other) && clash(&own, &other))
        yaml_error(k->report, at, "write another port, for example 127.0.0.1:9443", "quarantine.digest.listen (%s) has this port",
                   report_quote(k->report, slice_str(c->quarantine.digest.listen)));
    for (size_t i = 0; i < c->listener_n; i++) {
        other = (struct taken){ c->listeners[i].ip, c->listeners[i].port };
        if (!clash(&own, &other)) continue;
        struct buf b = { 0 };
        value_format_endpoint(&other.ip, other.port, &b);
        yaml_error(k->report, at, "write another port, for example 127.0.0.1:9443", "a listener for mail (%s) has this port", buf_cstr(&b));
        buf_deinit(&b);
        return;
    }
}

static void check_admin(const struct check *k)
{
    const struct config_web *w = &k->c->web;
    const struct yaml_node *web = yaml_get(k->root, "web"), *listen = yaml_get(web, "listen"), *certificate = yaml_get(web, "certificate"),
                           *key = yaml_get(web, "key"), *idle = yaml_get(web, "session_idle");
    bool here = true, fine = w->listen && listen_ok(slice_str(w->listen), &here);
    if (w->listen && !fine)
        yaml_error(k->report, listen, "write for example 127.0.0.1:9443, \"*:9443\" or \"[2001:db8::1]:9443\"", "\"%s\" is not an address with a port",
                   report_quote(k->report, slice_str(w->listen)));
    if (w->enabled && fine) check_free(k, listen ? listen : web);
    check_url(k, web);
    if (!w->certificate != !w->key)
        yaml_error(k->report, certificate ? certificate : key, w->key ? "add certificate" : "add key", "certificate and key belong together");
    check_file(k, certificate, w->certificate, CHECK_FILE);
    check_file(k, key, w->key, CHECK_FILE_SECRET);
    if (w->enabled && fine && !here && !w->network_n)
        yaml_warning(k->report, listen, "add networks: [..] with those of administrators", "everybody who can reach this machine can try to log in");
    if (w->session_idle > w->session_max)
        yaml_warning(k->report, idle ? idle : yaml_get(web, "session_max"), "make it shorter than session_max", "session_idle has no effect: session_max is over first");
}

/* ---- the log */

static void check_log(const struct check *k)
{
    const struct config *c = k->c;
    const struct yaml_node *log = yaml_get(k->root, "log"), *format = yaml_get(log, "format");
    if (c->log.to == LOG_TO_JOURNAL && c->log.format != LOG_FORMAT_TEXT)
        yaml_warning(k->report, format, "leave it away", "it has no effect: the journal gets each field as one of its own");
    if (c->log.to == LOG_TO_STDERR && c->log.format == LOG_FORMAT_RFC5424)
        yaml_error(k->report, format, "write to: syslog, or format: json", "rfc5424 is for syslog");
    if (c->log.to == LOG_TO_STDERR && c->log.socket)
        yaml_warning(k->report, yaml_get(log, "socket"), "add to: journal, or to: syslog", "it has no effect: lines go to standard error");
    if (c->log.socket && strlen(c->log.socket) > 107)
        yaml_error(k->report, yaml_get(log, "socket"), "sockets allow only short paths", "the path is longer than 107 characters");
}

/* They would have one queue, and tell each event once. */
static void check_twice(const struct check *k, size_t i, const struct yaml_node *node)
{
    for (size_t n = 0; n < i; n++)
        if (k->c->webhooks[i].url && k->c->webhooks[n].url && !strcmp(k->c->webhooks[i].url, k->c->webhooks[n].url))
            yaml_error(k->report, yaml_get(node, "url"), "put the events of both into one entry", "webhooks[%zu] has the same URL", n);
}

void check_web(const struct check *k)
{
    const struct yaml_node *hooks = yaml_get(k->root, "webhooks"), *node = hooks ? hooks->children : NULL;
    check_admin(k);
    check_log(k);
    for (size_t i = 0; i < k->c->webhook_n && node; i++, node = node->next) {
        check_hook(k, &k->c->webhooks[i], node);
        check_twice(k, i, node);
    }
}
