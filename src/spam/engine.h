/* SPDX-License-Identifier: Apache-2.0
 * What an engine is made of. Of this folder and its tools only. */
#ifndef POSTERN_SPAM_ENGINE_H
#define POSTERN_SPAM_ENGINE_H
#include "spam/bayes.h"
#include "spam/rule.h"
#include "spam/spam.h"

struct spam_engine {
    struct spam_options options;
    struct rules rules;
    struct public_suffix *suffixes;
    struct word_breaker *breaker;
    struct token_table *table;   /* NULL: there is no classifier */
};

/* How many domains of links lists name (fact links.listed); each becomes a symbol. */
#define DNS_LIST_HITS_MAX 8
struct dns_list_hit {
    const char *list;
    struct slice domain;
};
size_t dns_lists_ask(const struct spam_engine *e, const struct content_message *m, uint64_t deadline, struct arena *arena,
                     struct dns_list_hit hits[static DNS_LIST_HITS_MAX]);

void spam_tokens(const struct spam_engine *e, const struct content_message *m, struct arena *arena, struct token_set *out);

#endif
