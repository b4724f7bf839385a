/* SPDX-License-Identifier: Apache-2.0
 * Setting a list or group by the few changes that lead to it: which entries are the same, which were moved, which are new. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/edit_parts.h"
#include "config/schema.h"

#define PAIRS_MAX 1000000 /* comparisons of entries */
#define STEPS_MAX 400     /* changes; more are one */

/* ---- which entry is which */

struct pairing {
    const struct yaml_node **old;
    const json_t *array;
    size_t n, m, *map;
    bool *taken, *anchor; /* of old entries; of elements: found in the same order */
};

static bool equal(const struct pairing *p, size_t i, size_t j) { return edit_equals_json(p->old[i], json_array_get(p->array, j)); }

static void take(struct pairing *p, size_t i, size_t j, bool anchor)
{
    p->map[j] = i;
    p->taken[i] = true;
    p->anchor[j] = anchor;
}

/* The longest row of equal entries of both middles. */
static void find_row(struct pairing *p, size_t a0, size_t a1, size_t b0, size_t b1)
{
    size_t w = b1 - b0 + 1, n = a1 - a0, m = b1 - b0;
    uint32_t *best = mem_zalloc((n + 1) * w * sizeof *best);
    for (size_t i = n; i-- > 0;)
        for (size_t j = m; j-- > 0;) {
            uint32_t down = best[(i + 1) * w + j], right = best[i * w + j + 1];
            best[i * w + j] = equal(p, a0 + i, b0 + j) ? best[(i + 1) * w + j + 1] + 1 : down > right ? down : right;
        }
    for (size_t i = 0, j = 0; i < n && j < m;) {
        if (equal(p, a0 + i, b0 + j)) take(p, a0 + i, b0 + j, true), i++, j++;
        else if (best[(i + 1) * w + j] >= best[i * w + j + 1]) i++;
        else j++;
    }
    free(best);
}

/* What an entry is called by, of an element. */
static const char *name_of(const json_t *v, const char **key)
{
    static const char *const keys[] = { "name", "url", "host", "match", "domain", "to", "listen", "address", "user" };
    for (size_t k = 0; k < countof(keys); k++) {
        *key = keys[k];
        const json_t *value = json_object_get(v, keys[k]);
        if (json_is_string(value)) return json_string_value(value);
    }
    return NULL;
}

static bool is_called(const struct yaml_node *node, const char *key, const char *name)
{
    const struct yaml_node *value = yaml_get(node, key);
    return value && value->kind == YAML_SCALAR && slice_eq(value->text, slice_str(name));
}

/* An entry of the same name, when there is just one on either side. */
static void pair_by_name(struct pairing *p, size_t j)
{
    const char *key, *other_key, *name = name_of(json_array_get(p->array, j), &key), *other;
    size_t found = SIZE_MAX, n = 0;
    if (!name) return;
    for (size_t i = 0; i < p->n; i++)
        if (!p->taken[i] && is_called(p->old[i], key, name)) found = i, n++;
    for (size_t k = 0; k < p->m; k++)
        if (k != j && p->map[k] == EDIT_NEW && (other = name_of(json_array_get(p->array, k), &other_key)) && !strcmp(other, name)) n = 0;
    if (n == 1) take(p, found, j, false);
}

/* Between two that are the same on both sides: as many here as there are each other, in their order. */
static void pair_gap(struct pairing *p, size_t a0, size_t a1, size_t b0, size_t b1)
{
    size_t a = 0, b = 0, i = a0;
    for (size_t k = a0; k < a1; k++) a += !p->taken[k];
    for (size_t k = b0; k < b1; k++) b += p->map[k] == EDIT_NEW;
    if (a != b) return;
    for (size_t j = b0; j < b1; j++) {
        if (p->map[j] != EDIT_NEW) continue;
        while (p->taken[i]) i++;
        take(p, i, j, false);
    }
}

static void pair_gaps(struct pairing *p)
{
    size_t a = 0, b = 0;
    for (size_t j = 0; j <= p->m; j++) {
        if (j < p->m && !p->anchor[j]) continue;
        size_t i = j < p->m ? p->map[j] : p->n;
        pair_gap(p, a, i, b, j);
        a = i + 1;
        b = j + 1;
    }
}

static bool has_hidden(const json_t *v)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(v)) return !strcmp(json_string_value(v), SCHEMA_HIDDEN);
    json_array_foreach((json_t *)v, i, item) if (has_hidden(item)) return true;
    json_object_foreach((json_t *)v, key, item) if (has_hidden(item)) return true;
    return false;
}

/* Entries that differ in their secrets alone, of which some are gone: which of them stayed nobody can tell. */
static bool is_doubtful(const struct pairing *p, size_t j)
{
    const json_t *v = json_array_get(p->array, j);
    size_t here = 0, there = 0;
    bool differ = false;
    if (!has_hidden(v)) return false;
    for (size_t k = 0; k < p->m; k++) here += json_equal(v, json_array_get(p->array, k));
    for (size_t i = 0; i < p->n; i++) {
        if (!equal(p, i, j)) continue;
        there++;
        differ |= p->map[j] < p->n && !edit_same(p->old[i], p->old[p->map[j]], NULL, NULL);
    }
    return differ && here != there;
}

static bool pair(struct pairing *p)
{
    size_t a1 = p->n, b1 = p->m, from = 0;
    while (from < a1 && from < b1 && equal(p, from, from)) take(p, from, from, true), from++;
    while (a1 > from && b1 > from && equal(p, a1 - 1, b1 - 1)) a1--, b1--, take(p, a1, b1, true);
    if ((a1 - from + 1) > PAIRS_MAX / (b1 - from + 1)) return false;
    find_row(p, from, a1, from, b1);
    for (size_t j = from; j < b1; j++)
        for (size_t i = from; i < a1 && p->map[j] == EDIT_NEW; i++)
            if (!p->taken[i] && equal(p, i, j)) take(p, i, j, false);
    for (size_t j = from; j < b1; j++)
        if (p->map[j] == EDIT_NEW) pair_by_name(p, j);
    pair_gaps(p);
    return true;
}

bool edit_pair(const struct yaml_node *list, const json_t *array, size_t *map)
{
    struct pairing p = { .array = array, .n = list->n, .m = json_array_size(array), .map = map };
    size_t i = 0;
    p.old = mem_zalloc((p.n + 1) * sizeof *p.old);
    p.taken = mem_zalloc(p.n + 1);
    p.anchor = mem_zalloc(p.m + 1);
    for (const struct yaml_node *c = list->children; c; c = c->next) p.old[i++] = c;
    for (i = 0; i < p.m; i++) map[i] = EDIT_NEW;
    bool ok = pair(&p);
    for (i = 0; i < p.m; i++) p.anchor[i] = !ok || is_doubtful(&p, i);
    for (i = 0; i < p.m; i++)
        if (p.anchor[i]) map[i] = EDIT_NEW;
    free(p.old);
    free(p.taken);
    free(p.anchor);
    return ok;
}

/* ---- changes */

struct merge {
    struct buf text; /* so far */
    unsigned steps;
    struct err *err;
};

typedef bool step_fn(struct slice text, const char *path, const json_t *v, struct buf *out, struct err *err);

/* One change to the text so far. */
static bool step(struct merge *m, step_fn *f, const char *path, const json_t *v)
{
    struct buf out = { 0 };
    bool ok = ++m->steps <= STEPS_MAX && f(buf_slice(&m->text), path, v, &out, m->err);
    if (ok) {
        buf_wipe(&m->text);
        m->text = out;
    } else buf_wipe(&out);
    return ok;
}

static bool do_remove(struct slice text, const char *path, const json_t *v, struct buf *out, struct err *err) { return edit_remove(text, path, out, err); }
static bool do_move(struct slice text, const char *path, const json_t *v, struct buf *out, struct err *err)
{
    return edit_move(text, path, (size_t)json_integer_value(v), out, err);
}

static bool put(struct merge *m, const char *path, const json_t *v);

static bool at_index(struct merge *m, step_fn *f, const char *path, size_t index, const json_t *v)
{
    struct buf at = { 0 };
    buf_addf(&at, "%s[%zu]", path, index);
    bool ok = f ? step(m, f, buf_cstr(&at), v) : put(m, buf_cstr(&at), v);
    buf_deinit(&at);
    return ok;
}

/* Names that paths cannot have. */
static bool is_odd(struct slice key) { return !key.n || key.n > EDIT_NAME_MAX || slice_find(key, '.') >= 0 || slice_find(key, '[') >= 0; }

static bool at_name(struct merge *m, step_fn *f, const char *path, struct slice key, const json_t *v)
{
    struct buf at = { 0 };
    buf_addf(&at, "%s.%.*s", path, SLICE_ARG(key));
    bool ok = !is_odd(key) && (f ? step(m, f, buf_cstr(&at), v) : put(m, buf_cstr(&at), v));
    buf_deinit(&at);
    return ok;
}

static bool put_group(struct merge *m, const char *path, const struct yaml_node *node, const json_t *v)
{
    const char *key;
    json_t *item;
    bool ok = true;
    json_object_foreach((json_t *)v, key, item)
        if (ok && !json_is_null(item)) ok = at_name(m, NULL, path, slice_str(key), item);
    for (const struct yaml_node *c = node->children; ok && c; c = c->next) {
        char *name = mem_slicedup(c->key);
        const json_t *now = json_object_get(v, name);
        free(name);
        if (!now || json_is_null(now)) ok = at_name(m, do_remove, path, c->key, NULL);
    }
    return ok;
}

/* now: the old indices of the entries that are there, in their order. */
static bool order_list(struct merge *m, const char *path, const json_t *v, const size_t *map, size_t *now, size_t n)
{
    bool ok = true;
    for (size_t j = 0; ok && j < json_array_size(v); j++) {
        size_t at = j;
        while (at < n && (map[j] == EDIT_NEW || now[at] != map[j])) at++;
        if (map[j] == EDIT_NEW) {
            ok = at_index(m, edit_insert_json, path, j, json_array_get(v, j));
            memmove(now + j + 1, now + j, (n - j) * sizeof *now);
            now[j] = EDIT_NEW;
            n++;
            continue;
        }
        json_t *to = json_integer((json_int_t)j);
        if (at != j) ok = at_index(m, do_move, path, at, to);
        json_decref(to);
        memmove(now + j + 1, now + j, (at - j) * sizeof *now);
        now[j] = map[j];
        ok = ok && at_index(m, NULL, path, j, json_array_get(v, j));
    }
    return ok;
}

static bool put_list(struct merge *m, const char *path, const struct yaml_node *node, const json_t *v)
{
    size_t count = json_array_size(v), n = 0, *map = mem_zalloc((count + 1) * sizeof *map);
    size_t *now = mem_zalloc((count + node->n + 1) * sizeof *now);
    bool ok = edit_pair(node, v, map), *kept = mem_zalloc(node->n + 1);
    for (size_t j = 0; j < count; j++)
        if (map[j] != EDIT_NEW) kept[map[j]] = true, n++;
    ok = ok && n; /* else it is another list */
    for (size_t i = node->n; ok && i-- > 0;)
        if (!kept[i]) ok = at_index(m, do_remove, path, i, NULL);
    n = 0;
    for (size_t i = 0; i < node->n; i++)
        if (kept[i]) now[n++] = i;
    ok = ok && order_list(m, path, v, map, now, n);
    free(map);
    free(now);
    free(kept);
    return ok;
}

/* The node as it is in the text so far. */
static bool put_into(struct merge *m, const char *path, const struct yaml_node *node, const json_t *v)
{
    struct buf before = { 0 };
    bool list = json_is_array(v) && json_array_size(v) && node->kind == YAML_LIST && node->n;
    bool group = json_is_object(v) && json_object_size(v) && node->kind == YAML_GROUP && node->n;
    buf_add(&before, buf_slice(&m->text));
    bool ok = list ? put_list(m, path, node, v) : group && put_group(m, path, node, v);
    if (!ok) { /* as a whole, then */
        buf_wipe(&m->text);
        m->text = before;
        m->steps = 0;
        return step(m, edit_set_json, path, v);
    }
    buf_wipe(&before);
    return true;
}

static bool put(struct merge *m, const char *path, const json_t *v)
{
    struct edit_path p;
    struct buf text = { 0 }; /* that of the nodes, while the other changes */
    if (!edit_path_parse(path, &p, m->err)) return false;
    buf_add(&text, buf_slice(&m->text));
    struct edit e = { .text = buf_slice(&text), .path = &p, .err = m->err };
    bool ok = edit_start(&e);
    bool there = ok && e.root && e.done == p.n;
    if (ok && !there) ok = step(m, edit_set_json, path, v);
    else if (ok && !edit_equals_json(e.found, v)) ok = put_into(m, path, e.found, v);
    edit_finish(&e);
    buf_wipe(&text);
    return ok;
}

bool edit_merge_json(struct slice text, const char *path, const json_t *v, struct buf *out, struct err *err)
{
    struct merge m = { .err = err };
    buf_add(&m.text, text);
    bool ok = put(&m, path, v);
    buf_wipe(out);
    *out = m.text;
    return ok;
}
