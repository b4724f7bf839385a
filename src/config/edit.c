/* SPDX-License-Identifier: Apache-2.0
 * Edits at the marks of the tree. Each result is read again and compared: it must differ in the wanted entry only. */
#include "config/edit_parts.h"
#include "config/dump.h"
#include "config/secret.h"

bool edit_path_parse(const char *text, struct edit_path *out, struct err *err)
{
    struct slice s = slice_str(text);
    *out = (struct edit_path){ .n = 0 };
    while (s.n || !out->n) {
        if (out->n == EDIT_STEPS_MAX) return err_set(err, "the path is too long");
        struct edit_step *step = &out->steps[out->n++];
        if (s.n && s.p[0] == '[') {
            struct slice inside, rest = slice_sub(s, 1, s.n);
            uint64_t index = 0;
            bool closed = slice_cut(&rest, ']', &inside), append = slice_eq(inside, SLICE("+"));
            if (!closed || (!append && !slice_to_u64(inside, 1000000, &index)))
                return err_set(err, "write a place in a list as [0], [1] ... or [+] for a new one");
            *step = (struct edit_step){ .kind = append ? EDIT_APPEND : EDIT_INDEX, .index = index };
            s = rest;
        } else {
            if (out->n > 1 && s.p[0] == '.') s = slice_sub(s, 1, s.n);
            size_t n = 0;
            while (n < s.n && s.p[n] != '.' && s.p[n] != '[') n++;
            if (!n || n > EDIT_NAME_MAX)
                return err_set(err, "write a path like limits.message_size or domains[0].deliver");
            *step = (struct edit_step){ .kind = EDIT_NAME, .name = slice_sub(s, 0, n) };
            s = slice_sub(s, n, s.n);
            if (s.n == 1 && s.p[0] == '.') return err_set(err, "the path ends with a dot");
        }
    }
    return true;
}

struct yaml_node *edit_path_find(struct yaml_node *root, const struct edit_path *p, size_t n, size_t *done)
{
    struct yaml_node *at = root;
    for (*done = 0; at && *done < n; ++*done) {
        const struct edit_step *s = &p->steps[*done];
        struct yaml_node *child = s->kind == EDIT_NAME    ? yaml_get_slice(at, s->name)
                                  : s->kind == EDIT_INDEX ? yaml_at(at, s->index)
                                                          : NULL;
        if (!child) break;
        at = child;
    }
    return at;
}

void edit_splice(struct buf *out, struct slice text, size_t from, size_t to, struct slice with)
{
    struct buf b = { 0 };
    buf_add(&b, slice_sub(text, 0, from));
    buf_add(&b, with);
    buf_add(&b, slice_sub(text, to, text.n));
    buf_deinit(out);
    *out = b;
}

size_t edit_line_start(struct slice text, size_t at)
{
    while (at && text.p[at - 1] != '\n') at--;
    return at;
}

size_t edit_line_end(struct slice text, size_t at) /* of its CR or LF, or the end of the text */
{
    while (at < text.n && text.p[at] != '\n') at++;
    return at && at < text.n && text.p[at - 1] == '\r' ? at - 1 : at;
}

size_t edit_next_line(struct slice text, size_t at)
{
    while (at < text.n && text.p[at] != '\n') at++;
    return at < text.n ? at + 1 : at;
}

bool edit_blank(struct slice text, size_t from, size_t to)
{
    return slice_trim(slice_sub(text, from, to)).n == 0;
}

static bool is_absent(const struct yaml_node *node) { return node->from == node->to && yaml_is_null(node); }

size_t edit_after_colon(const struct edit *e, const struct yaml_node *node)
{
    size_t i = node->key_to;
    while (i < e->text.n && (e->text.p[i] == ' ' || e->text.p[i] == '\t')) i++;
    return i < e->text.n && e->text.p[i] == ':' ? i + 1 : 0;
}

bool edit_fail_form(const struct edit *e, const struct yaml_node *node)
{
    return err_set(e->err, "line %u is written in a form that cannot be edited here", node->place.line);
}

size_t edit_end_of(const struct edit *e, const struct yaml_node *node)
{
    if (!is_absent(node) || node->parent->kind != YAML_GROUP) return node->to;
    size_t colon = edit_after_colon(e, node);
    return colon ? colon : node->key_to;
}

/* The steps from `from` on, around the value: "a: {b: v}", or as a block, one name a line. Within a new list item
 * everything is one line. */
static bool add_steps(struct edit *e, size_t from, bool flow, size_t indent, struct buf *out)
{
    char closing[EDIT_STEPS_MAX];
    size_t open = 0;
    for (size_t i = from; i < e->path->n; i++) {
        const struct edit_step *s = &e->path->steps[i];
        if (s->kind == EDIT_INDEX) return err_set(e->err, "there is no entry [%zu]; write [+] to add one", s->index);
        bool named = s->kind == EDIT_NAME;
        if (i > from && flow) {
            buf_add_char(out, named ? '{' : '[');
            closing[open++] = named ? '}' : ']';
        } else if (i > from)
            buf_addf(out, "%s%*s", e->newline, (int)(indent += 2), "");
        if (named) {
            yaml_add_scalar(out, s->name);
            buf_add_str(out, i + 1 < e->path->n && !flow ? ":" : ": ");
        } else if (!flow) {
            buf_add_str(out, "- ");
            flow = true;
        }
    }
    buf_add(out, buf_slice(&e->value));
    while (open) buf_add_char(out, closing[--open]);
    return true;
}

/* A new entry behind the last one of a collection that has some. */
static bool append_entry(struct edit *e, struct buf *out)
{
    const struct yaml_node *in = e->found;
    struct buf entry = { 0 };
    size_t at, indent = in->place.column - 1;
    if (in->flow) {
        at = in->last ? edit_end_of(e, in->last) : in->from + 1;
        if (in->last) buf_add_str(&entry, ", ");
    } else {
        at = edit_line_end(e->text, edit_end_of(e, in->last));
        buf_addf(&entry, "%s%*s", e->newline, (int)indent, "");
    }
    bool ok = add_steps(e, e->done, in->flow, indent, &entry);
    if (ok) edit_splice(out, e->text, at, at, buf_slice(&entry));
    buf_deinit(&entry);
    return ok;
}

/* The first entry of a group or list that is written with nothing in it. */
static bool fill_empty(struct edit *e, struct buf *out)
{
    const struct yaml_node *in = e->found;
    if (!in->parent || in->parent->kind != YAML_GROUP || !is_absent(in))
        return err_set(e->err, "line %u holds no group of entries; set it as a whole", in->place.line);
    struct buf entry = { 0 };
    size_t at = edit_after_colon(e, in), indent = in->key_place.column + 1;
    bool flow = in->parent->flow, ok = at ? true : edit_fail_form(e, in);
    bool list = e->path->steps[e->done].kind != EDIT_NAME;
    if (flow) buf_add_str(&entry, list ? " [" : " {");
    else buf_addf(&entry, "%s%*s", e->newline, (int)indent, ""), at = edit_line_end(e->text, at);
    ok = ok && add_steps(e, e->done, flow, indent, &entry);
    if (flow) buf_add_char(&entry, list ? ']' : '}');
    if (ok) edit_splice(out, e->text, at, at, buf_slice(&entry));
    buf_deinit(&entry);
    return ok;
}

static bool append_root(struct edit *e, struct buf *out)
{
    buf_add(out, e->text);
    if (out->n && out->p[out->n - 1] != '\n') buf_add_str(out, e->newline);
    bool ok = add_steps(e, 0, false, 0, out);
    buf_add_str(out, e->newline);
    return ok;
}

/* A value on its own line or lines gives way to one behind the name, so that a comment there stays. */
static bool replace(struct edit *e, struct buf *out)
{
    const struct yaml_node *node = e->found;
    bool entry = node->parent->kind == YAML_GROUP, block = entry && !node->flow && node->kind != YAML_SCALAR;
    if (!entry || !(is_absent(node) || block)) {
        buf_add(out, slice_sub(e->text, 0, node->from));
        if (node->from && e->text.p[node->from - 1] == '-') buf_add_char(out, ' '); /* an empty list entry */
        buf_add(out, buf_slice(&e->value));
        buf_add(out, slice_sub(e->text, node->to, e->text.n));
        return true;
    }
    size_t colon = edit_after_colon(e, node), from = colon, to = colon;
    if (!colon) return edit_fail_form(e, node);
    if (block) from = edit_line_start(e->text, node->from), to = edit_next_line(e->text, node->to);
    buf_add(out, slice_sub(e->text, 0, colon));
    buf_add_char(out, ' ');
    buf_add(out, buf_slice(&e->value));
    buf_add(out, slice_sub(e->text, colon, from));
    buf_add(out, slice_sub(e->text, to, e->text.n));
    return true;
}

/* From `from` to `to`, when the entry has its line or lines to itself; else what leaves valid YAML. */
static bool cut_block(struct edit *e, struct buf *out)
{
    const struct yaml_node *node = e->found;
    bool entry = node->parent->kind == YAML_GROUP;
    size_t from = entry ? node->key_from : node->from, end = edit_end_of(e, node);
    if (!entry) {
        while (from && strchr(" \t\r\n", e->text.p[from - 1])) from--;
        if (!from || e->text.p[--from] != '-') return edit_fail_form(e, node);
    }
    size_t start = edit_line_start(e->text, from);
    if (edit_blank(e->text, start, from)) {
        edit_splice(out, e->text, start, edit_next_line(e->text, end), SLICE(""));
        return true;
    }
    if (!entry || node->parent->n == 1) return err_set(e->err, "this is the only entry of a list item; unset the item");
    size_t to = node->next && edit_blank(e->text, end, node->next->key_from) ? node->next->key_from : end;
    edit_splice(out, e->text, from, to, SLICE(""));
    return true;
}

static bool cut_flow(struct edit *e, struct buf *out)
{
    const struct yaml_node *node = e->found, *before = NULL;
    bool entry = node->parent->kind == YAML_GROUP;
    size_t from = entry ? node->key_from : node->from, to = edit_end_of(e, node);
    for (const struct yaml_node *c = node->parent->children; c != node; c = c->next) before = c;
    if (node->next) to = entry ? node->next->key_from : node->next->from;
    else if (before) from = edit_end_of(e, before);
    edit_splice(out, e->text, from, to, SLICE(""));
    return true;
}

bool edit_same(const struct yaml_node *a, const struct yaml_node *b, const struct yaml_node *skip_a,
                 const struct yaml_node *skip_b)
{
    if ((a && a == skip_a) || (b && b == skip_b)) return a == skip_a && b == skip_b;
    bool a_empty = !a || yaml_is_null(a), b_empty = !b || yaml_is_null(b);
    if (!a_empty && !b_empty && a->kind != b->kind) return false;
    if (a_empty != b_empty && (a_empty ? b : a)->kind == YAML_SCALAR) return false;
    if (!a_empty && !b_empty && a->kind == YAML_SCALAR) return slice_eq(a->text, b->text);
    const struct yaml_node *x = a ? a->children : NULL, *y = b ? b->children : NULL;
    for (;;) {
        if (x && x == skip_a && !(y && y == skip_b)) x = x->next;
        if (y && y == skip_b && !(x && x == skip_a)) y = y->next;
        if (!x || !y) return !x && !y;
        if (!slice_eq(x->key, y->key) || !edit_same(x, y, skip_a, skip_b)) return false;
        x = x->next;
        y = y->next;
    }
}

struct yaml_node *edit_walk_new(struct yaml_node *root, const struct edit_path *p, size_t n)
{
    struct yaml_node *at = root;
    for (size_t i = 0, done; at && i < n; i++) {
        if (p->steps[i].kind == EDIT_APPEND) at = at->kind == YAML_LIST ? at->last : NULL;
        else {
            struct edit_path one = { .steps = { p->steps[i] }, .n = 1 };
            struct yaml_node *child = edit_path_find(at, &one, 1, &done);
            at = done ? child : NULL;
        }
    }
    return at;
}

/* Setting found or made the node; unsetting removed it: e->found is skipped in the old tree. */
static bool verify(struct edit *e, const struct buf *out, bool set)
{
    bool empty;
    struct config_report report = { 0 };
    struct yaml_node *root = yaml_parse(buf_slice(out), &e->arena, &report, &empty);
    bool ok = root || empty, replaced = e->done == e->path->n;
    if (ok && set) {
        const struct yaml_node *node = edit_walk_new(root, e->path, replaced ? e->path->n : e->done + 1);
        ok = node && edit_walk_new(root, e->path, e->path->n) && edit_same(e->root, root, replaced ? e->found : NULL, node);
    } else if (ok)
        ok = edit_same(e->root, root, e->found, NULL);
    secret_wipe(root);
    config_report_deinit(&report);
    return ok ? true : err_set(e->err, "the file's layout does not allow this change; edit it by hand");
}

bool edit_take_value(struct edit *e, const char *value)
{
    struct slice v = slice_trim(slice_str(value));
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] == '\n' || v.p[i] == '\r') return err_set(e->err, "the value must be one line");
    if (!v.n || !strchr("{[\"'", v.p[0])) {
        yaml_add_scalar(&e->value, v);
        return true;
    }
    bool empty;
    struct config_report report = { 0 };
    bool ok = yaml_parse(v, &e->arena, &report, &empty) != NULL;
    if (!ok) err_set(e->err, "the value is not YAML: %s", report.n ? report.findings[0].text : "it is empty");
    config_report_deinit(&report);
    buf_add(&e->value, v);
    return ok;
}

bool edit_start(struct edit *e)
{
    bool empty;
    ptrdiff_t eol = slice_find(e->text, '\n');
    e->newline = eol > 0 && e->text.p[eol - 1] == '\r' ? "\r\n" : "\n";
    e->root = yaml_parse(e->text, &e->arena, &e->report, &empty);
    if (!e->root && !empty) return err_set(e->err, "the file is not right as it is; see `postern check`");
    e->found = edit_path_find(e->root, e->path, e->path->n, &e->done);
    return true;
}

void edit_finish(struct edit *e)
{
    buf_wipe(&e->value);
    secret_wipe(e->root);
    arena_deinit(&e->arena);
    config_report_deinit(&e->report);
}

bool edit_set(struct slice text, const char *path, const char *value, struct buf *out, struct err *err)
{
    struct edit_path p;
    if (!edit_path_parse(path, &p, err)) return false;
    struct edit e = { .text = text, .path = &p, .err = err };
    bool ok = edit_start(&e) && edit_take_value(&e, value);
    if (ok && !e.root) ok = append_root(&e, out);
    else if (ok && e.done == p.n) ok = replace(&e, out);
    else if (ok) {
        bool named = p.steps[e.done].kind == EDIT_NAME;
        bool fits = e.found->kind == (named ? YAML_GROUP : YAML_LIST);
        if (!fits && e.found->kind != YAML_SCALAR)
            ok = err_set(err, "%s is expected at line %u", named ? "[number]" : "a name", e.found->place.line);
        else ok = fits && (e.found->n || e.found->flow) ? append_entry(&e, out) : fill_empty(&e, out);
    }
    ok = ok && verify(&e, out, true);
    edit_finish(&e);
    return ok;
}

bool edit_unset(struct slice text, const char *path, struct buf *out, struct err *err)
{
    struct edit_path p;
    if (!edit_path_parse(path, &p, err)) return false;
    struct edit e = { .text = text, .path = &p, .err = err };
    bool ok = edit_start(&e);
    if (ok && (!e.root || e.done < p.n)) ok = err_set(err, "%s is not set in the file", path);
    if (ok) ok = e.found->parent->flow ? cut_flow(&e, out) : cut_block(&e, out);
    ok = ok && verify(&e, out, false);
    edit_finish(&e);
    return ok;
}
