/* SPDX-License-Identifier: Apache-2.0
 * The checks that ask the DNS, against a name server within the test: lists, names of clients, domains of addresses, EHLO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include "base/clock.h"
#include "base/mem.h"
#include "config/dns_catalogue.h"
#include "dns/answering.h"
#include "net/resolver.h"
#include "policy/checks.h"
#include "policy/dns_lists.h"
#include "config/list.h"
#include "policy/pipeline.h"
#include "route/expand.h"

#define V6 "8.b.d.0.1.0.0.2.ip6.arpa" /* of 2001:db8::/32 */
#define ZEROS "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
#define MAPPED "0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
#define LIST(zone) { "2.0.0.127." zone, DNS_A, "127.0.0.2" }, { "test." zone, DNS_A, "127.0.0.2" }

/* ---- a run of some rows */

static struct config_match exempt[] = { { .match = "192.0.2.99" }, { .match = "exempt.example" } };
bool check_wants_reverse(const struct policy *p) { return p->reverse; }
bool check_wants_reverse_now(const struct check_call *c) { return true; }
bool expand_is_ours(const struct expander *x, struct slice domain)
{
    return slice_ieq(domain, SLICE("ours.example")) || slice_ieq(domain, SLICE("mx.relay.example"));
}

static const struct check *const rows[] = { &check_reverse_name,     &check_reverse_dns,
                                            &check_dns_lists_client, &check_helo,
                                            &check_dns_lists_helo,   &check_sender,
                                            &check_dns_lists_sender, &check_recipient };

struct fixture {
    struct event_base *base;
    struct answering dns;
    const char *servers[1];
    struct config config;
    struct config_zone zone;
    struct config_domain domain;
    struct config_route routes[3];
    struct config_dns_list lists[4];
    struct policy policy;
    const struct check *checks[countof(rows)];
    struct policy_engine engine;
    struct policy_run *run;
    struct policy_verdict v;
    bool answered, dry;
    char text[500], why[300];
};

static void open_dns(struct fixture *f, const struct dns_record *records)
{
    *f = (struct fixture){ .base = event_base_new() };
    answering_open(&f->dns, f->base, records);
    f->servers[0] = f->dns.server;
    f->config.hostname = "mx.relay.example";
    f->config.dns.servers = f->servers;
    f->config.dns.server_n = 1;
    f->config.dns.timeout = 2000;
    f->config.checks.delay_reject = true;
    f->config.checks.dns_lists.timeout = 1500;
    f->config.checks.dns_lists.off_for = 300;
    f->config.checks.dns_lists.lists = f->lists;
    f->config.domains = &f->domain;
    f->config.domain_n = 1;
    f->domain.name = "ours.example";
    f->config.routes = f->routes;
    f->config.route_n = countof(f->routes);
    f->routes[0].to = "routed.internal";
    f->routes[1].to = ".below.internal";
    f->routes[2].to = "one@single.internal";
}

static void add_list(struct fixture *f, const char *zone, uint32_t of, enum config_dns_list_action action,
                     uint32_t weight)
{
    f->lists[f->config.checks.dns_lists.n++] = (struct config_dns_list){
        .zone = zone, .of = of, .action = action, .weight = weight, .enabled = true, .test = true, .place = { 7, 1 }
    };
}

/* The rows that the configuration wants, and the worker. */
static void begin(struct fixture *f)
{
    struct policy *p = &f->policy;
    struct err err;
    unsigned stage = 0;
    p->config = &f->config;
    p->lists.reverse_exempt = list_new(&(struct config_match_list){ exempt, countof(exempt) }, LIST_OF_CLIENTS, NULL, &err);
    assert_non_null(p->lists.reverse_exempt);
    p->reverse = f->config.checks.reverse_dns.enabled;
    for (size_t i = 0; i < f->config.checks.dns_lists.n; i++) p->reverse |= f->lists[i].of & CONFIG_DNS_LIST_REVERSE;
    p->checks = f->checks;
    for (size_t i = 0; i < countof(rows); i++) {
        while (stage < rows[i]->stage) p->from[++stage] = p->n;
        if (rows[i]->wanted(&f->config, p)) f->checks[p->n++] = rows[i];
    }
    while (stage < STAGES) p->from[++stage] = p->n;
    f->engine.o = (struct policy_engine_options){ .base = f->base, .config = &f->config, .policy = p };
    f->engine.o.resolver = resolver_new(f->base, &f->config, &err);
    assert_non_null(f->engine.o.resolver);
    f->engine.counts = mem_zalloc((p->n + 1) * sizeof *f->engine.counts);
    f->engine.places = mem_zalloc((p->n + 1) * sizeof *f->engine.places);
    f->engine.parts.dns_lists = dns_lists_new(&f->engine.o);
}

static void turn(struct fixture *f, unsigned ms)
{
    for (uint64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;) {
        struct timeval at = { 0, 5000 };
        event_base_loopexit(f->base, &at);
        event_base_dispatch(f->base);
    }
}

static bool is_any(const struct fixture *f, enum dns_list_state state)
{
    const struct dns_list *l;
    for (size_t i = 0; (l = dns_lists_at(f->engine.parts.dns_lists, i)); i++)
        if (dns_list_state(l) == state) return true;
    return false;
}

/* Until no list is in that state any more; at most 20 s. */
static void turn_while(struct fixture *f, enum dns_list_state state)
{
    for (uint64_t end = clock_mono_ms() + 20000; is_any(f, state) && clock_mono_ms() < end;) turn(f, 5);
}

/* The same, and the lists have passed their tests. */
static void begin_tested(struct fixture *f)
{
    begin(f);
    turn_while(f, DNS_LIST_UNKNOWN);
}

static void close_dns(struct fixture *f)
{
    policy_run_free(&f->run);
    dns_lists_free(f->engine.parts.dns_lists);
    resolver_free(f->engine.o.resolver);
    free(f->engine.counts);
    free(f->engine.places);
    list_free((struct list_match *)f->policy.lists.reverse_exempt);
    answering_close(&f->dns);
    event_base_free(f->base);
}

static void on_verdict(void *arg, const struct policy_verdict *v)
{
    struct fixture *f = arg;
    f->v = *v;
    f->answered = true;
    event_base_loopbreak(f->base);
}

static void ask(struct fixture *f, enum policy_stage stage)
{
    f->answered = false;
    policy_ask(f->run, stage, &f->v, on_verdict, f);
    if (f->v.outcome == POLICY_WAIT)
        while (!f->answered) event_base_loop(f->base, EVLOOP_ONCE);
    snprintf(f->text, sizeof f->text, "%s", f->v.text);
    snprintf(f->why, sizeof f->why, "%s", f->v.why);
}

static void connect_from(struct fixture *f, const char *ip)
{
    struct policy_client c = { .zone = &f->zone };
    assert_true(ip_parse(slice_str(ip), &c.ip));
    policy_run_free(&f->run);
    f->run = policy_run_new(&f->engine, &c, f->dry);
    ask(f, STAGE_CONNECT);
    assert_int_equal(f->v.outcome, POLICY_PASS);
}

static enum policy_outcome mail(struct fixture *f, const char *ip, const char *helo, const char *sender,
                                const char *rcpt)
{
    struct address from = { .text = slice_str("") }, to;
    connect_from(f, ip);
    policy_set_helo(f->run, slice_str(helo));
    ask(f, STAGE_HELO);
    if (sender[0]) assert_null(address_parse(slice_str(sender), &from));
    policy_set_sender(f->run, &from);
    ask(f, STAGE_MAIL);
    assert_null(address_parse(slice_str(rcpt), &to));
    policy_set_recipient(f->run, &to, 0);
    ask(f, STAGE_RCPT);
    return f->v.outcome;
}

static enum policy_outcome client(struct fixture *f, const char *ip)
{
    return mail(f, ip, "h.good.example", "a@good.example", "u@ours.example");
}

/* What the row says of the last run. */
static const struct slot *slot(struct fixture *f, const struct check *k)
{
    for (size_t i = 0; i < f->policy.n; i++)
        if (f->checks[i] == k) return &f->run->slots[i];
    abort();
}
static const char *why_of(struct fixture *f, const struct check *k)
{
    const struct slot *s = slot(f, k);
    return s->finding ? s->finding->why : "";
}

static json_t *figures(struct fixture *f, const char *key)
{
    json_t *all = dns_lists_figures(f->engine.parts.dns_lists);
    json_t *v = json_incref(json_object_get(json_array_get(all, 0), key));
    json_decref(all);
    return v;
}
static bool state_is(struct fixture *f, const char *state)
{
    json_t *v = figures(f, "state");
    bool same = !strcmp(json_string_value(v), state);
    json_decref(v);
    return same;
}

/* ---- answers, catalogue */

static bool has(const struct dns_answers *a, const char *ip)
{
    struct ip it;
    assert_true(ip_parse(slice_str(ip), &it));
    return dns_answers_has(a, &it);
}

static void test_answers(void **state)
{
    struct dns_answers a = { .n = 0 }, all = { .n = 0 };
    assert_null(dns_answers_add(&a, SLICE("127.0.0.2-127.0.0.11")));
    assert_null(dns_answers_add(&a, SLICE(" 127.0.1.7 ")));
    assert_null(dns_answers_add(&a, SLICE("127.9.0.0/16")));
    static const char *const in[] = { "127.0.0.2", "127.0.0.11", "127.0.1.7", "127.9.0.0", "127.9.255.255" };
    static const char *const out[] = { "127.0.0.1", "127.0.0.12", "127.0.1.6", "127.8.255.255", "127.10.0.0", "128.0.0.2", "::1" };
    for (size_t i = 0; i < countof(in); i++) assert_true(has(&a, in[i]));
    for (size_t i = 0; i < countof(out); i++) assert_false(has(&a, out[i]));
    static const char *const never[] = { "127.255.255.0", "127.255.255.254", "126.255.255.255", "128.0.0.0", "192.0.2.1" };
    for (size_t i = 0; i < countof(never); i++) assert_false(has(&all, never[i]));
    assert_true(has(&all, "127.255.254.255"));
    assert_null(dns_answers_add(&a, SLICE("127.0.0.0/8")));
    assert_false(has(&a, "127.255.255.255"));
    static const char *const bad[] = { "",
                                       "x",
                                       "127.0.0.2-",
                                       "-127.0.0.2",
                                       "127.0.0.3-127.0.0.2",
                                       "192.0.2.1",
                                       "127.0.0.2-128.0.0.1",
                                       "126.0.0.0/7",
                                       "::1",
                                       "127.255.255.254",
                                       "127.0.0.2-127.0.0.3-127.0.0.4",
                                       "0.0.0.0/0" };
    for (size_t i = 0; i < countof(bad); i++) assert_non_null(dns_answers_add(&a, slice_str(bad[i])));
    while (a.n < DNS_ANSWERS_MAX) assert_null(dns_answers_add(&a, SLICE("127.0.0.2")));
    assert_non_null(dns_answers_add(&a, SLICE("127.0.0.2")));
}

static void test_catalogue(void **state)
{
    const struct dns_catalogue_entry *e;
    for (size_t i = 0; (e = dns_catalogue_at(i)); i++) {
        struct dns_answers a = { .n = 0 };
        struct slice rest = slice_str(e->answers), one;
        bool more = e->answers;
        assert_ptr_equal(dns_catalogue_find(e->zone), e);
        assert_true(address_domain_ok(slice_str(e->zone), true));
        assert_true(e->of && (e->home || e->closed));
        while (more) {
            more = slice_cut(&rest, ',', &one);
            assert_null(dns_answers_add(&a, one));
        }
    }
    assert_non_null(dns_catalogue_find("ZEN.spamhaus.org"));
    assert_non_null(dns_catalogue_find("spam.dnsbl.sorbs.net")->closed);
    assert_null(dns_catalogue_find("xdnsbl.sorbs.net"));
    assert_null(dns_catalogue_find("bl.example"));
}

/* ---- lists */

static const struct dns_record list_records[] = {
    LIST("bl.example"), LIST("two.example"), LIST("wl.example"), LIST("dbl.example"),
    { "2." MAPPED "bl.example", DNS_A, "127.0.0.2" },
    { "7.2.0.192.bl.example", DNS_A, "127.0.0.4" },
    { "7.2.0.192.bl.example", DNS_TXT, "Bad \xc3\xa4 \x01 host" },
    { "8.2.0.192.bl.example", DNS_A, "127.255.255.254" },
    { "9.2.0.192.bl.example", DNS_A, "203.0.113.1" },
    { "10.2.0.192.bl.example", DNS_A, "SERVFAIL" },
    { "12.2.0.192.bl.example", DNS_A, "127.0.0.11" },
    { "13.2.0.192.bl.example", DNS_A, "127.0.0.12" },
    { "14.2.0.192.bl.example", DNS_A, "127.0.0.4" }, { "14.2.0.192.wl.example", DNS_A, "127.0.5.1" },
    { "15.2.0.192.bl.example", DNS_A, "127.0.0.2" }, { "15.2.0.192.two.example", DNS_A, "127.0.0.2" },
    { "16.2.0.192.wl.example", DNS_A, "127.0.5.1" },
    { "17.2.0.192.bl.example", DNS_A, "127.0.0.2" }, { "17.2.0.192.bl.example", DNS_A, "127.255.255.252" },
    { "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example", DNS_A, "127.0.0.3" },
    { "spammer.example.dbl.example", DNS_A, "127.0.1.2" },
    { "1.2.0.192.in-addr.arpa", DNS_PTR, "host.spammer.example" }, { "host.spammer.example", DNS_A, "192.0.2.1" },
    { "2.2.0.192.in-addr.arpa", DNS_PTR, "host.spammer.example" },
    { "host.spammer.example.dbl.example", DNS_A, "127.0.1.2" },
    { NULL },
};

static void test_client_list(void **state)
{
    struct fixture f;
    open_dns(&f, list_records);
    add_list(&f, "bl.example", 0, CONFIG_DNS_LIST_REJECT, 1);
    f.lists[0].home = "https://bl.example/";
    static const char *answers[] = { "127.0.0.2-127.0.0.11" };
    f.lists[0].answers = answers;
    f.lists[0].answer_n = 1;
    begin(&f);
    assert_true(state_is(&f, "unknown"));
    turn_while(&f, DNS_LIST_UNKNOWN);
    assert_true(state_is(&f, "up"));
    assert_int_equal(client(&f, "192.0.2.6"), POLICY_PASS);
    assert_non_null(strstr(why_of(&f, &check_dns_lists_client), "not listed in 1"));
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_REJECT);
    assert_int_equal(f.v.code, 554);
    assert_string_equal(f.v.enhanced, "5.7.1");
    assert_string_equal(f.text, "192.0.2.7 is listed in bl.example: Bad ?? ? host; see https://bl.example/");
    assert_string_equal(f.why, "listed in bl.example: 127.0.0.4");
    assert_int_equal(f.v.place.line, 7);
    static const char *const passes[] = { "192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.13", "192.0.2.17", "2001:db8::2" };
    for (size_t i = 0; i < countof(passes); i++) assert_int_equal(client(&f, passes[i]), POLICY_PASS);
    assert_int_equal(client(&f, "192.0.2.12"), POLICY_REJECT);
    assert_int_equal(client(&f, "2001:db8::1"), POLICY_REJECT);
    json_t *listed = figures(&f, "listed"), *failed = figures(&f, "failed");
    assert_int_equal(json_integer_value(listed), 3);
    assert_int_equal(json_integer_value(failed), 4);
    json_decref(listed);
    json_decref(failed);
    f.zone.trust = CONFIG_TRUST_RELAY;
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_PASS);
    f.zone.trust = 0;
    f.dry = true;
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_REJECT);
    listed = figures(&f, "listed");
    assert_int_equal(json_integer_value(listed), 3);
    json_decref(listed);
    close_dns(&f);
}

static void test_allow_list(void **state)
{
    struct fixture f;
    open_dns(&f, list_records);
    add_list(&f, "bl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_REJECT, 1);
    add_list(&f, "wl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_ALLOW, 1);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_REJECT, 1);
    begin_tested(&f);
    assert_int_equal(client(&f, "192.0.2.14"), POLICY_PASS);
    assert_int_equal(slot(&f, &check_dns_lists_client)->outcome, POLICY_ALLOW);
    assert_true(run_allowed(f.run, STAGE_DATA) & ALLOW_LISTED);
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_REJECT);
    assert_int_equal(mail(&f, "192.0.2.6", "h.example", "a@spammer.example", "u@ours.example"), POLICY_REJECT);
    assert_string_equal(f.text, "spammer.example is listed in dbl.example");
    assert_int_equal(mail(&f, "192.0.2.16", "h.example", "a@spammer.example", "u@ours.example"), POLICY_PASS);
    close_dns(&f);
}

static void test_names(void **state)
{
    struct fixture f;
    open_dns(&f, list_records);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_HELO | CONFIG_DNS_LIST_SENDER | CONFIG_DNS_LIST_REVERSE,
             CONFIG_DNS_LIST_REJECT, 1);
    begin_tested(&f);
    assert_int_equal(mail(&f, "192.0.2.6", "Spammer.Example", "a@good.example", "u@ours.example"), POLICY_REJECT);
    assert_string_equal(f.v.check, "dns-lists-helo");
    assert_int_equal(mail(&f, "192.0.2.6", "[192.0.2.6]", "", "u@ours.example"), POLICY_PASS);
    assert_int_equal(mail(&f, "192.0.2.6", "192.0.2.6", "a@[192.0.2.6]", "u@ours.example"), POLICY_PASS);
    assert_int_equal(mail(&f, "192.0.2.6", "h.good.example", "a@SPAMMER.example", "u@ours.example"), POLICY_REJECT);
    assert_string_equal(f.v.check, "dns-lists-sender");
    assert_int_equal(client(&f, "192.0.2.1"), POLICY_REJECT); /* its name leads back to it */
    assert_string_equal(f.text, "host.spammer.example is listed in dbl.example");
    assert_int_equal(client(&f, "192.0.2.2"), POLICY_PASS);   /* this one's does not */
    close_dns(&f);
}

static void test_score(void **state)
{
    struct fixture f;
    open_dns(&f, list_records);
    add_list(&f, "bl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_SCORE, 3);
    add_list(&f, "two.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_SCORE, 2);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_SCORE, 2);
    f.config.checks.dns_lists.threshold = 5;
    begin_tested(&f);
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_PASS);
    assert_int_equal(policy_score(f.run), 3);
    assert_string_equal(why_of(&f, &check_dns_lists_client), "listed in bl.example: 127.0.0.4 (weight 3); 3 of 5");
    assert_int_equal(client(&f, "192.0.2.15"), POLICY_REJECT);
    assert_int_equal(mail(&f, "192.0.2.7", "h.example", "a@spammer.example", "u@ours.example"), POLICY_REJECT);
    assert_string_equal(f.v.check, "dns-lists-sender");
    assert_int_equal(mail(&f, "192.0.2.6", "h.example", "a@spammer.example", "u@ours.example"), POLICY_PASS);
    assert_int_equal(policy_score(f.run), 2);
    f.config.checks.dns_lists.threshold = 0;
    assert_int_equal(client(&f, "192.0.2.15"), POLICY_PASS);
    assert_int_equal(policy_score(f.run), 5);
    close_dns(&f);
}

/* ---- health */

static void test_lists_everybody(void **state)
{
    static const struct dns_record bad[] = { LIST("bl.example"), { "1.0.0.127.bl.example", DNS_A, "127.0.0.2" },
                                             { "7.2.0.192.bl.example", DNS_A, "127.0.0.2" }, { NULL } };
    struct fixture f;
    open_dns(&f, bad);
    add_list(&f, "bl.example", 0, CONFIG_DNS_LIST_REJECT, 1);
    begin(&f);
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_PASS); /* asked at once, not believed yet */
    turn_while(&f, DNS_LIST_UNKNOWN);
    assert_true(state_is(&f, "off"));
    unsigned asked = f.dns.asked;
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_PASS);
    assert_int_equal(f.dns.asked, asked);
    json_t *reason = figures(&f, "reason");
    assert_string_equal(json_string_value(reason), "it lists 127.0.0.1, which no list may");
    json_decref(reason);
    f.dns.records = list_records;
    turn_while(&f, DNS_LIST_OFF); /* it is tested anew */
    assert_true(state_is(&f, "up"));
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_REJECT);
    close_dns(&f);
}

static void test_test_points(void **state)
{
    static const struct dns_record none[] = { { "7.2.0.192.bl.example", DNS_A, "127.0.0.2" }, { NULL } };
    static const struct dns_record refuses[] = { { "2.0.0.127.bl.example", DNS_A, "127.255.255.254" },
                                                 { "7.2.0.192.bl.example", DNS_A, "127.0.0.2" }, { NULL } };
    static const struct dns_record six[] = { LIST("bl.example"), { "1." MAPPED "bl.example", DNS_A, "127.0.0.2" }, { NULL } };
    static const struct dns_record name[] = { LIST("bl.example"), { "invalid.bl.example", DNS_A, "127.0.0.2" }, { NULL } };
    static const struct dns_record broken[] = { { "2.0.0.127.bl.example", DNS_A, "SERVFAIL" }, { NULL } };
    static const struct {
        const struct dns_record *records;
        uint32_t of;
        bool test;
        const char *reason; /* NULL: up */
    } cases[] = {
        { none, CONFIG_DNS_LIST_CLIENT, true, "it does not list its test point 127.0.0.2" },
        { none, CONFIG_DNS_LIST_CLIENT, false, NULL },
        { none, CONFIG_DNS_LIST_SENDER, true, "it does not list its test point TEST" },
        { refuses, CONFIG_DNS_LIST_CLIENT, true,
          "asked for 127.0.0.2: it answers 127.255.255.254, which is a refusal" },
        { six, CONFIG_DNS_LIST_CLIENT, true, "it lists ::FFFF:7F00:1, which no list may" },
        { name, CONFIG_DNS_LIST_CLIENT, true, NULL },
        { name, CONFIG_DNS_LIST_HELO, true, "it lists INVALID, which no list may" },
        { broken, CONFIG_DNS_LIST_CLIENT, true, "asked for 127.0.0.2: " },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct fixture f;
        open_dns(&f, cases[i].records);
        f.config.checks.dns_lists.off_for = 60000;
        add_list(&f, "bl.example", cases[i].of, CONFIG_DNS_LIST_REJECT, 1);
        f.lists[0].test = cases[i].test;
        begin(&f);
        turn_while(&f, DNS_LIST_UNKNOWN);
        assert_true(state_is(&f, cases[i].reason ? "off" : "up"));
        json_t *reason = figures(&f, "reason");
        if (cases[i].reason) assert_memory_equal(json_string_value(reason), cases[i].reason, strlen(cases[i].reason));
        json_decref(reason);
        close_dns(&f);
    }
}

static void test_failures(void **state)
{
    struct fixture f;
    open_dns(&f, list_records);
    add_list(&f, "bl.example", 0, CONFIG_DNS_LIST_REJECT, 1);
    f.config.checks.dns_lists.off_for = 60000;
    begin_tested(&f);
    for (int i = 0; i < 4; i++) assert_int_equal(client(&f, "192.0.2.8"), POLICY_PASS);
    assert_int_equal(client(&f, "192.0.2.6"), POLICY_PASS); /* a good answer in between */
    for (int i = 0; i < 4; i++) assert_int_equal(client(&f, "192.0.2.8"), POLICY_PASS);
    assert_true(state_is(&f, "up"));
    assert_int_equal(client(&f, "192.0.2.8"), POLICY_PASS);
    assert_true(state_is(&f, "off"));
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_PASS);
    close_dns(&f);
}

static void test_slow(void **state)
{
    static const struct dns_record silent[] = { LIST("bl.example"), LIST("two.example"), { "7.2.0.192.bl.example", DNS_A, "SILENT" },
                                                { "7.2.0.192.two.example", DNS_A, "127.0.0.2" },
                                                { "7.2.0.192.two.example", DNS_TXT, "SILENT" }, { NULL } };
    struct fixture f;
    open_dns(&f, silent);
    add_list(&f, "bl.example", 0, CONFIG_DNS_LIST_REJECT, 1);
    f.config.checks.dns_lists.timeout = 300;
    begin_tested(&f);
    uint64_t from = clock_mono_ms();
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_PASS);
    assert_in_range(clock_mono_ms() - from, 250, 1500);
    assert_non_null(strstr(why_of(&f, &check_dns_lists_client), "no answer of bl.example"));
    connect_from(&f, "192.0.2.7"); /* broken off while it runs */
    close_dns(&f);
    open_dns(&f, silent);
    add_list(&f, "two.example", 0, CONFIG_DNS_LIST_REJECT, 1);
    f.config.checks.dns_lists.timeout = 300;
    begin_tested(&f);
    assert_int_equal(client(&f, "192.0.2.7"), POLICY_REJECT); /* without the list's own words */
    assert_string_equal(f.text, "192.0.2.7 is listed in two.example");
    close_dns(&f);
}

/* What a later stage finds first waits for the stages before it. */
static void test_stages(void **state)
{
    static const struct dns_record late[] = { LIST("bl.example"), LIST("wl.example"), LIST("dbl.example"),
                                              { "7.2.0.192.bl.example", DNS_A, "~127.0.0.2" },
                                              { "8.2.0.192.wl.example", DNS_A, "~127.0.0.2" },
                                              { "9.2.0.192.bl.example", DNS_A, "127.0.0.2" },
                                              { "9.2.0.192.wl.example", DNS_A, "~127.0.0.2" },
                                              { "spammer.example.dbl.example", DNS_A, "127.0.1.2" }, { NULL } };
    struct fixture f;
    open_dns(&f, late);
    add_list(&f, "bl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_SCORE, 1);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_SCORE, 1);
    f.config.checks.dns_lists.threshold = 2;
    begin_tested(&f);
    assert_int_equal(mail(&f, "192.0.2.7", "h.example", "a@spammer.example", "u@ours.example"), POLICY_REJECT);
    assert_string_equal(f.v.check, "dns-lists-sender");
    policy_set_sender(f.run, &(struct address){ .text = slice_str("") }); /* another sender of the same client */
    ask(&f, STAGE_MAIL);
    struct address to;
    assert_null(address_parse(SLICE("u@ours.example"), &to));
    policy_set_recipient(f.run, &to, 0);
    ask(&f, STAGE_RCPT);
    assert_int_equal(f.v.outcome, POLICY_PASS);
    close_dns(&f);
    open_dns(&f, late);
    add_list(&f, "bl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_REJECT, 1);
    add_list(&f, "wl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_ALLOW, 1);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_REJECT, 1);
    begin_tested(&f);
    assert_int_equal(mail(&f, "192.0.2.8", "h.example", "a@spammer.example", "u@ours.example"), POLICY_PASS);
    assert_int_equal(mail(&f, "192.0.2.9", "h.example", "a@good.example", "u@ours.example"), POLICY_PASS);
    close_dns(&f);
}

/* Before the wait is over the client says EHLO anew, or goes. */
static void test_broken_off_while_it_waits(void **state)
{
    static const struct dns_record late[] = { LIST("bl.example"), LIST("dbl.example"),
                                              { "7.2.0.192.bl.example", DNS_A, "~127.0.0.2" },
                                              { "8.2.0.192.bl.example", DNS_A, "127.0.0.2" },
                                              { "spammer.example.dbl.example", DNS_A, "127.0.1.2" }, { NULL } };
    struct fixture f;
    open_dns(&f, late);
    add_list(&f, "bl.example", CONFIG_DNS_LIST_CLIENT, CONFIG_DNS_LIST_SCORE, 1);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_HELO, CONFIG_DNS_LIST_SCORE, 1);
    f.config.checks.dns_lists.threshold = 2;
    begin_tested(&f);
    for (int again = 0; again < 2; again++) {
        connect_from(&f, "192.0.2.7");
        policy_set_helo(f.run, SLICE("spammer.example"));
        ask(&f, STAGE_HELO);
        for (int k = 0; k < 200 && !slot(&f, &check_dns_lists_helo)->go_on; k++) turn(&f, 5);
        assert_int_equal(slot(&f, &check_dns_lists_client)->state, SLOT_RUNNING);
        assert_int_equal(slot(&f, &check_dns_lists_helo)->state, SLOT_RUNNING); /* it waits for the client's */
        assert_non_null(slot(&f, &check_dns_lists_helo)->go_on);
        if (again) policy_run_free(&f.run);
        else policy_set_helo(f.run, SLICE("good.example"));
        turn(&f, 400);
    }
    assert_int_equal(mail(&f, "192.0.2.8", "spammer.example", "a@good.example", "u@ours.example"), POLICY_REJECT);
    assert_string_equal(f.v.check, "dns-lists-helo");
    assert_string_equal(f.why, "listed in dbl.example: 127.0.1.2 (weight 1)");
    close_dns(&f);
}

/* A name that has no room in front of the zone was not asked for: that is not the same as not listed. */
static void test_too_long(void **state)
{
    static const struct dns_record sound[] = { LIST("dbl.example"), LIST("b.example"), { NULL } };
    struct fixture f;
    char sender[300] = "a@";
    for (size_t i = 0; i < 241; i++) sender[2 + i] = i % 60 == 59 ? '.' : 'x'; /* 241 + 1 + 11 = 253 */
    open_dns(&f, sound);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_REJECT, 1);
    begin_tested(&f);
    unsigned asked = f.dns.asked;
    assert_int_equal(mail(&f, "192.0.2.6", "h.example", sender, "u@ours.example"), POLICY_PASS);
    assert_string_equal(why_of(&f, &check_dns_lists_sender), "not listed in 1");
    assert_int_equal(f.dns.asked, ++asked);
    sender[2 + 241] = 'x';
    assert_int_equal(mail(&f, "192.0.2.6", "h.example", sender, "u@ours.example"), POLICY_PASS);
    assert_int_equal(slot(&f, &check_dns_lists_sender)->outcome, POLICY_SKIP);
    assert_string_equal(why_of(&f, &check_dns_lists_sender), "no list could be asked, the name is too long to ask dbl.example");
    assert_int_equal(f.dns.asked, asked);
    close_dns(&f);
    open_dns(&f, sound);
    add_list(&f, "dbl.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_REJECT, 1);
    add_list(&f, "b.example", CONFIG_DNS_LIST_SENDER, CONFIG_DNS_LIST_REJECT, 1);
    begin_tested(&f);
    assert_int_equal(mail(&f, "192.0.2.6", "h.example", sender, "u@ours.example"), POLICY_PASS);
    assert_int_equal(slot(&f, &check_dns_lists_sender)->outcome, POLICY_PASS);
    assert_string_equal(why_of(&f, &check_dns_lists_sender), "not listed in 1, the name is too long to ask dbl.example");
    close_dns(&f);
}

/* ---- names of clients */

static const struct dns_record reverse_records[] = {
    { "1.2.0.192.in-addr.arpa", DNS_PTR, "good.example" }, { "good.example", DNS_A, "192.0.2.1" },
    { "2.2.0.192.in-addr.arpa", DNS_PTR, "good.example" },
    { "3.2.0.192.in-addr.arpa", DNS_ANY, "SERVFAIL" },
    { "4.2.0.192.in-addr.arpa", DNS_PTR, "broken.example" }, { "broken.example", DNS_ANY, "SERVFAIL" },
    { "5.2.0.192.in-addr.arpa", DNS_PTR, "other.example" }, { "5.2.0.192.in-addr.arpa", DNS_PTR, "exempt.example" },
    { "exempt.example", DNS_A, "192.0.2.5" }, { "exempt.example", DNS_A, "192.0.2.6" },
    { "7.2.0.192.in-addr.arpa", DNS_PTR, "bad name.example" },
    { "7.0.0.127.in-addr.arpa", DNS_PTR, "local.example" }, { "local.example", DNS_A, "127.0.0.7" },
    { "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0." V6, DNS_PTR, "Six.example" }, { "six.example", DNS_AAAA, "2001:db8::1" },
    { "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", DNS_PTR, "loop.example" },
    { "loop.example", DNS_AAAA, "::1" },
    { NULL },
};

static void test_reverse(void **state)
{
    static const struct {
        const char *ip;
        enum reverse_state state;
        const char *name;
        enum policy_outcome outcome;
    } cases[] = {
        { "192.0.2.1", REVERSE_CONFIRMED, "good.example", POLICY_PASS },
        { "192.0.2.2", REVERSE_UNCONFIRMED, "good.example", POLICY_REJECT },
        { "192.0.2.3", REVERSE_TEMPFAIL, "", POLICY_PASS },
        { "192.0.2.4", REVERSE_TEMPFAIL, "broken.example", POLICY_PASS },
        { "192.0.2.5", REVERSE_CONFIRMED, "exempt.example", POLICY_PASS },
        { "192.0.2.6", REVERSE_NONE, "", POLICY_REJECT },
        { "192.0.2.7", REVERSE_NONE, "", POLICY_REJECT },
        { "192.0.2.99", REVERSE_NONE, "", POLICY_PASS },
        { "127.0.0.7", REVERSE_CONFIRMED, "local.example", POLICY_PASS },
        { "2001:db8::1", REVERSE_CONFIRMED, "six.example", POLICY_PASS },
        { "2001:db8::2", REVERSE_NONE, "", POLICY_REJECT },
        { "::1", REVERSE_CONFIRMED, "loop.example", POLICY_PASS },
    };
    struct fixture f;
    open_dns(&f, reverse_records);
    f.config.checks.reverse_dns.enabled = true;
    begin(&f);
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(client(&f, cases[i].ip), cases[i].outcome);
        assert_int_equal(f.run->facts.reverse, cases[i].state);
        assert_true(slice_eq(f.run->facts.reverse_name, slice_str(cases[i].name)));
        if (cases[i].outcome == POLICY_REJECT) assert_string_equal(f.v.enhanced, "5.7.25");
    }
    f.config.checks.reverse_dns.action = CONFIG_ACTION_DEFER;
    assert_int_equal(client(&f, "192.0.2.6"), POLICY_DEFER);
    assert_int_equal(f.v.code, 450);
    assert_int_equal(client(&f, "192.0.2.3"), POLICY_DEFER);
    assert_int_equal(client(&f, "192.0.2.1"), POLICY_PASS);
    f.config.checks.reverse_dns.action = CONFIG_ACTION_SCORE;
    assert_int_equal(client(&f, "192.0.2.6"), POLICY_PASS);
    assert_int_equal(policy_score(f.run), 1);
    assert_int_equal(client(&f, "192.0.2.3"), POLICY_PASS);
    assert_int_equal(policy_score(f.run), 0);
    close_dns(&f);
}

/* ---- domains */

static const struct dns_record domain_records[] = {
    { "mx.example", DNS_MX, "h.mx.example" }, { "a.example", DNS_A, "192.0.2.1" }, { "six.example", DNS_AAAA, "2001:db8::1" },
    { "null.example", DNS_MX, "" }, { "text.example", DNS_TXT, "x" }, { "broken.example", DNS_ANY, "SERVFAIL" },
    { "odd.example", DNS_MX, "bad name.example" }, { "both.example", DNS_MX, "" }, { "both.example", DNS_A, "192.0.2.1" },
    { "xn--bcher-kva.example", DNS_A, "192.0.2.1" },
    { NULL },
};

static void test_sender(void **state)
{
    static const struct {
        const char *sender;
        enum policy_outcome outcome;
        const char *enhanced;
    } cases[] = {
        { "", POLICY_PASS, "" },
        { "u@mx.example", POLICY_PASS, "" },
        { "u@A.Example", POLICY_PASS, "" },
        { "u@six.example", POLICY_PASS, "" },
        { "u@b\xc3\xbc" "cher.example", POLICY_PASS, "" },
        { "u@null.example", POLICY_REJECT, "5.7.27" },
        { "u@both.example", POLICY_REJECT, "5.7.27" },
        { "u@text.example", POLICY_REJECT, "5.1.8" },
        { "u@odd.example", POLICY_REJECT, "5.1.8" },
        { "u@nowhere.example", POLICY_REJECT, "5.1.8" },
        { "u@broken.example", POLICY_PASS, "" },
        { "u@localhost", POLICY_REJECT, "5.1.8" },
        { "u@[192.0.2.1]", POLICY_PASS, "" },
        { "u@[192.0.2.2]", POLICY_REJECT, "5.1.8" },
        { "u@ours.example", POLICY_PASS, "" },
        { "u@mx.relay.example", POLICY_PASS, "" },
    };
    struct fixture f;
    open_dns(&f, domain_records);
    f.config.checks.sender.fqdn = f.config.checks.sender.resolvable = true;
    begin(&f);
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(mail(&f, "192.0.2.1", "h.example", cases[i].sender, "u@ours.example"), cases[i].outcome);
        assert_string_equal(f.v.enhanced, cases[i].enhanced);
        if (f.v.outcome == POLICY_REJECT) assert_int_equal(f.v.code, 550);
    }
    assert_int_equal(mail(&f, "2001:db8::1", "h.example", "u@[IPv6:2001:db8::1]", "u@ours.example"), POLICY_PASS);
    f.config.checks.sender.resolvable = false;
    assert_int_equal(mail(&f, "192.0.2.1", "h.example", "u@nowhere.example", "u@ours.example"), POLICY_PASS);
    f.config.checks.sender.resolvable = true;
    f.config.checks.sender.fqdn = false;
    assert_int_equal(mail(&f, "192.0.2.1", "h.example", "u@[192.0.2.2]", "u@ours.example"), POLICY_PASS);
    f.zone.trust = CONFIG_TRUST_RELAY;
    assert_int_equal(mail(&f, "192.0.2.1", "h.example", "u@nowhere.example", "u@ours.example"), POLICY_PASS);
    close_dns(&f);
}

static void test_recipient(void **state)
{
    static const struct {
        const char *rcpt;
        int code;
        const char *enhanced;
    } cases[] = {
        { "u@mx.example", 0, "" },
        { "u@a.example", 0, "" },
        { "u@null.example", 556, "5.1.10" },
        { "u@nowhere.example", 550, "5.1.2" },
        { "u@text.example", 550, "5.1.2" },
        { "u@broken.example", 0, "" },
        { "u@localhost", 550, "5.1.2" },
        { "u@ours.example", 0, "" },
        { "u@mx.relay.example", 0, "" },
        { "u@routed.internal", 0, "" },
        { "u@below.internal", 0, "" },
        { "u@deep.below.internal", 0, "" },
        { "One@single.internal", 0, "" },
        { "two@single.internal", 550, "5.1.2" },
        { "u@sub.routed.internal", 550, "5.1.2" },
    };
    struct fixture f;
    open_dns(&f, domain_records);
    f.config.checks.recipient.fqdn = f.config.checks.recipient.resolvable = true;
    f.zone.trust = CONFIG_TRUST_RELAY;
    begin(&f);
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(mail(&f, "192.0.2.1", "h.example", "a@good.example", cases[i].rcpt),
                         cases[i].code ? POLICY_REJECT : POLICY_PASS);
        assert_int_equal(f.v.code, cases[i].code);
        assert_string_equal(f.v.enhanced, cases[i].enhanced);
    }
    close_dns(&f);
}

static void test_domain_slow(void **state)
{
    static const struct dns_record silent[] = { { "slow.example", DNS_MX, "SILENT" }, { NULL } };
    struct fixture f;
    open_dns(&f, silent);
    f.config.checks.sender.resolvable = true;
    f.config.dns.timeout = 300;
    begin(&f);
    assert_int_equal(mail(&f, "192.0.2.1", "h.example", "u@slow.example", "u@ours.example"), POLICY_PASS);
    assert_int_equal(slot(&f, &check_sender)->outcome, POLICY_SKIP);
    close_dns(&f);
}

/* ---- EHLO */

static void test_helo(void **state)
{
    static const struct {
        const char *helo;
        bool invalid, non_fqdn; /* refused where that is asked for */
    } cases[] = {
        { "mail.example.org", false, false }, { "[192.0.2.1]", false, false }, { "[IPv6:2001:db8::1]", false, false },
        { "localhost", false, true },         { "192.0.2.1", true, false },    { "2001:db8::1", true, true },
        { "1.2.3", true, false },             { "-x.example", true, true },    { "my_pc", false, true },
    };
    for (size_t i = 0; i < countof(cases); i++)
        for (int k = 1; k < 4; k++) {
            struct fixture f;
            open_dns(&f, NULL);
            f.config.checks.helo.reject_invalid = k & 1;
            f.config.checks.helo.reject_non_fqdn = k & 2;
            begin(&f);
            bool bad = ((k & 1) && cases[i].invalid) || ((k & 2) && cases[i].non_fqdn);
            assert_int_equal(mail(&f, "192.0.2.1", cases[i].helo, "a@good.example", "u@ours.example"), bad ? POLICY_REJECT : POLICY_PASS);
            if (bad) assert_int_equal(f.v.code, 550);
            close_dns(&f);
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_catalogue),   cmocka_unit_test(test_client_list),
        cmocka_unit_test(test_allow_list),      cmocka_unit_test(test_names),       cmocka_unit_test(test_score),
        cmocka_unit_test(test_lists_everybody), cmocka_unit_test(test_test_points), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_slow),            cmocka_unit_test(test_stages),
        cmocka_unit_test(test_broken_off_while_it_waits), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_reverse),     cmocka_unit_test(test_sender),
        cmocka_unit_test(test_recipient),       cmocka_unit_test(test_domain_slow), cmocka_unit_test(test_helo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
