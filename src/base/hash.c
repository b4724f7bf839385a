/* SPDX-License-Identifier: Apache-2.0
 * SipHash-1-3 (Aumasson, Bernstein) and the pointer table: linear probing, backward-shift deletion. */
#include "base/hash.h"
#include <stdlib.h>
#include <sys/random.h>
#include "base/mem.h"

static uint64_t key[2];

__attribute__((constructor)) static void draw_key(void)
{
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) abort();
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1]; v[1] = ROTL(v[1], 13); v[1] ^= v[0]; v[0] = ROTL(v[0], 32);
    v[2] += v[3]; v[3] = ROTL(v[3], 16); v[3] ^= v[2];
    v[0] += v[3]; v[3] = ROTL(v[3], 21); v[3] ^= v[0];
    v[2] += v[1]; v[1] = ROTL(v[1], 17); v[1] ^= v[2]; v[2] = ROTL(v[2], 32);
}

static uint64_t siphash(const uint64_t k[2], struct slice s, bool fold)
{
    uint64_t v[4] = { k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573 };
    uint64_t word = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)(fold ? ascii_lower(s.p[i]) : s.p[i]);
        word |= (uint64_t)c << (8 * (i % 8));
        if (i % 8 == 7) {
            v[3] ^= word;
            sip_round(v);
            v[0] ^= word;
            word = 0;
        }
    }
    word |= (uint64_t)s.n << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_bytes(struct slice s) { return siphash(key, s, false); }
uint64_t hash_ibytes(struct slice s) { return siphash(key, s, true); }
uint64_t hash_u64(uint64_t v) { return siphash(key, slice_of(&v, sizeof v), false); }
uint64_t hash_keyed(const uint64_t own[2], struct slice s) { return siphash(own, s, false); }

void htable_init(struct htable *t, uint64_t (*hash_of)(const void *item))
{
    *t = (struct htable){ .hash_of = hash_of };
}

void htable_deinit(struct htable *t)
{
    free(t->slots);
    *t = (struct htable){ .hash_of = t->hash_of };
}

void *htable_find(const struct htable *t, uint64_t hash, htable_match *match, const void *key_)
{
    if (!t->n) return NULL;
    for (size_t i = hash & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1))
        if (match(t->slots[i], key_)) return t->slots[i];
    return NULL;
}

static void place(struct htable *t, void *item)
{
    size_t i = t->hash_of(item) & (t->cap - 1);
    while (t->slots[i]) i = (i + 1) & (t->cap - 1);
    t->slots[i] = item;
}

static void resize(struct htable *t, size_t cap)
{
    void **old = t->slots;
    size_t old_cap = t->cap;
    t->slots = mem_zalloc(cap * sizeof *t->slots);
    t->cap = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i]) place(t, old[i]);
    free(old);
}

void htable_add(struct htable *t, void *item)
{
    if (t->n * 4 >= t->cap * 3) resize(t, t->cap ? t->cap * 2 : 16);
    place(t, item);
    t->n++;
}

void htable_remove(struct htable *t, const void *item)
{
    if (!t->n) return;
    size_t mask = t->cap - 1, i = t->hash_of(item) & mask;
    while (t->slots[i] != item) {
        if (!t->slots[i]) return;
        i = (i + 1) & mask;
    }
    t->n--;
    for (size_t next = (i + 1) & mask; t->slots[next]; next = (next + 1) & mask) {
        size_t home = t->hash_of(t->slots[next]) & mask;
        if (((next - home) & mask) < ((next - i) & mask)) continue; /* it would leave its probe run */
        t->slots[i] = t->slots[next];
        i = next;
    }
    t->slots[i] = NULL;
    if (t->cap > 64 && t->n * 8 < t->cap) resize(t, t->cap / 2);
}

void *htable_next(const struct htable *t, size_t *at)
{
    while (*at < t->cap)
        if (t->slots[(*at)++]) return t->slots[*at - 1];
    return NULL;
}
