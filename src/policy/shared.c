/* SPDX-License-Identifier: Apache-2.0
 * Shared counts. Each table is an array of small sets; a key has its place in one set, found by its low bits. A place is taken by
 * writing the key into it with compare-and-swap, and all that is counted for it is one word, so that nothing is ever half changed. */
#include "policy/shared.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/hash.h"

#define WAYS 8
#define RATE_SETS 8192     /* 64 Ki keys a table */
#define DISTINCT_SETS 512
#define MARK_SETS 512
#define SESSION_SETS 2048  /* 16 Ki clients a process */
#define COLUMNS 256
#define COUNT_MAX 0xfffffu

struct place {
    _Atomic uint64_t key;   /* 0: free */
    _Atomic uint64_t value;
    _Atomic uint64_t before; /* of distinct: the window before */
    _Atomic uint32_t window, seen; /* seen: seconds, for which is the oldest */
};

struct sessions {
    _Atomic uint64_t key;
    _Atomic uint32_t n;
};

struct column {
    _Atomic int owner;      /* pid; 0: free */
    struct sessions places[SESSION_SETS * WAYS];
};

struct shared {
    struct place rates[SHARED_TABLES][RATE_SETS * WAYS];
    struct place distinct[DISTINCT_SETS * WAYS];
    struct place marks[MARK_SETS * WAYS];
    _Atomic int columns;    /* those ever taken */
    struct column column[COLUMNS];
};

/* Pages that nobody touches take no memory. */
struct shared *shared_new(void)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s == MAP_FAILED) abort();
    (void)hash_u64(1);
    return s;
}

void shared_free(struct shared *s)
{
    if (s) (void)munmap(s, sizeof *s);
}

/* ---- finding a place */

static struct place *set_of(struct place *table, size_t sets, uint64_t key) { return table + key % sets * WAYS; }

static struct place *find(struct place *set, uint64_t key)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) return &set[i];
    return NULL;
}

/* The place of `key`, or the oldest of its set, which forgets what it held. NULL: another process was quicker at it. */
static struct place *claim(struct place *set, uint64_t key, uint32_t now)
{
    struct place *p = find(set, key), *oldest = set;
    if (p) return p;
    for (unsigned i = 0; i < WAYS; i++) {
        if (!atomic_load(&set[i].key)) {
            oldest = &set[i];
            break;
        }
        if ((int32_t)(atomic_load(&set[i].seen) - atomic_load(&oldest->seen)) < 0) oldest = &set[i]; /* some are seen after `now` */
    }
    uint64_t held = atomic_load(&oldest->key);
    if (!atomic_compare_exchange_strong(&oldest->key, &held, key)) return NULL;
    atomic_store(&oldest->value, 0);
    atomic_store(&oldest->before, 0);
    return oldest;
}

static uint64_t valid(uint64_t key) { return key ? key : 1; }

/* ---- rates: number of the window (24 bits), events in it and in the one before (20 bits each) */

static uint64_t pack(uint64_t window, uint64_t now, uint64_t before) { return window << 40 | now << 20 | before; }

static uint64_t roll(uint64_t value, uint64_t window)
{
    uint64_t at = value >> 40;
    if (at == window) return value;
    return pack(window, 0, ((at + 1) & 0xffffff) == window ? value >> 20 & COUNT_MAX : 0);
}

uint32_t shared_count(struct shared *s, enum shared_table t, uint64_t key, uint32_t add, uint64_t window, uint64_t now)
{
    key = valid(key);
    struct place *set = set_of(s->rates[t], RATE_SETS, key), *p = add ? claim(set, key, (uint32_t)(now / 1000)) : find(set, key);
    if (!p) return add;
    uint64_t number = now / window & 0xffffff, old = atomic_load(&p->value), fresh, count, before;
    do {
        fresh = roll(old, number);
        count = (fresh >> 20 & COUNT_MAX) + add;
        if (count > COUNT_MAX) count = COUNT_MAX;
        before = fresh & COUNT_MAX;
        fresh = pack(number, count, before);
    } while (add && !atomic_compare_exchange_weak(&p->value, &old, fresh));
    if (add) atomic_store(&p->seen, (uint32_t)(now / 1000));
    return (uint32_t)(count + before * (window - now % window) / window);
}

/* ---- distinct items: a bit each, of 64; how many there were follows from how many bits are still unset */

unsigned shared_distinct(struct shared *s, uint64_t key, uint64_t item, uint64_t window, uint64_t now)
{
    key = valid(key);
    struct place *p = claim(set_of(s->distinct, DISTINCT_SETS, key), key, (uint32_t)(now / 1000));
    uint32_t number = (uint32_t)(now / window);
    if (!p) return 1;
    uint32_t at = atomic_load(&p->window);
    if (at != number && atomic_compare_exchange_strong(&p->window, &at, number)) {
        uint64_t last = atomic_exchange(&p->value, 0);
        atomic_store(&p->before, at + 1 == number ? last : 0);
    }
    atomic_store(&p->seen, (uint32_t)(now / 1000));
    uint64_t bit = UINT64_C(1) << (item & 63), bits = atomic_fetch_or(&p->value, bit) | bit | atomic_load(&p->before);
    unsigned unset = 64 - (unsigned)__builtin_popcountll(bits);
    return unset ? (unsigned)lround(64 * log(64.0 / unset)) : 200;
}

/* ---- marks */

void shared_mark(struct shared *s, uint64_t key, uint64_t until)
{
    key = valid(key);
    struct place *p = claim(set_of(s->marks, MARK_SETS, key), key, (uint32_t)(until / 1000));
    if (!p) return;
    atomic_store(&p->seen, (uint32_t)(until / 1000));
    atomic_store(&p->value, until);
}

bool shared_is_marked(const struct shared *s, uint64_t key, uint64_t now)
{
    key = valid(key);
    struct place *p = find(set_of((struct place *)s->marks, MARK_SETS, key), key);
    return p && atomic_load(&p->value) > now;
}

/* ---- sessions: only the owner of a column writes to it */

int shared_column_take(struct shared *s)
{
    for (int i = 0; i < COLUMNS; i++) {
        int nobody = 0;
        if (!atomic_compare_exchange_strong(&s->column[i].owner, &nobody, (int)getpid())) continue;
        int known = atomic_load(&s->columns);
        while (known <= i && !atomic_compare_exchange_weak(&s->columns, &known, i + 1)) continue;
        return i;
    }
    return -1;
}

void shared_column_drop(struct shared *s, pid_t pid)
{
    for (int i = 0; i < COLUMNS; i++) {
        struct column *c = &s->column[i];
        if (atomic_load(&c->owner) != (int)pid) continue;
        for (size_t k = 0; k < SESSION_SETS * WAYS; k++) {
            if (!atomic_load_explicit(&c->places[k].key, memory_order_relaxed)) continue;
            atomic_store(&c->places[k].n, 0);
            atomic_store(&c->places[k].key, 0);
        }
        atomic_store(&c->owner, 0);
    }
}

static struct sessions *session_place(const struct shared *s, int column, uint64_t key)
{
    struct sessions *set = (struct sessions *)s->column[column].places + key % SESSION_SETS * WAYS;
    for (unsigned i = 0; i < WAYS; i++)
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) return &set[i];
    return NULL;
}

void shared_session_begin(struct shared *s, int column, uint64_t key)
{
    key = valid(key);
    if (column < 0) return;
    struct sessions *p = session_place(s, column, key), *set = s->column[column].places + key % SESSION_SETS * WAYS;
    for (unsigned i = 0; !p && i < WAYS; i++)
        if (!atomic_load(&set[i].key)) p = &set[i];
    if (!p) return; /* more clients than there are places: this one is not counted, nor limited */
    atomic_fetch_add(&p->n, 1);
    atomic_store(&p->key, key);
}

void shared_session_end(struct shared *s, int column, uint64_t key)
{
    key = valid(key);
    struct sessions *p = column < 0 ? NULL : session_place(s, column, key);
    if (!p || !atomic_load(&p->n)) return;
    if (atomic_fetch_sub(&p->n, 1) == 1) atomic_store(&p->key, 0);
}

uint32_t shared_sessions(const struct shared *s, uint64_t key)
{
    uint32_t n = 0;
    key = valid(key);
    for (int i = 0; i < atomic_load(&s->columns); i++) {
        const struct sessions *p = session_place(s, i, key);
        if (p) n += atomic_load(&p->n);
    }
    return n;
}
