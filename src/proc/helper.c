/* SPDX-License-Identifier: Apache-2.0
 * The frame of a helper process: rights go, workers come and go, and the end. */
#include "proc/helper.h"
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/log.h"

static void check_needed(struct helper_process *p)
{
    if (!p->master && list_empty(&p->peers)) p->stop = true;
}

/* ---- workers */

static void on_peer_end(void *arg)
{
    struct helper_peer *peer = arg;
    struct helper_process *p = peer->process;
    p->kind->peer_close(peer);
    channel_free(&peer->channel);
    list_remove(&peer->node);
    free(peer);
    check_needed(p);
}

static void on_peer_message(void *arg, const json_t *m, int fd)
{
    struct helper_peer *peer = arg;
    const struct helper_kind *k = peer->process->kind;
    if (fd >= 0 && !k->descriptors) close(fd);
    if (k->peer_message(peer, m, k->descriptors ? fd : -1)) return;
    log_event(LOG_ERROR, "helper-protocol", LOG_STR("error", "a worker sent what makes no sense"));
    on_peer_end(peer);
}

/* ---- the master */

static void on_master(void *arg, const json_t *m, int fd)
{
    struct helper_process *p = arg;
    if (fd < 0) return;
    struct helper_peer *peer = mem_zalloc(p->kind->peer_size);
    peer->process = p;
    list_push_back(&p->peers, &peer->node);
    p->kind->peer_open(peer);
    peer->channel = channel_new(p->base, fd, on_peer_message, on_peer_end, peer);
}

static void on_master_end(void *arg)
{
    struct helper_process *p = arg;
    channel_free(&p->master);
    check_needed(p);
}

/* ---- start */

static bool restrict_files(const struct helper_process *p, struct err *err)
{
    struct landlock l;
    landlock_init(&l);
    p->kind->paths(p, &l);
    return landlock_restrict(&l, err);
}

static bool prepare(struct helper_process *p, const struct privilege_user *user, struct err *err)
{
    const struct helper_kind *k = p->kind;
    bool sandbox = p->config->system.sandbox;
    const char *programs = k->runs_programs ? k->runs_programs(p->config) : NULL;
    enum seccomp_profile calls = k->calls_for ? k->calls_for(p->config) : k->calls;
    if (k->read_secrets && !k->read_secrets(p, err)) return false;
    if (!privilege_drop(user, err)) return false;
    if (k->secrets && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return err_sys(err, errno, "PR_SET_DUMPABLE");
    if (sandbox && programs) log_event(LOG_INFO, "no-landlock", LOG_STR("reason", programs));
    else if (sandbox && !restrict_files(p, err)) return false;
    return k->open(p, err) && (!sandbox || seccomp_restrict(programs ? SECCOMP_AUTH_COMMAND : calls, err));
}

int helper_main(const struct helper_start *start)
{
    struct helper_process *p = mem_zalloc(start->kind->process_size);
    struct err err;
    *p = (struct helper_process){ .kind = start->kind, .config = start->config, .directory = start->directory,
                                  .base = event_base_new() };
    list_init(&p->peers);
    if (!prepare(p, start->user, &err)) {
        log_event(LOG_ERROR, "helper-failed", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    p->master = channel_new(p->base, start->channel, on_master, on_master_end, p);
    while (!p->stop) {
        event_base_loop(p->base, EVLOOP_ONCE);
        log_flush();
    }
    if (p->kind->close) p->kind->close(p);
    return 0;
}
