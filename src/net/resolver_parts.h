/* SPDX-License-Identifier: Apache-2.0
 * The inner parts of the resolver: libunbound's set-up, and records as name servers sent them made into what the program may
 * trust. */
#ifndef POSTERN_NET_RESOLVER_PARTS_H
#define POSTERN_NET_RESOLVER_PARTS_H
#include "net/resolver.h"

#define RESOLVER_MX_MAX 64
#define RESOLVER_IPS_MAX 32
#define RESOLVER_NAMES_MAX 10        /* PTR */
#define RESOLVER_RECORDS_MAX 64      /* TXT, TLSA: of one answer, */
#define RESOLVER_ANY_MAX 512         /* TXT, A, AAAA of resolver_any: a list that is cut would say that something is not there */
#define RESOLVER_BYTES_MAX 65536     /* and all of them together */

struct ub_ctx;

/* Options, name servers, /etc/hosts, and the thread started. Blocks on files. */
bool resolver_set_up(struct ub_ctx *ub, const struct config *c, struct err *err) MUST_CHECK;

/* A host name as text: labels of 1..63 letters, digits, hyphens and underscores, 253 bytes in all, no final dot. */
bool resolver_name_ok(struct slice name);
/* A name of any bytes (RFC 2181 §11) as libunbound reads it: what no host name has is written \DDD (RFC 1035 §5.1). NULL: it is no name,
 * for its labels are empty or too long, or all of it is. The caller frees. */
char *resolver_escape_name(struct slice name);
/* Rdata of A or AAAA records, ended by a NULL pointer; lengths that do not fit are left out. Returns how many were taken. */
size_t resolver_read_ips(char *const *data, const int *len, bool ipv6, struct ip out[RESOLVER_IPS_MAX]);
size_t resolver_read_ips_max(char *const *data, const int *len, bool ipv6, struct ip *out, size_t max);
/* Rdata of MX records, names not compressed. *odd says why the last one left out was; untouched when none was. */
size_t resolver_read_mx(char *const *data, const int *len, struct resolver_mx out[RESOLVER_MX_MAX], const char **odd);
/* Rdata of PTR records, names not compressed; what is no host name, or an address, is left out. */
size_t resolver_read_ptr(char *const *data, const int *len, struct resolver_name out[RESOLVER_NAMES_MAX]);
/* Rdata of TXT records: the strings of each joined (RFC 7208 §3.3). The slices point into *bytes, which is malloc'd. */
size_t resolver_read_txt(char *const *data, const int *len, struct slice out[RESOLVER_RECORDS_MAX], char **bytes);
size_t resolver_read_txt_max(char *const *data, const int *len, struct slice *out, size_t max, char **bytes);
/* Rdata of TLSA records (RFC 6698 §2.1); their data points into `data`. */
size_t resolver_read_tlsa(char *const *data, const int *len, struct tls_tlsa out[RESOLVER_RECORDS_MAX]);

#endif
