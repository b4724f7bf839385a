/* SPDX-License-Identifier: Apache-2.0
 * The entries of a table as one block of bytes that is never changed: made by who reads files, directories and databases, written to a file,
 * and looked into by all others. Positions in it are numbers from its beginning, checked whenever they are followed, so that a damaged
 * or hostile block costs wrong answers at most. */
#ifndef POSTERN_TABLE_SNAPSHOT_H
#define POSTERN_TABLE_SNAPSHOT_H
#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"

#define SNAPSHOT_MAX (512u << 20)   /* bytes */
#define SNAPSHOT_TEXT_MAX 65535     /* bytes of one text in it */

/* How an entry is found. */
enum snapshot_form { SNAPSHOT_KEY, SNAPSHOT_NETWORK, SNAPSHOT_EXPRESSION };

/* Texts are NUL-terminated in the block; NULL: none. */
struct snapshot_entry {
    enum snapshot_form form;
    struct slice key;          /* of KEY: lower case: "example.org", ".example.org", "user@example.org", "user@", "<>", "user" */
    struct ip_net net;         /* of NETWORK */
    const char *match;         /* as it is written; of EXPRESSION with its slashes */
    const char *value;         /* what the entry stands for, where it stands for something */
    const char *comment, *reason;
    uint32_t line;             /* of a file; 0: none */
};

/* ---- making one */
struct snapshot_builder;
struct snapshot_builder *snapshot_builder_new(void);
void snapshot_builder_free(struct snapshot_builder *b); /* NULL is fine */
/* Of equal keys and networks the first counts; with `join` their values are put together, separated by ", ". False: it would get too
 * large, or a text is too long. All is copied. */
bool snapshot_add(struct snapshot_builder *b, const struct snapshot_entry *e, bool join, struct err *err) MUST_CHECK;
size_t snapshot_builder_entries(const struct snapshot_builder *b);     /* so far */
size_t snapshot_builder_expressions(const struct snapshot_builder *b);
/* The block, malloc'd; the builder is empty afterwards. made: wall ms when the source was read. */
void *snapshot_finish(struct snapshot_builder *b, uint64_t made, size_t *n);

/* ---- looking into one */
struct snapshot;
/* Takes the block over (free). Checks its head and its CRC. NULL: it is none; *err says why, and the block was freed. */
struct snapshot *snapshot_open(void *block, size_t n, struct err *err) MUST_CHECK;
void snapshot_free(struct snapshot *s); /* NULL is fine */
uint64_t snapshot_made(const struct snapshot *s);
size_t snapshot_entries(const struct snapshot *s);
size_t snapshot_size(const struct snapshot *s); /* bytes of the block */
bool snapshot_same(const struct snapshot *a, const struct snapshot *b); /* the same entries in the same order, whenever they were made */
/* The block itself: what is written to a file. */
const void *snapshot_block(const struct snapshot *s, size_t *n);
unsigned snapshot_tree_labels(const struct snapshot *s); /* of the longest key that begins with a dot; 0: none */
bool snapshot_has_keys(const struct snapshot *s);
bool snapshot_find_key(const struct snapshot *s, struct slice key, struct snapshot_entry *out); /* key: any case */
bool snapshot_find_ip(const struct snapshot *s, const struct ip *ip, struct snapshot_entry *out); /* the longest network */
/* Entry number i of the expressions, in the order in which they were added; false: there are no more. */
bool snapshot_expression(const struct snapshot *s, size_t i, struct snapshot_entry *out);
/* All entries, in the order in which they were added: for listings. */
bool snapshot_entry_at(const struct snapshot *s, size_t i, struct snapshot_entry *out);

#endif
