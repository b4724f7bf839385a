/* SPDX-License-Identifier: Apache-2.0
 * Rows of the history: compared with what is asked, and told. */
#include <stdlib.h>
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/query_int.h"
#include "store/trace.h"

#define EVENTS_MAX 500
#define RCPTS_SHOWN 5         /* in a list */

/* ---- rows as JSON */

static void set_text(struct query *q, json_t *o, const char *key, struct slice s)
{
    struct buf shown = { 0 };
    if (!s.n) return;
    buf_add_printable(&shown, s, s.n);
    q->bytes += shown.n + 20;
    json_object_set_new(o, key, json_stringn(shown.p, shown.n));
    buf_deinit(&shown);
}

static void set_number(json_t *o, const char *key, uint64_t v)
{
    if (v) json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void set_id(json_t *o, const char *key, uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    if (!id) return;
    id_format(id, text);
    json_object_set_new(o, key, json_string(text));
}

static void set_trace(struct query *q, json_t *o, struct slice trace)
{
    struct buf text = { 0 };
    if (!trace.n || q->bytes > QUERY_BYTES_MAX) return;
    base64_add(&text, trace);
    q->bytes += text.n;
    json_object_set_new(o, "trace", json_stringn(text.p, text.n));
    buf_deinit(&text);
}

static void append(struct query *q, json_t *list, struct slice one)
{
    struct buf shown = { 0 };
    if (!one.n || (!q->one && json_array_size(list) >= RCPTS_SHOWN)) return;
    buf_add_printable(&shown, one, one.n);
    q->bytes += shown.n + 3;
    json_array_append_new(list, json_stringn(shown.p, shown.n));
    buf_deinit(&shown);
}

/* "recipients"; "given": what the client wrote, where that became others; "copies": those of the recipients that are there for a copy. */
static void set_rcpts(struct query *q, json_t *o, struct slice all)
{
    json_t *list = json_array(), *given = json_array(), *copies = json_array();
    struct slice tail, one;
    while (all.n) {
        slice_cut(&all, '\n', &tail);
        slice_cut(&tail, '\t', &one);
        append(q, list, one);
        if (slice_eq(tail, SLICE(HISTORY_COPY))) append(q, copies, one);
        else append(q, given, tail);
    }
    json_object_set_new(o, "recipients", list);
    if (json_array_size(given)) json_object_set(o, "given", given);
    if (json_array_size(copies)) json_object_set(o, "copies", copies);
    json_decref(given);
    json_decref(copies);
}

static void set_rcpt(struct query *q, json_t *o, struct slice tail)
{
    struct slice one;
    slice_cut(&tail, '\t', &one);
    set_text(q, o, "recipient", one);
    if (slice_eq(tail, SLICE(HISTORY_COPY))) json_object_set_new(o, "copy", json_true());
    else set_text(q, o, "for", tail);
}

/* What has become of it by now. */
static const char *state_of(struct db *db, uint64_t kind, uint64_t rcpt_n)
{
    uint64_t delivered = db_number(db, HISTORY_SUMS, SUM_DELIVERED), bounced = db_number(db, HISTORY_SUMS, SUM_BOUNCED);
    uint64_t last = db_number(db, HISTORY_SUMS, SUM_LAST);
    if (kind == HISTORY_REFUSED) return "refused";
    if (last == HISTORY_DELETED) return "deleted";
    if (last == HISTORY_QUARANTINED) return "quarantined";
    if (last == HISTORY_RELEASED) return "released";
    if (last == HISTORY_DISCARDED) return "discarded";
    if (last == HISTORY_HELD) return "held";
    if (delivered + bounced && delivered + bounced >= rcpt_n) return bounced ? "bounced" : "delivered";
    return db_number(db, HISTORY_SUMS, SUM_DEFERRED) ? "deferred" : "queued";
}

static bool has_outcome(struct db *db, int outcome, uint64_t kind)
{
    switch (outcome) {
    case HISTORY_ACCEPTED: return kind == HISTORY_ACCEPTED;
    case HISTORY_REFUSED: return kind == HISTORY_REFUSED || db_number(db, HISTORY_SUMS, SUM_REFUSED);
    case HISTORY_DELIVERED: return db_number(db, HISTORY_SUMS, SUM_DELIVERED) > 0;
    case HISTORY_DEFERRED: return db_number(db, HISTORY_SUMS, SUM_DEFERRED) > 0;
    case HISTORY_BOUNCED: return db_number(db, HISTORY_SUMS, SUM_BOUNCED) > 0;
    case HISTORY_DELETED:
    case HISTORY_QUARANTINED:
    case HISTORY_RELEASED:
    case HISTORY_DISCARDED:
    case HISTORY_HELD:
    case HISTORY_RESUMED: return db_number(db, HISTORY_SUMS, SUM_LAST) == (uint64_t)outcome;
    default: return true;
    }
}

static bool sums(struct db *db, uint64_t id)
{
    db_bind_number(db, HISTORY_SUMS, 1, id);
    return db_step(db, HISTORY_SUMS) == DB_ROW;
}

static json_t *head_json(struct query *q, uint64_t id)
{
    const enum history_statement s = HISTORY_ONE;
    struct db *db = &q->h->db;
    json_t *o = json_object();
    set_id(o, "id", id);
    json_object_set_new(o, "kind", json_string(history_kind_name((unsigned)db_number(db, s, HISTORY_KIND))));
    set_number(o, "time", db_number(db, s, HISTORY_TIME));
    set_id(o, "session", db_number(db, s, HISTORY_SESSION));
    set_text(q, o, "client", db_bytes(db, s, HISTORY_CLIENT));
    set_text(q, o, "helo", db_bytes(db, s, HISTORY_HELO));
    set_text(q, o, "sender", db_bytes(db, s, HISTORY_SENDER));
    set_rcpts(q, o, db_bytes(db, s, HISTORY_RCPTS));
    set_number(o, "recipient_count", db_number(db, s, HISTORY_RCPT_N));
    set_text(q, o, "message_id", db_bytes(db, s, HISTORY_MESSAGE_ID));
    set_text(q, o, "subject", db_bytes(db, s, HISTORY_SUBJECT));
    set_number(o, "size", db_number(db, s, HISTORY_SIZE));
    set_number(o, "code", db_number(db, s, HISTORY_CODE));
    set_text(q, o, "text", db_bytes(db, s, HISTORY_TEXT));
    if (q->one) set_trace(q, o, db_bytes(db, s, HISTORY_TRACE));
    return o;
}

static void add_events(struct query *q, json_t *message)
{
    struct db *db = &q->h->db;
    json_t *events = json_array();
    db_bind_number(db, HISTORY_EVENTS, 1, q->id);
    db_bind_number(db, HISTORY_EVENTS, 2, EVENTS_MAX);
    while (db_step(db, HISTORY_EVENTS) == DB_ROW) {
        json_t *e = json_object();
        json_object_set_new(e, "kind", json_string(history_kind_name((unsigned)db_number(db, HISTORY_EVENTS, EVENT_KIND))));
        set_number(e, "time", db_number(db, HISTORY_EVENTS, EVENT_TIME));
        set_rcpt(q, e, db_bytes(db, HISTORY_EVENTS, EVENT_RCPT));
        set_number(e, "code", db_number(db, HISTORY_EVENTS, EVENT_CODE));
        set_text(q, e, "text", db_bytes(db, HISTORY_EVENTS, EVENT_TEXT));
        set_text(q, e, "host", db_bytes(db, HISTORY_EVENTS, EVENT_HOST));
        set_trace(q, e, db_bytes(db, HISTORY_EVENTS, EVENT_TRACE));
        json_array_append_new(events, e);
        if (q->bytes <= QUERY_BYTES_MAX && json_array_size(events) < EVENTS_MAX) continue;
        json_object_set_new(message, "truncated", json_true());
        db_reset(db, HISTORY_EVENTS);
        break;
    }
    json_object_set_new(message, "events", events);
}

/* Its first row may be forgotten, or was lost: what happened later is shown all the same. */
void rows_find_one(struct query *q)
{
    struct db *db = &q->h->db;
    uint64_t kind = HISTORY_ACCEPTED, rcpt_n = 0;
    db_bind_number(db, HISTORY_ONE, 1, q->id);
    json_t *o = NULL;
    if (db_step(db, HISTORY_ONE) == DB_ROW) {
        kind = db_number(db, HISTORY_ONE, HISTORY_KIND);
        rcpt_n = db_number(db, HISTORY_ONE, HISTORY_RCPT_N);
        o = head_json(q, q->id);
        db_reset(db, HISTORY_ONE);
    } else {
        o = json_object();
        set_id(o, "id", q->id);
    }
    if (sums(db, q->id)) {
        json_object_set_new(o, "state", json_string(state_of(db, kind, rcpt_n)));
        db_reset(db, HISTORY_SUMS);
    }
    add_events(q, o);
    if (json_object_get(o, "kind") || json_array_size(json_object_get(o, "events"))) json_array_append(q->messages, o);
    json_decref(o);
}

/* ---- comparing */

static bool fits_address(const char *pattern, struct slice address)
{
    struct slice p = slice_str(pattern), local = { 0 }, domain = address;
    if (slice_eq(p, SLICE("<>"))) return !address.n;
    for (size_t i = address.n; i > 0 && !local.n; i--) {
        if (address.p[i - 1] != '@') continue;
        local = slice_sub(address, 0, i);
        domain = slice_sub(address, i, address.n);
    }
    if (p.n && p.p[0] == '@') p = slice_sub(p, 1, p.n);
    else if (slice_find(p, '@') >= 0) return slice_ieq(p, address);
    return p.n && p.p[0] == '.' ? slice_iends(domain, p) : slice_ieq(p, domain);
}

static bool fits_one_of(const char *pattern, struct slice rcpts)
{
    struct slice one, tail;
    while (rcpts.n) {
        slice_cut(&rcpts, '\n', &tail);
        slice_cut(&tail, '\t', &one);
        if ((one.n || !tail.n) && fits_address(pattern, one)) return true;
        if (tail.n && fits_address(pattern, tail)) return true; /* HISTORY_COPY is no address, nor a domain of one */
    }
    return false;
}

static bool fits_head(const struct query *q)
{
    struct db *db = &q->h->db;
    uint64_t time = db_number(db, HISTORY_ONE, HISTORY_TIME);
    struct ip ip;
    if (time < q->since || time > q->until) return false;
    if (q->kind >= 0 && (int)db_number(db, HISTORY_ONE, HISTORY_KIND) != q->kind) return false;
    if (q->has_client &&
        (!ip_parse(db_bytes(db, HISTORY_ONE, HISTORY_CLIENT), &ip) || !ip_net_has(&q->client, &ip))) return false;
    struct slice sender = db_bytes(db, HISTORY_ONE, HISTORY_SENDER), rcpts = db_bytes(db, HISTORY_ONE, HISTORY_RCPTS);
    if (q->sender && !fits_address(q->sender, sender)) return false;
    if (q->recipient && !fits_one_of(q->recipient, rcpts)) return false;
    if (q->address && !fits_address(q->address, sender) && !fits_one_of(q->address, rcpts)) return false;
    if (q->message_id && !slice_ihas(db_bytes(db, HISTORY_ONE, HISTORY_MESSAGE_ID), slice_str(q->message_id))) return false;
    return !q->subject || slice_ihas(db_bytes(db, HISTORY_ONE, HISTORY_SUBJECT), slice_str(q->subject));
}

static bool fits_outcome(struct query *q, uint64_t id, uint64_t kind)
{
    struct db *db = &q->h->db;
    if (q->outcome < 0) return true;
    if (q->outcome == HISTORY_ACCEPTED) return kind == HISTORY_ACCEPTED;
    if (!sums(db, id)) return false;
    bool fits = has_outcome(db, q->outcome, kind);
    db_reset(db, HISTORY_SUMS);
    return fits;
}

/* Of the first row: what was answered, or what a check found in the way. */
static bool says_reason(const struct query *q)
{
    struct db *db = &q->h->db;
    struct slice wanted = slice_str(q->reason), in;
    struct trace_entry e;
    if (slice_ihas(db_bytes(db, HISTORY_ONE, HISTORY_TEXT), wanted)) return true;
    if (!trace_open(db_bytes(db, HISTORY_ONE, HISTORY_TRACE), &in)) return false;
    while (trace_next(&in, &e))
        if (e.outcome >= TRACE_HOLD && (slice_ihas(e.why, wanted) || slice_ihas(e.check, wanted))) return true;
    return false;
}

static bool fits_reason(struct query *q, uint64_t id)
{
    struct db *db = &q->h->db;
    bool fits = false;
    db_bind_number(db, HISTORY_EVENTS, 1, id);
    db_bind_number(db, HISTORY_EVENTS, 2, EVENTS_MAX);
    while (!fits && db_step(db, HISTORY_EVENTS) == DB_ROW)
        fits = slice_ihas(db_bytes(db, HISTORY_EVENTS, EVENT_TEXT), slice_str(q->reason)) ||
               slice_ihas(db_bytes(db, HISTORY_EVENTS, EVENT_HOST), slice_str(q->reason));
    if (fits) db_reset(db, HISTORY_EVENTS);
    return fits;
}

bool rows_fit(struct query *q, uint64_t id)
{
    struct db *db = &q->h->db;
    db_bind_number(db, HISTORY_ONE, 1, id);
    if (db_step(db, HISTORY_ONE) != DB_ROW) return false; /* forgotten meanwhile, or lost */
    uint64_t kind = db_number(db, HISTORY_ONE, HISTORY_KIND);
    bool fits = fits_head(q), said = !q->reason || says_reason(q);
    db_reset(db, HISTORY_ONE);
    return fits && fits_outcome(q, id, kind) && (said || fits_reason(q, id));
}

static void add_reason(struct query *q, json_t *o, uint64_t id)
{
    struct db *db = &q->h->db;
    db_bind_number(db, HISTORY_REASON, 1, id);
    if (db_step(db, HISTORY_REASON) != DB_ROW) return;
    set_text(q, o, "reason", db_bytes(db, HISTORY_REASON, 0));
    db_reset(db, HISTORY_REASON);
}

void rows_show(struct query *q, uint64_t id)
{
    struct db *db = &q->h->db;
    db_bind_number(db, HISTORY_ONE, 1, id);
    if (db_step(db, HISTORY_ONE) != DB_ROW) return;
    uint64_t kind = db_number(db, HISTORY_ONE, HISTORY_KIND), rcpt_n = db_number(db, HISTORY_ONE, HISTORY_RCPT_N);
    json_t *o = head_json(q, id);
    db_reset(db, HISTORY_ONE);
    if (sums(db, id)) {
        json_object_set_new(o, "state", json_string(state_of(db, kind, rcpt_n)));
        db_reset(db, HISTORY_SUMS);
    }
    add_reason(q, o, id);
    json_array_append_new(q->messages, o);
}
