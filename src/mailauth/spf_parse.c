/* SPDX-License-Identifier: Apache-2.0
 * SPF records: terms, one after the other, by the grammar of RFC 7208 §12. */
#include <arpa/inet.h>
#include "base/mem.h"
#include "mailauth/spf_record.h"

static bool is_alpha(char c) { return (unsigned char)((c | 0x20) - 'a') < 26; }
static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
static bool is_in_name(char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; }

/* toplabel (§7.1): no number, so that an address is not taken for a name. */
static bool is_toplabel(struct slice s)
{
    bool named = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-') return false;
        named |= !is_digit(s.p[i]);
    }
    return named && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

const char *spf_macro_string_check(struct slice s, bool explain)
{
    struct spf_piece piece;
    for (struct slice rest = s; rest.n;) {
        const char *why = rest.p[0] == '%' ? spf_piece_next(&rest, &piece) : NULL;
        if (why) return why;
        while (rest.n && rest.p[0] != '%') {
            char c = rest.p[0];
            if (c < 0x21 || c > 0x7E)
                if (!explain || c != ' ') return "a character that is not allowed"; /* §7.1, macro-literal */
            rest.p++;
            rest.n--;
        }
    }
    return NULL;
}

const char *spf_domain_spec_check(struct slice spec)
{
    if (!spec.n) return "the domain is missing";
    const char *why = spf_macro_string_check(spec, false);
    if (why) return why;
    struct spf_piece piece;
    struct slice tail = spec;
    for (ptrdiff_t at; (at = slice_find(tail, '%')) >= 0;) {
        tail = slice_sub(tail, (size_t)at, tail.n);
        spf_piece_next(&tail, &piece);
        if (piece.letter && strchr("crt", piece.letter)) return "a macro that is for explanations only"; /* §7.2 */
    }
    if (!tail.n) return NULL; /* §7.1, domain-end */
    if (tail.p[tail.n - 1] == '.') tail.n--;
    size_t at = tail.n;
    while (at && tail.p[at - 1] != '.') at--;
    return at && is_toplabel(slice_sub(tail, at, tail.n)) ? NULL : "the domain does not end in a top-level label";
}

/* The digits of a prefix length, without zeros before them (§5.6). */
static bool parse_prefix(struct slice s, unsigned max, uint8_t *out)
{
    unsigned v = 0;
    if (!s.n || s.n > 3 || (s.n > 1 && s.p[0] == '0')) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) return false;
        v = v * 10 + (unsigned)(s.p[i] - '0');
    }
    *out = (uint8_t)v;
    return v <= max;
}

/* Cuts "/digits" off the end of *s; false: there is none. */
static bool cut_prefix(struct slice *s, struct slice *digits)
{
    size_t at = s->n;
    while (at && is_digit(s->p[at - 1])) at--;
    if (!at || at == s->n || s->p[at - 1] != '/') return false;
    *digits = slice_sub(*s, at, s->n);
    s->n = at - 1;
    return true;
}

/* dual-cidr-length (§5.3, §5.4): "/24", "/24//64", "//64". */
static const char *take_prefixes(struct slice *s, struct spf_term *t)
{
    static const char bad[] = "not a prefix length";
    struct slice digits;
    t->prefix4 = 32;
    t->prefix6 = 128;
    if (!cut_prefix(s, &digits)) return NULL;
    if (s->n && s->p[s->n - 1] == '/') {
        if (!parse_prefix(digits, 128, &t->prefix6)) return bad;
        s->n--;
        if (!cut_prefix(s, &digits)) return NULL;
    }
    return parse_prefix(digits, 32, &t->prefix4) ? NULL : bad;
}

/* A domain-spec behind ":", or nothing at all unless one is needed. */
static const char *take_spec(struct slice s, bool needed, struct spf_term *t)
{
    if (!s.n) return needed ? "the domain is missing" : NULL;
    if (s.p[0] != ':') return "an unknown mechanism";
    t->spec = slice_sub(s, 1, s.n);
    return spf_domain_spec_check(t->spec);
}

/* ip4-network: four numbers without zeros before them. */
static bool parse_ip4(struct slice s, uint8_t out[4])
{
    const char *p = s.p, *end = p + s.n;
    for (int i = 0; i < 4; i++) {
        const char *from = p;
        unsigned v = 0;
        while (p < end && p < from + 3 && is_digit(*p)) v = v * 10 + (unsigned)(*p++ - '0');
        if (p == from || v > 255 || (p - from > 1 && *from == '0')) return false;
        if (i < 3 && (p == end || *p++ != '.')) return false;
        out[i] = (uint8_t)v;
    }
    return p == end;
}

static bool parse_ip6(struct slice s, uint8_t out[16])
{
    char text[INET6_ADDRSTRLEN];
    if (s.n >= sizeof text || slice_find(s, 0) >= 0) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(AF_INET6, text, out) == 1; /* RFC 4291 §2.2 */
}

static const char *take_network(struct slice s, struct spf_term *t) /* §5.6 */
{
    bool six = t->kind == SPF_IP6;
    if (!s.n || s.p[0] != ':') return "the address is missing";
    struct slice head = slice_of(s.p + 1, s.n - 1);
    ptrdiff_t at = slice_find(head, '/');
    t->net.prefix = six ? 128 : 32;
    if (at >= 0) {
        s = slice_of(head.p + at + 1, head.n - (size_t)at - 1);
        head.n = (size_t)at;
        if (!parse_prefix(s, six ? 128 : 32, &t->net.prefix)) return "not a prefix length";
    }
    /* Not ip_parse: a mapped address stays one of IPv6, which no client of IPv4 matches (§5). */
    t->net.ip.family = six ? 6 : 4;
    return (six ? parse_ip6(head, t->net.ip.bytes) : parse_ip4(head, t->net.ip.bytes)) ? NULL : "not an IP address";
}

static const char *take_mechanism(struct slice name, struct slice arguments, struct spf_term *t)
{
    static const struct slice known[] = {
        [SPF_ALL] = { "all", 3 }, [SPF_INCLUDE] = { "include", 7 }, [SPF_A] = { "a", 1 },     [SPF_MX] = { "mx", 2 },
        [SPF_PTR] = { "ptr", 3 }, [SPF_EXISTS] = { "exists", 6 },   [SPF_IP4] = { "ip4", 3 }, [SPF_IP6] = { "ip6", 3 },
    };
    size_t i = name.n ? 0 : countof(known);
    while (i < countof(known) && (known[i].n != name.n || *known[i].p != ascii_lower(*name.p) || !slice_ieq(name, known[i]))) i++;
    if (i == countof(known)) return "an unknown mechanism";
    t->kind = (enum spf_kind)i;
    switch (t->kind) {
    case SPF_ALL:
        return arguments.n ? "\"all\" takes no argument" : NULL;
    case SPF_IP4:
    case SPF_IP6:
        return take_network(arguments, t);
    case SPF_A:
    case SPF_MX: {
        const char *why = take_prefixes(&arguments, t);
        return why ? why : take_spec(arguments, false, t);
    }
    default:
        return take_spec(arguments, t->kind != SPF_PTR, t);
    }
}

static const char *take_modifier(struct slice name, struct slice value, struct spf_term *t) /* §6 */
{
    t->kind = slice_ieq(name, SLICE("redirect")) ? SPF_REDIRECT : slice_ieq(name, SLICE("exp")) ? SPF_EXP : SPF_UNKNOWN;
    t->spec = value;
    return t->kind == SPF_UNKNOWN ? spf_macro_string_check(value, false) : spf_domain_spec_check(value);
}

/* A term by its first character that cannot be in a name: "=" makes it a modifier (§4.6.1). */
static const char *parse_term(struct slice s, struct spf_term *t)
{
    static const char marks[] = "+-~?";
    static const enum spf_result results[] = { SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL };
    const char *mark = memchr(marks, s.p[0], sizeof marks - 1);
    *t = (struct spf_term){ .result = mark ? results[mark - marks] : SPF_PASS, .text = s }; /* §4.6.2 */
    if (mark) s = slice_of(s.p + 1, s.n - 1);
    size_t at = s.n && is_alpha(s.p[0]);
    while (at && at < s.n && is_in_name(s.p[at])) at++;
    struct slice name = slice_of(s.p, at), rest = slice_of(s.p + at, s.n - at);
    if (!rest.n || rest.p[0] != '=') return take_mechanism(name, rest, t);
    if (mark || !name.n) return "a modifier with a qualifier or without a name";
    return take_modifier(name, slice_sub(rest, 1, rest.n), t);
}

bool spf_record_is(struct slice text)
{
    return slice_istarts(text, SLICE("v=spf1")) && (text.n == 6 || text.p[6] == ' '); /* §4.5 */
}

bool spf_term_next(struct slice *terms, struct spf_term *out, const char **why)
{
    const char *p = terms->p, *end = p + terms->n;
    while (p < end && *p == ' ') p++;
    if (p == end) return false;
    const char *stop = memchr(p, ' ', (size_t)(end - p));
    if (!stop) stop = end;
    *terms = slice_of(stop, (size_t)(end - stop));
    *why = parse_term(slice_of(p, (size_t)(stop - p)), out);
    return true;
}

const char *spf_record_parse(struct slice text, struct spf_record *out, struct slice *bad)
{
    struct spf_term spare;
    const char *why;
    out->n = 0;
    out->all = false;
    out->redirect = out->exp = slice_of(NULL, 0);
    struct spf_term *t = &out->terms[0];
    struct slice rest = out->rest = slice_sub(text, 6, text.n);
    while (spf_term_next(&rest, t, &why)) {
        struct slice *once = t->kind == SPF_REDIRECT ? &out->redirect : t->kind == SPF_EXP ? &out->exp : NULL;
        *bad = t->text;
        if (why) return why;
        if (once && once->n) return "a modifier that is there twice"; /* §6 */
        if (once) *once = t->spec;
        out->all |= t->kind == SPF_ALL;
        if (t == &spare) continue;
        out->rest = rest;
        t = ++out->n < SPF_TERMS_KEPT ? t + 1 : &spare;
    }
    return NULL;
}
