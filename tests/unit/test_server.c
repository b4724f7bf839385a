/* SPDX-License-Identifier: Apache-2.0
 * The pure parts of receiving mail: the relay right, the Received header, sessions per client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/mem.h"
#include "policy/relay.h"
#include "server/clients.h"
#include "server/received.h"

/* ---- the relay right */

static struct config_domain domains[] = {
    { .name = "example.com", .place = { 3, 5 } },
    { .name = "example.net", .subdomains = true, .place = { 4, 5 } },
};
static const struct config_zone lan = { .name = "lan", .trust = CONFIG_TRUST_RELAY, .place = { 7, 3 } };
static const struct config_zone internet = { .name = "internet", .place = { 8, 3 } };

static struct relay_verdict judge_as(const struct relay_client *who, const char *path)
{
    const struct config c = { .hostname = "mx.example.com", .domains = domains, .domain_n = countof(domains) };
    struct relay_verdict v;
    struct address a;
    struct slice in = slice_str(path);
    const char *why = address_parse_path(&in, false, true, &a);
    if (why) fail_msg("%s: %s", path, why);
    relay_judge(&c, who, &a, &v);
    assert_int_equal(v.allowed, v.code == 250);
    assert_int_equal(v.allowed, v.text[0] == 0);
    return v;
}

static struct relay_verdict judge(const struct config_zone *zone, const char *path)
{
    return judge_as(&(struct relay_client){ .zone = zone }, path);
}

static void strangers_reach_our_domains_only(void **state)
{
    struct relay_verdict v = judge(&internet, "<a@example.com>");
    assert_true(v.allowed);
    assert_int_equal(v.place.line, 3);
    assert_true(judge(&internet, "<a@EXAMPLE.com>").allowed);
    assert_true(judge(&internet, "<a@deep.sub.example.net>").allowed);
    assert_false(judge(&internet, "<a@sub.example.com>").allowed);
    assert_false(judge(&internet, "<a@example.com.evil.org>").allowed);
    assert_false(judge(&internet, "<a@notexample.net>").allowed);
    v = judge(&internet, "<a@example.org>");
    assert_int_equal(v.code, 550);
    assert_string_equal(v.enhanced, "5.7.1");
    assert_int_equal(v.place.line, 8);
    assert_non_null(strstr(v.text, "example.org"));
    assert_true(judge(&internet, "<@relay.example.org:a@example.com>").allowed); /* the source route is passed over */
}

static void no_detours(void **state)
{
    static const char *const paths[] = { "<u%example.org@example.com>", "<example.org!u@example.com>",
                                         "<\"u@example.org\"@example.com>", "<\"u\\@example.org\"@example.com>" };
    for (size_t i = 0; i < countof(paths); i++) {
        struct relay_verdict v = judge(&internet, paths[i]);
        if (v.allowed || v.code != 550 || v.place.line != 3) fail_msg("%s", paths[i]);
        assert_true(judge(&lan, paths[i]).allowed);
    }
    assert_true(judge(&internet, "<\"just quoted\"@example.com>").allowed);
}

static void trusted_clients_reach_all_domains(void **state)
{
    struct relay_verdict v = judge(&lan, "<a@example.org>");
    assert_true(v.allowed);
    assert_int_equal(v.place.line, 7);
    assert_false(judge(&lan, "<a@[192.0.2.1]>").allowed);
    assert_string_equal(judge(&internet, "<a@[IPv6:2001:db8::1]>").enhanced, "5.1.2");
}

static void users_reach_all_domains(void **state)
{
    const struct relay_client who = { .zone = &internet, .authed = true };
    assert_true(judge_as(&who, "<a@example.org>").allowed);
    assert_true(judge_as(&who, "<a%b@example.com>").allowed);
    assert_string_equal(judge_as(&who, "<a@[192.0.2.1]>").enhanced, "5.1.2");
    assert_true(judge_as(&who, "<postmaster>").postmaster);
}

static void shared_networks_are_bound_to_senders(void **state)
{
    static const char *senders[] = { "example.com", "xn--bcher-kva.example" };
    const struct config_zone cloud = { .name = "cloud", .trust = CONFIG_TRUST_RELAY, .senders = senders, .sender_n = countof(senders) };
    static const struct {
        const char *sender;
        bool allowed;
    } cases[] = { { "example.com", true }, { "EXAMPLE.COM", true }, { "sub.example.com", false }, { "example.org", false },
                  { "", false }, { "b\xc3\xbc" "cher.example", true }, { "x.b\xc3\xbc" "cher.example", false },
                  { "xn--bcher-kva.example", true }, { "[192.0.2.1]", false } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct relay_client who = { .zone = &cloud, .sender = slice_str(cases[i].sender) };
        if (judge_as(&who, "<a@else.example>").allowed != cases[i].allowed) fail_msg("%s", cases[i].sender);
        assert_true(judge_as(&who, "<a@example.com>").allowed);
    }
}

static void one_domain_in_two_forms(void **state)
{
    static struct config_domain d[] = { { .name = "xn--bcher-kva.example", .subdomains = true } };
    const struct config c = { .hostname = "mx.example.com", .domains = d, .domain_n = 1 };
    const struct relay_client who = { .zone = &internet };
    static const char *const paths[] = { "<a@b\xc3\xbc" "cher.example>", "<a@XN--bcher-kva.example>", "<\xc3\xa4@x.B\xc3\x9c" "CHER.example>" };
    for (size_t i = 0; i < countof(paths); i++) {
        struct slice in = slice_str(paths[i]);
        struct address a;
        struct relay_verdict v;
        assert_null(address_parse_path(&in, false, true, &a));
        relay_judge(&c, &who, &a, &v);
        assert_true(v.allowed);
    }
}

static void postmaster_is_for_everybody(void **state)
{
    assert_true(judge(&internet, "<postmaster>").postmaster);
    assert_true(judge(&internet, "<PostMaster>").allowed);
    assert_true(judge(&internet, "<Postmaster@MX.example.com>").postmaster);
    assert_false(judge(&internet, "<postmaster@example.org>").allowed);
    assert_false(judge(&internet, "<postmaster@example.com>").postmaster); /* a mailbox of that domain's server */
    assert_false(judge(&internet, "<else@mx.example.com>").allowed);
}

static void longest_names_fit(void **state)
{
    char path[600] = "<a@";
    for (int i = 0; i < 60; i++) strncat(path, "abc.", sizeof path - strlen(path) - 1);
    strncat(path, "org>", sizeof path - strlen(path) - 1);
    assert_int_equal(judge(&internet, path).code, 550);
}

/* ---- the Received header */

static struct received sample(void)
{
    struct received r = { .helo = SLICE("client.example.org"), .hostname = "mx.example.com", .esmtp = true,
                          .id = 1, .rcpt = SLICE("bob@example.com"), .wall_ms = 1795296611000 };
    ip_parse(SLICE("192.0.2.7"), &r.client);
    return r;
}

static void check_received(const struct received *r, const char *expected)
{
    struct buf out = { 0 };
    received_format(r, &out);
    assert_string_equal(buf_cstr(&out), expected);
    buf_deinit(&out);
}

static void received_is_folded(void **state)
{
    struct received r = sample();
    check_received(&r, "Received: from client.example.org ([192.0.2.7])\r\n"
                       "\tby mx.example.com with ESMTP id 0000000000001\r\n"
                       "\tfor <bob@example.com>;\r\n"
                       "\tSat, 21 Nov 2026 21:30:11 +0000\r\n");
    r.rcpt = SLICE("");
    r.esmtp = false;
    ip_parse(SLICE("2001:db8::1"), &r.client);
    check_received(&r, "Received: from client.example.org ([IPv6:2001:db8::1])\r\n"
                       "\tby mx.example.com with SMTP id 0000000000001;\r\n"
                       "\tSat, 21 Nov 2026 21:30:11 +0000\r\n");
}

static void received_tells_of_tls(void **state)
{
    struct received r = sample();
    r.tls_version = "TLSv1.3";
    r.tls_cipher = "TLS_AES_256_GCM_SHA384";
    r.tls_bits = 256;
    check_received(&r, "Received: from client.example.org ([192.0.2.7])\r\n"
                       "\tby mx.example.com with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384 256 bits)\r\n"
                       "\tid 0000000000001\r\n"
                       "\tfor <bob@example.com>;\r\n"
                       "\tSat, 21 Nov 2026 21:30:11 +0000\r\n");
}

static void received_tells_of_the_protocol(void **state)
{
    for (int i = 0; i < 8; i++) {
        static const char *const words[] = { "ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA", "UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA" };
        char with[40];
        struct buf out = { 0 };
        struct received r = sample();
        r.authed = i & 1;
        r.utf8 = i & 4;
        r.rcpt = SLICE("b\xc3\xb6" "b@example.com");
        if (i & 2) r.tls_version = "TLSv1.3", r.tls_cipher = "X", r.tls_bits = 256;
        received_format(&r, &out);
        snprintf(with, sizeof with, " with %s ", words[i]);
        if (!strstr(buf_cstr(&out), with)) fail_msg("%s: %s", with, buf_cstr(&out));
        assert_non_null(strstr(buf_cstr(&out), r.utf8 ? "<b\xc3\xb6" "b@example.com>" : "<b??b@example.com>"));
        r.esmtp = false;
        buf_clear(&out);
        received_format(&r, &out);
        assert_non_null(strstr(buf_cstr(&out), " with SMTP "));
        buf_deinit(&out);
    }
}

static void received_is_not_opened_by_names(void **state)
{
    struct received r = sample();
    r.helo = SLICE("a\r\nEvil: header (comment) \0\xff\\<>;");
    r.rcpt = SLICE("\"b\r\nc\"@example.com");
    check_received(&r, "Received: from a??Evil:?header??comment???????? ([192.0.2.7])\r\n"
                       "\tby mx.example.com with ESMTP id 0000000000001\r\n"
                       "\tfor <\"b??c\"@example.com>;\r\n"
                       "\tSat, 21 Nov 2026 21:30:11 +0000\r\n");
}

static void received_lines_are_short(void **state)
{
    char helo[3000], rcpt[400];
    memset(helo, 'x', sizeof helo);
    memset(rcpt, 'y', sizeof rcpt);
    struct received r = sample();
    struct buf out = { 0 };
    r.helo = slice_of(helo, sizeof helo);
    r.rcpt = slice_of(rcpt, sizeof rcpt);
    received_format(&r, &out);
    struct slice rest = buf_slice(&out), line;
    while (slice_cut(&rest, '\n', &line)) assert_true(line.n < 998);
    assert_int_equal(rest.n + line.n, 0);
    buf_deinit(&out);
}

/* ---- sessions per client */

static struct client *enter(struct htable *t, const char *ip, uint32_t max)
{
    struct ip parsed;
    assert_true(ip_parse(slice_str(ip), &parsed));
    return clients_enter(t, &parsed, max);
}

static void clients_are_counted(void **state)
{
    struct htable t;
    clients_init(&t);
    struct client *a = enter(&t, "192.0.2.1", 2), *b = enter(&t, "2001:db8::1", 2);
    assert_ptr_equal(enter(&t, "192.0.2.1", 2), a);
    assert_null(enter(&t, "192.0.2.1", 2));
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(enter(&t, "2001:db8::ffff:2", 2), b); /* the same /64 */
    assert_null(enter(&t, "2001:db8::3", 2));
    struct client *c = enter(&t, "2001:db8:0:1::3", 2);
    assert_ptr_not_equal(c, b);
    clients_leave(&t, a);
    assert_ptr_equal(enter(&t, "192.0.2.1", 2), a);
    clients_leave(&t, a);
    clients_leave(&t, a);
    clients_leave(&t, c);
    assert_int_equal(t.n, 1);
    assert_ptr_equal(enter(&t, "2001:db8::9", 0), b); /* 0: no limit */
    clients_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_reach_our_domains_only),
        cmocka_unit_test(no_detours),
        cmocka_unit_test(trusted_clients_reach_all_domains),
        cmocka_unit_test(users_reach_all_domains),
        cmocka_unit_test(shared_networks_are_bound_to_senders),
        cmocka_unit_test(one_domain_in_two_forms),
        cmocka_unit_test(postmaster_is_for_everybody),
        cmocka_unit_test(longest_names_fit),
        cmocka_unit_test(received_is_folded),
        cmocka_unit_test(received_tells_of_tls),
        cmocka_unit_test(received_tells_of_the_protocol),
        cmocka_unit_test(received_is_not_opened_by_names),
        cmocka_unit_test(received_lines_are_short),
        cmocka_unit_test(clients_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
