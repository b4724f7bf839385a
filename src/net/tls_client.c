/* SPDX-License-Identifier: Apache-2.0
 * TLS as a client: authorities, what a server must prove, and earlier sessions to resume. */
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "net/tls_proof.h"

#define SESSIONS_MAX 1000
#define PROOF_KEEP_MS 3600000 /* a certificate is looked at again at least so often */

struct authorities {
    const char *path;         /* the configuration's; NULL: the system's */
    X509_STORE *store;
};

struct saved {                /* a session to resume */
    struct list lru;
    uint64_t hash;
    uint64_t proven_at;
    SSL_SESSION *session;
    char *key;
};

struct tls_client {
    SSL_CTX *ctx;
    struct authorities *authorities;
    size_t authority_n;
    struct htable sessions;
    struct list lru;          /* the longest unused first */
};

/* ---- sessions to resume */

static uint64_t saved_hash(const void *item) { return ((const struct saved *)item)->hash; }
static bool saved_is(const void *item, const void *key) { return strcmp(((const struct saved *)item)->key, key) == 0; }

static void forget(struct tls_client *t, struct saved *s)
{
    htable_remove(&t->sessions, s);
    list_remove(&s->lru);
    SSL_SESSION_free(s->session);
    free(s->key);
    free(s);
}

static struct saved *find_saved(const struct tls_client *t, const char *key)
{
    return htable_find(&t->sessions, hash_bytes(slice_str(key)), saved_is, key);
}

/* A ticket came (with TLS 1.3 after the handshake). A resumed session has the failure of the first: where that matters the certificate is
 * looked at anew. 1: the session is taken. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_proof *p = tls_proof_of(ssl);
    if (!p || !p->key || (!p->keep_on && tls_failure(ssl)[0]) || !SSL_SESSION_is_resumable(session)) return 0;
    struct tls_client *t = p->client;
    struct saved *s = find_saved(t, p->key);
    if (s) forget(t, s);
    if (t->sessions.n >= SESSIONS_MAX) forget(t, list_entry(t->lru.next, struct saved, lru));
    s = mem_new(struct saved);
    s->key = mem_strdup(p->key);
    s->hash = hash_bytes(slice_str(s->key));
    s->session = session;
    s->proven_at = SSL_session_reused(ssl) ? p->proven_at : clock_mono_ms();
    htable_add(&t->sessions, s);
    list_push_back(&t->lru, &s->lru);
    return 1;
}

static void resume(struct tls_client *t, SSL *ssl, struct tls_proof *p)
{
    struct saved *s = find_saved(t, p->key);
    if (!s) return;
    if (s->proven_at + PROOF_KEEP_MS < clock_mono_ms()) {
        forget(t, s);
        return;
    }
    p->proven_at = s->proven_at;
    SSL_set_session(ssl, s->session);
    list_remove(&s->lru);
    list_push_back(&t->lru, &s->lru);
}

/* Destination and all that had to be proven: what was proven for one wish is never taken for another. */
static char *session_key(const char *resume_key, const struct tls_wish *w)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s %s %u %d %d %d %s", resume_key, w->sni ? w->sni : "", w->min_version, w->tlsa_n ? 2 : w->verify, w->keep_on,
             w->dns_id, w->ca ? w->ca : "");
    for (size_t i = 0; (w->verify || w->tlsa_n) && i < w->name_n; i++) buf_addf(&b, " %s", w->names[i]);
    for (size_t i = 0; i < w->tlsa_n; i++)
        buf_addf(&b, " %u%u%u:%016llx", w->tlsa[i].usage, w->tlsa[i].selector, w->tlsa[i].matching,
                 (unsigned long long)hash_bytes(slice_of(w->tlsa[i].data, w->tlsa[i].n)));
    char *key = mem_slicedup(buf_slice(&b));
    buf_deinit(&b);
    return key;
}

/* ---- authorities */

static bool load_folder(X509_STORE *store, const char *path)
{
    DIR *folder = opendir(path);
    bool any = false;
    char file[1024];
    struct stat st;
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if ((size_t)snprintf(file, sizeof file, "%s/%s", path, e->d_name) >= sizeof file) continue;
        if (stat(file, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        if (X509_STORE_load_file(store, file) == 1) any = true;
    }
    if (folder) closedir(folder);
    ERR_clear_error();
    return any;
}

/* All of it now: a worker in its sandbox may not open files later. */
static bool load(X509_STORE *store, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return false;
    if (S_ISDIR(st.st_mode)) return load_folder(store, path);
    bool ok = X509_STORE_load_file(store, path) == 1;
    ERR_clear_error();
    return ok;
}

static void load_system(X509_STORE *store)
{
    const char *const places[] = { X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt",
                                   "/etc/pki/tls/certs/ca-bundle.crt", X509_get_default_cert_dir() };
    const char *chosen = getenv(X509_get_default_cert_file_env());
    if (chosen && load(store, chosen)) return;
    for (size_t i = 0; i < countof(places); i++)
        if (load(store, places[i])) return;
    log_event(LOG_WARNING, "no-authorities",
              LOG_STR("reason", "no server's certificate can be verified: install ca-certificates, or set tls.ca"));
}

static const struct authorities *find_authorities(const struct tls_client *t, const char *path)
{
    for (size_t i = 0; i < t->authority_n; i++) {
        const char *p = t->authorities[i].path;
        if (p == path || (p && path && strcmp(p, path) == 0)) return &t->authorities[i];
    }
    return NULL;
}

static bool add_authorities(struct tls_client *t, const char *path, struct err *err)
{
    if (find_authorities(t, path)) return true;
    X509_STORE *store = X509_STORE_new();
    if (!store) return err_set(err, "TLS cannot be set up");
    t->authorities = mem_grow(t->authorities, t->authority_n + 1, sizeof *t->authorities);
    t->authorities[t->authority_n++] = (struct authorities){ path, store };
    if (!path) {
        load_system(store);
        return true;
    }
    if (!load(store, path)) return err_set(err, "%s: no certificate of an authority can be read there (PEM)", path);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN); /* who names a server's own certificate trusts that one */
    return true;
}

const char *tls_client_trusts(const struct tls_client *t, struct x509_st *leaf, struct stack_st_X509 *chain)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool set = ctx && X509_STORE_CTX_init(ctx, t->authorities[0].store, leaf, chain) == 1 && X509_STORE_CTX_set_default(ctx, "ssl_server") == 1;
    const char *why = "it cannot be checked";
    if (set) why = X509_verify_cert(ctx) == 1 ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return why;
}

static const char *default_ca(const struct config *c)
{
    return c->tls.ca && c->tls.ca[0] ? c->tls.ca : NULL;
}

/* The first are those of tls.ca. */
static bool add_all_authorities(struct tls_client *t, const struct config *c, struct err *err)
{
    if (!add_authorities(t, default_ca(c), err)) return false;
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->ca && !add_authorities(t, c->hops[i]->ca, err)) return false;
    for (size_t i = 0; i < c->tls_policy_n; i++)
        if (c->tls_policies[i].ca && !add_authorities(t, c->tls_policies[i].ca, err)) return false;
    if (c->auth.imap.ca && !add_authorities(t, c->auth.imap.ca, err)) return false;
    return !c->auth.ldap.ca || add_authorities(t, c->auth.ldap.ca, err);
}

/* ---- contexts */

static SSL_CTX *context_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, tls_proof_verify, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (SSL_CTX_dane_enable(ctx) == 1) return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

struct tls_client *tls_client_new(const struct config *c, struct err *err)
{
    struct tls_client *t = mem_new(struct tls_client);
    htable_init(&t->sessions, saved_hash);
    list_init(&t->lru);
    t->ctx = context_new();
    if (!t->ctx) err_set(err, "TLS cannot be set up");
    if (t->ctx && add_all_authorities(t, c, err)) return t;
    tls_client_free(t);
    return NULL;
}

void tls_client_free(struct tls_client *t)
{
    if (!t) return;
    while (!list_empty(&t->lru)) forget(t, list_entry(t->lru.next, struct saved, lru));
    htable_deinit(&t->sessions);
    for (size_t i = 0; i < t->authority_n; i++) X509_STORE_free(t->authorities[i].store);
    free(t->authorities);
    SSL_CTX_free(t->ctx);
    free(t);
}

/* ---- one connection */

static bool add_name(SSL *ssl, const char *name)
{
    struct ip ip;
    if (ip_parse(slice_str(name), &ip)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_add1_host(ssl, name) == 1;
}

static bool set_names(SSL *ssl, const struct tls_wish *w, size_t from)
{
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS |
                               (w->dns_id ? X509_CHECK_FLAG_NEVER_CHECK_SUBJECT : 0));
    for (size_t i = from; i < w->name_n; i++)
        if (!add_name(ssl, w->names[i])) return false;
    return w->name_n > 0; /* any name is no proof */
}

/* RFC 7671 §5.1: a DANE-EE record vouches for the certificate whatever its names and dates. */
static bool set_dane(SSL *ssl, const struct tls_wish *w)
{
    size_t taken = 0;
    if (!w->name_n || SSL_dane_enable(ssl, w->names[0]) != 1) return false;
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < w->tlsa_n; i++) {
        const struct tls_tlsa *r = &w->tlsa[i];
        if (tls_tlsa_usable(r) && SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, r->data, r->n) == 1) taken++;
    }
    ERR_clear_error();
    return taken && set_names(ssl, w, 1);
}

static bool set_proof(struct tls_client *t, SSL *ssl, const struct tls_wish *w)
{
    const struct authorities *a = w->ca ? find_authorities(t, w->ca) : &t->authorities[0];
    bool asked = w->verify || w->tlsa_n;
    if (w->tlsa_n && !set_dane(ssl, w)) return false;
    if (w->verify && !w->tlsa_n && (!a || SSL_set1_verify_cert_store(ssl, a->store) != 1 || !set_names(ssl, w, 0))) return false;
    SSL_set_verify(ssl, asked && !w->keep_on ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return true;
}

struct ssl_st *tls_client_session(struct tls_client *t, const struct tls_wish *w, const char *resume_key, struct err *err)
{
    SSL *ssl = SSL_new(t->ctx);
    struct tls_proof *p = ssl ? tls_proof_new(ssl, w) : NULL;
    bool ok = p && SSL_set_min_proto_version(ssl, w->min_version >= 13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 && set_proof(t, ssl, w) &&
              (!w->sni || SSL_set_tlsext_host_name(ssl, w->sni) == 1);
    ERR_clear_error();
    if (!ok) {
        SSL_free(ssl);
        err_set(err, "TLS cannot be set up%s%s", w->ca ? " with the authorities of " : "", w->ca ? w->ca : "");
        return NULL;
    }
    p->client = t;
    if (resume_key) {
        p->key = session_key(resume_key, w);
        resume(t, ssl, p);
    }
    return ssl;
}
