/* SPDX-License-Identifier: Apache-2.0
 * Webhooks: which hook is told of which event, when it is tried, and who of two processes does it. */
#include "fetch/hooks.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/watch.h"
#include "fetch/hooks_int.h"

#define TAKE_SECONDS 1           /* until files are asked for again, and the owner looks whether somebody does */
#define EVENTS_PER_TURN 64
#define MESSAGES_PER_MINUTE 120  /* events about messages, of one hook */
#define PAUSE_MAX_MS 300000u
#define ABOUT_MESSAGES (WATCH_VIRUS | WATCH_QUARANTINED | WATCH_REFUSED | WATCH_BOUNCED | WATCH_DELIVERED)

struct hooks_secrets {
    struct buf *texts;
    size_t n;
};

/* ---- secrets */

static bool read_secret(const char *path, struct buf *out, struct err *err)
{
    char text[1024];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    int code = errno;
    if (fd >= 0) close(fd);
    if (n < 0) return err_sys(err, code, "webhooks: %.200s", path);
    size_t k = 0;
    while (k < (size_t)n && text[k] != '\n' && text[k] != '\r') k++;
    buf_add(out, slice_of(text, k));
    mem_wipe(text, sizeof text);
    return k ? true : err_set(err, "webhooks: the first line of %.200s is empty", path);
}

struct hooks_secrets *hooks_secrets_read(const struct config *c, struct err *err)
{
    struct hooks_secrets *s = mem_new(struct hooks_secrets);
    s->n = c->webhook_n;
    s->texts = mem_zalloc((s->n + 1) * sizeof *s->texts);
    bool ok = true;
    for (size_t i = 0; ok && i < s->n; i++) ok = !c->webhooks[i].secret_file || read_secret(c->webhooks[i].secret_file, &s->texts[i], err);
    if (ok) return s;
    for (size_t i = 0; i < s->n; i++) buf_wipe(&s->texts[i]);
    free(s->texts);
    free(s);
    return NULL;
}

/* ---- sending */

static void go_on(struct hook *h);

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    go_on(arg);
}

static void pause_hook(struct hook *h)
{
    uint64_t ms = h->failures > 9 ? PAUSE_MAX_MS : 1000u << (h->failures - 1);
    if (ms > PAUSE_MAX_MS) ms = PAUSE_MAX_MS;
    event_add(h->timer, &(struct timeval){ (time_t)(ms / 1000), 0 });
}

/* The same request would be refused again. */
static bool refused_for_good(long status)
{
    static const long passing[] = { 401, 402, 403, 404, 405, 407, 408, 409, 421, 423, 425, 429 };
    if (status < 400 || status > 499) return false;
    for (size_t i = 0; i < countof(passing); i++)
        if (status == passing[i]) return false;
    return true;
}

static void on_posted(void *arg, const struct hook_result *r)
{
    struct hook *h = arg;
    h->post = NULL;
    if (!r->error[0]) {
        if (h->failures) log_event(LOG_INFO, "webhook-up", LOG_TEXT("url", h->shown), LOG_NUM("failures", h->failures));
        h->failures = 0;
        counters_add(COUNTER_HOOK_SENT, h->host, 1);
        hook_file_done(&h->file, h->end);
        go_on(h);
        return;
    }
    counters_add(COUNTER_HOOK_FAILED, h->host, 1);
    if (refused_for_good(r->status)) {
        log_event(LOG_WARNING, "webhook-refused", LOG_TEXT("url", h->shown), LOG_STR("error", r->error));
        counters_add(COUNTER_HOOK_LOST, "refused", 1);
        hook_file_done(&h->file, h->end);
        go_on(h);
        return;
    }
    log_event(h->failures ? LOG_DEBUG : LOG_WARNING, "webhook-failed", LOG_TEXT("url", h->shown), LOG_STR("error", r->error));
    h->failures++;
    pause_hook(h);
}

static bool too_old(const struct hook *h, struct slice line)
{
    json_t *m = json_loadb(line.p, line.n, 0, NULL);
    json_int_t time = json_integer_value(json_object_get(m, "time")), now = (json_int_t)clock_wall_ms();
    bool fine = json_is_object(m);
    json_decref(m);
    return !fine || now - time > (json_int_t)h->config->keep;
}

/* The next one, when none is under way and no pause. */
static void go_on(struct hook *h)
{
    struct buf line = { 0 };
    uint64_t lost = 0;
    if (h->post || h->all->lock < 0) return;
    while (hook_file_first(&h->file, &line, &h->end)) {
        if (!too_old(h, buf_slice(&line))) {
            h->post = hook_post_start(&h->all->sender, h->config, buf_slice(&h->secret), buf_slice(&line), on_posted, h);
            break;
        }
        hook_file_done(&h->file, h->end);
        lost++;
    }
    buf_deinit(&line);
    if (!lost) return;
    counters_add(COUNTER_HOOK_LOST, "age", lost);
    log_event(LOG_WARNING, "webhook-lost", LOG_TEXT("url", h->shown), LOG_NUM("events", lost), LOG_STR("reason", "too old"));
}

/* ---- events */

/* Takes body. */
static void keep(struct hook *h, json_t *body)
{
    static const char *const lost[] = { "", "size", "disk" };
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text || strlen(text) >= HOOK_EVENT_MAX) {
        free(text);
        return;
    }
    enum hook_kept kept = hook_file_add(&h->file, slice_str(text));
    if (kept != HOOK_KEPT) counters_add(COUNTER_HOOK_LOST, lost[kept], 1);
    free(text);
    if (!event_pending(h->timer, EV_TIMEOUT, NULL)) go_on(h);
}

static void tell_left_out(struct hook *h)
{
    json_t *body = hooks_event(h->all, "left-out", (json_int_t)clock_wall_ms());
    json_object_set_new(body, "count", json_integer(h->left_out));
    json_object_set_new(body, "reason", json_string("more events about messages than are told in a minute"));
    h->left_out = 0;
    keep(h, body);
}

/* False: enough of its kind in this minute. */
static bool within_rate(struct hook *h, uint32_t kinds)
{
    uint64_t now = clock_mono_ms();
    if (now - h->minute >= 60000) {
        h->minute = now;
        h->in_minute = 0;
        if (h->left_out) tell_left_out(h);
    }
    if (!(kinds & ABOUT_MESSAGES)) return true;
    if (h->in_minute < MESSAGES_PER_MINUTE) {
        h->in_minute++;
        return true;
    }
    h->left_out++;
    counters_add(COUNTER_HOOK_LOST, "rate", 1);
    return false;
}

static void tell(struct hook *h, uint32_t kinds, const json_t *m)
{
    kinds &= config_webhook_wants(h->config);
    const char *key, *log = json_string_value(json_object_get(m, "log"));
    json_t *v, *fields = json_object_get(m, "fields");
    if (!kinds || !log || !within_rate(h, kinds)) return;
    json_t *body = hooks_event(h->all, config_webhook_event_name(kinds & -kinds), json_integer_value(json_object_get(m, "time")));
    json_object_set_new(body, "log", json_string(log));
    json_object_set(body, "level", json_object_get(m, "level"));
    json_object_foreach(fields, key, v)
        if (!json_object_get(body, key) && strcmp(key, "v") != 0) json_object_set(body, key, v);
    keep(h, body);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct hooks *a = arg;
    char text[WATCH_MESSAGE_MAX];
    for (unsigned turn = 0; turn < EVENTS_PER_TURN; turn++) {
        ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
        if (n <= 0) return;
        json_t *m = json_loadb(text, (size_t)n, 0, NULL);
        uint32_t kinds = (uint32_t)json_integer_value(json_object_get(m, "kinds"));
        for (size_t i = 0; json_is_object(m) && i < a->n; i++) tell(&a->hooks[i], kinds, m);
        json_decref(m);
    }
}

/* ---- who has the files */

static void take_files(struct hooks *a)
{
    char path[4320];
    snprintf(path, sizeof path, "%s/lock", a->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        a->lock = fd;
        (void)unlink(a->mark);
        for (size_t i = 0; i < a->n; i++) {
            hook_file_open(&a->hooks[i].file, a->directory, a->hooks[i].config->url);
            go_on(&a->hooks[i]);
        }
        event_add(a->events, NULL);
        return;
    }
    if (fd >= 0) close(fd);
    fd = open(a->mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); /* the owner sees it */
    if (fd >= 0) close(fd);
}

static void yield_files(struct hooks *a)
{
    event_del(a->events);
    for (size_t i = 0; i < a->n; i++) {
        hook_post_cancel(&a->hooks[i].post);
        event_del(a->hooks[i].timer);
        hook_file_close(&a->hooks[i].file);
    }
    close(a->lock);
    a->lock = -1;
    a->yielded = true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct hooks *a = arg;
    if (a->yielded) return;
    if (a->lock < 0) take_files(a);
    else if (access(a->mark, F_OK) == 0) yield_files(a);
    for (size_t i = 0; a->lock >= 0 && i < a->n; i++) (void)within_rate(&a->hooks[i], 0);
}

/* ---- life */

static void hook_init(struct hook *h, struct hooks *a, const struct config_webhook *c, struct buf secret)
{
    struct config_webhook_url url;
    *h = (struct hook){ .all = a, .config = c, .secret = secret, .file = { .fd = -1 }, .minute = clock_mono_ms() };
    (void)config_webhook_url_parse(c->url, &url);
    h->shown = slice_of(c->url, url.path.n ? (size_t)(url.path.p - c->url) : strlen(c->url));
    snprintf(h->host, sizeof h->host, "%.*s", (int)(url.host.n < 40 ? url.host.n : 40), url.host.p);
    h->timer = evtimer_new(a->o.base, on_pause_over, h);
}

struct hooks *hooks_new(const struct hooks_options *o)
{
    struct hooks *a = mem_new(struct hooks);
    *a = (struct hooks){ .o = *o, .sender = { o->base, o->resolver, o->https }, .n = o->config->webhook_n, .lock = -1 };
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* it has keys that others of its user have not */
    snprintf(a->directory, sizeof a->directory, "%s/hooks", o->directory);
    snprintf(a->mark, sizeof a->mark, "%s/next", a->directory);
    if (mkdir(a->directory, 0700) != 0 && errno != EEXIST)
        log_event(LOG_WARNING, "webhook-queue", LOG_STR("file", a->directory), LOG_STR("error", strerror(errno)));
    a->hooks = mem_zalloc((a->n + 1) * sizeof *a->hooks);
    for (size_t i = 0; i < a->n; i++) hook_init(&a->hooks[i], a, &o->config->webhooks[i], o->secrets->texts[i]);
    free(o->secrets->texts);
    free(o->secrets);
    a->events = event_new(o->base, o->events, EV_READ | EV_PERSIST, on_event, a);
    a->tick = event_new(o->base, -1, EV_PERSIST, on_tick, a);
    event_add(a->tick, &(struct timeval){ TAKE_SECONDS, 0 });
    take_files(a);
    return a;
}

void hooks_free(struct hooks *a)
{
    if (!a) return;
    if (a->lock >= 0) yield_files(a);
    for (size_t i = 0; i < a->n; i++) {
        event_free(a->hooks[i].timer);
        buf_wipe(&a->hooks[i].secret);
    }
    event_free(a->events);
    event_free(a->tick);
    free(a->hooks);
    free(a);
}
