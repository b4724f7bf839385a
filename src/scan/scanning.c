/* SPDX-License-Identifier: Apache-2.0
 * One message from its bytes to its report: taken apart, attachments, viruses, spam, milters, rules. */
#include "scan/scanning.h"
#include <stdlib.h>
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/public_suffix.h"
#include "config/tables.h"
#include "content/scan.h"
#include "content/unpack.h"
#include "content/wire.h"
#include "scan/parts.h"

#define FRAME_ROOM 8192 /* for what a frame has beside the view */
#define TABLES_ROOM ((size_t)256 << 20)

/* ---- what is kept */

static bool open_scanners(struct scanning *s, struct err *err)
{
    const struct config *c = s->config;
    s->scanners = mem_zalloc((c->scanner_n + 1) * sizeof *s->scanners);
    for (size_t i = 0; i < c->scanner_n; i++) {
        if (!c->scanners[i].enabled) continue;
        err->text[0] = 0;
        s->scanners[i] = scanner_open(&c->scanners[i], s->directory, err);
        if (!s->scanners[i] && err->text[0]) return false;
    }
    return true;
}

static bool read_lists(struct scanning *s, const struct tables *tables, struct err *err)
{
    const struct config_spam *c = &s->config->spam;
    s->exempt = list_new(&c->exempt_clients, LIST_OF_CLIENTS, tables, err);
    s->always_spam = s->exempt ? list_new(&c->always_spam, LIST_OF_ADDRESSES, tables, err) : NULL;
    s->never_spam = s->always_spam ? list_new(&c->never_spam, LIST_OF_ADDRESSES, tables, err) : NULL;
    return s->never_spam != NULL;
}

static bool read_rules(struct scanning *s, const struct tables *tables, struct err *err)
{
    if (!s->config->header_check_n && !s->config->rule_n) return true;
    s->rules = rules_new(s->config, tables, err);
    return s->rules != NULL;
}

/* All that is read has found its table by now. */
static bool read_tables(struct scanning *s, struct err *err)
{
    s->tables = tables_new(s->config, err);
    if (!s->tables || !read_lists(s, s->tables, err) || !read_rules(s, s->tables, err)) return false;
    tables_forget_unused(s->tables);
    return true;
}

struct scanning *scanning_new(const struct config *c, const char *directory, struct err *err)
{
    struct scanning *s = mem_new(struct scanning);
    s->config = c;
    s->directory = directory ? mem_strdup(directory) : NULL;
    s->suffixes = public_suffix_load();
    s->unpacks = unpack_init(err);
    if (!s->unpacks || !read_tables(s, err) || !open_scanners(s, err)) scanning_free(&s);
    return s;
}

/* Spam need not be looked for where a classifier is only trained. */
static bool classifies(const struct scanning *s)
{
    const struct config_spam *c = &s->config->spam;
    return s->directory && c->bayes.enabled && (c->enabled || c->bayes.spam_address || c->bayes.ham_address);
}

/* Without its table there is no classifier, but all the rest. */
static bool start_engine(struct scanning *s, struct err *err)
{
    struct spam_options o = { .config = &s->config->spam, .directory = classifies(s) ? s->directory : NULL,
                              .dns = s->dns ? scan_dns_ask : NULL, .dns_arg = s->dns };
    s->spam = spam_engine_new(&o, err);
    if (s->spam || !o.directory) return s->spam != NULL;
    struct err why = *err;
    o.directory = NULL;
    s->spam = spam_engine_new(&o, err);
    if (!s->spam) return false;  /* it was not the table */
    s->trouble = mem_strdup(why.text);
    return true;
}

bool scanning_start(struct scanning *s, struct err *err)
{
    const struct config_spam *c = &s->config->spam;
    if (!(c->enabled && c->builtin) && !classifies(s)) return true;
    if (c->enabled && c->builtin && c->dns && c->uri_list_n) {
        s->dns = scan_dns_new(s->config, err);
        if (!s->dns) return false;
    }
    return start_engine(s, err);
}

const char *scanning_trouble(const struct scanning *s) { return s->trouble; }

void scanning_free(struct scanning **sp)
{
    struct scanning *s = *sp;
    *sp = NULL;
    if (!s) return;
    for (size_t i = 0; s->scanners && i < s->config->scanner_n; i++) scanner_close(&s->scanners[i]);
    spam_engine_free(s->spam);
    scan_dns_free(s->dns);
    rules_free(s->rules);
    list_free(s->exempt);
    list_free(s->always_spam);
    list_free(s->never_spam);
    tables_free(s->tables);
    public_suffix_free(s->suffixes);
    if (s->unpacks) unpack_deinit();
    free(s->scanners);
    free(s->directory);
    free(s->trouble);
    free(s);
}

void scanning_poll(struct scanning *s)
{
    if (tables_count(s->tables)) tables_poll(s->tables);
}

size_t scanning_tables_room(const struct scanning *s) { return tables_count(s->tables) ? 2 * tables_size(s->tables) + TABLES_ROOM : 0; }

bool scanning_check(const struct config *c, const struct tables *tables, struct err *err)
{
    struct scanning *s = mem_new(struct scanning);
    s->config = c;
    bool ok = read_lists(s, tables, err) && read_rules(s, tables, err);
    if (ok && c->spam.enabled && c->spam.builtin) {
        s->spam = spam_engine_new(&(struct spam_options){ .config = &c->spam }, err);
        ok = s->spam != NULL;
    }
    scanning_free(&s);
    return ok;
}

/* ---- one message */

static void read_message(const struct scanning *s, struct slice bytes, struct content_message *out, struct arena *arena)
{
    content_message_read(out, bytes, &s->config->scan, s->suffixes, arena);
}

void scanning_run(struct scanning *s, struct slice bytes, const struct scan_context *context, struct arena *arena, struct report *out)
{
    uint64_t start = clock_mono_us();
    struct content_message *m = arena_alloc(arena, sizeof *m);
    struct scan_run r = { .s = s, .config = s->config, .message = m, .context = context, .report = out, .arena = arena,
                          .deadline = start / 1000 + s->config->scan.timeout };
    *out = (struct report){ 0 };
    s->settle.message = NULL;
    read_message(s, bytes, m, arena);
    scan_tell_parts(&r);
    scan_viruses(&r);
    bool over = out->virus_n && s->config->virus.action != CONFIG_HANDLE_PASS;
    if (!over) scan_judge(&r);
    if (!over) scan_milters(&r);
    if (s->rules) rules_apply(s->rules, m, context, out, arena);
    out->us = (uint32_t)(clock_mono_us() - start);
}

void scanning_settle(struct scanning *s)
{
    struct err err;
    const struct content_message *m = s->settle.message;
    s->settle.message = NULL;
    if (m && !spam_learn(s->spam, m, s->settle.as, &err)) log_event(LOG_WARNING, "learn-failed", LOG_ERR(&err));
}

bool scanning_learn(struct scanning *s, struct slice bytes, struct slice as, struct arena *arena, struct err *err)
{
    struct content_message *m = arena_alloc(arena, sizeof *m);
    enum spam_learn what = slice_eq(as, SLICE("spam"))  ? SPAM_LEARN_SPAM
                           : slice_eq(as, SLICE("ham")) ? SPAM_LEARN_HAM
                                                        : SPAM_FORGET;
    if (what == SPAM_FORGET && !slice_eq(as, SLICE("forget"))) return err_set(err, "learnt is as spam, as ham, or forgotten");
    if (s->trouble) return err_set(err, "there is no classifier: %s", s->trouble);
    if (!s->spam || !s->config->spam.bayes.enabled) return err_set(err, "the classifier is off: spam.enabled, spam.bayes.enabled");
    read_message(s, bytes, m, arena);
    if (!m->field_n) return err_set(err, "this is no message: it has no header");
    return spam_learn(s->spam, m, what, err);
}

/* ---- for people's eyes */

static json_t *view_headers(const struct content_message *m)
{
    json_t *all = json_array();
    size_t room = SCAN_VIEW_HEADERS_MAX;
    for (size_t i = 0; i < m->field_n; i++) {
        const struct content_field *f = &m->fields[i];
        if (f->name.n + f->value.n > room) break;
        json_t *name = wire_clean_text(f->name, room), *value = wire_clean_text(f->value, room); /* a byte may become three */
        size_t n = json_string_length(name) + json_string_length(value);
        room -= n < room ? n : room;
        json_array_append_new(all, json_pack("[o, o]", name, value));
    }
    return all;
}

static json_t *view_links(const struct content_message *m)
{
    json_t *all = json_array();
    for (size_t i = 0; i < m->link_n && i < SCAN_VIEW_LINKS_MAX; i++) {
        json_t *o = json_object();
        wire_put_text(o, "url", m->links[i].url, 500);
        wire_put_text(o, "host", m->links[i].host, 255);
        wire_put_text(o, "shown", m->links[i].shown, 200);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *view_parts(json_t *parts)
{
    while (json_array_size(parts) > SCAN_VIEW_PARTS_MAX) json_array_remove(parts, json_array_size(parts) - 1);
    return parts;
}

json_t *scanning_view(const struct scanning *s, struct slice bytes, struct arena *arena)
{
    struct content_message *m = arena_alloc(arena, sizeof *m);
    struct scan_context nobody = { .allowed = true };
    struct report report = { 0 };
    struct scan_run r = { .s = (struct scanning *)s, .config = s->config, .message = m, .context = &nobody, .report = &report, .arena = arena };
    read_message(s, bytes, m, arena);
    scan_tell_parts(&r);
    json_t *told = report_to_json(&report), *view = json_object();
    json_object_set_new(view, "headers", view_headers(m));
    json_object_set_new(view, "text", wire_clean_lines(m->text, SCAN_VIEW_TEXT_MAX));
    json_object_set(view, "parts", view_parts(json_object_get(told, "parts")));
    json_object_set_new(view, "links", view_links(m));
    json_decref(told);
    if (json_dumpb(view, NULL, 0, JSON_COMPACT) > CHANNEL_FRAME_MAX - FRAME_ROOM) /* much of it needs escapes */
        json_object_set_new(view, "text", wire_clean_lines(m->text, SCAN_VIEW_TEXT_MAX / 4));
    return view;
}
