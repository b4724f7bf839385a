/* SPDX-License-Identifier: Apache-2.0
 * The words of results and policies, as RFC 8601 §2.7 and RFC 7489 §6.3 write them. */
#include <assert.h>
#include "mailauth/mailauth.h"

#define NAME_OF(table, i) (assert((size_t)(i) < sizeof(table) / sizeof(table)[0]), (table)[i])

const char *spf_result_name(enum spf_result r)
{
    static const char *const names[] = { /* RFC 8601 §2.7.2 */
        [SPF_NONE] = "none", [SPF_NEUTRAL] = "neutral", [SPF_PASS] = "pass", [SPF_FAIL] = "fail",
        [SPF_SOFTFAIL] = "softfail", [SPF_TEMPERROR] = "temperror", [SPF_PERMERROR] = "permerror",
    };
    return NAME_OF(names, r);
}

const char *dkim_result_name(enum dkim_result r)
{
    static const char *const names[] = { /* RFC 8601 §2.7.1 */
        [DKIM_NONE] = "none", [DKIM_PASS] = "pass", [DKIM_FAIL] = "fail", [DKIM_POLICY] = "policy",
        [DKIM_NEUTRAL] = "neutral", [DKIM_TEMPERROR] = "temperror", [DKIM_PERMERROR] = "permerror",
    };
    return NAME_OF(names, r);
}

const char *dmarc_result_name(enum dmarc_result r)
{
    static const char *const names[] = { /* RFC 7489 §11.2 */
        [DMARC_NONE] = "none", [DMARC_PASS] = "pass", [DMARC_FAIL] = "fail", [DMARC_TEMPERROR] = "temperror",
        [DMARC_PERMERROR] = "permerror",
    };
    return NAME_OF(names, r);
}

const char *dmarc_policy_name(enum dmarc_policy p)
{
    static const char *const names[] = { /* RFC 7489 §6.3 */
        [DMARC_ASK_NONE] = "none", [DMARC_ASK_QUARANTINE] = "quarantine", [DMARC_ASK_REJECT] = "reject",
    };
    return NAME_OF(names, p);
}

/* RFC 8617 §10.1 knows none, pass and fail; a key that could not be had is not the chain's fault and shall not be
 * sealed as "fail". */
const char *arc_result_name(enum arc_result r)
{
    static const char *const names[] = {
        [ARC_NONE] = "none", [ARC_PASS] = "pass", [ARC_FAIL] = "fail", [ARC_TEMPERROR] = "temperror",
    };
    return NAME_OF(names, r);
}
