/* SPDX-License-Identifier: Apache-2.0
 * Tokens of messages in several scripts, and the classifier over them: learning, unlearning, speaking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "spam/engine.h"

static const struct config_scan limits = { .depth = 10, .parts = 1000, .unpacked = 10 << 20, .ratio = 200, .unpack_time = 5000 };

static void words(const char *text, const char *expected, struct word_breaker *w)
{
    struct word_reader *r = mem_new(struct word_reader);
    struct buf b = { 0 };
    word_reader_init(r, slice_str(text), w);
    while (word_reader_next(r)) {
        buf_add_str(&b, b.n ? "|" : "");
        buf_add(&b, slice_of(r->word, r->word_n));
    }
    assert_string_equal(buf_cstr(&b), expected);
    buf_deinit(&b);
    free(r);
}

static void scripts(void **state)
{
    struct word_breaker *w = word_breaker_new();
    assert_non_null(w);
    words("Buy NOW, it's cheap!!", "buy|now|it's|cheap|!!", w);
    words("Only $1,000.50 or 70% of a@b.example.", "only|$1,000.50|or|70%|of|a@b.example", w);
    words("ÄRGER Ölpreis ПРИВЕТ ΚΑΛΗ", "ärger|ölpreis|привет|καλη", w);
    words("Donaudampfschifffahrtsgesellschaft", "donaud~3", w);
    words("無料で稼ぐ方法", "無料|で|稼ぐ|方法|無料|料で|で稼|稼ぐ|ぐ方|方法", w);
    words("免费发票 现在", "免费|发票|免费|费发|发票|现在|现在", w);
    words("ประกันชีวิต", "ประกัน|ชีวิต", w);
    words("무료 대출상담", "무료|무료|대출상담|대출|출상|상담", w);
    words("\xff\xfe broken \xc3", "broken", w);
    words("", "", w);
    words("$ ! - . @", "!", w);
    word_breaker_free(w);
    words("無料で", "無料|料で", NULL); /* without dictionaries: pairs */
}

struct seen {
    struct buf text;
};
static void see(void *arg, bool header, struct slice token)
{
    struct seen *s = arg;
    buf_add_str(&s->text, header ? "h " : "b ");
    buf_add(&s->text, token);
    buf_add_char(&s->text, '\n');
}

static void assert_has(struct seen *s, const char *token, bool there)
{
    char line[200];
    (void)snprintf(line, sizeof line, "%s\n", token);
    if ((strstr(buf_cstr(&s->text), line) != NULL) != there)
        fail_msg("%s is %s in:\n%s", token, there ? "not" : "indeed", buf_cstr(&s->text));
}

/* What the author wrote is taken; what came on the way, and the reader's own name, are not. */
static void of_a_message(void **state)
{
    static const char text[] =
        "Received: from secret.example by mx.example\r\nDelivered-To: jane@home.example\r\nX-Spam-Status: Yes\r\n"
        "List-Id: Talk <talk.example.org>\r\nX-BeenThere: talk@example.org\r\n"
        "From: Best Deals <deals99@shop.example>\r\nTo: Jane <jane@home.example>\r\nSubject: Cheap watches\r\n"
        "Message-ID: <abcdef012345.99@shop.example>\r\nX-Mailer: Blaster 2\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/html; boundary=x; charset=utf-8\r\n\r\n"
        "<html><body bgcolor=\"#FFFF00\"><p>Hello jane, buy <font color=red>cheap</font> watches</p>"
        "<a href=\"http://www.shop.example/order/jane?id=17\">here</a></body></html>\r\n";
    struct arena arena = { 0 };
    struct content_message m;
    struct token_set set;
    struct seen s = { 0 };
    content_message_read(&m, slice_str(text), &limits, NULL, &arena);
    tokens_take(&set, &m, (const uint64_t[2]){ 1, 2 }, NULL, &arena, see, &s);
    static const char *const there[] = { "h from@shop.example", "h from:deals", "h from#a9", "h x-mailer:blaster", "h id#<X.9@a.a>",
        "h list-id=talk <talk.example.org>", "b subject:cheap", "b subject:cheap 1 watches", "b cheap", "b buy 1 cheap", "b <recipient>",
        "b link:shop.example", "b path:order", "b mark:font", "b attribute:color=red", "b attribute:bgcolor=#ffff00", "b part:text/html" };
    static const char *const absent[] = { "h field:received", "h field:delivered-to", "h field:x-spam-status", "h field:x-beenthere",
        "h field:list-id", "b jane", "b path:jane", "b secret.example" };
    for (size_t i = 0; i < countof(there); i++)
        assert_has(&s, there[i], true);
    for (size_t i = 0; i < countof(absent); i++)
        assert_has(&s, absent[i], false);
    buf_deinit(&s.text);
    arena_deinit(&arena);
}

static void tokens_are_bounded(void **state)
{
    struct buf b = { 0 };
    buf_add_str(&b, "From: a@b.example\r\nSubject: x\r\n\r\n");
    for (int i = 0; i < 60000; i++)
        buf_addf(&b, "w%dx%c", i * 7919, i % 20 ? ' ' : '\n');
    struct arena arena = { 0 };
    struct content_message m;
    struct token_set set;
    content_message_read(&m, buf_slice(&b), &limits, NULL, &arena);
    tokens_take(&set, &m, (const uint64_t[2]){ 1, 2 }, NULL, &arena, NULL, NULL);
    assert_true(set.body_n > 3000 && set.body_n <= TOKENS_BODY_MAX);
    arena_deinit(&arena);
    buf_deinit(&b);
}

/* ---- the engine with a table */
static char folder[] = "/tmp/postern-spam-tokens-XXXXXX";
static struct config_spam config;

static struct spam_engine *open_engine(void)
{
    struct err err;
    config = (struct config_spam){ .enabled = true, .builtin = true, .mark = 500, .confirmed = 1000, .bulk = 800, .suspected = 500,
        .unknown = 100, .non_spam = -100 };
    config.bayes.enabled = true;
    config.bayes.tokens = TOKEN_TABLE_MIN;
    config.bayes.min_spam = config.bayes.min_ham = 3;
    struct spam_engine *e = spam_engine_new(&(struct spam_options){ .config = &config, .directory = folder }, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}

static void remove_folder(void)
{
    static const char *const names[] = { "tokens", "tokens.lock" };
    char path[100];
    for (size_t i = 0; i < countof(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static void learn(struct spam_engine *e, const char *text, enum spam_learn as)
{
    struct arena arena = { 0 };
    struct content_message m;
    struct err err;
    content_message_read(&m, slice_str(text), &limits, NULL, &arena);
    if (!spam_learn(e, &m, as, &err))
        fail_msg("%s", err.text);
    arena_deinit(&arena);
}

static int32_t judge(struct spam_engine *e, const char *text)
{
    struct arena arena = { 0 };
    struct content_message m;
    struct spam_verdict v;
    content_message_read(&m, slice_str(text), &limits, NULL, &arena);
    spam_judge(e, &m, NULL, UINT64_MAX, &arena, &v);
    int32_t bayes = v.bayes;
    int32_t sum = 0;
    for (size_t i = 0; i < v.symbol_n; i++)
        sum += v.symbols[i].score;
    assert_int_equal(sum, v.score);
    arena_deinit(&arena);
    return bayes;
}

static const char *message(int n, const char *text)
{
    static char out[600];
    (void)snprintf(out, sizeof out, "From: a%d@x%d.example\r\nTo: me@home.example\r\nDate: Mon, 1 Jan 2024 00:00:%02d +0000\r\n"
        "Message-ID: <%d@x.example>\r\nSubject: number %d\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n%s\r\n", n, n, n, n, n, text);
    return out;
}

static void learns_japanese(void **state)
{
    static const char *const spam[] = { "完全無料で今すぐ登録して簡単に稼ぐ方法を教えます", "誰でも簡単に月収百万円を稼ぐ方法、無料登録はこちら",
        "無料で稼げる副業の方法、今すぐ登録", "今だけ無料、簡単に稼ぐ副業に登録" };
    static const char *const ham[] = { "来週の会議の資料を添付しますのでご確認ください", "会議の議事録をお送りします。ご確認をお願いします",
        "資料の修正版を送りますので、来週までにご確認ください", "お世話になっております。会議の日程の件です" };
    assert_non_null(mkdtemp(folder));
    struct spam_engine *e = open_engine();
    assert_int_equal(judge(e, message(50, spam[0])), -1); /* too little was learnt */
    for (int i = 0; i < 4; i++) {
        learn(e, message(i, spam[i]), SPAM_LEARN_SPAM);
        learn(e, message(10 + i, ham[i]), SPAM_LEARN_HAM);
    }
    int32_t bad = judge(e, message(50, "簡単に稼ぐ方法に無料で登録")), good = judge(e, message(51, "会議の資料をご確認ください"));
    assert_true(bad > good + 1000);
    assert_true(bad > 5000 && good < 5000 && good >= 0);
    spam_engine_free(e);
    remove_folder();
}

/* Whatever is learnt and unlearnt leaves what was there before. */
static void symmetric(void **state)
{
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    struct spam_engine *e = open_engine();
    learn(e, message(1, "one two three four"), SPAM_LEARN_SPAM);
    uint64_t used = token_table_used(e->table);
    learn(e, message(1, "one two three four"), SPAM_LEARN_SPAM); /* once is enough */
    assert_int_equal(token_table_messages(e->table).spam, 1);
    learn(e, message(2, "three four five six"), SPAM_LEARN_SPAM);
    learn(e, message(2, "three four five six"), SPAM_LEARN_HAM);
    struct token_counts c = token_table_messages(e->table);
    assert_int_equal(c.spam, 1);
    assert_int_equal(c.ham, 1);
    learn(e, message(2, "three four five six"), SPAM_FORGET);
    assert_int_equal(token_table_used(e->table), used);
    learn(e, message(3, "never learnt"), SPAM_FORGET);
    learn(e, message(1, "one two three four"), SPAM_FORGET);
    assert_int_equal(token_table_used(e->table), 0);
    c = token_table_messages(e->table);
    assert_int_equal(c.spam + c.ham, 0);
    spam_engine_free(e);
    remove_folder();
}

static void classes(void **state)
{
    const struct config_spam c = { .confirmed = 1000, .bulk = 800, .suspected = 500, .unknown = 100, .non_spam = -100 };
    assert_int_equal(spam_class_of(&c, 1000), CONFIG_SPAM_CONFIRMED);
    assert_int_equal(spam_class_of(&c, 999), CONFIG_SPAM_BULK);
    assert_int_equal(spam_class_of(&c, 500), CONFIG_SPAM_SUSPECTED);
    assert_int_equal(spam_class_of(&c, 100), CONFIG_SPAM_UNKNOWN);
    assert_int_equal(spam_class_of(&c, 99), CONFIG_SPAM_NONE);
    assert_int_equal(spam_class_of(&c, -100), CONFIG_SPAM_NON_SPAM);
}

static size_t asked;
static void answer(void *arg, const char *const *names, uint32_t *answers, size_t n, uint64_t deadline)
{
    asked += n;
    for (size_t i = 0; i < n; i++)
        answers[i] = strcmp(names[i], "bad.example.list.test") == 0 ? 0x7F000002 : strstr(names[i], "refused") ? 0x7FFFFFFE : 0;
}

/* Links' domains are asked for, each once; a list that refuses to answer lists nothing. */
static void dns_lists(void **state)
{
    static const char *const zones[] = { "list.test", "refused.test" };
    struct err err;
    struct config_spam c = { .enabled = true, .builtin = true, .dns = true, .uri_lists = (const char **)zones, .uri_list_n = 2 };
    struct spam_engine *e = spam_engine_new(&(struct spam_options){ .config = &c, .dns = answer }, &err);
    assert_non_null(e);
    struct arena arena = { 0 };
    struct content_message m;
    struct spam_verdict v;
    content_message_read(&m, slice_str(message(1, "see http://www.bad.example/ and http://bad.example/x http://good.example/")), &limits,
        NULL, &arena);
    asked = 0;
    spam_judge(e, &m, NULL, UINT64_MAX, &arena, &v);
    assert_int_equal(asked, 4);
    size_t listed = 0;
    for (size_t i = 0; i < v.symbol_n; i++)
        listed += slice_eq(v.symbols[i].name, SLICE("LINK_LISTED"));
    assert_int_equal(listed, 1);
    arena_deinit(&arena);
    spam_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts), cmocka_unit_test(of_a_message), cmocka_unit_test(tokens_are_bounded), cmocka_unit_test(learns_japanese),
        cmocka_unit_test(symmetric), cmocka_unit_test(classes), cmocka_unit_test(dns_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
