/* SPDX-License-Identifier: Apache-2.0
 * Charsets to UTF-8. The converters of the C library are loaded once, before a sandbox closes the files they come from, and only
 * those of this table: a name from outside never gets to choose one. One thread at a time. */
#include <errno.h>
#include <iconv.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "content/message_internal.h"

#define JAPANESE "EUC-JP-MS"  /* ISO-2022-JP is turned into it, as it knows the vendors' characters that mail has */
#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* What a name stands for, by the widest set that goes by it: mail says "gb2312" and means GB 18030. */
static const struct { const char *name, *charset; } aliases[] = {
    { "iso-8859-2", "ISO-8859-2" }, { "latin2", "ISO-8859-2" }, { "iso-8859-3", "ISO-8859-3" }, { "iso-8859-4", "ISO-8859-4" },
    { "iso-8859-5", "ISO-8859-5" }, { "iso-8859-6", "ISO-8859-6" }, { "iso-8859-7", "ISO-8859-7" }, { "iso-8859-8", "ISO-8859-8" },
    { "iso-8859-8-i", "ISO-8859-8" }, { "iso-8859-9", "CP1254" }, { "iso-8859-10", "ISO-8859-10" }, { "iso-8859-11", "CP874" },
    { "iso-8859-13", "ISO-8859-13" }, { "iso-8859-14", "ISO-8859-14" }, { "iso-8859-15", "ISO-8859-15" }, { "latin-9", "ISO-8859-15" },
    { "iso-8859-16", "ISO-8859-16" }, { "windows-1250", "CP1250" }, { "cp1250", "CP1250" }, { "windows-1251", "CP1251" },
    { "cp1251", "CP1251" }, { "cp-1251", "CP1251" }, { "win-1251", "CP1251" }, { "windows-1253", "CP1253" }, { "windows-1254", "CP1254" },
    { "windows-1255", "CP1255" }, { "windows-1256", "CP1256" }, { "windows-1257", "CP1257" }, { "windows-1258", "CP1258" },
    { "windows-874", "CP874" }, { "tis-620", "CP874" }, { "koi8-r", "KOI8-R" }, { "koi8r", "KOI8-R" }, { "koi8-u", "KOI8-U" },
    { "ibm866", "CP866" }, { "cp866", "CP866" }, { "x-mac-cyrillic", "MAC-CYRILLIC" }, { "macintosh", "MACINTOSH" },
    { "x-mac-roman", "MACINTOSH" },
    { "iso-2022-jp", JAPANESE }, { "iso-2022-jp-1", JAPANESE }, { "iso-2022-jp-2", JAPANESE },
    { "iso-2022-jp-3", "ISO-2022-JP-3" }, { "iso-2022-jp-ms", JAPANESE }, { "cp50220", JAPANESE }, { "cp50221", JAPANESE },
    { "csiso2022jp", JAPANESE },
    { "shift_jis", "CP932" }, { "shift-jis", "CP932" }, { "sjis", "CP932" }, { "x-sjis", "CP932" },
    { "ms_kanji", "CP932" }, { "cp932", "CP932" },
    { "windows-31j", "CP932" }, { "ms932", "CP932" }, { "euc-jp", "EUC-JP-MS" }, { "x-euc-jp", "EUC-JP-MS" }, { "eucjp", "EUC-JP-MS" },
    { "gb2312", "GB18030" }, { "gbk", "GB18030" }, { "x-gbk", "GB18030" }, { "gb18030", "GB18030" },
    { "euc-cn", "GB18030" }, { "cp936", "GB18030" },
    { "gb_2312-80", "GB18030" }, { "chinesesimplified", "GB18030" }, { "hz-gb-2312", "GB18030" },
    { "big5", "BIG5-HKSCS" }, { "big-5", "BIG5-HKSCS" }, { "x-x-big5", "BIG5-HKSCS" },
    { "cn-big5", "BIG5-HKSCS" }, { "big5-hkscs", "BIG5-HKSCS" },
    { "cp950", "BIG5-HKSCS" }, { "euc-tw", "EUC-TW" }, { "euc-kr", "CP949" }, { "ks_c_5601-1987", "CP949" }, { "ks_c_5601", "CP949" },
    { "ksc5601", "CP949" }, { "cp949", "CP949" }, { "uhc", "CP949" }, { "windows-949", "CP949" }, { "iso-2022-kr", "ISO-2022-KR" },
    { "utf-7", "UTF-7" }, { "unicode-1-1-utf-7", "UTF-7" }, { "utf-16", "UTF-16" }, { "utf-16le", "UTF-16LE" }, { "utf-16be", "UTF-16BE" },
    { "utf-32", "UTF-32" }, { "utf-32le", "UTF-32LE" }, { "utf-32be", "UTF-32BE" },
};
static iconv_t converters[countof(aliases)]; /* 0: not there; names of one charset share the first one's */
static bool loaded;

void message_charset_init(void)
{
    if (loaded) return;
    loaded = true;
    for (size_t i = 0; i < countof(aliases); i++) {
        size_t first = 0;
        while (strcmp(aliases[first].charset, aliases[i].charset) != 0) first++;
        iconv_t c = first == i ? iconv_open("UTF-8", aliases[i].charset) : converters[first];
        converters[i] = c == (iconv_t)-1 ? NULL : c;
    }
}

void message_charset_deinit(void)
{
    for (size_t i = 0; i < countof(aliases) && loaded; i++) {
        size_t first = 0;
        while (strcmp(aliases[first].charset, aliases[i].charset) != 0) first++;
        if (first == i && converters[i]) iconv_close(converters[i]);
    }
    memset(converters, 0, sizeof converters);
    loaded = false;
}

void message_buf_fill(struct buf *out, struct slice s)
{
    size_t room = out->max ? out->max - out->n : s.n;
    if (s.n > room) {
        while (room && (s.p[room] & 0xC0) == 0x80) room--;
        s.n = room;
    }
    if (s.n) buf_add(out, s);
}

void message_buf_code(struct buf *out, uint32_t c)
{
    char b[4];
    bool none = c > 0x10FFFF || (c >= 0xD800 && c < 0xE000);
    message_buf_fill(out, slice_of(b, utf8_put(b, none ? 0xFFFD : c)));
}

static bool is_full(const struct buf *out) { return out->max && out->max - out->n < 4; }

static void add_utf8(struct slice s, struct buf *out)
{
    while (s.n && !is_full(out)) {
        size_t n = 0, step;
        uint32_t code;
        while ((step = utf8_char(slice_sub(s, n, s.n), &code)) > 0) n += step;
        message_buf_fill(out, slice_sub(s, 0, n));
        if (n < s.n) message_buf_fill(out, SLICE(REPLACEMENT));
        s = slice_sub(s, n + 1, s.n);
    }
}

static void add_windows_1252(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n && !is_full(out);) {
        size_t from = i;
        while (i < s.n && !(s.p[i] & 0x80)) i++;
        message_buf_fill(out, slice_sub(s, from, i));
        for (; i < s.n && s.p[i] & 0x80; i++) {
            unsigned char c = (unsigned char)s.p[i];
            uint32_t code = utf8_of_1252(c);
            message_buf_code(out, code ? code : c);
        }
    }
}

/* Returns how many bytes made no sense. */
static size_t add_converted(iconv_t c, struct slice s, struct buf *out)
{
    char piece[4096], *from = (char *)(uintptr_t)s.p;
    size_t left = s.n, bad = 0;
    iconv(c, NULL, NULL, NULL, NULL);
    while (left && !is_full(out)) {
        char *to = piece;
        size_t room = sizeof piece;
        size_t r = iconv(c, &from, &left, &to, &room);
        int e = r == (size_t)-1 ? errno : 0;
        message_buf_fill(out, slice_of(piece, sizeof piece - room));
        if (!e || e == E2BIG) continue;
        message_buf_fill(out, SLICE(REPLACEMENT));
        bad++;
        from++;
        left--;
    }
    return bad;
}

/* Japanese text without a charset tells itself by its escapes. */
static struct slice guess(struct slice s)
{
    const char *esc = s.n > 3 ? memchr(s.p, '\033', s.n - 3) : NULL;
    bool japanese = esc && esc[1] == '$' && (esc[2] == 'B' || esc[2] == '@');
    return japanese ? SLICE("iso-2022-jp") : SLICE("");
}

/* ISO-2022-JP (RFC 1468, with katakana, and JIS X 0212 of RFC 2237) as EUC: the same codes, told by their high bits, not by escapes. */
static void add_euc(struct slice s, struct buf *out)
{
    enum { ASCII, TWO_BYTES, KATAKANA, SUPPLEMENT } set = ASCII;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        struct slice rest = slice_sub(s, i, s.n);
        if (c == 033 && rest.n >= 3 && (rest.p[1] == '$' || rest.p[1] == '(')) {
            bool three = rest.p[1] == '$' && rest.p[2] == '(';
            set = three ? SUPPLEMENT : rest.p[1] == '$' ? TWO_BYTES : rest.p[2] == 'I' ? KATAKANA : ASCII;
            i += three ? 3 : 2;
        } else if (c == 0x0E || c == 0x0F) {
            set = c == 0x0E ? KATAKANA : ASCII;
        } else if (c < 0x21 || c > 0x7E || set == ASCII) {
            buf_add_char(out, (char)c);
            if (c == '\n') set = ASCII; /* each line begins in it */
        } else if (set == KATAKANA) {
            buf_add_char(out, '\x8E');
            buf_add_char(out, (char)(c | 0x80));
        } else if (i + 1 < s.n) {
            if (set == SUPPLEMENT) buf_add_char(out, '\x8F');
            buf_add_char(out, (char)(c | 0x80));
            buf_add_char(out, (char)(s.p[++i] | 0x80));
        }
    }
}

static bool is_escaped(struct slice charset)
{
    if (slice_iends(charset, SLICE("-3"))) return false; /* JIS X 0213 has a converter of its own */
    return slice_istarts(charset, SLICE("iso-2022-jp")) || slice_ieq(charset, SLICE("csiso2022jp")) ||
           slice_istarts(charset, SLICE("cp5022"));
}

static bool is_utf8_name(struct slice n) { return slice_ieq(n, SLICE("utf-8")) || slice_ieq(n, SLICE("utf8")); }

void message_charset_add(struct slice charset, struct slice s, struct buf *out)
{
    message_charset_init();
    if (s.n >= 3 && memcmp(s.p, "\xEF\xBB\xBF", 3) == 0) charset = SLICE("utf-8"), s = slice_sub(s, 3, s.n);
    if (s.n >= 2 && (memcmp(s.p, "\xFF\xFE", 2) == 0 || memcmp(s.p, "\xFE\xFF", 2) == 0)) charset = SLICE("utf-16");
    if (!charset.n || slice_ieq(charset, SLICE("us-ascii"))) charset = guess(s);
    if (is_utf8_name(charset)) {
        add_utf8(s, out);
        return;
    }
    for (size_t i = 0; i < countof(aliases); i++) {
        if (!slice_ieq(charset, slice_str(aliases[i].name)) || !converters[i]) continue;
        size_t before = out->n;
        struct buf euc = { 0 };
        if (is_escaped(charset)) add_euc(s, &euc);
        size_t bad = add_converted(converters[i], euc.p ? buf_slice(&euc) : s, out);
        buf_deinit(&euc);
        if (bad * 20 <= s.n || !utf8_ok(s)) return;
        out->n = before; /* the sender lied, or did not know */
        break;
    }
    if (utf8_ok(s)) message_buf_fill(out, s);
    else add_windows_1252(s, out);
}
