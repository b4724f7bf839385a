/* SPDX-License-Identifier: Apache-2.0
 * postern nft: the rules that bring the connections of transparent zones to the relay. */
#include "cli/nft.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/common.h"

static const char help[] =
    "usage: postern nft [print]  [-c FILE]             the rules for the transparent zones, as nft -f takes them\n"
    "       postern nft install  [-c FILE]             puts them in force, in place of those that were there\n"
    "       postern nft remove                         takes them away\n"
    "       postern nft status   [-c FILE] [--json]    are they in force, and those of this configuration?\n"
    "\n"
    "All is in a table of its own, inet " NFT_TABLE "; other rules are not touched. The kernel forgets rules when the\n"
    "machine starts: run `postern nft install` then, and whenever zones or listeners have changed. print needs no\n"
    "rights. Exit code of status: 0 when they are in force, 1 when not.\n"
    "\n"
    "  -c, --config FILE   the configuration (" CLI_DEFAULT_CONFIG ")\n";

enum state { RULES_ABSENT, RULES_OTHER, RULES_CURRENT };

static int fail(const struct err *err)
{
    fprintf(stderr, "postern nft: %s\n", err->text);
    return err->code == ENOENT ? EX_UNAVAILABLE : err->code == EPERM ? EX_NOPERM : EX_OSERR;
}

/* ---- print */

static int print(const struct config *c, const struct nft_rules *r)
{
    struct buf out = { 0 };
    nft_rules_print(c, r, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
    return 0;
}

/* ---- install, remove */

static bool load(struct slice text, struct err *err)
{
    static const char *const argv[] = { "nft", "-f", "-", NULL };
    struct buf out = { 0 };
    bool ok = nft_run(argv, text, &out, err);
    buf_deinit(&out);
    return ok;
}

/* The way for what tproxy takes is there before the rules are, and goes after them. */
static int install(const struct nft_rules *r)
{
    struct err err;
    fwrite(r->notes.p ? r->notes.p : "", 1, r->notes.n, stderr);
    if (r->route4 && !nft_set_route(4, true, &err)) return fail(&err);
    if (r->route6 && !nft_set_route(6, true, &err)) return fail(&err);
    if (!load(buf_slice(&r->text), &err)) return fail(&err);
    if (!r->route4 && !nft_set_route(4, false, &err)) return fail(&err);
    if (!r->route6 && !nft_set_route(6, false, &err)) return fail(&err);
    if (r->zones) printf("in force: what %zu zone%s to other servers is taken\n", r->zones, r->zones == 1 ? " sends" : "s send");
    else puts("no zone is transparent: nothing is taken");
    return 0;
}

static int remove_all(void)
{
    struct err err;
    if (!load(SLICE("add table inet " NFT_TABLE "\ndelete table inet " NFT_TABLE "\n"), &err) || !nft_set_route(4, false, &err) ||
        !nft_set_route(6, false, &err))
        return fail(&err);
    puts("taken away: nothing is taken any more");
    return 0;
}

/* ---- status */

static bool find_state(const struct nft_rules *r, enum state *out, struct err *err)
{
    static const char *const argv[] = { "nft", "list", "table", "inet", NFT_TABLE, NULL };
    char comment[48];
    struct buf said = { 0 };
    bool ok = nft_run(argv, SLICE(""), &said, err), absent = !ok && strstr(buf_cstr(&said), "No such file or directory");
    snprintf(comment, sizeof comment, "comment \"%s\"", r->mark);
    *out = absent ? RULES_ABSENT : ok && strstr(buf_cstr(&said), comment) ? RULES_CURRENT : RULES_OTHER;
    if (*out == RULES_CURRENT && ((r->route4 && !nft_has_route(4)) || (r->route6 && !nft_has_route(6)))) *out = RULES_OTHER;
    buf_deinit(&said);
    return ok || absent;
}

static int status(const struct nft_rules *r, bool json)
{
    static const char *const words[] = { "absent", "other", "current" };
    enum state state;
    struct err err;
    if (!find_state(r, &state, &err)) return fail(&err);
    bool fine = r->zones ? state == RULES_CURRENT : state == RULES_ABSENT;
    if (json) {
        json_t *j = json_pack("{s:i, s:s, s:b}", "transparent_zones", (int)r->zones, "rules", words[state], "fine", fine);
        cli_print_json(j);
        json_decref(j);
    } else if (fine) {
        puts(r->zones ? "in force" : "no zone is transparent, and there are no rules");
    } else {
        printf("%s: run `postern nft install`\n", state == RULES_ABSENT ? "not in force" : "the rules are not those of this configuration");
    }
    return fine ? 0 : 1;
}

/* ---- the command */

static int with_config(const char *verb, const char *file, bool json)
{
    struct config_report report = { 0 };
    struct nft_rules rules = { 0 };
    struct err err;
    int code = EX_CONFIG;
    struct config *c = config_load(file, &report);
    for (size_t i = 0; !c && i < report.n; i++) {
        const struct config_finding *f = &report.findings[i];
        if (!f->warning) cli_print_finding(file, f->place.line, f->place.column, false, f->option, f->text, f->hint);
    }
    config_report_deinit(&report);
    if (c && !nft_rules_make(c, &rules, &err)) fprintf(stderr, "postern nft: %s\n", err.text);
    else if (c) code = !strcmp(verb, "install") ? install(&rules) : !strcmp(verb, "status") ? status(&rules, json) : print(c, &rules);
    nft_rules_deinit(&rules);
    config_free(c);
    return code;
}

int cli_nft(int argc, char **argv)
{
    static const char *const verbs[] = { "print", "install", "remove", "status" };
    const char *file = CLI_DEFAULT_CONFIG, *verb = NULL;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        const char *known = NULL;
        if (cli_config_option(argc, argv, &i, &file)) continue;
        for (size_t k = 0; k < 4 && !verb; k++)
            if (!strcmp(argv[i], verbs[k])) known = verbs[k];
        if (known) verb = known;
        else if (cli_flag(argv, i, "--json")) json = true;
        else if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        } else {
            cli_complain("nft", "what is \"", argv[i], "\"?");
            fputs(help, stderr);
            return EX_USAGE;
        }
    }
    if (!verb) verb = "print";
    if (json && strcmp(verb, "status") != 0) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    return !strcmp(verb, "remove") ? remove_all() : with_config(verb, file, json);
}
