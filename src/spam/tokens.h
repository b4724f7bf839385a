/* SPDX-License-Identifier: Apache-2.0
 * Cuts a message into the tokens that the classifier counts. */
#ifndef POSTERN_SPAM_TOKENS_H
#define POSTERN_SPAM_TOKENS_H
#include "content/message.h"

#define TOKENS_HEADER_MAX 600    /* different ones of one message */
#define TOKENS_BODY_MAX 12000

/* Breaks words of scripts that put no blanks between them. Made before a sandbox; used by one thread. NULL: without ICU's data such
 * texts are cut into pairs of characters only. */
struct word_breaker;
struct word_breaker *word_breaker_new(void);
void word_breaker_free(struct word_breaker *w); /* NULL is fine */

/* Hashes of what the message consists of, each once: of the header but the subject, and of all else. */
struct token_set {
    uint64_t *header, *body;
    size_t header_n, body_n;
};
/* key: two words that make the hashes those of one table. show: called with each token in words, for people and tests; NULL: nobody.
 * What relays and mail programs on the way to the reader add is no part of it. Results are in the arena. */
typedef void token_show(void *arg, bool header, struct slice token);
void tokens_take(struct token_set *out, const struct content_message *m, const uint64_t key[2], struct word_breaker *w,
                 struct arena *arena, token_show *show, void *arg);

/* Of this folder: the words of a text, one call each, lower case. */
struct word_reader {
    struct slice text;
    size_t at;
    struct word_breaker *breaker;
    char word[64];               /* the last word; a long one is cut, with its length in its place */
    size_t word_n;
    int32_t bounds[256];         /* of words in a run without blanks */
    size_t bound, bound_n, run;  /* run: where it begins */
    size_t wide_at;              /* where in it the next pair of characters begins; SIZE_MAX: all are given out */
};
void word_reader_init(struct word_reader *r, struct slice text, struct word_breaker *w);
bool word_reader_next(struct word_reader *r);

/* Of this folder: where tokens go to. */
struct token_taker;
void token_add(struct token_taker *t, bool header, const char *prefix, struct slice text);
void token_add_words(struct token_taker *t, bool header, const char *prefix, struct slice text, size_t window, size_t max);
void tokens_take_header(struct token_taker *t, const struct content_message *m);
void tokens_take_html(struct token_taker *t, struct slice html);

#endif
