/* SPDX-License-Identifier: Apache-2.0
 * postern auth: SPF, DKIM, DMARC and ARC of a sender or of a message in a file, as the relay would judge them. */
#include "cli/auth.h"
#include <errno.h>
#include <libpsl.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/ip.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"

static const char help[] =
    "usage: postern auth spf   --ip IP --helo NAME --from ADDRESS [--dns HOST:PORT] [--json]\n"
    "       postern auth dkim  FILE [--dns HOST:PORT] [--json]\n"
    "       postern auth dmarc FILE --ip IP --helo NAME --from ADDRESS [--psl FILE | --tree-walk]\n"
    "                          [--dns HOST:PORT] [--json]\n"
    "       postern auth arc   FILE [--dns HOST:PORT] [--json]\n"
    "\n"
    "Prints the result (pass, fail, softfail, neutral, none, temperror, permerror) and why. The second word\n"
    "of dmarc is what the domain asks to be done (none, quarantine, reject). Further lines tell of each\n"
    "signature.\n"
    "FILE is a message, - standard input.\n"
    "\n"
    "  --ip IP            the client the message came from\n"
    "  --helo NAME        what it said in EHLO\n"
    "  --from ADDRESS     the sender in MAIL FROM; not given or <>: the null sender, so NAME is judged\n"
    "  --dns HOST:PORT    ask this name server instead of the system's\n"
    "  --psl FILE         the public suffix list, instead of the system's; - is standard input\n"
    "  --tree-walk        find the organisational domain by the DNS tree walk instead of the list\n"
    "  --json             print every detail\n";

enum { SPF = 1, DKIM = 2, DMARC = 4, ARC = 8 };

struct options {
    unsigned what;
    const char *name;            /* of what */
    const char *file, *ip_text, *helo, *from, *dns, *psl_file;
    struct ip ip;
    bool tree_walk, json;
};

struct job {
    struct options o;
    struct arena arena;
    struct auth_world *world;
    struct auth_message message;
    psl_ctx_t *psl;
    struct spf_input spf_input;
    struct dkim_options dkim_options;
    struct dkim_verifier *dkim_verifier;
    struct arc_verifier *arc_verifier;
    unsigned open;               /* what is not known yet */
    struct spf spf;
    struct dkim dkim;
    struct dmarc dmarc;
    struct arc arc;
};

/* ---- options */

static bool complain(const char *before, const char *what, const char *behind) { return cli_complain("auth", before, what, behind); }

static bool take_word(struct options *o, const char *word)
{
    static const struct {
        const char *name;
        unsigned what;
    } all[] = { { "spf", SPF }, { "dkim", DKIM }, { "dmarc", DMARC }, { "arc", ARC } };
    if (o->what) {
        if (o->file || o->what == SPF) return complain("one word too many: \"", word, "\"");
        o->file = word;
        return true;
    }
    for (size_t i = 0; i < countof(all); i++) {
        if (strcmp(word, all[i].name) != 0) continue;
        o->what = all[i].what;
        o->name = all[i].name;
        return true;
    }
    return complain("there is no \"", word, "\": spf, dkim, dmarc or arc");
}

/* Do they make sense together? */
static bool fits(struct options *o)
{
    bool client = o->what & (SPF | DMARC);
    if (!o->what) return complain("", "what is to be judged: spf, dkim, dmarc or arc?", "");
    if (o->what != SPF && !o->file) return complain("", o->name, " needs a FILE, or - for standard input");
    if (!client && (o->ip_text || o->helo || o->from)) return complain("", o->name, " takes no --ip, --helo, --from");
    if (o->what != DMARC && (o->psl_file || o->tree_walk)) return complain("", o->name, " takes no --psl, --tree-walk");
    if (o->psl_file && o->tree_walk) return complain("", "either --psl or --tree-walk", "");
    if (client && !o->ip_text) return complain("", o->name, " needs --ip");
    if (client && !o->helo && !o->from) return complain("", o->name, " needs --from, or --helo for the null sender");
    if (o->ip_text && !ip_parse(slice_str(o->ip_text), &o->ip)) return complain("--ip: \"", o->ip_text, "\" is no IP address");
    if (o->file && o->psl_file && !strcmp(o->file, "-") && !strcmp(o->psl_file, "-"))
        return complain("", "only one of FILE and --psl can be standard input", "");
    return true;
}

/* -1: go on. */
static int read_options(int argc, char **argv, struct options *o)
{
    bool ok = true;
    for (int i = 1; i < argc && ok; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) o->json = true;
        else if (cli_flag(argv, i, "--tree-walk")) o->tree_walk = true;
        else if (cli_option(argc, argv, &i, "--ip", &o->ip_text) || cli_option(argc, argv, &i, "--helo", &o->helo) ||
                 cli_option(argc, argv, &i, "--from", &o->from) || cli_option(argc, argv, &i, "--dns", &o->dns) ||
                 cli_option(argc, argv, &i, "--psl", &o->psl_file))
            continue;
        else if (argv[i][0] == '-' && argv[i][1]) ok = complain("what is \"", argv[i], "\"?");
        else ok = take_word(o, argv[i]);
    }
    if (ok && fits(o)) return -1;
    fputs(help, stderr);
    return EX_USAGE;
}

/* "<a@b>", "a@b", "b" (RFC 7208 §4.3: postmaster), "<>" and "" for the null sender. */
static struct slice sender_of(struct options *o, struct arena *arena)
{
    struct slice s = slice_trim_blanks(slice_str(o->from));
    if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>') s = slice_sub(s, 1, s.n - 1);
    if (!s.n || slice_find(s, '@') >= 0) return s;
    return slice_str(arena_printf(arena, "postmaster@%.*s", SLICE_ARG(s)));
}

/* ---- judging */

static void on_header(void *arg)
{
    struct job *j = arg;
    struct auth_message *m = &j->message;
    struct auth_dns dns = auth_world_dns(j->world);
    if (j->o.what & (DKIM | DMARC)) {
        j->dkim_verifier = dkim_verify_begin(&j->dkim_options, &m->header, m->body, &j->arena);
        dkim_verify_ask(j->dkim_verifier, &dns);
    }
    if (j->o.what & ARC) {
        j->arc_verifier = arc_verify_begin(&j->dkim_options, &m->header, m->body, &j->arena);
        arc_verify_ask(j->arc_verifier, &dns);
    }
}

static bool judge(void *arg, const struct auth_dns *dns)
{
    struct job *j = arg;
    const struct dmarc_input input = { .header = &j->message.header, .spf = &j->spf, .dkim = &j->dkim, .psl = j->psl };
    if ((j->open & SPF) && spf_check(&j->spf_input, dns, &j->arena, &j->spf)) j->open &= ~(unsigned)SPF;
    if ((j->open & DKIM) && dkim_verify(j->dkim_verifier, dns, &j->dkim)) j->open &= ~(unsigned)DKIM;
    if ((j->open & ARC) && arc_verify(j->arc_verifier, dns, &j->arc)) j->open &= ~(unsigned)ARC;
    if (j->open == DMARC && dmarc_check(&input, dns, &j->arena, &j->dmarc)) j->open = 0;
    return !j->open;
}

static void tell(const struct job *j)
{
    json_t *all = NULL;
    switch (j->o.what) {
    case SPF:
        if (j->o.json) all = auth_json_spf(&j->spf);
        else auth_print_spf(&j->spf);
        break;
    case DKIM:
        if (j->o.json) all = auth_json_dkim(&j->dkim);
        else auth_print_dkim(&j->dkim);
        break;
    case ARC:
        if (j->o.json) all = auth_json_arc(&j->arc);
        else auth_print_arc(&j->arc);
        break;
    default:
        if (!j->o.json) {
            auth_print_dmarc(&j->dmarc, &j->spf, &j->dkim);
            break;
        }
        all = auth_json_dmarc(&j->dmarc);
        json_object_set_new(all, "spf", auth_json_spf(&j->spf));
        json_object_set_new(all, "dkim", auth_json_dkim(&j->dkim));
    }
    if (all) cli_print_json(all);
    json_decref(all);
}

/* ---- the whole */

static int fail(const char *what, const struct err *err, int code)
{
    fprintf(stderr, "postern auth: %s%s\n", what, err->text);
    return code;
}

/* 0 or an exit code. */
static int load_list(struct job *j)
{
    const char *file = j->o.psl_file;
    struct err err;
    if (!file) {
        j->psl = psl_latest(NULL);
        if (!j->psl) fputs("postern auth: there is no public suffix list on this system, so the tree walk is used\n", stderr);
        return 0;
    }
    FILE *f = strcmp(file, "-") != 0 ? fopen(file, "re") : stdin;
    if (!f) {
        err_set_sys(&err, errno, "cannot open %.300s", file);
        return fail("--psl: ", &err, EX_NOINPUT);
    }
    j->psl = psl_load_fp(f);
    if (f != stdin) fclose(f);
    if (j->psl && psl_suffix_count(j->psl) > 0) return 0;
    err_set_text(&err, "%.300s is no public suffix list", file);
    return fail("--psl: ", &err, EX_DATAERR);
}

static int run(struct job *j)
{
    struct options *o = &j->o;
    struct err err;
    int code = o->what == DMARC && !o->tree_walk ? load_list(j) : 0;
    if (code) return code;
    j->world = auth_world_new(o->dns, &err);
    if (!j->world) return err.code ? fail("", &err, EX_UNAVAILABLE) : fail("--dns: ", &err, EX_USAGE);
    j->spf_input = (struct spf_input){ .ip = o->ip, .helo = slice_str(o->helo), .sender = sender_of(o, &j->arena), .now = clock_wall_ms() };
    j->dkim_options = (struct dkim_options){ .now = clock_wall_ms() };
    j->message.on_header = on_header;
    j->message.arg = j;
    if (o->file && !auth_message_read(&j->message, o->file, &j->arena, &err)) return fail("", &err, EX_NOINPUT);
    j->open = o->what == DMARC ? DMARC | SPF | DKIM : o->what;
    auth_world_run(j->world, judge, j);
    tell(j);
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

int cli_auth(int argc, char **argv)
{
    struct job j = { 0 };
    int code = read_options(argc, argv, &j.o);
    if (code >= 0) return code;
    code = run(&j);
    dkim_verify_deinit(j.dkim_verifier);
    arc_verify_deinit(j.arc_verifier);
    auth_world_free(&j.world);
    auth_message_deinit(&j.message);
    if (j.psl) psl_free(j.psl);
    arena_deinit(&j.arena);
    return code;
}
