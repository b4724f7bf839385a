/* SPDX-License-Identifier: Apache-2.0
 * The certificates that a configuration names, checked before anything is built on them. */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include "config/report.h"
#include "net/tls_parts.h"

struct look {
    const struct config *c;
    struct slice text; /* of the configuration */
    struct config_report *report;
};

/* prefix: "tls.", "tls.certificates[2]." */
static void check_pair(const struct look *k, const char *prefix, const char *certificate, const char *key,
                       const char *const *names, size_t name_n, bool is_default)
{
    struct tls_certificate_facts facts = { 0 };
    struct tls_pair pair = { 0 };
    struct err err = { 0 };
    char option[80];
    bool ok = tls_pair_read(certificate, key, names, name_n, &pair, &facts, &err);
    snprintf(option, sizeof option, "%s%s", prefix, facts.key_at_fault ? "key" : "certificate");
    bool other = ok && is_default && !tls_pair_covers(&pair, k->c->hostname);
    struct config_place at = { 0 };
    if (!ok || other || facts.warning[0]) at = config_place_of(k->text, option); /* reads all of it */
    if (!ok && err.code == EACCES) report_warning(k->report, at, option, "the checks need to read it", "%s", err.text);
    else if (!ok) report_error(k->report, at, option, facts.hint, "%s", err.text);
    else if (facts.warning[0]) report_warning(k->report, at, option, facts.hint, "%s", facts.warning);
    if (other)
        report_warning(k->report, at, option,
                       "clients that verify look for the name in the MX record or their settings",
                       "the certificate of %s is not for %s (hostname)", certificate, k->c->hostname);
    tls_pair_deinit(&pair);
}

static void check_authority(const struct look *k, size_t listener)
{
    const char *file = k->c->listeners[listener].client_ca;
    char option[60];
    struct err err = { 0 };
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    snprintf(option, sizeof option, "listeners[%zu].client_ca", listener);
    if (ctx && SSL_CTX_load_verify_file(ctx, file) != 1) {
        struct config_place at = config_place_of(k->text, option);
        tls_err(&err, "reading certificates of", file);
        if (err.code == EACCES) report_warning(k->report, at, option, "the checks need to read it", "%s", err.text);
        else report_error(k->report, at, option, "a PEM file with the certificates of authorities", "%s", err.text);
    }
    ERR_clear_error();
    SSL_CTX_free(ctx);
}

bool tls_check(const struct config *c, struct slice text, struct config_report *report)
{
    const struct look k = { c, text, report };
    size_t before = report->errors;
    char prefix[60];
    if (*c->tls.certificate) check_pair(&k, "tls.", c->tls.certificate, c->tls.key, NULL, 0, true);
    for (size_t i = 0; i < c->tls.certificate_n; i++) {
        const struct config_certificate *e = &c->tls.certificates[i];
        snprintf(prefix, sizeof prefix, "tls.certificates[%zu].", i);
        check_pair(&k, prefix, e->certificate, e->key, e->names, e->name_n, false);
    }
    for (size_t i = 0; i < c->listener_n; i++)
        if (c->listeners[i].client_ca && c->listeners[i].client_certificate != CONFIG_CLIENT_CERT_NONE)
            check_authority(&k, i);
    report_sort(report);
    return report->errors == before;
}
