/* SPDX-License-Identifier: Apache-2.0
 * Chains with a DNS that lies: the same result however late answers come; a chain that is whole, or none, is whole when sealed here. */
#include "dkim_input.h"

struct visit {
    struct arena arena;
    struct auth_header header;
    struct auth_body *body;
    struct arc arc;
    struct buf fields; /* the seal */
};

static void validate(struct visit *t, struct dkim_input *in, struct slice front, size_t step, unsigned late, bool seal)
{
    struct dkim_options o = { .now = FUZZ_NOW * 1000ull };
    struct dkim_sign_options so = { .domain = SLICE("fuzz.example"), .selector = SLICE("ours"), .type = DKIM_ED25519,
                                    .header_canon = step & 1, .body_canon = step >> 1 & 1, .time = FUZZ_NOW };
    struct auth_dns dns = { input_get, in };
    struct err err;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    *t = (struct visit){ 0 };
    t->header.arena = &t->arena;
    t->body = auth_body_new();
    struct slice body = input_header(&t->header, front, buf_slice(&in->message));
    struct arc_verifier *v = arc_verify_begin(&o, &t->header, t->body, &t->arena);
    bool room = t->header.n + 3 <= AUTH_FIELDS_MAX && t->header.bytes < AUTH_HEADER_MAX - 65536;
    struct arc_sealer *s = seal && room ? arc_seal_begin(&so, &t->header, t->body, &t->arena) : NULL;
    in->late = late;
    in->calls = 0;
    if (late % 2) arc_verify_ask(v, &dns);
    input_push(t->body, body, step);
    for (size_t rounds = 0; !arc_verify(v, &dns, &t->arc); rounds++) must(rounds < 200);
    must_be_printable(t->arc.reason);
    must(t->arc.n <= ARC_SETS_MAX && t->arc.oldest_pass <= t->arc.n && (t->arc.result == ARC_PASS || !t->arc.oldest_pass));
    must((t->arc.result == ARC_NONE) <= !t->arc.n);
    if (s && arc_may_seal(&t->arc)) {
        struct dkim_key *k = dkim_key_parse(SLICE(FUZZ_KEY), &err);
        arc_seal_message_digest(s, &t->arc, SLICE("fuzz.example; none"), digest);
        arc_seal_digest(s, slice_of(signature, dkim_key_sign(k, digest, signature)), digest);
        arc_seal_finish(s, slice_of(signature, dkim_key_sign(k, digest, signature)), &t->fields);
        dkim_key_free(&k);
    }
    arc_verify_deinit(v);
}

static void end(struct visit *t)
{
    auth_body_free(&t->body);
    arena_deinit(&t->arena);
    buf_deinit(&t->fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dkim_input in;
    struct visit once, again, sealed;
    input_read(&in, slice_of(data, n));
    validate(&once, &in, SLICE(""), 1 + n % 100, 0, true);
    validate(&again, &in, SLICE(""), 1 + n % 7, 5, false);
    must(once.arc.result == again.arc.result && once.arc.n == again.arc.n && once.arc.oldest_pass == again.arc.oldest_pass);
    if (once.fields.n) {
        validate(&sealed, &in, buf_slice(&once.fields), 1 + n % 50, 0, false);
        must(sealed.arc.result == (once.arc.result == ARC_FAIL ? ARC_FAIL : ARC_PASS) && sealed.arc.n >= once.arc.n + 1);
        end(&sealed);
    }
    end(&once);
    end(&again);
    input_deinit(&in);
    return 0;
}
