/* SPDX-License-Identifier: Apache-2.0
 * postern tls-report: reads the TLS reports of others (RFC 8460), and has ours sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base64.h"
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

static bool read_all(const char *path, struct buf *out, struct err *err)
{
    bool in = !strcmp(path, "-");
    FILE *f = in ? stdin : fopen(path, "re");
    size_t k = 1;
    if (!f) return err_sys(err, errno, "%s", path);
    out->max = 2 * TLS_REPORT_READ_MAX;
    while (k) {
        char *p = buf_reserve(out, 65536);
        if (!p) break;
        k = fread(p, 1, 65536, f);
        out->n += k;
    }
    bool ok = !ferror(f) && !out->overflow;
    if (!in) fclose(f);
    return ok || err_set(err, "%s cannot be read, or is larger than %u bytes", path, 2 * TLS_REPORT_READ_MAX);
}

/* A line of a message, without its end. */
static bool next_line(struct slice *in, struct slice *line)
{
    if (!in->n) return false;
    slice_cut(in, '\n', line);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return true;
}

/* The attachment of a message: of the first part that is one of TLS reports. False: there is none. */
static bool take_part(struct slice mail, struct buf *out)
{
    struct slice line;
    bool found = false, body = false;
    struct buf text = { 0 };
    while (next_line(&mail, &line)) {
        if (body && (slice_starts(line, SLICE("--")) || (!line.n && text.n))) break;
        if (body) buf_add(&text, slice_trim(line));
        else if (slice_istarts(line, SLICE("Content-Type: application/tlsrpt+"))) found = true;
        else if (found && !line.n) body = true;
    }
    bool ok = body && base64_decode(buf_slice(&text), out);
    if (body && !ok && slice_starts(buf_slice(&text), SLICE("{"))) { /* it was not encoded */
        buf_add(out, buf_slice(&text));
        ok = true;
    }
    buf_deinit(&text);
    return ok;
}

static int show(const char *path, bool json)
{
    struct buf bytes = { 0 }, part = { 0 }, out = { 0 };
    struct err err;
    json_t *report = NULL;
    if (read_all(path, &bytes, &err)) {
        struct slice s = buf_slice(&bytes);
        bool plain = slice_starts(slice_trim(s), SLICE("{")) || slice_starts(s, SLICE("\x1f\x8b"));
        if (!plain && take_part(s, &part)) s = buf_slice(&part);
        report = tls_report_read(s, &err);
    }
    if (report && json) {
        json_dumpf(report, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    } else if (report) {
        tls_report_print(report, &out);
        fwrite(out.p, 1, out.n, stdout);
    } else
        fprintf(stderr, "postern tls-report: %s\n", err.text);
    buf_deinit(&bytes);
    buf_deinit(&part);
    buf_deinit(&out);
    json_decref(report);
    return report ? 0 : err.code ? EX_NOINPUT : EX_DATAERR;
}

static int send_now(const char *config, const char *socket)
{
    struct err err;
    char *path = cli_socket_path(socket, config);
    json_t *answer = cli_request(path, "POST", "/v1/tls-report", NULL, &err);
    free(path);
    if (!answer) return cli_fail(&err);
    json_decref(answer);
    puts("Reports of what was counted so far are on their way; the log says what became of them (tls-report-sent).");
    return 0;
}

int cli_tls_report(int argc, char **argv)
{
    const char *config = NULL, *socket = NULL, *words[2] = { NULL };
    bool json = false;
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            usage(stdout);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) json = true;
        else if (cli_option(argc, argv, &i, "--config", &config) || cli_option(argc, argv, &i, "--socket", &socket)) continue;
        else if (n < 2 && (argv[i][0] != '-' || !argv[i][1])) words[n++] = argv[i];
        else n = 3;
        if (n > 2) break;
    }
    if (n == 2 && !strcmp(words[0], "show")) return show(words[1], json);
    if (n == 1 && !strcmp(words[0], "send")) return send_now(config, socket);
    usage(stderr);
    return EX_USAGE;
}
