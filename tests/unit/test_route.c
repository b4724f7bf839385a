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
    assert_true(ip_parse(SLICE("192.0.2.200"), &routes[6].via.source4));
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
        if (!route_find(t, SLICE(""), slice_of(rcpt, strlen(rcpt)), &hop, &err)) fail_msg("%s: %s", rcpt, err.text);
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
        { "bob@partner.example", "route to", "host:partner-host.example:25", 10 },
        { "bob@PARTNER.Example", "route to", "host:partner-host.example:25", 10 },
        { "ANNA@partner.example", "route to", "host:anna.example:28", 13 },
        { "\"anna\"@partner.example", "route to", "host:anna.example:28", 13 },
        { "\"a\\nna\"@Partner.example", "route to", "host:anna.example:28", 13 },
        { "\"Odd\\ One\"@partner.example", "route to", "host:odd.example:29", 14 },
        { "\"bob@anna\"@partner.example", "route to", "host:partner-host.example:25", 10 },
        { "\"anna@partner.example\"@elsewhere.example", "mx", "mx:elsewhere.example:25", 0 },
        { "anna@x.partner.example", "route to", "host:below.example:26", 11 },
        { "anna@y.x.partner.example", "route to", "host:below.example:26", 11 },
        { "anna@deep.partner.example", "route to", "host:deep.example:27", 12 },
        { "anna@a.deep.partner.example", "route to", "host:deep.example:27", 12 },
        { "anna@tree.example", "route to", "host:tree-host.example:25", 15 },
        { "anna@bigtree.example", "mx", "mx:bigtree.example:25", 0 },
        { "anna@mail.inner.example", "route to", "host:special.example:25,source=192.0.2.200", 16 },
        { "anna@mxroute.example", "route to", "mx:hub.example:2626,tls=none", 0 },
        { "anna@mxbehind.example", "route to", "mx:other.example:25,via", 0 }, /* anna@other.example is another destination */
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
        { "anna@partner.example", "route to", "host:anna.example:28", 13 },
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

struct pair {
    const char *sender, *rcpt, *why, *key;
    uint32_t line, source_line;
};

static void check_pairs(const struct config *c, const struct pair *all, size_t n)
{
    struct route_table *t = route_table_new(c);
    for (size_t i = 0; i < n; i++) {
        struct route_hop hop;
        struct err err;
        if (!route_find(t, slice_str(all[i].sender), slice_str(all[i].rcpt), &hop, &err)) fail_msg("%s: %s", all[i].rcpt, err.text);
        if (strcmp(hop.key, all[i].key) != 0 || strcmp(hop.why, all[i].why) != 0 || hop.place.line != all[i].line ||
            hop.source_place.line != all[i].source_line)
            fail_msg("%s to %s: %s by %s, lines %u and %u; not %s by %s, %u and %u", all[i].sender, all[i].rcpt, hop.key, hop.why,
                     hop.place.line, hop.source_place.line, all[i].key, all[i].why, all[i].line, all[i].source_line);
    }
    route_table_free(t);
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    return ip;
}

static struct config_route by_both[] = {
    { .to = "example.org", .via = HOP("secondary.example", 25), .place = { 20, 5 } },
    { .from = "mydomain.example", .via = HOP("main.example", 25), .place = { 21, 5 } },
    { .from = ".mydomain.example", .via = HOP("below.example", 25), .place = { 22, 5 } },
    { .from = "boss@mydomain.example", .via = HOP("boss.example", 25), .place = { 23, 5 } },
    { .from = "news.example", .place = { 24, 5 } },                        /* from 192.0.2.24 */
    { .from = "list@news.example", .place = { 25, 5 } },                   /* from 2001:db8::25 */
    { .to = "vip@example.org", .place = { 26, 5 } },                       /* from 192.0.2.26 */
    { .to = "own.example", .place = { 27, 5 } },                           /* from 192.0.2.27 */
    { .to = ".elsewhere.example", .rewrite_sender = true, .place = { 28, 5 } }, /* from 192.0.2.28 and 2001:db8::28 */
    { .from = "sub@mydomain.example", .place = { 29, 5 } },                /* from 192.0.2.29 */
    { .from = "mydomain.example", .via = HOP("again.example", 25), .place = { 30, 5 } }, /* the first counts */
};

static void config_fill_both(struct config *c)
{
    config_fill(c);
    c->routes = by_both;
    c->route_n = countof(by_both);
    c->smarthost = (struct config_hop)HOP("smart.example", 25);
    c->smarthost.place.line = 8;
    c->smarthost.source4 = ip_of("192.0.2.8");
    by_both[4].source4 = ip_of("192.0.2.24");
    by_both[5].source6 = ip_of("2001:db8::25");
    by_both[6].source4 = ip_of("192.0.2.26");
    by_both[7].source4 = ip_of("192.0.2.27");
    by_both[8].source4 = ip_of("192.0.2.28");
    by_both[8].source6 = ip_of("2001:db8::28");
    by_both[9].source4 = ip_of("192.0.2.29");
}

static void test_senders(void **state)
{
    static const struct pair all[] = {
        { "a@mydomain.example", "b@example.org", "route to", "host:secondary.example:25", 20, 0 },
        { "boss@mydomain.example", "b@example.org", "route to", "host:secondary.example:25", 20, 0 },
        { "a@mydomain.example", "b@bar.example", "route from", "host:main.example:25", 21, 0 },
        { "a@MyDomain.Example", "b@bar.example", "route from", "host:main.example:25", 21, 0 },
        { "\"BOSS\"@mydomain.example", "b@bar.example", "route from", "host:boss.example:25", 23, 0 },
        { "a@foo.mydomain.example", "b@bar.example", "route from", "host:below.example:25", 22, 0 },
        { "a@foo.mydomain.example", "b@own.example", "domain", "host:192.0.2.7:2525,source=192.0.2.27", 3, 27 },
        { "a@mydomain.example", "b@inner.example", "mx", "mx:inner.example:25", 0, 0 }, /* a relay domain's MX */
        { "", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.8", 8, 0 },
        { "a@other.example", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.8", 8, 0 },
        { "mydomain.example", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.8", 8, 0 },
        { "a@[192.0.2.1]", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.8", 8, 0 },
        { "@", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.8", 8, 0 },
        /* without a next hop: where connections come from, family by family */
        { "a@news.example", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.24", 8, 24 },
        { "list@news.example", "b@bar.example", "smarthost", "host:smart.example:25,source=192.0.2.8,source=2001:db8::25", 8, 25 },
        { "a@news.example", "b@example.org", "route to", "host:secondary.example:25", 20, 0 },
        { "sub@mydomain.example", "b@bar.example", "route from", "host:main.example:25,source=192.0.2.29", 21, 29 },
        /* the recipient's, likewise; what the sender's route says is left out as a whole */
        { "a@mydomain.example", "vip@example.org", "route to", "host:secondary.example:25,source=192.0.2.26", 20, 26 },
        { "a@news.example", "b@own.example", "domain", "host:192.0.2.7:2525,source=192.0.2.27", 3, 27 },
        { "a@mydomain.example", "b@elsewhere.example", "smarthost", "host:smart.example:25,source=192.0.2.28,source=2001:db8::28", 8, 28 },
    };
    struct config c;
    config_fill_both(&c);
    check_pairs(&c, all, countof(all));
    c.smarthost.host = NULL;
    static const struct pair mx[] = {
        { "a@news.example", "b@bar.example", "mx", "mx:bar.example:25,source=192.0.2.24", 0, 24 },
        { "list@news.example", "b@bar.example", "mx", "mx:bar.example:25,source=2001:db8::25", 0, 25 },
        { "a@mydomain.example", "b@elsewhere.example", "mx", "mx:elsewhere.example:25,source=192.0.2.28,source=2001:db8::28", 0, 28 },
        { "", "b@bar.example", "mx", "mx:bar.example:25", 0, 0 },
    };
    check_pairs(&c, mx, countof(mx));
}

static void expect_sources(const struct config *c, const char *sender, const char *rcpt, const char *v4, const char *v6, int only)
{
    struct route_table *t = route_table_new(c);
    struct route_hop hop;
    struct err err;
    struct ip none = { 0 }, want4 = *v4 ? ip_of(v4) : none, want6 = *v6 ? ip_of(v6) : none;
    assert_true(route_find(t, slice_str(sender), slice_str(rcpt), &hop, &err));
    if (!ip_eq(&hop.source4, &want4) || !ip_eq(&hop.source6, &want6) || hop.only != only) fail_msg("%s to %s: %d", sender, rcpt, hop.only);
    route_table_free(t);
}

static void test_sources(void **state)
{
    struct config c;
    config_fill_both(&c);
    expect_sources(&c, "a@news.example", "b@bar.example", "192.0.2.24", "", 4);
    expect_sources(&c, "list@news.example", "b@bar.example", "192.0.2.8", "2001:db8::25", 0);
    expect_sources(&c, "", "b@bar.example", "192.0.2.8", "", 4);
    expect_sources(&c, "", "b@example.org", "", "", 0);
    expect_sources(&c, "", "b@own.example", "192.0.2.27", "", 4);
    c.delivery.source4 = ip_of("192.0.2.100");
    expect_sources(&c, "", "b@example.org", "192.0.2.100", "", 0); /* what holds for all mail leaves IPv6 as it is */
    expect_sources(&c, "a@news.example", "b@bar.example", "192.0.2.24", "", 4);
    c.delivery.source6 = ip_of("2001:db8::100");
    expect_sources(&c, "a@news.example", "b@bar.example", "192.0.2.24", "2001:db8::100", 0);
    c.delivery.source6 = (struct ip){ 0 };
    c.smarthost = (struct config_hop)HOP("2001:db8::9", 25);
    c.smarthost.ip = ip_of("2001:db8::9");
    expect_sources(&c, "a@news.example", "b@bar.example", "192.0.2.24", "", 0); /* there is no way but IPv6 */
    struct route_table *t = route_table_new(&c);
    struct route_hop hop;
    struct err err;
    assert_true(route_find(t, SLICE("a@mydomain.example"), SLICE("b@elsewhere.example"), &hop, &err) && hop.rewrite_sender);
    assert_true(route_find(t, SLICE("a@mydomain.example"), SLICE("b@bar.example"), &hop, &err) && !hop.rewrite_sender);
    route_table_free(t);
}

static void test_local(void **state)
{
    static char long_path[400];
    static const struct expected all[] = {
        { "a@sock.example", "route to", "lmtp:/run/Dovecot/lmtp", 0 },
        { "a@tcp.example", "route to", "lmtp:store.example:24", 0 },
        { "a@dir.example", "route to", "maildir:/var/mail/%d/%n", 0 },
    };
    struct config_route local[] = {
        { .to = "sock.example", .via = { .kind = CONFIG_HOP_LMTP, .path = "/run/Dovecot/lmtp", .host = "lmtp:/run/Dovecot/lmtp" } },
        { .to = "tcp.example", .via = { .kind = CONFIG_HOP_LMTP, .host = "store.example", .port = 24, .tls = CONFIG_CLIENT_TLS_MAY } },
        { .to = "dir.example", .via = { .kind = CONFIG_HOP_MAILDIR, .path = "/var/mail/%d/%n", .host = "maildir:/var/mail/%d/%n" } },
        { .to = "long.example", .via = { .kind = CONFIG_HOP_MAILDIR, .path = long_path, .host = long_path, .id = 3 } },
    };
    struct config c;
    config_fill(&c);
    memset(long_path, 'x', sizeof long_path - 1);
    c.routes = local;
    c.route_n = countof(local);
    check(&c, all, countof(all));
    struct route_table *t = route_table_new(&c);
    struct route_hop hop;
    struct err err;
    assert_true(route_find(t, SLICE(""), SLICE("a@long.example"), &hop, &err));
    assert_true(strlen(hop.key) < 300 && strstr(hop.key, ",hop=3"));
    route_table_free(t);
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
        assert_false(route_find(t, SLICE(""), slice_str(cases[i].rcpt), &hop, &err));
        if (!strstr(err.text, cases[i].says)) fail_msg("%s", err.text);
        assert_null(strchr(err.text, '\n'));
    }
    char huge[1000];
    memset(huge, 'a', sizeof huge);
    memcpy(huge + sizeof huge - 12, "@own.example", 12);
    assert_false(route_find(t, SLICE(""), slice_of(huge, sizeof huge), &hop, &err));
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
    assert_true(route_find(t, SLICE(""), slice_of(rcpt, sizeof rcpt), &hop, &err));
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
        assert_true(route_find(t, SLICE(""), slice_str(names[i]), &hop, &err));
        assert_int_equal(hop.place.line, i);
    }
    route_table_free(t);
    free(many);
    free(names);
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
        cmocka_unit_test(test_senders),    cmocka_unit_test(test_sources),     cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
