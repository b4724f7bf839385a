/* SPDX-License-Identifier: Apache-2.0
 * Envelopes as they may be on a damaged disk; one that is read and written again reads the same. */
#include "spool/envelope.h"
#include "fuzz.h"

static void look_at_edits(const struct envelope *e, const struct envelope *again)
{
    struct slice with = { 0 };
    uint64_t from = 0, n, at = 0, runs = 0;
    must(again->cut_n == e->cut_n && envelope_cuts_ok(e->cuts, e->cut_n, e->text_size));
    for (uint32_t i = 0; i < e->cut_n; i++)
        must(again->cuts[i].at == e->cuts[i].at && again->cuts[i].n == e->cuts[i].n && slice_eq(again->cuts[i].with, e->cuts[i].with));
    for (; (n = envelope_run(e, at, &from, &with)); at += n, runs++)
        must(with.p ? with.n == n : from <= e->text_size && n <= e->text_size - from);
    must(at == envelope_sent_size(e) && runs <= 2 * (uint64_t)e->cut_n + 1);
    must(again->quarantine == e->quarantine && again->score == e->score && slice_eq(again->findings, e->findings));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = { 0 };
    struct buf b = { 0 };
    struct envelope e, again;
    struct err err;
    if (envelope_decode(slice_of(data, n), &arena, &e, &err)) {
        must(e.rcpt_n <= 100000 && e.subject.n <= 255 && e.message_id.n <= 255);
        envelope_encode(&e, &b);
        must(envelope_decode(buf_slice(&b), &arena, &again, &err));
        must(again.id == e.id && again.arrival == e.arrival && again.flags == e.flags &&
             again.text_size == e.text_size);
        must(again.rcpt_n == e.rcpt_n && ip_eq(&again.client, &e.client));
        must(slice_eq(again.sender, e.sender) && slice_eq(again.prepend, e.prepend) && slice_eq(again.helo, e.helo));
        look_at_edits(&e, &again);
        must(slice_eq(again.envid, e.envid) && slice_eq(again.account, e.account) && e.envid.n <= 100 && e.account.n <= 255);
        must(!again.rcpt_dsn == !e.rcpt_dsn && !e.rcpt_dsn == !(e.flags & ENVELOPE_DSN_SEEN));
        for (uint32_t i = 0; i < e.rcpt_n; i++) {
            must(slice_eq(again.rcpts[i], e.rcpts[i]) && envelope_marks(&again, i) == envelope_marks(&e, i));
            if (!e.rcpt_dsn) continue;
            must(e.rcpt_dsn[i].orcpt.n <= 500 && again.rcpt_dsn[i].notify == e.rcpt_dsn[i].notify);
            must(slice_eq(again.rcpt_dsn[i].orcpt, e.rcpt_dsn[i].orcpt));
        }
    } else {
        must(err.text[0]);
    }
    buf_deinit(&b);
    arena_deinit(&arena);
    return 0;
}
