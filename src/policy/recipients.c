/* SPDX-License-Identifier: Apache-2.0
 * Looking recipients up: in the worker's memory, in the store, then with the inner server or the directory. One key stands for all ways
 * to write an address: its local part unquoted and, like the domain, in lower case. "@domain" keeps what kind of server it is. */
#include "policy/recipients.h"
#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "auth/auth.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "delivery/verify.h"
#include "policy/recipients_cache.h"
#include "store/store.h"

#define CACHED_MAX 10000
#define CACHED_MS 60000u
#define KIND_MS 3600000u       /* so long it is known what kind of server it is */
#define BACKGROUND_MAX 100     /* questions that nobody waits for */
#define WHY_MAX 300
#define SAID_MAX 150           /* of that the server's words */
#define KEY_MAX 336            /* a local part, @, a domain */

/* What is remembered of recipients, and of domains. */
enum { KNOWN = 'k', UNKNOWN = 'u', USUAL = 'n', TAKES_ANY = 'a', REFUSES_ANY = 'r' };

struct recipients {
    const struct policy_engine_options *o;
    struct recipients_cache *cache;
    struct list background;
    unsigned background_n;
    struct buf room;           /* of the answer given at once */
};

/* Of a look-up: what is being asked. */
enum step { ASK_STORE, ASK_SERVER, ASK_STORE_KIND, ASK_KIND };

struct recipients_lookup {
    struct list link;          /* of recipients.background */
    struct recipients *r;
    const struct config_recipients *config;
    size_t domain;
    bool dry;
    enum step step;
    struct store_request *store;
    struct verify_question *verify;
    struct auth_exchange *auth;
    enum recipients_status status; /* what the server said, while its kind is found out, */
    char why[WHY_MAX];         /* in these words */
    uint32_t from;             /* who is asked: what somebody else said does not count */
    recipients_cb *cb;         /* NULL: nobody waits */
    void *arg;
    char key[KEY_MAX];
    const char *name;          /* "@domain", the end of key */
    char rcpt[];
};

static void ask(struct recipients_lookup *l, enum step step);

struct recipients *recipients_new(const struct policy_engine_options *o)
{
    bool any = false;
    for (size_t i = 0; i < o->config->domain_n; i++) {
        enum config_verify v = o->config->domains[i].recipients.verify;
        any |= v == CONFIG_VERIFY_SMTP || v == CONFIG_VERIFY_LDAP;
    }
    if (!any) return NULL;
    struct recipients *r = mem_new(struct recipients);
    r->o = o;
    r->cache = recipients_cache_new(CACHED_MAX);
    list_init(&r->background);
    return r;
}

static void lookup_free(struct recipients_lookup *l)
{
    if (list_linked(&l->link)) {
        list_remove(&l->link);
        l->r->background_n--;
    }
    store_cancel(&l->store);
    verify_cancel(&l->verify);
    auth_cancel(&l->auth);
    free(l);
}

void recipients_free(struct recipients *r)
{
    if (!r) return;
    list_each_safe(node, &r->background) lookup_free(list_entry(node, struct recipients_lookup, link));
    recipients_cache_free(r->cache);
    buf_deinit(&r->room);
    free(r);
}

void recipients_cancel(struct recipients_lookup **lp)
{
    struct recipients_lookup *l = *lp;
    *lp = NULL;
    if (l) lookup_free(l);
}

/* ---- remembering */

struct value {                 /* in the store */
    uint32_t from;             /* little-endian */
    char what;
    char why[WHY_MAX];
};
#define VALUE_HEAD offsetof(struct value, why)

static void put_store(const struct recipients_lookup *l, const char *key, char what, const char *why, uint64_t ms)
{
    struct value v = { .from = htole32(l->from), .what = what };
    size_t n = strlen(why);
    if (!l->r->o->store || l->dry) return;
    memcpy(v.why, why, n);
    store_put(l->r->o->store, STORE_RECIPIENT, slice_str(key), slice_of(&v, VALUE_HEAD + n), clock_wall_ms() + ms);
}

static void put_cache(const struct recipients_lookup *l, const char *key, char what, const char *why, uint64_t ms)
{
    if (!l->dry) recipients_cache_put(l->r->cache, slice_str(key), what, slice_str(why), clock_mono_ms(), ms);
}

/* False: nothing, or what somebody else said. */
static bool read_value(const struct recipients_lookup *l, const struct store_answer *a, struct value *out)
{
    *out = (struct value){ .what = 0 };
    if (a->status != STORE_FOUND || a->value.n < VALUE_HEAD || a->value.n >= VALUE_HEAD + WHY_MAX) return false;
    memcpy(out, a->value.p, a->value.n);
    return le32toh(out->from) == l->from;
}

static void keep_kind(const struct recipients_lookup *l, char kind)
{
    put_store(l, l->name, kind, "", KIND_MS);
    put_cache(l, l->name, kind, "", KIND_MS);
}

/* A server that takes any recipient has said nothing by taking this one. */
static void keep_answer(const struct recipients_lookup *l, char kind)
{
    char what = l->status == RECIPIENT_KNOWN ? KNOWN : UNKNOWN;
    uint64_t keep = what == KNOWN ? l->config->keep_known : l->config->keep_unknown;
    if (l->status == RECIPIENT_UNSURE) return;
    put_cache(l, l->key, what, l->why, keep < CACHED_MS ? keep : CACHED_MS);
    if (kind != TAKES_ANY) put_store(l, l->key, what, l->why, keep);
}

/* ---- the end */

static void finish(struct recipients_lookup *l)
{
    struct recipients_answer a = { l->status, slice_str(l->why) };
    recipients_cb *cb = l->cb;
    void *arg = l->arg;
    if (!cb) {
        lookup_free(l);
        return;
    }
    struct buf why = { 0 };
    buf_add(&why, a.why);
    a.why = buf_slice(&why);
    lookup_free(l);
    cb(arg, &a);
    buf_deinit(&why);
}

static void add_why(struct recipients_lookup *l, const char *more)
{
    size_t n = strlen(l->why);
    snprintf(l->why + n, sizeof l->why - n, "%s", more);
}

static void conclude(struct recipients_lookup *l, char kind)
{
    if ((l->status == RECIPIENT_UNKNOWN && kind == TAKES_ANY) || (l->status == RECIPIENT_KNOWN && kind == REFUSES_ANY))
        keep_kind(l, kind = USUAL); /* it is not what it was */
    if (kind == TAKES_ANY) add_why(l, "; the server accepts any recipient");
    if (kind == REFUSES_ANY) add_why(l, "; the server refuses even postmaster, perhaps everybody");
    keep_answer(l, kind);
    finish(l);
}

/* A directory says what it knows; an address with a route of its own is asked of another server than its domain's others. */
static bool has_kind(const struct recipients_lookup *l)
{
    char other[KEY_MAX + 16];
    if (l->config->verify != CONFIG_VERIFY_SMTP) return false;
    snprintf(other, sizeof other, "no-such-user%s", l->name);
    return verify_hop(l->r->o->queue, slice_str(other)) == l->from;
}

/* What kind of server it is must be known: by one answer it takes, and one that it refuses. */
static void on_answer(struct recipients_lookup *l, enum recipients_status status, struct slice why)
{
    struct cached_recipient kind;
    l->status = status;
    snprintf(l->why, sizeof l->why, "%.*s", SLICE_ARG(slice_sub(why, 0, SAID_MAX)));
    if (status == RECIPIENT_UNSURE) finish(l);
    else if (!has_kind(l)) conclude(l, USUAL);
    else if (recipients_cache_get(l->r->cache, slice_str(l->name), clock_mono_ms(), &kind)) conclude(l, kind.what);
    else ask(l, ASK_STORE_KIND);
}

static void on_kind(struct recipients_lookup *l, enum verify_status said)
{
    bool known = l->status == RECIPIENT_KNOWN; /* then it was a recipient that cannot be, else one that must be */
    if (said == VERIFY_UNSURE) {
        put_cache(l, l->name, USUAL, "", CACHED_MS);
        conclude(l, USUAL);
        return;
    }
    char kind = known && said == VERIFY_KNOWN ? TAKES_ANY : !known && said == VERIFY_UNKNOWN ? REFUSES_ANY : USUAL;
    keep_kind(l, kind);
    conclude(l, kind);
}

/* ---- asking */

static void on_verify(void *arg, const struct verify_answer *a)
{
    static const enum recipients_status status[] = { [VERIFY_KNOWN] = RECIPIENT_KNOWN, [VERIFY_UNKNOWN] = RECIPIENT_UNKNOWN,
                                                     [VERIFY_UNSURE] = RECIPIENT_UNSURE };
    struct recipients_lookup *l = arg;
    l->verify = NULL;
    if (l->step == ASK_KIND) on_kind(l, a->status);
    else on_answer(l, status[a->status], a->why);
}

static void on_directory(void *arg, const struct auth_answer *a)
{
    struct recipients_lookup *l = arg;
    l->auth = NULL;
    on_answer(l, a->outcome == AUTH_OK ? RECIPIENT_KNOWN : a->outcome == AUTH_FAILED ? RECIPIENT_UNKNOWN : RECIPIENT_UNSURE,
              slice_str(a->outcome == AUTH_OK ? "the directory has an entry" : a->reason));
}

static void background(struct recipients_lookup *from);

static void on_remembered(struct recipients_lookup *l, const struct value *v, uint64_t expires)
{
    uint64_t now = clock_wall_ms(), left = expires > now ? expires - now : 0;
    l->status = v->what == KNOWN ? RECIPIENT_KNOWN : RECIPIENT_UNKNOWN;
    snprintf(l->why, sizeof l->why, "%.*s", SLICE_ARG(slice_str(v->why)));
    put_cache(l, l->key, v->what, l->why, left < CACHED_MS ? left : CACHED_MS);
    if (v->what == KNOWN && left < l->config->keep_known / 4 && !l->dry) background(l);
    finish(l);
}

static void on_store(void *arg, const struct store_answer *a)
{
    struct recipients_lookup *l = arg;
    struct value v;
    l->store = NULL;
    bool has = read_value(l, a, &v);
    if (l->step == ASK_STORE) {
        if (has && (v.what == KNOWN || v.what == UNKNOWN)) on_remembered(l, &v, a->expires);
        else ask(l, ASK_SERVER);
    } else if (has && (v.what == USUAL || v.what == TAKES_ANY || v.what == REFUSES_ANY)) {
        put_cache(l, l->name, v.what, "", CACHED_MS);
        conclude(l, v.what);
    } else
        ask(l, ASK_KIND);
}

static void ask_kind(struct recipients_lookup *l)
{
    char rcpt[KEY_MAX + 32];
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = clock_mono_us();
    if (l->status == RECIPIENT_KNOWN) snprintf(rcpt, sizeof rcpt, "no-such-user-%016llx%s", (unsigned long long)random, l->name);
    else snprintf(rcpt, sizeof rcpt, "postmaster%s", l->name); /* RFC 5321 §4.5.1 */
    l->verify = verify_recipient(l->r->o->queue, slice_str(rcpt), l->config->timeout / 2, on_verify, l);
}

static void ask(struct recipients_lookup *l, enum step step)
{
    const struct policy_engine_options *o = l->r->o;
    if ((step == ASK_STORE || step == ASK_STORE_KIND) && !o->store) step++;
    l->step = step;
    if (step == ASK_STORE || step == ASK_STORE_KIND)
        l->store = store_get(o->store, STORE_RECIPIENT, slice_str(step == ASK_STORE ? l->key : l->name), on_store, l);
    else if (step == ASK_KIND) ask_kind(l);
    else if (l->config->verify == CONFIG_VERIFY_LDAP)
        l->auth = auth_recipient_start(o->auth, l->domain, slice_str(l->key), on_directory, l);
    else l->verify = verify_recipient(o->queue, slice_str(l->rcpt), l->config->timeout, on_verify, l);
}

/* ---- the beginning */

static uint32_t asked_of(const struct recipients *r, const struct recipients_question *q)
{
    const struct config_recipients *c = &r->o->config->domains[q->domain].recipients;
    uint32_t sum = 0;
    if (c->verify == CONFIG_VERIFY_SMTP) return verify_hop(r->o->queue, q->rcpt);
    const char *const parts[] = { c->ldap.url, c->ldap.base, c->ldap.filter };
    for (size_t i = 0; i < countof(parts); i++) sum = crc32c(sum, parts[i], strlen(parts[i]) + 1);
    return sum;
}

/* False: too long, as no address is. */
static bool make_key(const struct recipients_question *q, char key[KEY_MAX])
{
    if (q->local.n + q->name.n + 2 > KEY_MAX) return false;
    size_t n = address_local_unquote(q->local, key);
    if (!n) n = (size_t)snprintf(key, 3, "\"\""); /* nothing but the domain is the key of its server */
    key[n++] = '@';
    memcpy(key + n, q->name.p, q->name.n);
    key[n + q->name.n] = 0;
    for (size_t i = 0; key[i]; i++) key[i] = ascii_lower(key[i]);
    return strlen(key) == n + q->name.n;
}

static struct recipients_lookup *lookup_new(struct recipients *r, const struct recipients_question *q, const char *key)
{
    struct recipients_lookup *l = mem_zalloc(sizeof *l + q->rcpt.n + 1);
    l->r = r;
    l->domain = q->domain;
    l->config = &r->o->config->domains[q->domain].recipients;
    l->dry = q->dry;
    l->from = asked_of(r, q);
    memcpy(l->key, key, strlen(key) + 1);
    l->name = l->key + strlen(key) - q->name.n - 1;
    memcpy(l->rcpt, q->rcpt.p, q->rcpt.n);
    return l;
}

/* The old answer counts until the new one is there. */
static void background(struct recipients_lookup *from)
{
    struct recipients *r = from->r;
    struct recipients_question q = { .domain = from->domain, .rcpt = slice_str(from->rcpt), .name = slice_str(from->name + 1) };
    if (r->background_n >= BACKGROUND_MAX) return;
    struct recipients_lookup *l = lookup_new(r, &q, from->key);
    list_push_back(&r->background, &l->link);
    r->background_n++;
    ask(l, ASK_SERVER);
}

static struct recipients_lookup *unsure(struct recipients_answer *out, const char *why)
{
    *out = (struct recipients_answer){ RECIPIENT_UNSURE, slice_str(why) };
    return NULL;
}

struct recipients_lookup *recipients_find(struct recipients *r, const struct recipients_question *q, struct recipients_answer *out,
                                          recipients_cb *cb, void *arg)
{
    const struct config_recipients *config = &r->o->config->domains[q->domain].recipients;
    struct cached_recipient known;
    char key[KEY_MAX];
    if (config->verify == CONFIG_VERIFY_SMTP && !r->o->queue) return unsure(out, "there is nobody to ask the inner server");
    if (config->verify == CONFIG_VERIFY_LDAP && !r->o->auth) return unsure(out, "there is nobody to ask the directory");
    if (!make_key(q, key)) return unsure(out, "the address cannot be asked for");
    if (recipients_cache_get(r->cache, slice_str(key), clock_mono_ms(), &known)) {
        buf_clear(&r->room);
        buf_add(&r->room, known.why);
        *out = (struct recipients_answer){ known.what == KNOWN ? RECIPIENT_KNOWN : RECIPIENT_UNKNOWN, buf_slice(&r->room) };
        return NULL;
    }
    struct recipients_lookup *l = lookup_new(r, q, key);
    l->cb = cb;
    l->arg = arg;
    ask(l, ASK_STORE);
    return l;
}
