/* SPDX-License-Identifier: Apache-2.0
 * Puts messages for the quarantine into a spool that nobody has open, as a relay whose checks want them there leaves them behind. Each line of
 * standard input is one: {"kind": number, "score", "sender", "recipients": [..], "subject", "reason", "text", "prepend", "cut": [at, n, with],
 * "age": ms, "flags", "repeat": n, "size": pad the text to so many bytes}; prints the ids.
 *
 *     quarantine_fill DIRECTORY < LINES */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/envelope.h"
#include "spool/spool.h"

static unsigned waiting;
static uint64_t last_id;

static void on_commit(void *arg, bool ok, struct spool_content *content, const struct err *err)
{
    waiting--;
    spool_content_free(content);
    if (!ok) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static void fill_text(struct spool_draft *d, struct slice text, json_int_t size)
{
    struct err err;
    char line[78];
    memset(line, 'x', sizeof line);
    memcpy(line + 76, "\r\n", 2);
    bool ok = spool_draft_append(d, text, &err);
    while (ok && spool_draft_size(d) < (uint64_t)size) ok = spool_draft_append(d, slice_of(line, sizeof line), &err);
    if (ok) return;
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

static void put(struct spool *sp, const json_t *j, struct spool_msg *msg)
{
    struct arena arena = { 0 };
    struct buf encoded = { 0 };
    const json_t *rcpts = json_object_get(j, "recipients"), *cut = json_object_get(j, "cut"), *v;
    char id[ID_TEXT_LEN + 1];
    struct spool_draft *d = spool_draft_new(sp);
    fill_text(d, json_text(j, "text"), json_integer_value(json_object_get(j, "size")));
    uint64_t now = clock_wall_ms() - (uint64_t)json_integer_value(json_object_get(j, "age"));
    uint64_t next = now << 22 | UINT64_C(1000) << 12;
    struct envelope_cut c = { .at = (uint64_t)json_integer_value(json_array_get(cut, 0)), .n = (uint64_t)json_integer_value(json_array_get(cut, 1)) };
    c.with = slice_of(json_string_value(json_array_get(cut, 2)), json_string_length(json_array_get(cut, 2)));
    last_id = next > last_id ? next : last_id + 1;
    struct envelope e = { .id = last_id, .arrival = now, .flags = ENVELOPE_QUARANTINED | (uint32_t)json_integer_value(json_object_get(j, "flags")),
                          .client = { .family = 4, .bytes = { 192, 0, 2, 9 } }, .helo = SLICE("client.example"), .zone = SLICE("internet"),
                          .sender = json_text(j, "sender"), .text_size = spool_draft_size(d), .subject = json_text(j, "subject"),
                          .message_id = SLICE("x@client.example"), .hold = json_text(j, "reason"), .prepend = json_text(j, "prepend"),
                          .quarantine = (uint8_t)json_integer_value(json_object_get(j, "kind")), .findings = json_text(j, "findings"),
                          .score = (int32_t)json_integer_value(json_object_get(j, "score")), .cuts = &c, .cut_n = cut ? 1 : 0 };
    size_t i;
    e.rcpts = arena_alloc(&arena, (json_array_size(rcpts) + 1) * sizeof *e.rcpts);
    json_array_foreach(rcpts, i, v) e.rcpts[e.rcpt_n++] = slice_of(json_string_value(v), json_string_length(v));
    envelope_encode(&e, &encoded);
    waiting++;
    spool_draft_commit(d, e.id, buf_slice(&encoded), msg, on_commit, NULL);
    id_format(e.id, id);
    puts(id);
    buf_deinit(&encoded);
    arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    struct err err;
    bool busy;
    static struct spool_msg msgs[200000];
    size_t n = 0;
    if (argc != 2) return 2;
    struct spool *sp = spool_open(base, &(struct spool_options){ .dir = argv[1], .segment_size = 8 << 20, .inline_size = 128 << 10 }, &busy, &err);
    if (!sp) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (json_t *j; (j = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(j)) {
        json_int_t repeat = json_object_get(j, "repeat") ? json_integer_value(json_object_get(j, "repeat")) : 1;
        for (; repeat && n < countof(msgs); repeat--) {
            put(sp, j, &msgs[n++]);
            while (waiting > 1000) event_base_loop(base, EVLOOP_ONCE);
        }
    }
    while (waiting) event_base_loop(base, EVLOOP_ONCE);
    spool_close(sp);
    event_base_free(base);
    return 0;
}
