/* SPDX-License-Identifier: Apache-2.0
 * Which recipients there are, where the inner server or a directory is asked (recipients.verify: smtp, ldap): the questions of one
 * worker and what is remembered of the answers, for a minute in the worker and for long in the store. */
#ifndef POSTERN_POLICY_RECIPIENTS_H
#define POSTERN_POLICY_RECIPIENTS_H
#include "policy/policy.h"

struct recipients;
struct recipients_lookup;

enum recipients_status { RECIPIENT_KNOWN, RECIPIENT_UNKNOWN, RECIPIENT_UNSURE };
struct recipients_answer {
    enum recipients_status status;
    struct slice why;      /* printable; may name the inner server; valid within the callback */
};
/* From the loop, once; the look-up is gone when it returns. */
typedef void recipients_cb(void *arg, const struct recipients_answer *a);

struct recipients_question {
    size_t domain;         /* of config->domains */
    struct slice rcpt;     /* as written; all are copied */
    struct slice local;    /* its local part, as written */
    struct slice name;     /* its domain: A-labels, lower case */
    bool dry;              /* nothing is remembered */
};

/* NULL: no domain needs it. */
struct recipients *recipients_new(const struct policy_engine_options *o);
void recipients_free(struct recipients *r); /* look-ups must be cancelled before; NULL is fine */
/* NULL: *out is the answer already, valid until the next call; else cb comes. An answer that a recipient exists is asked for anew in the
 * background in the last quarter of its time. A server that takes any recipient is found out by asking for one that cannot exist, once
 * an hour for each domain: its answers are told, but not remembered. */
struct recipients_lookup *recipients_find(struct recipients *r, const struct recipients_question *q, struct recipients_answer *out,
                                          recipients_cb *cb, void *arg);
void recipients_cancel(struct recipients_lookup **l); /* clears the pointer; no callback after; NULL is fine */

#endif
