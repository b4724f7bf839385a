/* SPDX-License-Identifier: Apache-2.0
 * Answers of spamd, in pieces. */
#include "scanner_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct question q = { 0 };
    if (n < 1) return 0;
    question_init(&q, CONFIG_SCANNER_SPAMD);
    struct spamd_reader r = { .ask = &q.ask };
    enum talk_step step = read_pieces(slice_of(data + 1, n - 1), 1u + data[0], spamd_read, &r);
    if (step == TALK_BAD) must(r.why != NULL);
    if (step == TALK_DONE) {
        spamd_judge(&q.ask, &r);
        must(q.answer.judged == (q.answer.state == SCANNER_FINE));
    }
    answer_holds(&q);
    buf_deinit(&r.body);
    arena_deinit(&q.arena);
    return 0;
}
