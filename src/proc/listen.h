/* SPDX-License-Identifier: Apache-2.0
 * Listening sockets: for each configured listener one a worker, sharing the port by SO_REUSEPORT. A port that an
 * earlier configuration had too is taken over with its sockets, so that what waits in their accept queues is served by
 * whoever comes next; none is closed while its port is configured, also when there are fewer workers. */
#ifndef POSTERN_PROC_LISTEN_H
#define POSTERN_PROC_LISTEN_H
#include "config/config.h"

struct listen_set;

/* Binds what `former` (may be NULL) does not have. patient: a port that is taken is tried again for 3 s, because a
 * former master's workers may be about to let it go. NULL with an error that names the option. Blocks. */
struct listen_set *listen_set_open(const struct config *c, unsigned slots, const struct listen_set *former,
                                   bool patient, struct err *err) MUST_CHECK;
void listen_set_free(struct listen_set **s); /* closes the ports that no other set has */
size_t listen_set_sockets(const struct listen_set *s, size_t listener); /* how many; never fewer than slots */
int listen_set_fd(const struct listen_set *s, size_t listener, size_t socket);
/* One socket that listens on "*:8443", "192.0.2.1:8443" or "[2001:db8::1]:8443", the value of an option; -1 with an error that names it. */
int listen_open_one(struct slice address, const char *option, struct err *err) MUST_CHECK;
/* "0.0.0.0:25 [::1]:587" for people. */
void listen_set_describe(const struct config *c, struct buf *out);

#endif
