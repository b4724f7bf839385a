/* SPDX-License-Identifier: Apache-2.0
 * postern dkim rotate: tells from the configuration, the key files and the DNS how far the change of a key has come, and does or says
 * what is next. Nothing is remembered elsewhere:
 *
 *     a newer key file beside the one in use, its record not published   -> publish it                      "waiting"
 *     one that is published                                              -> put it in use                   "switch"
 *     older key files beside the one in use                              -> take record and file away       "retire"
 *     none of these                                                      -> the next key is made            "prepared" */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/dkim.h"

struct rotation {
    const struct dkim_options_cli *o;
    struct auth_world *world;    /* NULL until something is looked up */
    const struct dkim_named_key *current;
    struct dkim_named_keys files;
    json_t *json;                /* NULL: words */
};

static const struct dkim_named_key *find(const struct dkim_named_keys *keys, const char *selector)
{
    for (size_t i = 0; i < keys->n; i++)
        if (slice_ieq(slice_str(keys->items[i].selector), slice_str(selector))) return &keys->items[i];
    return NULL;
}

/* The newest key in use, of the type that is to be changed (the first one's, unless it is said). */
static const struct dkim_named_key *current_of(const struct dkim_options_cli *o, const struct dkim_named_keys *all)
{
    const struct dkim_named_key *found = NULL;
    size_t first = 0;
    while (first < all->n && all->items[first].waits) first++;
    if (first == all->n) return NULL;
    enum dkim_key_type type = o->type ? o->key_type : dkim_key_type(all->items[first].key);
    for (size_t i = first; i < all->n; i++) {
        const struct dkim_named_key *k = &all->items[i];
        if (!k->waits && dkim_key_type(k->key) == type && (!found || dkim_file_newer(k, found))) found = k;
    }
    return found;
}

/* 0 or an exit code. */
static int look(struct rotation *r, const struct dkim_named_key *k, struct dkim_finding *f)
{
    int code = 0;
    if (!r->world) r->world = dkim_world_new(r->o, &code);
    if (r->world) dkim_published_check(r->world, r->o->domain, k, f);
    return code;
}

static void add_step(struct rotation *r, const char *step, const struct dkim_named_key *k, const struct dkim_finding *f)
{
    json_t *one = f ? dkim_finding_json(r->o, k, f) : dkim_key_json(r->o, k);
    json_object_set_new(one, "step", json_string(step));
    json_array_append_new(r->json, one);
}

static int prepare(struct rotation *r, const struct dkim_place *place, const struct dkim_named_keys *all)
{
    struct dkim_options_cli o = *r->o;
    struct dkim_named_key key;
    struct err err;
    o.key_type = dkim_key_type(r->current->key);
    o.selector = NULL; /* that of --key */
    if (!o.bits && o.key_type == DKIM_RSA && dkim_key_bits(r->current->key) > 2048) o.bits = dkim_key_bits(r->current->key);
    struct dkim_wish wish = dkim_wish_of(&o);
    if (!dkim_file_new(&wish, place, all, &key, &err)) {
        fprintf(stderr, "postern dkim: %s\n", err.text);
        return EX_CANTCREAT;
    }
    if (r->json) add_step(r, "prepared", &key, NULL);
    else {
        printf("prepared %s: publish its record, then run this again\n\n", key.selector);
        dkim_print_key(&o, &key, false);
    }
    dkim_key_free(&key.key);
    return 0;
}

static void print_switch(struct rotation *r, const struct dkim_named_key *next)
{
    struct buf lines = { 0 };
    dkim_add_lines(r->o, &next, 1, &lines);
    printf("switch from %s to %s: its record is published. In the configuration put it in the place of the other, then\n"
           "`postern reload`:\n\n%s\n"
           "Leave the record of %s published for a week: mail on its way is still judged by it. Then run this again.\n",
           r->current->selector, next->selector, buf_cstr(&lines), r->current->selector);
    buf_deinit(&lines);
}

/* A key that is prepared. */
static int go_on(struct rotation *r, const struct dkim_named_key *next)
{
    struct dkim_finding f = { 0 };
    int code = look(r, next, &f);
    if (code) return code;
    bool ready = f.state == DKIM_PUBLISHED;
    if (r->json) add_step(r, ready ? "switch" : "waiting", next, &f);
    else if (ready) print_switch(r, next);
    else {
        printf("waiting for the record of %s\n", next->selector);
        dkim_print_finding(r->o, next, &f);
        putchar('\n');
        dkim_print_key(r->o, next, false);
    }
    dkim_finding_deinit(&f);
    return ready ? 0 : EX_TEMPFAIL;
}

/* One that was in use before. */
static int retire(struct rotation *r, const struct dkim_named_key *old)
{
    struct dkim_finding f = { 0 };
    int code = look(r, old, &f);
    if (code) return code;
    if (r->json) add_step(r, "retire", old, &f);
    else if (f.state == DKIM_PUBLISHED)
        printf("retire %s: a week after the switch remove its record %s._domainkey.%s, or empty its p=; then delete %s\n", old->selector,
               old->selector, r->o->domain, old->file);
    else if (f.state == DKIM_UNANSWERED) dkim_print_finding(r->o, old, &f);
    else printf("retire %s: its key is not published any more; delete %s\n", old->selector, old->file);
    dkim_finding_deinit(&f);
    return 0;
}

/* Key files that the configuration does not sign with, those that it names among them. */
static size_t idle_keys(const struct rotation *r, const struct dkim_named_keys *all, const struct dkim_named_key *out[2 * DKIM_KEYS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].waits) out[n++] = &all->items[i];
    for (size_t i = 0; i < r->files.n; i++)
        if (!find(all, r->files.items[i].selector)) out[n++] = &r->files.items[i];
    return n;
}

static int turn(struct rotation *r, const struct dkim_place *place, const struct dkim_named_keys *all)
{
    const struct dkim_named_key *next = NULL, *idle[2 * DKIM_KEYS_MAX];
    size_t n = idle_keys(r, all, idle);
    bool retiring = false;
    int code = 0;
    for (size_t i = 0; i < n; i++) {
        const struct dkim_named_key *k = idle[i];
        if (dkim_key_type(k->key) != dkim_key_type(r->current->key)) continue;
        if (dkim_file_newer(k, r->current)) {
            if (!next || dkim_file_newer(k, next)) next = k;
            continue;
        }
        retiring = true;
        code = code ? code : retire(r, k);
    }
    if (code) return code;
    if (next) return go_on(r, next);
    return retiring ? 0 : prepare(r, place, all);
}

static void pass_over(const struct err *err) { fprintf(stderr, "postern dkim: passed over: %s\n", err->text); }

int dkim_rotate(const struct dkim_options_cli *o, const struct dkim_place *place, const struct dkim_named_keys *current)
{
    struct rotation *r = mem_new(struct rotation);
    *r = (struct rotation){ .o = o, .current = current_of(o, current), .json = o->json ? json_array() : NULL };
    int code = EX_DATAERR;
    if (!r->current)
        fprintf(stderr, "postern dkim: the configuration has no %skey for %s: `postern dkim new %s` makes one\n",
                o->type ? "such " : "", o->domain, o->domain);
    else {
        dkim_files_list(place->directory, o->domain, pass_over, &r->files);
        code = turn(r, place, current);
        if (r->json) cli_print_json(r->json);
    }
    json_decref(r->json);
    dkim_named_keys_deinit(&r->files);
    auth_world_free(&r->world);
    free(r);
    return code;
}
