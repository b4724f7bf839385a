/* SPDX-License-Identifier: Apache-2.0
 * The classifier: what the tokens of a message say together. */
#ifndef POSTERN_SPAM_BAYES_H
#define POSTERN_SPAM_BAYES_H
#include "spam/table.h"
#include "spam/tokens.h"

/* How strongly the tokens of a message point to spam: the mean of the header's plus the mean of the rest, each in thousandths of the
 * logarithm of how much likelier a token is in spam than in ham; about -12000 to 12000. 0 when nothing is known. known: tokens that
 * the table had. */
int32_t bayes_weigh(const struct token_table *t, const struct token_set *s, size_t *known);
/* The same as the likelihood of spam in 1/10000. */
int32_t bayes_likelihood(int32_t weight);
/* Counts a message in (+1) or out (-1) as one kind. Between token_table_begin and _end. */
void bayes_count(struct token_table *t, const struct token_set *s, bool spam, int by);

#endif
