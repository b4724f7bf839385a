/* SPDX-License-Identifier: Apache-2.0
 * Tells the service manager how we are: one datagram to $NOTIFY_SOCKET (sd_notify(3)). */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/slice.h"
#include "proc/process.h"

void notify_send(const char *state)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct slice name = slice_str(getenv("NOTIFY_SOCKET"));
    if (!name.n || name.n >= sizeof to.sun_path || (name.p[0] != '/' && name.p[0] != '@')) return;
    memcpy(to.sun_path, name.p, name.n);
    if (name.p[0] == '@') to.sun_path[0] = 0; /* the abstract namespace */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n));
    close(fd);
}
