/* SPDX-License-Identifier: Apache-2.0
 * DMARC: records, discovery by list and by tree walk, alignment, and From fields that try to get round it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <libpsl.h>
#include "base/mem.h"
#include "mailauth/dmarc.h"
#include "mailauth/dmarc_record.h"

/* ---- a DNS: one record a line, "name text"; A records with the text "A". Names with the text "TEMPFAIL" fail,
 * those without a line are NXDOMAIN, and NODATA where a longer or other one is there. */
struct world {
    const char *zone;
    bool slow;                   /* what is asked is known from the next round on */
    size_t asked_n;
    struct {
        char name[256];
        enum auth_dns_type type;
        bool late;
        struct auth_dns_answer answer;
        struct slice texts[4];
    } asked[200];
};

static void fill(const char *zone, struct slice name, enum auth_dns_type type, struct auth_dns_answer *a, struct slice texts[4])
{
    struct slice lines = slice_str(zone), line;
    a->status = AUTH_DNS_NXDOMAIN;
    a->texts = texts;
    while (slice_cut(&lines, '\n', &line) || line.n) {
        struct slice owner;
        slice_cut(&line, ' ', &owner);
        if (!slice_eq(owner, name)) {
            if (a->status == AUTH_DNS_NXDOMAIN && dmarc_within(owner, name)) a->status = AUTH_DNS_NODATA;
            continue;
        }
        if (slice_eq(line, SLICE("TEMPFAIL"))) {
            a->status = AUTH_DNS_TEMPFAIL;
            return;
        }
        bool match = slice_eq(line, SLICE("A")) == (type == AUTH_DNS_A) && (type == AUTH_DNS_A || type == AUTH_DNS_TXT);
        if (!match && a->status == AUTH_DNS_NXDOMAIN) a->status = AUTH_DNS_NODATA;
        if (!match || a->n == 4) continue;
        a->status = AUTH_DNS_OK;
        texts[a->n++] = line;
    }
}

static const struct auth_dns_answer *get(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct world *w = arg;
    assert_true(name.n > 0 && name.n <= 253);
    for (size_t i = 0; i < w->asked_n; i++)
        if (w->asked[i].type == type && slice_eq(slice_str(w->asked[i].name), name)) return w->asked[i].late ? NULL : &w->asked[i].answer;
    assert_true(w->asked_n < countof(w->asked));
    size_t i = w->asked_n++;
    memcpy(w->asked[i].name, name.p, name.n);
    w->asked[i].type = type;
    fill(w->zone, name, type, &w->asked[i].answer, w->asked[i].texts);
    w->asked[i].late = w->slow;
    return w->slow ? NULL : &w->asked[i].answer;
}

static struct world world;
static struct arena arena;
static size_t rounds;

/* `froms`: values of From fields with NUL behind each, "" ends. `spf`, `dkim`: domains that passed; with "?" before
 * it: temperror. */
static struct dmarc ask(const char *zone, bool tree, bool slow, const char *froms, const char *spf_domain, const char *dkim_domain, unsigned sample)
{
    struct auth_dns dns = { get, &world };
    struct auth_field fields[4];
    struct auth_header h = { .arena = &arena, .fields = fields };
    struct spf spf = { .result = SPF_NONE };
    struct dkim_signature s[2] = { { DKIM_FAIL, .domain = SLICE("example.com") } };
    struct dkim dkim = { DKIM_FAIL, s, 2 };
    struct dmarc d;
    memset(&world, 0, sizeof world);
    world.zone = zone;
    world.slow = slow;
    for (const char *f = froms; *f; f += strlen(f) + 1) fields[h.n++] = (struct auth_field){ slice_str(f), SLICE("FROM"), slice_str(f) };
    if (spf_domain) {
        bool temp = *spf_domain == '?';
        spf = (struct spf){ .result = temp ? SPF_TEMPERROR : SPF_PASS, .domain = slice_str(spf_domain + temp) };
    }
    if (dkim_domain) {
        bool temp = *dkim_domain == '?';
        s[1] = (struct dkim_signature){ temp ? DKIM_TEMPERROR : DKIM_PASS, .domain = slice_str(dkim_domain + temp) };
    } else {
        dkim.n = 1;
    }
    struct dmarc_input in = { &h, &spf, &dkim, tree ? NULL : psl_builtin(), sample };
    for (rounds = 1; !dmarc_check(&in, &dns, &arena, &d); rounds++) {
        assert_true(slow && rounds < 10);
        for (size_t i = 0; i < world.asked_n; i++) world.asked[i].late = false;
    }
    return d;
}

struct expected {
    const char *zone, *from, *spf, *dkim;
    enum dmarc_result result;
    enum dmarc_policy asked;
    const char *record_domain;
};

#define N DMARC_ASK_NONE
#define Q DMARC_ASK_QUARANTINE
#define R DMARC_ASK_REJECT

static void run(const struct expected *cases, size_t n, bool tree)
{
    for (size_t i = 0; i < n; i++) {
        for (int slow = 0; slow < 2; slow++) {
            char froms[300] = { 0 };
            memcpy(froms, cases[i].from, strlen(cases[i].from));
            struct dmarc d = ask(cases[i].zone, tree, slow, froms, cases[i].spf, cases[i].dkim, 0);
            bool same = d.result == cases[i].result && d.asked == cases[i].asked &&
                        slice_eq(d.record_domain, slice_str(cases[i].record_domain));
            if (!same)
                print_error("%s %s: %s, %s, at \"%.*s\" (%.*s)\n", cases[i].zone, cases[i].from, dmarc_result_name(d.result),
                            dmarc_policy_name(d.asked), SLICE_ARG(d.record_domain), SLICE_ARG(d.reason));
            assert_true(same);
            assert_true(d.reason.n > 0);
            arena_reset(&arena);
        }
    }
}

#define REJECT "_dmarc.example.com v=DMARC1; p=reject\n"

static void by_list(void **state)
{
    static const struct expected cases[] = {
        { REJECT, "joe@example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { REJECT, "joe@example.com", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@example.com", NULL, "example.com", DMARC_PASS, N, "example.com" },
        { REJECT, "joe@example.com", "mail.example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@news.example.com", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@news.example.com", "a.b.example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@example.com", "example.net", "evilexample.com", DMARC_FAIL, R, "example.com" },
        { REJECT, "joe@example.com", "com", "example.com.evil.net", DMARC_FAIL, R, "example.com" },
        /* RFC 7489 appendix B.1: strict and relaxed */
        { "_dmarc.example.com v=DMARC1; p=reject; aspf=s\n", "joe@example.com", "child.example.com", NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=reject; aspf=s\n", "joe@example.com", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=reject; aspf=s\n", "joe@example.com", NULL, "child.example.com", DMARC_PASS, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=reject; adkim=S\n", "joe@example.com", NULL, "child.example.com", DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=reject; adkim=x\n", "joe@example.com", NULL, "child.example.com", DMARC_PASS, N, "example.com" },
        /* discovery */
        { "", "joe@example.com", "example.com", NULL, DMARC_NONE, N, "" },
        { "_dmarc.com v=DMARC1; p=reject; psd=y\n", "joe@example.com", NULL, NULL, DMARC_NONE, N, "" },
        { REJECT "_dmarc.a.example.com v=DMARC1; p=none\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, N, "a.example.com" },
        { REJECT "_dmarc.a.example.com v=spf1\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { REJECT "_dmarc.a.example.com v=DMARC1; p=none\n_dmarc.a.example.com v=DMARC1; p=none\n", "joe@a.example.com", NULL, NULL, DMARC_NONE, N, "" },
        { REJECT "_dmarc.example.com v=DMARC1; p=reject\n", "joe@example.com", NULL, NULL, DMARC_NONE, N, "" },
        { REJECT "_dmarc.example.com v=spf1 -all\n", "joe@example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { REJECT "_dmarc.b.example.com v=DMARC1; p=none\n", "joe@a.b.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.co.uk v=DMARC1; p=reject\n", "joe@a.example.co.uk", "other.co.uk", NULL, DMARC_FAIL, R, "example.co.uk" },
        { "_dmarc.xn--bcher-kva.example v=DMARC1; p=reject\n", "joe@b\xc3\xbc" "cher.example", "xn--bcher-kva.example", NULL, DMARC_PASS, N, "xn--bcher-kva.example" },
        { "_dmarc.co.uk v=DMARC1; p=reject\n", "joe@co.uk", "example.co.uk", NULL, DMARC_FAIL, R, "co.uk" },
        /* failures */
        { "_dmarc.example.com TEMPFAIL\n", "joe@example.com", "example.com", NULL, DMARC_TEMPERROR, N, "" },
        { "_dmarc.example.com TEMPFAIL\n_dmarc.a.example.com v=DMARC1;p=reject\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "a.example.com" },
        { "_dmarc.a.example.com TEMPFAIL\n" REJECT, "joe@a.example.com", NULL, NULL, DMARC_TEMPERROR, N, "" },
        { REJECT, "joe@example.com", "?example.com", NULL, DMARC_TEMPERROR, N, "example.com" },
        { REJECT, "joe@example.com", NULL, "?example.com", DMARC_TEMPERROR, N, "example.com" },
        { REJECT, "joe@example.com", "?example.com", "example.com", DMARC_PASS, N, "example.com" },
        { REJECT, "joe@example.com", NULL, "?example.net", DMARC_FAIL, R, "example.com" },
        /* sp=, np= */
        { "_dmarc.example.com v=DMARC1; p=none; sp=reject\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; sp=reject\n", "joe@example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\na.example.com A\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\na.example.com x\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\na.example.com TEMPFAIL\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=reject; sp=none; np=quarantine\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, Q, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\n", "joe@example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=reject; t=y\n", "joe@example.com", NULL, NULL, DMARC_FAIL, Q, "example.com" },
    };
    run(cases, countof(cases), false);
}

static void froms(void **state)
{
#define BANK "_dmarc.bank.example v=DMARC1; p=quarantine\n_dmarc.broken.example TEMPFAIL\n"
    static const struct expected cases[] = {
        { REJECT, "", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " ", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " undisclosed:;", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " joe", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " joe@[192.0.2.1]", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " joe@=?us-ascii?q?example.com?=", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " joe@ex\xff" "ample.com", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " joe@-example.com", NULL, NULL, DMARC_PERMERROR, N, "" },
        { REJECT, " \"joe@example.net\" <joe@EXAMPLE.com>", "example.net", NULL, DMARC_FAIL, R, "example.com" },
        { REJECT, " us: joe@example.com;", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, " joe@example.com, ann@example.com", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, " joe@example.net, ann@example.com", "example.net", NULL, DMARC_FAIL, R, "example.com" },
        { REJECT, " joe@example.com, ann@example.net", "example.com", NULL, DMARC_NONE, N, "" },
        { BANK, " ceo@bank.example, x@[192.0.2.1]", NULL, NULL, DMARC_FAIL, Q, "bank.example" },
        { BANK, " x@broken.example, ceo@bank.example", NULL, NULL, DMARC_FAIL, Q, "bank.example" },
        { BANK, " ceo@bank.example, x", NULL, NULL, DMARC_FAIL, Q, "bank.example" },
        { BANK, " ceo@bank.example, x@[192.0.2.1]", "bank.example", NULL, DMARC_PERMERROR, N, "" },
        { BANK REJECT, " ceo@bank.example, joe@example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { REJECT, " a@b1.x, a@b2.x, a@b3.x, a@b4.x, a@b5.x, a@b6.x, a@b7.x, a@b8.x, a@b9.x, a@b10.x", NULL, NULL, DMARC_NONE, N, "" },
        { REJECT, " a@b1.x, a@b2.x, a@b3.x, a@b4.x, a@b5.x, a@b6.x, a@b7.x, a@b8.x, a@b9.x, a@b10.x, a@b11.x", NULL, NULL, DMARC_PERMERROR, N, "" },
    };
    run(cases, countof(cases), false);
    struct dmarc d = ask(REJECT, false, false, "joe@example.com\0joe@example.com\0", "example.com", NULL, 0);
    assert_int_equal(d.result, DMARC_PERMERROR);
    assert_true(slice_eq(d.author, SLICE("example.com")));
    d = ask(REJECT, false, false, "joe@example.net\0joe@example.com\0", "example.net", NULL, 0);
    assert_int_equal(d.result, DMARC_FAIL);
    assert_int_equal(d.asked, R);
}

/* What was not kept may be another From. */
static void overflow(void **state)
{
    struct auth_dns dns = { get, &world };
    struct auth_field field = { SLICE("From: joe@example.com"), SLICE("From"), SLICE(" joe@example.com") };
    struct auth_header h = { .arena = &arena, .fields = &field, .n = 1, .overflow = true };
    struct spf spf = { .result = SPF_PASS, .domain = SLICE("example.com") };
    struct dmarc_input in = { &h, &spf, NULL, psl_builtin(), 0 };
    struct dmarc d;
    memset(&world, 0, sizeof world);
    world.zone = REJECT;
    assert_true(dmarc_check(&in, &dns, &arena, &d));
    assert_int_equal(d.result, DMARC_PERMERROR);
    h.overflow = false;
    assert_true(dmarc_check(&in, &dns, &arena, &d));
    assert_int_equal(d.result, DMARC_PASS);
    assert_true(slice_eq(d.reason, SLICE("SPF is aligned")));
    in.spf = NULL;
    assert_true(dmarc_check(&in, &dns, &arena, &d));
    assert_int_equal(d.result, DMARC_FAIL);
    assert_true(slice_eq(d.reason, SLICE("neither SPF nor DKIM passed")));
    assert_true(slice_eq(d.record, SLICE("v=DMARC1; p=reject")));
}

static void samples(void **state)
{
    static const struct {
        const char *zone;
        unsigned sample;
        enum dmarc_policy list, tree;
    } cases[] = {
        { "_dmarc.example.com v=DMARC1; p=reject; pct=30\n", 29, R, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=30\n", 30, Q, R },
        { "_dmarc.example.com v=DMARC1; p=quarantine; pct=30\n", 30, N, Q },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=0\n", 0, Q, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=100\n", 99, R, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=101\n", 99, R, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=-1\n", 99, R, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=5%\n", 99, R, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=0030\n", 99, R, R },
        { "_dmarc.example.com v=DMARC1; p=reject; pct=0; t=y\n", 99, Q, Q },
        { "_dmarc.example.com v=DMARC1; p=quarantine; t=y\n", 0, N, N },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        for (int tree = 0; tree < 2; tree++) {
            struct dmarc d = ask(cases[i].zone, tree, false, "joe@example.com\0", NULL, NULL, cases[i].sample);
            enum dmarc_policy want = tree ? cases[i].tree : cases[i].list;
            assert_int_equal(d.result, DMARC_FAIL);
            assert_int_equal(d.asked, want);
            assert_int_equal(d.sampled_out, want != d.published);
        }
    }
}

static void records(void **state)
{
    static const struct {
        const char *text;
        bool is, usable;
        enum dmarc_policy p, sp, np;
    } cases[] = {
        { "v=DMARC1; p=reject", true, true, R, R, R },
        { "v=DMARC1;p=reject;", true, true, R, R, R },
        { "V \t= DMARC1 \t; P = Reject \t;\t", true, true, R, R, R },
        { "v=DMARC1; sp=none; p=quarantine", true, true, Q, N, N },
        { "v=DMARC1; p=quarantine; np=reject", true, true, Q, Q, R },
        { "v=DMARC1; p=none; unknown=x; ;; =y; z; sp=reject", true, true, N, R, R },
        { "v=DMARC1; p=none; p=reject", true, true, N, N, N },
        { "v=DMARC1; p=reject; rua=; ruf=nonsense; fo=9; ri=x; rf=?", true, true, R, R, R },
        { "v=DMARC1; p=bogus", true, false, N, N, N },
        { "v=DMARC1; p=", true, false, N, N, N },
        { "v=DMARC1", true, false, N, N, N },
        { "v=DMARC1; p=reject; sp=bogus", true, false, N, N, N },
        { "v=DMARC1; p=reject; np=bogus", true, false, N, N, N },
        { "v=DMARC1; p=bogus; rua=mailto:x@y.example", true, true, N, N, N },
        { "v=DMARC1; rua=bogus , mailto:x@y.example!50m", true, true, N, N, N },
        { "v=DMARC1; p=reject; sp=bogus; rua=https://y.example/x", true, true, N, N, N },
        { "v=DMARC1; p=bogus; rua=x@y.example", true, false, N, N, N },
        { "v=DMARC1; p=bogus; rua=mailto:y.example", true, false, N, N, N },
        { "v=DMARC1; p=bogus; rua=mailto:x@y.example!", true, false, N, N, N },
        { "v=DMARC1; p=bogus; rua=mailto:x@y.example!1x", true, false, N, N, N },
        { "v=DMARC1; p=bogus; rua=mailto:x y@y.example", true, false, N, N, N },
        { " v=DMARC1; p=reject", false },
        { "v=dmarc1; p=reject", false },
        { "v=DMARC10; p=reject", false },
        { "v=DMARC1 p=reject", false },
        { "v=DMARC2; p=reject", false },
        { "v=DMARC", false },
        { "p=reject; v=DMARC1", false },
        { "v", false },
        { "", false },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct dmarc_record r;
        if (dmarc_record_is(slice_str(cases[i].text)) != cases[i].is) fail_msg("%s", cases[i].text);
        if (!cases[i].is) continue;
        dmarc_record_parse(slice_str(cases[i].text), false, &r);
        if (r.usable != cases[i].usable || r.p != cases[i].p || r.sp != cases[i].sp || r.np != cases[i].np) fail_msg("%s", cases[i].text);
    }
    struct dmarc_record r; /* RFC 9989 §4.7: no p= is p=none; a bad one is not */
    dmarc_record_parse(SLICE("v=DMARC1; sp=reject"), true, &r);
    assert_true(r.usable && r.p == N && r.sp == R);
    dmarc_record_parse(SLICE("v=DMARC1; p=bogus"), true, &r);
    assert_false(r.usable);
    static const char odd[] = "v=DMARC1; p=none; rua=mail\0to:a@b, m\0: x";
    dmarc_record_parse(slice_of(odd, sizeof odd - 1), false, &r);
    assert_true(r.usable);
}

static void by_tree(void **state)
{
    static const struct expected cases[] = {
        { REJECT, "joe@example.com", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@example.com", "mail.example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@a.b.example.com", "c.example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT, "joe@a.b.example.com", NULL, "example.net", DMARC_FAIL, R, "example.com" },
        { "", "joe@example.com", "example.com", NULL, DMARC_NONE, N, "" },
        /* RFC 9989 §4.10.2, its examples */
        { REJECT "_dmarc.mail.example.com v=DMARC1; p=none\n", "joe@a.mail.example.com", "b.example.com", NULL, DMARC_PASS, N, "example.com" },
        { REJECT "_dmarc.mail.example.com v=DMARC1; p=none; psd=n\n", "joe@a.mail.example.com", "b.example.com", NULL, DMARC_FAIL, N, "mail.example.com" },
        { REJECT "_dmarc.mail.example.com v=DMARC1; p=none; psd=n\n", "joe@a.mail.example.com", "b.mail.example.com", NULL, DMARC_PASS, N, "mail.example.com" },
        { "_dmarc.com v=DMARC1; p=reject; psd=y\n", "joe@a.mail.example.com", "b.example.com", NULL, DMARC_PASS, N, "com" },
        { "_dmarc.com v=DMARC1; p=reject; psd=y\n", "joe@a.example.com", "example.org", "other.com", DMARC_FAIL, R, "com" },
        { "_dmarc.com v=DMARC1; p=reject; psd=y; sp=quarantine\n", "joe@example.com", NULL, NULL, DMARC_FAIL, Q, "com" },
        { "_dmarc.com v=DMARC1; p=reject; psd=y\n_dmarc.example.com v=DMARC1; p=none\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        { "_dmarc.com v=DMARC1; p=quarantine; psd=y\n", "joe@com", NULL, NULL, DMARC_FAIL, Q, "com" },
        { "_dmarc.com v=DMARC1; p=quarantine; psd=y\n", "joe@com", "example.com", NULL, DMARC_FAIL, Q, "com" },
        /* an own policy, though the organisation is above */
        { REJECT "_dmarc.a.example.com v=DMARC1; p=quarantine\n", "joe@a.example.com", "example.com", NULL, DMARC_PASS, N, "a.example.com" },
        { REJECT "_dmarc.a.example.com v=DMARC1; p=quarantine; aspf=s\n", "joe@a.example.com", "example.com", NULL, DMARC_FAIL, Q, "a.example.com" },
        /* an identifier with an organisation of its own */
        { REJECT "_dmarc.sub.example.com v=DMARC1; p=none; psd=n\n", "joe@example.com", "x.sub.example.com", NULL, DMARC_FAIL, R, "example.com" },
        /* several records are none, and the walk goes on */
        { REJECT "_dmarc.a.example.com v=DMARC1; p=none\n_dmarc.a.example.com v=DMARC1; p=none\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        /* np= (§3.2.13: NXDOMAIN) and sp= */
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.example.com v=DMARC1; p=none; np=reject\nx.a.example.com A\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        { "_dmarc.example.com v=DMARC1; sp=reject\n", "joe@example.com", NULL, NULL, DMARC_FAIL, N, "example.com" },
        /* failures */
        { "_dmarc.com TEMPFAIL\n" REJECT, "joe@example.com", "example.com", NULL, DMARC_PASS, N, "example.com" },
        { "_dmarc.com TEMPFAIL\n" REJECT, "joe@example.com", "a.example.com", NULL, DMARC_TEMPERROR, N, "example.com" },
        { "_dmarc.com TEMPFAIL\n" REJECT, "joe@example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.com TEMPFAIL\n" REJECT, "joe@a.example.com", NULL, NULL, DMARC_TEMPERROR, N, "" },
        { "_dmarc.com TEMPFAIL\n_dmarc.example.com v=DMARC1; p=reject; psd=n\n", "joe@a.example.com", NULL, NULL, DMARC_FAIL, R, "example.com" },
        { "_dmarc.a.example.com TEMPFAIL\n" REJECT, "joe@example.com", "x.a.example.com", NULL, DMARC_TEMPERROR, N, "example.com" },
    };
    run(cases, countof(cases), true);
}

/* RFC 9989 §4.10: the eight questions of its example; all at once. */
static void questions(void **state)
{
    static const char *const names[] = {
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com", "_dmarc.g.h.i.j.mail.example.com", "_dmarc.h.i.j.mail.example.com",
        "_dmarc.i.j.mail.example.com", "_dmarc.j.mail.example.com", "_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com",
    };
    ask("", true, true, "joe@a.b.c.d.e.f.g.h.i.j.mail.example.com\0", NULL, NULL, 0);
    assert_int_equal(rounds, 2);
    assert_int_equal(world.asked_n, countof(names));
    for (size_t i = 0; i < countof(names); i++) assert_string_equal(world.asked[i].name, names[i]);
    static const size_t labels[][2] = { { 1, 1 }, { 7, 7 }, { 8, 8 }, { 9, 8 }, { 10, 8 } };
    for (size_t i = 0; i < countof(labels); i++) {
        char from[100] = "joe@";
        for (size_t k = 0; k < labels[i][0]; k++) strcat(from, k ? ".x" : "x");
        ask("", true, false, from, NULL, NULL, 0);
        assert_int_equal(world.asked_n, labels[i][1]);
    }
    /* a name to which no "_dmarc." fits is without a policy of its own */
    char from[400] = "joe@";
    for (size_t k = 0; k < 24; k++) strcat(from, "abcdefghi.");
    strcat(from, "example.com"); /* 251 */
    assert_int_equal(ask(REJECT, true, false, from, NULL, NULL, 0).asked, R);
    assert_int_equal(ask(REJECT, false, false, from, NULL, NULL, 0).asked, R);
    /* by the list both are asked for at once */
    ask(REJECT, false, true, "joe@a.example.com\0", NULL, NULL, 0);
    assert_int_equal(rounds, 2);
    assert_int_equal(world.asked_n, 2);
}

static void organisations(void **state)
{
    static const char *const cases[][2] = {
        { "example.com", "example.com" }, { "a.b.example.com", "example.com" }, { "com", "com" }, { "a.example.co.uk", "example.co.uk" },
        { "co.uk", "co.uk" }, { "a.b.unlisted", "b.unlisted" }, { "", "" }, { "xn--bcher-kva.xn--55qx5d.cn", "xn--bcher-kva.xn--55qx5d.cn" },
    };
    for (size_t i = 0; i < countof(cases); i++)
        assert_true(slice_eq(dmarc_organisation(psl_builtin(), slice_str(cases[i][0])), slice_str(cases[i][1])));
}

static int clean(void **state)
{
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records), cmocka_unit_test(by_list), cmocka_unit_test(by_tree), cmocka_unit_test(froms),
        cmocka_unit_test(overflow),        cmocka_unit_test(samples), cmocka_unit_test(questions), cmocka_unit_test(organisations),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
