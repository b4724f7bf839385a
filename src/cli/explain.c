/* SPDX-License-Identifier: Apache-2.0
 * postern explain: what would become of a mail, and what decides it. The daemon answers, by the checks it would make. */
#include <stdio.h>
#include <string.h>
#include "base/base64.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/trace_print.h"

static void usage(FILE *to)
{
    fputs("usage: postern explain --client IP --to ADDRESS [--to ADDRESS ...] [--from ADDRESS]\n"
          "                       [--helo NAME] [--account NAME] [--message FILE] [--json] [-c FILE]\n\n"
          "  --client   the address it comes from        --from     the sender; not given: <>\n"
          "  --to       a recipient, up to 100 times     --helo     what the client says in EHLO\n"
          "  --account  somebody who has logged in   --message  a message, at most 700 kB; -: standard input\n\n"
          "Asks the running relay what it would do. Nothing is sent, counted or remembered. With a message what it holds is\n"
          "judged, too: mail authentication, viruses, attachments, rules, spam.\n",
          to);
}

static void print_line(const char *config, const json_t *o, const char *key)
{
    json_int_t line = cli_number_of(o, key);
    if (line) printf(", %s:%d", config, (int)line);
}

/* One that mail is sent to in the end, and which way. */
static void print_way(const char *config, const json_t *to, const char *what)
{
    printf("    %s %s\n", what, cli_text_of(to, "recipient"));
    if (cli_text_of(to, "error")[0]) trace_print_wrapped(cli_text_of(to, "error"), 8);
    if (cli_text_of(to, "next_hop")[0]) {
        struct buf b = { 0 };
        buf_addf(&b, "next hop %s (%s", cli_text_of(to, "next_hop"), cli_text_of(to, "route"));
        if (cli_number_of(to, "line")) buf_addf(&b, ", %s:%d", config, (int)cli_number_of(to, "line"));
        buf_add_char(&b, ')');
        trace_print_wrapped(buf_cstr(&b), 8);
        buf_deinit(&b);
    }
    const char *v4 = cli_text_of(to, "source4"), *v6 = cli_text_of(to, "source6");
    if (*v4 || *v6) {
        printf("        from the address %s%s%s", v4, *v4 && *v6 ? ", " : "", v6);
        print_line(config, to, "source_line");
        puts("");
    }
    if (cli_text_of(to, "sender")[0]) {
        puts("        the sender becomes");
        printf("          %s\n", cli_text_of(to, "sender"));
    } else if (json_is_true(json_object_get(to, "forwarded"))) puts("        forwarded, with the sender as it is");
}

static void print_ways(const char *config, const json_t *r)
{
    const json_t *rewriting = json_object_get(r, "rewriting"), *one;
    size_t i;
    if (rewriting) {
        puts("    rewritten:");
        trace_print_wrapped(cli_text_of(rewriting, "steps"), 8);
    }
    json_array_foreach(json_object_get(r, "to"), i, one) print_way(config, one, "goes to");
    if (cli_number_of(r, "more")) printf("    and %d more\n", (int)cli_number_of(r, "more"));
}

static void print_copies(const char *config, const json_t *copies)
{
    size_t i;
    const json_t *one;
    json_array_foreach(copies, i, one) {
        if (!i) puts("\ncopies:");
        print_way(config, one, "to");
        if (cli_number_of(one, "copy_line")) printf("        by copies, %s:%d\n", config, (int)cli_number_of(one, "copy_line"));
    }
}

static void print_recipient(const char *config, const json_t *r)
{
    json_int_t code = cli_number_of(r, "code");
    printf("\n%s: %s", cli_text_of(r, "recipient"), cli_text_of(r, "outcome"));
    if (code) printf(" %d %s", (int)code, cli_text_of(r, "status"));
    putchar('\n');
    if (cli_text_of(r, "text")[0]) trace_print_wrapped(cli_text_of(r, "text"), 4);
    if (cli_text_of(r, "check")[0]) {
        printf("    decided by %s", cli_text_of(r, "check"));
        print_line(config, r, "line");
        putchar('\n');
    }
    print_ways(config, r);
}

#define MESSAGE_MAX 700000 /* bytes: what goes to the daemon in one piece */

static bool read_message(const char *path, struct buf *out, struct err *err)
{
    bool read = cli_read_file(path, 2 * MESSAGE_MAX, out, err);
    if (out->n > MESSAGE_MAX) return err_set(err, "%s is larger than %d bytes: `postern scan` takes it", path, MESSAGE_MAX);
    return read && (out->n || err_set(err, "%s is empty", path));
}

static void print_list(const char *what, const json_t *list, const char *key)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) printf("    %s %s\n", what, key ? cli_text_of(one, key) : json_string_value(one));
}

static void print_content(const json_t *o)
{
    if (!json_object_size(o)) return;
    puts("\nwhat would be done with the message:");
    if (cli_number_of(o, "edits")) printf("    edits of its text: %d\n", (int)cli_number_of(o, "edits"));
    print_list("field in front:", json_object_get(o, "fields"), NULL);
    if (cli_text_of(o, "redirect")[0]) printf("    it goes to %s instead\n", cli_text_of(o, "redirect"));
    print_list("copy to", json_object_get(o, "copies"), NULL);
    print_list("not to", json_object_get(o, "removed"), NULL);
    print_list("a notice goes to", json_object_get(o, "notices"), "to");
}

/* Into the request; false: told. */
static bool add_message(json_t *request, const char *path)
{
    struct err err;
    struct buf text = { 0 }, base64 = { 0 };
    bool ok = read_message(path, &text, &err);
    if (ok) base64_add(&base64, buf_slice(&text));
    else fprintf(stderr, "postern explain: %s\n", err.text);
    if (ok) json_object_set_new(request, "message", json_stringn(base64.p, base64.n));
    buf_deinit(&text);
    buf_deinit(&base64);
    return ok;
}

static void print(const char *config, const char *client, const json_t *a)
{
    size_t i;
    const json_t *r;
    printf("%s is in the zone %s, %s\n\n", client, cli_text_of(a, "zone"),
           json_is_true(json_object_get(a, "trusted")) ? "and trusted" : "a stranger");
    trace_print(json_object_get(a, "trace"));
    json_array_foreach(json_object_get(a, "recipients"), i, r) print_recipient(config, r);
    print_copies(config, json_object_get(a, "copies"));
    print_content(json_object_get(a, "content"));
}

int cli_explain(int argc, char **argv)
{
    const char *config = CLI_DEFAULT_CONFIG, *socket = NULL, *to;
    const char *client = NULL, *helo = "", *from = "", *account = "", *message = NULL;
    json_t *rcpts = json_array();
    bool json = false;
    struct err err;
    for (int i = 1; i < argc; i++) {
        if (cli_flag(argv, i, "--help") || cli_flag(argv, i, "-h")) {
            usage(stdout);
            json_decref(rcpts);
            return 0;
        }
        if (cli_flag(argv, i, "--json")) json = true;
        else if (cli_option(argc, argv, &i, "--to", &to)) json_array_append_new(rcpts, json_string(to));
        else if (!cli_daemon_option(argc, argv, &i, &config, &socket) && !cli_option(argc, argv, &i, "--client", &client) &&
                 !cli_option(argc, argv, &i, "--helo", &helo) && !cli_option(argc, argv, &i, "--from", &from) &&
                 !cli_option(argc, argv, &i, "--account", &account) && !cli_option(argc, argv, &i, "--message", &message)) {
            fprintf(stderr, "postern explain: \"%s\" is not understood\n\n", argv[i]);
            client = NULL;
            break;
        }
    }
    json_t *request = client && json_array_size(rcpts) ? json_pack("{s:s, s:s, s:s, s:s, s:O}", "client", client, "helo", helo,
                                                                   "from", from, "account", account, "to", rcpts) : NULL;
    json_decref(rcpts);
    if (!request) {
        usage(stderr);
        return EX_USAGE;
    }
    if (message && !add_message(request, message)) {
        json_decref(request);
        return EX_NOINPUT;
    }
    json_t *answer = cli_ask(socket, config, "POST", "/v1/explain", request, &err);
    if (!answer) return cli_fail(&err);
    if (json) cli_print_json(answer);
    else {
        cli_disarm(answer);
        print(config, client, answer);
    }
    json_decref(answer);
    return 0;
}
