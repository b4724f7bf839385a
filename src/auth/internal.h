/* SPDX-License-Identifier: Apache-2.0
 * What the files of the auth process share: the brake, server mechanisms, back ends. Nobody outside src/auth includes this. */
#ifndef POSTERN_AUTH_INTERNAL_H
#define POSTERN_AUTH_INTERNAL_H
#include <openssl/types.h>
#include "auth/auth.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "config/config.h"

#define AUTH_NAME_MAX 255      /* bytes of a user's name */
#define AUTH_PASSWORD_MAX 1024

/* ---- outcomes of a back end or a mechanism */
struct auth_verdict {
    enum auth_outcome outcome;
    char account[AUTH_NAME_MAX + 1]; /* AUTH_OK: the canonical name */
    struct buf senders;              /* AUTH_OK: each with a NUL behind it */
    bool any_sender;
    char reason[200];                /* of the others: printable, no secrets */
};
void auth_verdict_deinit(struct auth_verdict *v);
void auth_verdict_add_sender(struct auth_verdict *v, struct slice address);
/* Sets outcome and reason. */
void auth_verdict_set(struct auth_verdict *v, enum auth_outcome outcome, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- brake.c: who failed too often. Any thread. */
struct brake;
struct brake *brake_new(uint32_t failures, uint64_t window, uint64_t block, size_t entries_max);
void brake_free(struct brake *b);
/* May this client try (name: empty: not known yet)? An account under attack stays open to clients that it was used from lately. */
bool brake_allows(struct brake *b, const struct ip *client, struct slice name, uint64_t now);
/* One more failure; the ms by which to delay the answer. */
uint64_t brake_failed(struct brake *b, const struct ip *client, struct slice name, uint64_t now);
void brake_succeeded(struct brake *b, const struct ip *client, struct slice name, uint64_t now);

/* ---- dial.c: a connection of a back end, blocking until a deadline */
struct dial {
    int fd;
    SSL *ssl;                /* NULL: plain */
    uint64_t deadline;       /* monotonic ms */
    struct buf in;           /* the last line and what came behind it */
    size_t taken;            /* bytes of that line */
    size_t total;            /* bytes that came */
    bool loopback;
};
bool dial_tcp(struct dial *d, const char *host, uint16_t port, uint64_t deadline, struct err *err) MUST_CHECK;
bool dial_unix(struct dial *d, const char *path, uint64_t deadline, struct err *err) MUST_CHECK;
/* A client context; ca: PEM file or folder, "" or NULL: the system's. */
SSL_CTX *dial_context(const char *ca, bool verify, struct err *err) MUST_CHECK;
bool dial_tls(struct dial *d, SSL_CTX *ctx, const char *host, struct err *err) MUST_CHECK;
bool dial_write(struct dial *d, struct slice bytes, struct err *err) MUST_CHECK;
/* One line without its end (CRLF or LF), valid until the next call; at most 16384 bytes, 128 KiB of all lines together. */
bool dial_line(struct dial *d, struct slice *line, struct err *err) MUST_CHECK;
void dial_close(struct dial *d);

/* ---- users.c, user_line.c: the users file. Any thread. */
struct users;
#define SCRAM_KEY 32 /* SHA-256 */
struct scram_secret {
    uint32_t iterations;
    unsigned char salt[64];
    size_t salt_n;
    unsigned char stored[SCRAM_KEY], server[SCRAM_KEY];
};
struct cram_secret {         /* RFC 2195: MD5's state after the key's block, inner and outer */
    unsigned char inner[16], outer[16];
};
struct user {
    char name[AUTH_NAME_MAX + 1];
    char hash[256];          /* crypt(5) */
    bool has_scram, has_cram;
    struct scram_secret scram;
    struct cram_secret cram;
    struct slice addresses;  /* separated by commas; into the text of the file */
};
bool user_name_ok(struct slice name); /* can it stand in the file? */
/* One line of the file, without its end. False with err: what is wrong with it. */
bool user_parse(struct slice line, struct user *out, struct err *err) MUST_CHECK;
void user_format(const struct user *u, struct buf *out);
void user_format_secret(const struct user *u, struct buf *out); /* hash:scram:cram */
bool user_is_locked(const struct user *u);
bool user_decode(struct slice base64, unsigned char *out, size_t n); /* false: not base64 of so many bytes */
struct users *users_new(const char *path);
void users_free(struct users *u);
/* A copy of the user's line (addresses: appended to v->senders). For a name that is not there, or locked, *out gets a secret that nobody knows, the same
 * each time, and false is returned. Reads the file again when it has changed. AUTH_TEMPFAIL in v->outcome when it cannot be read. */
bool users_find(struct users *u, struct slice name, struct user *out, struct auth_verdict *v);
/* PLAIN and LOGIN: takes as long for a name that is not there. */
void users_check(struct users *u, struct slice name, struct slice password, struct auth_verdict *v);
/* The secret that users_find gives for a name that is not there. */
void users_dummy(struct users *u, struct slice name, struct user *out);

/* ---- secrets.c: making and checking what the users file holds */
bool secret_prepare(struct slice in, struct buf *out);  /* SASLprep (RFC 4013); false: not allowed */
/* A user's name in the form that is compared and counted. False: not allowed, too long, or with blanks at an end or two in a row, which
 * directories pass over (RFC 4518 §2.6.1), so that one account would have many names. */
bool secret_prepare_name(struct slice in, struct buf *out);
bool secret_hash(struct slice password, char out[256], struct err *err) MUST_CHECK; /* yescrypt */
bool secret_hash_matches(const char *hash, struct slice password);                  /* costs the same for each hash of one kind */
void secret_scram(struct slice password, const unsigned char *salt, size_t salt_n, uint32_t iterations, struct scram_secret *out);
void secret_cram(struct slice password, struct cram_secret *out);
void secret_cram_response(const struct cram_secret *s, struct slice challenge, char hex[33]);

/* ---- the other back ends: v gets the outcome. Any thread. */
struct imap_backend *imap_backend_new(const struct config *c, struct err *err) MUST_CHECK;
void imap_check(struct imap_backend *b, struct slice name, struct slice password, struct auth_verdict *v);
/* What a server's reply line means; tag: ours. False: not the tagged one. */
bool imap_judge(struct slice line, struct slice tag, struct auth_verdict *v);
void ldap_check(const struct config *c, struct slice name, struct slice password, struct auth_verdict *v);
/* Has the directory an entry for the address? AUTH_OK, AUTH_FAILED, AUTH_TEMPFAIL. deadline: mono ms. */
void ldap_recipient(const struct config *c, const struct config_recipients *r, struct slice address, uint64_t deadline,
                    struct auth_verdict *v);
/* Fills in a template (%u, %s: the whole; %n, %d: before and behind the @), escaped so that it is right in a distinguished name (RFC 4514) and in a filter (RFC 4515). */
void ldap_fill(struct buf *out, const char *pattern, struct slice name);

/* Dovecot's auth socket: any mechanism; one request a connection. */
struct dovecot_request;
struct dovecot_request *dovecot_start(const struct config *c, struct slice mechanism, bool has_initial, struct slice initial,
                                      const struct ip *client, bool tls, struct buf *challenge, struct auth_verdict *v);
void dovecot_next(struct dovecot_request *r, struct slice data, struct buf *challenge, struct auth_verdict *v);
void dovecot_free(struct dovecot_request **r);
/* A line of the server for request 1. False: it is about something else. */
bool dovecot_judge(struct slice line, struct buf *challenge, struct auth_verdict *v);

/* ---- sasl.c: server mechanisms */
struct sasl_services {       /* of the process */
    const struct config *config;
    struct brake *brake;     /* NULL: none */
    struct users *users;
    struct imap_backend *imap;
};
struct sasl_request {
    struct slice mechanism, binding;
    struct ip client;
    bool tls;
};
struct sasl_reply {
    struct buf data;         /* AUTH_CONTINUE: the challenge */
    struct auth_verdict verdict;
    uint64_t delay;          /* ms to wait before this is told */
};
void sasl_reply_deinit(struct sasl_reply *r);
struct sasl_server;
struct sasl_server *sasl_server_new(const struct sasl_services *s, const struct sasl_request *r);
/* A response (has_data false: the first step without an initial response). Blocks on the back end. */
void sasl_server_step(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out);
void sasl_server_free(struct sasl_server **s);
/* The parts of "authzid NUL authcid NUL password" (RFC 4616); NULL or what is wrong. */
const char *sasl_plain_split(struct slice message, struct slice *name, struct slice *password);

/* scram.c: SCRAM-SHA-256 (RFC 5802, 7677), the server's side, without look-ups */
struct scram {
    bool plus;               /* the mechanism is -PLUS */
    bool can_plus;           /* -PLUS was offered on this connection */
    struct slice binding;    /* tls-exporter; empty: none */
    char name[AUTH_NAME_MAX + 1];
    struct buf gs2, client_first, server_first, nonce;
    struct scram_secret secret;
};
const char *scram_client_first(struct scram *s, struct slice message);              /* NULL, or what is wrong; s->name is set */
void scram_server_first(struct scram *s, const struct scram_secret *secret, struct buf *out);
/* NULL and *proven; or what is wrong with the message. */
const char *scram_client_final(struct scram *s, struct slice message, bool *proven, struct buf *server_final);
void scram_deinit(struct scram *s);

#endif
