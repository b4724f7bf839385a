/* SPDX-License-Identifier: Apache-2.0
 * Rules for spam: the examples that stand beside each of them, what files may say, and what a rule costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "spam/engine.h"

static const struct config_scan limits = { .depth = 10, .parts = 1000, .unpacked = 10 << 20, .ratio = 200, .unpack_time = 5000 };

/* A text that a pattern looks at, also by way of the prefilter: both must say the same. */
static bool pattern_matches(const struct rules *r, const struct rule *rule, struct slice text)
{
    bool direct = rule_count_matches(r, rule, text, NULL) >= rule->at_least;
    if (rule->prefiltered && direct) {
        bool *seen = mem_zalloc(r->n);
        prefilter_run(r->prefilter, text, seen);
        if (!seen[rule - r->rules])
            fail_msg("%s matches %.*s, which has none of the words it was thought to need", rule->name, SLICE_ARG(text));
        free(seen);
    }
    return direct;
}

/* "html.only=1 _REPLY=1": the rest is 0. */
static bool expression_holds(const struct rules *r, const struct rule *rule, struct slice text)
{
    int32_t facts[FACT_COUNT] = { 0 };
    bool *hits = mem_zalloc(r->n);
    struct slice word;
    while (text.n) {
        slice_cut(&text, ' ', &word);
        struct slice name, value = word;
        if (!word.n)
            continue;
        assert_true(slice_cut(&value, '=', &name));
        enum fact fact;
        char number[20] = "";
        (void)snprintf(number, sizeof number, "%.*s", SLICE_ARG(value));
        if (fact_find(name, &fact))
            facts[fact] = atoi(number);
        else {
            const struct rule *other = rules_find(r, name);
            if (!other)
                fail_msg("%s: example names %.*s, which is nothing", rule->name, SLICE_ARG(name));
            hits[other - r->rules] = atoi(number) > 0;
        }
    }
    bool holds = rule_evaluate(rule, facts, hits);
    free(hits);
    return holds;
}

static bool message_hits(const struct rules *r, const struct rule *rule, struct slice text)
{
    struct arena arena = { 0 };
    struct content_message m;
    struct facts f;
    content_message_read(&m, text, &limits, NULL, &arena);
    facts_take(&f, &m, NULL, r->fields, r->field_n, NULL, &arena);
    bool *hits = mem_zalloc(r->n);
    rules_ask(r, &f, hits, NULL);
    bool hit = hits[rule - r->rules];
    free(hits);
    arena_deinit(&arena);
    return hit;
}

static void examples(void **state)
{
    struct rules r;
    struct err err;
    size_t wrong = 0, with = 0;
    rules_init(&r);
    if (!rules_builtin(&r, &err) || !rules_finish(&r, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < r.n; i++) {
        const struct rule *rule = &r.rules[i];
        with += rule->example_n > 0;
        for (const struct rule_example *e = rule->examples; e < rule->examples + rule->example_n; e++) {
            bool hit = e->block    ? message_hits(&r, rule, e->text)
                : rule->is_when    ? expression_holds(&r, rule, e->text)
                                   : pattern_matches(&r, rule, e->text);
            if (hit != e->must) {
                print_error("%s:%u: %s %s: %.*s\n", rule->file, e->line, rule->name, e->must ? "must match" : "must not match",
                    SLICE_ARG(e->text));
                wrong++;
            }
        }
        if (rule->name[0] != '_')
            assert_true(*rule->about);
    }
    assert_int_equal(wrong, 0);
    assert_true(r.n > 200 && with * 10 > r.n * 9);
    rules_deinit(&r);
}

/* What a file says is an error that names the line. */
static void errors(void **state)
{
    static const struct { const char *text, *error; } cases[] = {
        { "text /a/\n", "f:1: a rule begins with" },
        { "rule a\n", "f:1: a rule's name" },
        { "rule A\n    score 1\n", "f:1: A has neither" },
        { "rule A\n    text /(/\n", "f:2: pattern, character" },
        { "rule A\n    text a\n", "f:2: a pattern stands between slashes" },
        { "rule A\n    text /a/q\n", "f:2: \"q\" is none of the flags" },
        { "rule A\n    text /a/i > 3\n", "f:2: behind a pattern" },
        { "rule A\n    text /a/\n    html /b/\n", "f:3: A looks at something already" },
        { "rule A\n    text /a/\n    score x\n", "f:3: a score is a number" },
        { "rule A\n    text /a/\n    score 1.234\n", "f:3: a score is a number" },
        { "rule A\n    text /a/\n    colour red\n", "f:3: \"colour\" is nothing" },
        { "rule A\n    when B\n", "f:2: B is no number, and no rule that stands above" },
        { "rule A\n    when A\n", "f:2: A is no number" },
        { "rule A\n    when (links\n", "f:2: a parenthesis" },
        { "rule A\n    when links > x\n", "f:2: behind > belongs" },
        { "rule A\n    when 2 links\n", "f:2: a number stands" },
        { "rule A\n    when links links\n", "f:2: something is left over" },
        { "rule A\n    when not not links\n", "f:2: \"not not\"" },
        { "rule A\n    header /a/\n", "f:2: a pattern stands" },
        { "rule A\n    text /a/\n    yes <<\n    From: a\n", "f:4: a message that begins with <<" },
        { "rule A\n    text /a/\nrule A\n    text /b/\n", "f:3: there is a rule A in line 1" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct rules r;
        struct err err = { .text = "" };
        rules_init(&r);
        bool ok = rules_parse(&r, "f", slice_str(cases[i].text), &err);
        if (ok || strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
            fail_msg("%s gives \"%s\" instead of \"%s\"", cases[i].text, err.text, cases[i].error);
        rules_deinit(&r);
    }
}

static void ask(struct rules *r, const char *rules, const char *message, bool *hits)
{
    struct err err;
    rules_init(r);
    if (!rules_parse(r, "f", slice_str(rules), &err) || !rules_finish(r, &err))
        fail_msg("%s", err.text);
    struct arena arena = { 0 };
    struct content_message m;
    struct facts f;
    content_message_read(&m, slice_str(message), &limits, NULL, &arena);
    facts_take(&f, &m, NULL, r->fields, r->field_n, NULL, &arena);
    rules_ask(r, &f, hits, NULL);
    arena_deinit(&arena);
}

static void whole_message(void **state)
{
    struct rules r;
    bool hits[10];
    ask(&r,
        "rule A\n    subject /offer/i\nrule B\n    words /cheap/i >= 2\nrule C\n    header X-Mailer|User-Agent /bulk/i\n"
        "rule D\n    header Date absent\nrule E\n    when A and B and not (C or links > 3)\nrule F\n    when 2 of (A, B, C)\n"
        "rule G\n    from /@shop\\.example$/\nrule H\n    when E\n",
        "From: Shop <a@shop.example>\r\nTo: b@example.com\r\nSubject: An OFFER, cheap\r\nMessage-ID: <1@shop.example>\r\n\r\nCheap, it is.\r\n",
        hits);
    const bool expected[] = { true, true, false, true, true, true, true, true };
    assert_memory_equal(hits, expected, sizeof expected);
    rules_deinit(&r);
}

/* A later file's rule takes the place of an earlier one's. */
static void replaced(void **state)
{
    struct rules r;
    struct err err;
    rules_init(&r);
    assert_true(rules_parse(&r, "a", SLICE("rule A\n    text /one/\n    score 1\nrule B\n    when A\n    score 2.5\n"), &err));
    assert_true(rules_parse(&r, "b", SLICE("rule A\n    text /two/\n    score -0.25\n"), &err));
    assert_true(rules_finish(&r, &err));
    assert_int_equal(r.n, 2);
    assert_int_equal(r.rules[0].score, -25);
    assert_int_equal(r.rules[1].score, 250);
    rules_deinit(&r);
    rules_init(&r);
    assert_true(rules_parse(&r, "a", SLICE("rule A\n    text /one/\nrule B\n    text /x/\n"), &err));
    assert_true(rules_parse(&r, "b", SLICE("rule A\n    when B\n"), &err));
    assert_false(rules_finish(&r, &err));
    assert_non_null(strstr(err.text, "b:1: A takes the place"));
    rules_deinit(&r);
}

/* A pattern that would run for years against a text made for it ends within its limits. */
static void patterns_are_bounded(void **state)
{
    struct rules r;
    struct err err;
    struct slice found = { 0 };
    char text[30000];
    memset(text, 'a', sizeof text);
    rules_init(&r);
    assert_true(rules_parse(&r, "f", SLICE("rule A\n    html /^(a+)+$/\n"), &err));
    text[sizeof text - 1] = 'b';
    assert_int_equal(rule_count_matches(&r, &r.rules[0], slice_of(text, sizeof text), &found), 0);
    rules_deinit(&r);
}

static void words_of(const char *pattern, const char *expected)
{
    struct arena arena = { 0 };
    struct slice words[RULE_WORDS_MAX];
    char text[400] = "";
    size_t n = rule_pattern_words(slice_str(pattern), &arena, words);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", i ? " " : "", SLICE_ARG(words[i]));
    assert_string_equal(text, expected);
    arena_deinit(&arena);
}

static void required_words(void **state)
{
    words_of("free offer", "free offer");
    words_of("free|cheap", "free cheap");
    words_of("free|a", "");
    words_of("(?:Free|Cheap) *watches", "watches");
    words_of("colou?red", "colo");
    words_of("abc+def", "abc");
    words_of("a{0,3}bcdef", "bcdef");
    words_of("[abc]{3}xyz", "xyz");
    words_of("(?:abcdef)?xyz", "xyz");
    words_of("(?!abcdef)xyz", "xyz");
    words_of("(?i)abcdef", "");
    words_of("abc\\.def\\d", "abc.def");
    words_of("\\bword\\b", "word");
    words_of("abc|(?:def|ghi)jkl|\\x41bc", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples), cmocka_unit_test(errors), cmocka_unit_test(whole_message), cmocka_unit_test(replaced),
        cmocka_unit_test(patterns_are_bounded), cmocka_unit_test(required_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
