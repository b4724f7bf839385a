/* SPDX-License-Identifier: Apache-2.0
 * The main domain, mapped domains, aliases, copies: complete, written once, and reaching somebody. Loops are found when they are hashed
 * (route/expand.h). */
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "config/match.h"
#include "config/parse.h"

/* ---- what is ours */

static bool is_mapped(const struct config *c, struct slice domain)
{
    for (size_t i = 0; i < c->mapping_n; i++) {
        const struct config_mapping *m = &c->mappings[i];
        struct slice from = slice_str(m->from);
        if (!m->enabled || !from.n) continue;
        if (from.p[0] == '.' ? slice_ieq(slice_sub(from, 1, from.n), domain) || slice_iends(domain, from) : slice_ieq(from, domain)) return true;
    }
    return false;
}

/* Entries of tables are not known yet: what could be one of them counts as ours. */
static bool may_be_ours(const struct config *c, struct slice domain)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].table) return true;
    for (size_t i = 0; i < c->mapping_n; i++)
        if (c->mappings[i].table && c->mappings[i].enabled) return true;
    return config_is_own_host(c, domain) || config_domain_of(c, domain) || is_mapped(c, domain);
}

/* Empty: there is none. */
static struct slice domain_of(const char *address)
{
    const char *at = strrchr(address, '@');
    return slice_str(at ? at + 1 : "");
}

/* What goes out of the house: told once, at the first place. */
struct outside {
    const struct yaml_node *first;
    struct slice what;
    size_t n;
};

static void add_outside(const struct check *k, struct outside *o, struct slice domain, const char *what, const struct yaml_node *node)
{
    if (!domain.n || !node || may_be_ours(k->c, domain)) return;
    if (!o->n++) o->first = node, o->what = slice_str(what);
}

static void tell_outside(const struct check *k, const struct outside *o)
{
    if (!o->n || k->c->srs.domain) return;
    const char *more = o->n > 1 ? report_text(k->report, " (and %zu more)", o->n - 1) : "";
    yaml_warning(k->report, o->first, "set srs.domain and srs.secrets_file",
                 "%s%s is none of our domains: mail is sent on there with its first sender, for whom this relay may not send by SPF, and "
                 "may be refused", report_quote(k->report, o->what), more);
}

/* ---- written twice */

struct entry {
    const char *name;
    struct config_place place;
};
static uint64_t hash_of_entry(const void *item) { return hash_ibytes(slice_str(((const struct entry *)item)->name)); }
static bool entry_is(const void *item, const void *key) { return slice_ieq(slice_str(((const struct entry *)item)->name), slice_str(key)); }

static void add_once(const struct check *k, struct htable *seen, struct entry *e, const struct yaml_node *node)
{
    const struct entry *first = htable_find(seen, hash_of_entry(e), entry_is, e->name);
    if (!first) htable_add(seen, e);
    else yaml_error(k->report, node, "keep one of the two, or set enabled: no", "%s is written twice: also at line %u", e->name,
                    first->place.line);
}

/* ---- the main domain */

/* Its mail ends here. That of a relay domain goes on: one name cannot be both. */
static void check_main_domain(const struct check *k)
{
    const struct config *c = k->c;
    const struct yaml_node *node = yaml_get(k->root, "main_domain");
    const struct config_domain *d = node && c->main_domain ? config_domain_of(c, slice_str(c->main_domain)) : NULL;
    if (!d) return;
    const struct config_hop *hop = d->deliver.host ? &d->deliver : &c->inner_host;
    if (hop->host && hop->kind != CONFIG_HOP_SMTP) return;
    yaml_error(k->report, node,
               "leave main_domain out, or remove it from domains; for mailboxes on this machine write deliver: maildir:/path/%d/%n or lmtp:...",
               "%s is a relay domain, too (line %u), whose mail goes on to %s: mail for the main domain ends here, in its aliases",
               c->main_domain, d->place.line, hop->host ? report_quote(k->report, slice_str(hop->text)) : "its MX");
}

/* ---- mappings */

static void check_mapping_parts(const struct check *k, const struct config_mapping *m, const struct yaml_node *node)
{
    const struct yaml_node *from = yaml_get(node, "from"), *to = yaml_get(node, "to"), *table = yaml_get(node, "table");
    if (!from && !table) yaml_error(k->report, node, "add from: old.example and to: new.example, or table:", "from is missing");
    else if (from && table) yaml_error(k->report, table, "make two entries of it", "a mapping has either from or table, not both");
    else if (from && !to) yaml_error(k->report, node, "add to: and the domain in its place", "to is missing");
    else if (table && to) yaml_error(k->report, to, "remove it", "the table says where its domains lead to");
    check_table_name(k, m->table, LIST_OF_MAPPINGS, table);
}

static void check_mapping(const struct check *k, const struct config_mapping *m, const struct yaml_node *node, struct outside *outside)
{
    const struct yaml_node *from = yaml_get(node, "from"), *to = yaml_get(node, "to");
    check_mapping_parts(k, m, node);
    if (!m->from || !from || !m->enabled) return;
    struct slice name = slice_sub(slice_str(m->from), m->from[0] == '.', strlen(m->from));
    if (m->from[0] != '.' && config_is_own_host(k->c, name))
        yaml_error(k->report, from, "remove it, and write aliases; or name another main_domain",
                   "%s is %s: its mail ends here, in aliases and system mail, and is not mapped", m->from,
                   slice_ieq(name, slice_str(k->c->hostname)) ? "hostname" : "main_domain");
    if (m->from[0] == '.' && (slice_find(name, '.') < 0 || check_is_registry(name)))
        yaml_error(k->report, from, "name a domain of your own below it", "mail for every domain below %.*s would be taken", SLICE_ARG(name));
    if (!m->to || !to) return;
    if (!strcmp(m->from, m->to)) yaml_error(k->report, to, "name another domain", "%s is mapped to itself", m->from);
    const struct config_domain *d = config_domain_of(k->c, name);
    if (d && slice_ieq(slice_str(d->name), name) && (d->deliver.host || (m->from[0] == '.' && d->subdomains)))
        yaml_warning(k->report, from, "remove one of the two",
                     "%s is a relay domain, too (line %u): its mail is mapped to %s and never goes to the next hop that is written there",
                     d->name, d->place.line, m->to);
    add_outside(k, outside, slice_str(m->to), m->to, to);
}

/* ---- aliases */

static void check_alias_parts(const struct check *k, const struct config_alias *a, const struct yaml_node *node)
{
    const struct yaml_node *name = yaml_get(node, "name"), *to = yaml_get(node, "to"), *table = yaml_get(node, "table");
    if (!name && !table) yaml_error(k->report, node, "add name: and to:, or table:", "name is missing");
    else if (name && table) yaml_error(k->report, table, "make two entries of it", "an alias has either name or table, not both");
    else if (name && !to) yaml_error(k->report, node, "add to: and the addresses it stands for", "to is missing");
    else if (name && !a->to_n) yaml_error(k->report, to, "name an address, or remove the alias", "it stands for nobody: its mail would be lost");
    else if (table && a->to_n) yaml_error(k->report, to, "remove it", "the table says what its names stand for");
    check_table_name(k, a->table, LIST_OF_ALIASES, table);
}

static void check_alias(const struct check *k, const struct config_alias *a, const struct yaml_node *node, struct outside *outside)
{
    const struct yaml_node *name = yaml_get(node, "name"), *item = yaml_items(yaml_get(node, "to"));
    check_alias_parts(k, a, node);
    if (!a->name || !name || !a->enabled) return;
    struct slice domain = domain_of(a->name);
    if (domain.n && !may_be_ours(k->c, domain))
        yaml_warning(k->report, name, "add the domain to domains or mappings, or set main_domain",
                     "no mail for %.*s is taken here: nobody gets to this alias", SLICE_ARG(domain));
    for (size_t i = 0; i < a->to_n && item; i++, item = item->next) add_outside(k, outside, domain_of(a->to[i]), a->to[i], item);
}

static bool is_system_name(const struct config *c, struct slice local)
{
    for (size_t i = 0; i < c->system_mail_n; i++)
        if (slice_ieq(local, slice_str(c->system_mail[i]))) return true;
    return slice_ieq(local, SLICE("postmaster"));
}

/* An alias other than `self` that takes the address. */
static bool has_alias(struct htable *seen, struct slice local, struct slice domain, const struct entry *self)
{
    for (size_t i = 0; i < 3; i++) {
        char name[400];
        int n = i == 0 ? snprintf(name, sizeof name, "%.*s", SLICE_ARG(local))
                : i == 1 ? snprintf(name, sizeof name, "%.*s@", SLICE_ARG(local))
                         : snprintf(name, sizeof name, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain));
        const struct entry *e = n < (int)sizeof name ? htable_find(seen, hash_ibytes(slice_str(name)), entry_is, name) : NULL;
        if (e && e != self) return true;
    }
    return false;
}

/* "sales" beside "sales@example.com": there the whole address counts. */
static void check_shadow(const struct check *k, struct htable *seen, const struct entry *e, const struct yaml_node *node)
{
    const char *hosts[] = { k->c->main_domain, k->c->hostname };
    if (strchr(e->name, '@')) return;
    for (size_t i = 0; i < countof(hosts); i++) {
        char name[400];
        if (!hosts[i] || snprintf(name, sizeof name, "%s@%s", e->name, hosts[i]) >= (int)sizeof name) continue;
        const struct entry *whole = htable_find(seen, hash_ibytes(slice_str(name)), entry_is, name);
        if (!whole) continue;
        yaml_warning(k->report, node, "keep one of the two", "mail for %s goes by line %u, as that is the whole address", name, whole->place.line);
        return;
    }
}

/* Of entries that are not written here, or are no plain names, it is not known. */
static bool may_be_listed(const struct config_match_list *list, struct slice local, struct slice domain)
{
    if (!list->n || slice_find(local, '+') >= 0) return true;
    for (size_t i = 0; i < list->n; i++) {
        const struct config_match *e = &list->entries[i];
        struct match m;
        if (e->file || e->table || !e->match || match_parse(slice_str(e->match), LIST_OF_ADDRESSES, &m)) return true;
        bool name = slice_ieq(slice_of(m.local, m.local_n), local), there = slice_ieq(slice_str(m.domain), domain);
        if (m.form == MATCH_MAILBOX ? name && there : m.form == MATCH_LOCAL ? name : m.form == MATCH_NAME ? there : true) return true;
    }
    return false;
}

/* Mail is sent on to whom the door would refuse. */
static void check_listed(const struct check *k, struct htable *seen, const struct entry *self, const char *target, const struct yaml_node *node)
{
    struct slice domain = domain_of(target), local = slice_str(target);
    const struct config_domain *d = domain.n ? config_domain_of(k->c, domain) : NULL;
    if (!d || d->recipients.verify != CONFIG_VERIFY_LIST || is_mapped(k->c, domain)) return;
    local = slice_sub(local, 0, local.n - domain.n - 1);
    if (may_be_listed(&d->recipients.list, local, domain) || has_alias(seen, local, domain, self)) return;
    yaml_warning(k->report, node, "add it there, or name another address", "%s is not in the list of recipients of %s (line %u)", target, d->name,
                 d->place.line);
}

/* At main_domain and hostname there are only names with an alias, unless somebody has mailboxes for them. */
static void check_somebody(const struct check *k, struct htable *seen, const struct entry *self, const char *target, const struct yaml_node *node)
{
    const struct config *c = k->c;
    struct slice domain = domain_of(target), local = slice_str(target);
    if (domain.n) local = slice_sub(local, 0, local.n - domain.n - 1);
    else domain = slice_str(c->main_domain ? c->main_domain : c->hostname);
    if (!config_is_own_host(c, domain) || !node || !local.n || config_domain_of(c, domain) || is_mapped(c, domain) || config_has_route(c, local, domain) ||
        is_system_name(c, local) || has_alias(seen, local, domain, self))
        return;
    yaml_warning(k->report, node, "name an address that has a mailbox, add an alias, or a relay domain with deliver: maildir:/path/%d/%n",
                 "%.*s@%.*s is nobody: it has no alias, and no mailboxes are known for %.*s", SLICE_ARG(local), SLICE_ARG(domain), SLICE_ARG(domain));
}

/* "a" in "a" or in "a@example.com". */
static bool is_self(const char *name, const char *target)
{
    size_t n = strcspn(name, "@");
    return n == strcspn(target, "@") && slice_ieq(slice_of(name, n), slice_of(target, n));
}

/* Tables may know more names; but they have no mailboxes. */
static void check_targets(const struct check *k, struct htable *seen, const struct entry *entries)
{
    const struct config *c = k->c;
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].table) return;
    bool any = false;
    for (size_t i = 0; i < c->alias_n; i++) any |= c->aliases[i].table != NULL;
    const struct yaml_node *node = yaml_first(k->root, "aliases");
    for (size_t i = 0; i < c->alias_n && node; i++, node = node->next) {
        const struct config_alias *a = &c->aliases[i];
        const struct yaml_node *item = yaml_items(yaml_get(node, "to")), *keep = yaml_get(node, "keep");
        if (!a->enabled || !a->name || !a->name[0]) continue;
        for (size_t n = 0; n < a->to_n && item; n++, item = item->next)
            if (a->to[n][0] && !(any && !is_self(a->name, a->to[n]))) check_somebody(k, seen, &entries[i], a->to[n], item);
        if (a->keep && a->name[strlen(a->name) - 1] != '@') check_somebody(k, seen, &entries[i], a->name, keep);
    }
}

static void check_names(const struct check *k, struct htable *seen, const struct entry *entries)
{
    const struct config *c = k->c;
    const struct yaml_node *node = yaml_first(k->root, "aliases");
    for (size_t i = 0; i < c->alias_n && node; i++, node = node->next) {
        const struct config_alias *a = &c->aliases[i];
        const struct yaml_node *item = yaml_items(yaml_get(node, "to"));
        if (!a->enabled || !a->name || !a->name[0]) continue;
        check_shadow(k, seen, &entries[i], yaml_get(node, "name"));
        for (size_t n = 0; n < a->to_n && item; n++, item = item->next)
            if (a->to[n][0]) check_listed(k, seen, &entries[i], a->to[n], item);
    }
}

/* ---- copies */

static void check_copy(const struct check *k, const struct config_copy *c, const struct yaml_node *node)
{
    const struct yaml_node *recipients = yaml_get(node, "recipients");
    check_matches(k, &c->senders, LIST_OF_ADDRESSES, false, yaml_get(node, "senders"));
    check_matches(k, &c->recipients, LIST_OF_ADDRESSES, false, recipients);
    const char *only = c->recipients.n == 1 ? c->recipients.entries[0].match : NULL;
    if (only && c->to[0] && slice_ieq(slice_str(only), slice_str(c->to)))
        yaml_warning(k->report, recipients, "remove it", "who gets the message gets no copy of it: %s is the only recipient it is for", c->to);
}

void check_rewriting(const struct check *k)
{
    const struct config *c = k->c;
    const struct yaml_node *node = yaml_first(k->root, "mappings");
    struct outside outside = { 0 };
    struct htable seen;
    struct entry *all = mem_zalloc((c->mapping_n + c->alias_n + 1) * sizeof *all);
    check_main_domain(k);
    htable_init(&seen, hash_of_entry);
    for (size_t i = 0; i < c->mapping_n && node; i++, node = node->next) {
        check_mapping(k, &c->mappings[i], node, &outside);
        all[i] = (struct entry){ c->mappings[i].from, c->mappings[i].place };
        if (all[i].name && all[i].name[0] && c->mappings[i].enabled) add_once(k, &seen, &all[i], yaml_get(node, "from"));
    }
    htable_deinit(&seen);
    htable_init(&seen, hash_of_entry);
    node = yaml_first(k->root, "aliases");
    for (size_t i = 0; i < c->alias_n && node; i++, node = node->next) {
        struct entry *e = &all[c->mapping_n + i];
        check_alias(k, &c->aliases[i], node, &outside);
        *e = (struct entry){ c->aliases[i].name, c->aliases[i].place };
        if (e->name && e->name[0] && c->aliases[i].enabled) add_once(k, &seen, e, yaml_get(node, "name"));
    }
    check_names(k, &seen, all + c->mapping_n);
    check_targets(k, &seen, all + c->mapping_n);
    htable_deinit(&seen);
    free(all);
    tell_outside(k, &outside);
    node = yaml_first(k->root, "copies");
    for (size_t i = 0; i < c->copy_n && node; i++, node = node->next) check_copy(k, &c->copies[i], node);
    check_file(k, yaml_get(yaml_get(k->root, "notices"), "templates"), c->notices.templates, CHECK_FILE_OR_FOLDER);
}
