/* SPDX-License-Identifier: Apache-2.0
 * Reads one case a line (JSON) and writes one result a line: what this library says. Each check is made twice, with all answers at hand and
 * with answers that come late in an order of chance; the two must say the same. */
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/base64.h"
#include "driver.h"

static const psl_ctx_t *suffixes;

struct slice case_text(const json_t *c, const char *key, struct arena *arena)
{
    const json_t *v = json_object_get(c, key);
    const unsigned char *s = (const unsigned char *)json_string_value(v);
    size_t n = json_string_length(v), out_n = 0;
    if (!s) return SLICE("");
    char *out = arena_alloc(arena, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= 0xc2 && s[i] <= 0xc3 && i + 1 < n) {
            out[out_n++] = (char)(s[i] << 6 | (s[i + 1] & 0x3f));
            i++;
        } else
            out[out_n++] = (char)s[i];
    }
    return slice_of(out, out_n);
}

struct slice case_bytes(const json_t *c, const char *key, struct arena *arena)
{
    struct buf b = { 0 };
    if (!base64_decode(slice_str(json_string_value(json_object_get(c, key))), &b)) abort();
    struct slice s = arena_slice(arena, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

json_t *case_json(struct slice s)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80) buf_add_char(&b, (char)c);
        else buf_addf(&b, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
    }
    json_t *j = json_stringn(b.p ? b.p : "", b.n);
    buf_deinit(&b);
    return j;
}

/* ---- SPF */

static json_t *run_spf(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    struct spf_input in = { .helo = case_text(c, "helo", arena), .sender = case_text(c, "sender", arena),
        .receiver = SLICE("mx.receiver.example"), .now = (uint64_t)json_integer_value(json_object_get(c, "now")) * 1000,
        .identity = json_is_true(json_object_get(c, "of_helo")) ? SPF_HELO : SPF_MAILFROM };
    struct spf out;
    if (!ip_parse(case_text(c, "ip", arena), &in.ip)) abort();
    if (late) {
        struct lookups *set = zone_lookups(z);
        struct auth_dns dns = lookups_dns(set);
        while (!spf_check(&in, &dns, arena, &out)) zone_answer_one(z);
        lookups_free(&set);
    } else {
        struct auth_dns dns = zone_dns(z);
        if (!spf_check(&in, &dns, arena, &out)) abort();
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:i, s:i}", "result", spf_result_name(out.result), "domain", case_json(out.domain),
                     "mechanism", case_json(out.mechanism), "explanation", case_json(out.explanation), "reason", case_json(out.reason),
                     "lookups", (int)out.lookups, "voids", (int)out.voids);
}

/* ---- DMARC */

static unsigned result_of(const char *name, const char *(*name_of)(unsigned), unsigned n)
{
    for (unsigned i = 0; name && i < n; i++)
        if (strcmp(name, name_of(i)) == 0) return i;
    abort();
}

static const char *spf_name(unsigned i)
{
    return spf_result_name((enum spf_result)i);
}

static const char *dkim_name(unsigned i)
{
    return dkim_result_name((enum dkim_result)i);
}

static void signatures_of(const json_t *list, struct dkim *out, struct arena *arena)
{
    out->n = json_array_size(list);
    out->signatures = arena_alloc(arena, (out->n + 1) * sizeof *out->signatures);
    for (size_t i = 0; i < out->n; i++) {
        const json_t *e = json_array_get(list, i);
        out->signatures[i] = (struct dkim_signature){ .domain = case_text(e, "domain", arena), .selector = case_text(e, "selector", arena),
            .result = (enum dkim_result)result_of(json_string_value(json_object_get(e, "result")), dkim_name, DKIM_PERMERROR + 1),
            .covers_from = true, .reason = "" };
        if (out->signatures[i].result == DKIM_PASS || !i) out->result = out->signatures[i].result;
    }
}

static json_t *run_dmarc(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    struct auth_header header = { .arena = arena };
    struct spf spf = { 0 };
    struct dkim dkim = { 0 };
    struct dmarc out;
    const json_t *from, *s = json_object_get(c, "spf");
    size_t i;
    json_array_foreach(json_object_get(c, "from"), i, from) {
        json_t *one = json_pack("{s:O}", "f", (json_t *)from);
        auth_header_add(&header, slice_str(arena_printf(arena, "From: %.*s", SLICE_ARG(case_text(one, "f", arena)))));
        json_decref(one);
    }
    if (s) spf = (struct spf){ .domain = case_text(s, "domain", arena),
        .result = (enum spf_result)result_of(json_string_value(json_object_get(s, "result")), spf_name, SPF_PERMERROR + 1) };
    signatures_of(json_object_get(c, "dkim"), &dkim, arena);
    struct dmarc_input in = { .header = &header, .spf = s ? &spf : NULL, .dkim = &dkim,
        .psl = json_is_true(json_object_get(c, "walk")) ? NULL : suffixes,
        .sample = (unsigned)json_integer_value(json_object_get(c, "sample")) };
    if (late) {
        struct lookups *set = zone_lookups(z);
        struct auth_dns dns = lookups_dns(set);
        while (!dmarc_check(&in, &dns, arena, &out)) zone_answer_one(z);
        lookups_free(&set);
    } else {
        struct auth_dns dns = zone_dns(z);
        if (!dmarc_check(&in, &dns, arena, &out)) abort();
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:o}", "result", dmarc_result_name(out.result),
                     "asked", dmarc_policy_name(out.asked), "published", dmarc_policy_name(out.published), "author", case_json(out.author),
                     "organisation", case_json(out.organisation), "record_domain", case_json(out.record_domain),
                     "spf_aligned", (int)out.spf_aligned, "dkim_aligned", (int)out.dkim_aligned,
                     "sampled_out", (int)out.sampled_out, "reason", case_json(out.reason));
}

/* ---- Authentication-Results and SRS */

static json_t *run_results(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    (void)z, (void)late;
    const json_t *s = json_object_get(c, "spf"), *d = json_object_get(c, "dmarc");
    struct spf spf = { 0 };
    struct dkim dkim = { 0 };
    struct dmarc dmarc = { 0 };
    struct auth_results r = { .authserv_id = SLICE("mx.receiver.example"), .helo = case_text(c, "helo", arena),
        .sender = case_text(c, "sender", arena), .dkim = &dkim };
    struct buf out = { 0 };
    if (s) {
        spf = (struct spf){ .domain = case_text(s, "domain", arena), .mechanism = case_text(s, "mechanism", arena),
            .reason = case_text(s, "reason", arena),
            .result = (enum spf_result)result_of(json_string_value(json_object_get(s, "result")), spf_name, SPF_PERMERROR + 1) };
        r.spf_mailfrom = &spf;
    }
    signatures_of(json_object_get(c, "dkim"), &dkim, arena);
    for (size_t i = 0; i < dkim.n; i++) {
        const json_t *e = json_array_get(json_object_get(c, "dkim"), i);
        dkim.signatures[i].identity = case_text(e, "identity", arena);
        dkim.signatures[i].algorithm = case_text(e, "algorithm", arena);
        dkim.signatures[i].b = case_text(e, "b", arena);
    }
    if (d) {
        dmarc = (struct dmarc){ .result = (enum dmarc_result)json_integer_value(json_object_get(d, "result")),
            .author = case_text(d, "author", arena), .reason = case_text(d, "reason", arena) };
        r.dmarc = &dmarc;
    }
    auth_results_format(&r, &out);
    json_t *j = json_pack("{s:s, s:o, s:b}", "result", "formatted", "value", case_json(buf_slice(&out)),
                          "ours", (int)auth_results_is_from(buf_slice(&out), r.authserv_id));
    buf_deinit(&out);
    return j;
}

static json_t *run_srs(const json_t *c, struct zone *z, bool late, struct arena *arena)
{
    (void)z, (void)late;
    static const char *const outcomes[] = { "not", "ok", "forged", "expired" };
    struct srs_key key = { case_text(c, "secret", arena) };
    struct srs s = { .shared = true, .keys = &key, .keys_n = 1, .domain = case_text(c, "domain", arena),
        .days = (unsigned)json_integer_value(json_object_get(c, "days")),
        .hash_n = (unsigned)json_integer_value(json_object_get(c, "hash")) };
    uint64_t now = (uint64_t)json_integer_value(json_object_get(c, "now")) * 1000;
    struct buf out = { 0 };
    json_t *j;
    if (json_object_get(c, "forward")) {
        bool ok = srs_forward(&s, case_text(c, "forward", arena), now, &out);
        j = json_pack("{s:s, s:o}", "result", ok ? "ok" : "refused", "address", case_json(buf_slice(&out)));
    } else {
        enum srs_outcome o = srs_reverse(&s, case_text(c, "reverse", arena), now, &out);
        j = json_pack("{s:s, s:o}", "result", outcomes[o], "address", case_json(buf_slice(&out)));
    }
    buf_deinit(&out);
    return j;
}

/* ---- lines */

typedef json_t *run_fn(const json_t *c, struct zone *z, bool late, struct arena *arena);
static const struct {
    const char *name;
    run_fn *run;
} runs[] = { { "spf", run_spf }, { "dkim", run_dkim }, { "dmarc", run_dmarc }, { "arc", run_arc }, { "sign", run_sign }, { "seal", run_seal },
    { "results", run_results }, { "srs", run_srs } };

static json_t *run_case(const json_t *c)
{
    const char *what = json_string_value(json_object_get(c, "do"));
    for (size_t i = 0; what && i < sizeof runs / sizeof *runs; i++) {
        if (strcmp(what, runs[i].name) != 0) continue;
        struct arena arena = { 0 };
        struct zone z = { .names = json_object_get(c, "zone"), .arena = &arena,
            .seed = (unsigned)json_integer_value(json_object_get(c, "id")) };
        z.asked = json_array();
        json_t *now = runs[i].run(c, &z, false, &arena), *asked = z.asked;
        z.asked = NULL;
        json_t *late = runs[i].run(c, &z, true, &arena);
        if (strcmp(what, "arc") == 0) json_object_set(late, "reason", json_object_get(now, "reason")); /* whichever failure is met first */
        if (!json_equal(now, late)) json_object_set(now, "late", late);
        json_object_set_new(now, "asked", asked);
        json_object_set(now, "id", json_object_get(c, "id"));
        json_decref(late);
        arena_deinit(&arena);
        return now;
    }
    fprintf(stderr, "driver: no such case: %s\n", what ? what : "(none)");
    exit(64);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    psl_ctx_t *list = argc > 1 ? psl_load_file(argv[1]) : NULL;
    suffixes = list ? list : psl_builtin();
    while ((n = getline(&line, &room, stdin)) > 0) {
        json_t *c = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        if (!c) abort();
        json_t *result = run_case(c);
        json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
        putchar('\n');
        json_decref(result);
        json_decref(c);
    }
    free(line);
    psl_free(list);
    return 0;
}
