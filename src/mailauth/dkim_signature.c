/* SPDX-License-Identifier: Apache-2.0
 * The tags of a signature (RFC 6376 §3.5; RFC 8617 §4.1.2, §4.1.3 for those of ARC) and what they say about it. */
#include "base/mem.h"
#include "base/utf8.h"
#include "mailauth/dkim_parts.h"
#include "smtp/address.h"

#define DNS_NAME_MAX 253     /* of a name in DNS */
#define FUTURE_MAX 86400 /* seconds: clocks that are wrong by their time zone are many */

struct reading {
    enum dkim_kind kind;
    const struct dkim_options *o;
    struct arena *arena;
    struct tags tags;
    struct dkim_parts *p;
};

bool dkim_parts_set(struct dkim_parts *p, enum dkim_result result, const char *reason)
{
    p->s.result = result;
    p->s.reason = reason;
    return false;
}

/* RFC 8601 §2.7.1: what has errors of syntax, or cannot be processed, is neutral. */
static bool unclear(struct dkim_parts *p, const char *reason) { return dkim_parts_set(p, DKIM_NEUTRAL, reason); }

static bool read_version(struct reading *r)
{
    if (r->kind != DKIM_SIGNATURE_FIELD) return true; /* RFC 8617 §4.1.2: ARC has no v= */
    struct slice v = tags_get(&r->tags, "v");
    if (!v.p) return unclear(r->p, "there is no v=");
    return slice_eq(v, SLICE("1")) || unclear(r->p, "v= is not 1");
}

/* The grammar wants two labels and no final dot in d= (§3.5); no verifier insists, and the name in DNS is the same. */
static bool read_domain(struct reading *r, const char *tag, bool final_dot, struct slice *out)
{
    char name[256];
    struct slice value = tags_get(&r->tags, tag);
    if (final_dot && value.n > 1 && value.p[value.n - 1] == '.') value.n--;
    if (!value.n || value.p[value.n - 1] == '.' || !address_domain_ascii(value, name)) return false; /* RFC 8616 §4 */
    *out = arena_slice(r->arena, slice_str(name));
    return true;
}

static bool read_names(struct reading *r)
{
    struct dkim_parts *p = r->p;
    if (!read_domain(r, "d", true, &p->s.domain))
        return unclear(p, tags_get(&r->tags, "d").p ? "d= is malformed" : "there is no d=");
    if (!read_domain(r, "s", false, &p->s.selector))
        return unclear(p, tags_get(&r->tags, "s").p ? "s= is malformed" : "there is no s=");
    /* RFC 6376 §3.6.2.1 */
    p->query =
        slice_str(arena_printf(r->arena, "%.*s._domainkey.%.*s", SLICE_ARG(p->s.selector), SLICE_ARG(p->s.domain)));
    return p->query.n <= DNS_NAME_MAX || unclear(p, "the name of its key is too long");
}

static bool read_algorithm(struct reading *r)
{
    struct dkim_parts *p = r->p;
    struct slice a = tags_get(&r->tags, "a");
    p->s.algorithm = a;
    if (!a.n) return unclear(p, "there is no a=");
    if (slice_eq(a, SLICE("rsa-sha1")))
        return dkim_parts_set(p, DKIM_PERMERROR, "rsa-sha1 proves nothing any more"); /* RFC 8301 §3.1 */
    if (slice_eq(a, SLICE("rsa-sha256"))) {
        p->type = DKIM_RSA;
    } else if (slice_eq(a, SLICE("ed25519-sha256"))) { /* RFC 8463 §3 */
        p->type = DKIM_ED25519;
    } else {
        p->s.algorithm = SLICE("");
        return unclear(p, "the algorithm (a=) is not known");
    }
    return true;
}

/* What stands between b='s "=" and the next ";" is taken out when the field is hashed (§3.5, §3.7). */
static struct slice around(struct slice value, struct slice raw)
{
    const char *from = value.p, *to = value.p + value.n;
    while (from > raw.p && from[-1] != '=') from--;
    while (to < raw.p + raw.n && *to != ';') to++;
    return slice_of(from, (size_t)(to - from));
}

static bool read_signature(struct reading *r)
{
    struct dkim_parts *p = r->p;
    struct slice b = tags_get(&r->tags, "b");
    if (!b.n) return unclear(p, "there is no b=");
    p->cut = around(b, p->field->raw);
    p->s.b = tags_packed(&r->tags, "b", r->arena);
    if (p->s.b.n > DKIM_SIGNATURE_MAX * 2 || !dkim_base64(p->s.b, r->arena, &p->signature)) {
        p->s.b = SLICE("");
        return unclear(p, "b= is not base64");
    }
    return true;
}

static bool read_hash(struct reading *r)
{
    struct slice bh = tags_packed(&r->tags, "bh", r->arena);
    if (!bh.n) return unclear(r->p, "there is no bh=");
    if (bh.n > 64 || !dkim_base64(bh, r->arena, &r->p->hash) || r->p->hash.n != AUTH_DIGEST_N)
        return unclear(r->p, "bh= is no SHA-256 hash");
    return true;
}

static bool read_canon(struct reading *r)
{
    struct slice c = tags_get(&r->tags, "c"), head;
    if (!c.p) return true; /* simple/simple */
    bool both = slice_cut(&c, '/', &head), relaxed = slice_eq(head, SLICE("relaxed")),
         body = slice_eq(c, SLICE("relaxed"));
    if ((!relaxed && !slice_eq(head, SLICE("simple"))) || (both && !body && !slice_eq(c, SLICE("simple"))))
        return unclear(r->p, "the canonical form (c=) is not known");
    r->p->s.header_canon = relaxed ? AUTH_RELAXED : AUTH_SIMPLE;
    r->p->s.body_canon = body ? AUTH_RELAXED : AUTH_SIMPLE;
    return true;
}

static bool is_field_name(struct slice s) /* RFC 5322 §3.6.8 */
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 33 || s.p[i] > 126) return false;
    return s.n > 0;
}

static bool read_headers(struct reading *r)
{
    struct dkim_parts *p = r->p;
    struct slice h = tags_get(&r->tags, "h"), one;
    if (!h.n) return unclear(p, "there is no h=");
    size_t n = 1;
    for (size_t i = 0; i < h.n; i++) n += h.p[i] == ':';
    if (n > DKIM_NAMES_MAX) return dkim_parts_set(p, DKIM_POLICY, "h= has too many names");
    p->names = arena_alloc(r->arena, n * sizeof *p->names);
    for (bool more = true; more;) {
        more = slice_cut(&h, ':', &one);
        one = slice_trim(one);
        if (!one.n) continue; /* "a::b" is no list by §3.5, but names no field either */
        if (!is_field_name(one)) return unclear(p, "h= is malformed");
        if (r->kind == DKIM_ARC_MESSAGE_FIELD && slice_ieq(one, SLICE("ARC-Seal")))
            return unclear(p, "h= has ARC-Seal in it"); /* RFC 8617 §4.1.2 */
        if (slice_ieq(one, SLICE("From"))) p->s.covers_from = true;
        p->names[p->names_n++] = one;
    }
    p->s.headers = tags_packed(&r->tags, "h", r->arena);
    /* RFC 6376 §6.1.1: PERMFAIL */
    return p->s.covers_from || dkim_parts_set(p, DKIM_PERMERROR, "From is not signed");
}

/* dkim-quoted-printable (§2.11), folds taken out. */
static bool decode_quoted(struct slice in, char *to, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
        if (c == '=') {
            int high = i + 2 < in.n ? ascii_hex(in.p[i + 1]) : -1, low = i + 2 < in.n ? ascii_hex(in.p[i + 2]) : -1;
            if (high < 0 || low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f) return false;
        to[(*n)++] = c;
    }
    return true;
}

static bool read_identity(struct reading *r)
{
    struct dkim_parts *p = r->p;
    struct slice i = tags_get(&r->tags, "i");
    char domain[256];
    if (!i.p || r->kind != DKIM_SIGNATURE_FIELD) return true;
    char *to = arena_alloc(r->arena, i.n + 1);
    size_t n;
    if (!decode_quoted(i, to, &n) || !utf8_clean(slice_of(to, n))) return unclear(p, "i= is malformed");
    size_t at = n;
    while (at && to[at - 1] != '@') at--;
    if (!at || !address_domain_ascii(slice_of(to + at, n - at), domain)) return unclear(p, "i= is malformed");
    struct slice d = slice_str(domain);
    bool within = slice_eq(d, p->s.domain) ||
                  (slice_iends(d, p->s.domain) && d.n > p->s.domain.n && d.p[d.n - p->s.domain.n - 1] == '.');
    if (!within) return dkim_parts_set(p, DKIM_PERMERROR, "i= is outside of d="); /* §6.1.1 */
    p->s.identity = slice_str(arena_printf(r->arena, "%.*s%s", (int)at, to, domain));
    return true;
}

static bool read_length(struct reading *r)
{
    struct slice l = tags_get(&r->tags, "l");
    if (!l.p) return true;
    for (size_t i = 0; i < l.n; i++)
        if (l.p[i] < '0' || l.p[i] > '9') return unclear(r->p, "l= is malformed");
    if (!l.n || l.n > 76) return unclear(r->p, "l= is malformed");
    if (!slice_to_u64(l, UINT64_MAX - 1, &r->p->s.length)) r->p->s.length = UINT64_MAX - 1; /* longer than any body */
    return true;
}

static bool read_method(struct reading *r)
{
    struct slice q = tags_get(&r->tags, "q"), one;
    for (bool more = q.p != NULL; more;) {
        more = slice_cut(&q, ':', &one);
        if (slice_eq(slice_trim(one), SLICE("dns/txt"))) return true;
        if (!more) return unclear(r->p, "the way to its key (q=) is not known");
    }
    return true;
}

static bool read_number(struct reading *r, const char *tag, uint64_t *out)
{
    struct slice value = tags_get(&r->tags, tag);
    if (!value.p) return true;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < '0' || value.p[i] > '9') return false;
    if (value.n > 12) value = SLICE("999999999999"); /* §3.5: "may consider any value longer than 12 digits to be infinite" */
    return slice_to_u64(value, UINT64_MAX, out);
}

static bool read_times(struct reading *r)
{
    struct dkim_parts *p = r->p;
    uint64_t now = r->o->now / 1000;
    bool x = tags_get(&r->tags, "x").p && r->kind != DKIM_ARC_SEAL_FIELD;
    if (!read_number(r, "t", &p->s.time)) return unclear(p, "t= is malformed");
    if (!x) return true;
    if (!read_number(r, "x", &p->s.expires)) return unclear(p, "x= is malformed");
    if (tags_get(&r->tags, "t").p && p->s.expires <= p->s.time) return unclear(p, "x= is not after t=");
    if (now > p->s.expires) return dkim_parts_set(p, DKIM_POLICY, "the signature has expired");
    return true;
}

static bool check_future(struct reading *r)
{
    /* §3.5: verifiers may ignore signatures from the future. */
    return r->p->s.time <= r->o->now / 1000 + FUTURE_MAX ||
           dkim_parts_set(r->p, DKIM_POLICY, "the signature is from the future");
}

static bool read_arc(struct reading *r)
{
    uint64_t i = 0;
    struct slice value = tags_get(&r->tags, "i");
    if (r->kind == DKIM_SIGNATURE_FIELD) return true;
    if (value.n > 2 || !slice_to_u64(value, ARC_SETS_MAX, &i) || !i) return unclear(r->p, "i= is no instance");
    r->p->instance = (unsigned)i;
    return true;
}

static bool read_seal(struct reading *r)
{
    if (tags_get(&r->tags, "h").p) return unclear(r->p, "it has h="); /* RFC 8617 §4.1.3 */
    r->p->seen = tags_get(&r->tags, "cv");
    return r->p->seen.n || unclear(r->p, "there is no cv=");
}

bool dkim_parts_read(enum dkim_kind kind, const struct auth_field *field, const struct dkim_options *o,
                     struct arena *arena, struct dkim_parts *out)
{
    static bool (*const message[])(struct reading *) = { read_names,     read_version, read_arc,     read_signature,
                                                         read_algorithm, read_canon,   read_headers, read_hash,
                                                         read_identity,  read_length,  read_method,  read_times,
                                                         check_future };
    static bool (*const seal[])(struct reading *) = { read_names,     read_arc,  read_signature,
                                                      read_algorithm, read_seal, read_times };
    bool is_seal = kind == DKIM_ARC_SEAL_FIELD;
    struct reading r = { .kind = kind, .o = o, .arena = arena, .p = out };
    *out = (struct dkim_parts){ .field = field, .wish = -1 };
    struct slice none = SLICE("");
    out->s = (struct dkim_signature){ .domain = none,
                                      .selector = none,
                                      .identity = none,
                                      .algorithm = none,
                                      .b = none,
                                      .headers = none,
                                      .length = UINT64_MAX };
    const char *wrong = tags_parse(field->value, &r.tags);
    if (wrong) return unclear(out, wrong);
    for (size_t i = 0; i < (is_seal ? countof(seal) : countof(message)); i++)
        if (!(is_seal ? seal : message)[i](&r)) return false;
    return true;
}
