/* SPDX-License-Identifier: Apache-2.0
 * Bounces: what people read first, then what programs read, then the header of the message it is about. */
#include "delivery/bounce.h"
#include "base/clock.h"
#include "base/log.h"
#include "delivery/reason.h"

#define LINE_WIDTH 72
#define QP_LINE_MAX 76 /* RFC 2045 §6.7 (5) */

/* Printable ASCII only: no line can be ended, nothing has to be encoded. */
static void add_clean(struct buf *out, struct slice s)
{
    char *to = buf_reserve(out, s.n);
    if (!to) return;
    for (size_t i = 0; i < s.n; i++) to[i] = s.p[i] >= 0x20 && s.p[i] < 0x7F ? s.p[i] : '?';
    out->n += s.n;
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
                                            "Mail that could be neither delivered nor returned" };
    buf_addf(out, "From: Mail Delivery System <postmaster@%s>\r\n", b->hostname);
    buf_add_str(out, "To: <");
    add_clean(out, b->to);
    buf_addf(out, ">\r\nSubject: %s\r\n", subjects[b->kind]);
    add_date(out, "Date: ", b->now);
    buf_add_str(out, "Message-ID: <");
    id_add(out, b->id);
    buf_addf(out, "@%s>\r\n", b->hostname);
    buf_add_str(out, "Auto-Submitted: auto-replied\r\n" /* RFC 3834 §5 */
                     "MIME-Version: 1.0\r\n"
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
        add_clean(out, b->sender);
        buf_add_str(out, ">\r\n");
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
    add_clean(out, rcpt->address);
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
    else if (b->kind == BOUNCE_DELAYED)
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

static void add_status_rcpt(struct buf *out, const struct bounce *b, const struct bounce_rcpt *rcpt)
{
    struct reason r;
    bool delayed = b->kind == BOUNCE_DELAYED;
    reason_parse(rcpt->reason, !delayed, &r);
    buf_add_str(out, "\r\n");
    add_line(out, "Final-Recipient: rfc822; ", rcpt->address);
    buf_addf(out, "Action: %s\r\nStatus: %s\r\n", delayed ? "delayed" : "failed", r.status);
    if (r.host.n) add_line(out, "Remote-MTA: dns; ", r.host);
    if (r.remote) add_line(out, "Diagnostic-Code: smtp; ", r.diagnostic);
    else if (r.diagnostic.n) add_line(out, "Diagnostic-Code: x-postern; ", r.diagnostic);
    add_date(out, "Last-Attempt-Date: ", b->now);
    if (delayed) add_date(out, "Will-Retry-Until: ", b->until);
}

static void add_status(struct buf *out, const struct bounce *b)
{
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

/* RFC 2045 §6.7. */
static void add_quoted_printable(struct buf *out, struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool at_end = i + 2 < s.n && s.p[i + 1] == '\r' && s.p[i + 2] == '\n';
        if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
            buf_add_str(out, "\r\n");
            line = 0;
            i++;
            continue;
        }
        bool plain = (c >= 0x21 && c < 0x7F && c != '=') || ((c == ' ' || c == '\t') && !at_end && i + 1 < s.n);
        if (line + (plain ? 1 : 3) > QP_LINE_MAX - 1) {
            buf_add_str(out, "=\r\n");
            line = 0;
        }
        if (plain) buf_add_char(out, (char)c);
        else buf_addf(out, "=%02X", c);
        line += plain ? 1 : 3;
    }
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

void bounce_build(const struct bounce *b, struct buf *out)
{
    bool encode = needs_encoding(b->headers);
    add_header(out, b);
    start_part(out, b, "text/plain; charset=us-ascii", NULL);
    add_people(out, b);
    start_part(out, b, "message/delivery-status", NULL);
    add_status(out, b);
    /* RFC 6522 §4: quoted-printable when the header is not plain 7-bit text. */
    start_part(out, b, "text/rfc822-headers", encode ? "quoted-printable" : NULL);
    if (encode) add_quoted_printable(out, b->headers);
    else buf_add(out, b->headers);
    buf_add_str(out, "\r\n--");
    add_boundary(out, b);
    buf_add_str(out, "--\r\n");
}
