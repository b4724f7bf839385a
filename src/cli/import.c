/* SPDX-License-Identifier: Apache-2.0
 * `postern import`: another server's configuration becomes one of ours, with a report of what did not. */
#include "import/import.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "change/change.h"
#include "cli/cli.h"
#include "cli/common.h"

enum { LEFT_OUT = 1 }; /* exit code: a configuration was written, but something is not in it */

static const char help[] =
    "usage: postern import postfix DIR [-o FILE] [--force] [--json]\n"
    "\n"
    "Reads the Postfix configuration in DIR (main.cf, master.cf and the tables they name) and writes one for\n"
    "the relay, which passes `postern check`. The report names each line that was left out, or means something\n"
    "else here. Nothing is executed or looked up, and DIR is not changed.\n"
    "\n"
    "  -o, --output FILE   write it there, long lists to lists/ and passwords to secrets/ beside it, and the report\n"
    "                      to standard output. Without it the configuration goes to standard output, whole and without\n"
    "                      passwords, and the report to standard error\n"
    "  --force             write over files that are there\n"
    "  --json              the report as JSON: {\"taken\", \"left_out\", \"different\", \"notes\": [{\"kind\", \"file\", \"line\",\n"
    "                      \"text\", \"why\", \"todo\"}]}; without -o the configuration is its member \"configuration\"\n"
    "\n"
    "Exit code 0: all was understood, perhaps with another meaning; 1: something was left out; 65: main.cf is none;\n"
    "66: there is no main.cf; 73: a file cannot be written.\n";

struct options {
    const char *folder, *output;
    bool force, json;
};

/* ---- files */

static bool fail(const char *what, int code)
{
    fprintf(stderr, "postern import: %s: %s\n", what, code == EEXIST ? "is there already; --force writes over it" : strerror(code));
    return false;
}

/* A new file, in place of one that is there when that is wanted; never through a link. */
static bool write_file(const char *path, struct slice text, mode_t mode, bool force)
{
    struct buf aside = { 0 };
    buf_addf(&aside, "%s.new", path);
    if (force) unlink(buf_cstr(&aside));
    int fd = open(force ? buf_cstr(&aside) : path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    bool ok = fd >= 0 && io_write_all(fd, text) && fsync(fd) == 0;
    int code = errno;
    if (fd >= 0 && close(fd) < 0) ok = false;
    if (ok && force && rename(buf_cstr(&aside), path) < 0) ok = false, code = errno;
    buf_deinit(&aside);
    return ok || fail(path, code);
}

static bool make_folder(const char *path, mode_t mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0) return true;
    int code = errno;
    return (code == EEXIST && lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) || fail(path, code == EEXIST ? ENOTDIR : code);
}

static const char *beside(struct buf *b, const char *output, struct slice name)
{
    const char *last = strrchr(output, '/');
    buf_clear(b);
    buf_add(b, slice_of(output, last ? (size_t)(last - output) + 1 : 0));
    buf_add(b, name);
    return buf_cstr(b);
}

/* The group and others look into secrets/ by name only; files there are their owner's. */
static bool write_beside(const struct import *im, const struct options *o)
{
    struct buf path = { 0 };
    bool ok = true;
    for (size_t i = 0; i < import_file_count(im) && ok; i++) {
        const struct import_file *f = import_file_at(im, i);
        struct slice name = slice_str(f->name);
        ok = make_folder(beside(&path, o->output, slice_sub(name, 0, (size_t)slice_find(name, '/'))), f->secret ? 0711 : 0755) &&
             write_file(beside(&path, o->output, name), f->text, f->secret ? 0600 : 0644, o->force);
    }
    buf_deinit(&path);
    return ok;
}

/* None of them, when one is there already. */
static bool may_write(const struct import *im, const struct options *o)
{
    struct buf path = { 0 };
    struct stat st;
    bool ok = o->force || lstat(o->output, &st) < 0 || fail(o->output, EEXIST);
    for (size_t i = 0; i < import_file_count(im) && ok && !o->force; i++) {
        const char *p = beside(&path, o->output, slice_str(import_file_at(im, i)->name));
        ok = lstat(p, &st) < 0 || fail(p, EEXIST);
    }
    buf_deinit(&path);
    return ok;
}

/* ---- the command */

static void print_report(const struct import *im, const struct options *o, struct slice text)
{
    if (o->json) {
        json_t *j = import_report_json(im);
        if (!o->output) json_object_set_new(j, "configuration", json_stringn(text.p, text.n));
        cli_print_json(j);
        json_decref(j);
        return;
    }
    struct buf b = { 0 };
    bool secrets = false;
    for (size_t i = 0; i < import_file_count(im); i++) secrets |= import_file_at(im, i)->secret;
    import_add_report(im, &b);
    if (!o->output) fwrite(text.p, 1, text.n, stdout);
    else {
        buf_addf(&b, "%s was written; next: postern check -c %s\n", o->output, o->output);
        if (secrets) buf_add_str(&b, "passwords are in secrets/ beside it: let system.auth_user read them (chown postern-auth)\n");
    }
    fwrite(b.p, 1, b.n, o->output ? stdout : stderr);
    buf_deinit(&b);
}

static int import_postfix(const struct options *o)
{
    struct err err;
    struct import *im = import_new(o->folder, o->output);
    int code = EX_SOFTWARE;
    if (!import_read_postfix(im, &err)) {
        fprintf(stderr, "postern import: %s\n", err.text);
        code = err.code == ENOENT ? EX_NOINPUT : EX_DATAERR;
    } else if (o->output && (!may_write(im, o) || !write_beside(im, o))) code = EX_CANTCREAT;
    else if (!change_import_right(im, o->output ? o->output : "./postern.yaml", &err)) fprintf(stderr, "postern import: %s\n", err.text);
    else {
        struct slice text = import_compose(im);
        if (o->output && !write_file(o->output, text, 0644, o->force)) code = EX_CANTCREAT;
        else {
            print_report(im, o, text);
            code = import_count(im, IMPORT_LEFT_OUT) ? LEFT_OUT : 0;
        }
    }
    import_free(im);
    return code;
}

int cli_import(int argc, char **argv)
{
    struct options o = { 0 };
    const char *kind = NULL;
    for (int i = 1; i < argc; i++) {
        if (cli_option(argc, argv, &i, "-o", &o.output) || cli_option(argc, argv, &i, "--output", &o.output)) continue;
        if (cli_flag(argv, i, "--json")) o.json = true;
        else if (cli_flag(argv, i, "--force")) o.force = true;
        else if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        } else if (argv[i][0] == '-' || o.folder) {
            cli_complain("import", "what is \"", argv[i], "\"?");
            fputs(help, stderr);
            return EX_USAGE;
        } else if (!kind) kind = argv[i];
        else o.folder = argv[i];
    }
    if (!kind || !o.folder || strcmp(kind, "postfix") != 0) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    return import_postfix(&o);
}
