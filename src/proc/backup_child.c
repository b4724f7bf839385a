/* SPDX-License-Identifier: Apache-2.0
 * A backup that the admin process has asked for: made by a process that is forked for it and reads what root reads, into a file without a name
 * in system.directory, whose descriptor the master passes on. It stands beside the requests about the configuration, which it may outlast by far. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "backup/backup.h"
#include "base/clock.h"
#include "base/log.h"
#include "change/change.h"
#include "proc/process.h"

#define LIMIT_SECONDS 1800

static void answer(const struct master *m, json_int_t id, json_t *told, int fd)
{
    if (m->admin && id) child_send(m->admin, json_pack("{s:I, s:o}", "id", id, "answer", told), fd);
    else json_decref(told);
}

static void refuse(const struct master *m, json_int_t id, const char *why)
{
    answer(m, id, json_pack("{s:s}", "failed", why), -1);
}

static void ask(struct master *m, const json_t *message)
{
    struct backup_work *w = &m->backup_work;
    struct err err;
    json_int_t id = json_integer_value(json_object_get(message, "id"));
    if (w->child || m->stopping) {
        refuse(m, id, m->stopping ? "the relay is being stopped" : "a backup is being made already");
        return;
    }
    w->quarantine = !json_is_false(json_object_get(message, "quarantine"));
    w->child = child_start_backup(m, &err);
    if (!w->child) {
        refuse(m, id, err.text);
        return;
    }
    w->id = id;
    w->answered = false;
    event_add(w->child->killer, &(struct timeval){ LIMIT_SECONDS, 0 });
}

/* What it has made so far is in files without names. */
void backup_work_stop(struct master *m)
{
    struct backup_work *w = &m->backup_work;
    if (w->child && !w->answered) kill(w->child->pid, SIGKILL);
}

bool backup_work_on_admin(struct master *m, const char *op, const json_t *message)
{
    bool asks = !strcmp(op, "backup"), stops = !strcmp(op, "backup-stop");
    if (asks) ask(m, message);
    if (stops) backup_work_stop(m);
    return asks || stops;
}

void backup_work_forget(struct master *m)
{
    m->backup_work.id = 0;
    backup_work_stop(m);
}

void backup_work_on_message(void *child, const json_t *message, int fd)
{
    struct child *c = child;
    struct master *m = c->master;
    struct backup_work *w = &m->backup_work;
    if (w->child == c && !w->answered) {
        w->answered = true;
        answer(m, w->id, json_copy((json_t *)(uintptr_t)message), fd);
        channel_free(&c->channel); /* which lets it end */
    }
    if (fd >= 0) close(fd);
}

void backup_work_on_exit(struct master *m)
{
    struct backup_work *w = &m->backup_work;
    w->child = NULL;
    if (!w->answered) refuse(m, w->id, "the process that makes the backup ended before it was done");
}

/* ---- in the child */

/* It reads anything, and writes into the folder of the data, where its copies lie and what opens databases writes beside them. */
static bool confine(const char *directory, struct err *err)
{
    struct landlock l;
    landlock_init(&l);
    landlock_read(&l, "/");
    landlock_write(&l, directory);
    landlock_write(&l, "/var/tmp");
    return landlock_restrict(&l, err);
}

/* Without a name from its beginning, or at once. */
static int open_nameless(const char *directory, struct err *err)
{
    char path[4400];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    snprintf(path, sizeof path, "%s/postern-backup-XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) (void)unlink(path);
    else err_sys(err, errno, "%.250s", directory);
    return fd;
}

/* What mail needs, and half of the rest: others fill the disk, too. */
static uint64_t bytes_to_leave(int fd, const struct config *c)
{
    struct statvfs v;
    if (fstatvfs(fd, &v) != 0) return 0;
    uint64_t free_n = (uint64_t)v.f_bavail * v.f_frsize, mail = (uint64_t)v.f_blocks * v.f_frsize / 100 * c->queue.free_space;
    return free_n > mail ? mail + (free_n - mail) / 2 : mail + 1;
}

static int make(const struct config *c, const char *file, bool quarantine, json_t **told, struct err *err)
{
    uint64_t began = clock_mono_ms();
    struct stat st = { 0 };
    size_t n = 0;
    char own[60];
    int fd = open_nameless(c->system.directory, err), out = -1;
    if (fd < 0) return -1;
    const struct backup_options o = { .config = c, .file = file, .keep_free = bytes_to_leave(fd, c), .quarantine = quarantine, .downloaded = true };
    if (backup_make(fd, &o, &n, err)) {
        (void)fstat(fd, &st);
        snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
        out = open(own, O_RDONLY | O_CLOEXEC);
        if (out < 0) err_sys(err, errno, "%s", own);
    }
    close(fd);
    if (out < 0) return -1;
    log_event(LOG_INFO, "backup", LOG_NUM("files", n), LOG_NUM("bytes", (uint64_t)st.st_size), LOG_STR("quarantine", quarantine ? "yes" : "no"),
              LOG_NUM("ms", clock_mono_ms() - began));
    *told = json_pack("{s:I, s:I}", "files", (json_int_t)n, "bytes", (json_int_t)st.st_size);
    return out;
}

static int load_and_make(const struct master *m, json_t **told, struct err *err)
{
    struct config_report report = { 0 };
    struct config *c = config_load(m->file, &report);
    int fd = -1;
    if (!c) err_set_text(err, "%.250s cannot be read, or has errors: postern check tells more", m->file);
    else if (strcmp(c->system.directory, m->directory) != 0)
        err_set_text(err, "system.directory in %.250s is another one than the relay was started with", m->file);
    else fd = make(c, m->file, m->backup_work.quarantine, told, err);
    config_report_deinit(&report);
    config_free(c);
    return fd;
}

int backup_child_main(const struct master *m, int channel)
{
    const struct config *c = (m->current ? m->current : m->next)->config;
    const struct rlimit none = { 0, 0 };
    struct err err = { 0 };
    json_t *told = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    bool ready = getppid() == m->pid && (!c->system.sandbox || confine(m->directory, &err));
    int fd = ready ? load_and_make(m, &told, &err) : -1;
    if (fd < 0) {
        log_event(LOG_ERROR, "backup-failed", LOG_ERR(&err));
        told = json_pack("{s:o, s:b}", "failed", change_answer_text(slice_str(err.text)), "full", err.code == ENOSPC);
    }
    bool ok = config_child_say(channel, told, fd);
    if (fd >= 0) close(fd);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
