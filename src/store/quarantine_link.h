/* SPDX-License-Identifier: Apache-2.0
 * A worker's way into the quarantine. A channel of its own beside the binary frames (store/wire.h): those carry no descriptors and are
 * gathered and read by the dozen, while these are few, and each has two: one with the envelope, which may be larger than a frame, and one
 * with the text.
 *
 * Worker → store: {"op": "envelope", "id", "size"} + descriptor, then {"op": "text", "id", "offset", "size"} + descriptor
 * Store → worker: {"id", "state": "kept" | "full" | "failed" | "busy", "text": what is wrong} */
#ifndef POSTERN_STORE_QUARANTINE_LINK_H
#define POSTERN_STORE_QUARANTINE_LINK_H
#include "base/slice.h"

struct event_base;
struct quarantine_link;
struct quarantine_transfer;

struct quarantine_link *quarantine_link_new(struct event_base *base);
void quarantine_link_connect(struct quarantine_link *l, int fd); /* a channel to a (new) store; transfers under way fail */
void quarantine_link_free(struct quarantine_link *l);            /* transfers must be cancelled before; NULL is fine */

/* kept: the message is on disk over there, once, however often it was handed over. Else `why`, for people; valid within the callback. */
typedef void quarantine_cb(void *arg, bool kept, const char *why);
/* Hands message `id` over: the encoded envelope, and n bytes of text from `offset` of fd, which stays the caller's and must not change. The
 * callback comes from the loop, once, never before this returns, within a minute at most; the transfer is gone then. */
struct quarantine_transfer *quarantine_keep(struct quarantine_link *l, uint64_t id, struct slice envelope, int fd, uint64_t offset, uint64_t n,
                                            quarantine_cb *cb, void *arg);
void quarantine_cancel(struct quarantine_transfer **t); /* no callback after that; it may be kept all the same. NULL is fine */

#endif
