/* SPDX-License-Identifier: Apache-2.0
 * DKIM of a whole message with a DNS that lies: the same result however the body is cut and however late answers come; what is signed
 * here verifies. */
#include "dkim_input.h"

static void check(const struct dkim_signature *s)
{
    must_be_printable(s->reason);
    must(s->result != DKIM_NONE && s->domain.n <= 253 && s->selector.n <= 253);
    if (s->result != DKIM_PASS) return;
    must(s->covers_from && s->domain.n && s->selector.n && s->b.n && s->headers.n && s->bits >= 256);
    must(s->length == UINT64_MAX || s->length == s->body);
    must(!s->expires || s->expires >= FUZZ_NOW);
    must(!s->identity.n || slice_iends(s->identity, s->domain));
}

/* Results as text, to be compared; the first one is returned. */
static enum dkim_result verify(struct dkim_input *in, struct slice front, size_t step, unsigned late, struct buf *told)
{
    struct arena arena = { 0 };
    struct auth_header h = { .arena = &arena };
    struct auth_body *b = auth_body_new();
    struct dkim_options o = { .now = FUZZ_NOW * 1000ull };
    struct auth_dns dns = { input_get, in };
    struct dkim d;
    struct slice body = input_header(&h, front, buf_slice(&in->message));
    struct dkim_verifier *v = dkim_verify_begin(&o, &h, b, &arena);
    in->late = late;
    in->calls = 0;
    if (late % 2) dkim_verify_ask(v, &dns);
    input_push(b, body, step);
    for (size_t rounds = 0; !dkim_verify(v, &dns, &d); rounds++) must(rounds < 40);
    for (size_t i = 0; i < d.n; i++) {
        check(&d.signatures[i]);
        buf_addf(told, "%d %s\n", (int)d.signatures[i].result, d.signatures[i].reason);
    }
    enum dkim_result first = d.n ? d.signatures[0].result : DKIM_NONE;
    dkim_verify_deinit(v);
    auth_body_free(&b);
    arena_deinit(&arena);
    return first;
}

/* False: the message cannot be signed. */
static bool sign(struct dkim_input *in, unsigned how, struct buf *out)
{
    struct arena arena = { 0 };
    struct auth_header h = { .arena = &arena };
    struct auth_body *b = auth_body_new();
    struct err err;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    struct dkim_key *k = dkim_key_parse(SLICE(FUZZ_KEY), &err);
    struct dkim_sign_options o = { .domain = SLICE("fuzz.example"), .selector = SLICE("ours"), .type = DKIM_ED25519,
                                   .header_canon = how & 1, .body_canon = how >> 1 & 1, .time = FUZZ_NOW };
    struct slice body = input_header(&h, SLICE(""), buf_slice(&in->message));
    struct dkim_signer *s = dkim_sign_begin(&o, &h, b, &arena);
    if (s && h.n < AUTH_FIELDS_MAX && h.bytes < AUTH_HEADER_MAX - 65536) {
        input_push(b, body, 7);
        dkim_sign_digest(s, digest);
        dkim_sign_finish(s, slice_of(signature, dkim_key_sign(k, digest, signature)), out);
    }
    dkim_key_free(&k);
    auth_body_free(&b);
    arena_deinit(&arena);
    return out->n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dkim_input in;
    struct buf once = { 0 }, again = { 0 }, field = { 0 };
    input_read(&in, slice_of(data, n));
    verify(&in, SLICE(""), SIZE_MAX / 2, 0, &once);
    verify(&in, SLICE(""), 1 + n % 7, 5, &again);
    must(slice_eq(buf_slice(&once), buf_slice(&again)));
    if (sign(&in, (unsigned)n, &field)) must(verify(&in, buf_slice(&field), 1 + n % 50, 0, &again) == DKIM_PASS);
    buf_deinit(&once);
    buf_deinit(&again);
    buf_deinit(&field);
    input_deinit(&in);
    return 0;
}
