/* SPDX-License-Identifier: Apache-2.0
 * The mechanisms we know, on either side. */
#include "auth/methods.h"
#include "base/mem.h"

static const struct {
    const char *name;
    enum config_sasl bit;
} methods[] = {
    { "OAUTHBEARER", CONFIG_SASL_OAUTHBEARER },
    { "XOAUTH2", CONFIG_SASL_XOAUTH2 },
    { "SCRAM-SHA-256-PLUS", CONFIG_SASL_SCRAM_SHA_256_PLUS },
    { "SCRAM-SHA-256", CONFIG_SASL_SCRAM_SHA_256 },
    { "SCRAM-SHA-1", CONFIG_SASL_SCRAM_SHA_1 },
    { "DIGEST-MD5", CONFIG_SASL_DIGEST_MD5 },
    { "CRAM-MD5", CONFIG_SASL_CRAM_MD5 },
    { "PLAIN", CONFIG_SASL_PLAIN },
    { "LOGIN", CONFIG_SASL_LOGIN },
};

uint32_t auth_methods(const struct config *c, bool binding)
{
    static const uint32_t plain = CONFIG_SASL_PLAIN | CONFIG_SASL_LOGIN;
    static const uint32_t through = plain | CONFIG_SASL_CRAM_MD5 | CONFIG_SASL_SCRAM_SHA_256;
    uint32_t can = plain; /* IMAP and LDAP are asked with the password itself */
    if (c->auth.backend == CONFIG_AUTH_OFF) return 0;
    if (c->auth.backend == CONFIG_AUTH_DOVECOT) can = through;
    if (c->auth.backend == CONFIG_AUTH_USERS) can = through | CONFIG_SASL_SCRAM_SHA_256_PLUS;
    if (!binding) can &= ~(uint32_t)CONFIG_SASL_SCRAM_SHA_256_PLUS;
    return c->auth.methods & can;
}

uint32_t auth_method_of(struct slice name)
{
    for (size_t i = 0; i < countof(methods); i++)
        if (slice_ieq(name, slice_str(methods[i].name))) return methods[i].bit;
    return 0;
}

const char *auth_method_name(uint32_t bit)
{
    for (size_t i = 0; i < countof(methods); i++)
        if (methods[i].bit == bit) return methods[i].name;
    return "";
}

void auth_methods_list(struct buf *out, uint32_t set)
{
    for (size_t i = 0; i < countof(methods); i++)
        if (set & methods[i].bit) buf_addf(out, " %s", methods[i].name);
}
