/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a message: its tokens and facts are taken, and all rules asked. */
#include "fuzz.h"
#include "spam/engine.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_scan limits = { .depth = 3, .parts = 50, .unpacked = 1 << 20, .ratio = 100, .unpack_time = 1000 };
    static const struct config_spam config = { .enabled = true, .builtin = true };
    static const struct scan_context context = { .reputation = -1 };
    static struct spam_engine *e;
    struct err err;
    if (!e) {
        e = spam_engine_new(&(struct spam_options){ .config = &config }, &err);
        assert(e);
    }
    struct arena arena = { 0 };
    struct content_message m;
    struct token_set tokens;
    struct spam_verdict v;
    content_message_read(&m, slice_of(data, size), &limits, NULL, &arena);
    spam_tokens(e, &m, &arena, &tokens);
    assert(tokens.header_n <= TOKENS_HEADER_MAX && tokens.body_n <= TOKENS_BODY_MAX);
    spam_judge(e, &m, &context, UINT64_MAX, &arena, &v);
    assert(v.bayes == -1);
    arena_deinit(&arena);
    return 0;
}
