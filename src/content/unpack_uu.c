/* SPDX-License-Identifier: Apache-2.0
 * Files within lines of text: uuencode, with and without a mode, its base64 form; BinHex is handed on. */
#include "base/base64.h"
#include "base/mem.h"
#include "content/unpack_binhex.h"

#define FILES_MAX 1000 /* that are looked for in one text */

static struct slice next_line(struct slice text, size_t *at)
{
    const char *end = *at < text.n ? memchr(text.p + *at, '\n', text.n - *at) : NULL;
    size_t to = end ? (size_t)(end - text.p) : text.n;
    struct slice line = slice_sub(text, *at, to);
    *at = end ? to + 1 : text.n;
    while (line.n && line.p[line.n - 1] == '\r') line.n--;
    return line;
}

/* Bytes that a line says it holds; -1: it is no line of such a file. strict: no blank at its end may be missing. */
static int line_bytes(struct slice line, bool strict)
{
    if (!line.n) return strict ? -1 : 0;
    unsigned n = (unsigned)(line.p[0] - ' ') & 63;
    size_t want = (n + 2) / 3 * 4, least = (n * 4 + 2) / 3;
    if (line.p[0] < ' ' || line.p[0] > '`' || line.n - 1 > want + 2 || (strict && (line.n - 1 < least || !n))) return -1;
    for (size_t i = 1; i < line.n; i++)
        if (line.p[i] < ' ' || line.p[i] > '`') return -1;
    return (int)n;
}

static void decode_line(struct slice line, unsigned n, char *out)
{
    for (unsigned i = 0; i < n; i += 3) {
        uint32_t bits = 0;
        for (unsigned k = 0; k < 4; k++) bits = bits << 6 | ((unpack_u8(line, 1 + i / 3 * 4 + k) - ' ') & 63);
        for (unsigned k = 0; k < 3 && i + k < n; k++) out[i + k] = (char)(bits >> (16 - 8 * k));
    }
}

/* Lines up to "end"; false: that never comes. */
static bool decode_lines(struct unpack_sink *s, struct slice text, size_t *at)
{
    while (*at < text.n && !s->stopped) {
        size_t before = *at;
        struct slice line = next_line(text, at);
        char out[64];
        if (slice_eq(slice_trim(line), SLICE("end"))) return true;
        int n = line_bytes(line, false);
        if (n < 0) {
            *at = before;
            return false;
        }
        decode_line(line, (unsigned)n, out);
        unpack_sink_add(s, slice_of(out, (size_t)n), *at);
    }
    return false;
}

static bool decode_base64(struct unpack_sink *s, struct slice text, size_t *at)
{
    while (*at < text.n && !s->stopped) {
        size_t before = *at;
        struct slice line = slice_trim(next_line(text, at));
        struct buf out = { 0 };
        if (slice_eq(line, SLICE("===="))) return true;
        if (!line.n || !base64_decode(line, &out)) {
            buf_deinit(&out);
            *at = before;
            return false;
        }
        unpack_sink_add(s, buf_slice(&out), *at);
        buf_deinit(&out);
    }
    return false;
}

struct beginning {
    struct slice name;
    bool base64, mode;
};

static bool read_beginning(struct slice line, struct beginning *out)
{
    *out = (struct beginning){ .base64 = slice_starts(line, SLICE("begin-base64 ")) };
    if (!out->base64 && !slice_starts(line, SLICE("begin "))) return false;
    struct slice rest = slice_trim_blanks(slice_sub(line, out->base64 ? 13 : 6, line.n));
    size_t digits = 0;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '7') digits++;
    out->mode = digits >= 3 && digits <= 6 && (digits == rest.n || rest.p[digits] == ' ' || rest.p[digits] == '\t');
    out->name = slice_trim_blanks(out->mode ? slice_sub(rest, digits, rest.n) : rest);
    return out->mode || (out->name.n && unpack_extension(out->name).n);
}

/* The file whose first line begins at `at`, below n; where to go on; SIZE_MAX: there is none. */
static size_t take_file(struct unpack *u, uint32_t n, struct slice text, size_t at)
{
    struct beginning b;
    if (!read_beginning(next_line(text, &at), &b)) return SIZE_MAX;
    size_t first = at;
    struct slice line = next_line(text, &first);
    bool empty = slice_eq(line, SLICE("`")) || slice_eq(slice_trim(line), SLICE("end"));
    if (!b.base64 && line_bytes(line, true) < 0 && !(b.mode && empty)) return SIZE_MAX;
    if (!unpack_may_enter(u, n)) return SIZE_MAX;
    uint32_t child = unpack_add_file(u, n, unpack_utf8_of_1252(u->message->arena, b.name));
    if (child == UNPACK_NONE) return text.n;
    struct unpack_sink s = { .u = u, .n = child };
    bool ended = b.base64 ? decode_base64(&s, text, &at) : decode_lines(&s, text, &at);
    unpack_find(u, child, CONTENT_UUENCODE | (ended || s.stopped ? 0 : CONTENT_BROKEN));
    unpack_give(u, child, unpack_sink_take(&s));
    return at;
}

void unpack_text(struct unpack *u, uint32_t n, struct slice text)
{
    unsigned files = 0;
    for (size_t at = 0; (at = unpack_search(text, at, SLICE("begin"))) != SIZE_MAX && files < FILES_MAX;) {
        bool starts = !at || text.p[at - 1] == '\n' || text.p[at - 1] == '\r';
        size_t next = starts && unpack_in_time(u, n) ? take_file(u, n, text, at) : SIZE_MAX;
        files += next != SIZE_MAX;
        at = next != SIZE_MAX ? next : at + 5;
    }
    unpack_binhex(u, n, text);
}

void unpack_lines(struct unpack *u, uint32_t n)
{
    unpack_text(u, n, u->message->parts[n].data);
}
