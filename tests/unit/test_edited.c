/* SPDX-License-Identifier: Apache-2.0
 * Messages that checks edit, redirect, quarantine or discard on their way in: a server with its queue and spool, one check that does as
 * it is told, and a signer that tells which digests it was asked to sign. An edited message must be signed as one that came so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "policy/outcome.h"
#include "policy/pipeline.h"
#include "server/session.h"
#include "signer/signer.h"
#include "spool/private.h"
#include "cuts_help.h"

static struct {
    char dir[64];
    struct event_base *base;
    struct stream_loop *streams;
    struct config *config;
    struct resolver *resolver;
    struct spool *sp;
    struct queue *q;
    struct policy *policy;
    struct policy_engine *engine;
    struct link *signer;
    struct channel *helper;
    struct signer_keys *keys;
    struct server *server;
    int listener, client;
    bool greeted;
    struct buf said;             /* by the server */
    struct buf digests;          /* asked of the signer */
    unsigned signatures, expected; /* so many for a message */
    const struct envelope_cut *cuts; /* what the check does with the next message */
    uint32_t cut_n;
    const char *prepend;
    void (*act)(struct check_call *c);
} w;

/* ---- the check */

static void run_check(struct check_call *c)
{
    uint64_t size = spool_draft_size(check_facts(c)->text);
    for (uint32_t i = 0; i < w.cut_n; i++)
        if (!policy_outcome_add_cut(c->run, w.cuts[i].at, w.cuts[i].n, w.cuts[i].with, size)) fail_msg("cut %u", i);
    if (w.prepend && !policy_outcome_add_prepend(c->run, slice_str(w.prepend))) fail_msg("%s", w.prepend);
    if (w.act) w.act(c);
    else check_pass(c, "edited");
}

static const struct check editor = { .name = "editor", .stage = STAGE_CONTENT, .step = 200, .whom = FOR_ALL, .run = run_check };

static void add_check(void)
{
    const struct check **all = mem_grow(NULL, w.policy->n + 2, sizeof *all);
    memcpy(all, w.policy->checks, w.policy->n * sizeof *all);
    all[w.policy->n++] = &editor;
    all[w.policy->n] = NULL;
    w.policy->from[STAGES] = w.policy->n;
    free(w.policy->checks);
    w.policy->checks = all;
}

/* ---- the signer */

static void on_ask(void *arg, const json_t *m, int fd)
{
    json_t *answer = json_pack("{s:O, s:s}", "id", json_object_get(m, "id"), "signature", "c2lnbmF0dXJl");
    buf_addf(&w.digests, "%s\n", json_string_value(json_object_get(m, "digest")));
    w.signatures++;
    channel_send(w.helper, answer, -1);
    json_decref(answer);
}

static void on_signer_gone(void *arg) { channel_free(&w.helper); }

static void start_signer(void)
{
    struct err err;
    int pair[2];
    assert_true(channel_pair(pair, &err));
    w.helper = channel_new(w.base, pair[1], on_ask, on_signer_gone, NULL);
    w.signer = link_new(w.base, NULL, NULL, NULL);
    link_connect(w.signer, pair[0]);
    w.keys = signer_keys_new(w.config, &err);
    if (!w.keys) fail_msg("%s", err.text);
}

/* ---- the world */

static void write_key(const char *path)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    FILE *f = fopen(path, "w");
    assert_true(key && f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    fclose(f);
    chmod(path, 0600);
    EVP_PKEY_free(key);
}

static void configure(bool strangers)
{
    struct config_report report;
    struct buf text = { 0 };
    buf_addf(&text, "hostname: relay.example\npostmaster: root@relay.example\nlisteners:\n  - {address: \"127.0.0.1:2525\"}\n"
                    "domains:\n  - {name: example.com, deliver: \"127.0.0.2:9\"}\n  - {name: example.org, deliver: \"127.0.0.2:9\"}\n"
                    "checks: {sender: {resolvable: no}, recipient: {resolvable: no}, spf: {enabled: no}, dkim: {enabled: no}, dmarc: {enabled: no}}\n"
                    "dns: {servers: [\"127.0.0.1:9\"], timeout: 1s}\n");
    if (strangers) buf_addf(&text, "arc: {seal: yes, domain: relay.example, selector: s, file: \"%s/key.pem\"}\n", w.dir);
    else buf_addf(&text, "zones:\n  lan: {networks: [127.0.0.0/8], trust: relay}\n"
                         "dkim: {keys: [{domain: example.com, selector: s, file: \"%s/key.pem\"}]}\n", w.dir);
    w.expected = strangers ? 2 : 1; /* a message's signature, and the seal's */
    w.config = config_parse(buf_slice(&text), "test.yaml", &report);
    for (size_t i = 0; i < report.n; i++)
        if (!report.findings[i].warning) fail_msg("%s: %s", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    buf_deinit(&text);
}

static void start_server(void)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sa;
    w.server = server_new(&(struct server_options){ .base = w.base, .streams = w.streams, .config = w.config, .queue = w.q,
                                                    .policy = w.engine, .signer = w.signer, .keys = w.keys });
    w.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(!bind(w.listener, (struct sockaddr *)&sa, sizeof sa) && !listen(w.listener, 5));
    getsockname(w.listener, (struct sockaddr *)&sa, &n);
    server_listen(w.server, w.listener, 0);
    w.client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(w.client, (struct sockaddr *)&sa, n), 0);
    fcntl(w.client, F_SETFL, O_NONBLOCK);
}

static int begin(bool strangers)
{
    struct err err;
    bool busy;
    char key[80];
    memset(&w, 0, sizeof w);
    log_open("test", getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR + 1);
    snprintf(w.dir, sizeof w.dir, "/tmp/postern-edited-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    snprintf(key, sizeof key, "%s/key.pem", w.dir);
    write_key(key);
    configure(strangers);
    w.base = event_base_new();
    w.streams = stream_loop_new(w.base);
    w.resolver = resolver_new(w.base, w.config, &err);
    w.sp = spool_open(w.base, &(struct spool_options){ .dir = w.dir, .segment_size = 1 << 20, .inline_size = 100000 }, &busy, &err);
    if (!w.resolver || !w.sp) fail_msg("%s", err.text);
    w.q = queue_new(&(struct queue_options){ .base = w.base, .streams = w.streams, .config = w.config, .resolver = w.resolver });
    queue_add_spool(w.q, w.sp, false, NULL, NULL);
    w.policy = policy_new(w.config, &err);
    if (!w.policy) fail_msg("%s", err.text);
    add_check();
    w.engine = policy_engine_new(&(struct policy_engine_options){ .base = w.base, .config = w.config, .policy = w.policy,
                                                                  .resolver = w.resolver, .queue = w.q });
    start_signer();
    start_server();
    return 0;
}

static int setup(void **state) { return begin(false); }
static int setup_for_strangers(void **state) { return begin(true); }

static int teardown(void **state)
{
    char path[400];
    struct dirent *e;
    log_flush();
    close(w.client);
    server_free(w.server);
    close(w.listener);
    policy_engine_free(w.engine);
    policy_free(w.policy);
    queue_stop(w.q);
    spool_close(w.sp);
    queue_free(w.q);
    link_free(w.signer);
    channel_free(&w.helper);
    signer_keys_free(w.keys);
    resolver_free(w.resolver);
    event_base_loop(w.base, EVLOOP_NONBLOCK);
    stream_loop_free(w.streams);
    event_base_free(w.base);
    config_free(w.config);
    buf_deinit(&w.said);
    buf_deinit(&w.digests);
    DIR *d = opendir(w.dir);
    while ((e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s", w.dir, e->d_name);
        if (e->d_name[0] != '.') unlink(path);
    }
    closedir(d);
    rmdir(w.dir);
    return 0;
}

/* ---- a client */

static bool is_answered(void)
{
    size_t begin = w.said.n;
    if (w.said.n < 6 || w.said.p[w.said.n - 1] != '\n') return false;
    for (begin = w.said.n - 1; begin && w.said.p[begin - 1] != '\n'; begin--) {}
    return w.said.p[begin + 3] == ' ';
}

static void turn(void)
{
    char room[4096];
    event_base_loopexit(w.base, &(struct timeval){ 0, 2000 });
    event_base_loop(w.base, EVLOOP_ONCE);
    log_flush();
    ssize_t n = recv(w.client, room, sizeof room, 0);
    if (n > 0) buf_add(&w.said, slice_of(room, (size_t)n));
}

static void hear(const char *code)
{
    time_t end = time(NULL) + 30;
    while (!is_answered()) {
        turn();
        if (time(NULL) > end) fail_msg("no answer");
    }
    if (!strstr(buf_cstr(&w.said), code)) fail_msg("%s instead of %s", buf_cstr(&w.said), code);
}

static void say(struct slice text, const char *code)
{
    buf_clear(&w.said);
    while (text.n) {
        ssize_t n = send(w.client, text.p, text.n, MSG_NOSIGNAL);
        if (n > 0) text = slice_sub(text, (size_t)n, text.n);
        turn();
    }
    if (code) hear(code);
}

static void send_message(struct slice text, const char *code)
{
    char command[60];
    if (!w.greeted) hear("220 ");
    if (!w.greeted) say(SLICE("EHLO client.example\r\n"), "250 ");
    w.greeted = true;
    say(SLICE("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.org>\r\n"), NULL);
    for (time_t end = time(NULL) + 30; !strstr(buf_cstr(&w.said), "recipient noted\r\n250"); turn())
        if (time(NULL) > end) fail_msg("%s", buf_cstr(&w.said));
    snprintf(command, sizeof command, "BDAT %zu LAST\r\n", text.n);
    say(slice_str(command), NULL);
    say(text, code);
}

/* The message that was taken last. */
static uint64_t last_id(void)
{
    uint64_t id = 0;
    const char *at = strstr(buf_cstr(&w.said), "queued as ");
    assert_non_null(at);
    assert_true(id_parse(slice_of(at + 10, ID_TEXT_LEN), &id));
    return id;
}

static bool is_message(const void *item, const void *key) { return ((const struct spool_msg *)item)->id == *(const uint64_t *)key; }

static void read_envelope(struct arena *arena, struct envelope *e)
{
    struct buf b = { 0 };
    struct err err;
    uint64_t id = last_id();
    struct spool_msg *m = htable_find(&w.sp->messages, hash_u64(id), is_message, &id);
    assert_non_null(m);
    assert_true(spool_read_envelope(w.sp, m, &b, &err));
    assert_true(envelope_decode(arena_slice(arena, buf_slice(&b)), arena, e, &err));
    buf_deinit(&b);
}

/* ---- signatures */

static void send_edited(struct slice text, const struct envelope_cut *cuts, uint32_t n, const char *prepend)
{
    w.cuts = cuts;
    w.cut_n = n;
    w.prepend = prepend;
    buf_clear(&w.digests);
    w.signatures = 0;
    send_message(text, "250 2.0.0 queued as ");
    assert_int_equal(w.signatures, w.expected);
    w.cut_n = 0;
    w.prepend = NULL;
}

static bool ends_with(const struct buf *b, struct slice end)
{
    return b->n >= end.n && slice_eq(slice_of(b->p + b->n - end.n, end.n), end);
}

/* Signed as the same text that needs no edits; the signatures tell the second. */
static void expect_signed(struct slice text, const struct envelope_cut *cuts, uint32_t n, const char *prepend)
{
    struct buf edited = { 0 }, first = { 0 }, sent = { 0 }, whole = { 0 };
    struct err err;
    uint64_t second;
    edit(text, cuts, n, &edited);
    buf_add_str(&whole, prepend ? prepend : "");
    buf_add(&whole, buf_slice(&edited));
    for (int tries = 0; tries < 4; tries++) {
        while (clock_wall_ms() % 1000 > 500) turn();
        second = clock_wall_ms() / 1000;
        send_edited(text, cuts, n, prepend);
        assert_true(spool_tool_cat(w.dir, last_id(), (buf_clear(&sent), &sent), &err));
        buf_clear(&first);
        buf_add(&first, buf_slice(&w.digests));
        send_edited(buf_slice(&whole), NULL, 0, NULL);
        if (clock_wall_ms() / 1000 == second) break;
    }
    assert_true(ends_with(&sent, buf_slice(&whole)));
    assert_string_equal(buf_cstr(&first), buf_cstr(&w.digests));
    buf_deinit(&edited);
    buf_deinit(&first);
    buf_deinit(&sent);
    buf_deinit(&whole);
}

#define FROM "From: <a@example.com>\r\n"
#define HEADER FROM "Subject: offer\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n"
#define SUBJECT (sizeof FROM - 1 + 9)
#define BODY (sizeof HEADER - 1)

static void make_text(size_t n, struct buf *out)
{
    buf_add_str(out, HEADER);
    for (int i = 0; out->n < n; i++) buf_addf(out, "line %d of the message\r\n", i);
}

static void signed_as_sent(void **state)
{
    static const size_t sizes[] = { 300, 5000, 3 << 20 };
    for (size_t i = 0; i < countof(sizes); i++) {
        struct buf text = { 0 };
        make_text(sizes[i], &text);
        struct slice t = buf_slice(&text);
        const struct envelope_cut tagged[] = { { .at = SUBJECT, .with = SLICE("[SPAM] ") } };
        const struct envelope_cut replaced[] = { { .at = sizeof FROM - 1, .n = 16, .with = SLICE("Subject: other\r\nX-Was: offer\r\n") } };
        const struct envelope_cut body[] = { { .at = BODY, .n = 8, .with = SLICE("A note.\r\n.\r\n") }, { .at = t.n, .with = SLICE("The end.\r\n") } };
        const struct envelope_cut both[] = { { .at = SUBJECT, .with = SLICE("[SPAM] ") }, { .at = BODY + 30, .n = 100 } };
        const struct envelope_cut bare[] = { { .at = BODY, .n = t.n - BODY } };
        expect_signed(t, NULL, 0, NULL);
        expect_signed(t, tagged, 1, NULL);
        expect_signed(t, replaced, 1, "X-Spam: yes\r\nTo: <x@example.com>\r\n");
        expect_signed(t, NULL, 0, "Cc: <x@example.com>\r\n");
        expect_signed(t, body, 2, NULL);
        expect_signed(t, both, 2, "X-Spam: yes\r\n");
        expect_signed(t, bare, 1, NULL);
        buf_deinit(&text);
    }
}

static void edits_that_do_not_fit(void **state)
{
    struct buf text = { 0 };
    struct arena arena = { 0 };
    struct envelope e;
    make_text(300, &text);
    const struct envelope_cut bad[] = {
        { .at = SUBJECT + 6, .n = 0, .with = SLICE("x") },    /* between CR and LF */
        { .at = BODY, .n = 5 - 4 + 0, .with = SLICE("") },    /* fits */
        { .at = text.n - 1, .n = 1 },                         /* the text ends in CR */
        { .at = text.n, .with = SLICE("no end") },
        { .at = text.n - 2, .n = 2 },
    };
    for (size_t i = 0; i < countof(bad); i++) {
        w.cuts = &bad[i];
        w.cut_n = 1;
        send_message(buf_slice(&text), i == 1 ? "250 2.0.0 queued" : "451 4.3.0 ");
    }
    const struct envelope_cut dot = { .at = BODY, .n = 4, .with = SLICE(".") }, wide = { .at = BODY, .with = SLICE("\xC3\xBC") };
    w.cuts = &dot;
    send_message(buf_slice(&text), "250 2.0.0 queued");
    read_envelope(&arena, &e);
    assert_true(e.flags & ENVELOPE_HAS_DOTS && !(e.flags & ENVELOPE_HAS_8BIT));
    w.cuts = &wide;
    send_message(buf_slice(&text), "250 2.0.0 queued");
    read_envelope(&arena, &e);
    assert_true(e.flags & ENVELOPE_HAS_8BIT && !(e.flags & ENVELOPE_HAS_DOTS));
    buf_deinit(&text);
    arena_deinit(&arena);
}

/* ---- other outcomes */

static const struct config_place nowhere;

static void redirect(struct check_call *c)
{
    policy_outcome_redirect(c->run, SLICE("quarantine@example.com"));
    policy_outcome_copy(c->run, SLICE("archive@example.com"));
    check_pass(c, "redirected");
}

static void copy(struct check_call *c)
{
    policy_outcome_copy(c->run, SLICE("archive@example.com"));
    policy_outcome_copy(c->run, SLICE("B@example.com"));
    check_pass(c, "copied");
}

static void put_apart(struct check_call *c)
{
    policy_outcome_set_findings(c->run, SLICE("{\"virus\": \"Eicar\"}"), 1234);
    check_quarantine(c, QUARANTINE_VIRUS, nowhere, "the virus Eicar");
}

static void drop(struct check_call *c)
{
    policy_outcome_notify(c->run, NOTICE_VIRUS, SLICE("admin@example.com"), SLICE(""), SLICE("the virus Eicar"));
    check_discard(c, nowhere, "the virus Eicar");
}

static void refuse(struct check_call *c)
{
    policy_outcome_notify(c->run, NOTICE_VIRUS, SLICE(""), SLICE(""), SLICE("the virus Eicar"));
    check_refuse(c, 550, "5.7.1", nowhere, "a virus", "the virus Eicar");
}

static void recipients(void **state)
{
    struct arena arena = { 0 };
    struct envelope e;
    w.act = redirect;
    send_message(SLICE(HEADER "x\r\n"), "250 ");
    read_envelope(&arena, &e);
    assert_int_equal(e.rcpt_n, 2);
    assert_true(slice_eq(e.rcpts[0], SLICE("quarantine@example.com")) && slice_eq(e.rcpts[1], SLICE("archive@example.com")));
    assert_true(e.rcpt_dsn[0].notify == NOTIFY_UNSET && e.rcpt_dsn[1].notify == NOTIFY_NEVER);
    assert_true(slice_eq(e.sender, SLICE("a@example.com")));
    w.act = copy;
    send_message(SLICE(HEADER "x\r\n"), "250 ");
    read_envelope(&arena, &e);
    assert_int_equal(e.rcpt_n, 3);
    assert_true(slice_eq(e.rcpts[1], SLICE("c@example.org")) && slice_eq(e.rcpts[2], SLICE("archive@example.com")));
    assert_true(e.rcpt_dsn[0].notify == NOTIFY_UNSET && e.rcpt_dsn[2].notify == NOTIFY_NEVER);
    arena_deinit(&arena);
}

static void quarantined(void **state)
{
    struct arena arena = { 0 };
    struct envelope e;
    w.act = put_apart;
    send_message(SLICE(HEADER "x\r\n"), "250 2.0.0 queued as ");
    read_envelope(&arena, &e);
    assert_true(e.flags & ENVELOPE_QUARANTINED && !(e.flags & ENVELOPE_HELD));
    assert_int_equal(e.quarantine, QUARANTINE_VIRUS);
    assert_int_equal(e.score, 1234);
    assert_true(slice_eq(e.hold, SLICE("the virus Eicar")) && slice_eq(e.findings, SLICE("{\"virus\": \"Eicar\"}")));
    w.act = NULL;
    send_message(SLICE(HEADER "x\r\n"), "250 2.0.0 queued as "); /* and the next one has nothing of it */
    read_envelope(&arena, &e);
    assert_true(!(e.flags & ENVELOPE_QUARANTINED) && !e.quarantine && !e.score && !e.findings.n && !e.hold.n);
    arena_deinit(&arena);
}

static uint64_t messages(void)
{
    struct spool_figures f;
    for (int i = 0; i < 50; i++) turn(); /* what is on its way gets there */
    spool_get_figures(w.sp, &f);
    return f.messages;
}

static void dropped_and_refused(void **state)
{
    w.act = drop;
    for (int i = 0; i < 3; i++) send_message(SLICE(HEADER "x\r\n"), "250 2.0.0 queued as ");
    assert_int_equal(messages(), 3); /* the notices */
    w.act = refuse;
    for (int i = 0; i < 2; i++) send_message(SLICE(HEADER "x\r\n"), "550 5.7.1 a virus");
    assert_int_equal(messages(), 7); /* one for each recipient: they may not know of each other */
    w.act = drop;
    for (int i = 0; i < 30; i++) send_message(SLICE(HEADER "x\r\n"), "250 2.0.0 queued as ");
    assert_int_equal(messages(), 24); /* and then enough is enough */
}

/* The client leaves while a large message is hashed anew, or its notices wait for the commit. */
static void client_leaves(void **state)
{
    struct buf text = { 0 };
    char command[60];
    struct envelope_cut body = { .at = BODY, .n = 8 };
    make_text(8 << 20, &text);
    send_message(SLICE(HEADER "x\r\n"), "250 ");
    w.cuts = &body;
    w.cut_n = 1;
    say(SLICE("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"), NULL);
    snprintf(command, sizeof command, "BDAT %zu LAST\r\n", text.n);
    say(slice_str(command), NULL);
    say(buf_slice(&text), NULL);
    shutdown(w.client, SHUT_RDWR);
    for (int i = 0; i < 100; i++) turn();
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signed_as_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(signed_as_sent, setup_for_strangers, teardown), /* sealed */
        cmocka_unit_test_setup_teardown(edits_that_do_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(recipients, setup, teardown),
        cmocka_unit_test_setup_teardown(quarantined, setup, teardown),
        cmocka_unit_test_setup_teardown(dropped_and_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(client_leaves, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
