/* SPDX-License-Identifier: Apache-2.0
 * The classifier. For each token the logarithm of the ratio of how frequent it is in spam and in ham; of these the mean over the
 * header and the mean over the rest; their sum. A mean, not a sum as by Bayes' rule: tokens of a text depend on each other, and a long
 * text is not surer than a short one. Header and rest count alike, however many words there are: no amount of harmless words outweighs
 * what the header shows. */
#include "spam/bayes.h"
#include <math.h>

#define SMALLEST 0.05            /* messages that a token counts as having been in beside those that it was in */
#define MOST 6.0                 /* what one token can say at most */
#define DAMPING 10.0             /* so many tokens that say nothing are thought in: a few tokens are no certainty */
#define STEEPNESS 2.0            /* of the likelihood */

struct sums {
    double sum, n;
};

static struct sums add_up(const struct token_table *t, const uint64_t *tokens, size_t n, struct token_counts all)
{
    struct sums s = { 0 };
    double spam_all = all.spam + 2 * SMALLEST, ham_all = all.ham + 2 * SMALLEST;
    for (size_t i = 0; i < n; i++) {
        struct token_counts c = token_table_get(t, tokens[i]);
        if (!c.spam && !c.ham)
            continue;
        double w = log((c.spam + SMALLEST) / spam_all * ham_all / (c.ham + SMALLEST));
        s.sum += w > MOST ? MOST : w < -MOST ? -MOST : w;
        s.n++;
    }
    return s;
}

int32_t bayes_weigh(const struct token_table *t, const struct token_set *s, size_t *known)
{
    struct token_counts all = token_table_messages(t);
    struct sums header = add_up(t, s->header, s->header_n, all), body = add_up(t, s->body, s->body_n, all);
    *known = (size_t)(header.n + body.n);
    return (int32_t)lround(1000 * (header.sum / (header.n + DAMPING) + body.sum / (body.n + DAMPING)));
}

int32_t bayes_likelihood(int32_t weight)
{
    return (int32_t)lround(10000 / (1 + exp(-STEEPNESS * weight / 1000)));
}

void bayes_count(struct token_table *t, const struct token_set *s, bool spam, int by)
{
    for (size_t i = 0; i < s->header_n; i++)
        token_table_add(t, s->header[i], spam ? by : 0, spam ? 0 : by);
    for (size_t i = 0; i < s->body_n; i++)
        token_table_add(t, s->body[i], spam ? by : 0, spam ? 0 : by);
    token_table_add_messages(t, spam ? by : 0, spam ? 0 : by);
}
