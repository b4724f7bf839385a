/* SPDX-License-Identifier: Apache-2.0
 * Searching the history. Rows are compared here, not by SQL: the work of a slice can be measured, and a row's long fields stay unread. */
#include "store/query.h"
#include <stdlib.h>
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define SLICE_US 4000
#define SEARCH_MS 3000        /* in all; then it says where it was */
#define LIMIT 100
#define LIMIT_MAX 1000
#define BYTES_MAX (500u << 10) /* of texts in one answer: it is one frame */
#define EVENTS_MAX 500
#define RCPTS_SHOWN 5         /* in a list */
#define ID_MS_SHIFT 22        /* the time in an id */
#define LONGEST_SESSION (UINT64_C(86400000)) /* a refusal may be this much younger than its id */

struct query {
    struct history *h;
    bool one;                    /* by id: with all its events */
    uint64_t id, below, from;    /* ids of the rows that are left to look at: from <= id < below */
    char *sender, *recipient, *address, *message_id, *subject; /* NULL: any */
    struct ip_net client;
    bool has_client;
    uint64_t since, until;
    int outcome;                 /* -1: any */
    size_t limit;
    uint64_t end;                /* mono ms */
    size_t bytes;
    bool more;                   /* it ended before the rows did */
    json_t *messages;
};

/* ---- what is asked */

static char *take_text(const json_t *request, const char *key)
{
    const json_t *v = json_object_get(request, key);
    return json_string_length(v) ? mem_strdup(json_string_value(v)) : NULL;
}

static uint64_t take_number(const json_t *request, const char *key, uint64_t fallback)
{
    const json_t *v = json_object_get(request, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : fallback;
}

static bool take_id(const json_t *request, const char *key, uint64_t *id, struct err *err)
{
    const json_t *v = json_object_get(request, key);
    if (!v) return true;
    if (id_parse(slice_of(json_string_value(v), json_string_length(v)), id)) return true;
    return err_set(err, "that is no id: they have %d letters and digits", ID_TEXT_LEN);
}

static bool take_client(struct query *q, const json_t *request, struct err *err)
{
    const json_t *v = json_object_get(request, "client");
    if (!v) return true;
    const char *wrong = ip_net_parse(slice_of(json_string_value(v), json_string_length(v)), &q->client);
    q->has_client = !wrong;
    return !wrong || err_set(err, "client: %s", wrong);
}

static bool take_outcome(struct query *q, const json_t *request, struct err *err)
{
    const char *name = json_string_value(json_object_get(request, "outcome"));
    q->outcome = -1;
    if (!name) return true;
    for (int i = 0; i < HISTORY_KINDS; i++)
        if (!strcmp(name, history_kind_name((unsigned)i))) q->outcome = i;
    return q->outcome >= 0 ||
           err_set(err, "outcome is accepted, refused, delivered, deferred, bounced, deleted, quarantined, released or discarded");
}

struct query *query_new(struct history *h, const json_t *request, struct err *err)
{
    struct query *q = mem_new(struct query);
    *q = (struct query){ .h = h, .below = INT64_MAX, .end = clock_mono_ms() + SEARCH_MS, .messages = json_array(),
                         .one = json_object_get(request, "id") != NULL, .sender = take_text(request, "sender"),
                         .recipient = take_text(request, "recipient"), .address = take_text(request, "address"),
                         .message_id = take_text(request, "message_id"), .subject = take_text(request, "subject"),
                         .since = take_number(request, "since", 0), .until = take_number(request, "until", UINT64_MAX),
                         .limit = (size_t)take_number(request, "limit", LIMIT) };
    if (q->limit < 1 || q->limit > LIMIT_MAX) q->limit = LIMIT_MAX;
    if (take_id(request, "id", &q->id, err) && take_id(request, "before", &q->below, err) && take_client(q, request, err) &&
        take_outcome(q, request, err)) {
        uint64_t last = q->until >> (63 - ID_MS_SHIFT) ? INT64_MAX : (q->until + 1) << ID_MS_SHIFT;
        uint64_t first = q->since > LONGEST_SESSION ? q->since - LONGEST_SESSION : 0;
        if (last < q->below) q->below = last;
        q->from = first >> (63 - ID_MS_SHIFT) ? INT64_MAX : first << ID_MS_SHIFT;
        return q;
    }
    query_free(q);
    return NULL;
}

void query_free(struct query *q)
{
    if (!q) return;
    char *const texts[] = { q->sender, q->recipient, q->address, q->message_id, q->subject };
    for (size_t i = 0; i < countof(texts); i++) free(texts[i]);
    json_decref(q->messages);
    free(q);
}

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
    if (!trace.n || q->bytes > BYTES_MAX) return;
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
    case HISTORY_DISCARDED: return db_number(db, HISTORY_SUMS, SUM_LAST) == (uint64_t)outcome;
    default: return true;
    }
}

static bool sums(struct db *db, uint64_t id)
{
    db_bind_number(db, HISTORY_SUMS, 1, id);
    return db_step(db, HISTORY_SUMS) == DB_ROW;
}

static json_t *head_json(struct query *q, enum history_statement s, uint64_t id)
{
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
        if (q->bytes <= BYTES_MAX && json_array_size(events) < EVENTS_MAX) continue;
        json_object_set_new(message, "truncated", json_true());
        db_reset(db, HISTORY_EVENTS);
        break;
    }
    json_object_set_new(message, "events", events);
}

/* Its first row may be forgotten, or was lost: what happened later is shown all the same. */
static void find_one(struct query *q)
{
    struct db *db = &q->h->db;
    uint64_t kind = HISTORY_ACCEPTED, rcpt_n = 0;
    db_bind_number(db, HISTORY_ONE, 1, q->id);
    json_t *o = NULL;
    if (db_step(db, HISTORY_ONE) == DB_ROW) {
        kind = db_number(db, HISTORY_ONE, HISTORY_KIND);
        rcpt_n = db_number(db, HISTORY_ONE, HISTORY_RCPT_N);
        o = head_json(q, HISTORY_ONE, q->id);
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

static bool fits(struct query *q)
{
    struct db *db = &q->h->db;
    uint64_t time = db_number(db, HISTORY_SCAN, HISTORY_TIME);
    struct ip ip;
    if (time < q->since || time > q->until) return false;
    if (q->has_client &&
        (!ip_parse(db_bytes(db, HISTORY_SCAN, HISTORY_CLIENT), &ip) || !ip_net_has(&q->client, &ip))) return false;
    struct slice sender = db_bytes(db, HISTORY_SCAN, HISTORY_SENDER), rcpts = db_bytes(db, HISTORY_SCAN, HISTORY_RCPTS);
    if (q->sender && !fits_address(q->sender, sender)) return false;
    if (q->recipient && !fits_one_of(q->recipient, rcpts)) return false;
    if (q->address && !fits_address(q->address, sender) && !fits_one_of(q->address, rcpts)) return false;
    if (q->message_id && !slice_ihas(db_bytes(db, HISTORY_SCAN, HISTORY_MESSAGE_ID), slice_str(q->message_id))) return false;
    return !q->subject || slice_ihas(db_bytes(db, HISTORY_SCAN, HISTORY_SUBJECT), slice_str(q->subject));
}

static void look_at(struct query *q, uint64_t id)
{
    struct db *db = &q->h->db;
    uint64_t kind = db_number(db, HISTORY_SCAN, HISTORY_KIND);
    if (!fits(q) || !sums(db, id)) return;
    if (has_outcome(db, q->outcome, kind)) {
        json_t *o = head_json(q, HISTORY_SCAN, id);
        json_object_set_new(o, "state", json_string(state_of(db, kind, db_number(db, HISTORY_SCAN, HISTORY_RCPT_N))));
        json_array_append_new(q->messages, o);
    }
    db_reset(db, HISTORY_SUMS);
}

bool query_run(struct query *q)
{
    struct db *db = &q->h->db;
    uint64_t end = clock_mono_us() + SLICE_US;
    if (q->one) {
        find_one(q);
        return true;
    }
    db_bind_number(db, HISTORY_SCAN, 1, q->below);
    db_bind_number(db, HISTORY_SCAN, 2, q->from);
    for (unsigned rows = 1; db_step(db, HISTORY_SCAN) == DB_ROW; rows++) {
        q->below = db_number(db, HISTORY_SCAN, HISTORY_ID);
        look_at(q, q->below);
        q->more = json_array_size(q->messages) >= q->limit || q->bytes > BYTES_MAX;
        if (!q->more && (rows % 16 || clock_mono_us() < end)) continue;
        db_reset(db, HISTORY_SCAN);
        if (!q->more && clock_mono_ms() > q->end) q->more = true;
        return q->more; /* else the rest in the next slice */
    }
    return true;
}

json_t *query_answer(struct query *q)
{
    json_t *answer = json_pack("{s:O}", "messages", q->messages);
    if (q->more) set_id(answer, "before", q->below);
    return answer;
}
