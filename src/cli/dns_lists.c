/* SPDX-License-Identifier: Apache-2.0
 * postern dns-lists: the catalogue of lists in the DNS, and how the daemon gets on with those of its configuration. */
#include <stdio.h>
#include <stdlib.h>
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

static json_t *of_json(uint32_t of)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } words[] = { { CONFIG_DNS_LIST_CLIENT, "client" },
                  { CONFIG_DNS_LIST_REVERSE, "reverse" },
                  { CONFIG_DNS_LIST_HELO, "helo" },
                  { CONFIG_DNS_LIST_SENDER, "sender" } };
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (of & words[i].bit) json_array_append_new(all, json_string(words[i].name));
    return all;
}

static json_t *catalogue_json(void)
{
    json_t *all = json_array();
    const struct dns_catalogue_entry *e;
    for (size_t i = 0; (e = dns_catalogue_at(i)); i++) {
        json_t *one =
            json_pack("{s:s, s:s, s:o, s:b, s:b, s:b}", "zone", e->zone, "title", e->title, "of", of_json(e->of),
                      "allow", (int)e->allow, "ipv6", (int)e->ipv6, "test_points", (int)e->tested);
        if (e->home) json_object_set_new(one, "home", json_string(e->home));
        if (e->answers) json_object_set_new(one, "answers", json_string(e->answers));
        if (e->closed) json_object_set_new(one, "closed", json_string(e->closed));
        json_array_append_new(all, one);
    }
    return all;
}

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

/* Each worker asks for itself: counts are summed up, and of the states the worst is told. */
static void add_worker(json_t *lists, const json_t *of_worker)
{
    size_t i;
    json_t *l;
    static const char *const counts[] = { "asked", "listed", "failed" };
    json_array_foreach(of_worker, i, l) {
        json_t *sum = json_array_get(lists, i);
        if (!sum || strcmp(text_of(sum, "zone"), text_of(l, "zone")) != 0) {
            if (!sum) json_array_append_new(lists, json_deep_copy(l));
            continue; /* a worker of another generation */
        }
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            json_object_set_new(sum, counts[k], json_integer(number_of(sum, counts[k]) + number_of(l, counts[k])));
        bool worse = !strcmp(text_of(l, "state"), "off") ||
                     (!strcmp(text_of(l, "state"), "unknown") && strcmp(text_of(sum, "state"), "off") != 0);
        static const char *const told[] = { "state", "reason", "until" };
        for (size_t k = 0; worse && k < sizeof told / sizeof *told; k++)
            if (json_object_get(l, told[k])) json_object_set(sum, told[k], json_object_get(l, told[k]));
    }
}

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
    json_t *answer = cli_request(path, "GET", "/v1/status", NULL, err), *lists = NULL;
    const json_t *figures;
    size_t i;
    free(path);
    if (!answer) return NULL;
    lists = json_array();
    json_array_foreach(json_object_get(answer, "figures"), i, figures)
        add_worker(lists, json_object_get(json_object_get(figures, "policy"), "dns_lists"));
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
        bool asked = cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h");
        if (!asked) fprintf(stderr, "postern dns-lists: what is \"%s\"?\n\n", argv[i]);
        fputs(help, asked ? stdout : stderr);
        return asked ? 0 : EX_USAGE;
    }
    json_t *catalogue = catalogue_json(), *lists = lists_of_daemon(config, socket, &err);
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
