/* SPDX-License-Identifier: Apache-2.0
 * What the files of the master share. A generation is the workers of one configuration; each of its slots has a worker,
 * or waits for the pause before the next one is over. */
#ifndef POSTERN_PROC_PROCESS_H
#define POSTERN_PROC_PROCESS_H
#include <jansson.h>
#include <sys/types.h>
#include "base/channel.h"
#include "base/list.h"
#include "config/config.h"
#include "proc/helper.h"
#include "proc/listen.h"
#include "proc/master.h"
#include "proc/privilege.h"
#include "proc/restart.h"
#include "proc/spools.h"
#include "proc/web.h"

struct event;
struct master;
struct slot;
struct tls_server;
struct tls_client;
struct tls_tickets;
struct policy;
struct rewriter;
struct signer_keys;
struct shared;
struct templates;
struct config_work;

#define HELPERS 6 /* kinds: helpers.c */

enum child_role { CHILD_WORKER, CHILD_ADMIN, CHILD_HELPER, CHILD_STORE, CHILD_CONFIG, CHILD_BACKUP };
enum child_state { CHILD_STARTING, CHILD_READY, CHILD_DRAINING };

struct child {
    struct list node;        /* in master->children */
    struct master *master;
    struct slot *slot;       /* NULL: no worker, or one that drains */
    struct channel *channel; /* NULL: it closed its end */
    struct event *killer;    /* when it comes, SIGKILL */
    pid_t pid;
    enum child_state state;
    enum child_role role;
    const struct helper_kind *helper; /* of CHILD_HELPER */
    unsigned generation, index;
    int spool;               /* its own, or -1 */
    uint64_t started;        /* monotonic ms */
};

struct slot {
    struct generation *generation;
    unsigned index;
    struct child *child;     /* NULL: in a pause */
    struct event *timer;     /* ends the pause */
    struct restart restart;
};

/* A process beside the workers of a generation: helpers.c. */
struct helper {
    struct generation *generation;
    const struct helper_kind *kind;
    bool needed;
    struct child *child;     /* NULL: none is needed, or it is in a pause */
    struct privilege_user user;
    struct event *timer;     /* ends the pause */
    struct restart restart;
};

struct generation {
    struct master *master;
    unsigned number;
    struct config *config;
    struct tls_server *server_tls;
    struct tls_client *client_tls;
    struct policy *policy;
    struct signer_keys *keys;
    struct rewriter *rewriter;
    struct templates *templates;
    struct listen_set *listeners;
    struct slot *slots;
    unsigned slot_n;
    struct helper helpers[HELPERS];
    int digest_fd;           /* the page behind links of digests listens here; -1: there is none */
    bool serving;            /* its workers accept connections */
    struct event *deadline;  /* until all are ready */
};

/* backup_child.c */
struct backup_work {
    struct child *child;     /* NULL: none is being made */
    json_int_t id;           /* of the request; 0: nobody waits any more */
    bool answered, quarantine;
};

struct master {
    struct event_base *base;
    int (*admin_main)(const struct admin_start *start);
    char *file;                          /* the configuration's path, absolute */
    char *directory, *run_directory;     /* as at the start: these cannot change on the way */
    char *control_path;
    struct shared *shared;
    struct privilege_user relay_user, admin_user, store_user;
    int lock, control;
    struct web_socket web;
    struct spools *spools;
    struct tls_tickets *tickets;         /* outlive generations: a reload ends no TLS session */
    uint64_t certificates_checked;       /* mono ms */
    json_t *certificates;                /* certificates.c: what they were at that time (mono ms), of that generation */
    uint64_t certificates_at;
    unsigned certificates_of;
    struct list children;
    struct generation *current, *next;   /* next: not serving yet */
    unsigned generations;                /* counts them */
    unsigned adopter;                    /* whose turn it is to take a spool that was left */
    struct child *admin, *store;         /* NULL: in a pause */
    struct event *admin_timer, *store_timer, *tick, *signals;
    struct restart admin_restart, store_restart;
    int signal_fd;
    uint64_t started;                    /* wall ms */
    json_t *reload_ids;                  /* requests that wait for the reload under way */
    json_t *reload_findings;             /* of the configuration that it brings */
    json_t *reload_later;                /* those that came while one was under way: for the next */
    struct config_work *config_work;     /* config_child.c */
    struct backup_work backup_work;
    pid_t pid;
    bool reload_again;                   /* somebody asked while one was under way */
    bool stopping;
    int exit_code;
};

/* ---- child.c: starting and ending processes */
struct child *child_start_worker(struct slot *s, struct err *err) MUST_CHECK;
struct child *child_start_admin(struct master *m, struct err *err) MUST_CHECK;
struct child *child_start_helper(struct helper *h, struct err *err) MUST_CHECK;
struct child *child_start_store(struct master *m, struct err *err) MUST_CHECK;
struct child *child_start_config(struct master *m, int request, bool users, struct err *err) MUST_CHECK; /* the descriptor stays the caller's */
struct child *child_start_backup(struct master *m, struct err *err) MUST_CHECK;
void child_send(struct child *c, json_t *message, int fd); /* takes the message; nothing when the channel is closed */
void child_drain(struct child *c, uint64_t ms); /* and kills it some time after that; it belongs to no slot any more */
void child_free(struct child *c);                          /* after its end */
/* A channel between the two, when both are there; name: the other's, as the worker knows it. */
void child_connect(struct child *worker, struct child *other, const char *name);

/* ---- helpers.c: the helper processes of each generation that needs them. They outlive the generation's place, until
 * its last worker is gone */
/* Of those that are needed, and of who shares their directories. */
void helpers_each_user(const struct config *c, void (*user)(void *arg, const char *name), void *arg);
/* Users and directories. */
bool helpers_prepare(struct generation *g, const struct config *c, struct err *err) MUST_CHECK;
void helpers_start(struct generation *g);
int helper_run(const struct helper *h, int channel);     /* in the child; returns the exit code */
/* NULL: no helper, or its generation has lost its place or has another by now. */
struct helper *helper_of(const struct child *c);
void helper_on_exit(struct helper *h, uint64_t lived);   /* starts another one, perhaps after a pause */
void helpers_connect(struct child *worker);              /* channels between it and the helpers of its generation */
void helpers_forget_generation(struct generation *g);    /* it is about to be freed */
void helpers_retire(struct master *m);                   /* ends those that nobody needs any more */

/* ---- store.c: the store process. There is one for the life of the master: two must not write to one database, and what it remembers
 * outlives a configuration */
struct event *store_timer_new(struct master *m);           /* ends a pause */
bool store_prepare(struct master *m, const struct config *c, struct err *err) MUST_CHECK; /* user and directory */
int store_run(const struct master *m, const struct config *c, int channel);  /* in the child; returns the exit code */
void store_start(struct master *m);
void store_connect(struct child *c);                       /* a channel between a worker, or the admin process, and the store */
void store_set_limits(struct master *m);                   /* as the current configuration says */
void store_on_exit(struct master *m, uint64_t lived);      /* starts another one, perhaps after a pause */
void store_end(struct master *m);                          /* when the last worker is gone */

/* ---- digest.c: what digests of the quarantine need */
bool digest_prepare(struct generation *g, const struct config *c, struct err *err) MUST_CHECK; /* socket and secret; blocks */
void digest_tell_admin(struct master *m);                  /* of the current configuration, the next one before there is one */

/* ---- generation.c: workers of one configuration */
struct generation *generation_new(struct master *m, struct config *c, const struct listen_set *former, bool patient,
                                  struct err *err) MUST_CHECK;           /* takes c only when it succeeds */
bool generation_start(struct generation *g, struct err *err) MUST_CHECK; /* starts the workers */
bool generation_ready(const struct generation *g);         /* all are */
void generation_serve(struct generation *g);               /* its workers get the sockets */
void generation_share_sockets(struct generation *g);       /* again: those of slots in a pause go to their neighbours */
void generation_drain(struct generation *g, uint64_t ms);
void generation_free(struct generation **g);               /* its workers must have left their slots */
struct child *generation_any(const struct generation *g, unsigned from); /* a worker that is ready, or NULL */

/* ---- workers.c: what workers say, and their end */
void workers_on_message(void *child, const json_t *m, int fd);
void workers_on_channel_end(void *child);
void workers_on_exit(struct child *c, int status);
void workers_adopt(struct master *m);                      /* gives away spools that nobody has */

/* ---- certificates.c */
/* [{"name": the option, "not_after": ms}] of those that can be read; kept for a minute. Blocks for some small files. */
json_t *certificates_describe(struct master *m);

/* ---- reload.c */
void reload_start(struct master *m, json_t *id);           /* id: of the admin's request (stolen), or NULL: a signal */
void reload_ready(struct master *m);                       /* a worker of m->next is ready */
void reload_failed(struct master *m, const char *why);     /* m->next cannot be */
void reload_stop(struct master *m);                        /* the relay ends: whoever waits for a reload is told */
json_t *reload_log_findings(const struct config_report *r, const char *file);
/* tls_check and config_check_sources with the places in the file. */
bool reload_check_certificates(const char *file, const struct config *c, struct config_report *report);

/* ---- apart.c, in the process that serves such a request: {"op": "tls-report", "file": base64} is answered by one without any rights.
 * Blocks. The answer as a descriptor, the caller's; -1: *why is the answer. */
bool apart_wants(const json_t *request);
int apart_answer(const struct config *c, const json_t *request, json_t **why) MUST_CHECK;

/* ---- config_child.c: requests of the admin process about the configuration; one at a time, each by a process of its own */
struct config_work *config_work_new(struct master *m);
void config_work_free(struct config_work **w);
void config_work_forget(struct config_work *w);            /* the admin process has gone: nobody waits any more */
/* Takes fd: a file with the request. users: it is about the users file, and nothing else. */
void config_work_ask(struct master *m, json_int_t id, int fd, bool users);
void config_work_on_message(void *child, const json_t *m, int fd);
void config_work_on_exit(struct master *m);
/* The answer that a reload for this request goes with, the caller's; -1: none. */
int config_work_take_result(struct master *m, const json_t *id);
int config_child_main(const struct master *m, int channel, int request, bool users); /* in the child; returns the exit code */
/* In a child without a loop: the one thing it says, taken. Until the master has it; false: it is gone. */
bool config_child_say(int channel, json_t *message, int fd);

/* ---- backup_child.c: backups for the admin process, one at a time */
bool backup_work_on_admin(struct master *m, const char *op, const json_t *message); /* false: it is about something else */
void backup_work_stop(struct master *m);                   /* nobody wants it any more, or there is no time for it */
void backup_work_forget(struct master *m);                 /* the admin process has gone */
void backup_work_on_message(void *child, const json_t *m, int fd);
void backup_work_on_exit(struct master *m);
int backup_child_main(const struct master *m, int channel); /* in the child; returns the exit code */

/* ---- master.c */
void master_set_log(const struct config *c, const char *process); /* where this process's lines go */
void master_stop(struct master *m, uint64_t drain_ms, int exit_code);
void master_check_stopped(struct master *m);               /* after each end of a process */
void master_start_admin(struct master *m);
void master_admin_directory(const struct master *m, char *out, size_t size); /* of accounts */
void master_on_admin_message(void *child, const json_t *m, int fd);

/* ---- notify.c: sd_notify(3)'s protocol; nothing when no one listens */
void notify_send(const char *state);

#endif
