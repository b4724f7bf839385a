/* SPDX-License-Identifier: Apache-2.0
 * DMARC policy records: read leniently behind a version that must be exact (RFC 7489 §6.3; RFC 9989 §4.7). */
#include "mailauth/dmarc_record.h"

/* What is behind "v=DMARC1" and its separator; false: no DMARC record. The ABNF of RFC 7489 §6.4 has no blank before
 * the "v", its literal is without letter case, and the version is given in bytes: exact. */
static bool take_version(struct slice *text)
{
    struct slice s = *text;
    if (!s.n || ascii_lower(s.p[0]) != 'v') return false;
    s = slice_trim_blanks(slice_sub(s, 1, s.n));
    if (!s.n || s.p[0] != '=') return false;
    s = slice_trim_blanks(slice_sub(s, 1, s.n));
    if (!slice_starts(s, SLICE("DMARC1"))) return false;
    s = slice_trim_blanks(slice_sub(s, 6, s.n));
    if (s.n && s.p[0] != ';') return false; /* "DMARC10", "DMARC1 p=none" */
    *text = slice_sub(s, 1, s.n);
    return true;
}

bool dmarc_record_is(struct slice text)
{
    return take_version(&text);
}

static bool read_policy(struct slice s, enum dmarc_policy *out)
{
    for (enum dmarc_policy p = DMARC_ASK_NONE; p <= DMARC_ASK_REJECT; p++) {
        if (!slice_ieq(s, slice_str(dmarc_policy_name(p)))) continue;
        *out = p;
        return true;
    }
    return false;
}

static bool is_alpha(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_one_of(char c, const char *set) { return c && strchr(set, c); }

/* One URI of rua= (RFC 3986 §3): a scheme and something behind it, of the bytes that may be in one; mailto: with an
 * address. The size that RFC 7489 §6.2 lets follow ("!10m") is no part of it. */
static bool is_uri(struct slice s)
{
    struct slice scheme, size = { NULL, 0 };
    ptrdiff_t mark = slice_find(s, '!');
    if (mark >= 0) {
        size = slice_sub(s, (size_t)mark + 1, s.n);
        s = slice_sub(s, 0, (size_t)mark);
        if (size.n > 1 && is_one_of(ascii_lower(size.p[size.n - 1]), "kmgt")) size.n--;
        if (!size.n) return false;
        for (size_t i = 0; i < size.n; i++)
            if (!is_digit(size.p[i])) return false;
    }
    if (!slice_cut(&s, ':', &scheme) || !scheme.n || !is_alpha(scheme.p[0]) || !s.n) return false;
    for (size_t i = 0; i < scheme.n; i++)
        if (!is_alpha(scheme.p[i]) && !is_digit(scheme.p[i]) && !is_one_of(scheme.p[i], "+-.")) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || is_one_of(s.p[i], "\"<>\\^`{|}")) return false;
    ptrdiff_t at = slice_find(s, '@');
    return !slice_ieq(scheme, SLICE("mailto")) || (at > 0 && (size_t)at + 1 < s.n);
}

static bool has_uri(struct slice list)
{
    while (list.n) {
        struct slice one;
        slice_cut(&list, ',', &one);
        if (is_uri(slice_trim_blanks(one))) return true;
    }
    return false;
}

enum tag { TAG_P, TAG_SP, TAG_NP, TAG_ADKIM, TAG_ASPF, TAG_PCT, TAG_T, TAG_PSD, TAG_RUA, TAG_N };

static enum tag tag_of(struct slice name)
{
    static const char *const names[TAG_N] = { "p", "sp", "np", "adkim", "aspf", "pct", "t", "psd", "rua" };
    for (size_t i = 0; i < TAG_N; i++)
        if (slice_ieq(name, slice_str(names[i]))) return (enum tag)i;
    return TAG_N; /* "unknown tags MUST be ignored" (§6.3) */
}

/* Values of the tags we use, NULL p where there is none. What is no "tag=value" is passed over, as the syntax errors
 * behind the version are to be (§6.3); of a tag that is there twice the first counts. */
static void split(struct slice text, struct slice values[TAG_N])
{
    while (text.n) {
        struct slice one, name;
        slice_cut(&text, ';', &one);
        if (!slice_cut(&one, '=', &name)) continue;
        enum tag tag = tag_of(slice_trim_blanks(name));
        if (tag == TAG_N || values[tag].p) continue;
        struct slice value = slice_trim_blanks(one);
        values[tag] = value.n ? value : slice_of("", 0);
    }
}

static bool is_letter(struct slice s, char letter)
{
    return s.n == 1 && ascii_lower(s.p[0]) == letter;
}

static void read_policies(const struct slice values[TAG_N], bool tree, struct dmarc_record *r)
{
    const struct slice p = values[TAG_P], sp = values[TAG_SP], np = values[TAG_NP];
    bool good = true;
    r->p = DMARC_ASK_NONE;
    r->has_p = p.p ? read_policy(p, &r->p) : tree; /* RFC 9989 §4.7: as if it included "p=none" */
    r->sp = r->p;
    if (sp.p && !read_policy(sp, &r->sp)) good = false;
    r->np = r->sp; /* RFC 9091 §3.2, RFC 9989 §4.7: then that of sp= */
    if (np.p && !read_policy(np, &r->np)) good = false;
    r->usable = true;
    if (r->has_p && good) return;
    /* RFC 7489 §6.6.3 step 6, RFC 9989 §4.10.1: no valid p=, or an sp= or np= that is not valid. Somebody who wants
     * reports is at the beginning of a roll-out: as if p=none. Otherwise there is no DMARC for this message. */
    r->p = r->sp = r->np = DMARC_ASK_NONE;
    r->usable = r->has_p = has_uri(r->rua);
}

void dmarc_record_parse(struct slice text, bool tree, struct dmarc_record *out)
{
    struct slice values[TAG_N] = { 0 };
    uint64_t pct;
    *out = (struct dmarc_record){ .pct = 100, .psd = 'u' };
    if (!take_version(&text)) return;
    split(text, values);
    out->rua = values[TAG_RUA];
    read_policies(values, tree, out);
    out->adkim_strict = is_letter(values[TAG_ADKIM], 's');
    out->aspf_strict = is_letter(values[TAG_ASPF], 's');
    /* RFC 9989 has no pct= any more (appendix A.6): for it that is an unknown tag. */
    if (!tree && values[TAG_PCT].n <= 3 && slice_to_u64(values[TAG_PCT], 100, &pct)) out->pct = (unsigned)pct;
    out->testing = is_letter(values[TAG_T], 'y');
    if (is_letter(values[TAG_PSD], 'y')) out->psd = 'y';
    if (is_letter(values[TAG_PSD], 'n')) out->psd = 'n';
}
