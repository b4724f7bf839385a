/* SPDX-License-Identifier: Apache-2.0
 * The tables process: its loop carries frames, its threads read. */
#include "table/process.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sqlite3.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "config/tables.h"
#include "table/readers.h"

#define GATHER_MS 100            /* many tables may change at once */
#define SQLITE_HEAP (512 << 20)
#define MEMORY_MAX (UINT64_C(4) << 30) /* one row may be as large as its server likes: libraries are to fail then, not the machine */

struct process {
    struct helper_process helper;
    struct readers *readers;
    struct event *wake, *gather;
    int told;
};

static struct process *process_of(struct helper_process *p)
{
    return container_of(p, struct process, helper);
}

/* ---- how all is */

static void tell(struct process *p, struct channel *to)
{
    json_t *m = json_pack("{s:s, s:o}", "op", "state", "tables", readers_state(p->readers));
    if (to) channel_send(to, m, -1);
    else
        list_each(it, &p->helper.peers) channel_send(list_entry(it, struct helper_peer, node)->channel, m, -1);
    json_decref(m);
}

static void on_gathered(evutil_socket_t fd, short what, void *arg) { tell(arg, NULL); }

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct process *p = arg;
    uint64_t n;
    if (read(fd, &n, sizeof n) < 0 || evtimer_pending(p->gather, NULL)) return;
    event_add(p->gather, &(struct timeval){ 0, GATHER_MS * 1000 });
}

/* ---- workers */

static bool on_message(struct helper_peer *peer, const json_t *m, int fd)
{
    if (!slice_eq(json_text(m, "op"), SLICE("refresh"))) return false;
    readers_refresh(process_of(peer->process)->readers, json_text(m, "name").p);
    return true;
}

static void peer_open(struct helper_peer *peer)
{
    const struct process *p = process_of(peer->process);
    event_add(p->gather, &(struct timeval){ 0, 0 }); /* when it has its channel */
}

static void peer_close(struct helper_peer *peer) {}

/* ---- the process */

static bool read_secrets(struct helper_process *hp, struct err *err)
{
    process_of(hp)->readers = readers_new(hp->config, hp->directory);
    return true;
}

/* What a library writes to standard error is a server's text, raw, and would stand in the log. The log itself does not go this way. */
static void hush(void)
{
    FILE *nowhere = fopen("/dev/null", "we");
    if (nowhere) stderr = nowhere;
}

static void limit_memory(void)
{
    const struct rlimit most = { MEMORY_MAX, MEMORY_MAX };
    if (!SANITIZER) (void)setrlimit(RLIMIT_DATA, &most);
}

static bool open_process(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* it has passwords of its own; those of next hops it does not */
    (void)setenv("HOME", hp->directory, 1); /* libraries look there for settings of people */
    (void)setenv("LDAPNOINIT", "1", 1);     /* ldap.conf(5): what is asked is written in our configuration alone */
    (void)sqlite3_hard_heap_limit64(SQLITE_HEAP);
    hush();
    limit_memory();
    p->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->told < 0) return err_sys(err, errno, "eventfd");
    p->wake = event_new(hp->base, p->told, EV_READ | EV_PERSIST, on_wake, p);
    p->gather = evtimer_new(hp->base, on_gathered, p);
    event_add(p->wake, NULL);
    return readers_start(p->readers, p->told, err);
}

static void paths(const struct helper_process *p, struct landlock *l)
{
    landlock_write(l, p->directory);
    readers_paths(p->config, l);
}

static enum seccomp_profile calls_for(const struct config *c)
{
    return readers_need_network(c) ? SECCOMP_TABLES_NET : SECCOMP_TABLES;
}

static bool needed(const struct config *c)
{
    struct err err;
    struct tables *t = tables_new_of_sources(c, &err);
    bool any = t && tables_count(t);
    tables_free(t);
    return any;
}

static const char *user(const struct config *c) { return c->system.table_user; }

/* Nothing to close: threads may be busy still. */
const struct helper_kind table_helper = {
    .name = "tables", .directory = "tables", .shared = true, .process_size = sizeof(struct process),
    .peer_size = sizeof(struct helper_peer), .needed = needed, .user = user, .calls_for = calls_for, .paths = paths,
    .read_secrets = read_secrets, .open = open_process, .peer_open = peer_open, .peer_message = on_message, .peer_close = peer_close,
};
