/* SPDX-License-Identifier: Apache-2.0
 * Text of header fields: unfolded, encoded words decoded (RFC 2047), as readers do it: also where the standard forbids them, within
 * quotes and parameters, without blanks around them, and with blanks in them. */
#include <string.h>
#include "base/utf8.h"
#include "content/message_internal.h"

#define WORD_MAX 4096 /* RFC 2047 §2 has 75 */

struct slice message_unfold(struct arena *arena, struct slice raw)
{
    raw = slice_trim(raw);
    if (!raw.n || (!memchr(raw.p, '\n', raw.n) && !memchr(raw.p, '\r', raw.n))) return raw;
    char *out = arena_alloc(arena, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++)
        if (raw.p[i] != '\r' && raw.p[i] != '\n') out[n++] = raw.p[i];
    return slice_of(out, n);
}

struct word {
    struct slice charset, text;
    bool base64;
    size_t n;                    /* bytes of it all */
};

/* Is there an encoded word at the start of s? "=?charset*language?B?text?=" *no_end: up to here no end is, as earlier looks found. */
static bool word_at(struct slice s, struct word *out, const char **no_end)
{
    struct slice rest = slice_sub(s, 2, s.n), encoding, charset;
    if (!slice_cut(&rest, '?', &charset) || charset.n > 60 || slice_find(charset, ' ') >= 0) return false;
    if (!slice_cut(&rest, '?', &encoding)) return false;
    encoding = slice_trim_blanks(encoding);
    if (encoding.n != 1 || (ascii_lower(encoding.p[0]) != 'b' && ascii_lower(encoding.p[0]) != 'q')) return false;
    struct slice near = slice_sub(rest, *no_end > rest.p ? (size_t)(*no_end - rest.p) : 0, WORD_MAX);
    const char *end = near.n ? memmem(near.p, near.n, "?=", 2) : NULL;
    if (!end) {
        if (near.n) *no_end = near.p + near.n - 1;
        return false;
    }
    struct slice language = charset;
    slice_cut(&language, '*', &out->charset); /* RFC 2231 §5 */
    out->text = slice_of(rest.p, (size_t)(end - rest.p));
    out->base64 = ascii_lower(encoding.p[0]) == 'b';
    out->n = (size_t)(end + 2 - s.p);
    return true;
}

/* Decoded words of one charset that follow each other are one text: senders cut characters in two. */
struct decoder {
    struct arena *arena;
    struct buf out, run;
    struct slice charset;
    bool behind_word;
};

static void end_run(struct decoder *d)
{
    if (d->run.n) message_charset_add(d->charset, buf_slice(&d->run), &d->out);
    buf_clear(&d->run);
}

static void take_word(struct decoder *d, const struct word *w)
{
    if (!slice_ieq(d->charset, w->charset)) end_run(d);
    d->charset = w->charset;
    buf_add(&d->run, w->base64 ? message_decode_base64(d->arena, w->text).data : message_decode_quoted(d->arena, w->text, true));
    d->behind_word = true;
}

/* What stands between words: blanks alone are nothing (RFC 2047 §6.2). */
static void take_plain(struct decoder *d, struct slice s, bool word_follows)
{
    if (!s.n || (d->behind_word && word_follows && slice_trim(s).n == 0)) return;
    end_run(d);
    message_charset_add(SLICE(""), s, &d->out);
    d->behind_word = false;
}

struct slice message_words(struct arena *arena, struct slice text)
{
    bool plain_ascii = utf8_ascii(text) && !(text.n && memchr(text.p, '\033', text.n));
    if (plain_ascii && (text.n < 8 || !memmem(text.p, text.n, "=?", 2))) return text;
    struct decoder d = { .arena = arena };
    size_t plain = 0;
    const char *no_end = text.p;
    for (size_t i = 0; i + 1 < text.n;) {
        struct word w;
        const char *at = memmem(text.p + i, text.n - i, "=?", 2);
        if (!at) break;
        i = (size_t)(at - text.p);
        if (!word_at(slice_sub(text, i, text.n), &w, &no_end)) {
            i += 2;
            continue;
        }
        take_plain(&d, slice_sub(text, plain, i), true);
        take_word(&d, &w);
        plain = i += w.n;
    }
    take_plain(&d, slice_sub(text, plain, text.n), false);
    end_run(&d);
    buf_deinit(&d.run);
    return buf_keep(&d.out, arena);
}
