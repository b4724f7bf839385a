/* SPDX-License-Identifier: Apache-2.0
 * MTA-STS records and policies, TLS reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"
#include "fetch/mta_sts.h"
#include "fetch/tls_report.h"

static bool record(const char *a, const char *b, char id[STS_ID_MAX + 1])
{
    struct slice texts[] = { slice_str(a), slice_str(b) };
    return sts_record_parse(texts, b ? 2 : 1, id);
}

static void records(void **state)
{
    char id[STS_ID_MAX + 1];
    assert_true(record("v=STSv1; id=20160831085700Z;", NULL, id));
    assert_string_equal(id, "20160831085700Z");
    assert_true(record("v=STSv1 ;\tid=a", "v=spf1 -all", id));
    assert_true(record("v=STSv1; x=y=z; id=a; q", NULL, id));
    assert_false(record("v=STSv1; id=a", "v=STSv1; id=b", id)); /* two: none counts */
    assert_false(record("v=STSv10; id=a", NULL, id));
    assert_false(record("v=stsv1; id=a", NULL, id));
    assert_false(record("v=STSv1", NULL, id));
    assert_false(record("v=STSv1; id=", NULL, id));
    assert_false(record("v=STSv1; id=a-b", NULL, id));
    assert_false(record("v=STSv1; id=a; id=b", NULL, id));
    assert_false(record("v=STSv1; id=123456789012345678901234567890123", NULL, id));
    assert_false(record(" v=STSv1; id=a", NULL, id));
}

#define GOOD "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n"

static void policies(void **state)
{
    struct sts_policy p;
    struct err err;
    assert_true(sts_policy_parse(SLICE(GOOD), &p, &err));
    assert_int_equal(p.mode, STS_ENFORCE);
    assert_int_equal(p.max_age, 604800);
    assert_int_equal(p.mx_n, 2);
    assert_string_equal(p.mx[1], "*.example.net");
    assert_true(sts_policy_parse(SLICE("version:STSv1\nmode:none\nmax_age:1"), &p, &err));
    assert_true(sts_policy_parse(SLICE(GOOD "mode: none\nfuture: x\n\n"), &p, &err)); /* the first mode counts */
    assert_int_equal(p.mode, STS_ENFORCE);
    assert_true(sts_policy_parse(SLICE("version: STSv1\nmode: testing\nmx: a.b\nmax_age: 4000000000\n"), &p, &err));
    assert_int_equal(p.max_age, STS_AGE_MAX);
    static const struct { const char *text, *why; } bad[] = {
        { "", "lacks" },
        { "version: STSv1\nmode: enforce\nmax_age: 1\n", "no MX" },
        { "version: STSv2\nmode: none\nmax_age: 1\n", "version" },
        { "version: STSv1\nmode: Enforce\nmx: a.b\nmax_age: 1\n", "mode" },
        { "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: -1\n", "max_age" },
        { "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 99999999999\n", "max_age" },
        { "version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1\n", "mx" },
        { "version: STSv1\nmode: enforce\nmx: *.*.b\nmax_age: 1\n", "mx" },
        { "version: STSv1\nmode: enforce\nmx: \nmax_age: 1\n", "mx" },
        { "<html>nothing here</html>", "colon" },
        { GOOD "a\033b: c\n", "control" },
        { GOOD "x: y\rz\n", "control" },
    };
    for (size_t i = 0; i < countof(bad); i++) {
        assert_false(sts_policy_parse(slice_str(bad[i].text), &p, &err));
        if (!strstr(err.text, bad[i].why)) fail_msg("%s: %s", bad[i].text, err.text);
    }
}

/* What a JSON reader would stumble over, or read otherwise. */
static void a_nul_is_no_policy(void **state)
{
    struct sts_policy p;
    struct err err;
    assert_false(sts_policy_parse(SLICE(GOOD "x\0y: z\n"), &p, &err));
    assert_false(sts_policy_parse(SLICE(GOOD "\0mode: none\n"), &p, &err));
    assert_false(sts_policy_parse(SLICE("version: STSv1\0\nmode: none\nmax_age: 1\n"), &p, &err));
    assert_true(sts_policy_parse(SLICE(GOOD "x:\ty\xc3\xa9\n"), &p, &err));
}

static void too_many_hosts(void **state)
{
    struct buf b = { 0 };
    struct sts_policy p;
    struct err err;
    buf_add_str(&b, "version: STSv1\nmode: enforce\nmax_age: 1\n");
    for (int i = 0; i < STS_MX_MAX; i++) buf_addf(&b, "mx: m%d.example.com\n", i);
    assert_true(sts_policy_parse(buf_slice(&b), &p, &err));
    buf_add_str(&b, "mx: one.too.many\n");
    assert_false(sts_policy_parse(buf_slice(&b), &p, &err));
    for (int i = 0; i < 6000; i++) buf_add_str(&b, "ignored: line\n");
    assert_false(sts_policy_parse(buf_slice(&b), &p, &err));
    buf_deinit(&b);
}

static void coverage(void **state)
{
    struct sts_policy p;
    struct err err;
    assert_true(sts_policy_parse(SLICE(GOOD), &p, &err));
    assert_true(sts_policy_covers(&p, SLICE("MAIL.example.com")));
    assert_true(sts_policy_covers(&p, SLICE("a.example.net")));
    assert_false(sts_policy_covers(&p, SLICE("example.net")));
    assert_false(sts_policy_covers(&p, SLICE("a.b.example.net")));
    assert_false(sts_policy_covers(&p, SLICE(".example.net")));
    assert_false(sts_policy_covers(&p, SLICE("xmail.example.com")));
    assert_false(sts_policy_covers(&p, SLICE("mail.example.com.evil.org")));
}

/* ---- reports */

static json_int_t number(const json_t *report, const char *key)
{
    const json_t *entry = json_array_get(json_object_get(report, "policies"), 0);
    return json_integer_value(json_object_get(json_object_get(entry, "summary"), key));
}

static void counting(void **state)
{
    json_t *counts = tls_counts_new(1700006400), *policy = json_pack("[s, s]", "version: STSv1", "mode: enforce");
    struct tls_event e = { .domain = "example.com", .policy_type = "sts", .policy = policy };
    assert_true(tls_counts_add(counts, &e));
    assert_true(tls_counts_add(counts, &e));
    e.failure = "certificate-expired";
    e.mx_host = "mx.example.com";
    for (int i = 0; i < 3; i++) assert_true(tls_counts_add(counts, &e));
    for (int i = 0; i < 200; i++) { /* details are bounded, the sum is not wrong for that */
        char ip[30];
        snprintf(ip, sizeof ip, "192.0.2.%d", i);
        e.mx_ip = ip;
        assert_true(tls_counts_add(counts, &e));
    }
    json_t *report = tls_report_make(counts, "example.com", "Example", "postmaster@relay.example", "id-1");
    assert_int_equal(number(report, "total-successful-session-count"), 2);
    assert_int_equal(number(report, "total-failure-session-count"), 203);
    const json_t *entry = json_array_get(json_object_get(report, "policies"), 0);
    const json_t *details = json_object_get(entry, "failure-details");
    assert_int_equal(json_array_size(details), TLS_REPORT_DETAILS_MAX);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(details, 0), "failed-session-count")), 3);
    const json_t *range = json_object_get(report, "date-range");
    assert_string_equal(json_string_value(json_object_get(range, "start-datetime")), "2023-11-15T00:00:00Z");
    assert_string_equal(json_string_value(json_object_get(range, "end-datetime")), "2023-11-15T23:59:59Z");
    assert_null(tls_report_make(counts, "other.example", "Example", "x@y", "id"));
    assert_string_equal(tls_counts_next(counts, NULL), "example.com");
    assert_null(tls_counts_next(counts, "example.com"));
    json_decref(report);
    json_decref(policy);
    json_decref(counts);
}

/* A policy that is another one with each look takes no more room than that. */
static void policies_are_bounded(void **state)
{
    json_t *counts = tls_counts_new(0);
    for (int i = 0; i < 3 * TLS_REPORT_POLICIES_MAX; i++) {
        json_t *policy = json_pack("[s, o]", "version: STSv1", json_sprintf("max_age: %d", i));
        struct tls_event e = { .domain = "example.com", .policy_type = "sts", .policy = policy };
        assert_true(tls_counts_add(counts, &e));
        json_decref(policy);
    }
    json_t *report = tls_report_make(counts, "example.com", "Example", "x@y", "id");
    assert_int_equal(json_array_size(json_object_get(report, "policies")), TLS_REPORT_POLICIES_MAX);
    assert_int_equal(number(report, "total-successful-session-count"), 2 * TLS_REPORT_POLICIES_MAX + 1);
    json_decref(report);
    json_decref(counts);
}

static void domains_are_bounded(void **state)
{
    json_t *counts = tls_counts_new(0);
    char domain[40];
    struct tls_event e = { .domain = domain, .policy_type = "no-policy-found" };
    for (int i = 0; i < TLS_REPORT_DOMAINS_MAX; i++) {
        snprintf(domain, sizeof domain, "d%d.example", i);
        assert_true(tls_counts_add(counts, &e));
    }
    assert_true(tls_counts_add(counts, &e));
    snprintf(domain, sizeof domain, "more.example");
    assert_false(tls_counts_add(counts, &e));
    json_decref(counts);
}

static void addresses(void **state)
{
    static char rua[TLS_REPORT_RUA_MAX][512];
    struct slice one[] = { SLICE("v=TLSRPTv1; rua=mailto:a@example.com, https://example.com/x ,ftp://no,mailto:b@example.com\"") };
    assert_int_equal(tls_report_rua(one, 1, rua), 2);
    assert_string_equal(rua[0], "mailto:a@example.com");
    assert_string_equal(rua[1], "https://example.com/x");
    struct slice two[] = { SLICE("v=TLSRPTv1;rua=mailto:a@b"), SLICE("v=TLSRPTv1;rua=mailto:c@d") };
    assert_int_equal(tls_report_rua(two, 2, rua), 0);
    struct slice none[] = { SLICE("v=TLSRPTv1"), SLICE("v=TLSRPTv10; rua=mailto:a@b") };
    assert_int_equal(tls_report_rua(none, 2, rua), 0);
}

static void pack(struct slice in, struct buf *out)
{
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)in.p, .avail_in = (unsigned)in.n };
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, in.n);
    z.next_out = (unsigned char *)buf_reserve(out, room);
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n = room - z.avail_out;
    deflateEnd(&z);
}

static void reading(void **state)
{
    static const char text[] = "{\"organization-name\":\"Ex\\u001bample\",\"policies\":[{\"policy\":{\"policy-type\":\"sts\","
                               "\"policy-domain\":\"example.com\"},\"summary\":{\"total-successful-session-count\":5},"
                               "\"failure-details\":[{\"result-type\":\"certificate-expired\",\"failed-session-count\":2}]}]}";
    struct buf packed = { 0 }, out = { 0 };
    struct err err;
    pack(slice_str(text), &packed);
    json_t *report = tls_report_read(buf_slice(&packed), &err);
    assert_non_null(report);
    tls_report_print(report, &out);
    assert_non_null(strstr(buf_cstr(&out), "example.com (sts): 5 sessions well, 0 failed"));
    assert_non_null(strstr(buf_cstr(&out), "2 x certificate-expired"));
    assert_null(strchr(buf_cstr(&out), '\x1b'));
    json_decref(report);
    assert_null(tls_report_read(slice_sub(buf_slice(&packed), 0, packed.n / 2), &err));
    assert_non_null(strstr(err.text, "damaged"));
    assert_null(tls_report_read(SLICE("{}"), &err));
    assert_null(tls_report_read(SLICE("[1,"), &err));
    assert_null(tls_report_read(SLICE(""), &err));
    char *zeros = mem_zalloc(TLS_REPORT_READ_MAX + 1000); /* a small file that unpacks to a large one */
    buf_clear(&packed);
    pack(slice_of(zeros, TLS_REPORT_READ_MAX + 1000), &packed);
    assert_null(tls_report_read(buf_slice(&packed), &err));
    assert_non_null(strstr(err.text, "larger"));
    free(zeros);
    buf_deinit(&packed);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),  cmocka_unit_test(policies),           cmocka_unit_test(too_many_hosts),
        cmocka_unit_test(a_nul_is_no_policy), cmocka_unit_test(policies_are_bounded),
        cmocka_unit_test(coverage), cmocka_unit_test(counting),           cmocka_unit_test(domains_are_bounded),
        cmocka_unit_test(addresses), cmocka_unit_test(reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
