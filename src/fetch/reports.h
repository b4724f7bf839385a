/* SPDX-License-Identifier: Apache-2.0
 * The TLS reports we owe others (RFC 8460): counts of the day, kept on disk; when a day is over, each domain's report goes where its
 * record says, one after another. */
#ifndef POSTERN_FETCH_REPORTS_H
#define POSTERN_FETCH_REPORTS_H
#include "fetch/https.h"
#include "fetch/tls_report.h"
#include "net/resolver.h"

struct reports;
struct reports_options {
    struct event_base *base;
    struct resolver *resolver;
    struct https *https;
    const char *directory;       /* counts-<day>-<pid>.json */
    const char *hostname;        /* ours */
    const char *contact;         /* a mail address: in reports, and their sender */
    /* Has a message sent; reports_submitted(ticket) tells the outcome. False: not possible at the moment. */
    bool (*submit)(void *arg, uint64_t ticket, const char *to, struct slice text);
    void *arg;
};
struct reports *reports_new(const struct reports_options *o);
void reports_free(struct reports *r);                     /* saves */
void reports_count(struct reports *r, const struct tls_event *e);
void reports_submitted(struct reports *r, uint64_t ticket, bool ok);
void reports_send_now(struct reports *r);                 /* also of the day that is not over */

#endif
