/* SPDX-License-Identifier: Apache-2.0
 * What a trusted sealer saw: its ARC-Authentication-Results (RFC 8617 §4.1.1, in the words of RFC 8601 §2.2), read for DMARC. */
#include "policy/message_auth_parts.h"

/* ---- reading results: comments become blanks, quoted strings lose their quotes and what has a meaning outside of them */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static size_t skip_comment(struct slice s, size_t i)
{
    unsigned depth = 0;
    for (; i < s.n; i++) {
        if (s.p[i] == '\\') i++;
        else if (s.p[i] == '(') depth++;
        else if (s.p[i] == ')' && --depth == 0) return i + 1;
    }
    return s.n;
}

static size_t take_quoted(struct slice s, size_t i, struct buf *out)
{
    for (i++; i < s.n && s.p[i] != '"'; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) i++;
        buf_add_char(out, is_blank(s.p[i]) || s.p[i] == ';' || s.p[i] == '=' ? '?' : s.p[i]);
    }
    return i + 1;
}

/* "dmarc=pass header.from=example.org;spf=..." with single blanks, none around "=" and ";". */
static void simplify(struct slice s, struct buf *out)
{
    bool gap = false;
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        if (is_blank(c) || c == '(') {
            gap = true;
            i = c == '(' ? skip_comment(s, i) : i + 1;
            continue;
        }
        bool tight = c == '=' || c == ';' || !out->n || out->p[out->n - 1] == '=' || out->p[out->n - 1] == ';';
        if (gap && !tight) buf_add_char(out, ' ');
        gap = false;
        if (c == '"') {
            i = take_quoted(s, i, out);
        } else {
            buf_add_char(out, c);
            i++;
        }
    }
}

/* Is one result of this method, whatever its version? */
static bool is_result(struct slice one, const char *method, bool *passed)
{
    struct slice word, versioned, name;
    slice_cut(&one, ' ', &word);
    if (!slice_cut(&word, '=', &versioned)) return false;
    slice_cut(&versioned, '/', &name);
    *passed = slice_ieq(word, SLICE("pass"));
    return slice_ieq(name, slice_str(method));
}

/* "": it has none. */
static struct slice property(struct slice one, const char *name)
{
    struct slice word, key;
    while (one.n) {
        slice_cut(&one, ' ', &word);
        if (slice_cut(&word, '=', &key) && slice_ieq(key, slice_str(name))) return word;
    }
    return SLICE("");
}

/* ---- whose they are */

static struct slice domain_of(struct slice address)
{
    struct slice local, rest = address;
    while (slice_cut(&rest, '@', &local)) address = rest;
    return address;
}

/* The author's domain, or one of the same organisation. */
static bool is_authors(const struct dmarc *d, struct slice domain)
{
    if (!domain.n) return false;
    if (slice_ieq(domain, d->author) || slice_ieq(domain, d->organisation)) return true;
    struct slice below = slice_sub(domain, 0, domain.n - d->organisation.n);
    return d->organisation.n && domain.n > d->organisation.n && slice_iends(domain, d->organisation) && below.p[below.n - 1] == '.';
}

/* What it says of DMARC counts; where it says nothing of that, what it says of SPF and DKIM for the author's domain. */
static const char *what_it_saw(struct slice results, const struct dmarc *d)
{
    const char *saw = NULL;
    struct slice one;
    bool passed;
    slice_cut(&results, ';', &one); /* whose results */
    while (results.n) {
        slice_cut(&results, ';', &one);
        if (is_result(one, "dmarc", &passed)) {
            struct slice from = property(one, "header.from");
            return passed && (!from.n || is_authors(d, domain_of(from))) ? "DMARC" : NULL;
        }
        if (is_result(one, "dkim", &passed) && passed && is_authors(d, property(one, "header.d"))) saw = "DKIM";
        if (is_result(one, "spf", &passed) && passed && !saw && is_authors(d, domain_of(property(one, "smtp.mailfrom")))) saw = "SPF";
    }
    return saw;
}

bool arc_excuses(const struct config *c, const struct arc *chain, const struct dmarc *dmarc, struct arc_excuse *out)
{
    bool trusted = false;
    if (chain->result != ARC_PASS || !chain->n) return false;
    const struct arc_set *newest = &chain->sets[chain->n - 1];
    for (size_t i = 0; i < c->checks.arc.sealer_n; i++) trusted |= slice_ieq(newest->seal_domain, slice_str(c->checks.arc.sealers[i]));
    if (!trusted) return false;
    struct buf plain = { 0 };
    simplify(newest->results, &plain);
    *out = (struct arc_excuse){ newest->seal_domain, what_it_saw(buf_slice(&plain), dmarc) };
    buf_deinit(&plain);
    return out->what;
}
