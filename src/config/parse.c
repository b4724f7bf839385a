/* SPDX-License-Identifier: Apache-2.0
 * From the tree to struct config, led by the schema table. */
#include "config/parse.h"
#include "config/secret.h"
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

static struct value_source source(const struct parser *p, const struct yaml_node *node)
{
    return (struct value_source){ &p->c->arena, p->report, p->directory, node };
}

/* Room for the n elements of a list or map option; sets pointer and count. */
static char *make_array(struct parser *p, const struct schema_option *o, char *record, size_t n, size_t size)
{
    char *array = n ? arena_alloc(&p->c->arena, n * size) : NULL;
    memcpy(record + o->offset, &array, sizeof array);
    memcpy(record + o->count_offset, &n, sizeof n);
    return array;
}

/* "one, another" */
static void set_default_list(struct parser *p, const struct schema_option *o, char *record)
{
    bool list = o->type == SCHEMA_LIST;
    struct value_source v = source(p, NULL);
    struct slice rest = slice_str(o->fallback), word;
    size_t n = 1, size = list ? value_item_size(o->item) : 0;
    for (size_t i = 0; i < rest.n; i++) n += rest.p[i] == ',';
    char *at = list ? make_array(p, o, record, n, size) : record + o->offset;
    for (bool more = true; more; at += size) {
        more = slice_cut(&rest, ',', &word);
        bool ok = value_parse(&v, o, list ? o->item : o->type, slice_trim(word), at);
        assert(ok); /* the table is ours */
        (void)ok;
    }
}

static void set_defaults(struct parser *p, const struct schema_table *t, char *record)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct schema_option *o = &t->options[i];
        void *field = record + o->offset;
        struct value_source v = source(p, NULL);
        if (o->type == SCHEMA_GROUP) set_defaults(p, o->table, record);
        else if (o->type == SCHEMA_HOP)
            *(struct config_hop *)field = (struct config_hop){ .port = 25, .tls = SCHEMA_UNSET, .text = "", .id = -1 };
        else if (o->type == SCHEMA_ZONE || o->type == SCHEMA_LISTENER) *(int *)field = -1;
        else if (o->type <= SCHEMA_SERVER) *(const char **)field = o->nullable ? NULL : "";
        else if (o->type == SCHEMA_ENUM && !o->fallback) *(uint32_t *)field = o->unset;
        if (!o->fallback) continue;
        if (o->type == SCHEMA_SET || o->type == SCHEMA_LIST) {
            set_default_list(p, o, record);
            continue;
        }
        bool ok = value_parse(&v, o, o->type, slice_str(o->fallback), field);
        assert(ok); /* the table is ours */
        (void)ok;
    }
}

static bool fail(struct parser *p, const struct yaml_node *node, const char *hint, const char *text)
{
    yaml_error(p->report, node, hint, "%s", text);
    return false;
}

static void fill_option(struct parser *p, const struct schema_option *o, const struct yaml_node *node, char *record);

/* "192.0.2.1" for {match: 192.0.2.1}. */
static void fill_scalar(struct parser *p, const struct schema_table *t, const struct yaml_node *node, char *record)
{
    set_defaults(p, t, record);
    fill_option(p, schema_find(t, t->scalar, strlen(t->scalar)), node, record);
}

static void fill_records(struct parser *p, const struct schema_option *o, const struct yaml_node *node, char *record)
{
    const struct schema_table *t = o->table;
    bool by_name = o->type == SCHEMA_MAP;
    if (yaml_is_null(node)) return;
    if (node->kind != (by_name ? YAML_GROUP : YAML_LIST)) {
        fail(p, node, by_name ? "write each as \"name: {...}\"" : "write each entry as \"- {...}\"",
             by_name ? "expects entries with names" : "expects a list");
        return;
    }
    char *at = make_array(p, o, record, node->n, t->size);
    for (const struct yaml_node *item = node->children; item; item = item->next, at += t->size) {
        memcpy(at + t->place_offset, by_name ? &item->key_place : &item->place, sizeof item->place);
        if (by_name) {
            struct value_source v = source(p, item);
            const char *name = "";
            if (!item->key.n) fail(p, item, NULL, "the name is empty");
            else if (slice_find(item->key, '.') >= 0) fail(p, item, NULL, "a name without dots is expected");
            else value_parse(&v, o, SCHEMA_NAME, item->key, &name);
            memcpy(at + t->key_offset, &name, sizeof name);
        }
        if (t->scalar && item->kind == YAML_SCALAR && !yaml_is_null(item)) fill_scalar(p, t, item, at);
        else parse_fill(p, t, item, at);
    }
}

/* A list of values; a single value stands for a list of one. */
static void fill_list(struct parser *p, const struct schema_option *o, const struct yaml_node *node, char *record)
{
    if (yaml_is_null(node)) return;
    if (node->kind == YAML_GROUP) {
        fail(p, node, "write [one, another] or one \"- ...\" on each line", "expects a list of values");
        return;
    }
    size_t size = value_item_size(o->item), n = node->kind == YAML_LIST ? node->n : 1;
    char *at = make_array(p, o, record, n, size);
    for (const struct yaml_node *item = yaml_items(node); n--; item = item->next, at += size) {
        struct value_source v = source(p, item);
        static const char *const none = "";
        if (o->item <= SCHEMA_SERVER) memcpy(at, &none, sizeof none);
        if (item->kind != YAML_SCALAR) fail(p, item, NULL, "a single value is expected here");
        else if (!item->text.n) fail(p, item, NULL, "the value is empty");
        else value_parse(&v, o, o->item, item->text, at);
    }
}

/* The words that are written, instead of those that hold without. */
static void fill_set(struct parser *p, const struct schema_option *o, const struct yaml_node *node, uint32_t *set)
{
    *set = 0;
    if (yaml_is_null(node)) return;
    if (node->kind == YAML_GROUP) {
        fail(p, node, "write [one, another]", "expects a list of words");
        return;
    }
    for (const struct yaml_node *item = yaml_items(node); item; item = item == node ? NULL : item->next) {
        struct value_source v = source(p, item);
        if (item->kind != YAML_SCALAR) fail(p, item, NULL, "a single word is expected here");
        else value_parse(&v, o, o->type, item->text, set);
    }
}

/* One address, or one for each family. */
static void fill_sources(struct parser *p, const struct schema_option *o, const struct yaml_node *node, char *record)
{
    if (node->kind == YAML_GROUP) {
        fail(p, node, report_text(p->report, "for example %s", o->example), "expects one address, or a list of two");
        return;
    }
    for (const struct yaml_node *item = yaml_items(node); item; item = item == node ? NULL : item->next) {
        struct value_source v = source(p, item);
        struct ip ip = { 0 };
        if (item->kind != YAML_SCALAR) fail(p, item, NULL, "a single address is expected here");
        if (item->kind != YAML_SCALAR || !value_parse(&v, o, SCHEMA_IP, item->text, &ip)) continue;
        struct ip *at = (void *)(record + (ip.family == 4 ? o->offset : o->count_offset));
        if (at->family) fail(p, item, "write one IPv4 address and one IPv6 address", "there is an address of this family already");
        else *at = ip;
    }
}

static void fill_hop(struct parser *p, const struct schema_option *o, const struct yaml_node *node,
                     struct config_hop *hop)
{
    struct value_source v = source(p, node);
    hop->place = node->place;
    if (node->kind == YAML_LIST) fail(p, node, "write \"host:port\" or {host: ..., port: ...}", "expects one next hop");
    else if (node->kind == YAML_SCALAR) value_parse(&v, o, SCHEMA_HOP, node->text, hop);
    else {
        parse_fill(p, o->table, node, (char *)hop);
        value_finish_hop(&v, hop);
    }
    if (!yaml_get(node, "implicit_tls")) hop->implicit_tls = hop->port == 465; /* RFC 8314 §3.3 */
}

static void fill_option(struct parser *p, const struct schema_option *o, const struct yaml_node *node, char *record)
{
    struct value_source v = source(p, node);
    switch (o->type) {
    case SCHEMA_GROUP:
        if (o->place_offset) memcpy(record + o->place_offset, &node->key_place, sizeof node->key_place);
        parse_fill(p, o->table, node, record);
        return;
    case SCHEMA_RECORDS:
    case SCHEMA_MAP: fill_records(p, o, node, record); return;
    case SCHEMA_LIST: fill_list(p, o, node, record); return;
    case SCHEMA_SET: fill_set(p, o, node, (void *)(record + o->offset)); return;
    default: break;
    }
    if (yaml_is_null(node)) fail(p, node, "leave the line out for the default", "has no value");
    else if (o->type == SCHEMA_HOP) fill_hop(p, o, node, (void *)(record + o->offset));
    else if (o->type == SCHEMA_SOURCES) fill_sources(p, o, node, record);
    else if (node->kind != YAML_SCALAR)
        fail(p, node, o->example ? report_text(p->report, "for example %s", o->example) : NULL,
             "expects a single value");
    else value_parse(&v, o, o->type, node->text, record + o->offset);
}

/* Somewhere below the group: "checks.mail_from.resolve"; NULL: nowhere. */
static const char *below(struct parser *p, const struct schema_table *t, const char *path, struct slice name, unsigned depth)
{
    const char *found = schema_find(t, name.p, name.n) ? report_text(p->report, "%s.%s", path, report_quote(p->report, name)) : NULL;
    for (size_t i = 0; i < t->n && !found && depth < 3; i++)
        if (t->options[i].type == SCHEMA_GROUP) found = below(p, t->options[i].table, report_text(p->report, "%s.%s", path, t->options[i].name), name, depth + 1);
    return found;
}

/* Where else the table knows this name: "limits.message_size". Within a group of a group, only what is in the same one is likely meant. */
static const char *elsewhere(struct parser *p, const struct yaml_node *node)
{
    struct slice name = node->key;
    const struct yaml_node *group = node->parent, *inner = group;
    for (; group && group->parent && group->parent->parent; group = group->parent);
    const struct schema_option *own = group && group->parent ? schema_find(&schema_root, group->key.p, group->key.n) : NULL;
    const char *found = own && own->type == SCHEMA_GROUP ? below(p, own->table, own->name, name, 0) : NULL;
    if (found || (own && group != inner)) return found;
    for (size_t i = 0; i < schema_root.n; i++) {
        const struct schema_option *o = &schema_root.options[i];
        if (slice_eq(name, slice_str(o->name))) return o->name;
        if (o->type == SCHEMA_GROUP && schema_find(o->table, name.p, name.n))
            return report_text(p->report, "%s.%s", o->name, report_quote(p->report, name));
    }
    return NULL;
}

/* The next hop of this table that would take the entry as its own. */
static const char *hop_with(const struct schema_table *t, struct slice name)
{
    for (size_t i = 0; i < t->n && t != &schema_root; i++)
        if (t->options[i].type == SCHEMA_HOP && schema_find(t->options[i].table, name.p, name.n))
            return t->options[i].name;
    return NULL;
}

/* Is it that of a rule's conditions? */
static bool has_headers(const struct schema_table *t)
{
    return schema_find(t, "headers", 7);
}

static void fail_unknown(struct parser *p, const struct schema_table *t, const struct yaml_node *node)
{
    if (p->report->n >= REPORT_FINDINGS_MAX) {
        p->report->errors++;
        return;
    }
    if (secret_spilled(node)) {
        report_error(p->report, node->key_place, yaml_path(p->report, node->parent),
                     "put a password with a comma into quotes", "there is no such option");
        return;
    }
    const char *names[64], *other = elsewhere(p, node), *near;
    size_t n = 0;
    struct buf known = { 0 };
    for (; n < t->n && n < countof(names); n++) {
        names[n] = t->options[n].name;
        buf_addf(&known, "%s%s", n ? ", " : "", names[n]);
    }
    near = suggest(node->key, names, n);
    const char *hop = hop_with(t, node->key);
    if (hop) other = report_text(p->report, "%s: {host: ..., %s: ...}", hop, report_quote(p->report, node->key));
    if (has_headers(t) && (slice_ieq(node->key, SLICE("subject")) || slice_ieq(node->key, SLICE("from")) || slice_ieq(node->key, SLICE("to")))) {
        near = NULL;
        other = report_text(p->report, "headers: [{name: %s, match: ...}]", report_quote(p->report, node->key));
    }
    const char *hint = near    ? report_text(p->report, "did you mean %s?", near)
                       : other ? report_text(p->report, "write it as %s", other)
                               : report_text(p->report, "known here: %s", buf_cstr(&known));
    report_error(p->report, node->key_place, yaml_path(p->report, node), hint, "there is no such option");
    buf_deinit(&known);
}

static void fail_not_group(struct parser *p, const struct schema_table *t, const struct yaml_node *node)
{
    const char *first = t->options[0].name, *hint;
    if (!node->parent) hint = "write \"name: value\" on each line, for example hostname: mx.example.com";
    else if (node->kind == YAML_SCALAR && (t->options[0].required || t->options[0].instead_offset))
        hint = report_text(p->report, "write {%s: %s, ...}", first, report_quote(p->report, node->text));
    else
        hint = report_text(p->report, "write its entries as \"name: value\", for example %s", first);
    fail(p, node, hint, "expects a group of entries");
}

void parse_fill(struct parser *p, const struct schema_table *t, const struct yaml_node *node, char *record)
{
    if (t->size) set_defaults(p, t, record);
    bool null = node && yaml_is_null(node);
    if (node && !null && node->kind != YAML_GROUP) {
        fail_not_group(p, t, node);
        return;
    }
    for (const struct yaml_node *child = node ? node->children : NULL; child; child = child->next) {
        const struct schema_option *o = schema_find(t, child->key.p, child->key.n);
        if (!o) fail_unknown(p, t, child);
    }
    for (size_t i = 0; i < t->n; i++) { /* in the order of the table: a route's tls comes after its via */
        const struct schema_option *o = &t->options[i];
        const struct yaml_node *child = yaml_get(node, o->name);
        if (child) fill_option(p, o, child, record);
        if (child || !o->required) continue;
        const char *above = node ? yaml_path(p->report, node) : "";
        report_error(p->report, node ? node->place : (struct config_place){ 1, 1 },
                     report_text(p->report, "%s%s%s", above, *above ? "." : "", o->name),
                     o->example ? report_text(p->report, "add for example %s: %s", o->name, o->example) : NULL,
                     "is missing");
    }
}

/* "/etc/postern/" of /etc/postern/postern.yaml: absolute when the directory exists. */
static const char *directory_of(struct config *c, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slice dir = slash ? slice_of(path, (size_t)(slash - path) + 1) : SLICE("./");
    char *real = realpath(arena_strdup(&c->arena, dir), NULL);
    const char *out = real ? arena_printf(&c->arena, "%s%s", real, strcmp(real, "/") ? "/" : "")
                           : arena_strdup(&c->arena, dir);
    free(real);
    return out;
}

void parse_tree(struct config *c, struct yaml_node *root, struct config_report *report)
{
    struct parser p = { c, report, directory_of(c, c->file) };
    parse_order_zones(root);
    parse_fill(&p, &schema_root, root, (char *)c);
    parse_finish(&p, root);
}
