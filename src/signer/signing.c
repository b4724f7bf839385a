/* SPDX-License-Identifier: Apache-2.0
 * A message's signatures: which keys, their digests, what the signer process says, the fields. */
#include "signer/signer.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "message/mailbox.h"
#include "signer/keys.h"
#include "smtp/address.h"

struct signature {
    struct signing *signing;
    struct dkim_signer *signer;
    size_t key;
    struct link_request request;
    bool asked;
    char bytes[DKIM_SIGNATURE_MAX];
    size_t n;                    /* 0: not there yet */
};

struct signing {
    const struct signer_keys *keys;
    struct arc_sealer *sealer;   /* NULL: DKIM */
    bool sealing;                /* the message signature is there, the seal is asked for */
    struct link *link;
    struct signature signatures[SIGNER_KEYS_MAX]; /* of ARC one, for either step */
    size_t n;
    signing_cb *cb;
    void *arg;
};

/* ---- whose keys */

struct author {
    char domain[256];            /* A-labels, lower case; "" : none yet */
    bool unclear;                /* another one, too, or one that is none */
};

static bool take_author(void *arg, struct slice address)
{
    struct author *a = arg;
    char domain[256];
    const char *at = memrchr(address.p, '@', address.n);
    struct slice rest = at ? slice_sub(address, (size_t)(at - address.p) + 1, address.n) : SLICE("");
    a->unclear = !address_domain_ascii(rest, domain) || (a->domain[0] && strcmp(a->domain, domain) != 0);
    if (!a->unclear) memcpy(a->domain, domain, sizeof domain);
    return !a->unclear;
}

static bool find_author(const struct auth_header *header, struct author *out)
{
    *out = (struct author){ 0 };
    const struct auth_field *from = auth_header_last(header, SLICE("From"), header->n);
    if (!from || auth_header_count(header, SLICE("From")) != 1) return false;
    return mailbox_each(from->value, take_author, out) == MAILBOX_OK && !out->unclear && out->domain[0];
}

/* Numbers of the keys for exactly this domain. */
static size_t keys_of(const struct config *c, const char *domain, size_t out[SIGNER_KEYS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < c->dkim.key_n && n < SIGNER_KEYS_MAX; i++)
        if (c->dkim.keys[i].enabled && !strcmp(c->dkim.keys[i].domain, domain)) out[n++] = i;
    return n;
}

static size_t find_keys(const struct config *c, const char *domain, size_t out[SIGNER_KEYS_MAX])
{
    size_t n = keys_of(c, domain, out);
    for (const char *dot; !n && c->dkim.subdomains && (dot = strchr(domain, '.')); domain = dot + 1) n = keys_of(c, dot + 1, out);
    return n;
}

/* ---- beginning */

static struct signing *signing_new(const struct signer_keys *k, struct arena *arena)
{
    struct signing *s = arena_alloc(arena, sizeof *s);
    s->keys = k;
    return s;
}

static bool is_used(const struct signer_keys *k) { return k && k->config->dkim.key_n; }

struct signing *signing_begin_dkim(const struct signer_keys *k, const struct auth_header *header, struct auth_body *body,
                                   uint64_t now_ms, struct arena *arena)
{
    struct author author;
    size_t numbers[SIGNER_KEYS_MAX];
    if (!is_used(k) || !find_author(header, &author)) return NULL;
    size_t n = find_keys(k->config, author.domain, numbers);
    if (!n) return NULL;
    struct signing *s = signing_new(k, arena);
    for (size_t i = 0; i < n; i++) {
        struct dkim_signer *signer = dkim_sign_begin(signer_options(k, numbers[i], now_ms, arena), header, body, arena);
        if (signer) s->signatures[s->n++] = (struct signature){ .signing = s, .signer = signer, .key = numbers[i] };
    }
    return s->n ? s : NULL;
}

struct signing *signing_begin_arc(const struct signer_keys *k, const struct auth_header *header, struct auth_body *body,
                                  uint64_t now_ms, struct arena *arena)
{
    if (!k || !k->config->arc.seal) return NULL;
    size_t number = k->config->dkim.key_n;
    struct signing *s = signing_new(k, arena);
    s->sealer = arc_seal_begin(signer_options(k, number, now_ms, arena), header, body, arena);
    s->signatures[s->n++] = (struct signature){ .signing = s, .key = number };
    return s->sealer ? s : NULL;
}

/* ---- asking */

static void end_requests(struct signing *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->signatures[i].asked) link_end(&s->signatures[i].request);
        s->signatures[i].asked = false;
    }
}

void signing_cancel(struct signing **sp)
{
    if (*sp) end_requests(*sp);
    *sp = NULL;
}

static void on_answer(struct link_request *r, const json_t *answer);

static void ask(struct signature *g, const uint8_t digest[AUTH_DIGEST_N])
{
    const struct signer_keys *k = g->signing->keys;
    struct buf b = { 0 };
    base64_add(&b, slice_of(digest, AUTH_DIGEST_N));
    g->asked = true;
    g->n = 0;
    link_ask(g->signing->link, &g->request,
             json_pack("{s:s, s:I, s:i, s:s%}", "op", "sign", "key", (json_int_t)g->key, "type", (int)k->types[g->key], "digest", b.p, b.n),
             (unsigned)k->config->dkim.timeout, on_answer);
    buf_deinit(&b);
}

static void finish(struct signing *s, bool ok)
{
    struct buf fields = { 0 };
    end_requests(s);
    for (size_t i = 0; ok && i < s->n; i++) {
        struct slice bytes = slice_of(s->signatures[i].bytes, s->signatures[i].n);
        if (s->sealer) arc_seal_finish(s->sealer, bytes, &fields);
        else dkim_sign_finish(s->signatures[i].signer, bytes, &fields);
    }
    s->cb(s->arg, ok, buf_slice(&fields));
    buf_deinit(&fields);
}

static bool take_signature(struct signature *g, const json_t *answer)
{
    struct buf bytes = { .max = sizeof g->bytes };
    if (base64_decode(json_text(answer, "signature"), &bytes) && bytes.n) {
        memcpy(g->bytes, bytes.p, bytes.n);
        g->n = bytes.n;
    }
    buf_deinit(&bytes);
    return g->n > 0;
}

static void seal(struct signing *s)
{
    struct signature *g = &s->signatures[0];
    uint8_t digest[AUTH_DIGEST_N];
    s->sealing = true;
    arc_seal_digest(s->sealer, slice_of(g->bytes, g->n), digest);
    ask(g, digest);
}

static void on_answer(struct link_request *r, const json_t *answer)
{
    struct signature *g = container_of(r, struct signature, request);
    struct signing *s = g->signing;
    link_end(r);
    g->asked = false;
    if (!answer || !take_signature(g, answer)) {
        finish(s, false);
        return;
    }
    for (size_t i = 0; i < s->n; i++)
        if (!s->signatures[i].n) return;
    if (s->sealer && !s->sealing) seal(s);
    else finish(s, true);
}

bool signing_start(struct signing *s, struct link *signer, const struct arc *chain, struct slice results, signing_cb *cb, void *arg)
{
    uint8_t digest[AUTH_DIGEST_N];
    s->link = signer;
    s->cb = cb;
    s->arg = arg;
    if (s->sealer) {
        if (!chain || !arc_may_seal(chain)) return false;
        arc_seal_message_digest(s->sealer, chain, results, digest);
        ask(&s->signatures[0], digest);
        return true;
    }
    for (size_t i = 0; i < s->n; i++) {
        dkim_sign_digest(s->signatures[i].signer, digest);
        ask(&s->signatures[i], digest);
    }
    return true;
}
