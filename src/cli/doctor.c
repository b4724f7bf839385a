/* SPDX-License-Identifier: Apache-2.0
 * postern doctor: is the relay set up well, how to mend what is not, and which records to enter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/trace_print.h"

#define TEXT_AT 9

static void usage(FILE *to)
{
    fputs(
        "usage: postern doctor [DOMAIN] [--all] [--bind] [--fresh] [--json] [-c FILE]\n"
        "       postern doctor records [DOMAIN] [--bind] [--fresh] [--json] [-c FILE]\n\n"
        "  --all    also what is in order         --bind  records as lines for a zone file\n"
        "  --fresh  do not take a result of the last minute\n\n"
        "Asks the running relay about its names, addresses, DNS records, certificate, rights and health, or about one\n"
        "domain's. Exit code 1: something is wrong.\n"
        "records: all that is to be entered in the DNS for the domain, whether it is there or not.\n",
        to);
}

struct options {
    const char *config, *socket, *domain;
    bool records, all, bind, fresh, json;
};

/* Values are not broken: they are to be copied. */
static void print_record(const json_t *r, bool bind)
{
    if (bind) {
        puts(cli_text_of(r, "bind"));
        return;
    }
    printf("  %-5s %s\n", cli_text_of(r, "type"), cli_text_of(r, "host"));
    printf("        %s\n", cli_text_of(r, "value"));
}

static void print_records(const json_t *findings, bool bind)
{
    const json_t *f, *r;
    size_t i, k, n = 0;
    json_array_foreach(findings, i, f)
        json_array_foreach(json_object_get(f, "records"), k, r) {
            if (!n++) puts("\nRecords to enter:\n");
            print_record(r, bind);
        }
}

static void print_finding(const json_t *f)
{
    printf("%-8s %s: %s\n", cli_text_of(f, "state"), cli_text_of(f, "id"), cli_text_of(f, "subject"));
    trace_print_wrapped(cli_text_of(f, "text"), TEXT_AT);
    if (!cli_text_of(f, "mend")[0]) return;
    struct buf b = { 0 };
    buf_addf(&b, "=> %s", cli_text_of(f, "mend"));
    trace_print_wrapped(buf_cstr(&b), TEXT_AT);
    buf_deinit(&b);
}

static bool is(const json_t *f, const char *state) { return !strcmp(cli_text_of(f, "state"), state); }

static void print_findings(const json_t *answer, const struct options *o)
{
    const json_t *all = json_object_get(answer, "findings"), *f;
    unsigned errors = 0, warnings = 0, fine = 0;
    size_t i;
    json_array_foreach(all, i, f) {
        errors += is(f, "error");
        warnings += is(f, "warning");
        fine += is(f, "ok");
        if (o->all || is(f, "error") || is(f, "warning") || is(f, "unknown")) print_finding(f);
    }
    print_records(all, o->bind);
    printf("\n%u in order, %u warnings, %u errors\n", fine, warnings, errors);
    if (cli_number_of(answer, "left_out"))
        printf("%d more domains were left out: name one\n", (int)cli_number_of(answer, "left_out"));
}

static void print_all_records(const json_t *answer, const struct options *o)
{
    size_t i, k;
    const json_t *r, *found;
    json_array_foreach(json_object_get(answer, "records"), i, r) {
        if (o->bind) {
            print_record(r, true);
            continue;
        }
        printf("%s\n", cli_text_of(r, "state"));
        print_record(r, false);
        if (!is(r, "different")) continue;
        json_array_foreach(json_object_get(r, "found"), k, found)
            printf("  there is now:\n        %s\n", json_string_value(found));
    }
}

/* Lines for BIND become one line each: within their parentheses that is the same. */
static void flatten(json_t *j)
{
    size_t i;
    json_t *v;
    const char *key;
    json_array_foreach(j, i, v) flatten(v);
    json_object_foreach(j, key, v) {
        if (strcmp(key, "bind") != 0 || !json_is_string(v)) {
            flatten(v);
            continue;
        }
        char *line = mem_strdup(json_string_value(v));
        for (char *p = line; *p; p++)
            if (*p == '\n' || *p == '\t') *p = ' ';
        json_string_set(v, line);
        free(line);
    }
}

static int exit_code(const json_t *answer)
{
    const json_t *f;
    size_t i;
    json_array_foreach(json_object_get(answer, "findings"), i, f)
        if (is(f, "error")) return 1;
    return 0;
}

static int ask(const struct options *o)
{
    struct err err;
    json_t *arguments = json_object();
    char *path = cli_socket_path(o->socket, o->config);
    if (o->domain) json_object_set_new(arguments, "domain", json_string(o->domain));
    if (o->fresh) json_object_set_new(arguments, "fresh", json_string("true"));
    json_t *answer = cli_get(path, o->records ? "/v1/records" : "/v1/doctor", arguments, &err);
    free(path);
    json_decref(arguments);
    if (!answer) return cli_fail(&err);
    int code = exit_code(answer);
    if (o->json) cli_print_json(answer);
    else {
        flatten(answer);
        cli_disarm(answer);
        if (o->records) print_all_records(answer, o);
        else print_findings(answer, o);
    }
    json_decref(answer);
    return code;
}

int cli_doctor(int argc, char **argv)
{
    struct options o = { .config = CLI_DEFAULT_CONFIG };
    for (int i = 1; i < argc; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            usage(stdout);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) o.json = true;
        else if (cli_flag(argv, i, "--all")) o.all = true;
        else if (cli_flag(argv, i, "--bind")) o.bind = true;
        else if (cli_flag(argv, i, "--fresh")) o.fresh = true;
        else if (!o.domain && !o.records && !strcmp(argv[i], "records")) o.records = true;
        else if (cli_daemon_option(argc, argv, &i, &o.config, &o.socket)) continue;
        else if (!o.domain && argv[i][0] != '-') o.domain = argv[i];
        else {
            cli_complain("doctor", "\"", argv[i], "\" is not understood");
            usage(stderr);
            return EX_USAGE;
        }
    }
    return ask(&o);
}
