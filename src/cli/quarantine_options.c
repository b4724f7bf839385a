/* SPDX-License-Identifier: Apache-2.0
 * The words after `postern quarantine`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/quarantine.h"

static const char help[] =
    "usage: postern quarantine list|show|release|delete|train|download|digest [IDs | --all] [FILTERS] [OPTIONS]\n"
    "\n"
    "  list                  what is kept apart, the newest first\n"
    "  show ID ...           why, with headers and what each check found; --view: what is in it\n"
    "  release               let these go to their recipients; they stay listed until their time is over\n"
    "  delete                remove these; nobody is told\n"
    "  train spam|ham|forget teach the spam filter with these\n"
    "  download ID [FILE]    the message as it came, to a file or standard output\n"
    "  digest [RECIPIENT]    what recipients will be told in their next digest; --now: send it at once\n"
    "\n"
    "Filters; those given must all fit. release, delete and train need one, IDs or --all.\n"
    "  --kind K              spam, virus, file, rule, crash or auth\n"
    "  --state S             held, released or deleted (for some recipient); release: held\n"
    "  --sender A            whole address, @domain, or a part of it; <> for bounces\n"
    "  --recipient A         the same for any recipient\n"
    "  --subject TEXT, --reason TEXT   a part of it\n"
    "  --since T, --until T  how long ago (90s, 30m, 2h, 3d), or 2026-11-22, 2026-11-22T14:05[:30] (UTC)\n"
    "  --score N, --below N  score as spam from N on; up to N\n"
    "  --learnt L            spam, ham or none\n"
    "\n"
    "  --to A                release, delete: only for this recipient (may be repeated)\n"
    "  --delete              release: and remove it afterwards\n"
    "  --allow               release: and add the sender to checks.allow.senders, counting only where SPF proves it is them\n"
    "  --unproven            --allow without that proof: anybody can claim to be this sender\n"
    "  --limit N             at most so many, the newest first (list: 100); --before ID: go on from there\n"
    "  --yes                 with filters or --all: do it without asking\n"
    "  --json                everything, as JSON\n"
    "  -c FILE, --socket P   the configuration, or the daemon's control socket itself\n";

static int bad(const char *what, const char *word)
{
    fprintf(stderr, "postern quarantine: %s \"%s\"; `postern quarantine --help` tells more\n", what, word);
    return EX_USAGE;
}

enum value_kind { VALUE_TEXT, VALUE_TIME, VALUE_END, VALUE_SCORE, VALUE_NUMBER };

/* "5", "-1.25" as hundredths. */
static bool parse_score(const char *s, json_int_t *out)
{
    char *end;
    double v = strtod(s, &end);
    *out = (json_int_t)(v * 100 + (v < 0 ? -0.5 : 0.5));
    return *s && !*end && v > -1e6 && v < 1e6;
}

static json_t *read_value(enum value_kind kind, const char *value)
{
    uint64_t n = 0;
    json_int_t score;
    switch (kind) {
    case VALUE_TEXT: return json_string(value);
    case VALUE_TIME:
    case VALUE_END: return cli_parse_when(value, kind == VALUE_END, &n) ? json_integer((json_int_t)n) : NULL;
    case VALUE_SCORE: return parse_score(value, &score) ? json_integer(score) : NULL;
    case VALUE_NUMBER: return slice_to_u64(slice_str(value), 1000, &n) && n ? json_integer((json_int_t)n) : NULL;
    }
    return NULL;
}

/* True when argv[*i] is a filter; *code is set when its value cannot be. */
static bool take_filter(int argc, char **argv, int *i, struct quarantine_options *o, int *code)
{
    static const struct {
        const char *option, *key;
        enum value_kind kind;
        bool selects;
    } filters[] = {
        { "--kind", "kind", VALUE_TEXT, true },           { "--state", "state", VALUE_TEXT, true },
        { "--sender", "sender", VALUE_TEXT, true },       { "--recipient", "recipient", VALUE_TEXT, true },
        { "--subject", "subject", VALUE_TEXT, true },     { "--reason", "reason", VALUE_TEXT, true },
        { "--since", "since", VALUE_TIME, true },         { "--until", "until", VALUE_END, true },
        { "--score", "score_min", VALUE_SCORE, true },    { "--below", "score_max", VALUE_SCORE, true },
        { "--learnt", "learnt", VALUE_TEXT, true },       { "--limit", "limit", VALUE_NUMBER, false },
        { "--before", "before", VALUE_TEXT, false },
    };
    const char *value;
    for (size_t k = 0; k < countof(filters); k++) {
        if (!cli_option(argc, argv, i, filters[k].option, &value)) continue;
        json_t *v = *value ? read_value(filters[k].kind, value) : NULL;
        if (v) json_object_set_new(o->filters, filters[k].key, v);
        else *code = *value ? bad("this cannot be:", value) : bad("empty:", filters[k].option); /* that would fit everything */
        o->filtered |= filters[k].selects;
        return true;
    }
    return false;
}

static bool take_flag(char **argv, int i, struct quarantine_options *o)
{
    static const char *const flags[] = { "--all", "--yes", "--json", "--view", "--delete", "--allow", "--unproven", "--now" };
    bool *const where[] = { &o->all, &o->yes, &o->json, &o->view, &o->remove, &o->allow, &o->unproven, &o->now };
    for (size_t k = 0; k < countof(flags); k++)
        if (cli_flag(argv, i, flags[k])) return *where[k] = true;
    return false;
}

static bool take_word(int argc, char **argv, int *i, struct quarantine_options *o)
{
    const char *to;
    if (take_flag(argv, *i, o) || cli_daemon_option(argc, argv, i, &o->config, &o->socket)) return true;
    if (cli_option(argc, argv, i, "--to", &to)) return json_array_append_new(o->recipients, json_string(to)) == 0;
    if (!strcmp(o->op, "train") && !o->as && (!strcmp(argv[*i], "spam") || !strcmp(argv[*i], "ham") || !strcmp(argv[*i], "forget")))
        return (o->as = argv[*i]) != NULL;
    if (!strcmp(o->op, "download") && json_array_size(o->ids) == 1 && !o->file && argv[*i][0] != '-') return (o->file = argv[*i]) != NULL;
    if (!strcmp(o->op, "digest") && !o->recipient && argv[*i][0] != '-' && argv[*i][0]) return (o->recipient = argv[*i]) != NULL;
    return cli_take_id(argv[*i], o->ids);
}

/* What goes with what; -1: fine. */
static int check(const struct quarantine_options *o)
{
    bool list = !strcmp(o->op, "list"), ids = json_array_size(o->ids) > 0, release = !strcmp(o->op, "release");
    bool one = !strcmp(o->op, "show") || !strcmp(o->op, "download"), train = !strcmp(o->op, "train");
    if (o->now && strcmp(o->op, "digest") != 0) return bad("only digest goes with", "--now");
    if (!strcmp(o->op, "digest")) return ids || o->filtered || o->all || json_array_size(o->recipients) ? bad("at most a recipient goes with", o->op) : -1;
    if (one && (!ids || o->filtered || o->all)) return bad("ids are needed for", o->op);
    if (!strcmp(o->op, "download") && json_array_size(o->ids) != 1) return bad("one id is needed for", o->op);
    if (list && (ids || o->all)) return bad("filters, not ids, go with", o->op);
    if (!list && !ids && !o->filtered && !o->all) return bad("ids, a filter or --all are needed for", o->op);
    if (!list && !one && ids && (o->filtered || o->all)) return bad("either ids or filters or --all go with", o->op);
    if (ids && json_object_size(o->filters)) /* those that do not select */
        return bad("a filter or --all is needed for", json_object_get(o->filters, "limit") ? "--limit" : "--before");
    if (train && !o->as) return bad("spam, ham or forget is needed for", o->op);
    if (json_array_size(o->recipients) && !release && strcmp(o->op, "delete") != 0) return bad("--to does not go with", o->op);
    if (o->remove && (!release || json_array_size(o->recipients))) return bad("only release, to all, goes with", "--delete");
    if (o->allow && !release) return bad("only release goes with", "--allow");
    if (o->unproven && !o->allow) return bad("--allow is missing for", "--unproven");
    if (o->view && strcmp(o->op, "show") != 0) return bad("only show goes with", "--view");
    return -1;
}

int quarantine_read_options(int argc, char **argv, struct quarantine_options *o)
{
    static const char *const ops[] = { "list", "show", "release", "delete", "train", "download", "digest" };
    int code = -1;
    for (int i = 1; i < argc && code < 0; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        }
        bool first = !o->op;
        for (size_t k = 0; first && k < countof(ops); k++)
            if (!strcmp(argv[i], ops[k])) o->op = ops[k];
        if (!o->op) return bad("no such thing as", argv[i]);
        if (first || take_filter(argc, argv, &i, o, &code) || take_word(argc, argv, &i, o)) continue;
        code = bad(argv[i][0] == '-' ? "no option" : "this is no message id:", argv[i]);
    }
    if (code >= 0) return code;
    if (o->op) return check(o);
    fputs(help, stderr);
    return EX_USAGE;
}
