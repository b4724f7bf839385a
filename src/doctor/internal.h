/* SPDX-License-Identifier: Apache-2.0
 * What the files of the doctor share.
 *
 * An examination (struct doctor_run) has parts (struct exam), each of one subject: a plain function from what is known
 * to findings. Where an answer is missing it has been asked for, and the function is called again, from the top, when
 * answers have come; so all that can be asked at the same time is. When the time is up, what is missing counts as "no
 * answer". */
#ifndef POSTERN_DOCTOR_INTERNAL_H
#define POSTERN_DOCTOR_INTERNAL_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "doctor/doctor.h"
#include "mailauth/dns.h"
#include "net/mailauth_dns.h"

struct event;

/* ---- addresses.c: where mail of ours comes from, as others see it */
#define ADDRESSES_MAX 16
struct doctor_addresses {
    struct ip ips[ADDRESSES_MAX]; /* of the internet */
    size_t n;
    struct ip hidden; /* a private one that mail goes out from; family 0: none */
    bool written;     /* in delivery.public_addresses */
    bool smarthost;   /* mail for others goes through a smarthost: strangers see its addresses */
};
void doctor_addresses_find(const struct config *c, struct doctor_addresses *out);
bool doctor_ips_have(const struct ip *ips, size_t n, const struct ip *ip);

/* ---- run.c */
struct doctor {
    struct doctor_options o;
    struct list runs, probes;
};

struct doctor_run {
    struct list node;
    struct doctor *doctor;
    char domain[256]; /* A-labels, lower case; "": this machine and all domains */
    struct doctor_addresses addresses;
    const char *helo;
    struct list exams, askers;
    struct event *limit, *again;
    bool over;       /* the time is up */
    uint64_t ended;  /* mono ms; 0: under way */
    size_t left_out; /* domains */
    json_t *findings, *records;
};

/* An answer that comes by a callback; late_reply takes it. */
struct late {
    struct exam *exam; /* NULL: nobody wants it any more */
    json_t *answer;    /* NULL: not yet */
};
#define LATES_MAX 24
struct exam {
    struct list node;
    struct doctor_run *run;
    const struct config *config;
    void (*examine)(struct exam *x);
    char domain[256]; /* "" : of this machine */
    struct lookups *lookups;
    struct mailauth_dns link;
    struct auth_dns dns;
    struct arena arena;         /* of one call */
    json_t *findings, *records; /* of one call */
    bool missing;               /* in this call: some answer */
    bool woken;                 /* something has come since the last call */
    bool done;
    struct late *lates[LATES_MAX];
    size_t late_n;
    struct sts_look *sts; /* domain_policies.c */
};
void exam_once(struct exam *x); /* examines from the top; what was found before goes */
/* NULL: not known yet. name: without final dot. */
const struct auth_dns_answer *exam_look(struct exam *x, enum auth_dns_type type, struct slice name,
                                        const struct ip *ip);
/* One more question to others; what they answer by late_reply stands in `answer`. */
struct late *exam_late(struct exam *x);
void late_reply(void *arg, json_t *answer);
void exam_wake(struct exam *x); /* something has come: it is called again, soon */
/* Of what has come late: true: look at it; false: x is missing it, or, when the time is up, it will not come. */
bool exam_came(struct exam *x, const struct late *l);

/* ---- finding.c */
enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_ERROR, DOCTOR_UNKNOWN, DOCTOR_SKIPPED };
enum record_state { RECORD_OK, RECORD_MISSING, RECORD_DIFFERENT, RECORD_UNKNOWN };
/* mend: ""; or how. records: shown with it unless all is well; stays the caller's; NULL: none. */
void exam_find(struct exam *x, const char *id, const char *subject, enum doctor_state state, const char *text,
               const char *mend, json_t *const *records, size_t n);
/* The last finding is mended by this option of the configuration; where exam_find knows one for all findings of an id, in its place. */
void exam_option(struct exam *x, const char *option);
/* What is to be entered: a record of x's, and the same for a finding. host: whole, without final dot. found: array of
 * strings, taken. */
json_t *exam_record(struct exam *x, const char *id, const char *type, const char *host, const char *value,
                    const char *why, enum record_state state, json_t *found);
const char *exam_kept(struct exam *x, struct buf *b);   /* as a string in the arena; the buffer is freed */
const char *exam_shown(struct exam *x, struct slice s); /* printable, at most 300 bytes */
const char *exam_ip(struct exam *x, const struct ip *ip);
/* "a, b and 3 more" */
const char *exam_names(struct exam *x, const struct slice *names, size_t n);
const char *exam_ips(struct exam *x, const struct ip *ips, size_t n);
json_t *exam_texts(const struct slice *texts, size_t n); /* an array of at most 10 */

/* ---- the parts */
void exam_host(struct exam *x);
void exam_certificates(struct exam *x);
void exam_relay(struct exam *x);
void exam_lists(struct exam *x);
void exam_resolver(struct exam *x);
void exam_health(struct exam *x);
void exam_domain(struct exam *x);
/* Of a domain; `hosts` are those of its MX records, for what comes after. */
struct exam_mx {
    bool known;
    struct slice hosts[16];
    size_t n;
};
void exam_mx(struct exam *x, struct exam_mx *out);
void exam_spf(struct exam *x);
void exam_dkim(struct exam *x);
void exam_dmarc(struct exam *x);
void exam_mta_sts(struct exam *x, const struct exam_mx *mx);
void exam_tls_rpt(struct exam *x);
void sts_look_free(struct sts_look **s); /* NULL is fine */
/* A and AAAA. False: not known yet. *ips in x's arena. failed: one of them could not be had. */
bool exam_addresses(struct exam *x, struct slice name, struct ip **ips, size_t *n, bool *failed);

/* ---- probe.c */
void doctor_probe(struct doctor *d, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);
void doctor_probes_free(struct doctor *d);

#endif
