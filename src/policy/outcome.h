/* SPDX-License-Identifier: Apache-2.0
 * What the checks want done with a message that is taken, beside the verdict: edits of its text, fields in front of it, other recipients,
 * and who is told of it. Kept in the run for the message at hand and forgotten with the answers of STAGE_CONTENT. The server applies
 * it to the envelope (server/submit.c); bytes as they were received are never rewritten. Of a message that is held or quarantined,
 * too: released, it goes out as it would have gone out now. Of one that is refused or discarded only the notices count.
 *
 * All is bounded; what does not fit or clashes is left out, and the function says so: the check decides what that means. All is
 * copied. Called by checks of STAGE_CONTENT, before they answer. */
#ifndef POSTERN_POLICY_OUTCOME_H
#define POSTERN_POLICY_OUTCOME_H
#include "config/config.h"
#include "policy/policy.h"
#include "spool/envelope.h"

#define OUTCOME_CUTS_MAX 48          /* the others of an envelope's are the server's own */
#define OUTCOME_CUTS_TEXT_MAX 49152  /* bytes of all their texts */
#define OUTCOME_PREPEND_MAX 24576    /* bytes */
#define OUTCOME_COPIES_MAX 20
#define OUTCOME_REMOVED_MAX 100
#define OUTCOME_NOTICES_MAX 20
#define OUTCOME_FINDINGS_MAX ENVELOPE_FINDINGS_MAX

/* Why somebody is told. */
enum notice_reason { NOTICE_VIRUS, NOTICE_FILE, NOTICE_SPAM, NOTICE_RULE, NOTICE_REASONS };

struct policy_notice {
    enum notice_reason reason;
    struct slice to;                 /* without <>; empty: the message's recipients as the client gave them */
    bool own_only;                   /* of those: only in relay domains */
    struct slice from;               /* without <>; empty: the postmaster */
    struct slice what;               /* one clause, printable: "the virus Eicar-Signature in invoice.exe" */
};

struct content_outcome {
    struct envelope_cut *cuts; uint32_t cut_n;  /* ascending, apart from each other, within the text */
    uint32_t cut_text;                          /* bytes of their texts */
    struct slice prepend;                       /* header lines, each with CRLF */
    uint32_t subject_n;                         /* bytes of a Subject of ours at their end; 0: there is none */
    struct slice redirect;                      /* address that takes the place of all recipients; empty: none */
    struct slice *copies; uint32_t copy_n;      /* further recipients */
    struct slice *removed; uint32_t removed_n;  /* recipients who get nothing */
    struct slice sender;                        /* in place of the client's; has_sender: empty is the null one */
    bool has_sender;
    struct policy_notice *notices; uint32_t notice_n;
    struct slice findings;                      /* of the quarantine's index: JSON */
    int32_t score;                              /* hundredths */
    struct slice subject;                       /* decoded, as people read it; empty: not known */
};
/* What there is for the message at hand; never NULL, mostly empty. Valid until the run's next fact. */
const struct content_outcome *policy_outcome(const struct policy_run *run);

/* Cuts out `n` bytes at `at` of the text and puts `with` there. text_size: of the message. What lies within an earlier edit, or overlaps
 * one, is left out: the first wins. Two that put text in at the same place stand in the order in which they came. False: left out, or no
 * room, or `with` has line ends other than CRLF, or NUL. Who edits a header sees to it that it stays one. Edits that would leave a CR or
 * LF alone, or the text without a line end, are found when they are applied: the message is deferred then. */
bool policy_outcome_add_cut(struct policy_run *run, uint64_t at, uint64_t n, struct slice with, uint64_t text_size);
/* Is there an edit that has these bytes in it (or the place, n 0)? Then one of them that was left out is of no use any more. */
bool policy_outcome_has_cut(const struct policy_run *run, uint64_t at, uint64_t n);
/* All of them, in their order, or none: false. */
bool policy_outcome_add_cuts(struct policy_run *run, const struct envelope_cut *cuts, uint32_t n, uint64_t text_size);
/* Puts `prefix` before the value of the first Subject, at `at`; into what an edit puts in the field's place; or, when there is none (any
 * more; at 0), makes one of it. A later prefix stands behind an earlier one. False: no room. */
bool policy_outcome_tag_subject(struct policy_run *run, uint64_t at, struct slice prefix, uint64_t text_size);
/* Whole header fields, each ending in CRLF; those that come later stand below. False: no room, or not a sequence of fields (a line
 * without a name, a bare CR or LF, NUL, a line of more than 998 bytes, an empty line). */
bool policy_outcome_add_prepend(struct policy_run *run, struct slice fields);
/* To `address` in place of all recipients; the sender stays. The first wins. False: there is one already, or it is no address. */
bool policy_outcome_redirect(struct policy_run *run, struct slice address);
/* To `address`, too; nothing is reported to the sender about it (NOTIFY=NEVER). Twice is once. False: no room, or no address. */
bool policy_outcome_copy(struct policy_run *run, struct slice address);
/* That recipient, as the client gave it (case ignored), gets nothing of it. Not the last one: who says so discards it. False: no room. */
bool policy_outcome_remove(struct policy_run *run, struct slice address);
/* The reverse-path from now on; empty: the null one. The last one counts. False: no address. */
bool policy_outcome_change_sender(struct policy_run *run, struct slice address);
/* Tells somebody by mail once the message was taken, refused for good, or discarded; not when it was deferred. Bounded in rate by who
 * sends them (server/notices.c). `to` empty: the recipients. False: no room, or no address. */
bool policy_outcome_notify(struct policy_run *run, enum notice_reason reason, struct slice to, struct slice from, struct slice what);
/* The same for all that the configuration names; n->address NULL and no recipients: nobody. */
void policy_outcome_notify_all(struct policy_run *run, enum notice_reason reason, const struct config_notify *n, struct slice what);
/* For the quarantine: what was found, JSON of at most OUTCOME_FINDINGS_MAX bytes, and the score in hundredths. The last one counts.
 * False: too long, nothing is kept of it but the score. */
bool policy_outcome_set_findings(struct policy_run *run, struct slice json, int32_t score);
/* The subject as whoever looked into the message has decoded it: UTF-8, at most 255 bytes. */
void policy_outcome_set_subject(struct policy_run *run, struct slice subject);

#endif
