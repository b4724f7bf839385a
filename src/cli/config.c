/* SPDX-License-Identifier: Apache-2.0
 * `postern config`: shows effective values, changes the file at one place, keeps and restores revisions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "change/change.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/diff.h"
#include "config/dump.h"
#include "config/edit.h"
#include "config/parse.h"
#include "config/revision.h"
#include "config/secret.h"

struct options {
    const char *file;
    bool json;
    const char *words[4]; /* the subcommand and its arguments */
    int n;
};

static void usage(FILE *to)
{
    fputs("usage: postern config COMMAND [-c FILE]\n\n"
          "  get [PATH] [--json]   effective values, defaults included\n"
          "  set PATH VALUE        change one entry; comments and layout stay\n"
          "  unset PATH            remove one entry\n"
          "  history [--json]      the earlier texts of the file\n"
          "  diff [REV [REV]]      what changed since a revision (the last one), or between two\n"
          "  rollback REV          make an earlier text the present one\n\n"
          "  -c, --config FILE     instead of " CLI_DEFAULT_CONFIG "\n\n"
          "A PATH is limits.message_size, zones.lan.trust, domains[0].deliver (the first one) or domains[+] (a new\n"
          "one). A VALUE is text, or YAML that begins with { or [:\n"
          "  postern config set limits.message_size 30M\n"
          "  postern config set 'domains[+]' '{name: example.org, deliver: 10.20.30.40}'\n"
          "A revision is the text as it was before a change; it is named by the number `history` shows. A file\n"
          "with errors is never written. --json gives sizes and times in the words of the file.\n", to);
}

static int fail(const struct err *err)
{
    fprintf(stderr, "postern: %s\n", err->text);
    return EX_DATAERR;
}

static void print_findings(const struct config_report *r, const char *file, struct slice text)
{
    struct buf out = { 0 };
    report_format(r, file, text, &out);
    fwrite(out.p ? out.p : "", 1, out.n, stderr);
    buf_deinit(&out);
}

static int get(const struct options *o)
{
    struct buf text = { 0 }, out = { 0 };
    struct err err;
    struct config_report report = { 0 };
    if (!config_read_file(o->file, &text, &err)) return fail(&err);
    struct config *c = config_parse(buf_slice(&text), o->file, &report);
    int code = c ? 0 : EX_CONFIG;
    if (!c) print_findings(&report, o->file, buf_slice(&text));
    json_t *root = c ? config_to_json(c) : NULL, *at = root;
    if (root && o->n > 1 && !(at = config_json_at(root, o->words[1], &err))) code = fail(&err);
    if (at && o->json) cli_print_json(at);
    else if (at) {
        config_json_yaml(at, &out);
        fwrite(out.p ? out.p : "", 1, out.n, stdout);
    }
    json_decref(root);
    config_free(c);
    config_report_deinit(&report);
    buf_deinit(&text);
    buf_deinit(&out);
    return code;
}

/* Checks the new text, keeps the old one, writes. */
static int apply(const struct options *o, struct store *s, struct slice old_text, struct slice new_text,
                 const char *what)
{
    struct config_report report = { 0 };
    struct err err;
    uint64_t number;
    int code = 0;
    if (slice_eq(old_text, new_text)) {
        puts("nothing changes");
        return 0;
    }
    enum change_outcome outcome = change_write(s, old_text, new_text, what, &report, &number, &err);
    print_findings(&report, o->file, new_text);
    if (outcome == CHANGE_ERRORS) {
        fprintf(stderr, "postern: not written: the file would have errors\n");
        code = EX_CONFIG;
    } else if (outcome == CHANGE_FAILED) {
        fail(&err);
        code = EX_CANTCREAT;
    } else
        printf("%s: written; the earlier text is revision %llu\nrun `postern reload` to apply\n", o->file,
               (unsigned long long)number);
    config_report_deinit(&report);
    return code;
}

static bool make_new_text(const struct options *o, const struct store *s, struct slice old_text, struct buf *out,
                          struct err *err)
{
    uint64_t number;
    if (!strcmp(o->words[0], "set")) return edit_set(old_text, o->words[1], o->words[2], out, err);
    if (!strcmp(o->words[0], "unset")) return edit_remove(old_text, o->words[1], out, err);
    if (!slice_to_u64(slice_str(o->words[1]), UINT32_MAX, &number))
        return err_set(err, "a revision is a number; see `postern config history`");
    return store_read(s, number, out, err);
}

/* set, unset, rollback */
static int change(const struct options *o)
{
    struct store s;
    struct err err;
    struct buf text = { 0 }, out = { 0 }, what = { 0 };
    if (!store_open(&s, o->file, true, &err)) return fail(&err);
    for (int i = 0; i < o->n; i++) {
        buf_addf(&what, "%s%s", i ? " " : "", i < 2 ? o->words[i] : "");
        if (i == 2) secret_hide_value(o->words[1], o->words[2], &what);
    }
    int code;
    if (!config_read_file(s.file, &text, &err) || !make_new_text(o, &s, buf_slice(&text), &out, &err))
        code = fail(&err);
    else code = apply(o, &s, buf_slice(&text), buf_slice(&out), buf_cstr(&what));
    store_close(&s);
    buf_deinit(&text);
    buf_deinit(&out);
    buf_deinit(&what);
    return code;
}

static int history(const struct options *o)
{
    struct store s;
    struct err err;
    if (!store_open(&s, o->file, false, &err)) return fail(&err);
    json_t *all = json_array();
    for (size_t i = s.n; i-- > 0;) {
        const struct revision *r = &s.revisions[i];
        if (!o->json) printf("%4llu  %s  %s: before %s\n", (unsigned long long)r->number, r->when, r->who, r->what);
        else
            json_array_append_new(all, json_pack("{s:I, s:s, s:s, s:s, s:s}", "revision", (json_int_t)r->number, "file",
                                                 r->file, "time", r->when, "user", r->who, "before", r->what));
    }
    if (o->json) cli_print_json(all);
    else if (!s.n) printf("%s: no revisions\n", o->file);
    json_decref(all);
    store_close(&s);
    return 0;
}

/* "" is the present file. */
static bool read_side(const struct store *s, const char *word, struct buf *text, struct buf *name, struct err *err)
{
    uint64_t number = s->n ? s->revisions[s->n - 1].number : 0;
    if (!*word) {
        buf_add_str(name, s->file);
        return config_read_file(s->file, text, err);
    }
    if (strcmp(word, "last") != 0 && !slice_to_u64(slice_str(word), UINT32_MAX, &number))
        return err_set(err, "a revision is a number; see `postern config history`");
    buf_addf(name, "revision %llu", (unsigned long long)number);
    return store_read(s, number, text, err);
}

static int diff(const struct options *o)
{
    struct store s;
    struct err err;
    struct buf a = { 0 }, b = { 0 }, a_name = { 0 }, b_name = { 0 }, out = { 0 };
    if (!store_open(&s, o->file, false, &err)) return fail(&err);
    bool ok = read_side(&s, o->n > 1 ? o->words[1] : "last", &a, &a_name, &err) &&
              read_side(&s, o->n > 2 ? o->words[2] : "", &b, &b_name, &err);
    int code = ok ? 0 : fail(&err);
    if (ok) diff_unified(buf_slice(&a), buf_cstr(&a_name), buf_slice(&b), buf_cstr(&b_name), &out);
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    store_close(&s);
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&a_name);
    buf_deinit(&b_name);
    buf_deinit(&out);
    return code;
}

static const struct {
    const char *name;
    int least, most; /* words with the name */
    int (*run)(const struct options *o);
} commands[] = {
    { "get", 1, 2, get },          { "set", 3, 3, change }, { "unset", 2, 2, change },
    { "rollback", 2, 2, change },  { "history", 1, 1, history }, { "diff", 1, 3, diff },
};

static bool take_options(int argc, char **argv, struct options *o)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            if (cli_config_option(argc, argv, &i, &o->file)) continue;
            if (!strcmp(argv[i], "--")) only_words = true;
            else if (cli_flag(argv, i, "--json")) o->json = true;
            else return false;
        } else if (o->n == 4) return false;
        else o->words[o->n++] = argv[i];
    }
    return o->n > 0;
}

int cli_config(int argc, char **argv)
{
    struct options o = { .file = CLI_DEFAULT_CONFIG };
    for (int i = 1; i < argc; i++)
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            usage(stdout);
            return 0;
        }
    if (take_options(argc, argv, &o))
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
            if (!strcmp(o.words[0], commands[i].name) && o.n >= commands[i].least && o.n <= commands[i].most)
                return commands[i].run(&o);
    usage(stderr);
    return EX_USAGE;
}
