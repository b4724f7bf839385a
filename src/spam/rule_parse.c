/* SPDX-License-Identifier: Apache-2.0
 * Reads files of rules. One thing a line; what belongs to a rule is indented below its name. Errors name file and line. */
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "config/parse.h"
#include "base/builtin.h"
#include "spam/rule.h"

#define FILE_MAX (8u << 20)

struct lines {
    struct slice rest;
    uint32_t line;
    const char *file;
    struct rules *rules;
    struct rule *rule;           /* the one that is being read */
    struct err *err;
};

#define fail(l, ...) __extension__({ \
    char what_[400]; \
    (void)snprintf(what_, sizeof what_, __VA_ARGS__); \
    err_set((l)->err, "%s:%u: %s", (l)->file, (l)->line, what_); })

static bool next_line(struct lines *l, struct slice *line)
{
    if (!l->rest.n)
        return false;
    slice_cut(&l->rest, '\n', line);
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    l->line++;
    return true;
}

static struct slice cut_word(struct slice *s)
{
    *s = slice_trim_blanks(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
        n++;
    struct slice word = slice_sub(*s, 0, n);
    *s = slice_trim_blanks(slice_sub(*s, n, s->n));
    return word;
}

/* "1.5", "-0.25": hundredths. */
static bool read_score(struct slice s, int32_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    struct slice whole, rest = slice_sub(s, minus, s.n);
    uint64_t points = 0, part = 0;
    bool dot = slice_cut(&rest, '.', &whole);
    if (!slice_to_u64(whole, 1000, &points) || (dot && (rest.n == 0 || rest.n > 2 || !slice_to_u64(rest, 99, &part))))
        return false;
    int32_t v = (int32_t)(points * 100 + (rest.n == 1 ? part * 10 : part));
    *out = minus ? -v : v;
    return true;
}

static bool name_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= 'A' && s.p[i] <= 'Z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= 60 && !(s.p[0] >= '0' && s.p[0] <= '9');
}

static bool begin_rule(struct lines *l, struct slice name)
{
    if (!name_ok(name))
        return fail(l, "a rule's name is of capitals, digits and \"_\", at most 60");
    struct rules *r = l->rules;
    struct rule *rule = rules_find(r, name);
    if (rule) {
        if (rule->file == l->file)
            return fail(l, "there is a rule %s in line %u already", rule->name, rule->line);
        pcre2_code_free(rule->code);
    } else {
        if (r->n >= RULES_MAX)
            return fail(l, "more than %d rules", RULES_MAX);
        if (r->n == r->cap) {
            r->cap = r->cap ? r->cap * 2 : 256;
            r->rules = mem_grow(r->rules, r->cap, sizeof *r->rules);
        }
        rule = &r->rules[r->n++];
    }
    *rule = (struct rule){ .name = arena_strdup(&r->arena, name), .file = l->file, .line = l->line, .about = "", .look = LOOK_COUNT };
    l->rule = rule;
    return true;
}

static uint32_t field_number(struct rules *r, struct slice name)
{
    for (size_t i = 0; i < r->field_n; i++)
        if (slice_ieq(r->fields[i], name))
            return (uint32_t)i;
    if (r->field_n == r->field_cap) {
        r->field_cap = r->field_cap ? r->field_cap * 2 : 64;
        r->fields = mem_grow(r->fields, r->field_cap, sizeof *r->fields);
    }
    r->fields[r->field_n] = arena_slice(&r->arena, name);
    return (uint32_t)r->field_n++;
}

static bool read_flags(struct lines *l, struct slice s, uint32_t *options)
{
    for (size_t i = 0; i < s.n; i++)
        switch (s.p[i]) {
        case 'i': *options |= PCRE2_CASELESS; break;
        case 'm': *options |= PCRE2_MULTILINE; break;
        case 's': *options |= PCRE2_DOTALL; break;
        case 'u': *options |= PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF; break;
        default: return fail(l, "\"%c\" is none of the flags i, m, s, u", s.p[i] > ' ' && s.p[i] < 127 ? s.p[i] : '?');
        }
    return true;
}

/* The prefilter is told what the pattern cannot match without. */
static void add_words(struct lines *l, struct slice pattern)
{
    struct arena arena = { 0 };
    struct slice words[RULE_WORDS_MAX];
    size_t n = rule_pattern_words(pattern, &arena, words);
    for (size_t i = 0; i < n; i++)
        prefilter_add(l->rules->prefilter, words[i], (uint32_t)(l->rule - l->rules->rules));
    l->rule->prefiltered = n > 0;
    arena_deinit(&arena);
}

/* /pattern/flags, ">= 3" may follow. */
static bool read_pattern(struct lines *l, struct slice s)
{
    size_t end = s.n;
    while (end > 0 && s.p[end - 1] != '/')
        end--;
    if (s.n < 3 || s.p[0] != '/' || end < 3)
        return fail(l, "a pattern stands between slashes: /free offer/i");
    struct slice pattern = slice_sub(s, 1, end - 1), rest = slice_sub(s, end, s.n);
    bool flagged = rest.n && rest.p[0] != ' ' && rest.p[0] != '\t';
    struct slice flags = flagged ? cut_word(&rest) : (struct slice){ 0 };
    rest = slice_trim_blanks(rest);
    struct rule *rule = l->rule;
    uint32_t options = PCRE2_NO_AUTO_CAPTURE;
    uint64_t count = 1;
    if (!read_flags(l, flags, &options))
        return false;
    if (rest.n && (!slice_starts(rest, SLICE(">=")) || !slice_to_u64(slice_trim_blanks(slice_sub(rest, 2, rest.n)), 1000, &count) || !count))
        return fail(l, "behind a pattern may stand how often it must match: >= 3");
    int code = 0;
    PCRE2_SIZE at = 0;
    rule->code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, options, &code, &at, NULL);
    if (!rule->code) {
        PCRE2_UCHAR what[200] = "";
        pcre2_get_error_message(code, what, sizeof what);
        return fail(l, "pattern, character %zu: %s", (size_t)at + 1, (const char *)what);
    }
    (void)pcre2_jit_compile(rule->code, PCRE2_JIT_COMPLETE); /* where memory may not be executed it works without */
    rule->at_least = (uint32_t)count;
    if (rule->look <= LOOK_HIDDEN && !(options & PCRE2_UTF))
        add_words(l, pattern);
    return true;
}

static bool read_fields(struct lines *l, struct slice names)
{
    struct slice one;
    do {
        (void)slice_cut(&names, '|', &one);
        if (!one.n || l->rule->field_n == countof(l->rule->fields))
            return fail(l, "names of at most %zu fields: X-Mailer|User-Agent", countof(l->rule->fields));
        l->rule->fields[l->rule->field_n++] = field_number(l->rules, one);
    } while (names.n);
    return true;
}

static bool looks_at_nothing(const struct rule *rule)
{
    return rule->look == LOOK_COUNT && !rule->is_when;
}

static bool read_look(struct lines *l, enum look look, struct slice rest)
{
    l->rule->look = look;
    if (look == LOOK_HEADER || look == LOOK_RAW) {
        if (!read_fields(l, cut_word(&rest)))
            return false;
        if (slice_eq(rest, SLICE("absent"))) {
            l->rule->absent = true;
            return true;
        }
    }
    return read_pattern(l, rest);
}

/* The lines up to ">>", without the blanks that the first of them begins with. */
static bool read_block(struct lines *l, struct slice *out)
{
    struct buf b = { 0 };
    struct slice line;
    size_t indent = SIZE_MAX;
    while (next_line(l, &line)) {
        if (slice_eq(slice_trim(line), SLICE(">>"))) {
            *out = buf_keep(&b, &l->rules->arena);
            return true;
        }
        size_t blanks = 0;
        while (blanks < line.n && blanks < indent && line.p[blanks] == ' ')
            blanks++;
        indent = indent == SIZE_MAX ? blanks : indent;
        buf_add(&b, slice_sub(line, blanks, line.n));
        buf_add_str(&b, "\r\n");
    }
    buf_deinit(&b);
    return fail(l, "a message that begins with << ends with a line >>");
}

static bool read_example(struct lines *l, bool must, struct slice text)
{
    struct rule *rule = l->rule;
    struct rule_example *all = arena_alloc(&l->rules->arena, (rule->example_n + 1) * sizeof *all);
    struct rule_example *e = &all[rule->example_n];
    if (rule->example_n)
        memcpy(all, rule->examples, rule->example_n * sizeof *all);
    *e = (struct rule_example){ .must = must, .line = l->line, .block = slice_eq(text, SLICE("<<")) };
    rule->examples = all;
    rule->example_n++;
    if (e->block)
        return read_block(l, &e->text);
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"') /* to show blanks at the ends */
        text = slice_sub(text, 1, text.n - 1);
    e->text = arena_slice(&l->rules->arena, text);
    return true;
}

static bool read_property(struct lines *l, struct slice word, struct slice rest)
{
    struct rule *rule = l->rule;
    enum look look;
    if (slice_eq(word, SLICE("about"))) {
        rule->about = arena_strdup(&l->rules->arena, rest);
        return true;
    }
    if (slice_eq(word, SLICE("score"))) {
        struct slice first = cut_word(&rest);
        if (!read_score(first, &rule->score) || (rest.n && !read_score(rest, &rule->score_trained)))
            return fail(l, "a score is a number of points, like 1.5 or -0.25; a second one counts when the classifier speaks");
        if (!rest.n)             /* the classifier sees much of what rules see */
            rule->score_trained = rule->score / 2;
        return true;
    }
    if (slice_eq(word, SLICE("yes")) || slice_eq(word, SLICE("no")))
        return read_example(l, slice_eq(word, SLICE("yes")), rest);
    bool is_when = slice_eq(word, SLICE("when"));
    if (!is_when && !look_find(word, &look))
        return fail(l, "\"%.*s\" is nothing that a rule has", word.n < 40 && utf8_ascii(word) ? (int)word.n : 0, word.p);
    if (!looks_at_nothing(rule))
        return fail(l, "%s looks at something already: one pattern or expression a rule", rule->name);
    if (!is_when)
        return read_look(l, look, rest);
    rule->is_when = true;
    struct err what;
    return rule_parse_expression(l->rules, rule, rest, &what) || fail(l, "%.250s", what.text);
}

static bool end_rule(struct lines *l)
{
    if (l->rule && looks_at_nothing(l->rule))
        return err_set(l->err, "%s:%u: %s has neither a pattern nor an expression", l->file, l->rule->line, l->rule->name);
    l->rule = NULL;
    return true;
}

bool rules_parse(struct rules *r, const char *file, struct slice text, struct err *err)
{
    struct lines l = { .rest = text, .file = arena_strdup(&r->arena, slice_str(file)), .rules = r, .err = err };
    struct slice line;
    while (next_line(&l, &line)) {
        bool indented = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
        struct slice rest = slice_trim(line), word;
        if (!rest.n || rest.p[0] == '#')
            continue;
        word = cut_word(&rest);
        bool ok = !indented && slice_eq(word, SLICE("rule")) ? end_rule(&l) && begin_rule(&l, rest)
            : indented && l.rule                            ? read_property(&l, word, rest)
                                                            : fail(&l, "a rule begins with: rule NAME");
        if (!ok)
            return false;
    }
    return end_rule(&l);
}

bool rules_read_file(struct rules *r, const char *file, struct err *err)
{
    struct buf b = { 0 };
    bool ok = config_read_up_to(file, FILE_MAX, &b, err) && rules_parse(r, file, buf_slice(&b), err);
    buf_deinit(&b);
    return ok;
}

bool rules_builtin(struct rules *r, struct err *err)
{
    for (unsigned i = 0; i < builtin_rules_n; i++)
        if (!rules_parse(r, builtin_rules[i].name, slice_of(builtin_rules[i].text, builtin_rules[i].n), err))
            return false;
    return true;
}
