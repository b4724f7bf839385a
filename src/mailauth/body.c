/* SPDX-License-Identifier: Apache-2.0
 * Hashes of the canonical body, taken while it streams by (RFC 6376 §3.4.3, §3.4.4, §3.7).
 *
 * Text goes through up to three stages: blanks reduced (relaxed only), empty lines at the end withheld (both forms),
 * hashed. One SHA-256 runs for each form; where somebody wants the first bytes only, its state is copied when it has
 * seen so many. */
#include <openssl/evp.h>
#include <stdlib.h>
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define OUT_SIZE 8192

struct form {
    EVP_MD_CTX *hash; /* NULL: nobody wants this form */
    uint64_t seen;    /* canonical bytes */
    uint64_t next;    /* the lowest limit that is not reached */
    bool whole;       /* somebody wants all of it */
    uint64_t lines;   /* empty lines withheld: the end of the body may follow */
    bool cr;          /* a CR withheld: is it one of a line's end? */
};

struct wish {
    enum auth_canon canon;
    uint64_t limit;
    uint8_t digest[AUTH_DIGEST_N];
};

struct auth_body {
    EVP_MD *md;
    EVP_MD_CTX *scratch;
    struct form forms[2]; /* by enum auth_canon */
    struct wish wishes[AUTH_BODY_HASHES];
    size_t n;
    bool begun;
    bool blank, cr; /* relaxed: blanks withheld, and a CR behind them */
    size_t out_n;
    char out[OUT_SIZE]; /* relaxed text that is to be hashed */
};

/* SHA-256 fails where memory is at its end, or OpenSSL has none: no result could be trusted. */
static void must(bool ok)
{
    if (!ok) abort();
}

struct auth_body *auth_body_new(void)
{
    struct auth_body *b = mem_alloc(sizeof *b);
    memset(b, 0, offsetof(struct auth_body, out));
    return b;
}

void auth_body_free(struct auth_body **body)
{
    struct auth_body *b = *body;
    *body = NULL;
    if (!b) return;
    for (size_t i = 0; i < countof(b->forms); i++) EVP_MD_CTX_free(b->forms[i].hash);
    EVP_MD_CTX_free(b->scratch);
    EVP_MD_free(b->md);
    free(b);
}

static EVP_MD_CTX *start(struct auth_body *b)
{
    if (!b->md)
        b->md = EVP_MD_fetch(NULL, "SHA256", NULL); /* once: each EVP_DigestInit_ex(EVP_sha256()) would look for it */
    must(b->md);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must(ctx && EVP_DigestInit_ex2(ctx, b->md, NULL));
    return ctx;
}

void auth_body_sha256(struct auth_body *b, struct slice text, uint8_t digest[AUTH_DIGEST_N])
{
    if (b->scratch) must(EVP_DigestInit_ex2(b->scratch, b->md, NULL));
    else b->scratch = start(b);
    must(EVP_DigestUpdate(b->scratch, text.p, text.n) && EVP_DigestFinal_ex(b->scratch, digest, NULL));
}

int auth_body_want(struct auth_body *b, enum auth_canon canon, uint64_t limit)
{
    struct form *f = &b->forms[canon];
    for (size_t i = 0; i < b->n; i++)
        if (b->wishes[i].canon == canon && b->wishes[i].limit == limit) return (int)i;
    if (b->n == AUTH_BODY_HASHES || b->begun) return -1;
    if (!f->hash) {
        f->hash = start(b);
        f->next = UINT64_MAX;
    }
    struct wish *w = &b->wishes[b->n];
    *w = (struct wish){ .canon = canon, .limit = limit };
    if (limit == UINT64_MAX) f->whole = true;
    else if (limit == 0) auth_body_sha256(b, SLICE(""), w->digest);
    else if (limit < f->next) f->next = limit;
    return (int)b->n++;
}

/* ---- hashing */

static void finish_copy(struct auth_body *b, struct form *f, uint8_t digest[AUTH_DIGEST_N])
{
    if (!b->scratch) b->scratch = start(b);
    must(EVP_MD_CTX_copy_ex(b->scratch, f->hash) && EVP_DigestFinal_ex(b->scratch, digest, NULL));
}

/* The lowest limit is reached. */
static void reach(struct auth_body *b, enum auth_canon canon)
{
    struct form *f = &b->forms[canon];
    f->next = UINT64_MAX;
    for (size_t i = 0; i < b->n; i++) {
        struct wish *w = &b->wishes[i];
        if (w->canon != canon) continue;
        if (w->limit == f->seen) finish_copy(b, f, w->digest);
        else if (w->limit > f->seen && w->limit < f->next) f->next = w->limit;
    }
}

static void hash(struct auth_body *b, enum auth_canon canon, const char *p, size_t n)
{
    struct form *f = &b->forms[canon];
    while (n) {
        if (!f->whole && f->next == UINT64_MAX) { /* nobody wants more of it: only its length counts */
            f->seen += n;
            return;
        }
        size_t step = f->next - f->seen < n ? (size_t)(f->next - f->seen) : n;
        must(EVP_DigestUpdate(f->hash, p, step));
        f->seen += step;
        p += step;
        n -= step;
        if (f->seen == f->next) reach(b, canon);
    }
}

/* ---- empty lines at the end (§3.4.3, §3.4.4) */

static void release(struct auth_body *b, enum auth_canon canon)
{
    static const char ends[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
    struct form *f = &b->forms[canon];
    while (f->lines) {
        size_t n = f->lines < sizeof ends / 2 ? (size_t)f->lines : sizeof ends / 2;
        hash(b, canon, ends, n * 2);
        f->lines -= n;
    }
}

static void push(struct auth_body *b, enum auth_canon canon, const char *p, size_t n)
{
    struct form *f = &b->forms[canon];
    if (!n) return;
    if (f->cr) {
        f->cr = false;
        if (*p == '\n') {
            f->lines++;
            p++;
            n--;
        } else {
            release(b, canon);
            hash(b, canon, "\r", 1);
        }
    }
    uint64_t lines = 0;
    if (n && p[n - 1] == '\r') {
        f->cr = true;
        n--;
    }
    for (; n >= 2 && p[n - 2] == '\r' && p[n - 1] == '\n'; n -= 2) lines++;
    if (n) {
        release(b, canon);
        hash(b, canon, p, n);
    }
    f->lines += lines;
}

static void end(struct auth_body *b, enum auth_canon canon)
{
    struct form *f = &b->forms[canon];
    if (!f->hash) return;
    if (f->cr) {
        release(b, canon);
        hash(b, canon, "\r", 1);
    }
    /* A last line gets its end if it has none; an empty body is CRLF in the simple form, nothing in the relaxed one. */
    if (f->seen || canon == AUTH_SIMPLE) hash(b, canon, "\r\n", 2);
    for (size_t i = 0; i < b->n; i++)
        if (b->wishes[i].canon == canon && b->wishes[i].limit > f->seen) finish_copy(b, f, b->wishes[i].digest);
}

/* ---- blanks (§3.4.4) */

static void flush(struct auth_body *b)
{
    push(b, AUTH_RELAXED, b->out, b->out_n);
    b->out_n = 0;
}

static void emit(struct auth_body *b, char c)
{
    if (b->out_n == OUT_SIZE) flush(b);
    b->out[b->out_n++] = c;
}

/* A CR that ends no line, and the blanks before it. */
static void emit_cr(struct auth_body *b)
{
    if (b->blank) emit(b, ' ');
    emit(b, '\r');
    b->blank = b->cr = false;
}

static inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

typedef unsigned char bytes16 __attribute__((vector_size(16)));

/* The index, in memory, of the first byte that is not zero; there is one. */
static inline size_t first_set(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(v) / 8;
#else
    return (size_t)__builtin_clzll(v) / 8;
#endif
}

/* Emits text from p+i on up to the first byte that may not stay as it is, and returns its index: a tab, a space with a
 * blank, a CR or the piece's end behind it, a CR at the piece's end. What is copied too much is overwritten. */
static size_t emit_run(struct auth_body *b, const char *p, size_t i, size_t n)
{
    for (; i + 17 <= n; i += 16) {
        bytes16 c, d;
        uint64_t hits[2];
        if (b->out_n + 16 > OUT_SIZE) flush(b);
        memcpy(&c, p + i, 16);
        memcpy(&d, p + i + 1, 16);
        memcpy(b->out + b->out_n, &c, 16);
        c = (bytes16)((c == '\t') | ((c == ' ') & ((d == ' ') | (d == '\t') | (d == '\r'))));
        memcpy(hits, &c, 16);
        if (hits[0] | hits[1]) {
            size_t at = hits[0] ? first_set(hits[0]) : 8 + first_set(hits[1]);
            b->out_n += at;
            return i + at;
        }
        b->out_n += 16;
    }
    for (; i < n; i++) {
        char c = p[i], d = i + 1 < n ? p[i + 1] : '\r';
        if (c == '\t' || (c == ' ' && (is_blank(d) || d == '\r')) || (c == '\r' && i + 1 == n)) break;
        emit(b, c);
    }
    return i;
}

static void push_relaxed(struct auth_body *b, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (b->cr && p[i] == '\n') { /* at a piece's begin only */
            emit(b, '\r');
            emit(b, '\n');
            b->blank = b->cr = false;
            i++;
            continue;
        }
        if (b->cr) emit_cr(b);
        if (b->blank) {
            while (i < n && is_blank(p[i])) i++;
            if (i == n) break;
            bool cr = p[i] == '\r';
            if (cr && i + 1 == n) {
                b->cr = true;
                break;
            }
            if (!cr || p[i + 1] != '\n') emit(b, ' ');
            b->blank = false;
        }
        i = emit_run(b, p, i, n);
        if (i == n) break;
        if (p[i++] == '\r') b->cr = true;
        else b->blank = true;
    }
}

void auth_body_push(struct auth_body *b, struct slice text)
{
    b->begun = true;
    if (b->forms[AUTH_SIMPLE].hash) push(b, AUTH_SIMPLE, text.p, text.n);
    if (b->forms[AUTH_RELAXED].hash) push_relaxed(b, text.p, text.n);
}

void auth_body_end(struct auth_body *b)
{
    b->begun = true;
    if (b->cr) emit_cr(b);
    flush(b);
    end(b, AUTH_SIMPLE);
    end(b, AUTH_RELAXED);
}

const uint8_t *auth_body_digest(const struct auth_body *b, int which, uint64_t *size)
{
    const struct wish *w = &b->wishes[which];
    *size = b->forms[w->canon].seen;
    return w->digest;
}
