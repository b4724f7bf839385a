/* SPDX-License-Identifier: Apache-2.0
 * Frames of a milter at the end of a message: changes of every kind, and its replies. */
#include "scanner_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct question q = { 0 };
    struct milter_edits e;
    struct milter_frame f;
    struct report_action action;
    struct slice in = slice_sub(slice_of(data, n), 1, n);
    const char *why = NULL;
    if (n < 1) return 0;
    question_init(&q, CONFIG_SCANNER_MILTER);
    milter_edits_init(&e, &q.ask);
    e.lead_space = data[0] & 1;
    while (!why && milter_take_frame(in, &f) == TALK_DONE) {
        must(f.n <= in.n && f.data.n == f.n - 5);
        if (f.command == 'y' && milter_parse_reply(f.data, &q.arena, &action)) {
            must(action.code >= 400 && action.code <= 599);
            text_holds(action.text);
            must(action.enhanced.n <= 9);
        } else why = milter_modify(&e, &f, data[0] & 2 ? 0x55 : 0xFF);
        in = slice_sub(in, f.n, in.n);
    }
    if (!milter_edits_finish(&e)) answer_holds(&q);
    arena_deinit(&q.arena);
    return 0;
}
