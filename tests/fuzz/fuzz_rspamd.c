/* SPDX-License-Identifier: Apache-2.0
 * Answers of Rspamd, in pieces; and the same bytes as the JSON in one. */
#include "scanner_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct question q = { 0 };
    if (n < 1) return 0;
    question_init(&q, CONFIG_SCANNER_RSPAMD);
    struct http_reader r = { .arena = &q.arena, .body = { .max = 100000 } };
    enum talk_step step = read_pieces(slice_of(data + 1, n - 1), 1u + data[0], http_read, &r);
    if (step == TALK_BAD) must(r.why != NULL);
    if (step == TALK_DONE) rspamd_judge(&q.ask, buf_slice(&r.body));
    answer_holds(&q);
    q.answer = (struct scanner_answer){ .state = SCANNER_FINE };
    rspamd_judge(&q.ask, slice_of(data, n));
    answer_holds(&q);
    buf_deinit(&r.body);
    arena_deinit(&q.arena);
    return 0;
}
