/* SPDX-License-Identifier: Apache-2.0
 * The DNS answers of one message: each question is asked once, each answer kept until the message is done. */
#include <assert.h>
#include "base/mem.h"
#include "mailauth/dns.h"

#define RECORDS_MAX 512 /* of TXT and addresses: large domains have more than a hundred */
#define HOSTS_MAX 64    /* of MX and PTR */
#define BYTES_MAX 65536
#define NAME_MAX_N 253 /* RFC 1035 §2.3.4, without the root */
#define LABEL_MAX 63

#define BUCKETS 64

struct entry {
    struct lookup l; /* first: entries and look-ups are cast into each other */
    struct entry *chain;
    uint32_t hash;
    struct auth_dns_answer copy;
};
struct lookups {
    struct lookups_calls calls;
    struct arena arena; /* it holds this itself */
    struct entry *buckets[BUCKETS];
    struct lookup *all;
    size_t n, open, starting;
    bool given_up;
};
struct question {
    enum auth_dns_type type;
    struct slice name;
    const struct ip *ip;
};

static const struct auth_dns_answer tempfail = { .status = AUTH_DNS_TEMPFAIL };
static const struct auth_dns_answer nxdomain = { .status = AUTH_DNS_NXDOMAIN };

/* FNV-1a. Who chooses names that collide makes no more than LOOKUPS_MAX of them. */
static uint32_t hash_of(const struct question *q)
{
    struct slice s = q->type == AUTH_DNS_PTR ? slice_of(q->ip->bytes, 16) : q->name;
    uint32_t h = 2166136261u ^ (uint32_t)q->type;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)ascii_lower(s.p[i])) * 16777619u;
    return h ^ h >> 16;
}

static bool is_same(const struct lookup *l, const struct question *q)
{
    if (l->type != q->type) return false;
    return q->type == AUTH_DNS_PTR ? ip_eq(&l->ip, q->ip) : slice_ieq(slice_str(l->name), q->name);
}

bool auth_dns_name_ok(struct slice name) /* RFC 1035 §2.3.4 */
{
    size_t label = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != '.') {
            if (!name.p[i] || ++label > LABEL_MAX) return false;
        } else {
            if (!label) return false;
            label = 0;
        }
    }
    return label && name.n <= NAME_MAX_N;
}

struct lookups *lookups_new(const struct lookups_calls *calls)
{
    struct arena arena = { 0 };
    struct lookups *set = arena_alloc(&arena, sizeof *set);
    set->calls = *calls;
    set->arena = arena;
    return set;
}

static void cancel_all(struct lookups *set)
{
    for (struct lookup *l = set->all; l; l = l->next) {
        if (l->answer) continue;
        l->answer = &tempfail;
        set->calls.cancel(set->calls.arg, l);
    }
    set->open = 0;
}

void lookups_free(struct lookups **set)
{
    struct lookups *s = *set;
    if (!s) return;
    *set = NULL;
    cancel_all(s);
    struct arena arena = s->arena;
    arena_deinit(&arena);
}

void lookups_give_up(struct lookups *set)
{
    set->given_up = true;
    cancel_all(set);
}

bool lookups_pending(const struct lookups *set) { return set->open > 0; }

static struct lookup *add(struct lookups *set, const struct question *q, uint32_t hash)
{
    struct entry *e = arena_alloc(&set->arena, sizeof *e);
    char *name = arena_strdup(&set->arena, q->type == AUTH_DNS_PTR ? SLICE("") : q->name);
    for (char *c = name; *c; c++) *c = ascii_lower(*c);
    e->hash = hash;
    e->chain = set->buckets[hash % BUCKETS];
    set->buckets[hash % BUCKETS] = e;
    e->l = (struct lookup){ .set = set, .type = q->type, .name = name, .next = set->all };
    if (q->type == AUTH_DNS_PTR) e->l.ip = *q->ip;
    set->all = &e->l;
    set->n++;
    set->open++;
    return &e->l;
}

static const struct auth_dns_answer *get(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    struct lookups *set = arg;
    struct question q = { type, name, ip };
    if (type != AUTH_DNS_PTR && !auth_dns_name_ok(name)) return &nxdomain;
    uint32_t hash = hash_of(&q);
    for (const struct entry *e = set->buckets[hash % BUCKETS]; e; e = e->chain)
        if (e->hash == hash && is_same(&e->l, &q)) return e->l.answer;
    if (set->given_up || set->n >= LOOKUPS_MAX) return &tempfail;
    struct lookup *l = add(set, &q, hash);
    set->starting++;
    set->calls.start(set->calls.arg, l);
    set->starting--;
    return l->answer;
}

struct auth_dns lookups_dns(struct lookups *set) { return (struct auth_dns){ .get = get, .arg = set }; }

static size_t bytes_of(const struct auth_dns_answer *a)
{
    size_t sum = 0;
    for (size_t i = 0; i < a->n; i++)
        sum += (a->texts ? a->texts[i].n : 0) + (a->names ? a->names[i].n : 0) + (a->mx ? a->mx[i].name.n : 0);
    return sum;
}

static const struct slice *copy_slices(struct arena *arena, const struct slice *from, size_t n)
{
    struct slice *to = arena_alloc(arena, n * sizeof *to);
    for (size_t i = 0; i < n; i++) to[i] = arena_slice(arena, from[i]);
    return to;
}

static void copy_records(struct arena *arena, enum auth_dns_type type, const struct auth_dns_answer *a, struct auth_dns_answer *to)
{
    size_t n = to->n;
    if (type == AUTH_DNS_TXT) {
        to->texts = copy_slices(arena, a->texts, n);
    } else if (type == AUTH_DNS_PTR) {
        to->names = copy_slices(arena, a->names, n);
    } else if (type == AUTH_DNS_MX) {
        struct auth_dns_mx *mx = arena_alloc(arena, n * sizeof *mx);
        for (size_t i = 0; i < n; i++) mx[i] = (struct auth_dns_mx){ a->mx[i].preference, arena_slice(arena, a->mx[i].name) };
        to->mx = mx;
    } else {
        struct ip *ips = arena_alloc(arena, n * sizeof *ips);
        memcpy(ips, a->ips, n * sizeof *ips);
        to->ips = ips;
    }
}

void lookup_answer(struct lookup *l, const struct auth_dns_answer *a)
{
    struct lookups *set = l->set;
    struct auth_dns_answer *copy = &((struct entry *)l)->copy;
    assert(!l->answer);
    *copy = (struct auth_dns_answer){ .status = a->status, .secure = a->secure, .n = a->status == AUTH_DNS_OK ? a->n : 0 };
    /* A list that is cut would say that a record is not there. Of MX and PTR nobody reads more than ten. */
    bool may_cut = l->type == AUTH_DNS_MX || l->type == AUTH_DNS_PTR;
    if (copy->n > HOSTS_MAX && may_cut) copy->n = HOSTS_MAX;
    if (copy->n > RECORDS_MAX || (copy->n && bytes_of(a) > BYTES_MAX)) {
        copy->status = AUTH_DNS_TEMPFAIL;
        copy->n = 0;
    }
    if (copy->status == AUTH_DNS_OK && !copy->n) copy->status = AUTH_DNS_NODATA;
    if (copy->n) copy_records(&set->arena, l->type, a, copy);
    l->answer = copy;
    set->open--;
    if (!set->starting && set->calls.on_answer) set->calls.on_answer(set->calls.arg);
}
