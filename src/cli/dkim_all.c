/* SPDX-License-Identifier: Apache-2.0
 * postern dkim new --all: a key for each relay domain that has none. What is written into the configuration does not sign yet: first
 * the records are published. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "change/change.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/dkim.h"
#include "config/edit.h"
#include "config/parse.h"
#include "config/revision.h"

/* Keys by domain. */
struct made {
    struct dkim_options_cli o;   /* those given, with the domain */
    struct dkim_named_key key;
};
struct all {
    struct made *items;
    size_t n;
};

static int fail(const struct err *err, int code)
{
    fprintf(stderr, "postern dkim: %s\n", err->text);
    return code;
}

/* ---- making them */

static bool make_one(const struct dkim_options_cli *o, const struct dkim_place *place, const char *domain, struct all *all, struct err *err)
{
    struct dkim_named_keys *none = mem_new(struct dkim_named_keys);
    all->items = mem_grow(all->items, all->n + 1, sizeof *all->items);
    struct made *m = &all->items[all->n];
    *m = (struct made){ .o = *o };
    snprintf(m->o.domain, sizeof m->o.domain, "%s", domain);
    struct dkim_wish wish = dkim_wish_of(&m->o);
    bool ok = dkim_file_new(&wish, place, none, &m->key, err);
    all->n += ok;
    free(none);
    return ok;
}

static bool has_key(const struct config *c, const char *domain)
{
    for (size_t i = 0; i < c->dkim.key_n; i++)
        if (slice_ieq(slice_str(c->dkim.keys[i].domain), slice_str(domain))) return true;
    return false;
}

static bool make(const struct dkim_options_cli *o, const struct dkim_place *place, const struct config *c, struct all *all, struct err *err)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (!c->domains[i].table && !has_key(c, c->domains[i].name) && !make_one(o, place, c->domains[i].name, all, err)) return false;
    return true;
}

/* ---- the configuration */

static void add_value(const struct made *m, struct buf *out)
{
    buf_clear(out);
    dkim_add_entry(m->o.domain, &m->key, false, out);
}

static bool add_entries(const struct all *all, struct buf *text, struct err *err)
{
    struct buf value = { 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < all->n; i++) {
        struct buf out = { 0 };
        add_value(&all->items[i], &value);
        ok = edit_set(buf_slice(text), "dkim.keys[+]", buf_cstr(&value), &out, err);
        buf_deinit(ok ? text : &out);
        if (ok) *text = out;
    }
    buf_deinit(&value);
    return ok;
}

static void print_findings(const struct config_report *report, struct slice text, const char *file)
{
    struct buf out = { 0 };
    report_format(report, file, text, &out);
    fwrite(out.p ? out.p : "", 1, out.n, stderr);
    buf_deinit(&out);
}

static int write_now(struct store *s, struct slice before, struct slice text)
{
    struct config_report report = { 0 };
    struct err err;
    uint64_t number;
    int code = 0;
    enum change_outcome outcome = change_write(s, before, text, "dkim new --all", &report, &number, &err);
    print_findings(&report, text, s->file);
    if (outcome == CHANGE_FAILED) code = fail(&err, EX_CANTCREAT);
    else if (outcome == CHANGE_ERRORS) {
        fprintf(stderr, "postern dkim: not written: the file would have errors\n");
        code = EX_CONFIG;
    }
    config_report_deinit(&report);
    return code;
}

static int write_entries(const struct all *all, const char *file)
{
    struct store s;
    struct err err;
    struct buf before = { 0 }, text = { 0 };
    if (!store_open(&s, file, true, &err)) return fail(&err, EX_CANTCREAT);
    bool ok = config_read_file(s.file, &before, &err);
    buf_add(&text, buf_slice(&before));
    int code = ok && add_entries(all, &text, &err) ? write_now(&s, buf_slice(&before), buf_slice(&text)) : fail(&err, EX_DATAERR);
    store_close(&s);
    buf_wipe(&before);
    buf_wipe(&text);
    return code;
}

/* ---- telling */

static void print_json(const struct all *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->n; i++) json_array_append_new(list, dkim_key_json(&all->items[i].o, &all->items[i].key));
    cli_print_json(list);
    json_decref(list);
}

static void print(const struct all *all, const char *file, bool written)
{
    struct buf lines = { 0 };
    for (size_t i = 0; i < all->n; i++) {
        dkim_print_key(&all->items[i].o, &all->items[i].key, false);
        putchar('\n');
        buf_add_str(&lines, "    - ");
        dkim_add_entry(all->items[i].o.domain, &all->items[i].key, false, &lines);
        buf_add_char(&lines, '\n');
    }
    if (written) printf("Written into %s. ", file);
    else printf("For the configuration:\n\ndkim:\n  keys:\n%s\n", buf_cstr(&lines));
    printf("They do not sign yet: publish the records, see that `postern dkim check DOMAIN` finds them, remove\n"
           "`enabled: no`, and run `postern reload`.\n");
    buf_deinit(&lines);
}

int dkim_all(const struct dkim_options_cli *o, const struct dkim_place *place, const struct config *c)
{
    const char *file = o->config_file ? o->config_file : CLI_DEFAULT_CONFIG;
    struct all all = { 0 };
    struct err err;
    int code = make(o, place, c, &all, &err) ? 0 : fail(&err, EX_CANTCREAT), writing = 0;
    bool write = all.n && o->write; /* those that were made, whatever came after them */
    if (write) writing = write_entries(&all, file);
    if (!code) code = writing;
    if (o->json) print_json(&all);
    else if (all.n) print(&all, file, write && !writing);
    else if (!code) printf("%s: each of the %zu relay domains has a key\n", file, c->domain_n);
    for (size_t i = 0; i < all.n; i++) dkim_key_free(&all.items[i].key.key);
    free(all.items);
    return code;
}
