/* SPDX-License-Identifier: Apache-2.0
 * The fetch process, as a relay worker sees it: it alone speaks HTTPS with strangers, keeps MTA-STS policies for all workers, counts
 * TLS sessions and reports them. It knows no secrets. */
#ifndef POSTERN_FETCH_FETCH_H
#define POSTERN_FETCH_FETCH_H
#include "config/config.h"
#include "fetch/mta_sts.h"
#include "fetch/tls_report.h"

struct link;        /* of one worker to the fetch process (base/link.h) */
struct fetch_query; /* one question under way; asked again when that process is another one */

/* A message that the fetch process wants sent (a report): the worker commits it and calls fetch_submitted once it is on
 * disk. */
struct fetch_mail {
    uint64_t ticket;
    struct slice to;
    struct slice text; /* CRLF line ends */
};
/* From a frame that answers nothing; slices point into it. False: it is something else. */
bool fetch_read_mail(const json_t *m, struct fetch_mail *out);
void fetch_submitted(struct link *l, uint64_t ticket, bool ok);

struct fetch_policy {
    bool known;                  /* false: it could not be found out whether there is a policy: try later */
    enum sts_mode mode;          /* STS_NONE: there is none */
    const struct sts_policy *policy; /* of the other modes; valid within the callback */
    const json_t *lines;         /* array of strings, for reports; likewise */
    const char *failure;         /* RFC 8460 §4.3 "sts-..." of a policy announced but not to be had; "" : none */
    const char *reason;          /* of `failure` and !known: one clause, printable */
    uint32_t ttl;                /* seconds the answer may be kept, at least 1 */
};
typedef void fetch_policy_cb(void *arg, const struct fetch_policy *p);
/* The callback comes from the loop, once, within some 90 seconds, never before this returns; the query is gone when it returns
 * (cancelling it within is harmless). domain: A-labels, lower case. */
struct fetch_query *fetch_policy_start(struct link *l, const char *domain, fetch_policy_cb *cb, void *arg);
void fetch_cancel(struct fetch_query **q); /* clears the pointer; NULL is fine */

/* Counts a session; nothing is waited for. Lost when the process is away. */
void fetch_count(struct link *l, const struct tls_event *e);

/* Reports of all that was counted are sent now. */
void fetch_report_now(struct link *l);

/* Tries webhooks: that with this url, NULL: all. The callback comes from the loop, once, never before this returns: {"results"} or {"error"}, the
 * callee's. */
void fetch_try_hooks(struct link *l, const char *url, void (*cb)(void *arg, json_t *answer), void *arg);

#endif
