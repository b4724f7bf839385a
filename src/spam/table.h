/* SPDX-License-Identifier: Apache-2.0
 * The table of tokens: how many messages of each kind a token was seen in. One file of fixed size, mapped into memory, with room for
 * so many tokens; where it is full the token that says least makes room. Many processes may read it at any time; who writes holds a
 * lock. A process that dies at any moment leaves a table that works: each change is one word of memory. */
#ifndef POSTERN_SPAM_TABLE_H
#define POSTERN_SPAM_TABLE_H
#include "base/err.h"
#include "base/slice.h"

struct token_table;
struct token_counts {
    uint32_t spam, ham;          /* messages */
};
#define TOKEN_TABLE_MIN (1u << 20)

/* Opens `directory`/tokens, or makes it, with about `bytes` (rounded down to a power of two, at least TOKEN_TABLE_MIN). One that is
 * there keeps its size. One that is damaged or foreign is put aside as tokens.aside (what had that name goes) and a new one begun;
 * *aside tells. NULL and an error when it can neither be opened nor made. Blocks. */
struct token_table *token_table_open(const char *directory, uint64_t bytes, bool *aside, struct err *err) MUST_CHECK;
void token_table_close(struct token_table *t); /* NULL is fine */

const uint64_t *token_table_key(const struct token_table *t);      /* two words: tokens are hashed with it */
struct token_counts token_table_messages(const struct token_table *t); /* learnt so far */
struct token_counts token_table_get(const struct token_table *t, uint64_t token);
uint64_t token_table_used(const struct token_table *t);             /* slots taken; walks the table */

/* Waits for the lock. False and an error: the file may not be written, or somebody has held it for ten seconds. */
bool token_table_begin(struct token_table *t, struct err *err) MUST_CHECK;
/* Between begin and end: adds to the counts of a token; what would be below 0 or above the most stays there. */
void token_table_add(struct token_table *t, uint64_t token, int spam, int ham);
void token_table_add_messages(struct token_table *t, int spam, int ham);
void token_table_end(struct token_table *t);

#endif
