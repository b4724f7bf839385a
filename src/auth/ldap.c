/* SPDX-License-Identifier: Apache-2.0
 * LDAP directories (RFC 4511). As back end: the user's own bind decides; either the name makes the DN by a template, or
 * it is searched for first. For recipients: one search. Each question has a connection of its own. */
#include "auth/client_internal.h"
#include "auth/internal.h"
#include "auth/ldap_link.h"
#include "base/clock.h"
#include "base/mem.h"
#include "smtp/address.h"

#define ADDRESSES_MAX 200

struct ask {
    struct ldap_link link;
    const struct config *config;
    const char *user_dn, *password_file, *group; /* group: of these options */
    struct auth_verdict *v;
};

/* ---- names in templates */

/* RFC 4514 §2.4: as \xx whatever is not a letter, digit or one of a few signs: right everywhere in a value. RFC 4515
 * §3: the same. */
static void escape(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                     c == '_' || c == '-' || c == '@';
        if (plain) buf_add_char(out, (char)c);
        else buf_addf(out, "\\%02x", c);
    }
}

void ldap_fill(struct buf *out, const char *pattern, struct slice name)
{
    struct slice domain = name, local;
    if (!slice_cut(&domain, '@', &local)) domain = SLICE("");
    for (const char *p = pattern; *p; p++) {
        if (*p != '%' || !p[1]) {
            buf_add_char(out, *p);
            continue;
        }
        switch (*++p) {
        case 'u':
        case 's':
            escape(out, name);
            break;
        case 'n':
            escape(out, local);
            break;
        case 'd':
            escape(out, domain);
            break;
        default:
            buf_add_char(out, *p); /* %% */
        }
    }
}

/* ---- one question */

static bool failed(struct ask *a, const struct err *err)
{
    auth_verdict_set(a->v, AUTH_TEMPFAIL, "%.199s", err->text);
    return false;
}

static bool broken(struct ask *a, int rc)
{
    struct err err;
    ldap_link_broken(&a->link, rc, &err);
    return failed(a, &err);
}

static bool open_connection(struct ask *a)
{
    struct err err;
    if (!a->link.ca) a->link.ca = a->config->tls.ca;
    return ldap_link_open(&a->link, &err) ? true : failed(a, &err);
}

/* The result code of a simple bind; -1 when there was none (and v says so). */
static int simple_bind(struct ask *a, const char *dn, struct slice password)
{
    struct err err;
    int code = ldap_link_bind(&a->link, dn, password, &err);
    if (code < 0) failed(a, &err);
    return code;
}

static bool bind_searcher(struct ask *a)
{
    struct buf secret = { 0 };
    char why[200] = "it is not set";
    if (!a->user_dn) return true;
    a->link.what = "binding to search";
    if (!a->password_file || !auth_secret_file(a->password_file, AUTH_PASSWORD_MAX, &secret, why)) {
        auth_verdict_set(a->v, AUTH_TEMPFAIL, "LDAP: %s.password_file: %.150s", a->group, why);
        return false;
    }
    int code = simple_bind(a, a->user_dn, buf_slice(&secret));
    buf_wipe(&secret);
    if (code == LDAP_SUCCESS) return true;
    return code < 0 ? false : broken(a, code);
}

/* The entries, at most `most`; NULL when the search failed. scope base: the entry itself. */
static LDAPMessage *search(struct ask *a, const char *base, int scope, const char *filter, const char *mail, int most, int *rc)
{
    char *attributes[] = { (char *)(uintptr_t)(mail && *mail ? mail : LDAP_NO_ATTRS), NULL };
    struct timeval tv = ldap_link_left(&a->link);
    LDAPMessage *found = NULL;
    *rc = ldap_search_ext_s(a->link.ld, base, scope, filter, attributes, 0, NULL, NULL, &tv, most, &found);
    if (*rc == LDAP_SUCCESS || *rc == LDAP_SIZELIMIT_EXCEEDED) return found;
    if (found) ldap_msgfree(found);
    return NULL;
}

static void add_mail(struct ask *a, LDAPMessage *entry)
{
    const char *mail = a->config->auth.ldap.mail;
    struct address parsed;
    if (!entry || !mail || !*mail) return;
    struct berval **values = ldap_get_values_len(a->link.ld, entry, mail);
    for (size_t i = 0; values && values[i] && i < ADDRESSES_MAX; i++) {
        struct slice s = slice_of(values[i]->bv_val, values[i]->bv_len);
        if (!address_parse(s, &parsed)) auth_verdict_add_sender(a->v, s);
    }
    if (values) ldap_value_free_len(values);
}

/* The user's DN into *dn. False: v says why; nobody of that name: AUTH_FAILED, with some DN that a bind can be tried
 * on. */
static bool find_dn(struct ask *a, struct slice name, struct buf *dn)
{
    const struct config_auth *c = &a->config->auth;
    struct buf filter = { 0 };
    int rc;
    if (c->ldap.bind_dn) {
        ldap_fill(dn, c->ldap.bind_dn, name);
        if (!dn->n) auth_verdict_set(a->v, AUTH_FAILED, "the name makes no DN"); /* would be an anonymous bind */
        return dn->n > 0;
    }
    if (!bind_searcher(a)) return false;
    a->link.what = "searching";
    ldap_fill(&filter, c->ldap.filter, name);
    LDAPMessage *found = search(a, c->ldap.base, LDAP_SCOPE_SUBTREE, buf_cstr(&filter), c->ldap.mail, 2, &rc);
    buf_deinit(&filter);
    if (!found) return broken(a, rc);
    int n = ldap_count_entries(a->link.ld, found);
    if (n == 1) {
        char *text = ldap_get_dn(a->link.ld, ldap_first_entry(a->link.ld, found));
        buf_add_str(dn, text ? text : "");
        ldap_memfree(text);
        add_mail(a, ldap_first_entry(a->link.ld, found));
    } else if (n == 0) {
        auth_verdict_set(a->v, AUTH_FAILED, "no such user");
        buf_add_str(dn, c->ldap.base);
    } else {
        auth_verdict_set(a->v, AUTH_TEMPFAIL, "LDAP: auth.ldap.filter fits several entries");
    }
    ldap_msgfree(found);
    return n == 1 && dn->n;
}

static void judge_bind(struct ask *a, int code)
{
    switch (code) {
    case -1:
        break;
    case LDAP_SUCCESS:
        a->v->outcome = AUTH_OK;
        break;
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_INVALID_DN_SYNTAX:
    case LDAP_INAPPROPRIATE_AUTH:
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_CONSTRAINT_VIOLATION:    /* these two of some directories: the account is locked */
    case LDAP_UNWILLING_TO_PERFORM:
        auth_verdict_set(a->v, AUTH_FAILED, "refused by the directory");
        break;
    default:
        broken(a, code);
    }
}

void ldap_check(const struct config *c, struct slice name, struct slice password, struct auth_verdict *v)
{
    struct ask a = { .link = { .url = c->auth.ldap.url, .ca = c->auth.ldap.ca, .starttls = c->auth.ldap.starttls,
                               .deadline = clock_mono_ms() + c->auth.timeout },
                     .config = c, .user_dn = c->auth.ldap.user_dn, .password_file = c->auth.ldap.password_file, .group = "auth.ldap",
                     .v = v };
    struct buf dn = { 0 };
    int rc;
    v->outcome = AUTH_TEMPFAIL;
    if (!password.n) { /* would be an unauthenticated bind, which succeeds: RFC 4513 §5.1.2 */
        auth_verdict_set(v, AUTH_FAILED, "no password");
        return;
    }
    bool ok = open_connection(&a), found = ok && find_dn(&a, name, &dn);
    a.link.what = "binding";
    if (found) {
        judge_bind(&a, simple_bind(&a, buf_cstr(&dn), password));
    } else if (ok && v->outcome == AUTH_FAILED && dn.n) {
        if (simple_bind(&a, buf_cstr(&dn), password) >= 0) /* so that it takes as long */
            auth_verdict_set(v, AUTH_FAILED, "no such user");
    }
    if (v->outcome == AUTH_OK && c->auth.ldap.bind_dn && c->auth.ldap.mail && *c->auth.ldap.mail) {
        LDAPMessage *self = search(&a, buf_cstr(&dn), LDAP_SCOPE_BASE, "(objectClass=*)", c->auth.ldap.mail, 1, &rc);
        if (self) {
            add_mail(&a, ldap_first_entry(a.link.ld, self));
            ldap_msgfree(self);
        }
    }
    ldap_link_close(&a.link);
    buf_deinit(&dn);
}

/* ---- recipients */

void ldap_recipient(const struct config *c, const struct config_recipients *r, struct slice address, uint64_t deadline,
                    struct auth_verdict *v)
{
    struct ask a = { .link = { .url = r->ldap.url, .ca = r->ldap.ca, .starttls = r->ldap.starttls, .deadline = deadline },
                     .config = c, .user_dn = r->ldap.user_dn, .password_file = r->ldap.password_file, .group = "recipients.ldap", .v = v };
    struct buf filter = { 0 };
    int rc;
    if (clock_mono_ms() >= deadline) {
        auth_verdict_set(v, AUTH_TEMPFAIL, "too many questions waited for the directory");
        return;
    }
    auth_verdict_set(v, AUTH_FAILED, "no entry of the directory matches");
    if (open_connection(&a) && bind_searcher(&a)) {
        a.link.what = "searching";
        ldap_fill(&filter, r->ldap.filter, address);
        LDAPMessage *found = search(&a, r->ldap.base, LDAP_SCOPE_SUBTREE, buf_cstr(&filter), NULL, 1, &rc);
        if (!found) broken(&a, rc);
        else if (ldap_count_entries(a.link.ld, found) > 0) auth_verdict_set(v, AUTH_OK, "the directory has an entry");
        if (found) ldap_msgfree(found);
    }
    ldap_link_close(&a.link);
    buf_deinit(&filter);
}
