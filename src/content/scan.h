/* SPDX-License-Identifier: Apache-2.0
 * Having a message looked into, as the relay's other processes see it. The helper "scan" is a dispatcher with a queue and some scan processes,
 * its children, each of which takes one message at a time. A process that ends or takes too long is replaced; its message is given to
 * another one once; when that ends, too, the report says `crashed`. */
#ifndef POSTERN_CONTENT_SCAN_H
#define POSTERN_CONTENT_SCAN_H
#include "base/link.h"
#include "content/context.h"
#include "content/report.h"

bool scan_is_needed(const struct config *c); /* something looks into messages */
/* Would this message be looked into at all (by anything that is on, for trusted mail or not)? */
bool scan_concerns(const struct config *c, bool trusted);

struct scan_request;
/* report NULL: there was none in time (the process is away, or its queue is full): the handling is that of trouble. `error` then says why. */
typedef void scan_cb(void *arg, const struct report *report, const char *error);
/* fd: read-only, the message's bytes from `offset` to the end, `size` of them; stays the caller's, must not change meanwhile. The
 * callback comes from the loop, once, never before this returns; the report lives in `arena`. */
struct scan_request *scan_start(struct link *scan, const struct config *c, const struct scan_context *context, int fd, uint64_t offset,
                                uint64_t size, struct arena *arena, scan_cb *cb, void *arg);
/* The same of a message in a file, whose lines may end in LF alone: the whole of it, nobody brought it, nothing is learnt from it. */
struct scan_request *scan_file_start(struct link *scan, const struct config *c, int fd, uint64_t size, struct arena *arena, scan_cb *cb, void *arg);
void scan_cancel(struct scan_request **r); /* no callback after that; clears the pointer; NULL is fine */

/* Trains the classifier with a message; as: "spam", "ham", "forget". error NULL: done. */
typedef void scan_learn_cb(void *arg, const char *error);
struct scan_request *scan_learn(struct link *scan, const struct config *c, const char *as, int fd, uint64_t offset, uint64_t size,
                                struct arena *arena, scan_learn_cb *cb, void *arg);
/* A message for people's eyes, with nothing active in it: {"headers": [[name, value] ...], "text", "parts": as in report_to_json,
 * "links": [{"url", "host", "shown"}]}, within SCAN_VIEW_*; all texts are UTF-8 without controls but line ends. view: valid within the call;
 * NULL: error says why. */
#define SCAN_VIEW_HEADERS_MAX 65536
#define SCAN_VIEW_TEXT_MAX 262144
#define SCAN_VIEW_LINKS_MAX 100
#define SCAN_VIEW_PARTS_MAX 100
typedef void scan_view_cb(void *arg, const json_t *view, const char *error);
struct scan_request *scan_view(struct link *scan, const struct config *c, int fd, uint64_t offset, uint64_t size, struct arena *arena,
                               scan_view_cb *cb, void *arg);
struct scan_request *scan_file_view(struct link *scan, const struct config *c, int fd, uint64_t size, struct arena *arena, scan_view_cb *cb,
                                    void *arg); /* likewise of a file */

#endif
