/* SPDX-License-Identifier: Apache-2.0
 * Which words a pattern cannot match without: read off the pattern, on the safe side. Whatever is not understood only means that the
 * pattern is tried more often. */
#include "base/mem.h"
#include "spam/rule.h"

#define WORD_MAX 40
#define NESTED_MAX 20

struct words {                   /* one of them is in every match; n 0: nothing is known */
    struct slice w[RULE_WORDS_MAX];
    size_t n, shortest;
};
struct reader {
    struct slice in;
    size_t at;
    struct arena *arena;
    unsigned depth;
    bool lost;                   /* something that changes the meaning of the rest */
};

static bool better(const struct words *a, const struct words *b)
{
    if (!b->n || !a->n)
        return a->n > 0;
    size_t la = a->shortest < 6 ? a->shortest : 6, lb = b->shortest < 6 ? b->shortest : 6;
    return la != lb ? la > lb : a->n < b->n;
}

static void add_word(struct words *to, struct slice w)
{
    to->shortest = to->n == 0 || w.n < to->shortest ? w.n : to->shortest;
    to->w[to->n++] = w;
}

static void take_run(struct reader *r, char *run, size_t *n, struct words *best)
{
    struct words one = { 0 };
    if (*n >= 3)
        add_word(&one, arena_slice(r->arena, slice_of(run, *n)));
    if (better(&one, best))
        *best = one;
    *n = 0;
}

/* What stands behind an atom: how often at least it is there, 0 or 1, and whether it may be there more than once. */
static bool quantifier(struct reader *r, bool *repeated)
{
    bool there = true;
    *repeated = false;
    char c = r->at < r->in.n ? r->in.p[r->at] : 0;
    if (c == '?' || c == '*' || c == '+') {
        there = c == '+';
        *repeated = c != '?';
        r->at++;
    } else if (c == '{') {
        there = r->at + 1 < r->in.n && r->in.p[r->at + 1] >= '1' && r->in.p[r->at + 1] <= '9';
        *repeated = true;
        while (r->at < r->in.n && r->in.p[r->at] != '}')
            r->at++;
        r->at++;
    } else
        return true;
    if (r->at < r->in.n && (r->in.p[r->at] == '?' || r->in.p[r->at] == '+'))
        r->at++;                 /* lazy or possessive */
    return there;
}

static void skip_class(struct reader *r)
{
    r->at++;                     /* [ */
    if (r->at < r->in.n && r->in.p[r->at] == '^')
        r->at++;
    for (size_t first = r->at; r->at < r->in.n; r->at++) {
        char c = r->in.p[r->at];
        if (c == '\\')
            r->at++;
        else if (c == '[' && r->at + 1 < r->in.n && r->in.p[r->at + 1] == ':') {
            while (r->at < r->in.n && r->in.p[r->at] != ']')
                r->at++;
        } else if (c == ']' && r->at > first)
            break;
    }
    r->at++;
}

static void read_alternatives(struct reader *r, struct words *out);

/* A group, from its parenthesis on. Looks ahead and behind, and whatever is unusual, say nothing. */
static void read_group(struct reader *r, struct words *out)
{
    bool silent = false;
    r->at++;
    if (r->at < r->in.n && r->in.p[r->at] == '?') {
        char kind = r->at + 1 < r->in.n ? r->in.p[r->at + 1] : 0;
        if (kind == ':' || kind == '>')
            r->at += 2;
        else if (kind == '=' || kind == '!') {
            silent = true;
            r->at += 2;
        } else if (kind == '<' && r->at + 2 < r->in.n && (r->in.p[r->at + 2] == '=' || r->in.p[r->at + 2] == '!')) {
            silent = true;
            r->at += 3;
        } else
            r->lost = true;
    } else if (r->at < r->in.n && r->in.p[r->at] == '*')
        r->lost = true;
    if (++r->depth > NESTED_MAX)
        r->lost = true;
    if (!r->lost)
        read_alternatives(r, out);
    r->depth--;
    if (r->at < r->in.n && r->in.p[r->at] == ')')
        r->at++;
    if (silent)
        out->n = 0;
}

/* One character that stands for itself; 0: it is something else, and was skipped. *nothing: it takes no room (\b, ^). */
static char read_character(struct reader *r, bool *nothing)
{
    char c = r->in.p[r->at];
    *nothing = false;
    if (c == '[') {
        skip_class(r);
        return 0;
    }
    r->at++;
    if (c == '.')
        return 0;
    if (c == '^' || c == '$') {
        *nothing = true;
        return 0;
    }
    if (c != '\\')
        return c;
    char e = r->at < r->in.n ? r->in.p[r->at++] : 0;
    if (e == 'b' || e == 'B' || e == 'A' || e == 'z' || e == 'Z') {
        *nothing = true;
        return 0;
    }
    if (strchr("wWdDsShHvVRXN", e) && e)
        return 0;
    if ((e >= '0' && e <= '9') || (e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || e == 0) {
        r->lost = e != 'n' && e != 't' && e != 'r'; /* \x20, \p{L}, \1, \Q: not worth the trouble */
        return 0;
    }
    return e;
}

static void read_sequence(struct reader *r, struct words *best)
{
    char run[WORD_MAX];
    size_t n = 0;
    best->n = 0;
    while (!r->lost && r->at < r->in.n && r->in.p[r->at] != '|' && r->in.p[r->at] != ')') {
        bool repeated, nothing = false;
        if (r->in.p[r->at] == '(') {
            struct words inner = { 0 };
            take_run(r, run, &n, best);
            read_group(r, &inner);
            if (quantifier(r, &repeated) && better(&inner, best))
                *best = inner;
            continue;
        }
        char c = read_character(r, &nothing);
        if (nothing)
            continue;
        bool there = quantifier(r, &repeated);
        if (c && there && n < sizeof run)
            run[n++] = ascii_lower(c);
        if (!c || !there || repeated || n == sizeof run)
            take_run(r, run, &n, best);
    }
    take_run(r, run, &n, best);
}

static void read_alternatives(struct reader *r, struct words *out)
{
    bool known = true;
    out->n = 0;
    for (;;) {
        struct words *one = arena_alloc(r->arena, sizeof *one);
        read_sequence(r, one);
        known = known && one->n > 0 && out->n + one->n <= RULE_WORDS_MAX;
        for (size_t i = 0; known && i < one->n; i++)
            add_word(out, one->w[i]);
        if (r->lost || r->at >= r->in.n || r->in.p[r->at] != '|')
            break;
        r->at++;
    }
    if (!known)
        out->n = 0;
}

size_t rule_pattern_words(struct slice pattern, struct arena *arena, struct slice words[static RULE_WORDS_MAX])
{
    struct reader r = { .in = pattern, .arena = arena };
    struct words *out = arena_alloc(arena, sizeof *out);
    read_alternatives(&r, out);
    if (r.lost || r.at < pattern.n)
        return 0;
    memcpy(words, out->w, out->n * sizeof *words);
    return out->n;
}
