/* SPDX-License-Identifier: Apache-2.0
 * Learning of messages, and unlearning. That a message was learnt, and as what, is itself a token of the table: nothing is learnt twice,
 * and what was learnt wrongly is undone to the last count. */
#include "base/hash.h"
#include "base/mem.h"
#include "spam/engine.h"

/* What stays the same of a message from the relay to a mailbox: its author's fields, and its body. */
static uint64_t message_token(const struct content_message *m, const uint64_t key[2])
{
    static const char *const fields[] = { "Message-ID", "From", "Date" };
    uint64_t h = hash_keyed(key, SLICE("a message that was learnt"));
    for (size_t i = 0; i < countof(fields); i++) {
        const struct content_field *f = content_message_field(m, fields[i]);
        uint64_t v = f ? hash_keyed(key, slice_trim(f->value)) : 1;
        h = (h ^ v) * UINT64_C(0x9E3779B97F4A7C15) + (h >> 31);
    }
    struct slice body = slice_trim(slice_sub(m->bytes, (size_t)m->header_n, m->bytes.n));
    h ^= hash_keyed(key, body);
    return h ? h : 1;
}

bool spam_learn(struct spam_engine *e, const struct content_message *m, enum spam_learn as, struct err *err)
{
    if (!e->table)
        return err_set(err, "the classifier is off, or has no folder for its table");
    struct arena arena = { 0 };
    struct token_set tokens;
    spam_tokens(e, m, &arena, &tokens);
    uint64_t self = message_token(m, token_table_key(e->table));
    bool ok = token_table_begin(e->table, err);
    if (ok) {
        struct token_counts before = token_table_get(e->table, self);
        bool was_spam = before.spam > 0, was_ham = before.ham > 0;
        if ((was_spam && as != SPAM_LEARN_SPAM) || (was_ham && as != SPAM_LEARN_HAM)) {
            token_table_add(e->table, self, was_spam ? -1 : 0, was_spam ? 0 : -1); /* first: killed here, it counts a little too often */
            bayes_count(e->table, &tokens, was_spam, -1);
        }
        if ((as == SPAM_LEARN_SPAM && !was_spam) || (as == SPAM_LEARN_HAM && !was_ham)) {
            bayes_count(e->table, &tokens, as == SPAM_LEARN_SPAM, 1);
            token_table_add(e->table, self, as == SPAM_LEARN_SPAM, as == SPAM_LEARN_HAM);
        }
        token_table_end(e->table);
    }
    arena_deinit(&arena);
    return ok;
}
