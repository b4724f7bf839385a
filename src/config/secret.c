/* SPDX-License-Identifier: Apache-2.0
 * Finding secrets: in a tree by the names of entries, in text that is no tree line by line. */
#include "config/secret.h"
#include "base/mem.h"
#include "config/dump.h"
#include "config/edit.h"
#include "config/schema.h"
#include "config/value.h"

static bool contains(struct slice s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++)
        if (slice_ieq(slice_sub(s, i, i + n), slice_str(word))) return true;
    return false;
}

bool secret_is_name(struct slice key)
{
    static const char *const names[] = { "password" };
    if (slice_iends(key, SLICE("file"))) return false;
    return contains(key, "pass") || contains(key, "secret") || contains(key, "pwd") || suggest(key, names, 1);
}

bool secret_spilled(const struct yaml_node *node)
{
    const struct yaml_node *in = node->parent;
    if (!in || in->kind != YAML_GROUP || !in->flow || !yaml_is_null(node) || node->from != node->to) return false;
    bool spilled = false;
    for (const struct yaml_node *c = in->children; c != node; c = c->next)
        spilled = secret_is_name(c->key) || (spilled && yaml_is_null(c) && c->from == c->to);
    return spilled;
}

/* A group below a name of one's own choice ("bypass") is none. */
bool secret_is_node(const struct yaml_node *node)
{
    return secret_is_name(node->key) && (node->kind != YAML_GROUP || slice_ieq(node->key, SLICE("password")));
}

/* The text of a file as it is shown. */
struct hiding {
    struct slice text;
    size_t at;        /* copied up to here */
    const char *mark; /* in place of a secret */
    struct secret_comments comments;
    struct buf *out;
};

static void add_hidden(const struct hiding *h, struct slice text)
{
    struct buf *out = h->out;
    buf_add_str(out, h->mark);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\n') buf_add_char(out, '\n');
}

/* Copies text up to `from`, then hides up to `to`. */
static void hide_range(struct hiding *h, size_t from, size_t to)
{
    if (from < h->at || to <= from) return;
    secret_comments_copy(&h->comments, h->text, h->at, from, h->out);
    add_hidden(h, slice_sub(h->text, from, to));
    h->at = to;
}

static void hide_nodes(struct hiding *h, const struct yaml_node *in)
{
    for (const struct yaml_node *c = in->children; c; c = c->next) {
        bool named = in->kind == YAML_GROUP;
        if (named && secret_spilled(c)) hide_range(h, c->key_from, c->key_to);
        else if (named && secret_is_node(c)) hide_range(h, c->from, c->to);
        else hide_nodes(h, c);
    }
}

/* Where the value of a secret begins in a line: behind the ":" of its name; < 0: there is none. */
static ptrdiff_t secret_in_line(struct slice line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] != ':') continue;
        size_t from = i;
        while (from && !strchr("{[,", line.p[from - 1])) from--;
        struct slice key = slice_trim(slice_sub(line, from, i));
        while (key.n && strchr("\"'-? ", key.p[0])) key = slice_sub(key, 1, key.n);
        while (key.n && strchr("\"' ", key.p[key.n - 1])) key = slice_sub(key, 0, key.n - 1);
        if (secret_is_name(key)) return (ptrdiff_t)i + 1;
    }
    return -1;
}

static size_t indent_of(struct slice line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] == ' ') n++;
    return n;
}

/* Of text that is not YAML more is hidden than need be: the rest of the line, and the deeper lines below it. */
static void hide_lines(struct slice text, struct buf *out)
{
    bool below = false;
    size_t deep = 0;
    while (text.n) {
        ptrdiff_t eol = slice_find(text, '\n');
        size_t n = eol < 0 ? text.n : (size_t)eol;
        struct slice line = slice_sub(text, 0, n);
        ptrdiff_t from = secret_in_line(line);
        if (below && slice_trim(line).n && indent_of(line) <= deep) below = false;
        if (from >= 0 && !below) below = true, deep = indent_of(line);
        else if (below) from = (ptrdiff_t)indent_of(line);
        if (from >= 0 && (size_t)from < n) {
            buf_add(out, slice_sub(line, 0, (size_t)from));
            buf_add_str(out, line.p[from - (from > 0)] == ':' ? " " SCHEMA_HIDDEN : SCHEMA_HIDDEN);
        } else buf_add(out, line);
        if (eol >= 0) buf_add_char(out, '\n');
        text = slice_sub(text, n + (eol >= 0), text.n);
    }
}

static void hide(struct slice text, const char *mark, struct buf *out)
{
    struct config_report report = { 0 };
    struct arena nodes = { 0 };
    bool empty;
    struct hiding h = { .text = text, .mark = mark, .out = out };
    struct yaml_node *root = yaml_parse(text, &nodes, &report, &empty);
    if (root || empty) {
        secret_comments_find(text, root, &h.comments);
        if (root) hide_nodes(&h, root);
        secret_comments_copy(&h.comments, text, h.at, text.n, out);
        secret_comments_deinit(&h.comments);
        secret_wipe(root);
    } else hide_lines(text, out);
    arena_deinit(&nodes);
    config_report_deinit(&report);
}

void secret_hide(struct slice text, struct buf *out) { hide(text, SCHEMA_HIDDEN, out); }

void secret_hide_quoted(struct slice text, struct buf *out) { hide(text, "\"" SCHEMA_HIDDEN "\"", out); }

void secret_hide_value(const char *path, const char *value, struct buf *out)
{
    struct edit_path p;
    struct err err;
    bool named = edit_path_parse(path, &p, &err);
    for (size_t i = 0; named && i < p.n; i++)
        if (p.steps[i].kind == EDIT_NAME && secret_is_name(p.steps[i].name)) {
            buf_add_str(out, SCHEMA_HIDDEN);
            return;
        }
    secret_hide(slice_str(value), out);
}

static void wipe_texts(struct yaml_node *node)
{
    if (node->text.n) mem_wipe((char *)node->text.p, node->text.n);
    for (struct yaml_node *c = node->children; c; c = c->next) wipe_texts(c);
}

void secret_wipe(struct yaml_node *root)
{
    for (struct yaml_node *c = root ? root->children : NULL; c; c = c->next) {
        if (root->kind == YAML_GROUP && secret_is_node(c)) wipe_texts(c);
        else secret_wipe(c);
    }
}

void config_forget_secrets(struct config *c)
{
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->auth.password) mem_wipe(c->hops[i]->auth.password, strlen(c->hops[i]->auth.password));
}
