/* SPDX-License-Identifier: Apache-2.0
 * The next hop of a recipient by configuration alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "route/table.h"

#define HOP(h, p) { .host = h, .port = p, .text = h, .tls = CONFIG_CLIENT_TLS_MAY }

static struct config_route routes[] = {
    { .to = "partner.example", .via = HOP("partner-host.example", 25), .place = { 10, 5 } },
    { .to = ".partner.example", .via = HOP("below.example", 26), .place = { 11, 5 } },
    { .to = ".deep.partner.example", .via = HOP("deep.example", 27), .place = { 12, 5 } },
    { .to = "anna@partner.example", .via = HOP("anna.example", 28), .place = { 13, 5 } },
    { .to = "\"odd one\"@partner.example", .via = HOP("odd.example", 29), .place = { 14, 5 } },
    { .to = ".tree.example", .via = HOP("tree-host.example", 25), .place = { 15, 5 } },
    { .to = "mail.inner.example", .via = HOP("special.example", 25), .place = { 16, 5 } },
    { .to = "mxroute.example", .via = { .host = "Hub.Example", .port = 2626, .mx = true, .tls = CONFIG_CLIENT_TLS_NONE } },
    { .to = "partner.example", .via = HOP("second.example", 25) },
    { .to = "mxbehind.example", .via = { .host = "Other.Example", .port = 25, .mx = true, .tls = CONFIG_CLIENT_TLS_MAY } },
};

static struct config_domain domains[] = {
    { .name = "own.example", .deliver = HOP("192.0.2.7", 2525), .place = { 3, 3 } },
    { .name = "inner.example", .subdomains = true, .place = { 4, 3 } },
    { .name = "six.example", .deliver = HOP("2001:db8::7", 25), .place = { 5, 3 } },
};

static void config_fill(struct config *c)
{
    *c = (struct config){ .hostname = "relay.example", .postmaster = "postmaster@own.example", .routes = routes,
                          .route_n = countof(routes), .domains = domains, .domain_n = countof(domains) };
    c->delivery.tls = CONFIG_CLIENT_TLS_MAY;
    assert_true(ip_parse(SLICE("192.0.2.7"), &domains[0].deliver.ip));
    assert_true(ip_parse(SLICE("2001:db8::7"), &domains[2].deliver.ip));
    assert_true(ip_parse(SLICE("192.0.2.200"), &routes[6].via.source));
}

struct expected {
    const char *rcpt, *why, *key;
    uint32_t line;
};

static void check(const struct config *c, const struct expected *all, size_t n)
{
    struct route_table *t = route_table_new(c);
    for (size_t i = 0; i < n; i++) {
        struct route_hop hop;
        struct err err;
        char *rcpt = mem_slicedup(slice_str(all[i].rcpt));
        if (!route_find(t, slice_of(rcpt, strlen(rcpt)), &hop, &err)) fail_msg("%s: %s", rcpt, err.text);
        if (strcmp(hop.key, all[i].key) != 0 || strcmp(hop.why, all[i].why) != 0)
            fail_msg("%s: %s by %s, not %s by %s", rcpt, hop.key, hop.why, all[i].key, all[i].why);
        assert_int_equal(hop.place.line, all[i].line);
        assert_true((hop.hop == NULL) == (hop.domain[0] != 0));
        free(rcpt);
    }
    route_table_free(t);
}

static void test_order(void **state)
{
    static const struct expected all[] = {
        { "bob@partner.example", "route", "host:partner-host.example:25", 10 },
        { "bob@PARTNER.Example", "route", "host:partner-host.example:25", 10 },
        { "ANNA@partner.example", "route", "host:anna.example:28", 13 },
        { "\"anna\"@partner.example", "route", "host:anna.example:28", 13 },
        { "\"a\\nna\"@Partner.example", "route", "host:anna.example:28", 13 },
        { "\"Odd\\ One\"@partner.example", "route", "host:odd.example:29", 14 },
        { "\"bob@anna\"@partner.example", "route", "host:partner-host.example:25", 10 },
        { "\"anna@partner.example\"@elsewhere.example", "mx", "mx:elsewhere.example:25", 0 },
        { "anna@x.partner.example", "route", "host:below.example:26", 11 },
        { "anna@y.x.partner.example", "route", "host:below.example:26", 11 },
        { "anna@deep.partner.example", "route", "host:deep.example:27", 12 },
        { "anna@a.deep.partner.example", "route", "host:deep.example:27", 12 },
        { "anna@tree.example", "route", "host:tree-host.example:25", 15 },
        { "anna@bigtree.example", "mx", "mx:bigtree.example:25", 0 },
        { "anna@mail.inner.example", "route", "host:special.example:25,source=192.0.2.200", 16 },
        { "anna@mxroute.example", "route", "mx:hub.example:2626,tls=none", 0 },
        { "anna@mxbehind.example", "route", "mx:other.example:25,via", 0 }, /* anna@other.example is another destination */
        { "anna@own.example", "domain", "host:192.0.2.7:2525", 3 },
        { "anna@sub.own.example", "mx", "mx:sub.own.example:25", 0 },
        { "anna@six.example", "domain", "host:[2001:db8::7]:25", 5 },
        { "anna@inner.example", "mx", "mx:inner.example:25", 0 }, /* no inner host: the relay domain's MX */
        { "anna@other.example", "mx", "mx:other.example:25", 0 },
        { "anna@Other.EXAMPLE", "mx", "mx:other.example:25", 0 },
        { "PostMaster", "domain", "host:192.0.2.7:2525", 3 },
    };
    struct config c;
    config_fill(&c);
    check(&c, all, countof(all));
}

static void test_defaults(void **state)
{
    static const struct expected all[] = {
        { "anna@inner.example", "inner_host", "host:inside.example:25", 7 },
        { "anna@a.b.inner.example", "inner_host", "host:inside.example:25", 7 },
        { "anna@own.example", "domain", "host:192.0.2.7:2525", 3 },
        { "anna@sub.own.example", "smarthost", "mx:smart.example:587", 8 },
        { "anna@other.example", "smarthost", "mx:smart.example:587", 8 },
        { "anna@partner.example", "route", "host:anna.example:28", 13 },
    };
    struct config c;
    config_fill(&c);
    c.inner_host = (struct config_hop){ .host = "inside.example", .port = 25, .tls = CONFIG_CLIENT_TLS_MAY, .place = { 7, 1 } };
    c.smarthost = (struct config_hop){ .host = "smart.example", .port = 587, .mx = true, .tls = CONFIG_CLIENT_TLS_MAY,
                                       .place = { 8, 1 } };
    check(&c, all, countof(all));
    c.inner_host.host = NULL; /* a relay domain never falls to the smarthost */
    static const struct expected own = { "anna@inner.example", "mx", "mx:inner.example:25", 0 };
    check(&c, &own, 1);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *rcpt, *says;
    } cases[] = {
        { "", "empty" },
        { "anna", "no domain" },
        { "@own.example", "no local part" },
        { "anna@[192.0.2.1]", "address literals are not relayed" },
        { "anna@[IPv6:2001:db8::1]", "address literals are not relayed" },
        { "anna@", "not a domain name" },
        { "anna@own..example", "not a domain name" },
        { "anna@own.example.", "not a domain name" },
        { "anna@own example\r\n", "not a domain name" },
    };
    struct config c;
    config_fill(&c);
    struct route_table *t = route_table_new(&c);
    struct route_hop hop;
    struct err err;
    for (size_t i = 0; i < countof(cases); i++) {
        assert_false(route_find(t, slice_str(cases[i].rcpt), &hop, &err));
        if (!strstr(err.text, cases[i].says)) fail_msg("%s", err.text);
        assert_null(strchr(err.text, '\n'));
    }
    char huge[1000];
    memset(huge, 'a', sizeof huge);
    memcpy(huge + sizeof huge - 12, "@own.example", 12);
    assert_false(route_find(t, slice_of(huge, sizeof huge), &hop, &err));
    assert_non_null(strstr(err.text, "too long"));
    route_table_free(t);
}

static void test_long_names(void **state)
{
    struct config c;
    config_fill(&c);
    struct route_table *t = route_table_new(&c);
    struct route_hop hop;
    struct err err;
    char rcpt[64 + 1 + 255]; /* the longest there is, of as many labels as fit */
    memset(rcpt, 'x', 64);
    rcpt[64] = '@';
    for (size_t i = 0; i < 255; i++) rcpt[65 + i] = i % 2 ? '.' : 'd';
    assert_true(route_find(t, slice_of(rcpt, sizeof rcpt), &hop, &err));
    assert_int_equal(strlen(hop.domain), 255);
    assert_int_equal(strlen(hop.key), 255 + 6);
    route_table_free(t);
}

static void test_many_routes(void **state)
{
    enum { N = 5000 };
    struct config c;
    config_fill(&c);
    struct config_route *many = mem_zalloc(N * sizeof *many);
    char (*names)[32] = mem_zalloc(N * sizeof *names);
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "user%zu@many.example", i);
        many[i] = (struct config_route){ .to = names[i], .via = HOP("host.example", 25), .place = { (uint32_t)i, 1 } };
    }
    c.routes = many;
    c.route_n = N;
    struct route_table *t = route_table_new(&c);
    for (size_t i = 0; i < N; i++) {
        struct route_hop hop;
        struct err err;
        assert_true(route_find(t, slice_str(names[i]), &hop, &err));
        assert_int_equal(hop.place.line, i);
    }
    route_table_free(t);
    free(many);
    free(names);
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    return ip;
}

static void test_self(void **state)
{
    struct config_listener listeners[] = {
        { .ip = ip_of("127.0.0.1"), .port = 2525 },
        { .ip = ip_of("192.0.2.50"), .port = 25 },
        { .port = 587 },                          /* every address */
        { .ip = ip_of("0.0.0.0"), .port = 26 },   /* every IPv4 address */
    };
    struct ip own[] = { ip_of("192.0.2.50"), ip_of("192.0.2.51"), ip_of("2001:db8::50") };
    struct config c = { .listeners = listeners, .listener_n = countof(listeners) };
    struct route_table t = { .config = &c, .own = own, .own_n = countof(own) };
    static const struct {
        const char *ip;
        uint16_t port;
        bool listener, self;
    } cases[] = {
        { "127.0.0.1", 2525, true, true },    { "127.0.0.2", 2525, false, false }, { "127.0.0.1", 25, false, false },
        { "127.0.0.2", 587, true, true },     { "::1", 587, true, true },          { "::1", 26, false, false },
        { "192.0.2.50", 25, true, true },     { "192.0.2.51", 25, false, true },   { "192.0.2.51", 587, true, true },
        { "192.0.2.51", 2525, false, true },  { "192.0.2.51", 2526, false, false }, { "2001:db8::50", 25, false, true },
        { "2001:db8::50", 26, false, true },  { "192.0.2.52", 25, false, false },  { "198.51.100.1", 587, false, false },
        { "0.0.0.0", 26, true, true },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct ip ip = ip_of(cases[i].ip);
        if (route_is_listener(&t, &ip, cases[i].port) != cases[i].listener || route_is_self(&t, &ip, cases[i].port) != cases[i].self)
            fail_msg("%s port %u", cases[i].ip, cases[i].port);
    }
    static const char *const unusable[] = { "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1" };
    for (size_t i = 0; i < countof(unusable); i++) {
        struct ip ip = ip_of(unusable[i]);
        assert_true(route_is_unusable(&ip));
    }
    assert_false(route_is_unusable(&own[0]));
    assert_false(route_is_unusable(&own[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),      cmocka_unit_test(test_defaults),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_many_routes), cmocka_unit_test(test_self),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
