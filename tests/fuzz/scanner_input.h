/* SPDX-License-Identifier: Apache-2.0
 * A question to a scanner, for the fuzz targets of their answers; and what holds of any answer. */
#ifndef POSTERN_TESTS_SCANNER_INPUT_H
#define POSTERN_TESTS_SCANNER_INPUT_H
#include "content/scanner_internal.h"
#include "fuzz.h"

struct question {
    struct arena arena;
    struct config_scanner config_scanner;
    struct config config;
    struct scanner scanner;
    struct scan_context context;
    struct content_message message;
    struct content_part part;
    struct content_field fields[3];
    struct scanner_answer answer;
    struct ask ask;
};

/* The message has three fields and a body; q is cleared. */
static inline void question_init(struct question *q, enum config_scanner_type type)
{
    static const char bytes[] = "From: a@b\r\nSubject: x\r\n y\r\nX-A: 1\r\n\r\nbody\r\n";
    static const size_t at[] = { 0, 11, 27, 35 };
    q->config_scanner = (struct config_scanner){ .name = "s", .type = type, .address = "unix:/s", .command = "/s", .service = "x" };
    q->config.hostname = "relay.test";
    q->config.spam.mark = 500;
    q->scanner.c = &q->config_scanner;
    q->message = (struct content_message){ .bytes = slice_of(bytes, sizeof bytes - 1), .header_n = 37, .fields = q->fields, .field_n = 3,
                                           .parts = &q->part, .part_n = 1 };
    for (size_t i = 0; i < 3; i++) {
        struct slice line = slice_sub(q->message.bytes, at[i], at[i + 1]), name;
        struct slice rest = line;
        slice_cut(&rest, ':', &name);
        q->fields[i] = (struct content_field){ .name = name, .raw = slice_trim(rest), .at = at[i], .n = (uint32_t)line.n };
    }
    q->ask = (struct ask){ .s = &q->scanner, .m = &q->message, .context = &q->context, .config = &q->config, .arena = &q->arena, .out = &q->answer };
}

static inline void text_holds(struct slice s)
{
    must(s.n <= REPORT_TEXT_MAX);
    for (size_t i = 0; i < s.n; i++) must((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7F);
}

/* Lines with CRLF, none of them empty. */
static inline void header_holds(struct slice s)
{
    must(!s.n || (s.n > 2 && s.p[s.n - 1] == '\n' && s.p[0] != ' ' && s.p[0] != '\t' && s.p[0] != '\r'));
    for (size_t i = 0; i < s.n; i++) {
        must(s.p[i] && (s.p[i] == '\n') == (i > 0 && s.p[i - 1] == '\r'));
        must(s.p[i] != '\n' || i + 1 == s.n || s.p[i + 1] != '\r');
    }
}

static inline void answer_holds(const struct question *q)
{
    const struct scanner_answer *a = &q->answer;
    uint64_t end = 0;
    text_holds(a->text);
    must(a->virus_n <= SCANNER_VIRUSES_MAX && a->symbol_n <= REPORT_SYMBOLS_MAX && a->edit_n <= REPORT_EDITS_MAX);
    for (size_t i = 0; i < a->virus_n; i++) text_holds(a->viruses[i].name);
    for (size_t i = 0; i < a->symbol_n; i++) {
        text_holds(a->symbols[i].name);
        text_holds(a->symbols[i].text);
        must(a->symbols[i].score >= -SCANNER_SCORE_MAX && a->symbols[i].score <= SCANNER_SCORE_MAX);
    }
    must(a->score >= -SCANNER_SCORE_MAX && a->score <= SCANNER_SCORE_MAX);
    for (size_t i = 0; i < a->action_n; i++) {
        text_holds(a->actions[i].text);
        text_holds(a->actions[i].address);
        text_holds(a->actions[i].enhanced);
    }
    for (size_t i = 0; i < a->edit_n; i++) {
        const struct envelope_cut *e = &a->edits[i];
        must(e->at >= end && e->at <= q->message.bytes.n && e->n <= q->message.bytes.n - e->at && (e->n || e->with.n));
        if (e->at < q->message.header_n - 1) header_holds(e->with);
        end = e->at + e->n;
    }
    header_holds(a->prepend);
}

/* Hands the input to a reader in pieces of `size`, and that it ends. */
static inline enum talk_step read_pieces(struct slice in, size_t size, talk_reader *reader, void *arg)
{
    struct buf held = { .max = 2u << 20 };
    enum talk_step step = TALK_MORE;
    for (size_t at = 0; at < in.n && step == TALK_MORE; at += size) {
        buf_add(&held, slice_sub(in, at, at + size));
        step = reader(arg, &held, false);
    }
    if (step == TALK_MORE) step = reader(arg, &held, true);
    buf_deinit(&held);
    return step;
}

#endif
