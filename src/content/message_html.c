/* SPDX-License-Identifier: Apache-2.0
 * HTML to the text that is seen, the text that is not, and links. A tokenizer of its own: it needs no tree, takes anything, and its
 * time is linear in its input. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "content/message_internal.h"

#define STACK_MAX 200
#define ATTRIBUTES_MAX 40
#define BASE_MAX 1000            /* bytes of what relative links are put behind: it is read anew for each */

struct element {
    struct slice name;
    struct message_style style;
};
struct attribute {
    struct slice name, value;    /* value: as written */
};
struct html {
    struct walk *w;
    uint32_t n;
    struct slice in, base;
    size_t at;
    bool shown;                  /* text is taken, not links alone */
    struct element stack[STACK_MAX];
    size_t depth;
    struct attribute attributes[ATTRIBUTES_MAX];
    size_t attribute_n;
    size_t anchor;               /* number + 1 of the link that is open */
    struct buf label;            /* its text */
    struct message_sheet sheet;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }
static bool is(struct slice name, const char *what) { return slice_ieq(name, slice_str(what)); }
static bool is_any(struct slice name, const char *const *of, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is(name, of[i])) return true;
    return false;
}
static const struct message_style *style_of(const struct html *h) { return &h->stack[h->depth - 1].style; }

/* ---- text */
static void put_blank(struct buf *b, char c)
{
    if (!b->n || b->p[b->n - 1] == '\n') return;
    if (b->p[b->n - 1] == ' ') {
        if (c == '\n') b->p[b->n - 1] = c;
        return;
    }
    message_buf_fill(b, slice_of(&c, 1));
}

/* Characters that have no width: between letters they hide words from filters, not from readers. */
static bool has_no_width(uint32_t c)
{
    return c == 0xAD || c == 0x34F || (c >= 0x200B && c <= 0x200F) || (c >= 0x2060 && c <= 0x2064) || c == 0xFEFF || c == 0x180E;
}

static void put_code(struct html *h, struct buf *b, uint32_t c)
{
    if (has_no_width(c)) return;
    bool blank = c <= 0x20 || c == 0xA0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028;
    if (blank) put_blank(b, ' ');
    else message_buf_code(b, c);
    if (h->anchor && blank) put_blank(&h->label, ' ');
    else if (h->anchor) message_buf_code(&h->label, c);
}

static void put_run(struct html *h, struct buf *b, struct slice s)
{
    message_buf_fill(b, s);
    if (h->anchor) message_buf_fill(&h->label, s);
}

static void put(struct html *h, struct slice s, bool hidden)
{
    struct buf *b = hidden ? &h->w->hidden : &h->w->text, none = { .max = 1, .n = 1, .p = (char[]){ ' ' } };
    if (!h->shown) {
        if (!h->anchor) return;
        b = &none;
    }
    size_t from = b->n;
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        uint32_t code = 0;
        while (i < s.n && s.p[i] > 0x20 && s.p[i] != '&') i++;
        if (i > run) {
            put_run(h, b, slice_sub(s, run, i));
            continue;
        }
        size_t step = s.p[i] == '&' ? message_reference(slice_sub(s, i, s.n), &code) : utf8_char(slice_sub(s, i, s.n), &code);
        if (!step) step = 1, code = (unsigned char)s.p[i];
        put_code(h, b, code);
        i += step;
    }
    if (b == &h->w->text && !h->anchor) message_links_find(h->w, h->n, slice_sub(buf_slice(b), from, b->n));
}

static void put_text(struct html *h, struct slice s) { put(h, s, message_style_hides(style_of(h))); }

static void break_line(struct html *h)
{
    if (!h->shown) return;
    put_blank(message_style_hides(style_of(h)) ? &h->w->hidden : &h->w->text, '\n');
}

/* ---- attributes */
static struct slice decoded(struct html *h, struct slice raw)
{
    if (!raw.n || !memchr(raw.p, '&', raw.n)) return raw;
    struct buf b = { 0 };
    for (size_t i = 0; i < raw.n;) {
        uint32_t code = 0;
        size_t step = message_reference(slice_sub(raw, i, raw.n), &code);
        if (step) message_buf_code(&b, code);
        else buf_add_char(&b, raw.p[i]);
        i += step ? step : 1;
    }
    return buf_keep(&b, h->w->arena);
}

static struct slice attribute(struct html *h, const char *name)
{
    for (size_t i = 0; i < h->attribute_n; i++)
        if (is(h->attributes[i].name, name)) return decoded(h, h->attributes[i].value);
    return SLICE("");
}

static bool has(const struct html *h, const char *name)
{
    for (size_t i = 0; i < h->attribute_n; i++)
        if (is(h->attributes[i].name, name)) return true;
    return false;
}

/* Behind a tag's name up to behind its ">". */
static void read_attributes(struct html *h)
{
    struct slice s = h->in;
    h->attribute_n = 0;
    while (h->at < s.n) {
        while (h->at < s.n && (is_blank(s.p[h->at]) || s.p[h->at] == '/')) h->at++;
        if (h->at >= s.n) return;
        if (s.p[h->at] == '>') {
            h->at++;
            return;
        }
        size_t from = h->at++;
        while (h->at < s.n && !is_blank(s.p[h->at]) && s.p[h->at] != '=' && s.p[h->at] != '>' && s.p[h->at] != '/') h->at++;
        struct attribute a = { .name = slice_sub(s, from, h->at), .value = SLICE("") };
        size_t behind = h->at;
        while (behind < s.n && is_blank(s.p[behind])) behind++;
        if (behind < s.n && s.p[behind] == '=') {
            h->at = behind + 1;
            while (h->at < s.n && is_blank(s.p[h->at])) h->at++;
            char quote = h->at < s.n ? s.p[h->at] : 0;
            if (quote == '"' || quote == '\'') {
                ptrdiff_t end = slice_find(slice_sub(s, h->at + 1, s.n), quote);
                size_t to = end < 0 ? s.n : h->at + 1 + (size_t)end;
                a.value = slice_sub(s, h->at + 1, to);
                h->at = to + (end >= 0);
            } else {
                from = h->at;
                while (h->at < s.n && !is_blank(s.p[h->at]) && s.p[h->at] != '>') h->at++;
                a.value = slice_sub(s, from, h->at);
            }
        }
        if (h->attribute_n < ATTRIBUTES_MAX) h->attributes[h->attribute_n++] = a;
    }
}

/* ---- links */
static void end_anchor(struct html *h)
{
    if (!h->anchor) return;
    struct slice label = slice_trim(buf_slice(&h->label));
    h->w->m->links[h->anchor - 1].shown = arena_slice(h->w->arena, label);
    buf_clear(&h->label);
    h->anchor = 0;
}

static size_t add_link(struct html *h, const char *name, bool image, bool form)
{
    return has(h, name) ? message_link_add(h->w, h->n, attribute(h, name), h->base, image, form) : 0;
}

static void take_refresh(struct html *h)
{
    struct slice content = attribute(h, "content");
    if (!slice_ieq(attribute(h, "http-equiv"), SLICE("refresh"))) return;
    for (size_t i = 0; i + 4 < content.n; i++) {
        if (!slice_istarts(slice_sub(content, i, content.n), SLICE("url"))) continue;
        struct slice url = slice_trim(slice_sub(content, i + 3, content.n));
        if (!url.n || url.p[0] != '=') continue;
        url = slice_trim(slice_sub(url, 1, url.n));
        if (url.n && (url.p[0] == '"' || url.p[0] == '\'')) {
            struct slice rest = slice_sub(url, 1, url.n);
            slice_cut(&rest, url.p[0], &url);
        }
        message_link_add(h->w, h->n, url, h->base, false, false);
        return;
    }
}

static void take_links(struct html *h, struct slice tag)
{
    if (is(tag, "a") || is(tag, "area")) {
        size_t link = add_link(h, "href", false, false);
        if (!link) link = add_link(h, "xlink:href", false, false);
        if (is(tag, "a")) {
            end_anchor(h);
            h->anchor = link;
        }
    } else if (is(tag, "base")) {
        if (!h->base.n) h->base = slice_sub(slice_trim(attribute(h, "href")), 0, BASE_MAX);
    } else if (is(tag, "meta"))
        take_refresh(h);
    else if (is(tag, "form"))
        add_link(h, "action", false, true);
    else if (is(tag, "link"))
        add_link(h, "href", true, false);
    else if (is(tag, "object"))
        add_link(h, "data", true, false);
    else {
        add_link(h, "src", true, false);
        add_link(h, "formaction", false, true);
        add_link(h, "poster", true, false);
        if (is(tag, "image") || is(tag, "use")) add_link(h, "href", true, false), add_link(h, "xlink:href", true, false);
    }
    add_link(h, "background", true, false);
}

/* ---- elements */
static const char *const voids[] = { "br", "hr", "img", "input", "meta", "link", "area",
                                      "base", "col", "embed", "source", "track", "wbr", "param",
                                      "image", "basefont" };
static const char *const inlines[] = { "a", "abbr", "b", "big", "font", "span", "i", "em",
                                        "strong", "u", "s", "small", "sub", "sup", "tt",
                                        "img", "code", "wbr", "label", "strike", "del", "ins",
                                        "mark", "bdo", "bdi", "input", "o:p", "acronym", "cite",
                                        "q", "blink", "nobr", "kbd", "var", "samp", "dfn",
                                        "st1", "area", "meta", "link", "param", "map" };
static const char *const cells[] = { "td", "th" };

static bool is_block(struct slice tag) { return !is_any(tag, inlines, countof(inlines)) && !is_any(tag, cells, countof(cells)); }

/* Elements that end when this one begins. */
static void close_implied(struct html *h, struct slice tag, bool block)
{
    bool cell = is_any(tag, cells, countof(cells)), row = is(tag, "tr");
    while (h->depth > 1) {
        struct slice top = h->stack[h->depth - 1].name;
        bool closes = (is(top, "p") && (block || cell)) || (is(top, "li") && is(tag, "li")) || (is(top, "option") && is(tag, "option")) ||
                      (is_any(top, cells, countof(cells)) && (cell || row)) || (is(top, "tr") && row);
        if (!closes) return;
        h->depth--;
    }
}

static void take_style(struct html *h, struct slice tag, struct message_style *style)
{
    message_sheet_apply(&h->sheet, '.', attribute(h, "class"), style);
    message_sheet_apply(&h->sheet, '#', attribute(h, "id"), style);
    for (size_t i = 0; i < h->attribute_n; i++) {
        struct slice name = h->attributes[i].name;
        if (is(name, "style"))
            message_style_apply(style, decoded(h, h->attributes[i].value));
        else if (is(name, "bgcolor")) {
            style->background = message_colour(h->attributes[i].value);
        } else if (is(name, "background") && h->attributes[i].value.n)
            style->background = MESSAGE_COLOUR_NONE;
        else if ((is(name, "color") && is(tag, "font")) || (is(name, "text") && is(tag, "body"))) {
            style->colour = message_colour(h->attributes[i].value);
        } else if (is(name, "hidden"))
            style->gone = true;
    }
}

/* Elements of which the text is never shown: passes over it. */
static bool skip_raw(struct html *h, struct slice tag)
{
    static const char *const raw[] = { "script", "style", "title", "template", "noembed", "noframes" };
    if (!is_any(tag, raw, countof(raw))) return false;
    while (h->at < h->in.n) {
        const char *p = memchr(h->in.p + h->at, '<', h->in.n - h->at);
        h->at = p ? (size_t)(p - h->in.p) : h->in.n;
        struct slice rest = slice_sub(h->in, h->at + 2, h->in.n);
        if (p && h->at + 1 < h->in.n && p[1] == '/' && slice_istarts(rest, tag)) return true; /* its end tag is read next */
        if (p) h->at++;
    }
    return true;
}

static void open_element(struct html *h, struct slice tag)
{
    bool block = is_block(tag), empty = is_any(tag, voids, countof(voids));
    read_attributes(h);
    close_implied(h, tag, block);
    struct message_style style = *style_of(h);
    if (is(tag, "a")) style.colour = MESSAGE_COLOUR_NONE; /* links have a colour of their own */
    take_style(h, tag, &style);
    if (block && !is(tag, "br")) break_line(h);
    take_links(h, tag);
    if (is(tag, "br")) break_line(h);
    if (is(tag, "img") && has(h, "alt")) put(h, attribute(h, "alt"), style.gone); /* it stands for what is seen in any colour */
    if (is(tag, "input") && !slice_ieq(attribute(h, "type"), SLICE("hidden")) && has(h, "value")) put_text(h, attribute(h, "value"));
    if (is_any(tag, cells, countof(cells))) put_text(h, SLICE(" "));
    size_t from = h->at;
    bool skipped = skip_raw(h, tag);
    if (is(tag, "style")) message_sheet_add(&h->sheet, slice_sub(h->in, from, h->at));
    if (skipped || empty) return;
    if (is(tag, "body")) h->stack[0].style = style; /* inherited by what misplaced tags leave outside, too */
    if (h->depth < STACK_MAX) h->stack[h->depth++] = (struct element){ .name = tag, .style = style };
}

static void close_element(struct html *h, struct slice tag)
{
    read_attributes(h);
    if (is(tag, "a")) end_anchor(h);
    for (size_t i = h->depth; i-- > 1;)
        if (slice_ieq(h->stack[i].name, tag)) {
            h->depth = i;
            break;
        } else if (is(h->stack[i].name, "table") && !is(tag, "body") && !is(tag, "html"))
            break;
    if (is_block(tag)) break_line(h);
}

/* "<!-- ... -->", "<!DOCTYPE ...>", "<![endif]>", "<?xml ...>" */
static void skip_comment(struct html *h)
{
    struct slice rest = slice_sub(h->in, h->at, h->in.n);
    const char *end = NULL;
    if (slice_starts(rest, SLICE("<!--"))) {
        if (slice_starts(rest, SLICE("<!-->"))) end = rest.p + 5;
        else if (slice_starts(rest, SLICE("<!--->"))) end = rest.p + 6;
        else {
            struct slice behind = slice_sub(rest, 4, rest.n);
            const char *dashes;
            while (!end && (dashes = memmem(behind.p, behind.n, "--", 2))) {
                behind = slice_sub(behind, (size_t)(dashes + 1 - behind.p), behind.n);
                if (slice_starts(behind, SLICE("->"))) end = dashes + 3;
                if (slice_starts(behind, SLICE("-!>"))) end = dashes + 4;
            }
        }
        h->at = end ? (size_t)(end - h->in.p) : h->in.n;
        return;
    }
    end = memchr(rest.p, '>', rest.n);
    h->at = end ? (size_t)(end - h->in.p) + 1 : h->in.n;
}

static void take_tag(struct html *h)
{
    char c = h->at + 1 < h->in.n ? ascii_lower(h->in.p[h->at + 1]) : 0;
    bool end = c == '/';
    if (c == '!' || c == '?') {
        skip_comment(h);
        return;
    }
    size_t from = h->at + 1 + end, to = from;
    char first = from < h->in.n ? ascii_lower(h->in.p[from]) : 0;
    if (first < 'a' || first > 'z') { /* no tag: "<" itself; or "</" that browsers drop with what follows */
        if (end) skip_comment(h);
        else {
            put_text(h, SLICE("<"));
            h->at++;
        }
        return;
    }
    while (to < h->in.n && !is_blank(h->in.p[to]) && h->in.p[to] != '>' && h->in.p[to] != '/') to++;
    h->at = to;
    struct slice tag = slice_sub(h->in, from, to);
    if (end) close_element(h, tag);
    else open_element(h, tag);
}

void message_html_read(struct walk *w, uint32_t n, struct slice utf8, bool shown)
{
    struct html *h = mem_new(struct html);
    *h = (struct html){ .w = w, .n = n, .in = utf8, .shown = shown, .depth = 1, .label.max = MESSAGE_SHOWN_MAX,
                        .sheet.work = 8 * (uint64_t)utf8.n + (1 << 16) };
    h->stack[0] = (struct element){ .name = SLICE(""), .style = { .colour = 0, .background = 0xFFFFFF } };
    break_line(h);
    while (h->at < h->in.n) {
        const char *p = memchr(h->in.p + h->at, '<', h->in.n - h->at);
        size_t end = p ? (size_t)(p - h->in.p) : h->in.n;
        if (end > h->at) put_text(h, slice_sub(h->in, h->at, end));
        h->at = end;
        if (p) take_tag(h);
    }
    end_anchor(h);
    buf_deinit(&h->label);
    free(h);
}
