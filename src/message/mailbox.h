/* SPDX-License-Identifier: Apache-2.0
 * Addresses in header fields: From, Sender, To (RFC 5322 §3.4, RFC 6532 for UTF-8). */
#ifndef POSTERN_MESSAGE_MAILBOX_H
#define POSTERN_MESSAGE_MAILBOX_H
#include "base/slice.h"

#define MAILBOX_MAX 320 /* bytes of one address */

/* Called for each address, in order: local@domain without display name, comments and blanks; quotes of a local part are kept.
 * The slice is valid within the call. False ends the walk. */
typedef bool mailbox_cb(void *arg, struct slice address);

enum mailbox_outcome {
    MAILBOX_OK,
    MAILBOX_STOPPED,   /* the callback said false */
    MAILBOX_MALFORMED, /* what is no list of addresses, from a place on that cannot be told; those before it were called for */
};
/* `value`: of one field, folded or not. Groups are looked into; obsolete routes in angle brackets are passed over; an empty
 * list is fine. Strict where a lenient reader might see another address than this one. */
enum mailbox_outcome mailbox_each(struct slice value, mailbox_cb *cb, void *arg);

#endif
