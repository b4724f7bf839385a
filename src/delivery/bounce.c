/* SPDX-License-Identifier: Apache-2.0
 * Bounces: what people read first, then what programs read, then the header of the message it is about. */
#include "delivery/bounce.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "delivery/reason.h"
#include "message/encode.h"
#include "smtp/xtext.h"

#define LINE_WIDTH 72

static void add_allowed(struct buf *out, struct slice s, bool wide)
{
    char *to = buf_reserve(out, s.n);
    if (!to) return;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        to[i] = (c >= 0x20 && c < 0x7F) || (wide && c >= 0x80) ? s.p[i] : '?';
    }
    out->n += s.n;
}

/* Printable ASCII only: no line can be ended, nothing has to be encoded. */
static void add_clean(struct buf *out, struct slice s)
{
    add_allowed(out, s, false);
}

/* Addresses may be UTF-8 as well. */
static void add_address(struct buf *out, struct slice s)
{
    add_allowed(out, s, utf8_clean(s));
}

static void add_line(struct buf *out, const char *name, struct slice value)
{
    buf_add_str(out, name);
    add_clean(out, value);
    buf_add_str(out, "\r\n");
}

static void add_date(struct buf *out, const char *name, uint64_t wall_ms)
{
    buf_add_str(out, name);
    clock_add_rfc5322(out, wall_ms);
    buf_add_str(out, "\r\n");
}

static void add_boundary(struct buf *out, const struct bounce *b)
{
    buf_addf(out, "=_%016llx%016llx", (unsigned long long)b->random, (unsigned long long)b->id);
}

static void start_part(struct buf *out, const struct bounce *b, const char *type, const char *encoding)
{
    buf_add_str(out, "\r\n--");
    add_boundary(out, b);
    buf_addf(out, "\r\nContent-Type: %s\r\n", type);
    if (encoding) buf_addf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
    buf_add_str(out, "\r\n");
}

static void add_header(struct buf *out, const struct bounce *b)
{
    static const char *const subjects[] = { "Your message could not be delivered", "Your message is delayed",
                                            "Mail that could be neither delivered nor returned", "Your message was passed on" };
    buf_addf(out, "From: Mail Delivery System <postmaster@%s>\r\n", b->hostname);
    buf_add_str(out, "To: <");
    add_address(out, b->to);
    buf_addf(out, ">\r\nSubject: %s\r\n", subjects[b->kind]);
    add_date(out, "Date: ", b->now);
    buf_add_str(out, "Message-ID: <");
    id_add(out, b->id);
    buf_addf(out, "@%s>\r\n", b->hostname);
    buf_add_str(out, "Auto-Submitted: auto-replied\r\n" /* RFC 3834 §5 */
                     "MIME-Version: 1.0\r\n");
    if (!utf8_ascii(b->message)) buf_add_str(out, "Content-Transfer-Encoding: 8bit\r\n");
    buf_add_str(out,
                     "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
    add_boundary(out, b);
    buf_add_str(out, "\"\r\n");
}

/* ---- for people */

static void add_wrapped(struct buf *out, const char *indent, struct slice text)
{
    while (text.n) {
        size_t width = text.n <= LINE_WIDTH ? text.n : LINE_WIDTH;
        if (width < text.n) {
            size_t blank = width;
            while (blank && text.p[blank] != ' ') blank--;
            if (blank) width = blank;
        }
        buf_add_str(out, indent);
        add_clean(out, slice_sub(text, 0, width));
        buf_add_str(out, "\r\n");
        text = slice_trim(slice_sub(text, width, text.n));
    }
}

static void add_story(struct buf *out, const struct bounce *b)
{
    switch (b->kind) {
    case BOUNCE_FAILED:
        buf_addf(out, "This is the mail relay %s.\r\n\r\nYour message could not be delivered to the recipients listed below, and no\r\n"
                      "further attempt will be made. Others, if there were any, have it or are\r\nstill being tried.\r\n",
                 b->hostname);
        break;
    case BOUNCE_DELAYED:
        buf_addf(out, "This is the mail relay %s.\r\n\r\nYour message could not be delivered yet to the recipients listed below.\r\n"
                      "You need not send it again: it is being tried until\r\n", b->hostname);
        clock_add_rfc5322(out, b->until);
        buf_add_str(out, ". If it fails in the end, you will be told.\r\n");
        break;
    case BOUNCE_NOTICE:
        buf_addf(out, "This is the mail relay %s.\r\n\r\nA message could not be delivered to the recipients listed below, and its\r\n"
                      "sender cannot be told: it is itself a bounce, or bounces are switched off\r\n"
                      "where it came from. You get this notice so that it does not vanish\r\nunseen.\r\n\r\nSender: <", b->hostname);
        add_address(out, b->sender);
        buf_add_str(out, ">\r\n");
        break;
    case BOUNCE_RELAYED:
        buf_addf(out, "This is the mail relay %s.\r\n\r\nYour message was passed on to the servers of the recipients listed below. They\r\n"
                      "do not report what becomes of it, so this is all you will hear unless it\r\nfails.\r\n",
                 b->hostname);
        break;
    }
    buf_add_str(out, "\r\nThe message arrived here on ");
    clock_add_rfc5322(out, b->arrival);
    buf_add_str(out, "\r\nand is known in our log as ");
    id_add(out, b->original_id);
    buf_add_str(out, ".\r\n");
}

static void add_people_rcpt(struct buf *out, const struct bounce *b, const struct bounce_rcpt *rcpt)
{
    struct reason r;
    reason_parse(rcpt->reason, b->kind != BOUNCE_DELAYED, &r);
    buf_add_str(out, "\r\n  <");
    add_address(out, rcpt->address);
    buf_add_str(out, ">\r\n");
    if (r.remote) {
        buf_add_str(out, "    The server ");
        if (r.host.n) add_clean(out, r.host);
        else buf_add_str(out, "of the recipient");
        buf_add_str(out, " said:\r\n");
    }
    add_wrapped(out, "    ", r.diagnostic.n ? r.diagnostic : SLICE("It has not been tried yet."));
}

static void add_advice(struct buf *out, const struct bounce *b)
{
    buf_add_str(out, "\r\n");
    if (b->kind == BOUNCE_FAILED)
        buf_addf(out, "What you can do: check the addresses for mistakes; if they are right, show\r\n"
                      "this message to the recipient or to whoever looks after the mail there, or\r\n"
                      "write to <postmaster@%s> and add this message.\r\n", b->hostname);
    else if (b->kind == BOUNCE_DELAYED || b->kind == BOUNCE_RELAYED)
        buf_add_str(out, "There is nothing you have to do.\r\n");
    else
        buf_add_str(out, "The header of the message is attached.\r\n");
}

static void add_people(struct buf *out, const struct bounce *b)
{
    add_story(out, b);
    for (size_t i = 0; i < b->rcpt_n; i++) add_people_rcpt(out, b, &b->rcpts[i]);
    if (b->more_n) buf_addf(out, "\r\n  and %zu more\r\n", b->more_n);
    add_advice(out, b);
}

/* ---- for programs: RFC 3464 §2 */

/* What the parameter stands for (RFC 3464 §2.3.1); of other types than ours it is left as it came. */
static void add_original(struct buf *out, struct slice orcpt)
{
    struct slice address = orcpt, type;
    if (!slice_cut(&address, ';', &type)) return;
    buf_add_str(out, "Original-Recipient: ");
    add_clean(out, type);
    buf_add_str(out, "; ");
    struct buf plain = { 0 };
    bool decoded = !slice_ieq(type, SLICE("utf-8")) && xtext_ok(address);
    if (decoded) xtext_decode(address, &plain);
    add_address(out, decoded ? buf_slice(&plain) : address);
    buf_deinit(&plain);
    buf_add_str(out, "\r\n");
}

static void add_envelope_id(struct buf *out, struct slice envid)
{
    struct buf plain = { 0 };
    if (!xtext_ok(envid)) return;
    xtext_decode(envid, &plain);
    add_line(out, "Original-Envelope-Id: ", buf_slice(&plain));
    buf_deinit(&plain);
}

static void add_status_rcpt(struct buf *out, const struct bounce *b, const struct bounce_rcpt *rcpt)
{
    static const char *const actions[] = { "failed", "delayed", "failed", "relayed" };
    struct reason r;
    bool delayed = b->kind == BOUNCE_DELAYED;
    reason_parse(rcpt->reason, !delayed, &r);
    buf_add_str(out, "\r\n");
    if (rcpt->orcpt.n) add_original(out, rcpt->orcpt);
    buf_add_str(out, utf8_ascii(rcpt->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; "); /* RFC 6533 §4 */
    add_address(out, rcpt->address);
    buf_addf(out, "\r\nAction: %s\r\nStatus: %s\r\n", actions[b->kind], r.status);
    if (r.host.n) add_line(out, "Remote-MTA: dns; ", r.host);
    if (r.remote) add_line(out, "Diagnostic-Code: smtp; ", r.diagnostic);
    else if (r.diagnostic.n) add_line(out, "Diagnostic-Code: x-postern; ", r.diagnostic);
    add_date(out, "Last-Attempt-Date: ", b->now);
    if (delayed) add_date(out, "Will-Retry-Until: ", b->until);
}

static void add_status(struct buf *out, const struct bounce *b)
{
    if (b->envid.n) add_envelope_id(out, b->envid);
    buf_addf(out, "Reporting-MTA: dns; %s\r\n", b->hostname);
    buf_add_str(out, "X-Postern-Id: ");
    id_add(out, b->original_id);
    buf_add_str(out, "\r\n");
    add_date(out, "Arrival-Date: ", b->arrival);
    for (size_t i = 0; i < b->rcpt_n; i++) add_status_rcpt(out, b, &b->rcpts[i]);
}

/* ---- the header of the message it is about */

static bool needs_encoding(struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        line = c == '\n' ? 0 : line + 1;
        if (c >= 0x7F || line > 998 || (c < 0x20 && c != '\t' && c != '\r' && c != '\n')) return true;
        if (c == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')) return true;
        if (c == '\n' && (i == 0 || s.p[i - 1] != '\r')) return true;
    }
    return false;
}

struct slice bounce_cut_headers(struct slice text, size_t max)
{
    size_t end = 0;
    while (end < text.n && end < max) {
        const char *nl = memchr(text.p + end, '\n', text.n - end);
        size_t next = nl ? (size_t)(nl - text.p) + 1 : text.n;
        if (next > max || next - end <= 1 || (next - end == 2 && text.p[end] == '\r')) break;
        if (!nl) break; /* not a whole line */
        end = next;
    }
    return slice_sub(text, 0, end);
}

/* Does some address in it need UTF-8? */
static bool is_wide(const struct bounce *b)
{
    bool wide = !utf8_ascii(b->sender);
    for (size_t i = 0; i < b->rcpt_n && !wide; i++) wide = !utf8_ascii(b->rcpts[i].address) || !utf8_ascii(b->rcpts[i].orcpt);
    return wide;
}

/* 7-bit all the same: RFC 6533 §6.1 allows any encoding for this type. */
static void add_encoded(const struct bounce *b, const char *type, void (*add)(struct buf *out, const struct bounce *b), struct buf *out)
{
    struct buf text = { 0 };
    add(&text, b);
    start_part(out, b, type, "quoted-printable");
    quoted_printable_text(buf_slice(&text), out);
    buf_deinit(&text);
}

static void add_original_message(struct buf *out, const struct bounce *b)
{
    if (b->message.n) {
        start_part(out, b, "message/rfc822", utf8_ascii(b->message) ? NULL : "8bit");
        buf_add(out, b->message);
        return;
    }
    /* RFC 6522 §4: quoted-printable when the header is not plain 7-bit text. */
    bool encode = needs_encoding(b->headers);
    bool global = encode && b->utf8_headers && utf8_ok(b->headers);
    start_part(out, b, global ? "message/global-headers" : "text/rfc822-headers", encode ? "quoted-printable" : NULL);
    if (encode) quoted_printable_text(b->headers, out);
    else buf_add(out, b->headers);
}

void bounce_build(const struct bounce *b, struct buf *out)
{
    add_header(out, b);
    if (is_wide(b)) {
        add_encoded(b, "text/plain; charset=utf-8", add_people, out);
        add_encoded(b, "message/global-delivery-status", add_status, out);
    } else {
        start_part(out, b, "text/plain; charset=us-ascii", NULL);
        add_people(out, b);
        start_part(out, b, "message/delivery-status", NULL);
        add_status(out, b);
    }
    add_original_message(out, b);
    buf_add_str(out, "\r\n--");
    add_boundary(out, b);
    buf_add_str(out, "--\r\n");
}
