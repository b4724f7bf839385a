/* SPDX-License-Identifier: Apache-2.0
 * The certificate a relay makes for itself so that STARTTLS works from the first minute. */
#include "proc/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_parts.h"

#define LIFE_DAYS 3650
#define RENEW_DAYS 30

/* ---- what is freed is wiped */

static void *plain_alloc(size_t n, const char *file, int line)
{
    return malloc(n);
}

static void wipe_free(void *p, const char *file, int line)
{
    if (p) mem_wipe(p, malloc_usable_size(p));
    free(p);
}

static void *wipe_realloc(void *p, size_t n, const char *file, int line)
{
    size_t old = p ? malloc_usable_size(p) : 0;
    void *q = n ? malloc(n) : NULL;
    if (n && !q) return NULL;
    if (q && p) memcpy(q, p, old < n ? old : n);
    wipe_free(p, file, line);
    return q;
}

void tls_wipe_what_is_freed(void)
{
    if (CRYPTO_set_mem_functions(plain_alloc, wipe_realloc, wipe_free) != 1)
        log_event(LOG_WARNING, "no-wiping", LOG_STR("reason", "OpenSSL is in use already"));
}

static bool add_name(X509 *cert, const char *hostname)
{
    char san[300];
    snprintf(san, sizeof san, "DNS:%.255s", hostname);
    X509_NAME *name = X509_get_subject_name(cert);
    /* a common name is at most 64 bytes; the alternative name is what counts (RFC 6125 §6.4.4) */
    if (strlen(hostname) <= 64 &&
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)hostname, -1, -1, 0))
        return false;
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1 && X509_set_issuer_name(cert, name) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static X509 *make_certificate(EVP_PKEY *key, const char *hostname)
{
    unsigned char serial[16] = { 0 };
    X509 *cert = X509_new();
    BIGNUM *number = NULL;
    bool ok = cert && RAND_bytes(serial, sizeof serial) == 1;
    serial[0] &= 0x7f; /* RFC 5280 §4.1.2.2: positive */
    ok = ok && (number = BN_bin2bn(serial, sizeof serial, NULL)) &&
         BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) && X509_set_version(cert, X509_VERSION_3) &&
         X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
         X509_time_adj_ex(X509_getm_notAfter(cert), LIFE_DAYS, 0, NULL) && X509_set_pubkey(cert, key) &&
         add_name(cert, hostname) && X509_sign(cert, key, EVP_sha256());
    BN_free(number);
    if (ok) return cert;
    X509_free(cert);
    return NULL;
}

/* Written under another name and renamed, so that a half-written one is never found. */
static bool write_pem(const char *path, EVP_PKEY *key, X509 *cert, struct err *err)
{
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    (void)unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        if (fd >= 0) close(fd);
        return err_sys(err, errno, "making %.200s", temporary);
    }
    setbuf(f, NULL); /* no copy of the key in a buffer that is not wiped */
    bool ok = key ? PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 : PEM_write_X509(f, cert) == 1;
    if (!ok) tls_err(err, "writing", temporary);
    if (ok && (fflush(f) != 0 || fsync(fileno(f)) != 0)) ok = err_sys(err, errno, "writing %.200s", temporary);
    fclose(f);
    if (ok && rename(temporary, path) != 0) ok = err_sys(err, errno, "renaming %.200s", temporary);
    if (!ok) (void)unlink(temporary);
    return ok;
}

static bool still_good(const char *certificate, const char *key, const char *hostname)
{
    FILE *f = fopen(certificate, "re");
    if (!f) return false;
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    time_t soon = time(NULL) + RENEW_DAYS * 86400L;
    bool good = cert && access(key, R_OK) == 0 && X509_check_host(cert, hostname, 0, 0, NULL) == 1 &&
                X509_cmp_time(X509_get0_notAfter(cert), &soon) > 0;
    X509_free(cert);
    ERR_clear_error();
    return good;
}

bool tls_self_signed(const char *dir, const char *hostname, struct err *err)
{
    char certificate[4200], key_file[4200];
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    if (still_good(certificate, key_file, hostname)) return true;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? make_certificate(key, hostname) : NULL;
    bool ok = cert ? write_pem(key_file, key, NULL, err) && write_pem(certificate, NULL, cert, err)
                   : tls_err(err, "making a certificate for", hostname);
    X509_free(cert);
    EVP_PKEY_free(key);
    if (ok) log_event(LOG_INFO, "certificate-made", LOG_STR("file", certificate), LOG_STR("name", hostname));
    return ok;
}
