/* SPDX-License-Identifier: Apache-2.0
 * The mechanisms of libgsasl, with what it leaves to its callers: bounds for the work a server may ask for. */
#include <gsasl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include "auth/client_internal.h"
#include "base/mem.h"

#define NONCE_MAX 1024

static bool set(struct auth_client *a, Gsasl_property what, const char *value)
{
    return gsasl_property_set(a->session, what, value) == GSASL_OK;
}

static bool set_binding(struct auth_client *a, struct slice binding)
{
    unsigned char text[128];
    if (!binding.n || binding.n > 64) return true;
    EVP_EncodeBlock(text, (const unsigned char *)binding.p, (int)binding.n);
    return set(a, GSASL_CB_TLS_EXPORTER, (const char *)text);
}

bool auth_gsasl_start(struct auth_client *a, struct slice binding, char reason[200])
{
    struct buf password = { 0 };
    if (!auth_secret_password(a->hop, &password, reason)) return false;
    int rc = gsasl_init(&a->gsasl);
    if (rc == GSASL_OK) rc = gsasl_client_start(a->gsasl, a->m->name, &a->session);
    bool ok = rc == GSASL_OK && set(a, GSASL_AUTHID, a->hop->auth.user) && set(a, GSASL_PASSWORD, buf_cstr(&password)) &&
              set(a, GSASL_SERVICE, "smtp") && set(a, GSASL_HOSTNAME, a->host) && set_binding(a, binding);
    if (!ok) snprintf(reason, 200, "%s cannot be begun: %s", a->m->name, gsasl_strerror(rc ? rc : GSASL_MALLOC_ERROR));
    buf_wipe(&password);
    return ok;
}

static bool attribute(struct slice *rest, char name, struct slice *value)
{
    slice_cut(rest, ',', value);
    if (value->n < 2 || value->p[0] != name || value->p[1] != '=') return false;
    *value = slice_sub(*value, 2, value->n);
    return value->n > 0 && value->n <= NONCE_MAX;
}

bool auth_scram_acceptable(struct slice rest, char reason[200])
{
    struct slice nonce, salt, number;
    uint64_t n;
    snprintf(reason, 200, "it sent a SCRAM message that cannot be read");
    if (!attribute(&rest, 'r', &nonce) || !attribute(&rest, 's', &salt) || !attribute(&rest, 'i', &number)) return false;
    if (!slice_to_u64(number, UINT32_MAX, &n) || number.p[0] == '0') return false;
    snprintf(reason, 200, "it asks for %llu rounds of SCRAM, not for %d to %d", (unsigned long long)n, ITERATIONS_MIN, ITERATIONS_MAX);
    if (n < ITERATIONS_MIN || n > ITERATIONS_MAX) return false; /* RFC 7677 §4; RFC 5802 §9 */
    reason[0] = 0;
    return true;
}

static bool is_scram(const struct auth_client *a)
{
    return slice_starts(slice_str(a->m->name), SLICE("SCRAM-"));
}

bool auth_gsasl_step(struct auth_client *a, struct slice in, struct buf *out, char reason[200])
{
    char *data = NULL;
    size_t n = 0;
    if (a->done) {
        snprintf(reason, 200, "it sent a challenge when %s was over", a->m->name);
        return false;
    }
    if (is_scram(a) && a->steps == 2 && !auth_scram_acceptable(in, reason)) return false;
    char *input = mem_slicedup(in); /* the library looks for the NUL behind it */
    int rc = gsasl_step(a->session, input, in.n, &data, &n);
    mem_wipe(input, in.n);
    free(input);
    if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE) {
        buf_add(out, slice_of(data, n));
        a->done = rc == GSASL_OK;
    } else if (rc == GSASL_AUTHENTICATION_ERROR && a->m->flags & PROVES_SERVER && a->steps > 2) {
        snprintf(reason, 200, "its proof that it knows the password is wrong (%s): perhaps it is not who it should be", a->m->name);
    } else {
        snprintf(reason, 200, "%s failed: %s", a->m->name, gsasl_strerror(rc));
    }
    if (data) mem_wipe(data, n);
    gsasl_free(data);
    return rc == GSASL_OK || rc == GSASL_NEEDS_MORE;
}

void auth_gsasl_end(struct auth_client *a)
{
    static const Gsasl_property secrets[] = { GSASL_PASSWORD, GSASL_SCRAM_SALTED_PASSWORD };
    if (a->session) {
        for (size_t i = 0; i < countof(secrets); i++) { /* the library's own copy: it frees without wiping */
            char *p = (char *)(uintptr_t)gsasl_property_fast(a->session, secrets[i]);
            if (p) mem_wipe(p, strlen(p));
        }
        gsasl_finish(a->session);
    }
    if (a->gsasl) gsasl_done(a->gsasl);
    a->session = NULL;
    a->gsasl = NULL;
}
