/* SPDX-License-Identifier: Apache-2.0
 * Requests of `postern queue`, inside: which messages are meant (control_match.c), what is done to them (control.c), what is
 * shown of them (control_list.c), by destination or reason (control_groups.c). */
#ifndef POSTERN_DELIVERY_CONTROL_H
#define POSTERN_DELIVERY_CONTROL_H
#include "delivery/internal.h"

#define CONTROL_LIMIT_MAX 1000
#define CONTROL_KEY_MAX 64      /* bytes of a sender that count in sorting */

/* Which messages a request means: all of those given must fit. */
struct match {
    uint64_t *ids;              /* ascending; NULL: any */
    size_t id_n;
    char *sender, *recipient, *destination, *reason, *state; /* NULL: any */
    char *id_part;              /* NULL: any */
    uint64_t older_than;        /* ms */
};
/* NULL or what is wrong with the request. */
const char *match_init(struct match *f, const json_t *request);
void match_deinit(struct match *f);
bool match_needs_envelope(const struct match *f);
/* What can be said without the envelope; then the rest. */
bool match_message(const struct match *f, const struct message *m, uint64_t now);
bool match_envelope(const struct match *f, const struct message *m, const struct envelope *e);
/* "<>" the null sender, "@domain", a whole address, or else a part of it; case folded. */
bool match_address(struct slice pattern, struct slice address);

const char *message_state_name(const struct message *m); /* incoming, active, deferred, held */
struct slice message_reason(const struct message *m);

enum sort_key { SORT_ARRIVAL, SORT_NEXT, SORT_SIZE, SORT_SENDER, SORT_ID, SORT_ATTEMPTS };
struct entry {
    struct message *m;          /* NULL: gone meanwhile */
    uint64_t id, number;
    char text[CONTROL_KEY_MAX];
};
/* The first `limit` of what is put in, in order, with at most twice that in memory. */
struct top {
    struct entry *entries;
    size_t n, limit;
    enum sort_key key;
    bool descending;
    bool has_after;             /* only what comes behind `after` */
    bool has_place;             /* whose key was told, too: it may be another worker's */
    struct entry after;
};
const char *top_init(struct top *t, const json_t *request);
/* {"number", "text"} of an entry, for "place" beside "after" in requests to other workers. */
json_t *top_place(const struct entry *e);
void top_fill(const struct top *t, struct entry *out, struct message *m, const struct envelope *e);
void top_put(struct top *t, const struct entry *e);
void top_finish(struct top *t);  /* sorts and cuts */
void top_forget(struct top *t, const struct message *m);

#define GROUPS_TOLD_MOST 2000
struct groups {
    struct htable table;
    uint64_t others;             /* messages in none of them: there are too many */
    bool by_reason;
};
const char *groups_init(struct groups *g, const json_t *request); /* NULL or what is wrong */
void groups_deinit(struct groups *g);
void groups_add(struct groups *g, const struct message *m);
json_t *groups_json(const struct groups *g); /* [{"key", "messages", "bytes", "oldest", "next_try"}] */

json_t *message_json(struct message *m, const struct envelope *e, bool all); /* e NULL: could not be read */
json_t *queue_figures(struct queue *q);

#endif
