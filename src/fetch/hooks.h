/* SPDX-License-Identifier: Apache-2.0
 * Webhooks: events, as base/watch.h brings them, are kept on disk for each hook and posted in order, one at a time. A hook that fails is tried
 * again, with pauses that grow, until the event is too old; it holds up no other. Of two processes (during a reload) the younger one has the
 * files. */
#ifndef POSTERN_FETCH_HOOKS_H
#define POSTERN_FETCH_HOOKS_H
#include <jansson.h>
#include "config/config.h"
#include "fetch/https.h"

struct event_base;
struct resolver;
struct hooks;

struct hooks_secrets;
/* The keys of signatures, by who may read the files. NULL: none of them is there; one that cannot be read is an error. */
struct hooks_secrets *hooks_secrets_read(const struct config *c, struct err *err);

struct hooks_options {
    struct event_base *base;
    struct resolver *resolver;
    struct https *https;
    const struct config *config;
    const char *directory;         /* the fetch process's own */
    int events;                    /* watch_reader(); stays open */
    struct hooks_secrets *secrets; /* taken */
};
struct hooks *hooks_new(const struct hooks_options *o); /* blocks for small files */
void hooks_free(struct hooks *h);                       /* NULL is fine */
/* An event "test" to all hooks, or to that with this url: at once, past what waits. The callback comes from the loop, once: {"results":
 * [{"url", "ok", "status"?, "error"?, "ms"}]}, or {"error"}; the callee's. False: enough are under way. */
bool hooks_test(struct hooks *h, const char *url, void (*cb)(void *arg, json_t *answer), void *arg);

#endif
