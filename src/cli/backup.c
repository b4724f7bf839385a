/* SPDX-License-Identifier: Apache-2.0
 * postern backup, postern restore. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backup/backup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/config.h"

/* ---- backup */

static const char backup_help[] =
    "usage: postern backup FILE|- [-c FILE] [--no-quarantine] [--with-queue]\n"
    "\n"
    "Writes all that a new machine needs into one file (tar with zstd, mode 0600): the configuration with its\n"
    "revisions, the files it names (keys, certificates, secrets, tables, templates), accounts, what the relay\n"
    "remembers, the quarantine, what the spam filter learnt. While the relay runs, or not.\n"
    "\n"
    "  --no-quarantine   without the messages in the quarantine\n"
    "  --with-queue      with mail that is still to be delivered; the relay must be stopped. A machine that\n"
    "                    is restored delivers it again: only for moving to another one\n"
    "\n"
    "Whoever has the file has all secrets of the relay. `postern restore` brings it back.\n";

struct backup_arguments {
    const char *config, *file;
    bool queue, no_quarantine;
};

static int open_output(const char *file, char *aside, size_t size, struct err *err)
{
    if (!strcmp(file, "-")) {
        if (!isatty(STDOUT_FILENO)) return STDOUT_FILENO;
        err_set(err, "a backup is not for a terminal: name a file, or a pipe");
        return -1;
    }
    snprintf(aside, size, "%s.part", file);
    (void)unlink(aside);
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) err_sys(err, errno, "%.250s", aside);
    return fd;
}

static bool make_backup(const struct backup_arguments *a, const struct config *c, const char *path, struct err *err)
{
    char aside[4400] = "";
    size_t n = 0;
    struct stat st;
    if (a->queue && backup_relay_runs(c->system.run_directory)) return err_set(err, "--with-queue: stop the relay first: what it delivers meanwhile would be delivered again");
    int fd = open_output(a->file, aside, sizeof aside, err);
    if (fd < 0) return false;
    char near[4400];
    snprintf(near, sizeof near, "%s", aside);
    const struct backup_options o = { .config = c, .file = path, .near = aside[0] ? dirname(near) : NULL, .queue = a->queue, .quarantine = !a->no_quarantine };
    bool ok = backup_make(fd, &o, &n, err);
    if (ok && aside[0] && fsync(fd) != 0) ok = err_sys(err, errno, "%.250s", aside);
    if (ok && aside[0] && rename(aside, a->file) != 0) ok = err_sys(err, errno, "%.250s", a->file);
    if (!ok && aside[0]) (void)unlink(aside);
    if (ok && aside[0] && fstat(fd, &st) == 0) printf("%s: %zu files, %lld bytes%s\n", a->file, n, (long long)st.st_size, a->queue ? "" : "; mail in the queue is not in it");
    if (aside[0]) close(fd);
    return ok;
}

int cli_backup(int argc, char **argv)
{
    struct backup_arguments a = { .config = CLI_DEFAULT_CONFIG };
    struct config_report report = { 0 };
    struct err err;
    for (int i = 1; i < argc; i++) {
        if (cli_config_option(argc, argv, &i, &a.config)) continue;
        if (cli_flag(argv, i, "--with-queue")) a.queue = true;
        else if (cli_flag(argv, i, "--no-quarantine")) a.no_quarantine = true;
        else if (!a.file && (argv[i][0] != '-' || !argv[i][1])) a.file = argv[i];
        else {
            bool asked = cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h");
            if (!asked) cli_complain("backup", "what is \"", argv[i], "\"?");
            fputs(backup_help, asked ? stdout : stderr);
            return asked ? 0 : EX_USAGE;
        }
    }
    if (!a.file) {
        fputs(backup_help, stderr);
        return EX_USAGE;
    }
    char *path = realpath(a.config, NULL);
    struct config *c = path ? config_load(path, &report) : NULL;
    bool ok = c ? make_backup(&a, c, path, &err) : err_set(&err, "%.250s cannot be read, or has errors: postern check tells more", a.config);
    config_report_deinit(&report);
    config_free(c);
    free(path);
    if (ok) return 0;
    fprintf(stderr, "postern: %s\n", err.text);
    return EX_CANTCREAT;
}

/* ---- restore */

static const char restore_help[] =
    "usage: postern restore FILE|- [-c FILE] [--to FOLDER] [--force] [--outside] [--list]\n"
    "\n"
    "Brings back what `postern backup` has written, each file to its place with its owner and mode, and then checks\n"
    "the configuration. Nothing is written before all of the file was read and found to be whole.\n"
    "\n"
    "  --list       show what is in it, and write nothing\n"
    "  -c FILE      where the configuration goes, in place of where it was\n"
    "  --to FOLDER  in front of all paths: the root of another system\n"
    "  --force      although something is there: system.directory is put aside (its queue stays), files are replaced\n"
    "  --outside    although the backup has files that lie neither in /etc/postern nor in /var/lib/postern\n";

/* What cannot be read twice is copied to where no name leads to. */
static int open_input(const char *file, struct err *err)
{
    char piece[65536];
    ssize_t n = 0;
    int in = strcmp(file, "-") != 0 ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (in < 0) err_sys(err, errno, "%.250s", file);
    if (in < 0 || lseek(in, 0, SEEK_SET) == 0) return in;
    int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    while (fd >= 0 && (n = read(in, piece, sizeof piece)) > 0)
        if (!io_write_all(fd, slice_of(piece, (size_t)n))) n = -2;
    if (fd >= 0 && n == 0) return fd;
    err_sys(err, errno, "/var/tmp");
    if (fd >= 0) close(fd);
    return -1;
}

static void list(const struct backup_archive *a)
{
    struct buf b = { 0 };
    clock_add_rfc3339(&b, a->made);
    printf("made %s by %s with Postern %s: %zu files, %llu bytes\n", buf_cstr(&b), a->hostname, a->version, a->files, (unsigned long long)a->bytes);
    printf("configuration %s, data %s\n\n", a->config, a->directory);
    for (size_t i = 0; i < a->n; i++) {
        const struct backup_entry *e = &a->entries[i];
        buf_clear(&b);
        buf_add_printable(&b, slice_str(e->path), 4000);
        printf("%-13s %04o %-16.40s %12llu  %s\n", backup_kind_name(e->kind), (unsigned)e->mode, e->owner, (unsigned long long)e->size, buf_cstr(&b));
    }
    buf_deinit(&b);
}

static int check_restored(const char *config)
{
    char name[] = "check", option[] = "-c", path[4400];
    snprintf(path, sizeof path, "%s", config);
    return cli_check(3, (char *[]){ name, option, path, NULL });
}

static int restore(const char *file, const struct backup_place *p, bool only_list)
{
    struct backup_archive a;
    struct err err;
    int code = EX_DATAERR, fd = open_input(file, &err);
    if (fd < 0) return cli_fail(&err);
    if (!backup_read(fd, &a, &err)) {
        fprintf(stderr, "postern: %s\n", err.text);
        close(fd);
        return code;
    }
    if (only_list) {
        list(&a);
        code = 0;
    } else if (!backup_restore(fd, &a, p, &err)) {
        fprintf(stderr, "postern: %s\n", err.text);
        code = EX_CANTCREAT;
    } else {
        printf("%zu files are restored\n", a.files);
        code = p->to[0] ? 0 : check_restored(p->config ? p->config : a.config);
    }
    backup_archive_deinit(&a);
    close(fd);
    return code;
}

int cli_restore(int argc, char **argv)
{
    struct backup_place p = { .to = "" };
    const char *file = NULL;
    bool only_list = false;
    for (int i = 1; i < argc; i++) {
        if (cli_config_option(argc, argv, &i, &p.config) || cli_option(argc, argv, &i, "--to", &p.to)) continue;
        if (cli_flag(argv, i, "--force")) p.force = true;
        else if (cli_flag(argv, i, "--outside")) p.outside = true;
        else if (cli_flag(argv, i, "--list")) only_list = true;
        else if (!file && (argv[i][0] != '-' || !argv[i][1])) file = argv[i];
        else {
            bool asked = cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h");
            if (!asked) cli_complain("restore", "what is \"", argv[i], "\"?");
            fputs(restore_help, asked ? stdout : stderr);
            return asked ? 0 : EX_USAGE;
        }
    }
    if (file) return restore(file, &p, only_list);
    fputs(restore_help, stderr);
    return EX_USAGE;
}
