/* SPDX-License-Identifier: Apache-2.0
 * Names that stand for others: aliases(5), virtual(5), canonical(5); copies; people who moved. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"
#include "smtp/address.h"

struct alias {
    struct slice name;
    struct import_from from;
    const char *yaml, *line; /* the targets, in either form */
};
struct aliases {
    struct alias *all;
    size_t n, cap;
    struct htable seen;
    bool virtual;
};

static uint64_t hash_of(const void *item) { return hash_ibytes(((const struct alias *)item)->name); }
static bool is(const void *item, const void *key) { return slice_ieq(((const struct alias *)item)->name, *(const struct slice *)key); }

/* The next target: separated by commas (and blanks, in virtual(5)), perhaps in quotes. */
static bool next_target(struct slice *s, bool blanks, struct slice *out)
{
    bool quoted = false;
    size_t n = 0, from = 0;
    while (from < s->n && (s->p[from] == ',' || s->p[from] == ' ' || s->p[from] == '\t')) from++;
    for (n = from; n < s->n && (quoted || (s->p[n] != ',' && !(blanks && (s->p[n] == ' ' || s->p[n] == '\t')))); n++) {
        if (s->p[n] == '"') quoted = !quoted;
        else if (s->p[n] == '\\' && quoted && n + 1 < s->n) n++;
    }
    *out = slice_trim(slice_sub(*s, from, n));
    *s = slice_sub(*s, n, s->n);
    return out->n > 0;
}

/* Names without a domain are at myorigin. */
static const char *target_of(struct import *im, struct slice t, const struct import_from *from, bool virtual)
{
    struct address a;
    struct slice bare = t;
    if (bare.n > 2 && bare.p[0] == '"' && bare.p[bare.n - 1] == '"') bare = slice_sub(bare, 1, bare.n - 1);
    if (bare.n && bare.p[0] == '\\') bare = slice_sub(bare, 1, bare.n); /* "\name": itself, without further aliases */
    const char *what = !virtual && bare.n && bare.p[0] == '|' ? "a program" : !virtual && bare.n && bare.p[0] == '/' ? "a file"
                     : slice_istarts(bare, SLICE(":include:")) ? "a list in a file" : NULL;
    if (what) {
        left_out(im, from, "write addresses in its place", "mail goes to addresses only, not to %s: %s", what, import_show(im, bare));
        return NULL;
    }
    if (virtual && bare.n && bare.p[0] == '@') return NULL;
    struct slice full = bare;
    if (slice_find(bare, '@') < 0) {
        bool own = im->main_domain && slice_ieq(slice_str(im->origin), slice_str(im->main_domain));
        full = slice_str(arena_printf(&im->arena, "%.*s@%s", SLICE_ARG(bare), im->origin));
        if (own && !address_parse(full, &a)) return import_str(im, bare);
    }
    if (address_parse(full, &a)) {
        left_out(im, from, "write a mail address", "%s is none", import_show(im, bare));
        return NULL;
    }
    return import_str(im, full);
}

static void add_alias(struct import *im, struct aliases *list, struct slice name, struct slice targets, const struct import_from *from)
{
    struct buf yaml = { 0 }, line = { 0 };
    struct slice t;
    struct err err;
    size_t n = 0;
    if (htable_find(&list->seen, hash_ibytes(name), is, &name)) {
        left_out(im, from, "write one entry for both", "%s has an entry already, which counts", import_show(im, name));
        return;
    }
    if (!match_check(name, LIST_OF_ALIASES, &err)) {
        left_out(im, from, NULL, "%s: %s", import_show(im, name), err.text);
        return;
    }
    while (next_target(&targets, list->virtual, &t)) {
        const char *to = target_of(im, t, from, list->virtual);
        if (!to) continue;
        buf_addf(&yaml, "%s%s", n ? ", " : "", import_scalar(im, slice_str(to)));
        buf_addf(&line, "%s%s", n++ ? ", " : "", to);
    }
    struct alias *a = arena_alloc(&im->arena, sizeof *a);
    *a = (struct alias){ arena_slice(&im->arena, name), *from, buf_keep(&yaml, &im->arena).p, buf_keep(&line, &im->arena).p };
    if (!n) return; /* told already */
    htable_add(&list->seen, a);
    import_grow(list->all, list->n, list->cap);
    list->all[list->n++] = *a;
}

static void read_aliases(struct import *im, struct aliases *list)
{
    struct import_from from;
    struct slice value = import_get(im, "alias_maps", &from), word;
    if (!value.n) return;
    while (import_word(&value, &word)) {
        if (slice_starts(word, SLICE("nis:"))) continue; /* a default of old systems, which is never there */
        struct import_map m = import_maps(im, word, &from, false, true);
        for (size_t i = 0; i < m.n; i++) add_alias(im, list, m.entries[i].key, m.entries[i].value, &m.entries[i].from);
        for (size_t i = 0; i < m.table_n; i++) import_put(im, PUT_ALIASES, &from, "{table: %s}", m.tables[i]);
        import_map_deinit(&m);
    }
}

/* "@old @new": all of a domain. */
static bool put_mapping(struct import *im, const struct import_entry *e)
{
    char from[256], to[256];
    if (e->key.n < 2 || e->key.p[0] != '@' || e->value.n < 2 || e->value.p[0] != '@') return false;
    if (!address_domain_ascii(slice_sub(e->key, 1, e->key.n), from) || !address_domain_ascii(slice_sub(e->value, 1, e->value.n), to)) return false;
    import_put(im, PUT_MAPPINGS, &e->from, "{from: %s, to: %s}", import_scalar(im, slice_str(from)), import_scalar(im, slice_str(to)));
    return true;
}

static void read_virtual(struct import *im, struct aliases *list)
{
    struct import_from from;
    struct import_map m = import_map_of(im, "virtual_alias_maps", &from);
    list->virtual = true;
    for (size_t i = 0; i < m.n; i++) {
        struct import_entry *e = &m.entries[i];
        ptrdiff_t at = slice_find(e->key, '@');
        char ascii[256];
        if (e->kind != IMPORT_EXACT) left_out(im, &e->from, "write an alias for each name", "an alias is for one name: expressions are not understood");
        else if (at < 0 && strchr(import_str(im, e->key), '.') && address_domain_ascii(e->key, ascii)) continue; /* a domain, see below */
        else if (put_mapping(im, e)) continue;
        else if (!at) left_out(im, &e->from, "write an alias for each name", "an alias for all other names of a domain is not known here");
        else add_alias(im, list, e->key, e->value, &e->from);
    }
    for (size_t i = 0; i < m.table_n; i++) import_put(im, PUT_ALIASES, &from, "{table: %s}", m.tables[i]);
    import_map_deinit(&m);
}

/* ---- domains whose names are all aliases */

struct virtual_domain {
    struct aliases *list;
};

static void add_virtual_domain(struct import *im, struct slice word, const struct import_from *from, void *arg)
{
    const struct aliases *list = ((struct virtual_domain *)arg)->list;
    char ascii[256];
    struct alias *first = NULL;
    if (slice_starts(word, SLICE("table:")) || slice_find(word, '@') >= 0 || !strchr(import_str(im, word), '.') || !address_domain_ascii(word, ascii)) return;
    for (size_t i = 0; i < list->n && !first; i++) {
        ptrdiff_t at = slice_find(list->all[i].name, '@');
        if (at >= 0 && slice_ieq(slice_sub(list->all[i].name, (size_t)at + 1, list->all[i].name.n), slice_str(ascii))) first = &list->all[i];
    }
    for (size_t i = 0; i < im->unit_n; i++) /* it is mapped: it needs no entry of its own */
        if (im->units[i].where == PUT_MAPPINGS && slice_istarts(slice_str(im->units[i].text), slice_str(arena_printf(&im->arena, "{from: %s,", ascii)))) return;
    if (!first) {
        left_out(im, from, "write its aliases, and add it to domains", "%s has no names", import_show(im, word));
        return;
    }
    import_put(im, PUT_DOMAINS, from, "name: %s\nrecipients: {verify: list, reject_code: 550, list: [%s]} # all its names are aliases",
               import_scalar(im, slice_str(ascii)), import_scalar(im, first->name));
}

/* A name of ours that is neither an alias nor one of the system's was a Unix account. */
static void tell_accounts(struct import *im, const struct aliases *list, const struct alias *a)
{
    static const char *const system[] = { "root", "postmaster", "abuse", "mailer-daemon", "hostmaster", "webmaster", "security", "noc" };
    struct slice rest = slice_str(a->line), t;
    for (bool more = true; more;) {
        more = slice_cut(&rest, ',', &t);
        t = slice_trim(t);
        bool known = slice_find(t, '@') >= 0 || htable_find(&list->seen, hash_ibytes(t), is, &t);
        for (size_t i = 0; i < countof(system); i++) known |= slice_ieq(t, slice_str(system[i]));
        if (!known) left_out(im, &a->from, "write an address that has a mailbox", "%s was an account of this machine: there are no mailboxes for them here", import_show(im, t));
    }
}

static void put_aliases(struct import *im, struct aliases *list, const char *name)
{
    struct buf file = { 0 };
    for (size_t i = 0; i < list->n && !im->mailboxes; i++) tell_accounts(im, list, &list->all[i]);
    for (size_t i = 0; i < list->n; i++) buf_addf(&file, "%.*s %s\n", SLICE_ARG(list->all[i].name), list->all[i].line);
    const char *path = list->n > IMPORT_INLINE_MAX ? import_keep(im, "lists", slice_str(name), buf_slice(&file), false) : NULL;
    if (path) {
        import_put(im, PUT_TABLES, &list->all[0].from, "%s: {file: %s}", name, import_scalar(im, slice_str(path)));
        import_put(im, PUT_ALIASES, &list->all[0].from, "{table: %s}", name);
    }
    for (size_t i = 0; i < list->n && !path; i++)
        import_put(im, PUT_ALIASES, &list->all[i].from, "{name: %s, to: [%s]}", import_scalar(im, list->all[i].name), list->all[i].yaml);
    buf_deinit(&file);
}

void import_aliases(struct import *im)
{
    struct aliases list = { 0 };
    struct virtual_domain v = { &list };
    htable_init(&list.seen, hash_of);
    read_virtual(im, &list); /* it comes first in Postfix, too */
    list.virtual = false;
    read_aliases(im, &list);
    struct import_from from;
    struct slice domains = import_get(im, "virtual_alias_domains", &from);
    if (domains.n) import_each(im, "virtual_alias_domains", add_virtual_domain, &v);
    put_aliases(im, &list, "aliases");
    free(list.all);
    htable_deinit(&list.seen);
}

/* ---- canonical, copies, relocated */

static void canonical(struct import *im, const char *param, bool recipients)
{
    struct import_from from;
    struct import_map m = import_map_of(im, param, &from);
    bool any = false;
    for (size_t i = 0; i < m.n; i++) {
        if (recipients && put_mapping(im, &m.entries[i])) any = true;
        else left_out(im, &m.entries[i].from, "have the programs that send it write the right address", "addresses of senders and in headers are not rewritten here");
    }
    if (any) different(im, &from, NULL, "mapped domains change the recipient only: headers and senders stay as they are");
    import_map_deinit(&m);
}

static void copies(struct import *im, const char *param, const char *list)
{
    struct import_map m = import_map_of(im, param, NULL);
    struct err err;
    for (size_t i = 0; i < m.n; i++) {
        const struct import_entry *e = &m.entries[i];
        struct slice key = e->kind == IMPORT_EXACT && e->key.n && e->key.p[0] == '@' ? slice_sub(e->key, 1, e->key.n) : e->key;
        struct address a;
        if ((e->kind != IMPORT_STATIC && !match_check(key, LIST_OF_ADDRESSES, &err)) || address_parse(e->value, &a))
            left_out(im, &e->from, "write an entry of copies", "it is no address, or its copy goes to none");
        else if (e->kind == IMPORT_STATIC) import_put(im, PUT_COPIES, &e->from, "{to: %s}", import_scalar(im, e->value));
        else import_put(im, PUT_COPIES, &e->from, "{to: %s, %s: [%s]}", import_scalar(im, e->value), list, import_scalar(im, key));
    }
    import_map_deinit(&m);
}

void import_rewriting(struct import *im)
{
    struct import_from from;
    struct address a;
    struct slice bcc = import_get(im, "always_bcc", &from);
    canonical(im, "recipient_canonical_maps", true);
    canonical(im, "canonical_maps", true);
    canonical(im, "sender_canonical_maps", false);
    if (bcc.n && slice_find(bcc, '@') < 0) bcc = slice_str(arena_printf(&im->arena, "%.*s@%s", SLICE_ARG(bcc), im->origin));
    if (bcc.n && !address_parse(bcc, &a)) import_put(im, PUT_COPIES, &from, "{to: %s}", import_scalar(im, bcc));
    else if (bcc.n) left_out(im, &from, "write an address", "copies go to an address");
    copies(im, "sender_bcc_maps", "senders");
    copies(im, "recipient_bcc_maps", "recipients");
    struct import_map moved = import_map_of(im, "relocated_maps", NULL);
    for (size_t i = 0; i < moved.n; i++) {
        struct slice key = moved.entries[i].key;
        if (slice_find(key, '@') < 0) key = slice_str(arena_printf(&im->arena, "%.*s@", SLICE_ARG(key)));
        if (key.n && key.p[0] == '@') key = slice_sub(key, 1, key.n);
        import_list_entry(im, PUT_BLOCK_RECIPIENTS, LIST_OF_ADDRESSES, key,
                          slice_str(arena_printf(&im->arena, "the user has moved to %.*s", SLICE_ARG(moved.entries[i].value))), &moved.entries[i].from);
    }
    import_map_deinit(&moved);
}
