/* SPDX-License-Identifier: Apache-2.0
 * Replies of servers, in pieces; and the text of each one as a reply of ours, which must be a reply again. */
#include "base/mem.h"
#include "smtp/reply.h"
#include "fuzz.h"

static void check_formatted(const struct reply_reader *r)
{
    struct buf b = { 0 };
    struct reply_reader *again = mem_new(struct reply_reader);
    const char *why;
    reply_format(&b, r->code, r->enhanced[0] ? r->enhanced : NULL, slice_of(r->text, r->text_n));
    struct slice in = buf_slice(&b);
    must(reply_read(again, &in, &why) == REPLY_DONE || again->lines == REPLY_LINES_MAX);
    must(again->code == r->code);
    for (size_t i = 0; i < b.n; i++) must((b.p[i] >= 0x20 && b.p[i] < 0x7F) || b.p[i] == '\r' || b.p[i] == '\n');
    free(again);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) return 0;
    struct reply_reader *r = mem_new(struct reply_reader);
    struct buf held = { 0 };
    size_t piece_max = 1 + data[0];
    enum reply_status status = REPLY_MORE;
    for (size_t at = 1; at < n && status != REPLY_BAD; at += piece_max) {
        buf_add(&held, slice_sub(slice_of(data, n), at, at + piece_max));
        struct slice in = buf_slice(&held);
        const char *why;
        while ((status = reply_read(r, &in, &why)) == REPLY_DONE) {
            struct slice args;
            must(r->code >= 200 && r->code <= 599 && r->text_n <= REPLY_TEXT_MAX && r->lines <= REPLY_LINES_MAX);
            reply_ehlo_has(r, "SIZE", &args);
            check_formatted(r);
        }
        must((status == REPLY_BAD) == (why != NULL) && in.n < REPLY_LINE_MAX + piece_max);
        buf_consume(&held, held.n - in.n);
    }
    buf_deinit(&held);
    free(r);
    return 0;
}
