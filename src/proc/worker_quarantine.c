/* SPDX-License-Identifier: Apache-2.0
 * What the admin process wants done with a message that it hands over as a file: one of the quarantine goes on to its recipients, is shown, is
 * learnt; of any message see worker_files.c. Files of the quarantine are checked as they are read: they were on a disk for days. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/json.h"
#include "base/log.h"
#include "content/scan.h"
#include "message/header.h"
#include "proc/worker_files.h"
#include "store/store.h"
#include "store/trace.h"

#define PIECE_N 65536
#define PIECES_PER_TURN 8
#define HEADERS_MAX 65536

static void request_free(struct file_request *f)
{
    scan_cancel(&f->scan);
    spool_draft_free(&f->draft);
    if (f->timer) event_free(f->timer);
    if (f->fd >= 0) close(f->fd);
    buf_deinit(&f->encoded);
    arena_deinit(&f->arena);
    list_remove(&f->node);
    free(f);
}

void worker_file_answer(struct file_request *f, json_t *j)
{
    void (*reply)(void *arg, json_t *answer) = f->reply;
    void *arg = f->arg;
    request_free(f);
    reply(arg, j);
}

void worker_file_fail(struct file_request *f, const char *text)
{
    worker_file_answer(f, json_pack("{s:s}", "error", text));
}

static bool read_file(struct file_request *f, struct err *err)
{
    return quarantine_file_read(f->fd, &f->head, &f->encoded, &f->size, err) &&
           envelope_decode(buf_slice(&f->encoded), &f->arena, &f->envelope, err);
}

static size_t read_text(const struct file_request *f, uint64_t at, char *to, size_t n)
{
    if (n > f->head.text_n - at) n = (size_t)(f->head.text_n - at);
    ssize_t k;
    do k = pread(f->fd, to, n, (off_t)(quarantine_text_at(&f->head) + at));
    while (k < 0 && errno == EINTR);
    return k > 0 ? (size_t)k : 0;
}

/* ---- release */

/* Has it gone to somebody already? */
static bool was_released(const struct file_request *f)
{
    struct quarantine_note note;
    for (uint64_t i = 0, n = quarantine_note_count(&f->head, f->size); i < n; i++)
        if (quarantine_file_note(f->fd, &f->head, i, &note) && note.what == QUARANTINE_NOTE_RELEASED) return true;
    return false;
}

/* Those with these numbers, ascending or not; twice is once. Copies go with the first of them. */
static bool choose(struct file_request *f, const json_t *numbers)
{
    struct envelope *e = &f->envelope;
    size_t n = json_array_size(numbers), i;
    const json_t *v;
    bool *meant = arena_alloc(&f->arena, e->rcpt_n + 1);
    uint32_t kept = 0;
    if (!numbers) return e->rcpt_n > 0;
    bool first = e->rcpt_marks && !was_released(f);
    json_array_foreach(numbers, i, v) {
        json_int_t k = json_integer_value(v);
        if (!json_is_integer(v) || k < 0 || k >= e->rcpt_n) return false;
        meant[k] = true;
    }
    for (uint32_t k = 0; k < e->rcpt_n; k++) {
        if (!meant[k] && !(first && envelope_marks(e, k) & (MARK_COPY | MARK_GROUP))) continue;
        e->rcpts[kept] = e->rcpts[k];
        if (e->rcpt_marks) e->rcpt_marks[kept] = e->rcpt_marks[k];
        if (e->rcpt_dsn) e->rcpt_dsn[kept] = e->rcpt_dsn[k];
        kept++;
    }
    e->rcpt_n = kept;
    return n > 0;
}

static void tell_history(const struct file_request *f)
{
    const struct envelope *e = &f->envelope;
    struct buf text = { 0 };
    buf_add_str(&text, "released from the quarantine, where it was ");
    id_add(&text, f->old);
    if (f->w->config->store.history)
        store_history(f->w->store, &(struct history_event){ .kind = HISTORY_ACCEPTED, .id = e->id, .when = e->arrival, .client = e->client,
            .helo = e->helo, .sender = e->sender, .rcpts = e->rcpts, .rcpt_n = e->rcpt_n, .message_id = e->message_id,
            .subject = e->subject, .size = e->text_size, .text = buf_slice(&text), .trace = e->trace });
    buf_deinit(&text);
}

static void on_committed(void *arg, bool ok, const struct err *err)
{
    struct file_request *f = arg;
    char id[ID_TEXT_LEN + 1], was[ID_TEXT_LEN + 1];
    if (!ok) {
        worker_file_fail(f, err->text);
        return;
    }
    crash_point("release-committed");
    tell_history(f);
    id_format(f->envelope.id, id);
    id_format(f->old, was);
    log_event(LOG_INFO, "released-from-quarantine", LOG_ID(f->envelope.id), LOG_STR("was", was), LOG_NUM("recipients", f->envelope.rcpt_n));
    worker_file_answer(f, json_pack("{s:s, s:I, s:b}", "id", id, "recipients", (json_int_t)f->envelope.rcpt_n, "proven",
                                     trace_sender_proven(f->envelope.trace)));
}

static void commit(struct file_request *f)
{
    struct envelope *e = &f->envelope;
    struct spool_draft *draft = f->draft;
    if (f->crc != f->head.text_crc) {
        worker_file_fail(f, "the message's file in the quarantine is damaged");
        return;
    }
    /* Under an id of its own: it may be released again, for others, while the first ones' is still on its way. */
    f->old = e->id;
    e->id = queue_new_id(f->w->queue);
    e->arrival = clock_wall_ms();
    e->flags = (e->flags & ~(unsigned)(ENVELOPE_QUARANTINED | ENVELOPE_HELD)) | ENVELOPE_RELEASED;
    e->quarantine = QUARANTINE_NONE;
    e->findings = e->hold = SLICE("");
    f->draft = NULL;
    queue_submit(f->w->queue, draft, e, on_committed, f);
}

static void go_on(void *arg);

static void copy(struct file_request *f)
{
    struct err err;
    for (unsigned n = 0; f->done < f->head.text_n; n++) {
        size_t room = 0, k;
        char *to = n < PIECES_PER_TURN ? spool_draft_room(f->draft, &room) : NULL;
        if (n == PIECES_PER_TURN) {
            if (!spool_draft_congested(f->draft, go_on, f)) event_add(f->timer, &(struct timeval){ 0, 0 });
            return;
        }
        k = to ? read_text(f, f->done, to, room < PIECE_N ? room : PIECE_N) : 0;
        if (k) f->crc = crc32c(f->crc, to, k);
        f->done += k;
        if (!spool_draft_added(f->draft, k, &err)) {
            worker_file_fail(f, err.text);
            return;
        }
        if (!k) {
            worker_file_fail(f, "the message's file in the quarantine cannot be read");
            return;
        }
    }
    commit(f);
}

static void go_on(void *arg)
{
    struct file_request *f = arg;
    event_add(f->timer, &(struct timeval){ 0, 0 });
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    copy(arg);
}

static void serve_release(struct file_request *f, const json_t *request)
{
    struct worker *w = f->w;
    struct err err;
    if (!w->queue || w->draining) {
        worker_file_fail(f, "this worker is about to end; try again");
    } else if (spool_full(queue_spool(w->queue))) {
        worker_file_fail(f, "the disk is full");
    } else if (!read_file(f, &err)) {
        worker_file_fail(f, err.text);
    } else if (!choose(f, json_object_get(request, "numbers"))) {
        worker_file_fail(f, "there is no such recipient");
    } else {
        f->draft = spool_draft_new(queue_spool(w->queue));
        f->timer = evtimer_new(w->base, on_turn, f);
        event_add(f->timer, &(struct timeval){ 0, 0 });
    }
}

/* ---- details and view */

struct fields {
    json_t *list;
    size_t bytes;
};

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct fields *to = arg;
    struct buf n = { 0 }, v = { 0 };
    buf_add_printable(&n, name, 200);
    for (struct slice line; value.n;) { /* unfolded */
        slice_cut(&value, '\n', &line);
        buf_add_printable(&v, slice_trim(line), 4000);
        if (value.n) buf_add_char(&v, ' ');
    }
    to->bytes += n.n + v.n;
    json_t *pair = json_pack("[s%, s%]", n.n ? n.p : "", n.n, v.n ? slice_trim(buf_slice(&v)).p : "", v.n ? slice_trim(buf_slice(&v)).n : (size_t)0);
    if (pair && to->bytes <= HEADERS_MAX) json_array_append(to->list, pair);
    json_decref(pair);
    buf_deinit(&n);
    buf_deinit(&v);
}

static json_t *headers_json(const struct file_request *f)
{
    struct fields fields = { .list = json_array() };
    struct header_reader reader = { 0 };
    char *room = mem_alloc(HEADERS_MAX);
    header_reader_init(&reader, on_field, &fields);
    header_read(&reader, slice_of(room, read_text(f, 0, room, HEADERS_MAX)));
    header_finish(&reader);
    header_reader_deinit(&reader);
    free(room);
    return fields.list;
}

static void set_text(json_t *o, const char *key, struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, 400);
    if (s.n) json_object_set_new(o, key, json_stringn(b.p, b.n));
    buf_deinit(&b);
}

static void serve_details(struct file_request *f, const json_t *request)
{
    struct err err;
    if (!read_file(f, &err)) {
        worker_file_fail(f, err.text);
        return;
    }
    const struct envelope *e = &f->envelope;
    json_t *findings = e->findings.n ? json_loadb(e->findings.p, e->findings.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *j = json_pack("{s:o, s:o, s:o, s:b}", "headers", headers_json(f), "findings", findings ? findings : json_object(),
                          "trace", trace_json(e->trace), "proven", trace_sender_proven(e->trace));
    set_text(j, "helo", e->helo);
    set_text(j, "zone", e->zone);
    set_text(j, "account", e->account);
    worker_file_answer(f, j);
}

static void serve_view(struct file_request *f, const json_t *request)
{
    struct err err;
    if (!scan_is_needed(f->w->config) || !read_file(f, &err)) {
        worker_file_fail(f, scan_is_needed(f->w->config) ? err.text : WORKER_FILE_NO_SCAN);
        return;
    }
    f->scan = scan_view(f->w->scan, f->w->config, f->fd, quarantine_text_at(&f->head), f->head.text_n, &f->arena, worker_file_on_view, f);
}

/* ---- learning */

static void serve_train(struct file_request *f, const json_t *request)
{
    struct err err;
    const char *as = worker_file_learn_as(request);
    if (!as || !scan_is_needed(f->w->config)) worker_file_fail(f, as ? WORKER_FILE_NO_SCAN : WORKER_FILE_BAD_WORD);
    else if (!read_file(f, &err)) worker_file_fail(f, err.text);
    else f->scan = scan_learn(f->w->scan, f->w->config, as, f->fd, quarantine_text_at(&f->head), f->head.text_n, &f->arena, worker_file_on_learnt, f);
}

/* ---- the table */

bool worker_file_request(struct worker *w, const json_t *request, int fd, void (*reply)(void *arg, json_t *answer), void *arg)
{
    static const struct {
        const char *op;
        void (*serve)(struct file_request *f, const json_t *request);
    } table[] = {
        { "quarantine-release", serve_release }, { "quarantine-details", serve_details }, { "quarantine-view", serve_view },
        { "quarantine-train", serve_train },     { "learn", worker_file_learn },
        { "scan", worker_file_scan },             { "view", worker_file_view },
    };
    struct slice op = json_text(request, "op");
    for (size_t i = 0; fd >= 0 && i < countof(table); i++) {
        if (!slice_eq(op, slice_str(table[i].op))) continue;
        struct file_request *f = mem_new(struct file_request);
        *f = (struct file_request){ .w = w, .reply = reply, .arg = arg, .fd = fd };
        list_push_back(&w->files, &f->node);
        table[i].serve(f, request);
        return true;
    }
    if (fd >= 0) close(fd);
    return false;
}

/* The queue is about to end: commits call back no more. */
void worker_file_requests_free(struct worker *w)
{
    while (!list_empty(&w->files)) worker_file_fail(list_entry(w->files.next, struct file_request, node), "this worker is about to end; try again");
}
