/* SPDX-License-Identifier: Apache-2.0
 * Macros of SPF (RFC 7208 §7): read, and expanded into names and explanations. */
#include <stdio.h>
#include "mailauth/spf_record.h"

#define NAME_ROOM 1024 /* of a name that grows: only its last bytes count */
#define PIECES_MAX 512 /* the last so many make a name: nearly all are a byte or more each */

/* ---- reading */

static const char *take_macro(struct slice *s, struct spf_piece *out) /* behind "%{" */
{
    size_t at = 1, end;
    if (!s->n || !(out->letter = ascii_lower(s->p[0])) || !strchr("slodiphcrtv", out->letter)) return "an unknown macro";
    out->escape = out->letter != s->p[0];
    bool digits = false;
    for (; at < s->n && s->p[at] >= '0' && s->p[at] <= '9'; at++) {
        digits = true;
        out->keep = out->keep * 10 + (size_t)(s->p[at] - '0');
        if (out->keep > SIZE_MAX / 32) out->keep = SIZE_MAX / 32; /* more than there ever are: all */
    }
    if (digits && !out->keep) return "a macro that keeps no part"; /* §7.3: nonzero */
    if (at < s->n && ascii_lower(s->p[at]) == 'r') {
        out->reverse = true;
        at++;
    }
    for (end = at; end < s->n && s->p[end] && strchr(".-+,/_=", s->p[end]); end++) {}
    if (end == s->n || s->p[end] != '}') return "a macro that is malformed or not closed";
    out->delimiters = slice_sub(*s, at, end);
    *s = slice_sub(*s, end + 1, s->n);
    return NULL;
}

const char *spf_piece_next(struct slice *s, struct spf_piece *out)
{
    *out = (struct spf_piece){ 0 };
    if (s->p[0] != '%') {
        ptrdiff_t at = slice_find(*s, '%');
        size_t end = at < 0 ? s->n : (size_t)at;
        out->literal = slice_sub(*s, 0, end);
        *s = slice_sub(*s, end, s->n);
        return NULL;
    }
    char second = s->n > 1 ? s->p[1] : 0;
    *s = slice_sub(*s, 2, s->n);
    if (second == '{') return take_macro(s, out);
    out->literal = second == '%' ? SLICE("%") : second == '_' ? SLICE(" ") : SLICE("%20");
    return second == '%' || second == '_' || second == '-' ? NULL : "a \"%\" that begins no macro"; /* §7.1 */
}

bool spf_macro_uses(struct slice s, char letter)
{
    struct spf_piece piece;
    while (s.n)
        if (spf_piece_next(&s, &piece) || piece.letter == letter) return piece.letter == letter;
    return false;
}

bool spf_name_below(struct slice name, struct slice domain)
{
    return slice_iends(name, domain) && (name.n == domain.n || name.p[name.n - domain.n - 1] == '.');
}

/* ---- expanding */

struct target {
    char *p;
    size_t n, room;
    bool tail;                   /* the end counts: what is in front goes when it is full */
};

static void add(struct target *to, struct slice s)
{
    if (to->tail && s.n > to->room / 2) s = slice_sub(s, s.n - to->room / 2, s.n);
    if (to->tail && to->n + s.n > to->room) {
        size_t keep = to->room / 2 < to->n ? to->room / 2 : to->n;
        memmove(to->p, to->p + to->n - keep, keep);
        to->n = keep;
    }
    if (s.n > to->room - to->n) s.n = to->room - to->n;
    if (s.n) memcpy(to->p + to->n, s.p, s.n);
    to->n += s.n;
}

static bool is_unreserved(char c) /* RFC 3986 §2.3 */
{
    return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static void add_value(struct target *to, const struct spf_piece *piece, struct slice s)
{
    if (!piece->escape) {
        add(to, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        static const char digits[] = "0123456789ABCDEF";
        unsigned char c = (unsigned char)s.p[i];
        const char hex[3] = { '%', digits[c >> 4], digits[c & 15] };
        add(to, is_unreserved(s.p[i]) ? slice_sub(s, i, i + 1) : slice_of(hex, sizeof hex));
    }
}

static bool is_delimiter(const struct spf_piece *piece, char c)
{
    return piece->delimiters.n ? slice_find(piece->delimiters, c) >= 0 : c == '.';
}

/* Parts from left to right, joined by dots; of the first `skip` none. */
static void add_parts(struct target *to, const struct spf_piece *piece, struct slice s, size_t skip)
{
    size_t from = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && !is_delimiter(piece, s.p[i])) continue;
        if (skip) {
            skip--;
        } else {
            add_value(to, piece, slice_sub(s, from, i));
            if (i < s.n) add(to, SLICE("."));
        }
        from = i + 1;
    }
}

/* Parts from right to left. The rightmost `keep` of them are the first ones as written. */
static void add_reversed(struct target *to, const struct spf_piece *piece, struct slice s)
{
    size_t end = s.n, n = 0;
    for (size_t i = 0; piece->keep && i < s.n; i++) {
        if (!is_delimiter(piece, s.p[i]) || ++n < piece->keep) continue;
        end = i;
        break;
    }
    for (size_t i = end;; i--) {
        if (i && !is_delimiter(piece, s.p[i - 1])) continue;
        add_value(to, piece, slice_sub(s, i, end));
        if (!i) return;
        add(to, SLICE("."));
        end = i - 1;
    }
}

/* §7.3: split, reversed, cut to the rightmost parts, joined by dots. */
static void transform(struct target *to, const struct spf_piece *piece, struct slice value)
{
    size_t parts = 1;
    if (piece->reverse) {
        add_reversed(to, piece, value);
    } else if (piece->keep || piece->delimiters.n) {
        for (size_t i = 0; i < value.n; i++) parts += is_delimiter(piece, value.p[i]);
        add_parts(to, piece, value, piece->keep && parts > piece->keep ? parts - piece->keep : 0);
    } else
        add_value(to, piece, value);
}

/* %{i}: dotted quad, or 32 nibbles with dots between them (§7.2). */
static struct slice dotted(const struct ip *ip, char out[64])
{
    static const char hex[] = "0123456789abcdef";
    if (ip->family == 4)
        return slice_of(out, (size_t)snprintf(out, 64, "%u.%u.%u.%u", ip->bytes[0], ip->bytes[1], ip->bytes[2], ip->bytes[3]));
    for (size_t i = 0; i < 16; i++) {
        out[i * 4] = hex[ip->bytes[i] >> 4];
        out[i * 4 + 2] = hex[ip->bytes[i] & 15];
        out[i * 4 + 1] = out[i * 4 + 3] = '.';
    }
    return slice_of(out, 63);
}

static struct slice value_of(const struct spf_scope *scope, char letter, char room[64]) /* §7.2 */
{
    const struct spf_input *in = scope->in;
    struct buf text = { 0 };
    switch (letter) {
    case 'l': return scope->local;
    case 'o': return scope->sender_domain;
    case 'd': return scope->domain;
    case 'p': return scope->validated;
    case 'h': return in->helo;
    case 'v': return in->ip.family == 4 ? SLICE("in-addr") : SLICE("ip6");
    case 'r': return in->receiver.n ? in->receiver : SLICE("unknown");
    case 't': return slice_of(room, (size_t)snprintf(room, 64, "%llu", (unsigned long long)(in->now / 1000)));
    case 'c':
        ip_add(&text, &in->ip);
        size_t n = text.n < 64 ? text.n : 64;
        memcpy(room, text.p, n);
        buf_deinit(&text);
        return slice_of(room, n);
    default: return dotted(&in->ip, room);
    }
}

/* %{s} is of two halves: it is put together only where it is asked for. */
static void expand_sender(const struct spf_scope *scope, const struct spf_piece *piece, struct target *to)
{
    struct buf s = { 0 };
    buf_add(&s, scope->local);
    buf_add_char(&s, '@');
    buf_add(&s, scope->sender_domain);
    transform(to, piece, buf_slice(&s));
    buf_deinit(&s);
}

static void expand_piece(const struct spf_scope *scope, const struct spf_piece *piece, struct target *to)
{
    char room[64];
    if (!piece->letter) add(to, piece->literal);
    else if (piece->letter == 's') expand_sender(scope, piece, to);
    else transform(to, piece, value_of(scope, piece->letter, room));
}

static void expand(const struct spf_scope *scope, struct slice s, struct target *to)
{
    struct spf_piece piece;
    while (s.n && !spf_piece_next(&s, &piece)) {
        expand_piece(scope, &piece, to);
        if (!to->tail && to->n == to->room) return;
    }
}

/* The pieces at the end that fill a name. A record may hold tens of thousands, and each evaluation expands them: those in front of them
 * would be cut off again (§7.3). */
static struct slice last_pieces(const struct spf_scope *scope, struct slice spec)
{
    size_t starts[PIECES_MAX], n = 0, length = 0;
    struct spf_piece piece;
    for (struct slice rest = spec; rest.n; n++) {
        starts[n % PIECES_MAX] = spec.n - rest.n;
        if (spf_piece_next(&rest, &piece)) break;
    }
    size_t least = n > PIECES_MAX ? n - PIECES_MAX : 0;
    while (n > least && length < SPF_NAME_MAX + 2) { /* one for the dot at its end, one for the dot before it */
        char room[NAME_ROOM];
        struct target to = { room, 0, sizeof room, true };
        struct slice one = slice_sub(spec, starts[--n % PIECES_MAX], spec.n);
        spf_piece_next(&one, &piece);
        expand_piece(scope, &piece, &to);
        length += to.n;
    }
    return n ? slice_sub(spec, starts[n % PIECES_MAX], spec.n) : spec;
}

size_t spf_expand_name(const struct spf_scope *scope, struct slice spec, char out[SPF_NAME_MAX])
{
    char room[NAME_ROOM];
    struct target to = { room, 0, sizeof room, true };
    expand(scope, spec.n > 64 ? last_pieces(scope, spec) : spec, &to);
    struct slice name = slice_of(room, to.n), label;
    if (name.n && name.p[name.n - 1] == '.') name.n--;
    while (name.n > SPF_NAME_MAX) slice_cut(&name, '.', &label); /* §7.3 */
    if (name.n) memcpy(out, name.p, name.n);
    return name.n;
}

size_t spf_expand_text(const struct spf_scope *scope, struct slice text, char *out, size_t room)
{
    struct target to = { out, 0, room, false };
    expand(scope, text, &to);
    return to.n;
}
