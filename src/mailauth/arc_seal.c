/* SPDX-License-Identifier: Apache-2.0
 * Sealing (RFC 8617 §5.1): a set of our own behind those that are there. */
#include <assert.h>
#include "mailauth/arc_parts.h"

struct arc_sealer {
    struct dkim_sign_options o;
    const struct auth_header *header;
    struct auth_body *body;
    struct arena *arena;
    struct dkim_names names;
    int wish;
    size_t instance;
    enum arc_result seen;
    struct slice results, message, seal; /* the fields; the last one up to "b=" */
};

struct arc_sealer *arc_seal_begin(const struct dkim_sign_options *o, const struct auth_header *header,
                                  struct auth_body *body, struct arena *arena)
{
    int wish = header->overflow ? -1 : auth_body_want(body, o->body_canon, UINT64_MAX);
    if (wish < 0) return NULL;
    struct arc_sealer *s = arena_alloc(arena, sizeof *s);
    *s = (struct arc_sealer){ .o = *o, .header = header, .body = body, .arena = arena, .wish = wish };
    s->names = dkim_sign_names(o, header, true, arena);
    return s;
}

bool arc_may_seal(const struct arc *chain)
{
    if (chain->result == ARC_TEMPERROR || chain->n >= ARC_SETS_MAX) return false;
    return !chain->n || chain->sets[chain->n - 1].seen != ARC_FAIL;
}

static struct dkim_fold begin_field(struct buf *out, const char *name)
{
    buf_add_str(out, name);
    return (struct dkim_fold){ out, out->n };
}

static void fold_instance(struct dkim_fold *f, size_t instance)
{
    char digits[2] = { (char)('0' + instance / 10), (char)('0' + instance % 10) };
    dkim_fold_tag(f, "i", instance < 10 ? slice_of(digits + 1, 1) : slice_of(digits, 2));
}

void arc_seal_message_digest(struct arc_sealer *s, const struct arc *chain, struct slice results, uint8_t digest[32])
{
    uint64_t size;
    struct buf text = { 0 };
    assert(arc_may_seal(chain));
    s->instance = chain->n + 1;
    s->seen = chain->result;
    buf_addf(&text, "ARC-Authentication-Results: i=%zu; ", s->instance); /* §4.1.1 */
    buf_add(&text, slice_trim(results));
    s->results = arena_slice(s->arena, buf_slice(&text));

    buf_clear(&text);
    struct dkim_fold f = begin_field(&text, "ARC-Message-Signature:"); /* §4.1.2 */
    fold_instance(&f, s->instance);
    dkim_fold_signature(&f, &s->o, true, s->names, auth_body_digest(s->body, s->wish, &size));
    s->message = arena_slice(s->arena, buf_slice(&text));
    dkim_sign_cover(&s->o, s->header, s->names, s->message, s->body, digest);
    buf_deinit(&text);
}

void arc_seal_digest(struct arc_sealer *s, struct slice message_signature, uint8_t digest[32])
{
    struct buf text = { 0 }, all = { 0 };
    struct arc_chain chain;
    buf_add(&text, s->message);
    dkim_fold_base64(&text, message_signature);
    s->message = arena_slice(s->arena, buf_slice(&text));

    buf_clear(&text);
    struct dkim_fold f = begin_field(&text, "ARC-Seal:"); /* §4.1.3 */
    fold_instance(&f, s->instance);
    dkim_fold_seal(&f, &s->o,
                   s->seen == ARC_NONE   ? SLICE("none")
                   : s->seen == ARC_PASS ? SLICE("pass")
                                         : SLICE("fail"));
    s->seal = arena_slice(s->arena, buf_slice(&text));
    if (s->seen == ARC_PASS) { /* §5.1.2: a failed chain is not covered, our own set is as if it were the only one */
        arc_chain_read(s->header, &chain);
        assert(!chain.wrong && chain.n + 1 == s->instance);
        arc_chain_scope(&chain, s->instance, &all);
    }
    auth_canon_field(AUTH_RELAXED, s->results, &all);
    auth_canon_field(AUTH_RELAXED, s->message, &all);
    auth_canon_field(AUTH_RELAXED, s->seal, &all);
    all.n -= 2;
    auth_body_sha256(s->body, buf_slice(&all), digest);
    buf_deinit(&all);
    buf_deinit(&text);
}

void arc_seal_finish(struct arc_sealer *s, struct slice seal_signature, struct buf *out)
{
    buf_add(out, s->seal);
    dkim_fold_base64(out, seal_signature);
    buf_add_str(out, "\r\n");
    buf_add(out, s->message);
    buf_add_str(out, "\r\n");
    buf_add(out, s->results);
    buf_add_str(out, "\r\n");
}
