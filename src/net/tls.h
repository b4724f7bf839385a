/* SPDX-License-Identifier: Apache-2.0
 * TLS on both sides: what is loaded once (certificates, authorities, ticket keys), and what is asked of one connection. */
#ifndef POSTERN_NET_TLS_H
#define POSTERN_NET_TLS_H
#include "config/config.h"
#include "net/tlsa.h"

struct ssl_ctx_st;
struct ssl_st;

/* ---- server (tls_server.c) */

/* Keys of session tickets (RFC 5077, 8446), in memory that all workers share: made and rotated by the master, so that a session begun
 * with one worker is resumed by another. */
struct tls_tickets;
struct tls_tickets *tls_tickets_new(struct err *err) MUST_CHECK; /* before workers are forked */
/* The master, now and then: a new key when the newest is older than `life` ms; the one before still opens tickets, as long again. Older
 * keys are wiped; life 0: all are. */
void tls_tickets_rotate(struct tls_tickets *t, uint64_t mono_ms, uint64_t life);
void tls_tickets_free(struct tls_tickets *t); /* in this process alone: others keep theirs; NULL is fine */

/* All certificates that a configuration names, and the authorities of its listeners; findings go to the report, with the places that the
 * options have in its text (may be empty: none). False: errors. Reads files; one that may not be read is a warning, for `postern check`
 * may be run by somebody else. */
struct config_report;
bool tls_check(const struct config *c, struct slice text, struct config_report *report);

/* All server contexts of a configuration, its certificates checked as above. self_signed: folder of the pair made at first start, for want
 * of tls.certificate. tickets (must live longer; may be NULL: none) are given to clients that resume. Early data is never taken. */
struct tls_server;
struct tls_server *tls_server_new(const struct config *c, const char *self_signed, struct tls_tickets *tickets,
                                  struct err *err) MUST_CHECK;
/* For a connection: zone and listener (of that configuration) decide on versions and client certificates. The name that the client asks
 * for (SNI) decides on the certificate, in the handshake. */
struct ssl_ctx_st *tls_server_context(const struct tls_server *t, const struct config_listener *l,
                                      const struct config_zone *z);
/* What is shown to clients: the n-th certificate and what leads from it to an authority; tls.certificates first, the one for all others last.
 * NULL: there are no more. As long as `t`. */
struct x509_st;
struct stack_st_X509;
struct x509_st *tls_server_certificate(const struct tls_server *t, size_t n, struct stack_st_X509 **chain);
void tls_server_free(struct tls_server *t); /* NULL is fine */
/* Of the connection of a client: whether it showed a certificate that leads to client_ca. name gets its subject, printable; "" when it
 * showed none. */
bool tls_client_certificate(const struct ssl_st *ssl, char *name, size_t room);

/* ---- client (tls_client.c) */

/* All client contexts of a configuration: the authorities are read now, before the sandbox closes. */
struct tls_client;
struct tls_client *tls_client_new(const struct config *c, struct err *err) MUST_CHECK;
void tls_client_free(struct tls_client *t); /* NULL is fine */
/* Does a certificate lead to one of the authorities of tls.ca, as it would as a server's? NULL: it does; else why not. */
const char *tls_client_trusts(const struct tls_client *t, struct x509_st *leaf, struct stack_st_X509 *chain);

/* What a server must prove. */
struct tls_wish {
    const char *sni;         /* NULL: none */
    const char *ca;          /* config's file; NULL: tls.ca */
    bool verify;             /* chain to `ca`, and one of names; else any certificate will do */
    const char *const *names; /* RFC 6125; ".example.com" fits one label more (RFC 8461 §4.1 is written so by the caller); with tlsa the
                               * first is the TLSA base domain; one may be an address */
    size_t name_n;
    const struct tls_tlsa *tlsa; /* usable ones (usage 2 and 3): then these decide, not verify (RFC 7672 §3.1) */
    size_t tlsa_n;
    bool dns_id;             /* names count where they belong alone, not in the subject (RFC 8461 §4.1) */
    uint32_t min_version;    /* 12 or 13 */
    bool keep_on;            /* the handshake goes on when the proof fails (for testing policies); tls_failure tells */
};
/* Of a kind that counts here (RFC 7672 §3.1: usage 2 and 3), known selector and matching type, data that can be what it says. */
bool tls_tlsa_usable(const struct tls_tlsa *record);
/* A session object for stream_start_tls_client; NULL with err. Resumes an earlier session to the same key (destination and wish; NULL: never), if there
 * is one that was verified in the same way, within the last hour. */
struct ssl_st *tls_client_session(struct tls_client *t, const struct tls_wish *w, const char *resume_key, struct err *err) MUST_CHECK;
/* Why a proof failed, in words ("the certificate has expired", "none of the TLSA records matches"); "" : it did not, or none was asked for.
 * Valid as long as the session; also after a handshake that failed for it. */
const char *tls_failure(const struct ssl_st *ssl);
/* RFC 8460 §4.3's word for it: "certificate-expired", "certificate-host-mismatch", "certificate-not-trusted",
 * "validation-failure", "dane-required", "tlsa-invalid" ... */
const char *tls_failure_kind(const struct ssl_st *ssl);

#endif
