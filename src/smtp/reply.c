/* SPDX-License-Identifier: Apache-2.0
 * Replies: the reader for what servers say, the writer for what we say. */
#include "smtp/reply.h"
#include <assert.h>

#define LINE_OUT_MAX 512 /* RFC 5321 §4.5.3.1.5, with CRLF */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The code of a line "250", "250 text" or "250-text"; 0 when it is none. Any second and third digit is taken: a client
 * goes by the first one (RFC 5321 §4.3.2). */
static int line_code(struct slice line, bool *last)
{
    if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2])) return 0;
    if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-') return 0;
    *last = line.n == 3 || line.p[3] == ' ';
    return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

static size_t count_digits(struct slice s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && n < 4 && is_digit(s.p[at + n])) n++;
    return n;
}

/* Class "." subject "." detail (RFC 3463 §2). The class must be the reply's own (RFC 2034 §4). */
size_t reply_enhanced_length(int code, struct slice text)
{
    if (text.n < 5 || text.p[0] != '0' + code / 100 || text.p[0] == '3' || text.p[1] != '.') return 0;
    size_t subject = count_digits(text, 2), dot = 2 + subject;
    if (subject < 1 || subject > 3 || dot >= text.n || text.p[dot] != '.') return 0;
    size_t detail = count_digits(text, dot + 1), end = dot + 1 + detail;
    return detail < 1 || detail > 3 || (end < text.n && text.p[end] != ' ') ? 0 : end;
}

/* The first line says it; later ones repeat it. Returns the text without it. */
static struct slice take_enhanced(struct reply_reader *r, struct slice text)
{
    size_t n = reply_enhanced_length(r->code, text);
    if (n && r->lines == 1) {
        memcpy(r->enhanced, text.p, n);
        r->enhanced[n] = 0;
    }
    if (!n || !slice_eq(slice_sub(text, 0, n), slice_str(r->enhanced))) return text;
    return slice_sub(text, n + 1, text.n);
}

static void keep_text(struct reply_reader *r, struct slice text)
{
    size_t room = REPLY_TEXT_MAX - r->text_n;
    if (r->lines > 1 && room) {
        r->text[r->text_n++] = '\n';
        room--;
    }
    if (text.n > room) text.n = room;
    if (text.n) memcpy(r->text + r->text_n, text.p, text.n);
    r->text_n += text.n;
}

static enum reply_status take_line(struct reply_reader *r, struct slice line, const char **why)
{
    bool last = false;
    int code = line_code(line, &last);
    if (r->done) r->code = 0, r->lines = 0, r->enhanced[0] = 0, r->text_n = 0, r->done = false;
    *why = "a line that is not an SMTP reply";
    if (!code) return REPLY_BAD;
    *why = "a reply whose code changes from line to line";
    if (r->lines && code != r->code) return REPLY_BAD; /* RFC 5321 §4.2.1 */
    *why = "a reply of too many lines";
    if (r->lines == REPLY_LINES_MAX) return REPLY_BAD;
    *why = NULL;
    r->code = code;
    r->lines++;
    keep_text(r, take_enhanced(r, slice_sub(line, 4, line.n)));
    r->done = last;
    return last ? REPLY_DONE : REPLY_MORE;
}

enum reply_status reply_read(struct reply_reader *r, struct slice *in, const char **why)
{
    *why = NULL;
    for (;;) {
        ptrdiff_t lf = slice_find(slice_sub(*in, 0, REPLY_LINE_MAX), '\n');
        if (lf < 0) {
            if (in->n < REPLY_LINE_MAX) return REPLY_MORE;
            *why = "a reply line that is too long";
            return REPLY_BAD;
        }
        struct slice line = slice_sub(*in, 0, (size_t)lf);
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        *in = slice_sub(*in, (size_t)lf + 1, in->n);
        enum reply_status status = take_line(r, line, why);
        if (status != REPLY_MORE) return status;
    }
}

bool reply_ehlo_has(const struct reply_reader *r, const char *keyword, struct slice *args)
{
    struct slice rest = slice_of(r->text, r->text_n), line, word = slice_str(keyword);
    slice_cut(&rest, '\n', &line); /* the first one holds the server's name (RFC 5321 §4.1.1.1) */
    while (rest.n) {
        slice_cut(&rest, '\n', &line);
        if (!slice_istarts(line, word) || (line.n > word.n && line.p[word.n] != ' ' && word.p[word.n - 1] != '=')) continue;
        *args = slice_trim(slice_sub(line, word.n, line.n));
        return true;
    }
    return false;
}

/* Adds text to a line that begins at `start` and has to stay below LINE_OUT_MAX with its CRLF. */
static void add_text(struct buf *out, size_t start, struct slice text)
{
    while (text.n) {
        size_t room = LINE_OUT_MAX - 2 - (out->n - start), n = 0;
        while (n < text.n && n < room && text.p[n] >= 0x20 && text.p[n] < 0x7F) n++;
        buf_add(out, slice_sub(text, 0, n));
        text = slice_sub(text, n, text.n);
        if (!text.n || room - n < sizeof "\\x00" - 1) return;
        buf_addf(out, "\\x%02x", (unsigned char)text.p[0]);
        text = slice_sub(text, 1, text.n);
    }
}

void reply_format(struct buf *out, int code, const char *enhanced, struct slice text)
{
    assert(code >= 200 && code <= 599);
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r')) text.n--;
    for (bool more = true; more;) {
        struct slice line;
        size_t start = out->n;
        more = slice_cut(&text, '\n', &line);
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        buf_add_u64(out, (uint64_t)code);
        buf_add_char(out, more ? '-' : ' ');
        if (enhanced) buf_add_str(out, enhanced);
        if (enhanced && line.n) buf_add_char(out, ' ');
        add_text(out, start, line);
        buf_add_str(out, "\r\n");
    }
}
