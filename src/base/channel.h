/* SPDX-License-Identifier: Apache-2.0
 * Small framed messages between our own processes, over a socketpair, with at most one descriptor each. Both ends are
 * ours, yet lengths are checked: a worker may have been taken over by what it parsed. */
#ifndef POSTERN_BASE_CHANNEL_H
#define POSTERN_BASE_CHANNEL_H
#include <jansson.h>
#include "base/err.h"

#define CHANNEL_FRAME_MAX (1u << 20) /* bytes of JSON text in one frame */

struct event_base;
struct channel;
/* m: the message, an object, valid within the call. fd: a descriptor that came along (the callee's now), or -1. */
typedef void channel_message_cb(void *arg, const json_t *m, int fd);
/* The other side is gone or sent what it must not. */
typedef void channel_end_cb(void *arg);

bool channel_pair(int fds[2], struct err *err) MUST_CHECK; /* non-blocking, close-on-exec */
struct channel *channel_new(struct event_base *base, int fd, channel_message_cb *on_message, channel_end_cb *on_end, void *arg);
/* Queues m (not stolen) and a copy of fd (-1: none; may be closed by the caller at once). Never blocks. */
void channel_send(struct channel *c, const json_t *m, int fd);
void channel_free(struct channel **c);

/* ---- for a process without a loop: over a descriptor of channel_pair that blocks (channel_block) */
bool channel_block(int fd, struct err *err) MUST_CHECK;
bool channel_send_now(int fd, const json_t *m, struct err *err) MUST_CHECK;
/* The next frame, the caller's to json_decref; *with: the descriptor that came along, his too, or -1. NULL: the other side is gone
 * (err->text is "") or sent what it must not. */
json_t *channel_receive_now(int fd, int *with, struct err *err) MUST_CHECK;

#endif
