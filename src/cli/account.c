/* SPDX-License-Identifier: Apache-2.0
 * postern account: accounts of the web administration, through the running daemon. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"

static const char help[] =
    "usage: postern account list [--json]\n"
    "       postern account add NAME --role ROLE [--addresses A,B] [--json]\n"
    "       postern account role NAME ROLE\n"
    "       postern account addresses NAME A,B\n"
    "       postern account link NAME [--json]\n"
    "       postern account disable|enable|delete|reset-totp NAME\n"
    "\n"
    "Accounts of the web administration. add and link print a one-time link,\n"
    "valid for 24 hours, where the password is set; the one of `link` also removes\n"
    "the second factor and ends all sessions when it is used.\n"
    "\n"
    "  --role ROLE       administrator: all; operator: mail, queue and quarantine;\n"
    "                    auditor: sees all but what messages hold, changes nothing;\n"
    "                    user: the own quarantine\n"
    "  --addresses A,B   mail addresses whose quarantine is the account's own;\n"
    "                    \"\" for none\n"
    "  -c FILE, --socket PATH\n"
    "                    which relay\n";

struct options {
    const char *config, *socket, *role, *addresses, *words[3];
    size_t word_n;
    bool json;
};

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct options *o)
{
    *o = (struct options){ .config = CLI_DEFAULT_CONFIG };
    for (int i = 1; i < argc; i++) {
        if (cli_daemon_option(argc, argv, &i, &o->config, &o->socket) || cli_option(argc, argv, &i, "role", &o->role) ||
            cli_option(argc, argv, &i, "addresses", &o->addresses))
            continue;
        if (cli_flag(argv, i, "--json")) o->json = true;
        else if (argv[i][0] != '-' && o->word_n < countof(o->words)) o->words[o->word_n++] = argv[i];
        else return cli_help("account", argv[i], help);
    }
    return -1;
}

/* "/v1/accounts/NAME" and what is behind it. */
static void add_path(struct buf *out, const char *name, const char *behind)
{
    buf_add_str(out, "/v1/accounts/");
    for (; *name; name++) {
        char c = ascii_lower(*name);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._", c)) buf_add_char(out, *name);
        else buf_addf(out, "%%%02X", (unsigned char)*name);
    }
    buf_add_str(out, behind);
}

static json_t *split(const char *addresses)
{
    struct slice rest = slice_str(addresses), one;
    json_t *all = json_array();
    while (rest.n) {
        slice_cut(&rest, ',', &one);
        one = slice_trim(one);
        if (one.n) json_array_append_new(all, json_stringn(one.p, one.n));
    }
    return all;
}

/* ---- what is shown */

static void add_day(struct buf *out, const json_t *ms)
{
    char day[32] = "never";
    time_t when = (time_t)(json_integer_value(ms) / 1000);
    struct tm tm;
    if (json_integer_value(ms)) strftime(day, sizeof day, "%Y-%m-%d %H:%M", localtime_r(&when, &tm));
    buf_addf(out, "%-17s", day);
}

static void print_list(const json_t *a)
{
    const json_t *one, *v;
    size_t i, k;
    printf("%-24s %-14s %-17s %-6s  %s\n", "NAME", "ROLE", "LAST LOGIN", "SECOND", "");
    json_array_foreach(json_object_get(a, "accounts"), i, one) {
        struct buf line = { 0 };
        cli_add_fitted(&line, cli_text_of(one, "name"), 24);
        while (line.n < 25) buf_add_char(&line, ' ');
        buf_addf(&line, "%-14s ", cli_text_of(one, "role"));
        add_day(&line, json_object_get(one, "last_login"));
        buf_addf(&line, " %-6s ", json_is_true(json_object_get(one, "totp")) ? "yes" : "no");
        if (json_is_true(json_object_get(one, "disabled"))) buf_add_str(&line, " disabled");
        if (!json_is_true(json_object_get(one, "password"))) buf_add_str(&line, " waits for its link");
        json_array_foreach(json_object_get(one, "addresses"), k, v) buf_addf(&line, " %s", json_string_value(v));
        puts(buf_cstr(&line));
        buf_deinit(&line);
    }
}

static void print_link(const json_t *a)
{
    const char *link = cli_text_of(a, "link");
    puts(link);
    if (*link == '/')
        fputs("postern: the web administration is off, or could not be started (web.enabled; the log tells more): put https:// and its address before it\n",
              stderr);
}

static void print_nothing(const json_t *a) {}

/* ---- requests */

static int ask(const struct options *o, const char *method, const char *behind, json_t *body, void (*print)(const json_t *a))
{
    struct buf path = { 0 };
    struct err err;
    if (o->word_n > 1 && behind) add_path(&path, o->words[1], behind);
    else buf_add_str(&path, "/v1/accounts");
    json_t *answer = cli_ask(o->socket, o->config, method, buf_cstr(&path), body, &err);
    buf_deinit(&path);
    return cli_show(answer, o->json, print, &err);
}

static int add(const struct options *o)
{
    json_t *body = json_pack("{s:s, s:s}", "name", o->words[1], "role", o->role);
    if (body && o->addresses) json_object_set_new(body, "addresses", split(o->addresses));
    return ask(o, "POST", NULL, body, print_link);
}

static int serve(const struct options *o)
{
    const char *op = o->words[0];
    if (!strcmp(op, "list")) return ask(o, "GET", NULL, NULL, print_list);
    if (!strcmp(op, "add")) return add(o);
    if (!strcmp(op, "role")) return ask(o, "PATCH", "", json_pack("{s:s}", "role", o->words[2]), print_nothing);
    if (!strcmp(op, "addresses")) return ask(o, "PATCH", "", json_pack("{s:o}", "addresses", split(o->words[2])), print_nothing);
    if (!strcmp(op, "link")) return ask(o, "POST", "/link", NULL, print_link);
    if (!strcmp(op, "delete")) return ask(o, "DELETE", "", NULL, print_nothing);
    if (!strcmp(op, "reset-totp")) return ask(o, "PATCH", "", json_pack("{s:b}", "totp", 0), print_nothing);
    return ask(o, "PATCH", "", json_pack("{s:b}", "disabled", !strcmp(op, "disable")), print_nothing);
}

static bool fits(const struct options *o)
{
    static const struct {
        const char *op;
        size_t words;
    } all[] = { { "list", 1 }, { "add", 2 }, { "role", 3 }, { "addresses", 3 }, { "link", 2 }, { "disable", 2 }, { "enable", 2 }, { "delete", 2 },
                { "reset-totp", 2 } };
    for (size_t i = 0; o->word_n && i < countof(all); i++) {
        if (strcmp(o->words[0], all[i].op) != 0) continue;
        bool adds = !strcmp(all[i].op, "add");
        return o->word_n == all[i].words && adds == (o->role != NULL) && (adds || !o->addresses);
    }
    return false;
}

int cli_account(int argc, char **argv)
{
    struct options o;
    int code = read_options(argc, argv, &o);
    if (code >= 0) return code;
    if (fits(&o)) return serve(&o);
    fputs(help, stderr);
    return EX_USAGE;
}
