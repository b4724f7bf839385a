/* SPDX-License-Identifier: Apache-2.0
 * Of an explanation: what becomes of each recipient, who gets copies, and which way each of them goes. */
#include "policy/explain_rewriting.h"
#include <stdlib.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "content/wire.h"
#include "delivery/queue.h"
#include "policy/pipeline.h"
#include "route/expand.h"
#include "route/rewrite.h"
#include "route/route.h"

#define ADDRESS_SHOWN 320

static const char *const status_names[] = {
    [EXPAND_SAME] = "same", [EXPAND_DONE] = "done",         [EXPAND_LATER] = "later",
    [EXPAND_LOOP] = "loop", [EXPAND_TOO_MANY] = "too-many", [EXPAND_BROKEN] = "broken",
    [EXPAND_DEEP] = "too-deep", [EXPAND_NOBODY] = "nobody",
};

/* ---- ways */

static void add_ip(json_t *o, const char *key, const struct ip *ip)
{
    struct buf b = { 0 };
    if (!ip->family) return;
    ip_add(&b, ip);
    json_object_set_new(o, key, json_stringn(b.p, b.n));
    buf_deinit(&b);
}

/* The sender the next server sees, when it is another one. */
static void add_sender(json_t *o, const struct policy_run *run, const struct route_hop *hop, unsigned marks)
{
    const struct policy_engine_options *e = &run->engine->o;
    struct buf b = { 0 };
    if ((hop->rewrite_sender || marks & MARK_FORWARDED) && rewriter_wrap(e->rewriter, run->facts.sender, clock_wall_ms(), &b))
        json_object_set_new(o, "sender", wire_clean_text(buf_slice(&b), ADDRESS_SHOWN));
    buf_deinit(&b);
}

static json_t *way(const struct policy_run *run, struct slice rcpt, unsigned marks)
{
    struct route_hop hop;
    struct err err;
    json_t *o = json_pack("{s:o}", "recipient", wire_clean_text(rcpt, ADDRESS_SHOWN));
    if (marks & MARK_FORWARDED) json_object_set_new(o, "forwarded", json_true());
    if (!run->engine->o.queue) return o;
    if (!queue_route(run->engine->o.queue, policy_sender_decides(run) ? run->facts.sender : SLICE(""), rcpt, &hop, &err)) {
        json_object_set_new(o, "error", wire_clean_text(slice_str(err.text), sizeof err.text));
        return o;
    }
    json_object_set_new(o, "next_hop", json_string(hop.key));
    json_object_set_new(o, "route", json_string(hop.why));
    if (hop.place.line) json_object_set_new(o, "line", json_integer(hop.place.line));
    add_ip(o, "source4", &hop.source4);
    add_ip(o, "source6", &hop.source6);
    if (hop.source_place.line) json_object_set_new(o, "source_line", json_integer(hop.source_place.line));
    add_sender(o, run, &hop, marks);
    return o;
}

/* ---- recipients */

/* From now on it is not; for copies. */
static bool is_new(struct explain_told *told, struct slice rcpt)
{
    json_t *text = wire_clean_text(rcpt, ADDRESS_SHOWN);
    char *key = mem_strdup(json_string_value(text));
    json_decref(text);
    for (char *p = key; *p; p++) *p = ascii_lower(*p);
    bool is = !json_object_get(told->seen, key);
    if (is) json_object_set_new(told->seen, key, json_true());
    free(key);
    return is;
}

static void add_targets(const struct policy_run *run, const struct expand_result *r, struct slice rcpt, struct explain_told *told, json_t *o)
{
    json_t *to = json_array();
    size_t more = 0;
    if (r->status == EXPAND_SAME) {
        (void)is_new(told, rcpt);
        json_array_append_new(to, way(run, rcpt, 0));
    }
    for (uint32_t i = 0; i < r->to_n; i++) {
        (void)is_new(told, r->to[i].address);
        if (!told->room) {
            more++;
            continue;
        }
        told->room--;
        json_array_append_new(to, way(run, r->to[i].address, r->to[i].marks));
    }
    if (more) json_object_set_new(o, "more", json_integer((json_int_t)more));
    json_object_set_new(o, "to", to);
}

void explain_rewriting(const struct policy_run *run, struct slice rcpt, bool refused, struct explain_told *told, json_t *o)
{
    const struct relay_verdict *v = policy_relay_verdict(run);
    struct arena arena = { 0 };
    struct expand_result r;
    if (v && v->rewritten) rcpt = slice_str(v->original);
    expand(policy_expander(run_policy(run)), rcpt, &arena, &r);
    if (r.status != EXPAND_SAME) {
        json_t *rewriting = json_pack("{s:s, s:o}", "status", status_names[r.status], "steps", wire_clean_text(r.steps, r.steps.n));
        if (r.place.line) json_object_set_new(rewriting, "line", json_integer(r.place.line));
        json_object_set_new(o, "rewriting", rewriting);
    }
    if (!refused) add_targets(run, &r, rcpt, told, o);
    arena_deinit(&arena);
}

/* ---- copies: their addresses may be aliases, too */

static void add_copy(const struct policy_run *run, struct slice to, struct config_place place, struct explain_told *told, json_t *copies)
{
    const struct expander *x = policy_expander(run_policy(run));
    if (!told->room || !is_new(told, to)) return;
    told->room--;
    json_t *one = way(run, to, expand_is_outside(x, to) ? MARK_FORWARDED : 0);
    if (place.line) json_object_set_new(one, "copy_line", json_integer(place.line));
    json_array_append_new(copies, one);
}

json_t *explain_copies(const struct policy_run *run, const struct slice *rcpts, uint32_t n, struct explain_told *told)
{
    const struct expander *x = policy_expander(run_policy(run));
    struct expand_copies m = { .sender = run->facts.sender, .rcpts = rcpts, .rcpt_n = n, .outgoing = policy_is_outgoing(run) };
    struct arena arena = { 0 };
    struct expand_copy *all;
    json_t *copies = json_array();
    size_t count = n ? expand_copies(x, &m, &arena, &all) : 0;
    for (size_t i = 0; i < count; i++) {
        struct expand_result r;
        expand(x, all[i].address, &arena, &r);
        for (uint32_t k = 0; k < r.to_n; k++) add_copy(run, r.to[k].address, all[i].place, told, copies);
        if (!r.to_n) add_copy(run, all[i].address, all[i].place, told, copies);
    }
    arena_deinit(&arena);
    return copies;
}
