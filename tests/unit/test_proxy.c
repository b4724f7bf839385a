/* SPDX-License-Identifier: Apache-2.0
 * Who speaks for whom: PROXY headers, XCLIENT's attributes, the networks of providers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/crc32c.h"
#include "base/mem.h"
#include "policy/provider.h"
#include "smtp/proxy.h"

static void expect_ip(const struct ip *ip, const char *want)
{
    struct buf b = { 0 };
    ip_add(&b, ip);
    assert_string_equal(buf_cstr(&b), want);
    buf_deinit(&b);
}

/* Each shorter piece wants more; what follows is left. */
static enum proxy_result parse(struct slice whole, struct proxy_header *h)
{
    const char *why = NULL;
    struct buf b = { 0 };
    buf_add(&b, whole);
    buf_add(&b, SLICE("EHLO x\r\n"));
    enum proxy_result r = proxy_parse(buf_slice(&b), h, &why);
    for (size_t n = 0; r == PROXY_DONE && n < h->n; n++) {
        struct proxy_header part;
        assert_int_equal(proxy_parse(slice_of(b.p, n), &part, &why), PROXY_MORE);
    }
    buf_deinit(&b);
    assert_true(r != PROXY_BAD || why);
    return r;
}

static void test_v1_good(void **state)
{
    static const struct {
        const char *line, *client;
        uint16_t port;
    } good[] = {
        { "PROXY TCP4 192.0.2.1 198.51.100.9 40000 25\r\n", "192.0.2.1", 40000 },
        { "PROXY TCP4 10.0.0.1 10.0.0.2 0 0\r\n", "10.0.0.1", 0 },
        { "PROXY TCP6 2001:db8::1 ::1 65535 587\r\n", "2001:db8::1", 65535 },
        { "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", "192.0.2.1", 1 },
    };
    struct proxy_header h;
    for (size_t i = 0; i < countof(good); i++) {
        assert_int_equal(parse(slice_str(good[i].line), &h), PROXY_DONE);
        assert_int_equal(h.n, strlen(good[i].line));
        assert_true(h.named);
        expect_ip(&h.client, good[i].client);
        assert_int_equal(h.port, good[i].port);
    }
    assert_int_equal(parse(SLICE("PROXY UNKNOWN\r\n"), &h), PROXY_DONE);
    assert_false(h.named);
    assert_int_equal(parse(SLICE("PROXY UNKNOWN 1.2.3.4 what \x01 ever\r\n"), &h), PROXY_DONE);
    assert_false(h.named);
}

static void test_v1_bad(void **state)
{
    static const char *const bad[] = {
        "EHLO x\r\n", "\n", "PROXX", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY \r\n", "PROXY  UNKNOWN\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 0.0.0.0 192.0.2.2 1 2\r\n", "PROXY TCP4 224.0.0.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 255.255.255.255 192.0.2.2 1 2\r\n", "PROXY TCP6 :: ::1 1 2\r\n", "PROXY TCP6 ff02::1 ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "PROXY TCP4 192.0.2.1\r 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
    };
    struct proxy_header h;
    for (size_t i = 0; i < countof(bad); i++)
        if (parse(slice_str(bad[i]), &h) != PROXY_BAD) fail_msg("%s", bad[i]);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void v2(struct buf *b, int version, int family, struct slice body)
{
    buf_clear(b);
    buf_add(b, SLICE(SIGNATURE));
    buf_add_char(b, (char)version);
    buf_add_char(b, (char)family);
    buf_add_char(b, (char)(body.n >> 8));
    buf_add_char(b, (char)body.n);
    buf_add(b, body);
}

#define INET SLICE("\xC0\x00\x02\x01\xC6\x33\x64\x09\x9C\x40\x00\x19")

static void test_v2(void **state)
{
    struct buf b = { 0 };
    struct proxy_header h;
    v2(&b, 0x21, 0x11, INET);
    assert_int_equal(parse(buf_slice(&b), &h), PROXY_DONE);
    assert_true(h.named);
    expect_ip(&h.client, "192.0.2.1");
    assert_int_equal(h.port, 40000);
    v2(&b, 0x21, 0x21,
        SLICE("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\x9C\x40\0\x19"
                             "\x04\0\1x" "\x05\0\0"));
    assert_int_equal(parse(buf_slice(&b), &h), PROXY_DONE);
    expect_ip(&h.client, "2001:db8::1");
    v2(&b, 0x20, 0x00, SLICE(""));
    assert_int_equal(parse(buf_slice(&b), &h), PROXY_DONE);
    assert_false(h.named);
    v2(&b, 0x20, 0x11, INET); /* LOCAL with an address: passed over */
    assert_int_equal(parse(buf_slice(&b), &h), PROXY_DONE);
    assert_false(h.named);
    static const struct {
        int version, family;
        struct slice body;
    } bad[] = {
        { 0x11, 0x11, { NULL, 0 } }, { 0x22, 0x11, { NULL, 0 } }, { 0x21, 0x00, { NULL, 0 } }, /* unspecified */
        { 0x21, 0x12, { "\xC0\0\2\1\xC6\x33\x64\x09\x9C\x40\0\x19", 12 } },                    /* UDP */
        { 0x21, 0x31, { "x", 1 } },                                                             /* a Unix socket */
        { 0x21, 0x11, { "\xC0\0\2\1\xC6\x33\x64\x09\x9C\x40\0", 11 } },
        { 0x21, 0x11, { "\xC0\0\2\1\xC6\x33\x64\x09\x9C\x40\0\x19\x04\0", 14 } },
        { 0x21, 0x11, { "\xC0\0\2\1\xC6\x33\x64\x09\x9C\x40\0\x19\x04\0\2x", 16 } },
        { 0x21, 0x11, { "\xE0\0\0\1\xC6\x33\x64\x09\x9C\x40\0\x19", 12 } },
        { 0x21, 0x11, { "\xC0\0\2\1\xC6\x33\x64\x09\x9C\x40\0\x19\x03\0\4abcd", 19 } },        /* a wrong checksum */
    };
    for (size_t i = 0; i < countof(bad); i++) {
        v2(&b, bad[i].version, bad[i].family, bad[i].body);
        if (parse(buf_slice(&b), &h) != PROXY_BAD) fail_msg("number %zu", i);
    }
    v2(&b, 0x21, 0x11, SLICE(""));
    b.p[14] = 0x04, b.p[15] = 0x01; /* 1025 bytes to come */
    assert_int_equal(parse(buf_slice(&b), &h), PROXY_BAD);
    v2(&b, 0x21, 0x11, SLICE("\xC0\0\2\1\xC6\x33\x64\x09\x9C\x40\0\x19\x03\0\4\0\0\0\0\x04\0\0"));
    uint32_t sum = crc32c(0, b.p, b.n);
    for (int i = 0; i < 4; i++) b.p[16 + 15 + i] = (char)(sum >> (24 - 8 * i));
    assert_int_equal(parse(buf_slice(&b), &h), PROXY_DONE);
    buf_deinit(&b);
}

static void test_xclient(void **state)
{
    struct xclient x;
    assert_null(xclient_parse(SLICE("NAME=spike.example ADDR=192.0.2.7 PORT=40000 PROTO=ESMTP HELO=spike.example"),
        &x));
    assert_string_equal(x.name, "spike.example");
    expect_ip(&x.addr, "192.0.2.7");
    assert_int_equal(x.port, 40000);
    assert_true(x.esmtp);
    assert_null(xclient_parse(SLICE("addr=IPV6:2001:db8::1 name=[TEMPUNAVAIL] HELO=[192.0.2.1] login=joe+2B1@example.com "
                                    "DESTADDR=127.0.0.1 DESTPORT=25 REVERSE_NAME=[unavailable]"), &x));
    expect_ip(&x.addr, "2001:db8::1");
    assert_string_equal(x.name, "");
    assert_string_equal(x.helo, "[192.0.2.1]");
    assert_string_equal(x.login, "joe+1@example.com");
    assert_int_equal(x.given, XCLIENT_ADDR | XCLIENT_NAME | XCLIENT_HELO | XCLIENT_LOGIN | XCLIENT_DESTADDR |
                                  XCLIENT_DESTPORT | XCLIENT_REVERSE_NAME);
    assert_null(xclient_parse(SLICE("ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE]"), &x));
    assert_int_equal(x.addr.family, 0);
    static const char *const bad[] = {
        "", " ", "ADDR", "ADDR=", "ADDR=1", "ADDR=2001:db8::1", "ADDR=IPV6:192.0.2.1", "ADDR=0.0.0.0",
        "ADDR=IPV6:ff02::1",
        "ADDR=192.0.2.1 ", " ADDR=192.0.2.1", "ADDR=192.0.2.1  PORT=1", "ADDR=192.0.2.1 ADDR=192.0.2.1", "PORT=0",
        "PORT=65536", "PORT=x", "PROTO=LMTP", "PROTO=[UNAVAILABLE]", "HELO=a+20b", "HELO=a_b>", "HELO=+", "HELO=+4",
        "HELO=+4G", "NAME=-x", "NAME=a..b", "NAME=a+0D+0Ab", "LOGIN=+00", "LOGIN=@example.com", "LOGIN=a+E9",
        "WHO=me", "DESTADDR=x", "DESTPORT=x",
        "REVERSE_NAME=+5B", "LOGIN=\xC3\xA9",
    };
    for (size_t i = 0; i < countof(bad); i++)
        if (!xclient_parse(slice_str(bad[i]), &x)) fail_msg("%s", bad[i]);
    char text[400] = "LOGIN=";
    memset(text + 6, 'a', 256);
    assert_null(xclient_parse(slice_of(text, 6 + 255), &x));
    assert_non_null(xclient_parse(slice_of(text, 6 + 256), &x));
}

/* ---- providers */

static const char *read_spf(const char *record, struct provider_list *l, struct provider_names *names)
{
    provider_list_deinit(l);
    names->n = 0;
    return provider_read_spf(slice_str(record), l, names);
}

static void test_spf(void **state)
{
    struct provider_list l = { 0 };
    struct provider_names names = { 0 };
    struct ip in, out;
    ip_parse(SLICE("209.85.200.7"), &in);
    ip_parse(SLICE("209.86.0.1"), &out);
    assert_null(read_spf("v=spf1 include:_a.example  ip4:209.85.128.0/17 IP6:2001:4860:4000::/36 +ip4:74.125.1.2 a mx/24 "
                         "exists:%{i}.x.example include:%{d}.x a:10.0.0.1 exp=e.example ip4:209.85.129.1/17 -all "
                         "ip4:8.8.8.8 redirect=no.example", &l, &names));
    assert_int_equal(l.n, 3);
    assert_true(ip_net_has(&l.nets[0], &in));
    assert_false(ip_net_has(&l.nets[0], &out));
    assert_int_equal(l.nets[2].prefix, 32);
    assert_int_equal(names.n, 1);
    assert_string_equal(names.name[0], "_a.example");
    assert_null(read_spf("v=spf1 redirect=_b.example include:_B.example.", &l, &names));
    assert_int_equal(names.n, 1);
    assert_null(read_spf("v=spf1", &l, &names));
    assert_int_equal(l.n, 0);
    static const char *const bad[] = {
        "v=spf10 ip4:8.8.8.8", "spf2.0/pra ip4:8.8.8.8", "v=spf1 ip4:", "v=spf1 ip4", "v=spf1 ip4:x",
        "v=spf1 ip4:8.8.8.8/33",
        "v=spf1 ip4:2001:4860::/32", "v=spf1 ip6:8.8.8.8", "v=spf1 ip6:2001:4860::/129", "v=spf1 -ip4:8.8.8.8",
        "v=spf1 ~include:a.example", "v=spf1 include:", "v=spf1 include:-x", "v=spf1 ip4:8.8.8.8/255.255.255.0",
        "v=spf1 redirect=a..b",
    };
    for (size_t i = 0; i < countof(bad); i++)
        if (!read_spf(bad[i], &l, &names)) fail_msg("%s", bad[i]);
    provider_list_deinit(&l);
}

static void test_unbelieved(void **state)
{
    static const char *const nets[] = {
        "ip4:0.0.0.0/0", "ip4:8.0.0.0/8", "ip4:8.0.0.0/11", "ip4:10.1.0.0/16", "ip4:127.0.0.1", "ip4:192.168.1.1",
        "ip4:172.16.0.0/12", "ip4:192.0.0.0/16", "ip4:169.254.1.1", "ip4:224.0.0.1", "ip4:100.64.0.0/24", "ip6:::/0",
        "ip6:2000::/18", "ip6:::1", "ip6:fe80::1", "ip6:fc00::/32", "ip6:2001:db8::/32", "ip6:2002::/32",
        "ip6:::ffff:8.8.8.8",
        "ip6:64:ff9b::/96",
    };
    struct provider_list l = { 0 };
    struct provider_names names = { 0 };
    char text[100];
    for (size_t i = 0; i < countof(nets); i++) {
        snprintf(text, sizeof text, "v=spf1 %s -all", nets[i]);
        assert_null(read_spf(text, &l, &names));
        if (l.n || l.left_out != 1) fail_msg("%s was believed", nets[i]);
    }
    assert_null(read_spf("v=spf1 ip4:40.92.0.0/15 ip4:52.100.0.0/14 ip4:8.16.0.0/12 ip6:2a01:111:f400::/48", &l,
        &names));
    assert_int_equal(l.n, 4);
    provider_list_deinit(&l);
}

static void test_bounds(void **state)
{
    struct provider_list l = { 0 };
    struct provider_names names = { 0 };
    struct buf b = { 0 };
    buf_add_str(&b, "v=spf1");
    for (unsigned i = 0; i < PROVIDER_NETWORKS_MAX; i++) buf_addf(&b, " ip4:8.8.%u.%u", i / 256, i % 256);
    assert_null(read_spf(buf_cstr(&b), &l, &names));
    assert_int_equal(l.n, PROVIDER_NETWORKS_MAX);
    buf_add_str(&b, " ip4:8.9.0.0");
    assert_non_null(read_spf(buf_cstr(&b), &l, &names));
    buf_clear(&b);
    buf_add_str(&b, "v=spf1");
    for (unsigned i = 0; i < PROVIDER_LOOKUPS_MAX; i++) buf_addf(&b, " include:a%u.example", i);
    assert_null(read_spf(buf_cstr(&b), &l, &names));
    buf_add_str(&b, " redirect=one.more.example");
    assert_non_null(read_spf(buf_cstr(&b), &l, &names));
    provider_list_deinit(&l);
    buf_deinit(&b);
}

static void test_file(void **state)
{
    struct provider_list l = { 0 }, again;
    struct provider_names names = { 0 };
    struct buf b = { 0 };
    uint64_t when = 0;
    assert_null(read_spf("v=spf1 ip4:209.85.128.0/17 ip6:2a01:111:f400::/48", &l, &names));
    provider_list_format(&l, "google", 1795310000123, &b);
    assert_true(provider_list_parse(buf_slice(&b), "google", &again, &when));
    assert_int_equal(when, 1795310000123);
    assert_int_equal(again.n, 2);
    provider_list_deinit(&again);
    assert_false(provider_list_parse(buf_slice(&b), "microsoft365", &again, &when));
    for (size_t n = 0; n < b.n; n++) assert_false(provider_list_parse(slice_of(b.p, n), "google", &again, &when));
    assert_false(provider_list_parse(SLICE("postern provider networks 1\ngoogle 1\n10.0.0.0/8\nend\n"), "google",
        &again,
                                     &when));
    assert_false(provider_list_parse(SLICE("postern provider networks 1\ngoogle 1\nend\n"), "google", &again, &when));
    provider_list_deinit(&l);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1_good), cmocka_unit_test(test_v1_bad), cmocka_unit_test(test_v2),
        cmocka_unit_test(test_xclient), cmocka_unit_test(test_spf),    cmocka_unit_test(test_unbelieved),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
