/* SPDX-License-Identifier: Apache-2.0
 * Answers of an ICAP server, in pieces. */
#include "scanner_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct question q = { 0 };
    struct icap_reader r;
    if (n < 1) return 0;
    question_init(&q, CONFIG_SCANNER_ICAP);
    icap_reader_init(&r, &q.ask, q.message.bytes);
    enum talk_step step = read_pieces(slice_of(data + 1, n - 1), 1u + data[0], icap_read, &r);
    must(r.same <= r.original.n);
    if (step == TALK_BAD) must(r.why != NULL);
    if (step == TALK_DONE) {
        bool fine = icap_judge(&q.ask, &r, SLICE("file"));
        must(fine == (q.answer.state == SCANNER_FINE));
    }
    answer_holds(&q);
    arena_deinit(&q.arena);
    return 0;
}
