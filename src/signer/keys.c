/* SPDX-License-Identifier: Apache-2.0
 * Which keys there are, of what kind, and how is signed with them. */
#include <stdlib.h>
#include "base/mem.h"
#include "mailauth/key.h"
#include "signer/keys.h"

const struct config_dkim_key *signer_key_at(const struct config *c, size_t number)
{
    const struct config_dkim_key *k = number < c->dkim.key_n ? &c->dkim.keys[number] : NULL;
    if (k) return k->enabled ? k : NULL;
    return number == c->dkim.key_n && c->arc.seal ? &c->arc.key : NULL;
}

static struct slice *slices_of(const char *const *names, size_t n)
{
    struct slice *all = mem_grow(NULL, n + 1, sizeof *all);
    for (size_t i = 0; i < n; i++) all[i] = slice_str(names[i]);
    return all;
}

/* One that is not in use is only looked at where it can be. */
static bool load_type(struct signer_keys *k, size_t number, struct err *err)
{
    const struct config_dkim_key *entry = signer_key_at(k->config, number);
    bool used = entry != NULL;
    if (!used && number < k->config->dkim.key_n) entry = &k->config->dkim.keys[number];
    if (!entry) return true;
    struct dkim_key *key = dkim_key_load(entry->file, err);
    if (!key) return !used;
    struct buf text = { 0 };
    dkim_key_record(key, false, &text);
    k->records[number] = mem_slicedup(buf_slice(&text));
    k->types[number] = dkim_key_type(key);
    buf_deinit(&text);
    dkim_key_free(&key);
    return true;
}

const char *signer_key_record(const struct signer_keys *k, size_t number)
{
    return k->records[number];
}

struct signer_keys *signer_keys_new(const struct config *c, struct err *err)
{
    struct signer_keys *k = mem_zalloc(sizeof *k + (c->dkim.key_n + 1) * sizeof *k->types);
    k->config = c;
    k->records = mem_zalloc((c->dkim.key_n + 1) * sizeof *k->records);
    k->headers = slices_of(c->dkim.headers, c->dkim.header_n);
    k->oversign = slices_of(c->dkim.oversign, c->dkim.oversign_n);
    for (size_t i = 0; i <= c->dkim.key_n; i++)
        if (!load_type(k, i, err)) {
            signer_keys_free(k);
            return NULL;
        }
    return k;
}

void signer_keys_free(struct signer_keys *k)
{
    if (!k) return;
    for (size_t i = 0; i <= k->config->dkim.key_n; i++) free(k->records[i]);
    free(k->records);
    free(k->headers);
    free(k->oversign);
    free(k);
}

struct dkim_sign_options *signer_options(const struct signer_keys *k, size_t number, uint64_t now_ms, struct arena *arena)
{
    const struct config *c = k->config;
    const struct config_dkim_key *entry = signer_key_at(c, number);
    struct dkim_sign_options *o = arena_alloc(arena, sizeof *o);
    *o = (struct dkim_sign_options){ .domain = slice_str(entry->domain ? entry->domain : c->hostname),
                                     .selector = slice_str(entry->selector),
                                     .type = k->types[number],
                                     .header_canon = c->dkim.header == CONFIG_CANON_SIMPLE ? AUTH_SIMPLE : AUTH_RELAXED,
                                     .body_canon = c->dkim.body == CONFIG_CANON_SIMPLE ? AUTH_SIMPLE : AUTH_RELAXED,
                                     .time = now_ms / 1000 };
    if (c->dkim.header_n) {
        o->headers = k->headers;
        o->headers_n = c->dkim.header_n;
    }
    if (c->dkim.oversign_n) {
        o->oversign = k->oversign;
        o->oversign_n = c->dkim.oversign_n;
    }
    if (c->dkim.expire) o->expires = o->time + c->dkim.expire / 1000;
    return o;
}
