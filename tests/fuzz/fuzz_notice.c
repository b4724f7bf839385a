/* SPDX-License-Identifier: Apache-2.0
 * Templates: what is taken can be made into mail, whatever the values are. The first byte says which one it is; what follows the last NUL is
 * the value. */
#include "base/mem.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "notice/kinds.h"

static void check_lines(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        must(c < 0x7F && (c != '\n' || (i && s.p[i - 1] == '\r')) && (c != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n')));
    }
}

static void write_mail(const struct templates *t, enum template_kind k, struct slice value)
{
    const struct wording w = { t, LANGUAGE_DE };
    const struct template_value values[] = {
        { .name = "hostname", .text = SLICE("relay.example") }, { .name = "recipients", .text = value, .lines = true },
        { .name = "sender", .text = value },                    { .name = "list", .text = value, .html = SLICE("<hr>"), .lines = true },
        { .name = "text", .text = value },                      { .name = "files", .text = value, .lines = true },
    };
    struct buf body = { 0 }, out = { 0 }, html = { 0 };
    if (template_is_mail(k)) template_add_subject(&w, k, values, countof(values), &out);
    if (template_kinds[k].body) {
        template_add_body(&w, k, values, countof(values), &body);
        template_add_html(&w, k, values, countof(values), &html);
    }
    for (size_t i = 0; i < template_kinds[k].phrase_n; i++)
        template_add_phrase(&w, k, template_kinds[k].phrases[i].name, values, countof(values), &html);
    must(utf8_ok(buf_slice(&body)) && utf8_ok(buf_slice(&html)));
    template_add_part(&w, "text/plain", buf_slice(&body), &out);
    check_lines(buf_slice(&out));
    buf_deinit(&body);
    buf_deinit(&out);
    buf_deinit(&html);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n) return 0;
    enum template_kind k = (enum template_kind)(data[0] % TEMPLATE_KINDS);
    const uint8_t *nul = memrchr(data + 1, 0, n - 1);
    struct slice all = slice_of(data + 1, n - 1), text = nul ? slice_sub(all, 0, (size_t)(nul - data) - 1) : all;
    struct slice value = nul ? slice_of(nul + 1, n - (size_t)(nul - data) - 1) : SLICE("value");
    struct templates *t = templates_new();
    struct err err;
    (void)!templates_set(t, LANGUAGE_DE, k, text, "x.txt", &err);
    write_mail(t, k, value);
    templates_free(t);
    return 0;
}
