/* SPDX-License-Identifier: Apache-2.0
 * A helper process: what the workers of a generation have done elsewhere, because it blocks, knows secrets, or is one
 * for all of them. Each kind is declared once (struct helper_kind) and listed in helpers.c, where the master starts it;
 * helper.c is the frame in which it runs. The other end is a link in each worker (base/link.h). */
#ifndef POSTERN_PROC_HELPER_H
#define POSTERN_PROC_HELPER_H
#include "base/channel.h"
#include "base/list.h"
#include "config/config.h"
#include "proc/privilege.h"

/* The process. First member of the kind's own struct. */
struct helper_process {
    const struct helper_kind *kind;
    const struct config *config;
    const char *directory;       /* its own */
    struct event_base *base;
    struct channel *master;      /* NULL: gone */
    struct list peers;           /* the one connected last at the end */
    bool stop;
};

/* A worker, as the process sees it. First member of the kind's own struct. */
struct helper_peer {
    struct list node;
    struct helper_process *process;
    struct channel *channel;
};

struct helper_kind {
    const char *name;            /* the process's; "op" of the frame that brings a worker its channel; its log events'
                                  * first word */
    const char *directory;       /* its own, under system.directory; NULL: none */
    bool secrets;                /* knows the passwords of its configuration: no core files, and nobody of the same user
                                  * may look into it */
    bool descriptors;            /* its workers send some; of others they are closed */
    bool shared;                 /* the workers' user, and that of the processes that look into messages, may read its directory */
    size_t process_size, peer_size;
    bool (*needed)(const struct config *c);
    const char *(*user)(const struct config *c);
    /* ---- the sandbox, when system.sandbox is on */
    enum seccomp_profile calls;
    enum seccomp_profile (*calls_for)(const struct config *c); /* in place of `calls`; may be NULL */
    /* Adds what it reaches beyond what every program reads. */
    void (*paths)(const struct helper_process *p, struct landlock *l);
    /* For the log, why there is no Landlock, and SECCOMP_AUTH_COMMAND instead of `calls`; NULL: not so. May be NULL. */
    const char *(*runs_programs)(const struct config *c);
    /* ---- the process */
    /* Reads what only who started the relay may read, before rights go; NULL: nothing. */
    bool (*read_secrets)(struct helper_process *p, struct err *err);
    /* Opens what it works with, with those paths but all system calls; when it returns, all threads run. */
    bool (*open)(struct helper_process *p, struct err *err);
    void (*close)(struct helper_process *p);      /* all peers have gone. NULL: the end of the process will do */
    void (*peer_open)(struct helper_peer *peer);  /* cleared but for the frame's part; its channel comes after */
    /* False: a worker that behaves does not say this; it is hung up on. */
    bool (*peer_message)(struct helper_peer *peer, const json_t *m, int fd); /* fd: the callee's now; -1: none, or not `descriptors` */
    void (*peer_close)(struct helper_peer *peer); /* before it is freed */
};

struct helper_start {
    const struct helper_kind *kind;
    const struct config *config;
    const char *directory;
    const struct privilege_user *user;
    int channel;                 /* to the master */
};

/* In the child; returns the exit code.
 *
 * Master → helper: {"op": "worker", "pid"} + descriptor of a channel
 * Worker ↔ helper: as the kind says. It ends when the master's channel and those of all workers are closed. */
int helper_main(const struct helper_start *start);

#endif
