/* SPDX-License-Identifier: Apache-2.0
 * The quarantine in the store process: takes messages of workers, keeps each as a file (quarantine_files.h) with a row in an index
 * (quarantine_index.h), and does what the admin process wants done with them. Files are written, read and removed by threads; the loop
 * waits for SQLite alone. */
#ifndef POSTERN_STORE_QUARANTINE_H
#define POSTERN_STORE_QUARANTINE_H
#include <jansson.h>
#include <stdint.h>
#include "base/err.h"

struct event_base;
struct history;
struct quarantine;

struct quarantine_limits {
    uint64_t keep;               /* ms; 0: without end */
    uint64_t size;               /* bytes of all files; 0: any */
};

/* Below DIRECTORY: quarantine.db, and quarantine/ with the files. An index that is lost, damaged or behind is mended from the files while
 * the rest goes on. Starts threads, which live as long as the process. The history must live as long. */
struct quarantine *quarantine_new(struct event_base *base, const char *directory, const struct quarantine_limits *limits,
                                  struct history *history, struct err *err) MUST_CHECK;
void quarantine_set_limits(struct quarantine *q, const struct quarantine_limits *limits);
void quarantine_free(struct quarantine *q); /* waits for what the threads are at; NULL is fine */

/* A worker's channel (quarantine_link.h has the frames); takes the descriptor. */
void quarantine_add_worker(struct quarantine *q, int fd);

/* Requests of the admin process. `by` is who wants it, for the history.
 *   {"op": "quarantine-list", filters ..}: messages, the newest first; quarantine_query.c has the filters. {"messages": [..], "matched": n,
 *       "before"?: id to go on from, "partial"?: true when there was no time to count all}
 *   {"op": "quarantine-show", "id"}: {"message": {..}}
 *   {"op": "quarantine-open", "id", "recipients"?: [address ..]}: the same with a descriptor of the file, and "numbers": those of these
 *       recipients, of all without, that are still held; absent without recipients when that is everybody
 *   {"op": "quarantine-note", "id", "what": "released" | "deleted" | "learnt", "numbers"?: [..], "as"?: text, "by"}: writes down what was
 *       done. as, of released: the id under which it goes on; of learnt: "spam", "ham", "forget". A message that is deleted for everybody is
 *       removed
 *   {"op": "quarantine-delete", "id", "by"}: removes it
 *   Of digests; messages are the newest 100, recipients in the order of their addresses:
 *   {"op": "quarantine-digest-list", "after"?: address}: who has something held that they were not told of: {"recipients": [{"address",
 *       "count"}], "more"?}
 *   {"op": "quarantine-digest-next", "after" or "recipient": address, "tell"?: true: somebody is about to tell them}: the next one: {"address",
 *       "count", "messages": [{"id", "n": number of the recipient, "kind", "stored", "expires", "sender", "subject" (as it came)}]}, or {}
 *   {"op": "quarantine-digest-told", "address"}: they were told of what the last such answer counted: {"told": how many}
 *   {"op": "quarantine-digest-recipient", "id", "n"}: {"address", "state", "kind", "stored", "sender", "subject"}
 *   {"op": "quarantine-digest-ran", "at"?: wall ms}: {"at"}: when digests were sent last, as it was said; 0: never
 * What cannot be done: {"error": text, "missing"?: true when there is no such message}. The answer is given to `reply`, once, at once or from
 * the loop, unless quarantine_forget was called for its owner; fd: -1 or a descriptor, which is the callee's. */
typedef void quarantine_reply(void *owner, json_int_t id, json_t *answer, int fd);
void quarantine_request(struct quarantine *q, const json_t *request, quarantine_reply *reply, void *owner, json_int_t id);
void quarantine_forget(struct quarantine *q, const void *owner);

/* {"messages", "held", "bytes", "size" (the bound, 0: none), "full", "reading" (the index is being mended), "writing"} */
json_t *quarantine_figures(const struct quarantine *q);

#endif
