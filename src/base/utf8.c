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

size_t utf8_put(char out[4], uint32_t code)
{
    static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(lead[n] | code);
    return n;
}

uint32_t utf8_of_1252(unsigned char byte)
{
    static const uint16_t high[32] = {
        0x20AC, 0, 0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17D, 0,
        0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122, 0x161, 0x203A, 0x153, 0, 0x17E, 0x178,
    };
    return byte >= 0x80 && byte < 0xA0 ? high[byte - 0x80] : byte;
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

unsigned utf8_width(uint32_t code)
{
    static const struct {
        uint32_t first, last;
        unsigned width;
    } ranges[] = { /* ascending; roughly Unicode's East Asian Width, annex 11 */
        { 0x0300, 0x036F, 0 },   { 0x0591, 0x05BD, 0 },   { 0x064B, 0x065F, 0 },   { 0x1100, 0x115F, 2 },   { 0x1AB0, 0x1AFF, 0 },
        { 0x1DC0, 0x1DFF, 0 },   { 0x200B, 0x200D, 0 },   { 0x20D0, 0x20FF, 0 },   { 0x2E80, 0x303E, 2 },   { 0x3041, 0xA4CF, 2 },
        { 0xA960, 0xA97C, 2 },   { 0xAC00, 0xD7A3, 2 },   { 0xF900, 0xFAFF, 2 },   { 0xFE00, 0xFE0F, 0 },   { 0xFE10, 0xFE1F, 2 },
        { 0xFE20, 0xFE2F, 0 },   { 0xFE30, 0xFE6F, 2 },   { 0xFF01, 0xFF60, 2 },   { 0xFFE0, 0xFFE6, 2 },   { 0x1F300, 0x1F64F, 2 },
        { 0x1F680, 0x1F6FF, 2 }, { 0x1F900, 0x1F9FF, 2 }, { 0x20000, 0x3FFFD, 2 }, { 0xE0100, 0xE01EF, 0 },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges && code >= ranges[i].first; i++)
        if (code <= ranges[i].last) return ranges[i].width;
    return 1;
}
