/* SPDX-License-Identifier: Apache-2.0
 * Searching the history: what is asked, and one slice of time after the other. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/query_int.h"
#include "store/trace.h"

#define SLICE_US 4000
#define SEARCH_MS 3000        /* in all; then it says where it was */
#define LIMIT 100
#define LIMIT_MAX 1000
#define ID_MS_SHIFT 22        /* the time in an id */
#define LONGEST_SESSION (UINT64_C(86400000)) /* a refusal may be this much younger than its id */

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

/* One of these words; -1: none is asked for. */
static bool take_word(const json_t *request, const char *key, const char *(*name)(unsigned), unsigned n, int *out)
{
    const char *word = json_string_value(json_object_get(request, key));
    *out = -1;
    for (unsigned i = 0; word && i < n; i++)
        if (!strcmp(word, name(i))) *out = (int)i;
    return !word || *out >= 0;
}

static bool take_words(struct query *q, const json_t *request, struct err *err)
{
    if (!take_word(request, "outcome", history_kind_name, HISTORY_KINDS, &q->outcome))
        return err_set(err, "outcome is accepted, refused, delivered, deferred, bounced, deleted, quarantined, released, discarded, held or resumed");
    if (!take_word(request, "kind", history_kind_name, HISTORY_REFUSED + 1, &q->kind)) return err_set(err, "kind is accepted or refused");
    if (!take_word(request, "stage", trace_stage_name, TRACE_STAGES, &q->stage))
        return err_set(err, "stage is connect, helo, mail, rcpt, data or content");
    return take_word(request, "result", trace_outcome_name, TRACE_OUTCOMES, &q->result) ||
           err_set(err, "result is pass, allow, score, hold, defer, reject, discard or quarantine");
}

struct query *query_new(struct history *h, const json_t *request, struct err *err)
{
    struct query *q = mem_new(struct query);
    *q = (struct query){ .h = h, .below = INT64_MAX, .end = clock_mono_ms() + SEARCH_MS, .messages = json_array(),
                         .one = json_object_get(request, "id") != NULL, .sender = take_text(request, "sender"),
                         .recipient = take_text(request, "recipient"), .address = take_text(request, "address"),
                         .message_id = take_text(request, "message_id"), .subject = take_text(request, "subject"),
                         .reason = take_text(request, "reason"), .check = take_text(request, "check"),
                         .since = take_number(request, "since", 0), .until = take_number(request, "until", UINT64_MAX),
                         .limit = (size_t)take_number(request, "limit", LIMIT) };
    (void)index_tend(h); /* after the start there may be a little to read */
    if (q->limit < 1 || q->limit > LIMIT_MAX) q->limit = LIMIT_MAX;
    if (take_id(request, "id", &q->id, err) && take_id(request, "before", &q->below, err) && take_client(q, request, err) &&
        take_words(q, request, err)) {
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
    char *const texts[] = { q->sender, q->recipient, q->address, q->message_id, q->subject, q->reason, q->check };
    for (size_t i = 0; i < countof(texts); i++) free(texts[i]);
    search_free(q);
    json_decref(q->messages);
    free(q);
}

/* ---- slices */

static bool show_next(struct query *q)
{
    if (q->shown == q->hit_n || q->bytes > QUERY_BYTES_MAX) return false;
    rows_show(q, q->hits[q->shown++]);
    return true;
}

static void show_end(struct query *q)
{
    if (q->shown < q->hit_n || q->hit_n >= q->limit) {
        q->more = true;
        q->go_on = q->hits[q->shown - 1];
    }
}

/* A step of a phase, or into the next one; false: it is over. */
static bool step(struct query *q)
{
    switch (q->phase) {
    case QUERY_BEGIN:
        search_begin(q);
        search_begin_messages(q);
        q->phase = QUERY_MESSAGES;
        break;
    case QUERY_EVENTS: /* once, when too many messages were looked up */
        if (search_events(q)) break;
        search_begin_messages(q);
        q->phase = QUERY_MESSAGES;
        break;
    case QUERY_MESSAGES:
        if (!search_messages(q)) q->phase = q->too_many && q->direct ? QUERY_EVENTS : QUERY_SHOW;
        break;
    case QUERY_SHOW:
        if (show_next(q)) break;
        show_end(q);
        q->phase = QUERY_OVER;
        break;
    case QUERY_OVER: break;
    }
    return q->phase != QUERY_OVER;
}

bool query_run(struct query *q)
{
    uint64_t end = clock_mono_us() + SLICE_US;
    if (q->one) {
        rows_find_one(q);
        return true;
    }
    while (step(q))
        if (clock_mono_us() >= end) return false;
    return true;
}

json_t *query_answer(struct query *q)
{
    char text[ID_TEXT_LEN + 1];
    json_t *answer = json_pack("{s:O}", "messages", q->messages);
    id_format(q->go_on, text);
    if (q->more) json_object_set_new(answer, "before", json_string(text));
    if (!q->one && !index_is_complete(q->h)) json_object_set_new(answer, "indexing", json_true()); /* older ones may be missing */
    return answer;
}
