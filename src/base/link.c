/* SPDX-License-Identifier: Apache-2.0
 * The link to a helper process. */
#include "base/link.h"
#include <assert.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/log.h"

struct link {
    struct event_base *base;
    struct channel *channel; /* NULL: none yet, or it is gone */
    struct list requests;
    json_int_t last_id;
    const char *gone;
    link_message_cb *on_message;
    void *arg;
};

/* ---- from the process */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct link_request *r = arg;
    r->cb(r, NULL);
}

static void fail_soon(struct link_request *r)
{
    event_add(r->timer, &(struct timeval){ 0, 0 });
}

static void on_message(void *arg, const json_t *m, int fd)
{
    struct link *l = arg;
    const json_t *id = json_object_get(m, "id");
    if (fd >= 0) close(fd); /* helpers send none */
    if (!id) {
        if (l->on_message) l->on_message(l->arg, m);
        return;
    }
    list_each(it, &l->requests) {
        struct link_request *r = list_entry(it, struct link_request, node);
        if (r->id != json_integer_value(id)) continue;
        r->cb(r, m);
        return;
    }
}

static void hang_up(struct link *l)
{
    if (!l->channel) return;
    if (l->gone) log_event(LOG_WARNING, l->gone);
    channel_free(&l->channel);
    list_each(it, &l->requests) {
        struct link_request *r = list_entry(it, struct link_request, node);
        if (!r->frame) fail_soon(r);
    }
}

static void on_channel_end(void *arg)
{
    hang_up(arg);
}

/* ---- requests */

void link_send(struct link *l, json_t *m)
{
    if (l->channel && m) channel_send(l->channel, m, -1);
    json_decref(m);
}

static void send_on(struct link_request *r, json_t *m, int fd)
{
    if (m) json_object_set_new(m, "id", json_integer(r->id));
    if (!r->frame && (!m || !r->link->channel)) fail_soon(r);
    if (r->link->channel && m) channel_send(r->link->channel, m, fd);
    json_decref(m);
}

void link_ask(struct link *l, struct link_request *r, json_t *m, unsigned wait_ms, link_answer_cb *cb)
{
    link_ask_with(l, r, m, -1, wait_ms, cb);
}

void link_ask_with(struct link *l, struct link_request *r, json_t *m, int fd, unsigned wait_ms, link_answer_cb *cb)
{
    *r = (struct link_request){ .link = l, .id = ++l->last_id, .cb = cb, .fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0) };
    r->timer = evtimer_new(l->base, on_timer, r);
    list_push_back(&l->requests, &r->node);
    if (fd >= 0 && r->fd < 0) {
        json_decref(m);
        fail_soon(r);
        return;
    }
    if (wait_ms) {
        event_add(r->timer, &(struct timeval){ wait_ms / 1000, (suseconds_t)(wait_ms % 1000) * 1000 });
        r->frame = json_incref(m);
    }
    send_on(r, m, r->fd);
}

void link_ask_on(struct link_request *r, json_t *m)
{
    send_on(r, m, -1);
}

void link_end(struct link_request *r)
{
    list_remove(&r->node);
    event_free(r->timer);
    json_decref(r->frame);
    if (r->fd >= 0) close(r->fd);
}

/* ---- the link */

struct link *link_new(struct event_base *base, const char *gone, link_message_cb *on_frame, void *arg)
{
    struct link *l = mem_new(struct link);
    *l = (struct link){ .base = base, .gone = gone, .on_message = on_frame, .arg = arg };
    list_init(&l->requests);
    return l;
}

void link_connect(struct link *l, int fd)
{
    hang_up(l);
    l->channel = channel_new(l->base, fd, on_message, on_channel_end, l);
    list_each(it, &l->requests) {
        const struct link_request *r = list_entry(it, struct link_request, node);
        if (r->frame) channel_send(l->channel, r->frame, r->fd);
    }
}

void link_free(struct link *l)
{
    if (!l) return;
    assert(list_empty(&l->requests));
    channel_free(&l->channel);
    free(l);
}
