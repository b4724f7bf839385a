/* SPDX-License-Identifier: Apache-2.0
 * Authentication-Results: the field that is made of strangers' texts has as many results as there were checks and is
 * ours; and a field of strangers is looked at. */
#include "base/mem.h"
#include "mailauth/results.h"
#include "fuzz.h"

struct counted {
    size_t results, lines;
};

/* Walks the field by RFC 8601's grammar: ";" outside of quotes and comments begins a result. */
static struct counted count(struct slice s)
{
    struct counted c = { 0 };
    bool quoted = false;
    size_t depth = 0, column = 0;
    for (size_t i = 0; i < s.n; i++) {
        char k = s.p[i];
        must(k == '\r' || k == '\n' || k == '\t' || (k >= 0x20 && k < 0x7F));
        if (k == '\r') must(i + 2 < s.n && s.p[i + 1] == '\n' && s.p[i + 2] == '\t' && !quoted);
        column = k == '\n' ? 0 : column + 1;
        must(column < 998);
        c.lines += k == '\n';
        if (quoted && k == '\\') i++;
        else if (k == '"' && !depth) quoted = !quoted;
        else if (!quoted && k == '(') must(++depth == 1);
        else if (!quoted && k == ')') must(depth-- == 1);
        else if (!quoted && !depth && k == ';') c.results++;
    }
    must(!quoted && !depth);
    return c;
}

/* The next piece of the input, up to a NUL. */
static struct slice take(struct slice *in)
{
    struct slice one;
    slice_cut(in, 0, &one);
    return one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = mem_slicedup(slice_of(data, n));
    struct slice in = slice_of(copy, n), ours = SLICE("mx.example.org");
    struct buf out = { 0 };
    auth_results_is_from(in, ours);
    char *reason = mem_slicedup(take(&in));
    struct spf spf = { .result = SPF_PASS, .reason = take(&in) };
    struct dkim_signature signatures[2] = {
        { DKIM_PASS, .domain = take(&in), .selector = take(&in), .identity = take(&in), .algorithm = take(&in), .b = take(&in), .reason = reason },
        { DKIM_FAIL, .domain = take(&in), .selector = take(&in), .identity = take(&in), .b = take(&in), .bits = 2048, .reason = "x" },
    };
    struct dkim dkim = { DKIM_PASS, signatures, 2 };
    struct dmarc dmarc = { .result = DMARC_FAIL, .author = take(&in), .reason = take(&in) };
    struct arc arc = { .result = ARC_PASS, .reason = reason };
    struct auth_results r = { .authserv_id = ours, .spf_helo = &spf, .spf_mailfrom = &spf, .helo = take(&in), .sender = take(&in),
                              .dkim = &dkim, .dmarc = &dmarc, .arc = &arc, .dmarc_override = reason };
    auth_results_format(&r, &out);
    must(count(buf_slice(&out)).results == (r.sender.n ? 6u : 5u) && out.n < 10000);
    must(auth_results_is_from(buf_slice(&out), ours));
    must(!auth_results_is_from(buf_slice(&out), SLICE("other.example.org")));
    free(reason);
    free(copy);
    buf_deinit(&out);
    return 0;
}
