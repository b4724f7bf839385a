/* SPDX-License-Identifier: Apache-2.0
 * DKIM and ARC of a case's message: verifying, signing, sealing. */
#include <stdlib.h>
#include "base/base64.h"
#include "driver.h"
#include "message/header.h"

struct message {
    struct auth_header header;
    struct auth_body *body;
    struct slice text;           /* of the body */
};

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct auth_header *h = arg;
    if (truncated) h->overflow = true;
    auth_header_add(h, slice_of(name.p, (size_t)(value.p + value.n - name.p)));
}

static void message_open(const json_t *c, struct message *m, struct arena *arena)
{
    struct slice text = case_bytes(c, "message", arena);
    struct header_reader r = { 0 };
    *m = (struct message){ .header = { .arena = arena }, .body = auth_body_new() };
    header_reader_init(&r, on_field, &m->header);
    size_t n = header_read(&r, text);
    if (!r.ended) header_finish(&r);
    header_reader_deinit(&r);
    m->text = slice_of(text.p + n, text.n - n);
}

/* In pieces whose sizes differ from case to case. */
static void message_stream(struct message *m, unsigned seed)
{
    for (struct slice left = m->text; left.n;) {
        seed = seed * 1103515245u + 12345u;
        size_t n = 1 + (seed >> 8) % 97;
        if (n > left.n) n = left.n;
        auth_body_push(m->body, slice_of(left.p, n));
        left = slice_of(left.p + n, left.n - n);
    }
    auth_body_end(m->body);
}

static struct dkim_options options_of(const json_t *c)
{
    return (struct dkim_options){ .now = (uint64_t)json_integer_value(json_object_get(c, "now")) * 1000,
        .trust_length = json_is_true(json_object_get(c, "trust_length")) };
}

static json_t *signature_json(const struct dkim_signature *s)
{
    return json_pack("{s:s, s:o, s:o, s:s, s:i}", "result", dkim_result_name(s->result), "domain", case_json(s->domain),
                     "selector", case_json(s->selector), "reason", s->reason, "bits", (int)s->bits);
}

json_t *run_dkim(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    struct message m;
    struct dkim_options o = options_of(c);
    struct dkim out;
    message_open(c, &m, arena);
    struct dkim_verifier *v = dkim_verify_begin(&o, &m.header, m.body, arena);
    if (late) {
        struct lookups *set = zone_lookups(z);
        struct auth_dns dns = lookups_dns(set);
        if (z->seed & 1) dkim_verify_ask(v, &dns);
        message_stream(&m, z->seed);
        while (!dkim_verify(v, &dns, &out)) zone_answer_one(z);
        lookups_free(&set);
    } else {
        struct auth_dns dns = zone_dns(z);
        message_stream(&m, z->seed);
        if (!dkim_verify(v, &dns, &out)) abort();
    }
    json_t *list = json_array();
    for (size_t i = 0; i < out.n; i++) json_array_append_new(list, signature_json(&out.signatures[i]));
    json_t *j = json_pack("{s:s, s:o}", "result", dkim_result_name(out.result), "signatures", list);
    dkim_verify_deinit(v);
    auth_body_free(&m.body);
    return j;
}

static struct arc arc_of(const json_t *c, struct message *m, struct arc_verifier *v, struct zone *z, bool late)
{
    struct arc out;
    (void)c;
    if (late) {
        struct lookups *set = zone_lookups(z);
        struct auth_dns dns = lookups_dns(set);
        if (z->seed & 1) arc_verify_ask(v, &dns);
        message_stream(m, z->seed);
        while (!arc_verify(v, &dns, &out)) zone_answer_one(z);
        lookups_free(&set);
    } else {
        struct auth_dns dns = zone_dns(z);
        message_stream(m, z->seed);
        if (!arc_verify(v, &dns, &out)) abort();
    }
    return out;
}

json_t *run_arc(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    struct message m;
    struct dkim_options o = options_of(c);
    message_open(c, &m, arena);
    struct arc_verifier *v = arc_verify_begin(&o, &m.header, m.body, arena);
    struct arc out = arc_of(c, &m, v, z, late);
    json_t *j = json_pack("{s:s, s:i, s:i, s:s}", "result", arc_result_name(out.result), "n", (int)out.n,
                          "oldest_pass", (int)out.oldest_pass, "reason", out.reason);
    arc_verify_deinit(v);
    auth_body_free(&m.body);
    return j;
}

static struct dkim_key *sign_options(const json_t *c, struct dkim_sign_options *o, struct arena *arena)
{
    struct err err = { 0 };
    struct dkim_key *key = dkim_key_parse(case_text(c, "key", arena), &err);
    if (!key) abort();
    const char *canon = json_string_value(json_object_get(c, "canon"));
    const json_t *names = json_object_get(c, "headers"), *name;
    size_t i, n = json_array_size(names);
    struct slice *list = arena_alloc(arena, (n + 1) * sizeof *list);
    json_array_foreach(names, i, name) list[i] = slice_str(json_string_value(name));
    *o = (struct dkim_sign_options){ .domain = case_text(c, "domain", arena), .selector = case_text(c, "selector", arena),
        .identity = case_text(c, "identity", arena), .type = dkim_key_type(key), .headers = n ? list : NULL, .headers_n = n,
        .header_canon = canon && strncmp(canon, "simple", 6) == 0 ? AUTH_SIMPLE : AUTH_RELAXED,
        .body_canon = canon && strstr(canon, "/simple") ? AUTH_SIMPLE : AUTH_RELAXED,
        .time = (uint64_t)json_integer_value(json_object_get(c, "now")) };
    return key;
}

static json_t *fields_json(struct buf *out)
{
    struct buf text = { 0 };
    base64_add(&text, buf_slice(out));
    json_t *j = json_pack("{s:s, s:s}", "result", out->n ? "signed" : "refused", "fields", text.n ? buf_cstr(&text) : "");
    buf_deinit(&text);
    buf_deinit(out);
    return j;
}

json_t *run_sign(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    (void)late;
    struct message m;
    struct dkim_sign_options o;
    struct buf out = { 0 };
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    struct dkim_key *key = sign_options(c, &o, arena);
    message_open(c, &m, arena);
    struct dkim_signer *s = dkim_sign_begin(&o, &m.header, m.body, arena);
    message_stream(&m, z->seed);
    if (s) {
        dkim_sign_digest(s, digest);
        dkim_sign_finish(s, slice_of(signature, dkim_key_sign(key, digest, signature)), &out);
    }
    dkim_key_free(&key);
    auth_body_free(&m.body);
    return fields_json(&out);
}

json_t *run_seal(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    struct message m;
    struct dkim_sign_options so;
    struct dkim_options o = options_of(c);
    struct buf out = { 0 };
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    struct dkim_key *key = sign_options(c, &so, arena);
    message_open(c, &m, arena);
    struct arc_verifier *v = arc_verify_begin(&o, &m.header, m.body, arena);
    struct arc_sealer *s = arc_seal_begin(&so, &m.header, m.body, arena);
    struct arc chain = arc_of(c, &m, v, z, late);
    if (s && arc_may_seal(&chain)) {
        arc_seal_message_digest(s, &chain, case_text(c, "results", arena), digest);
        arc_seal_digest(s, slice_of(signature, dkim_key_sign(key, digest, signature)), digest);
        arc_seal_finish(s, slice_of(signature, dkim_key_sign(key, digest, signature)), &out);
    }
    arc_verify_deinit(v);
    dkim_key_free(&key);
    auth_body_free(&m.body);
    return fields_json(&out);
}
