/* SPDX-License-Identifier: Apache-2.0
 * Expanding one recipient: from an address over its mapping and its alias to the members, and theirs. Each address is looked at once, however
 * many ways lead to it, and all work is counted, so that no set of tables makes it long. */
#include <stdlib.h>
#include "base/mem.h"
#include "route/expand_parts.h"
#include "spool/envelope.h"

#define LOOKS_MAX (5 * EXPAND_MAX)  /* members that are looked at */

/* An address that was met. */
struct node {
    struct slice key, address;
    bool open, target, nobody;      /* nobody: it would be a target, but has no mailbox */
};
/* An alias whose members are being looked at. */
struct frame {
    struct expand_group group;
    struct node *node;
};

struct walk {
    const struct expander *x;
    struct arena *arena;
    bool written;                   /* without tables: the check of a configuration */
    struct expand_result *out;
    struct htable nodes;
    struct frame *frames[EXPAND_DEPTH_MAX];
    size_t depth, looks;
    uint32_t room, by_loop;         /* by_loop: targets that stand there because a loop was cut */
    const struct node *nobody;      /* one of those that were left out; */
    bool circle;                    /* a loop was cut there */
    struct expand_steps steps;
    bool stopped;
    struct err *err;                /* of the check: a loop is an error */
};

static uint64_t node_hash(const void *item) { return hash_bytes(((const struct node *)item)->key); }
static bool node_is(const void *item, const void *key) { return slice_eq(((const struct node *)item)->key, *(const struct slice *)key); }

static bool stop(struct walk *w, enum expand_status status, const char *what, struct slice which)
{
    if (w->stopped) return false;
    w->stopped = true;
    w->out->status = status;
    expand_tell_stop(&w->steps, what, which);
    return false;
}

static void note_place(struct walk *w, struct config_place place)
{
    if (!w->out->mapped && !w->out->aliased) w->out->place = place;
}

/* ---- mapping */

static bool take_way(struct walk *w, const struct expand_way *way, struct slice *address, struct expand_name *name)
{
    struct slice local = *address;
    char to[256];
    const char *at = memrchr(address->p, '@', address->n);
    if (at) local.n = (size_t)(at - address->p);
    if (!address_domain_ascii(way->to, to)) return stop(w, EXPAND_BROKEN, "no domain to map to: ", way->to);
    struct slice mapped = slice_str(arena_printf(w->arena, "%.*s@%s", SLICE_ARG(local), to));
    struct address parsed;
    if (!expand_name_make(w->x, mapped, name) || address_parse(mapped, &parsed)) return stop(w, EXPAND_BROKEN, "no address: ", mapped);
    expand_tell_way(&w->steps, way);
    *address = mapped;
    return true;
}

/* The address after all mappings; *mapped: there was one. */
static bool map(struct walk *w, struct slice *address, struct expand_name *name, bool *mapped)
{
    struct expand_way way;
    *mapped = false;
    for (unsigned i = 0;; i++) {
        enum expand_find f = expand_find_mapping(w->x, expand_name_domain(name), w->written, &way);
        if (f == EXPAND_UNREAD) return stop(w, EXPAND_LATER, "a table of mappings was never read", SLICE(""));
        if (f == EXPAND_NONE || slice_ieq(way.to, expand_name_domain(name))) return true;
        if (i == EXPAND_DEPTH_MAX) return stop(w, EXPAND_LOOP, "mappings lead to others too often, at last to ", expand_name_domain(name));
        if (!w->depth && !i) note_place(w, way.place);
        if (!take_way(w, &way, address, name)) return false;
        *mapped = true;
    }
}

/* ---- what it leads to */

/* What is sent on from here would come back. Of a configuration alone it is not known: tables may have more names. */
static bool leave_out(struct walk *w, struct node *n, bool by_loop)
{
    if (!n->nobody) expand_tell_no_mailbox(&w->steps, n->address);
    n->nobody = true;
    w->nobody = n;
    w->circle |= by_loop;
    return true;
}

static bool is_nobody(const struct walk *w, const struct node *n, bool *unread)
{
    struct expand_name name;
    *unread = false;
    return !w->written && expand_name_make(w->x, n->address, &name) && expand_has_no_mailbox(w->x, &name, unread);
}

static bool add_target(struct walk *w, struct node *n, bool by_loop)
{
    struct expand_result *out = w->out;
    bool unread;
    if (n->target) return true;
    if (is_nobody(w, n, &unread))
        return unread ? stop(w, EXPAND_LATER, "a table of relay domains was never read", SLICE("")) : leave_out(w, n, by_loop);
    n->target = true;
    if (out->to_n == EXPAND_MAX) return stop(w, EXPAND_TOO_MANY, "it stands for too many addresses, as does ", n->address);
    if (out->to_n == w->room) {
        struct expand_target *more = arena_alloc(w->arena, (w->room = w->room ? 4 * w->room : 4) * sizeof *more);
        if (out->to_n) memcpy(more, out->to, out->to_n * sizeof *more);
        out->to = more;
    }
    out->to[out->to_n++] = (struct expand_target){ .address = n->address };
    w->by_loop += by_loop;
    return true;
}

static bool is_group(const struct expand_group *a, const struct expand_group *b)
{
    return a->from == b->from && slice_eq(slice_of(a->key, a->key_n), slice_of(b->key, b->key_n));
}

/* The alias that is looked at already, as its number from the outermost on; depth: none. */
static size_t find_frame(const struct walk *w, const struct expand_group *g)
{
    size_t i = 0;
    while (i < w->depth && !is_group(&w->frames[i]->group, g)) i++;
    return i;
}

/* Of what is written a way round is an error; else it is cut here, and the address is taken as it is. */
static bool take_loop(struct walk *w, struct node *n, size_t from)
{
    if (!w->err) return add_target(w, n, true);
    struct buf b = { .max = 320 };
    unsigned line = 0;
    for (size_t i = from; i < w->depth; i++) {
        const struct expand_group *g = &w->frames[i]->group;
        if (!line && g->from) line = g->from->place.line;
        expand_add_label(g, &b);
        buf_add_str(&b, " -> ");
    }
    buf_add_printable(&b, slice_of(w->frames[from]->group.key, w->frames[from]->group.key_n), 80);
    err_set(w->err, "line %u: aliases loop: %s", line, buf_cstr(&b));
    buf_deinit(&b);
    w->stopped = true;
    return false;
}

/* "anna@x" with the detail of "sales+news@y": "anna+news@x". As it is when it has one, or gets too long. */
static struct slice with_detail(struct walk *w, struct slice address, const struct frame *f)
{
    const char *at = memrchr(address.p, '@', address.n), *end = memrchr(f->node->address.p, '@', f->node->address.n);
    size_t n = f->group.detail_n, local = at ? (size_t)(at - address.p) : 0;
    size_t had = end ? (size_t)(end - f->node->address.p) : f->node->address.n;
    if (!n || had < n || local + n > 64 || slice_find(address, '+') >= 0 || address.p[0] == '"' || f->node->address.p[0] == '"') return address;
    struct slice with = slice_str(arena_printf(w->arena, "%.*s%.*s%.*s", (int)local, address.p, (int)n, f->node->address.p + had - n,
                                               SLICE_ARG(slice_sub(address, local, address.n))));
    struct address a;
    return address_parse(with, &a) ? address : with;
}

/* Of an alias that names itself. "anna" among the members is anna+news where that was asked for. */
static struct node *own(const struct frame *f, struct node *n)
{
    struct slice key = f->node->key, domain = slice_of(memrchr(key.p, '@', key.n), 0);
    domain.n = (size_t)(key.p + key.n - domain.p);
    size_t local = key.n - domain.n - f->group.detail_n;
    bool base = f->group.detail_n && n->key.n == local + domain.n && slice_eq(slice_sub(n->key, 0, local), slice_sub(key, 0, local)) &&
                slice_eq(slice_sub(n->key, local, n->key.n), domain);
    return base ? f->node : n;
}

/* A table was never read that may say more of a member: whom the configuration names at a relay domain gets his mail all the same. */
static bool is_written_member(const struct walk *w, const struct expand_name *name)
{
    for (size_t i = 0; i < w->depth; i++)
        if (w->frames[i]->group.table) return false;
    return w->depth && config_domain_of(w->x->config, expand_name_domain(name));
}

static bool open_group(struct walk *w, struct frame *f);

static bool visit(struct walk *w, struct slice address)
{
    struct expand_name name;
    bool mapped;
    if (++w->looks > LOOKS_MAX) return stop(w, EXPAND_TOO_MANY, "too many aliases lead to ", address);
    if (!expand_name_make(w->x, address, &name)) return stop(w, EXPAND_BROKEN, "no address: ", address);
    if (!map(w, &address, &name, &mapped)) return false;
    if (!w->depth && mapped) {
        w->out->mapped = true;
        w->out->mapped_to = address;
    }
    struct slice key = expand_name_all(&name);
    struct node *n = htable_find(&w->nodes, hash_bytes(key), node_is, &key);
    if (n && !n->open) return true;
    struct frame f = { .node = n };
    if (!n) {
        f.node = n = arena_alloc(w->arena, sizeof *n);
        *n = (struct node){ .key = arena_slice(w->arena, key), .address = address };
        htable_add(&w->nodes, n);
    }
    enum expand_find found = expand_find_group(w->x, &name, w->written, &f.group);
    if (found == EXPAND_UNREAD && is_written_member(w, &name)) found = EXPAND_NONE;
    if (found == EXPAND_UNREAD) return stop(w, EXPAND_LATER, "a table of aliases was never read", SLICE(""));
    if (found == EXPAND_NONE) return add_target(w, n, false);
    size_t i = find_frame(w, &f.group);
    if (w->depth && i == w->depth - 1) return add_target(w, own(w->frames[i], n), false); /* it names itself: a copy of its own */
    if (i < w->depth) return take_loop(w, n, i);
    return open_group(w, &f);
}

/* ---- members */

/* "anna@x, bert@y": one that stands before a comma outside quotes. */
static struct slice next_value(struct slice *rest)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->n && (quoted || rest->p[i] != ','); i++) {
        if (quoted && rest->p[i] == '\\') i += i + 1 < rest->n;
        else if (rest->p[i] == '"') quoted = !quoted;
    }
    struct slice one = slice_trim(slice_sub(*rest, 0, i));
    *rest = slice_sub(*rest, i + 1, rest->n);
    return one;
}

/* Of a table. NULL: stopped. */
static struct slice *read_values(struct walk *w, struct slice values, size_t *n)
{
    size_t most = 0;
    for (struct slice rest = values; rest.n;) most += next_value(&rest).n > 0;
    if (w->looks + most > LOOKS_MAX) { /* before they are read: another process wrote them */
        stop(w, EXPAND_TOO_MANY, "too many aliases lead to the members of ", w->frames[w->depth - 1]->node->address);
        return NULL;
    }
    struct slice *to = arena_alloc(w->arena, (most + 1) * sizeof *to);
    *n = 0;
    for (struct slice rest = values; rest.n;) {
        struct slice one = next_value(&rest);
        if (one.n && !expand_member(w->x, one, w->arena, &to[(*n)++])) {
            stop(w, EXPAND_BROKEN, "no address: ", one);
            return NULL;
        }
    }
    if (!*n) stop(w, EXPAND_BROKEN, "an alias of a table stands for nothing: ", slice_of(w->frames[w->depth - 1]->group.key, w->frames[w->depth - 1]->group.key_n));
    return *n ? to : NULL;
}

static bool visit_members(struct walk *w, const struct frame *f)
{
    const struct expand_group *g = &f->group;
    struct slice postmaster = slice_str(w->x->config->postmaster), *to = g->alias ? g->alias->to : g->from ? NULL : &postmaster;
    size_t n = g->alias ? g->alias->to_n : 1;
    bool unread;
    if (!to && !(to = read_values(w, g->values, &n))) return false;
    if (g->from && g->from->keep) f->node->nobody = is_nobody(w, f->node, &unread);
    expand_tell_group(&w->steps, g, to, n, f->node->nobody);
    bool carries = n == 1 && g->from && !g->from->keep;
    if (g->from && g->from->keep && !add_target(w, f->node, false)) return false;
    for (size_t i = 0; i < n; i++)
        if (!visit(w, carries ? with_detail(w, to[i], f) : to[i])) return false;
    return true;
}

static bool open_group(struct walk *w, struct frame *f)
{
    if (w->depth == EXPAND_DEPTH_MAX) return stop(w, EXPAND_DEEP, "aliases lead to aliases too often, at last to ", f->node->address);
    if (!w->depth) {
        note_place(w, f->group.from && !f->group.table ? f->group.from->place : (struct config_place){ 0 });
        w->out->aliased = true;
    }
    f->node->open = true;
    w->frames[w->depth++] = f;
    bool ok = visit_members(w, f);
    w->depth--;
    f->node->open = false;
    return ok;
}

/* ---- the whole of it */

static void finish(struct walk *w, const struct expand_name *first)
{
    struct expand_result *out = w->out;
    struct slice key = out->mapped ? SLICE("") : expand_name_all(first);
    struct expand_name mapped;
    if (out->mapped && expand_name_make(w->x, out->mapped_to, &mapped)) key = expand_name_all(&mapped);
    const struct node *n = htable_find(&w->nodes, hash_bytes(key), node_is, &key);
    out->keeps = n && n->target;
    if (!w->stopped && !out->to_n && w->nobody)
        stop(w, w->circle ? EXPAND_LOOP : EXPAND_NOBODY, w->circle ? "it leads back to itself and nowhere else: " : "nobody is left", w->circle ? w->nobody->address : SLICE(""));
    if (!w->stopped && out->to_n && w->by_loop == out->to_n) stop(w, EXPAND_LOOP, "it leads back to itself and nowhere else: ", out->to[0].address);
    if (!w->stopped) out->status = out->mapped || out->aliased ? EXPAND_DONE : EXPAND_SAME;
    if (out->status != EXPAND_DONE) {
        out->to_n = 0;
        out->to = NULL;
    }
    for (uint32_t i = 0; i < out->to_n; i++)
        if (!(n && !out->mapped && slice_eq(out->to[i].address, n->address)) && expand_is_outside(w->x, out->to[i].address))
            out->to[i].marks = MARK_FORWARDED;
    if (out->to_n > out->cost) out->cost = out->to_n;
    if (w->looks * EXPAND_MAX / LOOKS_MAX > out->cost) out->cost = (uint32_t)(w->looks * EXPAND_MAX / LOOKS_MAX);
    out->steps = arena_slice(w->arena, buf_slice(&w->steps.text));
}

/* The common case: nothing is known of the address. */
static bool is_plain(const struct expander *x, const struct expand_name *name)
{
    struct expand_way way;
    struct expand_group group;
    return expand_find_mapping(x, expand_name_domain(name), false, &way) == EXPAND_NONE &&
           expand_find_group(x, name, false, &group) == EXPAND_NONE;
}

static void take_plain(const struct expander *x, const struct expand_name *name, struct expand_result *out)
{
    bool unread;
    if (!expand_has_no_mailbox(x, name, &unread)) return;
    out->status = unread ? EXPAND_LATER : EXPAND_NOBODY;
    out->steps = unread ? SLICE("a table of relay domains was never read") : SLICE("neither an alias nor a name of the system");
}

void expand(const struct expander *x, struct slice rcpt, struct arena *arena, struct expand_result *out)
{
    struct expand_name name;
    *out = (struct expand_result){ .status = EXPAND_SAME, .cost = 1 };
    if (!expand_name_make(x, rcpt, &name)) return;
    if (is_plain(x, &name)) {
        take_plain(x, &name, out);
        return;
    }
    struct walk w = { .x = x, .arena = arena, .out = out };
    htable_init(&w.nodes, node_hash);
    (void)visit(&w, arena_slice(arena, rcpt));
    finish(&w, &name);
    htable_deinit(&w.nodes);
    buf_deinit(&w.steps.text);
}

/* Some address that would be led there; of "sales@" any domain of ours does. */
static struct slice example(const struct expander *x, const struct expand_alias *a, struct arena *arena)
{
    const char *host = x->config->main_domain ? x->config->main_domain : x->config->hostname;
    if (a->key.p[a->key.n - 1] == '@') return slice_str(arena_printf(arena, "%.*s%s", SLICE_ARG(a->key), host));
    if (slice_find(a->key, '@') >= 0) return a->key;
    return slice_str(arena_printf(arena, "%.*s@%s", SLICE_ARG(a->key), host));
}

bool expand_check_alias(const struct expander *x, const struct expand_alias *a, struct err *err)
{
    struct arena arena = { 0 };
    struct expand_result out = { 0 };
    struct walk w = { .x = x, .arena = &arena, .written = true, .out = &out, .err = err };
    struct node *n = arena_alloc(&arena, sizeof *n);
    struct frame f = { .node = n, .group = { .from = a->from, .alias = a, .key_n = a->key.n } };
    struct expand_name name;
    htable_init(&w.nodes, node_hash);
    memcpy(f.group.key, a->key.p, a->key.n);
    n->address = example(x, a, &arena);
    n->key = n->address;
    if (expand_name_make(x, n->address, &name)) n->key = arena_slice(&arena, expand_name_all(&name));
    htable_add(&w.nodes, n);
    bool ok = open_group(&w, &f);
    if (!ok && out.status) err_set(err, "line %u: alias %.*s: %.*s", a->from->place.line, SLICE_ARG(a->key), SLICE_ARG(buf_slice(&w.steps.text)));
    htable_deinit(&w.nodes);
    buf_deinit(&w.steps.text);
    arena_deinit(&arena);
    return ok;
}
