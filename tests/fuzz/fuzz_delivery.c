/* SPDX-License-Identifier: Apache-2.0
 * What delivery reads: states from the spool, reasons (made of servers' words) in bounces, headers that are returned. */
#include "base/mem.h"
#include "base/utf8.h"
#include "delivery/bounce.h"
#include "delivery/client.h"
#include "delivery/reason.h"
#include "fuzz.h"

static void read_state(struct slice in)
{
    struct labels reasons, names;
    struct message m = { .rcpt_n = in.n ? (uint8_t)in.p[in.n - 1] % 20 + 1 : 1 };
    struct buf again = { 0 };
    labels_init(&reasons);
    labels_init(&names);
    if (state_decode(in, &m, &reasons, &names)) {
        state_encode(&m, &again);
        if (again.n > 65536) abort();
    }
    for (uint32_t i = 0; m.rcpts && i < m.rcpt_n; i++) label_put(&reasons, &m.rcpts[i].reason);
    free(m.rcpts);
    label_put(&reasons, &m.reason);
    label_put(&names, &m.where);
    if (reasons.table.n || names.table.n) abort();
    labels_deinit(&reasons);
    labels_deinit(&names);
    buf_deinit(&again);
}

static void write_bounce(struct slice in)
{
    struct buf out = { 0 };
    struct slice reason = slice_sub(in, 0, in.n < 200 ? in.n : 200);
    struct bounce_rcpt rcpt = { reason, reason };
    struct bounce b = { .kind = (enum bounce_kind)(in.n % 3), .hostname = "relay.example", .to = reason, .sender = reason,
                        .rcpts = &rcpt, .rcpt_n = 1, .headers = bounce_cut_headers(in, 4096) };
    bounce_build(&b, &out);
    const char *to = memmem(out.p, out.n, "To: <", 5); /* may be UTF-8 (RFC 6532), where it is well-formed */
    size_t from = to ? (size_t)(to - out.p) : 0, end = from;
    while (end < out.n && out.p[end] != '\r') end++;
    if (!to || !utf8_clean(slice_sub(buf_slice(&out), from, end))) abort();
    for (size_t i = 0; i < out.n; i++) { /* else 7-bit, and only CRLF ends lines */
        unsigned char c = (unsigned char)out.p[i];
        if (c == 0x7F || (c > 0x7F && (i < from || i >= end)) || (c == '\n' && (!i || out.p[i - 1] != '\r')) || (c == '\r' && out.p[i + 1] != '\n')) abort();
    }
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice in = slice_of(data, n);
    struct buf line = { 0 };
    struct reason r;
    reason_parse(in, n & 1, &r);
    reason_add_reply(&line, SLICE("mx.example[192.0.2.1]"), 550, "5.1.1", in);
    if (line.n > LABEL_MAX) abort();
    buf_deinit(&line);
    read_state(in);
    write_bounce(in);
    return 0;
}
