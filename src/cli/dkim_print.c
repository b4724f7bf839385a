/* SPDX-License-Identifier: Apache-2.0
 * Keys, what is to be published of them, and what was found published: in words and as JSON. */
#include <stdio.h>
#include "cli/dkim.h"
#include "config/dump.h"

static const char *type_name(const struct dkim_key *k) { return dkim_key_type(k) == DKIM_ED25519 ? "ed25519" : "rsa"; }

static void add_host(const struct dkim_options_cli *o, const struct dkim_named_key *k, struct buf *out)
{
    buf_addf(out, "%s._domainkey.%s", k->selector, o->domain);
}

void dkim_add_lines(const struct dkim_options_cli *o, const struct dkim_named_key *const *keys, size_t n, struct buf *out)
{
    buf_add_str(out, "dkim:\n  keys:\n");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(out, "    - ");
        dkim_add_entry(o->domain, keys[i], true, out);
        buf_add_char(out, '\n');
    }
}

void dkim_print_key(const struct dkim_options_cli *o, const struct dkim_named_key *k, bool lines)
{
    struct buf host = { 0 }, value = { 0 }, rest = { 0 }, file = { 0 };
    add_host(o, k, &host);
    dkim_key_record(k->key, o->testing, &value);
    buf_add_printable(&file, slice_str(k->file), sizeof k->file);
    printf("key    %s (%s, %u bits)\n", buf_cstr(&file), type_name(k->key), dkim_key_bits(k->key));
    printf("host   %s\nvalue  %s\n", buf_cstr(&host), buf_cstr(&value));
    dkim_format_bind(buf_slice(&host), buf_slice(&value), &rest);
    printf("\nThe TXT record as a line for BIND:\n\n%s", buf_cstr(&rest));
    if (rest.n && rest.p[rest.n - 1] != '\n') putchar('\n');
    if (lines) {
        buf_clear(&rest);
        dkim_add_lines(o, &k, 1, &rest);
        printf("\nIn the configuration, when the record is published (`postern dkim check`):\n\n%s", buf_cstr(&rest));
    }
    buf_deinit(&host);
    buf_deinit(&value);
    buf_deinit(&rest);
    buf_deinit(&file);
}

json_t *dkim_key_json(const struct dkim_options_cli *o, const struct dkim_named_key *k)
{
    struct buf host = { 0 }, value = { 0 }, bind = { 0 }, lines = { 0 };
    add_host(o, k, &host);
    dkim_key_record(k->key, o->testing, &value);
    dkim_format_bind(buf_slice(&host), buf_slice(&value), &bind);
    dkim_add_lines(o, &k, 1, &lines);
    json_t *j = json_pack("{s:s, s:s, s:o, s:s, s:i, s:s, s:s, s:s, s:s}", "domain", o->domain, "selector", k->selector, "key",
                          auth_json_text(slice_str(k->file)), "type", type_name(k->key), "bits", (int)dkim_key_bits(k->key), "host",
                          buf_cstr(&host), "value", buf_cstr(&value), "bind", buf_cstr(&bind), "configuration", buf_cstr(&lines));
    buf_deinit(&host);
    buf_deinit(&value);
    buf_deinit(&bind);
    buf_deinit(&lines);
    return j;
}

void dkim_print_finding(const struct dkim_options_cli *o, const struct dkim_named_key *k, const struct dkim_finding *f)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s ", dkim_published_name(f->state));
    add_host(o, k, &b);
    buf_add_str(&b, ": ");
    buf_add(&b, buf_slice(&f->reason));
    if (f->hint.n) {
        buf_add_str(&b, "\n  ");
        buf_add(&b, buf_slice(&f->hint));
    }
    puts(buf_cstr(&b));
    buf_deinit(&b);
}

json_t *dkim_finding_json(const struct dkim_options_cli *o, const struct dkim_named_key *k, const struct dkim_finding *f)
{
    json_t *j = dkim_key_json(o, k);
    json_object_set_new(j, "state", json_string(dkim_published_name(f->state)));
    json_object_set_new(j, "reason", auth_json_text(buf_slice(&f->reason)));
    json_object_set_new(j, "hint", auth_json_text(buf_slice(&f->hint)));
    return j;
}
