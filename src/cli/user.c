/* SPDX-License-Identifier: Apache-2.0
 * postern user: the users file (auth.backend: users). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <jansson.h>
#include "auth/users_file.h"
#include "base/mem.h"
#include "change/change.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/config.h"

#define PASSWORD_MAX 1024

static const char help[] =
    "usage: postern user add NAME [--addresses A,B] [--cram-md5]\n"
    "       postern user password NAME [--cram-md5]\n"
    "       postern user addresses NAME A,B\n"
    "       postern user delete NAME\n"
    "       postern user list [--json]\n"
    "\n"
    "Users who may send mail through this relay, where auth.backend is users. The password is asked for\n"
    "on the terminal, twice, or is the first line of standard input. A running relay sees changes at once.\n"
    "\n"
    "  --addresses A,B     what the user may send as besides NAME: a@b.example, @b.example for all of a\n"
    "                      domain, * for anything\n"
    "  --cram-md5          also a secret for CRAM-MD5, from which who steals the file can log in\n"
    "  -c, --config FILE   the configuration, which names the file (" CLI_DEFAULT_CONFIG ")\n"
    "  --file FILE         the users file itself\n";

struct options {
    const char *config, *file, *addresses, *words[3];
    size_t word_n;
    bool cram, json;
};

/* -1: go on. */
static int read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){ .config = CLI_DEFAULT_CONFIG };
    for (int i = 1; i < argc; i++) {
        if (cli_config_option(argc, argv, &i, &o->config) || cli_option(argc, argv, &i, "--file", &o->file) ||
            cli_option(argc, argv, &i, "--addresses", &o->addresses))
            continue;
        bool asked = cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h");
        if (cli_flag(argv, i, "--cram-md5")) o->cram = true;
        else if (cli_flag(argv, i, "--json")) o->json = true;
        else if (!asked && argv[i][0] != '-' && o->word_n < countof(o->words)) o->words[o->word_n++] = argv[i];
        else {
            if (!asked) fprintf(stderr, "postern user: what is \"%s\"?\n\n", argv[i]);
            fputs(help, asked ? stdout : stderr);
            return asked ? 0 : EX_USAGE;
        }
    }
    return -1;
}

/* One line without echo; false: end of input, or too long. */
static bool read_secret(const char *prompt, char *out, size_t size)
{
    struct termios before, quiet;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        fputs(prompt, stderr);
    }
    size_t n = 0;
    char c = 0;
    while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n' && n < size) out[n++] = c;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (n && n < size && out[n - 1] == '\r') n--;
    if (!n || n >= size) return false;
    out[n] = 0;
    return true;
}

static bool ask_password(char out[PASSWORD_MAX], struct err *err)
{
    char again[PASSWORD_MAX];
    if (!read_secret("Password: ", out, PASSWORD_MAX))
        return err_set(err, "no password was given, or one that is too long");
    if (!isatty(STDIN_FILENO)) return true;
    bool same = read_secret("Again: ", again, sizeof again) && !strcmp(out, again);
    mem_wipe(again, sizeof again);
    return same || err_set(err, "these were two different passwords");
}

static void print_one(void *unused, const struct users_entry *u)
{
    struct buf text = { 0 };
    const char *gap = u->addresses.n ? "  " : "";
    buf_add_printable(&text, u->name, 255);
    if (u->addresses.n || u->cram_md5 || u->locked) buf_addf(&text, "%*s ", text.n < 32 ? (int)(32 - text.n) : 0, "");
    buf_add_printable(&text, u->addresses, u->addresses.n);
    if (u->cram_md5) buf_addf(&text, "%s(CRAM-MD5)", gap);
    if (u->locked) buf_addf(&text, "%s(locked)", u->cram_md5 ? " " : gap);
    puts(buf_cstr(&text));
    buf_deinit(&text);
}

static void add_one(void *all, const struct users_entry *u)
{
    json_array_append_new(all, json_pack("{s:o, s:b, s:b, s:o}", "name", change_answer_text(u->name), "cram_md5", u->cram_md5,
                                         "locked", u->locked, "addresses", change_users_addresses_of(u)));
}

static int list(const char *file, bool json)
{
    json_t *all = json_array();
    struct err err;
    bool ok = users_file_each(file, json ? add_one : print_one, all, &err);
    if (ok && json) cli_print_json(all);
    json_decref(all);
    if (!ok) fprintf(stderr, "postern: %s\n", err.text);
    return ok ? 0 : EX_NOINPUT;
}

static int change(const char *file, const struct options *o, int64_t group)
{
    struct buf made = { 0 };
    char password[PASSWORD_MAX] = "";
    const char *op = o->words[0];
    bool add = !strcmp(op, "add"), secret = add || !strcmp(op, "password"), addresses = !strcmp(op, "addresses");
    struct users_change c = { .name = slice_str(o->words[1]),
                              .cram_md5 = o->cram,
                              .remove = !strcmp(op, "delete"),
                              .must_exist = !add,
                              .must_not_exist = add,
                              .addresses = slice_str(addresses ? o->words[2] : o->addresses),
                              .group = group };
    struct err err;
    bool ok = !secret || (ask_password(password, &err) && users_secret_make(slice_str(password), &made, &err));
    if (secret) c.secret = buf_slice(&made);
    ok = ok && users_file_change(file, &c, &err);
    mem_wipe(password, sizeof password);
    buf_wipe(&made);
    if (!ok) fprintf(stderr, "postern: %s\n", err.text);
    return ok ? 0 : EX_DATAERR;
}

static bool fits(const struct options *o)
{
    static const struct {
        const char *op;
        size_t words;
    } all[] = { { "add", 2 }, { "password", 2 }, { "delete", 2 }, { "addresses", 3 }, { "list", 1 } };
    for (size_t i = 0; o->word_n && i < countof(all); i++)
        if (!strcmp(o->words[0], all[i].op)) return o->word_n == all[i].words;
    return false;
}

int cli_user(int argc, char **argv)
{
    struct options o;
    struct config_report report = { 0 };
    int code = read_options(argc, argv, &o);
    if (code >= 0) return code;
    if (!fits(&o)) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    struct config *c = o.file ? NULL : config_load(o.config, &report);
    if (!o.file) config_report_deinit(&report);
    if (!o.file && !c) {
        fprintf(stderr,
                "postern: the configuration %s has errors: see `postern check`, or name the users file with --file\n",
                o.config);
        return EX_CONFIG;
    }
    const char *file = o.file ? o.file : c->auth.users;
    code = !strcmp(o.words[0], "list") ? list(file, o.json) : change(file, &o, users_group_of(c ? c->system.auth_user : NULL));
    config_free(c);
    return code;
}
