/* SPDX-License-Identifier: Apache-2.0
 * Look-ups for a command: a resolver and a loop that turns until a check is done, or the time is up. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cli/auth.h"
#include "cli/load.h"
#include "config/config.h"
#include "net/mailauth_dns.h"
#include "net/resolver.h"

struct auth_world {
    struct event_base *base;
    struct resolver *resolver;
    struct mailauth_dns dns;
    struct lookups *lookups;
    struct event *limit;
    bool answered, begun, over;
};

static void on_answer(void *arg)
{
    struct auth_world *w = arg;
    w->answered = true;
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct auth_world *w = arg;
    w->over = true;
}

/* A name server as dns.servers has it: "address@port". */
static bool server_text(const char *server, struct buf *out, struct err *err)
{
    struct load_endpoint at;
    struct ip ip;
    uint16_t port;
    if (!load_endpoint_parse(server, "53", false, &at, err)) return false;
    if (!ip_from_sockaddr((const struct sockaddr *)&at.addr[0], &ip, &port)) return err_set(err, "%.100s has no address", server);
    ip_add(out, &ip);
    buf_addf(out, "@%u", port);
    return true;
}

struct auth_world *auth_world_new(const char *server, struct err *err)
{
    struct buf text = { 0 };
    struct auth_world *w = mem_new(struct auth_world);
    err->code = 0;
    if (!server || server_text(server, &text, err)) {
        const char *servers[] = { buf_cstr(&text) };
        struct config c = { .dns = { .servers = servers, .server_n = server ? 1 : 0, .timeout = AUTH_LOOKUP_MS } };
        w->base = event_base_new();
        w->resolver = resolver_new(w->base, &c, err);
        if (!w->resolver) err->code = ENOTCONN;
    }
    buf_deinit(&text);
    if (!w->resolver) {
        auth_world_free(&w);
        return NULL;
    }
    w->dns = (struct mailauth_dns){ .resolver = w->resolver, .on_answer = on_answer, .arg = w };
    struct lookups_calls calls = mailauth_dns_calls(&w->dns);
    w->lookups = lookups_new(&calls);
    w->limit = evtimer_new(w->base, on_limit, w);
    return w;
}

void auth_world_free(struct auth_world **wp)
{
    struct auth_world *w = *wp;
    *wp = NULL;
    if (!w) return;
    if (w->lookups) lookups_free(&w->lookups);
    resolver_free(w->resolver);
    if (w->limit) event_free(w->limit);
    if (w->base) event_base_free(w->base);
    free(w);
}

struct auth_dns auth_world_dns(struct auth_world *w) { return lookups_dns(w->lookups); }

void auth_world_run(struct auth_world *w, bool (*check)(void *arg, const struct auth_dns *dns), void *arg)
{
    static const struct timeval limit = { AUTH_LIMIT_MS / 1000, AUTH_LIMIT_MS % 1000 * 1000 };
    struct auth_dns dns = lookups_dns(w->lookups);
    if (!w->begun) evtimer_add(w->limit, &limit);
    w->begun = true;
    while (!check(arg, &dns)) {
        w->answered = false;
        while (!w->answered && !w->over && lookups_pending(w->lookups)) event_base_loop(w->base, EVLOOP_ONCE);
        if (w->over) lookups_give_up(w->lookups);
    }
}
