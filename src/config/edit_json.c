/* SPDX-License-Identifier: Apache-2.0
 * JSON values written into the file as a person would write them: short ones on one line, others as blocks. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/dump.h"
#include "config/edit_parts.h"
#include "config/schema.h"
#include "config/secret.h"
#include "config/value.h"

#define LINE_MAX_COLUMNS 100 /* what is longer becomes a block */
#define GROUP_MAX_COLUMNS 60

/* ---- one line */

/* Numbers without an exponent, which the file does not know. */
static void add_real(struct buf *out, double d)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%.6f", d);
    if (n <= 0 || (size_t)n >= sizeof text) n = snprintf(text, sizeof text, "0");
    while (strchr(text, '.') && n > 1 && text[n - 1] == '0') n--;
    if (text[n - 1] == '.') n--;
    buf_add(out, slice_of(text, (size_t)n));
}

static void add_plain(struct buf *out, const json_t *v)
{
    if (json_is_boolean(v)) buf_add_str(out, json_is_true(v) ? "yes" : "no");
    else if (json_is_integer(v)) buf_addf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v)) add_real(out, json_real_value(v));
    else if (json_is_null(v)) buf_add_str(out, "null");
    else yaml_add_scalar(out, slice_of(json_string_value(v), json_string_length(v)));
}

void edit_add_flow(struct buf *out, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i, n = 0;
    if (json_is_array(v)) {
        buf_add_char(out, '[');
        json_array_foreach((json_t *)v, i, item) {
            if (i) buf_add_str(out, ", ");
            edit_add_flow(out, item);
        }
        buf_add_char(out, ']');
    } else if (json_is_object(v)) {
        buf_add_char(out, '{');
        json_object_foreach((json_t *)v, key, item) {
            if (json_is_null(item)) continue;
            if (n++) buf_add_str(out, ", ");
            yaml_add_scalar(out, slice_str(key));
            buf_add_str(out, ": ");
            edit_add_flow(out, item);
        }
        buf_add_char(out, '}');
    } else add_plain(out, v);
}

/* ---- blocks */

static bool has_collections(const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    json_array_foreach((json_t *)v, i, item) if (json_is_object(item) || json_is_array(item)) return true;
    json_object_foreach((json_t *)v, key, item) if (json_is_object(item) || has_collections(item)) return true;
    return false;
}

static size_t members(const json_t *v)
{
    const char *key;
    json_t *item;
    size_t n = json_array_size(v);
    json_object_foreach((json_t *)v, key, item) n += !json_is_null(item);
    return n;
}

static bool fits(const json_t *v, size_t column, size_t max)
{
    struct buf b = { 0 };
    edit_add_flow(&b, v);
    bool ok = column + b.n <= max;
    buf_wipe(&b);
    return ok;
}

/* `item`: an entry of a list, else the value of a name. */
static bool wants_block(const json_t *v, size_t column, bool item)
{
    if (!members(v)) return false;
    if (json_is_array(v)) return !item && (has_collections(v) || !fits(v, column, LINE_MAX_COLUMNS));
    return has_collections(v) || !fits(v, column, item ? LINE_MAX_COLUMNS : GROUP_MAX_COLUMNS);
}

/* The first line begins where the caller is; the others in column `indent`. No newline behind the last. */
static void add_block(struct buf *out, const json_t *v, size_t indent, const char *newline)
{
    const char *key;
    json_t *item;
    size_t i, n = 0;
    json_array_foreach((json_t *)v, i, item) {
        if (i) buf_addf(out, "%s%*s", newline, (int)indent, "");
        buf_add_str(out, "- ");
        if (wants_block(item, indent + 2, true)) add_block(out, item, indent + 2, newline);
        else edit_add_flow(out, item);
    }
    json_object_foreach((json_t *)v, key, item) {
        if (json_is_null(item)) continue;
        if (n++) buf_addf(out, "%s%*s", newline, (int)indent, "");
        yaml_add_scalar(out, slice_str(key));
        buf_add_char(out, ':');
        if (wants_block(item, indent + strlen(key) + 2, false)) {
            buf_addf(out, "%s%*s", newline, (int)indent + 2, "");
            add_block(out, item, indent + 2, newline);
        } else {
            buf_add_char(out, ' ');
            edit_add_flow(out, item);
        }
    }
}

/* ---- comparing */

static bool equals_text(const struct yaml_node *node, const json_t *v)
{
    struct slice t = node->text;
    if (json_is_string(v)) return slice_eq(t, slice_of(json_string_value(v), json_string_length(v))) && !yaml_is_null(node);
    if (json_is_true(v)) return slice_eq(t, SLICE("yes")) || slice_eq(t, SLICE("on")) || slice_eq(t, SLICE("true"));
    if (json_is_false(v)) return slice_eq(t, SLICE("no")) || slice_eq(t, SLICE("off")) || slice_eq(t, SLICE("false"));
    struct buf b = { 0 };
    add_plain(&b, v);
    bool same = slice_eq(t, buf_slice(&b));
    buf_deinit(&b);
    return same;
}

static bool is_hidden(const json_t *v) { return json_is_string(v) && !strcmp(json_string_value(v), SCHEMA_HIDDEN); }

bool edit_equals_json(const struct yaml_node *node, const json_t *v)
{
    const char *key;
    json_t *item;
    size_t n = 0;
    if (is_hidden(v) && secret_is_node(node)) return !yaml_is_null(node);
    if (json_is_null(v)) return yaml_is_null(node);
    if (json_is_array(v)) {
        if (node->kind != YAML_LIST || node->n != json_array_size(v)) return false;
        for (const struct yaml_node *c = node->children; c; c = c->next)
            if (!edit_equals_json(c, json_array_get(v, n++))) return false;
        return true;
    }
    if (!json_is_object(v)) return node->kind == YAML_SCALAR && equals_text(node, v);
    if (node->kind != YAML_GROUP) return false;
    json_object_foreach((json_t *)v, key, item) {
        if (json_is_null(item)) continue;
        const struct yaml_node *c = yaml_get(node, key);
        if (!c || !edit_equals_json(c, item)) return false;
        n++;
    }
    return n == node->n;
}

json_t *edit_node_json(const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) return yaml_is_null(node) ? json_null() : json_stringn(node->text.p ? node->text.p : "", node->text.n);
    json_t *out = node->kind == YAML_LIST ? json_array() : json_object();
    for (const struct yaml_node *c = node->children; c; c = c->next) {
        json_t *item = edit_node_json(c);
        char *key = mem_slicedup(c->key);
        if (node->kind == YAML_LIST) json_array_append_new(out, item);
        else json_object_set_new(out, key, item);
        free(key);
    }
    return out;
}

/* ---- setting */

/* The value of the node, a word that stands for it, gives way to a block. */
static void expand(struct edit *e, const struct yaml_node *node, const json_t *v, struct buf *out)
{
    bool entry = node->parent->kind == YAML_GROUP;
    struct buf block = { 0 };
    size_t end = edit_line_end(e->text, node->to), indent = entry ? node->key_place.column + 1 : node->place.column - 1, cut = node->from;
    if (entry) buf_addf(&block, "%s%*s", e->newline, (int)indent, "");
    add_block(&block, v, indent, e->newline);
    struct slice head = buf_slice(&block), tail = { 0 };
    ptrdiff_t eol = slice_find(head, '\n');
    if (entry) tail = head, head = SLICE("");
    else if (eol >= 0) tail = slice_sub(head, (size_t)eol, head.n), head = slice_sub(head, 0, (size_t)eol);
    while (entry && cut && e->text.p[cut - 1] == ' ') cut--;
    buf_add(out, slice_sub(e->text, 0, cut));
    buf_add(out, head);
    buf_add(out, slice_sub(e->text, node->to, end)); /* a comment */
    buf_add(out, tail);
    buf_add(out, slice_sub(e->text, end, e->text.n));
    buf_wipe(&block);
}

/* The text has a word at the path, where a value is to be. *flow: it stands in a line with others, and out is not made. */
static bool expand_at(struct slice text, const struct edit_path *p, const json_t *v, struct buf *out, bool *flow, struct err *err)
{
    struct edit e = { .text = text, .path = p, .err = err };
    bool ok = edit_start(&e), empty;
    struct yaml_node *node = ok ? edit_walk_new(e.root, p, p->n) : NULL;
    struct config_report report = { 0 };
    *flow = node && node->parent && node->parent->flow;
    ok = ok && node && node->parent;
    if (ok && !*flow) {
        expand(&e, node, v, out);
        struct yaml_node *root = yaml_parse(buf_slice(out), &e.arena, &report, &empty), *now = root ? edit_walk_new(root, p, p->n) : NULL;
        ok = now && edit_same(e.root, root, node, now) && edit_equals_json(now, v);
        secret_wipe(root);
    }
    config_report_deinit(&report);
    edit_finish(&e);
    return ok || err_set(err, "the file's layout does not allow this change; edit it by hand");
}

typedef bool set_line(struct slice text, const char *path, const char *value, struct buf *out, struct err *err);

static bool set_json(set_line *set, struct slice text, const char *path, bool item, const json_t *v, struct buf *out, struct err *err)
{
    struct edit_path p;
    struct buf line = { 0 }, word = { 0 };
    bool flow = true, ok = edit_path_parse(path, &p, err);
    if (ok && wants_block(v, 2 * p.n + (item ? 2 : p.steps[p.n - 1].name.n + 2), item)) {
        ok = set(text, path, "0", &word, err) && expand_at(buf_slice(&word), &p, v, out, &flow, err);
        flow = ok && flow;
    }
    if (ok && flow) {
        buf_clear(out);
        edit_add_flow(&line, v);
        ok = set(text, path, buf_cstr(&line), out, err);
    }
    buf_wipe(&word);
    buf_wipe(&line);
    return ok;
}

bool edit_set_json(struct slice text, const char *path, const json_t *v, struct buf *out, struct err *err)
{
    return set_json(edit_set, text, path, path[0] && path[strlen(path) - 1] == ']', v, out, err);
}

bool edit_insert_json(struct slice text, const char *path, const json_t *v, struct buf *out, struct err *err)
{
    return set_json(edit_insert, text, path, true, v, out, err);
}
