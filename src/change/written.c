/* SPDX-License-Identifier: Apache-2.0
 * What the file says, as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "change/change.h"
#include "config/schema.h"
#include "config/secret.h"

static json_t *text_of(struct slice s)
{
    json_t *out = json_stringn(s.p ? s.p : "", s.n);
    return out ? out : json_string(""); /* not UTF-8: the parser has refused it */
}

static bool is_one_of(struct slice s, const char *a, const char *b, const char *c)
{
    return slice_eq(s, slice_str(a)) || slice_eq(s, slice_str(b)) || slice_eq(s, slice_str(c));
}

/* As config_to_json has it, where the words say it; else the words. */
static json_t *scalar_of(const struct schema_option *o, const struct yaml_node *node)
{
    uint64_t n;
    char text[32];
    if (yaml_is_null(node)) return json_null();
    if (o && o->type == SCHEMA_BOOL && !o->words && is_one_of(node->text, "yes", "on", "true")) return json_true();
    if (o && o->type == SCHEMA_BOOL && !o->words && is_one_of(node->text, "no", "off", "false")) return json_false();
    if (o && (o->type == SCHEMA_NUMBER || o->type == SCHEMA_PORT) && slice_to_u64(node->text, INT64_MAX, &n))
        return json_integer((json_int_t)n);
    if (o && o->type == SCHEMA_SCORE && node->text.n && node->text.n < sizeof text) {
        char *end;
        snprintf(text, sizeof text, "%.*s", SLICE_ARG(node->text));
        double d = strtod(text, &end);
        if (!*end) return json_real(d);
    }
    return text_of(node->text);
}

/* t: of the node's children, o: of the node; NULL: not known. */
static json_t *node_of(const struct schema_table *t, const struct schema_option *o, const struct yaml_node *node)
{
    if (node->parent && secret_is_node(node) && !yaml_is_null(node)) return json_string(SCHEMA_HIDDEN);
    if (node->kind == YAML_SCALAR) return scalar_of(o, node);
    json_t *out = node->kind == YAML_LIST ? json_array() : json_object();
    for (const struct yaml_node *c = node->children; c; c = c->next) {
        if (node->kind == YAML_LIST) {
            json_array_append_new(out, node_of(t, NULL, c));
            continue;
        }
        char *key = mem_slicedup(c->key);
        const struct schema_option *mine = t && !(o && o->type == SCHEMA_MAP) ? schema_find(t, key, strlen(key)) : NULL;
        bool entry = o && o->type == SCHEMA_MAP; /* its members are groups of the table */
        if (secret_spilled(c)) json_object_set_new(out, SCHEMA_HIDDEN, json_null());
        else json_object_set_new(out, key, node_of(entry ? t : mine ? mine->table : NULL, mine, c));
        free(key);
    }
    return out;
}

json_t *change_written(struct slice text)
{
    struct config_report report = { 0 };
    struct arena nodes = { 0 };
    bool empty;
    struct yaml_node *root = yaml_parse(text, &nodes, &report, &empty);
    json_t *out = root ? node_of(&schema_root, NULL, root) : empty ? json_object() : NULL;
    secret_wipe(root);
    arena_deinit(&nodes);
    config_report_deinit(&report);
    return out;
}
