/* SPDX-License-Identifier: Apache-2.0
 * TLS as a server: one context for each set of rules that listeners and zones make (versions, client certificates), and
 * in the handshake the certificates of the name that is asked for. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "net/tls_parts.h"

#define TICKETS_PER_HANDSHAKE 1
#define TICKET_SECONDS_MAX 604800 /* RFC 8446 §4.6.1 */
#define DEPTH_MAX 10              /* of a client's chain */
#define KINDS_MAX 4               /* certificates of different kinds of key for one name */

static const char modern_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL";
static const char old_ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:kRSA+AESGCM:kRSA+AES:"
    "!aNULL:!eNULL:!PSK:!SRP:!DSS:@SECLEVEL=0";

/* What a name leads to. Names are sorted; those of one name stand in the order of pairs, the first of each kind of key
 * counts. */
struct server_name {
    char *name; /* lower case; "*.example.com" */
    size_t pair;
};

/* The rules of a listener and zone. */
struct variant {
    unsigned min_version;
    enum config_client_cert certificate;
    const char *ca; /* NULL: client certificates are not asked for */
    SSL_CTX *ctx;
};

struct tls_server {
    struct tls_pair *pairs; /* tls.certificates, then tls.certificate or the self-signed one */
    size_t pair_n;
    struct server_name *names;
    size_t name_n;
    const struct tls_pair *defaults[KINDS_MAX]; /* for clients that ask for no name, or one we do not have */
    size_t default_n;
    struct variant *variants;
    size_t variant_n;
    struct tls_tickets *tickets; /* NULL: none */
    uint64_t ticket_life;
    unsigned min_version;
    bool weak;          /* one of our own keys is */
    EVP_CIPHER *cipher; /* of tickets */
};

/* ---- tickets */

static int seal_ticket(const struct tls_server *t, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                       struct tls_ticket_key *key)
{
    if (!tls_tickets_newest(t->tickets, key)) return 0; /* no ticket this time */
    memcpy(name, key->name, sizeof key->name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1) return -1;
    return EVP_EncryptInit_ex2(cipher, t->cipher, key->cipher, iv, NULL) == 1 ? 1 : -1;
}

static int open_ticket(const struct tls_server *t, const unsigned char name[16], const unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, struct tls_ticket_key *key)
{
    bool newest = false;
    if (!tls_tickets_find(t->tickets, name, key, &newest)) return 0; /* a full handshake */
    if (EVP_DecryptInit_ex2(cipher, t->cipher, key->cipher, iv, NULL) != 1) return -1;
    return newest ? 1 : 2; /* 2: the client gets a new one */
}

/* AES-256-CBC, then HMAC-SHA-256 (RFC 5077 §4). */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int seal)
{
    const struct tls_server *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct tls_ticket_key key;
    char digest[] = "SHA256";
    int rc = seal ? seal_ticket(t, name, iv, cipher, &key) : open_ticket(t, name, iv, cipher, &key);
    if (rc > 0) {
        OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac),
                                OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
                                OSSL_PARAM_END };
        if (EVP_MAC_CTX_set_params(mac, params) != 1) rc = -1;
    }
    mem_wipe(&key, sizeof key);
    return rc;
}

/* ---- names */

static int by_name(const void *pa, const void *pb)
{
    const struct server_name *a = pa, *b = pb;
    int order = strcmp(a->name, b->name);
    return order ? order : (a->pair > b->pair) - (a->pair < b->pair);
}

/* The first entry of a name, or name_n. */
static size_t find_name(const struct tls_server *t, const char *name)
{
    size_t low = 0, high = t->name_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(t->names[middle].name, name) < 0) low = middle + 1;
        else high = middle;
    }
    return low < t->name_n && !strcmp(t->names[low].name, name) ? low : t->name_n;
}

/* By exact name, else by the wildcard for its first label; name_n: neither, or no name. */
static size_t match_name(const struct tls_server *t, const char *asked)
{
    char name[TLS_NAME_MAX + 2];
    size_t n = asked ? strlen(asked) : 0;
    if (n && asked[n - 1] == '.') n--;
    if (!n || n > TLS_NAME_MAX || asked[0] == '*') return t->name_n;
    for (size_t i = 0; i < n; i++) name[i] = ascii_lower(asked[i]);
    name[n] = '\0';
    size_t at = find_name(t, name);
    char *dot = strchr(name, '.');
    if (at < t->name_n || !dot || dot == name) return at;
    dot[-1] = '*';
    return find_name(t, dot - 1);
}

/* The last one used of a kind of key stays, so those that count come last. */
static bool use_pairs(const struct tls_server *t, SSL *ssl, size_t first)
{
    size_t end = first;
    while (end < t->name_n && !strcmp(t->names[end].name, t->names[first].name)) end++;
    SSL_certs_clear(ssl);
    for (size_t i = end; i-- > first;) {
        const struct tls_pair *p = &t->pairs[t->names[i].pair];
        if (SSL_use_cert_and_key(ssl, p->leaf, p->key, p->chain, 1) != 1) return false;
    }
    return true;
}

/* RFC 6066 §3: an unknown name is no reason to end the handshake. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_server *t = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    size_t at = match_name(t, name);
    if (at == t->name_n) return SSL_TLSEXT_ERR_NOACK;
    if (use_pairs(t, ssl, at)) return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- contexts */

/* The handshake goes on with any certificate; what it is worth is asked later. */
static int any_certificate(int ok, X509_STORE_CTX *ctx) { return 1; }

static bool ask_certificate(SSL_CTX *ctx, const struct variant *v, struct err *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(v->ca);
    if (!names || SSL_CTX_load_verify_file(ctx, v->ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_err(err, "listeners.client_ca: reading", v->ca);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
                                X509_V_FLAG_PARTIAL_CHAIN); /* what the administrator names is trusted */
    SSL_CTX_set_verify_depth(ctx, DEPTH_MAX);
    if (v->certificate == CONFIG_CLIENT_CERT_REQUIRE)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    else SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, any_certificate);
    return true;
}

static bool set_versions(const struct tls_server *t, SSL_CTX *ctx, unsigned min_version)
{
    static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };
    bool old = min_version < 12;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    if (old) {
        SSL_CTX_clear_options(ctx,
                              SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1); /* a system-wide configuration may have set them */
        SSL_CTX_set_dh_auto(ctx, 1);
    } else {
        SSL_CTX_set_security_level(ctx, t->weak ? 1 : 2);
    }
    return SSL_CTX_set_cipher_list(ctx, old ? old_ciphers : modern_ciphers) == 1 &&
           SSL_CTX_set_ciphersuites(
               ctx, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256") == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set_min_proto_version(ctx, versions[min_version - 10]) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, 0) == 1;
}

/* Whoever must prove who he is does so each time: nothing is resumed where certificates are asked for. What was begun
 * under one set of rules is not resumed under another. */
static bool set_resumption(const struct tls_server *t, SSL_CTX *ctx, const struct variant *v)
{
    unsigned char context[] = { 'p', 'o', 's', 't', 'e', 'r', 'n', v->min_version < 12, (unsigned char)v->certificate };
    uint64_t seconds = t->ticket_life / 1000;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(ctx, 0); /* it can be replayed (RFC 8446 §8) */
    if (!t->tickets || v->ca) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    } else {
        SSL_CTX_set_num_tickets(ctx, TICKETS_PER_HANDSHAKE);
        SSL_CTX_set_timeout(ctx, (long)(seconds < 1 ? 1 : seconds > TICKET_SECONDS_MAX ? TICKET_SECONDS_MAX : seconds));
        if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1) return false;
    }
    return SSL_CTX_set_session_id_context(ctx, context, sizeof context) == 1;
}

static bool variant_open(struct tls_server *t, struct variant *v, struct err *err)
{
    SSL_CTX *ctx = v->ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || !set_versions(t, ctx, v->min_version) || !set_resumption(t, ctx, v))
        return tls_err(err, "TLS cannot be set up", "");
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    for (size_t i = 0; i < t->default_n; i++) {
        const struct tls_pair *p = t->defaults[i];
        if (SSL_CTX_use_cert_and_key(ctx, p->leaf, p->key, p->chain, 1) != 1)
            return tls_err(err, "tls.certificate: using", "it");
    }
    return !v->ca || ask_certificate(ctx, v, err);
}

static struct variant rules_of(const struct tls_server *t, const struct config_listener *l, const struct config_zone *z)
{
    struct variant v = { .min_version = z && z->min_version ? z->min_version : t->min_version };
    if (l && l->client_certificate != CONFIG_CLIENT_CERT_NONE && l->client_ca) {
        v.certificate = l->client_certificate;
        v.ca = l->client_ca;
    }
    return v;
}

static const struct variant *find_variant(const struct tls_server *t, const struct variant *v)
{
    for (size_t i = 0; i < t->variant_n; i++) {
        const struct variant *w = &t->variants[i];
        if (w->min_version == v->min_version && w->certificate == v->certificate && !v->ca == !w->ca &&
            (!v->ca || !strcmp(v->ca, w->ca)))
            return w;
    }
    return NULL;
}

struct x509_st *tls_server_certificate(const struct tls_server *t, size_t n, struct stack_st_X509 **chain)
{
    if (n >= t->pair_n) return NULL;
    *chain = t->pairs[n].chain;
    return t->pairs[n].leaf;
}

struct ssl_ctx_st *tls_server_context(const struct tls_server *t, const struct config_listener *l,
                                      const struct config_zone *z)
{
    struct variant v = rules_of(t, l, z);
    const struct variant *found = find_variant(t, &v);
    return found ? found->ctx : NULL; /* without one the handshake fails */
}

static bool add_variant(struct tls_server *t, const struct config_listener *l, const struct config_zone *z,
                        struct err *err)
{
    struct variant v = rules_of(t, l, z);
    if (v.min_version < 10 || v.min_version > 13) return err_set(err, "TLS version %u is unknown", v.min_version);
    if (l && l->client_certificate == CONFIG_CLIENT_CERT_REQUIRE && !v.ca)
        return err_set(err, "listeners.client_certificate: require needs client_ca");
    if (find_variant(t, &v)) return true;
    t->variants = mem_grow(t->variants, t->variant_n + 1, sizeof *t->variants);
    t->variants[t->variant_n++] = v;
    return variant_open(t, &t->variants[t->variant_n - 1], err);
}

static bool add_variants(struct tls_server *t, const struct config *c, struct err *err)
{
    if (!add_variant(t, NULL, NULL, err)) return false;
    for (size_t i = 0; i < c->listener_n; i++) {
        if (!add_variant(t, &c->listeners[i], NULL, err)) return false;
        for (size_t k = 0; k < c->zone_n; k++)
            if (!add_variant(t, &c->listeners[i], &c->zones[k], err)) return false;
    }
    return true;
}

/* ---- certificates */

static void add_name(void *arg, const char *name)
{
    struct tls_server *t = arg; /* for the newest pair */
    t->names = mem_grow(t->names, t->name_n + 1, sizeof *t->names);
    char *lower = mem_strdup(name);
    for (char *at = lower; *at; at++) *at = ascii_lower(*at);
    t->names[t->name_n++] = (struct server_name){ lower, t->pair_n - 1 };
}

static bool add_pair(struct tls_server *t, const char *option, const char *certificate, const char *key,
                     const char *const *names, size_t name_n, struct err *err)
{
    struct tls_certificate_facts facts = { 0 };
    struct err why = { 0 };
    t->pairs = mem_grow(t->pairs, t->pair_n + 1, sizeof *t->pairs);
    struct tls_pair *p = &t->pairs[t->pair_n++];
    if (!tls_pair_read(certificate, key, names, name_n, p, &facts, &why)) {
        err_set_text(err, "%s%s: %s%s%s", option, facts.key_at_fault ? "key" : "certificate", why.text,
                     facts.hint[0] ? "; " : "", facts.hint);
        err->code = why.code;
        return false;
    }
    t->weak |= facts.weak;
    for (size_t i = 0; i < name_n; i++) add_name(t, names[i]);
    if (!name_n) tls_cert_names(p->leaf, add_name, t);
    return true;
}

static void add_default(struct tls_server *t, const struct tls_pair *p)
{
    for (size_t i = 0; i < t->default_n; i++)
        if (EVP_PKEY_get_base_id(t->defaults[i]->key) == EVP_PKEY_get_base_id(p->key)) return;
    if (t->default_n < KINDS_MAX) t->defaults[t->default_n++] = p;
}

/* tls.certificate, and beside it certificates with other kinds of keys for our own name; these alone when it is not
 * set. */
static void choose_defaults(struct tls_server *t, const struct config *c)
{
    const struct tls_pair *last = &t->pairs[t->pair_n - 1];
    size_t first = match_name(t, c->hostname);
    if (*c->tls.certificate) add_default(t, last);
    for (size_t i = first; i < t->name_n && !strcmp(t->names[i].name, t->names[first].name); i++)
        if (*c->tls.certificate || t->names[i].pair != t->pair_n - 1) add_default(t, &t->pairs[t->names[i].pair]);
    if (!t->default_n) add_default(t, last);
}

static bool add_pairs(struct tls_server *t, const struct config *c, const char *self_signed, struct err *err)
{
    char certificate[4300], key[4300], option[60];
    for (size_t i = 0; i < c->tls.certificate_n; i++) {
        const struct config_certificate *e = &c->tls.certificates[i];
        snprintf(option, sizeof option, "tls.certificates[%zu].", i);
        if (!add_pair(t, option, e->certificate, e->key, e->names, e->name_n, err)) return false;
    }
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", self_signed);
    snprintf(key, sizeof key, "%s/key.pem", self_signed);
    bool ours = !*c->tls.certificate;
    if (!add_pair(t, "tls.", ours ? certificate : c->tls.certificate, ours ? key : c->tls.key, NULL, 0, err)) return false;
    if (t->name_n) qsort(t->names, t->name_n, sizeof *t->names, by_name);
    choose_defaults(t, c);
    return true;
}

struct tls_server *tls_server_new(const struct config *c, const char *self_signed, struct tls_tickets *tickets,
                                  struct err *err)
{
    struct tls_server *t = mem_new(struct tls_server);
    t->min_version = c->tls.min_version;
    t->ticket_life = c->tls.ticket_life;
    t->tickets = t->ticket_life ? tickets : NULL;
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if ((t->cipher || tls_err(err, "TLS cannot be set up", "")) && add_pairs(t, c, self_signed, err) &&
        add_variants(t, c, err))
        return t;
    tls_server_free(t);
    return NULL;
}

void tls_server_free(struct tls_server *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->variant_n; i++) SSL_CTX_free(t->variants[i].ctx);
    for (size_t i = 0; i < t->name_n; i++) free(t->names[i].name);
    for (size_t i = 0; i < t->pair_n; i++) tls_pair_deinit(&t->pairs[i]);
    EVP_CIPHER_free(t->cipher);
    free(t->variants);
    free(t->names);
    free(t->pairs);
    free(t);
}

bool tls_client_certificate(const struct ssl_st *ssl, char *name, size_t room)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    snprintf(name, room, "%s", "");
    if (!cert) return false;
    tls_name_text(X509_get_subject_name(cert), name, room);
    return SSL_get_verify_result(ssl) == X509_V_OK;
}
