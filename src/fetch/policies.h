/* SPDX-License-Identifier: Apache-2.0
 * MTA-STS policies of all domains asked for: looked up, fetched, kept as long as they say, over restarts, too. */
#ifndef POSTERN_FETCH_POLICIES_H
#define POSTERN_FETCH_POLICIES_H
#include <jansson.h>
#include "base/list.h"
#include "fetch/https.h"
#include "net/resolver.h"

#define POLICIES_MAX 20000   /* domains known, with or without a policy; the longest unused go first */
#define POLICIES_FETCHES 50  /* at once; others wait */

struct policies;
/* directory: where policies.json is kept. What it holds is read now. */
struct policies *policies_new(struct event_base *base, struct resolver *r, struct https *h, const char *directory);
void policies_free(struct policies *p); /* saves; whoever waits is forgotten */

/* One who waits for an answer. Its owner may list_remove `link` to stop waiting. */
struct policies_wait {
    struct list link;
    /* answer: {"known", "policy", "failure", "reason", "ttl"} as fetch.h's fetch_policy; valid within the call, which takes the
     * waiter out of its list first. May be called at once. */
    void (*on_answer)(struct policies_wait *w, const json_t *answer);
};
/* domain: A-labels, lower case, checked by the callee. */
void policies_ask(struct policies *p, const char *domain, struct policies_wait *w);

#endif
