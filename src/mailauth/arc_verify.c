/* SPDX-License-Identifier: Apache-2.0
 * Is a chain whole? (RFC 8617 §5.2) */
#include "base/mem.h"
#include "mailauth/arc_parts.h"

struct arc_verifier {
    struct dkim_options o;
    const struct auth_header *header;
    struct auth_body *body;
    struct arena *arena;
    struct arc_chain chain;
    struct dkim_parts *messages, *seals; /* chain.n of them */
    const char *wrong;                   /* found before any key was asked for */
    struct buf scratch;
};

static enum arc_result seen_of(struct slice cv) /* what is no word of §4.1.3 is none: "fail" is what a sealer said */
{
    return slice_eq(cv, SLICE("pass")) ? ARC_PASS : slice_eq(cv, SLICE("fail")) ? ARC_FAIL : ARC_NONE;
}

static const char *say(struct arc_verifier *v, const char *what, size_t i, const char *reason)
{
    return arena_printf(v->arena, "%s of instance %zu: %s", what, i + 1, reason);
}

/* Tags of all that is there, and what cv= says (§5.2 steps 1 to 3). */
static const char *begin(struct arc_verifier *v)
{
    struct arc_chain *c = &v->chain;
    struct dkim_parts *last = &v->seals[c->n - 1];
    const char *wrong = NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (c->sets[i].message)
            dkim_parts_read(DKIM_ARC_MESSAGE_FIELD, c->sets[i].message, &v->o, v->arena, &v->messages[i]);
        if (c->sets[i].seal) dkim_parts_read(DKIM_ARC_SEAL_FIELD, c->sets[i].seal, &v->o, v->arena, &v->seals[i]);
    }
    if (slice_eq(last->seen, SLICE("fail"))) return "the chain was marked as failed before";
    if (c->wrong) return c->wrong;
    for (size_t i = 0; i < c->n && !wrong; i++) {
        if (v->seals[i].s.reason) wrong = say(v, "seal", i, v->seals[i].s.reason);
        else if (!slice_eq(v->seals[i].seen, i ? SLICE("pass") : SLICE("none")))
            wrong = say(v, "seal", i, i ? "cv= is not pass" : "cv= is not none");
    }
    if (!wrong && v->messages[c->n - 1].s.reason)
        wrong = say(v, "message signature", c->n - 1, v->messages[c->n - 1].s.reason);
    return wrong;
}

struct arc_verifier *arc_verify_begin(const struct dkim_options *o, const struct auth_header *header,
                                      struct auth_body *body, struct arena *arena)
{
    struct arc_verifier *v = arena_alloc(arena, sizeof *v);
    *v = (struct arc_verifier){ .o = *o, .header = header, .body = body, .arena = arena };
    v->o.trust_length = false;
    arc_chain_read(header, &v->chain);
    size_t n = v->chain.n;
    if (!n) {
        v->wrong = v->chain.wrong;
        return v;
    }
    v->messages = arena_alloc(arena, n * sizeof *v->messages);
    v->seals = arena_alloc(arena, n * sizeof *v->seals);
    v->wrong = header->overflow ? "the header is too large to be judged" : begin(v);
    for (size_t i = n; i-- > 0 && !v->wrong;) { /* the newest first: it alone must be judged */
        struct dkim_parts *p = &v->messages[i];
        if (!p->s.reason && !dkim_parts_want(p, body) && i == n - 1) v->wrong = p->s.reason;
    }
    return v;
}

void arc_verify_ask(struct arc_verifier *v, const struct auth_dns *dns)
{
    for (size_t i = v->chain.n; i-- > 0 && !v->wrong;) {
        if (i == v->chain.n - 1) dns->get(dns->arg, AUTH_DNS_TXT, v->messages[i].query, NULL);
        if (!v->seals[i].s.reason) dns->get(dns->arg, AUTH_DNS_TXT, v->seals[i].query, NULL);
    }
}

/* §5.2 steps 4 and 5: as DKIM's. False: its key is not known yet. */
static bool verify_message(struct arc_verifier *v, size_t i, const struct auth_dns *dns)
{
    uint8_t digest[AUTH_DIGEST_N];
    struct dkim_parts *p = &v->messages[i];
    if (p->s.reason || !dkim_parts_body(p, v->body)) return true;
    const struct auth_dns_answer *a = dns->get(dns->arg, AUTH_DNS_TXT, p->query, NULL);
    if (!a) return false;
    dkim_parts_digest(p, v->header, v->body, &v->scratch, digest);
    dkim_parts_judge(p, &v->o, a, digest, v->arena);
    return true;
}

/* §5.2 step 6. */
static bool verify_seal(struct arc_verifier *v, size_t i, const struct auth_dns *dns)
{
    uint8_t digest[AUTH_DIGEST_N];
    struct dkim_parts *p = &v->seals[i];
    if (p->s.reason) return true;
    const struct auth_dns_answer *a = dns->get(dns->arg, AUTH_DNS_TXT, p->query, NULL);
    if (!a) return false;
    buf_clear(&v->scratch);
    arc_chain_scope(&v->chain, i + 1, &v->scratch);
    dkim_parts_own(p, AUTH_RELAXED, &v->scratch);
    auth_body_sha256(v->body, buf_slice(&v->scratch), digest);
    dkim_parts_judge(p, &v->o, a, digest, v->arena);
    return true;
}

static void tell_sets(struct arc_verifier *v, struct arc *out)
{
    struct slice none = SLICE("");
    out->sets = arena_alloc(v->arena, v->chain.n * sizeof *out->sets);
    out->n = v->chain.n;
    for (size_t i = 0; i < out->n; i++) {
        const struct arc_fields *f = &v->chain.sets[i];
        struct arc_set *s = &out->sets[i];
        *s = (struct arc_set){ none, none, none, none, none, ARC_NONE };
        if (f->results) s->results = f->payload;
        if (f->message) {
            s->message_domain = v->messages[i].s.domain;
            s->message_selector = v->messages[i].s.selector;
        }
        if (!f->seal) continue;
        s->seal_domain = v->seals[i].s.domain;
        s->seal_selector = v->seals[i].s.selector;
        s->seen = seen_of(v->seals[i].seen);
    }
}

/* One of the signatures that must pass; a failure counts more than an answer that is missing. */
static void weigh(struct arc_verifier *v, struct arc *out, const struct dkim_parts *p, const char *what, size_t i)
{
    if (!p->s.reason || p->s.result == DKIM_PASS || out->result == ARC_FAIL) return;
    bool later = p->s.result == DKIM_TEMPERROR;
    if (later && out->result == ARC_TEMPERROR) return;
    out->result = later ? ARC_TEMPERROR : ARC_FAIL;
    out->reason = say(v, what, i, p->s.reason);
}

/* The newest message signature and all seals, up to the first failure: fifty sets would be work for nothing. */
static bool verify_chain(struct arc_verifier *v, const struct auth_dns *dns, struct arc *out)
{
    size_t n = v->chain.n;
    bool known = verify_message(v, n - 1, dns);
    weigh(v, out, &v->messages[n - 1], "message signature", n - 1);
    for (size_t i = n; i-- > 0 && out->result != ARC_FAIL;) {
        known = verify_seal(v, i, dns) && known;
        weigh(v, out, &v->seals[i], "seal", i);
    }
    return known || out->result == ARC_FAIL;
}

/* §5.2 step 5 may go on with the older message signatures: only a whole chain makes that worth while. */
static bool find_oldest_pass(struct arc_verifier *v, const struct auth_dns *dns, struct arc *out)
{
    bool known = true;
    for (size_t i = v->chain.n; i-- > 0;) known = verify_message(v, i, dns) && known;
    for (size_t i = v->chain.n; known && i-- > 0 && !out->oldest_pass;)
        if (v->messages[i].s.result != DKIM_PASS) out->oldest_pass = (unsigned)i + 2;
    return known;
}

bool arc_verify(struct arc_verifier *v, const struct auth_dns *dns, struct arc *out)
{
    *out = (struct arc){ .result = ARC_NONE, .reason = "there is no chain" };
    if (!v->chain.n && !v->wrong) return true;
    *out = (struct arc){ .result = ARC_PASS, .reason = "the chain is whole" };
    if (v->wrong) {
        out->result = ARC_FAIL;
        out->reason = v->wrong;
    } else if (!verify_chain(v, dns, out) || (out->result == ARC_PASS && !find_oldest_pass(v, dns, out)))
        return false;
    if (v->chain.n) tell_sets(v, out);
    return true;
}

void arc_verify_deinit(struct arc_verifier *v)
{
    if (v) buf_deinit(&v->scratch);
}
