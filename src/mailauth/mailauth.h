/* SPDX-License-Identifier: Apache-2.0
 * Mail authentication: SPF, DKIM, DMARC, ARC, Authentication-Results and SRS. No globals, no sockets, no configuration, no clock: DNS
 * comes through struct auth_dns, time with the input. Everything that is read is from strangers and bounded. The order of a message:
 *
 *     spf_check             as soon as client, EHLO and sender are known
 *     auth_header_add       for each field
 *     dkim_verify_begin, arc_verify_begin, dkim_sign_begin ...    with the header's end
 *     auth_body_push, auth_body_end                               while the body streams by
 *     dkim_verify, arc_verify, then dmarc_check, then auth_results_format
 */
#ifndef POSTERN_MAILAUTH_MAILAUTH_H
#define POSTERN_MAILAUTH_MAILAUTH_H
#include "mailauth/arc.h"
#include "mailauth/dkim.h"
#include "mailauth/dmarc.h"
#include "mailauth/results.h"
#include "mailauth/spf.h"
#include "mailauth/srs.h"

#endif
