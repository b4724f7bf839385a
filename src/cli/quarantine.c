/* SPDX-License-Identifier: Apache-2.0
 * postern quarantine: what was kept apart, why, and what is to become of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/quarantine.h"

#define IDS_AT_ONCE 200

/* ---- reading */

static int do_list(const struct quarantine_options *o, const char *socket)
{
    struct err err;
    return cli_show(cli_get(socket, "/v1/quarantine", o->filters, &err), o->json, quarantine_print_list, &err);
}

static int do_show(const struct quarantine_options *o, const char *socket)
{
    struct err err;
    size_t i;
    json_t *id, *shown = json_array();
    int code = 0;
    json_array_foreach(o->ids, i, id) {
        char path[80];
        snprintf(path, sizeof path, "/v1/quarantine/%s%s", json_string_value(id), o->view ? "/view" : "");
        json_t *a = cli_request(socket, "GET", path, NULL, &err);
        if (!a) code = cli_fail(&err);
        else json_array_append(shown, json_object_get(a, o->view ? "view" : "message"));
        json_decref(a);
    }
    if (!o->json && !o->view) cli_disarm(shown); /* a view has lines, and looks after itself */
    if (o->json) cli_print_json(shown);
    else json_array_foreach(shown, i, id) {
        if (o->view) quarantine_print_view(id);
        else quarantine_print_message(id, i > 0);
    }
    json_decref(shown);
    return code;
}

/* Not over a file that is there. */
static int do_download(const struct quarantine_options *o, const char *socket)
{
    struct buf bytes = { 0 };
    struct err err;
    char path[80];
    int code = 0, fd = STDOUT_FILENO;
    snprintf(path, sizeof path, "/v1/quarantine/%s/raw", json_string_value(json_array_get(o->ids, 0)));
    if (!cli_download(socket, path, &bytes, &err)) code = cli_fail(&err);
    if (!code && o->file) fd = open(o->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!code && (fd < 0 || !io_write_all(fd, buf_slice(&bytes)))) {
        fprintf(stderr, "postern: cannot write %s: %s\n", o->file ? o->file : "the message", strerror(errno));
        code = EX_CANTCREAT;
    }
    if (fd >= 0 && o->file) close(fd);
    buf_deinit(&bytes);
    return code;
}

/* ---- changing */

struct change {
    const struct quarantine_options *o;
    const char *socket;
    json_t *done, *failed;
};

/* How many it would be, and whether that is wanted. */
static bool confirm(const struct quarantine_options *o, const char *socket, int *code)
{
    struct err err;
    char answer[16] = "";
    json_t *filters = json_copy(o->filters);
    if (!strcmp(o->op, "release") && !json_object_get(filters, "state")) json_object_set_new(filters, "state", json_string("held"));
    json_object_set_new(filters, "limit", json_integer(1));
    json_t *a = cli_get(socket, "/v1/quarantine", filters, &err);
    json_decref(filters);
    *code = a ? 0 : cli_fail(&err);
    if (!a) return false;
    json_int_t n = cli_number_of(a, "matched");
    bool partial = json_is_true(json_object_get(a, "partial"));
    json_int_t limit = cli_number_of(o->filters, "limit"), some = limit && limit < n ? limit : 0;
    json_decref(a);
    if (!o->json || n)
        fprintf(o->json ? stderr : stdout, "%s%lld message%s", partial ? "at least " : "", (long long)n, n == 1 ? " fits" : "s fit");
    if (some) fprintf(o->json ? stderr : stdout, "; --limit: the newest %lld", (long long)some);
    if (!o->json || n) fputc('\n', o->json ? stderr : stdout);
    if (some) n = some;
    if (!n || o->yes) return n > 0;
    *code = EX_USAGE;
    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "postern quarantine: %s with filters or --all needs --yes when nobody can be asked\n", o->op);
        return false;
    }
    fprintf(stderr, "%s %s? [y/N] ", o->op, n == 1 ? "it" : some ? "these" : "them all");
    *code = 0;
    if (fgets(answer, sizeof answer, stdin) && ascii_lower(answer[0]) == 'y') return true;
    fputs("nothing was done\n", stderr);
    return false;
}

static json_t *make_body(const struct quarantine_options *o)
{
    json_t *body = json_copy(o->filters);
    if (o->all) json_object_set_new(body, "all", json_true());
    if (json_array_size(o->recipients)) json_object_set(body, "recipients", o->recipients);
    if (o->remove) json_object_set_new(body, "delete", json_true());
    if (o->as) json_object_set_new(body, "as", json_string(o->as));
    return body;
}

/* One request; *before: where the next one goes on, the caller's, NULL at the end. */
static int send_one(struct change *c, const json_t *body, json_t **before)
{
    struct err err;
    char path[60];
    snprintf(path, sizeof path, "/v1/quarantine/%s", c->o->op);
    json_t *a = cli_request(c->socket, "POST", path, body, &err);
    *before = json_incref(json_object_get(a, "before"));
    if (!a) return cli_fail(&err);
    json_array_extend(c->done, json_object_get(a, "done"));
    json_array_extend(c->failed, json_object_get(a, "failed"));
    json_decref(a);
    return 0;
}

/* Some at a time: a request must not take for ever. */
static int send_ids(struct change *c, json_t *body)
{
    json_t *before, *some = NULL;
    size_t n = json_array_size(c->o->ids);
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        if (i % IDS_AT_ONCE == 0) json_object_set_new(body, "ids", some = json_array());
        json_array_append(some, json_array_get(c->o->ids, i));
        if (i % IDS_AT_ONCE != IDS_AT_ONCE - 1 && i != n - 1) continue;
        code = send_one(c, body, &before);
        json_decref(before);
    }
    return code;
}

static int send_filters(struct change *c, json_t *body)
{
    size_t limit = (size_t)cli_number_of(c->o->filters, "limit"), had;
    json_t *before = NULL;
    int code;
    do {
        had = json_array_size(c->done) + json_array_size(c->failed);
        if (limit) json_object_set_new(body, "limit", json_integer((json_int_t)(limit - had)));
        if (before) json_object_set_new(body, "before", before);
        code = send_one(c, body, &before);
        had = json_array_size(c->done) + json_array_size(c->failed);
    } while (!code && before && (!limit || had < limit));
    json_decref(before);
    return code;
}

static void print_failures(const json_t *failed)
{
    size_t i;
    const json_t *m;
    json_array_foreach(failed, i, m) fprintf(stderr, "postern: %s: %s\n", cli_text_of(m, "id"), cli_text_of(m, "error"));
}

static int report(const struct change *c)
{
    static const char *const words[][2] = { { "release", "released" }, { "delete", "deleted" }, { "train", "learnt" } };
    bool forgot = c->o->as && !strcmp(c->o->as, "forget");
    size_t n = json_array_size(c->done);
    if (c->o->json) {
        json_t *all = json_pack("{s:O, s:O}", "done", c->done, "failed", c->failed);
        cli_print_json(all);
        json_decref(all);
    }
    cli_disarm(c->failed);
    for (size_t i = 0; i < countof(words) && !c->o->json; i++)
        if (!strcmp(words[i][0], c->o->op)) printf("%zu message%s %s\n", n, n == 1 ? "" : "s", forgot ? "forgotten" : words[i][1]);
    print_failures(c->failed);
    return json_array_size(c->failed) ? EX_DATAERR : 0;
}

static int do_change(const struct quarantine_options *o, const char *socket)
{
    struct change c = { .o = o, .socket = socket, .done = json_array(), .failed = json_array() };
    bool ids = json_array_size(o->ids) > 0;
    int code = o->allow ? quarantine_may_allow(o->config, o->unproven) : 0;
    if (!code && (ids || confirm(o, socket, &code))) {
        json_t *body = make_body(o);
        code = ids ? send_ids(&c, body) : send_filters(&c, body);
        json_decref(body);
        int reported = report(&c);
        if (!code) code = reported;
        if (o->allow && json_array_size(c.done)) {
            int allowed = quarantine_allow(o->config, socket, c.done, o->unproven);
            if (!code) code = allowed;
        }
    }
    json_decref(c.done);
    json_decref(c.failed);
    return code;
}

int cli_quarantine(int argc, char **argv)
{
    struct quarantine_options o = { .config = CLI_DEFAULT_CONFIG, .filters = json_object(), .ids = json_array(), .recipients = json_array() };
    int code = quarantine_read_options(argc, argv, &o);
    if (code < 0) {
        char *socket = cli_socket_path(o.socket, o.config);
        if (!strcmp(o.op, "list")) code = do_list(&o, socket);
        else if (!strcmp(o.op, "show")) code = do_show(&o, socket);
        else if (!strcmp(o.op, "download")) code = do_download(&o, socket);
        else if (!strcmp(o.op, "digest")) code = quarantine_digest(&o, socket);
        else code = do_change(&o, socket);
        free(socket);
    }
    json_decref(o.filters);
    json_decref(o.ids);
    json_decref(o.recipients);
    return code;
}
