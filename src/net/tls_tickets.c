/* SPDX-License-Identifier: Apache-2.0
 * Keys of session tickets, in memory that the master writes and all workers read.
 *
 * A sequence lock: the count is odd while the master writes, and a reader that saw it change has read nothing. Keys are
 * kept as words that are read and written one at a time, so that no read is a data race. A master that dies while it
 * writes leaves the count odd: then there are no tickets, and no reader waits. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/mem.h"
#include "net/tls_parts.h"

#define KEY_WORDS (sizeof(struct tls_ticket_key) / sizeof(uint64_t))
#define READ_TRIES 1000 /* a write takes less than a microsecond */

_Static_assert(sizeof(struct tls_ticket_key) % sizeof(uint64_t) == 0, "a key is made of whole words");

struct shared_key {
    _Atomic uint64_t there;
    _Atomic uint64_t words[KEY_WORDS];
};

struct shared {
    _Atomic uint32_t sequence;
    struct shared_key keys[2]; /* the newest, and the one before */
};

struct tls_tickets {
    struct shared *shared;
    uint64_t born; /* the newest key, monotonic ms; the master's */
};

struct tls_tickets *tls_tickets_new(struct err *err)
{
    void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        err_set_sys(err, errno, "memory for session ticket keys");
        return NULL;
    }
    (void)madvise(p, sizeof(struct shared), MADV_DONTDUMP);
    (void)mlock(p, sizeof(struct shared)); /* best effort: keys do not belong in swap */
    struct tls_tickets *t = mem_new(struct tls_tickets);
    t->shared = p;
    return t;
}

static bool is_there(const struct shared_key *k) { return atomic_load_explicit(&k->there, memory_order_relaxed); }

/* NULL: none. */
static void put(struct shared_key *k, const struct tls_ticket_key *key)
{
    uint64_t words[KEY_WORDS] = { 0 };
    if (key) memcpy(words, key, sizeof words);
    for (size_t i = 0; i < KEY_WORDS; i++) atomic_store_explicit(&k->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&k->there, key != NULL, memory_order_relaxed);
    mem_wipe(words, sizeof words);
}

static bool get(const struct shared_key *k, struct tls_ticket_key *key)
{
    uint64_t words[KEY_WORDS] = { 0 };
    bool there = is_there(k);
    for (size_t i = 0; i < KEY_WORDS; i++) words[i] = atomic_load_explicit(&k->words[i], memory_order_relaxed);
    memcpy(key, words, sizeof words);
    mem_wipe(words, sizeof words);
    return there;
}

static void store(struct shared *s, const struct tls_ticket_key *newest, const struct tls_ticket_key *before)
{
    uint32_t at = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    atomic_store_explicit(&s->sequence, at + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    put(&s->keys[0], newest);
    put(&s->keys[1], before);
    atomic_store_explicit(&s->sequence, at + 2, memory_order_release);
}

/* False: the master is writing, and has been for too long. */
static bool read_both(const struct shared *s, struct tls_ticket_key keys[2], bool there[2])
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);
        if (before & 1) continue;
        for (int k = 0; k < 2; k++) there[k] = get(&s->keys[k], &keys[k]);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->sequence, memory_order_relaxed) == before) return true;
    }
    return false;
}

void tls_tickets_rotate(struct tls_tickets *t, uint64_t mono_ms, uint64_t life)
{
    struct shared *s = t->shared;
    bool have = is_there(&s->keys[0]);
    uint64_t age = mono_ms - t->born;
    if (!life) {
        if (have) store(s, NULL, NULL);
        return;
    }
    if (have && age < life) return;
    struct tls_ticket_key key, old;
    if (RAND_bytes(key.name, sizeof key.name) == 1 && RAND_priv_bytes(key.cipher, sizeof key.cipher) == 1 &&
        RAND_priv_bytes(key.mac, sizeof key.mac) == 1) {
        bool keep = get(&s->keys[0], &old) && age < 2 * life; /* whoever slept that long has none worth keeping */
        store(s, &key, keep ? &old : NULL);
        t->born = mono_ms;
        mem_wipe(&old, sizeof old);
    }
    mem_wipe(&key, sizeof key);
}

bool tls_tickets_newest(const struct tls_tickets *t, struct tls_ticket_key *key)
{
    struct tls_ticket_key keys[2];
    bool there[2] = { false, false }, ok = read_both(t->shared, keys, there) && there[0];
    if (ok) *key = keys[0];
    mem_wipe(keys, sizeof keys);
    return ok;
}

bool tls_tickets_find(const struct tls_tickets *t, const unsigned char name[16], struct tls_ticket_key *key,
                      bool *newest)
{
    struct tls_ticket_key keys[2];
    bool there[2] = { false, false }, found = false;
    if (read_both(t->shared, keys, there)) {
        for (int i = 0; i < 2 && !found; i++) {
            if (!there[i] || CRYPTO_memcmp(keys[i].name, name, sizeof keys[i].name) != 0) continue;
            *key = keys[i];
            *newest = i == 0;
            found = true;
        }
    }
    mem_wipe(keys, sizeof keys);
    return found;
}

/* Others may still be using the keys: they go when the last one has let the memory go. */
void tls_tickets_free(struct tls_tickets *t)
{
    if (!t) return;
    (void)munmap(t->shared, sizeof(struct shared));
    free(t);
}
