/* SPDX-License-Identifier: Apache-2.0
 * A process with an event loop looks for newer blocks by itself. */
#include <event2/event.h>
#include "config/tables_parts.h"

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    tables_poll(arg);
}

void tables_watch(struct tables *t, struct event_base *base)
{
    if (t->timer || !t->n) return;
    t->timer = event_new(base, -1, EV_PERSIST, on_tick, t);
    event_add(t->timer, &(struct timeval){ 1, 0 });
}

void tables_unwatch(struct tables *t)
{
    if (t->timer) event_free(t->timer);
    t->timer = NULL;
}
