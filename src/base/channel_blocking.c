/* SPDX-License-Identifier: Apache-2.0
 * Framed messages for plain blocking code. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/channel_frame.h"
#include "base/mem.h"

bool channel_block(int fd, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) return true;
    return err_sys(err, errno, "channel");
}

bool channel_send_now(int fd, const json_t *m, struct err *err)
{
    size_t n = json_dumpb(m, NULL, 0, JSON_COMPACT), done = 0;
    if (!n || n > CHANNEL_FRAME_MAX) return err_set(err, "a frame of %zu bytes is none", n);
    struct frame_head head = { .n = (uint32_t)n };
    char *bytes = mem_alloc(sizeof head + n);
    memcpy(bytes, &head, sizeof head);
    json_dumpb(m, bytes + sizeof head, n, JSON_COMPACT);
    while (done < sizeof head + n) {
        ssize_t k = send(fd, bytes + done, sizeof head + n - done, MSG_NOSIGNAL);
        if (k < 0 && errno != EINTR) break;
        done += k > 0 ? (size_t)k : 0;
    }
    free(bytes);
    return done == sizeof head + n || err_sys(err, errno, "channel");
}

static void take_descriptor(struct msghdr *m, int *with)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        if (*with >= 0) close(*with);
        memcpy(with, CMSG_DATA(h), sizeof *with);
    }
}

/* Exactly n bytes, so that nothing of the next frame comes with them. */
static bool receive(int fd, char *to, size_t n, int *with, struct err *err)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    while (n) {
        struct iovec io = { to, n };
        struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room };
        ssize_t k = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(err, errno, "channel");
        if (k == 0) return err_set(err, "%s", "");
        take_descriptor(&m, with);
        to += k;
        n -= (size_t)k;
    }
    return true;
}

json_t *channel_receive_now(int fd, int *with, struct err *err)
{
    struct frame_head head;
    json_t *m = NULL;
    *with = -1;
    if (!receive(fd, (char *)&head, sizeof head, with, err)) return NULL;
    bool fine = head.n && head.n <= CHANNEL_FRAME_MAX && head.has_fd <= 1;
    char *text = fine ? mem_alloc(head.n) : NULL;
    fine = fine && receive(fd, text, head.n, with, err);
    if (fine) m = json_loadb(text, head.n, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (json_is_object(m) && (*with >= 0) == head.has_fd) return m;
    if (fine || !text) err_set_text(err, "a frame that is none");
    json_decref(m);
    if (*with >= 0) close(*with);
    *with = -1;
    return NULL;
}
