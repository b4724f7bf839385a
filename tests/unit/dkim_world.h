/* SPDX-License-Identifier: Apache-2.0
 * For tests of DKIM and ARC: a DNS that answers from a table, some of it late; messages; keys. */
#ifndef POSTERN_TESTS_DKIM_WORLD_H
#define POSTERN_TESTS_DKIM_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/base64.h"
#include "base/mem.h"
#include "mailauth/mailauth.h"

#define NOW 1700000000u

struct record {
    char name[256];
    enum auth_dns_status status;
    struct slice texts[4];
    size_t n;
    unsigned late;      /* calls that come too early for it */
    unsigned asked;
    struct auth_dns_answer answer;
};
struct dns_table {
    struct record records[120];
    size_t n;
    struct auth_dns_answer none;
};

static inline struct record *dns_add(struct dns_table *t, const char *name, enum auth_dns_status status, const char *text)
{
    for (size_t i = 0; i < t->n; i++) /* one more text */
        if (!strcmp(t->records[i].name, name)) {
            t->records[i].texts[t->records[i].n++] = slice_str(text);
            return &t->records[i];
        }
    assert_true(t->n < countof(t->records));
    struct record *r = &t->records[t->n++];
    *r = (struct record){ .status = status, .texts = { slice_str(text) }, .n = text ? 1 : 0 };
    snprintf(r->name, sizeof r->name, "%s", name);
    return r;
}

static inline const struct auth_dns_answer *dns_get(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct dns_table *t = arg;
    assert_int_equal(type, AUTH_DNS_TXT);
    for (size_t i = 0; i < t->n; i++) {
        struct record *r = &t->records[i];
        if (!slice_eq(slice_str(r->name), name)) continue;
        if (r->asked++ < r->late) return NULL;
        r->answer = (struct auth_dns_answer){ .status = r->status, .n = r->n, .texts = r->texts };
        return &r->answer;
    }
    t->none.status = AUTH_DNS_NXDOMAIN;
    return &t->none;
}

struct mail {
    struct arena arena;
    struct auth_header header;
    struct auth_body *body;
    struct slice text; /* the body */
};

static inline void mail_begin(struct mail *m, struct slice message)
{
    *m = (struct mail){ 0 };
    m->header.arena = &m->arena;
    m->body = auth_body_new();
    while (message.n && !slice_starts(message, SLICE("\r\n"))) {
        size_t i = 0;
        while (i < message.n && !(slice_starts(slice_sub(message, i, message.n), SLICE("\r\n")) &&
                                  !(i + 2 < message.n && (message.p[i + 2] == ' ' || message.p[i + 2] == '\t'))))
            i++;
        auth_header_add(&m->header, slice_sub(message, 0, i));
        message = slice_sub(message, i + 2, message.n);
    }
    m->text = slice_sub(message, 2, message.n);
}

static inline void mail_push(struct mail *m)
{
    auth_body_push(m->body, slice_sub(m->text, 0, m->text.n / 3));
    auth_body_push(m->body, slice_sub(m->text, m->text.n / 3, m->text.n));
    auth_body_end(m->body);
}

static inline void mail_end(struct mail *m)
{
    auth_body_free(&m->body);
    arena_deinit(&m->arena);
}

static inline void sha256(struct slice s, uint8_t out[32])
{
    assert_int_equal(EVP_Digest(s.p, s.n, out, NULL, EVP_sha256(), NULL), 1);
}

/* All of it with options, the way a relay does; what is told is copied into `told` ("result: reason"). */
struct told {
    enum dkim_result result, first;
    char reason[200];
    struct dkim_signature s;
    char identity[100], domain[100], selector[100], b[12];
    size_t n, rounds;
};

static inline struct told judge(struct slice message, struct dns_table *t, const struct dkim_options *options)
{
    struct mail m;
    struct dkim d;
    struct told told = { 0 };
    struct dkim_options o = options ? *options : (struct dkim_options){ 0 };
    struct auth_dns dns = { dns_get, t };
    if (!o.now) o.now = NOW * 1000ull;
    mail_begin(&m, message);
    struct dkim_verifier *v = dkim_verify_begin(&o, &m.header, m.body, &m.arena);
    mail_push(&m);
    for (told.rounds = 1; !dkim_verify(v, &dns, &d); told.rounds++) assert_true(told.rounds < 20);
    told.result = d.result;
    told.n = d.n;
    if (d.n) {
        told.s = d.signatures[0];
        told.first = told.s.result;
        snprintf(told.reason, sizeof told.reason, "%s", told.s.reason);
        snprintf(told.identity, sizeof told.identity, "%.*s", SLICE_ARG(told.s.identity));
        snprintf(told.domain, sizeof told.domain, "%.*s", SLICE_ARG(told.s.domain));
        snprintf(told.selector, sizeof told.selector, "%.*s", SLICE_ARG(told.s.selector));
        snprintf(told.b, sizeof told.b, "%.8s", told.s.b.n >= 8 ? told.s.b.p : "");
    }
    dkim_verify_deinit(v);
    mail_end(&m);
    return told;
}

#endif
