/* SPDX-License-Identifier: Apache-2.0
 * Records of keys, and private keys as files. What is read is written and read again the same. */
#include "base/mem.h"
#include "mailauth/key.h"
#include "fuzz.h"

static void records(struct slice text)
{
    struct arena arena = { 0 };
    struct dkim_record r;
    struct buf out = { 0 };
    const char *wrong = dkim_record_parse(text, &arena, &r);
    must(wrong || r.revoked == !r.key);
    must(!wrong || *wrong);
    if (!wrong && r.key) {
        must(r.p.n && r.bits >= 256 && r.bits <= 8192);
        uint8_t digest[32] = { 1 };
        char signature[1024];
        memset(signature, 1, sizeof signature);
        must(!dkim_record_verify(&r, digest, slice_of(signature, r.type == DKIM_ED25519 ? 64 : (r.bits + 7) / 8)));
    }
    dkim_format_bind(SLICE("a.example"), text, &out);
    must(out.n > text.n);
    for (size_t i = 0; i < out.n; i++) must(out.p[i] == '\n' || out.p[i] == '\t' || ((unsigned char)out.p[i] >= 0x20 && (unsigned char)out.p[i] < 0x7f));
    dkim_record_deinit(&r);
    arena_deinit(&arena);
    buf_deinit(&out);
}

static void files(struct slice pem)
{
    struct err err;
    struct dkim_key *k = dkim_key_parse(pem, &err);
    if (!k) {
        must(err.text[0]);
        return;
    }
    struct buf first = { 0 }, second = { 0 };
    if (dkim_key_pem(k, &first)) {
        struct dkim_key *again = dkim_key_parse(buf_slice(&first), &err);
        must(again && dkim_key_pem(again, &second) && slice_eq(buf_slice(&first), buf_slice(&second)));
        dkim_key_free(&again);
    }
    dkim_key_free(&k);
    buf_wipe(&first);
    buf_wipe(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice text = slice_of(data, n);
    if (slice_starts(text, SLICE("-----BEGIN")))
        files(text);
    else
        records(text);
    return 0;
}
