/* SPDX-License-Identifier: Apache-2.0
 * Which mechanism: the strongest that both sides know, that is allowed, and that fits the secrets at hand. */
#include <stdio.h>
#include "auth/client_internal.h"

#define SCRAM (NEEDS_PASSWORD | CLIENT_FIRST | PROVES_SERVER)
#define TOKEN (NEEDS_TOKEN | NEEDS_TLS | CLIENT_FIRST)

const struct mechanism auth_mechanisms[] = {
    { "OAUTHBEARER", CONFIG_SASL_OAUTHBEARER, TOKEN, 4096 },
    { "XOAUTH2", CONFIG_SASL_XOAUTH2, TOKEN, 4096 },
    { "SCRAM-SHA-256-PLUS", CONFIG_SASL_SCRAM_SHA_256_PLUS, SCRAM | NEEDS_BINDING, 4096 },
    { "SCRAM-SHA-256", CONFIG_SASL_SCRAM_SHA_256, SCRAM, 4096 },
    { "SCRAM-SHA-1", CONFIG_SASL_SCRAM_SHA_1, SCRAM, 4096 },
    { "DIGEST-MD5", CONFIG_SASL_DIGEST_MD5, NEEDS_PASSWORD | PROVES_SERVER, 2048 }, /* RFC 2831 §2.1.1 */
    { "CRAM-MD5", CONFIG_SASL_CRAM_MD5, NEEDS_PASSWORD, 1024 },
    { "PLAIN", CONFIG_SASL_PLAIN, NEEDS_PASSWORD | NEEDS_TLS | CLIENT_FIRST, 0 },
    { "LOGIN", CONFIG_SASL_LOGIN, NEEDS_PASSWORD | NEEDS_TLS, 1024 },
    { 0 },
};

bool auth_mechanism_listed(struct slice offered, const char *name)
{
    struct slice word;
    while (offered.n) {
        slice_cut(&offered, ' ', &word);
        if (slice_ieq(slice_trim(word), slice_str(name))) return true;
    }
    return false;
}

static bool has_secret(const struct config_hop *hop, unsigned flags)
{
    const struct config_credentials *a = &hop->auth;
    if (flags & NEEDS_TOKEN) return a->token.command || a->token.endpoint;
    return a->password || a->password_file;
}

static bool is_ours(const struct config_hop *hop, const struct mechanism *m)
{
    return (!hop->auth.methods || hop->auth.methods & m->bit) && has_secret(hop, m->flags);
}

static void explain(const struct config_hop *hop, struct slice offered, bool tls, char reason[200])
{
    struct buf b = { 0 };
    bool hidden = false;
    buf_add_str(&b, "no mechanism in common: it offers ");
    if (offered.n) buf_add_printable(&b, offered, 80);
    else buf_add_str(&b, "none");
    buf_add_str(&b, "; we may use");
    size_t before = b.n;
    for (const struct mechanism *m = auth_mechanisms; m->name; m++) {
        if (!is_ours(hop, m)) continue;
        if (!tls && m->flags & (NEEDS_TLS | NEEDS_BINDING)) hidden = true;
        else buf_addf(&b, " %s", m->name);
    }
    if (b.n == before) buf_add_str(&b, " none");
    if (hidden) buf_add_str(&b, " (others need TLS)");
    snprintf(reason, 200, "%s", buf_cstr(&b));
    buf_deinit(&b);
}

const struct mechanism *auth_mechanism_choose(const struct config_hop *hop, struct slice offered, bool tls, bool binding, char reason[200])
{
    for (const struct mechanism *m = auth_mechanisms; m->name; m++) {
        if (!is_ours(hop, m) || !auth_mechanism_listed(offered, m->name)) continue;
        if (!tls && m->flags & (NEEDS_TLS | NEEDS_BINDING)) continue;
        if (!binding && m->flags & NEEDS_BINDING) continue;
        return m;
    }
    explain(hop, offered, tls, reason);
    return NULL;
}
