/* SPDX-License-Identifier: Apache-2.0
 * Templates as mail: fields and text parts, 7-bit whatever their text is. */
#include "base/mem.h"
#include "base/utf8.h"
#include "message/encode.h"
#include "notice/template.h"

/* More of them, and base64 is shorter than quoted-printable: Japanese. */
#define WIDE_SHARE 6
#define WORD_LINE_MOST 76 /* RFC 2047 §2 */
#define LINE_MOST 78 /* RFC 5322 §2.1.1 */

static void add_field(struct buf *field, struct buf *out)
{
    encode_field(buf_slice(field), out); /* RFC 2047 */
    buf_deinit(field);
}

void template_add_subject(const struct wording *w, enum template_kind k, const struct template_value *values, size_t n, struct buf *out)
{
    struct buf field = { 0 };
    buf_add_str(&field, "Subject: ");
    template_add_phrase(w, k, "Subject", values, n, &field);
    add_field(&field, out);
}

/* RFC 5322 §3.2.3 */
static bool is_atoms(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ' || c == '-')) return false;
    }
    return s.n != 0;
}

void template_add_from(const struct wording *w, const char *phrase, struct slice address, struct buf *out)
{
    struct buf name = { 0 }, field = { 0 };
    template_add_phrase(w, TEMPLATE_WORDS, phrase, NULL, 0, &name);
    bool quoted = !is_atoms(buf_slice(&name));
    buf_add_str(&field, quoted ? "From: \"" : "From: ");
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"' || name.p[i] == '\\') buf_add_char(&field, '\\');
        buf_add_char(&field, name.p[i]);
    }
    buf_add_str(&field, quoted ? "\" " : " ");
    size_t start = out->n;
    /* The address may be UTF-8, which has no other form. */
    if (utf8_ascii(buf_slice(&name))) buf_add(out, buf_slice(&field));
    else {
        struct buf made = { 0 };
        buf_add_str(&field, "<");
        encode_field(buf_slice(&field), &made);
        while (made.n && made.p[made.n - 1] != '<') made.n--;
        if (made.n) made.n--;
        buf_add(out, buf_slice(&made));
        buf_deinit(&made);
    }
    size_t line = out->n; /* where the last one begins */
    while (line > start && out->p[line - 1] != '\n') line--;
    if (out->n - line + address.n + 2 > WORD_LINE_MOST && out->n > start && out->p[out->n - 1] == ' ') {
        out->n--;
        buf_add_str(out, "\r\n ");
    }
    buf_add_char(out, '<');
    buf_add(out, address);
    buf_add_str(out, ">\r\n");
    buf_deinit(&name);
    buf_deinit(&field);
}

static bool is_mostly_wide(struct slice s)
{
    size_t wide = 0;
    for (size_t i = 0; i < s.n; i++) wide += (unsigned char)s.p[i] >= 0x80;
    return wide > s.n / WIDE_SHARE;
}

/* Fit to be sent as it is. */
static bool is_plain(struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        line = s.p[i] == '\n' ? 0 : line + 1;
        if ((unsigned char)s.p[i] >= 0x80 || line > LINE_MOST + 1) return false;
    }
    return true;
}

/* Such a line might be taken for a boundary, wherever the text is put. */
static bool has_dashes(struct slice s)
{
    return slice_starts(s, SLICE("--")) || (s.n && memmem(s.p, s.n, "\n--", 3));
}

void template_add_part(const struct wording *w, const char *type, struct slice text, struct buf *out)
{
    struct base64_lines lines = { 0 };
    bool plain = is_plain(text) && !has_dashes(text), wide = is_mostly_wide(text) || has_dashes(text);
    buf_addf(out, "Content-Type: %s; charset=%s\r\n", type, utf8_ascii(text) ? "us-ascii" : "utf-8");
    buf_addf(out, "Content-Transfer-Encoding: %s\r\n", plain ? "7bit" : wide ? "base64" : "quoted-printable");
    buf_addf(out, "Content-Language: %s\r\n\r\n", template_language_name(w->language)); /* RFC 3282 */
    if (plain) buf_add(out, text);
    else if (!wide) quoted_printable_text(text, out);
    else {
        base64_lines_add(&lines, text, out);
        base64_lines_end(&lines, out);
    }
}
