/* SPDX-License-Identifier: Apache-2.0
 * Signing (RFC 6376 §5, §3.5). The field is deterministic: the same message, options and key give the same bytes. */
#include "base/base64.h"
#include "mailauth/dkim_parts.h"
#include "smtp/address.h"

#define LINE 78 /* RFC 5322 §2.1.1 */

/* ---- folding */

static void fold(struct dkim_fold *f)
{
    buf_add_str(f->out, "\r\n\t");
    f->column = 1;
}

static void put(struct dkim_fold *f, struct slice s)
{
    buf_add(f->out, s);
    f->column += s.n;
}

void dkim_fold_word(struct dkim_fold *f, struct slice word)
{
    if (f->column + 1 + word.n > LINE && f->column > 1) fold(f);
    else put(f, SLICE(" "));
    put(f, word);
}

void dkim_fold_tag(struct dkim_fold *f, const char *tag, struct slice value)
{
    struct buf word = { 0 };
    buf_addf(&word, "%s=", tag);
    buf_add(&word, value);
    buf_add_char(&word, ';');
    dkim_fold_word(f, buf_slice(&word));
    buf_deinit(&word);
}

static void fold_number(struct dkim_fold *f, const char *tag, uint64_t value)
{
    struct buf digits = { 0 };
    buf_add_u64(&digits, value);
    if (value) dkim_fold_tag(f, tag, buf_slice(&digits));
    buf_deinit(&digits);
}

static void fold_domain(struct dkim_fold *f, const char *tag, struct slice domain)
{
    char ascii[256];
    dkim_fold_tag(f, tag, address_domain_ascii(domain, ascii) ? slice_str(ascii) : domain);
}

/* §2.11: all but dkim-safe-chars. */
static void fold_identity(struct dkim_fold *f, struct slice identity)
{
    struct buf quoted = { 0 };
    for (size_t i = 0; i < identity.n; i++) {
        unsigned char c = (unsigned char)identity.p[i];
        if (c > 0x20 && c < 0x7f && c != ';' && c != '=') buf_add_char(&quoted, (char)c);
        else buf_addf(&quoted, "=%02X", c);
    }
    dkim_fold_tag(f, "i", buf_slice(&quoted));
    buf_deinit(&quoted);
}

static void fold_names(struct dkim_fold *f, struct dkim_names names)
{
    for (size_t i = 0; i < names.n; i++) {
        size_t more = names.names[i].n + 1;
        if (i == 0) {
            if (f->column + 3 + more > LINE) fold(f);
            else put(f, SLICE(" "));
            put(f, SLICE("h="));
        } else if (f->column + more > LINE) {
            fold(f);
        }
        put(f, names.names[i]);
        put(f, i + 1 == names.n ? SLICE(";") : SLICE(":"));
    }
}

void dkim_fold_signature(struct dkim_fold *f, const struct dkim_sign_options *o, bool arc, struct dkim_names names,
                         const uint8_t body[AUTH_DIGEST_N])
{
    static const char *const forms[] = { "simple", "relaxed" };
    struct buf text = { 0 };
    dkim_fold_tag(f, "a", o->type == DKIM_RSA ? SLICE("rsa-sha256") : SLICE("ed25519-sha256"));
    buf_addf(&text, "%s/%s", forms[o->header_canon], forms[o->body_canon]);
    dkim_fold_tag(f, "c", buf_slice(&text));
    fold_domain(f, "d", o->domain);
    fold_domain(f, "s", o->selector);
    fold_number(f, "t", o->time);
    if (!arc) fold_number(f, "x", o->expires);
    if (!arc && o->identity.n) fold_identity(f, o->identity);
    fold_names(f, names);
    buf_clear(&text);
    base64_add(&text, slice_of(body, AUTH_DIGEST_N));
    dkim_fold_tag(f, "bh", buf_slice(&text));
    dkim_fold_word(f, SLICE("b="));
    buf_deinit(&text);
}

void dkim_fold_seal(struct dkim_fold *f, const struct dkim_sign_options *o, struct slice seen)
{
    dkim_fold_tag(f, "a", o->type == DKIM_RSA ? SLICE("rsa-sha256") : SLICE("ed25519-sha256"));
    fold_number(f, "t", o->time);
    dkim_fold_tag(f, "cv", seen);
    fold_domain(f, "d", o->domain);
    fold_domain(f, "s", o->selector);
    dkim_fold_word(f, SLICE("b="));
}

void dkim_fold_base64(struct buf *out, struct slice bytes)
{
    struct buf text = { 0 };
    struct dkim_fold f = { out, 0 };
    while (f.column < out->n && out->p[out->n - 1 - f.column] != '\n') f.column++;
    base64_add(&text, bytes);
    for (size_t i = 0; i < text.n;) {
        if (f.column >= LINE - 8) fold(&f);
        struct slice part = slice_sub(buf_slice(&text), i, i + (LINE - f.column));
        put(&f, part);
        i += part.n;
    }
    buf_deinit(&text);
}

/* ---- signing */

struct dkim_signer {
    struct dkim_sign_options o;
    const struct auth_header *header;
    struct auth_body *body;
    struct arena *arena;
    struct dkim_names names;
    int wish;
    struct slice text; /* the field up to "b=" */
};

struct dkim_signer *dkim_sign_begin(const struct dkim_sign_options *o, const struct auth_header *header,
                                    struct auth_body *body, struct arena *arena)
{
    int wish = header->overflow ? -1 : auth_body_want(body, o->body_canon, UINT64_MAX);
    if (wish < 0) return NULL;
    struct dkim_signer *s = arena_alloc(arena, sizeof *s);
    *s = (struct dkim_signer){ .o = *o, .header = header, .body = body, .arena = arena, .wish = wish };
    s->names = dkim_sign_names(o, header, false, arena);
    return s;
}

void dkim_sign_cover(const struct dkim_sign_options *o, const struct auth_header *header, struct dkim_names names, struct slice own,
                     struct auth_body *body, uint8_t digest[AUTH_DIGEST_N])
{
    struct buf all = { 0 };
    dkim_fields_add(header, names.names, names.n, NULL, o->header_canon, &all);
    auth_canon_field(o->header_canon, own, &all);
    all.n -= 2; /* §3.7: without its CRLF */
    auth_body_sha256(body, buf_slice(&all), digest);
    buf_deinit(&all);
}

void dkim_sign_digest(struct dkim_signer *s, uint8_t digest[32])
{
    uint64_t size;
    struct buf text = { 0 };
    struct dkim_fold f = { &text, 0 };
    put(&f, SLICE("DKIM-Signature:"));
    dkim_fold_tag(&f, "v", SLICE("1"));
    dkim_fold_signature(&f, &s->o, false, s->names, auth_body_digest(s->body, s->wish, &size));
    s->text = arena_slice(s->arena, buf_slice(&text));
    dkim_sign_cover(&s->o, s->header, s->names, s->text, s->body, digest);
    buf_deinit(&text);
}

void dkim_sign_finish(struct dkim_signer *s, struct slice signature, struct buf *out)
{
    buf_add(out, s->text);
    dkim_fold_base64(out, signature);
    buf_add_str(out, "\r\n");
}
