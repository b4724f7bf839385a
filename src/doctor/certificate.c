/* SPDX-License-Identifier: Apache-2.0
 * The certificates that clients are shown: whose they are, how long they are good, who vouches for them. */
#include <openssl/x509v3.h>
#include <time.h>
#include "doctor/internal.h"
#include "net/tls_parts.h"

#define SOON_DAYS 14

struct names {
    struct buf text;
    unsigned n;
};

static void add_name(void *arg, const char *name)
{
    struct names *s = arg;
    if (s->n++ >= 10) return;
    if (s->n > 1) buf_add_str(&s->text, ", ");
    buf_add_printable(&s->text, slice_str(name), 253);
}

/* Days until then, rounded down; negative: it is past. */
static long days_to(const ASN1_TIME *t)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, t) != 1) return 0;
    return days < 0 || seconds < 0 ? -1L : days;
}

static const char *end_text(struct exam *x, const ASN1_TIME *t)
{
    struct tm tm;
    char text[32] = "";
    if (ASN1_TIME_to_tm(t, &tm) == 1) strftime(text, sizeof text, "%Y-%m-%d", &tm);
    return arena_strdup(&x->arena, slice_str(text));
}

static bool is_self_signed(X509 *cert) { return X509_check_issued(cert, cert) == X509_V_OK; }

static void tell(struct exam *x, X509 *leaf, STACK_OF(X509) * chain, bool standard)
{
    const struct tls_client *authorities = x->run->doctor->o.client_tls;
    const char *host = x->config->hostname, *until = end_text(x, X509_get0_notAfter(leaf));
    struct names names = { 0 };
    tls_cert_names(leaf, add_name, &names);
    const char *who = exam_kept(x, &names.text);
    long left = days_to(X509_get0_notAfter(leaf));
    const char *untrusted = authorities ? tls_client_trusts(authorities, leaf, chain) : NULL;
    const char *about = arena_printf(&x->arena, "the certificate for %s", who[0] ? who : "no name");
    if (left < 0 || X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
        exam_find(x, "certificate", host, DOCTOR_ERROR,
                  arena_printf(&x->arena, "%s %s", about,
                               left < 0 ? arena_printf(&x->arena, "ended on %s", until)
                                        : "is not valid yet: is the clock right?"),
                  "put a new one in its place and reload (postern reload)", NULL, 0);
    else if (left < SOON_DAYS)
        exam_find(x, "certificate", host, DOCTOR_WARNING, arena_printf(&x->arena, "%s ends on %s", about, until),
                  "renew it and reload (postern reload)", NULL, 0);
    else if (is_self_signed(leaf))
        exam_find(
            x, "certificate", host, DOCTOR_WARNING,
            arena_printf(&x->arena,
                         "%s is signed by itself: mail is encrypted, but nobody can tell that this is the right server",
                         about),
            "have one from an authority (Let's Encrypt, for one): tls.certificate, tls.key", NULL, 0);
    else if (untrusted)
        exam_find(x, "certificate", host, DOCTOR_WARNING,
                  arena_printf(&x->arena, "%s leads to no authority that is known here: %s", about,
                               exam_shown(x, slice_str(untrusted))),
                  "put the certificates between it and the authority behind it into the same file; or take one from a "
                  "known authority",
                  NULL, 0);
    else if (standard && X509_check_host(leaf, host, strlen(host), 0, NULL) != 1)
        exam_find(x, "certificate", host, DOCTOR_WARNING,
                  arena_printf(&x->arena, "%s is not for the name of this relay", about), "have one for that name",
                  NULL, 0);
    else
        exam_find(x, "certificate", host, DOCTOR_OK,
                  arena_printf(&x->arena, "%s is good until %s, and an authority vouches for it", about, until), "",
                  NULL, 0);
}

void exam_certificates(struct exam *x)
{
    const struct tls_server *t = x->run->doctor->o.server_tls;
    struct stack_st_X509 *chain, *next_chain;
    X509 *leaf = t ? tls_server_certificate(t, 0, &chain) : NULL;
    if (!leaf) exam_find(x, "certificate", x->config->hostname, DOCTOR_SKIPPED, "no listener uses TLS", "", NULL, 0);
    for (size_t i = 0; leaf; i++) {
        X509 *next = tls_server_certificate(t, i + 1, &next_chain);
        tell(x, leaf, chain, !next); /* the last one is for everybody */
        leaf = next;
        chain = next_chain;
    }
}
