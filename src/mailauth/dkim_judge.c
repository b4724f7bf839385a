/* SPDX-License-Identifier: Apache-2.0
 * A signature against the message and its key (RFC 6376 §6.1.2, §6.1.3). */
#include "mailauth/dkim_parts.h"

#define RSA_MOST 4096u /* RFC 8301 §3.2 demands no more, and the time a stranger can cost us grows with it */

bool dkim_parts_want(struct dkim_parts *p, struct auth_body *body)
{
    p->wish = auth_body_want(body, p->s.body_canon, p->s.length);
    return p->wish >= 0 || dkim_parts_set(p, DKIM_POLICY, "there are too many different body hashes");
}

bool dkim_parts_body(struct dkim_parts *p, const struct auth_body *body)
{
    const uint8_t *digest = auth_body_digest(body, p->wish, &p->s.body);
    bool part = p->s.length != UINT64_MAX;
    if (part && p->s.length > p->s.body) return dkim_parts_set(p, DKIM_FAIL, "l= is larger than the body"); /* §3.5 */
    if (memcmp(digest, p->hash.p, AUTH_DIGEST_N) != 0) return dkim_parts_set(p, DKIM_FAIL, "body hash did not verify");
    return true;
}

void dkim_fields_add(const struct auth_header *h, const struct slice *names, size_t n, const struct auth_field *own,
                     enum auth_canon canon, struct buf *out)
{
    uint8_t taken[AUTH_FIELDS_MAX / 8 + 1] = { 0 };
    if (own) taken[(size_t)(own - h->fields) / 8] |= (uint8_t)(1u << (size_t)(own - h->fields) % 8);
    for (size_t k = 0; k < n; k++) {
        uint32_t hash = auth_name_hash(names[k]);
        for (size_t i = h->n; i-- > 0;) {
            const struct auth_field *f = &h->fields[i];
            if (f->hash != hash || taken[i / 8] >> i % 8 & 1 || !slice_ieq(f->name, names[k])) continue;
            taken[i / 8] |= (uint8_t)(1u << i % 8);
            auth_canon_field(canon, f->raw, out);
            break;
        }
    }
}

void dkim_parts_own(const struct dkim_parts *p, enum auth_canon canon, struct buf *out)
{
    struct slice raw = p->field->raw;
    size_t from = (size_t)(p->cut.p - raw.p), begin = out->n;
    if (!buf_reserve(out, raw.n)) return;
    buf_add(out, slice_sub(raw, 0, from));
    buf_add(out, slice_sub(raw, from + p->cut.n, raw.n));
    if (canon == AUTH_RELAXED)
        out->n = begin + auth_relax_field(slice_of(out->p + begin, out->n - begin), out->p + begin);
}

void dkim_parts_digest(const struct dkim_parts *p, const struct auth_header *header, struct auth_body *body,
                       struct buf *scratch, uint8_t digest[AUTH_DIGEST_N])
{
    buf_clear(scratch);
    /* §3.5: h= must not mean the field itself. A list that comes down to it takes it as it stands, with the signature
     * in it: that never verifies. */
    dkim_fields_add(header, p->names, p->names_n, p->instance ? p->field : NULL, p->s.header_canon, scratch);
    dkim_parts_own(p, p->s.header_canon, scratch);
    auth_body_sha256(body, buf_slice(scratch), digest);
}

/* ---- the key */

struct judging {
    struct dkim_parts *p;
    const struct dkim_options *o;
    const uint8_t *digest;
    struct arena *arena;
    unsigned tried, far; /* signatures computed; how far the record came whose reason stands */
};

/* The record that comes furthest says the reason. True: it verified. */
static bool says(struct judging *j, unsigned far, enum dkim_result result, const struct dkim_record *r,
                 const char *reason)
{
    struct dkim_parts *p = j->p;
    if (far <= j->far) return false;
    j->far = far;
    p->s.bits = r->bits;
    p->s.testing = r->testing;
    p->s.result = result;
    p->s.reason = reason;
    return false;
}

/* §3.6.1: t=s allows no subdomain in i=. */
static bool strict_holds(const struct dkim_parts *p)
{
    struct slice i = p->s.identity, d = p->s.domain;
    return !i.n || (i.n > d.n && i.p[i.n - d.n - 1] == '@');
}

/* One record, in the order of §6.1.2. */
static bool judge_record(struct judging *j, const struct dkim_record *r)
{
    struct dkim_parts *p = j->p;
    unsigned least = j->o->rsa_min ? j->o->rsa_min : 1024; /* RFC 8301 §3.2 */
    if (!r->sha256) return says(j, 2, DKIM_PERMERROR, r, "the key is not for SHA-256 (h=)");
    if (r->revoked) return says(j, 3, DKIM_PERMERROR, r, "the key is revoked");
    if (r->type != p->type) return says(j, 2, DKIM_PERMERROR, r, "the key is of another type than a= says");
    if (!r->email) return says(j, 2, DKIM_PERMERROR, r, "the key is not for mail (s=)");
    if (r->strict && !strict_holds(p)) return says(j, 2, DKIM_PERMERROR, r, "the key allows no subdomain in i= (t=s)");
    if (r->type == DKIM_RSA && r->bits < least)
        return says(j, 4, DKIM_POLICY, r, arena_printf(j->arena, "the key has %u bits; %u are needed", r->bits, least));
    if (r->bits > RSA_MOST)
        return says(j, 4, DKIM_POLICY, r, arena_printf(j->arena, "the key has %u bits; %u are verified at most", r->bits, RSA_MOST));
    j->tried++;
    if (!dkim_record_verify(r, j->digest, p->signature))
        return says(j, 5, DKIM_FAIL, r, "the signature did not verify");
    if (!j->o->trust_length && p->s.length < p->s.body) /* §8.2: what follows could be anybody's */
        says(j, 6, DKIM_POLICY, r, "the signature leaves the body's end out (l=)");
    else says(j, 6, DKIM_PASS, r, "the signature verified");
    return true;
}

void dkim_parts_judge(struct dkim_parts *p, const struct dkim_options *o, const struct auth_dns_answer *a,
                      const uint8_t digest[AUTH_DIGEST_N], struct arena *arena)
{
    struct judging j = { .p = p, .o = o, .digest = digest, .arena = arena };
    if (a->status == AUTH_DNS_TEMPFAIL) {
        dkim_parts_set(p, DKIM_TEMPERROR, arena_printf(arena, "DNS did not answer for %.*s", SLICE_ARG(p->query)));
        return;
    }
    dkim_parts_set(p, DKIM_PERMERROR, NULL);
    bool done = false;
    size_t n = a->n < DKIM_RECORDS_MAX ? a->n : DKIM_RECORDS_MAX;
    for (size_t i = 0; a->status == AUTH_DNS_OK && i < n && !done && j.tried < DKIM_KEYS_MAX; i++) {
        struct dkim_record own = { 0 };
        const char *wrong = NULL;
        const struct dkim_record *r = dkim_keys_read(o->keys, a->texts[i], &wrong);
        if (!r) {
            wrong = dkim_record_parse(a->texts[i], arena, &own);
            r = &own;
        }
        if (!wrong) done = judge_record(&j, r);
        else if (!j.far)
            says(&j, 1, DKIM_PERMERROR, r, arena_printf(arena, "key at %.*s: %s", SLICE_ARG(p->query), wrong));
        dkim_record_deinit(&own);
    }
    if (!p->s.reason) p->s.reason = arena_printf(arena, "no key at %.*s", SLICE_ARG(p->query));
}
