/* SPDX-License-Identifier: Apache-2.0
 * Envelope addresses: the grammar of RFC 5321 §4.1.2 and §4.1.3, read from left to right without copying. */
#include "smtp/address.h"
#include "base/ip.h"
#include "base/utf8.h"

#define LOCAL_MAX 64   /* RFC 5321 §4.5.3.1.1 */
#define DOMAIN_MAX 255 /* §4.5.3.1.2 */
#define PATH_MAX_N 256 /* §4.5.3.1.3, with brackets and source route */
#define LABEL_MAX 63   /* RFC 1035 §2.3.4 */

static const char not_utf8[] = "the address holds bytes that are not UTF-8, or control characters";

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_atext(char c) /* RFC 5322 §3.2.3 */
{
    return is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_printable(char c) { return c >= 0x20 && c < 0x7F; }
static bool is_8bit(char c) { return (unsigned char)c >= 0x80; }

/* Each take_... function moves *at behind what it read and returns NULL, or says what is wrong. */

static const char *take_quoted(struct slice s, size_t *at)
{
    size_t i = *at + 1;
    for (; i < s.n && s.p[i] != '"'; i++) {
        bool escaped = s.p[i] == '\\';
        if (escaped && ++i == s.n) break;
        if (!is_printable(s.p[i]) && (escaped || !is_8bit(s.p[i]))) /* no quoted pair of UTF-8: RFC 6531 §3.3 */
            return "a character that is not allowed in the quoted local part";
    }
    if (i >= s.n) return "the quoted local part is not closed";
    *at = i + 1;
    return NULL;
}

static const char *take_dot_string(struct slice s, size_t *at)
{
    size_t i = *at;
    for (;; i++) {
        size_t atom = i;
        while (i < s.n && (is_atext(s.p[i]) || is_8bit(s.p[i]))) i++;
        if (i == atom) {
            return i == *at ? "the local part is missing or begins with a character that is not allowed"
                            : "the local part has a dot at its end or two in a row";
        }
        if (i == s.n || s.p[i] != '.') break;
    }
    *at = i;
    return NULL;
}

static bool literal_ok(struct slice s) /* with its brackets; RFC 5321 §4.1.3 */
{
    struct slice inner = slice_sub(s, 1, s.n - 1);
    struct ip ip;
    if (slice_istarts(inner, SLICE("IPv6:"))) {
        inner = slice_sub(inner, 5, inner.n);
        return slice_find(inner, ':') >= 0 && ip_parse(inner, &ip);
    }
    return slice_find(inner, ':') < 0 && ip_parse(inner, &ip); /* general literals: no tag is registered but IPv6 */
}

bool address_domain_ok(struct slice s, bool need_dot)
{
    size_t label = 0, dots = 0;
    if (s.n == 0 || s.n > DOMAIN_MAX) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool last = i + 1 == s.n || s.p[i + 1] == '.';
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
            dots++;
            continue;
        }
        if (!is_alnum(c) && c != '_' && (c != '-' || label == 0 || last)) return false;
        if (++label > LABEL_MAX) return false;
    }
    return label > 0 && (!need_dot || dots > 0);
}

/* A domain of U-labels: one that has a form in A-labels (RFC 6531 §3.3). */
static const char *check_wide(struct slice s)
{
    char ascii[DOMAIN_MAX + 1];
    if (!utf8_clean(s)) return not_utf8;
    if (s.p[s.n - 1] == '.' || !address_domain_ascii(s, ascii))
        return "the domain is no valid internationalized name (IDNA 2008)";
    return NULL;
}

/* A domain name: the bytes up to the first that cannot be in one. */
static const char *take_name(struct slice s, size_t *at, struct slice *out)
{
    size_t i = *at;
    while (i < s.n && (is_alnum(s.p[i]) || is_8bit(s.p[i]) || (s.p[i] && strchr("-._", s.p[i])))) i++;
    *out = slice_sub(s, *at, i);
    if (out->n > DOMAIN_MAX) return "the domain is longer than 255 octets";
    if (!utf8_ascii(*out)) {
        const char *why = check_wide(*out);
        if (why) return why;
    } else if (!address_domain_ok(*out, false))
        return "the domain is missing or not a valid name";
    *at = i;
    return NULL;
}

static const char *take_domain(struct slice s, size_t *at, struct address *out)
{
    out->kind = ADDRESS_NAME;
    if (*at == s.n || s.p[*at] != '[') return take_name(s, at, &out->domain);
    ptrdiff_t close = slice_find(slice_sub(s, *at, s.n), ']');
    if (close < 0) return "the address literal is not closed";
    out->kind = ADDRESS_LITERAL;
    out->domain = slice_sub(s, *at, *at + (size_t)close + 1);
    if (!literal_ok(out->domain)) return "not a valid address literal";
    *at += out->domain.n;
    return NULL;
}

/* Of a sender that was rewritten on the way. */
static bool is_rewritten(struct slice local)
{
    bool form = local.n > 5 && slice_istarts(local, SLICE("SRS")) && (local.p[3] == '0' || local.p[3] == '1');
    return form && (local.p[4] == '=' || local.p[4] == '+' || local.p[4] == '-') && local.n <= ADDRESS_LOCAL_MAX;
}

/* Mailbox, or with postmaster_ok a lone "postmaster". */
static const char *take_mailbox(struct slice s, size_t *at, bool postmaster_ok, struct address *out)
{
    size_t from = *at;
    const char *why = from < s.n && s.p[from] == '"' ? take_quoted(s, at) : take_dot_string(s, at);
    if (why) return why;
    out->local = slice_sub(s, from, *at);
    if (out->local.n > LOCAL_MAX && !is_rewritten(out->local)) return "the local part is longer than 64 octets";
    if (!utf8_clean(out->local)) return not_utf8;
    if (*at == s.n || s.p[*at] != '@') {
        if (*at < s.n && s.p[*at] != '>') return "a character that is not allowed in the local part";
        if (!postmaster_ok || !slice_ieq(out->local, SLICE("postmaster"))) return "the domain is missing";
        out->kind = ADDRESS_NO_DOMAIN;
        out->domain = slice_of(s.p + *at, 0);
    } else {
        ++*at;
        why = take_domain(s, at, out);
    }
    out->text = slice_sub(s, from, *at);
    out->utf8 = !utf8_ascii(out->text);
    return why;
}

/* A-d-l of RFC 5321 §4.1.2 with its colon: read and forgotten (appendix C: servers should ignore it). */
static const char *skip_source_route(struct slice s, size_t *at)
{
    for (;;) {
        struct slice host;
        if (*at == s.n || s.p[*at] != '@') return "the source route is malformed";
        ++*at;
        const char *why = take_name(s, at, &host);
        if (why) return why;
        if (*at == s.n || !utf8_ascii(host)) return "the source route is malformed";
        char c = s.p[(*at)++];
        if (c == ':') return NULL;
        if (c != ',') return "the source route is malformed";
    }
}

const char *address_parse_path(struct slice *in, bool null_ok, bool postmaster_ok, struct address *out)
{
    struct slice s = *in;
    size_t at = 1;
    const char *why = NULL;
    *out = (struct address){ 0 };
    if (s.n == 0 || s.p[0] != '<') return "the address must be in angle brackets";
    if (null_ok && s.n >= 2 && s.p[1] == '>') {
        out->text = out->local = out->domain = slice_of(s.p + 1, 0);
        *in = slice_sub(s, 2, s.n);
        return NULL;
    }
    if (s.n > 1 && s.p[1] == '@') why = skip_source_route(s, &at);
    if (!why) why = take_mailbox(s, &at, postmaster_ok, out);
    if (why) return why;
    if (at == s.n || s.p[at] != '>') return "the address has no closing bracket or a character that is not allowed";
    if (++at > PATH_MAX_N) return "the address is longer than 256 octets";
    *in = slice_sub(s, at, s.n);
    return NULL;
}

const char *address_parse(struct slice s, struct address *out)
{
    size_t at = 0;
    *out = (struct address){ 0 };
    const char *why = take_mailbox(s, &at, false, out);
    if (why) return why;
    if (at != s.n) return "a character that is not allowed in the domain";
    return s.n > PATH_MAX_N - 2 ? "the address is longer than 254 octets" : NULL;
}

bool address_helo_ok(struct slice s)
{
    if (s.n >= 2 && s.p[0] == '[') return s.p[s.n - 1] == ']' && literal_ok(s);
    return address_domain_ok(s, false);
}

size_t address_local_unquote(struct slice local, char *out)
{
    size_t n = 0;
    if (local.n < 2 || local.p[0] != '"') {
        if (local.n) memcpy(out, local.p, local.n);
        return local.n;
    }
    for (size_t i = 1; i + 1 < local.n; i++) {
        if (local.p[i] == '\\' && i + 2 < local.n) i++;
        out[n++] = local.p[i];
    }
    return n;
}
