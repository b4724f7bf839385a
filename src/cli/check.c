/* SPDX-License-Identifier: Apache-2.0
 * `postern check`: is the configuration right, and if not, where and why. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "change/change.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/parse.h"
#include "proc/master.h"

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
    json_t *out = json_pack("{s:s, s:b, s:o}", "file", file, "ok", c != NULL, "findings", change_findings(r));
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

/* What only `run` would meet: where the check is made by root, this is most likely the machine. */
static void look_for_users(const struct config *c, struct slice text, struct config_report *r)
{
    struct buf names = { 0 }, hint = { 0 };
    if (!master_users_there(c, &names, &hint))
        report_warning(r, config_place_of(text, "system"), "system", buf_cstr(&hint), "there is no user %s on this machine: `postern run` fails here",
                       buf_cstr(&names));
    buf_deinit(&names);
    buf_deinit(&hint);
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
    if (config_read_file(file, &text, &err)) c = change_check_text(file, buf_slice(&text), &report);
    else report_error(&report, (struct config_place){ 0 }, "", "name the file with -c FILE", "%s", err.text);
    if (c) look_for_users(c, buf_slice(&text), &report);
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
