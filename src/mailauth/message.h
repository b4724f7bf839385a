/* SPDX-License-Identifier: Apache-2.0
 * A message as signatures see it: its header fields, kept, and its body, hashed while it streams by (RFC 6376 §3.4, §3.7).
 *
 * The way of a message: auth_header_add for each field; then those who are interested in the body (dkim.h, arc.h) say so with
 * auth_body_want; then auth_body_push for the text behind the empty line, auth_body_end, and the checks are called. */
#ifndef POSTERN_MAILAUTH_MESSAGE_H
#define POSTERN_MAILAUTH_MESSAGE_H
#include "base/arena.h"
#include "base/buf.h"

#define AUTH_HEADER_MAX 524288   /* bytes of all fields kept */
#define AUTH_FIELDS_MAX 2000
#define AUTH_DIGEST_N 32         /* SHA-256 */

struct auth_field {
    struct slice raw;            /* the whole field as it came, folds in it, without the last CRLF */
    struct slice name, value;    /* parts of raw: name without blanks behind it; value begins behind the colon */
    uint32_t hash;               /* of the name, letter case aside: names are compared only where it is equal */
};
/* Zero to begin with. */
struct auth_header {
    struct arena *arena;         /* whoever begins sets it */
    struct auth_field *fields;   /* in their order */
    size_t n, room, bytes;
    bool overflow;               /* more than the limits, or a field was cut: no signature can be judged, the rest is true */
};
/* `raw` is copied. Not for text that is no field. */
void auth_header_add(struct auth_header *h, struct slice raw);
/* The last field with this name before index `before` (n: the last of all), or NULL: how h= walks (RFC 6376 §5.4.2). */
const struct auth_field *auth_header_last(const struct auth_header *h, struct slice name, size_t before);
size_t auth_header_count(const struct auth_header *h, struct slice name);

enum auth_canon { AUTH_SIMPLE, AUTH_RELAXED };

/* The canonical form of a field (RFC 6376 §3.4.1, §3.4.2) is appended, CRLF included. */
void auth_canon_field(enum auth_canon canon, struct slice raw, struct buf *out);

struct auth_body;
#define AUTH_BODY_HASHES 16      /* different ones of a message */
struct auth_body *auth_body_new(void);
void auth_body_free(struct auth_body **b); /* clears the pointer; NULL is fine */
/* SHA-256 of the canonical body, of its first `limit` bytes (UINT64_MAX: all). Equal wishes share a number. -1: too many, or one that
 * nobody had before the first push. */
int auth_body_want(struct auth_body *b, enum auth_canon canon, uint64_t limit);
void auth_body_push(struct auth_body *b, struct slice text); /* CRLF line ends, dots not stuffed; pieces of any size */
void auth_body_end(struct auth_body *b);
/* After the end. `size`: bytes of the canonical body as a whole. */
const uint8_t *auth_body_digest(const struct auth_body *b, int which, uint64_t *size);

#endif
