/* SPDX-License-Identifier: Apache-2.0
 * The brake on guessing: two small tables that are looked through from end to end, which is nothing beside the hash of a password. */
#include "admin/login_brake.h"
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"

#define FORGET_MS (3600 * 1000u)
#define BUSY_MS 1000u             /* for one that has too many attempts under way */

struct entry {
    uint64_t key;                 /* SipHash with a key of this process; 0: free */
    uint64_t last, until;         /* mono ms: of the last attempt; to wait for */
    uint32_t failures, busy;
};

struct login_brake {
    struct entry *clients, *names, *codes;
    size_t max;
};

static uint64_t client_key(const struct ip *client)
{
    unsigned char key[9] = { client->family };
    memcpy(key + 1, client->bytes, client->family == 6 ? 8 : 4);
    return hash_bytes(slice_of(key, sizeof key)) | 1;
}

static struct entry *find(struct entry *all, size_t max, uint64_t key)
{
    for (size_t i = 0; i < max; i++)
        if (all[i].key == key) return &all[i];
    return NULL;
}

static bool worse(const struct entry *a, const struct entry *b, uint64_t now) /* a goes before b */
{
    bool wa = a->until > now || a->busy, wb = b->until > now || b->busy;
    if (wa != wb) return !wa;
    return a->last < b->last;
}

static struct entry *get(struct entry *all, size_t max, uint64_t key, uint64_t now)
{
    struct entry *e = find(all, max, key), *out = &all[0];
    if (e) {
        if (!e->busy && e->until <= now && now - e->last > FORGET_MS) e->failures = 0;
        return e;
    }
    for (size_t i = 0; i < max && out->key; i++)
        if (!all[i].key || worse(&all[i], out, now)) out = &all[i];
    *out = (struct entry){ .key = key, .last = now };
    return out;
}

struct login_brake *login_brake_new(size_t max)
{
    struct login_brake *b = mem_new(struct login_brake);
    b->max = max;
    b->clients = mem_zalloc(max * sizeof *b->clients);
    b->names = mem_zalloc(max * sizeof *b->names);
    b->codes = mem_zalloc(max * sizeof *b->codes);
    return b;
}

void login_brake_free(struct login_brake *b)
{
    if (!b) return;
    free(b->clients);
    free(b->names);
    free(b->codes);
    free(b);
}

uint64_t login_brake_begin(struct login_brake *b, const struct ip *client, uint64_t now)
{
    struct entry *e = get(b->clients, b->max, client_key(client), now);
    if (e->until > now) return e->until - now;
    if (e->busy >= LOGIN_BRAKE_AT_ONCE) return BUSY_MS;
    e->busy++;
    e->last = now;
    return 0;
}

static uint32_t count_name(struct login_brake *b, struct slice name, enum login_outcome outcome, uint64_t now)
{
    if (!name.n) return 0;
    struct entry *e = get(b->names, b->max, hash_ibytes(name) | 1, now);
    e->last = now;
    if (outcome == LOGIN_RIGHT) e->failures = 0; /* who owns the account mistyped; the client's count stays: it may own one and guess others */
    else if (outcome == LOGIN_FAILED && e->failures < UINT32_MAX) e->failures++;
    return e->failures;
}

static void fail(struct entry *e, uint32_t allowed, uint64_t now)
{
    if (e->failures < UINT32_MAX) e->failures++;
    if (e->failures < allowed) return;
    uint32_t more = e->failures - allowed;
    uint64_t wait = more > 16 ? LOGIN_BRAKE_MAX_MS : UINT64_C(1000) << more;
    e->until = now + (wait < LOGIN_BRAKE_MAX_MS ? wait : LOGIN_BRAKE_MAX_MS);
}

void login_brake_end(struct login_brake *b, const struct ip *client, struct slice name, enum login_outcome outcome, uint64_t now)
{
    struct entry *e = get(b->clients, b->max, client_key(client), now);
    bool tried = count_name(b, name, outcome, now) > LOGIN_BRAKE_ACCOUNT;
    if (e->busy) e->busy--;
    e->last = now;
    if (outcome == LOGIN_FAILED) fail(e, tried ? 1 : LOGIN_BRAKE_FREE, now);
}

/* ---- codes of second factors: only of accounts whose password was given, so that nobody else fills the table */

uint64_t login_brake_code_wait(struct login_brake *b, struct slice account, uint64_t now)
{
    const struct entry *e = find(b->codes, b->max, hash_ibytes(account) | 1);
    return e && e->until > now ? e->until - now : 0;
}

void login_brake_code(struct login_brake *b, struct slice account, bool right, uint64_t now)
{
    struct entry *e = get(b->codes, b->max, hash_ibytes(account) | 1, now);
    e->last = now;
    if (right) e->failures = 0;
    else fail(e, LOGIN_BRAKE_CODES, now);
}
