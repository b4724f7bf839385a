/* SPDX-License-Identifier: Apache-2.0
 * The base: slices, buffers, arenas, lists, the hash table, addresses, checksums, dates, ids, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/utf8.h"

static void expect_text(struct buf *b, const char *want)
{
    assert_string_equal(buf_cstr(b), want);
    buf_clear(b);
}

static void test_slice(void **state)
{
    struct slice s = SLICE("Hello"), head;
    assert_true(slice_ieq(s, SLICE("hELLO")) && !slice_eq(s, SLICE("hello")) && slice_eq(slice_of(NULL, 0), SLICE("")));
    assert_true(slice_istarts(s, SLICE("he")) && !slice_starts(s, SLICE("he")) && !slice_starts(s, SLICE("Hello!")));
    assert_true(slice_iends(s, SLICE("LO")) && slice_iends(s, SLICE("")) && !slice_iends(SLICE("lo"), s));
    assert_true(slice_eq(slice_sub(s, 1, 3), SLICE("el")) && slice_sub(s, 4, 2).n == 0 && slice_sub(s, 9, 12).n == 0);
    assert_true(slice_cmp(SLICE("a"), SLICE("b")) < 0 && slice_cmp(SLICE("ab"), SLICE("a")) > 0 &&
                slice_cmp(s, s) == 0);
    assert_int_equal(slice_find(s, 'l'), 2);
    assert_int_equal(slice_find(SLICE(""), 'l'), -1);
    assert_true(slice_eq(slice_trim(SLICE(" \t\r\n x y \r\n")), SLICE("x y")) && slice_trim(SLICE(" \t")).n == 0);
    s = SLICE("a,,b");
    assert_true(slice_cut(&s, ',', &head) && slice_eq(head, SLICE("a")));
    assert_true(slice_cut(&s, ',', &head) && head.n == 0);
    assert_true(!slice_cut(&s, ',', &head) && slice_eq(head, SLICE("b")) && s.n == 0);
}

static void test_slice_number(void **state)
{
    uint64_t v = 7;
    assert_true(ascii_hex('0') == 0 && ascii_hex('f') == 15 && ascii_hex('A') == 10 && ascii_hex('g') < 0 && ascii_hex(0) < 0);
    assert_true(slice_to_u64(SLICE("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
    assert_true(slice_to_u64(SLICE("007"), 7, &v) && v == 7);
    static const char *const bad[] = { "",   "18446744073709551616", "99999999999999999999", "-1", "+1", "1 ", "0x1",
                                       "101" };
    for (size_t i = 0; i < countof(bad); i++)
        assert_false(slice_to_u64(slice_str(bad[i]), i < 7 ? UINT64_MAX : 100, &v));
    assert_int_equal(v, 7);
}

static void test_buf(void **state)
{
    struct buf b = { .max = 10 };
    buf_add_str(&b, "12345");
    buf_add_str(&b, "678901");
    assert_true(b.overflow && b.n == 5);
    buf_add_u64(&b, 90);
    buf_addf(&b, "%d", 12);
    expect_text(&b, "123459012");
    buf_add_str(&b, "0123456789");
    assert_false(b.overflow);
    assert_string_equal(buf_cstr(&b), "0123456789"); /* a view past max */
    buf_add_char(&b, 'x');
    assert_true(b.overflow);
    buf_deinit(&b);
    struct buf big = { 0 };
    for (int i = 0; i < 5000; i++) buf_addf(&big, "%d,", i % 10);
    assert_int_equal(big.n, 10000);
    buf_consume(&big, 9996);
    expect_text(&big, "8,9,");
    buf_consume(&big, 1);
    buf_add_u64(&big, 0);
    buf_add_u64(&big, UINT64_MAX);
    expect_text(&big, "018446744073709551615");
    assert_null(buf_reserve(&big, SIZE_MAX));
    assert_true(big.overflow);
    buf_deinit(&big);
}

static void test_buf_format_fits_exactly(void **state)
{
    struct buf b = { .max = 3 };
    buf_addf(&b, "%s", "abc");
    assert_false(b.overflow);
    expect_text(&b, "abc");
    buf_deinit(&b);
}

static void test_printable(void **state)
{
    static const struct {
        const char *in;
        size_t max;
        const char *out;
    } cases[] = {
        { "plain text ~", 99, "plain text ~" },
        { "a\r\nb\tc\x1b[0m\x7f", 99, "a\\x0d\\x0ab\\x09c\\x1b[0m\\x7f" },
        { "back\\slash", 99, "back\\x5cslash" },
        { "a\\x5cd\\x0a\\xff\\x7f", 99, "a\\x5cd\\x0a\\xff\\x7f" }, /* made printable before */
        { "\\x41\\x0A\\x0", 99, "\\x5cx41\\x5cx0A\\x5cx0" },
        { "\\x5c", 3, "\\x5cx5..." },
        { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xac", 99, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xac" },
        { "\xc3", 99, "\\xc3" },
        { "\xc3(", 99, "\\xc3(" },
        { "\xc0\xaf", 99, "\\xc0\\xaf" },
        { "\xed\xa0\x80", 99, "\\xed\\xa0\\x80" },
        { "\xf4\x90\x80\x80", 99, "\\xf4\\x90\\x80\\x80" },
        { "\xf5\x80\x80\x80", 99, "\\xf5\\x80\\x80\\x80" },
        { "\xc2\x9b", 99, "\\xc2\\x9b" },
        { "\xe2\x80\xae", 99, "\\xe2\\x80\\xae" },
        { "\xe2\x80\xa8", 99, "\\xe2\\x80\\xa8" },
        { "\xe2\x81\xa6", 99, "\\xe2\\x81\\xa6" },
        { "\xe2\x80\xa7", 99, "\xe2\x80\xa7" },
        { "\xe2\x81\xaa", 99, "\xe2\x81\xaa" },
        { "\xe2\x80\x8e", 99, "\\xe2\\x80\\x8e" },
        { "\xe2\x80\x8f", 99, "\\xe2\\x80\\x8f" },
        { "\xd8\x9c", 99, "\\xd8\\x9c" },
        { "\xef\xbb\xbf", 99, "\\xef\\xbb\\xbf" },
        { "abcdef", 3, "abc..." },
        { "ab\xc3\xbc", 3, "ab\\xc3..." },
        { "abc", 3, "abc" },
        { "", 3, "" },
    };
    struct buf b = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        char *exact = mem_alloc(strlen(cases[i].in)); /* no byte behind it */
        memcpy(exact, cases[i].in, strlen(cases[i].in));
        buf_add_printable(&b, slice_of(exact, strlen(cases[i].in)), cases[i].max);
        free(exact);
        expect_text(&b, cases[i].out);
    }
    buf_add_printable(&b, slice_of("a\0b", 3), 99);
    expect_text(&b, "a\\x00b");
    buf_deinit(&b);
    assert_true(utf8_width('a') == 1 && utf8_width(0xFC) == 1 && utf8_width(0x91D1) == 2 && utf8_width(0x1F600) == 2 && utf8_width(0x301) == 0);
}

static void test_arena(void **state)
{
    struct arena a = { 0 };
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            size_t n = i * 37 % 300 + (i == 100 ? 100000 : 0);
            char *p = arena_alloc(&a, n);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t k = 0; k < n; k++) assert_int_equal(p[k], 0);
            if (n) memset(p, 0xAA, n);
        }
        assert_true(a.used > 100000);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    struct slice copy = arena_slice(&a, SLICE("text"));
    assert_string_equal(copy.p, "text");
    assert_string_equal(arena_strdup(&a, slice_of(NULL, 0)), "");
    const char *printed = arena_printf(&a, "%3000d%s", 7, "!"); /* longer than a block */
    assert_true(strlen(printed) == 3001 && !strcmp(printed + 2999, "7!"));
    arena_deinit(&a);
    assert_null(a.blocks);
    arena_reset(&a);
}

static void test_list(void **state)
{
    struct node {
        int v;
        struct list link;
    } nodes[5];
    struct list head;
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        nodes[i] = (struct node){ .v = i };
        assert_false(list_linked(&nodes[i].link));
        if (i % 2) list_push_front(&head, &nodes[i].link);
        else list_push_back(&head, &nodes[i].link);
    }
    int sum = 0; /* 3 1 0 2 4 */
    list_each(it, &head) sum = sum * 10 + list_entry(it, struct node, link)->v;
    assert_int_equal(sum, 31024);
    list_each_safe(it, &head) if (list_entry(it, struct node, link)->v % 2) list_remove(it);
    list_remove(&nodes[1].link);
    assert_ptr_equal(list_pop_front(&head), &nodes[0].link);
    list_remove(&nodes[4].link);
    assert_ptr_equal(list_pop_front(&head), &nodes[2].link);
    assert_true(list_empty(&head));
    assert_null(list_pop_front(&head));
}

/* ---- hash table */

struct item {
    uint64_t key;
    bool in;
};
static uint64_t poor_hash(const void *item) { return ((const struct item *)item)->key % 17 * 3; }
static uint64_t good_hash(const void *item) { return hash_u64(((const struct item *)item)->key); }
static bool item_match(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static void check_table(uint64_t (*hash_of)(const void *), size_t item_n, int steps)
{
    struct item *items = mem_zalloc(item_n * sizeof *items);
    struct htable t;
    size_t n = 0;
    htable_init(&t, hash_of);
    for (size_t i = 0; i < item_n; i++) items[i].key = i;
    for (int step = 0; step < steps; step++) {
        struct item *it = &items[(size_t)rand() % item_n], *found = htable_find(&t, hash_of(it), item_match, &it->key);
        assert_ptr_equal(found, it->in ? it : NULL);
        bool add = rand() % 100 < (step / (steps / 4) % 2 ? 20 : 80); /* grows and shrinks in turn */
        if (add && !it->in) htable_add(&t, it), n++, it->in = true;
        if (!add) htable_remove(&t, it), n -= it->in, it->in = false;
        assert_int_equal(t.n, n);
    }
    size_t at = 0, seen = 0;
    for (struct item *it; (it = htable_next(&t, &at)); seen++) assert_true(it->in);
    assert_int_equal(seen, n);
    for (size_t i = 0; i < item_n; i++)
        assert_ptr_equal(htable_find(&t, hash_of(&items[i]), item_match, &items[i].key),
                         items[i].in ? &items[i] : NULL);
    htable_deinit(&t);
    free(items);
}

static void test_htable(void **state)
{
    srand(11);
    check_table(poor_hash, 60, 20000);
    check_table(good_hash, 3000, 100000);
    assert_true(hash_ibytes(SLICE("AbC")) == hash_ibytes(SLICE("aBc")) &&
                hash_bytes(SLICE("AbC")) != hash_bytes(SLICE("aBc")));
    assert_true(hash_bytes(SLICE("")) != hash_bytes(slice_of("\0", 1)));
}

/* ---- addresses */

static void test_ip(void **state)
{
    static const struct {
        const char *in, *out, *literal;
        uint8_t family;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1", "192.0.2.1", 4 },
        { "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1", 4 },
        { "2001:DB8:0::1", "2001:db8::1", "IPv6:2001:db8::1", 6 },
        { "::", "::", "IPv6:::", 6 },
    };
    static const char *const bad[] = { "",
                                       " 1.2.3.4",
                                       "1.2.3.4 ",
                                       "1.2.3",
                                       "1.2.3.256",
                                       "01.2.3.4",
                                       "1.2.3.4/8",
                                       "[::1]",
                                       "fe80::1%lo",
                                       "::g",
                                       "12345::",
                                       "1:2:3:4:5:6:7:8:9",
                                       "0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0" };
    struct buf b = { 0 };
    struct ip ip, back;
    for (size_t i = 0; i < countof(cases); i++) {
        struct sockaddr_storage sa;
        uint16_t port = 0;
        assert_true(ip_parse(slice_str(cases[i].in), &ip));
        assert_int_equal(ip.family, cases[i].family);
        ip_add(&b, &ip);
        expect_text(&b, cases[i].out);
        ip_add_literal(&b, &ip);
        expect_text(&b, cases[i].literal);
        assert_int_equal(ip_to_sockaddr(&ip, 2525, &sa),
                         ip.family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_true(ip_from_sockaddr((struct sockaddr *)&sa, &back, &port) && ip_eq(&ip, &back) && port == 2525);
    }
    for (size_t i = 0; i < countof(bad); i++) assert_false(ip_parse(slice_str(bad[i]), &ip));
    assert_false(ip_parse(slice_of("1.2.3.4\0", 8), &ip));
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6,
                                   .sin6_addr.s6_addr = { [10] = 255, [11] = 255, [12] = 127, [15] = 1 } };
    assert_true(ip_from_sockaddr((struct sockaddr *)&mapped, &ip, NULL) && ip.family == 4 && ip_is_loopback(&ip));
    assert_true(ip_parse(SLICE("::1"), &ip) && ip_is_loopback(&ip));
    assert_true(ip_parse(SLICE("128.0.0.1"), &ip) && !ip_is_loopback(&ip));
    assert_false(ip_from_sockaddr(&(struct sockaddr){ .sa_family = AF_UNIX }, &ip, NULL));
    buf_deinit(&b);
}

static void test_ip_private(void **state)
{
    static const char *const yes[] = { "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255",
                                       "127.0.0.1", "169.254.0.0", "169.254.255.255", "100.64.0.0", "100.127.255.255", "::1", "fc00::",
                                       "fdff:ffff::1", "fe80::", "febf::1", "::ffff:10.1.2.3" };
    static const char *const no[] = { "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
                                      "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "100.63.255.255", "100.128.0.0",
                                      "::", "::2", "fbff::1", "fe00::", "fe7f::1", "fec0::1", "2001:db8::1", "::ffff:11.1.2.3",
                                      "a00::1", "ac10::1" };
    struct ip ip;
    for (size_t i = 0; i < countof(yes); i++)
        if (!ip_parse(slice_str(yes[i]), &ip) || !ip_is_private(&ip)) fail_msg("%s is private", yes[i]);
    for (size_t i = 0; i < countof(no); i++)
        if (!ip_parse(slice_str(no[i]), &ip) || ip_is_private(&ip)) fail_msg("%s is not private", no[i]);
    assert_false(ip_is_private(&(struct ip){ 0 }));
}

static void test_ip_net(void **state)
{
    static const struct {
        const char *net, *in, *out;
    } cases[] = {
        { "192.0.2.0/24", "192.0.2.255", "192.0.3.0" },
        { "10.0.0.0/255.128.0.0", "10.127.255.255", "10.128.0.0" },
        { "0.0.0.0/0", "255.1.2.3", "::1" },
        { "192.0.2.7", "192.0.2.7", "192.0.2.6" },
        { "192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.8" },
        { "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" },
        { "::/0", "ffff::", "1.2.3.4" },
        { "2001:db8::1", "2001:db8::1", "2001:db8::" },
        { "::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.0" },
        { "10.0.0.5/255.255.255.255", "10.0.0.5", "10.0.0.4" },
        { "2001:db8::/ffff:ffff::", "2001:db8:1::", "2001:db9::" },
        { "10.0.0.0/0.0.0.0x", NULL, NULL },
        { "10.0.0.1/24", NULL, NULL },
        { "10.0.0.0/33", NULL, NULL },
        { "::/129", NULL, NULL },
        { "10.0.0.0/", NULL, NULL },
        { "10.0.0.0/255.0.255.0", NULL, NULL },
        { "10.0.0.0/-1", NULL, NULL },
        { "10.0.0.0/8/8", NULL, NULL },
        { "::ffff:10.0.0.0/8", NULL, NULL },
        { "10.0.0.0/ffff::", NULL, NULL },
        { "", NULL, NULL },
        { "/8", NULL, NULL },
        { "10/8", NULL, NULL },
        { "2001:db8::/255.255.0.0", NULL, NULL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct ip_net net;
        struct ip ip;
        const char *why = ip_net_parse(slice_str(cases[i].net), &net);
        if ((why == NULL) != (cases[i].in != NULL)) fail_msg("%s: %s", cases[i].net, why ? why : "accepted");
        if (why) continue;
        assert_true(ip_parse(slice_str(cases[i].in), &ip));
        if (!ip_net_has(&net, &ip)) fail_msg("%s lacks %s", cases[i].net, cases[i].in);
        ip_mask(&ip, net.prefix);
        assert_true(ip_eq(&ip, &net.ip));
        assert_true(ip_parse(slice_str(cases[i].out), &ip));
        if (ip_net_has(&net, &ip)) fail_msg("%s has %s", cases[i].net, cases[i].out);
    }
}

/* ---- sums, dates, ids, errors, log */

static void test_crc32c(void **state)
{
    unsigned char bytes[48] = { 0 };
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa); /* RFC 3720 appendix B.4 */
    memset(bytes, 0xFF, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    for (size_t cut = 0; cut <= 32; cut++)
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, 32 - cut), 0x46dd794e);
    assert_int_equal(crc32c(0, bytes, 0), 0);
}

static void test_clock(void **state)
{
    struct buf b = { 0 };
    clock_add_rfc5322(&b, 0);
    expect_text(&b, "Thu, 1 Jan 1970 00:00:00 +0000");
    clock_add_rfc5322(&b, 1795296611123);
    expect_text(&b, "Sat, 21 Nov 2026 21:30:11 +0000");
    clock_add_rfc3339(&b, 1795296611003);
    expect_text(&b, "2026-11-21T21:30:11.003Z");
    clock_add_rfc3339(&b, 1709251199999);
    expect_text(&b, "2024-02-29T23:59:59.999Z");
    static const struct {
        uint64_t ms;
        const char *text;
    } spans[] = {
        { 0, "0s" },        { 999, "0s" },      { 90000, "1m30s" }, { 7500000, "2h5m" }, { 273600000, "3d4h" },
        { 86400000, "1d" }, { 86405000, "1d" }, { 3600000, "1h" },  { 59000, "59s" },    { 93784000, "1d2h" },
    };
    for (size_t i = 0; i < countof(spans); i++) {
        clock_add_span(&b, spans[i].ms);
        expect_text(&b, spans[i].text);
    }
    buf_deinit(&b);
    uint64_t before = clock_mono_us();
    assert_true(clock_mono_us() >= before && clock_wall_ms() > 1700000000000);
}

static void test_id(void **state)
{
    char text[ID_TEXT_LEN + 1], again[ID_TEXT_LEN + 1];
    uint64_t id = 1, back;
    for (int i = 0; i < 1000; i++, id = id * 6364136223846793005u + 1442695040888963407u) {
        id_format(id, text);
        assert_int_equal(strlen(text), ID_TEXT_LEN);
        assert_true(id_parse(slice_str(text), &back) && back == id);
        id_format(id + 1, again);
        if (id != UINT64_MAX) assert_true(strcmp(text, again) < 0); /* sorts as the number */
    }
    id_format(UINT64_MAX, text);
    assert_true(id_parse(slice_str(text), &back) && back == UINT64_MAX);
    assert_true(id_parse(SLICE("000000000000A"), &back) && back == 10);
    assert_false(id_parse(SLICE("g000000000000"), &back));
    assert_false(id_parse(SLICE("000000000000"), &back));
    assert_false(id_parse(SLICE("00000000000000"), &back));
    assert_false(id_parse(SLICE("00000000000-0"), &back) || id_parse(SLICE("00000000000i0"), &back));
    assert_false(id_parse(slice_of("000000000000\0", 13), &back));
}

static void test_err(void **state)
{
    struct err e;
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    assert_false(err_set(&e, "no %s", "way"));
    assert_string_equal(e.text, "no way");
    assert_false(err_sys(&e, ENOENT, "cannot open %s", "x"));
    assert_string_equal(e.text, "cannot open x: No such file or directory");
    assert_int_equal(e.code, ENOENT);
    err_sys(&e, ENOENT, "%s", long_text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

/* What the log writes to standard error for one event. */
#define LOGGED(out, ...)                                                                                               \
    do {                                                                                                               \
        int pipe_fds[2], saved = dup(STDERR_FILENO);                                                                   \
        assert_int_equal(pipe(pipe_fds), 0);                                                                           \
        dup2(pipe_fds[1], STDERR_FILENO);                                                                              \
        log_event(__VA_ARGS__);                                                                                        \
        log_flush();                                                                                                   \
        dup2(saved, STDERR_FILENO);                                                                                    \
        close(saved);                                                                                                  \
        close(pipe_fds[1]);                                                                                            \
        ssize_t got = read(pipe_fds[0], out, sizeof out - 1);                                                          \
        out[got > 0 ? got : 0] = 0;                                                                                    \
        close(pipe_fds[0]);                                                                                            \
    } while (0)

static void test_log(void **state)
{
    char out[8192], value[2000];
    struct ip ip;
    assert_true(ip_parse(SLICE("192.0.2.1"), &ip));
    log_open("relay-0", LOG_INFO);
    LOGGED(out, LOG_INFO, "delivered", LOG_ID(10), LOG_STR("to", "a@b"), LOG_IP("client", &ip), LOG_NUM("ms", 12));
    assert_non_null(strstr(out, "Z info relay-0 delivered id=000000000000a to=a@b client=192.0.2.1 ms=12\n"));
    LOGGED(out, LOG_WARNING, "x", LOG_STR("a", "two words"), LOG_STR("b", "say \"hi\" a=b\n"), LOG_STR("c", ""),
           LOG_STR("d", "k=v"));
    assert_non_null(strstr(out, " x a=\"two words\" b=\"say \\x22hi\\x22 a=b\\x0a\" c=\"\" d=\"k=v\"\n"));
    LOGGED(out, LOG_INFO, "x", LOG_STR("a", "\"\"\""), LOG_STR("b", "\""));
    assert_non_null(strstr(out, " x a=\"\\x22\\x22\\x22\" b=\"\\x22\"\n"));
    LOGGED(out, LOG_DEBUG, "quiet");
    assert_string_equal(out, "");
    memset(value, 'v', sizeof value);
    LOGGED(out, LOG_INFO, "x", LOG_TEXT("a", slice_of(value, sizeof value)));
    assert_in_range(strlen(out), 500, 700);
    assert_non_null(strstr(out, "vvv...\n"));
    memset(value, '\n', sizeof value);
    LOGGED(out, LOG_INFO, "x", LOG_TEXT("a", slice_of(value, sizeof value)), LOG_STR("end", "1"));
    assert_int_equal(strchr(out, '\n') - out, strlen(out) - 1);
    assert_non_null(strstr(out, " end=1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice),     cmocka_unit_test(test_slice_number),
        cmocka_unit_test(test_buf),       cmocka_unit_test(test_buf_format_fits_exactly),
        cmocka_unit_test(test_printable), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_list),      cmocka_unit_test(test_htable),
        cmocka_unit_test(test_ip),        cmocka_unit_test(test_ip_private), cmocka_unit_test(test_ip_net),
        cmocka_unit_test(test_crc32c),    cmocka_unit_test(test_clock),
        cmocka_unit_test(test_id),        cmocka_unit_test(test_err),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
