/* SPDX-License-Identifier: Apache-2.0
 * MTA-STS (RFC 8461): the DNS record that announces a policy, the policy, and which hosts it covers. Nothing here fetches. */
#ifndef POSTERN_FETCH_MTA_STS_H
#define POSTERN_FETCH_MTA_STS_H
#include "base/err.h"
#include "base/slice.h"

#define STS_POLICY_MAX 65536      /* bytes of a policy that are read (RFC 8461 §3.3 suggests 64 KB) */
#define STS_MX_MAX 64             /* patterns kept; a policy with more is not one we can hold to, and an error */
#define STS_ID_MAX 32
#define STS_AGE_MAX 31557600u     /* seconds, a year: RFC 8461 §3.2 */

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

struct sts_policy {
    enum sts_mode mode;
    uint32_t max_age;             /* seconds, 0..STS_AGE_MAX */
    size_t mx_n;
    char mx[STS_MX_MAX][256];     /* lower case A-labels: "mail.example.com" or "*.example.com" */
};

/* The TXT records of _mta-sts.DOMAIN, each with its strings joined. True: exactly one of them is an STSv1 record (RFC 8461 §3.1),
 * id is its id. False: there is no policy to look for. */
bool sts_record_parse(const struct slice *texts, size_t n, char id[STS_ID_MAX + 1]);
/* The text of /.well-known/mta-sts.txt (RFC 8461 §3.2). False: err says what is wrong with it. */
bool sts_policy_parse(struct slice text, struct sts_policy *out, struct err *err) MUST_CHECK;
/* Does the policy cover this MX host (any case)? (RFC 8461 §4.1: a wildcard stands for exactly one label.) */
bool sts_policy_covers(const struct sts_policy *p, struct slice host);

#endif
