/* SPDX-License-Identifier: Apache-2.0
 * Lists of matches: networks are sorted, one run for each prefix length in use, names and mailboxes are hashed under one text each,
 * expressions are tried in the order of the list. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "config/list.h"
#include <pcre2.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/list_parts.h"
#include "smtp/address.h"

#define LOCAL_MAX ADDRESS_LOCAL_MAX
#define DOMAIN_MAX 255
#define KEY_MAX (LOCAL_MAX + 1 + DOMAIN_MAX)

struct list_net {
    struct ip_net net;
    uint32_t item;
};
struct list_run {
    uint8_t family, prefix;
    size_t from, n;
};
struct list_expression {
    pcre2_code *code;
    size_t item;
};

/* ---- making one */

static uint64_t hash_of_item(const void *item) { return hash_ibytes(((const struct list_item *)item)->key); }
static bool item_is(const void *item, const void *key)
{
    return slice_ieq(((const struct list_item *)item)->key, *(const struct slice *)key);
}

static unsigned labels_of(struct slice domain)
{
    unsigned n = domain.n > 0;
    for (size_t i = 0; i < domain.n; i++) n += domain.p[i] == '.';
    return n;
}

/* Most entries are written as they are looked for: those need no text of their own. */
static struct slice key_of(struct list_match *l, const char *text, const struct match *m)
{
    char room[MATCH_KEY_MAX];
    struct slice written = slice_str(text), key = match_key(m, room);
    return slice_ieq(written, key) ? written : arena_slice(&l->arena, key);
}

static void add_net(struct list_match *l, const struct ip_net *net, size_t item)
{
    if (l->net_n == l->net_room) {
        l->net_room = l->net_room ? 2 * l->net_room : 16;
        l->nets = mem_grow(l->nets, l->net_room, sizeof *l->nets);
    }
    l->nets[l->net_n++] = (struct list_net){ *net, (uint32_t)item };
}

static bool add_expression(struct list_match *l, struct slice expression, size_t item, struct err *err)
{
    if (l->expression_n == LIST_EXPRESSIONS_MAX)
        return err_set(err, "more than %d regular expressions in one list", LIST_EXPRESSIONS_MAX);
    pcre2_code *code = match_compile(expression, err);
    if (!code) return false;
    l->expressions = mem_grow(l->expressions, l->expression_n + 1, sizeof *l->expressions);
    l->expressions[l->expression_n++] = (struct list_expression){ code, item };
    return true;
}

static bool add_entry(struct list_match *l, const struct list_entry *e, size_t at, struct err *err)
{
    struct match m;
    const char *why = match_parse(slice_str(e->match), l->of, &m);
    if (why) return err_set(err, "%s", why);
    if (l->n == UINT32_MAX) return err_set(err, "too many entries");
    if (m.form == MATCH_EXPRESSION && !add_expression(l, m.expression, l->n, err)) return false;
    if (m.form == MATCH_NETWORK) add_net(l, &m.net, l->n);
    if (m.form == MATCH_TREE && labels_of(slice_str(m.domain)) > l->tree_labels) l->tree_labels = labels_of(slice_str(m.domain));
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        l->items = mem_grow(l->items, l->room, sizeof *l->items);
    }
    bool keyed = m.form != MATCH_EXPRESSION && m.form != MATCH_NETWORK;
    l->proven |= e->proven;
    l->items[l->n++] = (struct list_item){ *e, keyed ? key_of(l, e->match, &m) : SLICE(""), at };
    return true;
}

static int by_length(const void *pa, const void *pb)
{
    const struct list_net *a = pa, *b = pb;
    if (a->net.ip.family != b->net.ip.family) return a->net.ip.family - b->net.ip.family;
    if (a->net.prefix != b->net.prefix) return b->net.prefix - a->net.prefix;
    return memcmp(a->net.ip.bytes, b->net.ip.bytes, 16);
}

static int by_length_and_place(const void *pa, const void *pb)
{
    const struct list_net *a = pa, *b = pb;
    int c = by_length(a, b);
    return c ? c : (a->item > b->item) - (a->item < b->item);
}

static void sort_nets(struct list_match *l)
{
    size_t n = 0;
    if (!l->net_n) return;
    qsort(l->nets, l->net_n, sizeof *l->nets, by_length_and_place);
    for (size_t i = 0; i < l->net_n; i++) {
        if (n && !by_length(&l->nets[n - 1], &l->nets[i])) continue; /* the first of two stays */
        const struct ip_net net = l->nets[i].net;
        l->nets[n] = l->nets[i];
        struct list_run *last = l->run_n ? &l->runs[l->run_n - 1] : NULL;
        if (!last || last->family != net.ip.family || last->prefix != net.prefix) {
            l->runs = mem_grow(l->runs, l->run_n + 1, sizeof *l->runs);
            last = &l->runs[l->run_n++];
            *last = (struct list_run){ net.ip.family, net.prefix, n, 0 };
        }
        last->n++;
        n++;
    }
    l->net_n = n;
}

/* Of the same key the first counts. */
static void add_keys(struct list_match *l, bool proven)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].entry.proven == proven && l->items[i].key.n &&
            !htable_find(&l->keys, hash_of_item(&l->items[i]), item_is, &l->items[i].key))
            htable_add(&l->keys, &l->items[i]);
}

static void finish(struct list_match *l)
{
    sort_nets(l);
    add_keys(l, false); /* of two, the one that wants no proof */
    if (l->proven) add_keys(l, true);
    if (l->expression_n) match_limits_new(&l->match_data, &l->match_limits);
}

static bool add_written(struct list_match *l, const struct config_match *from, size_t at, struct err *err)
{
    struct list_entry e = { .match = from->match, .comment = from->comment, .reason = from->reason, .place = from->place,
                            .proven = from->proven };
    struct buf shown = { 0 };
    struct err why;
    if (add_entry(l, &e, at, &why)) return true;
    buf_add_printable(&shown, slice_str(e.match), 100);
    err_set(err, "line %u: \"%s\": %s", e.place.line, buf_cstr(&shown), why.text);
    buf_deinit(&shown);
    return false;
}

/* The line that names it may have a reason for all. */
static bool add_table(struct list_match *l, const struct config_match *from, size_t at, const struct tables *tables, struct err *err)
{
    const struct table *t = from->file ? tables_of_file(tables, from->file, l->of) : tables_of_name(tables, from->table, l->of);
    if (!t) return err_set(err, "line %u: there is no table %.200s", from->place.line, from->file ? from->file : from->table);
    const struct config_table *c = table_source(t)->table;
    l->tables = mem_grow(l->tables, l->table_n + 1, sizeof *l->tables);
    l->tables[l->table_n++] = (struct list_table){
        .table = t, .at = at,
        .from = { .comment = from->comment, .reason = from->reason, .file = config_table_is_lines(c->type) ? c->file : NULL,
                  .table = from->table, .place = from->place, .proven = from->proven } };
    l->proven |= from->proven;
    return true;
}

static bool add_all(struct list_match *l, const struct config_match_list *from, const struct tables *tables, struct err *err)
{
    bool others = false, ok = true;
    for (size_t i = 0; i < from->n; i++) others |= from->entries[i].file || from->entries[i].table;
    if (others && !tables && !(tables = l->own = tables_new_of_list(from, l->of, err))) return false;
    for (size_t i = 0; i < from->n && ok; i++) {
        const struct config_match *m = &from->entries[i];
        if (m->match) ok = add_written(l, m, i, err);
        if (ok && (m->file || m->table)) ok = add_table(l, m, i, tables, err);
    }
    return ok;
}

struct list_match *list_new(const struct config_match_list *from, enum list_of of, const struct tables *tables, struct err *err)
{
    struct list_match *l = mem_new(struct list_match);
    l->of = of;
    htable_init(&l->keys, hash_of_item);
    if (add_all(l, from, tables, err)) {
        finish(l);
        return l;
    }
    list_free(l);
    return NULL;
}

void list_free(struct list_match *l)
{
    if (!l) return;
    for (size_t i = 0; i < l->expression_n; i++) pcre2_code_free(l->expressions[i].code);
    list_free_tables(l);
    pcre2_match_data_free(l->match_data);
    pcre2_match_context_free(l->match_limits);
    htable_deinit(&l->keys);
    arena_deinit(&l->arena);
    free(l->expressions);
    free(l->items);
    free(l->nets);
    free(l->runs);
    free(l);
}

bool list_is_empty(const struct list_match *l) { return !l->n && !l->table_n; }

bool list_has_proven(const struct list_match *l) { return l->proven; }

/* ---- looking up */

void list_consider(struct list_search *s, const struct list_entry *entry, size_t at, enum list_kind kind, unsigned nearness)
{
    const struct list_found *best = s->out;
    bool nearer = kind != best->kind ? kind > best->kind : nearness != best->nearness ? nearness > best->nearness : !best->entry;
    bool as_near = best->entry && kind == best->kind && nearness == best->nearness;
    bool sooner = entry->proven != s->out_proven ? s->out_proven : at < s->at;
    if (!nearer && !(as_near && sooner)) return;
    *s->out = (struct list_found){ kind, nearness, entry };
    s->out_proven = entry->proven;
    s->at = at;
}

static struct list_search begin(const struct list_match *l, bool proven, struct list_found *out)
{
    *out = (struct list_found){ 0 };
    return (struct list_search){ .list = l, .proven = proven, .out = out };
}

static struct ip masked(const struct ip *ip, unsigned prefix)
{
    struct ip out = { .family = ip->family };
    memcpy(out.bytes, ip->bytes, prefix / 8);
    if (prefix % 8) out.bytes[prefix / 8] = ip->bytes[prefix / 8] & (uint8_t)(0xFF00u >> (prefix % 8));
    return out;
}

static const struct list_net *find_net(const struct list_match *l, const struct ip *ip)
{
    for (size_t i = 0; i < l->run_n; i++) {
        const struct list_run *r = &l->runs[i];
        if (r->family != ip->family) continue;
        const struct list_net key = { .net = { masked(ip, r->prefix), r->prefix } };
        const struct list_net *net = bsearch(&key, l->nets + r->from, r->n, sizeof key, by_length);
        if (net) return net;
    }
    return NULL;
}

void list_find_ip(const struct list_match *l, const struct ip *ip, struct list_found *out)
{
    struct list_search s = begin(l, true, out);
    const struct list_net *net = find_net(l, ip);
    if (net) list_consider(&s, &l->items[net->item].entry, l->items[net->item].at, LIST_NETWORK, net->net.prefix);
    list_find_ip_in_tables(&s, ip);
}

static bool find_key(struct list_search *s, struct slice key, enum list_kind kind, unsigned nearness)
{
    const struct list_item *item = htable_find(&s->list->keys, hash_ibytes(key), item_is, &key);
    if (item && (s->proven || !item->entry.proven)) list_consider(s, &item->entry, item->at, kind, nearness);
    list_find_key_in_tables(s, key, kind, nearness);
    return s->out->entry;
}

static bool find_expression(struct list_search *s, struct slice text)
{
    const struct list_match *l = s->list;
    for (size_t i = 0; i < l->expression_n; i++) {
        const struct list_expression *x = &l->expressions[i];
        const struct list_item *item = &l->items[x->item];
        if (item->entry.proven && !s->proven) continue;
        if (pcre2_match(x->code, (PCRE2_SPTR)text.p, text.n, 0, 0, l->match_data, l->match_limits) < 0) continue;
        list_consider(s, &item->entry, item->at, LIST_EXPRESSION, 0);
        break;
    }
    list_find_expression_in_tables(s, text);
    return s->out->entry;
}

/* The domain itself, then all names above it that may be written with a dot. */
static bool find_domain(struct list_search *s, struct slice domain)
{
    char room[1 + DOMAIN_MAX] = ".";
    unsigned labels = labels_of(domain), most = list_tree_labels(s->list);
    if (!domain.n) return false;
    if (domain.p[0] != '.' && find_key(s, domain, LIST_DOMAIN, 2 * labels + 1)) return true;
    memcpy(room + 1, domain.p, domain.n);
    for (struct slice tree = slice_of(room, domain.n + 1); labels;) {
        if (labels <= most && find_key(s, tree, LIST_DOMAIN, 2 * labels)) return true;
        ptrdiff_t dot = slice_find(slice_sub(tree, 1, tree.n), '.');
        if (dot < 0) break;
        tree = slice_sub(tree, (size_t)dot + 1, tree.n);
        labels--;
    }
    return false;
}

void list_find_host(const struct list_match *l, struct slice name, struct list_found *out)
{
    struct list_search s = begin(l, true, out);
    if (!name.n || name.n > DOMAIN_MAX || find_expression(&s, name)) return;
    find_domain(&s, name);
}

void list_find_sender(const struct list_match *l, struct slice local, struct slice domain, bool proven, struct list_found *out)
{
    char room[KEY_MAX];
    struct list_search s = begin(l, proven, out);
    if (list_is_empty(l) || local.n > LOCAL_MAX || domain.n > DOMAIN_MAX) return;
    if (!local.n && !domain.n) {
        find_key(&s, SLICE("<>"), LIST_MAILBOX, 3);
        return;
    }
    size_t n = address_local_unquote(local, room);
    room[n++] = '@';
    if (domain.n) memcpy(room + n, domain.p, domain.n);
    struct slice whole = slice_of(room, n + domain.n), anywhere = slice_of(room, n);
    if (domain.n && find_key(&s, whole, LIST_MAILBOX, 2)) return;
    if (find_key(&s, anywhere, LIST_MAILBOX, 1)) return;
    if (find_expression(&s, domain.n ? whole : slice_of(room, n - 1))) return;
    find_domain(&s, domain);
}

void list_find_address(const struct list_match *l, struct slice local, struct slice domain, struct list_found *out)
{
    list_find_sender(l, local, domain, true, out);
}

enum list_decision list_decide(const struct list_found *allow, const struct list_found *block)
{
    if (!allow->kind && !block->kind) return LIST_UNDECIDED;
    if (allow->kind != block->kind) return allow->kind > block->kind ? LIST_ALLOWED : LIST_BLOCKED;
    return allow->nearness >= block->nearness ? LIST_ALLOWED : LIST_BLOCKED;
}
