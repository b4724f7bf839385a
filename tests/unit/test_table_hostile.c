/* SPDX-License-Identifier: Apache-2.0
 * Directories and databases that mean harm to who reads tables from them: they never end, stop in the middle of a record, shout, or are no
 * files at all. A reading ends when its time is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "auth/ldap_link.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "proc/worker_int.h"
#include "table/block_file.h"
#include "table/readers.h"
#include "table/source.h"

#define LONGEST_MS 500 /* a reading here */
#define GRACE_MS 2000   /* what it may take longer on a busy machine */

/* ---- a server of one connection, which a thread plays */

static struct server {
    pthread_t thread;
    int listener;
    unsigned port;
    void (*play)(int fd);
} server;

static void *run_server(void *arg)
{
    int fd = accept(server.listener, NULL, NULL);
    if (fd < 0) return NULL;
    server.play(fd);
    close(fd);
    return NULL;
}

static void start(void (*play)(int fd))
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    server.play = play;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(server.listener, 5), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&a, &n), 0);
    server.port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&server.thread, NULL, run_server, NULL), 0);
}

static void finish(void)
{
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
}

static bool say(int fd, const void *bytes, size_t n) { return send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n; }
#define SAY(fd, text) say(fd, text, sizeof(text) - 1)

static void hear(int fd)
{
    char room[4096];
    (void)!recv(fd, room, sizeof room, 0);
}

/* Until the other side has gone. */
static void hold(int fd)
{
    char room[4096];
    while (recv(fd, room, sizeof room, 0) > 0) {}
}

static void repeat(int fd, const char *one, size_t n)
{
    char many[60000];
    size_t all = 0;
    for (; all + n <= sizeof many; all += n) memcpy(many + all, one, n);
    while (say(fd, many, all)) {}
}

/* ---- one reading */

static struct outcome {
    bool ok;
    uint64_t took;
    struct err err;
    char first[200];
} got;

static void read_from(struct config_table *t, source_read *source, struct slice password)
{
    static const struct config config = { 0 };
    struct table_source s = { .table = t, .of = LIST_OF_ADDRESSES, .id = "t" };
    const struct table_source *const uses[] = { &s };
    struct rows rows;
    uint64_t began = clock_mono_ms();
    t->name = "t";
    if (!t->entries) t->entries = 1000;
    rows_init(&rows, t, uses, 1);
    struct reading r = { .config = &config, .table = t, .password = password, .deadline = began + LONGEST_MS, .rows = &rows };
    got = (struct outcome){ .ok = false };
    got.ok = source(&r, &got.err);
    got.took = clock_mono_ms() - began;
    memcpy(got.first, rows.uses[0].first, sizeof got.first);
    rows_deinit(&rows);
}

static void ask_ldap(const char *scheme, const char *ca, const char *user)
{
    char url[60];
    snprintf(url, sizeof url, "%s://127.0.0.1:%u", scheme, server.port);
    struct config_table t = { .type = CONFIG_TABLE_LDAP, .ldap = { .url = url, .ca = ca, .base = "o=x", .filter = "(mail=*)", .key = "mail", .value = "to", .user_dn = user } };
    read_from(&t, source_ldap, user ? SLICE("secret") : SLICE(""));
    finish();
}

static void ask_postgresql(void)
{
    char connection[100];
    snprintf(connection, sizeof connection, "host=127.0.0.1 port=%u dbname=x user=y sslmode=disable", server.port);
    struct config_table t = { .type = CONFIG_TABLE_POSTGRESQL, .connection = connection, .query = "SELECT a FROM b" };
    read_from(&t, source_postgresql, SLICE("secret"));
    finish();
}

static void assert_ended(void)
{
    assert_false(got.ok);
    assert_true(got.err.text[0]);
    assert_null(strpbrk(got.err.text, "\r\n\x1b\x07"));
    if (got.took >= LONGEST_MS + GRACE_MS) fail_msg("it took %llu ms: %s", (unsigned long long)got.took, got.err.text);
}

/* ---- LDAP. Message 1 is the first request */

#define REFERENCE "\x30\x0F\x02\x01\x01\x73\x0A\x04\x08ldap://x"
#define DULL_ENTRY "\x30\x0C\x02\x01\x01\x64\x07\x04\x03o=x\x30\x00" /* without attributes */

static void play_references(int fd)
{
    hear(fd);
    repeat(fd, REFERENCE, sizeof REFERENCE - 1);
}
static void test_references_without_end(void **state)
{
    start(play_references);
    ask_ldap("ldap", NULL, NULL);
    assert_ended();
}

static void play_entries(int fd)
{
    hear(fd);
    repeat(fd, DULL_ENTRY, sizeof DULL_ENTRY - 1);
}
static void test_entries_without_end(void **state)
{
    start(play_entries);
    ask_ldap("ldap", NULL, NULL);
    assert_ended();
}

/* Nothing but its result is an answer to a bind; what else comes must not pile up. */
static void test_flood_in_place_of_a_bind(void **state)
{
    start(play_entries);
    ask_ldap("ldap", NULL, "cn=me");
    assert_ended();
    assert_true(got.took < LONGEST_MS);
}

static void play_huge(int fd)
{
    hear(fd);
    SAY(fd, "\x30\x84\x7F\xFF\xFF\xFF\x02\x01\x01\x64\x84\x7F\xFF\xFF\xF0\x04\x84\x7F\xFF\xFF\xE0");
    hold(fd);
}
static void test_huge_entry(void **state)
{
    start(play_huge);
    ask_ldap("ldap", NULL, NULL);
    assert_ended();
    assert_true(got.took < LONGEST_MS);
}

static void add_tagged(struct buf *out, char tag, struct slice inner)
{
    const char head[] = { tag, (char)0x84, (char)(inner.n >> 24), (char)(inner.n >> 16), (char)(inner.n >> 8), (char)inner.n };
    buf_add(out, slice_of(head, sizeof head));
    buf_add(out, inner);
}

static void add_attribute(struct buf *out, const char *name, unsigned n)
{
    struct buf all = { 0 }, both = { 0 };
    while (n--) add_tagged(&all, 0x04, SLICE("a@b"));
    add_tagged(&both, 0x04, slice_str(name));
    add_tagged(&both, 0x31, buf_slice(&all));
    add_tagged(out, 0x30, buf_slice(&both));
    buf_deinit(&all);
    buf_deinit(&both);
}

/* One entry of 500 KB: each of its keys stands for each of its values. */
static void play_product(int fd)
{
    struct buf attributes = { 0 }, entry = { 0 }, message = { 0 }, out = { 0 };
    hear(fd);
    add_attribute(&attributes, "mail", 30000);
    add_attribute(&attributes, "to", 30000);
    add_tagged(&entry, 0x04, SLICE("o=x"));
    add_tagged(&entry, 0x30, buf_slice(&attributes));
    buf_add(&message, SLICE("\x02\x01\x01"));
    add_tagged(&message, 0x64, buf_slice(&entry));
    add_tagged(&out, 0x30, buf_slice(&message));
    say(fd, out.p, out.n);
    hold(fd);
    struct buf *const all[] = { &attributes, &entry, &message, &out };
    for (size_t i = 0; i < countof(all); i++) buf_deinit(all[i]);
}
static void test_entry_that_multiplies(void **state)
{
    start(play_product);
    ask_ldap("ldap", NULL, NULL);
    assert_ended();
}

static void play_drip(int fd)
{
    hear(fd);
    while (SAY(fd, "\x30")) usleep(100000);
}
static void test_drip(void **state)
{
    start(play_drip);
    ask_ldap("ldap", NULL, NULL);
    assert_ended();
}

static void play_silence(int fd) { hold(fd); }
static void test_silence(void **state)
{
    start(play_silence);
    ask_ldap("ldap", NULL, NULL);
    assert_ended();
    start(play_silence);
    ask_ldap("ldaps", NULL, NULL);
    assert_ended();
}

/* ---- LDAP over TLS */

static EVP_PKEY *key;
static X509 *certificate;
static char ca_file[40];

static int make_certificate(void **state)
{
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"127.0.0.1", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1"), *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
    X509_add_ext(certificate, names, -1);
    X509_add_ext(certificate, ca, -1);
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(ca);
    X509_sign(certificate, key, EVP_sha256());
    snprintf(ca_file, sizeof ca_file, "/tmp/postern-hostile-%ld.pem", (long)getpid());
    FILE *f = fopen(ca_file, "w");
    bool ok = f && PEM_write_X509(f, certificate);
    if (f) fclose(f);
    return ok ? 0 : -1;
}

static int drop_certificate(void **state)
{
    unlink(ca_file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

/* A record begins, and its rest never comes: a read that waits for it would wait for ever. */
static void play_half_record(int fd)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    char room[4096];
    SSL_CTX_use_certificate(ctx, certificate);
    SSL_CTX_use_PrivateKey(ctx, key);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, room, sizeof room) > 0 && SAY(fd, "\x17\x03\x03\x10\x00 and then")) hold(fd);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}
static void test_half_a_record(void **state)
{
    start(play_half_record);
    ask_ldap("ldaps", ca_file, NULL);
    assert_ended();
}

static void play_half_handshake(int fd)
{
    hear(fd);
    SAY(fd, "\x16\x03\x03\x10\x00\x02");
    hold(fd);
}
static void test_half_a_handshake(void **state)
{
    start(play_half_handshake);
    ask_ldap("ldaps", ca_file, NULL);
    assert_ended();
}

/* ---- PostgreSQL */

#define AUTH_OK "R\0\0\0\x08\0\0\0\0"
#define READY "Z\0\0\0\x05I"
#define COMMAND "C\0\0\0\x0A" "BEGIN\0"
#define ROWS_BEGIN "1\0\0\0\x04" "2\0\0\0\x04" "T\0\0\0\x1A\0\x01" "a\0\0\0\0\0\0\0\0\0\0\x19\xFF\xFF\xFF\xFF\xFF\xFF\0\0"
#define ONE_ROW "D\0\0\0\x0D\0\x01\0\0\0\x03" "a@b"

static void play_rows(int fd)
{
    hear(fd);
    SAY(fd, AUTH_OK READY);
    for (int i = 0; i < 2; i++) {
        hear(fd);
        SAY(fd, COMMAND READY);
    }
    hear(fd);
    SAY(fd, ROWS_BEGIN);
    repeat(fd, ONE_ROW, sizeof ONE_ROW - 1);
}
static void test_rows_without_end(void **state)
{
    start(play_rows);
    ask_postgresql();
    assert_ended();
}

static void play_silence_after_login(int fd)
{
    hear(fd);
    SAY(fd, AUTH_OK READY);
    hold(fd);
}
static void test_silence_after_login(void **state)
{
    start(play_silence_after_login);
    ask_postgresql();
    assert_ended();
}

#define NOTICE "N\0\0\0\x22" "SNOTICE\0C00000\0M\x1b]0;evil\nx\x07!\0\0"
#define ERROR "E\0\0\0\x2D" "SFATAL\0C28P01\0Mno \x1b[31m secret\nfor you!\0\0"

static void play_notice(int fd)
{
    hear(fd);
    SAY(fd, AUTH_OK NOTICE ERROR);
    hold(fd);
}

static void test_what_servers_shout(void **state)
{
    start(play_notice);
    ask_postgresql();
    assert_false(got.ok);
    assert_non_null(strstr(got.err.text, "for you!"));
    assert_null(strpbrk(got.err.text, "\r\n\x1b\x07"));
}

/* ---- SQLite */

static void test_database_that_is_none(void **state)
{
    char path[60];
    snprintf(path, sizeof path, "/tmp/postern-hostile-%ld.fifo", (long)getpid());
    struct config_table t = { .type = CONFIG_TABLE_SQLITE, .file = path, .query = "SELECT a FROM b" };
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20); /* opening one waits for somebody who writes */
    read_from(&t, source_sqlite, SLICE(""));
    alarm(0);
    unlink(path);
    assert_ended();
}

static void test_query_without_end(void **state)
{
    struct config_table t = { .type = CONFIG_TABLE_SQLITE, .file = ":memory:", .query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n" };
    read_from(&t, source_sqlite, SLICE(""));
    assert_ended();
}

/* ---- a folder in which nothing can be made */

static double seconds_of_work(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void assert_all(json_t *all, const char *state, const char *words)
{
    size_t i;
    json_t *one;
    assert_int_equal(json_array_size(all), 2);
    json_array_foreach(all, i, one) {
        assert_string_equal(json_string_value(json_object_get(one, "state")), state);
        assert_non_null(strstr(json_string_value(json_object_get(one, "error")), words));
        assert_true(json_is_false(json_object_get(one, "reading")));
    }
    json_decref(all);
}

/* It is told, waited for without work, and gone on with when it is over. Threads of readers run until the process ends. */
static void test_folder_that_is_gone(void **state)
{
    static const char text[] = "hostname: mx.example.com\ntables:\n  a: {type: sqlite, file: /nowhere/a.sqlite, query: SELECT 1, refresh: 1s}\n"
                               "  b: {type: exact, file: /nowhere/b}\n"
                               "checks: {block: {senders: [{table: a}, {table: b}]}}\n";
    static char folder[60];
    struct config_report report;
    struct err err;
    snprintf(folder, sizeof folder, "/tmp/postern-hostile-%ld.d", (long)getpid());
    struct config *c = config_parse(slice_str(text), "test.yaml", &report);
    if (!c) fail_msg("%s", report.n ? report.findings[0].text : "");
    config_report_deinit(&report);
    struct readers *r = readers_new(c, folder);
    int told = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(readers_start(r, told, &err));
    usleep(500000);
    double before = seconds_of_work();
    for (int i = 0; i < 20; i++, usleep(50000)) readers_refresh(r, NULL); /* nor does asking make it work */
    assert_true(seconds_of_work() - before < 0.3);
    usleep(1200000);
    assert_all(readers_state(r), "broken", "lock cannot be made: No such file");
    assert_int_equal(mkdir(folder, 0700), 0);
    usleep(3200000);
    json_t *now = readers_state(r);
    assert_int_equal(json_array_size(now), 2);
    assert_null(strstr(json_string_value(json_object_get(json_array_get(now, 0), "error")), "lock"));
    assert_null(strstr(json_string_value(json_object_get(json_array_get(now, 1), "error")), "lock"));
    json_decref(now);
    char lock[70];
    snprintf(lock, sizeof lock, "%s/lock", folder);
    (void)unlink(lock);
    (void)rmdir(folder);
}

/* ---- what stands where a block should */

static void put_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static struct snapshot *one_entry(void)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err;
    size_t n;
    assert_true(snapshot_add(b, &(struct snapshot_entry){ .form = SNAPSHOT_KEY, .key = SLICE("a@b"), .match = "a@b" }, false, &err));
    void *block = snapshot_finish(b, 5, &n);
    snapshot_builder_free(b);
    struct snapshot *s = snapshot_open(block, n, &err);
    assert_non_null(s);
    return s;
}

/* Half a block, somebody's file, a pipe: none is read, none is waited for, none is written through. */
static void test_blocks_that_are_none(void **state)
{
    char folder[60], path[80], other[80], text[20] = "";
    struct err err;
    struct snapshot *s = one_entry(), *read;
    size_t n;
    const char *block = snapshot_block(s, &n);
    snprintf(folder, sizeof folder, "/tmp/postern-hostile-%ld.b", (long)getpid());
    snprintf(path, sizeof path, "%s/t.table", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_null(block_file_read(folder, "t"));
    for (size_t less = 1; less <= n; less += 7) { /* as a crash might leave it */
        put_file(path, block, n - less);
        assert_null(block_file_read(folder, "t"));
    }
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(block_file_read(folder, "t"));
    assert_true(block_file_write(folder, "t", s, &err));
    put_file(other, "mine", 4);
    unlink(path);
    assert_int_equal(symlink(other, path), 0);
    assert_null(block_file_read(folder, "t"));
    assert_true(block_file_write(folder, "t", s, &err));
    FILE *f = fopen(other, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text, f), 4);
    fclose(f);
    read = block_file_read(folder, "t");
    assert_true(read && snapshot_same(read, s));
    snapshot_free(read);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_null(block_file_read(folder, "t"));
    assert_false(block_file_write(folder, "t", s, &err)); /* and nothing is left over */
    assert_int_equal(rmdir(path), 0);
    unlink(other);
    assert_int_equal(rmdir(folder), 0);
    snapshot_free(s);
}

/* ---- the process itself, taken over by what it read */

static json_t *state(const char *id, const char *error)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:[i], s:s}", "id", id, "state", "broken", "error", error, "entries", 7, "made", 1, "tried", "now");
}

static void test_states_that_are_none(void **unused)
{
    struct worker w = { .table_state = NULL };
    struct buf huge = { 0 };
    while (huge.n < 900000) buf_add_str(&huge, "all mine ");
    json_t *all = json_pack("[o, s, i, n]", state("a-1", "no \x1b[31m\nway"), "b-2", 3);
    json_object_set_new(json_array_get(all, 0), "junk", json_string(buf_cstr(&huge)));
    json_t *m = json_pack("{s:s, s:o}", "op", "state", "tables", all);
    worker_on_table_message(&w, m);
    const json_t *one = json_array_get(w.table_state, 0);
    assert_true(json_dumpb(w.table_state, NULL, 0, 0) < 5000);
    assert_null(json_object_get(one, "junk"));
    assert_string_equal(json_string_value(json_object_get(one, "error")), "no \\x1b[31m\\x0away");
    assert_int_equal(json_integer_value(json_object_get(one, "entries")), 7);
    assert_int_equal(json_integer_value(json_object_get(one, "made")), 0);
    json_decref(m);
    all = json_array();
    for (int i = 0; i < 3000; i++) json_array_append_new(all, state("a-1", buf_cstr(&huge) + huge.n - 3000));
    m = json_pack("{s:s, s:o}", "op", "state", "tables", all);
    worker_on_table_message(&w, m);
    assert_true(json_dumpb(w.table_state, NULL, 0, 0) < 600 << 10);
    json_decref(m);
    m = json_pack("{s:s, s:s}", "op", "state", "tables", "none");
    worker_on_table_message(&w, m);
    assert_int_equal(json_array_size(w.table_state), 0);
    json_decref(m);
    json_decref(w.table_state);
    buf_deinit(&huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_without_end), cmocka_unit_test(test_entries_without_end), cmocka_unit_test(test_flood_in_place_of_a_bind),
        cmocka_unit_test(test_entry_that_multiplies),
        cmocka_unit_test(test_huge_entry),             cmocka_unit_test(test_drip),                cmocka_unit_test(test_silence),
        cmocka_unit_test(test_half_a_handshake),       cmocka_unit_test(test_half_a_record),       cmocka_unit_test(test_rows_without_end),
        cmocka_unit_test(test_silence_after_login),    cmocka_unit_test(test_what_servers_shout),  cmocka_unit_test(test_query_without_end),
        cmocka_unit_test(test_database_that_is_none), cmocka_unit_test(test_folder_that_is_gone),
        cmocka_unit_test(test_blocks_that_are_none), cmocka_unit_test(test_states_that_are_none),
    };
    return cmocka_run_group_tests(tests, make_certificate, drop_certificate);
}
