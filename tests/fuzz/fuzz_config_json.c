/* SPDX-License-Identifier: Apache-2.0
 * Any JSON at any path of any text, as a value, a new entry, merged; entries moved and removed. What is made is YAML, says what was asked for,
 * and secrets that are not named come back. First line: the path; second: JSON; the rest: the file. */
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/edit.h"
#include "config/secret.h"
#include "fuzz.h"

static struct yaml_node *parse(struct slice text, struct arena *arena)
{
    struct config_report report = { 0 };
    bool empty;
    struct yaml_node *root = yaml_parse(text, arena, &report, &empty);
    assert(root || empty);
    config_report_deinit(&report);
    return root;
}

/* The value is there; an entry that was to be the last is looked for nowhere. */
static void expect(const struct buf *out, const char *path, const json_t *v)
{
    struct arena arena = { 0 };
    struct edit_path p;
    struct err err;
    size_t done;
    struct yaml_node *root = parse(buf_slice(out), &arena);
    if (!strstr(path, "[+]") && root && edit_path_parse(path, &p, &err)) {
        const struct yaml_node *node = edit_path_find(root, &p, p.n, &done);
        assert(done == p.n && edit_equals_json(node, v));
    }
    arena_deinit(&arena);
}

typedef bool set_fn(struct slice text, const char *path, const json_t *value, struct buf *out, struct err *err);

static void set(set_fn *f, struct slice text, const char *path, const json_t *v, bool known)
{
    struct buf out = { 0 }, hidden = { 0 }, back = { 0 };
    struct arena arena = { 0 };
    struct err err;
    if (f(text, path, v, &out, &err)) {
        if (known) expect(&out, path, v);
        else parse(buf_slice(&out), &arena);
        secret_hide_quoted(buf_slice(&out), &hidden);
        (void)!secret_restore(buf_slice(&out), buf_slice(&hidden), &back, &err);
    }
    arena_deinit(&arena);
    buf_deinit(&out);
    buf_deinit(&hidden);
    buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size), path, json;
    struct arena arena = { 0 };
    struct buf out = { 0 };
    struct err err;
    if (size > 4096 || !slice_cut(&text, '\n', &path) || !slice_cut(&text, '\n', &json)) return 0;
    char *p = mem_slicedup(path);
    json_t *v = json_loadb(json.n ? json.p : "", json.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (v && !json_is_null(v)) {
        set(edit_set_json, text, p, v, true);
        set(edit_merge_json, text, p, v, true);
        set(edit_insert_json, text, p, v, false);
    }
    if (edit_remove(text, p, &out, &err)) parse(buf_slice(&out), &arena);
    buf_clear(&out);
    if (edit_move(text, p, size % 5, &out, &err)) parse(buf_slice(&out), &arena);
    arena_deinit(&arena);
    buf_deinit(&out);
    json_decref(v);
    free(p);
    return 0;
}
