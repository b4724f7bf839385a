/* SPDX-License-Identifier: Apache-2.0
 * Rules: what they are, how they are read, and how they are asked. docs/spam.md has the format. Of this folder and its tests only. */
#ifndef POSTERN_SPAM_RULE_H
#define POSTERN_SPAM_RULE_H
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "base/arena.h"
#include "base/err.h"
#include "spam/facts.h"
#include "spam/prefilter.h"

#define RULES_MAX 4000
#define RULE_STACK 32            /* of one expression */

enum rule_compare { RULE_TRUE, RULE_LT, RULE_LE, RULE_EQ, RULE_NE, RULE_GE, RULE_GT };
/* An expression, as it is worked off with a stack. */
struct rule_op {
    enum rule_op_kind { RULE_OP_RULE, RULE_OP_FACT, RULE_OP_AND, RULE_OP_OR, RULE_OP_NOT, RULE_OP_OF } kind;
    enum rule_compare compare;   /* of FACT, with number */
    uint32_t index;              /* of the rule or fact; OF: how many values are on the stack */
    int32_t number;              /* OF: how many of them must be true */
};
struct rule_example {
    bool must;                   /* it must match; else it must not */
    bool block;                  /* a message; else the text looked at, or of expressions "fact=number RULE ..." */
    struct slice text;
    uint32_t line;
};
struct rule {
    const char *name, *about, *file;
    uint32_t line;
    int32_t score;               /* hundredths; when the classifier does not speak */
    int32_t score_trained;       /* and when it does */
    enum look look;              /* of a pattern */
    enum fact_leg leg;           /* what its score stands on */
    uint32_t fields[16];         /* LOOK_HEADER, LOOK_RAW: of struct rules.fields */
    size_t field_n;
    bool is_when, absent;        /* neither: a pattern */
    pcre2_code *code;
    uint32_t at_least;           /* how often the pattern must match */
    bool prefiltered;            /* texts: only when the prefilter saw one of its words */
    struct rule_op *ops; size_t op_n;
    struct rule_example *examples; size_t example_n;
};
/* Rules whose names begin with "_" are parts of others: they score nothing and nobody is told of them. */

struct rules {
    struct arena arena;
    struct rule *rules; size_t n, cap;
    struct slice *fields; size_t field_n, field_cap; /* names of fields that rules look at */
    struct prefilter *prefilter;
    pcre2_match_context *match;
    pcre2_match_data *data;
};

void rules_init(struct rules *r);
void rules_deinit(struct rules *r);
/* Adds those of a text. What a later one with the same name says takes the place of the earlier. */
bool rules_parse(struct rules *r, const char *file, struct slice text, struct err *err) MUST_CHECK;
bool rules_read_file(struct rules *r, const char *file, struct err *err) MUST_CHECK;
bool rules_builtin(struct rules *r, struct err *err) MUST_CHECK; /* those embedded in the program */
bool rules_finish(struct rules *r, struct err *err) MUST_CHECK;  /* after the last; before the first question */
struct rule *rules_find(const struct rules *r, struct slice name);

/* hits: one each rule, set to whether it is met. found: what the pattern matched, in what the facts were made of; may be NULL. */
void rules_ask(const struct rules *r, const struct facts *f, bool *hits, struct slice *found);
/* Of this folder: one pattern against one text; how often it matches, at most at_least. */
uint32_t rule_count_matches(const struct rules *r, const struct rule *rule, struct slice text, struct slice *found);
bool rule_evaluate(const struct rule *rule, const int32_t *facts, const bool *hits);
bool rule_parse_expression(struct rules *r, struct rule *rule, struct slice text, struct err *err) MUST_CHECK;
/* Words one of which every match of the pattern contains, lower case, in the arena; 0: none are known. */
#define RULE_WORDS_MAX 64
size_t rule_pattern_words(struct slice pattern, struct arena *arena, struct slice words[static RULE_WORDS_MAX]);

#endif
