/* SPDX-License-Identifier: Apache-2.0
 * postern learn: teaches the spam filter with messages in files: one a file, mailboxes (mbox), or folders of messages (maildir). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"

#define MESSAGE_MAX (64u << 20)
#define MBOX_MAX (2u << 30)

static const char help[] =
    "usage: postern learn spam|ham|forget [--mbox | --maildir] [OPTIONS] FILE ...\n"
    "\n"
    "Teaches the spam filter that these messages are spam, or ham (no spam); forget undoes it. - is standard\n"
    "input. What was learnt once is not learnt twice; what was learnt as the other before is put right.\n"
    "\n"
    "  --mbox                FILE holds many messages, each after a line \"From ...\"\n"
    "  --maildir             FILE is a folder of messages, or of such folders cur and new\n"
    "  --json                the counts, as JSON\n"
    "  -c FILE, --socket P   the configuration, or the daemon's control socket itself\n";

struct learning {
    const char *as, *config, *socket;
    bool mbox, maildir, json;
    char *path;              /* of the control socket */
    unsigned done, failed;
    bool stop;               /* there is no use in going on */
};

static void learn(struct learning *l, const char *name, struct slice message)
{
    char path[40];
    struct err err;
    if (l->stop || !message.n) return;
    snprintf(path, sizeof path, "/v1/learn/%s", l->as);
    json_t *a = cli_post(l->path, path, message, &err);
    if (a) l->done++;
    else l->failed++;
    if (!a) fprintf(stderr, "postern: %s: %s\n", name, err.text);
    l->stop = !a && err.code; /* it is not running, or not for us */
    json_decref(a);
}

static bool is_from_line(struct slice s)
{
    return slice_starts(s, SLICE("From "));
}

/* mbox: a line "From " behind an empty one begins a message; ">From " was "From ". */
static void learn_mbox(struct learning *l, const char *name, struct slice all)
{
    struct buf message = { 0 };
    struct slice line;
    bool empty = true, begun = false;
    while (all.n) {
        bool ended = slice_find(all, '\n') >= 0;
        slice_cut(&all, '\n', &line);
        if (empty && is_from_line(line)) {
            learn(l, name, buf_slice(&message));
            buf_clear(&message);
            begun = true;
            empty = false;
            continue;
        }
        empty = !slice_trim(line).n;
        size_t quotes = 0;
        while (quotes < line.n && line.p[quotes] == '>') quotes++;
        if (quotes && is_from_line(slice_sub(line, quotes, line.n))) line = slice_sub(line, 1, line.n);
        if (begun) buf_add(&message, line);
        if (begun && ended) buf_add_char(&message, '\n');
    }
    if (!begun) {
        fprintf(stderr, "postern: %s is no mbox\n", name);
        l->failed++;
    }
    learn(l, name, buf_slice(&message));
    buf_deinit(&message);
}

static void learn_file(struct learning *l, const char *name)
{
    struct buf b = { 0 };
    struct err err;
    if (!cli_read_file(name, l->mbox ? MBOX_MAX : MESSAGE_MAX, &b, &err)) {
        fprintf(stderr, "postern: %s\n", err.text);
        l->failed++;
    } else if (l->mbox) learn_mbox(l, name, buf_slice(&b));
    else learn(l, name, buf_slice(&b));
    buf_deinit(&b);
}

static void learn_folder(struct learning *l, const char *name, bool inner)
{
    DIR *d = opendir(name);
    if (!d) {
        fprintf(stderr, "postern: cannot read %s: %s\n", name, strerror(errno));
        l->failed++;
        return;
    }
    for (const struct dirent *e; !l->stop && (e = readdir(d));) {
        struct buf path = { 0 };
        struct stat st;
        buf_addf(&path, "%s/%s", name, e->d_name);
        bool there = e->d_name[0] != '.' && stat(buf_cstr(&path), &st) == 0;
        if (there && S_ISREG(st.st_mode)) learn_file(l, buf_cstr(&path));
        else if (there && S_ISDIR(st.st_mode) && !inner && (!strcmp(e->d_name, "cur") || !strcmp(e->d_name, "new")))
            learn_folder(l, buf_cstr(&path), true);
        buf_deinit(&path);
    }
    closedir(d);
}

static int usage(const char *what, const char *word)
{
    return cli_complain("learn", what, word, ""), fputs(help, stderr), EX_USAGE;
}

/* -1: go on. Files come to the front of argv. */
static int read_options(int argc, char **argv, struct learning *l, int *file_n)
{
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        bool word = only_files || argv[i][0] != '-' || !argv[i][1];
        if (!word && (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h"))) {
            fputs(help, stdout);
            return 0;
        }
        if (!word && cli_daemon_option(argc, argv, &i, &l->config, &l->socket)) continue;
        if (!word && !strcmp(argv[i], "--")) only_files = true;
        else if (!word && cli_flag(argv, i, "--mbox")) l->mbox = true;
        else if (!word && cli_flag(argv, i, "--maildir")) l->maildir = true;
        else if (!word && cli_flag(argv, i, "--json")) l->json = true;
        else if (!word) return usage("no option ", argv[i]);
        else if (!l->as) l->as = argv[i];
        else argv[(*file_n)++] = argv[i];
    }
    bool known = l->as && (!strcmp(l->as, "spam") || !strcmp(l->as, "ham") || !strcmp(l->as, "forget"));
    if (!known) return usage("spam, ham or forget comes first, not ", l->as ? l->as : "nothing");
    if (!*file_n) return usage("which files are ", l->as);
    return l->mbox && l->maildir ? usage("either --mbox or ", "--maildir") : -1;
}

int cli_learn(int argc, char **argv)
{
    struct learning l = { .config = CLI_DEFAULT_CONFIG };
    int n = 0, code = read_options(argc, argv, &l, &n);
    if (code >= 0) return code;
    l.path = cli_socket_path(l.socket, l.config);
    for (int i = 0; i < n && !l.stop; i++) {
        if (l.maildir) learn_folder(&l, argv[i], false);
        else learn_file(&l, argv[i]);
    }
    free(l.path);
    if (l.json) printf("{\"learnt\": %u, \"failed\": %u}\n", l.done, l.failed);
    else {
        bool forgot = !strcmp(l.as, "forget");
        printf("%u message%s %s%s%s\n", l.done, l.done == 1 ? "" : "s", forgot ? "forgotten" : "learnt as ", forgot ? "" : l.as,
               l.failed ? ", some failed" : "");
    }
    return l.stop ? EX_UNAVAILABLE : l.failed ? EX_DATAERR : 0;
}
