/* SPDX-License-Identifier: Apache-2.0
 * SASL as a client: against libgsasl's server side, RFC examples, and servers that lie; tokens from commands and answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/client_internal.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define SECRET "pen,cil=\"x\""
static char secret[] = SECRET, book_secret[] = "tanstaaftanstaaf";
static const char binding_bytes[32] = "0123456789abcdef0123456789abcde";
static const char binding_base64[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQA=";
static const struct config no_config = { .tls = { .ca = "" } };

static struct config_hop hop_with(uint32_t methods)
{
    return (struct config_hop){ .host = "smtp.example", .port = 587, .text = "smtp.example:587",
                                .auth = { .user = "tim@example.com", .password = secret, .methods = methods } };
}

/* ---- the choice */

static const char *chosen(const struct config_hop *hop, const char *offered, bool tls, bool binding, char reason[200])
{
    const struct mechanism *m = auth_mechanism_choose(hop, slice_str(offered), tls, binding, reason);
    return m ? m->name : "";
}

static void the_strongest_is_taken(void **state)
{
    char why[200] = "";
    const char *all = "LOGIN PLAIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS XOAUTH2 OAUTHBEARER";
    struct config_hop hop = hop_with(0);
    assert_string_equal(chosen(&hop, all, true, true, why), "SCRAM-SHA-256-PLUS");
    assert_string_equal(chosen(&hop, all, true, false, why), "SCRAM-SHA-256");
    assert_string_equal(chosen(&hop, all, false, false, why), "SCRAM-SHA-256");
    assert_string_equal(chosen(&hop, "PLAIN  scram-sha-1", true, false, why), "SCRAM-SHA-1");
    assert_string_equal(chosen(&hop, "DIGEST-MD5 CRAM-MD5", true, false, why), "DIGEST-MD5");
    assert_string_equal(chosen(&hop, "CRAM-MD5 PLAIN", true, false, why), "CRAM-MD5");
    assert_string_equal(chosen(&hop, "LOGIN PLAIN", true, false, why), "PLAIN");
    hop.auth.methods = CONFIG_SASL_LOGIN | CONFIG_SASL_CRAM_MD5;
    assert_string_equal(chosen(&hop, all, true, true, why), "CRAM-MD5");
    assert_string_equal(chosen(&hop, "PLAIN LOGIN", true, true, why), "LOGIN");
    hop = hop_with(0);
    hop.auth.token.command = "x";
    assert_string_equal(chosen(&hop, all, true, true, why), "OAUTHBEARER");
    assert_string_equal(chosen(&hop, "XOAUTH2 PLAIN", true, true, why), "XOAUTH2");
    hop.auth.password = NULL;
    assert_string_equal(chosen(&hop, "PLAIN LOGIN CRAM-MD5", true, true, why), "");
    assert_non_null(strstr(why, "PLAIN LOGIN CRAM-MD5; we may use OAUTHBEARER XOAUTH2"));
}

static void nothing_is_shown_without_tls(void **state)
{
    char why[200] = "";
    struct config_hop hop = hop_with(0);
    assert_string_equal(chosen(&hop, "LOGIN PLAIN XOAUTH2 OAUTHBEARER SCRAM-SHA-256-PLUS", false, true, why), "");
    assert_non_null(strstr(why, "need TLS"));
    assert_null(strstr(why, SECRET));
    hop.auth.token.command = "x";
    assert_string_equal(chosen(&hop, "XOAUTH2 OAUTHBEARER", false, true, why), "");
    assert_string_equal(chosen(&hop, "", true, true, why), "");
    assert_string_equal(chosen(&hop, "PLAINER XPLAIN SCRAM-SHA-256-PLUSSED", true, true, why), "");
}

/* ---- whole exchanges with libgsasl's servers */

struct server {
    Gsasl *library;
    Gsasl_session *session;
    const char *password, *iterations;
};

static int on_server(Gsasl *library, Gsasl_session *s, Gsasl_property what)
{
    const struct server *server = gsasl_callback_hook_get(library);
    switch (what) {
    case GSASL_PASSWORD: return gsasl_property_set(s, what, server->password);
    case GSASL_SCRAM_ITER: return gsasl_property_set(s, what, server->iterations);
    case GSASL_REALM: return gsasl_property_set(s, what, "example.com");
    case GSASL_CB_TLS_EXPORTER: return gsasl_property_set(s, what, binding_base64);
    case GSASL_VALIDATE_SIMPLE:
        return !strcmp(gsasl_property_fast(s, GSASL_AUTHID), "tim@example.com") &&
               !strcmp(gsasl_property_fast(s, GSASL_PASSWORD), server->password) ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
    default: return GSASL_NO_CALLBACK;
    }
}

/* Until both are through; returns what the client makes of it. final: the server's last message reaches the client. */
static enum auth_outcome converse(const char *mechanism, uint32_t methods, struct server *server, bool final, char reason[200])
{
    struct config_hop hop = hop_with(methods);
    struct auth_reply r = { 0 };
    bool is_plus = strstr(mechanism, "PLUS") != NULL, yes = false;
    assert_int_equal(gsasl_init(&server->library), GSASL_OK);
    gsasl_callback_set(server->library, on_server);
    gsasl_callback_hook_set(server->library, server);
    assert_int_equal(gsasl_server_start(server->library, mechanism, &server->session), GSASL_OK);
    gsasl_property_set(server->session, GSASL_SERVICE, "smtp");
    gsasl_property_set(server->session, GSASL_HOSTNAME, "smtp.example");
    struct slice binding = is_plus ? slice_of(binding_bytes, 32) : slice_of(NULL, 0);
    struct auth_client *a = auth_client_new(&no_config, &hop, slice_str(mechanism), "smtp.example", 587, true, binding, &r);
    if (!a) {
        snprintf(reason, 200, "%s", r.reason);
        fail_msg("%s: %s", mechanism, reason);
    }
    assert_string_equal(r.mechanism, mechanism);
    bool said = r.has_data, over = false;
    for (int i = 0; i < 10 && !over; i++) {
        char *data = NULL;
        size_t n = 0;
        int rc = gsasl_step(server->session, said ? buf_cstr(&r.data) : NULL, said ? r.data.n : 0, &data, &n);
        yes = rc == GSASL_OK;
        over = rc != GSASL_NEEDS_MORE && !(yes && n && final);
        if (!over) {
            auth_client_next(a, slice_of(data, n), &r);
            said = true;
            if (r.outcome != AUTH_CONTINUE) over = true;
            if (yes) over = true;
        }
        gsasl_free(data);
    }
    if (r.outcome == AUTH_CONTINUE) auth_client_end(&a, yes, &r);
    snprintf(reason, 200, "%s", r.reason);
    enum auth_outcome out = r.outcome;
    auth_client_cancel(&a);
    auth_reply_deinit(&r);
    gsasl_finish(server->session);
    gsasl_done(server->library);
    return out;
}

static const char *const names[] = { "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" };

static void each_mechanism_works(void **state)
{
    for (size_t i = 0; i < countof(names); i++) {
        char why[200];
        struct server s = { .password = SECRET, .iterations = "4096" };
        if (converse(names[i], 0, &s, true, why) != AUTH_OK) fail_msg("%s: %s", names[i], why);
    }
}

static void a_wrong_password_is_no_success(void **state)
{
    for (size_t i = 0; i < countof(names); i++) {
        char why[200];
        struct server s = { .password = "another", .iterations = "4096" };
        assert_int_not_equal(converse(names[i], 0, &s, true, why), AUTH_OK);
        assert_null(strstr(why, SECRET));
    }
}

static void a_server_that_proves_nothing_is_not_believed(void **state)
{
    for (size_t i = 3; i < countof(names); i++) { /* it says yes, but its last word is left out */
        char why[200];
        struct server s = { .password = SECRET, .iterations = "4096" };
        if (converse(names[i], 0, &s, false, why) != AUTH_FAILED || !strstr(why, "prove")) fail_msg("%s: %s", names[i], why);
    }
}

static void iterations_are_bounded(void **state)
{
    static const char *const bad[] = { "1", "4095", "600001", "4000000000" };
    for (size_t i = 0; i < countof(bad); i++) {
        char why[200], first[100];
        snprintf(first, sizeof first, "r=abc,s=QSXCR+Q6sek8bf92,i=%s", bad[i]);
        assert_false(auth_scram_acceptable(slice_str(first), why));
        assert_non_null(strstr(why, "rounds"));
    }
    static const char *const broken[] = { "", "r=", "r=a,s=,i=4096", "r=a,s=b", "r=a,s=b,i=", "r=a,s=b,i=04096", "r=a,s=b,i=+4096", "s=b,r=a,i=4096",
                                          "m=x,r=a,s=b,i=4096", "r=a,s=b,i=4096 ", "e=other-error" };
    for (size_t i = 0; i < countof(broken); i++) {
        char why[200];
        if (auth_scram_acceptable(slice_str(broken[i]), why)) fail_msg("%s", broken[i]);
    }
    char why[200];
    assert_true(auth_scram_acceptable(SLICE("r=a,s=b,i=600000,x=y"), why));
    struct server s = { .password = SECRET, .iterations = "1000" };
    assert_int_equal(converse("SCRAM-SHA-256", 0, &s, true, why), AUTH_FAILED);
}

/* ---- servers that lie */

static struct auth_client *begin(const char *mechanism, struct config_hop *hop, struct auth_reply *r)
{
    struct auth_client *a = auth_client_new(&no_config, hop, slice_str(mechanism), "smtp.example", 587, true, slice_of(NULL, 0), r);
    if (!a) fail_msg("%s: %s", mechanism, r->reason);
    return a;
}

static void expect_fail(const char *mechanism, struct slice challenge)
{
    struct config_hop hop = hop_with(0);
    struct auth_reply r = { 0 };
    struct auth_client *a = begin(mechanism, &hop, &r);
    auth_client_next(a, challenge, &r);
    if (r.outcome != AUTH_FAILED || !r.reason[0] || r.data.n) fail_msg("%s took %.*s: %d %s", mechanism, SLICE_ARG(challenge), r.outcome, r.reason);
    auth_client_cancel(&a);
    auth_reply_deinit(&r);
}

static void hostile_challenges(void **state)
{
    static char large[AUTH_DATA_MAX];
    memset(large, 'a', sizeof large);
    for (size_t i = 0; i < countof(names) - 1; i++) {
        expect_fail(names[i], slice_of(large, sizeof large));
        expect_fail(names[i], slice_of("a\0b", 3));
    }
    expect_fail("PLAIN", slice_of("", 0));
    expect_fail("PLAIN", SLICE("more?"));
    expect_fail("SCRAM-SHA-256", SLICE("r=other,s=QSXCR+Q6sek8bf92,i=4096")); /* not our nonce */
    expect_fail("SCRAM-SHA-1", SLICE("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    expect_fail("DIGEST-MD5", SLICE("realm=\"x\""));
    expect_fail("DIGEST-MD5", SLICE("rspauth=0123456789abcdef0123456789abcdef"));
}

static void a_wrong_proof_is_not_believed(void **state)
{
    struct config_hop hop = hop_with(0);
    struct auth_reply r = { 0 };
    struct auth_client *a = begin("SCRAM-SHA-256", &hop, &r);
    struct buf challenge = { 0 };
    struct slice first = buf_slice(&r.data);
    const char *nonce = strstr(buf_cstr(&r.data), "r=");
    buf_addf(&challenge, "%.*sxyz,s=QSXCR+Q6sek8bf92,i=4096", (int)(first.n - (size_t)(nonce - first.p)), nonce);
    auth_client_next(a, buf_slice(&challenge), &r);
    assert_int_equal(r.outcome, AUTH_CONTINUE);
    auth_client_next(a, SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &r);
    assert_int_equal(r.outcome, AUTH_FAILED);
    assert_non_null(strstr(r.reason, "proof"));
    auth_client_end(&a, false, &r);
    a = begin("DIGEST-MD5", &hop, &r);
    auth_client_next(a, SLICE("realm=\"elwood.innosoft.com\",nonce=\"OA6MHXh6VqTrRk\",qop=\"auth\",algorithm=md5-sess,charset=utf-8"), &r);
    assert_int_equal(r.outcome, AUTH_CONTINUE);
    assert_non_null(strstr(buf_cstr(&r.data), "digest-uri=\"smtp/smtp.example\""));
    auth_client_next(a, SLICE("rspauth=ea40f60335c427b5527b84dbabcdfffd"), &r);
    assert_int_equal(r.outcome, AUTH_FAILED);
    auth_client_end(&a, false, &r);
    buf_deinit(&challenge);
    auth_reply_deinit(&r);
}

/* RFC 2195 §2 */
static void cram_md5_by_the_book(void **state)
{
    struct config_hop hop = hop_with(0);
    struct auth_reply r = { 0 };
    hop.auth.user = "tim";
    hop.auth.password = book_secret;
    struct auth_client *a = begin("CRAM-MD5", &hop, &r);
    assert_false(r.has_data);
    auth_client_next(a, SLICE("<1896.697170952@postoffice.reston.mci.net>"), &r);
    assert_string_equal(buf_cstr(&r.data), "tim b913a602c7eda7a495b4e6e7334d3890");
    auth_client_end(&a, true, &r);
    assert_int_equal(r.outcome, AUTH_OK);
    auth_reply_deinit(&r);
}

/* ---- secrets and tokens */

static char folder[] = "/tmp/postern-auth-XXXXXX";

static const char *file_with(const char *name, const char *text, mode_t mode)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
    return path;
}

static void passwords_from_files(void **state)
{
    struct config_hop hop = hop_with(0);
    struct buf b = { 0 };
    char why[200] = "";
    hop.auth.password = NULL;
    hop.auth.password_file = file_with("password", "se cret \r\nnot this\n", 0600);
    assert_true(auth_secret_password(&hop, &b, why));
    assert_string_equal(buf_cstr(&b), "se cret ");
    buf_wipe(&b);
    file_with("password", "new", 0600);
    assert_true(auth_secret_password(&hop, &b, why));
    assert_string_equal(buf_cstr(&b), "new");
    buf_wipe(&b);
    file_with("password", "\nsecond", 0600);
    assert_false(auth_secret_password(&hop, &b, why));
    assert_non_null(strstr(why, "empty"));
    hop.auth.password_file = "/nonexistent/file";
    struct auth_reply r = { 0 };
    assert_null(auth_client_new(&no_config, &hop, SLICE("PLAIN"), "x", 25, true, slice_of(NULL, 0), &r));
    assert_int_equal(r.outcome, AUTH_TEMPFAIL);
    assert_non_null(strstr(r.reason, "/nonexistent/file"));
    auth_reply_deinit(&r);
}

static void token_answers(void **state)
{
    struct token t = { 0 };
    char why[200];
    assert_true(token_parse_json(SLICE("{\"access_token\":\"abc\",\"token_type\":\"bearer\",\"expires_in\":3600,\"refresh_token\":\"r\"}"), &t, why));
    assert_int_equal(t.life, 3600000);
    assert_string_equal(buf_cstr(&t.access), "abc");
    assert_string_equal(buf_cstr(&t.refresh), "r");
    token_deinit(&t);
    assert_true(token_parse_output(SLICE("  {\"access_token\":\"abc\",\"expires_in\":\"60\"}\n"), &t, why));
    assert_int_equal(t.life, 60000);
    token_deinit(&t);
    assert_true(token_parse_output(SLICE("ya29.token\nrest\n"), &t, why));
    assert_string_equal(buf_cstr(&t.access), "ya29.token");
    token_deinit(&t);
    static const char *const bad[] = { "", "[]", "{}", "{\"access_token\":\"\"}", "{\"access_token\":\"a b\"}", "{\"access_token\":\"a\\u0001b\"}",
                                       "{\"access_token\":5}", "{\"access_token\":\"a\",\"token_type\":\"mac\"}", "{\"access_token\":\"a\"" };
    for (size_t i = 0; i < countof(bad); i++)
        if (token_parse_json(slice_str(bad[i]), &t, why) || !why[0]) fail_msg("%s", bad[i]);
    assert_false(token_parse_json(SLICE("{\"error\":\"invalid_grant\",\"error_description\":\"gone\\u0007\"}"), &t, why));
    assert_string_equal(why, "it says invalid_grant: gone\\x07");
    assert_false(token_parse_output(SLICE("\nsecond\x01\n"), &t, why));
    assert_false(token_parse_output(SLICE("not a token\n"), &t, why));
    token_deinit(&t);
}

static void endpoints_are_safe(void **state)
{
    assert_true(token_endpoint_is_safe("https://login.example/token"));
    assert_true(token_endpoint_is_safe("http://127.0.0.1:8080/token"));
    assert_true(token_endpoint_is_safe("http://[::1]/token"));
    assert_false(token_endpoint_is_safe("http://login.example/token"));
    assert_false(token_endpoint_is_safe("http://127.0.0.1.example/"));
    assert_false(token_endpoint_is_safe("http://127.0.0.1@example/"));
    assert_false(token_endpoint_is_safe("http://127.0.0.1:x@example/"));
    assert_false(token_endpoint_is_safe("file:///etc/passwd"));
}

static void tokens_from_commands(void **state)
{
    struct token t = { 0 };
    char why[200] = "";
    assert_true(token_run_command("echo tok; echo secret-noise >&2", &t, why));
    assert_string_equal(buf_cstr(&t.access), "tok");
    token_deinit(&t);
    assert_false(token_run_command("echo tok; exit 3", &t, why));
    assert_non_null(strstr(why, "exit code 3"));
    assert_false(token_run_command("kill -9 $$", &t, why));
    assert_false(token_run_command("head -c 20000 /dev/zero | tr '\\0' a", &t, why));
    assert_non_null(strstr(why, "16 KiB"));
    assert_false(token_run_command("true", &t, why));
    token_deinit(&t);
}

static uint64_t count_lines(const char *path)
{
    uint64_t n = 0;
    FILE *f = fopen(path, "r");
    for (int c; f && (c = fgetc(f)) != EOF;) n += c == '\n';
    if (f) fclose(f);
    return n;
}

static void tokens_are_kept_and_refused(void **state)
{
    struct config_hop hop = hop_with(0);
    struct buf b = { 0 };
    char command[700], count[200], why[200] = "";
    snprintf(count, sizeof count, "%s/count", folder);
    snprintf(command, sizeof command, "echo x >> %s; echo token$(wc -l < %s)", count, count);
    hop.auth.token.command = command;
    for (int i = 0; i < 3; i++) {
        assert_true(token_get(&no_config, &hop, &b, why));
        assert_string_equal(buf_cstr(&b), "token1");
        buf_clear(&b);
    }
    token_refuse(&hop, SLICE("other"));
    assert_true(token_get(&no_config, &hop, &b, why));
    assert_string_equal(buf_cstr(&b), "token1");
    buf_clear(&b);
    token_refuse(&hop, SLICE("token1"));
    assert_true(token_get(&no_config, &hop, &b, why));
    assert_string_equal(buf_cstr(&b), "token2");
    buf_clear(&b);
    token_refuse(&hop, SLICE("token2")); /* a fresh one: there is no point in going on */
    assert_false(token_get(&no_config, &hop, &b, why));
    assert_non_null(strstr(why, "refuses"));
    assert_int_equal(count_lines(count), 2);
    struct config_hop broken = hop_with(0);
    snprintf(command, sizeof command, "echo x >> %s; exit 1", count);
    broken.auth.token.command = command;
    for (int i = 0; i < 3; i++) assert_false(token_get(&no_config, &broken, &b, why));
    assert_int_equal(count_lines(count), 3);
    token_forget();
    buf_deinit(&b);
}

static void token_mechanisms(void **state)
{
    struct config_hop hop = hop_with(0);
    struct auth_reply r = { 0 };
    hop.auth.user = "a,b=c@example.com";
    hop.auth.token.command = "echo tok";
    struct auth_client *a = begin("OAUTHBEARER", &hop, &r);
    assert_true(r.has_data);
    assert_string_equal(buf_cstr(&r.data), "n,a=a=2Cb=3Dc@example.com,\1host=smtp.example\1port=587\1auth=Bearer tok\1\1");
    auth_client_next(a, SLICE("{\"status\":\"invalid_token\"}"), &r);
    assert_int_equal(r.outcome, AUTH_CONTINUE);
    assert_string_equal(buf_cstr(&r.data), "\1");
    auth_client_next(a, SLICE("{\"status\":\"invalid_token\"}"), &r);
    assert_int_equal(r.outcome, AUTH_FAILED);
    auth_client_end(&a, false, &r);
    a = begin("XOAUTH2", &hop, &r);
    assert_string_equal(buf_cstr(&r.data), "user=a,b=c@example.com\1auth=Bearer tok\1\1");
    auth_client_end(&a, true, &r);
    assert_int_equal(r.outcome, AUTH_OK);
    a = begin("XOAUTH2", &hop, &r);
    auth_client_next(a, SLICE("{\"status\":\"401\"}"), &r);
    assert_int_equal(r.outcome, AUTH_CONTINUE);
    assert_int_equal(r.data.n, 0);
    auth_client_end(&a, true, &r);
    assert_int_equal(r.outcome, AUTH_FAILED);
    token_forget();
    auth_reply_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_strongest_is_taken),
        cmocka_unit_test(nothing_is_shown_without_tls),
        cmocka_unit_test(each_mechanism_works),
        cmocka_unit_test(a_wrong_password_is_no_success),
        cmocka_unit_test(a_server_that_proves_nothing_is_not_believed),
        cmocka_unit_test(iterations_are_bounded),
        cmocka_unit_test(hostile_challenges),
        cmocka_unit_test(a_wrong_proof_is_not_believed),
        cmocka_unit_test(cram_md5_by_the_book),
        cmocka_unit_test(passwords_from_files),
        cmocka_unit_test(token_answers),
        cmocka_unit_test(endpoints_are_safe),
        cmocka_unit_test(tokens_from_commands),
        cmocka_unit_test(tokens_are_kept_and_refused),
        cmocka_unit_test(token_mechanisms),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : failed;
}
