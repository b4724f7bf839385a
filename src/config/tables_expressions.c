/* SPDX-License-Identifier: Apache-2.0
 * Regular expressions of a block: compiled when it is taken up. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/list.h"
#include "config/tables_parts.h"

struct table_expression {
    pcre2_code *code;
    size_t number; /* in the block */
};

void table_forget_expressions(struct table *t)
{
    for (size_t i = 0; i < t->expression_n; i++) pcre2_code_free(t->expressions[i].code);
    free(t->expressions);
    t->expressions = NULL;
    t->expression_n = 0;
}

/* Who wrote the block has compiled them, too: what cannot be compiled now is passed over. */
void table_compile(struct table *t)
{
    struct snapshot_entry e;
    struct err ignored;
    table_forget_expressions(t);
    for (size_t i = 0; i < LIST_EXPRESSIONS_MAX && snapshot_expression(t->now, i, &e); i++) {
        struct slice text = slice_str(e.match);
        pcre2_code *code = text.n > 2 ? match_compile(slice_sub(text, 1, text.n - 1), &ignored) : NULL;
        if (!code) continue;
        if (!t->tables->match_data) match_limits_new(&t->tables->match_data, &t->tables->match_limits);
        t->expressions = mem_grow(t->expressions, t->expression_n + 1, sizeof *t->expressions);
        t->expressions[t->expression_n++] = (struct table_expression){ code, i };
    }
}

bool table_find_expression(const struct table *t, struct slice text, struct snapshot_entry *out)
{
    for (size_t i = 0; i < t->expression_n; i++) {
        const struct table_expression *x = &t->expressions[i];
        if (pcre2_match(x->code, (PCRE2_SPTR)text.p, text.n, 0, 0, t->tables->match_data, t->tables->match_limits) >= 0)
            return snapshot_expression(t->now, x->number, out);
    }
    return false;
}
