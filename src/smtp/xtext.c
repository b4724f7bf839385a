/* SPDX-License-Identifier: Apache-2.0
 * The grammars of RFC 3461 §4 and RFC 6533 §3. */
#include "smtp/xtext.h"
#include "base/utf8.h"

static int hex(char c) /* upper case only, as the grammar has it */
{
    return c >= 'a' ? -1 : ascii_hex(c);
}

/* One character of xtext at *at, decoded; -1: none. */
static int take(struct slice s, size_t *at)
{
    char c = s.p[(*at)++];
    if (c != '+') return c > 0x20 && c < 0x7F && c != '=' ? c : -1;
    if (s.n - *at < 2) return -1;
    int high = hex(s.p[*at]), low = hex(s.p[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool xtext_ok(struct slice s)
{
    for (size_t at = 0; at < s.n;) {
        int c = take(s, &at);
        if (c < 0x20 || c >= 0x7F) return false;
    }
    return s.n > 0;
}

void xtext_decode(struct slice s, struct buf *out)
{
    for (size_t at = 0; at < s.n;) {
        int c = take(s, &at);
        if (c >= 0) buf_add_char(out, (char)c);
    }
}

void xtext_encode(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 0x20 && c < 0x7F && c != '+' && c != '=') buf_add_char(out, (char)c);
        else buf_addf(out, "+%02X", c);
    }
}

/* EmbeddedUnicodeChar at *at: \x{HEXPOINT}, for what QCHAR leaves out and for all that is not ASCII. */
static bool take_embedded(struct slice s, size_t *at)
{
    struct slice rest = slice_sub(s, *at, s.n);
    ptrdiff_t close = slice_find(rest, '}');
    uint32_t code = 0;
    if (!slice_starts(rest, SLICE("\\x{")) || close < 5 || close > 9) return false; /* 2 to 6 digits */
    for (ptrdiff_t i = 3; i < close; i++) {
        int digit = hex(rest.p[i]);
        if (digit < 0) return false;
        code = code << 4 | (uint32_t)digit;
    }
    if (close > 5 && rest.p[3] == '0') return false; /* no more digits than needed */
    *at += (size_t)close + 1;
    /* ASCII only where it must be: blank, + and = and the backslash. Control characters have no place in an address. */
    if (code < 0x80) return code == 0x20 || code == '+' || code == '=' || code == '\\';
    return code >= 0xA0 && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

bool xtext_utf8_ok(struct slice s, bool wide)
{
    if (wide ? !utf8_clean(s) : !utf8_ascii(s)) return false;
    for (size_t at = 0; at < s.n;) {
        unsigned char c = (unsigned char)s.p[at];
        if (c == '\\') {
            if (!take_embedded(s, &at)) return false;
            continue;
        }
        if (c <= 0x20 || c == 0x7F || c == '+' || c == '=') return false;
        at++;
    }
    return s.n > 0;
}

bool xtext_orcpt_address(struct slice orcpt, struct buf *out)
{
    struct slice address = orcpt, type;
    if (!slice_cut(&address, ';', &type) || !address.n) return false;
    if (slice_ieq(type, SLICE("rfc822")) && xtext_ok(address)) xtext_decode(address, out);
    else if (slice_ieq(type, SLICE("utf-8")) && utf8_clean(address)) buf_add(out, address);
    else return false;
    return true;
}
