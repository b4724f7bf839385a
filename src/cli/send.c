/* SPDX-License-Identifier: Apache-2.0
 * `postern send`: sends one message and shows what the server said, or a great many and says how it went. */
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/send.h"

static const char intro[] =
    "usage: postern send [OPTION ...] [HOST:PORT]\n"
    "Sends a test message to a mail server (default " LOAD_DEFAULT_ENDPOINT ") and shows its answers; with\n"
    "--messages, --sessions or --rate it is a load generator. The exit code is 0 when all was accepted,\n"
    "69 when something was refused for good, 75 when it may go later.\n";

#define AT(field) offsetof(struct send_options, field)
static const struct load_option options[] = {
    { .kind = LOAD_HEADING, .help = "The message" },
    { "--to", LOAD_LIST, AT(to), "ADDRESS", "a recipient; may be repeated. Default test@example.com" },
    { "--from", LOAD_TEXT, AT(from), "ADDRESS", "the sender, <> for none. Default sender@example.net" },
    { "--subject", LOAD_TEXT, AT(subject), "TEXT", "default \"test message N\"" },
    { "--size", LOAD_SIZE, AT(size), "BYTES",
      "of header and text together, default 1K; at least the header", 1, 1u << 30 },
    { "--file", LOAD_TEXT, AT(file), "FILE",
      "sends this (- for standard input) instead of a made-up text; without\n"
      "a header in it one is put before it" },
    { "--raw", LOAD_FLAG, AT(raw), NULL, "the file goes out byte for byte: line ends and dots as they are" },
    { .kind = LOAD_HEADING, .help = "The session" },
    { "--helo", LOAD_TEXT, AT(helo), "NAME", "default: this host's name" },
    { "--source", LOAD_TEXT, AT(source), "ADDRESS", "the IP address to connect from" },
    { "--tls", LOAD_FLAG, AT(tls), NULL, "STARTTLS; certificates are not verified" },
    { "--smtps", LOAD_FLAG, AT(smtps), NULL, "TLS from the first byte" },
    { "--pipeline", LOAD_FLAG, AT(pipeline), NULL, "MAIL, all RCPT and DATA at once, when the server offers it" },
    { "--timeout", LOAD_NUMBER, AT(timeout), "SECONDS", "for each answer, default 120", 1, 86400 },
    { .kind = LOAD_HEADING, .help = "Load" },
    { "--messages", LOAD_NUMBER, AT(messages), "N", "default 1", 1, 1000000000 },
    { "--sessions", LOAD_NUMBER, AT(sessions), "N", "at once, default 1", 1, 100000 },
    { "--recipients", LOAD_NUMBER, AT(recipients), "N",
      "of each message: name-1@domain, name-2@domain ... from --to", 1, 100000 },
    { "--distinct", LOAD_FLAG, AT(distinct), NULL, "no two messages share a recipient" },
    { "--keep", LOAD_FLAG, AT(keep), NULL, "many messages on a connection (the default)" },
    { "--reconnect", LOAD_FLAG, AT(reconnect), NULL, "a connection for each message" },
    { "--rate", LOAD_NUMBER, AT(rate), "N/s", "begins at most so many messages a second", 1, 1000000 },
    { "--retry", LOAD_NUMBER, AT(retry), "SECONDS",
      "tries a message again that got a 4xx or no answer, for so long", 1, 86400 },
    { .kind = LOAD_HEADING, .help = "Misbehaving" },
    { "--slow", LOAD_NUMBER, AT(slow), "MS", "waits so long between two bytes", 1, 3600000 },
    { "--vanish", LOAD_TEXT, AT(vanish), "STAGE",
      "disconnects after connect, helo, mail, rcpt, data, in the middle of\n"
      "the text, or after the dot without waiting for the answer" },
    { "--abort", LOAD_TEXT, AT(abort), "HOW",
      "it vanishes by close (FIN, the default), reset (RST) or silent (stays\n"
      "connected and says nothing until --timeout)" },
    { .kind = LOAD_HEADING, .help = "Telling" },
    { "--ledger", LOAD_TEXT, AT(ledger), "FILE", "appends the number of each message whose 250 was read" },
    { "--run", LOAD_TEXT, AT(run), "NAME", "messages carry X-Postern-Test: NAME-NUMBER; default: by chance" },
    { "--verbose", LOAD_FLAG, AT(verbose), NULL, "shows both sides of the conversation" },
    { "--quiet", LOAD_FLAG, AT(quiet), NULL, "says nothing; see the exit code" },
    { "--json", LOAD_FLAG, AT(json), NULL, "the summary as JSON" },
};
#undef AT

static int usage_error(const struct err *err)
{
    fprintf(stderr, "postern send: %s\npostern send --help tells more.\n", err->text);
    return EX_USAGE;
}

/* Finds text in a list of words; its index, or -1. */
static int word_index(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(text, words[i])) return i;
    return -1;
}

static bool parse_misbehaviour(struct send *c, struct err *err)
{
    static const char *const stages[] = { "never", "connect", "helo", "mail", "rcpt", "data", "text", "dot", NULL };
    static const char *const ways[] = { "close", "reset", "silent", NULL };
    int stage = word_index(c->o.vanish, stages), way = word_index(c->o.abort, ways);
    if (stage < 0) return err_set(err, "--vanish takes connect, helo, mail, rcpt, data, text or dot");
    if (way < 0) return err_set(err, "--abort takes close, reset or silent");
    c->vanish = (enum send_vanish)stage;
    c->abort = (enum send_abort)way;
    return true;
}

static bool name_ok(const char *s, size_t max)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] == 127 || s[i] == '"' || s[i] == '\\') return false;
    return n > 0 && n < max;
}

static bool choose_names(struct send *c, struct err *err)
{
    char host[200] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !host[0]) snprintf(host, sizeof host, "localhost");
    snprintf(c->helo, sizeof c->helo, "%s", c->o.helo ? c->o.helo : host);
    if (c->o.helo && !name_ok(c->o.helo, sizeof c->helo)) return err_set(err, "--helo: not one word");
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, 0) < 0) chance = (uint32_t)clock_mono_us();
    snprintf(c->run, sizeof c->run, "%08x", chance);
    if (!c->o.run) return true;
    if (!name_ok(c->o.run, sizeof c->run)) return err_set(err, "--run: not one word of at most 63 characters");
    snprintf(c->run, sizeof c->run, "%s", c->o.run);
    return true;
}

static bool init(struct send *c, struct err *err)
{
    const char *host = c->o.word ? c->o.word : LOAD_DEFAULT_ENDPOINT;
    if (c->o.keep && c->o.reconnect) return err_set(err, "--keep and --reconnect exclude each other");
    if (c->o.raw && !c->o.file) return err_set(err, "--raw needs --file");
    if (!parse_misbehaviour(c, err) || !choose_names(c, err)) return false;
    if (!load_endpoint_parse(host, "25", false, &c->endpoint, err)) return false;
    if (c->o.source && !load_endpoint_parse(c->o.source, "0", false, &c->source, err)) return false;
    if (c->o.ledger) {
        c->ledger = open(c->o.ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (c->ledger < 0) return err_sys(err, errno, "cannot open %s", c->o.ledger);
    }
    if (!send_message_init(c, err) || !load_loop_init(&c->loop, err)) return false;
    if (c->o.tls || c->o.smtps) c->tls = SSL_CTX_new(TLS_client_method());
    if ((c->o.tls || c->o.smtps) && !c->tls) return err_set(err, "cannot start TLS");
    c->conversation = c->o.verbose || (c->o.messages == 1 && !c->o.quiet && !c->o.json);
    c->read_buf = mem_alloc(LOAD_READ_SIZE);
    return true;
}

static void on_signal(struct load_io *io, uint32_t events)
{
    io->loop->stop = true;
}

static void run(struct send *c, struct send_session *sessions)
{
    uint64_t next_look = clock_mono_ms() + 200;
    c->started_us = clock_mono_us();
    c->running = c->o.sessions;
    for (size_t i = 0; i < c->o.sessions; i++) {
        sessions[i].send = c;
        sessions[i].io.fd = -1;
        send_session_start(&sessions[i]);
    }
    while (c->running && !c->loop.stop) {
        load_loop_turn(&c->loop, 200);
        if (c->ledger_text.n) send_report_flush(c);
        uint64_t now = clock_mono_ms();
        if (now < next_look) continue;
        next_look = now + 200;
        send_report_progress(c, false);
        for (size_t i = 0; i < c->o.sessions; i++)
            if (sessions[i].io.fd >= 0 && sessions[i].deadline <= now) send_session_timeout(&sessions[i]);
    }
    if (c->ledger_text.n) send_report_flush(c);
    c->ended_us = clock_mono_us();
    send_report_progress(c, true);
}

static bool start(struct send *c, int argc, char **argv, struct err *err)
{
    if (!load_options_parse(options, countof(options), &c->o, argc, argv, &c->o.word, err)) return false;
    if (!init(c, err)) return false;
    if (c->o.sessions > c->o.messages) c->o.sessions = c->o.messages;
    if (c->o.sessions + 32 > load_raise_file_limit())
        return err_set(err, "--sessions: more than this system lets a process open (see ulimit -n)");
    return true;
}

static int exit_code(const struct send *c)
{
    const struct send_totals *t = &c->totals;
    if (t->accepted == c->o.messages && !t->rcpt_refused) return EX_OK;
    for (int code = 500; code < 600; code++)
        if (t->refused_by[code]) return EX_UNAVAILABLE;
    return EX_TEMPFAIL;
}

static void deinit(struct send *c)
{
    send_message_deinit(c);
    load_loop_deinit(&c->loop);
    buf_deinit(&c->ledger_text);
    SSL_CTX_free(c->tls);
    free(c->read_buf);
    if (c->ledger >= 0) close(c->ledger);
}

static int send_all(struct send *c)
{
    struct load_io signals = { .fd = -1 };
    int fd = load_signal_fd();
    if (fd < 0 || !load_io_open(&signals, &c->loop, fd, EPOLLIN, on_signal)) return EX_OSERR;
    struct send_session *sessions = mem_zalloc(c->o.sessions * sizeof *sessions);
    run(c, sessions);
    send_report_summary(c);
    for (size_t i = 0; i < c->o.sessions; i++) send_session_deinit(&sessions[i]);
    load_io_close(&signals, false);
    free(sessions);
    return exit_code(c);
}

int cli_send(int argc, char **argv)
{
    struct send *c = mem_new(struct send);
    struct err err;
    int code;
    c->o = (struct send_options){ .from = "sender@example.net", .vanish = "never", .abort = "close", .messages = 1,
                                  .sessions = 1, .size = 1024, .timeout = 120 };
    c->ledger = c->loop.epoll = -1;
    c->next = 1;
    if (load_wants_help(argc, argv)) {
        load_options_help(options, countof(options), intro);
        code = EX_OK;
    } else if (start(c, argc, argv, &err))
        code = send_all(c);
    else
        code = usage_error(&err);
    deinit(c);
    free(c);
    return code;
}
