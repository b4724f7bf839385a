/* SPDX-License-Identifier: Apache-2.0
 * Tables that main.cf names: their text is read, not what postmap made of it. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

/* ---- entries */

static struct import_entry *add(struct import_map *m, struct import_entry e)
{
    import_grow(m->entries, m->n, m->cap);
    m->entries[m->n] = e;
    return &m->entries[m->n++];
}

static void cut_blank(struct slice line, struct slice *key, struct slice *value)
{
    size_t n = 0;
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t') n++;
    *key = slice_sub(line, 0, n);
    *value = slice_trim(slice_sub(line, n, line.n));
}

/* "name: value", where name may be quoted: aliases(5). */
static bool cut_alias(struct slice line, struct slice *key, struct slice *value)
{
    size_t n = 0;
    bool quoted = false;
    for (; n < line.n && (quoted || line.p[n] != ':'); n++) {
        if (line.p[n] == '"') quoted = !quoted;
        else if (line.p[n] == '\\' && quoted && n + 1 < line.n) n++;
    }
    if (n >= line.n) return false;
    *key = slice_trim(slice_sub(line, 0, n));
    *value = slice_trim(slice_sub(line, n + 1, line.n));
    if (key->n > 2 && key->p[0] == '"' && key->p[key->n - 1] == '"') *key = slice_sub(*key, 1, key->n - 1);
    return key->n > 0;
}

/* "/pattern/flags value". What Postfix looks for somewhere in a text is here held against the whole of it. */
static bool cut_regexp(struct import *im, struct slice line, struct import_entry *e)
{
    size_t n = 1, from = 1;
    char end = line.p[0];
    if (end == '!' || end == 'i' || end == 'e' || end == '\\') {
        left_out(im, &e->from, "write it as an expression without !, if or endif", "such lines of tables of expressions are not understood");
        return false;
    }
    while (n < line.n && line.p[n] != end) n += line.p[n] == '\\' ? 2 : 1;
    if (n >= line.n) {
        left_out(im, &e->from, NULL, "the pattern has no end");
        return false;
    }
    struct slice pattern = slice_sub(line, from, n), flags;
    cut_blank(slice_sub(line, n + 1, line.n), &flags, &e->value);
    if (flags.n) {
        left_out(im, &e->from, "write it as an expression without flags", "flags behind a pattern are not understood");
        return false;
    }
    bool simple = slice_find(pattern, '|') < 0, ends = pattern.n && pattern.p[pattern.n - 1] == '$' && (pattern.n < 2 || pattern.p[pattern.n - 2] != '\\');
    bool begins = pattern.n && pattern.p[0] == '^';
    if (!simple) begins = ends = false;
    struct slice inner = slice_sub(pattern, begins, pattern.n - ends);
    e->key = slice_str(arena_printf(&im->arena, "/%s%s%.*s%s%s/", begins ? "" : ".*", simple ? "" : "(?:", SLICE_ARG(inner), simple ? "" : ")",
                                    ends ? "" : ".*"));
    return true;
}

static void read_entries(struct import *im, struct import_map *m, struct import_text *t, enum import_entry_kind kind, bool aliases)
{
    struct slice line;
    struct import_entry e;
    while (import_next(im, t, &line, &e.from)) {
        e.kind = kind;
        e.used = false;
        if (t->secret) {
            cut_blank(line, &e.key, &e.value);
            e.from.text = slice_str(arena_printf(&im->arena, "%.*s ***", SLICE_ARG(e.key)));
        } else if (aliases) {
            if (!cut_alias(line, &e.key, &e.value)) {
                left_out(im, &e.from, "write NAME: ADDRESS", "it is no alias");
                continue;
            }
        } else if (kind == IMPORT_REGEXP) {
            if (!cut_regexp(im, line, &e)) continue;
        } else
            cut_blank(line, &e.key, &e.value);
        add(m, e);
    }
}

/* "{ key = value, { key = value with blanks } }" */
static void read_inline(struct import *im, struct import_map *m, struct slice text, const struct import_from *from)
{
    struct slice word, key, value;
    while (import_word(&text, &word)) {
        value = word;
        if (slice_eq(word, SLICE("=")) || !slice_cut(&value, '=', &key)) {
            left_out(im, from, "write key=value without blanks, or {key = value}", "an entry of inline: is not understood");
            return;
        }
        add(m, (struct import_entry){ IMPORT_EXACT, slice_trim(key), slice_trim(value), *from, false });
    }
}

static bool is_one_of(struct slice s, const char *const *words)
{
    for (; *words; words++)
        if (slice_eq(s, slice_str(*words))) return true;
    return false;
}

static void read_map(struct import *im, struct import_map *m, struct slice spec, const struct import_from *from, bool secret, bool aliases)
{
    static const char *const exact[] = { "hash", "lmdb", "btree", "texthash", "dbm", "cdb", "sdbm", NULL },
                      *const sources[] = { "ldap", "pgsql", "sqlite", "mysql", NULL };
    struct slice rest = spec, type;
    if (!slice_cut(&rest, ':', &type)) {
        rest = spec;
        type = SLICE("hash");
    }
    if (slice_eq(type, SLICE("proxy"))) {
        read_map(im, m, rest, from, secret, aliases);
        return;
    }
    bool is_exact = is_one_of(type, exact), cidr = slice_eq(type, SLICE("cidr"));
    if (is_exact || cidr || slice_eq(type, SLICE("pcre")) || slice_eq(type, SLICE("regexp"))) {
        struct import_text *t = import_open(im, import_str(im, rest), from);
        if (!t) return;
        t->secret = secret;
        read_entries(im, m, t, is_exact ? IMPORT_EXACT : cidr ? IMPORT_CIDR : IMPORT_REGEXP, aliases && is_exact);
    } else if (slice_eq(type, SLICE("inline"))) {
        if (rest.n > 1 && rest.p[0] == '{' && rest.p[rest.n - 1] == '}') rest = slice_sub(rest, 1, rest.n - 1);
        read_inline(im, m, rest, from);
    } else if (slice_eq(type, SLICE("static"))) {
        if (rest.n > 1 && rest.p[0] == '{' && rest.p[rest.n - 1] == '}') rest = slice_trim(slice_sub(rest, 1, rest.n - 1));
        add(m, (struct import_entry){ IMPORT_STATIC, SLICE("*"), rest, *from, false });
    } else if (is_one_of(type, sources)) {
        const char *name = import_source(im, import_str(im, type), import_str(im, rest), from);
        if (!name) return;
        m->tables = mem_grow(m->tables, m->table_n + 1, sizeof *m->tables);
        m->tables[m->table_n++] = name;
    } else
        left_out(im, from, "write its entries to a file", "a table of type %s cannot be read", import_show(im, type));
}

static uint64_t hash_of(const void *entry) { return hash_ibytes(((const struct import_entry *)entry)->key); }
static bool has_key(const void *entry, const void *key) { return slice_ieq(((const struct import_entry *)entry)->key, *(const struct slice *)key); }

struct import_map import_maps(struct import *im, struct slice specs, const struct import_from *from, bool secret, bool aliases)
{
    struct import_map m = { 0 };
    struct import_from walk = *from;
    struct slice word;
    htable_init(&m.exact, hash_of);
    while (import_word(&specs, &word)) {
        struct import_from at = import_from_word(im, &walk, word, secret ? "***" : import_show(im, word));
        read_map(im, &m, word, &at, secret, aliases);
    }
    for (size_t i = 0; i < m.n; i++)
        if (m.entries[i].kind == IMPORT_EXACT && !import_find(&m, m.entries[i].key)) htable_add(&m.exact, &m.entries[i]);
    return m;
}

void import_map_deinit(struct import_map *m)
{
    htable_deinit(&m->exact);
    free(m->entries);
    free(m->tables);
}

struct import_map import_map_of(struct import *im, const char *param, struct import_from *from)
{
    struct import_from here;
    struct slice value = import_get(im, param, from ? from : &here);
    return import_maps(im, value, from ? from : &here, false, false);
}

struct import_entry *import_find(struct import_map *m, struct slice key)
{
    return htable_find(&m->exact, hash_ibytes(key), has_key, &key);
}

/* ---- lists of names, files and tables */

static bool is_table(struct slice word)
{
    static const char *const types[] = { "hash", "lmdb",  "btree", "texthash", "cdb",  "dbm",    "cidr",  "pcre", "regexp", "inline", "static",
                                         "ldap", "pgsql", "mysql", "sqlite",   "proxy", "unix", "tcp", "nis", "socketmap", "memcache", NULL };
    struct slice rest = word, type;
    return slice_cut(&rest, ':', &type) && is_one_of(type, types);
}

static void each(struct import *im, struct slice value, const struct import_from *from, import_word_fn *fn, void *arg, unsigned depth)
{
    struct slice word, line;
    struct import_from walk = *from;
    while (import_word(&value, &word)) {
        if (word.p[0] == '/' && depth < 5) {
            struct import_from at;
            struct import_text *t = import_open(im, import_str(im, word), from);
            while (t && import_next(im, t, &line, &at)) each(im, line, &at, fn, arg, depth + 1);
        } else if (is_table(word)) {
            struct import_map m = import_maps(im, word, &walk, false, false);
            for (size_t i = 0; i < m.n; i++) {
                if (m.entries[i].kind == IMPORT_REGEXP || m.entries[i].kind == IMPORT_STATIC)
                    left_out(im, &m.entries[i].from, "write the names themselves", "names cannot be had from an expression");
                else fn(im, m.entries[i].key, &m.entries[i].from, arg);
            }
            for (size_t i = 0; i < m.table_n; i++) fn(im, slice_str(arena_printf(&im->arena, "table:%s", m.tables[i])), from, arg);
            import_map_deinit(&m);
        } else {
            struct import_from at = depth ? *from : import_from_word(im, &walk, word, import_show(im, word));
            fn(im, word, &at, arg);
        }
    }
}

void import_each(struct import *im, const char *param, import_word_fn *fn, void *arg)
{
    struct import_from from;
    struct slice value = import_get(im, param, &from);
    each(im, value, &from, fn, arg, 0);
}
