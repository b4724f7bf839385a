/* SPDX-License-Identifier: Apache-2.0
 * The dispatcher: what workers ask becomes jobs, and all workers know how the scanners are. */
#include "scan/process.h"
#include <event2/event.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "content/scan.h"
#include "scan/dispatch.h"

#define WAITING_MAX 1000
#define TICK_MS 1000
#define WAIT_LONGEST_MS 3600000

static struct peer *peer_of(struct helper_peer *p) { return container_of(p, struct peer, helper); }

/* ---- how all is */

static json_t *state_of(const struct process *p)
{
    unsigned ready = 0, busy = 0;
    for (unsigned i = 0; i < p->runner_n; i++) {
        ready += p->runners[i].ready;
        busy += p->runners[i].job != NULL;
    }
    return json_pack("{s:s, s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "op", "state", "queue", (json_int_t)p->waiting_n, "queue_bytes",
                     (json_int_t)p->waiting_bytes, "processes", (int)ready, "busy", (int)busy, "messages", (json_int_t)p->messages,
                     "crashes", (json_int_t)p->crashes, "timeouts", (json_int_t)p->timeouts, "refused", (json_int_t)p->refused,
                     "trouble", p->trouble, "failure", p->failure, "scanners", breaker_state(p->breaker));
}

static void tell_state(struct process *p)
{
    json_t *state = state_of(p);
    char *text = json_dumps(state, JSON_COMPACT);
    bool changed = !p->told || !text || strcmp(text, p->told) != 0;
    list_each(it, &p->helper.peers) {
        struct peer *peer = peer_of(list_entry(it, struct helper_peer, node));
        if (peer->told && !changed) continue;
        channel_send(peer->helper.channel, state, -1);
        peer->told = true;
    }
    free(p->told);
    p->told = text;
    json_decref(state);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    queue_expire(arg);
    runners_work(arg); /* who was held back for a message that is gone */
    tell_state(arg);
}

/* ---- workers: each may have been taken over by what it received */

static bool read_number(const json_t *m, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(m, key);
    json_int_t n = json_integer_value(v);
    *out = (uint64_t)n;
    return json_is_integer(v) && n >= 0;
}

static bool is_whole(int fd, uint64_t offset, uint64_t size)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0 && offset <= (uint64_t)st.st_size &&
           size <= (uint64_t)st.st_size - offset;
}

static bool on_peer_message(struct helper_peer *hp, const json_t *m, int fd)
{
    struct process *p = process_of(hp->process);
    struct slice op = json_text(m, "op");
    const json_t *id = json_object_get(m, "id");
    uint64_t size, offset, wait;
    bool scans = slice_eq(op, SLICE("scan"));
    if (fd < 0 && slice_eq(op, SLICE("cancel")) && json_is_integer(id)) {
        queue_cancel(p, peer_of(hp), json_integer_value(id));
        return true;
    }
    bool ok = fd >= 0 && json_is_integer(id) && read_number(m, "size", &size) && read_number(m, "offset", &offset) &&
              read_number(m, "wait", &wait) && (scans || slice_eq(op, SLICE("learn")) || slice_eq(op, SLICE("view"))) &&
              (!scans || json_is_object(json_object_get(m, "context")));
    if (!ok) {
        if (fd >= 0) close(fd);
        return false;
    }
    struct job *j = mem_new(struct job);
    *j = (struct job){ .peer = peer_of(hp), .id = json_integer_value(id), .frame = json_incref((json_t *)m), .fd = fd, .size = size,
                       .client = queue_client(json_object_get(m, "context")),
                       .expires = clock_mono_ms() + (wait < WAIT_LONGEST_MS ? wait : WAIT_LONGEST_MS), .scans = scans,
                       .asked = !scans || json_is_true(json_object_get(m, "file")) };
    if (is_whole(fd, offset, size)) queue_take(p, j);
    else job_fail(j, "the message is not where it is said to be");
    runners_work(p);
    return true;
}

static void peer_open(struct helper_peer *p) {}

static void peer_close(struct helper_peer *p) { queue_forget_peer(process_of(p->process), peer_of(p)); }

/* ---- the process */

static bool read_secrets(struct helper_process *hp, struct err *err)
{
    process_of(hp)->scanning = scanning_new(hp->config, hp->directory, err);
    return process_of(hp)->scanning != NULL;
}

static size_t waiting_max(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY || files.rlim_cur > 4 * WAITING_MAX) return WAITING_MAX;
    return files.rlim_cur > 256 ? (size_t)(files.rlim_cur - 128) / 2 : 64;
}

static bool open_process(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    list_init(&p->waiting);
    p->waiting_max = waiting_max();
    p->breaker = breaker_new(hp->config);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* it has what scanners ask for as a password */
    runners_start(p);
    p->tick = event_new(hp->base, -1, EV_PERSIST, on_tick, p);
    event_add(p->tick, &(struct timeval){ TICK_MS / 1000, 0 });
    return true;
}

static void paths(const struct helper_process *p, struct landlock *l)
{
    const struct config_spam *c = &p->config->spam;
    landlock_write(l, p->directory);
    if (scan_uses_network(p->config)) {
        landlock_add_network(l);
        landlock_read(l, p->config->dns.trust_anchor);
    }
    for (size_t i = 0; i < c->rule_n; i++) landlock_read(l, c->rules[i]);
    landlock_read_below(l, p->config->system.directory, "tables");
}

static const char *runs_programs(const struct config *c)
{
    return scan_runs_programs(c) ? "a scanner is a program, which needs files of its own" : NULL;
}

static const char *user(const struct config *c) { return c->system.scan_user; }

const struct helper_kind scan_helper = {
    .name = "scan", .directory = "scan", .descriptors = true, .process_size = sizeof(struct process), .peer_size = sizeof(struct peer),
    .needed = scan_is_needed, .user = user, .calls = SECCOMP_SCAN, .paths = paths, .runs_programs = runs_programs,
    .read_secrets = read_secrets, .open = open_process, .peer_open = peer_open, .peer_message = on_peer_message, .peer_close = peer_close,
};
