/* SPDX-License-Identifier: Apache-2.0
 * The server of one worker: listening, who is let in, draining. */
#include "server/server.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "policy/provider.h"
#include "policy/shared.h"
#include "server/text.h"
#include "smtp/reply.h"

#define ACCEPTS_PER_TURN 16 /* other workers shall have their share, and open sessions their turn */
#define ACCEPT_PAUSE_MS 500 /* when descriptors or memory ran out */
#define LOG_EVERY_MS 1000   /* lines about clients turned away */

struct listener {
    struct list link;
    struct server *server;
    const struct config_listener *config;
    struct event *event;
};

/* ---- who is let in */

/* Says why and closes, without a session. What does not fit into the socket's empty buffer is not said. */
static void turn_away(struct server *s, int fd, const struct ip *ip, int code, const char *enhanced, const char *why,
                      bool plain)
{
    struct buf *out = &s->scratch;
    char text[400];
    uint64_t now = clock_mono_ms();
    snprintf(text, sizeof text, "%s %s", s->o.config->hostname, why);
    buf_clear(out);
    reply_format(out, code, enhanced, slice_str(text));
    if (plain && send(fd, out->p, out->n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) { /* it will see the close */ }
    close(fd);
    s->figures.refused_connections++;
    s->turned_away++;
    if (s->turned_away_logged && now - s->turned_away_logged < LOG_EVERY_MS) return;
    log_event(LOG_INFO, "refused", LOG_STR("stage", "connect"), LOG_IP("client", ip), LOG_NUM("code", code),
              LOG_STR("text", why), LOG_NUM("since_last", s->turned_away));
    s->turned_away = 0;
    s->turned_away_logged = now;
}

/* ip NULL: nobody knows. Who cannot be named is never trusted, whatever the address of the one who speaks for him. */
static const struct config_zone *zone_of(const struct server *s, const struct config_listener *l, const struct ip *ip)
{
    const struct config *c = s->o.config;
    return ip ? provider_choose_zone(s->o.providers, c, l, ip) : &c->zones[c->zone_n - 1];
}

/* For the check client-limits, when it is on. */
static void count_session(struct server *s, const struct ip *ip, void (*count)(struct shared *, int, uint64_t))
{
    if (s->o.shared && s->o.config->checks.client_limits.enabled) count(s->o.shared, s->o.column, policy_client_key(ip));
}

/* Counts one more session of the client and its zone. NULL: *no says why there may be none. */
static struct client *take_place(struct server *s, const struct config_zone *zone, const struct ip *ip,
                                 struct refusal *no)
{
    uint32_t *in_zone = &s->zone_sessions[zone - s->o.config->zones];
    struct client *client = NULL;
    if (zone->mode == CONFIG_ZONE_INACTIVE)
        *no = (struct refusal){ 554, "5.7.1", "takes no mail from your network", true };
    else if (zone->max_connections && *in_zone >= zone->max_connections)
        *no = (struct refusal){ 421, "4.7.0", "has too many connections from your network, try again later", true };
    else if (!(client = clients_enter(&s->clients, ip, s->o.config->limits.connections_per_client)))
        *no = (struct refusal){ 421, "4.7.0", "has too many connections from you, please use those first", true };
    if (!client) return NULL;
    ++*in_zone;
    count_session(s, ip, shared_session_begin);
    return client;
}

static void leave_place(struct server *s, const struct config_zone *zone, const struct ip *ip, struct client *client)
{
    count_session(s, ip, shared_session_end);
    clients_leave(&s->clients, client);
    s->zone_sessions[zone - s->o.config->zones]--;
}

static bool is_full(const struct server *s)
{
    return s->figures.sessions + s->incoming_n >= s->o.config->limits.connections;
}

static void admit_to(struct server *s, const struct config_zone *zone, const struct config_listener *l, int fd, const struct origin *from)
{
    bool implicit = l->tls == CONFIG_TLS_IMPLICIT;
    struct refusal no = { 0 };
    struct client *client = NULL;
    if (implicit && !s->o.tls) no = (struct refusal){ 421, "4.7.0", "has no certificate", true };
    else if (is_full(s)) no = (struct refusal){ 421, "4.7.0", "has too many connections, try again later", true };
    else client = take_place(s, zone, &from->ip, &no);
    if (!client) {
        turn_away(s, fd, &from->ip, no.code, no.enhanced, no.text, !implicit);
        return;
    }
    s->figures.sessions++;
    s->figures.accepted_connections++;
    session_start(s, l, fd, from, zone, client);
}

void server_admit(struct server *s, const struct config_listener *l, int fd, const struct origin *from)
{
    admit_to(s, zone_of(s, l, from->unnamed ? NULL : &from->ip), l, fd, from);
}

/* A client that connected by itself. */
static void admit_direct(struct listener *l, int fd, const struct ip *ip, uint16_t port)
{
    struct server *s = l->server;
    struct origin from = { .ip = *ip, .port = port };
    const struct config_zone *zone = zone_of(s, l->config, ip);
    if (zone->mode == CONFIG_ZONE_TRANSPARENT && intended_find(fd, &from.intended, &from.intended_port))
        s->figures.intercepted++;
    admit_to(s, zone, l->config, fd, &from);
}

static void admit(struct listener *l, int fd, const struct ip *ip, uint16_t port)
{
    struct server *s = l->server;
    if (!proxy_expected(l->config, ip))
        admit_direct(l, fd, ip, port);
    else if (is_full(s))
        turn_away(s, fd, ip, 421, "4.7.0", "has too many connections, try again later",
                  l->config->tls != CONFIG_TLS_IMPLICIT);
    else
        proxy_accept(s, l->config, fd, ip, port);
}

bool server_client_is(struct session *session, const struct ip *ip, uint16_t port)
{
    struct server *s = session->server;
    const struct config_zone *zone = zone_of(s, session->listener, ip);
    struct refusal no = { 0 };
    leave_place(s, session->zone, &session->ip, session->client);
    if (!session->peer.family) session->peer = session->ip;
    session->ip = ip ? *ip : session->peer;
    session->port = port;
    session->unnamed = !ip;
    session->intended = (struct ip){ 0 }; /* it says where the peer's connection went */
    session->client = take_place(s, zone, &session->ip, &no);
    session->zone = zone;
    if (session->client) return true;
    session->client = clients_enter(&s->clients, &session->ip, 0); /* until it has read why it must go */
    s->zone_sessions[zone - s->o.config->zones]++;
    count_session(s, &session->ip, shared_session_begin);
    char text[400];
    snprintf(text, sizeof text, "%s %s", s->o.config->hostname, no.text);
    session_refuse(session, "connect", no.code, no.enhanced, text, SLICE(""));
    session_hang_up(session, "turned away");
    return false;
}

void server_check_drained(struct server *s)
{
    static const struct timeval at_once = { 0, 0 };
    if (s->draining && list_empty(&s->sessions) && list_empty(&s->incoming)) evtimer_add(s->drain_idle, &at_once);
}

void server_session_gone(struct server *server, struct session *s)
{
    list_remove(&s->link);
    leave_place(server, s->zone, &s->ip, s->client);
    server->figures.sessions--;
    server_check_drained(server);
}

uint64_t server_message_size(const struct session *s)
{
    return s->zone->message_size ? s->zone->message_size : s->server->o.config->limits.message_size;
}

/* ---- listening */

static void stop_accepting(struct server *s)
{
    list_each(it, &s->listeners) event_del(list_entry(it, struct listener, link)->event);
}

static void accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    list_each(it, &s->listeners) event_add(list_entry(it, struct listener, link)->event, NULL);
}

static void pause_accepting(struct server *s, int code)
{
    static const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };
    struct err err;
    err_sys(&err, code, "no connection can be accepted for a moment");
    log_event(LOG_WARNING, "accept-paused", LOG_ERR(&err), LOG_NUM("sessions", s->figures.sessions));
    stop_accepting(s);
    evtimer_add(s->accept_again, &pause);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t n = sizeof from;
        struct ip ip;
        uint16_t port;
        int client = accept4(fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            if (errno == EAGAIN) return;
            if (errno == EINVAL) { /* somebody has shut it down */
                event_del(l->event);
                return;
            }
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                pause_accepting(l->server, errno);
                return;
            }
            continue; /* this client is gone already; accept(2) names many errors for that */
        }
        if (ip_from_sockaddr((struct sockaddr *)&from, &ip, &port)) admit(l, client, &ip, port);
        else close(client);
    }
}

void server_listen(struct server *s, int fd, size_t index)
{
    struct listener *l = mem_new(struct listener);
    l->server = s;
    l->config = &s->o.config->listeners[index];
    l->event = event_new(s->o.base, fd, EV_READ | EV_PERSIST, on_connection, l);
    list_push_back(&s->listeners, &l->link);
    event_add(l->event, NULL);
}

/* ---- draining */

static void on_drain_cut(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    proxy_cancel_all(s);
    list_each_safe(it, &s->sessions) {
        struct session *session = list_entry(it, struct session, link);
        if (session->phase == SESSION_COMMIT) continue; /* its answer is near, and a lost one means mail twice */
        if (session->phase != SESSION_TLS) session_reply(session, 421, "4.3.2", "restarting now, please try again");
        session_close(session, "cut to restart", false);
    }
    server_check_drained(s);
}

static void on_drain_idle(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    void (*on_idle)(void *) = s->on_idle;
    s->on_idle = NULL;
    if (on_idle) on_idle(s->on_idle_arg); /* may free the server */
}

void server_drain(struct server *s, uint64_t ms, void (*on_idle)(void *arg), void *arg)
{
    struct timeval cut = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    if (s->draining) return;
    s->draining = true;
    s->on_idle = on_idle;
    s->on_idle_arg = arg;
    stop_accepting(s);
    evtimer_del(s->accept_again);
    list_each_safe(it, &s->sessions) session_drain(list_entry(it, struct session, link));
    evtimer_add(s->drain_cut, &cut);
    server_check_drained(s);
}

/* ---- life */

static void on_yield(evutil_socket_t fd, short what, void *arg)
{
    session_yield(arg);
}

struct server *server_new(const struct server_options *o)
{
    struct server *s = mem_new(struct server);
    s->o = *o;
    list_init(&s->listeners);
    list_init(&s->sessions);
    list_init(&s->incoming);
    list_init(&s->yielding);
    clients_init(&s->clients);
    for (size_t i = 0; i < o->config->route_n; i++) s->routes_by_address |= o->config->routes[i].to && strchr(o->config->routes[i].to, '@');
    s->zone_sessions = mem_zalloc(o->config->zone_n * sizeof *s->zone_sessions);
    s->yield = evtimer_new(o->base, on_yield, s);
    s->accept_again = evtimer_new(o->base, accept_again, s);
    s->drain_cut = evtimer_new(o->base, on_drain_cut, s);
    s->drain_idle = evtimer_new(o->base, on_drain_idle, s);
    return s;
}

static void free_sessions(struct server *s)
{
    s->draining = false; /* nobody waits for the last one any more */
    proxy_cancel_all(s);
    list_each_safe(it, &s->sessions) {
        struct session *session = list_entry(it, struct session, link);
        bool committing = session->phase == SESSION_COMMIT;
        session_close(session, "server stopped", true);
        if (!committing) continue;
        server_session_gone(s, session);
        session->server = NULL; /* the callback of the commit frees it */
    }
}

void server_free(struct server *s)
{
    struct list *node;
    if (!s) return;
    free_sessions(s);
    while ((node = list_pop_front(&s->listeners))) {
        struct listener *l = list_entry(node, struct listener, link);
        event_free(l->event);
        free(l);
    }
    event_free(s->yield);
    event_free(s->accept_again);
    event_free(s->drain_cut);
    event_free(s->drain_idle);
    clients_deinit(&s->clients);
    buf_deinit(&s->scratch);
    notices_free(&s->notices);
    free(s->zone_sessions);
    free(s);
}

void server_get_figures(const struct server *s, struct server_figures *out)
{
    *out = s->figures;
}
