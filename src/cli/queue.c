/* SPDX-License-Identifier: Apache-2.0
 * postern queue: what waits, why, and what is to become of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/queue_print.h"

static const char help[] =
    "usage: postern queue list|groups|show|retry|hold|release|delete [IDs | --all] [FILTERS] [OPTIONS]\n"
    "\n"
    "  list                  messages that wait, the oldest first\n"
    "  groups                how many wait for each destination, or with --by reason for each reason\n"
    "  show ID ...           all that is known of them\n"
    "  retry                 try these now\n"
    "  hold, release         keep these until released; let go what was held\n"
    "  delete                remove these; their senders are not told\n"
    "\n"
    "Filters; those given must all fit. retry, hold, release and delete need one, IDs or --all.\n"
    "  --sender A            whole address, @domain, or a part of it; <> for bounces\n"
    "  --recipient A         the same for any recipient\n"
    "  --destination D       next hop or domain it goes to\n"
    "  --older SPAN          in the queue for longer than that: 90s, 30m, 1h, 2d\n"
    "  --reason TEXT         part of the last reason\n"
    "  --state S             incoming, active, deferred or held\n"
    "  --id TEXT             part of the id\n"
    "\n"
    "  --limit N             list at most so many (100)\n"
    "  --sort F              arrival, next, size, sender, attempts; with - in front: the other way round\n"
    "  --yes                 delete without asking\n"
    "  --json                everything, as JSON\n"
    "  -c FILE, --socket P   the configuration, or the daemon's control socket itself\n";

struct queue_options {
    const char *op, *config, *socket;
    json_t *filters, *ids;
    bool all, yes, json, filtered;
};

static int bad(const char *what, const char *word)
{
    fprintf(stderr, "postern queue: %s \"%s\"; `postern queue --help` tells more\n", what, word);
    return EX_USAGE;
}

static bool take_number(struct queue_options *o, const char *key, const char *value, bool span)
{
    uint64_t n;
    if (span ? !cli_parse_span(slice_str(value), &n) : !slice_to_u64(slice_str(value), 1000000, &n) || !n) return false;
    json_object_set_new(o->filters, key, json_integer((json_int_t)n));
    return true;
}

/* True when argv[*i] is a filter; *code is set when its value cannot be. */
static bool take_filter(int argc, char **argv, int *i, struct queue_options *o, int *code)
{
    static const struct {
        const char *option, *key;
        bool number, selects;
    } filters[] = {
        { "--sender", "sender", false, true },    { "--recipient", "recipient", false, true },
        { "--destination", "destination", false, true }, { "--reason", "reason", false, true },
        { "--state", "state", false, true },      { "--id", "id", false, true },
        { "--by", "by", false, false },           { "--older", "older_than", true, true },
        { "--sort", "sort", false, false },       { "--limit", "limit", true, false },
    };
    const char *value;
    for (size_t k = 0; k < countof(filters); k++) {
        if (!cli_option(argc, argv, i, filters[k].option, &value)) continue;
        if (!*value) { /* most likely a variable that was not set; it would fit everything */
            *code = bad("empty:", filters[k].option);
            return true;
        }
        json_t *text = filters[k].number ? NULL : json_string(value);
        if (text) json_object_set_new(o->filters, filters[k].key, text);
        else if (!filters[k].number || !take_number(o, filters[k].key, value, !strcmp(filters[k].key, "older_than")))
            *code = bad("this cannot be:", value);
        o->filtered |= filters[k].selects;
        return true;
    }
    return false;
}

static bool take_word(int argc, char **argv, int *i, struct queue_options *o)
{
    static const char *const flags[] = { "--all", "--yes", "--json" };
    bool *const where[] = { &o->all, &o->yes, &o->json };
    for (size_t k = 0; k < countof(flags); k++)
        if (cli_flag(argv, *i, flags[k])) return *where[k] = true;
    if (cli_daemon_option(argc, argv, i, &o->config, &o->socket)) return true;
    return cli_take_id(argv[*i], o->ids);
}

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct queue_options *o)
{
    static const char *const ops[] = { "list", "groups", "show", "retry", "hold", "release", "delete" };
    int code = -1;
    for (int i = 1; i < argc && code < 0; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        }
        for (size_t k = 0; !o->op && k < countof(ops); k++)
            if (!strcmp(argv[i], ops[k])) o->op = ops[k];
        if (o->op == NULL) return bad("no such thing as", argv[i]);
        if (!strcmp(argv[i], o->op) || take_filter(argc, argv, &i, o, &code) || take_word(argc, argv, &i, o)) continue;
        code = bad(argv[i][0] == '-' ? "no option" : "this is no message id:", argv[i]);
    }
    if (code >= 0) return code;
    if (!o->op) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    bool groups = !strcmp(o->op, "groups"), list = groups || !strcmp(o->op, "list"), ids = json_array_size(o->ids) > 0;
    if (!strcmp(o->op, "show") && (!ids || o->filtered || o->all)) return bad("ids are needed for", o->op);
    if (!list && !ids && !o->filtered && !o->all) return bad("ids, a filter or --all are needed for", o->op);
    if (json_object_get(o->filters, "by") && !groups) return bad("only groups have", "--by");
    if (groups && json_object_get(o->filters, "sort")) return bad("groups are not sorted by", "--sort");
    if (list && ids) return bad("filters, not ids, go with", o->op);
    if (o->all && (ids || o->filtered)) return bad("neither ids nor filters go with", "--all");
    return -1;
}

/* ---- requests */

static json_t *ask_list(const struct queue_options *o, const char *socket, json_int_t limit, struct err *err)
{
    json_t *arguments = json_copy(o->filters);
    json_object_set_new(arguments, "limit", json_integer(limit));
    json_t *answer = cli_get(socket, "/v1/queue", arguments, err);
    json_decref(arguments);
    return answer;
}

static int do_list(const struct queue_options *o, const char *socket)
{
    struct err err;
    json_int_t limit = json_integer_value(json_object_get(o->filters, "limit"));
    return cli_show(ask_list(o, socket, limit ? limit : 100, &err), o->json, queue_print_list, &err);
}

static int do_groups(const struct queue_options *o, const char *socket)
{
    struct err err;
    if (!json_object_get(o->filters, "by")) json_object_set_new(o->filters, "by", json_string("destination"));
    return cli_show(cli_get(socket, "/v1/queue/groups", o->filters, &err), o->json, queue_print_groups, &err);
}

static int do_show(const struct queue_options *o, const char *socket)
{
    struct err err;
    size_t i;
    json_t *id, *shown = json_array();
    int code = 0;
    json_array_foreach(o->ids, i, id) {
        char path[80];
        snprintf(path, sizeof path, "/v1/queue/%s", json_string_value(id));
        json_t *a = cli_request(socket, "GET", path, NULL, &err);
        if (!a) code = cli_fail(&err);
        else json_array_extend(shown, json_object_get(a, "messages"));
        json_decref(a);
    }
    if (!o->json) cli_disarm(shown);
    if (o->json) cli_print_json(shown);
    else json_array_foreach(shown, i, id) queue_print_message(id, i > 0);
    json_decref(shown);
    return code;
}

/* How many it would be, and whether that is wanted. */
static bool confirm(const struct queue_options *o, const char *socket, int *code)
{
    struct err err;
    char answer[16] = "";
    *code = EX_USAGE;
    if (!isatty(STDIN_FILENO)) {
        fputs("postern queue: delete with filters or --all needs --yes when nobody can be asked\n", stderr);
        return false;
    }
    json_t *a = ask_list(o, socket, 1, &err);
    if (!a) {
        *code = cli_fail(&err);
        return false;
    }
    json_int_t n = json_integer_value(json_object_get(a, "matched"));
    json_decref(a);
    *code = 0;
    if (!n) puts("no message fits");
    if (!n) return false;
    fprintf(stderr, "%lld message%s will be removed; their senders are not told. Go on? [y/N] ", (long long)n,
            n == 1 ? "" : "s");
    if (!fgets(answer, sizeof answer, stdin) || ascii_lower(answer[0]) != 'y') {
        fputs("nothing was removed\n", stderr);
        return false;
    }
    return true;
}

static int do_change(const struct queue_options *o, const char *socket)
{
    static const char *const done[][2] = {
        { "retry", "to be tried now" }, { "hold", "held" }, { "release", "released" }, { "delete", "deleted" },
    };
    struct err err;
    char path[40];
    int code;
    if (!strcmp(o->op, "delete") && !o->yes && !json_array_size(o->ids) && !confirm(o, socket, &code)) return code;
    json_t *body = json_copy(o->filters);
    if (json_array_size(o->ids)) json_object_set(body, "ids", o->ids);
    if (o->all) json_object_set_new(body, "all", json_true());
    snprintf(path, sizeof path, "/v1/queue/%s", o->op);
    json_t *a = cli_request(socket, "POST", path, body, &err);
    json_decref(body);
    if (!a) return cli_fail(&err);
    json_int_t n = json_integer_value(json_object_get(a, "matched"));
    if (o->json) cli_print_json(a);
    else for (size_t i = 0; i < countof(done); i++)
        if (!strcmp(done[i][0], o->op)) printf("%lld message%s %s\n", (long long)n, n == 1 ? "" : "s", done[i][1]);
    if (!o->json) queue_print_missing(a);
    json_decref(a);
    json_int_t unknown = (json_int_t)json_array_size(o->ids) - n;
    if (unknown > 0)
        fprintf(stderr, "postern: %lld of the ids fit%s no message in the queue\n", (long long)unknown, unknown == 1 ? "s" : "");
    return unknown > 0 ? EX_DATAERR : 0;
}

int cli_queue(int argc, char **argv)
{
    struct queue_options o = { .config = CLI_DEFAULT_CONFIG, .filters = json_object(), .ids = json_array() };
    int code = read_options(argc, argv, &o);
    if (code < 0) {
        char *socket = cli_socket_path(o.socket, o.config);
        if (!strcmp(o.op, "list")) code = do_list(&o, socket);
        else if (!strcmp(o.op, "groups")) code = do_groups(&o, socket);
        else if (!strcmp(o.op, "show")) code = do_show(&o, socket);
        else code = do_change(&o, socket);
        free(socket);
    }
    json_decref(o.filters);
    json_decref(o.ids);
    return code;
}
