/* SPDX-License-Identifier: Apache-2.0
 * What the files of TLS share: certificate pairs (tls_certificate.c), the names in them (tls_names.c), ticket keys
 * (tls_tickets.c). */
#ifndef POSTERN_NET_TLS_PARTS_H
#define POSTERN_NET_TLS_PARTS_H
#include <openssl/ssl.h>
#include "net/tls.h"

#define TLS_NAME_MAX 253 /* RFC 1035 §2.3.4, in text */

/* A certificate, what leads from it towards an authority, and its key. */
struct tls_pair {
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct tls_certificate_facts {
    bool self_signed;
    bool weak;               /* RSA under 2048 bits */
    bool key_at_fault;       /* an error of the key's file, not of the certificate's */
    char warning[400];       /* expires within 14 days, weak key, self-signed ...; empty: none */
    char hint[200];          /* how to mend the error, or the first warning */
};
/* A PEM chain and key: readable, the key belongs to the first certificate, each certificate is signed by the next, none has ended or is
 * not valid yet, no signature that can be forged, and it is for every name in names (RFC 6125; none: not asked). False: err says which
 * file and what. key: NULL or "": in the certificate's file. *pair is to be given to tls_pair_deinit in any case. Reads files. */
bool tls_pair_read(const char *certificate, const char *key, const char *const *names, size_t name_n,
                   struct tls_pair *pair, struct tls_certificate_facts *facts, struct err *err) MUST_CHECK;
void tls_pair_deinit(struct tls_pair *p);
/* Does the certificate serve this name (RFC 6125 §6.4)? "*.example.com" asks for just that. */
bool tls_pair_covers(const struct tls_pair *p, const char *name);
/* The DNS names in it, lower case, only those that can be such names; calls back for each. Its common name when it has
 * none. */
void tls_cert_names(const X509 *cert, void (*each)(void *arg, const char *name), void *arg);

/* To read certificates from; NULL: it cannot be opened, or is no file. */
BIO *tls_open_file(const char *path);

/* "CN = mx.example.com, O = Example", printable, cut to room. */
void tls_name_text(const X509_NAME *name, char *out, size_t room);
/* The words of OpenSSL for what failed last; its queue is emptied. False. */
bool tls_err(struct err *err, const char *doing, const char *file);

/* Room for one key of tickets. */
struct tls_ticket_key {
    unsigned char name[16];
    unsigned char cipher[32], mac[32];
};
/* The newest key. False: there is none (tickets are off, or none was made yet). The caller wipes *key. */
bool tls_tickets_newest(const struct tls_tickets *t, struct tls_ticket_key *key);
/* The key of that name, if it still opens tickets; *newest: whether it is the newest one. */
bool tls_tickets_find(const struct tls_tickets *t, const unsigned char name[16], struct tls_ticket_key *key,
                      bool *newest);

#endif
