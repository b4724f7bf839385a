/* SPDX-License-Identifier: Apache-2.0
 * The brake on guessing at the web administration. Failures of a client (an IPv6 client is its /64) and at an account are counted, and forgotten an
 * hour after the last one. After five of its own a client has to wait, longer each time; when an account was tried often from wherever, one of its
 * own is enough. A client that never failed need never wait: nobody locks others out. Only who has an account's password can make its second factor wait, from
 * wherever it is tried (RFC 4226 §7.3). Bounded in memory; when full, the oldest that does not wait goes. */
#ifndef POSTERN_ADMIN_LOGIN_BRAKE_H
#define POSTERN_ADMIN_LOGIN_BRAKE_H
#include "base/ip.h"

#define LOGIN_BRAKE_FREE 5                /* failures of a client before it waits */
#define LOGIN_BRAKE_ACCOUNT 20            /* at an account, after which it is one */
#define LOGIN_BRAKE_CODES 10              /* wrong codes of an account's second factor before it waits */
#define LOGIN_BRAKE_MAX_MS (15 * 60 * 1000u)
#define LOGIN_BRAKE_AT_ONCE 3             /* attempts of one client under way */

struct login_brake;
struct login_brake *login_brake_new(size_t max); /* entries of each kind */
void login_brake_free(struct login_brake *b);
/* now: mono ms. 0: it may try, which counts as under way until login_brake_end. Else how many ms it has to wait. */
uint64_t login_brake_begin(struct login_brake *b, const struct ip *client, uint64_t now);
enum login_outcome { LOGIN_FAILED, LOGIN_RIGHT, LOGIN_OPEN /* neither: a part of it is missing yet */ };
/* name: as it was given; "": there is none. */
void login_brake_end(struct login_brake *b, const struct ip *client, struct slice name, enum login_outcome outcome, uint64_t now);

/* How many ms no code of this account is looked at; 0: one may be. */
uint64_t login_brake_code_wait(struct login_brake *b, struct slice account, uint64_t now);
void login_brake_code(struct login_brake *b, struct slice account, bool right, uint64_t now); /* one was looked at */

#endif
