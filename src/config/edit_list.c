/* SPDX-License-Identifier: Apache-2.0
 * Entries of lists: put between others, moved, taken away, together with the comments that are theirs. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/edit_parts.h"

/* The "-" of an entry of a block, when its line begins with it; else SIZE_MAX. */
static size_t dash_of(const struct edit *e, const struct yaml_node *node)
{
    size_t at = node->from;
    while (at && strchr(" \t\r\n", e->text.p[at - 1])) at--;
    if (!at || e->text.p[at - 1] != '-') return SIZE_MAX;
    return edit_blank(e->text, edit_line_start(e->text, at - 1), at - 1) ? at - 1 : SIZE_MAX;
}

/* Where the comment on the lines right above a line begins, in the column of its "-"; the line itself: there is none. */
static size_t comment_above(const struct edit *e, size_t dash)
{
    size_t start = edit_line_start(e->text, dash), indent = dash - start;
    while (start) {
        size_t before = edit_line_start(e->text, start - 1);
        if (before + indent >= start || e->text.p[before + indent] != '#' || !edit_blank(e->text, before, before + indent)) break;
        start = before;
    }
    return start;
}

/* Where an entry begins, with its comment; SIZE_MAX: it is written in another form. */
static size_t start_of(const struct edit *e, const struct yaml_node *node)
{
    size_t dash = dash_of(e, node);
    if (dash == SIZE_MAX) return SIZE_MAX;
    size_t line = edit_line_start(e->text, dash), comment = comment_above(e, dash);
    if (node != node->parent->children || comment == line) return comment;
    for (const struct yaml_node *c = node->next; c; c = c->next) {
        size_t other = dash_of(e, c);
        if (other != SIZE_MAX && comment_above(e, other) < edit_line_start(e->text, other)) return comment;
    }
    return line; /* it is about the list */
}

static bool parse(struct slice text, struct arena *arena, struct yaml_node **root)
{
    struct config_report report = { 0 };
    bool empty;
    *root = yaml_parse(text, arena, &report, &empty);
    config_report_deinit(&report);
    return *root || empty;
}

static bool fail_layout(const struct edit *e) { return err_set(e->err, "the file's layout does not allow this change; edit it by hand"); }

/* The list of a path that ends in [index], and the index. */
static struct yaml_node *list_of(struct edit *e, size_t *index)
{
    const struct edit_path *p = e->path;
    size_t done = 0;
    struct yaml_node *list = NULL;
    if (p->steps[p->n - 1].kind == EDIT_INDEX && e->root) list = edit_path_find(e->root, p, p->n - 1, &done);
    *index = p->steps[p->n - 1].index;
    return list && done == p->n - 1 && list->kind == YAML_LIST ? list : NULL;
}

/* ---- taking away */

bool edit_remove(struct slice text, const char *path, struct buf *out, struct err *err)
{
    struct edit_path p;
    if (!edit_path_parse(path, &p, err)) return false;
    struct edit e = { .text = text, .path = &p, .err = err };
    bool ok = edit_start(&e), own = false;
    if (ok && e.root && e.done == p.n && e.found->parent && e.found->parent->kind == YAML_LIST && !e.found->parent->flow) {
        size_t dash = dash_of(&e, e.found), start = start_of(&e, e.found);
        own = start != SIZE_MAX && start < edit_line_start(text, dash);
        struct buf shorter = { 0 };
        if (own) {
            edit_splice(&shorter, text, start, edit_line_start(text, dash), SLICE(""));
            ok = edit_unset(buf_slice(&shorter), path, out, err);
        }
        buf_wipe(&shorter);
    }
    edit_finish(&e);
    return own || !ok ? ok : edit_unset(text, path, out, err);
}

/* ---- between others */

static bool insert_block(struct edit *e, const struct yaml_node *before, struct buf *out)
{
    size_t dash = dash_of(e, before), at = start_of(e, before);
    struct buf line = { 0 };
    if (at == SIZE_MAX) return edit_fail_form(e, before);
    buf_add(&line, slice_sub(e->text, edit_line_start(e->text, dash), dash));
    buf_add_str(&line, "- ");
    buf_add(&line, buf_slice(&e->value));
    buf_add_str(&line, e->newline);
    edit_splice(out, e->text, at, at, buf_slice(&line));
    buf_wipe(&line);
    return true;
}

static bool insert_flow(struct edit *e, const struct yaml_node *before, struct buf *out)
{
    buf_add_str(&e->value, ", ");
    edit_splice(out, e->text, before->from, before->from, buf_slice(&e->value));
    return true;
}

/* Nothing else is different: the node at `to` in the new tree is what `was` is in the old one. */
static bool verify(struct edit *e, const struct buf *out, const struct yaml_node *was, size_t to)
{
    struct yaml_node *root, *list;
    const struct yaml_node *now;
    bool ok = parse(buf_slice(out), &e->arena, &root) && (list = edit_walk_new(root, e->path, e->path->n - 1)) && (now = yaml_at(list, to)) &&
              edit_same(e->root, root, was, now) && (!was || edit_same(was, now, NULL, NULL));
    return ok || fail_layout(e);
}

bool edit_insert(struct slice text, const char *path, const char *value, struct buf *out, struct err *err)
{
    struct edit_path p;
    size_t index;
    if (!edit_path_parse(path, &p, err)) return false;
    if (p.steps[p.n - 1].kind != EDIT_INDEX) return err_set(err, "write the place in the list: domains[0]");
    struct edit e = { .text = text, .path = &p, .err = err };
    bool ok = edit_start(&e);
    const struct yaml_node *list = ok ? list_of(&e, &index) : NULL, *before = list ? yaml_at(list, p.steps[p.n - 1].index) : NULL;
    bool last = ok && !before && p.steps[p.n - 1].index == (list ? list->n : 0);
    if (ok && before) {
        ok = edit_take_value(&e, value) && (list->flow ? insert_flow(&e, before, out) : insert_block(&e, before, out)) &&
             verify(&e, out, NULL, index);
    } else if (ok && !last) ok = err_set(err, "there is no entry [%zu] to put it in front of", p.steps[p.n - 1].index);
    edit_finish(&e);
    if (!last) return ok;
    struct buf behind = { 0 };
    buf_addf(&behind, "%.*s[+]", (int)(strrchr(path, '[') - path), path);
    ok = edit_set(text, buf_cstr(&behind), value, out, err);
    buf_deinit(&behind);
    return ok;
}

/* ---- moving */

/* Lines of `node` to the front of, or behind those of `other`. */
static bool move_block(struct edit *e, const struct yaml_node *node, const struct yaml_node *other, bool behind, struct buf *out)
{
    size_t from = start_of(e, node), at = start_of(e, other);
    if (from == SIZE_MAX || at == SIZE_MAX) return edit_fail_form(e, node);
    size_t to = edit_next_line(e->text, edit_end_of(e, node));
    if (behind) at = edit_next_line(e->text, edit_end_of(e, other));
    struct buf lines = { 0 };
    if (behind && at && e->text.p[at - 1] != '\n') buf_add_str(&lines, e->newline);
    buf_add(&lines, slice_sub(e->text, from, to));
    if (lines.p[lines.n - 1] != '\n') buf_add_str(&lines, e->newline);
    struct slice a = e->text;
    if (behind) {
        buf_add(out, slice_sub(a, 0, from));
        buf_add(out, slice_sub(a, to, at));
        buf_add(out, buf_slice(&lines));
        buf_add(out, slice_sub(a, at, a.n));
    } else {
        buf_add(out, slice_sub(a, 0, at));
        buf_add(out, buf_slice(&lines));
        buf_add(out, slice_sub(a, at, from));
        buf_add(out, slice_sub(a, to, a.n));
    }
    buf_wipe(&lines);
    return true;
}

/* The texts of the entries change places; what is between them stays. */
static bool move_flow(struct edit *e, const struct yaml_node *list, size_t from, size_t to, struct buf *out)
{
    size_t at = 0, i = 0;
    for (const struct yaml_node *slot = list->children; slot; slot = slot->next, i++) {
        size_t which = i == to ? from : from < to && i >= from && i < to ? i + 1 : from > to && i > to && i <= from ? i - 1 : i;
        const struct yaml_node *n = yaml_at(list, which);
        buf_add(out, slice_sub(e->text, at, slot->from));
        buf_add(out, slice_sub(e->text, n->from, edit_end_of(e, n)));
        at = edit_end_of(e, slot);
    }
    buf_add(out, slice_sub(e->text, at, e->text.n));
    return true;
}

bool edit_move(struct slice text, const char *path, size_t to, struct buf *out, struct err *err)
{
    struct edit_path p;
    size_t from;
    if (!edit_path_parse(path, &p, err)) return false;
    struct edit e = { .text = text, .path = &p, .err = err };
    bool ok = edit_start(&e);
    struct yaml_node *list = ok ? list_of(&e, &from) : NULL;
    const struct yaml_node *node = list ? yaml_at(list, p.steps[p.n - 1].index) : NULL, *other = list ? yaml_at(list, to) : NULL;
    if (ok && (!node || !other)) ok = err_set(err, "there is no such entry to move: %.100s", path);
    if (ok && node == other) buf_add(out, text);
    else if (ok)
        ok = (list->flow ? move_flow(&e, list, from, to, out) : move_block(&e, node, other, from < to, out)) && verify(&e, out, node, to);
    edit_finish(&e);
    return ok;
}
