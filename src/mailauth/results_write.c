/* SPDX-License-Identifier: Apache-2.0
 * Words of an Authentication-Results field: tokens, quoted strings and comments in which nobody else has a say (RFC
 * 8601 §2.2). */
#include "mailauth/results_write.h"
#include "smtp/address.h"

#define LINE_WANTED 78           /* RFC 5322 §2.1.1 */
#define COMMENT_MAX 200
#define VALUE_MAX 320

static bool is_printable(char c) { return c >= 0x20 && c < 0x7F; }

static bool is_token_char(char c) /* RFC 2045 §5.1 */
{
    switch (c) {
    case '(': case ')': case '<': case '>': case '@': case ',': case ';': case ':':
    case '\\': case '"': case '/': case '[': case ']': case '?': case '=':
        return false;
    default:
        return c > 0x20 && c < 0x7F;
    }
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char(s.p[i])) return false;
    return s.n > 0;
}

static bool all_printable(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_printable(s.p[i])) return false;
    return true;
}

void results_word(struct results_line *l, struct slice word)
{
    bool fold = l->column > 2 && l->column + 1 + word.n > LINE_WANTED;
    buf_add_str(l->out, fold ? "\r\n\t" : l->column > 1 ? " " : "");
    l->column = (fold ? 1 : l->column + (l->column > 1)) + word.n;
    buf_add(l->out, word);
}

/* Readers there are that look for "; dkim=pass" with a regular expression: parentheses and quoted pairs alone do not
 * keep them off. */
static char harmless(char c)
{
    switch (c) {
    case '(': case '[': case '{': case '<': return '[';
    case ')': case ']': case '}': case '>': return ']';
    case ';': return ',';
    case '=': return ':';
    case '"': return '\'';
    case '\\': return '/';
    default: return is_printable(c) ? c : '?';
    }
}

void results_comment(struct results_line *l, struct slice text)
{
    char word[COMMENT_MAX + 2];
    size_t n = 0;
    text = slice_trim(slice_sub(text, 0, COMMENT_MAX));
    for (size_t i = 0; i < text.n;) { /* word by word, so that it can be folded */
        if (text.p[i] == ' ') {
            i++;
            continue;
        }
        bool first = n == 0;
        n = 0;
        if (first) word[n++] = '(';
        while (i < text.n && text.p[i] != ' ') word[n++] = harmless(text.p[i++]);
        if (i == text.n) word[n++] = ')';
        results_word(l, slice_of(word, n));
    }
}

void results_value(struct buf *out, struct slice value)
{
    if (is_token(value)) {
        buf_add(out, value);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\') buf_add_char(out, '\\');
        buf_add_char(out, is_printable(value.p[i]) ? value.p[i] : '?');
    }
    buf_add_char(out, '"');
}

static void add_pair(struct results_line *l, const char *name, struct slice value, bool plain)
{
    struct buf b = { 0 };
    buf_add_str(&b, name);
    buf_add_char(&b, '=');
    if (plain)
        buf_add(&b, value);
    else
        results_value(&b, value);
    results_word(l, buf_slice(&b));
    buf_deinit(&b);
}

void results_property(struct results_line *l, const char *name, struct slice value)
{
    if (value.n && value.n <= VALUE_MAX && all_printable(value)) add_pair(l, name, value, false);
}

/* pvalue of RFC 8601 §2.2: [[local-part] "@"] domain-name. A local part of token characters needs no quotes; one of
 * other printable bytes comes in quotes with the whole, and one that is quoted itself, or 8-bit, is left out (§2.2
 * allows it). */
void results_address(struct results_line *l, const char *name, struct slice address)
{
    char ascii[256];
    size_t at = address.n;
    while (at && address.p[at - 1] != '@') at--;
    struct slice domain = slice_sub(address, at, address.n), local = slice_sub(address, 0, at ? at - 1 : 0);
    if (!address_domain_ascii(domain, ascii)) { /* an address literal, say */
        results_property(l, name, domain);
        return;
    }
    struct buf b = { 0 };
    bool shown = at && local.n <= 256 && all_printable(local);
    for (size_t i = 0; i < local.n; i++) shown = shown && !strchr(" \";\\@", local.p[i]);
    if (shown) buf_add(&b, local);
    if (shown) buf_add_char(&b, '@');
    buf_add_str(&b, ascii);
    add_pair(l, name, buf_slice(&b), !shown || !local.n || is_token(local));
    buf_deinit(&b);
}
