/* SPDX-License-Identifier: Apache-2.0
 * Changes on their way into the text, and the text into the file. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "change/change.h"
#include "config/edit.h"
#include "config/parse.h"
#include "config/secret.h"

#define CHANGES_MAX 500
#define WHAT_CHANGES 5      /* named in a revision; more are counted */
#define WHAT_VALUE_MAX 60   /* bytes of a value there */

/* ---- one change */

struct wish {
    const char *path;
    const json_t *value, *insert, *move; /* one of them; none: it is taken away */
};

static bool read_wish(const json_t *change, struct wish *w, struct err *err)
{
    const char *key;
    json_t *v;
    unsigned n = 0;
    struct edit_path path;
    *w = (struct wish){ .path = json_string_value(json_object_get(change, "path")) };
    if (!w->path) return err_set(err, "a change needs a path");
    if (!edit_path_parse(w->path, &path, err)) return false;
    json_object_foreach((json_t *)change, key, v) {
        if (!strcmp(key, "path")) continue;
        n++;
        if (!strcmp(key, "value")) w->value = json_is_null(v) ? NULL : v;
        else if (!strcmp(key, "insert") && !json_is_null(v)) w->insert = v;
        else if (!strcmp(key, "move") && json_is_integer(v) && json_integer_value(v) >= 0) w->move = v;
        else if (strcmp(key, "unset") != 0 || !json_is_true(v))
            return err_set(err, "%.100s: a change has no such member, or not with this value: %.40s", w->path, key);
    }
    return n == 1 || err_set(err, "%.100s: a change has one of value, unset, insert, move", w->path);
}

/* Is there something at the path? */
static bool is_set(struct slice text, const char *path)
{
    struct config_report report = { 0 };
    struct arena nodes = { 0 };
    struct edit_path p;
    struct err err;
    bool empty, there = false;
    size_t done;
    struct yaml_node *root = yaml_parse(text, &nodes, &report, &empty);
    if (root && edit_path_parse(path, &p, &err)) there = edit_path_find(root, &p, p.n, &done) && done == p.n;
    secret_wipe(root);
    arena_deinit(&nodes);
    config_report_deinit(&report);
    return there;
}

static bool apply_one(struct slice text, const struct wish *w, struct buf *out, struct err *err)
{
    if (w->value) return edit_merge_json(text, w->path, w->value, out, err);
    if (w->insert) return edit_insert_json(text, w->path, w->insert, out, err);
    if (w->move) return edit_move(text, w->path, (size_t)json_integer_value(w->move), out, err);
    if (is_set(text, w->path)) return edit_remove(text, w->path, out, err);
    buf_add(out, text);
    return true;
}

static void tell(const struct wish *w, struct buf *what)
{
    struct buf value = { 0 }, shown = { 0 };
    const json_t *v = w->value ? w->value : w->insert;
    if (v) edit_add_flow(&value, v);
    if (v) secret_hide_value(w->path, buf_cstr(&value), &shown);
    buf_add_str(what, w->value ? "set " : w->insert ? "insert " : w->move ? "move " : "unset ");
    buf_add_printable(what, slice_str(w->path), 100);
    if (shown.n) buf_add_char(what, ' ');
    buf_add_printable(what, buf_slice(&shown), WHAT_VALUE_MAX);
    buf_wipe(&value);
    buf_wipe(&shown);
}

/* ---- all of them */

bool change_make_text(struct slice text, const json_t *changes, struct buf *out, struct buf *what, struct err *err)
{
    size_t i, n = json_array_size(changes);
    json_t *change;
    bool ok = n > 0 && n <= CHANGES_MAX;
    if (!ok) return err_set(err, "changes is an array of 1 to %d changes", CHANGES_MAX);
    buf_add(out, text);
    json_array_foreach((json_t *)changes, i, change) {
        struct buf now = { 0 }, whole = { 0 };
        struct wish w;
        ok = read_wish(change, &w, err) && apply_one(buf_slice(out), &w, &now, err) &&
             secret_restore(buf_slice(out), buf_slice(&now), &whole, err);
        buf_wipe(&now);
        if (!ok) {
            buf_wipe(&whole);
            break;
        }
        buf_wipe(out);
        *out = whole;
        if (i && i < WHAT_CHANGES) buf_add_str(what, ", ");
        if (i < WHAT_CHANGES) tell(&w, what);
    }
    if (ok && n > WHAT_CHANGES) buf_addf(what, " and %zu more", n - WHAT_CHANGES);
    return ok;
}

enum change_outcome change_write(struct store *s, struct slice old_text, struct slice new_text, const char *what,
                                 struct config_report *report, uint64_t *revision, struct err *err)
{
    struct config *c = change_check_text(s->file, new_text, report);
    if (!c) return CHANGE_ERRORS;
    config_free(c);
    if (slice_eq(old_text, new_text)) return CHANGE_SAME;
    return store_replace(s, old_text, new_text, what, revision, err) ? CHANGE_WRITTEN : CHANGE_FAILED;
}

json_t *change_findings(const struct config_report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct config_finding *f = &r->findings[i];
        json_t *one = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s}", "severity", f->warning ? "warning" : "error",
                                "line", (json_int_t)f->place.line, "column", (json_int_t)f->place.column,
                                "option", f->option, "text", f->text, "hint", f->hint);
        if (one) json_array_append_new(all, one);
    }
    return all;
}
