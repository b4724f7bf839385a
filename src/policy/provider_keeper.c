/* SPDX-License-Identifier: Apache-2.0
 * Keeps providers' networks fresh. A list is taken whole or not at all: a look-up that fails, or finds what cannot be
 * used, leaves the former list in force, however old it is. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/provider.h"

#define FILE_MAX (256 * 1024)
#define FRESH_LEAST 3600u     /* seconds: between two look-ups that go well */
#define FRESH_MOST 86400u
#define RETRY 300u            /* after one that did not */

static const struct {
    const char *name, *spf;
    enum config_provider bit;
} known[] = {
    { "microsoft365", "spf.protection.outlook.com", CONFIG_PROVIDER_MICROSOFT365 },
    { "google", "_spf.google.com", CONFIG_PROVIDER_GOOGLE },
};

struct provider {
    struct provider_keeper *keeper;
    const char *name, *spf;
    const struct config_zone *zone;
    struct provider_list list;     /* in force */
    uint64_t confirmed;            /* wall ms */
    bool failing;
    struct event *timer;
    struct resolver_query *query;  /* of a look-up under way, as are the next three */
    struct provider_list next;
    struct provider_names names;
    size_t at;
    uint32_t ttl;
};

struct provider_keeper {
    struct resolver *resolver;
    char *directory;
    struct provider providers[countof(known)];
    size_t n;
};

/* ---- the file */

static void path_of(const struct provider *p, const char *tail, char *out, size_t n)
{
    snprintf(out, n, "%s/%s.networks%s", p->keeper->directory, p->name, tail);
}

static bool read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return false;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX;
    while (ok && out->n < FILE_MAX) {
        ssize_t n = read(fd, buf_reserve(out, 4096), 4096);
        if (n <= 0) {
            ok = n == 0;
            break;
        }
        out->n += (size_t)n;
    }
    close(fd);
    return ok;
}

static void load(struct provider *p)
{
    char path[4200];
    struct buf text = { 0 };
    path_of(p, "", path, sizeof path);
    if (read_file(path, &text) && !provider_list_parse(buf_slice(&text), p->name, &p->list, &p->confirmed))
        log_event(LOG_WARNING, "provider-file", LOG_STR("provider", p->name), LOG_STR("file", path),
                  LOG_STR("error", "not a list of networks; it will be written anew"));
    buf_deinit(&text);
}

/* Not synced: a list that is torn by a crash shows it, and is looked up again. */
static void save(struct provider *p)
{
    char path[4200], fresh[4200], tail[32];
    struct buf text = { 0 };
    struct err err;
    snprintf(tail, sizeof tail, ".%ld", (long)getpid());
    path_of(p, "", path, sizeof path);
    path_of(p, tail, fresh, sizeof fresh);
    provider_list_format(&p->list, p->name, p->confirmed, &text);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n;
    if (fd >= 0) close(fd);
    if (!ok || rename(fresh, path) != 0) {
        err_sys(&err, errno, "writing %.200s", path);
        log_event(LOG_WARNING, "provider-file", LOG_STR("provider", p->name), LOG_ERR(&err));
        if (fd >= 0) (void)unlink(fresh);
    }
    buf_deinit(&text);
}

/* ---- looking up */

static void again_in(struct provider *p, uint32_t seconds)
{
    struct timeval tv = { (time_t)seconds, 0 };
    evtimer_add(p->timer, &tv);
}

static void fail(struct provider *p, const char *name, const char *why)
{
    char text[200];
    provider_list_deinit(&p->next);
    snprintf(text, sizeof text, "%s; %s", why,
             p->list.n ? "the last good list stays in force" : "there is no list yet");
    log_event(p->failing ? LOG_DEBUG : LOG_WARNING, "provider-lookup", LOG_STR("provider", p->name),
              LOG_STR("name", name), LOG_STR("error", text), LOG_NUM("networks", p->list.n));
    p->failing = true;
    again_in(p, RETRY);
}

static void finish(struct provider *p)
{
    if (!p->next.n) {
        fail(p, p->spf, "its records name no networks");
        return;
    }
    log_event(LOG_INFO, "provider-networks", LOG_STR("provider", p->name), LOG_STR("zone", p->zone->name),
              LOG_NUM("networks", p->next.n), LOG_NUM("before", p->list.n), LOG_NUM("left_out", p->next.left_out),
              LOG_NUM("lookups", p->names.n));
    provider_list_deinit(&p->list);
    p->list = p->next;
    p->next = (struct provider_list){ 0 };
    p->confirmed = clock_wall_ms();
    p->failing = false;
    save(p);
    again_in(p, p->ttl < FRESH_LEAST ? FRESH_LEAST : p->ttl);
}

static void on_answer(void *arg, const struct resolver_answer *a);

static void ask(struct provider *p)
{
    p->query = resolver_txt(p->keeper->resolver, slice_str(p->names.name[p->at]), on_answer, p);
}

static const char *read_answer(struct provider *p, const struct resolver_answer *a)
{
    const struct slice *found = NULL;
    if (a->status == RESOLVER_TEMPFAIL) return a->reason;
    if (a->status == RESOLVER_NXDOMAIN) return "the name does not exist";
    for (size_t i = 0; a->status == RESOLVER_OK && i < a->n; i++) {
        if (!provider_is_spf(a->texts[i])) continue;
        if (found) return "there are several SPF records"; /* RFC 7208 §4.5 */
        found = &a->texts[i];
    }
    return found ? provider_read_spf(*found, &p->next, &p->names) : "there is no SPF record";
}

static void on_answer(void *arg, const struct resolver_answer *a)
{
    struct provider *p = arg;
    p->query = NULL;
    const char *wrong = read_answer(p, a);
    if (wrong) {
        fail(p, p->names.name[p->at], wrong);
        return;
    }
    if (a->ttl < p->ttl) p->ttl = a->ttl;
    if (++p->at < p->names.n) ask(p);
    else finish(p);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct provider *p = arg;
    if (p->query) return;
    p->names.n = 1;
    snprintf(p->names.name[0], sizeof p->names.name[0], "%s", p->spf);
    p->at = 0;
    p->ttl = FRESH_MOST;
    ask(p);
}

/* ---- life */

struct provider_keeper *provider_keeper_new(struct event_base *base, struct resolver *r, const struct config *c,
                                            const char *directory)
{
    struct provider_keeper *k = mem_new(struct provider_keeper);
    k->resolver = r;
    k->directory = mem_strdup(directory);
    for (size_t i = 0; i < countof(known); i++) {
        const struct config_zone *zone = NULL;
        for (size_t z = 0; z < c->zone_n && !zone; z++)
            if (c->zones[z].providers & known[i].bit) zone = &c->zones[z];
        if (!zone) continue;
        struct provider *p = &k->providers[k->n++];
        *p = (struct provider){ .keeper = k, .name = known[i].name, .spf = known[i].spf, .zone = zone };
        load(p);
        p->timer = evtimer_new(base, on_timer, p);
        again_in(p, 0);
    }
    if (k->n) return k;
    provider_keeper_free(k);
    return NULL;
}

void provider_keeper_free(struct provider_keeper *k)
{
    if (!k) return;
    for (size_t i = 0; i < k->n; i++) {
        struct provider *p = &k->providers[i];
        resolver_cancel(&p->query);
        event_free(p->timer);
        provider_list_deinit(&p->list);
        provider_list_deinit(&p->next);
    }
    free(k->directory);
    free(k);
}

const struct config_zone *provider_choose_zone(const struct provider_keeper *k, const struct config *c,
                                               const struct config_listener *l, const struct ip *client)
{
    const struct config_zone *zone = config_zone_of(c, l, client), *everybody = &c->zones[c->zone_n - 1];
    if (zone != everybody || (l && l->zone >= 0)) return zone;
    for (size_t i = 0; k && i < k->n; i++)
        for (size_t n = 0; n < k->providers[i].list.n; n++)
            if (ip_net_has(&k->providers[i].list.nets[n], client)) return k->providers[i].zone;
    return everybody;
}

bool provider_get_figures(const struct provider_keeper *k, size_t i, struct provider_figures *out)
{
    if (!k || i >= k->n) return false;
    const struct provider *p = &k->providers[i];
    uint64_t now = clock_wall_ms();
    *out = (struct provider_figures){ .name = p->name, .networks = p->list.n, .failing = p->failing,
                                      .age = p->list.n && now > p->confirmed ? now - p->confirmed : 0 };
    return true;
}
