/* SPDX-License-Identifier: Apache-2.0
 * The resolver and the resolving half of routing against a real DNS server, and against one that never answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <cmocka.h>
#include <event2/event.h>
#include "base/clock.h"
#include "base/mem.h"
#include "dns/knot.h"
#include "net/resolver.h"
#include "net/resolver_parts.h"
#include "route/route.h"

static struct knot knot;
static struct event_base *base;

struct fixture {
    struct config config;
    struct config_listener listener;
    const char *servers[1];
    struct resolver *resolver;
    struct route_table *table;
};

static void fixture_open(struct fixture *f, const char *server, uint64_t timeout)
{
    struct err err;
    *f = (struct fixture){ .servers = { server } };
    assert_true(ip_parse(SLICE("127.0.0.1"), &f->listener.ip));
    f->listener.port = 25;
    f->config.hostname = "relay.example";
    f->config.postmaster = "postmaster@relay.example";
    f->config.listeners = &f->listener;
    f->config.listener_n = 1;
    f->config.dns.servers = f->servers;
    f->config.dns.server_n = 1;
    f->config.dns.timeout = timeout;
    f->resolver = resolver_new(base, &f->config, &err);
    assert_non_null(f->resolver);
    f->table = route_table_new(&f->config);
}

static void fixture_close(struct fixture *f)
{
    resolver_free(f->resolver);
    route_table_free(f->table);
}

/* What a callback brought, copied. */
struct outcome {
    bool came;
    struct resolver_answer dns;
    char reason[200];
    struct resolver_mx mx[64];
    struct ip ips[32];
    struct route_answer route;
    struct route_target targets[ROUTE_TARGETS_MAX];
};

static struct outcome got;

static void on_dns(void *arg, const struct resolver_answer *a)
{
    struct outcome *o = arg;
    assert_false(o->came);
    o->came = true;
    o->dns = *a;
    assert_non_null(a->reason);
    snprintf(o->reason, sizeof o->reason, "%s", a->reason);
    assert_true(a->ttl >= 1);
    if (a->mx) memcpy(o->mx, a->mx, a->n * sizeof *a->mx);
    else memcpy(o->ips, a->ips, a->n * sizeof *a->ips);
    event_base_loopbreak(base);
}

static void on_route(void *arg, const struct route_answer *a)
{
    struct outcome *o = arg;
    assert_false(o->came);
    o->came = true;
    o->route = *a;
    assert_true(a->ttl >= 1);
    if (a->n) memcpy(o->targets, a->targets, a->n * sizeof *a->targets);
    event_base_loopbreak(base);
}

static void on_any(void *arg, const struct resolver_answer *a)
{
    struct outcome *o = arg;
    assert_false(o->came);
    o->came = true;
    o->dns = *a;
    event_base_loopbreak(base);
}

static struct resolver_answer ask_mx(struct fixture *f, const char *name)
{
    got.came = false;
    resolver_mx(f->resolver, slice_str(name), on_dns, &got);
    assert_false(got.came);
    event_base_dispatch(base);
    assert_true(got.came);
    return got.dns;
}

static struct resolver_answer ask_ips(struct fixture *f, const char *name, bool ipv4, bool ipv6)
{
    got.came = false;
    resolver_addresses(f->resolver, slice_str(name), ipv4, ipv6, on_dns, &got);
    assert_false(got.came);
    event_base_dispatch(base);
    assert_true(got.came);
    return got.dns;
}

static void resolve_hop(struct fixture *f, const struct route_hop *hop)
{
    got.came = false;
    route_resolve(f->resolver, f->table, hop, on_route, &got);
    assert_false(got.came);
    event_base_dispatch(base);
    assert_true(got.came);
}

static enum route_status resolve(struct fixture *f, const char *domain)
{
    struct route_hop hop = { 0 };
    snprintf(hop.domain, sizeof hop.domain, "%s", domain);
    resolve_hop(f, &hop);
    return got.route.status;
}

/* "name=ip name=ip ..." of the targets. */
static const char *targets(void)
{
    static struct buf b;
    buf_clear(&b);
    for (size_t i = 0; i < got.route.n; i++) {
        if (i) buf_add_char(&b, ' ');
        buf_addf(&b, "%s=", got.targets[i].name);
        ip_add(&b, &got.targets[i].ip);
    }
    const char *text = buf_cstr(&b);
    static char copy[4096];
    snprintf(copy, sizeof copy, "%s", text);
    buf_deinit(&b);
    return copy;
}

static void test_mx(void **state)
{
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    assert_int_equal(ask_mx(&f, "FULL.example").status, RESOLVER_OK);
    assert_int_equal(got.dns.n, 3);
    assert_false(got.dns.secure);
    bool lower = false;
    for (int i = 0; i < 3; i++)
        if (got.mx[i].preference == 10 && strcmp(got.mx[i].name, "mx-a.example") == 0) lower = true;
    assert_true(lower);
    assert_int_equal(ask_mx(&f, "full.example").n, 3); /* from the cache, still by way of the loop */
    assert_int_equal(ask_mx(&f, "alias.example").n, 3);
    assert_int_equal(ask_mx(&f, "null.example").n, 1);
    assert_string_equal(got.mx[0].name, "");
    assert_int_equal(ask_mx(&f, "plain.example").status, RESOLVER_NODATA);
    assert_int_equal(ask_mx(&f, "nowhere.example").status, RESOLVER_NXDOMAIN);
    assert_int_equal(ask_mx(&f, "name.refused").status, RESOLVER_TEMPFAIL);
    assert_true(got.reason[0]);
    assert_int_equal(ask_mx(&f, "short.example").ttl, 1);
    fixture_close(&f);
}

static void test_hostile_mx(void **state)
{
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    assert_int_equal(ask_mx(&f, "odd.example").n, 1);
    assert_string_equal(got.mx[0].name, "mx-a.example");
    assert_int_equal(ask_mx(&f, "allodd.example").status, RESOLVER_OK);
    assert_int_equal(got.dns.n, 0);
    assert_non_null(strstr(got.reason, "characters"));
    assert_int_equal(ask_mx(&f, "number.example").n, 0);
    assert_int_equal(ask_mx(&f, "crowd.example").n, 64);
    assert_int_equal(ask_ips(&f, "many.example", true, true).n, 32);
    assert_int_equal(ask_ips(&f, "mapped.example", false, true).status, RESOLVER_NODATA);
    fixture_close(&f);
}

static void test_names(void **state)
{
    struct fixture f;
    char label[80], longname[260];
    fixture_open(&f, knot.server, 5000);
    memset(label, 'a', 64);
    snprintf(label + 64, sizeof label - 64, ".example");
    memset(longname, 'a', sizeof longname);
    for (size_t i = 50; i < 254; i += 50) longname[i] = '.';
    longname[254] = 0;
    const char *const bad[] = { "", ".", "a..example", "a b.example", "\xc3\xa4.example", "example.", label, longname };
    for (size_t i = 0; i < countof(bad); i++) {
        assert_int_equal(ask_mx(&f, bad[i]).status, RESOLVER_NXDOMAIN);
        assert_int_equal(ask_ips(&f, bad[i], true, true).status, RESOLVER_NXDOMAIN);
    }
    assert_int_equal(ask_ips(&f, "203.0.113.77", true, true).n, 1);
    assert_int_equal(got.ips[0].bytes[3], 77);
    assert_int_equal(ask_ips(&f, "2001:db8::77", true, true).n, 1);
    assert_int_equal(ask_ips(&f, "localhost", true, false).status, RESOLVER_OK);
    assert_true(ip_is_loopback(&got.ips[0]));
    fixture_close(&f);
}

static void test_addresses(void **state)
{
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    assert_int_equal(ask_ips(&f, "mx-a.example", true, true).n, 2);
    assert_int_equal(got.ips[0].family, 6);
    assert_int_equal(got.ips[1].family, 4);
    assert_int_equal(ask_ips(&f, "mx-a.example", true, false).n, 1);
    assert_int_equal(got.ips[0].family, 4);
    assert_int_equal(ask_ips(&f, "mxalias.example", true, true).n, 1);
    assert_int_equal(ask_ips(&f, "six.example", true, false).status, RESOLVER_NODATA);
    assert_int_equal(ask_ips(&f, "text.example", true, true).status, RESOLVER_NODATA);
    assert_int_equal(ask_ips(&f, "nowhere.example", true, true).status, RESOLVER_NXDOMAIN);
    fixture_close(&f);
}

static void count(void *arg, const struct resolver_answer *a)
{
    size_t *left = arg;
    assert_int_equal(a->status, RESOLVER_OK);
    if (--*left == 0) event_base_loopbreak(base);
}

static void test_many_at_once(void **state)
{
    struct fixture f;
    size_t left = 1000;
    fixture_open(&f, knot.server, 20000);
    for (size_t i = 0; i < 1000; i++)
        resolver_addresses(f.resolver, i % 2 ? SLICE("mx-a.example") : SLICE("mx-b.example"), true, true, count, &left);
    assert_int_equal(left, 1000);
    event_base_dispatch(base);
    assert_int_equal(left, 0);
    fixture_close(&f);
}

static void must_not_come(void *arg, const struct resolver_answer *a) { fail(); }
static void route_must_not_come(void *arg, const struct route_answer *a) { fail(); }

static void test_cancel(void **state)
{
    struct fixture f;
    struct resolver_query *q[300], *none = NULL;
    fixture_open(&f, knot.server, 5000);
    for (size_t i = 0; i < 300; i++) { /* some active, some waiting, some done already */
        struct slice name = i % 3 == 0 ? SLICE("mx-a.example") : i % 3 == 1 ? SLICE("203.0.113.1") : SLICE("not a name");
        q[i] = resolver_addresses(f.resolver, name, true, true, must_not_come, NULL);
    }
    for (size_t i = 0; i < 300; i++) {
        resolver_cancel(&q[i]);
        assert_null(q[i]);
    }
    resolver_cancel(&none);
    struct route_hop hop = { .domain = "full.example" };
    struct route_query *r = route_resolve(f.resolver, f.table, &hop, route_must_not_come, NULL);
    route_cancel(&r);
    assert_null(r);
    route_cancel(&r);
    assert_int_equal(ask_mx(&f, "full.example").status, RESOLVER_OK);
    fixture_close(&f);
}

static struct resolver_query *own_query;
static struct fixture *own_fixture;

static void cancels_itself(void *arg, const struct resolver_answer *a)
{
    resolver_cancel(&own_query);
    resolver_free(own_fixture->resolver); /* nothing else is under way */
    event_base_loopbreak(base);
}

static void test_free_in_callback(void **state)
{
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    own_fixture = &f;
    own_query = resolver_mx(f.resolver, SLICE("full.example"), cancels_itself, NULL);
    event_base_dispatch(base);
    assert_null(own_query);
    route_table_free(f.table);
}

/* Rdata no honest server sends. */
static void test_rdata(void **state)
{
    const struct {
        struct slice rdata;
        const char *name; /* NULL: left out */
    } cases[] = {
        { SLICE("\0\12\2mx\7example\0"), "mx.example" },
        { SLICE("\0\0\0"), "" },
        { SLICE("\0\12\2MX\0"), "mx" },
        { SLICE(""), NULL },
        { SLICE("\0\12"), NULL },
        { SLICE("\0\12\2mx"), NULL },
        { SLICE("\0\12\5mx\0"), NULL },
        { SLICE("\0\12\2mx\0\0"), NULL },
        { SLICE("\0\12\300\14"), NULL },
        { SLICE("\0\12\2m.\0"), NULL },
        { SLICE("\0\12\2m\0\0"), NULL },
        { SLICE("\0\12\2m\n\0"), NULL },
        { SLICE("\0\12\3" "127\1" "0\1" "0\1" "1\0"), NULL },
    };
    struct resolver_mx mx[RESOLVER_MX_MAX];
    struct ip ips[RESOLVER_IPS_MAX];
    for (size_t i = 0; i < countof(cases); i++) {
        char *copy = mem_slicedup(cases[i].rdata); /* so that the sanitizer sees its end */
        char *data[] = { copy, NULL };
        int len[] = { (int)cases[i].rdata.n };
        const char *odd = NULL;
        assert_int_equal(resolver_read_mx(data, len, mx, &odd), cases[i].name ? 1 : 0);
        if (cases[i].name) assert_string_equal(mx[0].name, cases[i].name);
        assert_true((odd == NULL) == (cases[i].name != NULL));
        assert_int_equal(resolver_read_ips(data, len, true, ips), 0);
        free(copy);
    }
    char big[300] = { 0 }; /* 255 bytes of one-letter labels, and two more */
    for (size_t i = 2; i < 258; i += 2) big[i] = 1, big[i + 1] = 'a';
    char *data[] = { big, NULL };
    const char *odd = NULL;
    assert_int_equal(resolver_read_mx(data, (int[]){ 259 }, mx, &odd), 0);
    big[256] = 0;
    assert_int_equal(resolver_read_mx(data, (int[]){ 257 }, mx, &odd), 1);
    assert_int_equal(strlen(mx[0].name), 253);
}

static void test_silent_server(void **state)
{
    struct fixture f;
    char server[32];
    uint16_t port;
    int fd = knot_udp(&port);
    snprintf(server, sizeof server, "127.0.0.1@%u", port);
    fixture_open(&f, server, 300);
    uint64_t begin = clock_mono_ms();
    assert_int_equal(ask_ips(&f, "mx-a.example", true, true).status, RESOLVER_TEMPFAIL);
    assert_in_range(clock_mono_ms() - begin, 250, 2000);
    assert_non_null(strstr(got.reason, "in time"));
    assert_int_equal(resolve(&f, "full.example"), ROUTE_TEMPFAIL);
    assert_non_null(strstr(got.route.reason, "MX records of full.example"));
    fixture_close(&f);
    close(fd);
}

static void test_bad_server(void **state)
{
    static const char *const bad[] = { "", "dns.example", "127.0.0.1:0", "127.0.0.1:99999", "[::1", "[::1]5353", "::1:x@53" };
    for (size_t i = 0; i < countof(bad); i++) {
        struct config c = { .dns = { .servers = (const char *[]){ bad[i] }, .server_n = 1, .timeout = 1000 } };
        struct err err = { 0 };
        assert_null(resolver_new(base, &c, &err));
        assert_non_null(strstr(err.text, "dns.servers"));
    }
}

static const char *escaped(const char *name)
{
    static char out[1200];
    char *text = resolver_escape_name(slice_str(name));
    snprintf(out, sizeof out, "%s", text ? text : "(none)");
    free(text);
    return out;
}

static void test_escaped_names(void **state)
{
    char name[300];
    assert_string_equal(escaped("Sel_1._domainkey.Example.COM"), "sel_1._domainkey.example.com");
    assert_string_equal(escaped("a+b c.\\\xff\"$"), "a\\043b\\032c.\\092\\255\\034\\036");
    assert_string_equal(escaped(""), "(none)");
    assert_string_equal(escaped("."), "(none)");
    assert_string_equal(escaped("a..b"), "(none)");
    assert_string_equal(escaped(".a"), "(none)");
    assert_string_equal(escaped("a."), "(none)");
    memset(name, '+', sizeof name);
    name[63] = name[127] = name[191] = '.';
    name[253] = 0;
    assert_int_equal(strlen(escaped(name)), 250 * 4 + 3);
    name[253] = '+';
    name[254] = 0;
    assert_string_equal(escaped(name), "(none)");
    name[64] = 0;
    name[63] = '+';
    assert_string_equal(escaped(name), "(none)");
}

static enum resolver_status ask_any(struct fixture *f, enum resolver_any what, const char *name)
{
    got.came = false;
    resolver_any(f->resolver, what, slice_str(name), on_any, &got);
    assert_false(got.came);
    event_base_dispatch(base);
    assert_true(got.came);
    return got.dns.status;
}

/* Names that are no host names, answers longer than a host has addresses. */
static void test_any(void **state)
{
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_A, "A+B c.odd.example"), RESOLVER_OK);
    assert_int_equal(got.dns.n, 1);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_TXT, "a+b c.odd.example"), RESOLVER_OK);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_AAAA, "a+b c.odd.example"), RESOLVER_NODATA);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_A, "crowd.example"), RESOLVER_OK);
    assert_int_equal(got.dns.n, 40);
    assert_int_equal(ask_ips(&f, "crowd.example", true, false).n, 32);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_MX, "full.example"), RESOLVER_OK);
    assert_int_equal(got.dns.n, 3);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_A, "192.0.2.1"), RESOLVER_TEMPFAIL); /* a question like another, which this server refuses */
    assert_int_equal(ask_any(&f, RESOLVER_ANY_TXT, "a..example"), RESOLVER_NXDOMAIN);
    assert_int_equal(ask_any(&f, RESOLVER_ANY_TXT, ""), RESOLVER_NXDOMAIN);
    fixture_close(&f);
}

static void test_txt_and_tlsa(void **state)
{
    char one[] = "\x03" "abc" "\x02" "de", cut[] = "\x09" "abc", nothing[] = "\0", tlsa[] = "\3\1\1" "digest", shorty[] = "\3\1\1";
    char *txt[] = { one, cut, nothing, NULL }, *records[] = { tlsa, shorty, NULL };
    int txt_len[] = { 7, 4, 1 }, len[] = { 9, 3 };
    struct slice out[RESOLVER_RECORDS_MAX];
    struct tls_tlsa r[RESOLVER_RECORDS_MAX];
    char *bytes;
    assert_int_equal(resolver_read_txt(txt, txt_len, out, &bytes), 2); /* a length that points behind the record is no TXT */
    assert_true(slice_eq(out[0], SLICE("abcde")));
    assert_int_equal(out[1].n, 0);
    free(bytes);
    assert_int_equal(resolver_read_tlsa(records, len, r), 1);
    assert_int_equal(r[0].usage, 3);
    assert_int_equal(r[0].n, 6);
    assert_memory_equal(r[0].data, "digest", 6);
}

static void test_targets(void **state)
{
    struct fixture f;
    bool a_first = false, b_first = false;
    fixture_open(&f, knot.server, 5000);
    for (int i = 0; i < 64 && !(a_first && b_first); i++) {
        assert_int_equal(resolve(&f, "full.example"), ROUTE_OK);
        assert_int_equal(got.route.n, 5);
        assert_string_equal(got.route.reason, "");
        assert_int_equal(got.targets[0].port, 25);
        a_first = a_first || strncmp(targets(), "mx-a.example=2001:db8::1 mx-a.example=203.0.113.1 mx-b.example=203.0.113.2 ", 75) == 0;
        b_first = b_first || strncmp(targets(), "mx-b.example=203.0.113.2 mx-a.example=2001:db8::1 mx-a.example=203.0.113.1 ", 75) == 0;
    }
    assert_true(a_first && b_first); /* equal preferences take turns */
    assert_int_equal(resolve(&f, "plain.example"), ROUTE_OK);
    assert_string_equal(targets(), "plain.example=203.0.113.10");
    assert_int_equal(resolve(&f, "six.example"), ROUTE_OK);
    assert_int_equal(resolve(&f, "alias.example"), ROUTE_OK);
    assert_int_equal(resolve(&f, "aliasmx.example"), ROUTE_OK);
    assert_string_equal(targets(), "mxalias.example=203.0.113.2");
    assert_int_equal(resolve(&f, "mixed.example"), ROUTE_OK);
    assert_int_equal(resolve(&f, "halfdead.example"), ROUTE_OK); /* one host's failure is not all's */
    f.config.delivery.family = CONFIG_FAMILY_IPV4;
    assert_int_equal(resolve(&f, "six.example"), ROUTE_NO_ADDRESS);
    assert_non_null(strstr(got.route.reason, "IPv4"));
    fixture_close(&f);
}

static void test_failures(void **state)
{
    static const struct {
        const char *domain;
        enum route_status status;
        const char *says;
    } cases[] = {
        { "nowhere.example", ROUTE_NO_SUCH_DOMAIN, "the domain nowhere.example does not exist (NXDOMAIN" },
        { "null.example", ROUTE_NULL_MX, "accepts no mail" },
        { "text.example", ROUTE_NO_ADDRESS, "neither an MX record nor" },
        { "dangling.example", ROUTE_NO_ADDRESS, "none of the MX hosts of dangling.example" },
        { "allodd.example", ROUTE_NO_ADDRESS, "no MX record of allodd.example names a host: an MX record names a host with" },
        { "unusable.example", ROUTE_NO_ADDRESS, "none of the MX hosts" },
        { "crowd.example", ROUTE_NO_ADDRESS, "none of the MX hosts" },
        { "name.refused", ROUTE_TEMPFAIL, "the MX records of name.refused could not be looked up: " },
        { "dead.example", ROUTE_TEMPFAIL, "the address of host.refused, mail host of dead.example could not" },
        { "deadself.example", ROUTE_TEMPFAIL, "host.refused" },
    };
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(resolve(&f, cases[i].domain), cases[i].status);
        if (!strstr(got.route.reason, cases[i].says)) fail_msg("%s: %s", cases[i].domain, got.route.reason);
        assert_int_equal(got.route.n, 0);
    }
    fixture_close(&f);
}

static void test_loops(void **state)
{
    struct fixture f;
    fixture_open(&f, knot.server, 5000);
    assert_int_equal(resolve(&f, "best.example"), ROUTE_LOOP);
    assert_non_null(strstr(got.route.reason, "relay.example"));
    assert_int_equal(resolve(&f, "relay.example"), ROUTE_TEMPFAIL); /* our own name, and nobody delivers there: it waits */
    assert_non_null(strstr(got.route.reason, "nobody delivers mail for relay.example here"));
    assert_int_equal(resolve(&f, "backup.example"), ROUTE_OK); /* only what is better than ourselves */
    assert_string_equal(targets(), "mx-a.example=2001:db8::1 mx-a.example=203.0.113.1");
    assert_int_equal(resolve(&f, "byaddress.example"), ROUTE_LOOP);
    assert_non_null(strstr(got.route.reason, "loop.example at 127.0.0.1 port 25"));
    f.listener.port = 2525; /* another program's port 25 on loopback is not ourselves */
    assert_int_equal(resolve(&f, "byaddress.example"), ROUTE_OK);
    assert_int_equal(got.route.n, 3);
    fixture_close(&f);
}

static void test_hops(void **state)
{
    struct fixture f;
    struct config_hop h = { .host = "127.0.0.1", .port = 25, .text = "127.0.0.1" };
    struct route_hop hop = { .hop = &h };
    fixture_open(&f, knot.server, 5000);
    assert_true(ip_parse(SLICE("127.0.0.1"), &h.ip));
    resolve_hop(&f, &hop);
    assert_int_equal(got.route.status, ROUTE_LOOP);
    h.port = 26;
    resolve_hop(&f, &hop);
    assert_int_equal(got.route.status, ROUTE_OK);
    assert_string_equal(targets(), "127.0.0.1=127.0.0.1");
    assert_int_equal(got.targets[0].port, 26);
    h.port = 25;
    f.listener.ip = (struct ip){ 0 }; /* all addresses */
    resolve_hop(&f, &hop);
    assert_int_equal(got.route.status, ROUTE_LOOP);

    h = (struct config_hop){ .host = "full.example", .port = 587, .mx = true };
    resolve_hop(&f, &hop);
    assert_int_equal(got.route.n, 5);
    assert_int_equal(got.targets[4].port, 587);
    h = (struct config_hop){ .host = "mx-a.example", .port = 587 };
    hop.only = 4;
    resolve_hop(&f, &hop);
    hop.only = 0;
    assert_string_equal(targets(), "mx-a.example=203.0.113.1"); /* the source address decides the family */
    h = (struct config_hop){ .host = "nowhere.example", .port = 25 };
    resolve_hop(&f, &hop);
    assert_int_equal(got.route.status, ROUTE_TEMPFAIL); /* the administrator's slip costs nobody's mail */
    assert_non_null(strstr(got.route.reason, "the next hop nowhere.example does not exist"));
    h = (struct config_hop){ .host = "loop.example", .port = 25 };
    resolve_hop(&f, &hop);
    assert_int_equal(got.route.status, ROUTE_LOOP);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest without_server[] = {
        cmocka_unit_test(test_rdata),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_escaped_names),
        cmocka_unit_test(test_bad_server),
    };
    const struct CMUnitTest with_server[] = {
        cmocka_unit_test(test_mx),       cmocka_unit_test(test_hostile_mx), cmocka_unit_test(test_names),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_many_at_once), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_free_in_callback), cmocka_unit_test(test_targets), cmocka_unit_test(test_txt_and_tlsa), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_loops),    cmocka_unit_test(test_hops),
    };
    base = event_base_new();
    int failed = cmocka_run_group_tests(without_server, NULL, NULL);
    if (!failed && knot_start(&knot, POSTERN_TEST_DNS)) {
        failed = cmocka_run_group_tests(with_server, NULL, NULL);
        knot_stop(&knot);
    }
    event_base_free(base);
    return failed;
}
