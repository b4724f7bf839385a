/* SPDX-License-Identifier: Apache-2.0
 * What is known of the content of the message at hand: what check_scan.c has found out, for the checks behind it, and what several of
 * them do with it. */
#ifndef POSTERN_POLICY_CONTENT_LOOK_H
#define POSTERN_POLICY_CONTENT_LOOK_H
#include "content/edits.h"
#include "content/report.h"
#include "policy/check.h"
#include "policy/outcome.h"
#include "spool/spool.h"

struct content_look {
    const struct report *report; /* NULL: there is none */
    struct spool_share share;    /* the text */
    bool accepted;               /* a rule says that neither spam nor attachments have a say */
    bool training;               /* it came to be learnt, and to nobody else */
    bool header_failed;
    struct edit_header *header;  /* NULL: not read yet */
};
/* Of the message at hand; made when it is asked for first. */
struct content_look *check_look(struct check_call *c);
/* The report; or NULL: the check has answered that there is none. */
const struct report *check_report(struct check_call *c);
/* The header as far as it can be edited; NULL: it cannot. Reads, from memory as a rule. */
const struct edit_header *check_header(struct check_call *c);
/* All of them become edits of the message, or none: false. */
bool check_apply_edits(struct check_call *c, const struct edits *e);
/* Takes out the parts with a reason (edits_strip). False: it cannot be done. */
bool check_strip(struct check_call *c, const struct slice *why);
void check_tag_subject(struct check_call *c, struct slice prefix);
const char *check_ascii(struct check_call *c, const char *text); /* for a reply: RFC 5321 §4.2 has no other letters */
/* What was found becomes the findings of the quarantine. */
void check_tell_quarantine(struct check_call *c);
/* The same; then the answer. */
void check_put_aside(struct check_call *c, enum envelope_quarantine kind, struct config_place place, const char *why);

/* What `virus` and `attachments` have in common: what is done about what was found. */
struct content_handling {
    enum config_handling action;
    const char *address;         /* of REDIRECT */
    struct config_place place;
    enum envelope_quarantine kind;
    enum notice_reason reason;
    const struct config_notify *notify;
    const char *what;            /* "the virus Eicar in a.exe": for the trace and those who are told */
    const char *text;            /* of REJECT, for the client */
    const char *field;           /* that tells of it when it is let through: "X-Postern-Virus" */
};
/* Answers. STRIP is the caller's own. */
void check_handle(struct check_call *c, const struct content_handling *h);

#endif
