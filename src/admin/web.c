/* SPDX-License-Identifier: Apache-2.0
 * HTTPS: the daemon with its limits, and how it follows the configuration. Strangers get little: few connections, short lives, small bodies. */
#include "admin/web_int.h"
#include <event2/event.h>
#include <stdlib.h>
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

/* ---- connections */

/* Of many that may not, one line in the log. */
static void tell_refused(struct web_site *s, const struct sockaddr *from)
{
    uint64_t now = clock_mono_ms();
    char ip[64];
    s->refused++;
    if (s->told && now - s->told < REFUSED_TOLD_MS) return;
    http_ip(from, ip, sizeof ip);
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
    struct web_site *s = ((struct http_front *)arg)->web->site;
    if (is_in_networks(s, from)) return MHD_YES;
    tell_refused(s, from);
    return MHD_NO;
}

/* ---- a daemon */

/* Those whose time is over, and those that are not in web.networks any more. */
static bool is_over(const struct http_front *f, const struct http_connection *c, uint64_t age)
{
    return age >= (c->lasts ? LIFE_LONG_MS : c->known ? LIFE_KNOWN_MS : LIFE_MS) || !is_in_networks(f->web->site, http_address_of(c->mhd));
}

static void wipe(char *text)
{
    if (text) mem_wipe(text, strlen(text));
    free(text);
}

static void web_free(struct web *w)
{
    http_front_deinit(&w->front);
    wipe(w->key);
    free(w->certificate);
    free(w->listen);
    free(w);
}

/* Takes the socket. NULL: certificate and key do not fit. */
static struct web *web_new(struct web_site *s, int listening, char *certificate, char *key)
{
    struct web *w = mem_new(struct web);
    *w = (struct web){ .front = { .admin = s->admin, .web = w }, .site = s, .certificate = certificate, .key = key, .listen = mem_strdup(s->listen) };
    if (http_front_start(&w->front, &(struct http_front_start){
            .socket = listening, .certificate = certificate, .key = key, .connections = CONNECTIONS, .connections_an_ip = CONNECTIONS_AN_IP,
            .idle_seconds = IDLE_SECONDS, .memory = CONNECTION_MEMORY, .strict = true, .accept = on_accept,
            .on_request = http_on_request, .on_completed = http_on_completed })) return w;
    web_free(w);
    return NULL;
}

/* No new connections; requests under way are served, streams end and come back to the next daemon. */
static void leave(struct web_site *s)
{
    struct web *w = s->web;
    s->web = NULL;
    if (!w) return;
    http_front_leave(&w->front);
    events_leave(s->admin, w);
    list_push_back(&s->leaving, &w->node);
}

static void sweep_leaving(struct web_site *s, bool all)
{
    list_each_safe(it, &s->leaving) {
        struct web *w = list_entry(it, struct web, node);
        if (!all) http_front_sweep(&w->front, is_over);
        if (!all && !http_front_is_idle(&w->front)) continue;
        list_remove(&w->node);
        web_free(w);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct web_site *s = arg;
    if (s->web) http_front_sweep(&s->web->front, is_over);
    sweep_leaving(s, false);
}

/* ---- what the master says */

/* NULL: it cannot be read. */
static char *read_pem(int fd)
{
    struct buf b = { 0 };
    char *text = sent_file_read(fd, &b) ? mem_slicedup(buf_slice(&b)) : NULL;
    buf_wipe(&b);
    return text;
}

static void start(struct web_site *s)
{
    const struct web *now = s->web;
    char *certificate = read_pem(s->files.certificate), *key = read_pem(s->files.key);
    bool readable = certificate && key;
    if (readable && now && !strcmp(now->listen, s->listen) && !strcmp(now->certificate, certificate) && !strcmp(now->key, key)) {
        wipe(key);
        free(certificate);
        return;
    }
    struct web *w = readable ? web_new(s, s->files.socket, certificate, key) : NULL;
    if (readable) s->files.socket = -1;
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
    else if (s->files.socket >= 0) start(s);
    sent_files_close(&s->files);
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
    if (slice_eq(op, SLICE("web-file"))) sent_files_take(&a->site->files, json_text(m, "what"), fd);
    else if (slice_eq(op, SLICE("web"))) configure(a->site, m);
    else return false;
    return true;
}

/* ---- life */

void web_open(struct admin *a)
{
    struct web_site *s = mem_new(struct web_site);
    *s = (struct web_site){ .admin = a, .files = SENT_FILES_NONE };
    a->site = s;
    list_init(&s->leaving);
    s->sweeper = event_new(a->base, -1, EV_PERSIST, on_sweep, s);
    event_add(s->sweeper, &(struct timeval){ SWEEP_SECONDS, 0 });
}

void web_close(struct admin *a)
{
    struct web_site *s = a->site;
    leave(s);
    sweep_leaving(s, true);
    sent_files_close(&s->files);
    event_free(s->sweeper);
    free(s->networks);
    free(s->listen);
    free(s->url);
    free(s->hostname);
    free(s->host);
    free(s);
    a->site = NULL;
}
