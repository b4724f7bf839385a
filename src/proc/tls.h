/* SPDX-License-Identifier: Apache-2.0
 * Certificates and TLS contexts, loaded while we may still read the key. */
#ifndef POSTERN_PROC_TLS_H
#define POSTERN_PROC_TLS_H
#include "base/err.h"

struct ssl_ctx_st;

/* From here on OpenSSL's memory is wiped when it is freed: no copies of a key are left for a process forked later.
 * Before any other use of OpenSSL. */
void tls_wipe_what_is_freed(void);
/* A self-signed certificate for hostname in dir (certificate.pem, key.pem: mode 0600), made when there is none, when it
 * is for another name or about to end. */
bool tls_self_signed(const char *dir, const char *hostname, struct err *err) MUST_CHECK;
/* min_version: 12 or 13. NULL with err when the files do not fit or cannot be read. */
struct ssl_ctx_st *tls_server_new(const char *certificate, const char *key, unsigned min_version,
                                  struct err *err) MUST_CHECK;
/* For opportunistic TLS: any certificate is better than none (RFC 7435). */
struct ssl_ctx_st *tls_client_new(struct err *err) MUST_CHECK;

#endif
