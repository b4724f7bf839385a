/* SPDX-License-Identifier: Apache-2.0
 * SASL as a client (RFC 4422): how the auth process proves to a next hop who we are. Everything here is called by a pool thread and may
 * block: on files, and for up to TOKEN_TIME_MAX ms on a token's command or endpoint. One exchange belongs to one thread at a time; any
 * number may be under way. */
#ifndef POSTERN_AUTH_CLIENT_H
#define POSTERN_AUTH_CLIENT_H
#include "auth/auth.h"
#include "base/buf.h"
#include "config/config.h"

struct auth_client;

/* What comes of a step. `data` is buf_deinit'ed by the caller at the end (auth_reply_deinit wipes it); a reply is used for one step after
 * another and zeroed before the first. */
struct auth_reply {
    enum auth_outcome outcome; /* AUTH_CONTINUE, AUTH_OK (of auth_client_end only), AUTH_FAILED, AUTH_TEMPFAIL */
    struct buf data;           /* AUTH_CONTINUE: the response, raw */
    bool has_data;             /* first step: an initial response goes with the AUTH command, perhaps an empty one */
    const char *mechanism;     /* first step: the one chosen, a constant */
    char reason[200];          /* of the failures: one clause, printable, without secrets */
};
void auth_reply_deinit(struct auth_reply *r);

/* Chooses a mechanism from `mechanisms` (as the server listed them, separated by blanks) and makes the initial response. hop stays valid
 * until the end and has auth.user. host: the server's name, for DIGEST-MD5 and OAUTHBEARER. binding: tls-exporter (RFC 9266), 32 bytes, or
 * empty. NULL with AUTH_FAILED (nothing in common) or AUTH_TEMPFAIL (secret not to be had) in *out. */
struct auth_client *auth_client_new(const struct config *c, const struct config_hop *hop, struct slice mechanisms, const char *host,
                                    uint16_t port, bool tls, struct slice binding, struct auth_reply *out);
/* The server's challenge, decoded. After any outcome but AUTH_CONTINUE only auth_client_cancel is left to call. */
void auth_client_next(struct auth_client *a, struct slice data, struct auth_reply *out);
/* The server said yes (235) or no (535: a token is not used again). AUTH_OK only if success and the server has proven that it knows the
 * secret, where the mechanism lets it. Wipes and frees, clears the pointer; NULL is fine. Does not block. */
void auth_client_end(struct auth_client **a, bool success, struct auth_reply *out);
/* It is given up for another reason. */
void auth_client_cancel(struct auth_client **a);

#endif
