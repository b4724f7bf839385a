/* SPDX-License-Identifier: Apache-2.0
 * Who asks: known before a request is served, and what he may do. */
#ifndef POSTERN_ADMIN_IDENTITY_H
#define POSTERN_ADMIN_IDENTITY_H
#include <jansson.h>
#include "admin/routes.h"

#define ACCOUNT_NAME_MAX 64

enum via { VIA_NOBODY, VIA_SOCKET, VIA_SESSION, VIA_TOKEN };
struct identity {
    enum via via;
    char name[ACCOUNT_NAME_MAX + 1]; /* of the account; of the control socket "uid 0"; "": nobody */
    char address[64];                /* the client's IP address; "" : the control socket */
    enum role role;
    uint32_t rights;                 /* of the role; of a token at most its scopes */
    int64_t account, session;        /* rows of the database of accounts; 0: none */
    char csrf[44];                   /* of a session: what X-Postern-CSRF must be; "": no session */
    const char *why;                 /* why rights are fewer than those of the role: a text for people; NULL: they are not */
    json_t *addresses;               /* mail addresses of the account (own quarantine), an array, or NULL; freed with the request */
};

#endif
