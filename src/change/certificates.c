/* SPDX-License-Identifier: Apache-2.0
 * The certificates that the options name, as the administrator wants to know them. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "change/answer_int.h"
#include "net/tls_parts.h"

#define AUTHORITIES_MAX 200 /* looked at in one file */

static json_t *name_of(const X509_NAME *name)
{
    char text[512];
    tls_name_text(name, text, sizeof text);
    return change_answer_text(slice_str(text));
}

static json_t *ms_of(const ASN1_TIME *t)
{
    struct tm tm = { 0 };
    return ASN1_TIME_to_tm(t, &tm) == 1 ? json_integer((json_int_t)timegm(&tm) * 1000) : json_null();
}

static void add_name(void *arg, const char *name) { json_array_append_new(arg, change_answer_text(slice_str(name))); }

static void describe(json_t *out, X509 *cert)
{
    json_t *names = json_array();
    tls_cert_names(cert, add_name, names);
    json_object_set_new(out, "subject", name_of(X509_get_subject_name(cert)));
    json_object_set_new(out, "names", names);
    json_object_set_new(out, "issuer", name_of(X509_get_issuer_name(cert)));
    json_object_set_new(out, "not_before", ms_of(X509_get0_notBefore(cert)));
    json_object_set_new(out, "not_after", ms_of(X509_get0_notAfter(cert)));
    json_object_set_new(out, "self_signed", json_boolean(X509_self_signed(cert, 0) == 1));
}

static json_t *begin(const char *option, const char *file)
{
    return json_pack("{s:s, s:o}", "name", option, "file", change_answer_text(slice_str(file)));
}

/* The first certificate of a file whose pair cannot be used: what it is, all the same. */
static X509 *first_of(const char *file)
{
    BIO *bio = tls_open_file(file);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return cert;
}

static void add_pair(json_t *all, const char *option, const char *file, const char *key, const char *const *names,
                     size_t n)
{
    struct tls_certificate_facts facts = { 0 };
    struct tls_pair pair = { 0 };
    struct err err = { 0 };
    json_t *out = begin(option, file);
    bool ok = tls_pair_read(file, key, names, n, &pair, &facts, &err);
    X509 *first = ok ? NULL : first_of(file);
    if (ok) describe(out, pair.leaf);
    else if (first) describe(out, first);
    if (!ok) json_object_set_new(out, "error", change_answer_text(slice_str(err.text)));
    if (ok && facts.warning[0]) json_object_set_new(out, "warning", change_answer_text(slice_str(facts.warning)));
    if (facts.hint[0]) json_object_set_new(out, "hint", change_answer_text(slice_str(facts.hint)));
    X509_free(first);
    tls_pair_deinit(&pair);
    json_array_append_new(all, out);
}

/* Of a file with authorities: the one that ends first. */
static void add_authority(json_t *all, const char *option, const char *file)
{
    BIO *bio = file && *file ? tls_open_file(file) : NULL;
    X509 *cert, *soonest = NULL;
    if (!file || !*file) return;
    json_t *out = begin(option, file);
    for (unsigned n = 0; bio && n < AUTHORITIES_MAX && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++) {
        bool sooner = !soonest || ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(soonest)) < 0;
        X509_free(sooner ? soonest : cert);
        if (sooner) soonest = cert;
    }
    if (soonest) describe(out, soonest);
    else json_object_set_new(out, "error", json_string("no certificate can be read from it"));
    if (soonest && X509_cmp_current_time(X509_get0_notAfter(soonest)) < 0)
        json_object_set_new(out, "error", json_string("it has expired"));
    json_object_set_new(out, "authority", json_true());
    X509_free(soonest);
    BIO_free(bio);
    json_array_append_new(all, out);
}

static void add_servers(json_t *all, const struct config *c)
{
    char option[80], made[4400], made_key[4400];
    const char *host[] = { c->hostname };
    if (*c->tls.certificate) add_pair(all, "tls.certificate", c->tls.certificate, c->tls.key, host, 1);
    else {
        snprintf(made, sizeof made, "%s/tls/certificate.pem", c->system.directory);
        snprintf(made_key, sizeof made_key, "%s/tls/key.pem", c->system.directory);
        add_pair(all, "tls.certificate", made, made_key, NULL, 0);
    }
    for (size_t i = 0; i < c->tls.certificate_n; i++) {
        const struct config_certificate *e = &c->tls.certificates[i];
        snprintf(option, sizeof option, "tls.certificates[%zu].certificate", i);
        add_pair(all, option, e->certificate, e->key, e->names, e->name_n);
    }
    if (c->web.certificate) add_pair(all, "web.certificate", c->web.certificate, c->web.key, NULL, 0);
    if (c->quarantine.digest.certificate)
        add_pair(all, "quarantine.digest.certificate", c->quarantine.digest.certificate, c->quarantine.digest.key,
                 NULL, 0);
}

json_t *answer_certificates(const struct config *c)
{
    char option[80];
    json_t *all = json_array();
    add_servers(all, c);
    for (size_t i = 0; i < c->listener_n; i++) {
        snprintf(option, sizeof option, "listeners[%zu].client_ca", i);
        add_authority(all, option, c->listeners[i].client_ca);
    }
    for (size_t i = 0; i < c->tls_policy_n; i++) {
        snprintf(option, sizeof option, "tls_policies[%zu].ca", i);
        add_authority(all, option, c->tls_policies[i].ca);
    }
    if (c->smarthost.host) add_authority(all, "smarthost.ca", c->smarthost.ca);
    return all;
}
