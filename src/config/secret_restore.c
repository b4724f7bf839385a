/* SPDX-License-Identifier: Apache-2.0
 * Secrets that came back as "***": what they were is put in their place. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/edit.h"
#include "config/dump.h"
#include "config/schema.h"
#include "config/secret.h"

struct restore {
    struct slice text; /* the new one */
    size_t at;         /* copied up to here */
    struct secret_comments comments;
    struct buf *out;
    struct config_report *report;
    struct err *err;
};

static bool is_hidden(const struct yaml_node *node) { return node->kind == YAML_SCALAR && slice_eq(node->text, SLICE(SCHEMA_HIDDEN)); }

static bool put_back(struct restore *r, const struct yaml_node *node, const struct yaml_node *old)
{
    if (!old || !secret_is_node(old) || yaml_is_null(old) || is_hidden(old))
        return err_set(r->err, "line %u: %s: " SCHEMA_HIDDEN " stands for a secret as it was, and which one that is cannot be told: write it out",
                       node->place.line, yaml_path(r->report, node));
    secret_comments_copy(&r->comments, r->text, r->at, node->from, r->out);
    r->at = node->to;
    if (old->kind == YAML_SCALAR) yaml_add_scalar(r->out, old->text);
    else {
        json_t *all = edit_node_json(old);
        edit_add_flow(r->out, all);
        json_decref(all);
    }
    return true;
}

static bool restore(struct restore *r, const struct yaml_node *node, const struct yaml_node *old);

static bool restore_list(struct restore *r, const struct yaml_node *node, const struct yaml_node *old)
{
    size_t j = 0, *map = mem_zalloc((node->n + 1) * sizeof *map);
    json_t *array = edit_node_json(node);
    bool known = old && old->kind == YAML_LIST && edit_pair(old, array, map), ok = true;
    for (const struct yaml_node *c = node->children; ok && c; c = c->next, j++)
        ok = restore(r, c, known && map[j] != EDIT_NEW ? yaml_at(old, map[j]) : NULL);
    json_decref(array);
    free(map);
    return ok;
}

static bool has_hidden(const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) return is_hidden(node) && secret_is_node(node);
    for (const struct yaml_node *c = node->children; c; c = c->next)
        if (has_hidden(c)) return true;
    return false;
}

static bool restore(struct restore *r, const struct yaml_node *node, const struct yaml_node *old)
{
    if (!has_hidden(node)) return true;
    if (node->kind == YAML_SCALAR) return put_back(r, node, old);
    if (node->kind == YAML_LIST) return restore_list(r, node, old);
    for (const struct yaml_node *c = node->children; c; c = c->next)
        if (!restore(r, c, yaml_get_slice(old, c->key))) return false;
    return true;
}

bool secret_restore(struct slice old_text, struct slice new_text, struct buf *out, struct err *err)
{
    struct config_report report = { 0 };
    struct arena nodes = { 0 };
    bool empty;
    struct restore r = { .text = new_text, .out = out, .report = &report, .err = err };
    struct yaml_node *old = yaml_parse(old_text, &nodes, &report, &empty), *root = yaml_parse(new_text, &nodes, &report, &empty);
    struct secret_comments were = { .n = 0 };
    if (root || empty) secret_comments_find(new_text, root, &r.comments);
    if (r.comments.n) secret_comments_find(old_text, old, &were);
    secret_comments_restore(old_text, &were, new_text, &r.comments);
    bool ok = !root || restore(&r, root, old);
    if (ok) secret_comments_copy(&r.comments, new_text, r.at, new_text.n, out);
    secret_comments_deinit(&were);
    secret_comments_deinit(&r.comments);
    secret_wipe(old);
    secret_wipe(root);
    arena_deinit(&nodes);
    config_report_deinit(&report);
    return ok;
}
