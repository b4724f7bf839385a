/* SPDX-License-Identifier: Apache-2.0
 * Requests of the admin process about the configuration: each is for a process that is forked for it, has root's rights for the folder of the
 * configuration alone, answers and ends. The master passes descriptors on, and looks into nothing. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/users_file.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "change/change.h"
#include "proc/process.h"

#define WAITING_MAX 32
#define REQUEST_MAX (16u << 20) /* bytes of JSON */
#define LIMIT_SECONDS 60
#define FILE_MAX (64u << 20)
#define IMPORT_CPU_SECONDS 15
#define IMPORT_MEMORY (UINT64_C(1) << 30)

struct waiting {
    struct list node;
    json_int_t id;
    int fd;
    bool users;
};

struct config_work {
    struct master *master;
    struct list waiting;     /* requests, in order */
    struct list results;     /* answers that wait for the reload they have caused */
    unsigned n;
    struct child *child;     /* NULL: none */
    json_int_t id;           /* of its request; 0: nobody waits any more */
    bool users;              /* it is about the users file */
    bool answered;
    struct stat before;      /* of the configuration */
};

struct config_work *config_work_new(struct master *m)
{
    struct config_work *w = mem_new(struct config_work);
    w->master = m;
    list_init(&w->waiting);
    list_init(&w->results);
    return w;
}

static void drop(struct list *l)
{
    struct list *node;
    while ((node = list_pop_front(l))) {
        struct waiting *r = list_entry(node, struct waiting, node);
        close(r->fd);
        free(r);
    }
}

void config_work_forget(struct config_work *w)
{
    drop(&w->waiting);
    drop(&w->results);
    w->n = 0;
    w->id = 0;
}

void config_work_free(struct config_work **wp)
{
    struct config_work *w = *wp;
    *wp = NULL;
    if (!w) return;
    config_work_forget(w);
    free(w);
}

static void answer(struct master *m, json_int_t id, const char *error, int fd)
{
    if (!m->admin || !id) return;
    json_t *told = error ? json_pack("{s:s}", "failed", error) : json_object();
    child_send(m->admin, json_pack("{s:I, s:o}", "id", id, "answer", told), fd);
}

int config_work_take_result(struct master *m, const json_t *id)
{
    list_each_safe(it, &m->config_work->results) {
        struct waiting *r = list_entry(it, struct waiting, node);
        if (!json_is_integer(id) || r->id != json_integer_value(id)) continue;
        int fd = r->fd;
        list_remove(&r->node);
        free(r);
        return fd;
    }
    return -1;
}

/* ---- one after the other */

static void start_next(struct config_work *w);

static struct waiting *waiting_new(json_int_t id, int fd)
{
    struct waiting *r = mem_new(struct waiting);
    r->id = id;
    r->fd = fd;
    return r;
}

void config_work_ask(struct master *m, json_int_t id, int fd, bool users)
{
    struct config_work *w = m->config_work;
    const char *error = fd < 0                ? "no request"
                        : w->n >= WAITING_MAX ? "too many changes of the configuration wait"
                        : m->stopping         ? "the relay is being stopped"
                                              : NULL;
    if (error) {
        answer(m, id, error, -1);
        if (fd >= 0) close(fd);
        return;
    }
    struct waiting *r = waiting_new(id, fd);
    r->users = users;
    list_push_back(&w->waiting, &r->node);
    w->n++;
    start_next(w);
}

static void start_next(struct config_work *w)
{
    struct err err;
    while (!w->child && !list_empty(&w->waiting)) {
        struct waiting *r = list_entry(list_pop_front(&w->waiting), struct waiting, node);
        w->n--;
        w->id = r->id;
        w->users = r->users;
        w->answered = false;
        if (stat(w->master->file, &w->before) != 0) memset(&w->before, 0, sizeof w->before);
        w->child = child_start_config(w->master, r->fd, r->users, &err);
        if (w->child) event_add(w->child->killer, &(struct timeval){ LIMIT_SECONDS, 0 });
        else answer(w->master, r->id, err.text, -1);
        close(r->fd);
        free(r);
    }
}

void config_work_on_message(void *child, const json_t *message, int fd)
{
    struct child *c = child;
    struct master *m = c->master;
    struct config_work *w = m->config_work;
    if (w->child != c || w->answered || fd < 0) {
        if (fd >= 0) close(fd);
        return;
    }
    w->answered = true;
    channel_free(&c->channel); /* which lets it end */
    if (json_is_true(json_object_get(message, "wrote"))) { /* told when it is in force, or why it is not */
        json_t *id = w->id ? json_integer(w->id) : NULL;
        if (id) list_push_back(&w->results, &waiting_new(w->id, fd)->node);
        else close(fd);
        reload_start(m, id);
        return;
    }
    answer(m, w->id, NULL, fd);
    close(fd);
}

void config_work_on_exit(struct master *m)
{
    struct config_work *w = m->config_work;
    struct stat now;
    w->child = NULL;
    if (!w->answered) {
        bool wrote = stat(m->file, &now) == 0 && (now.st_ino != w->before.st_ino || now.st_mtim.tv_sec != w->before.st_mtim.tv_sec ||
                                                  now.st_mtim.tv_nsec != w->before.st_mtim.tv_nsec);
        log_event(LOG_ERROR, "config-request-failed", LOG_STR("reason", "its process ended before it had answered"),
                  LOG_STR("written", wrote ? "yes" : "no"));
        if (w->users) answer(m, w->id, "the process that changes the users file ended: look whether it was changed", -1);
        else answer(m, w->id, wrote ? "the process that changes the configuration ended; the file is written: see its history"
                               : "the process that changes the configuration ended; nothing was changed", -1);
        if (wrote) reload_start(m, NULL);
    }
    if (!m->stopping) start_next(w);
}

/* ---- in the child */

/* It reads what a check of the configuration reads, anywhere, and writes into its folder; or it reads and writes in the folder of the users file
 * alone. */
static bool confine(const char *file, bool users, struct err *err)
{
    struct landlock l;
    char *folder = users ? mem_strdup(file) : realpath(file, NULL), *slash = folder ? strrchr(folder, '/') : NULL;
    const struct rlimit size = { FILE_MAX, FILE_MAX }, none = { 0, 0 };
    if (slash) *(slash == folder ? slash + 1 : slash) = 0;
    (void)setrlimit(RLIMIT_FSIZE, &size);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    landlock_init(&l);
    if (!users) landlock_read(&l, "/");
    landlock_write(&l, folder);
    free(folder);
    return landlock_restrict(&l, err);
}

static json_t *read_request(int fd)
{
    struct buf text = { 0 };
    struct stat st;
    json_t *request = NULL;
    if (fstat(fd, &st) == 0 && st.st_size >= 0 && (uint64_t)st.st_size <= REQUEST_MAX) {
        char *to = buf_reserve(&text, (size_t)st.st_size + 1);
        ssize_t n = pread(fd, to, (size_t)st.st_size, 0);
        if (n > 0) request = json_loadb(to, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
        if (n > 0) text.n = (size_t)n;
    }
    buf_wipe(&text);
    return request;
}

static int write_answer(const json_t *answer)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    char *text = json_dumps(answer, JSON_COMPACT);
    bool ok = fd >= 0 && text && io_write_all(fd, slice_str(text));
    free(text);
    if (!ok && fd >= 0) close(fd);
    return ok ? fd : -1;
}

static void on_nothing(void *arg) {}

/* A small message, for which there is room: no loop turns here. The master closes its end when it has it, before which this process must not
 * be gone. */
bool config_child_say(int channel, json_t *m, int fd)
{
    struct event_base *base = event_base_new();
    struct pollfd ended = { .fd = fcntl(channel, F_DUPFD_CLOEXEC, 3), .events = POLLIN };
    if (!base || ended.fd < 0) {
        json_decref(m);
        return false;
    }
    struct channel *c = channel_new(base, channel, NULL, on_nothing, NULL);
    channel_send(c, m, fd);
    json_decref(m);
    channel_free(&c);
    event_base_free(base);
    return poll(&ended, 1, LIMIT_SECONDS * 1000) == 1;
}

/* Files of another server, which may be made to cost much: the next request waits for this one. What it costs more, it is not worth. */
static void bound_import(const json_t *request)
{
    const struct rlimit cpu = { IMPORT_CPU_SECONDS, IMPORT_CPU_SECONDS }, room = { IMPORT_MEMORY, IMPORT_MEMORY };
    if (!slice_eq(json_text(request, "op"), SLICE("import-postfix"))) return;
    (void)setrlimit(RLIMIT_CPU, &cpu);
    if (!SANITIZER) (void)setrlimit(RLIMIT_AS, &room); /* one reserves more address space than there is memory */
}

int config_child_main(const struct master *m, int channel, int request_fd, bool users)
{
    const struct generation *g = m->current ? m->current : m->next;
    const struct config *c = g->config;
    const struct change_world world = { m->file, c->fingerprint, c, g->templates };
    const struct change_users_world users_world = { c, users ? users_group_of(c->system.auth_user) : -1, m->file, m->directory };
    struct err err;
    bool wrote = false;
    if (c->system.sandbox && !confine(users ? c->auth.users : m->file, users, &err)) {
        log_event(LOG_ERROR, "config-confine", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    json_t *request = read_request(request_fd);
    json_t *told = NULL;
    bool apart = !users && apart_wants(request);
    bound_import(request);
    int fd = apart ? apart_answer(c, request, &told) : -1;
    if (!apart) told = users ? change_answer_users(&users_world, request) : change_answer(&world, request, &wrote);
    if (told) fd = write_answer(told);
    json_decref(told);
    json_decref(request);
    bool ok = fd >= 0 && config_child_say(channel, json_pack("{s:b}", "wrote", wrote), fd);
    if (fd >= 0) close(fd);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
