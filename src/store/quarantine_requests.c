/* SPDX-License-Identifier: Apache-2.0
 * What the admin process wants done with messages of the quarantine. What is done is noted in the message's file first, then in the
 * index. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "spool/spool.h"
#include "store/quarantine_int.h"

#define RCPTS_SHOWN 1000
#define NUMBERS_MAX 50000 /* an answer is one frame */

/* ---- answers */

void quarantine_answer(const struct asker *a, json_t *answer, int fd)
{
    if (a->reply) {
        a->reply(a->owner, a->id, answer, fd);
        return;
    }
    json_decref(answer);
    if (fd >= 0) close(fd);
}

void quarantine_answer_error(const struct asker *a, const char *text, bool missing)
{
    json_t *answer = json_pack("{s:s}", "error", text);
    if (missing) json_object_set_new(answer, "missing", json_true());
    quarantine_answer(a, answer, -1);
}

static void not_there(const struct asker *a)
{
    quarantine_answer_error(a, "there is no message with this id in the quarantine", true);
}

void tell_history(struct quarantine *q, uint64_t id, enum history_kind kind, struct slice text)
{
    history_add(q->history, &(struct history_event){ .kind = kind, .id = id, .when = clock_wall_ms(), .text = text });
}

/* NULL: no such message, and that was answered. */
static json_t *find_entry(struct quarantine *q, uint64_t id, const struct asker *a)
{
    struct db *db = &q->index.db;
    db_bind_number(db, INDEX_ONE, 1, id);
    if (id > INT64_MAX || db_step(db, INDEX_ONE) != DB_ROW) {
        not_there(a);
        return NULL;
    }
    json_t *m = entry_json(q, INDEX_ONE, RCPTS_SHOWN);
    db_reset(db, INDEX_ONE);
    return m;
}

/* ---- show and open */

static void run_open(struct job *j)
{
    j->fd = quarantine_file_open(j->q->root, j->id, &j->err);
    j->ok = j->fd >= 0;
}

static void done_open(struct job *j)
{
    if (!j->ok) {
        if (j->err.code == ENOENT) sync_wanted(j->q);
        quarantine_answer_error(&j->asker, j->err.text, j->err.code == ENOENT);
        return;
    }
    int fd = j->fd;
    j->fd = -1;
    quarantine_answer(&j->asker, json_incref(j->answer), fd);
}

static void add_held(struct quarantine *q, uint64_t id, json_t *numbers)
{
    struct db *db = &q->index.db;
    db_bind_number(db, INDEX_RCPTS, 1, id);
    db_bind_number(db, INDEX_RCPTS, 2, UINT32_MAX);
    db_bind_number(db, INDEX_RCPTS, 3, 0);
    while (db_step(db, INDEX_RCPTS) == DB_ROW)
        if (db_number(db, INDEX_RCPTS, RECIPIENT_STATE) == QUARANTINE_HELD && json_array_size(numbers) < NUMBERS_MAX)
            json_array_append_new(numbers, json_integer((json_int_t)db_number(db, INDEX_RCPTS, RECIPIENT_NUMBER)));
}

/* The numbers of those that are meant and still held; of very many the first, whoever wants the others asks again. NULL: everybody the
 * message was for is held, and meant. */
static json_t *held_numbers(struct quarantine *q, uint64_t id, const json_t *wanted)
{
    uint64_t counts[QUARANTINE_STATES] = { 0 };
    json_t *numbers = json_array(), *v;
    size_t i;
    json_array_foreach(wanted, i, v) {
        struct slice address = slice_of(json_string_value(v), json_string_length(v));
        for (uint32_t n = 0; (n = quarantine_index_find(&q->index, id, address, n)) != UINT32_MAX; n++)
            if (json_array_size(numbers) < NUMBERS_MAX) json_array_append_new(numbers, json_integer(n));
    }
    bool counted = quarantine_index_counts(&q->index, id, counts);
    bool untouched = counted && counts[QUARANTINE_HELD] && !counts[QUARANTINE_RELEASED] && !counts[QUARANTINE_DELETED];
    if (!wanted && !untouched) add_held(q, id, numbers);
    if (wanted || !untouched) return numbers;
    json_decref(numbers);
    return NULL;
}

static void serve_open(struct quarantine *q, const json_t *request, uint64_t id, const struct asker *a)
{
    json_t *m = find_entry(q, id, a);
    if (!m) return;
    json_t *numbers = held_numbers(q, id, json_object_get(request, "recipients")), *answer = json_pack("{s:o}", "message", m);
    if (numbers) json_object_set_new(answer, "numbers", numbers);
    struct job *j = job_new(q, id, run_open, done_open);
    j->reads = true;
    j->asker = *a;
    j->answer = answer;
    if (job_start(j)) return;
    quarantine_answer_error(a, "the quarantine is busy; try again", false);
    job_free(j);
}

static void serve_show(struct quarantine *q, const json_t *request, uint64_t id, const struct asker *a)
{
    json_t *m = find_entry(q, id, a);
    if (m) quarantine_answer(a, json_pack("{s:o}", "message", m), -1);
}

/* ---- removing */

static void run_remove(struct job *j)
{
    j->ok = quarantine_file_remove(j->q->root, j->id, &j->err);
    if (j->ok) crash_point("quarantine-removed");
}

static void done_remove(struct job *j)
{
    struct quarantine *q = j->q;
    if (j->expired) q->expiring = false;
    if (!j->ok) {
        log_event(LOG_ERROR, "quarantine-not-removed", LOG_ID(j->id), LOG_ERR(&j->err));
        if (!j->expired) quarantine_answer_error(&j->asker, j->err.text, false);
        return;
    }
    if (!quarantine_index_drop(&q->index, j->id)) sync_wanted(q);
    tell_history(q, j->id, HISTORY_DELETED, slice_str(j->expired ? "from the quarantine: its time was over" : j->by));
    if (j->expired) log_event(LOG_INFO, "quarantine-expired", LOG_ID(j->id));
    if (j->expired) quarantine_expire(q);
    else quarantine_answer(&j->asker, json_pack("{s:b}", "removed", true), -1);
}

void request_remove(struct quarantine *q, uint64_t id)
{
    if (job_busy(q, id)) return;
    struct job *j = job_new(q, id, run_remove, done_remove);
    j->expired = q->expiring = true;
    if (job_start(j)) return;
    q->expiring = false;
    job_free(j);
}

static char *told_by(const char *what, const json_t *request)
{
    struct buf b = { 0 };
    struct slice by = json_text(request, "by"), as = json_text(request, "as");
    buf_add_str(&b, what);
    if (as.n) buf_addf(&b, " as %.*s", as.n > 40 ? 40 : SLICE_ARG(as));
    if (by.n) buf_add_str(&b, " by ");
    buf_add_printable(&b, by, 200);
    char *text = mem_slicedup(buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static void serve_delete(struct quarantine *q, const json_t *request, uint64_t id, const struct asker *a)
{
    uint64_t size;
    if (!quarantine_index_size(&q->index, id, &size)) {
        not_there(a);
        return;
    }
    struct job *j = job_new(q, id, run_remove, done_remove);
    j->asker = *a;
    j->by = told_by("from the quarantine", request);
    if (!job_busy(q, id) && job_start(j)) return;
    quarantine_answer_error(a, "the message is busy; try again", false);
    job_free(j);
}

/* ---- notes */

static bool is_gone_for_all(struct quarantine *q, uint64_t id)
{
    uint64_t counts[QUARANTINE_STATES];
    return quarantine_index_counts(&q->index, id, counts) && !counts[QUARANTINE_HELD] && !counts[QUARANTINE_RELEASED];
}

static void remove_now(struct job *note)
{
    struct job *j = job_new(note->q, note->id, run_remove, done_remove);
    j->asker = note->asker;
    j->by = mem_strdup(note->by);
    if (job_start(j)) return;
    quarantine_answer_error(&j->asker, "the quarantine is busy; try again", false);
    job_free(j);
}

static void done_note(struct job *j)
{
    struct quarantine *q = j->q;
    if (!j->ok) {
        if (j->err.code == ENOENT) sync_wanted(q);
        log_event(LOG_ERROR, "quarantine-not-noted", LOG_ID(j->id), LOG_ERR(&j->err));
        quarantine_answer_error(&j->asker, j->err.text, j->err.code == ENOENT);
        return;
    }
    for (size_t i = 0; i < j->note_n; i++)
        if (!quarantine_index_note(&q->index, j->id, &j->notes[i], j->size)) sync_wanted(q);
    enum quarantine_note_what what = j->notes[0].what;
    if (what == QUARANTINE_NOTE_RELEASED) tell_history(q, j->id, HISTORY_RELEASED, slice_str(j->by));
    if (what == QUARANTINE_NOTE_DELETED && is_gone_for_all(q, j->id)) remove_now(j);
    else quarantine_answer(&j->asker, json_pack("{s:b}", "noted", true), -1);
}

static bool make_notes(struct job *j, enum quarantine_note_what what, const json_t *request)
{
    const json_t *numbers = json_object_get(request, "numbers"), *v;
    uint64_t now = clock_wall_ms();
    size_t n = json_array_size(numbers), i;
    if (n > NUMBERS_MAX || (numbers && !n)) return false;
    j->note_n = n ? n : 1;
    j->notes = mem_zalloc(j->note_n * sizeof *j->notes);
    j->notes[0] = (struct quarantine_note){ .what = what, .which = QUARANTINE_NOTE_ALL, .when = now };
    json_array_foreach(numbers, i, v)
        j->notes[i] = (struct quarantine_note){ .what = what, .which = (uint32_t)json_integer_value(v), .when = now };
    if (what == QUARANTINE_NOTE_LEARNT) {
        struct slice as = json_text(request, "as");
        j->notes[0].which = slice_eq(as, SLICE("spam")) ? QUARANTINE_LEARNT_SPAM : slice_eq(as, SLICE("ham")) ? QUARANTINE_LEARNT_HAM : 0;
    }
    return true;
}

static void serve_note(struct quarantine *q, const json_t *request, uint64_t id, const struct asker *a)
{
    static const char *const names[] = { "", "released", "deleted", "learnt" };
    struct slice name = json_text(request, "what");
    size_t what = 1;
    uint64_t size;
    while (what < countof(names) && !slice_eq(name, slice_str(names[what]))) what++;
    if (!quarantine_index_size(&q->index, id, &size)) {
        not_there(a);
        return;
    }
    struct job *j = job_new(q, id, job_add_notes, done_note);
    j->asker = *a;
    j->by = told_by("from the quarantine", request);
    const char *wrong = what == countof(names) || !make_notes(j, (enum quarantine_note_what)what, request) ? "what or numbers make no sense"
                        : job_busy(q, id) || !job_start(j) ? "the message is busy; try again" : NULL;
    if (!wrong) return;
    quarantine_answer_error(a, wrong, false);
    job_free(j);
}

/* ---- the table */

void quarantine_request(struct quarantine *q, const json_t *request, quarantine_reply *reply, void *owner, json_int_t asked)
{
    static const struct {
        const char *op;
        void (*serve)(struct quarantine *q, const json_t *request, uint64_t id, const struct asker *a);
    } table[] = {
        { "quarantine-show", serve_show }, { "quarantine-open", serve_open },
        { "quarantine-note", serve_note }, { "quarantine-delete", serve_delete },
    };
    struct asker a = { .reply = reply, .owner = owner, .id = asked };
    struct slice op = json_text(request, "op");
    uint64_t id = 0;
    if (slice_eq(op, SLICE("quarantine-list"))) {
        query_start(q, request, &a);
        return;
    }
    if (digest_request(q, request, &a)) return;
    if (!id_parse(json_text(request, "id"), &id) || !id || id > INT64_MAX) {
        quarantine_answer_error(&a, "that is not an id", false);
        return;
    }
    for (size_t i = 0; i < countof(table); i++) {
        if (!slice_eq(op, slice_str(table[i].op))) continue;
        table[i].serve(q, request, id, &a);
        return;
    }
    quarantine_answer_error(&a, "the quarantine does not know this", false);
}

void quarantine_forget(struct quarantine *q, const void *owner)
{
    list_each(it, &q->running.tasks) {
        struct job *j = job_of(it);
        if (j->asker.owner == owner) j->asker.reply = NULL;
    }
    queries_close(q, owner);
}
