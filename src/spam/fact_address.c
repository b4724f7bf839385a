/* SPDX-License-Identifier: Apache-2.0
 * Addresses in fields, taken as forgivingly as mail programs show them: what is wrong with them is for rules to say. */
#include "base/mem.h"
#include "spam/facts.h"

struct slice fact_lower(struct slice s, struct arena *arena)
{
    struct slice copy = arena_slice(arena, s);
    for (size_t i = 0; i < copy.n; i++)
        ((char *)copy.p)[i] = ascii_lower(copy.p[i]);
    return copy;
}

struct slice fact_registrable(const struct public_suffix *l, struct slice domain)
{
    struct slice d = public_suffix_registrable(l, domain);
    return d.n ? d : domain;
}

/* Where the address that begins s ends: at a comma that is neither quoted nor in brackets or a comment. */
static size_t one_address(struct slice s)
{
    bool quoted = false, bracket = false;
    int comment = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\')
            i++;
        else if (c == '"' && !comment)
            quoted = !quoted;
        else if (!quoted && c == '(')
            comment++;
        else if (!quoted && c == ')' && comment)
            comment--;
        else if (!quoted && !comment && (c == '<' || c == '>'))
            bracket = c == '<';
        else if (!quoted && !comment && !bracket && (c == ',' || c == ';'))
            return i;
    }
    return s.n;
}

static struct slice unquote(struct slice s)
{
    s = slice_trim(s);
    while (s.n >= 2 && ((s.p[0] == '"' && s.p[s.n - 1] == '"') || (s.p[0] == '\'' && s.p[s.n - 1] == '\'') ||
                        (s.p[0] == '(' && s.p[s.n - 1] == ')')))
        s = slice_trim(slice_sub(s, 1, s.n - 1));
    return s;
}

static struct slice last_word_with_at(struct slice s, struct slice *rest)
{
    for (size_t end = s.n; end > 0;) {
        size_t begin = end;
        while (begin > 0 && s.p[begin - 1] != ' ' && s.p[begin - 1] != '\t')
            begin--;
        struct slice word = slice_sub(s, begin, end);
        if (slice_find(word, '@') >= 0) {
            *rest = begin ? slice_sub(s, 0, begin) : slice_sub(s, end, s.n);
            return word;
        }
        end = begin ? begin - 1 : 0;
    }
    *rest = s;
    return (struct slice){ 0 };
}

static void read_address(struct slice s, struct arena *arena, struct fact_address *a)
{
    ptrdiff_t open = -1, close = -1;
    *a = (struct fact_address){ 0 };
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '<') {
            open = (ptrdiff_t)i;
            close = -1;
        } else if (s.p[i] == '>' && close < 0)
            close = (ptrdiff_t)i;
    if (open >= 0) {
        a->address = slice_trim(slice_sub(s, (size_t)open + 1, close > open ? (size_t)close : s.n));
        a->name = unquote(slice_sub(s, 0, (size_t)open));
    } else {
        struct slice rest;
        a->address = last_word_with_at(s, &rest);
        a->name = unquote(rest);
    }
    for (size_t i = a->address.n; i > 0; i--)
        if (a->address.p[i - 1] == '@') {
            a->local = slice_sub(a->address, 0, i - 1);
            a->domain = fact_lower(slice_sub(a->address, i, a->address.n), arena);
            break;
        }
}

size_t fact_addresses(struct slice value, struct arena *arena, struct fact_address *out, size_t max)
{
    size_t n = 0;
    while (value.n && n < max) {
        size_t end = one_address(value);
        struct slice one = slice_trim(slice_sub(value, 0, end));
        value = slice_sub(value, end + 1, value.n);
        if (!one.n)
            continue;
        read_address(one, arena, &out[n]);
        n += out[n].address.n > 0 || out[n].name.n > 0;
    }
    return n;
}
