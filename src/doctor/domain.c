/* SPDX-License-Identifier: Apache-2.0
 * A domain in the DNS: who takes its mail, and who may send for it. */
#include "doctor/internal.h"

void exam_domain(struct exam *x)
{
    struct exam_mx mx;
    exam_mx(x, &mx);
    exam_spf(x);
    exam_dkim(x);
    exam_dmarc(x);
    exam_mta_sts(x, &mx);
    exam_tls_rpt(x);
}
