/* SPDX-License-Identifier: Apache-2.0
 * Base64, quoted-printable and percent signs as forgivingly as readers of mail take them, telling what was strange. */
#include "content/message_internal.h"

enum { BLANK = 64, PAD = 65, JUNK = 66 };

static const unsigned char *alphabet(void)
{
    static const unsigned char table[256] = {
#define J4 JUNK, JUNK, JUNK, JUNK
#define J16 J4, J4, J4, J4
        J4, J4, JUNK, BLANK, BLANK, BLANK, BLANK, BLANK, JUNK, JUNK, J16,
        BLANK, JUNK, JUNK, JUNK, J4, JUNK, JUNK, JUNK, 62, JUNK, JUNK, JUNK, 63,
        52, 53, 54, 55, 56, 57, 58, 59, 60, 61, JUNK, JUNK, JUNK, PAD, JUNK, JUNK,
        JUNK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
        15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, J4, JUNK,
        JUNK, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
        41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, J4, JUNK,
        J16, J16, J16, J16, J16, J16, J16, J16
    };
    return table;
}

/* The bytes of a group that ended before its fourth character. */
static size_t put_rest(unsigned char *out, uint32_t group, unsigned have)
{
    if (have >= 2) out[0] = (unsigned char)(group >> (have == 2 ? 4 : 10));
    if (have == 3) out[1] = (unsigned char)(group >> 2);
    return have >= 2 ? have - 1 : 0;
}

struct message_decoded message_decode_base64(struct arena *arena, struct slice text)
{
    const unsigned char *table = alphabet(), *p = (const unsigned char *)text.p;
    unsigned char *out = arena_alloc(arena, text.n / 4 * 3 + 6);
    size_t n = 0, padded_at = SIZE_MAX;
    uint32_t group = 0;
    unsigned have = 0;
    struct message_decoded d = { .data = SLICE("") };
    for (size_t i = 0; i < text.n; i++) {
        unsigned v = table[p[i]];
        if (v < BLANK) {
            group = group << 6 | v;
            d.good++;
            if (++have < 4) continue;
            out[n++] = (unsigned char)(group >> 16);
            out[n++] = (unsigned char)(group >> 8);
            out[n++] = (unsigned char)group;
            have = 0;
        } else if (v == PAD) { /* what follows is a text of its own, for those who read on */
            n += put_rest(out + n, group, have);
            if (padded_at == SIZE_MAX) padded_at = n;
            have = 0;
        } else if (v == JUNK)
            d.junk++;
        else if (p[i] == ' ')
            d.blanks++;
    }
    d.cut = have == 1;
    n += put_rest(out + n, group, have);
    d.data = slice_of(out, n);
    if (padded_at < n) d.behind = slice_sub(d.data, padded_at, n);
    return d;
}

size_t message_decode_percent(char *out, size_t room, struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < room; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1, low = high >= 0 ? ascii_hex(s.p[i + 2]) : -1;
        out[n++] = low >= 0 ? (char)(high << 4 | low) : s.p[i];
        if (low >= 0) i += 2;
    }
    return n;
}

/* "=", blanks and a line end: a soft one (RFC 2045 §6.7). Returns its bytes; 0: it is none. */
static size_t soft_break(struct slice s, size_t at)
{
    size_t i = at + 1;
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t')) i++;
    if (i < s.n && s.p[i] == '\r') i++;
    if (i < s.n && s.p[i] == '\n') return i + 1 - at;
    return i == s.n ? i - at : 0;
}

struct slice message_decode_quoted(struct arena *arena, struct slice text, bool word)
{
    char *out = arena_alloc(arena, text.n + 1);
    size_t n = 0, kept = 0; /* kept: up to here blanks were written as such, and stay before a line end */
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '=' && i + 2 < text.n && ascii_hex(text.p[i + 1]) >= 0 && ascii_hex(text.p[i + 2]) >= 0) {
            out[n++] = (char)(ascii_hex(text.p[i + 1]) << 4 | ascii_hex(text.p[i + 2]));
            kept = n;
            i += 2;
            continue;
        }
        size_t soft = c == '=' && !word ? soft_break(text, i) : 0;
        if (soft) {
            kept = n;
            i += soft - 1;
            continue;
        }
        if (!word && (c == '\n' || (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')))
            while (n > kept && (out[n - 1] == ' ' || out[n - 1] == '\t')) n--;
        out[n++] = word && c == '_' ? ' ' : c;
    }
    return slice_of(out, n);
}
