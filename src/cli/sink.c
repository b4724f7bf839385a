/* SPDX-License-Identifier: Apache-2.0
 * `postern sink`: a server that takes all mail and keeps none unless told to, for tests and as the far end of a load. */
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/sink.h"

struct sink_options {
    struct load_list listen, fail, drop, slow;
    const char *store, *ledger, *tls, *word;
    uint64_t sessions, size, slow_read, once, timeout;
    bool count, json, quiet, no_pipelining, no_8bit;
};

static const char intro[] =
    "usage: postern sink [OPTION ...] [HOST:PORT]\n"
    "A test server: takes mail for anybody, keeps none unless told to. Ends on Ctrl-C with totals.\n";

#define AT(field) offsetof(struct sink_options, field)
static const struct load_option options[] = {
    { .kind = LOAD_HEADING, .help = "What it listens on and what it takes" },
    { "--listen", LOAD_LIST, AT(listen), "HOST:PORT", "default " LOAD_DEFAULT_ENDPOINT "; may be repeated" },
    { "--sessions", LOAD_NUMBER, AT(sessions), "N", "at once, default 20000; more are answered 421", 1, 1000000 },
    { "--size", LOAD_SIZE, AT(size), "BYTES",
      "the largest message; announced when given, default 256M", 1, 1ull << 40 },
    { "--no-pipelining", LOAD_FLAG, AT(no_pipelining), NULL, "does not offer PIPELINING" },
    { "--no-8bitmime", LOAD_FLAG, AT(no_8bit), NULL, "does not offer 8BITMIME" },
    { "--tls", LOAD_TEXT, AT(tls), "CERT,KEY", "offers STARTTLS with these PEM files" },
    { "--timeout", LOAD_NUMBER, AT(timeout), "SECONDS", "closes a silent session, default 300", 1, 86400 },
    { "--once", LOAD_NUMBER, AT(once), "N", "ends after N messages", 1, UINT64_MAX / 2 },
    { .kind = LOAD_HEADING, .help = "What it keeps and tells" },
    { "--store", LOAD_TEXT, AT(store), "DIR",
      "one file per message; the envelope in X-Envelope-From, X-Envelope-To\n"
      "and X-Helo" },
    { "--ledger", LOAD_TEXT, AT(ledger), "FILE",
      "appends a line per message before its 250: the value of its\n"
      "X-Postern-Test header (or -) and its recipients" },
    { "--count", LOAD_FLAG, AT(count), NULL, "totals once a second instead of a line per message" },
    { "--json", LOAD_FLAG, AT(json), NULL, "every line is a JSON object; the last one has the totals" },
    { "--quiet", LOAD_FLAG, AT(quiet), NULL, "no lines for messages; totals only with --json or --count" },
    { .kind = LOAD_HEADING, .help = "Misbehaving. STAGE is connect, helo, mail, rcpt, data, text or dot (the final one)" },
    { "--fail", LOAD_LIST, AT(fail), "STAGE=CODE[%P][#N][/PATTERN][:TEXT]",
      "answers CODE (400 to 599) at that stage: in P percent of cases, the\n"
      "first N times, for addresses that fit the shell pattern (at mail the\n"
      "sender, else any recipient). Repeatable; the first that fits decides.\n"
      "421 closes the connection" },
    { "--drop", LOAD_LIST, AT(drop), "STAGE[%P][#N][/PATTERN]",
      "cuts the connection instead of answering; such a message does not count" },
    { "--slow", LOAD_LIST, AT(slow), "STAGE=MS", "waits before the answer (at text: before reading the text)" },
    { "--slow-read", LOAD_SIZE, AT(slow_read), "BYTES/S", "reads no faster than this from each session", 1, 1u << 30 },
};
#undef AT

static int usage_error(const struct err *err)
{
    fprintf(stderr, "postern sink: %s\npostern sink --help tells more.\n", err->text);
    return EX_USAGE;
}

static bool parse_rules(struct sink *k, const struct sink_options *o, struct err *err)
{
    for (size_t i = 0; i < o->fail.n; i++)
        if (!sink_rule_parse(&k->rules, o->fail.items[i], false, err)) return false;
    for (size_t i = 0; i < o->drop.n; i++)
        if (!sink_rule_parse(&k->rules, o->drop.items[i], true, err)) return false;
    for (size_t i = 0; i < o->slow.n; i++)
        if (!sink_slow_parse(&k->rules, o->slow.items[i], err)) return false;
    if (getrandom(&k->rules.seed, sizeof k->rules.seed, 0) < 0) k->rules.seed = clock_mono_us();
    k->rules.seed |= 1;
    return true;
}

static bool open_tls(struct sink *k, const char *files, struct err *err)
{
    struct slice key = slice_str(files), cert;
    if (!slice_cut(&key, ',', &cert) || cert.n > 400) return err_set(err, "--tls takes two files: CERT,KEY");
    char cert_file[408];
    snprintf(cert_file, sizeof cert_file, "%.*s", SLICE_ARG(cert));
    k->tls = SSL_CTX_new(TLS_server_method());
    if (!k->tls || SSL_CTX_use_certificate_chain_file(k->tls, cert_file) != 1)
        return err_set(err, "cannot read the certificate %s", cert_file);
    if (SSL_CTX_use_PrivateKey_file(k->tls, key.p, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(k->tls) != 1)
        return err_set(err, "cannot read the key %s, or it does not belong to the certificate", key.p);
    return true;
}

static void on_accept(struct load_io *io, uint32_t events)
{
    struct sink *k = container_of(io->loop, struct sink, loop);
    for (int i = 0; i < 64; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return; /* none left, or no descriptors: those waiting are asked again in the next turn */
        sink_session_accept(k, fd);
    }
}

static bool listen_at(struct sink *k, const char *text, struct err *err)
{
    struct load_endpoint e;
    if (!load_endpoint_parse(text, "2525", true, &e, err)) return false;
    int fd = socket(e.addr[0].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, small = 4096;
    if (fd < 0) return err_sys(err, errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (k->slow_read) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small); /* else the kernel reads ahead of us */
    struct load_io *io = &k->listeners[k->listener_n];
    if (bind(fd, (struct sockaddr *)&e.addr[0], e.len[0]) != 0 || listen(fd, SOMAXCONN) != 0 ||
        !load_io_open(io, &k->loop, fd, EPOLLIN, on_accept)) {
        err_sys(err, errno, "cannot listen on %s", text);
        close(fd);
        return false;
    }
    k->listener_n++;
    return true;
}

static bool open_files(struct sink *k, const struct sink_options *o, struct err *err)
{
    k->store = o->store;
    if (o->store && strlen(o->store) > 400) return err_set(err, "the directory's name is too long");
    if (o->store && mkdir(o->store, 0700) != 0 && errno != EEXIST)
        return err_sys(err, errno, "cannot make %s", o->store);
    if (!o->ledger) return true;
    k->ledger = open(o->ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return k->ledger >= 0 || err_sys(err, errno, "cannot open %s", o->ledger);
}

static bool start(struct sink *k, const struct sink_options *o, struct err *err)
{
    if (!load_loop_init(&k->loop, err) || !parse_rules(k, o, err) || !open_files(k, o, err)) return false;
    if (o->tls && !open_tls(k, o->tls, err)) return false;
    k->read_buf = mem_alloc(LOAD_READ_SIZE);
    k->session_max = o->sessions;
    k->message_max = o->size ? o->size : 256ull << 20;
    k->once = o->once;
    k->slow_read = o->slow_read;
    k->timeout_ms = o->timeout * 1000;
    k->json = o->json;
    k->count = o->count;
    k->print = !o->quiet && !o->count;
    buf_add_str(&k->ehlo, "250-sink\r\n");
    if (!o->no_pipelining) buf_add_str(&k->ehlo, "250-PIPELINING\r\n");
    if (!o->no_8bit) buf_add_str(&k->ehlo, "250-8BITMIME\r\n");
    if (o->size) buf_addf(&k->ehlo, "250-SIZE %llu\r\n", (unsigned long long)o->size);
    if (o->listen.n > countof(k->listeners)) return err_set(err, "too many --listen");
    for (size_t i = 0; i < o->listen.n; i++)
        if (!listen_at(k, o->listen.items[i], err)) return false;
    return true;
}

static void on_signal(struct load_io *io, uint32_t events)
{
    io->loop->stop = true;
}

/* Once a second: cuts those who say nothing, tells totals. */
static void every_second(struct sink *k, uint64_t now)
{
    list_each_safe(it, &k->sessions) {
        struct sink_session *s = list_entry(it, struct sink_session, link);
        if (s->deadline <= now) sink_session_free(s);
    }
    sink_record_totals(k, false);
}

static void serve(struct sink *k)
{
    uint64_t second = clock_mono_ms() + 1000, end = UINT64_MAX;
    while (!k->loop.stop) {
        load_loop_turn(&k->loop, k->stopping ? 50 : 1000);
        uint64_t now = clock_mono_ms();
        if (now >= second) {
            every_second(k, now);
            second = now + 1000;
        }
        if (!k->stopping) continue;
        if (end == UINT64_MAX) end = now + 2000; /* for the others to say goodbye */
        for (size_t i = 0; i < k->listener_n; i++) load_io_close(&k->listeners[i], false);
        if (!k->session_n || now >= end) break;
    }
}

static void finish(struct sink *k)
{
    while (!list_empty(&k->sessions)) sink_session_free(list_entry(k->sessions.next, struct sink_session, link));
    for (size_t i = 0; i < k->listener_n; i++) load_io_close(&k->listeners[i], false);
    load_loop_deinit(&k->loop);
    SSL_CTX_free(k->tls);
    arena_deinit(&k->rules.arena);
    buf_deinit(&k->ehlo);
    buf_deinit(&k->ledger_text);
    if (k->ledger >= 0) close(k->ledger);
    free(k->read_buf);
}

static int serve_all(struct sink *k, const struct sink_options *o)
{
    struct load_io signals = { .fd = -1 };
    int fd = load_signal_fd();
    if (fd < 0 || !load_io_open(&signals, &k->loop, fd, EPOLLIN, on_signal)) return EX_OSERR;
    if (!o->quiet && !o->json) {
        printf("listening on %s\n", o->listen.items[0]);
        fflush(stdout);
    }
    serve(k);
    if (!o->quiet || o->json || o->count) sink_record_totals(k, true);
    load_io_close(&signals, false);
    return EX_OK;
}

static bool parse(struct sink_options *o, int argc, char **argv, struct err *err)
{
    if (!load_options_parse(options, countof(options), o, argc, argv, &o->word, err)) return false;
    if (o->word && o->listen.n == LOAD_LIST_MAX) return err_set(err, "too many --listen");
    if (o->word) o->listen.items[o->listen.n++] = o->word;
    if (!o->listen.n) o->listen.items[o->listen.n++] = LOAD_DEFAULT_ENDPOINT;
    uint64_t files = load_raise_file_limit();
    if (o->sessions + 64 > files) o->sessions = files > 128 ? files - 64 : 64;
    return true;
}

int cli_sink(int argc, char **argv)
{
    struct sink_options o = { .sessions = 20000, .timeout = 300 };
    struct sink k = { .ledger = -1, .loop.epoll = -1 };
    struct err err;
    int code;
    list_init(&k.sessions);
    if (load_wants_help(argc, argv)) {
        load_options_help(options, countof(options), intro);
        return EX_OK;
    }
    if (parse(&o, argc, argv, &err) && start(&k, &o, &err)) code = serve_all(&k, &o);
    else code = usage_error(&err);
    finish(&k);
    return code;
}
