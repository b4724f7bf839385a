/* SPDX-License-Identifier: Apache-2.0
 * The mechanisms that carry an OAuth 2 token: OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner. A server that does not like the token
 * says so in a challenge, which is answered so that it can say no in its own words. */
#include <stdio.h>
#include "auth/client_internal.h"
#include "auth/token.h"

bool auth_token_start(struct auth_client *a, const struct config *c, char reason[200])
{
    return token_get(c, a->hop, &a->token, reason);
}

/* RFC 5801 §4: "=" and "," have a meaning in the gs2 header. */
static void add_saslname(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '=') buf_add_str(out, "=3D");
        else if (s.p[i] == ',') buf_add_str(out, "=2C");
        else buf_add_char(out, s.p[i]);
    }
}

bool auth_token_step(struct auth_client *a, struct slice in, struct buf *out, char reason[200])
{
    bool standard = a->m->bit == CONFIG_SASL_OAUTHBEARER;
    if (in.p) { /* RFC 7628 §3.2.2, §3.2.3: an error as JSON */
        if (a->steps > 2) {
            snprintf(reason, 200, "it sent a challenge when %s was over", a->m->name);
            return false;
        }
        token_refuse(a->hop, buf_slice(&a->token));
        a->done = false;
        if (standard) buf_add_char(out, 1);
        return true;
    }
    struct slice user = slice_str(a->hop->auth.user);
    if (!buf_reserve(out, user.n * 3 + a->token.n + strlen(a->host) + 64)) return true; /* too long: the caller sees it */
    if (standard) { /* RFC 7628 §3.1 */
        buf_add_str(out, "n,a=");
        add_saslname(out, user);
        buf_addf(out, ",\001host=%s\001port=%u", a->host, a->port);
    } else {
        buf_add_str(out, "user=");
        buf_add(out, user);
    }
    buf_add_str(out, "\001auth=Bearer ");
    buf_add(out, buf_slice(&a->token));
    buf_add_str(out, "\001\001");
    a->done = true;
    return true;
}

void auth_token_result(struct auth_client *a, bool success)
{
    if (a->token.n && a->done && success) token_accept(a->hop);
    else if (a->token.n && a->done) token_refuse(a->hop, buf_slice(&a->token));
}

void auth_token_end(struct auth_client *a)
{
    buf_wipe(&a->token);
}
