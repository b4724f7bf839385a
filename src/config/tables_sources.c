/* SPDX-License-Identifier: Apache-2.0
 * Which tables a configuration needs, and as what: all options that name one, and all lists that name a file. */
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "config/tables_parts.h"

/* ---- ids */

static const char *text(const char *s) { return s ? s : ""; }

/* What makes it another table: not how often it is read, and how much of it is believed. */
static uint64_t hash_of(const struct table_source *s)
{
    static const uint64_t own[2] = { UINT64_C(0x706F737465726E20), UINT64_C(0x7461626C65732031) };
    const struct config_table *t = s->table;
    struct buf all = { 0 };
    const char *const texts[] = { t->name, t->file, t->query, t->connection, t->ldap.url, t->ldap.base, t->ldap.filter, t->ldap.user_dn,
                                  t->ldap.key, t->ldap.value };
    buf_addf(&all, "%u %u", (unsigned)t->type, (unsigned)s->of);
    for (size_t i = 0; i < countof(texts); i++) {
        buf_add_char(&all, 0);
        buf_add_str(&all, text(texts[i]));
    }
    uint64_t hash = hash_keyed(own, buf_slice(&all));
    buf_deinit(&all);
    return hash;
}

/* A path's last part; of a name all. */
static void make_id(struct table_source *s)
{
    const char *name = strrchr(s->table->name, '/');
    char safe[61];
    size_t n = 0;
    for (name = name ? name + 1 : s->table->name; *name && n < sizeof safe - 1; name++) {
        char c = *name;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == '.' && n);
        safe[n++] = plain ? c : '_';
    }
    safe[n] = 0;
    snprintf(s->id, sizeof s->id, "%s-%016llx", safe, (unsigned long long)hash_of(s));
}

/* ---- one of them */

static struct table *add(struct tables *t, enum list_of of, struct config_place place)
{
    struct table *one = mem_new(struct table);
    one->tables = t;
    one->source.of = of;
    one->source.place = place;
    t->all = mem_grow(t->all, t->n + 1, sizeof(struct table *));
    return t->all[t->n++] = one;
}

static void need_file(struct tables *t, const char *path, enum list_of of, struct config_place place)
{
    if (tables_of_file(t, path, of)) return;
    struct table *one = add(t, of, place);
    one->own = (struct config_table){ .name = path, .file = path, .type = CONFIG_TABLE_ANY, .entries = UINT32_MAX, .place = place };
    one->source.table = &one->own;
    make_id(&one->source);
}

static bool need_table(struct tables *t, const char *name, enum list_of of, struct config_place place, struct err *err)
{
    const struct config *c = t->config;
    if (!name || tables_of_name(t, name, of)) return true;
    for (size_t i = 0; c && i < c->table_n; i++) {
        if (strcmp(c->tables[i].name, name) != 0) continue;
        struct table *one = add(t, of, place);
        one->source.table = &c->tables[i];
        make_id(&one->source);
        return true;
    }
    return err_set(err, "line %u: there is no table %.100s: declare it below tables:", place.line, name);
}

bool tables_find_in_list(struct tables *t, const struct config_match_list *list, enum list_of of, struct err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct config_match *m = &list->entries[i];
        if (m->file) need_file(t, m->file, of, m->place);
        if (!need_table(t, m->table, of, m->place, err)) return false;
    }
    return true;
}

/* ---- all of them */

static bool in_checks(struct tables *t, const struct config *c, struct err *err)
{
    const struct config_checks *k = &c->checks;
    const struct config_match_list *const clients[] = { &k->allow_clients, &k->block_clients, &k->greeting_pause.exempt,
                                                        &k->client_limits.exempt, &k->reverse_dns.exempt, &k->greylist.exempt_clients,
                                                        &c->spam.exempt_clients };
    const struct config_match_list *const addresses[] = { &k->allow_senders, &k->allow_recipients, &k->block_senders, &k->block_recipients,
                                                          &k->greylist.exempt_senders, &k->greylist.exempt_recipients, &c->spam.always_spam,
                                                          &c->spam.never_spam };
    for (size_t i = 0; i < countof(clients); i++)
        if (!tables_find_in_list(t, clients[i], LIST_OF_CLIENTS, err)) return false;
    for (size_t i = 0; i < countof(addresses); i++)
        if (!tables_find_in_list(t, addresses[i], LIST_OF_ADDRESSES, err)) return false;
    return true;
}

static bool in_rules(struct tables *t, const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->rule_n; i++) {
        const struct config_rule *r = &c->rules[i];
        if (r->enabled && (!tables_find_in_list(t, &r->when.clients, LIST_OF_CLIENTS, err) ||
                           !tables_find_in_list(t, &r->when.senders, LIST_OF_ADDRESSES, err) ||
                           !tables_find_in_list(t, &r->when.recipients, LIST_OF_ADDRESSES, err)))
            return false;
    }
    return true;
}

static bool in_domains(struct tables *t, const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->domain_n; i++) {
        const struct config_domain *d = &c->domains[i];
        if (d->table && !need_table(t, d->name, LIST_OF_DOMAINS, d->place, err)) return false;
        if (d->recipients.verify == CONFIG_VERIFY_LIST && !tables_find_in_list(t, &d->recipients.list, LIST_OF_ADDRESSES, err)) return false;
    }
    return true;
}

static bool in_rewriting(struct tables *t, const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->mapping_n; i++)
        if (c->mappings[i].enabled && !need_table(t, c->mappings[i].table, LIST_OF_MAPPINGS, c->mappings[i].place, err)) return false;
    for (size_t i = 0; i < c->alias_n; i++)
        if (c->aliases[i].enabled && !need_table(t, c->aliases[i].table, LIST_OF_ALIASES, c->aliases[i].place, err)) return false;
    for (size_t i = 0; i < c->copy_n; i++) {
        const struct config_copy *k = &c->copies[i];
        if (k->enabled && (!tables_find_in_list(t, &k->senders, LIST_OF_ADDRESSES, err) ||
                           !tables_find_in_list(t, &k->recipients, LIST_OF_ADDRESSES, err)))
            return false;
    }
    return true;
}

bool tables_find_sources(struct tables *t, const struct config *c, struct err *err)
{
    bool ok = in_checks(t, c, err) && in_rules(t, c, err) && in_domains(t, c, err) && in_rewriting(t, c, err);
    for (size_t i = 0; i < t->n; i++) t->all[i]->used = false; /* so far it was only us who asked */
    return ok;
}
