/* SPDX-License-Identifier: Apache-2.0
 * A connection to a directory (RFC 4511) that lasts until a deadline: opened, perhaps bound, and closed. Plain blocking code; one belongs
 * to one thread. */
#ifndef POSTERN_AUTH_LDAP_LINK_H
#define POSTERN_AUTH_LDAP_LINK_H
#include <ldap.h>
#include <stdint.h>
#include <sys/time.h>
#include "base/err.h"
#include "base/slice.h"

struct ldap_link {
    const char *url;     /* ldap://, ldaps://, ldapi:// */
    const char *ca;      /* PEM file or folder; NULL or "": the system's */
    bool starttls;
    uint64_t deadline;   /* monotonic ms */
    const char *what;    /* is being done: a word or two for errors */
    LDAP *ld;            /* NULL: not open */
    struct ldap_conncb connected; /* within; the link stays where it is while it is open */
};

/* No answer may be larger than 16 MB, and nothing waits beyond the deadline. Certificates are checked, referrals are not followed: a password goes where the administrator said, nowhere else. */
bool ldap_link_open(struct ldap_link *l, struct err *err) MUST_CHECK;
/* The result code of a simple bind; -1 when there was none, and *err says why. */
int ldap_link_bind(struct ldap_link *l, const char *dn, struct slice password, struct err *err);
void ldap_link_close(struct ldap_link *l);
/* What is left until the deadline, at least a millisecond. */
struct timeval ldap_link_left(const struct ldap_link *l);
/* *err: what the library and the server say of result rc. False. */
bool ldap_link_broken(struct ldap_link *l, int rc, struct err *err);

#endif
