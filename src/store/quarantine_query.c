/* SPDX-License-Identifier: Apache-2.0
 * Listings of the quarantine: a walk over the index, the newest first, some milliseconds at a time, so that nobody else waits for it. All
 * filters that are given must fit:
 *   "kind", "state" (held, released, deleted: of some recipient; held by default is the caller's matter), "learnt" (spam, ham, none)
 *   "sender", "recipient": "<>", "@example.org", or a part of an address   "subject", "reason": a part
 *   "since", "until": wall ms   "score_min", "score_max": hundredths   "limit": 1 to 1000   "before": an id, where the last answer ended
 *   "own": [address ..]: only what is for one of them and may be released by its recipients; of others it says nothing. "id": this one */
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "store/quarantine_int.h"

#define SLICE_US 4000
#define PAUSE_US 1000
#define SEARCH_MS 3000          /* in all; then it says that it did not count all */
#define LIMIT 100
#define LIMIT_MAX 1000
#define BYTES_MAX (700u << 10)  /* of texts in one answer: it is one frame */
#define RCPTS_SHOWN 3
#define QUERIES_MAX 16

struct query {
    struct list node;
    struct quarantine *q;
    struct asker asker;
    char *sender, *recipient, *subject, *reason; /* NULL: any */
    json_t *own;                                 /* NULL: everybody's */
    uint64_t only;                               /* this id; 0: any */
    int kind, state, learnt;                     /* -1: any */
    uint64_t since, until, below;
    int64_t score_min, score_max;
    size_t limit, bytes;
    uint64_t end;                                /* mono ms */
    uint64_t matched, last;                      /* last: id of the last one listed */
    bool full;                                   /* no more are listed, only counted */
    json_t *messages;
};

/* ---- rows as JSON */

static void set_text(json_t *o, const char *key, struct slice s)
{
    struct buf shown = { 0 };
    if (!s.n) return;
    buf_add_printable(&shown, s, 400);
    json_t *v = json_stringn(shown.p, shown.n);
    if (v) json_object_set_new(o, key, v);
    buf_deinit(&shown);
}

static json_t *rcpts_json(struct quarantine *q, uint64_t id, size_t max)
{
    struct db *db = &q->index.db;
    json_t *list = json_array();
    db_bind_number(db, INDEX_RCPTS, 1, id);
    db_bind_number(db, INDEX_RCPTS, 2, max);
    db_bind_number(db, INDEX_RCPTS, 3, 0);
    while (db_step(db, INDEX_RCPTS) == DB_ROW) {
        json_t *r = json_object();
        set_text(r, "address", db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS));
        json_object_set_new(r, "state", json_string(quarantine_state_name((unsigned)db_number(db, INDEX_RCPTS, RECIPIENT_STATE))));
        json_array_append_new(list, r);
    }
    return list;
}

/* Of the message: held for somebody, else released to somebody, else deleted. */
static const char *state_of(struct quarantine *q, uint64_t id)
{
    uint64_t n[QUARANTINE_STATES] = { 0 };
    (void)quarantine_index_counts(&q->index, id, n);
    return quarantine_state_name(n[QUARANTINE_HELD] ? QUARANTINE_HELD : n[QUARANTINE_RELEASED] ? QUARANTINE_RELEASED : QUARANTINE_DELETED);
}

json_t *entry_json(struct quarantine *q, enum index_statement s, size_t rcpts_max)
{
    struct db *db = &q->index.db;
    char text[ID_TEXT_LEN + 1];
    uint64_t id = db_number(db, s, ENTRY_ID), stored = db_number(db, s, ENTRY_STORED), keep = q->limits.keep;
    id_format(id, text);
    json_t *m = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I}", "id", text, "kind",
                          envelope_quarantine_name((unsigned)db_number(db, s, ENTRY_KIND)), "state", state_of(q, id), "arrival",
                          (json_int_t)db_number(db, s, ENTRY_ARRIVAL), "stored", (json_int_t)stored, "expires",
                          (json_int_t)(keep ? stored + keep : 0), "score", (double)sqlite3_column_int64(db_statement(db, s), ENTRY_SCORE) / 100.0,
                          "size", (json_int_t)db_number(db, s, ENTRY_SIZE), "recipient_count", (json_int_t)db_number(db, s, ENTRY_RCPT_N));
    set_text(m, "learnt", slice_str(quarantine_learnt_name((unsigned)db_number(db, s, ENTRY_LEARNT))));
    set_text(m, "client", db_bytes(db, s, ENTRY_CLIENT));
    set_text(m, "sender", db_bytes(db, s, ENTRY_SENDER));
    set_text(m, "subject", db_bytes(db, s, ENTRY_SUBJECT));
    set_text(m, "reason", db_bytes(db, s, ENTRY_REASON));
    set_text(m, "message_id", db_bytes(db, s, ENTRY_MESSAGE_ID));
    json_object_set_new(m, "recipients", rcpts_json(q, id, rcpts_max));
    return m;
}

/* ---- filters */

static bool fits_part(const char *part, struct slice text)
{
    return !part || slice_ihas(text, slice_str(part));
}

static bool fits_address(const char *wanted, struct slice address)
{
    struct slice w = slice_str(wanted);
    if (!wanted) return true;
    if (slice_eq(w, SLICE("<>"))) return !address.n;
    return w.p[0] == '@' ? slice_iends(address, w) : slice_ihas(address, w);
}

static bool is_own(const struct query *k, struct slice address)
{
    size_t i;
    const json_t *v;
    json_array_foreach(k->own, i, v)
        if (slice_ieq(address, slice_of(json_string_value(v), json_string_length(v)))) return true;
    return !k->own;
}

/* As in digests: not what has a virus, nor what ended a process. */
static bool may_be_owned(uint64_t kind)
{
    return kind == QUARANTINE_SPAM || kind == QUARANTINE_FILE || kind == QUARANTINE_RULE || kind == QUARANTINE_AUTH;
}

/* Some recipient has the address and the state that are wanted. */
static bool fits_rcpts(const struct query *k, uint64_t id)
{
    struct db *db = &k->q->index.db;
    bool fits = false;
    if (!k->recipient && k->state < 0 && !k->own) return true;
    db_bind_number(db, INDEX_RCPTS, 1, id);
    db_bind_number(db, INDEX_RCPTS, 2, UINT32_MAX);
    db_bind_number(db, INDEX_RCPTS, 3, 0);
    while (!fits && db_step(db, INDEX_RCPTS) == DB_ROW)
        fits = (k->state < 0 || (int)db_number(db, INDEX_RCPTS, RECIPIENT_STATE) == k->state) &&
               fits_address(k->recipient, db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS)) &&
               is_own(k, db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS));
    if (fits) db_reset(db, INDEX_RCPTS);
    return fits;
}

static bool fits_row(const struct query *k)
{
    struct db *db = &k->q->index.db;
    uint64_t arrival = db_number(db, INDEX_SCAN, ENTRY_ARRIVAL);
    int64_t score = sqlite3_column_int64(db_statement(db, INDEX_SCAN), ENTRY_SCORE);
    uint64_t kind = db_number(db, INDEX_SCAN, ENTRY_KIND);
    if ((k->own && !may_be_owned(kind)) || (k->only && db_number(db, INDEX_SCAN, ENTRY_ID) != k->only)) return false;
    return (k->kind < 0 || (int)kind == k->kind) &&
           (k->learnt < 0 || (int)db_number(db, INDEX_SCAN, ENTRY_LEARNT) == k->learnt) && arrival >= k->since && arrival <= k->until &&
           score >= k->score_min && score <= k->score_max && fits_address(k->sender, db_bytes(db, INDEX_SCAN, ENTRY_SENDER)) &&
           fits_part(k->subject, db_bytes(db, INDEX_SCAN, ENTRY_SUBJECT)) && fits_part(k->reason, db_bytes(db, INDEX_SCAN, ENTRY_REASON)) &&
           fits_rcpts(k, db_number(db, INDEX_SCAN, ENTRY_ID));
}

/* Of the recipients those that are one's own, and how it is for them; nothing that tells of the others. */
static void leave_own(const struct query *k, uint64_t id, json_t *m)
{
    struct db *db = &k->q->index.db;
    json_t *list = json_array();
    unsigned best = QUARANTINE_STATES;
    db_bind_number(db, INDEX_RCPTS, 1, id);
    db_bind_number(db, INDEX_RCPTS, 2, UINT32_MAX);
    db_bind_number(db, INDEX_RCPTS, 3, 0);
    while (db_step(db, INDEX_RCPTS) == DB_ROW) {
        unsigned state = (unsigned)db_number(db, INDEX_RCPTS, RECIPIENT_STATE);
        if (!is_own(k, db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS))) continue;
        json_t *r = json_object();
        set_text(r, "address", db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS));
        json_object_set_new(r, "state", json_string(quarantine_state_name(state)));
        json_array_append_new(list, r);
        if (state < best) best = state;
    }
    json_object_set_new(m, "recipients", list);
    json_object_set_new(m, "recipient_count", json_integer((json_int_t)json_array_size(list)));
    json_object_set_new(m, "state", json_string(quarantine_state_name(best)));
}

/* ---- the walk */

static void take_row(struct query *k)
{
    struct db *db = &k->q->index.db;
    k->below = db_number(db, INDEX_SCAN, ENTRY_ID);
    if (!fits_row(k)) return;
    k->matched++;
    if (k->full) return;
    json_t *m = entry_json(k->q, INDEX_SCAN, RCPTS_SHOWN);
    if (k->own) leave_own(k, k->below, m);
    k->bytes += json_dumpb(m, NULL, 0, JSON_COMPACT);
    json_array_append_new(k->messages, m);
    k->last = k->below;
    k->full = json_array_size(k->messages) >= k->limit || k->bytes > BYTES_MAX;
}

/* True: it was the last one. */
static bool walk(struct query *k)
{
    struct db *db = &k->q->index.db;
    uint64_t end = clock_mono_us() + SLICE_US;
    db_bind_number(db, INDEX_SCAN, 1, k->below);
    for (unsigned n = 0; (n & 15) || clock_mono_us() < end; n++) {
        if (db_step(db, INDEX_SCAN) != DB_ROW) return true;
        take_row(k);
        if (!k->only) continue;
        db_reset(db, INDEX_SCAN);
        return true; /* it came first, or is not there */
    }
    db_reset(db, INDEX_SCAN);
    return false;
}

static void query_free(struct query *k)
{
    char *const texts[] = { k->sender, k->recipient, k->subject, k->reason };
    for (size_t i = 0; i < countof(texts); i++) free(texts[i]);
    list_remove(&k->node);
    json_decref(k->messages);
    json_decref(k->own);
    free(k);
}

static void finish(struct query *k, bool all)
{
    json_t *answer = json_pack("{s:O, s:I}", "messages", k->messages, "matched", (json_int_t)k->matched);
    char text[ID_TEXT_LEN + 1];
    uint64_t before = k->full ? k->last : k->below;
    if (k->matched > json_array_size(k->messages) || !all) {
        id_format(before, text);
        json_object_set_new(answer, "before", json_string(text));
    }
    if (!all) json_object_set_new(answer, "partial", json_true());
    if (k->q->sync.phase != SYNC_IDLE) json_object_set_new(answer, "reading", json_true());
    struct asker a = k->asker;
    query_free(k);
    quarantine_answer(&a, answer, -1);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct quarantine *q = arg;
    struct list *node = list_pop_front(&q->queries);
    if (!node) return;
    struct query *k = list_entry(node, struct query, node);
    list_push_back(&q->queries, node); /* others have the next turn */
    bool all = walk(k);
    if (all || clock_mono_ms() > k->end) finish(k, all);
    if (!list_empty(&q->queries)) event_add(q->querying, &(struct timeval){ 0, PAUSE_US });
}

/* ---- beginning and end */

static char *take_text(const json_t *request, const char *key)
{
    const char *s = json_string_value(json_object_get(request, key));
    return s && *s ? mem_strdup(s) : NULL;
}

static uint64_t take_number(const json_t *request, const char *key, uint64_t otherwise)
{
    const json_t *v = json_object_get(request, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : otherwise;
}

static bool take_word(const json_t *request, const char *key, const char *(*name)(unsigned), unsigned first, unsigned n, int *out)
{
    const char *word = json_string_value(json_object_get(request, key));
    *out = -1;
    for (unsigned i = first; word && i < n; i++)
        if (!strcmp(word, name(i))) *out = (int)i;
    return !word || *out >= 0;
}

static const char *take_filters(struct query *k, const json_t *request)
{
    const char *learnt = json_string_value(json_object_get(request, "learnt"));
    const json_t *least = json_object_get(request, "score_min"), *most = json_object_get(request, "score_max");
    if (least) k->score_min = json_integer_value(least);
    if (most) k->score_max = json_integer_value(most);
    if (!take_word(request, "kind", envelope_quarantine_name, 1, QUARANTINE_AUTH + 1, &k->kind))
        return "kind is spam, virus, file, rule, crash or auth";
    if (!take_word(request, "state", quarantine_state_name, 0, QUARANTINE_STATES, &k->state)) return "state is held, released or deleted";
    if (learnt && !strcmp(learnt, "none")) k->learnt = QUARANTINE_LEARNT_NOT;
    else if (!take_word(request, "learnt", quarantine_learnt_name, 1, QUARANTINE_LEARNTS, &k->learnt)) return "learnt is spam, ham or none";
    if (json_object_get(request, "before") && !id_parse(json_text(request, "before"), &k->below)) return "before must be an id";
    if (json_object_get(request, "id") && !id_parse(json_text(request, "id"), &k->only)) return "that is no id";
    if (k->only) k->below = k->only + 1;
    if (k->below > INT64_MAX) k->below = INT64_MAX;
    return NULL;
}

void query_start(struct quarantine *q, const json_t *request, const struct asker *asker)
{
    struct query *k = mem_new(struct query);
    unsigned n = 0;
    *k = (struct query){ .q = q, .asker = *asker, .below = INT64_MAX, .end = clock_mono_ms() + SEARCH_MS, .messages = json_array(),
                         .sender = take_text(request, "sender"), .recipient = take_text(request, "recipient"),
                         .subject = take_text(request, "subject"), .reason = take_text(request, "reason"),
                         .since = take_number(request, "since", 0), .until = take_number(request, "until", UINT64_MAX),
                         .own = json_incref(json_object_get(request, "own")), .score_min = INT64_MIN, .score_max = INT64_MAX, .limit = (size_t)take_number(request, "limit", LIMIT) };
    if (k->limit < 1 || k->limit > LIMIT_MAX) k->limit = LIMIT_MAX;
    list_each(it, &q->queries) n++;
    const char *wrong = n >= QUERIES_MAX ? "too many listings are under way" : take_filters(k, request);
    if (wrong) {
        query_free(k);
        quarantine_answer_error(asker, wrong, false);
        return;
    }
    if (!q->querying) q->querying = evtimer_new(q->base, on_turn, q);
    list_push_back(&q->queries, &k->node);
    event_add(q->querying, &(struct timeval){ 0, 0 });
}

void queries_close(struct quarantine *q, const void *owner)
{
    list_each_safe(it, &q->queries) {
        struct query *k = list_entry(it, struct query, node);
        if (!owner || k->asker.owner == owner) query_free(k);
    }
}
