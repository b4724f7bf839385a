/* SPDX-License-Identifier: Apache-2.0
 * Escaping. */
#include "base/html.h"
#include "base/utf8.h"

static const char *escape(uint32_t code)
{
    switch (code) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

/* Nobody sees that they are there: soft hyphen, zero width characters, fillers, tags. */
static bool is_invisible(uint32_t code)
{
    return code == 0xAD || code == 0x34F || code == 0x61C || code == 0x180E || (code >= 0x200B && code <= 0x200F) ||
           (code >= 0x2060 && code <= 0x206F) || code == 0x115F || code == 0x1160 || code == 0x2800 || code == 0x3164 || code == 0xFFA0 ||
           (code >= 0xFFF0 && code <= 0xFFFB) || (code >= 0xE0000 && code <= 0xE0FFF);
}

static void add(struct buf *out, struct slice s, size_t max, bool markup)
{
    for (size_t n = 0; s.n; n++) {
        uint32_t code = 0;
        size_t k = utf8_char(s, &code);
        if (n == max) {
            buf_add_str(out, "...");
            return;
        }
        const char *escaped = k && markup ? escape(code) : NULL;
        bool bad = !k || code == 0x7F || (code < 0x20 && code != '\t') || utf8_is_control(code) || is_invisible(code);
        if (bad) buf_add_str(out, "\xEF\xBF\xBD");
        else if (escaped) buf_add_str(out, escaped);
        else if (code == '\t') buf_add_char(out, ' ');
        else buf_add(out, slice_sub(s, 0, k));
        s = slice_sub(s, k ? k : 1, s.n);
    }
}

void html_add(struct buf *out, struct slice s, size_t max)
{
    add(out, s, max, true);
}

void html_add_plain(struct buf *out, struct slice s, size_t max)
{
    add(out, s, max, false);
}
