/* SPDX-License-Identifier: Apache-2.0
 * Aliases and mappings as they are looked for: what is written in the configuration is hashed, then come the tables, in their order. Of an
 * address the nearest name counts: "sales@example.com" before "sales@" before "sales", the domain before the trees above it; of equally
 * near ones what is written before what stands in a table. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "route/expand_parts.h"

#define SYSTEM_POSTMASTER "postmaster" /* there whatever system_mail says: RFC 5321 §4.5.1 */

/* ---- names */

static void lower(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) text[i] = ascii_lower(text[i]);
}

/* Splits at the last '@': a domain holds none, a quoted local part may. */
static bool split(struct slice text, struct slice *local, struct slice *domain)
{
    const char *at = text.n ? memrchr(text.p, '@', text.n) : NULL;
    if (!at) return false;
    *local = slice_sub(text, 0, (size_t)(at - text.p));
    *domain = slice_sub(text, local->n + 1, text.n);
    return true;
}

bool expand_name_make(const struct expander *x, struct slice address, struct expand_name *out)
{
    struct slice local = address, domain = slice_str(x->config->hostname);
    split(address, &local, &domain);
    if (!local.n || local.n > ADDRESS_LOCAL_MAX) return false;
    out->local_n = address_local_unquote(local, out->text);
    lower(out->text, out->local_n);
    out->text[out->local_n] = '@';
    if (!address_domain_ascii(domain, out->text + out->local_n + 1)) return false;
    out->n = out->local_n + 1 + strlen(out->text + out->local_n + 1);
    return true;
}

bool expand_member(const struct expander *x, struct slice text, struct arena *arena, struct slice *out)
{
    const struct config *c = x->config;
    struct slice local, domain;
    struct address a;
    text = slice_trim(text);
    if (!text.n || text.n > SNAPSHOT_TEXT_MAX) return false;
    if (split(text, &local, &domain)) *out = arena_slice(arena, text);
    else *out = slice_str(arena_printf(arena, "%.*s@%s", SLICE_ARG(text), c->main_domain ? c->main_domain : c->hostname));
    return !address_parse(*out, &a) && a.kind == ADDRESS_NAME;
}

/* ---- the hashes */

static uint64_t alias_hash(const void *item) { return hash_bytes(((const struct expand_alias *)item)->key); }
static bool alias_is(const void *item, const void *key)
{
    return slice_eq(((const struct expand_alias *)item)->key, *(const struct slice *)key);
}
static uint64_t mapping_hash(const void *item) { return hash_bytes(((const struct expand_mapping *)item)->key); }
static bool mapping_is(const void *item, const void *key)
{
    return slice_eq(((const struct expand_mapping *)item)->key, *(const struct slice *)key);
}

static bool wrong(struct config_place place, const char *name, const char *what, struct err *err)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(name), 120);
    err_set(err, "line %u: %.150s: %s", place.line, buf_cstr(&b), what);
    buf_deinit(&b);
    return false;
}

/* "Sales", "Sales@", "Sales@Example.com" as they are looked for. */
static bool alias_key(struct expander *x, const char *name, struct slice *out)
{
    struct slice text = slice_str(name), local = text, domain = SLICE("");
    struct expand_name n;
    bool at = split(text, &local, &domain);
    if (domain.n ? !expand_name_make(x, text, &n) : !local.n || local.n > ADDRESS_LOCAL_MAX) return false;
    if (!domain.n) {
        n.n = address_local_unquote(local, n.text);
        lower(n.text, n.n);
        if (at) n.text[n.n++] = '@';
    }
    *out = arena_slice(&x->arena, expand_name_all(&n));
    return true;
}

/* Mail to a mapped domain never gets to an alias there: that is a slip, and a silent one. */
static bool reaches(const struct expander *x, const struct expand_alias *a, struct err *err)
{
    struct expand_way way;
    char what[360];
    ptrdiff_t at = slice_find(a->key, '@');
    struct slice domain = at < 0 ? SLICE("") : slice_sub(a->key, (size_t)at + 1, a->key.n);
    if (expand_find_mapping(x, domain, true, &way) != EXPAND_FOUND || slice_ieq(way.to, domain)) return true;
    snprintf(what, sizeof what, "no mail gets there, as line %u maps its domain: give the name at %.250s", way.place.line, way.mapping->from->to);
    return wrong(a->from->place, a->from->name, what, err);
}

static bool add_alias(struct expander *x, const struct config_alias *from, struct err *err)
{
    struct expand_alias *a = arena_alloc(&x->arena, sizeof *a);
    a->from = from;
    if (!alias_key(x, from->name, &a->key)) return wrong(from->place, from->name, "this cannot be the name of an alias", err);
    if (!reaches(x, a, err)) return false;
    const struct expand_alias *other = htable_find(&x->aliases, hash_bytes(a->key), alias_is, &a->key);
    if (other) {
        char what[80];
        snprintf(what, sizeof what, "this alias is on line %u already", other->from->place.line);
        return wrong(from->place, from->name, what, err);
    }
    a->to = arena_alloc(&x->arena, (from->to_n + 1) * sizeof *a->to);
    for (; a->to_n < from->to_n; a->to_n++)
        if (!expand_member(x, slice_str(from->to[a->to_n]), &x->arena, &a->to[a->to_n]))
            return wrong(from->place, from->to[a->to_n], "an address is expected, or a name at main_domain", err);
    htable_add(&x->aliases, a);
    x->alias_list[x->alias_n++] = a;
    return true;
}

static bool add_mapping(struct expander *x, const struct config_mapping *from, struct err *err)
{
    struct expand_mapping *m = arena_alloc(&x->arena, sizeof *m);
    char key[257], *name = key;
    bool tree = from->from[0] == '.';
    *m = (struct expand_mapping){ .from = from, .to = slice_str(from->to) };
    if (tree) *name++ = '.';
    if (!address_domain_ascii(slice_str(from->from + tree), name)) return wrong(from->place, from->from, "a domain is expected", err);
    m->key = arena_slice(&x->arena, slice_str(key));
    const struct expand_mapping *other = htable_find(&x->mappings, hash_bytes(m->key), mapping_is, &m->key);
    if (other) {
        char what[80];
        snprintf(what, sizeof what, "this domain is mapped on line %u already", other->from->place.line);
        return wrong(from->place, from->from, what, err);
    }
    htable_add(&x->mappings, m);
    x->mapping_list[x->mapping_n++] = m;
    return true;
}

static bool load_aliases(struct expander *x, struct err *err)
{
    const struct config *c = x->config;
    x->alias_list = arena_alloc(&x->arena, (c->alias_n + 1) * sizeof *x->alias_list);
    x->alias_tables = arena_alloc(&x->arena, (c->alias_n + 1) * sizeof *x->alias_tables);
    for (size_t i = 0; i < c->alias_n; i++) {
        const struct config_alias *a = &c->aliases[i];
        if (!a->enabled) continue;
        if (a->table)
            x->alias_tables[x->alias_table_n++] =
                (struct expand_table){ tables_of_name(x->tables, a->table, LIST_OF_ALIASES), a->table, { .alias = a } };
        else if (!add_alias(x, a, err)) return false;
    }
    return true;
}

static bool load_mappings(struct expander *x, struct err *err)
{
    const struct config *c = x->config;
    x->mapping_list = arena_alloc(&x->arena, (c->mapping_n + 1) * sizeof *x->mapping_list);
    x->mapping_tables = arena_alloc(&x->arena, (c->mapping_n + 1) * sizeof *x->mapping_tables);
    for (size_t i = 0; i < c->mapping_n; i++) {
        const struct config_mapping *m = &c->mappings[i];
        if (!m->enabled) continue;
        if (m->table) {
            struct expand_table t = { tables_of_name(x->tables, m->table, LIST_OF_MAPPINGS), m->table, { 0 } };
            t.mapping = m;
            x->mapping_tables[x->mapping_table_n++] = t;
        } else if (!add_mapping(x, m, err)) return false;
    }
    return true;
}

static void load_domains(struct expander *x)
{
    const struct config *c = x->config;
    x->domain_tables = arena_alloc(&x->arena, (c->domain_n + 1) * sizeof *x->domain_tables);
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].table) x->domain_tables[x->domain_table_n++] = tables_of_name(x->tables, c->domains[i].name, LIST_OF_DOMAINS);
}

struct expander *expander_new(const struct config *c, const struct tables *t, struct err *err)
{
    struct expander *x = mem_new(struct expander);
    x->config = c;
    x->tables = t;
    htable_init(&x->aliases, alias_hash);
    htable_init(&x->mappings, mapping_hash);
    if (!c->postmaster || !expand_name_make(x, slice_str(c->postmaster), &x->postmaster)) x->postmaster.n = 0;
    load_domains(x);
    if (load_mappings(x, err) && load_aliases(x, err) && expand_check(x, err) && expand_copies_load(x, err)) return x;
    expander_free(x);
    return NULL;
}

void expander_free(struct expander *x)
{
    if (!x) return;
    expand_copies_free(x);
    htable_deinit(&x->aliases);
    htable_deinit(&x->mappings);
    arena_deinit(&x->arena);
    free(x);
}

/* ---- finding a mapping */

static enum expand_find find_way(const struct expander *x, struct slice key, bool written, struct expand_way *out)
{
    const struct expand_mapping *m = htable_find(&x->mappings, hash_bytes(key), mapping_is, &key);
    struct snapshot_entry e;
    if (m) {
        *out = (struct expand_way){ .key = m->key, .to = m->to, .place = m->from->place, .mapping = m };
        return EXPAND_FOUND;
    }
    for (size_t i = 0; !written && i < x->mapping_table_n; i++) {
        const struct snapshot *s = table_snapshot(x->mapping_tables[i].table);
        if (!s) return EXPAND_UNREAD;
        if (!snapshot_find_key(s, key, &e) || !e.value) continue;
        *out = (struct expand_way){ .key = slice_str(e.match), .to = slice_trim(slice_str(e.value)), .table = x->mapping_tables[i].name };
        return EXPAND_FOUND;
    }
    return EXPAND_NONE;
}

enum expand_find expand_find_mapping(const struct expander *x, struct slice domain, bool written, struct expand_way *out)
{
    char dotted[257] = { '.' };
    if ((!x->mappings.n && (written || !x->mapping_table_n)) || !domain.n || domain.n > 255 || config_is_own_host(x->config, domain)) return EXPAND_NONE;
    enum expand_find f = find_way(x, domain, written, out);
    memcpy(dotted + 1, domain.p, domain.n);
    for (struct slice tree = slice_of(dotted, domain.n + 1); f == EXPAND_NONE && tree.n > 1;) {
        f = find_way(x, tree, written, out);
        ptrdiff_t dot = slice_find(slice_sub(tree, 1, tree.n), '.');
        tree = dot < 0 ? SLICE("") : slice_sub(tree, (size_t)dot + 1, tree.n);
    }
    return f == EXPAND_UNREAD && config_domain_of(x->config, domain) ? EXPAND_NONE : f; /* what is known to be ours does not wait */
}

/* ---- finding an alias */

static enum expand_find find_key(const struct expander *x, bool written, struct expand_group *out)
{
    struct slice key = slice_of(out->key, out->key_n);
    struct snapshot_entry e;
    enum expand_find f = EXPAND_NONE;
    out->from = NULL;
    out->values = SLICE("");
    out->table = NULL;
    out->alias = htable_find(&x->aliases, hash_bytes(key), alias_is, &key);
    if (out->alias) {
        out->from = out->alias->from;
        return EXPAND_FOUND;
    }
    for (size_t i = 0; !written && i < x->alias_table_n; i++) {
        const struct snapshot *s = table_snapshot(x->alias_tables[i].table);
        if (!s) f = EXPAND_UNREAD;
        else if (snapshot_find_key(s, key, &e)) {
            out->from = x->alias_tables[i].alias;
            out->values = slice_str(e.value);
            out->table = x->alias_tables[i].name;
            return f == EXPAND_UNREAD ? f : EXPAND_FOUND; /* one that was not read may have it, too */
        }
    }
    return f;
}

static bool is_system(const struct expander *x, const struct expand_name *name, struct slice local)
{
    const struct config *c = x->config;
    if (!x->postmaster.n || expand_is_postmaster(x, name)) return false;
    if (slice_eq(local, SLICE(SYSTEM_POSTMASTER))) return true;
    for (size_t i = 0; i < c->system_mail_n; i++)
        if (slice_ieq(local, slice_str(c->system_mail[i]))) return true;
    return false;
}

/* One who is looked for: the whole local part, or what is before its detail. */
struct sought {
    const struct expander *x;
    const struct expand_name *name;
    bool written, ours, host;      /* host: where plain names are */
};

static enum expand_find find_form(const struct sought *s, struct slice local, struct slice end, struct expand_group *out)
{
    memcpy(out->key, local.p, local.n);
    if (end.n) memcpy(out->key + local.n, end.p, end.n);
    out->key_n = local.n + end.n;
    enum expand_find f = find_key(s->x, s->written, out);
    return f == EXPAND_UNREAD && !s->ours ? EXPAND_NONE : f; /* mail to others does not wait for a table */
}

static enum expand_find find_local(const struct sought *s, struct slice local, struct expand_group *out)
{
    struct slice domain = slice_sub(expand_name_all(s->name), s->name->local_n, s->name->n); /* with its @ */
    enum expand_find f = find_form(s, local, domain, out);
    if (f == EXPAND_NONE && s->ours) f = find_form(s, local, SLICE("@"), out);
    if (f == EXPAND_NONE && s->host && slice_find(local, '@') < 0) f = find_form(s, local, SLICE(""), out);
    if (f != EXPAND_NONE || !s->host || !is_system(s->x, s->name, local)) return f;
    *out = (struct expand_group){ .key_n = local.n };
    memcpy(out->key, local.p, local.n);
    return EXPAND_FOUND;
}

static enum expand_find find_either(const struct sought *s, struct expand_group *out)
{
    struct slice local = expand_name_local(s->name);
    enum expand_find f = find_local(s, local, out);
    ptrdiff_t plus = slice_find(local, '+');
    if (f != EXPAND_NONE || plus <= 0) return f;
    f = find_local(s, slice_sub(local, 0, (size_t)plus), out);
    out->detail_n = local.n - (size_t)plus;
    return f;
}

/* A table that was never read may have it: then what is written counts, and the postmaster is there in any case. */
static enum expand_find find_written(struct sought *s, struct expand_group *out)
{
    s->written = true;
    *out = (struct expand_group){ 0 };
    bool found = find_either(s, out) == EXPAND_FOUND;
    return found && (out->from || slice_eq(expand_name_local(s->name), SLICE(SYSTEM_POSTMASTER))) ? EXPAND_FOUND : EXPAND_UNREAD;
}

enum expand_find expand_find_group(const struct expander *x, const struct expand_name *name, bool written, struct expand_group *out)
{
    struct slice domain = expand_name_domain(name);
    struct sought s = { .x = x, .name = name, .written = written, .host = config_is_own_host(x->config, domain) };
    *out = (struct expand_group){ 0 };
    if (!name->local_n || (!s.host && !x->aliases.n && (written || !x->alias_table_n))) return EXPAND_NONE;
    s.ours = s.host || expand_is_ours(x, domain);
    enum expand_find f = find_either(&s, out);
    if (f != EXPAND_UNREAD) return f;
    if (find_written(&s, out) == EXPAND_FOUND) return EXPAND_FOUND;
    return expand_is_postmaster(x, name) ? EXPAND_NONE : EXPAND_UNREAD;
}
