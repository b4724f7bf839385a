/* SPDX-License-Identifier: Apache-2.0
 * TLS on both sides: what is loaded once (certificates, authorities, ticket keys), and what is asked of one connection. */
#ifndef POSTERN_NET_TLS_H
#define POSTERN_NET_TLS_H
#include "config/config.h"

struct ssl_ctx_st;
struct ssl_st;

/* ---- server (tls_server.c) */

/* Keys of session tickets (RFC 5077, 8446), in memory that all workers share: made and rotated by the master, so that a session begun
 * with one worker is resumed by another. */
struct tls_tickets;
struct tls_tickets *tls_tickets_new(struct err *err) MUST_CHECK; /* before workers are forked */
/* The master, now and then: a new key when the newest is older than `life` ms; the one before still opens tickets. Old keys are wiped. */
void tls_tickets_rotate(struct tls_tickets *t, uint64_t mono_ms, uint64_t life);
void tls_tickets_free(struct tls_tickets *t); /* NULL is fine */

/* A PEM chain and key: readable, the key belongs to the first certificate, each certificate is signed by the next, none has ended or is
 * not valid yet, and it is for every name in names (RFC 6125; none: not asked). False: err says which file and what, *how how to mend it.
 * warning: ends within 14 days, weak key (RSA under 2048) ...; empty: none. */
struct tls_certificate_facts {
    time_t not_after;
    char warning[200];
};
bool tls_certificate_check(const char *certificate, const char *key, const char *const *names, size_t name_n,
                           struct tls_certificate_facts *facts, struct err *err) MUST_CHECK;

/* All server contexts of a configuration. self_signed: folder of the pair made at first start, for want of tls.certificate.
 * tickets may be NULL. */
struct tls_server;
struct tls_server *tls_server_new(const struct config *c, const char *self_signed, struct tls_tickets *tickets,
                                  struct err *err) MUST_CHECK;
/* For a connection: zone and listener decide on versions and client certificates. */
struct ssl_ctx_st *tls_server_context(const struct tls_server *t, const struct config_listener *l,
                                      const struct config_zone *z);
void tls_server_free(struct tls_server *t); /* NULL is fine */

/* ---- client (tls_client.c) */

/* All client contexts of a configuration: the authorities are read now, before the sandbox closes. */
struct tls_client;
struct tls_client *tls_client_new(const struct config *c, struct err *err) MUST_CHECK;
void tls_client_free(struct tls_client *t); /* NULL is fine */

struct tls_tlsa {            /* RFC 6698 */
    uint8_t usage, selector, matching;
    uint16_t n;
    const unsigned char *data;
};
/* What a server must prove. */
struct tls_wish {
    const char *sni;         /* NULL: none */
    const char *ca;          /* config's file; NULL: tls.ca */
    bool verify;             /* chain to `ca`, and one of names; else any certificate will do */
    const char *const *names; /* RFC 6125; ".example.com" fits one label more (RFC 8461 §4.1 is written so by the caller) */
    size_t name_n;
    const struct tls_tlsa *tlsa; /* usable ones (usage 2 and 3): then these decide, not verify (RFC 7672 §3.1) */
    size_t tlsa_n;
    uint32_t min_version;    /* 12 or 13 */
    bool keep_on;            /* the handshake goes on when the proof fails (for testing policies); tls_failure tells */
};
/* A session object for stream_start_tls_client; NULL with err. Resumes an earlier session to the same key (destination and wish), if there
 * is one that was verified in the same way. */
struct ssl_st *tls_client_session(struct tls_client *t, const struct tls_wish *w, const char *resume_key, struct err *err) MUST_CHECK;
/* Why a proof failed, in words ("certificate has expired", "none of the TLSA records matches"); "" : it did not. */
const char *tls_failure(const struct ssl_st *ssl);
/* RFC 8460 §4.3's word for it: "certificate-expired", "certificate-host-mismatch", "certificate-not-trusted",
 * "validation-failure", "dane-required", "tlsa-invalid" ... */
const char *tls_failure_kind(const struct ssl_st *ssl);

#endif
