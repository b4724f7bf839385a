/* SPDX-License-Identifier: Apache-2.0
 * When the certificates of a configuration end: for figures, and for warnings in time. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "net/tls_parts.h"
#include "proc/process.h"

#define KEPT_MS 60000 /* whoever may see the status may ask for it as often as he likes */

/* The first one in the file: the others are those above it. */
static bool not_after(const char *path, json_int_t *ms)
{
    BIO *bio = tls_open_file(path);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, (void *)(uintptr_t)"") : NULL;
    struct tm tm;
    bool ok = cert && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1;
    if (ok) *ms = (json_int_t)timegm(&tm) * 1000;
    X509_free(cert);
    BIO_free(bio);
    return ok;
}

static void add(json_t *all, const char *name, const char *path)
{
    json_int_t ms;
    if (path && *path && not_after(path, &ms)) json_array_append_new(all, json_pack("{s:s, s:I}", "name", name, "not_after", ms));
}

static json_t *describe(const char *directory, const struct config *c)
{
    json_t *all = json_array();
    char path[4300], name[64];
    snprintf(path, sizeof path, "%s/tls/certificate.pem", directory);
    add(all, "tls.certificate", c->tls.certificate[0] ? c->tls.certificate : path);
    for (size_t i = 0; i < c->tls.certificate_n; i++) {
        snprintf(name, sizeof name, "tls.certificates[%zu]", i);
        add(all, name, c->tls.certificates[i].certificate);
    }
    add(all, "web.certificate", c->web.enabled ? c->web.certificate : NULL);
    add(all, "quarantine.digest.certificate", c->quarantine.digest.certificate);
    return all;
}

json_t *certificates_describe(struct master *m)
{
    const struct generation *g = m->current ? m->current : m->next;
    uint64_t now = clock_mono_ms();
    if (!g) return json_array();
    if (!m->certificates || m->certificates_of != g->number || now - m->certificates_at > KEPT_MS) {
        json_decref(m->certificates);
        m->certificates = describe(m->directory, g->config);
        m->certificates_of = g->number;
        m->certificates_at = now;
    }
    return json_incref(m->certificates);
}
