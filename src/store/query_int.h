/* SPDX-License-Identifier: Apache-2.0
 * What the files of a search share: query.c (what is asked, slices of time), query_search.c (blocks), query_rows.c (rows, compared and told). */
#ifndef POSTERN_STORE_QUERY_INT_H
#define POSTERN_STORE_QUERY_INT_H
#include "store/history.h"
#include "store/query.h"

#define QUERY_BYTES_MAX (500u << 10) /* of texts in one answer: it is one frame */

struct id_set {
    uint64_t *slots;             /* 0: free */
    size_t n, cap;
    uint64_t first, last;        /* the smallest and the largest */
};
struct listed {                  /* a block that is a row */
    uint64_t n, first, last, docs;
};
struct listing {
    struct listed *blocks;
    size_t n, cap, at;
};
enum query_phase { QUERY_BEGIN, QUERY_EVENTS, QUERY_MESSAGES, QUERY_SHOW, QUERY_OVER };

struct query {
    struct history *h;
    bool one;                    /* by id: with all its events */
    uint64_t id, below, from;    /* rows that are meant: from <= id < below */
    char *sender, *recipient, *address, *message_id, *subject, *reason, *check; /* NULL: any */
    int outcome, kind;           /* enum history_kind; -1: any. kind: of the first row */
    int stage, result;           /* of a check; -1: any */
    bool has_client;
    struct ip_net client;
    uint64_t since, until;
    size_t limit, bytes;
    uint64_t end;                /* mono ms */
    /* the search */
    enum query_phase phase;
    struct listing event_blocks, message_blocks; /* blocks to go through */
    bool direct;                 /* whether an event fits is looked up for each message, as long as there are few: */
    unsigned looked_up;
    bool too_many;
    struct id_set by_outcome, by_reason; /* messages with an event that fits */
    struct buf needles[3];       /* of message_id, subject, reason: folded */
    uint64_t *hits;              /* ids that fit, the newest first */
    size_t hit_n, hit_cap, shown;
    bool more;                   /* the answer says where to go on */
    uint64_t go_on;              /* below this id */
    json_t *messages;
};

/* query_search.c; of the latter two each call is a block, and false: that was the last one */
void search_begin(struct query *q);
void search_begin_messages(struct query *q);
bool search_events(struct query *q);
bool search_messages(struct query *q);
void search_free(struct query *q);

/* query_rows.c */
void rows_find_one(struct query *q);
bool rows_fit(struct query *q, uint64_t id);  /* the row of that id, all filters but those for checks */
void rows_show(struct query *q, uint64_t id); /* appends it to the messages; nothing when it is gone */

#endif
