/* SPDX-License-Identifier: Apache-2.0
 * Numbers about the source of HTML: one pass over it, without building anything. */
#include <stdlib.h>
#include "base/mem.h"
#include "spam/facts.h"

#define COLORS_MAX 32

struct page {
    struct facts *f;
    struct slice html;
    uint32_t colors[COLORS_MAX]; /* hashes of colours of fonts */
    size_t color_n;
    bool shown;                  /* the last byte before the mark was a letter or digit of the text */
    int32_t unknown;
};

static const char known[] =
    " a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body br button canvas "
    "caption center cite code col colgroup command data datalist dd del details dfn dialog dir div dl dt em embed fieldset figcaption "
    "figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe ilayer img input ins isindex kbd keygen label "
    "layer legend li link listing main map mark marquee menu meta meter multicol nav nobr noframes nolayer noscript object ol optgroup "
    "option output p param picture plaintext pre progress q rp rt ruby s samp script section select small source spacer span strike "
    "strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xml xmp ";

static bool is_known(struct slice tag)
{
    char word[16];
    if (tag.n > sizeof word - 3)
        return false;
    word[0] = ' ';
    for (size_t i = 0; i < tag.n; i++)
        word[i + 1] = ascii_lower(tag.p[i]);
    word[tag.n + 1] = ' ';
    word[tag.n + 2] = 0;
    return strstr(known, word) != NULL;
}

static bool is_name(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

static bool tag_is(struct slice tag, const char *name)
{
    return slice_ieq(tag, slice_str(name));
}

/* Of name="value" in what is between < and >; empty: it is not there. */
static struct slice attribute(struct slice in, const char *name)
{
    size_t n = strlen(name);
    in = slice_trim(in);         /* once: blanks at the end would be trimmed again and again */
    for (size_t i = 0; i + n < in.n; i++) {
        if (ascii_lower(in.p[i]) != name[0] || (i > 0 && is_name(in.p[i - 1])) || !slice_istarts(slice_sub(in, i, in.n), slice_str(name)))
            continue;
        struct slice v = slice_trim(slice_sub(in, i + n, in.n)), head;
        if (!v.n || v.p[0] != '=')
            continue;
        v = slice_trim(slice_sub(v, 1, v.n));
        if (v.n && (v.p[0] == '"' || v.p[0] == '\'')) {
            char quote = v.p[0];
            v = slice_sub(v, 1, v.n);
            slice_cut(&v, quote, &head);
            return slice_trim(head);
        }
        size_t end = 0;
        while (end < v.n && v.p[end] != ' ' && v.p[end] != '\n' && v.p[end] != '\r' && v.p[end] != '\t')
            end++;
        return slice_sub(v, 0, end);
    }
    return (struct slice){ 0 };
}

static void take_color(struct page *p, struct slice color)
{
    uint32_t h = 2166136261u;
    if (!color.n)
        return;
    for (size_t i = 0; i < color.n; i++)
        if (color.p[i] != '#')
            h = (h ^ (uint8_t)ascii_lower(color.p[i])) * 16777619u;
    for (size_t i = 0; i < p->color_n; i++)
        if (p->colors[i] == h)
            return;
    if (p->color_n < COLORS_MAX)
        p->colors[p->color_n++] = h;
}

static void take_font(struct page *p, struct slice in)
{
    struct slice size = attribute(in, "size");
    uint64_t v = 0;
    bool sign = size.n && (size.p[0] == '+' || size.p[0] == '-');
    p->f->n[FACT_HTML_FONTS]++;
    take_color(p, attribute(in, "color"));
    if (slice_to_u64(slice_sub(size, sign, size.n), 100, &v)) {
        p->f->n[FACT_HTML_BIG] += sign ? size.p[0] == '+' && v >= 2 : v >= 5;
        p->f->n[FACT_HTML_TINY] += sign ? size.p[0] == '-' && v >= 4 : v == 0;
    }
}

static void take_style(struct page *p, struct slice in)
{
    struct slice style = attribute(in, "style"), one;
    while (style.n) {
        slice_cut(&style, ';', &one);
        struct slice name, value = slice_trim(one);
        slice_cut(&value, ':', &name);
        name = slice_trim(name);
        value = slice_trim(value);
        if (slice_ieq(name, SLICE("color")))
            take_color(p, value);
        else if (slice_ieq(name, SLICE("font-size")))
            p->f->n[FACT_HTML_TINY] += value.n >= 3 && (value.p[0] == '0' || value.p[0] == '1') && !is_name(value.p[1]) ? value.p[1] != '.'
                : value.n >= 3 && (value.p[0] == '0' || value.p[0] == '1') && ascii_lower(value.p[1]) == 'p';
    }
}

static void take_events(struct page *p, struct slice in)
{
    for (size_t i = 0; i + 6 < in.n; i++)
        if (in.p[i] == ' ' && ascii_lower(in.p[i + 1]) == 'o' && ascii_lower(in.p[i + 2]) == 'n' &&
            (slice_istarts(slice_sub(in, i + 3, in.n), SLICE("load")) || slice_istarts(slice_sub(in, i + 3, in.n), SLICE("mouse")) ||
             slice_istarts(slice_sub(in, i + 3, in.n), SLICE("unload")) || slice_istarts(slice_sub(in, i + 3, in.n), SLICE("click")) ||
             slice_istarts(slice_sub(in, i + 3, in.n), SLICE("error"))))
            p->f->n[FACT_HTML_EVENTS]++;
}

static void take_tag(struct page *p, struct slice tag, struct slice in, bool closing)
{
    int32_t *n = p->f->n;
    bool is_ours = is_known(tag);
    n[FACT_HTML_TAGS]++;
    p->unknown += !is_ours && slice_find(tag, ':') < 0;
    if (closing) {
        n[FACT_HTML_CLOSED] |= tag_is(tag, "html");
        return;
    }
    n[FACT_HTML_OPENED] |= tag_is(tag, "html");
    n[FACT_HTML_IMAGES] += tag_is(tag, "img");
    n[FACT_HTML_FORMS] += tag_is(tag, "form");
    n[FACT_HTML_SCRIPTS] += tag_is(tag, "script") || tag_is(tag, "iframe") || tag_is(tag, "frame") || tag_is(tag, "object");
    n[FACT_HTML_TABLES] += tag_is(tag, "table");
    n[FACT_HTML_CENTER] += tag_is(tag, "center") || slice_ieq(attribute(in, "align"), SLICE("center"));
    n[FACT_HTML_BIG] += tag_is(tag, "big") || tag_is(tag, "h1");
    if (tag_is(tag, "font"))
        take_font(p, in);
    if (in.n > 8) {
        take_style(p, in);
        take_events(p, in);
    }
}

/* A comment from "<!--" on; where it ends. */
static size_t skip_comment(struct page *p, size_t at)
{
    const char *end = memmem(p->html.p + at, p->html.n - at, "-->", 3);
    size_t to = end ? (size_t)(end - p->html.p) + 3 : p->html.n;
    p->f->n[FACT_HTML_COMMENTS]++;
    p->f->n[FACT_HTML_SPLIT] += p->shown && to < p->html.n && is_name(p->html.p[to]);
    return to;
}

static size_t take_mark(struct page *p, size_t at)
{
    struct slice rest = slice_sub(p->html, at + 1, p->html.n);
    if (slice_starts(rest, SLICE("!--")))
        return skip_comment(p, at);
    bool closing = rest.n && rest.p[0] == '/';
    size_t n = 0;
    rest = slice_sub(rest, closing, rest.n);
    while (n < rest.n && (is_name(rest.p[n]) || rest.p[n] == ':' || rest.p[n] == '-'))
        n++;
    if (!n)                      /* <!doctype, "a < b" */
        return at + 1;
    const char *end = memchr(rest.p + n, '>', rest.n - n);
    size_t to = end ? (size_t)(end - p->html.p) + 1 : p->html.n;
    int32_t unknown = p->unknown;
    take_tag(p, slice_sub(rest, 0, n), slice_sub(rest, n, end ? (size_t)(end - rest.p) : rest.n), closing);
    p->f->n[FACT_HTML_SPLIT] += p->unknown > unknown && p->shown && to < p->html.n && is_name(p->html.p[to]);
    return to;
}

void facts_take_html(struct facts *f, struct slice html, size_t text_n)
{
    struct page p = { .f = f, .html = html };
    if (!html.n)
        return;
    f->n[FACT_HTML_BYTES] = (int32_t)html.n;
    f->n[FACT_HTML_SHARE] = text_n < html.n ? (int32_t)(text_n * 100 / html.n) : 100;
    for (size_t i = 0; i < html.n;) {
        char c = html.p[i];
        if (c == '<') {
            i = take_mark(&p, i);
            p.shown = false;
            continue;
        }
        if (c == '&' && i + 4 < html.n && html.p[i + 1] == '#') {
            bool hex = ascii_lower(html.p[i + 2]) == 'x';
            long v = strtol((char[]){ html.p[i + 2 + hex], html.p[i + 3 + hex], i + 4 + hex < html.n ? html.p[i + 4 + hex] : 0, 0 }, NULL,
                hex ? 16 : 10);
            f->n[FACT_HTML_ENTITIES] += (v >= 'a' && v <= 'z') || (v >= 'A' && v <= 'Z');
        }
        p.shown = is_name(c);
        i++;
    }
    f->n[FACT_HTML_COLORS] = (int32_t)p.color_n;
    f->n[FACT_HTML_UNKNOWN] = f->n[FACT_HTML_TAGS] ? (int32_t)((int64_t)p.unknown * 100 / f->n[FACT_HTML_TAGS]) : 0;
}
