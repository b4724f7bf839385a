/* SPDX-License-Identifier: Apache-2.0
 * postern dns-lists: the catalogue of lists in the DNS, and how the daemon gets on with those of its configuration. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/config.h"
#include "config/dns_catalogue.h"

static const char help[] =
    "usage: postern dns-lists [--json] [-c FILE | --socket PATH]\n"
    "\n"
    "The lists in the DNS that checks.dns_lists asks, and how they are, when the daemon runs; then the\n"
    "catalogue of well-known ones. For those, of, answers and home need not be written.\n";

/* ---- the catalogue */

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static json_int_t number_of(const json_t *j, const char *key) { return json_integer_value(json_object_get(j, key)); }

static void print_catalogue(const json_t *all)
{
    size_t i, k;
    const json_t *e, *word;
    puts("The catalogue:");
    json_array_foreach(all, i, e) {
        const char *closed = text_of(e, "closed"), *answers = text_of(e, "answers"), *home = text_of(e, "home");
        if (closed[0]) {
            printf("\n%s (%s)\n  do not use it: %s\n", text_of(e, "zone"), text_of(e, "title"), closed);
            continue;
        }
        printf("\n%s\n  %s\n  of:", text_of(e, "zone"), text_of(e, "title"));
        json_array_foreach(json_object_get(e, "of"), k, word) printf(" %s", json_string_value(word));
        printf("%s%s\n  answers: %s\n", json_is_true(json_object_get(e, "ipv6")) ? ", IPv6 as well" : "",
               json_is_true(json_object_get(e, "allow")) ? "; lists the good: action: allow" : "",
               answers[0] ? answers : "any");
        if (home[0]) printf("  %s\n", home);
    }
}

/* ---- those of the daemon */

static void print_lists(const json_t *lists)
{
    size_t i;
    const json_t *l;
    puts("ZONE                             STATE        ASKED     LISTED     FAILED");
    json_array_foreach(lists, i, l) {
        printf("%-32s %-7s %10lld %10lld %10lld\n", text_of(l, "zone"), text_of(l, "state"),
               (long long)number_of(l, "asked"), (long long)number_of(l, "listed"), (long long)number_of(l, "failed"));
        if (strcmp(text_of(l, "state"), "off") != 0) continue;
        struct buf b = { 0 };
        int64_t left = number_of(l, "until") - (int64_t)clock_wall_ms();
        printf("  %s; tested again in %s\n", text_of(l, "reason"), cli_span(&b, left > 0 ? left : 0));
        buf_deinit(&b);
    }
    if (!json_array_size(lists)) puts("(none is configured)");
    putchar('\n');
}

/* NULL: it does not run, and *err says so. */
static json_t *lists_of_daemon(const char *config, const char *socket, struct err *err)
{
    char *path = cli_socket_path(socket, config);
    json_t *answer = cli_request(path, "GET", "/v1/dns-lists", NULL, err), *lists = json_incref(json_object_get(answer, "lists"));
    free(path);
    json_decref(answer);
    return lists;
}

int cli_dns_lists(int argc, char **argv)
{
    const char *config = CLI_DEFAULT_CONFIG, *socket = NULL;
    bool json = false;
    struct err err;
    for (int i = 1; i < argc; i++) {
        if (cli_option(argc, argv, &i, "-c", &config) || cli_option(argc, argv, &i, "--config", &config) ||
            cli_option(argc, argv, &i, "--socket", &socket))
            continue;
        if (cli_flag(argv, i, "--json")) {
            json = true;
            continue;
        }
        return cli_help("dns-lists", argv[i], help);
    }
    json_t *catalogue = dns_catalogue_to_json(), *lists = lists_of_daemon(config, socket, &err);
    if (json) {
        json_t *all = json_pack("{s:o*, s:O}", "lists", lists ? json_incref(lists) : NULL, "catalogue", catalogue);
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(all);
    } else {
        if (lists) {
            cli_disarm(lists);
            print_lists(lists);
        } else
            printf("How the lists of the configuration are cannot be told: %s\n\n", err.text);
        print_catalogue(catalogue);
    }
    json_decref(catalogue);
    json_decref(lists);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}
