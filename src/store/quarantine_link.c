/* SPDX-License-Identifier: Apache-2.0
 * The workers' side of the quarantine. */
#include "store/quarantine_link.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/io.h"
#include "base/list.h"
#include "base/mem.h"

#define ANSWER_SECONDS 60

struct quarantine_link {
    struct event_base *base;
    struct channel *channel; /* NULL: there is no store */
    struct list transfers;
};

struct quarantine_transfer {
    struct list node;
    struct quarantine_link *link;
    struct event *timer;
    uint64_t id;
    char why[200];           /* what is told when the timer comes */
    quarantine_cb *cb;
    void *arg;
};

static void transfer_free(struct quarantine_transfer *t)
{
    list_remove(&t->node);
    event_free(t->timer);
    free(t);
}

static void tell(struct quarantine_transfer *t, bool kept, const char *why)
{
    quarantine_cb *cb = t->cb;
    void *arg = t->arg;
    char copy[sizeof t->why];
    snprintf(copy, sizeof copy, "%s", why);
    transfer_free(t);
    cb(arg, kept, copy);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct quarantine_transfer *t = arg;
    tell(t, false, t->why);
}

static void fail_soon(struct quarantine_transfer *t, const char *why)
{
    snprintf(t->why, sizeof t->why, "%s", why);
    event_add(t->timer, &(struct timeval){ 0, 0 });
}

/* ---- from the store */

static void on_message(void *arg, const json_t *m, int fd)
{
    struct quarantine_link *l = arg;
    const char *state = json_string_value(json_object_get(m, "state")), *text = json_string_value(json_object_get(m, "text"));
    json_int_t id = json_integer_value(json_object_get(m, "id"));
    if (fd >= 0) close(fd); /* it sends none */
    list_each(it, &l->transfers) {
        struct quarantine_transfer *t = list_entry(it, struct quarantine_transfer, node);
        if (t->id != (uint64_t)id || !state) continue;
        bool kept = !strcmp(state, "kept");
        tell(t, kept, kept ? "" : text && *text ? text : "the store is busy");
        return;
    }
}

static void hang_up(struct quarantine_link *l)
{
    channel_free(&l->channel);
    list_each(it, &l->transfers) fail_soon(list_entry(it, struct quarantine_transfer, node), "the store process went away");
}

static void on_end(void *arg)
{
    hang_up(arg);
}

/* ---- handing over */

/* -1 with errno. */
static int share(struct slice bytes)
{
    int fd = memfd_create("envelope", MFD_CLOEXEC);
    if (fd < 0 || io_write_all(fd, bytes)) return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static void send_frame(const struct quarantine_link *l, json_t *m, int fd)
{
    channel_send(l->channel, m, fd);
    json_decref(m);
}

struct quarantine_transfer *quarantine_keep(struct quarantine_link *l, uint64_t id, struct slice envelope, int fd, uint64_t offset, uint64_t n,
                                            quarantine_cb *cb, void *arg)
{
    struct quarantine_transfer *t = mem_new(struct quarantine_transfer);
    *t = (struct quarantine_transfer){ .link = l, .id = id, .cb = cb, .arg = arg, .why = "the store process does not answer" };
    t->timer = evtimer_new(l->base, on_timer, t);
    event_add(t->timer, &(struct timeval){ ANSWER_SECONDS, 0 });
    list_push_back(&l->transfers, &t->node);
    int shared = l->channel ? share(envelope) : -1;
    if (shared < 0) {
        fail_soon(t, l->channel ? strerror(errno) : "the store process is not there");
        return t;
    }
    send_frame(l, json_pack("{s:s, s:I, s:I}", "op", "envelope", "id", (json_int_t)id, "size", (json_int_t)envelope.n), shared);
    send_frame(l, json_pack("{s:s, s:I, s:I, s:I}", "op", "text", "id", (json_int_t)id, "offset", (json_int_t)offset, "size", (json_int_t)n), fd);
    close(shared);
    return t;
}

void quarantine_cancel(struct quarantine_transfer **tp)
{
    struct quarantine_transfer *t = *tp;
    *tp = NULL;
    if (t) transfer_free(t);
}

/* ---- the link */

struct quarantine_link *quarantine_link_new(struct event_base *base)
{
    struct quarantine_link *l = mem_new(struct quarantine_link);
    l->base = base;
    list_init(&l->transfers);
    return l;
}

void quarantine_link_connect(struct quarantine_link *l, int fd)
{
    hang_up(l);
    l->channel = channel_new(l->base, fd, on_message, on_end, l);
}

void quarantine_link_free(struct quarantine_link *l)
{
    if (!l) return;
    assert(list_empty(&l->transfers));
    channel_free(&l->channel);
    free(l);
}
