/* SPDX-License-Identifier: Apache-2.0
 * postern trace: what became of a message, or why an attempt was refused, from the history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/history_print.h"

#define LIMIT 50
#define LIMIT_MAX 100000
#define AT_ONCE 1000 /* what one answer holds */

static const char help[] =
    "usage: postern trace [QUERY ...] [OPTIONS]\n"
    "\n"
    "Messages and refused attempts, the newest first; the whole story when there is just one.\n"
    "\n"
    "A QUERY is one of these; those given must all fit:\n"
    "  an id of a message, or the reference in a reply of ours\n"
    "  an address (user@example.org), a domain (example.org; .example.org for those below it): sender or recipient\n"
    "  an IP address or network: the client\n"
    "\n"
    "  --sender A            address or domain of the sender; <> for bounces\n"
    "  --recipient A         the same of a recipient\n"
    "  --client IP           address or network\n"
    "  --outcome O           accepted, refused, delivered, deferred, bounced, deleted,\n"
    "                        quarantined, released, discarded, held or resumed\n"
    "  --message-id TEXT     part of the Message-ID\n"
    "  --subject TEXT        part of the subject\n"
    "  --reason TEXT         part of what was answered, or of what a check found in its way\n"
    "  --check NAME          that check found something else than \"does not apply\"\n"
    "  --result R            it, or any check, found: pass, allow, score, hold, defer,\n"
    "                        reject, discard or quarantine\n"
    "  --since T, --until T  how long ago (90s, 30m, 2h, 3d), or 2026-11-22, 2026-11-22T14:05[:30] (UTC)\n"
    "\n"
    "  --limit N             so many at the most (50)\n"
    "  --json                everything, as JSON\n"
    "  -c FILE, --socket P   the configuration, or the daemon's control socket itself\n";

struct trace_options {
    const char *config, *socket;
    json_t *query; /* as GET /v1/trace takes it */
    uint64_t limit;
    bool json;
};

static int bad(const char *what, const char *word)
{
    fprintf(stderr, "postern trace: %s \"%s\"; `postern trace --help` tells more\n", what, word);
    return EX_USAGE;
}

/* ---- what is asked */

/* What a word without an option means. */
static bool take_word(struct trace_options *o, const char *word)
{
    struct ip_net net;
    uint64_t id;
    const char *key = NULL;
    if (id_parse(slice_str(word), &id)) key = "id";
    else if (!ip_net_parse(slice_str(word), &net)) key = "client";
    else if (strchr(word, '@') || strchr(word, '.')) key = "address";
    else if (!strcmp(word, "<>")) key = "sender";
    if (!key || json_object_get(o->query, key)) return false;
    return json_object_set_new(o->query, key, json_string(word)) == 0;
}

/* True when argv[*i] is an option with a value; *code is set when it cannot have this one. */
static bool take_option(int argc, char **argv, int *i, struct trace_options *o, int *code)
{
    static const struct {
        const char *option, *key;
    } options[] = { { "--sender", "sender" }, { "--recipient", "recipient" }, { "--client", "client" }, { "--outcome", "outcome" },
                    { "--message-id", "message_id" }, { "--subject", "subject" }, { "--since", "since" }, { "--until", "until" },
                    { "--reason", "reason" }, { "--check", "check" }, { "--result", "result" }, { "--limit", "limit" } };
    const char *value;
    for (size_t k = 0; k < countof(options); k++) {
        if (!cli_option(argc, argv, i, options[k].option, &value)) continue;
        const char *key = options[k].key;
        uint64_t n = 0;
        bool when = !strcmp(key, "since") || !strcmp(key, "until"), limit = !strcmp(key, "limit");
        json_t *text = when || limit ? NULL : json_string(value);
        if (!*value) *code = bad("empty:", options[k].option);
        else if (limit && slice_to_u64(slice_str(value), LIMIT_MAX, &n) && n) o->limit = n;
        else if (when && cli_parse_when(value, !strcmp(key, "until"), &n)) json_object_set_new(o->query, key, json_integer((json_int_t)n));
        else if (text) json_object_set(o->query, key, text);
        else *code = bad("this cannot be:", value);
        json_decref(text);
        return true;
    }
    return false;
}

/* -1: go on; else the exit code. */
static int read_options(int argc, char **argv, struct trace_options *o)
{
    int code = -1;
    for (int i = 1; i < argc && code < 0; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            fputs(help, stdout);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) o->json = true;
        else if (!cli_daemon_option(argc, argv, &i, &o->config, &o->socket) && !take_option(argc, argv, &i, o, &code) &&
                 (argv[i][0] == '-' || !take_word(o, argv[i])))
            code = bad(argv[i][0] == '-' ? "no option" : "neither an id nor an address, domain or IP (or one too many):", argv[i]);
    }
    return code;
}

/* ---- asking */

static json_t *ask(const char *socket, const json_t *query, uint64_t limit, const char *before, struct err *err)
{
    json_t *arguments = json_copy((json_t *)(uintptr_t)query);
    json_object_set_new(arguments, "limit", json_integer((json_int_t)limit));
    if (before) json_object_set_new(arguments, "before", json_string(before));
    json_t *answer = cli_get(socket, "/v1/trace", arguments, err);
    json_decref(arguments);
    return answer;
}

/* All that is found, up to the limit; *more: there may be others. The daemon searches a few seconds at a time. */
static json_t *find(const struct trace_options *o, const char *socket, bool *more, struct err *err)
{
    json_t *all = json_array(), *answer = NULL;
    char before[ID_TEXT_LEN + 1] = "";
    do {
        uint64_t left = o->limit - json_array_size(all);
        answer = ask(socket, o->query, left < AT_ONCE ? left : AT_ONCE, before[0] ? before : NULL, err);
        if (!answer) {
            json_decref(all);
            return NULL;
        }
        json_array_extend(all, json_object_get(answer, "messages"));
        snprintf(before, sizeof before, "%s", cli_text_of(answer, "before"));
        json_decref(answer);
    } while (before[0] && json_array_size(all) < o->limit);
    *more = before[0] != 0;
    return all;
}

/* The one that was found, with all that is known of it. */
static bool complete(json_t *all, const char *socket, struct err *err)
{
    json_t *query = json_pack("{s:O}", "id", json_object_get(json_array_get(all, 0), "id"));
    json_t *answer = ask(socket, query, 1, NULL, err);
    json_decref(query);
    json_t *whole = json_array_get(json_object_get(answer, "messages"), 0);
    if (whole) json_array_set(all, 0, whole);
    json_decref(answer);
    return answer != NULL;
}

static void print(json_t *all, bool one, bool more)
{
    size_t i, n = json_array_size(all);
    const json_t *m;
    cli_disarm(all);
    if (one) {
        history_print_story(json_array_get(all, 0));
        return;
    }
    if (!n) {
        puts("nothing found");
        return;
    }
    history_print_head();
    json_array_foreach(all, i, m) history_print_line(m);
    printf("%zu found%s\n", n, more ? ", and there may be more: --limit" : "");
}

static int trace(const struct trace_options *o, const char *socket)
{
    struct err err;
    bool more = false;
    json_t *all = find(o, socket, &more, &err);
    if (!all) return cli_fail(&err);
    bool one = json_array_size(all) == 1 && !more;
    bool ok = !one || json_object_get(o->query, "id") || complete(all, socket, &err);
    size_t n = json_array_size(all);
    if (ok && o->json) {
        json_t *answer = json_pack("{s:O, s:b}", "messages", all, "more", more);
        cli_print_json(answer);
        json_decref(answer);
    } else if (ok) {
        print(all, one, more);
    }
    json_decref(all);
    if (!ok) return cli_fail(&err);
    return n ? 0 : EX_DATAERR;
}

int cli_trace(int argc, char **argv)
{
    struct trace_options o = { .config = CLI_DEFAULT_CONFIG, .query = json_object(), .limit = LIMIT };
    int code = read_options(argc, argv, &o);
    if (code < 0) {
        char *socket = cli_socket_path(o.socket, o.config);
        code = trace(&o, socket);
        free(socket);
    }
    json_decref(o.query);
    return code;
}
