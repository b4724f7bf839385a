/* SPDX-License-Identifier: Apache-2.0
 * A list of addresses, read once from left to right. What stands in front of a "<" or ":" is a display name; what stands
 * alone is the address. */
#include "message/mailbox.h"

#define DEPTH_MAX 20 /* of comments in comments */

struct reader {
    struct slice s;
    size_t at;
    char text[MAILBOX_MAX]; /* words and specials since the last separator */
    size_t n, words, ats;
    bool too_long;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Control characters have no place in addresses; NUL has none anywhere. */
static bool is_atom(char c)
{
    return (unsigned char)c >= 0x80 || (c > 0x20 && c < 0x7F && !strchr("()<>[]:;@\\,.\"", c));
}

static void put(struct reader *r, char c)
{
    if (r->n == sizeof r->text) r->too_long = true;
    else r->text[r->n++] = c;
}

static void forget(struct reader *r)
{
    r->n = r->words = r->ats = 0;
    r->too_long = false;
}

/* Blanks and comments. False: a comment is not closed. */
static bool skip_cfws(struct reader *r)
{
    unsigned depth = 0;
    for (; r->at < r->s.n; r->at++) {
        char c = r->s.p[r->at];
        if (c == '(') {
            if (++depth > DEPTH_MAX) return false;
        } else if (depth && c == ')')
            depth--;
        else if (depth && c == '\\')
            r->at++;
        else if (!depth && !is_blank(c))
            break;
    }
    return !depth && r->at <= r->s.n;
}

/* A quoted string or a domain literal, with its ends; line ends of folding are left out. */
static bool take_enclosed(struct reader *r, char end)
{
    put(r, r->s.p[r->at++]);
    for (; r->at < r->s.n; r->at++) {
        char c = r->s.p[r->at];
        if (c == '\r' || c == '\n') continue;
        if (!c || (end == ']' && c == '[')) return false;
        put(r, c);
        if (c == end) {
            r->at++;
            return true;
        }
        if (c == '\\') {
            if (++r->at == r->s.n || (unsigned char)r->s.p[r->at] < 0x20) return false;
            put(r, r->s.p[r->at]);
        }
    }
    return false;
}

/* One word, or a dot, or an at sign. Words in a row are fine in display names only: `words` counts such places. */
static bool take_piece(struct reader *r, bool *behind_word)
{
    char c = r->s.p[r->at];
    bool word = c == '"' || c == '[' || is_atom(c);
    if (word && *behind_word) r->words++;
    *behind_word = word;
    if (c == '"') return take_enclosed(r, '"');
    if (c == '[') return take_enclosed(r, ']');
    if (c == '@') r->ats++;
    if (c == '.' || c == '@') {
        put(r, c);
        r->at++;
        return true;
    }
    if (!word) return false;
    while (r->at < r->s.n && is_atom(r->s.p[r->at])) put(r, r->s.p[r->at++]);
    return true;
}

/* Pieces up to one of the characters of `ends`, or the end of the field. */
static bool take_pieces(struct reader *r, const char *ends, char *end)
{
    bool behind_word = false;
    forget(r);
    for (;;) {
        if (!skip_cfws(r)) return false;
        *end = 0;
        if (r->at == r->s.n) return true;
        *end = r->s.p[r->at];
        if (*end && strchr(ends, *end)) {
            r->at++;
            return true;
        }
        if (!take_piece(r, &behind_word)) return false;
    }
}

static enum mailbox_outcome give(struct reader *r, mailbox_cb *cb, void *arg)
{
    bool is_address = r->n > 2 && r->ats == 1 && !r->words && !r->too_long && r->text[0] != '@' &&
                      r->text[r->n - 1] != '@';
    if (!is_address) return MAILBOX_MALFORMED;
    return cb(arg, slice_of(r->text, r->n)) ? MAILBOX_OK : MAILBOX_STOPPED;
}

/* Behind "<": obs-route (RFC 5322 §4.4) and the address. */
static enum mailbox_outcome take_angle(struct reader *r, mailbox_cb *cb, void *arg)
{
    char end;
    if (!skip_cfws(r)) return MAILBOX_MALFORMED;
    if (r->at < r->s.n && r->s.p[r->at] == '@') {
        if (!take_pieces(r, ":>", &end)) return MAILBOX_MALFORMED; /* no lists of hosts: nobody writes them now */
        if (end != ':') return MAILBOX_MALFORMED;
    }
    if (!take_pieces(r, ">", &end) || end != '>') return MAILBOX_MALFORMED;
    enum mailbox_outcome outcome = give(r, cb, arg);
    if (outcome != MAILBOX_OK) return outcome;
    return skip_cfws(r) ? MAILBOX_OK : MAILBOX_MALFORMED;
}

enum mailbox_outcome mailbox_each(struct slice value, mailbox_cb *cb, void *arg)
{
    struct reader r = { .s = value };
    bool in_group = false;
    while (r.at < r.s.n) {
        char end;
        enum mailbox_outcome outcome = MAILBOX_OK;
        if (!take_pieces(&r, "<,:;", &end)) return MAILBOX_MALFORMED;
        bool bare = r.n > 0;
        if (end == ':') {
            if (in_group || r.ats) return MAILBOX_MALFORMED;
            in_group = true;
            continue;
        }
        if (end == '<') {
            if (r.ats) return MAILBOX_MALFORMED; /* "a@b <c@d>": readers differ about whom it shows */
            outcome = take_angle(&r, cb, arg);
            if (outcome != MAILBOX_OK) return outcome;
            end = r.at < r.s.n ? r.s.p[r.at++] : 0;
            bare = false;
        }
        if (end && end != ',' && end != ';') return MAILBOX_MALFORMED;
        if (bare) outcome = give(&r, cb, arg);
        if (outcome != MAILBOX_OK) return outcome;
        if (end == ';') {
            if (!in_group) return MAILBOX_MALFORMED;
            in_group = false;
        }
    }
    return in_group ? MAILBOX_MALFORMED : MAILBOX_OK;
}
