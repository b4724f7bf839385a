/* SPDX-License-Identifier: Apache-2.0
 * The certificate we make for ourselves. */
#ifndef POSTERN_PROC_TLS_H
#define POSTERN_PROC_TLS_H
#include "base/err.h"

/* From here on OpenSSL's memory is wiped when it is freed: no copies of a key are left for a process forked later.
 * Before any other use of OpenSSL. */
void tls_wipe_what_is_freed(void);
/* A self-signed certificate for hostname in dir (certificate.pem, key.pem: mode 0600), made when there is none, when it
 * is for another name or about to end. */
bool tls_self_signed(const char *dir, const char *hostname, struct err *err) MUST_CHECK;

#endif
