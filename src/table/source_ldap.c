/* SPDX-License-Identifier: Apache-2.0
 * Tables in a directory: one search for all entries, page by page (RFC 2696) where the server can, entry by entry. */
#include "auth/ldap_link.h"
#include "base/clock.h"
#include "base/mem.h"
#include "table/source.h"

#define PAGE 500

struct search {
    struct ldap_link link;
    struct reading *reading;
    struct berval cookie;   /* of the next page; bv_len 0: there is none */
    bool first;
};

/* ---- entries */

/* Active Directory's proxyAddresses: those of other kinds than mail are none of ours. */
static bool strip_kind(struct slice *s)
{
    static const char *const others[] = { "x400:", "x500:", "sip:", "eum:", "spo:", "im:" };
    for (size_t i = 0; i < countof(others); i++)
        if (slice_istarts(*s, slice_str(others[i]))) return false;
    if (slice_istarts(*s, SLICE("smtp:"))) *s = slice_sub(*s, 5, s->n);
    return true;
}

static struct slice value_of(const struct berval *v)
{
    return slice_of(v->bv_val, v->bv_len);
}

static bool add_entry(struct search *s, struct berval **keys, struct berval **values, struct err *err)
{
    struct rows *rows = s->reading->rows;
    bool any = false;
    for (size_t k = 0; keys && keys[k]; k++) {
        struct slice key = value_of(keys[k]);
        if (!strip_kind(&key)) continue;
        any = true;
        if (!values || !values[0]) {
            if (!rows_add(rows, key, (struct slice){ 0 }, err)) return false;
            continue;
        }
        for (size_t v = 0; values[v]; v++) {
            struct slice value = value_of(values[v]);
            if (clock_mono_ms() >= s->link.deadline) return ldap_link_broken(&s->link, LDAP_TIMEOUT, err); /* many times many */
            if (strip_kind(&value) && !rows_add(rows, key, value, err)) return false;
        }
    }
    if (!any) rows_skip(rows, "an object has no such attribute as `key` says");
    return true;
}

static bool take_entry(struct search *s, LDAPMessage *m, struct err *err)
{
    const struct config_table *t = s->reading->table;
    struct berval **keys = ldap_get_values_len(s->link.ld, m, t->ldap.key);
    struct berval **values = t->ldap.value ? ldap_get_values_len(s->link.ld, m, t->ldap.value) : NULL;
    bool ok = add_entry(s, keys, values, err);
    if (keys) ldap_value_free_len(keys);
    if (values) ldap_value_free_len(values);
    return ok;
}

/* ---- pages */

static void take_cookie(struct search *s, LDAPControl **controls)
{
    ber_int_t estimate;
    LDAPControl *page = controls ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL) : NULL;
    ber_memfree(s->cookie.bv_val);
    s->cookie = (struct berval){ 0 };
    if (page && ldap_parse_pageresponse_control(s->link.ld, page, &estimate, &s->cookie) != LDAP_SUCCESS) s->cookie = (struct berval){ 0 };
}

/* The end of a page. Part of the entries is worth nothing: any result but success breaks the table. */
static bool take_result(struct search *s, LDAPMessage *m, struct err *err)
{
    LDAPControl **controls = NULL;
    int code = LDAP_OTHER, rc = ldap_parse_result(s->link.ld, m, &code, NULL, NULL, NULL, &controls, 0);
    if (rc == LDAP_SUCCESS) rc = code;
    if (rc == LDAP_SUCCESS) take_cookie(s, controls);
    if (controls) ldap_controls_free(controls);
    if (rc == LDAP_SUCCESS) return true;
    if (rc == LDAP_SIZELIMIT_EXCEEDED || rc == LDAP_ADMINLIMIT_EXCEEDED)
        return err_set(err, "LDAP %.60s: it gives no more entries than those of its limit: raise that for tables.%.60s.ldap.user_dn, or make "
                            "the filter narrower", s->link.url, s->reading->table->name);
    return ldap_link_broken(&s->link, rc, err);
}

static bool read_page(struct search *s, int id, struct err *err)
{
    for (;;) {
        LDAPMessage *m = NULL;
        struct timeval tv = ldap_link_left(&s->link);
        int rc = LDAP_SERVER_DOWN, kind = ldap_result(s->link.ld, id, LDAP_MSG_ONE, &tv, &m);
        if (kind < 0) ldap_get_option(s->link.ld, LDAP_OPT_RESULT_CODE, &rc);
        if (kind <= 0) return ldap_link_broken(&s->link, kind ? rc : LDAP_TIMEOUT, err);
        bool entry = kind == LDAP_RES_SEARCH_ENTRY, end = kind == LDAP_RES_SEARCH_RESULT;
        bool ok = entry ? take_entry(s, m, err) : !end || take_result(s, m, err); /* else: a reference, which is not followed */
        ldap_msgfree(m);
        if (!ok || end) return ok;
        if (clock_mono_ms() >= s->link.deadline) return ldap_link_broken(&s->link, LDAP_TIMEOUT, err); /* what is there already is not waited for */
    }
}

static bool ask_page(struct search *s, struct err *err)
{
    const struct config_table *t = s->reading->table;
    char *attributes[] = { (char *)(uintptr_t)t->ldap.key, (char *)(uintptr_t)t->ldap.value, NULL };
    LDAPControl *page = NULL;
    struct timeval tv = ldap_link_left(&s->link);
    int id = 0, rc = ldap_create_page_control(s->link.ld, PAGE, s->first ? NULL : &s->cookie, 0, &page);
    if (rc == LDAP_SUCCESS)
        rc = ldap_search_ext(s->link.ld, t->ldap.base, LDAP_SCOPE_SUBTREE, t->ldap.filter, attributes, 0, (LDAPControl *[]){ page, NULL },
                             NULL, &tv, LDAP_NO_LIMIT, &id);
    if (page) ldap_control_free(page);
    s->first = false;
    return rc == LDAP_SUCCESS ? read_page(s, id, err) : ldap_link_broken(&s->link, rc, err);
}

static bool bind_as(struct search *s, struct err *err)
{
    const char *dn = s->reading->table->ldap.user_dn;
    if (!dn) return true;
    s->link.what = "binding as user_dn";
    int code = ldap_link_bind(&s->link, dn, s->reading->password, err);
    return code < 0 ? false : code == LDAP_SUCCESS || ldap_link_broken(&s->link, code, err);
}

bool source_ldap(struct reading *r, struct err *err)
{
    const struct config_table *t = r->table;
    struct search s = { .link = { .url = t->ldap.url, .ca = t->ldap.ca ? t->ldap.ca : r->config->tls.ca, .starttls = t->ldap.starttls,
                                  .deadline = r->deadline }, .reading = r, .first = true };
    bool ok = ldap_link_open(&s.link, err);
    ok = ok && bind_as(&s, err);
    s.link.what = "searching";
    while (ok && (s.first || s.cookie.bv_len))
        ok = clock_mono_ms() < r->deadline ? ask_page(&s, err) : ldap_link_broken(&s.link, LDAP_TIMEOUT, err);
    ber_memfree(s.cookie.bv_val);
    ldap_link_close(&s.link);
    return ok;
}
