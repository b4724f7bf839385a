/* SPDX-License-Identifier: Apache-2.0
 * To whom a complete message goes: aliases and mapped domains take the place of recipients, and copies come on top. Members that several
 * recipients have in common get it once. Each keeps what was asked for of the recipient it stands for, and the address that the
 * client wrote as its original one (RFC 3461 §5.2.7).
 *
 * Of several members "delivered" would come several times, and tell the sender who they are. So who asked for that is told once, by us,
 * that the address was expanded (RFC 3461 §5.2.7.3), and of members only what fails or is late: the address stays in the envelope, marked
 * as a group, behind all others. */
#include <assert.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "route/expand.h"
#include "server/text.h"
#include "smtp/xtext.h"
#include "store/store.h"

#define COPIES_MAX 10000 /* of one message, aliases among them expanded */

/* An address that is among the recipients already. */
struct known {
    struct slice key;
    uint32_t at;             /* its number */
    bool as_given;           /* the client wrote it, and nothing became of it */
};

struct expansion {
    struct session *s;
    const struct expander *x;
    struct htable known;
    struct known *items;     /* room for all */
    struct recipients to;
    uint32_t room;
    struct slice *groups;    /* addresses; their dsn is in group_dsn */
    struct envelope_dsn *group_dsn;
    uint32_t group_n;
};

static uint64_t known_hash(const void *item) { return hash_bytes(((const struct known *)item)->key); }
static bool known_is(const void *item, const void *key) { return slice_eq(((const struct known *)item)->key, *(const struct slice *)key); }

/* Case aside: of addresses that come by different ways the spelling is chance. */
static struct slice key_of(struct arena *arena, struct slice text)
{
    struct address a;
    char room[RCPT_KEY_MAX];
    struct slice kept = arena_slice(arena, address_parse(text, &a) ? text : rcpt_key(&a, room));
    for (size_t i = 0; i < kept.n; i++) ((char *)kept.p)[i] = ascii_lower(kept.p[i]);
    return kept;
}

/* ---- the address that the client wrote: RFC 3461 §4.2, RFC 6533 §3 */

static void add_wide(struct slice address, struct buf *out)
{
    for (size_t i = 0; i < address.n; i++) {
        unsigned char c = (unsigned char)address.p[i];
        if (c >= 0x80 || (c > 0x20 && c < 0x7F && c != '+' && c != '=' && c != '\\')) buf_add_char(out, (char)c);
        else buf_addf(out, "\\x{%02X}", c);
    }
}

static struct slice original_of(struct arena *arena, struct slice address)
{
    bool wide = !utf8_ascii(address);
    struct buf b = { 0 };
    buf_add_str(&b, wide ? "utf-8;" : "rfc822;");
    if (wide) add_wide(address, &b);
    else xtext_encode(address, &b);
    struct slice out = b.n <= ENVELOPE_ORCPT_MAX ? arena_slice(arena, buf_slice(&b)) : SLICE("");
    buf_deinit(&b);
    return out;
}

/* ---- gathering */

/* It was there already. What was asked for of either counts; who was written by the client himself is no member. */
static void unite(struct expansion *e, struct known *k, struct envelope_dsn dsn, bool as_given)
{
    struct envelope_dsn *d = &e->to.dsn[k->at];
    d->notify = rcpt_unite_notify(d->notify, dsn.notify);
    if (!as_given) return;
    d->orcpt = dsn.orcpt;
    k->as_given = true;
    e->to.marks[k->at] = 0;
}

/* False: it is one already. Of two that the client wrote himself, and that differ in nothing but case, each is one. */
static bool add(struct expansion *e, struct slice address, struct envelope_dsn dsn, uint8_t marks, bool as_given)
{
    struct slice key = key_of(&e->s->arena, address);
    struct known *k = htable_find(&e->known, hash_bytes(key), known_is, &key);
    if (k && !(k->as_given && as_given)) {
        if (!(marks & MARK_COPY)) unite(e, k, dsn, as_given);
        return false;
    }
    assert(e->to.n < e->room);
    uint32_t i = e->to.n++;
    e->to.rcpts[i] = as_given ? address : arena_slice(&e->s->arena, address);
    e->to.dsn[i] = dsn;
    e->to.marks[i] = marks;
    e->items[i] = (struct known){ .key = key, .at = i, .as_given = as_given };
    if (!k) htable_add(&e->known, &e->items[i]);
    return true;
}

/* Who asked to hear of success hears it of the group: RFC 3461 §5.2.7.3. */
static void take_group(struct expansion *e, struct slice rcpt, struct envelope_dsn *dsn)
{
    if (!(dsn->notify & NOTIFY_SUCCESS)) return;
    dsn->notify &= (uint8_t)~NOTIFY_SUCCESS;
    if (!dsn->notify) dsn->notify = NOTIFY_NEVER;
    if (!e->s->tx.sender.n) return;
    e->groups[e->group_n] = rcpt;
    e->group_dsn[e->group_n++] = (struct envelope_dsn){ .notify = NOTIFY_SUCCESS, .orcpt = dsn->orcpt };
}

static void log_expanded(const struct session *s, struct slice rcpt, const struct expand_result *r)
{
    log_event(LOG_DEBUG, "expanded", LOG_SESSION(s->id), LOG_ID(s->tx.id), LOG_TEXT("to", rcpt), LOG_NUM("became", r->to_n),
              LOG_TEXT("steps", r->steps));
}

static void add_recipient(struct expansion *e, uint32_t i, const struct expand_result *r)
{
    struct transaction *tx = &e->s->tx;
    struct slice rcpt = tx->rcpts[i];
    struct envelope_dsn dsn = tx->rcpt_dsn ? tx->rcpt_dsn[i] : (struct envelope_dsn){ 0 };
    if (r->status != EXPAND_DONE) {
        add(e, rcpt, dsn, 0, true);
        return;
    }
    log_expanded(e->s, rcpt, r);
    if (!dsn.orcpt.n) dsn.orcpt = original_of(&e->s->arena, rcpt);
    if (r->to_n > 1) take_group(e, rcpt, &dsn);
    for (uint32_t k = 0; k < r->to_n; k++) add(e, r->to[k].address, dsn, r->to[k].marks, false);
}

/* ---- copies */

/* Out of the house it is forwarded. */
static uint8_t copy_marks(const struct expander *x, struct slice address)
{
    return expand_is_outside(x, address) ? MARK_COPY | MARK_FORWARDED : MARK_COPY;
}

/* What a copy's address leads to. Whatever is wrong with that must not touch the message itself: then the address is taken as it is, and the
 * postmaster hears of it when nobody takes it; where nobody could, there is no copy. */
static void add_copy(struct expansion *e, struct slice to, const struct expand_result *r)
{
    const struct envelope_dsn never = { .notify = NOTIFY_NEVER };
    if (r->status == EXPAND_DONE) {
        for (uint32_t k = 0; k < r->to_n; k++) add(e, r->to[k].address, never, copy_marks(e->x, r->to[k].address), false);
        return;
    }
    if (r->status != EXPAND_SAME)
        log_event(LOG_WARNING, "copy-not-expanded", LOG_SESSION(e->s->id), LOG_ID(e->s->tx.id), LOG_TEXT("to", to), LOG_TEXT("reason", r->steps));
    if (r->status == EXPAND_SAME || !expand_is_nobody(e->x, to)) add(e, to, never, copy_marks(e->x, to), false);
}

/* Of rules, then of the configuration. *n: how many; their addresses. */
static struct slice *find_copies(struct expansion *e, size_t *n)
{
    struct session *s = e->s;
    struct transaction *tx = &s->tx;
    struct expand_copy *more;
    uint32_t own = tx->rcpt_n - tx->copy_n;
    struct expand_copies m = { .sender = tx->given_sender, .rcpts = tx->given ? tx->given : tx->rcpts,
                               .rcpt_n = tx->given ? tx->given_n : own, .outgoing = policy_is_outgoing(s->run) };
    size_t more_n = expand_copies(e->x, &m, &s->arena, &more);
    *n = tx->copy_n + more_n;
    struct slice *all = arena_alloc(&s->arena, (*n + 1) * sizeof *all);
    if (tx->copy_n) memcpy(all, tx->rcpts + own, tx->copy_n * sizeof *all);
    for (size_t i = 0; i < more_n; i++) all[tx->copy_n + i] = arena_slice(&s->arena, more[i].address);
    return all;
}

/* ---- all of it */

static bool refuse(struct session *s, struct slice rcpt, const struct expand_result *r)
{
    log_event(LOG_WARNING, "not-expanded", LOG_SESSION(s->id), LOG_ID(s->tx.id), LOG_TEXT("to", rcpt), LOG_TEXT("reason", r->steps));
    text_spoil(s, 451, "4.3.5", "what becomes of a recipient cannot be found out at the moment, please try again later");
    return false;
}

static bool refuse_many(struct session *s)
{
    const char *text = "the recipients stand for too many others, please send to fewer at a time";
    text_spoil(s, 452, "4.5.3", arena_printf(&s->arena, "%s (limit: %d)", text, TEXT_EXPANDED_MAX));
    return false;
}

static bool expand_all(struct expansion *e, struct expand_result *results, uint32_t n, uint64_t *total)
{
    struct session *s = e->s;
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        struct expand_result *r = &results[i];
        expand(e->x, s->tx.rcpts[i], &s->arena, r);
        if (r->status != EXPAND_SAME && r->status != EXPAND_DONE) return refuse(s, s->tx.rcpts[i], r);
        any |= r->status == EXPAND_DONE;
        *total += r->cost; /* no less than it becomes */
        if (*total > TEXT_EXPANDED_MAX && *total > i + 1) return refuse_many(s);
    }
    if (!any) *total = 0;
    return true;
}

/* How many they become; those that would be too many stay as they are. */
static uint64_t expand_all_copies(struct expansion *e, const struct slice *copies, struct expand_result *results, size_t n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        expand(e->x, copies[i], &e->s->arena, &results[i]);
        uint64_t more = results[i].status == EXPAND_DONE ? results[i].to_n : 1;
        if (more > 1 && total + more > COPIES_MAX) {
            results[i].status = EXPAND_TOO_MANY;
            more = 1;
        }
        total += more;
    }
    return total;
}

static void make_room(struct expansion *e, size_t n, uint32_t groups)
{
    struct arena *a = &e->s->arena;
    e->room = (uint32_t)n;
    e->items = arena_alloc(a, n * sizeof *e->items);
    e->to.rcpts = arena_alloc(a, (n + groups) * sizeof *e->to.rcpts);
    e->to.dsn = arena_alloc(a, (n + groups) * sizeof *e->to.dsn);
    e->to.marks = arena_alloc(a, (n + groups) * sizeof *e->to.marks);
    e->groups = arena_alloc(a, (groups + 1) * sizeof *e->groups);
    e->group_dsn = arena_alloc(a, (groups + 1) * sizeof *e->group_dsn);
}

/* Nothing becomes of them: they are as they were. */
static void take_as_they_are(struct session *s)
{
    struct transaction *tx = &s->tx;
    if (tx->flags & ENVELOPE_DSN_SEEN && !tx->rcpt_dsn) tx->rcpt_dsn = arena_alloc(&s->arena, tx->rcpt_n * sizeof *tx->rcpt_dsn);
    tx->final = (struct recipients){ .rcpts = tx->rcpts, .dsn = tx->rcpt_dsn, .n = tx->rcpt_n };
}

static void add_given(struct buf *b, struct slice rcpt)
{
    if (b->n + rcpt.n + 2 > HISTORY_GIVEN_MAX) return;
    buf_addf(b, "%s\t", b->n ? "\n" : "");
    buf_add(b, rcpt);
}

/* For the history: what the client wrote, where it is none of the recipients any more. */
static void keep_given(struct session *s, const struct expand_result *results, uint32_t n)
{
    struct transaction *tx = &s->tx;
    struct buf b = { 0 };
    for (uint32_t i = 0; i < n; i++)
        if (results[i].status == EXPAND_DONE) add_given(&b, tx->rcpts[i]);
    for (uint32_t i = 0; tx->given && i < tx->given_n; i++) add_given(&b, tx->given[i]);
    if (b.n) tx->final.given = arena_slice(&s->arena, buf_slice(&b));
    buf_deinit(&b);
}

static void finish(struct expansion *e)
{
    struct recipients *to = &e->to;
    for (uint32_t i = 0; i < e->group_n; i++, to->n++) {
        to->rcpts[to->n] = e->groups[i];
        to->dsn[to->n] = e->group_dsn[i];
        to->marks[to->n] = MARK_GROUP;
    }
    to->groups = e->group_n;
    e->s->tx.final = *to;
    e->s->tx.flags |= ENVELOPE_DSN_SEEN;
}

bool text_expand(struct session *s)
{
    struct transaction *tx = &s->tx;
    struct expansion e = { .s = s, .x = policy_run_expander(s->run) };
    uint32_t own = tx->rcpt_n - tx->copy_n;
    struct expand_result *results = arena_alloc(&s->arena, (own + 1) * sizeof *results);
    uint64_t total = 0;
    size_t copy_n = 0;
    if (!expand_all(&e, results, own, &total)) return false;
    struct slice *copies = find_copies(&e, &copy_n);
    if (!total && !copy_n) {
        take_as_they_are(s);
        keep_given(s, results, own);
        return true;
    }
    struct expand_result *of_copies = arena_alloc(&s->arena, (copy_n + 1) * sizeof *of_copies);
    uint64_t more = expand_all_copies(&e, copies, of_copies, copy_n);
    if (!total) total = own;
    if (total + more + own > ENVELOPE_RCPTS_MAX) return refuse_many(s);
    make_room(&e, (size_t)(total + more), own);
    htable_init(&e.known, known_hash);
    for (uint32_t i = 0; i < own; i++) add_recipient(&e, i, &results[i]);
    for (size_t i = 0; i < copy_n; i++) add_copy(&e, copies[i], &of_copies[i]);
    htable_deinit(&e.known);
    finish(&e);
    keep_given(s, results, own);
    return true;
}
