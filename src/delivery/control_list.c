/* SPDX-License-Identifier: Apache-2.0
 * What people see of the queue: messages in the order asked for, and figures. */
#include "delivery/control.h"
#include <stdlib.h>
#include "base/clock.h"
#include "smtp/xtext.h"

#define LIST_RCPTS_MAX 20     /* recipients of a message in a list; one shown by its id has up to SHOW_RCPTS_MAX */
#define SHOW_RCPTS_MAX 1000
#define GROUPS_MAX 100        /* destinations and reasons in figures: the largest */
#define GROUPS_LOOKED_AT 50000
#define OLDEST_SEEN 10000

/* ---- order */

json_t *top_place(const struct entry *e)
{
    char text[2 * CONTROL_KEY_MAX + 1] = "";
    for (size_t i = 0; i < CONTROL_KEY_MAX; i++) snprintf(text + 2 * i, 3, "%02x", (unsigned char)e->text[i]);
    return json_pack("{s:I, s:s}", "number", (json_int_t)e->number, "text", text);
}

static bool read_place(const json_t *place, struct entry *out)
{
    const char *text = json_string_value(json_object_get(place, "text"));
    size_t n = text ? strlen(text) : 0;
    if (n != 2 * CONTROL_KEY_MAX || strspn(text, "0123456789abcdef") != n) return false;
    out->number = (uint64_t)json_integer_value(json_object_get(place, "number"));
    for (size_t i = 0; i < CONTROL_KEY_MAX; i++)
        out->text[i] = (char)(ascii_hex(text[2 * i]) * 16 + ascii_hex(text[2 * i + 1]));
    return true;
}

const char *top_init(struct top *t, const json_t *request)
{
    static const char *const names[] = { "arrival", "next", "size", "sender", "id", "attempts" };
    const json_t *sort = json_object_get(request, "sort"), *limit = json_object_get(request, "limit"),
                 *after = json_object_get(request, "after"), *place = json_object_get(request, "place");
    const char *name = sort ? json_string_value(sort) : "arrival";
    json_int_t n = limit ? json_integer_value(limit) : 100;
    *t = (struct top){ 0 };
    if (!name) return "sort must be a text";
    t->descending = name[0] == '-';
    size_t key = 0;
    while (key < countof(names) && strcmp(names[key], name + t->descending) != 0) key++;
    if (key == countof(names)) return "sort must be arrival, next, size, sender, id or attempts";
    t->key = (enum sort_key)key;
    if (n < 1) return "limit must be a number from 1";
    t->limit = n < CONTROL_LIMIT_MAX ? (size_t)n : CONTROL_LIMIT_MAX;
    t->has_after = after != NULL;
    if (after && (!json_is_string(after) || !id_parse(slice_str(json_string_value(after)), &t->after.id)))
        return "after must be an id";
    t->has_place = after && place;
    if (t->has_place && !read_place(place, &t->after)) return "place must be what was told";
    t->entries = mem_grow(NULL, 2 * t->limit, sizeof *t->entries);
    return NULL;
}

/* Wall clock; 0: at once, or it is held. The same whenever it is asked, else pages would not fit together. */
static uint64_t next_of(const struct message *m)
{
    if (m->state == MESSAGE_DEFERRED) return m->next_try;
    if (m->state != MESSAGE_PARKED || !m->dest->blocked) return 0;
    return m->dest->retry_at + (uint64_t)m->home->q->wall_ahead;
}

void top_fill(const struct top *t, struct entry *out, struct message *m, const struct envelope *e)
{
    *out = (struct entry){ .m = m, .id = m->spool.id };
    switch (t->key) {
    case SORT_ARRIVAL: out->number = m->arrival; break;
    case SORT_NEXT: out->number = next_of(m); break;
    case SORT_SIZE: out->number = m->spool.text_n; break;
    case SORT_ATTEMPTS: out->number = m->attempts; break;
    case SORT_ID: break;
    case SORT_SENDER:
        for (size_t i = 0; e && i < e->sender.n && i < CONTROL_KEY_MAX; i++) out->text[i] = ascii_lower(e->sender.p[i]);
    }
}

static int compare(const struct entry *a, const struct entry *b)
{
    int c = (a->number > b->number) - (a->number < b->number);
    if (!c) c = memcmp(a->text, b->text, sizeof a->text);
    return c ? c : (a->id > b->id) - (a->id < b->id);
}

static int ascending(const void *a, const void *b) { return compare(a, b); }
static int descending(const void *a, const void *b) { return compare(b, a); }

void top_finish(struct top *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->entries[i].m) t->entries[kept++] = t->entries[i];
    qsort(t->entries, kept, sizeof *t->entries, t->descending ? descending : ascending);
    t->n = kept < t->limit ? kept : t->limit;
}

void top_put(struct top *t, const struct entry *e)
{
    int c = t->has_after ? compare(e, &t->after) : 0;
    if (t->has_after && (t->descending ? c >= 0 : c <= 0)) return;
    t->entries[t->n++] = *e;
    if (t->n == 2 * t->limit) top_finish(t);
}

void top_forget(struct top *t, const struct message *m)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->entries[i].m == m) t->entries[i].m = NULL;
}

/* ---- one message */

static json_t *printable(struct slice s, size_t max)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, max);
    json_t *v = json_stringn(b.n ? b.p : "", b.n);
    buf_deinit(&b);
    return v ? v : json_string("");
}

static json_t *id_json(uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    return json_string(text);
}

static bool has_key(const void *item, const void *key)
{
    return slice_eq(slice_str(((const struct destination *)item)->hop.key), *(const struct slice *)key);
}

/* Why a recipient waits of whom nothing is written down, because the destination as a whole does; or "". */
static struct slice destination_reason(const struct message *m, const struct envelope *e, struct slice rcpt)
{
    struct queue *q = m->home->q;
    struct route_hop hop;
    struct err err;
    if (!route_find(q->routes, envelope_route_sender(e), rcpt, &hop, &err)) return slice_str("");
    if (e->flags & ENVELOPE_REQUIRETLS && !route_is_here(&hop)) route_require_tls(&hop);
    struct slice key = slice_str(hop.key);
    const struct destination *d = htable_find(&q->destinations, hash_bytes(key), has_key, &key);
    return slice_str(d && d->blocked ? d->reason : "");
}

/* The address of the client, where it was another one; "original" is what stands in its place in the envelope. */
static void add_for(json_t *r, const struct envelope *e, uint32_t i)
{
    struct buf b = { 0 };
    if (e->rcpt_dsn && xtext_orcpt_address(e->rcpt_dsn[i].orcpt, &b) && !slice_ieq(buf_slice(&b), e->rcpts[i]))
        json_object_set_new(r, "for", printable(buf_slice(&b), 400));
    buf_deinit(&b);
}

static json_t *rcpts_json(const struct message *m, const struct envelope *e, uint32_t max)
{
    static const char *const names[] = { "pending", "delivered", "failed", "failed", "delivered" };
    json_t *list = json_array();
    for (uint32_t i = 0; i < e->rcpt_n && i < m->rcpt_n && i < max; i++) {
        const struct label *reason = NULL;
        unsigned status = RCPT_PENDING;
        if (m->work && m->work->rcpts) {
            status = m->work->rcpts[i].status;
            reason = m->work->rcpts[i].reason;
        } else if (m->rcpts) {
            status = m->rcpts[i].status;
            reason = m->rcpts[i].reason;
        }
        json_t *r = json_pack("{s:o, s:s}", "address", printable(e->rcpts[i], 400), "status", names[status]);
        struct slice why = reason                  ? label_text(reason)
                           : status == RCPT_PENDING ? destination_reason(m, e, e->rcpts[i])
                                                    : slice_str("");
        if (why.n) json_object_set_new(r, "reason", printable(why, LABEL_MAX));
        if (envelope_marks(e, i)) json_object_set_new(r, "marks", json_string(envelope_marks_name(e->rcpt_marks[i])));
        if (e->rcpt_dsn && e->rcpt_dsn[i].orcpt.n) json_object_set_new(r, "original", printable(e->rcpt_dsn[i].orcpt, 400));
        add_for(r, e, i);
        json_array_append_new(list, r);
    }
    return list;
}

static void add_origin(json_t *j, const struct message *m, const struct envelope *e)
{
    struct buf b = { 0 };
    if (e->client.family) ip_add(&b, &e->client);
    json_object_set_new(j, "client", printable(buf_slice(&b), 64));
    json_object_set_new(j, "helo", printable(e->helo, 255));
    json_object_set_new(j, "zone", printable(e->zone, 255));
    json_object_set_new(j, "message_id", printable(e->message_id, 255));
    json_object_set_new(j, "subject", printable(e->subject, 255));
    json_object_set_new(j, "expires", json_integer((json_int_t)message_end(m)));
    json_object_set_new(j, "warned", json_boolean(m->flags & MESSAGE_WARNED));
    if (e->cut_n) json_object_set_new(j, "edits", json_integer(e->cut_n));
    uint64_t sent = e->prepend.n + envelope_sent_size(e);
    if (e->cut_n) json_object_set_new(j, "sent_size", json_integer((json_int_t)sent));
    if (e->quarantine) json_object_set_new(j, "quarantine", json_string(envelope_quarantine_name(e->quarantine)));
    buf_deinit(&b);
}

json_t *message_json(struct message *m, const struct envelope *e, bool all)
{
    uint64_t now = clock_wall_ms();
    const char *where = "";
    if (m->state == MESSAGE_PARKED) where = m->dest->hop.key;
    else if (m->work && !list_empty(&m->work->parts))
        where = list_entry(m->work->parts.next, struct part, sibling)->dest->hop.key;
    struct slice destination = where[0] ? slice_str(where) : label_text(m->where);
    json_t *j = json_pack("{s:o, s:s, s:I, s:I, s:I, s:i, s:I, s:o, s:o, s:I}", "id", id_json(m->spool.id), "state",
                          message_state_name(m), "size", (json_int_t)m->spool.text_n, "arrival", (json_int_t)m->arrival, "age",
                          (json_int_t)(now > m->arrival ? now - m->arrival : 0), "attempts", (int)m->attempts, "next_try",
                          (json_int_t)next_of(m), "destination", printable(destination, 400), "reason",
                          printable(message_reason(m), LABEL_MAX), "recipient_count", (json_int_t)m->rcpt_n);
    json_object_set_new(j, "sender", e ? printable(e->sender, 400) : json_null());
    json_object_set_new(j, "recipients", e ? rcpts_json(m, e, all ? SHOW_RCPTS_MAX : LIST_RCPTS_MAX) : json_array());
    if (e && all) add_origin(j, m, e);
    return j;
}

/* ---- figures */

struct group {
    struct slice name;
    uint64_t n;
    const struct destination *d;
};

/* The largest GROUPS_MAX, in order. */
static void put_group(struct group *list, size_t *n, struct group g)
{
    size_t at = *n;
    if (at == GROUPS_MAX && list[at - 1].n >= g.n) return;
    if (at < GROUPS_MAX) ++*n;
    else at--;
    for (; at && list[at - 1].n < g.n; at--) list[at] = list[at - 1];
    list[at] = g;
}

static json_t *destination_json(const struct group *g)
{
    const struct destination *d = g->d;
    uint64_t mono = clock_mono_ms();
    const char *state = !d ? "idle" : d->blocked ? "down" : d->refused ? "refused" : d->client_n ? "up" : "idle";
    uint64_t next = d && d->blocked ? clock_wall_ms() + (d->retry_at > mono ? d->retry_at - mono : 0) : 0;
    return json_pack("{s:o, s:I, s:i, s:s, s:o, s:I}", "name", printable(g->name, 400), "messages", (json_int_t)g->n,
                     "connections", d ? (int)d->client_n : 0, "state", state, "reason",
                     printable(slice_str(d ? d->reason : ""), LABEL_MAX), "next_try", (json_int_t)next);
}

static json_t *destinations_json(struct queue *q)
{
    struct group groups[GROUPS_MAX];
    size_t n = 0, at = 0, seen = 0;
    const struct label *label;
    struct destination *d;
    json_t *list = json_array();
    while (seen++ < GROUPS_LOOKED_AT && (label = htable_next(&q->names.table, &at))) {
        struct slice name = label_text(label);
        d = htable_find(&q->destinations, hash_bytes(name), has_key, &name);
        uint64_t here = d ? d->ready_n + d->parked_n : 0;
        put_group(groups, &n, (struct group){ name, label->refs > here ? label->refs : here, d });
    }
    seen = at = 0;
    while (seen++ < GROUPS_LOOKED_AT && (d = htable_next(&q->destinations, &at))) {
        bool known = false;
        for (size_t i = 0; i < n && !known; i++) known = groups[i].d == d;
        if (!known && (d->client_n || d->ready_n || d->parked_n || d->blocked))
            put_group(groups, &n, (struct group){ slice_str(d->hop.key), d->ready_n + d->parked_n, d });
    }
    for (size_t i = 0; i < n; i++) json_array_append_new(list, destination_json(&groups[i]));
    return list;
}

static json_t *reasons_json(struct queue *q)
{
    struct group groups[GROUPS_MAX];
    size_t n = 0, at = 0, seen = 0;
    const struct label *label;
    struct destination *d;
    json_t *list = json_array();
    while (seen++ < GROUPS_LOOKED_AT && (label = htable_next(&q->reasons.table, &at)))
        put_group(groups, &n, (struct group){ label_text(label), label->refs, NULL });
    seen = at = 0;
    while (seen++ < GROUPS_LOOKED_AT && (d = htable_next(&q->destinations, &at)))
        if (d->blocked && d->parked_n) put_group(groups, &n, (struct group){ slice_str(d->reason), d->parked_n, NULL });
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:I}", "reason", printable(groups[i].name, LABEL_MAX), "messages",
                                              (json_int_t)groups[i].n));
    return list;
}

/* Nearly the age of the oldest: adopted spools are read later than others, and nobody waits for a walk through all. */
static json_int_t oldest(const struct queue *q)
{
    unsigned seen = 0;
    uint64_t first = UINT64_MAX, now = clock_wall_ms();
    list_each(it, &q->all) {
        const struct message *m = list_entry(it, struct message, all);
        if (m->arrival && m->arrival < first) first = m->arrival;
        if (++seen == OLDEST_SEEN) break;
    }
    return first < now ? (json_int_t)(now - first) : 0;
}

json_t *queue_figures(struct queue *q)
{
    uint64_t total = 0;
    for (int i = 0; i < MESSAGE_STATES; i++) total += q->counts[i];
    uint64_t active = q->counts[MESSAGE_DUE] + q->counts[MESSAGE_ACTIVE];
    uint64_t deferred = q->counts[MESSAGE_DEFERRED] + q->counts[MESSAGE_PARKED];
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "messages", (json_int_t)total, "oldest", oldest(q), "incoming",
                     (json_int_t)q->counts[MESSAGE_INCOMING], "active", (json_int_t)active, "deferred", (json_int_t)deferred, "held",
                     (json_int_t)q->counts[MESSAGE_HELD], "connections", (json_int_t)q->connections, "memory",
                     (json_int_t)q->memory, "destinations", destinations_json(q), "reasons", reasons_json(q));
}
