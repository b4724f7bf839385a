/* SPDX-License-Identifier: Apache-2.0
 * TLS as a server: certificates and their contexts. */
#include "net/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"

#define KEY_FILE_MAX 65536 /* it may hold the chain, too */

struct tls_server {
    SSL_CTX *ctx;
};

/* The newest of OpenSSL's errors in words; the queue is emptied. */
static bool err_tls(struct err *err, const char *doing, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (code && ERR_SYSTEM_ERROR(code)) err_sys(err, ERR_GET_REASON(code), "%s %.200s", doing, file);
    else err_set(err, "%s %.200s: %s", doing, file, reason ? reason : "unknown error");
    ERR_clear_error();
    return false;
}

/* A daemon cannot be asked: an encrypted key fails instead of prompting. */
static int no_passphrase(char *out, int n, int writing, void *arg)
{
    return -1;
}

static SSL_CTX *context_new(const SSL_METHOD *method, unsigned min_version)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx) return NULL;
    SSL_CTX_set_min_proto_version(ctx, min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    return ctx;
}

/* The file by way of a buffer that is wiped, unlike those of stdio. */
static EVP_PKEY *read_key(const char *file, struct err *err)
{
    char text[KEY_FILE_MAX];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    int code = errno;
    if (fd >= 0) close(fd);
    if (n < 0) {
        err_sys(err, code, "tls.key: reading %.200s", file);
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(text, (int)n);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    mem_wipe(text, sizeof text);
    if (!key) err_tls(err, "tls.key: reading", file);
    return key;
}

static bool use_key(SSL_CTX *ctx, const char *file, struct err *err)
{
    EVP_PKEY *key = read_key(file, err);
    bool ok = key && (SSL_CTX_use_PrivateKey(ctx, key) == 1 || err_tls(err, "tls.key: using", file));
    EVP_PKEY_free(key);
    return ok;
}

static SSL_CTX *server_context(const char *certificate, const char *key, unsigned min_version, struct err *err)
{
    SSL_CTX *ctx = context_new(TLS_server_method(), min_version);
    if (!ctx) {
        err_tls(err, "TLS", "");
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    bool ok = SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!SHA1:!DSS") == 1 ||
              err_tls(err, "TLS ciphers", "");
    if (ok && SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        ok = err_tls(err, "tls.certificate: reading", certificate);
    ok = ok && use_key(ctx, key, err);
    if (ok && SSL_CTX_check_private_key(ctx) != 1)
        ok = err_tls(err, "tls.key: the key does not belong to", certificate);
    if (ok) return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

struct tls_server *tls_server_new(const struct config *c, const char *self_signed, struct tls_tickets *tickets,
                                  struct err *err)
{
    char certificate[4300], key[4300];
    snprintf(certificate, sizeof certificate, "%s", c->tls.certificate);
    snprintf(key, sizeof key, "%s", *c->tls.key ? c->tls.key : c->tls.certificate); /* both may be in one file */
    if (!*c->tls.certificate) {
        snprintf(certificate, sizeof certificate, "%s/certificate.pem", self_signed);
        snprintf(key, sizeof key, "%s/key.pem", self_signed);
    }
    SSL_CTX *ctx = server_context(certificate, key, c->tls.min_version, err);
    if (!ctx) return NULL;
    struct tls_server *t = mem_new(struct tls_server);
    t->ctx = ctx;
    return t;
}

struct ssl_ctx_st *tls_server_context(const struct tls_server *t, const struct config_listener *l,
                                      const struct config_zone *z)
{
    return t->ctx;
}

void tls_server_free(struct tls_server *t)
{
    if (!t) return;
    SSL_CTX_free(t->ctx);
    free(t);
}
