/* SPDX-License-Identifier: Apache-2.0
 * postern tls-report: reads the TLS reports of others (RFC 8460), and has ours sent. */
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/common.h"
#include "fetch/tls_report.h"

static void usage(FILE *to)
{
    fputs("usage: postern tls-report show FILE [--json]   a report that somebody sent: JSON, gzip'ed JSON, or the\n"
          "                                               message it came in; - is standard input\n"
          "       postern tls-report send [-c FILE]       what was counted so far is reported now\n",
          to);
}

static int show(const char *path, bool json)
{
    struct buf bytes = { 0 }, out = { 0 };
    struct err err;
    json_t *report = NULL;
    if (cli_read_file(path, 2 * TLS_REPORT_READ_MAX, &bytes, &err)) report = tls_report_open(buf_slice(&bytes), &err);
    if (report && json) {
        json_dumpf(report, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    } else if (report) {
        tls_report_print(report, &out);
        fwrite(out.p, 1, out.n, stdout);
    } else
        fprintf(stderr, "postern tls-report: %s\n", err.text);
    buf_deinit(&bytes);
    buf_deinit(&out);
    json_decref(report);
    return report ? 0 : err.code ? EX_NOINPUT : EX_DATAERR;
}

static int send_now(const char *config, const char *socket)
{
    struct err err;
    json_t *answer = cli_ask(socket, config, "POST", "/v1/tls-report", NULL, &err);
    if (!answer) return cli_fail(&err);
    bool wanted = !json_is_false(json_object_get(answer, "wanted"));
    json_decref(answer);
    if (!wanted) {
        fputs("postern tls-report: nothing is counted, as delivery.tls_reports is off\n", stderr);
        return EX_CONFIG;
    }
    puts("Reports of what was counted so far are on their way; the log says what became of them (tls-report-sent).");
    return 0;
}

int cli_tls_report(int argc, char **argv)
{
    const char *config = CLI_DEFAULT_CONFIG, *socket = NULL, *words[2] = { NULL };
    bool json = false;
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            usage(stdout);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) json = true;
        else if (cli_daemon_option(argc, argv, &i, &config, &socket)) continue;
        else if (n < 2 && (argv[i][0] != '-' || !argv[i][1])) words[n++] = argv[i];
        else n = 3;
        if (n > 2) break;
    }
    if (n == 2 && !strcmp(words[0], "show")) return show(words[1], json);
    if (n == 1 && !strcmp(words[0], "send")) return send_now(config, socket);
    usage(stderr);
    return EX_USAGE;
}
