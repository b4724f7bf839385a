/* SPDX-License-Identifier: Apache-2.0
 * What recipients are told of what is held for them. That they were told is noted in the message's file first, then in the index, so that it
 * outlives either process and a lost index; until then a recipient's row says that somebody is about to tell (TELLING), which counts as
 * not told once that failed. */
#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "store/quarantine_int.h"

#define LINES_MAX 100            /* messages that are listed of one recipient; the others are counted */
#define RCPTS_MAX 500            /* in one answer */
#define TEXT_MAX 400

/* As it is, where JSON can have it. */
static json_t *text_json(struct slice s)
{
    struct buf shown = { 0 };
    bool clean = s.n <= TEXT_MAX && utf8_clean(s);
    for (size_t i = 0; i < s.n && clean; i++) clean = (unsigned char)s.p[i] >= ' ';
    if (!clean) buf_add_printable(&shown, s, TEXT_MAX);
    json_t *v = clean ? json_stringn(s.n ? s.p : "", s.n) : json_stringn(shown.n ? shown.p : "", shown.n);
    buf_deinit(&shown);
    return v ? v : json_string("");
}

/* ---- who is to be told */

/* The next address behind `after`; false: there is none. One that JSON cannot have is nobody's. */
static bool next_address(struct quarantine *q, struct slice after, json_t **address, uint64_t *count)
{
    struct db *db = &q->index.db;
    struct buf last = { 0 };
    *address = NULL;
    buf_add(&last, after);
    for (bool more = true; more && !*address;) {
        db_bind_text(db, INDEX_UNTOLD_RCPTS, 1, buf_slice(&last));
        db_bind_number(db, INDEX_UNTOLD_RCPTS, 2, 1);
        more = db_step(db, INDEX_UNTOLD_RCPTS) == DB_ROW;
        if (!more) break;
        struct slice found = db_bytes(db, INDEX_UNTOLD_RCPTS, 0);
        *count = db_number(db, INDEX_UNTOLD_RCPTS, 1);
        *address = utf8_clean(found) ? json_stringn(found.n ? found.p : "", found.n) : NULL;
        buf_clear(&last);
        buf_add(&last, found);
        db_reset(db, INDEX_UNTOLD_RCPTS);
    }
    buf_deinit(&last);
    return *address != NULL;
}

static void serve_list(struct quarantine *q, const json_t *request, const struct asker *a)
{
    json_t *list = json_array(), *address;
    struct slice after = json_text(request, "after");
    uint64_t count;
    bool more = true;
    while (json_array_size(list) < RCPTS_MAX && (more = next_address(q, after, &address, &count))) {
        after = slice_of(json_string_value(address), json_string_length(address));
        json_array_append_new(list, json_pack("{s:o, s:I}", "address", address, "count", (json_int_t)count));
    }
    json_t *answer = json_pack("{s:o}", "recipients", list);
    if (more) json_object_set_new(answer, "more", json_true());
    quarantine_answer(a, answer, -1);
}

/* ---- of what */

/* As the newest of them spells it. */
static json_t *spelled(struct quarantine *q, struct slice address)
{
    struct db *db = &q->index.db;
    json_t *found = NULL;
    db_bind_text(db, INDEX_UNTOLD, 1, address);
    db_bind_number(db, INDEX_UNTOLD, 2, 1);
    if (db_step(db, INDEX_UNTOLD) != DB_ROW) return NULL;
    struct slice s = db_bytes(db, INDEX_UNTOLD, 6);
    found = utf8_clean(s) ? json_stringn(s.p, s.n) : NULL;
    db_reset(db, INDEX_UNTOLD);
    return found;
}

static json_t *row_json(const struct quarantine *q, struct db *db)
{
    char id[ID_TEXT_LEN + 1];
    uint64_t stored = db_number(db, INDEX_UNTOLD, 2);
    id_format(db_number(db, INDEX_UNTOLD, 0), id);
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:I}", "id", id, "kind", envelope_quarantine_name((unsigned)db_number(db, INDEX_UNTOLD, 1)),
                     "stored", (json_int_t)stored, "expires", (json_int_t)(q->limits.keep ? stored + q->limits.keep : 0), "sender",
                     text_json(db_bytes(db, INDEX_UNTOLD, 3)), "subject", text_json(db_bytes(db, INDEX_UNTOLD, 4)), "n",
                     (json_int_t)db_number(db, INDEX_UNTOLD, 5));
}

static json_t *messages_json(struct quarantine *q, struct slice address)
{
    struct db *db = &q->index.db;
    json_t *list = json_array();
    uint64_t last = 0;
    db_bind_text(db, INDEX_UNTOLD, 1, address);
    db_bind_number(db, INDEX_UNTOLD, 2, LINES_MAX);
    while (db_step(db, INDEX_UNTOLD) == DB_ROW) {
        uint64_t id = db_number(db, INDEX_UNTOLD, 0);
        if (id != last) json_array_append_new(list, row_json(q, db)); /* somebody may be named twice in one */
        last = id;
    }
    return list;
}

static bool begin_telling(struct quarantine *q, struct slice address)
{
    if (!db_write(&q->index.db)) return false;
    db_bind_text(&q->index.db, INDEX_TELLING, 1, address);
    return db_run(&q->index.db, INDEX_TELLING) == DB_DONE;
}

static uint64_t count_of(struct quarantine *q, struct slice address)
{
    struct db *db = &q->index.db;
    db_bind_text(db, INDEX_UNTOLD_COUNT, 1, address);
    if (db_step(db, INDEX_UNTOLD_COUNT) != DB_ROW) return 0;
    uint64_t n = db_number(db, INDEX_UNTOLD_COUNT, 0);
    db_reset(db, INDEX_UNTOLD_COUNT);
    return n;
}

static void serve_next(struct quarantine *q, const json_t *request, const struct asker *a)
{
    const json_t *recipient = json_object_get(request, "recipient");
    json_t *address = NULL;
    uint64_t count = 0;
    if (q->sync.phase != SYNC_IDLE) { /* what is not in the index yet would be left out, or be told anew */
        quarantine_answer_error(a, "the index of the quarantine is being made anew; try again later", false);
        return;
    }
    if (recipient) address = spelled(q, json_text(request, "recipient"));
    else (void)next_address(q, json_text(request, "after"), &address, &count);
    struct slice s = slice_of(json_string_value(address), json_string_length(address));
    if (s.n) count = count_of(q, s);
    if (!count || (json_is_true(json_object_get(request, "tell")) && !begin_telling(q, s))) {
        json_decref(address);
        if (count) quarantine_answer_error(a, "the index of the quarantine cannot be written", false);
        else quarantine_answer(a, json_object(), -1);
        return;
    }
    quarantine_answer(a, json_pack("{s:o, s:I, s:o}", "address", address, "count", (json_int_t)count, "messages", messages_json(q, s)), -1);
}

/* ---- they were told */

static void tell_next(struct quarantine *q, const struct asker *a, const char *address, uint64_t after, uint32_t number, json_int_t told);

/* Where the note could not be written the index alone has to know: better than the same list again and again while a disk is full. */
static void done_told(struct job *j)
{
    struct quarantine *q = j->q;
    uint64_t size = j->size;
    if (!j->ok) log_event(LOG_WARNING, "quarantine-not-noted", LOG_ID(j->id), LOG_ERR(&j->err));
    if ((j->ok || quarantine_index_size(&q->index, j->id, &size)) && !quarantine_index_note(&q->index, j->id, &j->notes[0], size))
        sync_wanted(q);
    tell_next(q, &j->asker, j->as, j->id, j->notes[0].which, j->told + 1);
}

static bool find_telling(struct quarantine *q, const char *address, uint64_t *id, uint32_t *number)
{
    struct db *db = &q->index.db;
    do {
        db_bind_text(db, INDEX_NEXT_TELLING, 1, slice_str(address));
        db_bind_number(db, INDEX_NEXT_TELLING, 2, *id);
        db_bind_number(db, INDEX_NEXT_TELLING, 3, *number);
        if (db_step(db, INDEX_NEXT_TELLING) != DB_ROW) return false;
        *id = db_number(db, INDEX_NEXT_TELLING, 0);
        *number = (uint32_t)db_number(db, INDEX_NEXT_TELLING, 1);
        db_reset(db, INDEX_NEXT_TELLING);
    } while (job_busy(q, *id)); /* somebody is doing something with it, which its recipient knows of or will see in the next list */
    return true;
}

/* One after the other. */
static void tell_next(struct quarantine *q, const struct asker *a, const char *address, uint64_t id, uint32_t number, json_int_t told)
{
    if (!find_telling(q, address, &id, &number)) {
        quarantine_answer(a, json_pack("{s:I}", "told", told), -1);
        return;
    }
    struct job *j = job_new(q, id, job_add_notes, done_told);
    j->asker = *a;
    j->as = mem_strdup(address);
    j->told = told;
    j->note_n = 1;
    j->notes = mem_new(struct quarantine_note);
    j->notes[0] = (struct quarantine_note){ .what = QUARANTINE_NOTE_TOLD, .which = number, .when = clock_wall_ms() };
    if (job_start(j)) return;
    quarantine_answer_error(a, "the quarantine is busy; try again", false);
    job_free(j);
}

static void serve_told(struct quarantine *q, const json_t *request, const struct asker *a)
{
    const char *address = json_string_value(json_object_get(request, "address"));
    if (address && *address) tell_next(q, a, address, 0, 0, 0);
    else quarantine_answer_error(a, "address is missing", false);
}

/* ---- one recipient of one message, whom a link is for */

static void serve_recipient(struct quarantine *q, const json_t *request, const struct asker *a)
{
    struct db *db = &q->index.db;
    uint64_t id = 0, number = (uint64_t)json_integer_value(json_object_get(request, "n"));
    bool there = id_parse(json_text(request, "id"), &id) && id <= INT64_MAX;
    json_t *m = NULL, *address = NULL;
    if (there) db_bind_number(db, INDEX_ONE, 1, id);
    if (there && db_step(db, INDEX_ONE) == DB_ROW) {
        m = json_pack("{s:s, s:I, s:o, s:o}", "kind", envelope_quarantine_name((unsigned)db_number(db, INDEX_ONE, ENTRY_KIND)), "stored",
                      (json_int_t)db_number(db, INDEX_ONE, ENTRY_STORED), "sender", text_json(db_bytes(db, INDEX_ONE, ENTRY_SENDER)), "subject",
                      text_json(db_bytes(db, INDEX_ONE, ENTRY_SUBJECT)));
        db_reset(db, INDEX_ONE);
        db_bind_number(db, INDEX_RCPTS, 1, id);
        db_bind_number(db, INDEX_RCPTS, 2, 1);
        db_bind_number(db, INDEX_RCPTS, 3, number);
    }
    if (m && db_step(db, INDEX_RCPTS) == DB_ROW) {
        struct slice s = db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS);
        bool same = db_number(db, INDEX_RCPTS, RECIPIENT_NUMBER) == number && utf8_clean(s);
        address = same ? json_stringn(s.n ? s.p : "", s.n) : NULL;
        json_object_set_new(m, "state", json_string(quarantine_state_name((unsigned)db_number(db, INDEX_RCPTS, RECIPIENT_STATE))));
        db_reset(db, INDEX_RCPTS);
    }
    if (address) json_object_set_new(m, "address", address);
    if (address) quarantine_answer(a, json_incref(m), -1);
    else quarantine_answer_error(a, "there is no such message or recipient", true);
    json_decref(m);
}

/* ---- when digests were sent last */

static void serve_ran(struct quarantine *q, const json_t *request, const struct asker *a)
{
    struct db *db = &q->index.db;
    json_t *at = json_object_get(request, "at");
    if (at && db_write(db)) {
        db_bind_number(db, INDEX_SET_RAN, 1, (uint64_t)json_integer_value(at));
        (void)db_run(db, INDEX_SET_RAN);
        db_commit(db);
    }
    bool known = db_step(db, INDEX_GET_RAN) == DB_ROW;
    json_t *answer = json_pack("{s:I}", "at", known ? (json_int_t)db_number(db, INDEX_GET_RAN, 0) : (json_int_t)0);
    if (known) db_reset(db, INDEX_GET_RAN);
    quarantine_answer(a, answer, -1);
}

bool digest_request(struct quarantine *q, const json_t *request, const struct asker *a)
{
    static const struct {
        const char *op;
        void (*serve)(struct quarantine *q, const json_t *request, const struct asker *a);
    } table[] = {
        { "quarantine-digest-list", serve_list }, { "quarantine-digest-next", serve_next }, { "quarantine-digest-told", serve_told },
        { "quarantine-digest-recipient", serve_recipient }, { "quarantine-digest-ran", serve_ran },
    };
    struct slice op = json_text(request, "op");
    for (size_t i = 0; i < countof(table); i++) {
        if (!slice_eq(op, slice_str(table[i].op))) continue;
        table[i].serve(q, request, a);
        return true;
    }
    return false;
}
