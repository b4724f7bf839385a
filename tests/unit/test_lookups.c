/* SPDX-License-Identifier: Apache-2.0
 * The answers of one message: asked once, kept, cancelled, given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "mailauth/dns.h"

struct world {
    struct lookup *started[LOOKUPS_MAX + 10];
    size_t n, cancelled, told;
    const struct auth_dns_answer *at_once;
};

static void start(void *arg, struct lookup *l)
{
    struct world *w = arg;
    assert_null(l->answer);
    w->started[w->n++] = l;
    if (w->at_once) lookup_answer(l, w->at_once);
}

static void cancel(void *arg, struct lookup *l)
{
    (void)l;
    ((struct world *)arg)->cancelled++;
}

static void on_answer(void *arg) { ((struct world *)arg)->told++; }

static struct lookups *open_set(struct world *w)
{
    struct lookups_calls calls = { start, cancel, on_answer, w };
    *w = (struct world){ .n = 0 };
    return lookups_new(&calls);
}

static const struct auth_dns_answer *get(struct lookups *set, enum auth_dns_type type, const char *name)
{
    struct auth_dns dns = lookups_dns(set);
    return dns.get(dns.arg, type, slice_str(name), NULL);
}

static void asked_once(void **state)
{
    struct world w;
    struct lookups *set = open_set(&w);
    assert_false(lookups_pending(set));
    assert_null(get(set, AUTH_DNS_TXT, "A.example"));
    assert_null(get(set, AUTH_DNS_TXT, "a.EXAMPLE"));
    assert_null(get(set, AUTH_DNS_A, "a.example"));
    assert_int_equal(w.n, 2);
    assert_string_equal(w.started[0]->name, "a.example");
    assert_true(lookups_pending(set));
    char text[] = "v=spf1 -all";
    struct slice texts[] = { slice_str(text), SLICE("") };
    lookup_answer(w.started[0], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .secure = true, .n = 2, .texts = texts });
    assert_int_equal(w.told, 1);
    text[0] = 'x'; /* it is a copy */
    const struct auth_dns_answer *a = get(set, AUTH_DNS_TXT, "a.example");
    assert_true(a && a->n == 2 && a->secure && slice_eq(a->texts[0], SLICE("v=spf1 -all")) && !a->texts[1].n);
    assert_null(get(set, AUTH_DNS_A, "a.example"));
    lookup_answer(w.started[1], &(struct auth_dns_answer){ .status = AUTH_DNS_OK }); /* says OK, has nothing */
    assert_int_equal(get(set, AUTH_DNS_A, "a.example")->status, AUTH_DNS_NODATA);
    assert_false(lookups_pending(set));
    lookups_free(&set);
    assert_null(set);
    lookups_free(&set);
    assert_int_equal(w.cancelled, 0);
}

static void kinds(void **state)
{
    struct world w;
    struct lookups *set = open_set(&w);
    struct auth_dns dns = lookups_dns(set);
    struct ip one, two;
    ip_parse(SLICE("192.0.2.1"), &one);
    ip_parse(SLICE("192.0.2.2"), &two);
    assert_null(dns.get(dns.arg, AUTH_DNS_PTR, SLICE(""), &one));
    assert_null(dns.get(dns.arg, AUTH_DNS_PTR, SLICE(""), &two));
    assert_null(dns.get(dns.arg, AUTH_DNS_PTR, SLICE(""), &one));
    assert_null(dns.get(dns.arg, AUTH_DNS_MX, SLICE("x.example"), NULL));
    assert_null(dns.get(dns.arg, AUTH_DNS_AAAA, SLICE("x.example"), NULL));
    assert_int_equal(w.n, 4);
    assert_true(ip_eq(&w.started[1]->ip, &two) && !*w.started[1]->name);
    struct auth_dns_mx mx[] = { { 5, SLICE("m.example") }, { 7, SLICE("") } };
    lookup_answer(w.started[2], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 2, .mx = mx });
    lookup_answer(w.started[1], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 1, .names = (struct slice[]){ SLICE("p") } });
    lookup_answer(w.started[3], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 1, .ips = &one });
    lookup_answer(w.started[0], &(struct auth_dns_answer){ .status = AUTH_DNS_TEMPFAIL, .n = 7 });
    const struct auth_dns_answer *a = dns.get(dns.arg, AUTH_DNS_MX, SLICE("X.example"), NULL);
    assert_true(a->n == 2 && a->mx[0].preference == 5 && slice_eq(a->mx[0].name, SLICE("m.example")) && !a->mx[1].name.n);
    assert_true(ip_eq(&get(set, AUTH_DNS_AAAA, "x.example")->ips[0], &one));
    assert_true(slice_eq(dns.get(dns.arg, AUTH_DNS_PTR, SLICE(""), &two)->names[0], SLICE("p")));
    a = dns.get(dns.arg, AUTH_DNS_PTR, SLICE(""), &one);
    assert_true(a->status == AUTH_DNS_TEMPFAIL && a->n == 0);
    lookups_free(&set);
}

static void answered_within_start(void **state)
{
    struct world w;
    struct lookups *set = open_set(&w);
    w.at_once = &(struct auth_dns_answer){ .status = AUTH_DNS_NODATA };
    const struct auth_dns_answer *a = get(set, AUTH_DNS_TXT, "a.example");
    assert_true(a && a->status == AUTH_DNS_NODATA);
    assert_int_equal(w.told, 0);
    assert_false(lookups_pending(set));
    lookups_free(&set);
}

static void cancelled(void **state)
{
    struct world w;
    struct lookups *set = open_set(&w);
    for (int i = 0; i < 5; i++) get(set, (enum auth_dns_type)(i % 4), i < 4 ? "a.example" : "b.example");
    lookup_answer(w.started[2], &(struct auth_dns_answer){ .status = AUTH_DNS_NXDOMAIN });
    lookups_free(&set);
    assert_int_equal(w.n, 5);
    assert_int_equal(w.cancelled, 4);
}

static void given_up(void **state)
{
    struct world w;
    struct lookups *set = open_set(&w);
    get(set, AUTH_DNS_TXT, "a.example");
    get(set, AUTH_DNS_TXT, "b.example");
    lookup_answer(w.started[0], &(struct auth_dns_answer){ .status = AUTH_DNS_NXDOMAIN });
    lookups_give_up(set);
    assert_int_equal(w.cancelled, 1);
    assert_int_equal(w.told, 1);
    assert_false(lookups_pending(set));
    assert_int_equal(get(set, AUTH_DNS_TXT, "a.example")->status, AUTH_DNS_NXDOMAIN);
    assert_int_equal(get(set, AUTH_DNS_TXT, "b.example")->status, AUTH_DNS_TEMPFAIL);
    assert_int_equal(get(set, AUTH_DNS_TXT, "c.example")->status, AUTH_DNS_TEMPFAIL);
    assert_int_equal(w.n, 2);
    lookups_give_up(set);
    lookups_free(&set);
    assert_int_equal(w.cancelled, 1);
}

static void limits(void **state)
{
    struct world w;
    struct lookups *set = open_set(&w);
    char name[32];
    for (int i = 0; i < LOOKUPS_MAX; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        assert_null(get(set, AUTH_DNS_TXT, name));
    }
    assert_int_equal(get(set, AUTH_DNS_TXT, "more.example")->status, AUTH_DNS_TEMPFAIL);
    assert_int_equal(w.n, LOOKUPS_MAX);
    struct slice texts[513];
    for (size_t i = 0; i < countof(texts); i++) texts[i] = SLICE("x");
    lookup_answer(w.started[0], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 512, .texts = texts });
    lookup_answer(w.started[1], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 513, .texts = texts });
    char *big = mem_zalloc(65537);
    texts[0] = slice_of(big, 65536);
    lookup_answer(w.started[2], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 1, .texts = texts });
    texts[0].n++;
    lookup_answer(w.started[3], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 1, .texts = texts });
    free(big);
    assert_int_equal(get(set, AUTH_DNS_TXT, "n0.example")->n, 512);
    assert_int_equal(get(set, AUTH_DNS_TXT, "n1.example")->status, AUTH_DNS_TEMPFAIL);
    assert_int_equal(get(set, AUTH_DNS_TXT, "n2.example")->texts[0].n, 65536);
    assert_int_equal(get(set, AUTH_DNS_TXT, "n3.example")->status, AUTH_DNS_TEMPFAIL);
    lookups_free(&set);
    set = open_set(&w);
    struct auth_dns_mx mx[65] = { { 0, { NULL, 0 } } };
    get(set, AUTH_DNS_MX, "a.example");
    lookup_answer(w.started[0], &(struct auth_dns_answer){ .status = AUTH_DNS_OK, .n = 65, .mx = mx });
    assert_int_equal(get(set, AUTH_DNS_MX, "a.example")->n, 64);
    lookups_free(&set);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {
        { "a", true }, { "a.b", true }, { "", false }, { ".", false }, { "a.", false }, { ".a", false }, { "a..b", false },
        { "A b\xff.c", true },
    };
    char name[256];
    for (size_t i = 0; i < countof(cases); i++) assert_int_equal(auth_dns_name_ok(slice_str(cases[i].name)), cases[i].ok);
    memset(name, 'x', sizeof name);
    assert_true(auth_dns_name_ok(slice_of(name, 63)));
    assert_false(auth_dns_name_ok(slice_of(name, 64)));
    for (size_t i = 10; i < sizeof name; i += 10) name[i] = '.';
    assert_true(auth_dns_name_ok(slice_of(name, 253)));
    assert_false(auth_dns_name_ok(slice_of(name, 254)));
    name[3] = 0;
    assert_false(auth_dns_name_ok(slice_of(name, 20)));
    struct world w;
    struct lookups *set = open_set(&w);
    assert_int_equal(get(set, AUTH_DNS_A, "a..b")->status, AUTH_DNS_NXDOMAIN);
    assert_int_equal(w.n, 0);
    lookups_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_once), cmocka_unit_test(kinds), cmocka_unit_test(answered_within_start), cmocka_unit_test(cancelled),
        cmocka_unit_test(given_up), cmocka_unit_test(limits), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
