/* SPDX-License-Identifier: Apache-2.0
 * Authentication (RFC 4954, 4422), as a relay worker sees it: exchanges with the auth process, which alone knows passwords,
 * asks the back ends, and speaks SASL on both sides. A worker passes challenges and responses on. It asks directories for recipients,
 * too, as it may know a password for that. */
#ifndef POSTERN_AUTH_AUTH_H
#define POSTERN_AUTH_AUTH_H
#include "base/ip.h"
#include "base/slice.h"

#define AUTH_DATA_MAX 12288 /* bytes of one challenge or response, decoded (RFC 4954 §4) */

struct link;          /* of one worker to the auth process (base/link.h); exchanges fail with AUTH_TEMPFAIL when that goes */
struct auth_exchange; /* one authentication under way */

enum auth_outcome {
    AUTH_CONTINUE, /* server: send `data` as a challenge. client: send `data` as the next response */
    AUTH_OK,       /* server: it is `account`. client: nothing more to send (data is empty) */
    AUTH_FAILED,   /* server: 535. client: the server cannot be believed, or no common mechanism: `reason` */
    AUTH_TEMPFAIL, /* server: 454. client: try later (no token, the auth process is gone ...): `reason` */
    AUTH_BRAKED,   /* server: too many failures of this client or account: 454 4.7.0, the client is better hung up on */
};

struct auth_answer {
    enum auth_outcome outcome;
    struct slice data;         /* raw, not base64; empty: none */
    bool has_data;             /* client: an initial response is sent, perhaps an empty one */
    const char *mechanism;     /* client, first answer: the one chosen */
    struct slice account;      /* server: AUTH_OK: who it is, at most 255 bytes; else the name it tried, if that is known, for logs */
    const struct slice *senders; /* server, AUTH_OK: addresses the account may use, "@domain" for all of one; */
    size_t sender_n;           /* none and !any_sender: only the account's own name, if that is an address */
    bool any_sender;
    const char *reason;        /* of the others: one clause for logs, printable, without secrets; never NULL */
};
/* Comes from the loop, never before the starter or auth_step returned; slices are valid within. After any outcome but
 * AUTH_CONTINUE the exchange is gone. */
typedef void auth_cb(void *arg, const struct auth_answer *a);

/* ---- a client authenticates to us */
struct auth_server_request {
    struct slice mechanism;    /* as the client wrote it; must be one that is offered */
    bool has_initial;
    struct slice initial;      /* decoded; may be empty */
    struct ip client;
    bool tls;
    struct slice binding;      /* tls-exporter channel binding (RFC 9266), 32 bytes; empty: none */
};
struct auth_exchange *auth_server_start(struct link *l, const struct auth_server_request *r, auth_cb *cb, void *arg);

/* ---- we authenticate to a next hop */
struct auth_client_request {
    int hop;                   /* config_hop.id: whose credentials */
    struct slice mechanisms;   /* as the server listed them, separated by blanks; at most 1000 bytes */
    const char *host;          /* for DIGEST-MD5's digest-uri and OAUTHBEARER */
    uint16_t port;
    bool tls;                  /* without it no mechanism that shows the password */
    struct slice binding;
};
struct auth_exchange *auth_client_start(struct link *l, const struct auth_client_request *r, auth_cb *cb, void *arg);
/* The server said yes (235) or no (535): server signatures are checked, a refused token is fetched anew next time. After success the
 * callback still comes, with AUTH_OK or, when the server could not prove itself, AUTH_FAILED. */
void auth_client_done(struct auth_exchange *e, bool success);

/* ---- does a recipient exist? */
/* Asks the directory of config->domains[domain] (recipients.ldap); address: local@domain, the domain as A-labels. AUTH_OK: it has an
 * entry; AUTH_FAILED: it has none; AUTH_TEMPFAIL: it could not be asked. */
struct auth_exchange *auth_recipient_start(struct link *l, size_t domain, struct slice address, auth_cb *cb, void *arg);

/* ---- all of them */
void auth_step(struct auth_exchange *e, struct slice data); /* what the other side sent, decoded */
void auth_cancel(struct auth_exchange **e);                 /* clears the pointer; no callback after; NULL is fine */

#endif
