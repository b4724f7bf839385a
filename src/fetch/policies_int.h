/* SPDX-License-Identifier: Apache-2.0
 * The cache of MTA-STS policies from within: what it knows of a domain, and its file. */
#ifndef POSTERN_FETCH_POLICIES_INT_H
#define POSTERN_FETCH_POLICIES_INT_H
#include <sys/stat.h>
#include "base/clock.h"
#include "base/hash.h"
#include "fetch/mta_sts.h"
#include "fetch/policies.h"

struct entry {
    struct list link;                /* in policies.used, the longest unused first */
    struct policies *owner;
    char domain[256];
    char id[STS_ID_MAX + 1];         /* of the policy kept; "" : none */
    char new_id[STS_ID_MAX + 1];     /* of the one being fetched */
    json_t *lines;                   /* the policy kept; NULL: none */
    uint64_t until;                  /* wall ms: it holds so long */
    uint64_t refresh_at;             /* wall ms: fetched again then, though the id is the same */
    unsigned idle;                   /* refreshes since somebody asked */
    uint64_t checked_until;          /* mono ms: the answer is good without asking anybody */
    char failure[40], reason[200];   /* of a policy announced but not to be had */
    struct resolver_query *lookup;
    struct https_request *request;
    struct list waits;
};

struct policies {
    struct resolver *resolver;
    struct https *https;
    char *file;
    struct htable entries;
    struct list used;
    unsigned fetching;
    struct event *save_timer, *refresh_timer;
    bool changed;
    uint64_t saved_at;               /* mono ms */
    struct stat seen;                /* the file as it was read or written last */
};

static inline bool policy_holds(const struct entry *e)
{
    return e->lines && clock_wall_ms() < e->until;
}

/* policies.c: the entry of a domain, made when there is none; another one may be freed for it, but none that somebody waits for. */
struct entry *policies_entry(struct policies *p, const char *domain);

/* policies_file.c */
void policies_save(struct policies *p);       /* blocks; reads changes first, so it may free entries that nobody waits for */
void policies_save_soon(struct policies *p);  /* something changed: in the next turn of the loop, when it has not been saved lately */
/* Takes over what the file has and we have not: at the start, and when another process - one that drains beside us, one that takes our
 * place - has written it. */
void policies_read_changes(struct policies *p);

#endif
