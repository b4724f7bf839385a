/* SPDX-License-Identifier: Apache-2.0
 * TLS reports (RFC 8460): counting what became of sessions, one domain and day, as the report wants it; where reports go; reading
 * those that others send. */
#ifndef POSTERN_FETCH_TLS_REPORT_H
#define POSTERN_FETCH_TLS_REPORT_H
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"

#define TLS_REPORT_DOMAINS_MAX 5000  /* counted in one day; more are left out, which is logged */
#define TLS_REPORT_DETAILS_MAX 100   /* different failures of one domain; more are added to the summary alone */
#define TLS_REPORT_POLICIES_MAX 10   /* different policies of one domain */
#define TLS_REPORT_RUA_MAX 8
#define TLS_REPORT_READ_MAX (16u << 20) /* bytes of a report that is read, unpacked */

/* What became of one session with a host of a domain. Strings may be NULL. */
struct tls_event {
    const char *domain;
    const char *policy_type;         /* "sts", "tlsa", "no-policy-found" */
    const json_t *policy;            /* array of strings: the policy's lines or the TLSA records; borrowed */
    const json_t *mx_patterns;       /* array of strings; borrowed */
    const char *failure;             /* RFC 8460 §4.3: "starttls-not-supported" ...; NULL: success */
    const char *reason;              /* a word or two more */
    const char *mx_host, *mx_ip, *our_ip;
};

/* The counts of one day: a JSON object, so that it can be saved as it is. */
json_t *tls_counts_new(int64_t day_start); /* UTC seconds */
/* False: there is no room for another domain. */
bool tls_counts_add(json_t *counts, const struct tls_event *e);
int64_t tls_counts_day(const json_t *counts);
/* The domains that were counted, one after another: start with NULL. */
const char *tls_counts_next(const json_t *counts, const char *domain);
/* A new report for a domain (RFC 8460 §4.4), or NULL when nothing was counted for it. */
json_t *tls_report_make(const json_t *counts, const char *domain, const char *organization, const char *contact,
                        const char *report_id);

/* TXT records of _smtp._tls.DOMAIN (RFC 8460 §3): the addresses to report to, "mailto:..." or "https:...". Returns how many; 0:
 * reports are not wanted. */
size_t tls_report_rua(const struct slice *texts, size_t n, char rua[TLS_REPORT_RUA_MAX][512]);

/* A report that somebody sent us: JSON, or gzip'ed JSON. NULL with err when it is none. */
json_t *tls_report_read(struct slice bytes, struct err *err) MUST_CHECK;
/* The same of a file that may also be the message it came in. tls_report_file.c */
json_t *tls_report_open(struct slice file, struct err *err) MUST_CHECK;
/* What matters of it, within bounds: {"organization", "contact", "report_id", "start", "end", "policies": [{"domain", "type", "well", "failed",
 * "details": [{"sessions", "result", "mx", "from", "reason"}]}], "more"?: how many policies and details are left out}; texts are printable and
 * short, those that are not there are left out. The caller's. */
json_t *tls_report_to_people(const json_t *report);
/* In words, for a terminal of 80 columns. */
void tls_report_print(const json_t *report, struct buf *out);

#endif
