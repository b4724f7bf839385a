/* SPDX-License-Identifier: Apache-2.0
 * postern tls-report: reads the TLS reports of others (RFC 8460), and has ours sent. */
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

/* A line of a message, without its end. */
static bool next_line(struct slice *in, struct slice *line)
{
    if (!in->n) return false;
    slice_cut(in, '\n', line);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return true;
}

struct part {
    bool wanted, base64, quoted; /* what its header says */
    struct slice name;           /* of the field that was read last */
    struct buf text;
};

static void read_header_line(struct part *p, struct slice line)
{
    bool more = line.n && (line.p[0] == ' ' || line.p[0] == '\t'); /* of the field before */
    if (!more) p->name = SLICE("");
    if (!more && !slice_cut(&line, ':', &p->name)) return;
    line = slice_trim(line);
    if (slice_ieq(p->name, SLICE("Content-Type"))) p->wanted |= slice_istarts(line, SLICE("application/tlsrpt+"));
    if (!slice_ieq(p->name, SLICE("Content-Transfer-Encoding"))) return;
    p->base64 |= slice_ieq(line, SLICE("base64"));
    p->quoted |= slice_ieq(line, SLICE("quoted-printable"));
}

/* RFC 2045 §6.7, one line. */
static void add_quoted_line(struct slice line, struct buf *out)
{
    bool soft = line.n && line.p[line.n - 1] == '=';
    for (size_t i = 0; i + soft < line.n; i++) {
        int high = line.p[i] == '=' && i + 2 < line.n ? ascii_hex(line.p[i + 1]) : -1;
        int low = high >= 0 ? ascii_hex(line.p[i + 2]) : -1;
        buf_add_char(out, low >= 0 ? (char)(high << 4 | low) : line.p[i]);
        if (low >= 0) i += 2;
    }
    if (!soft) buf_add_char(out, '\n');
}

static void add_body_line(struct part *p, struct slice line)
{
    if (p->quoted) add_quoted_line(line, &p->text);
    else buf_add(&p->text, p->base64 ? slice_trim(line) : line);
    if (!p->quoted && !p->base64) buf_add_char(&p->text, '\n');
}

/* The attachment of a message: of the first part that is one of TLS reports, or of the message itself. False: there is none. */
static bool take_part(struct slice mail, struct buf *out)
{
    struct slice line;
    struct part p = { 0 };
    bool header = true;
    while (next_line(&mail, &line)) {
        if (slice_starts(line, SLICE("--"))) { /* a boundary; in a part that is wanted nothing else begins so */
            if (p.wanted && !header) break;
            p = (struct part){ 0 };
            header = true;
        } else if (header && !line.n) header = false;
        else if (header) read_header_line(&p, line);
        else if (p.wanted) add_body_line(&p, line);
    }
    bool ok = p.wanted && !header && (!p.base64 || base64_decode(buf_slice(&p.text), out));
    if (ok && !p.base64) buf_add(out, buf_slice(&p.text));
    buf_deinit(&p.text);
    return ok;
}

static int show(const char *path, bool json)
{
    struct buf bytes = { 0 }, part = { 0 }, out = { 0 };
    struct err err;
    json_t *report = NULL;
    if (cli_read_file(path, 2 * TLS_REPORT_READ_MAX, &bytes, &err)) {
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
