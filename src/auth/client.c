/* SPDX-License-Identifier: Apache-2.0
 * One exchange as a SASL client, from the choice of a mechanism to the proof that the server knows the secret as well. */
#include "auth/client.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "auth/client_internal.h"
#include "base/mem.h"

#define STEPS_MAX 8 /* no mechanism takes more than three */

void auth_reply_deinit(struct auth_reply *r)
{
    buf_wipe(&r->data);
}

static void reply_begin(struct auth_reply *out)
{
    buf_wipe(&out->data);
    out->data.max = AUTH_DATA_MAX;
    out->outcome = AUTH_FAILED;
    out->has_data = false;
    out->reason[0] = 0;
}

void auth_client_cancel(struct auth_client **ap)
{
    struct auth_client *a = *ap;
    *ap = NULL;
    if (!a) return;
    auth_gsasl_end(a);
    auth_token_end(a);
    free((char *)(uintptr_t)a->host);
    free(a);
}

struct auth_client *auth_client_new(const struct config *c, const struct config_hop *hop, struct slice mechanisms, const char *host,
                                    uint16_t port, bool tls, struct slice binding, struct auth_reply *out)
{
    reply_begin(out);
    assert(hop->auth.user);
    const struct mechanism *m = auth_mechanism_choose(hop, mechanisms, tls, binding.n > 0, out->reason);
    if (!m) return NULL;
    struct auth_client *a = mem_new(struct auth_client);
    a->hop = hop;
    a->m = m;
    a->host = mem_strdup(host);
    a->port = port;
    if (!(m->flags & NEEDS_BINDING)) binding = slice_of(NULL, 0); /* the library cannot say that it could bind (RFC 5802 §6, "y") */
    bool ok = m->flags & NEEDS_TOKEN ? auth_token_start(a, c, out->reason) : auth_gsasl_start(a, binding, out->reason);
    out->outcome = ok ? AUTH_CONTINUE : AUTH_TEMPFAIL;
    if (ok && m->flags & CLIENT_FIRST) auth_client_next(a, slice_of(NULL, 0), out);
    if (out->outcome != AUTH_CONTINUE) {
        auth_client_cancel(&a);
        return NULL;
    }
    out->has_data = (m->flags & CLIENT_FIRST) != 0;
    out->mechanism = m->name;
    return a;
}

/* The challenges of these mechanisms are lines of text; nothing else gets as far as a parser. */
static bool is_text(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n') return false;
    return true;
}

void auth_client_next(struct auth_client *a, struct slice data, struct auth_reply *out)
{
    bool initial = a->steps == 0 && a->m->flags & CLIENT_FIRST;
    reply_begin(out);
    a->steps++;
    if (!initial && (data.n > a->m->challenge_max || !is_text(data) || a->steps > STEPS_MAX)) {
        snprintf(out->reason, sizeof out->reason, "it sent a challenge that does not belong to %s", a->m->name);
        return;
    }
    struct slice in = initial ? slice_of(NULL, 0) : slice_of(data.n ? data.p : "", data.n);
    bool ok = a->m->flags & NEEDS_TOKEN ? auth_token_step(a, in, &out->data, out->reason)
                                        : auth_gsasl_step(a, in, &out->data, out->reason);
    if (ok && out->data.overflow) {
        ok = false;
        snprintf(out->reason, sizeof out->reason, "a response of %s would be too long", a->m->name);
    }
    out->outcome = ok ? AUTH_CONTINUE : AUTH_FAILED;
}

void auth_client_end(struct auth_client **ap, bool success, struct auth_reply *out)
{
    struct auth_client *a = *ap;
    reply_begin(out);
    if (!a) return;
    if (success && a->done) out->outcome = AUTH_OK;
    else if (success && a->m->flags & PROVES_SERVER)
        snprintf(out->reason, sizeof out->reason, "it did not prove that it knows the password (%s): perhaps it is not who it should be",
                 a->m->name);
    else if (success)
        snprintf(out->reason, sizeof out->reason, "it said yes before the exchange was over (%s)", a->m->name);
    auth_token_result(a, success);
    auth_client_cancel(ap);
}
