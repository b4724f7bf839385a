/* SPDX-License-Identifier: Apache-2.0
 * The inside of SASL as a client: one file chooses the mechanism, one fetches the secret, one for libgsasl's mechanisms, one for those
 * that carry a token. */
#ifndef POSTERN_AUTH_CLIENT_INTERNAL_H
#define POSTERN_AUTH_CLIENT_INTERNAL_H
#include "auth/client.h"

#define SECRET_MAX 1024      /* of a password */
#define ITERATIONS_MIN 4096  /* RFC 7677 §4 */
#define ITERATIONS_MAX 600000 /* more would let a server burn our time */

struct Gsasl;
struct Gsasl_session;

enum mechanism_needs {
    NEEDS_PASSWORD = 1,
    NEEDS_TOKEN = 2,
    NEEDS_TLS = 4,           /* shows the secret to whoever listens */
    NEEDS_BINDING = 8,
    CLIENT_FIRST = 16,       /* has an initial response */
    PROVES_SERVER = 32,      /* the server must show that it knows the secret, too */
};
struct mechanism {
    const char *name;
    enum config_sasl bit;
    unsigned flags;          /* enum mechanism_needs */
    size_t challenge_max;
};

struct auth_client {
    const struct config_hop *hop;
    const struct mechanism *m;
    struct Gsasl *gsasl;     /* client_gsasl.c */
    struct Gsasl_session *session;
    struct buf token;        /* client_token.c */
    const char *host;        /* a copy */
    uint16_t port;
    unsigned steps;
    bool done;               /* our part is said, and the server has proven what it must */
};

/* All mechanisms, strongest first; ends with name NULL. */
extern const struct mechanism auth_mechanisms[];
/* The strongest of hop's that the server lists and that can be used; NULL with a reason that names both lists. */
bool auth_mechanism_listed(struct slice offered, const char *name);
const struct mechanism *auth_mechanism_choose(const struct config_hop *hop, struct slice offered, bool tls, bool binding, char reason[200]);

/* The password, into an empty buffer; the caller wipes it. False: reason. Blocks on a file. */
bool auth_secret_password(const struct config_hop *hop, struct buf *out, char reason[200]) MUST_CHECK;
/* The first line of a file without its end, at most max bytes; warns of one that others may read. */
bool auth_secret_file(const char *path, size_t max, struct buf *out, char reason[200]) MUST_CHECK;

/* Each: true: out->data is the next response. False: reason. in.p NULL: the initial response. */
bool auth_gsasl_start(struct auth_client *a, struct slice binding, char reason[200]) MUST_CHECK;
bool auth_gsasl_step(struct auth_client *a, struct slice in, struct buf *out, char reason[200]) MUST_CHECK;
void auth_gsasl_end(struct auth_client *a);
bool auth_token_start(struct auth_client *a, const struct config *c, char reason[200]) MUST_CHECK;
bool auth_token_step(struct auth_client *a, struct slice in, struct buf *out, char reason[200]) MUST_CHECK;
void auth_token_result(struct auth_client *a, bool success); /* the server's */
void auth_token_end(struct auth_client *a);

/* "r=...,s=...,i=..." (RFC 5802 §7): is the number of iterations one we are ready to do? */
bool auth_scram_acceptable(struct slice server_first, char reason[200]) MUST_CHECK;

#endif
