/* SPDX-License-Identifier: Apache-2.0
 * `postern scan`: what the relay would see in a message from a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/load.h"
#include "config/parse.h"
#include "message/crlf.h"
#include "proc/privilege.h"
#include "scan/scanning.h"

#define MESSAGE_MAX (1u << 30)
#define NAME_COLUMNS 60

static const char help[] =
    "usage: postern scan [-c FILE] [--json] FILE|-\n"
    "\n"
    "Takes a message apart as the relay would. Prints `pass` or `block` first - block: a file in it is\n"
    "blocked, or it holds a virus - then who should have looked at it and did not, then a line for each\n"
    "part with its true type, size, names and what is remarkable about it, then viruses, the score for\n"
    "spam and each of its symbols.\n"
    "FILE is a message, - standard input; lines may end in CRLF or LF.\n"
    "\n"
    "Without -c the default lists of blocked extensions and types count as if `attachments` were\n"
    "enabled, and no scanner, name server or classifier is asked.\n"
    "\n"
    "  -c, --config FILE   do what this configuration says: attachments, scanners, spam, rules\n"
    "  --json              print every detail\n"
    "\n"
    "Exit code 0 whatever was found; 64: wrong usage, 66: no such file, 69: it cannot be looked into,\n"
    "75: somebody could not look at it, 78: the configuration has errors.\n";

struct job {
    const char *file, *config_file;
    bool json;
    struct config *config;
    struct scanning *scanning;
    struct arena arena;
    struct buf message;
    struct report report;
};

/* ---- printing */

static void add_line(struct buf *b)
{
    fputs(buf_cstr(b), stdout);
    fputc('\n', stdout);
    buf_clear(b);
}

static void print_part(const struct report_part *p, struct buf *b)
{
    struct buf size = { 0 };
    struct slice type = p->type.n ? p->type : p->declared;
    buf_addf(b, "%*s", (int)(p->depth < 20 ? p->depth : 20) * 2, "");
    buf_add_printable(b, type.n ? type : SLICE("-"), NAME_COLUMNS);
    buf_addf(b, " %s", cli_size(&size, p->size));
    if (p->name.n) buf_add_char(b, ' ');
    buf_add_printable(b, p->name, NAME_COLUMNS);
    for (unsigned bit = 1, first = 1; bit && bit <= p->findings; bit <<= 1) {
        if (!(p->findings & bit)) continue;
        buf_addf(b, "%s%s", first ? " [" : " ", content_finding_name(bit));
        first = 0;
        if (bit > p->findings >> 1) buf_add_char(b, ']');
    }
    if (p->blocked.n) buf_add_str(b, " blocked: ");
    buf_add_printable(b, p->blocked, REPORT_TEXT_MAX);
    buf_deinit(&size);
    add_line(b);
}

static void print_symbols(const struct report *r, struct buf *b)
{
    if (!r->judged) return;
    buf_addf(b, "score %.2f %s", r->score / 100.0, report_class_name(r->class));
    add_line(b);
    for (size_t i = 0; i < r->symbol_n; i++) {
        buf_addf(b, "  %6.2f ", r->symbols[i].score / 100.0);
        buf_add_printable(b, r->symbols[i].name, NAME_COLUMNS);
        if (!slice_eq(r->symbols[i].engine, SLICE("builtin"))) {
            buf_add_str(b, " (");
            buf_add_printable(b, r->symbols[i].engine, NAME_COLUMNS);
            buf_add_char(b, ')');
        }
        if (r->symbols[i].text.n) buf_add_str(b, ": ");
        buf_add_printable(b, r->symbols[i].text, REPORT_TEXT_MAX);
        add_line(b);
    }
}

static void print_actions(const struct report *r, struct buf *b)
{
    for (size_t i = 0; i < r->action_n; i++) {
        const struct report_action *a = &r->actions[i];
        buf_addf(b, "%s by ", report_action_name(a->action));
        buf_add_printable(b, a->by, NAME_COLUMNS);
        buf_add_char(b, ' ');
        buf_add_printable(b, a->name, NAME_COLUMNS);
        if (a->text.n || a->address.n) buf_add_str(b, ": ");
        buf_add_printable(b, a->text.n ? a->text : a->address, REPORT_TEXT_MAX);
        add_line(b);
    }
}

static void print_scanners(const struct report *r, struct buf *b)
{
    for (size_t i = 0; i < r->scanner_n; i++) {
        const struct report_scanner *s = &r->scanners[i];
        if (slice_eq(s->name, SLICE("builtin"))) continue;
        buf_add_str(b, "scanner ");
        buf_add_printable(b, s->name, NAME_COLUMNS);
        buf_addf(b, " %s %.1f ms", report_scanner_state_name(s->state), s->us / 1000.0);
        if (s->text.n) buf_add_str(b, ": ");
        buf_add_printable(b, s->text, REPORT_TEXT_MAX);
        add_line(b);
    }
}

static bool has_looked(const struct report_scanner *s) { return s->state == SCANNER_FINE || s->state == SCANNER_TOO_LARGE; }

/* Somebody who should have looked may be able to another time. What is too large for a scanner stays so. */
static bool is_incomplete(const struct job *j)
{
    bool all = !scanning_trouble(j->scanning);
    for (size_t i = 0; i < j->report.scanner_n; i++) all &= has_looked(&j->report.scanners[i]);
    return !all;
}

static void print_gaps(const struct job *j, struct buf *b)
{
    for (size_t i = 0; i < j->report.scanner_n; i++) {
        const struct report_scanner *s = &j->report.scanners[i];
        if (s->state == SCANNER_FINE) continue;
        buf_add_str(b, "not looked at by ");
        buf_add_printable(b, s->name, NAME_COLUMNS);
        buf_addf(b, ": %s", report_scanner_state_name(s->state));
        add_line(b);
    }
    if (!scanning_trouble(j->scanning)) return;
    buf_add_str(b, "not looked at by the classifier: ");
    buf_add_printable(b, slice_str(scanning_trouble(j->scanning)), REPORT_TEXT_MAX);
    add_line(b);
}

static void print_words(const struct job *j)
{
    const struct report *r = &j->report;
    struct buf b = { 0 };
    puts(report_blocks(r) ? "block" : "pass");
    print_gaps(j, &b);
    for (size_t i = 0; i < r->part_n; i++) print_part(&r->parts[i], &b);
    if (r->parts_more) printf("%u more parts\n", r->parts_more);
    for (size_t i = 0; i < r->virus_n; i++) {
        buf_add_str(&b, "virus ");
        buf_add_printable(&b, r->viruses[i].name, NAME_COLUMNS);
        buf_add_str(&b, r->viruses[i].part.n ? " in " : "");
        buf_add_printable(&b, r->viruses[i].part, NAME_COLUMNS);
        buf_add_str(&b, ", says ");
        buf_add_printable(&b, r->viruses[i].scanner, NAME_COLUMNS);
        add_line(&b);
    }
    print_scanners(r, &b);
    print_symbols(r, &b);
    print_actions(r, &b);
    buf_deinit(&b);
}

static void print_json(struct job *j)
{
    json_t *o = report_to_people(&j->report, SIZE_MAX), *view = scanning_view(j->scanning, buf_slice(&j->message), &j->arena);
    report_add_view(o, view);
    cli_print_json(o);
    json_decref(view);
    json_decref(o);
}

/* ---- the message: as it is on the wire, whatever it is in the file */

static bool read_message(struct job *j, struct err *err)
{
    struct buf raw = { 0 };
    bool ok = cli_read_file(j->file, MESSAGE_MAX, &raw, err);
    if (ok) crlf_add_message(buf_slice(&raw), &j->message);
    buf_deinit(&raw);
    return ok;
}

/* ---- the configuration */

static struct config *defaults(void)
{
    struct config_report report;
    struct config *c = config_parse(SLICE("hostname: localhost.localdomain\n"
                                          "attachments: {enabled: yes}\n"
                                          "spam: {bayes: {enabled: no}, dns: no}\n"), "defaults", &report);
    config_report_deinit(&report);
    return c;
}

static struct config *load(const char *file)
{
    struct config_report report;
    struct config *c = config_load(file, &report);
    for (size_t i = 0; !c && i < report.n; i++) {
        const struct config_finding *f = &report.findings[i];
        if (!f->warning) cli_print_finding(file, f->place.line, f->place.column, false, f->option, f->text, f->hint);
    }
    config_report_deinit(&report);
    return c;
}

/* ---- the command */

static int fail(const struct err *err, int code)
{
    fprintf(stderr, "postern scan: %s\n", err->text);
    return code;
}

static bool parse(struct job *j, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (cli_flag(argv, i, "--json")) j->json = true;
        else if (cli_config_option(argc, argv, &i, &j->config_file)) continue;
        else if (argv[i][0] == '-' && argv[i][1]) return cli_complain("scan", "no option \"", argv[i], "\"");
        else if (j->file) return cli_complain("scan", "one file, please: \"", argv[i], "\" is another");
        else j->file = argv[i];
    }
    return j->file || cli_complain("scan", "which file", "", "?");
}

/* Hostile bytes are not for root: from here on it is who looks into messages for the relay, whose table of tokens it may have to make. */
static bool drop_rights(const char *directory, struct err *err)
{
    struct privilege_user user = { 0 };
    struct stat st;
    if (geteuid() != 0) return true;
    if (directory && stat(directory, &st) == 0) user = (struct privilege_user){ .change = st.st_uid != 0, .uid = st.st_uid, .gid = st.st_gid };
    else if (!privilege_lookup("nobody", &user, err)) return true; /* a machine without that user */
    return privilege_drop(&user, err);
}

static int run(struct job *j)
{
    struct err err = { 0 };
    char directory[4200];
    if (!read_message(j, &err)) return fail(&err, EX_NOINPUT);
    j->config = j->config_file ? load(j->config_file) : defaults();
    if (!j->config) return EX_CONFIG;
    snprintf(directory, sizeof directory, "%s/scan", j->config->system.directory);
    const char *own = j->config_file && access(directory, F_OK) == 0 ? directory : NULL; /* not before the relay has run */
    j->scanning = scanning_new(j->config, own, &err);
    if (!j->scanning || !drop_rights(own, &err) || !scanning_start(j->scanning, &err)) return fail(&err, EX_UNAVAILABLE);
    scanning_run(j->scanning, buf_slice(&j->message), &scan_context_of_file, &j->arena, &j->report);
    if (j->json) print_json(j);
    else print_words(j);
    return fflush(stdout) != 0 ? EX_IOERR : is_incomplete(j) ? EX_TEMPFAIL : 0;
}

int cli_scan(int argc, char **argv)
{
    struct job j = { 0 };
    if (load_wants_help(argc, argv)) {
        fputs(help, stdout);
        return 0;
    }
    if (!parse(&j, argc, argv)) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    int code = run(&j);
    scanning_free(&j.scanning);
    config_free(j.config);
    arena_deinit(&j.arena);
    buf_deinit(&j.message);
    return code;
}
