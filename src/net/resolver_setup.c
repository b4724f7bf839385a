/* SPDX-License-Identifier: Apache-2.0
 * libunbound made ready: its options, the name servers it asks, whose signatures it believes, its thread. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unbound.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "net/resolver_parts.h"

static bool ub_ok(int code, const char *doing, struct err *err)
{
    return code == 0 || err_set(err, "DNS resolver: %s: %s", doing, ub_strerror(code));
}

/* "192.0.2.53", "127.0.0.1:5353", "[::1]:5353", also with '@' before the port -> libunbound's "address@port". */
static bool server_to_ub(const char *text, char *out, size_t size)
{
    struct slice s = slice_str(text), host, port = { 0 };
    struct ip ip;
    uint64_t number = 53;
    ptrdiff_t at = slice_find(s, '@'), colon = slice_find(s, ':');
    if (s.n && s.p[0] == '[') {
        ptrdiff_t end = slice_find(s, ']');
        if (end < 0) return false;
        host = slice_sub(s, 1, (size_t)end);
        port = slice_sub(s, (size_t)end + 1, s.n);
        if (port.n && port.p[0] != ':' && port.p[0] != '@') return false;
        if (port.n) port = slice_sub(port, 1, port.n);
    } else if (at >= 0 || (colon >= 0 && slice_find(slice_sub(s, (size_t)colon + 1, s.n), ':') < 0)) {
        size_t cut = (size_t)(at >= 0 ? at : colon);
        host = slice_sub(s, 0, cut);
        port = slice_sub(s, cut + 1, s.n);
    } else
        host = s;
    if (!ip_parse(host, &ip) || (port.n && (!slice_to_u64(port, 65535, &number) || !number))) return false;
    snprintf(out, size, "%.*s@%u", SLICE_ARG(host), (unsigned)number);
    return true;
}

static bool set_servers(struct ub_ctx *ub, const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->dns.server_n; i++) {
        char server[80];
        if (!server_to_ub(c->dns.servers[i], server, sizeof server))
            return err_set(err, "dns.servers: '%s' is not an address with an optional port", c->dns.servers[i]);
        if (!ub_ok(ub_ctx_set_fwd(ub, server), "dns.servers", err)) return false;
    }
    if (c->dns.server_n) return true;
    int code = ub_ctx_resolvconf(ub, NULL);
    if (code) /* libunbound then asks the Internet's own servers, from the root down */
        log_event(LOG_WARNING, "resolver-no-servers", LOG_STR("file", "/etc/resolv.conf"), LOG_STR("error", ub_strerror(code)));
    return true;
}

static bool set_options(struct ub_ctx *ub, struct err *err)
{
    static const char *const options[][2] = {
        { "use-syslog:", "no" },
        { "verbosity:", "0" },
        { "do-not-query-localhost:", "no" },    /* a resolver beside us is common */
        { "outgoing-range:", "128" },           /* sockets; the library's 16 would be a queue */
        { "msg-cache-size:", "4m" },
        { "rrset-cache-size:", "8m" },
        { "infra-host-ttl:", "60" },            /* a name server that was down is forgiven within a minute */
        { "infra-keep-probing:", "yes" },
        { "rrset-roundrobin:", "yes" },
        { "local-zone:", ". typetransparent" }, /* a host of /etc/hosts keeps its MX records */
        { "local-zone:", "test. transparent" }, /* the administrator's DNS may well serve these */
        { "local-zone:", "home.arpa. transparent" },
        { "unblock-lan-zones:", "yes" },        /* and names of inner addresses */
        { "local-zone:", "127.in-addr.arpa. transparent" },
        { "local-zone:", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa. transparent" },
    };
    ub_ctx_debugout(ub, NULL);
    for (size_t i = 0; i < countof(options); i++)
        if (!ub_ok(ub_ctx_set_option(ub, options[i][0], options[i][1]), options[i][0], err)) return false;
    int code = ub_ctx_hosts(ub, NULL);
    if (code) log_event(LOG_WARNING, "resolver-hosts", LOG_STR("file", "/etc/hosts"), LOG_STR("error", ub_strerror(code)));
    return ub_ok(ub_ctx_async(ub, 1), "threads", err);
}

/* Whose signatures are believed. Without an anchor, or with an empty file, nothing is validated, and nothing is `secure`. The
 * root's is taken only where somebody asks for what it proves. */
static bool set_anchor(struct ub_ctx *ub, const struct config *c, struct err *err)
{
    const char *file = c->dns.trust_anchor;
    bool chosen = file && file[0];
    if (!file) return true;
    if (!chosen && !config_wants_dnssec(c)) return true;
    if (!chosen) file = CONFIG_ROOT_ANCHOR;
    if (access(file, R_OK) != 0) {
        if (chosen) return err_sys(err, errno, "dns.trust_anchor: %s cannot be read", file);
        log_event(LOG_WARNING, "no-dnssec", LOG_STR("file", file), LOG_STR("reason", "install dns-root-data, or set dns.trust_anchor"));
        return true;
    }
    return ub_ok(ub_ctx_add_ta_file(ub, file), "dns.trust_anchor", err);
}

static void ignore_answer(void *arg, int code, struct ub_result *result)
{
    ub_resolve_free(result);
}

/* libunbound starts its thread with the first question; one it answers by itself makes that happen now. Signals are for
 * the loop, so the thread must not take them. */
static bool start_thread(struct ub_ctx *ub, struct err *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int code = ub_resolve_async(ub, "localhost", 1 /* A */, 1 /* IN */, NULL, ignore_answer, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ub_ok(code, "cannot start", err);
}

bool resolver_set_up(struct ub_ctx *ub, const struct config *c, struct err *err)
{
    return set_options(ub, err) && set_servers(ub, c, err) && set_anchor(ub, c, err) && start_thread(ub, err);
}
