/* SPDX-License-Identifier: Apache-2.0
 * Findings and records, as the API tells them. */
#include "content/wire.h"
#include "doctor/internal.h"
#include "mailauth/key.h"

#define TEXT_MAX 1200
#define FOUND_MAX 10

static const char *const states[] = { "ok", "warning", "error", "unknown", "skipped" };
static const char *const record_states[] = { "ok", "missing", "different", "unknown" };

/* Where one mends what the configuration can mend; the others are mended in the DNS, or on the machine. */
static const char *option_of(const char *id)
{
    static const struct {
        const char *id, *option;
    } options[] = {
        { "a", "hostname" }, { "ptr", "hostname" }, { "addresses", "delivery.public_addresses" }, { "certificate", "tls.certificate" },
        { "dkim", "dkim.keys" }, { "dns-list-health", "checks.dns_lists.lists" }, { "disk", "queue.free_space" },
        { "resolver", "dns.servers" }, { "dnssec", "dns.trust_anchor" }, { "scan", "scan" }, { "scanner", "scanners" },
        { "tables", "tables" }, { "open-relay", "zones" },
    };
    for (size_t i = 0; i < countof(options); i++)
        if (!strcmp(options[i].id, id)) return options[i].option;
    return NULL;
}

void exam_option(struct exam *x, const char *option)
{
    json_object_set_new(json_array_get(x->findings, json_array_size(x->findings) - 1), "option", json_string(option));
}

void exam_find(struct exam *x, const char *id, const char *subject, enum doctor_state state, const char *text,
               const char *mend, json_t *const *records, size_t n)
{
    json_t *f = json_pack("{s:s, s:o, s:s, s:o, s:o}", "id", id, "subject", wire_clean_text(slice_str(subject), 300),
                          "state", states[state], "text", wire_clean_text(slice_str(text), TEXT_MAX), "mend",
                          wire_clean_text(slice_str(mend), TEXT_MAX));
    json_t *all = json_array();
    for (size_t i = 0; i < n && state != DOCTOR_OK; i++)
        if (records[i] && strcmp(json_string_value(json_object_get(records[i], "state")), "ok") != 0)
            json_array_append(all, records[i]);
    if (json_array_size(all)) json_object_set(f, "records", all);
    json_decref(all);
    json_array_append_new(x->findings, f);
    if (option_of(id) && state != DOCTOR_OK && state != DOCTOR_SKIPPED) exam_option(x, option_of(id));
}

static void add_bind(struct buf *out, const char *type, const char *host, const char *value)
{
    if (!strcmp(type, "TXT")) dkim_format_bind(slice_str(host), slice_str(value), out);
    else buf_addf(out, "%s. IN %s %s%s", host, type, value, !strcmp(type, "MX") || !strcmp(type, "PTR") ? "." : "");
    while (out->n && out->p[out->n - 1] == '\n') out->n--;
}

json_t *exam_record(struct exam *x, const char *id, const char *type, const char *host, const char *value,
                    const char *why, enum record_state state, json_t *found)
{
    struct buf bind = { 0 };
    add_bind(&bind, type, host, value);
    json_t *r = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", id, "type", type, "host", host, "value",
                          value, "bind", buf_cstr(&bind), "why", why, "state", record_states[state], "found",
                          found ? found : json_array());
    if (x->domain[0]) json_object_set_new(r, "domain", json_string(x->domain));
    json_array_append_new(x->records, r);
    buf_deinit(&bind);
    return r;
}

const char *exam_kept(struct exam *x, struct buf *b)
{
    buf_add_char(b, '\0');
    return buf_keep(b, &x->arena).p;
}

const char *exam_shown(struct exam *x, struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, 300);
    return exam_kept(x, &b);
}

const char *exam_ip(struct exam *x, const struct ip *ip)
{
    struct buf b = { 0 };
    ip_add(&b, ip);
    return exam_kept(x, &b);
}

#define SHOWN 5

const char *exam_names(struct exam *x, const struct slice *names, size_t n)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        if (i) buf_add_str(&b, ", ");
        buf_add_printable(&b, names[i], 253);
    }
    if (n > SHOWN) buf_addf(&b, " and %zu more", n - SHOWN);
    return exam_kept(x, &b);
}

const char *exam_ips(struct exam *x, const struct ip *ips, size_t n)
{
    struct slice names[SHOWN];
    for (size_t i = 0; i < n && i < SHOWN; i++) names[i] = slice_str(exam_ip(x, &ips[i]));
    return exam_names(x, names, n); /* which looks at no more of them either */
}

json_t *exam_texts(const struct slice *texts, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n && i < FOUND_MAX; i++) json_array_append_new(all, wire_clean_text(texts[i], 2000));
    return all;
}
