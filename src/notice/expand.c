/* SPDX-License-Identifier: Apache-2.0
 * Templates with their values: phrases, paragraphs wrapped by columns, paragraphs of HTML. */
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "base/html.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "notice/kinds.h"

#define HANG_MAX 24    /* columns: a longer beginning of a line is no label */
#define WORD_MAX 400   /* bytes: a word longer than that is broken */
#define HTML_VALUE 2000

struct values {
    const struct template_value *v;
    size_t n;
};

static const struct template_value *find_value(const struct values *values, struct slice name)
{
    static const struct template_value none = { .name = "" };
    for (size_t i = 0; i < values->n; i++)
        if (slice_eq(slice_str(values->v[i].name), name)) return &values->v[i];
    return &none;
}

/* ---- columns */

static unsigned char_at(struct slice s, size_t i, uint32_t *code)
{
    size_t n = utf8_char(slice_sub(s, i, s.n), code);
    if (n) return (unsigned)n;
    *code = '?';
    return 1;
}

static unsigned width_of(struct slice s)
{
    unsigned columns = 0;
    uint32_t code = 0;
    for (size_t i = 0; i < s.n; i += char_at(s, i, &code)) {
        char_at(s, i, &code);
        columns += utf8_width(code);
    }
    return columns;
}

static size_t leading(struct slice s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == ' ') n++;
    return n;
}

/* A Japanese line does not begin with these, nor end with the others. */
static bool may_begin(uint32_t c)
{
    static const uint32_t not[] = { 0x3001, 0x3002, 0x3005, 0x300D, 0x300F, 0x3011, 0x3015, 0x3009, 0x300B, 0x30FB, 0x30FC, 0xFF01, 0xFF09, 0xFF0C, 0xFF0E,
                                    0xFF1A, 0xFF1B, 0xFF1F, 0x3041, 0x3043, 0x3045, 0x3047, 0x3049, 0x3063, 0x3083, 0x3085, 0x3087, 0x30A1, 0x30A3, 0x30A5,
                                    0x30A7, 0x30A9, 0x30C3, 0x30E3, 0x30E5, 0x30E7, '.', ',', ')', ']', '>', ':', ';', '!', '?' };
    for (size_t i = 0; i < countof(not); i++)
        if (c == not[i]) return false;
    return true;
}

static bool may_end(uint32_t c)
{
    return c != 0x300C && c != 0x300E && c != 0x3010 && c != 0x3014 && c != 0x3008 && c != 0x300A && c != 0xFF08 && c != '<' && c != '(';
}

static bool may_break(uint32_t before, uint32_t after)
{
    if (before == ' ') return after != ' ';
    if (after == ' ' || !utf8_width(after)) return false;
    return (utf8_width(before) == 2 || utf8_width(after) == 2) && may_end(before) && may_begin(after);
}

/* Where the first line of s ends, which begins in that column; s.n: it fits. */
static size_t line_end(struct slice s, unsigned column)
{
    size_t end = 0, start = leading(s);
    uint32_t code = 0, next = 0;
    for (size_t i = 0, n; i < s.n; i += n) {
        n = char_at(s, i, &code);
        column += utf8_width(code);
        if (column > TEMPLATE_WIDTH && (end || i > WORD_MAX) && code != ' ') return end ? end : i;
        if (i + n >= s.n) break;
        char_at(s, i + n, &next);
        if (i >= start && may_break(code, next)) end = i + n;
    }
    return s.n;
}

static struct slice trim_right(struct slice s)
{
    while (s.n && s.p[s.n - 1] == ' ') s.n--;
    return s;
}

void template_add_wrapped(struct buf *out, struct slice line, unsigned hang)
{
    size_t n;
    for (bool first = true; (n = line_end(line, first ? 0 : hang)) < line.n; first = false) {
        buf_add(out, trim_right(slice_sub(line, 0, n)));
        buf_addf(out, "\r\n%*s", (int)hang, "");
        line = slice_sub(line, n, line.n);
        line = slice_sub(line, leading(line), line.n);
    }
    buf_add(out, trim_right(line));
    buf_add_str(out, "\r\n");
}

/* ---- values */

/* indent: columns before the lines after the first; lines: there may be some. */
static void add_value(struct buf *out, struct slice text, bool lines, unsigned indent)
{
    uint32_t code = 0;
    for (size_t i = 0, n; i < text.n; i += n) {
        n = utf8_char(slice_sub(text, i, text.n), &code);
        if (n == 1 && code == '\n' && lines) buf_addf(out, "\n%*s", (int)indent, "");
        else if (!n || code < 0x20 || code == 0x7F || utf8_is_control(code)) buf_add_char(out, '?');
        else buf_add(out, slice_sub(text, i, i + n));
        if (!n) n = 1;
    }
}

/* Has the line names, and are all of their values empty? */
static bool is_void(struct slice line, const struct values *values)
{
    struct piece p;
    bool any = false;
    while (template_piece(&line, &p)) {
        if (!p.is_name) continue;
        const struct template_value *v = find_value(values, p.text);
        if (v->text.n || v->html.n) return false;
        any = true;
    }
    return any;
}

/* "Label: {name}": what follows stands behind the label. */
static unsigned hang_of(struct slice line)
{
    struct slice rest = line, label;
    struct piece p;
    unsigned blanks = (unsigned)leading(line);
    if (!template_piece(&rest, &p) || p.is_name || !rest.n || rest.p[0] != '{') return blanks;
    label = trim_right(p.text);
    bool colon = label.n < p.text.n && (slice_iends(label, SLICE(":")) || slice_iends(label, SLICE("\xEF\xBC\x9A")));
    return colon && width_of(p.text) <= HANG_MAX ? width_of(p.text) : blanks;
}

static void expand(struct slice line, const struct values *values, bool lines, struct buf *out)
{
    struct piece p;
    unsigned column = 0;
    while (template_piece(&line, &p)) {
        size_t from = out->n;
        if (p.is_name) {
            const struct template_value *v = find_value(values, p.text);
            add_value(out, v->text, v->lines && lines, column);
        } else {
            buf_add(out, p.text);
        }
        column += width_of(slice_sub(buf_slice(out), from, out->n));
    }
}

static void add_line(struct slice line, const struct values *values, struct buf *out)
{
    struct buf text = { 0 };
    unsigned hang = hang_of(line);
    expand(line, values, true, &text);
    struct slice rest = buf_slice(&text), one;
    for (bool first = true; rest.n; first = false) {
        slice_cut(&rest, '\n', &one);
        template_add_wrapped(out, one, first ? hang : (unsigned)leading(one));
    }
    buf_deinit(&text);
}

/* Calls add for each line that stays; empty lines that would be two, or the first, or the last, go. */
static void each_line(struct slice body, const struct values *values, void (*add)(struct slice line, const struct values *values, struct buf *out),
                      bool blank_lines, struct buf *out)
{
    struct slice line;
    bool began = false, blank = false, left_out = false;
    while (template_line(&body, &line)) {
        if (!slice_trim(line).n) {
            if (began && blank_lines && blank && !left_out) buf_add_str(out, "\r\n");
            blank = began;
            continue;
        }
        left_out = is_void(line, values);
        if (left_out) continue;
        if (blank && blank_lines) buf_add_str(out, "\r\n");
        add(line, values, out);
        began = true;
        blank = false;
    }
}

void template_add_body(const struct wording *w, enum template_kind k, const struct template_value *values, size_t n, struct buf *out)
{
    each_line(template_body(templates_text(w->set, w->language, k)), &(struct values){ values, n }, add_line, true, out);
}

void template_add_phrase(const struct wording *w, enum template_kind k, const char *name, const struct template_value *values, size_t n,
                         struct buf *out)
{
    struct slice text;
    if (template_find_phrase(templates_text(w->set, w->language, k), name, &text) || template_find_phrase(template_builtin(w->language, k), name, &text))
        expand(text, &(struct values){ values, n }, false, out);
}

/* ---- HTML */

static void add_paragraph(struct slice line, const struct values *values, struct buf *out)
{
    struct piece p;
    struct slice rest = slice_trim(line);
    if (template_piece(&rest, &p) && p.is_name && !rest.n && find_value(values, p.text)->html.n) {
        buf_add(out, find_value(values, p.text)->html);
        return;
    }
    buf_add_str(out, "<p>");
    line = slice_trim(line);
    while (template_piece(&line, &p)) html_add(out, p.is_name ? find_value(values, p.text)->text : p.text, HTML_VALUE);
    buf_add_str(out, "</p>\r\n");
}

void template_add_html(const struct wording *w, enum template_kind k, const struct template_value *values, size_t n, struct buf *out)
{
    each_line(template_body(templates_text(w->set, w->language, k)), &(struct values){ values, n }, add_paragraph, false, out);
}

/* ---- time */

static void format_zone(long seconds, char out[20])
{
    long minutes = seconds / 60;
    if (!minutes) snprintf(out, 20, "UTC");
    else snprintf(out, 20, "UTC%c%02ld:%02ld", minutes < 0 ? '-' : '+', (minutes < 0 ? -minutes : minutes) / 60 % 100, (minutes < 0 ? -minutes : minutes) % 60);
}

void template_add_date(const struct wording *w, const char *phrase, uint64_t wall_ms, struct buf *out)
{
    char day[4], month[4], year[8], hour[4], minute[4], second[4], zone[20];
    struct tm tm;
    time_t t = (time_t)(wall_ms / 1000);
    if (!localtime_r(&t, &tm) || !strftime(day, sizeof day, "%d", &tm) || !strftime(month, sizeof month, "%m", &tm) ||
        !strftime(year, sizeof year, "%Y", &tm) || !strftime(hour, sizeof hour, "%H", &tm) || !strftime(minute, sizeof minute, "%M", &tm) ||
        !strftime(second, sizeof second, "%S", &tm))
        return;
    struct buf rfc = { 0 };
    clock_add_rfc5322(&rfc, wall_ms);
    format_zone(tm.tm_gmtoff, zone);
    const struct template_value values[] = {
        { .name = "day", .text = slice_str(day) },   { .name = "month", .text = slice_str(month) },   { .name = "year", .text = slice_str(year) },
        { .name = "hour", .text = slice_str(hour) }, { .name = "minute", .text = slice_str(minute) }, { .name = "second", .text = slice_str(second) },
        { .name = "zone", .text = slice_str(zone) }, { .name = "rfc5322", .text = buf_slice(&rfc) },
    };
    template_add_phrase(w, TEMPLATE_WORDS, phrase, values, countof(values), out);
    buf_deinit(&rfc);
}
