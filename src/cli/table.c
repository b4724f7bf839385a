/* SPDX-License-Identifier: Apache-2.0
 * postern table: the tables that options use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/table.h"

#define SHOW_LIMIT 100
#define PAGE_MAX 1000
#define REFRESH_MS 320000    /* a reading may take five minutes */
#define LOOK_MS 200
#define TAKE_UP_MS 2500      /* after which a relay has seen a new block */

static const char help[] =
    "usage: postern table list [--json]                      all that options use: entries, state, next reading\n"
    "       postern table show NAME [--limit N] [--json]     what is in one; 100 entries unless told, 0: all\n"
    "       postern table query NAME KEY [--json]            what a look-up gives, and which entry decides\n"
    "       postern table refresh [NAME] [--json]            read it now, or all; ends when that is done\n"
    "\n"
    "NAME is one of `tables`, or the file that a list names, as `list` shows it. --use clients, addresses, aliases,\n"
    "mappings or domains means one of several uses. -c FILE or --socket PATH says which relay.\n";

struct options {
    const char *config, *socket, *use, *limit;
    bool json;
    const char *words[3];
    size_t word_n;
};

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){ .config = CLI_DEFAULT_CONFIG };
    for (int i = 1; i < argc; i++) {
        if (cli_daemon_option(argc, argv, &i, &o->config, &o->socket) || cli_option(argc, argv, &i, "use", &o->use) ||
            cli_option(argc, argv, &i, "limit", &o->limit))
            continue;
        if (cli_flag(argv, i, "--json")) {
            o->json = true;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            return cli_help("table", argv[i], help);
        } else if (o->word_n < countof(o->words)) {
            o->words[o->word_n++] = argv[i];
        } else {
            fputs(help, stderr);
            return EX_USAGE;
        }
    }
    return -1;
}

static json_t *get(const struct options *o, const char *path, json_t *arguments, struct err *err)
{
    char *socket = cli_socket_path(o->socket, o->config);
    if (o->use && arguments) json_object_set_new(arguments, "use", json_string(o->use));
    json_t *answer = arguments ? cli_get(socket, path, arguments, err) : cli_request(socket, "GET", path, NULL, err);
    json_decref(arguments);
    free(socket);
    return answer;
}

static int finish(const struct options *o, json_t *answer, void (*print)(const json_t *a))
{
    if (!o->json) cli_disarm(answer);
    if (o->json) cli_print_json(answer);
    else print(answer);
    json_decref(answer);
    return 0;
}

/* ---- list, query */

static int run_list(const struct options *o)
{
    struct err err;
    json_t *a = get(o, "/v1/tables", NULL, &err);
    return a ? finish(o, a, table_print_list) : cli_fail(&err);
}

static int run_query(const struct options *o)
{
    struct err err;
    json_t *a = get(o, "/v1/tables/query", json_pack("{s:s, s:s}", "name", o->words[1], "key", o->words[2]), &err);
    return a ? finish(o, a, table_print_found) : cli_fail(&err);
}

/* ---- show: page by page */

static int run_show(const struct options *o)
{
    uint64_t limit = SHOW_LIMIT, shown = 0;
    struct err err;
    json_int_t next = 0;
    if (o->limit && !slice_to_u64(slice_str(o->limit), UINT32_MAX, &limit)) {
        cli_complain("table", "--limit \"", o->limit, "\" is no number");
        return EX_USAGE;
    }
    if (!limit) limit = UINT64_MAX;
    json_t *all = json_array(), *table = NULL;
    while (shown < limit) {
        json_int_t page = limit - shown < PAGE_MAX ? (json_int_t)(limit - shown) : PAGE_MAX;
        json_t *a = get(o, "/v1/tables/entries", json_pack("{s:s, s:I, s:I}", "name", o->words[1], "after", next, "limit", page), &err);
        if (!a) {
            json_decref(all);
            json_decref(table);
            return cli_fail(&err);
        }
        if (!table) table = json_incref(json_object_get(a, "table"));
        json_array_extend(all, json_object_get(a, "entries"));
        shown = json_array_size(all);
        const json_t *more = json_object_get(a, "next");
        next = json_integer_value(more);
        bool end = !more;
        json_decref(a);
        if (end) break;
    }
    return finish(o, json_pack("{s:o, s:o}", "table", table ? table : json_object(), "entries", all), table_print_entries);
}

/* ---- refresh */

/* Those that are meant, of a list. */
static json_t *meant(const struct options *o, json_t *list)
{
    json_t *all = json_array(), *t;
    size_t i;
    json_array_foreach(json_object_get(list, "tables"), i, t) {
        bool named = o->word_n < 2 || !strcmp(cli_text_of(t, "name"), o->words[1]);
        if (named && (!o->use || !strcmp(cli_text_of(t, "use"), o->use))) json_array_append(all, t);
    }
    json_object_set_new(list, "tables", all);
    return list;
}

static bool all_read(const json_t *list, json_int_t since)
{
    size_t i;
    const json_t *t;
    json_array_foreach(json_object_get(list, "tables"), i, t)
        if (json_is_true(json_object_get(t, "reading")) || cli_number_of(t, "tried") < since) return false;
    return true;
}

/* The relay looks with what was read. A block that was made anew with the same entries it does not take up. */
static bool all_taken_up(const json_t *list)
{
    size_t i;
    const json_t *t;
    json_array_foreach(json_object_get(list, "tables"), i, t)
        if (cli_number_of(t, "made") < cli_number_of(t, "newest")) return false;
    return true;
}

static bool any_broken(const json_t *list)
{
    size_t i;
    const json_t *t;
    json_array_foreach(json_object_get(list, "tables"), i, t)
        if (!strcmp(cli_text_of(t, "state"), "broken")) return true;
    return false;
}

static int run_refresh(const struct options *o)
{
    struct err err;
    json_t *body = json_object(), *list = NULL;
    json_int_t since = (json_int_t)clock_wall_ms();
    uint64_t until = clock_mono_ms() + REFRESH_MS, taken_up = 0;
    if (o->word_n > 1) json_object_set_new(body, "name", json_string(o->words[1]));
    json_t *asked = cli_ask(o->socket, o->config, "POST", "/v1/tables/refresh", body, &err);
    if (!asked) return cli_fail(&err);
    json_decref(asked);
    do {
        nanosleep(&(struct timespec){ 0, LOOK_MS * 1000000 }, NULL);
        json_decref(list);
        list = get(o, "/v1/tables", NULL, &err);
        if (!list) return cli_fail(&err);
        meant(o, list);
        if (!taken_up && all_read(list, since)) taken_up = clock_mono_ms() + TAKE_UP_MS;
    } while (!taken_up ? clock_mono_ms() < until : !all_taken_up(list) && clock_mono_ms() < taken_up);
    int code = any_broken(list) || !all_read(list, since) ? EX_TEMPFAIL : 0;
    finish(o, list, table_print_list);
    return code;
}

/* ---- all of them */

int cli_table(int argc, char **argv)
{
    static const struct {
        const char *name;
        size_t least, most;
        int (*run)(const struct options *o);
    } all[] = { { "list", 1, 1, run_list }, { "show", 2, 2, run_show }, { "query", 3, 3, run_query }, { "refresh", 1, 2, run_refresh } };
    struct options o;
    int code = read_options(argc, argv, &o);
    if (code >= 0) return code;
    for (size_t i = 0; o.word_n && i < countof(all); i++)
        if (!strcmp(o.words[0], all[i].name) && o.word_n >= all[i].least && o.word_n <= all[i].most) return all[i].run(&o);
    fputs(help, stderr);
    return EX_USAGE;
}
