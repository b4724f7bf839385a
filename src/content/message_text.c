/* SPDX-License-Identifier: Apache-2.0
 * What a reader sees of a part: text in UTF-8, HTML without its marks. */
#include "base/utf8.h"
#include "base/mem.h"
#include "content/message_internal.h"

#define CONVERTED_MAX (1024 * 1024) /* bytes of a part's text that are looked at */

static bool is_html(const struct content_part *p)
{
    static const char *const types[] = { "text/html", "application/xhtml+xml", "text/enriched", "text/richtext",
                                          "image/svg+xml" };
    static const char *const extensions[] = { ".htm", ".html", ".shtml", ".xhtml", ".svg" };
    bool text = slice_starts(p->declared, SLICE("text"));
    for (size_t i = 0; i < countof(types); i++)
        if (slice_eq(p->declared, slice_str(types[i])) || (!text && slice_eq(p->type, slice_str(types[i])))) return true;
    for (size_t i = 0; i < p->name_n * 5; i++)
        if (slice_iends(p->names[i / 5], slice_str(extensions[i % 5]))) return true;
    return false;
}

static bool is_shown(const struct content_part *p)
{
    return p->inline_shown && (slice_starts(p->declared, SLICE("text")) || slice_starts(p->declared, SLICE("multipart")) ||
                               slice_find(p->declared, '/') < 0);
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_' || c == ':';
}

/* The charset an HTML document says it has: the first charset= within a meta element. */
static struct slice meta_charset(struct slice html)
{
    html = slice_sub(html, 0, 2048);
    for (size_t i = 0; i < html.n; i++) {
        if (html.p[i] != '<' || !slice_istarts(slice_sub(html, i, html.n), SLICE("<meta"))) continue;
        for (; i < html.n && html.p[i] != '>'; i++) {
            if (!slice_istarts(slice_sub(html, i, html.n), SLICE("charset="))) continue;
            i += 8;
            while (i < html.n && (html.p[i] == '"' || html.p[i] == '\'' || html.p[i] == ' ')) i++;
            size_t n = 0;
            while (i + n < html.n && is_word(html.p[i + n])) n++;
            return slice_sub(html, i, i + n);
        }
    }
    return SLICE("");
}

static bool is_plain_name(struct slice charset)
{
    return !charset.n || slice_ieq(charset, SLICE("us-ascii")) || slice_ieq(charset, SLICE("iso-8859-1")) ||
           slice_ieq(charset, SLICE("windows-1252"));
}

/* In UTF-8; *b holds it where it had to be converted. */
static struct slice to_utf8(const struct content_part *p, struct slice data, bool html, struct buf *b)
{
    struct slice charset = p->charset;
    if (!charset.n && html) charset = meta_charset(data);
    bool utf8 = slice_ieq(charset, SLICE("utf-8"));
    if ((is_plain_name(charset) && utf8_ascii(data) && !memchr(data.p, 0x1B, data.n)) || (utf8 && utf8_ok(data))) return data;
    b->max = 2 * CONVERTED_MAX;
    message_charset_add(charset, data, b);
    return buf_slice(b);
}

static void add_plain(struct walk *w, struct slice s)
{
    if (w->text.n && w->text.p[w->text.n - 1] != '\n') message_buf_fill(&w->text, SLICE("\n"));
    while (s.n && w->text.n < w->text.max) {
        struct slice piece;
        if (slice_cut(&s, '\r', &piece) && (!s.n || s.p[0] != '\n')) {
            message_buf_fill(&w->text, piece);
            message_buf_fill(&w->text, SLICE("\n"));
        } else
            message_buf_fill(&w->text, piece);
    }
}

void message_text_part(struct walk *w, uint32_t n)
{
    const struct content_part *p = walk_part(w, n);
    bool html = is_html(p), shown = is_shown(p);
    struct slice data = slice_sub(p->data, 0, CONVERTED_MAX);
    if (!data.n || (!html && !shown)) return;
    struct buf b = { 0 };
    struct slice utf8 = to_utf8(p, data, html, &b);
    if (html) {
        if (w->html.n) message_buf_fill(&w->html, SLICE("\n"));
        message_buf_fill(&w->html, utf8);
        message_html_read(w, n, utf8, shown);
    } else {
        add_plain(w, utf8);
        message_links_find(w, n, utf8);
    }
    buf_deinit(&b);
}
