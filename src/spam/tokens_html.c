/* SPDX-License-Identifier: Apache-2.0
 * Tokens of HTML's source: which marks it uses, and how it dresses its text. */
#include "spam/tokens.h"
#include "base/mem.h"

#define HTML_MAX (96 << 10)
#define MARKS_MAX 2000

struct mark_reader {
    struct slice in;
    size_t at;
};

static bool is_name(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static struct slice take_name(struct mark_reader *r, char *room, size_t max)
{
    size_t n = 0;
    while (r->at < r->in.n && (is_name(r->in.p[r->at]) || r->in.p[r->at] == '-' || r->in.p[r->at] == '!')) {
        if (n < max)
            room[n++] = ascii_lower(r->in.p[r->at]);
        r->at++;
    }
    return slice_of(room, n);
}

static struct slice take_value(struct mark_reader *r)
{
    char quote = r->at < r->in.n ? r->in.p[r->at] : 0;
    size_t begin = r->at;
    if (quote == '"' || quote == '\'') {
        begin = ++r->at;
        while (r->at < r->in.n && r->in.p[r->at] != quote && r->in.p[r->at] != '>')
            r->at++;
        size_t end = r->at;
        r->at += r->at < r->in.n && r->in.p[r->at] == quote;
        return slice_sub(r->in, begin, end);
    }
    while (r->at < r->in.n && !is_blank(r->in.p[r->at]) && r->in.p[r->at] != '>')
        r->at++;
    return slice_sub(r->in, begin, r->at);
}

static bool tells(struct slice name)
{
    static const char *const dress[] = { "bgcolor", "color", "face", "size", "width", "height", "align", "border", "style", "target",
        "cellspacing", "cellpadding", "method", "type", "name", "class" };
    for (size_t i = 0; i < countof(dress); i++)
        if (slice_eq(name, slice_str(dress[i])))
            return true;
    return false;
}

static void take_attributes(struct token_taker *t, struct mark_reader *r)
{
    while (r->at < r->in.n && r->in.p[r->at] != '>') {
        char room[16], value[16 + 1 + 20];
        if (!is_name(r->in.p[r->at])) {
            r->at++;
            continue;
        }
        struct slice name = take_name(r, room, sizeof room);
        while (r->at < r->in.n && is_blank(r->in.p[r->at]))
            r->at++;
        if (r->at >= r->in.n || r->in.p[r->at] != '=')
            continue;
        r->at++;
        while (r->at < r->in.n && is_blank(r->in.p[r->at]))
            r->at++;
        struct slice v = take_value(r);
        if (!tells(name))
            continue;
        size_t n = name.n;
        memcpy(value, name.p, n);
        value[n++] = '=';
        for (size_t i = 0; i < v.n && i < 20 && !is_blank(v.p[i]); i++)
            value[n++] = ascii_lower(v.p[i]);
        token_add(t, false, "attribute:", slice_of(value, n));
    }
}

void tokens_take_html(struct token_taker *t, struct slice html)
{
    struct mark_reader r = { .in = slice_sub(html, 0, HTML_MAX) };
    for (size_t marks = 0; marks < MARKS_MAX; marks++) {
        const char *open = r.at < r.in.n ? memchr(r.in.p + r.at, '<', r.in.n - r.at) : NULL;
        if (!open)
            return;
        r.at = (size_t)(open - r.in.p) + 1;
        if (slice_starts(slice_sub(r.in, r.at, r.in.n), SLICE("!--"))) {
            const char *end = memmem(r.in.p + r.at, r.in.n - r.at, "-->", 3);
            token_add(t, false, "mark:", SLICE("!--"));
            r.at = end ? (size_t)(end - r.in.p) + 3 : r.in.n;
            continue;
        }
        char room[16];
        bool closing = r.at < r.in.n && r.in.p[r.at] == '/';
        r.at += closing;
        struct slice name = take_name(&r, room, sizeof room);
        if (!name.n)
            continue;
        token_add(t, false, closing ? "mark:/" : "mark:", name);
        if (!closing)
            take_attributes(t, &r);
    }
}
