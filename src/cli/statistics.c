/* SPDX-License-Identifier: Apache-2.0
 * postern statistics: what was counted of mail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"

static const char help[] =
    "usage: postern statistics [--since T] [--until T] [--json]\n"
    "\n"
    "What became of mail, what each check found, and who had most of it; of the last day.\n"
    "\n"
    "  --since T, --until T  how long ago (2h, 3d), or 2026-11-22, 2026-11-22T14:05 (UTC)\n"
    "  --json                everything, hour by hour, as JSON\n"
    "  -c FILE, --socket P   the configuration, or the daemon's control socket itself\n";

#define SHOWN 10 /* of each list of names */

/* ---- for a terminal */

static void print_outcomes(const json_t *a)
{
    static const char *const kinds[] = { "accepted", "refused", "delivered", "deferred", "bounced", "quarantined", "discarded" };
    const json_t *hour;
    size_t i;
    for (size_t k = 0; k < countof(kinds); k++) {
        json_int_t n = 0;
        json_array_foreach(json_object_get(a, "hours"), i, hour) n += cli_number_of(hour, kinds[k]);
        printf("%-12s %10lld\n", kinds[k], (long long)n);
    }
}

static void print_checks(const json_t *a)
{
    const json_t *stage, *c;
    size_t i, k;
    bool head = false;
    json_array_foreach(json_object_get(a, "stages"), i, stage) {
        json_array_foreach(json_object_get(stage, "checks"), k, c) {
            json_int_t seen = cli_number_of(c, "seen");
            if (!head) printf("\n%-8s %-18s %9s %8s %8s %8s %8s %6s\n", "stage", "check", "seen", "reject", "defer", "apart", "tag", "ms");
            head = true;
            printf("%-8s %-18.18s %9lld %8lld %8lld %8lld %8lld %6.1f\n", cli_text_of(stage, "stage"), cli_text_of(c, "check"), (long long)seen,
                   (long long)cli_number_of(c, "reject"), (long long)cli_number_of(c, "defer"),
                   (long long)(cli_number_of(c, "quarantine") + cli_number_of(c, "hold") + cli_number_of(c, "discard")),
                   (long long)cli_number_of(c, "tag"), seen ? json_number_value(json_object_get(c, "ms")) / (double)seen : 0.0);
        }
    }
}

static void print_top(const json_t *a)
{
    const char *name;
    const json_t *list, *one;
    size_t i;
    json_object_foreach(json_object_get(a, "top"), name, list) {
        json_int_t other = cli_number_of(json_object_get(a, "other"), name);
        if (json_array_size(list)) printf("\n%s\n", name);
        json_array_foreach(list, i, one) {
            struct buf line = { 0 };
            if (i == SHOWN) break;
            buf_addf(&line, "%10lld  ", (long long)cli_number_of(one, "n"));
            cli_add_fitted(&line, cli_text_of(one, "key"), 68);
            puts(buf_cstr(&line));
            buf_deinit(&line);
        }
        for (; i < json_array_size(list); i++) other += cli_number_of(json_array_get(list, i), "n");
        if (other) printf("%10lld  others\n", (long long)other);
    }
}

static void print(const json_t *a)
{
    print_outcomes(a);
    print_checks(a);
    print_top(a);
}

int cli_statistics(int argc, char **argv)
{
    const char *config = CLI_DEFAULT_CONFIG, *socket = NULL, *value;
    json_t *arguments = json_object();
    bool json = false;
    int code = -1;
    for (int i = 1; i < argc && code < 0; i++) {
        uint64_t ms;
        bool since = cli_option(argc, argv, &i, "--since", &value), until = !since && cli_option(argc, argv, &i, "--until", &value);
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            code = 0;
        } else if (since || until) {
            if (cli_parse_when(value, until, &ms)) json_object_set_new(arguments, since ? "since" : "until", json_integer((json_int_t)ms));
            else code = EX_USAGE;
        } else if (cli_flag(argv, i, "--json")) {
            json = true;
        } else if (!cli_daemon_option(argc, argv, &i, &config, &socket)) {
            code = EX_USAGE;
        }
        if (code == EX_USAGE) fprintf(stderr, "postern statistics: this cannot be: \"%s\"; `postern statistics --help` tells more\n", argv[i]);
    }
    if (code < 0) {
        struct err err;
        char *path = cli_socket_path(socket, config);
        code = cli_show(cli_get(path, "/v1/statistics", arguments, &err), json, print, &err);
        free(path);
    }
    json_decref(arguments);
    return code;
}
