/* SPDX-License-Identifier: Apache-2.0
 * Quoted-printable, base64 and encoded words. */
#include "message/encode.h"
#include "base/base64.h"
#include "base/utf8.h"

#define QP_LINE_MAX 76      /* RFC 2045 §6.7 (5), with the "=" of a soft line break */
#define LINE_MAX_OCTETS 998 /* RFC 5322 §2.1.1 */
#define WORD_BYTES 42       /* in one encoded word of at most 75 characters (RFC 2047 §2), whatever its charset here */

/* ---- quoted-printable */

static void add_unit(struct quoted_printable *q, unsigned char c, bool plain, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = plain ? 1 : 3;
    if (q->column + n > QP_LINE_MAX - 1) {
        buf_add(out, SLICE("=\r\n"));
        q->column = 0;
    }
    if (plain) buf_add_char(out, (char)c);
    else buf_add(out, slice_of((char[]){ '=', digits[c >> 4], digits[c & 15] }, 3));
    q->column += n;
}

/* A blank at the end of a piece may be at the end of its line: RFC 2045 §6.7 (3). */
void quoted_printable_add(struct quoted_printable *q, struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool blank = c == ' ' || c == '\t';
        add_unit(q, c, (c > 0x20 && c < 0x7F && c != '=') || (blank && i + 1 < text.n), out);
    }
}

void quoted_printable_break(struct quoted_printable *q, struct buf *out)
{
    buf_add(out, SLICE("\r\n"));
    q->column = 0;
}

void quoted_printable_text(struct slice text, struct buf *out)
{
    struct quoted_printable q = { 0 };
    while (text.n) {
        const char *end = memmem(text.p, text.n, "\r\n", 2);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        quoted_printable_add(&q, slice_sub(text, 0, n), out);
        if (end) quoted_printable_break(&q, out);
        text = slice_sub(text, end ? n + 2 : n, text.n);
    }
}

/* ---- base64 */

void base64_lines_add(struct base64_lines *b, struct slice bytes, struct buf *out)
{
    while (bytes.n) {
        size_t k = sizeof b->rest - b->n < bytes.n ? sizeof b->rest - b->n : bytes.n;
        memcpy(b->rest + b->n, bytes.p, k);
        b->n += k;
        bytes = slice_sub(bytes, k, bytes.n);
        if (b->n == sizeof b->rest) base64_lines_end(b, out);
    }
}

void base64_lines_end(struct base64_lines *b, struct buf *out)
{
    if (!b->n) return;
    base64_add(out, slice_of(b->rest, b->n));
    buf_add(out, SLICE("\r\n"));
    b->n = 0;
}

/* ---- header fields */

static bool is_plain(unsigned char c)
{
    return (c >= 0x20 && c < 0x7F) || c == '\t';
}

void encode_masked(struct slice text, struct buf *out)
{
    char *to = buf_reserve(out, text.n);
    if (!to) return;
    for (size_t i = 0; i < text.n; i++) to[i] = is_plain((unsigned char)text.p[i]) ? text.p[i] : '?';
    out->n += text.n;
}

/* 7-bit, with only CRLF and a blank for a fold. */
static bool is_fine(struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
            line = 0;
            i++;
        } else if (!is_plain((unsigned char)s.p[i]) || ++line > LINE_MAX_OCTETS)
            return false;
    }
    return true;
}

static struct slice one_word(struct slice text, bool utf8)
{
    size_t n = text.n < WORD_BYTES ? text.n : WORD_BYTES;
    while (utf8 && n < text.n && n > WORD_BYTES - 4 && ((unsigned char)text.p[n] & 0xC0) == 0x80) n--; /* RFC 2047 §5: whole characters */
    return slice_sub(text, 0, n);
}

/* Each on a line of its own; decoders drop the folds between them (RFC 2047 §6.2). `text` holds no line ends. */
static void add_words(struct slice text, struct buf *out)
{
    bool utf8 = utf8_ok(text), first = true;
    while (text.n) {
        struct slice word = one_word(text, utf8);
        buf_add_str(out, first ? "" : "\r\n ");
        buf_add_str(out, utf8 ? "=?utf-8?B?" : "=?unknown-8bit?B?");
        base64_add(out, word);
        buf_add_str(out, "?=");
        text = slice_sub(text, word.n, text.n);
        first = false;
    }
}

static bool is_wide(char c)
{
    return (unsigned char)c >= 0x80;
}

/* From the first word with 8-bit bytes to the last one. */
static void add_unstructured(struct slice s, struct buf *out)
{
    size_t first = 0, last = s.n;
    while (first < s.n && !is_wide(s.p[first])) first++;
    while (last > first && !is_wide(s.p[last - 1])) last--;
    if (first == s.n) {
        encode_masked(s, out);
        return;
    }
    while (first && s.p[first - 1] != ' ' && s.p[first - 1] != '\t') first--;
    while (last < s.n && s.p[last] != ' ' && s.p[last] != '\t') last++;
    if (first > 1) { /* the line may be full */
        encode_masked(slice_sub(s, 0, first - 1), out);
        buf_add_str(out, "\r\n ");
    } else
        buf_add(out, slice_sub(s, 0, first));
    add_words(slice_sub(s, first, last), out);
    if (last < s.n) buf_add_str(out, "\r\n");
    encode_masked(slice_sub(s, last, s.n), out);
}

/* Without quotes: an encoded word is not recognised within them (RFC 2047 §5). */
static void add_display_name(struct slice s, struct buf *out)
{
    struct buf plain = { 0 };
    s = slice_trim(s);
    bool quoted = s.n > 1 && s.p[0] == '"';
    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '"') continue;
        if (quoted && s.p[i] == '\\' && i + 1 < s.n) i++;
        buf_add_char(&plain, s.p[i]);
    }
    add_words(buf_slice(&plain), out);
    buf_deinit(&plain);
}

static void add_mailbox(struct slice s, struct buf *out)
{
    size_t angle = 0;
    bool quoted = false;
    for (; angle < s.n && (quoted || s.p[angle] != '<'); angle++) {
        if (s.p[angle] == '\\' && angle + 1 < s.n) angle++;
        else if (s.p[angle] == '"') quoted = !quoted;
    }
    struct slice name = angle < s.n ? slice_sub(s, 0, angle) : SLICE("");
    if (utf8_ascii(name)) {
        encode_masked(s, out);
        return;
    }
    buf_add_char(out, ' ');
    add_display_name(name, out);
    buf_add_char(out, ' ');
    encode_masked(slice_sub(s, angle, s.n), out);
}

static void add_addresses(struct slice s, struct buf *out)
{
    bool quoted = false, angle = false;
    size_t from = 0;
    for (size_t i = 0; i <= s.n; i++) {
        char c = i < s.n ? s.p[i] : ',';
        if (c == '\\' && quoted) i++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted && (c == '<' || c == '>')) angle = c == '<';
        if (i < s.n && (c != ',' || quoted || angle)) continue;
        add_mailbox(slice_sub(s, from, i), out);
        if (i < s.n) buf_add_char(out, ',');
        from = i + 1;
    }
}

static bool is_one_of(struct slice name, const char *const *list)
{
    for (; *list; list++)
        if (slice_ieq(name, slice_str(*list))) return true;
    return false;
}

/* Lines that are too long are folded at a blank, or broken where there is none. */
static void add_folded(struct slice s, struct buf *out)
{
    while (s.n) {
        const char *end = memmem(s.p, s.n, "\r\n", 2);
        size_t n = end ? (size_t)(end - s.p) : s.n, skip = end ? n + 2 : n;
        if (n > LINE_MAX_OCTETS - 1) { /* a blank may have been put in front */
            for (n = LINE_MAX_OCTETS - 1; n > 1 && s.p[n] != ' ' && s.p[n] != '\t'; n--) continue;
            if (n <= 1) n = LINE_MAX_OCTETS - 1;
            skip = n;
        }
        /* Blanks alone would be the end of the header to some. */
        if (slice_trim(slice_sub(s, 0, n)).n) {
            buf_add(out, slice_sub(s, 0, n));
            buf_add_str(out, "\r\n");
            if (skip < s.n && s.p[skip] != ' ' && s.p[skip] != '\t') buf_add_char(out, ' ');
        }
        s = slice_sub(s, skip, s.n);
    }
}

static void add_unfolded(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\r' && s.p[i] != '\n') buf_add_char(out, s.p[i]);
}

void encode_field(struct slice field, struct buf *out)
{
    static const char *const addresses[] = { "From", "Sender", "To", "Cc", "Bcc", "Reply-To", "Resent-From", "Resent-Sender",
                                             "Resent-To", "Resent-Cc", "Disposition-Notification-To", NULL };
    static const char *const texts[] = { "Subject", "Comments", "Thread-Topic", "Organization", "Content-Description", NULL };
    if (is_fine(field)) {
        buf_add(out, field);
        buf_add_str(out, "\r\n");
        return;
    }
    struct slice value = field, name = { 0 };
    struct buf flat = { 0 }, made = { 0 };
    bool is_field = field.n && field.p[0] > 0x20 && slice_cut(&value, ':', &name);
    name = slice_trim(name);
    add_unfolded(is_field ? value : field, &flat);
    if (is_field) {
        encode_masked(name, &made);
        buf_add_char(&made, ':');
    }
    if (is_field && (is_one_of(name, texts) || slice_istarts(name, SLICE("X-")))) add_unstructured(buf_slice(&flat), &made);
    else if (is_field && is_one_of(name, addresses)) add_addresses(buf_slice(&flat), &made);
    else encode_masked(buf_slice(&flat), &made);
    add_folded(buf_slice(&made), out);
    buf_deinit(&flat);
    buf_deinit(&made);
}
