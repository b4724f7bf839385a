/* SPDX-License-Identifier: Apache-2.0
 * UTF-8, character by character: the table of RFC 3629 §4. */
#include "base/utf8.h"

size_t utf8_char(struct slice s, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (!s.n) return 0;
    unsigned char first = (unsigned char)s.p[0];
    size_t n = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (!n || n > s.n) return 0;
    uint32_t c = n == 1 ? first : first & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s.p[i];
        if ((next & 0xC0) != 0x80) return 0;
        c = c << 6 | (next & 0x3F);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return 0;
    *code = c;
    return n;
}

bool utf8_is_control(uint32_t c)
{
    return (c >= 0x80 && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

bool utf8_ascii(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80) return false;
    return true;
}

/* Most text is ASCII: that is passed over without a call. */
static bool each_ok(struct slice s, bool controls)
{
    uint32_t code = 0;
    while (s.n) {
        size_t n = (unsigned char)s.p[0] < 0x80 ? 1 : utf8_char(s, &code);
        if (!n || (n > 1 && !controls && utf8_is_control(code))) return false;
        s = slice_of(s.p + n, s.n - n);
    }
    return true;
}

bool utf8_ok(struct slice s)
{
    return each_ok(s, true);
}

bool utf8_clean(struct slice s)
{
    return each_ok(s, false);
}
