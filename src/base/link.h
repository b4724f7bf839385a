/* SPDX-License-Identifier: Apache-2.0
 * A worker's end of the channel to a helper process, and the requests that it answers. The process may be away, and
 * come back as another one that knows of nothing. */
#ifndef POSTERN_BASE_LINK_H
#define POSTERN_BASE_LINK_H
#include <jansson.h>
#include "base/list.h"

struct event;
struct event_base;
struct link;
struct link_request;

/* A frame without "id": no answer to anything. It is valid within the call. */
typedef void link_message_cb(void *arg, const json_t *m);
/* answer: valid within the call; NULL: there will be none. More may follow: the callee ends the request when it was the
 * last. */
typedef void link_answer_cb(struct link_request *r, const json_t *answer);

/* Part of the struct that asks. */
struct link_request {
    struct list node;    /* this and the rest: link.c */
    struct link *link;
    struct event *timer;
    json_t *frame;       /* sent again when there is another process; NULL: the request fails then */
    int fd;              /* goes with it: a copy; -1: none */
    json_int_t id;
    link_answer_cb *cb;
};

/* gone: the log event when the process is gone; NULL: none. on_message may be NULL. */
struct link *link_new(struct event_base *base, const char *gone, link_message_cb *on_message, void *arg);
/* A channel to a (new) process; the descriptor is the link's now. */
void link_connect(struct link *l, int fd);
/* All requests have been ended. NULL is fine. */
void link_free(struct link *l);

/* Sends a frame that is not answered; lost when the process is away. Takes m; NULL is fine. */
void link_send(struct link *l, json_t *m);
/* Sends the first frame of a request, with "id" in it. Takes m; NULL fails. The callback comes from the loop, never
 * before this returns. wait_ms 0: the request fails when the process is away or goes. Else the frame is sent to the next
 * process, too, and the request fails after that time. */
void link_ask(struct link *l, struct link_request *r, json_t *m, unsigned wait_ms, link_answer_cb *cb);
/* The same with a descriptor that goes with the first frame. The link keeps a copy of its own while the request lives; the caller's stays
 * his. Where there are no more descriptors to be had it fails. */
void link_ask_with(struct link *l, struct link_request *r, json_t *m, int fd, unsigned wait_ms, link_answer_cb *cb);
/* One more frame of the same request. Takes m. */
void link_ask_on(struct link_request *r, json_t *m);
/* No callback after that. The process is not told. */
void link_end(struct link_request *r);

#endif
