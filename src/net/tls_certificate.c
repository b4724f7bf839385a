/* SPDX-License-Identifier: Apache-2.0
 * A certificate with its chain and key: read, and checked before anybody sees it. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "net/tls_parts.h"

#define FILE_MAX (256 * 1024)
#define CHAIN_MAX 20
#define SOON_DAYS 14
#define RSA_GOOD_BITS 2048
#define RSA_LEAST_BITS 1024 /* below that OpenSSL takes none */
#define NAMES_SHOWN 3

#define HINT_CHAIN "the file must hold the relay's certificate first, then the one that signed it, and so on up"

/* One check under way. */
struct check {
    const char *file, *key_file;
    struct tls_pair *pair;
    struct tls_certificate_facts *facts;
    struct err *err;
};

bool tls_err(struct err *err, const char *doing, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (code && ERR_SYSTEM_ERROR(code)) err_set_sys(err, ERR_GET_REASON(code), "%s %.200s", doing, file);
    else err_set_text(err, "%s %.200s: %s", doing, file, reason ? reason : "unknown error");
    ERR_clear_error();
    return false;
}

static bool hint(const struct check *k, const char *how)
{
    snprintf(k->facts->hint, sizeof k->facts->hint, "%s", how);
    return false;
}

__attribute__((format(printf, 3, 4))) static void warn(const struct check *k, const char *how, const char *fmt, ...)
{
    char text[200];
    char *at = k->facts->warning;
    size_t n = strlen(at);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(at + n, sizeof k->facts->warning - n, "%s%s", n ? "; " : "", text);
    if (!k->facts->hint[0]) (void)hint(k, how);
}

/* ---- words */

static time_t time_of(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static const char *date_text(time_t t, char out[16])
{
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm)) snprintf(out, 16, "?");
    return out;
}

struct names_text {
    struct buf text;
    unsigned n;
};

static void add_name_text(void *arg, const char *name)
{
    struct names_text *t = arg;
    if (t->n++ < NAMES_SHOWN) buf_addf(&t->text, "%s%s", t->n > 1 ? ", " : "", name);
}

/* "mx.example.org, *.example.net", shortened */
static void names_text(const X509 *cert, char *out, size_t room)
{
    struct names_text t = { 0 };
    tls_cert_names(cert, add_name_text, &t);
    if (t.n > NAMES_SHOWN) buf_addf(&t.text, " and %u more", t.n - NAMES_SHOWN);
    snprintf(out, room, "%s", t.n ? buf_cstr(&t.text) : "no name at all");
    buf_deinit(&t.text);
}

static bool check_names(const struct check *k, const char *const *names, size_t n)
{
    char has[300];
    for (size_t i = 0; i < n; i++) {
        if (tls_pair_covers(k->pair, names[i])) continue;
        names_text(k->pair->leaf, has, sizeof has);
        err_set_text(k->err, "the certificate of %.120s is for %.140s, not for %.80s", k->file, has, names[i]);
        return hint(k, "take a certificate that has this name, too, or do not name it here");
    }
    return true;
}

/* ---- reading */

/* A daemon cannot be asked: an encrypted key fails instead of prompting. */
static int no_passphrase(char *out, int n, int writing, void *arg) { return -1; }

/* By way of memory that is wiped, unlike the buffers of stdio: even a certificate's file may hold the key, too. */
static BIO *read_file(const struct check *k, const char *file, char *text)
{
    ssize_t n = 0, got = 0;
    int fd = io_open_file(file, k->err);
    if (fd < 0) return NULL;
    while (n < FILE_MAX && (got = read(fd, text + n, (size_t)(FILE_MAX - n))) > 0) n += got;
    int code = errno;
    close(fd);
    if (got < 0) err_set_sys(k->err, code, "reading %.200s", file);
    else if (n == FILE_MAX) err_set_text(k->err, "%.200s is larger than %d bytes", file, FILE_MAX - 1);
    else return BIO_new_mem_buf(text, (int)n);
    return NULL;
}

BIO *tls_open_file(const char *path)
{
    struct err err;
    int fd = io_open_file(path, &err);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    BIO *bio = f ? BIO_new_fp(f, BIO_CLOSE) : NULL;
    if (!bio && f) fclose(f);
    else if (!f && fd >= 0) close(fd);
    return bio;
}

static bool read_certificates(const struct check *k, BIO *bio)
{
    X509 *cert;
    ERR_clear_error();
    k->pair->chain = sk_X509_new_null();
    while (sk_X509_num(k->pair->chain) < CHAIN_MAX && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        if (!k->pair->leaf) k->pair->leaf = cert;
        else sk_X509_push(k->pair->chain, cert);
    }
    unsigned long code = ERR_peek_last_error();
    bool end = !code || (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
    if (!end) {
        tls_err(k->err, "reading a certificate of", k->file);
        return hint(k, "it must be PEM: openssl x509 -in FILE -text shows what is in it");
    }
    ERR_clear_error();
    if (k->pair->leaf) return true;
    err_set_text(k->err, "there is no certificate in %.200s", k->file);
    return hint(k, "it must be PEM: lines between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----");
}

static bool read_key(const struct check *k, BIO *bio)
{
    char *text;
    size_t n = (size_t)BIO_get_mem_data(bio, &text);
    bool there = memmem(text, n, "PRIVATE KEY-----", 16), locked = memmem(text, n, "ENCRYPTED", 9);
    ERR_clear_error();
    k->pair->key = there ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (k->pair->key) return true;
    if (!there) {
        err_set_text(k->err, "there is no private key in %.200s", k->key_file);
        (void)hint(k, "it must be PEM: lines between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----");
    } else if (locked) {
        err_set_text(k->err, "the key of %.200s is encrypted", k->key_file);
        (void)hint(k, "nobody can be asked for its passphrase: openssl pkey -in FILE -out NEW takes it off");
    } else {
        tls_err(k->err, "reading the key of", k->key_file);
    }
    ERR_clear_error();
    return false;
}

static bool read_pair(const struct check *k)
{
    char *text = mem_alloc(FILE_MAX);
    BIO *bio = read_file(k, k->file, text);
    bool ok = bio && read_certificates(k, bio);
    BIO_free(bio);
    if (ok) {
        k->facts->key_at_fault = true;
        bio = read_file(k, k->key_file, text);
        ok = bio && read_key(k, bio);
        BIO_free(bio);
    }
    if (ok) k->facts->key_at_fault = false;
    mem_wipe(text, FILE_MAX);
    free(text);
    return ok;
}

/* ---- the rest of the checks */

static bool check_key(const struct check *k)
{
    const struct tls_pair *p = k->pair;
    bool fits = X509_check_private_key(p->leaf, p->key) == 1;
    int bits = EVP_PKEY_get_bits(p->key);
    for (int i = 0; !fits && i < sk_X509_num(p->chain); i++) {
        if (X509_check_private_key(sk_X509_value(p->chain, i), p->key) != 1) continue;
        ERR_clear_error();
        err_set_text(k->err, "the certificates of %.200s are in the wrong order: the one of the key is number %d",
                     k->file, i + 2);
        return hint(k, HINT_CHAIN);
    }
    ERR_clear_error();
    if (!fits) {
        k->facts->key_at_fault = true;
        err_set_text(k->err, "the key of %.150s belongs to another certificate than that of %.150s", k->key_file,
                     k->file);
        return hint(k, "name the key that the certificate was asked for with");
    }
    if (EVP_PKEY_is_a(p->key, "RSA") && bits < RSA_GOOD_BITS) {
        if (bits < RSA_LEAST_BITS) {
            err_set_text(k->err, "the key of %.200s has %d bits only", k->key_file, bits);
            return hint(k, "make a new one with 2048 bits or more, and a certificate for it");
        }
        k->facts->weak = true;
        warn(k, "make a new key with 2048 bits or more, and a certificate for it",
             "the key of %.80s is weak: RSA with %d bits", k->key_file, bits);
    }
    return true;
}

/* SHA-1 and MD5 can be forged; who signs himself signs nothing. */
static bool check_signature(const struct check *k, X509 *cert)
{
    int digest = NID_undef;
    char name[100];
    if (X509_self_signed(cert, 0) == 1) return true;
    if (X509_get_signature_info(cert, &digest, NULL, NULL, NULL) != 1 ||
        (digest != NID_sha1 && digest != NID_md5 && digest != NID_md5_sha1))
        return true;
    tls_name_text(X509_get_subject_name(cert), name, sizeof name);
    err_set_text(k->err, "the certificate %.100s of %.150s is signed with %s, which is not safe", name, k->file,
                 OBJ_nid2sn(digest));
    return hint(k, "ask the authority for a new one");
}

static bool check_dates(const struct check *k, X509 *cert, time_t now)
{
    char name[100], date[16];
    time_t begin = time_of(X509_get0_notBefore(cert)), end = time_of(X509_get0_notAfter(cert));
    tls_name_text(X509_get_subject_name(cert), name, sizeof name);
    if (begin > now) {
        err_set_text(k->err, "the certificate %.100s of %.150s is not valid before %s", name, k->file,
                     date_text(begin, date));
        return hint(k, "is the clock of this machine right?");
    }
    if (end < now) {
        err_set_text(k->err, "the certificate %.100s of %.150s has expired on %s", name, k->file, date_text(end, date));
        return hint(k, "put a renewed one in its place");
    }
    if (end - now < SOON_DAYS * 86400L)
        warn(k, "have it renewed", "the certificate %.60s of %.80s expires on %s", name, k->file, date_text(end, date));
    return true;
}

static bool is_signed_by(X509 *cert, X509 *issuer)
{
    bool by = X509_check_issued(issuer, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return by;
}

/* The last certificate of the file: does it end at an authority that this system knows? */
static void check_top(const struct check *k, X509 *top)
{
    char name[100];
    X509 *found = NULL;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (store && ctx && X509_STORE_set_default_paths(store) == 1 && X509_STORE_CTX_init(ctx, store, top, NULL) == 1 &&
        X509_STORE_CTX_get1_issuer(&found, ctx, top) != 1) {
        tls_name_text(X509_get_issuer_name(top), name, sizeof name);
        warn(k, "add the certificates between yours and the authority's to the file, unless the authority is your own",
             "%.80s does not hold %.60s, which signed its last certificate, nor is that a known authority", k->file,
             name);
    }
    X509_free(found);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
}

static bool check_chain(const struct check *k)
{
    char name[100];
    X509 *cert = k->pair->leaf;
    time_t now = time(NULL);
    k->facts->self_signed = X509_self_signed(cert, 1) == 1;
    if (!check_dates(k, cert, now) || !check_signature(k, cert)) return false;
    for (int i = 0; i < sk_X509_num(k->pair->chain); i++) {
        X509 *issuer = sk_X509_value(k->pair->chain, i);
        if (!is_signed_by(cert, issuer)) {
            tls_name_text(X509_get_issuer_name(cert), name, sizeof name);
            err_set_text(
                k->err,
                "%.150s: the intermediate certificate is missing or in the wrong order: number %d must be %.100s, "
                "which signed number %d",
                k->file, i + 2, name, i + 1);
            return hint(k, HINT_CHAIN);
        }
        if (!check_dates(k, issuer, now) || !check_signature(k, issuer)) return false;
        cert = issuer;
    }
    if (k->facts->self_signed)
        warn(k, "fine between servers that do not ask who they talk to; others need one of an authority",
             "the certificate of %.100s is signed by itself", k->file);
    else if (X509_self_signed(cert, 0) != 1) check_top(k, cert);
    if (X509_check_purpose(k->pair->leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
        warn(k, "ask for one with the extended key usage serverAuth",
             "the certificate of %.100s is not meant for servers", k->file);
    ERR_clear_error();
    return true;
}

bool tls_pair_read(const char *certificate, const char *key, const char *const *names, size_t name_n,
                   struct tls_pair *pair, struct tls_certificate_facts *facts, struct err *err)
{
    struct check k = { certificate, key && *key ? key : certificate, pair, facts, err };
    *pair = (struct tls_pair){ 0 };
    *facts = (struct tls_certificate_facts){ 0 };
    bool ok = read_pair(&k) && check_key(&k) && check_chain(&k) && check_names(&k, names, name_n);
    if (!ok) facts->warning[0] = '\0'; /* the hint is the error's */
    return ok;
}

void tls_pair_deinit(struct tls_pair *p)
{
    X509_free(p->leaf);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    *p = (struct tls_pair){ 0 };
}
