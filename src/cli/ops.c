/* SPDX-License-Identifier: Apache-2.0
 * postern metrics, postern webhook. */
#include <stdio.h>
#include <stdlib.h>
#include "admin/metrics.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"

/* ---- metrics */

static const char metrics_help[] = "usage: postern metrics [-c FILE | --socket PATH]\n"
                                   "       postern metrics --list [--json]\n"
                                   "\n"
                                   "Figures of the running relay, as Prometheus reads them from https://HOST:9443/metrics.\n"
                                   "--list: all there are, and what they mean.\n";

static void list_metrics(bool json)
{
    json_t *all = json_array();
    for (size_t i = 0; i < metrics_n; i++) {
        const struct metric *m = &metrics_table[i];
        if (!json) printf("%-44s %-9s %-16s %s\n", m->name, metric_type_name(m->type), m->labels, m->help);
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s}", "name", m->name, "type", metric_type_name(m->type), "labels", m->labels,
                                             "help", m->help));
    }
    if (json) cli_print_json(all);
    json_decref(all);
}

int cli_metrics(int argc, char **argv)
{
    const char *config = CLI_DEFAULT_CONFIG, *socket = NULL;
    bool list = false, json = false;
    struct buf text = { 0 };
    struct err err;
    for (int i = 1; i < argc; i++) {
        if (cli_daemon_option(argc, argv, &i, &config, &socket)) continue;
        if (cli_flag(argv, i, "--list")) list = true;
        else if (cli_flag(argv, i, "--json")) json = true;
        else return cli_help("metrics", argv[i], metrics_help);
    }
    if (list) {
        list_metrics(json);
        return 0;
    }
    char *path = cli_socket_path(socket, config);
    bool ok = cli_download(path, "/metrics", &text, &err);
    free(path);
    if (ok) fwrite(text.p ? text.p : "", 1, text.n, stdout);
    buf_deinit(&text);
    return ok ? 0 : cli_fail(&err);
}

/* ---- webhook */

static const char webhook_help[] = "usage: postern webhook test [URL] [--json] [-c FILE | --socket PATH]\n"
                                   "\n"
                                   "Sends an event \"test\" to the webhooks of the configuration that is in force, or to that one alone.\n";

static void print_results(const json_t *answer)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(answer, "results"), i, one)
        printf("%s: %s (%lld ms)\n", cli_text_of(one, "url"), json_is_true(json_object_get(one, "ok")) ? "taken" : cli_text_of(one, "error"),
               (long long)cli_number_of(one, "ms"));
    if (!json_array_size(json_object_get(answer, "results"))) puts("no webhook of the configuration has this url");
}

static bool all_fine(const json_t *answer)
{
    const json_t *one, *all = json_object_get(answer, "results");
    size_t i;
    json_array_foreach(all, i, one)
        if (!json_is_true(json_object_get(one, "ok"))) return false;
    return json_array_size(all) > 0;
}

int cli_webhook(int argc, char **argv)
{
    const char *config = CLI_DEFAULT_CONFIG, *socket = NULL, *url = NULL;
    bool json = false;
    struct err err;
    bool test = argc > 1 && !strcmp(argv[1], "test");
    for (int i = test ? 2 : 1; i < argc; i++) {
        if (cli_daemon_option(argc, argv, &i, &config, &socket)) continue;
        if (cli_flag(argv, i, "--json")) json = true;
        else if (argv[i][0] != '-' && test && !url) url = argv[i];
        else return cli_help("webhook", argv[i], webhook_help);
    }
    if (!test) {
        fputs(webhook_help, stderr);
        return EX_USAGE;
    }
    json_t *answer = cli_ask(socket, config, "POST", "/v1/webhooks/test", json_pack("{s:s*}", "url", url), &err);
    bool fine = all_fine(answer);
    int code = cli_show(answer, json, print_results, &err); /* takes the answer */
    return code ? code : fine ? 0 : EX_UNAVAILABLE;
}
