/* SPDX-License-Identifier: Apache-2.0
 * Blocks of tables: what was put in is found, damage is seen, many entries cost little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "table/snapshot_format.h"

static void add(struct snapshot_builder *b, const char *text, const char *value, bool join)
{
    struct err err;
    char lower[300];
    struct snapshot_entry e = { .match = text, .value = value, .reason = "a reason", .comment = "a comment",
                                .line = (uint32_t)snapshot_builder_entries(b) + 1 };
    if (text[0] == '/') e.form = SNAPSHOT_EXPRESSION;
    else if (!ip_net_parse(slice_str(text), &e.net)) e.form = SNAPSHOT_NETWORK;
    else {
        size_t n = strlen(text);
        for (size_t i = 0; i < n; i++) lower[i] = ascii_lower(text[i]);
        e.key = slice_of(lower, n);
    }
    if (!snapshot_add(b, &e, join, &err)) fail_msg("%s: %s", text, err.text);
}

static struct snapshot *finish(struct snapshot_builder *b, uint64_t made)
{
    struct err err;
    size_t n;
    void *block = snapshot_finish(b, made, &n);
    struct snapshot *s = snapshot_open(block, n, &err);
    if (!s) fail_msg("%s", err.text);
    assert_int_equal(snapshot_size(s), n);
    snapshot_builder_free(b);
    return s;
}

static const char *value_of(const struct snapshot *s, const char *key)
{
    struct snapshot_entry e;
    return !snapshot_find_key(s, slice_str(key), &e) ? NULL : e.value ? e.value : "";
}

static const char *net_of(const struct snapshot *s, const char *text)
{
    struct snapshot_entry e;
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    return snapshot_find_ip(s, &ip, &e) ? e.match : "";
}

static void what_was_put_in_is_found(void **state)
{
    static const char *const all[] = { "Example.org", "192.0.2.0/24", "/a.*/", ".sub.example.org", "192.0.2.7", "2001:db8::/32", "a@example.org",
                                       "a@", "<>", "sales", "10.0.0.0/8", "/b.*/" };
    struct snapshot_builder *b = snapshot_builder_new();
    struct snapshot_entry e;
    for (size_t i = 0; i < countof(all); i++) add(b, all[i], i % 2 ? "stands for" : NULL, false);
    struct snapshot *s = finish(b, 12345);
    assert_int_equal(snapshot_made(s), 12345);
    assert_int_equal(snapshot_entries(s), countof(all));
    assert_int_equal(snapshot_tree_labels(s), 3);
    assert_true(snapshot_has_keys(s));
    for (size_t i = 0; i < countof(all); i++) {
        assert_true(snapshot_entry_at(s, i, &e));
        assert_string_equal(e.match, all[i]);
        assert_int_equal(e.line, i + 1);
        assert_string_equal(e.reason, "a reason");
        assert_string_equal(e.comment, "a comment");
        if (i % 2) assert_string_equal(e.value, "stands for");
        else assert_null(e.value);
        if (e.form == SNAPSHOT_KEY) assert_non_null(value_of(s, all[i]));
        if (e.form == SNAPSHOT_NETWORK) assert_true(ip_net_has(&e.net, &e.net.ip));
    }
    assert_false(snapshot_entry_at(s, countof(all), &e));
    assert_non_null(value_of(s, "EXAMPLE.ORG"));
    assert_null(value_of(s, "sub.example.org"));
    assert_null(value_of(s, ""));
    assert_string_equal(net_of(s, "192.0.2.7"), "192.0.2.7");
    assert_string_equal(net_of(s, "192.0.2.8"), "192.0.2.0/24");
    assert_string_equal(net_of(s, "10.255.0.1"), "10.0.0.0/8");
    assert_string_equal(net_of(s, "2001:db8:ffff::1"), "2001:db8::/32");
    assert_string_equal(net_of(s, "11.0.0.1"), "");
    assert_true(snapshot_expression(s, 0, &e) && !strcmp(e.match, "/a.*/"));
    assert_true(snapshot_expression(s, 1, &e) && !strcmp(e.match, "/b.*/"));
    assert_false(snapshot_expression(s, 2, &e));
    snapshot_free(s);
}

static void of_two_the_first_counts_or_both(void **state)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct snapshot_entry e;
    add(b, "sales", "anna@example.com", true);
    add(b, "other", "carl@example.com", true);
    add(b, "SALES", "bert@example.com", true);
    add(b, "empty", NULL, true);
    add(b, "empty", "x@example.com", true);
    add(b, "sales", "dora@example.com, emil@example.com", true);
    add(b, "other", "lost@example.com", false);
    add(b, "192.0.2.0/24", "first", false);
    add(b, "192.0.2.0/24", "second", false);
    struct snapshot *s = finish(b, 1);
    assert_int_equal(snapshot_entries(s), 4);
    assert_string_equal(value_of(s, "sales"), "anna@example.com, bert@example.com, dora@example.com, emil@example.com");
    assert_string_equal(value_of(s, "other"), "carl@example.com");
    assert_string_equal(value_of(s, "empty"), "x@example.com");
    assert_true(snapshot_find_ip(s, &(struct ip){ .family = 4, .bytes = { 192, 0, 2, 1 } }, &e));
    assert_string_equal(e.value, "first");
    snapshot_free(s);
}

static void values_have_a_limit(void **state)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err = { .text = "" };
    char *text = mem_alloc(SNAPSHOT_TEXT_MAX + 2);
    memset(text, 'x', SNAPSHOT_TEXT_MAX + 1);
    text[SNAPSHOT_TEXT_MAX + 1] = 0;
    struct snapshot_entry e = { .match = "a", .key = SLICE("a"), .value = text };
    assert_false(snapshot_add(b, &e, false, &err));
    assert_non_null(strstr(err.text, "longer than"));
    text[SNAPSHOT_TEXT_MAX - 10] = 0;
    assert_true(snapshot_add(b, &e, false, &err));
    e.value = "y@example.com";
    assert_false(snapshot_add(b, &e, true, &err));
    e.value = "y@x";
    assert_true(snapshot_add(b, &e, true, &err));
    struct snapshot *s = finish(b, 1);
    assert_true(snapshot_find_key(s, SLICE("A"), &e));
    assert_int_equal(strlen(e.value), SNAPSHOT_TEXT_MAX - 10 + 5);
    snapshot_free(s);
    free(text);
}

static void an_empty_one_has_nothing(void **state)
{
    struct snapshot_entry e;
    struct snapshot *s = finish(snapshot_builder_new(), 7);
    assert_int_equal(snapshot_entries(s), 0);
    assert_false(snapshot_has_keys(s));
    assert_null(value_of(s, "a"));
    assert_string_equal(net_of(s, "10.1.2.3"), "");
    assert_false(snapshot_expression(s, 0, &e));
    snapshot_free(s);
}

static void the_same_is_known_as_the_same(void **state)
{
    struct snapshot *s[4];
    for (size_t i = 0; i < 4; i++) {
        struct snapshot_builder *b = snapshot_builder_new();
        add(b, "a", "x", false);
        add(b, i == 2 ? "192.0.2.1" : "192.0.2.2", NULL, false);
        if (i == 3) add(b, "b", NULL, false);
        s[i] = finish(b, i);
    }
    assert_true(snapshot_same(s[0], s[1]));
    assert_false(snapshot_same(s[0], s[2]));
    assert_false(snapshot_same(s[0], s[3]));
    for (size_t i = 0; i < 4; i++) snapshot_free(s[i]);
}

static void damage_is_seen(void **state)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err = { .text = "" };
    size_t n;
    add(b, "example.org", "x", false);
    add(b, "10.0.0.0/8", NULL, false);
    char *block = snapshot_finish(b, 1, &n);
    snapshot_builder_free(b);
    for (size_t i = 0; i < n; i++) {
        char *bad = mem_alloc(n);
        memcpy(bad, block, n);
        bad[i] ^= 0x10;
        assert_null(snapshot_open(bad, n, &err));
        assert_true(err.text[0]);
    }
    for (size_t i = 0; i < n; i++) {
        char *cut = mem_alloc(i ? i : 1);
        memcpy(cut, block, i);
        assert_null(snapshot_open(cut, i, &err));
    }
    free(block);
}

#define MANY 200000

static void many_entries_cost_little(void **state)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct err err;
    char text[64];
    uint64_t start = clock_mono_ms();
    for (unsigned i = 0; i < MANY; i++) {
        int n = snprintf(text, sizeof text, "user%u@example%u.org", i, i % 1000);
        struct snapshot_entry e = { .match = text, .key = slice_of(text, (size_t)n), .line = i, .reason = "the same" };
        assert_true(snapshot_add(b, &e, true, &err));
    }
    for (unsigned i = 0; i < MANY / 10; i++) {
        struct ip_net net = { .ip = { .family = 4, .bytes = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } }, .prefix = 32 };
        assert_true(snapshot_add(b, &(struct snapshot_entry){ .form = SNAPSHOT_NETWORK, .match = "x", .net = net, .line = i }, true, &err));
    }
    struct snapshot *s = finish(b, 1);
    uint64_t made = clock_mono_ms() - start;
    struct snapshot_entry e;
    start = clock_mono_us();
    for (unsigned i = 0; i < MANY; i += 10) {
        int n = snprintf(text, sizeof text, "USER%u@example%u.org", i, i % 1000);
        assert_true(snapshot_find_key(s, slice_of(text, (size_t)n), &e));
        assert_int_equal(e.line, i);
        struct ip ip = { .family = 4, .bytes = { 10, (uint8_t)(i / 10 >> 16), (uint8_t)(i / 10 >> 8), (uint8_t)(i / 10) } };
        assert_true(snapshot_find_ip(s, &ip, &e));
        assert_int_equal(e.line, i / 10);
    }
    print_message("%d entries: %zu bytes, made in %llu ms, two look-ups take %llu ns\n", MANY + MANY / 10, snapshot_size(s), (unsigned long long)made,
                  (unsigned long long)((clock_mono_us() - start) * 1000 / (MANY / 10)));
    assert_true(snapshot_size(s) < 70u * (MANY + MANY / 10));
    assert_true(made < 30000);
    snapshot_free(s);
}

/* Every slot leads to a text as long as there may be one, which begins as the key does. */
static void a_hostile_block_is_looked_into_quickly(void **state)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct snapshot_head h;
    struct snapshot_parts p;
    struct err err;
    size_t n;
    char *value = mem_alloc(SNAPSHOT_TEXT_MAX - 1);
    memset(value, 'a', SNAPSHOT_TEXT_MAX - 2);
    value[SNAPSHOT_TEXT_MAX - 2] = 0;
    add(b, "a", value, false);
    for (unsigned i = 0; i < 600; i++) {
        char text[20];
        snprintf(text, sizeof text, "user%u", i);
        add(b, text, NULL, false);
    }
    char *block = snapshot_finish(b, 1, &n);
    memcpy(&h, block, sizeof h);
    assert_true(snapshot_lay_out(&h, &p));
    struct snapshot_record *entries = (void *)(block + p.entries);
    uint32_t *slots = (void *)(block + p.slots);
    entries[0].key = entries[0].value;
    for (uint32_t i = 0; i < h.slot_n; i++) slots[i] = 1;
    h.crc = crc32c(0, block + SNAPSHOT_SUMMED, n - SNAPSHOT_SUMMED);
    memcpy(block, &h, sizeof h);
    struct snapshot *s = snapshot_open(block, n, &err);
    assert_non_null(s);
    uint64_t start = clock_mono_ms();
    for (unsigned i = 0; i < 500; i++) assert_null(value_of(s, "aaaaaaaaaaaa"));
    print_message("500 look-ups: %llu ms\n", (unsigned long long)(clock_mono_ms() - start));
    assert_true(clock_mono_ms() - start < 500);
    snapshot_free(s);
    snapshot_builder_free(b);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_is_found), cmocka_unit_test(of_two_the_first_counts_or_both),
        cmocka_unit_test(values_have_a_limit),      cmocka_unit_test(an_empty_one_has_nothing),
        cmocka_unit_test(the_same_is_known_as_the_same), cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(many_entries_cost_little), cmocka_unit_test(a_hostile_block_is_looked_into_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
