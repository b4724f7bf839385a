/* SPDX-License-Identifier: Apache-2.0
 * Asking the next hop whether a recipient exists, by a transaction that ends before its text: MAIL FROM:<>, RCPT TO, RSET. It goes
 * the way that mail would, with the same TLS and credentials, over connections of its own, so that neither holds up the other. */
#ifndef POSTERN_DELIVERY_VERIFY_H
#define POSTERN_DELIVERY_VERIFY_H
#include "base/slice.h"

struct queue;
struct verify_question;

enum verify_status {
    VERIFY_KNOWN,
    VERIFY_UNKNOWN,          /* 5xx that is about the recipient */
    VERIFY_UNSURE,           /* nobody could be asked, or the server did not say */
};
struct verify_answer {
    enum verify_status status;
    struct slice why;        /* "mx.example.com[192.0.2.1]: 550 5.1.1 no such user" or a clause; printable; valid within the callback */
};
/* From the loop, once, never before the starter has returned; the question is gone when it returns. */
typedef void verify_cb(void *arg, const struct verify_answer *a);

/* rcpt: local@domain in the strict grammar; copied. timeout: ms. At most VERIFY_CONNECTIONS connections to a next hop; questions beyond
 * wait in line, at most VERIFY_WAITING of them, those beyond are answered UNSURE. A hop that cannot be reached is left alone for some
 * seconds, in which all questions are answered UNSURE. Never blocks. The queue must outlive the question. */
#define VERIFY_CONNECTIONS 4
#define VERIFY_WAITING 1000
struct verify_question *verify_recipient(struct queue *q, struct slice rcpt, uint64_t timeout, verify_cb *cb, void *arg);
void verify_cancel(struct verify_question **v); /* clears the pointer; no callback after; NULL is fine */

/* Names the next hop of a recipient, over restarts: what another one said does not count. 0: there is none. */
uint32_t verify_hop(const struct queue *q, struct slice rcpt);

#endif
