/* SPDX-License-Identifier: Apache-2.0
 * Tables of header checks, in the form that Postfix's pcre_table(5) and header_checks(5) describe: what such a table says there, it
 * says here. What would be passed over there with a warning is an error. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/parse.h"
#include "config/value.h"
#include "content/rules_int.h"
#include "smtp/address.h"

#define FILE_MAX (8u << 20)
#define LINE_MAX_N 65536
#define LINES_MAX 100000
#define NESTING_MAX 100

static const char *const action_names[HEADER_ACTIONS] = {
    "BCC", "DISCARD", "DUNNO", "FILTER", "HOLD", "IGNORE", "INFO", "OK", "PASS", "PREPEND", "REDIRECT", "REJECT", "REPLACE", "STRIP", "WARN",
};

const char *header_action_name(enum header_action a) { return action_names[a]; }

struct reading {
    struct rules *rules;
    const char *file;            /* NULL: the line is in the configuration */
    struct config_place place;
    uint32_t line;               /* where the line at hand begins, in the file */
    size_t open[NESTING_MAX];    /* numbers of the ifs that are open */
    size_t nesting, outer;       /* outer: those that were open before the file began */
    struct err *err;
};

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_alnum(char c) { return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'); }

static struct slice skip_blanks(struct slice s)
{
    while (s.n && is_blank(s.p[0])) s = slice_sub(s, 1, s.n);
    return s;
}

static const char *shown(struct reading *r, struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, 60);
    const char *text = arena_strdup(&r->rules->arena, buf_slice(&b));
    buf_deinit(&b);
    return text;
}

/* ---- patterns */

static const char *take_flags(struct reading *r, struct slice *s, uint32_t *options)
{
    static const struct {
        char flag;
        uint32_t option;
    } flags[] = {
        { 'i', PCRE2_CASELESS }, { 'm', PCRE2_MULTILINE },      { 's', PCRE2_DOTALL },   { 'x', PCRE2_EXTENDED },
        { 'A', PCRE2_ANCHORED }, { 'E', PCRE2_DOLLAR_ENDONLY }, { 'U', PCRE2_UNGREEDY }, { 'X', 0 }, /* PCRE2 is always that strict */
    };
    for (; s->n && !is_blank(s->p[0]); *s = slice_sub(*s, 1, s->n)) {
        size_t i = 0;
        while (i < countof(flags) && flags[i].flag != s->p[0]) i++;
        if (i == countof(flags))
            return arena_printf(&r->rules->arena, "\"%s\" is no flag: i, m, s, x, A, E and U are; does the pattern end too early?",
                                shown(r, slice_sub(*s, 0, 1)));
        *options ^= flags[i].option;
    }
    return NULL;
}

/* "!/pattern/flags" */
static bool take_pattern(struct reading *r, struct slice *s, struct rules_pattern *out)
{
    uint32_t options = PCRE2_CASELESS | PCRE2_DOTALL;
    for (; s->n && (s->p[0] == '!' || is_blank(s->p[0])); *s = slice_sub(*s, 1, s->n)) out->negated ^= s->p[0] == '!';
    if (!s->n) return err_set(r->err, "there is no pattern");
    char end = s->p[0];
    if (is_alnum(end) || end == '\\') return err_set(r->err, "a pattern stands between two characters like /, not letters or digits");
    size_t n = 1;
    while (n < s->n && s->p[n] != end) n += s->p[n] == '\\' ? 2 : 1;
    if (n >= s->n) return err_set(r->err, "the pattern has no second %c", end);
    struct slice text = slice_sub(*s, 1, n);
    *s = slice_sub(*s, n + 1, s->n);
    const char *why = take_flags(r, s, &options);
    if (why) return err_set(r->err, "%s", why);
    *s = skip_blanks(*s);
    return rules_pattern_compile(r->rules, text, options, out, r->err);
}

/* ---- actions */

static bool is_header_line(struct slice text)
{
    ptrdiff_t colon = slice_find(text, ':');
    for (ptrdiff_t i = 0; i < colon; i++)
        if (text.p[i] <= ' ' || (unsigned char)text.p[i] >= 0x7F) return false; /* RFC 5322 §2.2 */
    return colon > 0;
}

/* What can be said before the groups are known. */
static bool text_fits(struct reading *r, const struct header_line *l, bool uses)
{
    struct address address;
    bool is_address = l->action == HEADER_BCC || l->action == HEADER_REDIRECT;
    bool is_line = l->action == HEADER_PREPEND || l->action == HEADER_REPLACE;
    const char *name = action_names[l->action];
    struct slice start = slice_sub(l->text, 0, slice_find(l->text, '$') < 0 ? l->text.n : (size_t)slice_find(l->text, '$'));
    if (l->action == HEADER_FILTER)
        return err_set(r->err, "FILTER is not known here: routes send mail to a filter, scanners ask one, REDIRECT goes to one address");
    if (!is_address && !is_line) return true;
    if (!l->text.n) return err_set(r->err, "%s needs %s", name, is_address ? "an address: user@example.com" : "a header line: \"Name: value\"");
    if (is_address && !uses && (address_parse(l->text, &address) || address.utf8))
        return err_set(r->err, "%s: \"%s\" is no address: write user@example.com", name, shown(r, l->text));
    if (is_line && !is_header_line(l->text) && (!uses || slice_find(start, ' ') >= 0))
        return err_set(r->err, "%s: \"%s\" is no header line: write \"Name: value\"", name, shown(r, l->text));
    for (size_t i = 0; is_line && i < l->text.n; i++)
        if ((unsigned char)l->text.p[i] >= 0x80 || ((unsigned char)l->text.p[i] < ' ' && l->text.p[i] != '\t'))
            return err_set(r->err, "%s: a header line has ASCII characters only: write an encoded word (RFC 2047)", name);
    return true;
}

static bool take_action(struct reading *r, struct slice s, struct header_line *l)
{
    size_t n = 0, a = 0;
    bool uses;
    while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t') n++;
    struct slice word = slice_sub(s, 0, n);
    if (!n) return err_set(r->err, "no action stands behind the pattern: for example REJECT, WARN or IGNORE");
    while (a < HEADER_ACTIONS && !slice_ieq(word, slice_str(action_names[a]))) a++;
    if (a == HEADER_ACTIONS) {
        struct buf upper = { 0 };
        for (size_t i = 0; i < word.n; i++) buf_add_char(&upper, word.p[i] >= 'a' && word.p[i] <= 'z' ? (char)(word.p[i] - 32) : word.p[i]);
        const char *near = suggest(buf_slice(&upper), action_names, HEADER_ACTIONS);
        buf_deinit(&upper);
        return err_set(r->err, "\"%s\" is no action: %s%s%s", shown(r, word), near ? "did you mean " : "for example REJECT, WARN or IGNORE",
                       near ? near : "", near ? "?" : "");
    }
    l->action = (enum header_action)a;
    l->text = arena_slice(&r->rules->arena, skip_blanks(slice_sub(s, n, s.n)));
    const char *why = rules_text_problem(l->text, l->pattern.groups, &r->rules->arena, &uses);
    if (why) return err_set(r->err, "%s: %s", action_names[a], why);
    if (uses && l->pattern.negated) return err_set(r->err, "what a pattern with ! does not match has no groups: $ cannot be used");
    return text_fits(r, l, uses);
}

/* ---- lines */

static struct header_line *add_line(struct reading *r, enum header_line_kind kind)
{
    struct rules *rules = r->rules;
    const char *base = r->file ? strrchr(r->file, '/') : NULL;
    if (rules->line_n == rules->line_room) {
        rules->line_room = rules->line_room ? 2 * rules->line_room : 32;
        rules->lines = mem_grow(rules->lines, rules->line_room, sizeof *rules->lines);
    }
    struct header_line *l = &rules->lines[rules->line_n++];
    *l = (struct header_line){ .kind = kind, .place = r->place, .number = r->line };
    l->where = slice_str(r->file ? arena_printf(&rules->arena, "%.80s:%u", base ? base + 1 : r->file, r->line)
                                 : arena_printf(&rules->arena, "line %u", r->place.line));
    return l;
}

static bool read_if(struct reading *r, struct slice rest)
{
    struct header_line *l = add_line(r, HEADER_LINE_IF);
    rest = skip_blanks(rest);
    if (!take_pattern(r, &rest, &l->pattern)) return false;
    if (rest.n) return err_set(r->err, "text behind if: a line that begins with blanks continues the one before, so write those between if "
                                       "and endif without");
    if (r->nesting == NESTING_MAX) return err_set(r->err, "more than %d ifs in each other", NESTING_MAX);
    r->open[r->nesting++] = r->rules->line_n - 1;
    return true;
}

static bool read_endif(struct reading *r, struct slice rest)
{
    if (skip_blanks(rest).n) return err_set(r->err, "text behind endif: a line that begins with blanks continues the one before");
    if (r->nesting == r->outer) return err_set(r->err, "an endif without its if");
    add_line(r, HEADER_LINE_ENDIF);
    r->rules->lines[r->open[--r->nesting]].endif = r->rules->line_n - 1;
    return true;
}

static bool is_word(struct slice s, struct slice word)
{
    return slice_istarts(s, word) && (s.n == word.n || !is_alnum(s.p[word.n]));
}

static bool read_line(struct reading *r, struct slice s)
{
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    if (s.n > LINE_MAX_N || r->rules->line_n >= LINES_MAX)
        return err_set(r->err, "%s", s.n > LINE_MAX_N ? "a line of more than 64 KiB" : "more than 100,000 lines");
    if (is_blank(s.p[0])) return err_set(r->err, "the first line begins with blanks: there is none that it continues");
    if (is_word(s, SLICE("if"))) return read_if(r, slice_sub(s, 2, s.n));
    if (is_word(s, SLICE("endif"))) return read_endif(r, slice_sub(s, 5, s.n));
    if (is_alnum(s.p[0])) return err_set(r->err, "\"%s\" is no header check: write /pattern/ ACTION text, if /pattern/, or endif", shown(r, s));
    struct header_line *l = add_line(r, HEADER_LINE_MATCH);
    return take_pattern(r, &s, &l->pattern) && take_action(r, s, l);
}

/* A line with those that continue it; comments and empty lines between them are passed over. False: the end. */
static bool next_line(struct slice *text, uint32_t *line, uint32_t *first, struct buf *out)
{
    struct slice one;
    buf_clear(out);
    while (text->n) {
        slice_cut(text, '\n', &one);
        ++*line;
        if (one.n && one.p[one.n - 1] == '\r') one.n--;
        struct slice rest = skip_blanks(one);
        if (rest.n && rest.p[0] != '#') {
            if (!out->n) *first = *line;
            buf_add(out, one);
        }
        if (out->n && text->n && text->p[0] != '#' && !is_blank(text->p[0])) break;
    }
    return out->n > 0;
}

static bool read_text(struct reading *r, struct slice text)
{
    struct buf one = { 0 };
    uint32_t line = 0;
    bool ok = true;
    while (ok && next_line(&text, &line, &r->line, &one)) ok = read_line(r, buf_slice(&one));
    buf_deinit(&one);
    if (!ok || r->nesting == r->outer || !r->file) return ok;
    r->line = r->rules->lines[r->open[r->nesting - 1]].number;
    return err_set(r->err, "an if without its endif");
}

static bool read_file(struct reading *r)
{
    struct err why = { 0 }, *outer = r->err;
    struct buf text = { 0 };
    bool ok = config_read_up_to(r->file, FILE_MAX, &text, outer);
    r->err = &why;
    if (ok && !read_text(r, buf_slice(&text))) ok = err_set(outer, "%s:%u: %s", r->file, r->line, why.text);
    r->err = outer;
    buf_deinit(&text);
    return ok;
}

bool rules_read_headers(struct rules *rules, struct config_place *place, struct err *err)
{
    const struct config *c = rules->config;
    struct reading r = { .rules = rules, .err = err };
    for (size_t i = 0; i < c->header_check_n; i++) {
        const struct config_header_check *h = &c->header_checks[i];
        *place = r.place = h->place;
        r.file = h->line ? NULL : h->file;
        r.outer = r.file ? r.nesting : 0;
        if (h->line ? !read_text(&r, slice_str(h->line)) : h->file && !read_file(&r)) return false;
    }
    if (!r.nesting) return true;
    *place = rules->lines[r.open[r.nesting - 1]].place;
    return err_set(err, "an if without its endif");
}

void rules_free_headers(struct rules *r)
{
    for (size_t i = 0; i < r->line_n; i++) pcre2_code_free(r->lines[i].pattern.code);
    free(r->lines);
}
