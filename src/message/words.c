/* SPDX-License-Identifier: Apache-2.0
 * Decoding of encoded words. */
#include "message/words.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"

enum charset { CHARSET_OTHER, CHARSET_UTF8, CHARSET_LATIN9, CHARSET_WINDOWS };

struct word {
    enum charset charset;
    bool base64;
    struct slice text;
    size_t n;                    /* bytes of it all */
};

static enum charset find_charset(struct slice name)
{
    static const struct {
        const char *name;
        enum charset charset;
    } known[] = {
        { "utf-8", CHARSET_UTF8 },         { "utf8", CHARSET_UTF8 },           { "us-ascii", CHARSET_UTF8 },
        { "iso-8859-1", CHARSET_WINDOWS }, { "iso-8859-15", CHARSET_LATIN9 },  { "windows-1252", CHARSET_WINDOWS },
    };
    for (size_t i = 0; i < countof(known); i++)
        if (slice_ieq(name, slice_str(known[i].name))) return known[i].charset;
    return CHARSET_OTHER;
}

/* Is there one at the start of s? */
static bool word_at(struct slice s, struct word *out)
{
    struct slice rest = slice_sub(s, 2, s.n), charset, encoding, text;
    if (!slice_starts(s, SLICE("=?")) || !slice_cut(&rest, '?', &charset) || !slice_cut(&rest, '?', &encoding) || encoding.n != 1 ||
        !slice_cut(&rest, '?', &text) || !rest.n || rest.p[0] != '=')
        return false;
    char e = ascii_lower(encoding.p[0]);
    struct slice name = charset;
    if (slice_find(charset, '*') >= 0) slice_cut(&charset, '*', &name); /* behind it a language: RFC 2231 §5 */
    *out = (struct word){ .charset = find_charset(name), .base64 = e == 'b', .text = text, .n = (size_t)(rest.p + 1 - s.p) };
    return (e == 'b' || e == 'q') && slice_find(text, ' ') < 0;
}

static bool decode(const struct word *w, struct buf *out)
{
    if (w->charset == CHARSET_OTHER) return true;
    if (w->base64) return base64_decode(w->text, out);
    for (size_t i = 0; i < w->text.n; i++) {
        char c = w->text.p[i];
        int high = c == '=' && i + 2 < w->text.n ? ascii_hex(w->text.p[i + 1]) : -1, low = high >= 0 ? ascii_hex(w->text.p[i + 2]) : -1;
        if (low >= 0) i += 2;
        buf_add_char(out, low >= 0 ? (char)(high << 4 | low) : c == '_' ? ' ' : c);
    }
    return true;
}

static void add_bytes(struct buf *out, struct slice bytes, enum charset charset)
{
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        uint32_t code = charset == CHARSET_WINDOWS ? utf8_of_1252(c) : charset == CHARSET_LATIN9 && c == 0xA4 ? 0x20AC : c; /* the euro */
        if (c && charset == CHARSET_UTF8) buf_add_char(out, (char)c);
        else buf_add_code(out, code ? code : 0xFFFD);
    }
}

/* One sign for all that stand side by side: they are no text that anybody reads. */
static bool add_unread(struct buf *out, bool again)
{
    if (!again) buf_add_str(out, "[...]");
    return true;
}

void words_add(struct buf *out, struct slice value)
{
    struct buf bytes = { 0 };
    struct word w;
    size_t blanks = 0;           /* before the place at hand: none are shown between two words, RFC 2047 §6.2 */
    bool behind = false, unread = false;
    for (size_t i = 0; i < value.n;) {
        char c = value.p[i];
        struct slice here = slice_sub(value, i, value.n);
        buf_clear(&bytes);
        if (c == '\r' || c == '\n') {
            i++;
        } else if (c == ' ' || c == '\t') {
            blanks++;
            i++;
        } else {
            bool word = c == '=' && word_at(here, &w) && decode(&w, &bytes);
            for (; blanks && !(word && behind); blanks--) buf_add_char(out, ' ');
            blanks = 0;
            unread = unread && word && w.charset == CHARSET_OTHER;
            behind = word;
            if (word && w.charset == CHARSET_OTHER) unread = add_unread(out, unread);
            else if (word) add_bytes(out, buf_slice(&bytes), w.charset);
            else add_bytes(out, slice_sub(here, 0, 1), CHARSET_UTF8);
            i += word ? w.n : 1;
        }
    }
    buf_deinit(&bytes);
}
