/* SPDX-License-Identifier: Apache-2.0
 * Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2231), by all the readings that are about: strict ones, and
 * those that take quotes, comments, blanks and semicolons less seriously. */
#include <stdlib.h>
#include "base/mem.h"
#include "content/message_internal.h"

#define VALUE_MAX (32 * 1024) /* bytes of a field that are looked at */

struct cursor {
    struct walk *w;
    struct slice s;
    size_t at;
    bool no_comment;             /* a parenthesis was met that nothing closes: no other one will be either */
    struct message_params *out;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }
static bool more(const struct cursor *c) { return c->at < c->s.n; }
static char peek(const struct cursor *c) { return more(c) ? c->s.p[c->at] : 0; }

/* Passes over blanks and comments (RFC 5322 §3.2.2); one that does not end is none. */
static void skip(struct cursor *c)
{
    while (more(c)) {
        if (is_blank(peek(c))) {
            c->at++;
            continue;
        }
        if (peek(c) != '(' || c->no_comment) return;
        size_t i = c->at, depth = 0;
        for (; i < c->s.n; i++) {
            char b = c->s.p[i];
            if (b == '\\') i++;
            else if (b == '(') depth++;
            else if (b == ')' && --depth == 0) break;
        }
        if (i >= c->s.n) {
            c->no_comment = true;
            return;
        }
        c->at = i + 1;
    }
}

static size_t find_end(const struct cursor *c) /* of what a reader takes that knows only semicolons */
{
    ptrdiff_t semicolon = slice_find(slice_sub(c->s, c->at, c->s.n), ';');
    return semicolon < 0 ? c->s.n : c->at + (size_t)semicolon;
}

/* Behind a quote: its text, unescaped, up to the one that ends it; without one, all there is. */
static struct slice quoted(struct cursor *c, bool *ended)
{
    size_t n = 0, end = c->at;
    while (end < c->s.n && c->s.p[end] != '"') end += c->s.p[end] == '\\' ? 2 : 1;
    char *out = arena_alloc(c->w->arena, (end < c->s.n ? end : c->s.n) - c->at + 1);
    for (*ended = false; more(c) && !*ended; c->at++) {
        if (peek(c) == '"')
            *ended = true;
        else {
            if (peek(c) == '\\' && c->at + 1 < c->s.n) c->at++;
            out[n++] = c->s.p[c->at];
        }
    }
    return slice_of(out, n);
}

static struct slice joined(struct cursor *c, struct slice a, struct slice b)
{
    char *p = arena_alloc(c->w->arena, a.n + b.n + 1);
    if (a.n) memcpy(p, a.p, a.n);
    if (b.n) memcpy(p + a.n, b.p, b.n);
    return slice_of(p, a.n + b.n);
}

static void take_quoted(struct cursor *c, struct message_param *p)
{
    size_t from = ++c->at;
    bool ended;
    p->value = quoted(c, &ended);
    struct slice raw = slice_sub(c->s, from, ended ? c->at - 1 : c->at);
    if (raw.n != p->value.n) p->other[0] = raw; /* Windows' paths: backslashes are meant */
    if (!ended) {
        c->out->broken = true;
        ptrdiff_t semicolon = slice_find(raw, ';');
        if (semicolon >= 0) p->other[1] = slice_sub(raw, 0, (size_t)semicolon);
        return;
    }
    skip(c);
    if (!more(c) || peek(c) == ';') return;
    struct slice rest = slice_trim(slice_sub(c->s, c->at, find_end(c)));
    if (slice_find(rest, '=') >= 0) return; /* a semicolon was forgotten */
    c->out->broken = true;
    ptrdiff_t quote = slice_find(rest, '"');
    p->other[1] = joined(c, p->value, quote >= 0 ? slice_sub(rest, 0, (size_t)quote) : rest);
    c->at = find_end(c);
}

static void take_token(struct cursor *c, struct message_param *p)
{
    size_t from = c->at, end = find_end(c);
    while (c->at < end && !is_blank(peek(c)) && peek(c) != '(') c->at++;
    p->value = slice_sub(c->s, from, c->at);
    bool comment = peek(c) == '(' && c->at < end;
    struct slice rest = slice_trim(slice_sub(c->s, c->at, end));
    if (!rest.n) return;
    if (comment || slice_find(rest, '=') < 0) { /* blanks in a name that should be quoted; or in a comment */
        p->other[0] = slice_trim(slice_sub(c->s, from, end));
        c->out->broken = true;
        if (comment && !p->value.n) {
            skip(c);
            p->value = slice_trim(slice_sub(c->s, c->at, end));
        }
        c->at = end;
    }
}

/* "filename*1*": its name, section, and whether it is encoded. */
static void take_name(struct message_param *p, struct slice name)
{
    p->section = -1;
    p->name = name;
    if (!slice_cut(&name, '*', &p->name)) return;
    if (!name.n) {
        p->extended = true;
        return;
    }
    if (name.p[name.n - 1] == '*') p->extended = true, name.n--;
    uint64_t section;
    p->section = slice_to_u64(name, 9999, &section) ? (int)section : 9999;
}

/* What stands between semicolons without being a parameter belongs to the value before it, to some. */
static void take_stray(struct cursor *c, struct message_param *before, size_t value_at, size_t from)
{
    c->at = from;
    c->at = find_end(c);
    if (!before || !slice_trim(slice_sub(c->s, from, c->at)).n) return;
    if (c->s.p[value_at] != '"') before->other[1] = slice_trim(slice_sub(c->s, value_at, c->at));
    c->out->broken = true;
}

static bool is_asked_for(struct slice name)
{
    static const char *const names[] = { "filename", "name", "boundary", "charset" };
    for (size_t i = 0; i < countof(names); i++)
        if (slice_ieq(name, slice_str(names[i]))) return true;
    return false;
}

static void read_list(struct cursor *c, struct message_param *list)
{
    size_t value_at = 0, seen = 0;
    struct message_param *before = NULL;
    while (more(c)) {
        skip(c);
        if (peek(c) == ';') {
            c->at++;
            continue;
        }
        size_t from = c->at;
        while (more(c) && !is_blank(peek(c)) && peek(c) != '=' && peek(c) != ';' && peek(c) != '(') c->at++;
        struct slice name = slice_sub(c->s, from, c->at);
        skip(c);
        if (peek(c) != '=' || !name.n) {
            if (c->at == from) c->at++;
            else take_stray(c, before, value_at, from);
            continue;
        }
        c->at++;
        size_t behind = c->at;
        skip(c);
        c->out->broken |= ++seen > MESSAGE_PARAMS_MAX;
        if (c->out->n == MESSAGE_PARAMS_MAX) c->out->n--; /* readers take the first one of a name, or the last */
        struct message_param *p = before = &list[c->out->n];
        *p = (struct message_param){ 0 };
        take_name(p, name);
        if (c->out->n < MESSAGE_PARAMS_MAX / 2 || is_asked_for(p->name)) c->out->n++;
        if (c->at > behind && slice_find(slice_sub(c->s, behind, c->at), '(') >= 0) { /* "name=(x)y": a comment, or not */
            p->other[1] = slice_trim(slice_sub(c->s, behind, (size_t)(find_end(c))));
            c->out->broken = true;
        }
        value_at = c->at;
        if (peek(c) == '"') take_quoted(c, p);
        else take_token(c, p);
    }
}

void message_params_read(struct walk *w, struct slice value, bool comments, struct message_params *out)
{
    *out = (struct message_params){ .broken = value.n > VALUE_MAX };
    value = slice_sub(value, 0, VALUE_MAX);
    struct cursor c = { .w = w, .s = value, .no_comment = !comments, .out = out };
    char *head = arena_alloc(w->arena, value.n + 1);
    size_t n = 0;
    for (;; ) { /* up to a semicolon, or to blanks that no slash follows */
        size_t before = c.at;
        skip(&c);
        if (!more(&c) || peek(&c) == ';') break;
        bool blanks = c.at > before && (is_blank(c.s.p[before]) || is_blank(c.s.p[c.at - 1]));
        if (blanks && n && head[n - 1] != '/' && peek(&c) != '/') break;
        char b = ascii_lower(peek(&c));
        if (b) head[n++] = b > ' ' && b < 0x7F ? b : '?';
        c.at++;
    }
    if (n && head[0] == '"') { /* quotes that do not belong there */
        out->broken = true;
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (head[i] != '"') head[kept++] = head[i];
        n = kept;
    }
    out->head = slice_of(head, n);
    out->broken |= more(&c) && peek(&c) != ';';
    if (!more(&c)) return;
    struct message_param list[MESSAGE_PARAMS_MAX];
    read_list(&c, list);
    out->list = arena_alloc(w->arena, (out->n + 1) * sizeof *list);
    memcpy(out->list, list, out->n * sizeof *list);
}

/* ---- what a parameter is, all readings */
struct found {
    struct walk *w;
    bool decode;
    struct slice *out;
    size_t n, max;
};

static void find(struct found *f, struct slice bytes, struct slice charset)
{
    struct slice s = bytes;
    if (f->decode && charset.n) {
        struct buf b = { 0 };
        message_charset_add(charset, bytes, &b);
        s = buf_keep(&b, f->w->arena);
    } else if (f->decode)
        s = message_words(f->w->arena, bytes);
    for (size_t i = 0; i < f->n; i++)
        if (slice_eq(f->out[i], s)) return;
    if (f->n == f->max && f->max > 1) f->n--; /* the first ones, and the last */
    if (f->n < f->max) f->out[f->n++] = s;
}

/* Takes "charset'language'" off an extended value. */
static struct slice cut_charset(struct slice *value)
{
    struct slice rest = *value, charset, language;
    if (!slice_cut(&rest, '\'', &charset) || !slice_cut(&rest, '\'', &language)) return SLICE("");
    *value = rest;
    return charset.n ? charset : SLICE("utf-8");
}

/* The sections one behind the other, up to the first gap, or all there are; of those with the same number the first or the last. */
static void find_sections(struct found *f, const struct message_param *const *sections, size_t n, bool strict)
{
    size_t room = 1, size = 0;
    for (size_t i = 0; i < n; i++) room += sections[i]->value.n;
    char *out = arena_alloc(f->w->arena, room);
    struct slice charset = SLICE("");
    int before = -1;
    for (size_t i = 0; i < n; i++) {
        const struct message_param *p = sections[i];
        if (strict && p->section == before) continue;
        if (!strict && i + 1 < n && sections[i + 1]->section == p->section) continue;
        if (strict && p->section != before + 1) break;
        struct slice value = p->value;
        if (p->extended && !charset.n) charset = cut_charset(&value);
        if (p->extended) size += message_decode_percent(out + size, value.n, value);
        else if (value.n) {
            memcpy(out + size, value.p, value.n);
            size += value.n;
        }
        before = p->section;
    }
    if (size) find(f, slice_of(out, size), charset);
}

static int by_section(const void *a, const void *b)
{
    const struct message_param *const *x = a, *const *y = b;
    if ((*x)->section != (*y)->section) return (*x)->section < (*y)->section ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static void find_single(struct found *f, const struct message_param *p)
{
    struct slice value = p->value, charset = SLICE("");
    if (p->extended) {
        charset = cut_charset(&value);
        char *out = arena_alloc(f->w->arena, value.n + 1);
        value = slice_of(out, message_decode_percent(out, value.n, value));
        if (!charset.n) charset = SLICE("utf-8");
    }
    find(f, value, charset);
}

size_t message_params_get(struct walk *w, const struct message_params *params, const char *name, bool decode, struct slice *out, size_t max,
                          bool *broken)
{
    struct found f = { .w = w, .decode = decode, .out = out, .max = max };
    const struct message_param *sections[MESSAGE_PARAMS_MAX];
    size_t section_n = 0, single = 0;
    for (size_t i = 0; i < params->n; i++) {
        const struct message_param *p = &params->list[i];
        if (!slice_ieq(p->name, slice_str(name))) continue;
        if (p->section >= 0) sections[section_n++] = p;
        else find_single(&f, p), single += !p->extended;
    }
    if (section_n) {
        size_t before = f.n;
        qsort(sections, section_n, sizeof *sections, by_section);
        find_sections(&f, sections, section_n, true);
        find_sections(&f, sections, section_n, false);
        *broken |= f.n - before != 1;
    }
    *broken |= single > 1 && f.n > 1;
    for (size_t i = 0; i < params->n; i++)
        for (size_t k = 0; k < 2 && slice_ieq(params->list[i].name, slice_str(name)); k++)
            if (params->list[i].other[k].n) find(&f, params->list[i].other[k], SLICE(""));
    return f.n;
}
