/* SPDX-License-Identifier: Apache-2.0
 * HTTPS: the daemon with its limits, and how it follows the configuration. Strangers get little: few connections, short lives, small bodies. */
#include "admin/web_int.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "admin/auth.h"
#include "admin/events.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define CONNECTIONS 512
#define CONNECTIONS_AN_IP 128     /* of one address: a proxy in front, or many people behind one */
#define CONNECTION_MEMORY 32768
#define IDLE_SECONDS 30
#define LIFE_MS 60000            /* of a request of somebody unknown, however slowly it comes and its answer goes */
#define LIFE_KNOWN_MS 600000
#define LIFE_LONG_MS 21600000
#define SWEEP_SECONDS 5
#define REFUSED_TOLD_MS 60000    /* between two lines of the log */
#define PEM_MAX (256u << 10)

/* ---- connections */

static struct web_connection *connection_of(const struct http_request *r)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void add_ip(const struct sockaddr *from, char *out, size_t size)
{
    struct buf b = { 0 };
    struct ip ip;
    uint16_t port;
    if (from && ip_from_sockaddr(from, &ip, &port)) ip_add(&b, &ip);
    snprintf(out, size, "%s", b.n ? buf_cstr(&b) : "unknown");
    buf_deinit(&b);
}

void web_client(const struct http_request *r, char *out, size_t size)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    add_ip(info ? info->client_addr : NULL, out, size);
}

void web_known(struct http_request *r)
{
    struct web_connection *c = connection_of(r);
    if (c) c->known = r->who.via != VIA_NOBODY;
}

void web_waiting(struct http_request *r, bool waits)
{
    struct web_connection *c = connection_of(r);
    if (c) c->waits = waits;
    r->web->waiting += waits ? 1U : -1U;
}

void web_long(struct http_request *r)
{
    struct web_connection *c = connection_of(r);
    if (c) c->lasts = true;
}

void web_completed(struct http_request *r)
{
    struct web_connection *c = connection_of(r);
    if (!c) return;
    c->known = c->waits = c->lasts = false;
    c->since = clock_mono_ms();
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what)
{
    struct web *w = arg;
    struct web_connection *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = c = mem_new(struct web_connection);
        *c = (struct web_connection){ .mhd = mhd, .since = clock_mono_ms() };
        list_push_back(&w->connections, &c->node);
    } else if (c) {
        *context = NULL;
        list_remove(&c->node);
        free(c);
    }
}

/* Of many that may not, one line in the log. */
static void tell_refused(struct web_site *s, const struct sockaddr *from)
{
    uint64_t now = clock_mono_ms();
    char ip[64];
    s->refused++;
    if (s->told && now - s->told < REFUSED_TOLD_MS) return;
    add_ip(from, ip, sizeof ip);
    log_event(LOG_INFO, "web-refused", LOG_STR("client", ip), LOG_STR("reason", "not in web.networks"), LOG_NUM("times", s->refused));
    s->told = now;
    s->refused = 0;
}

static bool is_in_networks(const struct web_site *s, const struct sockaddr *from)
{
    struct ip ip;
    uint16_t port;
    if (!s->network_n) return true;
    bool is = from && ip_from_sockaddr(from, &ip, &port);
    for (size_t i = 0; is && i < s->network_n; i++)
        if (ip_net_has(&s->networks[i], &ip)) return true;
    return false;
}

static enum MHD_Result on_accept(void *arg, const struct sockaddr *from, socklen_t n)
{
    struct web_site *s = ((struct web *)arg)->site;
    if (is_in_networks(s, from)) return MHD_YES;
    tell_refused(s, from);
    return MHD_NO;
}

/* ---- a daemon */

/* Those whose time is over, and those that are not in web.networks any more. */
static void sweep_connections(struct web *w, uint64_t now)
{
    list_each(it, &w->connections) {
        const struct web_connection *c = list_entry(it, struct web_connection, node);
        const union MHD_ConnectionInfo *client = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        bool in = is_in_networks(w->site, client ? client->client_addr : NULL);
        if (c->waits || (in && now - c->since < (c->lasts ? LIFE_LONG_MS : c->known ? LIFE_KNOWN_MS : LIFE_MS))) continue;
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info) shutdown(info->connect_fd, SHUT_RDWR); /* the rest follows by itself */
    }
    http_front_run(&w->front);
}

static void web_free(struct web *w)
{
    if (w->front.daemon) {
        int fd = w->left ? -1 : MHD_quiesce_daemon(w->front.daemon); /* or it might shut down a socket that others have, too */
        MHD_stop_daemon(w->front.daemon);
        if (fd >= 0) close(fd);
    }
    http_front_deinit(&w->front);
    if (w->key) mem_wipe(w->key, strlen(w->key));
    free(w->key);
    free(w->certificate);
    free(w->listen);
    free(w);
}

/* Takes the socket. NULL: certificate and key do not fit. */
static struct web *web_new(struct web_site *s, int listening, char *certificate, char *key)
{
    struct web *w = mem_new(struct web);
    *w = (struct web){ .front = { .admin = s->admin, .web = w }, .site = s, .certificate = certificate, .key = key, .listen = mem_strdup(s->listen) };
    list_init(&w->connections);
    (void)listen(listening, CONNECTIONS); /* a former process may have shut it down */
    w->front.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TLS, 0, on_accept, w, http_on_request, &w->front,
        MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, &w->front,
        MHD_OPTION_UNESCAPE_CALLBACK, http_unescape, &w->front,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, w,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_AN_IP,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key,
        MHD_OPTION_HTTPS_PRIORITIES, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", MHD_OPTION_END);
    if (http_front_start(&w->front)) return w;
    if (!w->front.daemon) close(listening);
    web_free(w);
    return NULL;
}

/* No new connections; requests under way are served, streams end and come back to the next daemon. */
static void leave(struct web_site *s)
{
    struct web *w = s->web;
    s->web = NULL;
    if (!w) return;
    int fd = MHD_quiesce_daemon(w->front.daemon);
    if (fd >= 0) close(fd);
    w->left = true;
    events_leave(s->admin, w);
    list_push_back(&s->leaving, &w->node);
}

static void sweep_leaving(struct web_site *s, bool all, uint64_t now)
{
    list_each_safe(it, &s->leaving) {
        struct web *w = list_entry(it, struct web, node);
        if (!all) sweep_connections(w, now);
        if (!all && (w->waiting || !list_empty(&w->connections))) continue;
        list_remove(&w->node);
        web_free(w);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct web_site *s = arg;
    uint64_t now = clock_mono_ms();
    if (s->web) sweep_connections(s->web, now);
    sweep_leaving(s, false, now);
}

/* ---- what the master says */

static void forget_files(struct web_site *s)
{
    int *const all[] = { &s->socket, &s->certificate, &s->key };
    for (size_t i = 0; i < countof(all); i++) {
        if (*all[i] >= 0) close(*all[i]);
        *all[i] = -1;
    }
}

static void take_file(struct web_site *s, const json_t *m, int fd)
{
    struct slice what = json_text(m, "what");
    int *to = slice_eq(what, SLICE("socket")) ? &s->socket : slice_eq(what, SLICE("certificate")) ? &s->certificate : &s->key;
    if (*to >= 0) close(*to);
    *to = fd;
}

/* NULL: it cannot be read. */
static char *read_pem(int fd)
{
    struct buf b = { .max = PEM_MAX };
    ssize_t k = 0;
    for (char *to; fd >= 0 && (to = buf_reserve(&b, 4096)) && (k = pread(fd, to, 4096, (off_t)b.n)) > 0;) b.n += (size_t)k;
    char *text = fd >= 0 && k == 0 && b.n ? mem_slicedup(buf_slice(&b)) : NULL;
    buf_wipe(&b);
    return text;
}

static void wipe(char *text)
{
    if (text) mem_wipe(text, strlen(text));
    free(text);
}

static void start(struct web_site *s)
{
    const struct web *now = s->web;
    char *certificate = read_pem(s->certificate), *key = read_pem(s->key);
    bool readable = certificate && key;
    if (readable && now && !strcmp(now->listen, s->listen) && !strcmp(now->certificate, certificate) && !strcmp(now->key, key)) {
        wipe(key);
        free(certificate);
        return;
    }
    struct web *w = readable ? web_new(s, s->socket, certificate, key) : NULL;
    if (readable) s->socket = -1;
    if (w) {
        leave(s);
        s->web = w;
        log_event(LOG_INFO, "web", LOG_STR("listen", s->listen), LOG_STR("url", s->url));
        return;
    }
    if (!readable) wipe(key);
    if (!readable) free(certificate);
    log_event(LOG_ERROR, "web-failed", LOG_STR("listen", s->listen),
              LOG_STR("error", readable ? "HTTPS cannot be started: see whether web.certificate and web.key fit each other"
                                        : "web.certificate or web.key cannot be read"));
}

static void set(char **to, const json_t *m, const char *key)
{
    const char *text = json_string_value(json_object_get(m, key));
    free(*to);
    *to = text ? mem_strdup(text) : NULL;
}

/* "https://mail.example.com:8443/x": its host; and whether all ports of the host speak HTTPS only, as far as we can know. */
static void set_host(struct web_site *s)
{
    struct slice rest = slice_str(s->url), host;
    free(s->host);
    s->host = NULL;
    s->strict = false;
    if (!slice_istarts(rest, SLICE("https://"))) return;
    rest = slice_sub(rest, 8, rest.n);
    (void)slice_cut(&rest, '/', &host);
    s->strict = !slice_iends(host, SLICE("]")) && (slice_find(host, ':') < 0 || slice_iends(host, SLICE(":443")));
    s->host = mem_slicedup(web_host_name(host));
}

static void set_networks(struct web_site *s, const json_t *list)
{
    const json_t *v;
    size_t i;
    free(s->networks);
    s->network_n = 0;
    s->networks = mem_zalloc((json_array_size(list) + 1) * sizeof *s->networks);
    json_array_foreach(list, i, v)
        if (!ip_net_parse(slice_str(json_string_value(v)), &s->networks[s->network_n])) s->network_n++;
}

static void configure(struct web_site *s, const json_t *m)
{
    set(&s->listen, m, "listen");
    set(&s->url, m, "url");
    set(&s->hostname, m, "hostname");
    for (size_t n = s->url ? strlen(s->url) : 0; n && s->url[n - 1] == '/'; n--) s->url[n - 1] = 0;
    set_host(s);
    set_networks(s, json_object_get(m, "networks"));
    bool on = json_is_true(json_object_get(m, "enabled")) && s->listen;
    if (!on) leave(s);
    else if (s->socket >= 0) start(s);
    forget_files(s);
    auth_configure(s->admin, &(struct auth_settings){
        .session_idle = (uint64_t)json_integer_value(json_object_get(m, "session_idle")),
        .session_max = (uint64_t)json_integer_value(json_object_get(m, "session_max")),
        .audit = (uint64_t)json_integer_value(json_object_get(m, "audit")), .second_factor = json_is_true(json_object_get(m, "second_factor")),
        .url = s->web ? s->url : NULL, .hostname = s->hostname,
    });
    events_changed(s->admin, "config");
}

bool web_on_master(struct admin *a, const json_t *m, int fd)
{
    struct slice op = json_text(m, "op");
    if (slice_eq(op, SLICE("web-file")) && fd >= 0) take_file(a->site, m, fd);
    else if (slice_eq(op, SLICE("web"))) configure(a->site, m);
    else return false;
    return true;
}

/* ---- life */

void web_open(struct admin *a)
{
    struct web_site *s = mem_new(struct web_site);
    *s = (struct web_site){ .admin = a, .socket = -1, .certificate = -1, .key = -1 };
    a->site = s;
    list_init(&s->leaving);
    s->sweeper = event_new(a->base, -1, EV_PERSIST, on_sweep, s);
    event_add(s->sweeper, &(struct timeval){ SWEEP_SECONDS, 0 });
}

void web_close(struct admin *a)
{
    struct web_site *s = a->site;
    leave(s);
    sweep_leaving(s, true, 0);
    forget_files(s);
    event_free(s->sweeper);
    free(s->networks);
    free(s->listen);
    free(s->url);
    free(s->hostname);
    free(s->host);
    free(s);
    a->site = NULL;
}
