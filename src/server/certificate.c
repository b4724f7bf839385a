/* SPDX-License-Identifier: Apache-2.0
 * The certificate a client showed, for the log. */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include "server/session.h"

#define SUBJECT_MAX 200

static void add_subject(const X509 *certificate, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    if (!bio) return;
    if (X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(bio, &p);
        buf_add(out, slice_sub(slice_of(p, n > 0 ? (size_t)n : 0), 0, SUBJECT_MAX));
    }
    BIO_free(bio);
}

struct slice session_certificate(const struct session *s, struct arena *arena)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct slice out = { 0 };
    const SSL *ssl = s->listener->client_certificate == CONFIG_CLIENT_CERT_NONE ? NULL : stream_ssl(s->stream);
    X509 *certificate = ssl && SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get1_peer_certificate(ssl) : NULL;
    if (!certificate) return out;
    struct buf b = { 0 };
    add_subject(certificate, &b);
    if (X509_digest(certificate, EVP_sha256(), digest, &n)) {
        buf_add_str(&b, " sha256:");
        for (unsigned i = 0; i < n; i++) buf_addf(&b, "%02x", digest[i]);
    }
    out = arena_slice(arena, buf_slice(&b));
    buf_deinit(&b);
    X509_free(certificate);
    return out;
}
