/* SPDX-License-Identifier: Apache-2.0
 * Words of a text in any script: runs of letters and digits where there are blanks; ICU's dictionaries where there are none (Japanese,
 * Chinese, Thai, Lao, Khmer, Burmese), and there pairs of neighbouring characters besides, which is what tells when no dictionary
 * knows the word. Korean has blanks, but its words carry endings: it gets pairs, too. */
#include <stdlib.h>
#include <unicode/ubrk.h>
#include <unicode/ustring.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "spam/tokens.h"

#define RUN_MAX 600              /* bytes of a run that are given to ICU at once */

struct word_breaker {
    UBreakIterator *iterator;
    UChar text[RUN_MAX + 1];
};

/* Dictionaries are read when a script is first seen: here, before a sandbox shuts. */
static void warm_up(struct word_breaker *w)
{
    static const UChar text[] = u"日本語の文章 中文 ประกันชีวิต ພາສາລາວ ភាសាខ្មែរ မြန်မာဘာသာ";
    UErrorCode status = U_ZERO_ERROR;
    ubrk_setText(w->iterator, text, (int32_t)countof(text) - 1, &status);
    while (U_SUCCESS(status) && ubrk_next(w->iterator) != UBRK_DONE)
        ;
}

struct word_breaker *word_breaker_new(void)
{
    UErrorCode status = U_ZERO_ERROR;
    UBreakIterator *iterator = ubrk_open(UBRK_WORD, "ja", NULL, 0, &status);
    if (U_FAILURE(status))
        return NULL;
    struct word_breaker *w = mem_new(struct word_breaker);
    w->iterator = iterator;
    warm_up(w);
    return w;
}

void word_breaker_free(struct word_breaker *w)
{
    if (!w)
        return;
    ubrk_close(w->iterator);
    free(w);
}

enum script { SCRIPT_NONE, SCRIPT_WORD, SCRIPT_WIDE, SCRIPT_HANGUL, SCRIPT_DENSE }; /* WIDE: Han, kana; DENSE: Thai and its like */

static enum script script_of(uint32_t c)
{
    if (c < 128)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ? SCRIPT_WORD : SCRIPT_NONE;
    if ((c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFF66 && c <= 0xFF9F) ||
        (c >= 0x20000 && c <= 0x3FFFF) || c == 0x3005)
        return SCRIPT_WIDE;
    if ((c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x1100 && c <= 0x11FF) || (c >= 0x3130 && c <= 0x318F))
        return SCRIPT_HANGUL;
    if ((c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF))
        return SCRIPT_DENSE;
    if (c < 0xC0 || (c >= 0x2000 && c <= 0x2BFF) || (c >= 0x3000 && c <= 0x303F) || c == 0xD7 || c == 0xF7 || c == 0xFFFD ||
        (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xFF00 && c <= 0xFF0F))
        return SCRIPT_NONE;
    return SCRIPT_WORD;
}

static size_t next_char(const struct word_reader *r, size_t at, uint32_t *c)
{
    size_t n = utf8_char(slice_sub(r->text, at, r->text.n), c);
    if (n)
        return n;
    *c = ' ';
    return 1;
}

void word_reader_init(struct word_reader *r, struct slice text, struct word_breaker *w)
{
    r->text = text;
    r->at = r->bound = r->bound_n = r->word_n = 0;
    r->wide_at = SIZE_MAX;
    r->breaker = w;
}

/* Capitals of Latin, Greek and Cyrillic become small. */
static uint32_t fold(uint32_t c)
{
    if (c < 128)
        return (uint8_t)ascii_lower((char)c);
    if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3AB) || (c >= 0x410 && c <= 0x42F))
        return c + 32;
    if (c >= 0x400 && c <= 0x40F)
        return c + 80;
    return c >= 0x100 && c <= 0x17F && c != 0x130 && c != 0x131 && c != 0x138 && c != 0x149 && c != 0x178 && c != 0x17F ? c | 1 : c;
}

static bool give(struct word_reader *r, struct slice s)
{
    r->word_n = 0;
    for (size_t i = 0; i < s.n && r->word_n + 4 <= sizeof r->word;) {
        uint32_t c;
        size_t n = utf8_char(slice_sub(s, i, s.n), &c);
        if (!n) {
            n = 1;
            c = '?';
        }
        r->word_n += utf8_put(r->word + r->word_n, fold(c));
        i += n;
    }
    if (s.n >= 20 && (uint8_t)s.p[0] < 128) { /* long words are rare one by one: their beginning and length are what they share */
        r->word[6] = '~';
        r->word[7] = (char)('0' + (s.n / 10 < 9 ? s.n / 10 : 9));
        r->word_n = 8;
    }
    return r->word_n > 0;
}

/* Where the words of a run without blanks end. */
static void break_run(struct word_reader *r, size_t to)
{
    r->bound = r->bound_n = 0;
    r->run = r->at;
    r->wide_at = r->at;
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = 0;
    struct word_breaker *w = r->breaker;
    if (w)
        u_strFromUTF8(w->text, RUN_MAX, &n, r->text.p + r->at, (int32_t)(to - r->at), &status);
    if (!w || U_FAILURE(status))
        return;
    ubrk_setText(w->iterator, w->text, n, &status);
    if (U_FAILURE(status))
        return;
    size_t byte = r->at;
    int32_t unit = 0;
    for (int32_t end = ubrk_next(w->iterator); end != UBRK_DONE && r->bound_n < countof(r->bounds); end = ubrk_next(w->iterator)) {
        while (unit < end) {     /* from ICU's units to bytes */
            uint32_t c;
            byte += next_char(r, byte, &c);
            unit += c > 0xFFFF ? 2 : 1;
        }
        r->bounds[r->bound_n++] = (int32_t)(byte - r->run);
    }
}

static size_t run_end(const struct word_reader *r, bool *hangul)
{
    size_t i = r->at;
    *hangul = true;
    while (i < r->text.n && i - r->at < RUN_MAX - 4) {
        uint32_t c;
        size_t n = next_char(r, i, &c);
        enum script s = script_of(c);
        if (s < SCRIPT_WIDE)
            break;
        *hangul = *hangul && s == SCRIPT_HANGUL;
        i += n;
    }
    return i;
}

/* The next pair of characters in the run that ends at r->at. */
static bool next_pair(struct word_reader *r)
{
    while (r->wide_at < r->at) {
        uint32_t c, d;
        size_t n = next_char(r, r->wide_at, &c), m = r->wide_at + n < r->at ? next_char(r, r->wide_at + n, &d) : 0;
        struct slice pair = slice_sub(r->text, r->wide_at, r->wide_at + n + m);
        r->wide_at += n;
        if (m && script_of(c) != SCRIPT_DENSE)
            return give(r, pair);
    }
    r->wide_at = SIZE_MAX;
    return false;
}

static bool word_byte(char c)
{
    return c == '\'' || c == '$' || c == '.' || c == '@' || c == '-';
}

/* A run of letters and digits; ' $ . @ - within it belong to it. */
static bool read_word(struct word_reader *r)
{
    size_t begin = r->at, end = r->at;
    while (r->at < r->text.n) {
        uint32_t c;
        size_t n = next_char(r, r->at, &c);
        bool letter = script_of(c) == SCRIPT_WORD || c == '$';
        if (!letter && !(c < 128 && word_byte((char)c)))
            break;
        r->at += n;
        end = letter ? r->at : end;
    }
    r->at = end;
    if (end - begin > 1 && r->at < r->text.n && r->text.p[r->at] == '%')
        r->at++;
    return give(r, slice_sub(r->text, begin, r->at));
}

/* "$1,000.00", "!!!" */
static bool read_sign(struct word_reader *r, char c)
{
    size_t begin = r->at++;
    if (c == '$')
        while (r->at < r->text.n && ((r->text.p[r->at] >= '0' && r->text.p[r->at] <= '9') || r->text.p[r->at] == ',' ||
                                     r->text.p[r->at] == '.'))
            r->at++;
    else
        while (r->at < r->text.n && r->text.p[r->at] == '!')
            r->at++;
    if (r->at - begin < 2 && c == '$')
        return false;
    return give(r, slice_sub(r->text, begin, r->at < begin + 12 ? r->at : begin + 12));
}

static bool next_in_run(struct word_reader *r)
{
    if (r->bound < r->bound_n) {
        size_t from = r->run + (r->bound ? (size_t)r->bounds[r->bound - 1] : 0), to = r->run + (size_t)r->bounds[r->bound];
        r->bound++;
        return give(r, slice_sub(r->text, from, to));
    }
    return next_pair(r);
}

bool word_reader_next(struct word_reader *r)
{
    while (!next_in_run(r)) {
        if (r->at >= r->text.n)
            return false;
        uint32_t c;
        size_t n = next_char(r, r->at, &c);
        enum script s = script_of(c);
        if (s == SCRIPT_WORD)
            return read_word(r);
        if (s == SCRIPT_NONE) {
            if ((c == '$' || c == '!') && read_sign(r, (char)c))
                return true;
            r->at = c == '$' || c == '!' ? r->at : r->at + n;
            continue;
        }
        bool hangul;
        size_t to = run_end(r, &hangul);
        break_run(r, to);
        if (hangul) {            /* its words are between blanks */
            r->bounds[0] = (int32_t)(to - r->run);
            r->bound_n = 1;
        }
        r->at = to;
    }
    return true;
}
