/* SPDX-License-Identifier: Apache-2.0
 * `postern check`: is the configuration right, and if not, where and why. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/common.h"
#include "config/parse.h"
#include "content/rules.h"
#include "net/tls.h"
#include "policy/policy.h"
#include "route/rewrite.h"
#include "scan/scanning.h"
#include "signer/signer.h"

static void usage(FILE *to)
{
    fputs("usage: postern check [-c FILE] [--json]\n\n"
          "Reads the configuration (" CLI_DEFAULT_CONFIG ") as `postern run` would, and shows every\n"
          "mistake with its line and column, what is wrong, and how to mend it.\n\n"
          "  -c, --config FILE   another file\n"
          "  --json              findings as JSON: {\"file\", \"ok\", \"findings\": [{\"severity\", \"line\", "
          "\"column\",\n"
          "                      \"option\", \"text\", \"hint\"}]}\n\n"
          "Exit code 0: fine, warnings at the most; 78: it has errors.\n",
          to);
}

static void print_json(const char *file, const struct config *c, const struct config_report *r)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct config_finding *f = &r->findings[i];
        json_array_append_new(findings,
                              json_pack("{s:s, s:I, s:I, s:s, s:s, s:s}", "severity", f->warning ? "warning" : "error",
                                        "line", (json_int_t)f->place.line, "column", (json_int_t)f->place.column,
                                        "option", f->option, "text", f->text, "hint", f->hint));
    }
    json_t *out = json_pack("{s:s, s:b, s:o}", "file", file, "ok", c != NULL, "findings", findings);
    cli_print_json(out);
    json_decref(out);
}

static void add_count(struct buf *b, size_t n, const char *what)
{
    buf_addf(b, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

/* "1 listener (*:25), 2 domains, 2 zones (lan may relay), other mail by MX" */
static void print_summary(const struct config *c)
{
    struct buf b = { 0 };
    add_count(&b, c->listener_n, "listener");
    for (size_t i = 0; i < c->listener_n && i < 4; i++) {
        buf_add_str(&b, i ? ", " : " (");
        value_format_endpoint(&c->listeners[i].ip, c->listeners[i].port, &b);
    }
    buf_add_str(&b, c->listener_n > 4 ? ", ...), " : "), ");
    add_count(&b, c->domain_n, "domain");
    buf_add_str(&b, ", ");
    add_count(&b, c->zone_n, "zone");
    bool any = false;
    for (size_t i = 0; i < c->zone_n; i++) {
        if (c->zones[i].trust != CONFIG_TRUST_RELAY) continue;
        buf_addf(&b, "%s%s", any ? ", " : " (", c->zones[i].name);
        any = true;
    }
    buf_addf(&b, "%s, other mail %s%s", any ? " may relay)" : "", c->smarthost.host ? "to " : "by MX",
             c->smarthost.host ? c->smarthost.text : "");
    printf("%s: ok\n  %s\n", c->file, buf_cstr(&b));
    buf_deinit(&b);
}

/* The files that lists name. */
static bool lists_ok(const struct config *c, struct config_report *r)
{
    struct err err;
    struct policy *p = policy_new(c, &err);
    if (!p) report_error(r, (struct config_place){ 0 }, "", NULL, "%s", err.text);
    policy_free(p);
    return p;
}

/* Who may not read secrets can check the rest. True: no error. */
static bool told(struct config_report *r, struct config_place place, const char *option, const struct err *err)
{
    if (err->code == EACCES) report_warning(r, place, option, "run it as root", "%s", err->text);
    else report_error(r, place, option, NULL, "%s", err->text);
    return err->code == EACCES;
}

/* Keys for signing. */
static bool keys_ok(const struct config *c, struct config_report *r)
{
    struct err err;
    struct signer_keys *k = signer_keys_new(c, &err);
    bool ok = k || told(r, (struct config_place){ 0 }, "", &err);
    signer_keys_free(k);
    return ok;
}

/* Secrets of rewritten senders. */
static bool rewriter_ok(const struct config *c, struct config_report *r)
{
    struct err err;
    struct rewriter *w = rewriter_new(c, &err);
    bool ok = w || told(r, c->srs.place, "srs.secrets_file", &err);
    rewriter_free(w);
    return ok;
}

/* Header checks, rules, rules for spam. */
static bool content_ok(const struct config *c, struct config_report *r)
{
    struct err err = { 0 };
    struct config_place place = { 0 };
    if (!rules_check(c, &place, &err)) return told(r, place, "", &err);
    return scanning_check(c, &err) || told(r, (struct config_place){ 0 }, "", &err);
}

int cli_check(int argc, char **argv)
{
    const char *file = CLI_DEFAULT_CONFIG;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (cli_config_option(argc, argv, &i, &file)) continue;
        if (cli_flag(argv, i, "--json")) json = true;
        else {
            bool help = cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h");
            usage(help ? stdout : stderr);
            return help ? 0 : EX_USAGE;
        }
    }
    struct buf text = { 0 }, out = { 0 };
    struct err err;
    struct config_report report = { 0 };
    struct config *c = NULL;
    if (config_read_file(file, &text, &err)) c = config_parse(buf_slice(&text), file, &report);
    else report_error(&report, (struct config_place){ 0 }, "", "name the file with -c FILE", "%s", err.text);
    if (c && (!tls_check(c, buf_slice(&text), &report) || !lists_ok(c, &report) || !keys_ok(c, &report) || !rewriter_ok(c, &report) ||
              !content_ok(c, &report))) {
        config_free(c);
        c = NULL;
    }
    if (json) print_json(file, c, &report);
    else {
        report_format(&report, file, buf_slice(&text), &out);
        fwrite(out.p ? out.p : "", 1, out.n, stdout);
        if (c) print_summary(c);
    }
    int code = c ? 0 : EX_CONFIG;
    config_free(c);
    config_report_deinit(&report);
    buf_deinit(&text);
    buf_deinit(&out);
    return code;
}
