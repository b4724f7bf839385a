/* SPDX-License-Identifier: Apache-2.0
 * Numbers about texts: how loud they are, and how much trouble they take not to be recognised. */
#include "base/utf8.h"
#include "spam/facts.h"

struct letters {
    int32_t upper, lower;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct letters count_letters(struct slice s)
{
    struct letters l = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        l.upper += s.p[i] >= 'A' && s.p[i] <= 'Z';
        l.lower += s.p[i] >= 'a' && s.p[i] <= 'z';
    }
    return l;
}

static int32_t percent(int32_t part, int32_t whole)
{
    return whole > 0 ? (int32_t)((int64_t)part * 100 / whole) : 0;
}

/* Letters of Greek and Cyrillic that look like Latin ones. */
static bool looks_latin(uint32_t c)
{
    static const uint16_t alike[] = { 0x391, 0x392, 0x395, 0x396, 0x397, 0x399, 0x39A, 0x39C, 0x39D, 0x39F, 0x3A1, 0x3A4, 0x3A5, 0x3A7,
        0x3BF, 0x3BD, 0x3C1, 0x405, 0x406, 0x408, 0x410, 0x412, 0x415, 0x41A, 0x41C, 0x41D, 0x41E, 0x420, 0x421, 0x422, 0x423, 0x425,
        0x430, 0x435, 0x43E, 0x440, 0x441, 0x443, 0x445, 0x455, 0x456, 0x458, 0x4BB, 0x501, 0x51B, 0x51D };
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
        if (alike[i] == c)
            return true;
    return c >= 0x1D400 && c <= 0x1D7FF; /* mathematical letters */
}

static bool is_invisible(uint32_t c)
{
    return (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || c == 0x2060 || c == 0xFEFF || c == 0xAD || c == 0x034F ||
        (c >= 0x2061 && c <= 0x2064);
}

/* Words with Latin letters and ones that only look so, and invisible characters. */
static void count_unicode(struct slice s, int32_t *lookalike, int32_t *invisible)
{
    bool latin = false, alike = false, other = false;
    for (size_t i = 0; i <= s.n;) {
        uint32_t c = ' ';
        size_t n = 1;
        if (i < s.n && (uint8_t)s.p[i] < 128)
            c = (uint8_t)s.p[i];
        else if (i < s.n && (n = utf8_char(slice_sub(s, i, s.n), &c)) == 0)
            n = 1;
        i += n;
        if (c < 128 && !is_letter((char)c)) {
            *lookalike += latin && alike && !other;
            latin = alike = other = false;
        } else if (c < 128)
            latin = true;
        else if (is_invisible(c))
            ++*invisible;
        else if (looks_latin(c))
            alike = true;
        else
            other = c < 0xC0 || c > 0x24F; /* a word with real letters of another script is a real word of it */
    }
}

/* "V.I.A.G.R.A", "l o a n s": five letters or more with one sign between each. The alphabet is none: indexes are set so. */
static size_t gapped_word(struct slice s, size_t at)
{
    char gap = at + 1 < s.n ? s.p[at + 1] : 0;
    size_t letters = 1, falling = 0, i = at;
    if (!strchr(" .-_*|'", gap) || !gap)
        return 0;
    while (i + 2 < s.n && s.p[i + 1] == gap && is_letter(s.p[i + 2]) && (i + 3 >= s.n || !is_letter(s.p[i + 3]))) {
        falling += ascii_lower(s.p[i + 2]) <= ascii_lower(s.p[i]);
        i += 2;
        letters++;
    }
    return letters >= 5 && falling ? i + 1 - at : 0;
}

/* "V1agra", "m0rtgage", "fr@e": a letter, one sign that could be a letter, and letters. Not "a1", "MP3", "2nd". */
static bool broken_word(struct slice w)
{
    size_t letters = 0, signs = 0;
    if (w.n < 5 || !is_letter(w.p[0]) || !is_letter(w.p[w.n - 1]))
        return false;
    for (size_t i = 0; i < w.n; i++) {
        bool sign = strchr("0134@$!|5", w.p[i]) != NULL;
        if (sign && !(w.p[i - 1] >= 'a' && w.p[i - 1] <= 'z') && !(w.p[i + 1] >= 'a' && w.p[i + 1] <= 'z'))
            return false;
        signs += sign;
        letters += w.p[i] >= 'a' && w.p[i] <= 'z';
        if (!sign && !is_letter(w.p[i]))
            return false;
    }
    return signs == 1 && letters + 2 >= w.n;
}

static void take_word(struct facts *f, struct slice w)
{
    struct letters l = count_letters(w);
    f->n[FACT_TEXT_WORDS]++;
    f->n[FACT_TEXT_SHOUTED] += l.upper >= 4 && l.lower == 0;
    while (w.n && !is_letter(w.p[w.n - 1]) && !is_digit(w.p[w.n - 1]))
        w.n--;
    f->n[FACT_TEXT_BROKEN] += broken_word(w);
}

/* "$49", "$1,000", "10 million dollars", EUR 5 */
static bool money(struct slice s, size_t at)
{
    if (s.p[at] == '$')
        return at + 1 < s.n && is_digit(s.p[at + 1] == ' ' && at + 2 < s.n ? s.p[at + 2] : s.p[at + 1]);
    struct slice rest = slice_sub(s, at, s.n);
    return slice_starts(rest, SLICE("€")) || slice_starts(rest, SLICE("£")) || slice_starts(rest, SLICE("USD ")) ||
        slice_starts(rest, SLICE("EUR ")) || slice_starts(rest, SLICE("US$"));
}

static void take_lines(struct facts *f, struct slice text)
{
    struct slice line;
    while (text.n) {
        slice_cut(&text, '\n', &line);
        line = slice_trim_blanks(line);
        f->n[FACT_TEXT_QUOTED] += line.n > 1 && (line.p[0] == '>' || line.p[0] == '|');
    }
}

void facts_take_text(struct facts *f, const struct content_message *m)
{
    struct slice t = m->text;
    struct letters l = count_letters(t), s = count_letters(m->subject);
    f->n[FACT_TEXT_BYTES] = (int32_t)t.n;
    f->n[FACT_TEXT_UPPER] = percent(l.upper, l.upper + l.lower);
    f->n[FACT_SUBJECT_BYTES] = (int32_t)m->subject.n;
    f->n[FACT_SUBJECT_LETTERS] = s.upper + s.lower;
    f->n[FACT_SUBJECT_UPPER] = percent(s.upper, s.upper + s.lower);
    count_unicode(m->subject, &f->n[FACT_SUBJECT_LOOKALIKE], &f->n[FACT_SUBJECT_INVISIBLE]);
    count_unicode(t, &f->n[FACT_TEXT_LOOKALIKE], &f->n[FACT_TEXT_INVISIBLE]);
    for (size_t i = 0, begin = 0, gapped_to = 0; i <= t.n; i++) {
        char c = i < t.n ? t.p[i] : ' ';
        bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
        if (i < t.n && !blank && (i == 0 || !is_letter(t.p[i - 1])) && is_letter(c) && i >= gapped_to) {
            size_t n = gapped_word(t, i);
            f->n[FACT_TEXT_GAPPED] += n > 0;
            gapped_to = i + n;
        }
        f->n[FACT_TEXT_EXCLAMATIONS] += c == '!';
        f->n[FACT_TEXT_MONEY] += (c == '$' || c == 'U' || c == 'E' || (uint8_t)c >= 0xC2) && i < t.n && money(t, i);
        if (!blank)
            continue;
        if (i > begin)
            take_word(f, slice_sub(t, begin, i));
        begin = i + 1;
    }
    take_lines(f, t);
}
