/* SPDX-License-Identifier: Apache-2.0
 * SPF: the table of spf_cases.h with answers at once and with answers that come late in any order, and what the table does not tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "base/mem.h"
#include "mailauth/spf_record.h"
#include "spf_cases.h"

#define NOW 1577836800999u

struct world {
    const char *record;          /* of t.example */
    struct arena arena;
    unsigned asked;
    struct lookup *open[64];
    size_t n_open;
};

static bool fails(const struct spf_zone *z, const char *type)
{
    return strcmp(z->type, "FAIL") == 0 && (!*z->value || strcmp(z->value, type) == 0);
}

static void add_record(struct auth_dns_answer *a, enum auth_dns_type type, struct slice value)
{
    if (type == AUTH_DNS_TXT) {
        ((struct slice *)a->texts)[a->n++] = value;
    } else if (type == AUTH_DNS_PTR) {
        ((struct slice *)a->names)[a->n++] = value;
    } else if (type == AUTH_DNS_MX) {
        struct slice preference;
        slice_cut(&value, ' ', &preference);
        ((struct auth_dns_mx *)a->mx)[a->n++] = (struct auth_dns_mx){ (uint16_t)atoi(preference.p), value };
    } else
        assert_true(ip_parse(value, &((struct ip *)a->ips)[a->n++]));
}

static const struct auth_dns_answer *look(struct world *w, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    static const char *const types[] = { "TXT", "A", "AAAA", "MX", "PTR" };
    struct auth_dns_answer *a = arena_alloc(&w->arena, sizeof *a);
    struct buf text = { 0 };
    a->texts = a->names = arena_alloc(&w->arena, 16 * sizeof(struct slice));
    a->ips = arena_alloc(&w->arena, 16 * sizeof(struct ip));
    a->mx = arena_alloc(&w->arena, 16 * sizeof(struct auth_dns_mx));
    a->status = AUTH_DNS_NXDOMAIN;
    if (type == AUTH_DNS_PTR) ip_add(&text, ip);
    else buf_add(&text, name);
    for (size_t i = 0; i < countof(spf_zone); i++) {
        const struct spf_zone *z = &spf_zone[i];
        if (!slice_ieq(slice_str(z->name), buf_slice(&text))) continue;
        a->status = fails(z, types[type]) ? AUTH_DNS_TEMPFAIL : a->status == AUTH_DNS_TEMPFAIL ? a->status : AUTH_DNS_NODATA;
        if (strcmp(z->type, types[type]) == 0) add_record(a, type, slice_str(z->value));
    }
    if (w->record && type == AUTH_DNS_TXT && slice_ieq(buf_slice(&text), SLICE("t.example")))
        add_record(a, type, slice_str(w->record));
    if (a->n) a->status = AUTH_DNS_OK;
    buf_deinit(&text);
    w->asked++;
    return a;
}

static const struct auth_dns_answer *get_now(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    assert_true(type == AUTH_DNS_PTR ? ip != NULL && !name.n : auth_dns_name_ok(name));
    return look(arg, type, name, ip);
}

static void start(void *arg, struct lookup *l)
{
    struct world *w = arg;
    assert_true(w->n_open < countof(w->open));
    w->open[w->n_open++] = l;
}

static void cancel(void *arg, struct lookup *l)
{
    (void)arg;
    (void)l;
}

/* One of the open look-ups, at random, or all of them. */
static void answer(struct world *w, bool all)
{
    assert_true(w->n_open > 0);
    do {
        size_t i = (size_t)rand() % w->n_open;
        struct lookup *l = w->open[i];
        w->open[i] = w->open[--w->n_open];
        lookup_answer(l, look(w, l->type, slice_str(l->name), &l->ip));
    } while (all && w->n_open);
}

static struct spf_input input_of(const struct spf_case *c)
{
    struct spf_input in = { .identity = SPF_MAILFROM, .receiver = SLICE("mx.receiver.example"), .now = NOW };
    in.helo = slice_str(c->helo ? c->helo : "mail.example.org");
    in.sender = slice_str(c->sender ? c->sender : "user@t.example");
    assert_true(ip_parse(slice_str(c->ip ? c->ip : "192.0.2.1"), &in.ip));
    return in;
}

static void check_at_once(struct world *w, const struct spf_input *in, struct arena *arena, struct spf *out)
{
    struct auth_dns dns = { get_now, w };
    assert_true(spf_check(in, &dns, arena, out));
}

/* Returns how often answers were waited for. */
static unsigned check_late(struct world *w, const struct spf_input *in, bool all, struct arena *arena, struct spf *out)
{
    struct lookups_calls calls = { start, cancel, NULL, w };
    struct lookups *set = lookups_new(&calls);
    struct auth_dns dns = lookups_dns(set);
    unsigned rounds = 0;
    w->n_open = w->asked = 0;
    for (; !spf_check(in, &dns, arena, out); rounds++) {
        assert_true(lookups_pending(set));
        answer(w, all);
    }
    lookups_free(&set);
    return rounds;
}

static bool same(const struct spf *a, const struct spf *b)
{
    return a->result == b->result && a->lookups == b->lookups && a->voids == b->voids && slice_eq(a->domain, b->domain)
        && slice_eq(a->mechanism, b->mechanism) && slice_eq(a->record_domain, b->record_domain)
        && slice_eq(a->explanation, b->explanation) && slice_eq(a->reason, b->reason);
}

static void table(void **state)
{
    for (size_t i = 0; i < countof(spf_cases); i++) {
        const struct spf_case *c = &spf_cases[i];
        struct world w = { .record = c->record };
        struct spf_input in = input_of(c);
        struct arena arena = { 0 };
        struct spf now, late;
        check_at_once(&w, &in, &arena, &now);
        if (now.result != c->result || !slice_eq(now.explanation, slice_str(c->explanation)))
            fail_msg("%s: %s \"%.*s\" (%.*s)", c->what, spf_result_name(now.result), SLICE_ARG(now.explanation), SLICE_ARG(now.reason));
        assert_true(now.reason.n > 0);
        for (unsigned seed = 0; seed < 6; seed++) {
            srand(seed);
            check_late(&w, &in, seed == 0, &arena, &late);
            if (!same(&now, &late)) fail_msg("%s, late: %s (%.*s)", c->what, spf_result_name(late.result), SLICE_ARG(late.reason));
        }
        arena_deinit(&arena);
        arena_deinit(&w.arena);
    }
}

static void assert_slice(struct slice s, const char *wanted)
{
    if (!slice_eq(s, slice_str(wanted))) fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(s), wanted);
}

static void details(void **state)
{
    static const struct {
        const char *record, *ip, *mechanism, *record_domain, *reason;
        unsigned lookups, voids;
    } cases[] = {
        { "v=spf1 ip4:192.0.2.0/24 -all", NULL, "ip4:192.0.2.0/24", "t.example",
          "the client matches \"ip4:192.0.2.0/24\" in the record of t.example", 0, 0 },
        { "v=spf1 a:v1.example -ALL", NULL, "-ALL", "t.example", "the client matches \"-ALL\" in the record of t.example", 1, 1 },
        { "v=spf1 include:n.example -all", "192.0.2.10", "ip4:192.0.2.10", "ten.example",
          "the client matches \"ip4:192.0.2.10\" in the record of ten.example", 2, 0 },
        { "v=spf1 ~include:ten.example -all", "192.0.2.10", "~include:ten.example", "t.example",
          "the client matches \"~include:ten.example\" in the record of t.example", 1, 0 },
        { "v=spf1 include:ten.example ?all", NULL, "?all", "t.example", "the client matches \"?all\" in the record of t.example", 1, 0 },
        { "v=spf1 redirect=m.example", NULL, "-all", "ten.example", "the client matches \"-all\" in the record of ten.example", 2, 0 },
        { "v=spf1 redirect=empty.example", NULL, "", "empty.example", "no directive matches in the record of empty.example", 1, 0 },
        { NULL, NULL, "", "t.example", "there is no SPF record at t.example", 0, 0 },
        { "v=spf1 f\xff\x01oo -all", NULL, "", "t.example", "\"f\\xff\\x01oo\" in the record of t.example: an unknown mechanism", 0, 0 },
        { "v=spf1 include:late.example -all", NULL, "", "late.example", "the look-up failed at late.example", 1, 0 },
        { "v=spf1 a:late.example -all", NULL, "", "t.example", "\"a:late.example\" in the record of t.example: the look-up failed", 1, 0 },
        { "v=spf1 include:none.example -all", NULL, "", "t.example",
          "\"include:none.example\" in the record of t.example: the included domain has no SPF record", 1, 0 },
        { "v=spf1 include:two.example -all", NULL, "", "two.example", "there is more than one SPF record at two.example", 1, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w = { .record = cases[i].record };
        struct spf_case c = { .ip = cases[i].ip };
        struct spf_input in = input_of(&c);
        struct arena arena = { 0 };
        struct spf spf;
        check_at_once(&w, &in, &arena, &spf);
        assert_slice(spf.domain, "t.example");
        assert_slice(spf.mechanism, cases[i].mechanism);
        assert_slice(spf.record_domain, cases[i].record_domain);
        assert_slice(spf.reason, cases[i].reason);
        assert_int_equal(spf.lookups, cases[i].lookups);
        assert_int_equal(spf.voids, cases[i].voids);
        arena_deinit(&arena);
        arena_deinit(&w.arena);
    }
}

static void helo_identity(void **state)
{
    struct spf_case c = { .sender = "user@t.example", .helo = "HELO.example." };
    struct world w = { .record = "v=spf1 -all" };
    struct spf_input in = input_of(&c);
    struct arena arena = { 0 };
    struct spf spf;
    in.identity = SPF_HELO;
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_PASS);
    assert_slice(spf.domain, "helo.example");
    in.ip.bytes[3] = 2;
    in.receiver = SLICE("");
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_FAIL); /* %{r} is "unknown" (RFC 7208 §7.2) */
    assert_slice(spf.explanation, "postmaster@helo.example postmaster helo.example helo.example HELO.example. 192.0.2.2 in-addr "
                                  "192.0.2.2 unknown 1577836800% %20host.t.example");
    in.ip = (struct ip){ 0 };
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_NONE);
    in.helo = slice_of("a\0b.example", 11);
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_NONE);
    assert_int_equal(spf.domain.n, 0);
    arena_deinit(&arena);
    arena_deinit(&w.arena);
}

/* What can be asked for at once is asked for at once; nothing is that an earlier term makes needless. */
static void asks_ahead(void **state)
{
    static const struct {
        const char *record;
        unsigned rounds, asked;
    } cases[] = {
        { "v=spf1 a:other.example mx:other.example ptr exists:v1.example -all", 3, 6 },
        { "v=spf1 include:fail.example include:soft.example include:ten.example a:other.example -all", 2, 5 },
        { "v=spf1 mx:mx10.example -all", 3, 12 },
        { "v=spf1 ip4:192.0.2.1 a mx include:ten.example -all", 1, 1 },
        { "v=spf1 a:other.example ip4:192.0.2.1 a mx include:ten.example -all", 2, 2 },
        { "v=spf1 include:n.example include:n.example -all", 3, 3 },
        { "v=spf1 a:o1.x.example a:o2.x.example a:o3.x.example a:o4.x.example a:o5.x.example a:o6.x.example a:o7.x.example"
          " a:o8.x.example a:o9.x.example a:o10.x.example a:o11.x.example a:o12.x.example", 2, 11 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w = { .record = cases[i].record };
        struct spf_case c = { 0 };
        struct spf_input in = input_of(&c);
        struct arena arena = { 0 };
        struct spf spf;
        unsigned rounds = check_late(&w, &in, true, &arena, &spf);
        if (rounds != cases[i].rounds || w.asked != cases[i].asked)
            fail_msg("%s: %u rounds, %u questions", cases[i].record, rounds, w.asked);
        arena_deinit(&arena);
        arena_deinit(&w.arena);
    }
}

static void long_texts(void **state)
{
    struct buf record = { 0 };
    struct world w = { 0 };
    struct spf_case c = { 0 };
    struct spf_input in = input_of(&c);
    struct arena arena = { 0 };
    struct spf spf;
    buf_add_str(&record, "v=spf1 ");
    while (record.n < 65000) buf_add_str(&record, "ip4:198.51.100.0/24 ");
    buf_add_str(&record, "ip4:192.0.2.1 -all");
    w.record = buf_cstr(&record);
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_PASS);
    buf_clear(&record);
    buf_add_str(&record, "v=spf1 exists:");
    while (record.n < 65000) buf_add_str(&record, "%{S}%{sr+-.}%{i}");
    buf_add_str(&record, ".user.example -all");
    w.record = buf_cstr(&record);
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_FAIL);
    buf_clear(&record); /* 64 KiB in all: a record that includes itself is read twice */
    buf_add_str(&record, "v=spf1 include:t.example ");
    while (record.n < 40000) buf_add_str(&record, "ip4:198.51.100.0/24 ");
    w.record = buf_cstr(&record);
    check_at_once(&w, &in, &arena, &spf);
    assert_int_equal(spf.result, SPF_PERMERROR);
    assert_int_equal(spf.lookups, 1);
    assert_true(slice_eq(spf.reason, SLICE("more than 64 KiB of records at t.example")));
    buf_deinit(&record);
    arena_deinit(&arena);
    arena_deinit(&w.arena);
}

/* RFC 7208 §7.4, all of its examples, and the limit of §7.3. */
static void expansion(void **state)
{
    static const struct {
        const char *spec, *name;
    } cases[] = {
        { "%{s}", "strong-bad@email.example.com" }, { "%{o}", "email.example.com" }, { "%{d}", "email.example.com" },
        { "%{d4}", "email.example.com" }, { "%{d3}", "email.example.com" }, { "%{d2}", "example.com" }, { "%{d1}", "com" },
        { "%{dr}", "com.example.email" }, { "%{d2r}", "example.email" }, { "%{l}", "strong-bad" }, { "%{l-}", "strong.bad" },
        { "%{lr}", "strong-bad" }, { "%{lr-}", "bad.strong" }, { "%{l1r-}", "strong" },
        { "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
        { "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
        { "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
        { "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
        { "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
        { "a.example.", "a.example" }, { ".", "" }, { "%{d1r.}.", "email" },
    };
    struct spf_input in = { .helo = SLICE("mail.example.com") };
    ip_parse(SLICE("192.0.2.3"), &in.ip);
    struct spf_scope scope = { .in = &in, .local = SLICE("strong-bad"), .sender_domain = SLICE("email.example.com"),
                               .domain = SLICE("email.example.com") };
    char out[SPF_NAME_MAX];
    for (size_t i = 0; i < countof(cases); i++)
        assert_slice(slice_of(out, spf_expand_name(&scope, slice_str(cases[i].spec), out)), cases[i].name);
    ip_parse(SLICE("2001:db8::cb01"), &in.ip);
    assert_slice(slice_of(out, spf_expand_name(&scope, SLICE("%{ir}.%{v}._spf.%{d2}"), out)), IP6_NIBBLES ".ip6._spf.example.com");
    struct buf spec = { 0 };
    for (int i = 0; i < 63; i++) buf_add_str(&spec, "xyz.");
    buf_add_str(&spec, "c"); /* 253 */
    assert_int_equal(spf_expand_name(&scope, buf_slice(&spec), out), 253);
    buf_add_char(&spec, '.');
    assert_int_equal(spf_expand_name(&scope, buf_slice(&spec), out), 253);
    buf_clear(&spec);
    for (int i = 0; i < 63; i++) buf_add_str(&spec, "xyz.");
    buf_add_str(&spec, "co"); /* 254 */
    assert_int_equal(spf_expand_name(&scope, buf_slice(&spec), out), 250);
    buf_clear(&spec);
    for (int i = 0; i < 5000; i++) buf_add_char(&spec, 'x');
    assert_int_equal(spf_expand_name(&scope, buf_slice(&spec), out), 0);
    buf_add_str(&spec, ".example.com");
    assert_slice(slice_of(out, spf_expand_name(&scope, buf_slice(&spec), out)), "example.com");
    buf_deinit(&spec);
}

/* A record of 64 KiB holds 16,000 macros, and is evaluated anew for each answer: what would be cut off again costs nothing. */
static void long_specs(void **state)
{
    char local[65], out[SPF_NAME_MAX], all[SPF_NAME_MAX];
    struct spf_input in = { .helo = SLICE("mail.example.com") };
    struct spf_scope scope = { .in = &in, .local = slice_of(local, 64), .sender_domain = SLICE("email.example.com"),
                               .domain = SLICE("email.example.com") };
    struct buf spec = { 0 };
    memset(local, '=', sizeof local);
    for (int i = 0; i < 12; i++) buf_add_str(&spec, "%{l}.%{d}-%%%{L1r=}"); /* the last one is empty */
    buf_add_str(&spec, ".example.");
    size_t n = spf_expand_name(&scope, buf_slice(&spec), all);
    assert_true(n > 100);
    struct buf longer = { 0 };
    for (int i = 0; i < 15000; i++) buf_add_str(&longer, "%{S}");
    buf_add(&longer, buf_slice(&spec));
    clock_t begin = clock();
    for (int i = 0; i < 100; i++) assert_int_equal(spf_expand_name(&scope, buf_slice(&longer), out), n);
    assert_memory_equal(out, all, n);
    assert_true(clock() - begin < 10 * CLOCKS_PER_SEC); /* in full it would be minutes */
    buf_deinit(&longer);
    buf_deinit(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table), cmocka_unit_test(details), cmocka_unit_test(helo_identity), cmocka_unit_test(asks_ahead),
        cmocka_unit_test(long_texts), cmocka_unit_test(expansion), cmocka_unit_test(long_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
