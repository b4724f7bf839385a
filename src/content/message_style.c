/* SPDX-License-Identifier: Apache-2.0
 * Styles of HTML as far as they decide whether text can be seen: colours, sizes, places. */
#include "base/mem.h"
#include "content/message_internal.h"

#define NEAR 24 /* a difference of colours that nobody sees, per channel */

static uint32_t hex_colour(struct slice s)
{
    uint32_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = ascii_hex(s.p[i]);
        if (d < 0) return MESSAGE_COLOUR_NONE;
        v = v << 4 | (unsigned)d;
    }
    if (s.n == 6) return v;
    if (s.n == 8) return v >> 8;
    if (s.n == 4) v >>= 4;
    if (s.n != 3 && s.n != 4) return MESSAGE_COLOUR_NONE;
    return (v >> 8 & 15) * 0x110000 | (v >> 4 & 15) * 0x1100 | (v & 15) * 0x11;
}

/* A number at the start of s, in thousandths, with the rest behind it. */
static bool take_number(struct slice *s, int64_t *out)
{
    size_t i = 0, digits = 0;
    int64_t v = 0, scale = 1000;
    bool minus = s->n && s->p[0] == '-', dot = false;
    for (i = minus || (s->n && s->p[0] == '+'); i < s->n; i++) {
        char c = s->p[i];
        if (c == '.' && !dot) {
            dot = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        digits++;
        if (dot) scale /= 10, v += (c - '0') * scale;
        else if (v < 1000000000) v = v * 10 + (int64_t)(c - '0') * 1000;
    }
    *s = slice_sub(*s, i, s->n);
    *out = minus ? -v : v;
    return digits > 0;
}

/* "rgb(1, 2, 3)", "rgba(1 2 3 / 0)" */
static uint32_t rgb_colour(struct slice s)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int64_t x;
        while (s.n && (s.p[0] == ' ' || s.p[0] == ',' || s.p[0] == '/' || s.p[0] == '%')) s = slice_sub(s, 1, s.n);
        if (!take_number(&s, &x)) return i == 3 ? v : MESSAGE_COLOUR_NONE;
        x /= 1000;
        if (i < 3) v = v << 8 | (uint32_t)(x < 0 ? 0 : x > 255 ? 255 : x);
        else if (x == 0 && (!s.n || s.p[0] == ')')) return MESSAGE_COLOUR_CLEAR;
    }
    return v;
}

uint32_t message_colour(struct slice s)
{
    static const struct { const char *name; uint32_t colour; } names[] = {
        { "white", 0xFFFFFF }, { "black", 0 }, { "red", 0xFF0000 }, { "blue", 0xFF }, { "green", 0x8000 },
        { "yellow", 0xFFFF00 }, { "gray", 0x808080 }, { "grey", 0x808080 }, { "silver", 0xC0C0C0 },
        { "lightgrey", 0xD3D3D3 }, { "lightgray", 0xD3D3D3 }, { "whitesmoke", 0xF5F5F5 }, { "snow", 0xFFFAFA },
        { "ivory", 0xFFFFF0 }, { "navy", 0x80 }, { "maroon", 0x800000 }, { "orange", 0xFFA500 },
        { "purple", 0x800080 }, { "teal", 0x8080 }, { "lime", 0xFF00 }, { "aqua", 0xFFFF }, { "fuchsia", 0xFF00FF },
        { "olive", 0x808000 }, { "window", 0xFFFFFF }, { "windowtext", 0 }, { "transparent", MESSAGE_COLOUR_CLEAR },
        { "ghostwhite", 0xF8F8FF }, { "floralwhite", 0xFFFAF0 }, { "mintcream", 0xF5FFFA }, { "azure", 0xF0FFFF },
    };
    s = slice_trim(s);
    if (s.n && s.p[0] == '#') {
        s = slice_sub(s, 1, s.n);
        size_t n = 0;
        while (n < s.n && ascii_hex(s.p[n]) >= 0) n++;
        return hex_colour(slice_sub(s, 0, n));
    }
    if (slice_istarts(s, SLICE("rgb"))) {
        ptrdiff_t open = slice_find(s, '(');
        return open < 0 ? MESSAGE_COLOUR_NONE : rgb_colour(slice_sub(s, (size_t)open + 1, s.n));
    }
    for (size_t i = 0; i < countof(names); i++)
        if (slice_ieq(s, slice_str(names[i].name))) return names[i].colour;
    return s.n == 6 ? hex_colour(s) : MESSAGE_COLOUR_NONE;
}

static bool are_near(uint32_t a, uint32_t b)
{
    for (int shift = 0; shift <= 16; shift += 8) {
        int d = (int)(a >> shift & 0xFF) - (int)(b >> shift & 0xFF);
        if (d > NEAR || d < -NEAR) return false;
    }
    return true;
}

bool message_style_hides(const struct message_style *s)
{
    if (s->gone || s->invisible || s->tiny || s->colour == MESSAGE_COLOUR_CLEAR) return true;
    return s->colour < MESSAGE_COLOUR_CLEAR && s->background < MESSAGE_COLOUR_CLEAR && are_near(s->colour, s->background);
}

/* What stands in a longer value ("none !important") */
static bool says(struct slice value, const char *word)
{
    return slice_istarts(value, slice_str(word));
}

static void apply_size(struct message_style *style, struct slice v)
{
    int64_t x;
    if (!take_number(&v, &x)) {
        if (!says(v, "inherit")) style->tiny = false;
        return;
    }
    bool percent = says(v, "%"), relative = says(v, "em") || says(v, "rem");
    if (percent && x && style->tiny) return; /* of nothing */
    style->tiny = relative ? x <= 200 : percent ? x <= 10000 : x <= 1000;
}

static void apply_background(struct message_style *style, struct slice v)
{
    if (memmem(v.p, v.n, "url(", 4) || memmem(v.p, v.n, "gradient", 8)) {
        style->background = MESSAGE_COLOUR_NONE;
        return;
    }
    struct slice first = v;
    slice_cut(&(struct slice){ v.p, v.n }, ' ', &first);
    if (says(v, "inherit") || message_colour(first) == MESSAGE_COLOUR_CLEAR) return;
    if (slice_ieq(first, v)) {
        style->background = message_colour(v);
        return;
    }
    while (v.n) {
        struct slice word;
        bool function = slice_istarts(v, SLICE("rgb"));
        uint32_t colour;
        if (function) {
            colour = message_colour(v);
            v = SLICE("");
        } else {
            slice_cut(&v, ' ', &word);
            colour = message_colour(word);
        }
        if (colour < MESSAGE_COLOUR_CLEAR) style->background = colour;
    }
}

struct box { /* what hides only together */
    bool flat, clipped, away, placed;
};

static void apply(struct message_style *style, struct box *box, struct slice name, struct slice v)
{
    int64_t x = 1;
    struct slice rest = v;
    bool number = take_number(&rest, &x);
    if (slice_ieq(name, SLICE("display")))
        style->gone |= says(v, "none");
    else if (slice_ieq(name, SLICE("visibility")))
        style->invisible = says(v, "hidden") || says(v, "collapse");
    else if (slice_ieq(name, SLICE("mso-hide")))
        style->gone |= says(v, "all");
    else if (slice_ieq(name, SLICE("opacity")))
        style->gone |= number && x <= 50;
    else if (slice_ieq(name, SLICE("font-size")))
        apply_size(style, v);
    else if (slice_ieq(name, SLICE("color"))) {
        if (!says(v, "inherit")) style->colour = message_colour(v);
    } else if (slice_ieq(name, SLICE("background")) || slice_ieq(name, SLICE("background-color")))
        apply_background(style, v);
    else if (slice_ieq(name, SLICE("background-image")))
        style->background = MESSAGE_COLOUR_NONE;
    else if (slice_ieq(name, SLICE("max-height")) || slice_ieq(name, SLICE("height")) || slice_ieq(name, SLICE("width")) ||
             slice_ieq(name, SLICE("max-width")))
        box->flat |= number && x <= 1000 && !says(rest, "%") && !says(rest, "em");
    else if (slice_ieq(name, SLICE("overflow")))
        box->clipped = says(v, "hidden");
    else if (slice_ieq(name, SLICE("text-indent")))
        style->gone |= number && x <= -500000;
    else if (slice_ieq(name, SLICE("left")) || slice_ieq(name, SLICE("top")) || slice_ieq(name, SLICE("right")))
        box->away |= number && x <= -500000;
    else if (slice_ieq(name, SLICE("position")))
        box->placed = says(v, "absolute") || says(v, "fixed");
}

void message_style_apply(struct message_style *style, struct slice css)
{
    struct box box = { 0 };
    while (css.n) {
        struct slice name, value;
        slice_cut(&css, ';', &value);
        if (slice_cut(&value, ':', &name)) apply(style, &box, slice_trim(name), slice_trim(value));
    }
    style->gone |= (box.flat && box.clipped) || (box.away && box.placed);
}
