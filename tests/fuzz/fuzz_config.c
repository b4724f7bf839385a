/* SPDX-License-Identifier: Apache-2.0
 * A configuration of any bytes: parsed, checked, reported; what was accepted reads the same when written out. */
#include <assert.h>
#include "config/dump.h"
#include "config/parse.h"
#include "config/secret.h"
#include "fuzz.h"

static json_t *parse(struct slice text)
{
    struct config_report r;
    struct buf out = { 0 };
    struct config *c = config_parse(text, "fuzz.yaml", &r);
    report_format(&r, "fuzz.yaml", text, &out);
    assert(c || r.errors);
    json_t *j = c ? config_to_json(c) : NULL;
    struct ip ip = { .family = 4, .bytes = { 10, 20, 30, 40 } };
    if (c) {
        assert(config_zone_of(c, &c->listeners[0], &ip));
        config_domain_of(c, SLICE("a.b.example.com"));
        config_tls_policy_of(c, SLICE("a.b.example.com"));
        for (size_t i = 0; i < c->hop_n; i++) assert(c->hops[i]->host && c->hops[i]->id == (int)i);
        config_forget_secrets(c);
    }
    config_free(c);
    config_report_deinit(&r);
    buf_deinit(&out);
    return j;
}

/* Hiding secrets keeps the lines, and has nothing left to hide afterwards but what stands for them. */
static void hide(struct slice text)
{
    struct buf hidden = { 0 };
    size_t before = 0, after = 0;
    secret_hide(text, &hidden);
    for (size_t i = 0; i < text.n; i++) before += text.p[i] == '\n';
    for (size_t i = 0; i < hidden.n; i++) after += hidden.p[i] == '\n';
    assert(before == after);
    buf_deinit(&hidden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hide(slice_of(data, size));
    json_t *first = parse(slice_of(data, size));
    if (first) {
        struct buf text = { 0 };
        config_json_yaml(first, &text);
        json_t *second = parse(buf_slice(&text));
        assert(second && json_equal(first, second));
        json_decref(second);
        buf_deinit(&text);
    }
    json_decref(first);
    return 0;
}
