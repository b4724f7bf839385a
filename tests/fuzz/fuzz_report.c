/* SPDX-License-Identifier: Apache-2.0
 * A report of a scan process that was taken over: what is accepted obeys the contract, and says the same when it is written and read
 * again. */
#include <jansson.h>
#include "base/channel.h"
#include "content/report.h"
#include "content/report_parts.h"
#include "fuzz.h"

#define TEXT_SIZE 100000

static void look(const struct report *r)
{
    uint64_t end = 0;
    must(r->part_n <= REPORT_PARTS_MAX && r->symbol_n <= REPORT_SYMBOLS_MAX && r->edit_n <= REPORT_EDITS_MAX);
    for (size_t i = 0; i < r->part_n; i++) {
        const struct report_part *p = &r->parts[i];
        must(p->parent < i || (!i && !p->parent));
        must(p->at <= TEXT_SIZE && p->n <= TEXT_SIZE - p->at);
        must(p->name.n <= REPORT_TEXT_MAX && p->blocked.n <= REPORT_TEXT_MAX);
    }
    for (size_t i = 0; i < r->edit_n; i++) {
        must(r->edits[i].at >= end && r->edits[i].n <= TEXT_SIZE - r->edits[i].at);
        end = r->edits[i].at + r->edits[i].n;
    }
    for (size_t i = 0; i < r->action_n; i++)
        for (size_t k = 0; k < r->actions[i].part_n; k++) must(r->actions[i].parts[k] < r->part_n);
    must(r->prepend.n <= REPORT_PREPEND_MAX && r->subject_at <= TEXT_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = { 0 };
    struct report r, again;
    struct err err;
    json_t *j = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, NULL);
    if (j && report_decode(j, TEXT_SIZE, &arena, &r, &err)) {
        json_t *out = report_encode(&r), *people = report_to_json(&r);
        look(&r);
        must(json_dumpb(out, NULL, 0, JSON_COMPACT) < CHANNEL_FRAME_MAX);
        must(report_decode(out, TEXT_SIZE, &arena, &again, &err));
        must(again.part_n == r.part_n && again.edit_n == r.edit_n && again.action_n == r.action_n && again.symbol_n == r.symbol_n);
        must(slice_eq(again.prepend, r.prepend) && slice_eq(again.subject, r.subject) && again.score == r.score);
        json_decref(out);
        json_decref(people);
    }
    json_decref(j);
    arena_deinit(&arena);
    return 0;
}
