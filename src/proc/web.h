/* SPDX-License-Identifier: Apache-2.0
 * The web administration as the master sees it: a socket, which outlives admin processes and reloads. */
#ifndef POSTERN_PROC_WEB_H
#define POSTERN_PROC_WEB_H
#include <jansson.h>
#include <stdint.h>

struct master;

struct web_socket {
    int fd;                  /* -1: off, or it could not be bound */
    char *listen;            /* what it is bound to */
    uint64_t tried;          /* mono ms */
    char fault[400];         /* the last one that was told */
    char file_fault[400];    /* certificate or key cannot be read; "": they can */
};
void web_init(struct master *m);
void web_tell_admin(struct master *m); /* of the current configuration, the next one before there is one; also after an admin process began */
void web_tick(struct master *m);       /* tries again to bind */
json_t *web_describe(const struct master *m); /* {"enabled", "listen", "error"?}; a new one */
void web_end(struct master *m);

#endif
