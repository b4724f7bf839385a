/* SPDX-License-Identifier: Apache-2.0
 * TLS reports: counting and making them. */
#include "fetch/tls_report.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

json_t *tls_counts_new(int64_t day_start)
{
    return json_pack("{s:I, s:{}}", "day", (json_int_t)day_start, "domains");
}

int64_t tls_counts_day(const json_t *counts)
{
    return json_integer_value(json_object_get(counts, "day"));
}

const char *tls_counts_next(const json_t *counts, const char *domain)
{
    json_t *domains = json_object_get(counts, "domains");
    void *at = domain ? json_object_iter_next(domains, json_object_iter_at(domains, domain)) : json_object_iter(domains);
    return at ? json_object_iter_key(at) : NULL;
}

static void increase(json_t *o, const char *key)
{
    json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + 1));
}

static void set_text(json_t *o, const char *key, const char *value)
{
    json_t *text = value && *value ? json_string(value) : NULL; /* NULL as well when it is not UTF-8 */
    if (text) json_object_set_new(o, key, text);
}

/* The entry of this policy in a report's list: a policy that changed within the day has one for each form. */
static json_t *policy_entry(json_t *list, const struct tls_event *e)
{
    json_t *policy = json_object(), *entry;
    size_t i;
    set_text(policy, "policy-type", e->policy_type);
    set_text(policy, "policy-domain", e->domain);
    if (json_array_size(e->policy)) json_object_set(policy, "policy-string", (json_t *)(uintptr_t)e->policy);
    if (json_array_size(e->mx_patterns)) json_object_set(policy, "mx-host", (json_t *)(uintptr_t)e->mx_patterns);
    json_array_foreach(list, i, entry) {
        if (!json_equal(json_object_get(entry, "policy"), policy)) continue;
        json_decref(policy);
        return entry;
    }
    if (json_array_size(list) >= TLS_REPORT_POLICIES_MAX) { /* somebody changes it with each look */
        json_decref(policy);
        return json_array_get(list, 0);
    }
    entry = json_pack("{s:o, s:{s:i, s:i}}", "policy", policy, "summary", "total-successful-session-count", 0,
                      "total-failure-session-count", 0);
    json_array_append_new(list, entry);
    return entry;
}

static bool same_text(const json_t *detail, const char *key, const char *value)
{
    const char *has = json_string_value(json_object_get(detail, key));
    return !strcmp(has ? has : "", value ? value : "");
}

static void add_detail(json_t *entry, const struct tls_event *e)
{
    json_t *list = json_object_get(entry, "failure-details"), *detail;
    size_t i;
    if (!list) {
        list = json_array();
        json_object_set_new(entry, "failure-details", list);
    }
    json_array_foreach(list, i, detail) {
        if (!same_text(detail, "result-type", e->failure) || !same_text(detail, "receiving-mx-hostname", e->mx_host) ||
            !same_text(detail, "receiving-ip", e->mx_ip) || !same_text(detail, "sending-mta-ip", e->our_ip) ||
            !same_text(detail, "failure-reason-code", e->reason))
            continue;
        increase(detail, "failed-session-count");
        return;
    }
    if (json_array_size(list) >= TLS_REPORT_DETAILS_MAX) return;
    detail = json_pack("{s:s, s:i}", "result-type", e->failure, "failed-session-count", 1);
    set_text(detail, "sending-mta-ip", e->our_ip);
    set_text(detail, "receiving-mx-hostname", e->mx_host);
    set_text(detail, "receiving-ip", e->mx_ip);
    set_text(detail, "failure-reason-code", e->reason);
    json_array_append_new(list, detail);
}

bool tls_counts_add(json_t *counts, const struct tls_event *e)
{
    json_t *domains = json_object_get(counts, "domains"), *list = json_object_get(domains, e->domain);
    if (!list) {
        if (json_object_size(domains) >= TLS_REPORT_DOMAINS_MAX) return false;
        list = json_array();
        json_object_set_new(domains, e->domain, list);
    }
    json_t *entry = policy_entry(list, e);
    increase(json_object_get(entry, "summary"),
             e->failure ? "total-failure-session-count" : "total-successful-session-count");
    if (e->failure) add_detail(entry, e);
    return true;
}

static json_t *date_time(int64_t at)
{
    char text[40];
    time_t t = (time_t)at;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm); /* RFC 3339 */
    return json_string(text);
}

json_t *tls_report_make(const json_t *counts, const char *domain, const char *organization, const char *contact,
                        const char *report_id)
{
    json_t *list = json_object_get(json_object_get(counts, "domains"), domain);
    int64_t day = tls_counts_day(counts);
    if (!json_array_size(list)) return NULL;
    return json_pack("{s:s, s:{s:o, s:o}, s:s, s:s, s:o}", "organization-name", organization, "date-range",
                     "start-datetime", date_time(day), "end-datetime", date_time(day + 86399), "contact-info", contact,
                     "report-id", report_id, "policies", json_deep_copy(list));
}

/* ---- where reports go */

static bool uri_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7F || strchr("<>\"\\^`{|}", s.p[i])) return false;
    return s.n > 0 && s.n < 512 && (slice_istarts(s, SLICE("mailto:")) || slice_istarts(s, SLICE("https://")));
}

static size_t take_rua(struct slice fields, char rua[TLS_REPORT_RUA_MAX][512])
{
    struct slice field, name, uri;
    size_t n = 0;
    while (fields.n) {
        slice_cut(&fields, ';', &field);
        if (!slice_cut(&field, '=', &name) || !slice_eq(slice_trim_blanks(name), SLICE("rua"))) continue;
        while (field.n && n < TLS_REPORT_RUA_MAX) {
            slice_cut(&field, ',', &uri);
            uri = slice_trim_blanks(uri);
            if (uri_ok(uri)) snprintf(rua[n++], 512, "%.*s", SLICE_ARG(uri));
        }
        break;
    }
    return n;
}

size_t tls_report_rua(const struct slice *texts, size_t n, char rua[TLS_REPORT_RUA_MAX][512])
{
    struct slice fields = { 0 };
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) { /* RFC 8460 §3: exactly one, or none counts */
        if (!slice_starts(texts[i], SLICE("v=TLSRPTv1"))) continue;
        struct slice rest = slice_trim_blanks(slice_sub(texts[i], 10, texts[i].n));
        if (!rest.n || rest.p[0] != ';') continue;
        fields = slice_sub(rest, 1, rest.n);
        found++;
    }
    return found == 1 ? take_rua(fields, rua) : 0;
}
