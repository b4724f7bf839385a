/* SPDX-License-Identifier: Apache-2.0
 * Domains: those that are relayed, those that have mailboxes here, those whose names are all aliases; and where their mail goes. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"
#include "smtp/address.h"

struct domain {
    struct slice name;
    struct import_from from;
    const char *deliver;     /* NULL: by MX */
    const char *recipients;  /* lines below `recipients:`, or NULL */
    bool subdomains;
};
/* A recipient there is, by the domain he is at. */
struct known {
    uint64_t domain;             /* hash of its name; 0: he may be at any */
    struct import_entry *entry;
};
struct domains {
    struct domain *all;
    size_t n, cap;
    struct htable seen;
    struct import_hop otherwise; /* where mail goes without an entry in transport_maps */
    struct import_map *known;    /* recipients there are; NULL: all */
    struct known *by_domain;     /* the same, sorted */
    bool parents;
    const char *param;
};

static uint64_t hash_of(const void *item) { return hash_ibytes(((const struct domain *)item)->name); }
static bool is(const void *item, const void *key) { return slice_ieq(((const struct domain *)item)->name, *(const struct slice *)key); }

/* ---- their recipients */

static struct slice domain_of(struct slice key)
{
    ptrdiff_t at = slice_find(key, '@');
    return at >= 0 ? slice_sub(key, (size_t)at + 1, key.n) : SLICE("");
}

static int order(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    if (x->domain != y->domain) return x->domain < y->domain ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static void sort_known(struct domains *d)
{
    size_t n = d->known->n;
    d->by_domain = mem_grow(NULL, n + 1, sizeof *d->by_domain);
    for (size_t i = 0; i < n; i++) {
        struct import_entry *e = &d->known->entries[i];
        d->by_domain[i] = (struct known){ e->kind == IMPORT_EXACT ? hash_ibytes(domain_of(e->key)) : 0, e };
    }
    qsort(d->by_domain, n, sizeof *d->by_domain, order);
}

/* The first of a domain; at least of what comes behind it. */
static size_t first_of(const struct domains *d, uint64_t domain)
{
    size_t from = 0, to = d->known->n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (d->by_domain[mid].domain < domain) from = mid + 1;
        else to = mid;
    }
    return from;
}

struct recipients {
    struct buf list, file; /* as they stand in the configuration, and as a file */
    size_t n;
};

static void add_recipients(struct import *im, struct domains *d, struct slice domain, uint64_t hash, struct recipients *r)
{
    struct err err;
    for (size_t i = first_of(d, hash); i < d->known->n && d->by_domain[i].domain == hash; i++) {
        struct import_entry *e = d->by_domain[i].entry;
        struct slice key = e->key;
        if (e->kind == IMPORT_EXACT && !slice_ieq(domain_of(key), domain)) continue;
        if (e->kind == IMPORT_EXACT && key.p[0] == '@') key = slice_sub(key, 1, key.n);
        e->used = true;
        if (!match_check(key, LIST_OF_ADDRESSES, &err)) {
            left_out(im, &e->from, NULL, "%s: %s", import_show(im, key), err.text);
            continue;
        }
        buf_addf(&r->list, "%s%s", r->n++ ? ", " : "", import_scalar(im, key));
        buf_addf(&r->file, "%.*s\n", SLICE_ARG(key));
    }
}

static const char *recipients_of(struct import *im, struct domains *d, struct slice domain)
{
    struct recipients r = { 0 };
    if (!d->known->n && !d->known->table_n) {
        if (!im->verify_recipients) return NULL;
        return arena_printf(&im->arena, "{verify: smtp, reject_code: %d}", im->verify_code == 550 ? 550 : 450);
    }
    for (size_t i = 0; i < d->known->table_n; i++) buf_addf(&r.list, "%s{table: %s}", r.n++ ? ", " : "", d->known->tables[i]);
    add_recipients(im, d, domain, hash_ibytes(domain), &r);
    add_recipients(im, d, domain, 0, &r);
    const char *name = r.n > IMPORT_INLINE_MAX && !d->known->table_n
                           ? import_keep(im, "lists", slice_str(arena_printf(&im->arena, "recipients-%.*s", SLICE_ARG(domain))), buf_slice(&r.file), false)
                           : NULL;
    const char *out = name ? arena_printf(&im->arena, "{verify: list, reject_code: 550, list: [{file: %s}]}", import_scalar(im, slice_str(name)))
                           : arena_printf(&im->arena, "{verify: list, reject_code: 550, list: [%s]}", buf_cstr(&r.list));
    if (!r.n) out = arena_printf(&im->arena, "{verify: list, reject_code: 550, list: [\"postmaster@%.*s\"]}", SLICE_ARG(domain));
    buf_deinit(&r.list);
    buf_deinit(&r.file);
    return out;
}

/* ---- collecting */

void import_add_route(struct import *im, struct slice to, const struct import_hop *hop, const struct import_from *from)
{
    if (hop->text) import_put(im, PUT_ROUTES, from, "{to: %s, via: %s}", import_scalar(im, to), hop->text);
}

/* Where its mail goes; and that of domains below it, as far as it is taken. */
static void find_way(struct import *im, struct domains *d, struct domain *n)
{
    struct import_hop exact, tree;
    bool has = import_transport_of(im, n->name, false, &exact), has_tree = import_transport_of(im, n->name, true, &tree);
    if (has && (exact.text || exact.mx)) n->deliver = exact.text;
    else n->deliver = d->otherwise.text;
    if (!d->parents) return;
    if (has && !has_tree) {
        different(im, &n->from, "set subdomains: yes if their mail shall be taken",
                  "Postfix also takes mail for all domains below %s, and sends it to their MX: that is not taken any more", import_show(im, n->name));
        return;
    }
    n->subdomains = true;
    if (!has_tree || (tree.text && n->deliver && !strcmp(tree.text, n->deliver))) return;
    import_add_route(im, slice_str(arena_printf(&im->arena, ".%.*s", SLICE_ARG(n->name))), &tree, &n->from);
    if (exact.text) import_add_route(im, n->name, &exact, &n->from);
}

static void add_domain(struct import *im, struct slice word, const struct import_from *from, void *arg)
{
    struct domains *d = arg;
    char ascii[256];
    if (slice_starts(word, SLICE("table:"))) {
        import_put(im, PUT_DOMAINS, from, "{table: %s%s%s}", import_scalar(im, slice_sub(word, 6, word.n)), d->otherwise.text ? ", deliver: " : "",
                   d->otherwise.text ? d->otherwise.text : "");
        return;
    }
    if (slice_find(word, '@') >= 0) return; /* an address in a table of aliases */
    if (word.n && (word.p[0] == '!' || word.p[0] == '.' || word.p[0] == '[')) {
        left_out(im, from, "write the domains themselves", "%s is no domain", import_show(im, word));
        return;
    }
    if (!address_domain_ascii(word, ascii) || !strchr(ascii, '.')) {
        if (!slice_eq(word, SLICE("localhost"))) left_out(im, from, "write the domain's full name", "%s is no domain", import_show(im, word));
        return;
    }
    struct slice name = slice_str(arena_strdup(&im->arena, slice_str(ascii)));
    if (htable_find(&d->seen, hash_ibytes(name), is, &name)) return;
    struct domain *n = arena_alloc(&im->arena, sizeof *n);
    *n = (struct domain){ .name = name, .from = *from };
    find_way(im, d, n);
    n->recipients = recipients_of(im, d, name);
    htable_add(&d->seen, n);
    import_grow(d->all, d->n, d->cap);
    d->all[d->n++] = *n;
}

static bool same(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

/* Many with the same way become a table. */
static void put_domains(struct import *im, struct domains *d)
{
    for (size_t i = 0; i < d->n; i++) {
        struct domain *a = &d->all[i];
        struct buf file = { 0 };
        size_t alike = 0;
        if (!a->name.n) continue;
        for (size_t k = i; k < d->n && !a->recipients && im->beside; k++) {
            struct domain *b = &d->all[k];
            if (!b->name.n || b->recipients || !same(a->deliver, b->deliver) || a->subdomains != b->subdomains) continue;
            buf_addf(&file, "%.*s\n", SLICE_ARG(b->name));
            alike++;
        }
        const char *name = alike > IMPORT_INLINE_MAX ? import_keep(im, "lists", slice_str(d->param), buf_slice(&file), false) : NULL;
        struct buf b = { 0 };
        if (name) {
            const char *table = strchr(name, '/') + 1;
            import_put(im, PUT_TABLES, &a->from, "%s: {type: exact, file: %s}", import_scalar(im, slice_str(table)), import_scalar(im, slice_str(name)));
            buf_addf(&b, "table: %s", import_scalar(im, slice_str(table)));
        } else
            buf_addf(&b, "name: %s", import_scalar(im, a->name));
        if (a->deliver) buf_addf(&b, "%sdeliver: %s", a->recipients ? "\n" : ", ", a->deliver);
        if (a->subdomains) buf_addf(&b, "%ssubdomains: yes", a->recipients ? "\n" : ", ");
        if (a->recipients) import_put(im, PUT_DOMAINS, &a->from, "%s\nrecipients: %s", buf_cstr(&b), a->recipients);
        else import_put(im, PUT_DOMAINS, &a->from, "{%s}", buf_cstr(&b));
        buf_deinit(&b);
        buf_deinit(&file);
        for (size_t k = i + 1; k < d->n && name; k++)
            if (!d->all[k].recipients && same(a->deliver, d->all[k].deliver) && a->subdomains == d->all[k].subdomains) d->all[k].name.n = 0;
    }
}

static void finish(struct domains *d)
{
    htable_deinit(&d->seen);
    free(d->all);
    free(d->by_domain);
    import_map_deinit(d->known);
}

/* ---- kinds of domains */

static void note_unused(struct import *im, struct import_map *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (!m->entries[i].used) left_out(im, &m->entries[i].from, "see whether its domain is among those that are taken", "a recipient of no domain here");
}

/* What stands at mydestination is not relayed. */
static void pass_over_own(struct import *im, struct domains *d)
{
    struct slice own = import_get(im, "mydestination", NULL), word;
    while (import_word(&own, &word)) {
        if (htable_find(&d->seen, hash_ibytes(word), is, &word)) continue;
        struct domain *n = arena_alloc(&im->arena, sizeof *n);
        *n = (struct domain){ .name = word };
        htable_add(&d->seen, n);
    }
}

static void relay_domains(struct import *im)
{
    struct import_map known = import_map_of(im, "relay_recipient_maps", NULL);
    struct domains d = { .parents = import_parents_match(im, "relay_domains"), .otherwise = im->smarthost, .known = &known, .param = "relay-domains" };
    struct import_from from;
    struct slice transport = import_get(im, "relay_transport", &from);
    struct import_hop hop;
    if (transport.n && !slice_eq(transport, SLICE("relay")) && import_transport(im, transport, &hop, &from) && hop.text) d.otherwise = hop;
    htable_init(&d.seen, hash_of);
    sort_known(&d);
    pass_over_own(im, &d);
    import_each(im, "relay_domains", add_domain, &d);
    put_domains(im, &d);
    note_unused(im, &known);
    finish(&d);
}

/* What local(8) would do is done here by a server for mailboxes, or by nobody. */
static bool local_hop(struct import *im, struct import_hop *out)
{
    static const char *const params[] = { "mailbox_transport", "local_transport", "mailbox_command", "home_mailbox", "mail_spool_directory" };
    struct import_from from;
    for (size_t i = 0; i < 2; i++) {
        struct slice v = import_get(im, params[i], &from);
        if (!v.n || slice_starts(v, SLICE("local"))) continue;
        if (slice_starts(v, SLICE("error")) || slice_starts(v, SLICE("virtual"))) return false;
        return import_transport(im, v, out, &from) && out->text;
    }
    for (size_t i = 2; i < countof(params); i++)
        if (import_get(im, params[i], &from).n)
            left_out(im, &from, "write deliver: maildir:/path/%d/%n, or have a server take mail by LMTP", "mailboxes of Unix accounts are not filled here");
    return false;
}

struct own {
    struct import_hop hop;
    struct slice names[200];
    struct import_from from[200];
    size_t n;
};

static void add_own(struct import *im, struct slice word, const struct import_from *from, void *arg)
{
    struct own *o = arg;
    struct import_hop way;
    char ascii[256];
    if (slice_eq(word, SLICE("localhost")) || slice_istarts(word, SLICE("localhost."))) return; /* no mail comes for it */
    if (import_find(&im->transports, word) && import_transport_of(im, word, false, &way) && way.text) {
        import_put(im, PUT_DOMAINS, from, "{name: %s, deliver: %s}", import_scalar(im, word), way.text);
        return;
    }
    if (!address_domain_ascii(word, ascii) || !strchr(ascii, '.') || o->n == countof(o->names)) {
        left_out(im, from, "write the domain's full name", "%s is no domain", import_show(im, word));
        return;
    }
    for (size_t i = 0; i < o->n; i++)
        if (slice_ieq(o->names[i], slice_str(ascii))) return;
    o->names[o->n] = slice_str(arena_strdup(&im->arena, slice_str(ascii)));
    o->from[o->n++] = *from;
}

/* Names at mydestination are the same at each of them. One becomes the main domain, the others are mapped to it. */
static void own_domains(struct import *im)
{
    struct own *o = mem_zalloc(sizeof *o);
    size_t main = 0;
    bool mailboxes = local_hop(im, &o->hop);
    import_each(im, "mydestination", add_own, o);
    for (size_t i = 0; i < o->n; i++)
        if (slice_ieq(o->names[i], slice_str(im->domain))) main = i;
    for (size_t i = 0; i < o->n && slice_ieq(o->names[main], slice_str(im->hostname)); i++)
        if (!slice_ieq(o->names[i], slice_str(im->hostname))) main = i;
    for (size_t i = 0; i < o->n; i++)
        if (slice_ieq(o->names[i], slice_str(im->origin))) main = i;
    im->mailboxes = mailboxes;
    for (size_t i = 0; i < o->n; i++) {
        if (i == main) {
            im->main_domain = o->names[i].p;
            import_put(im, PUT_MAIN_DOMAIN, &o->from[i], "main_domain: %s", import_scalar(im, o->names[i]));
            if (mailboxes) import_put(im, PUT_DOMAINS, &o->from[i], "{name: %s, deliver: %s}", import_scalar(im, o->names[i]), o->hop.text);
            else
                left_out(im, &o->from[i], "write deliver: maildir:/path/%d/%n or lmtp:..., aliases to other addresses, or nothing if there are no such mailboxes",
                         "mailboxes of Unix accounts at %s are not filled here: only aliases are known there", import_show(im, o->names[i]));
        } else if (slice_ieq(o->names[i], slice_str(im->hostname)) && mailboxes)
            import_put(im, PUT_DOMAINS, &o->from[i], "{name: %s, deliver: %s}", import_scalar(im, o->names[i]), o->hop.text);
        else if (slice_ieq(o->names[i], slice_str(im->hostname)))
            different(im, &o->from[i], "write addresses at main_domain", "%s is hostname: strangers reach postmaster and abuse alone there", import_show(im, o->names[i]));
        else
            import_put(im, PUT_MAPPINGS, &o->from[i], "{from: %s, to: %s}", import_scalar(im, o->names[i]), import_scalar(im, o->names[main]));
    }
    free(o);
}

/* "virtual_mailbox_base/value": a folder for each, where all values say domain/user/. */
static const char *virtual_folder(struct import *im, struct import_map *m)
{
    struct slice base = import_get(im, "virtual_mailbox_base", NULL);
    bool nested = m->n > 0, user = m->n > 0;
    for (size_t i = 0; i < m->n; i++) {
        struct slice key = m->entries[i].key, local, domain = key;
        if (m->entries[i].kind != IMPORT_EXACT || !slice_cut(&domain, '@', &local) || !local.n) return NULL;
        nested &= slice_eq(m->entries[i].value, slice_str(arena_printf(&im->arena, "%.*s/%.*s/", SLICE_ARG(domain), SLICE_ARG(local))));
        user &= slice_eq(m->entries[i].value, slice_str(arena_printf(&im->arena, "%.*s/", SLICE_ARG(key))));
    }
    if (!base.n || (!nested && !user)) return NULL;
    return import_scalar(im, slice_str(arena_printf(&im->arena, "maildir:%.*s/%s", SLICE_ARG(base), nested ? "%d/%n" : "%u")));
}

static void mailbox_domains(struct import *im)
{
    struct import_map known = import_map_of(im, "virtual_mailbox_maps", NULL);
    struct domains d = { .known = &known, .param = "virtual-mailbox-domains" };
    struct import_from from, domains_from;
    struct slice transport = import_get(im, "virtual_transport", &from), domains = import_get(im, "virtual_mailbox_domains", &domains_from);
    bool ok = true;
    htable_init(&d.seen, hash_of);
    sort_known(&d);
    if (transport.n && !slice_eq(transport, SLICE("virtual"))) ok = import_transport(im, transport, &d.otherwise, &from);
    else if (domains.n) {
        d.otherwise.text = virtual_folder(im, &known);
        if (!d.otherwise.text)
            left_out(im, &domains_from, "write deliver: maildir:/path/%d/%n, or lmtp:...", "these mailboxes do not all lie in folders by domain and name"), ok = false;
        else
            different(im, &domains_from, "make system.mail_user their owner (virtual_uid_maps)", "mailboxes are folders of one user: %s", d.otherwise.text);
    }
    if (ok) {
        import_each(im, "virtual_mailbox_domains", add_domain, &d);
        put_domains(im, &d);
    }
    finish(&d);
}

static void smarthost(struct import *im)
{
    struct import_from from;
    struct slice relayhost = import_get(im, "relayhost", &from);
    struct import_entry *all = import_find(&im->transports, SLICE("*"));
    struct import_hop hop;
    if (all && import_transport(im, all->value, &hop, &all->from) && hop.text) {
        im->smarthost = hop;
        from = all->from;
    } else if (!relayhost.n || !import_next_hop(im, relayhost, SLICE(""), "smtp", &im->smarthost, &from))
        return;
    import_put(im, PUT_SMARTHOST, &from, "smarthost: %s", im->smarthost.text);
}

void import_domains(struct import *im)
{
    struct import_from from;
    struct slice passwords = import_get(im, "smtp_sasl_password_maps", &from);
    im->passwords = import_maps(im, passwords, &from, true, false);
    im->transports = import_map_of(im, "transport_maps", &from);
    if (im->transports.table_n) left_out(im, &from, "write routes, or domains with a table and deliver", "next hops cannot be had from a directory or database");
    smarthost(im);
    relay_domains(im);
    own_domains(im);
    mailbox_domains(im);
    import_routes(im);
    import_unused_passwords(im);
}
