/* SPDX-License-Identifier: Apache-2.0
 * The nftables rules of transparent zones: whose connections, what is left alone, what becomes of the rest; and the programs that load them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "base/mem.h"
#include "cli/nft.h"

static struct config *config;
static struct nft_rules rules;

static const char *make(const char *yaml)
{
    struct config_report report = { 0 };
    struct err err;
    config = config_parse(slice_str(yaml), "t.yaml", &report);
    for (size_t i = 0; !config && i < report.n; i++) print_error("%s: %s\n", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    assert_non_null(config);
    assert_true(nft_rules_make(config, &rules, &err));
    return buf_cstr(&rules.text);
}

static int teardown(void **state)
{
    nft_rules_deinit(&rules);
    config_free(config);
    config = NULL;
    return 0;
}

static void has(const char *text, const char *what)
{
    assert_non_null(text);
    if (!strstr(text, what)) fail_msg("no \"%s\" in\n%s", what, text);
}

static void has_not(const char *text, const char *what)
{
    assert_non_null(text);
    if (strstr(text, what)) fail_msg("\"%s\" in\n%s", what, text);
}

#define HEAD "hostname: mx.example.com\nlisteners: [{address: \"*:26\"}, {address: \"192.0.2.1:27\"}]\nzones:\n"
#define REPLACE "add table inet postern\ndelete table inet postern\n"

static void test_nothing(void **state)
{
    const char *text = make("hostname: mx.example.com\nzones: {lan: {networks: [10.0.0.0/8], trust: relay}}\n");
    assert_string_equal(text, REPLACE);
    assert_int_equal(rules.zones, 0);
    assert_true(!rules.route4 && !rules.route6 && !rules.notes.n);
}

static void test_redirect(void **state)
{
    const char *text = make(HEAD "  lan: {networks: [10.0.0.0/8, 192.168.1.0/24, 192.168.2.0/24, \"fd00::/8\"], trust: relay, mode: transparent}\n");
    has(text, REPLACE "table inet postern {\n    comment \"postern nft ");
    has(text, "type nat hook prerouting priority dstnat; policy accept;\n        meta l4proto != tcp accept\n        tcp dport != { 25 } accept\n"
              "        fib daddr type local accept");
    has(text, "ip saddr { 192.168.1.0/24, 192.168.2.0/24 } goto zone_0_redirect\n        ip saddr { 10.0.0.0/8 } goto");
    has(text, "ip6 saddr { fd00::/8 } goto zone_0_redirect");
    has(text, "meta nfproto ipv4 tcp dport 25 counter redirect to :26\n        meta nfproto ipv6 tcp dport 25 counter redirect to :26\n");
    has_not(text, "tproxy");
    has_not(text, "output");
    assert_true(rules.zones == 1 && !rules.route4 && !rules.route6 && !rules.notes.n);
}

static void test_tproxy(void **state)
{
    const char *text = make(HEAD "  lan: {networks: [10.0.0.0/8], trust: relay, mode: transparent, intercept: {by: tproxy, port: 2525, "
                                 "listener: \"192.0.2.1:27\"}}\n");
    has(text, "type filter hook prerouting priority mangle; policy accept;");
    has(text, "tcp dport 2525 counter tproxy ip to 192.0.2.1:27 meta mark set meta mark or 0x2000000 accept\n"
              "        meta nfproto ipv4 tcp dport 2525 counter reject with tcp reset\n    }");
    has_not(text, "ipv6");
    has_not(text, "type nat");
    assert_true(rules.route4 && !rules.route6);
}

/* A port with an address is reached there, by its family alone. */
static void test_an_address(void **state)
{
    const char *text = make(HEAD "  lan: {networks: [10.0.0.0/8, \"fd00::/8\"], trust: relay, mode: transparent, intercept: {listener: \"192.0.2.1:27\"}}\n");
    has(text, "meta nfproto ipv4 tcp dport 25 counter dnat ip to 192.0.2.1:27\n    }");
    has(buf_cstr(&rules.notes), "zone lan: what comes by IPv6 is not taken");
}

/* Where nothing is said the first that can take it: not one whose clients are all of another zone, nor one that begins with TLS. */
static void test_where_it_arrives(void **state)
{
    const char *text = make("hostname: mx.example.com\nlisteners:\n  - {address: \"127.0.0.1:26\", zone: servers}\n  - {address: \"*:465\", tls: implicit}\n"
                            "  - {address: \"*:27\"}\n  - {address: \"*:28\"}\nzones:\n  servers: {networks: [10.1.0.0/16]}\n"
                            "  lan: {networks: [10.0.0.0/8], trust: relay, mode: transparent}\n");
    has(text, "redirect to :27\n");
}

static void test_left_alone(void **state)
{
    const char *text = make(HEAD "  lan: {networks: [10.0.0.0/8], trust: relay, mode: transparent, intercept: {sources: [10.1.1.1, 10.1.0.0/16, 10.1.0.0/16, "
                                 "\"fd00::1\"], destinations: [0.0.0.0/0, 192.0.2.1, \"2001:db8::/32\"], macs: [\"02:00:00:00:00:AB\"]}}\n");
    has(text, "ether saddr 02:00:00:00:00:ab accept\n        ip saddr { 10.1.0.0/16 } accept\n        meta nfproto ipv4 accept\n"
              "        ip6 saddr { fd00::1 } accept\n        ip6 daddr { 2001:db8::/32 } accept\n        meta nfproto ipv4 tcp dport");
}

/* The nearest network decides; other zones are named only where that matters. */
static void test_zones_within_zones(void **state)
{
    const char *text = make(HEAD "  lan: {networks: [10.0.0.0/8], trust: relay, mode: transparent}\n  servers: {networks: [10.1.0.0/16, 172.16.0.0/12]}\n"
                                 "  desk: {networks: [10.1.2.0/24], trust: relay, mode: transparent, intercept: {by: tproxy}}\n");
    const char *redirect = strstr(text, "chain redirect_connections"), *tproxy = strstr(text, "chain tproxy_connections");
    assert_true(redirect && tproxy && redirect < tproxy);
    has(redirect, "ip saddr { 10.1.2.0/24 } accept comment \"zone desk\"\n        ip saddr { 10.1.0.0/16 } accept comment \"zone servers\"\n"
                  "        ip saddr { 10.0.0.0/8 } goto zone_0_redirect\n");
    has(tproxy, "ip saddr { 10.1.2.0/24 } goto zone_2_tproxy\n    }");
    has_not(text, "172.16");
    assert_int_equal(rules.zones, 2);
}

static void test_interfaces(void **state)
{
    const char *text = make(HEAD "  lan: {interfaces: [lo, nothere0], trust: relay, mode: transparent}\n");
    has(text, "iifname \"lo\" ip saddr { 127.0.0.0/8 } goto zone_0_redirect");
    has(buf_cstr(&rules.notes), "zone lan: the interface nothere0 is not there");
    has_not(text, "nothere0");
}

static void test_the_mark_tells_configurations_apart(void **state)
{
    char mark[sizeof rules.mark];
    make(HEAD "  lan: {networks: [10.0.0.0/8], trust: relay, mode: transparent}\n");
    memcpy(mark, rules.mark, sizeof mark);
    teardown(NULL);
    make(HEAD "  lan: {networks: [10.0.0.0/8], trust: relay, mode: transparent}\nqueue: {lifetime: 2d}\n");
    assert_string_equal(mark, rules.mark);
    teardown(NULL);
    make(HEAD "  lan: {networks: [10.0.0.0/9], trust: relay, mode: transparent}\n");
    assert_string_not_equal(mark, rules.mark);
}

/* What the configuration's own checks would never let through. */
static void test_words_that_are_none(void **state)
{
    static const char *bad_interface[] = { "eth0\" accept; #" }, *bad_mac[] = { "02:00\n00:00" };
    struct config_zone zones[2] = { { .name = "x\"\n}", .mode = CONFIG_ZONE_TRANSPARENT, .intercept.listener = -1 }, { .name = "internet" } };
    struct config_listener listener = { .port = 25, .zone = -1 };
    struct config c = { .zones = zones, .zone_n = 2, .listeners = &listener, .listener_n = 1 };
    struct err err;
    assert_true(nft_rules_make(&c, &rules, &err));
    has(buf_cstr(&rules.text), "# zone x???\n");
    nft_rules_deinit(&rules);
    zones[0].interfaces = bad_interface;
    zones[0].interface_n = 1;
    assert_false(nft_rules_make(&c, &rules, &err));
    zones[0].interface_n = 0;
    zones[0].intercept.macs = bad_mac;
    zones[0].intercept.mac_n = 1;
    assert_false(nft_rules_make(&c, &rules, &err));
}

static void test_programs(void **state)
{
    static const char *const missing[] = { "postern-no-such-program", NULL }, *const cat[] = { "cat", NULL }, *const fails[] = { "false", NULL },
                            *const refused[] = { "sh", "-c", "echo; echo Operation not permitted; exit 1", NULL };
    struct buf out = { 0 };
    struct err err;
    assert_false(nft_run(missing, SLICE(""), &out, &err));
    assert_int_equal(err.code, ENOENT);
    assert_true(nft_run(cat, SLICE("what goes in\n"), &out, &err));
    assert_string_equal(buf_cstr(&out), "what goes in\n");
    assert_false(nft_run(fails, SLICE(""), &out, &err));
    assert_int_equal(err.code, ECHILD);
    assert_false(nft_run(refused, SLICE(""), &out, &err));
    assert_int_equal(err.code, EPERM);
    has(err.text, "sh: Operation not permitted");
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_nothing, teardown),
        cmocka_unit_test_teardown(test_redirect, teardown),
        cmocka_unit_test_teardown(test_tproxy, teardown),
        cmocka_unit_test_teardown(test_an_address, teardown),
        cmocka_unit_test_teardown(test_where_it_arrives, teardown),
        cmocka_unit_test_teardown(test_left_alone, teardown),
        cmocka_unit_test_teardown(test_zones_within_zones, teardown),
        cmocka_unit_test_teardown(test_interfaces, teardown),
        cmocka_unit_test_teardown(test_the_mark_tells_configurations_apart, teardown),
        cmocka_unit_test_teardown(test_words_that_are_none, teardown),
        cmocka_unit_test(test_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
