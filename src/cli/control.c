/* SPDX-License-Identifier: Apache-2.0
 * postern reload, postern status. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"

struct control_options {
    const char *config, *socket;
    bool json;
};

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, const char *help, struct control_options *o)
{
    *o = (struct control_options){ .config = CLI_DEFAULT_CONFIG };
    for (int i = 1; i < argc; i++) {
        if (cli_daemon_option(argc, argv, &i, &o->config, &o->socket)) continue;
        if (cli_flag(argv, i, "--json")) {
            o->json = true;
            continue;
        }
        return cli_help(argv[0], argv[i], help);
    }
    return -1;
}

/* ---- reload */

static const char reload_help[] =
    "usage: postern reload [--json] [-c FILE | --socket PATH]\n"
    "\n"
    "Brings the changed configuration file in force without dropping a connection, and says so when\n"
    "it is done. When the file has errors they are shown and the former configuration stays.\n";

int cli_reload(int argc, char **argv)
{
    struct control_options o;
    struct err err;
    int code = read_options(argc, argv, reload_help, &o);
    if (code >= 0) return code;
    json_t *a = cli_ask(o.socket, o.config, "POST", "/v1/reload", NULL, &err), *findings = json_object_get(a, "findings"), *f;
    if (!a) return cli_fail(&err);
    if (!o.json) cli_disarm(a);
    bool ok = json_is_true(json_object_get(a, "ok"));
    size_t i;
    if (o.json) cli_print_json(a);
    else
        json_array_foreach(findings, i, f)
            cli_print_finding(cli_text_of(a, "file"), (unsigned)cli_number_of(f, "line"), (unsigned)cli_number_of(f, "column"),
                              json_is_true(json_object_get(f, "warning")), cli_text_of(f, "option"), cli_text_of(f, "text"), cli_text_of(f, "hint"));
    if (ok && !o.json) puts("the configuration is in force");
    if (!ok && !o.json) fprintf(stderr, "postern: %s\n", cli_text_of(a, "error"));
    json_decref(a);
    return ok ? 0 : EX_CONFIG;
}

/* ---- status */

static const char status_help[] = "usage: postern status [--json] [-c FILE | --socket PATH]\n"
                                  "\n"
                                  "The daemon's processes, sessions, queue and disk.\n";

static const json_t *figures_of(const json_t *a, json_int_t pid)
{
    size_t i;
    const json_t *f;
    json_array_foreach(json_object_get(a, "figures"), i, f)
        if (cli_number_of(f, "pid") == pid) return f;
    return NULL;
}

static void print_worker(const json_t *w, const json_t *f)
{
    struct buf b = { 0 };
    const json_t *server = json_object_get(f, "server"), *spool = json_object_get(f, "spool");
    printf("%-6lld %-8lld %-9s %-8s", (long long)cli_number_of(w, "slot"), (long long)cli_number_of(w, "pid"),
           cli_text_of(w, "state"), cli_span(&b, cli_number_of(w, "age")));
    if (f)
        printf("%9lld %10lld %11lld  %5s%s\n", (long long)cli_number_of(server, "sessions"),
               (long long)cli_number_of(server, "messages"), (long long)cli_number_of(json_object_get(f, "queue"), "messages"),
               cli_size(&b, (uint64_t)cli_number_of(spool, "bytes")),
               json_is_true(json_object_get(spool, "full")) ? "  disk full" : "");
    else
        puts("        -          -           -      -");
    buf_deinit(&b);
}

/* The sums over all workers of what the queue tells, in its own words. */
static void print_queue(const json_t *a)
{
    json_t *sums = json_object(), *v;
    const json_t *f;
    const char *name;
    size_t i, column = 6;
    json_array_foreach(json_object_get(a, "figures"), i, f)
        json_object_foreach(json_object_get(f, "queue"), name, v)
            if (json_is_integer(v) && strcmp(name, "oldest") != 0) json_object_set_new(sums, name, json_integer(json_integer_value(v) + cli_number_of(sums, name)));
    printf("\nqueue:");
    json_object_foreach(sums, name, v) {
        char text[80];
        size_t n = (size_t)snprintf(text, sizeof text, " %.40s %lld", name, (long long)json_integer_value(v));
        if (column + n > 79) {
            printf("\n      ");
            column = 6;
        }
        fputs(text, stdout);
        column += n;
    }
    putchar('\n');
    json_decref(sums);
}

/* Each worker keeps its own lists; of those in use the least is told. */
static void print_providers(const json_t *a)
{
    const json_t *f, *p, *least = NULL;
    size_t i;
    for (size_t n = 0;; n++, least = NULL) {
        json_array_foreach(json_object_get(a, "figures"), i, f) {
            p = json_array_get(json_object_get(f, "providers"), n);
            if (p && (!least || cli_number_of(p, "networks") < cli_number_of(least, "networks"))) least = p;
        }
        if (!least) return;
        struct buf b = { 0 };
        const char *failing = json_is_true(json_object_get(least, "failing")) ? "; the last look-up failed" : "";
        if (cli_number_of(least, "networks"))
            printf("provider %s: %lld networks, confirmed %s ago%s\n", cli_text_of(least, "name"),
                   (long long)cli_number_of(least, "networks"), cli_span(&b, cli_number_of(least, "age")), failing);
        else
            printf("provider %s: no list yet%s\n", cli_text_of(least, "name"), failing);
        buf_deinit(&b);
    }
}

/* Connections of transparent zones, since the workers started. */
static void print_intercepted(const json_t *a)
{
    const json_t *f;
    json_int_t n = 0;
    size_t i;
    json_array_foreach(json_object_get(a, "figures"), i, f) n += cli_number_of(json_object_get(f, "server"), "intercepted");
    if (n) printf("intercepted: %lld connections to other servers\n", (long long)n);
}

static void print_store(const json_t *store)
{
    struct buf b = { 0 };
    json_int_t entries = 0;
    const char *name;
    json_t *n;
    if (!store) return;
    json_object_foreach(json_object_get(store, "entries"), name, n) entries += json_integer_value(n);
    printf("store: %s of history, %lld remembered%s\n", cli_size(&b, (uint64_t)cli_number_of(store, "history_bytes")),
           (long long)entries, json_is_false(json_object_get(store, "writing")) ? "; nothing can be written" : "");
    buf_deinit(&b);
}

/* All workers of a generation know the same of it. */
static const json_t *scan_of(const json_t *a)
{
    const json_t *f, *s, *scan = NULL;
    int64_t newest = -1;
    size_t i;
    json_array_foreach(json_object_get(a, "figures"), i, f) {
        s = json_object_get(f, "scan");
        if (!s || cli_number_of(f, "generation") < newest) continue;
        if (cli_number_of(f, "generation") == newest && json_is_true(json_object_get(s, "starting"))) continue;
        newest = cli_number_of(f, "generation");
        scan = s;
    }
    return scan;
}

static void print_scan(const json_t *a)
{
    const json_t *s, *scan = scan_of(a);
    const char *failure = cli_text_of(scan, "failure"), *trouble = cli_text_of(scan, "trouble");
    struct buf b = { 0 };
    size_t i;
    if (!scan) return;
    if (*failure) printf("scan: a process cannot begin: %s\n", failure);
    if (*trouble) printf("scan: there is no classifier: %s\n", trouble);
    if (json_is_true(json_object_get(scan, "starting"))) {
        puts("scan: starting");
        return;
    }
    printf("scan: %lld of %lld processes busy, %lld waiting, %lld messages, %lld crashes, %lld time-outs\n", (long long)cli_number_of(scan, "busy"),
           (long long)cli_number_of(scan, "processes"), (long long)cli_number_of(scan, "queue"), (long long)cli_number_of(scan, "messages"),
           (long long)cli_number_of(scan, "crashes"), (long long)cli_number_of(scan, "timeouts"));
    json_array_foreach(json_object_get(scan, "scanners"), i, s) {
        int64_t age = (int64_t)clock_wall_ms() - cli_number_of(s, "since");
        const char *error = cli_text_of(s, "error");
        printf("scanner %s: %s for %s%s%s%s\n", cli_text_of(s, "name"), cli_text_of(s, "state"), cli_span(&b, age > 0 ? age : 0),
               json_is_true(json_object_get(s, "paused")) ? ", not asked" : "", *error ? ": " : "", error);
    }
    buf_deinit(&b);
}

/* What the youngest workers know of them. */
static void print_tables(const json_t *a)
{
    const json_t *f, *t, *tables = NULL;
    int64_t newest = -1;
    size_t i;
    json_array_foreach(json_object_get(a, "figures"), i, f) {
        if (!json_object_get(f, "tables") || cli_number_of(f, "generation") < newest) continue;
        newest = cli_number_of(f, "generation");
        tables = json_object_get(f, "tables");
    }
    if (!tables) return;
    const json_t *broken = json_object_get(tables, "broken");
    printf("tables: %lld", (long long)cli_number_of(tables, "count"));
    if (json_array_size(broken)) printf(", %zu broken", json_array_size(broken));
    putchar('\n');
    json_array_foreach(broken, i, t)
        printf("table %s (%s): broken: %s%s\n", cli_text_of(t, "name"), cli_text_of(t, "use"), cli_text_of(t, "error"),
               cli_number_of(t, "made") ? "; the last good state is in use" : "");
}

static void print_quarantine(const json_t *q)
{
    struct buf b = { 0 }, most = { 0 };
    if (!q) return;
    printf("quarantine: %lld messages, %lld held, size %s", (long long)cli_number_of(q, "messages"), (long long)cli_number_of(q, "held"),
           cli_size(&b, (uint64_t)cli_number_of(q, "bytes")));
    if (cli_number_of(q, "size")) printf(" of %s", cli_size(&most, (uint64_t)cli_number_of(q, "size")));
    printf("%s%s\n", json_is_true(json_object_get(q, "full")) ? "; full: what comes waits in the queue" : "",
           json_is_true(json_object_get(q, "reading")) ? "; its index is being read" : "");
    buf_deinit(&b);
    buf_deinit(&most);
}

static void print_web(const json_t *web)
{
    const char *error = cli_text_of(web, "error");
    if (*error) printf("web: NOT served on %s: %s\n", cli_text_of(web, "listen"), error);
    else if (json_is_true(json_object_get(web, "enabled"))) printf("web: %s\n", cli_text_of(web, "listen"));
    else if (web) puts("web: off");
}

static void print_status(const json_t *a)
{
    struct buf b = { 0 };
    size_t i;
    const json_t *w;
    printf("postern %s, pid %lld, up %s%s\n", cli_text_of(a, "version"), (long long)cli_number_of(a, "pid"),
           cli_span(&b, cli_number_of(a, "uptime")), json_is_true(json_object_get(a, "stopping")) ? ", stopping" : "");
    printf("configuration  %s, generation %lld\n", cli_text_of(a, "file"), (long long)cli_number_of(a, "generation"));
    printf("listeners      %s\ndirectory      %s\n\n", cli_text_of(a, "listeners"), cli_text_of(a, "directory"));
    puts("WORKER PID      STATE     UP       SESSIONS   RECEIVED      QUEUED  SPOOL");
    json_array_foreach(json_object_get(a, "workers"), i, w) print_worker(w, figures_of(a, cli_number_of(w, "pid")));
    json_array_foreach(json_object_get(a, "helpers"), i, w)
        printf("%-6s %-8lld %-9s %s\n", cli_text_of(w, "role"), (long long)cli_number_of(w, "pid"), cli_text_of(w, "state"), cli_span(&b, cli_number_of(w, "age")));
    print_queue(a);
    print_intercepted(a);
    print_store(json_object_get(a, "store"));
    print_quarantine(json_object_get(json_object_get(a, "store"), "quarantine"));
    print_providers(a);
    print_scan(a);
    print_tables(a);
    print_web(json_object_get(a, "web"));
    if (cli_number_of(a, "missing")) printf("%lld workers have not answered\n", (long long)cli_number_of(a, "missing"));
    buf_deinit(&b);
}

int cli_status(int argc, char **argv)
{
    struct control_options o;
    struct err err;
    int code = read_options(argc, argv, status_help, &o);
    if (code >= 0) return code;
    return cli_show(cli_ask(o.socket, o.config, "GET", "/v1/status", NULL, &err), o.json, print_status, &err);
}
