/* SPDX-License-Identifier: Apache-2.0
 * Every detail of a result as JSON. Texts of strangers come printable: bytes that are not, as \xNN. */
#include "base/buf.h"
#include "cli/auth.h"

json_t *auth_json_text(struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, s.n);
    json_t *j = json_stringn(b.p ? b.p : "", b.n);
    buf_deinit(&b);
    return j;
}

static void set(json_t *j, const char *key, struct slice s) { json_object_set_new(j, key, auth_json_text(s)); }
static void set_str(json_t *j, const char *key, const char *s) { json_object_set_new(j, key, json_string(s)); }
static void set_number(json_t *j, const char *key, uint64_t n) { json_object_set_new(j, key, json_integer((json_int_t)n)); }
static void set_bool(json_t *j, const char *key, bool b) { json_object_set_new(j, key, json_boolean(b)); }

json_t *auth_json_spf(const struct spf *r)
{
    json_t *j = json_object();
    set_str(j, "result", spf_result_name(r->result));
    set(j, "reason", r->reason);
    set(j, "domain", r->domain);
    set(j, "mechanism", r->mechanism);
    set(j, "record_domain", r->record_domain);
    set(j, "explanation", r->explanation);
    set_number(j, "lookups", r->lookups);
    set_number(j, "void_lookups", r->voids);
    return j;
}

static const char *canon_name(enum auth_canon c) { return c == AUTH_RELAXED ? "relaxed" : "simple"; }

static json_t *names_of(struct slice list)
{
    json_t *all = json_array();
    struct slice one;
    while (list.n) {
        slice_cut(&list, ':', &one);
        json_array_append_new(all, auth_json_text(slice_trim(one)));
    }
    return all;
}

static json_t *signature_json(const struct dkim_signature *s)
{
    json_t *j = json_object();
    set_str(j, "result", auth_dkim_word(s->result));
    set_str(j, "in_header", dkim_result_name(s->result));
    set_str(j, "reason", s->reason);
    set(j, "domain", s->domain);
    set(j, "selector", s->selector);
    set(j, "identity", s->identity);
    set(j, "algorithm", s->algorithm);
    set_number(j, "bits", s->bits);
    json_object_set_new(j, "headers", names_of(s->headers));
    set_str(j, "header_canonicalization", canon_name(s->header_canon));
    set_str(j, "body_canonicalization", canon_name(s->body_canon));
    if (s->length != UINT64_MAX) set_number(j, "length", s->length);
    set_number(j, "body", s->body);
    if (s->time) set_number(j, "time", s->time);
    if (s->expires) set_number(j, "expires", s->expires);
    set_bool(j, "testing", s->testing);
    set_bool(j, "covers_from", s->covers_from);
    set(j, "b", s->b);
    return j;
}

json_t *auth_json_dkim(const struct dkim *r)
{
    json_t *j = json_object(), *all = json_array();
    set_str(j, "result", auth_dkim_word(r->result));
    for (size_t i = 0; i < r->n; i++) json_array_append_new(all, signature_json(&r->signatures[i]));
    json_object_set_new(j, "signatures", all);
    return j;
}

json_t *auth_json_arc(const struct arc *r)
{
    json_t *j = json_object(), *all = json_array();
    set_str(j, "result", arc_result_name(r->result));
    set_str(j, "reason", r->reason);
    set_number(j, "oldest_pass", r->oldest_pass);
    for (size_t i = 0; i < r->n; i++) {
        const struct arc_set *s = &r->sets[i];
        json_t *one = json_object();
        set_number(one, "instance", i + 1);
        set_str(one, "seen", arc_result_name(s->seen));
        set(one, "seal_domain", s->seal_domain);
        set(one, "seal_selector", s->seal_selector);
        set(one, "message_domain", s->message_domain);
        set(one, "message_selector", s->message_selector);
        set(one, "results", s->results);
        json_array_append_new(all, one);
    }
    json_object_set_new(j, "sets", all);
    return j;
}

json_t *auth_json_dmarc(const struct dmarc *r)
{
    json_t *j = json_object();
    set_str(j, "result", dmarc_result_name(r->result));
    set_str(j, "asked", dmarc_policy_name(r->asked));
    set(j, "reason", r->reason);
    set_str(j, "published", dmarc_policy_name(r->published));
    set(j, "author", r->author);
    set(j, "organisation", r->organisation);
    set(j, "record_domain", r->record_domain);
    set(j, "record", r->record);
    set_bool(j, "spf_aligned", r->spf_aligned);
    set_bool(j, "dkim_aligned", r->dkim_aligned);
    set_number(j, "pct", r->pct);
    set_bool(j, "testing", r->testing);
    set_bool(j, "sampled_out", r->sampled_out);
    set(j, "reports", r->reports);
    return j;
}
