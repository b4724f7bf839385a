/* SPDX-License-Identifier: Apache-2.0
 * What the checks of content share: the header, edits, and what becomes of a message in which something was found. */
#include "policy/content_look.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "message/encode.h"
#include "policy/pipeline.h"

#define FIRST_READ 8192   /* bytes: most headers are in it */
#define VALUE_MAX 800     /* bytes of a field of ours */
#define SUBJECTS_MAX 8    /* that are marked */

struct content_look *check_look(struct check_call *c)
{
    if (!c->run->look) c->run->look = arena_alloc(check_arena(c), sizeof *c->run->look);
    return c->run->look;
}

const struct report *check_report(struct check_call *c)
{
    const struct report *r = check_look(c)->report;
    if (r && !r->crashed) return r;
    check_skip(c, r ? "it could not be looked into" : "nobody has looked into it");
    return NULL;
}

/* ---- the header */

static bool read_header(struct check_call *c, struct content_look *l, uint64_t most)
{
    size_t n = (size_t)(l->share.size < most ? l->share.size : most);
    char *room = mem_alloc(n + 1);
    struct edit_header *h = arena_alloc(check_arena(c), sizeof *h);
    bool ok = io_read_at(l->share.fd, room, n, l->share.offset) == n && edit_header_read(h, slice_of(room, n), l->share.size, check_arena(c));
    free(room);
    if (ok) l->header = h;
    return ok;
}

const struct edit_header *check_header(struct check_call *c)
{
    struct content_look *l = check_look(c);
    if (!l->header && !l->header_failed)
        l->header_failed = !l->share.size || (!read_header(c, l, FIRST_READ) &&
                                              !read_header(c, l, check_engine(c)->config->limits.header_size + 2));
    return l->header;
}

/* ---- edits */

bool check_apply_edits(struct check_call *c, const struct edits *e)
{
    return policy_outcome_add_cuts(c->run, e->cuts, e->n, check_look(c)->share.size);
}

bool check_strip(struct check_call *c, const struct slice *why)
{
    char id[ID_TEXT_LEN + 1];
    const struct edit_header *h = check_header(c);
    struct edits *e = arena_alloc(check_arena(c), sizeof *e);
    const struct config *config = check_engine(c)->config;
    struct edit_notes notes = { config->hostname, id, { check_engine(c)->templates, (enum template_language)config->notices.language }, why };
    id_format(check_facts(c)->id, id);
    return h && edits_strip(e, h, check_look(c)->report, check_look(c)->share.size, &notes, check_arena(c)) && check_apply_edits(c, e);
}

/* What is put in there already; *over: the edit that takes the field's place. */
static struct slice put_at(struct check_call *c, uint64_t at, const struct envelope_cut **over)
{
    const struct content_outcome *o = policy_outcome(c->run);
    struct buf b = { 0 };
    *over = NULL;
    for (uint32_t i = 0; i < o->cut_n; i++) {
        const struct envelope_cut *e = &o->cuts[i];
        if (e->at < at && at < e->at + e->n) *over = e;
        else if (e->at == at && !e->n) buf_add(&b, e->with);
    }
    return buf_keep(&b, check_arena(c));
}

/* False: an edit takes the field away. */
static bool tag_field(struct check_call *c, const struct edit_header *h, uint64_t at, struct slice prefix)
{
    const struct envelope_cut *over;
    struct slice before = put_at(c, at, &over), text = over ? over->with : h->bytes, with;
    uint64_t in = over ? edit_subject_in(text) : at;
    if (!in) return false;
    with = edit_subject_prefix(text, in, before, prefix, check_arena(c));
    (void)policy_outcome_tag_subject(c->run, at, with, check_look(c)->share.size);
    return true;
}

/* All of several: nobody knows which one a reader is shown. */
void check_tag_subject(struct check_call *c, struct slice prefix)
{
    const struct edit_header *h = check_header(c);
    const struct report *r = check_look(c)->report;
    struct slice shown = slice_trim(prefix);
    unsigned n = 0;
    if (!h || !shown.n || (r && slice_istarts(r->subject, shown))) return; /* it has been here before */
    for (size_t i = 0; i < h->field_n && n < SUBJECTS_MAX; i++) {
        const struct edit_field *f = &h->fields[i];
        if (!slice_ieq(f->name, SLICE("Subject"))) continue;
        size_t at = (size_t)(f->value.p - h->bytes.p);
        while (at < h->bytes.n && (h->bytes.p[at] == ' ' || h->bytes.p[at] == '\t')) at++;
        n += tag_field(c, h, at, prefix);
    }
    if (!n)
        (void)policy_outcome_tag_subject(c->run, edit_subject_at(h), edit_subject_prefix(SLICE(""), 0, SLICE(""), prefix, check_arena(c)),
                                         check_look(c)->share.size);
}

const char *check_ascii(struct check_call *c, const char *text)
{
    struct buf b = { 0 };
    encode_masked(slice_str(text), &b);
    text = arena_strdup(check_arena(c), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

/* ---- the quarantine */

/* The parts that say something. */
static void drop_dull_parts(json_t *all)
{
    for (size_t i = json_array_size(all); i--;) {
        const json_t *p = json_array_get(all, i);
        if (!json_object_get(p, "blocked") && !json_object_get(p, "names") && !json_object_get(p, "name")) json_array_remove(all, i);
    }
}

/* From the end, until all fits in n: each is written once to see what it takes, as this is done on the loop. */
static size_t drop_last(json_t *o, const char *key, size_t n)
{
    json_t *all = json_object_get(o, key);
    while (n > OUTCOME_FINDINGS_MAX && json_array_size(all)) {
        size_t last = json_array_size(all) - 1, takes = json_dumpb(json_array_get(all, last), NULL, 0, JSON_COMPACT) + (last > 0);
        n -= takes < n ? takes : n;
        json_array_remove(all, last);
    }
    return n;
}

void check_tell_quarantine(struct check_call *c)
{
    const struct report *r = check_look(c)->report;
    static const char *const keys[] = { "parts", "symbols", "actions", "scanners", "viruses" };
    char text[OUTCOME_FINDINGS_MAX + 1];
    size_t n;
    if (!r) return;
    json_t *o = report_to_json(r);
    drop_dull_parts(json_object_get(o, "parts"));
    json_object_del(o, "edits");
    json_object_del(o, "prepend");
    n = json_dumpb(o, NULL, 0, JSON_COMPACT);
    for (size_t i = 0; i < countof(keys); i++) n = drop_last(o, keys[i], n);
    if (n > OUTCOME_FINDINGS_MAX) json_object_clear(o);
    n = json_dumpb(o, text, OUTCOME_FINDINGS_MAX, JSON_COMPACT);
    (void)policy_outcome_set_findings(c->run, slice_of(text, n), r->score);
    json_decref(o);
}

void check_put_aside(struct check_call *c, enum envelope_quarantine kind, struct config_place place, const char *why)
{
    check_tell_quarantine(c);
    check_quarantine(c, kind, place, "%s", why);
}

/* ---- what is done about it */

static void add_field(struct check_call *c, const char *name, const char *value)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s: ", name);
    struct buf v = { 0 };
    buf_add_printable(&v, slice_str(value), VALUE_MAX);
    encode_masked(buf_slice(&v), &b);
    buf_add_str(&b, "\r\n");
    (void)policy_outcome_add_prepend(c->run, buf_slice(&b));
    buf_deinit(&v);
    buf_deinit(&b);
}

void check_handle(struct check_call *c, const struct content_handling *h)
{
    policy_outcome_notify_all(c->run, h->reason, h->notify, slice_str(h->what));
    switch (h->action) {
    case CONFIG_HANDLE_QUARANTINE: check_put_aside(c, h->kind, h->place, h->what); break;
    case CONFIG_HANDLE_DISCARD: check_discard(c, h->place, "%s", h->what); break;
    case CONFIG_HANDLE_REDIRECT:
        add_field(c, h->field, h->what);
        if (policy_outcome_redirect(c->run, slice_str(h->address))) check_pass_by(c, h->place, "%s: it goes to %s instead", h->what, h->address);
        else check_put_aside(c, h->kind, h->place, h->what); /* it goes elsewhere already, where nobody expects this */
        break;
    case CONFIG_HANDLE_PASS:
    case CONFIG_HANDLE_MARK:
        add_field(c, h->field, h->what);
        check_pass_by(c, h->place, "%s: let through", h->what);
        break;
    case CONFIG_HANDLE_REJECT:
    case CONFIG_HANDLE_STRIP: check_refuse(c, 550, "5.7.1", h->place, check_ascii(c, h->text), "%s", h->what); break;
    }
}
