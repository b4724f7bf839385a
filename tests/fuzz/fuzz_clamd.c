/* SPDX-License-Identifier: Apache-2.0
 * Replies of clamd. */
#include "scanner_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct question q = { 0 };
    struct slice in = slice_of(data, n), text;
    uint64_t id;
    question_init(&q, CONFIG_SCANNER_CLAMD);
    enum clamd_said said = clamd_parse(in, &id, &text);
    must(text.n <= n && id <= UINT32_MAX);
    must(said != CLAMD_FOUND || text.n > 0);
    if (said == CLAMD_FOUND) scanner_add_virus(&q.ask, text, slice_of(NULL, 0));
    if (said == CLAMD_FOUND) scanner_add_virus(&q.ask, text, in);
    else (void)scanner_text(&q.arena, text);
    must(q.answer.virus_n <= 1);
    answer_holds(&q);
    arena_deinit(&q.arena);
    return 0;
}
