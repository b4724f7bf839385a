/* SPDX-License-Identifier: Apache-2.0
 * Bounces: what people read first, then what programs read, then the header of the message it is about. */
#include "delivery/bounce.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/html.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "delivery/reason.h"
#include "message/encode.h"
#include "message/words.h"
#include "smtp/xtext.h"

#define SUBJECT_SHOWN 120 /* characters */

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

static const struct {
    enum template_kind kind;
    const char *action;          /* RFC 3464 §2.3.3 */
} kinds[] = {
    [BOUNCE_FAILED] = { TEMPLATE_FAILED, "failed" },
    [BOUNCE_DELAYED] = { TEMPLATE_DELAYED, "delayed" },
    [BOUNCE_NOTICE] = { TEMPLATE_UNDELIVERABLE, "failed" },
    [BOUNCE_RELAYED] = { TEMPLATE_RELAYED, "relayed" },
};

static void add_header(struct buf *out, const struct bounce *b)
{
    char address[300];
    struct buf id = { 0 };
    id_add(&id, b->original_id);
    const struct template_value values[] = { { .name = "hostname", .text = slice_str(b->hostname) }, { .name = "id", .text = buf_slice(&id) } };
    snprintf(address, sizeof address, "postmaster@%s", b->hostname);
    template_add_from(&b->wording, "bounces-from", slice_str(address), out);
    buf_add_str(out, "To: <");
    add_address(out, b->to);
    buf_add_str(out, ">\r\n");
    template_add_subject(&b->wording, kinds[b->kind].kind, values, countof(values), out);
    buf_deinit(&id);
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

/* ---- for people: the template, with lines of ours */

static void add_phrase(struct buf *out, const struct bounce *b, const char *name, const char *value, struct slice text)
{
    const struct template_value v = { .name = value, .text = text };
    template_add_phrase(&b->wording, TEMPLATE_WORDS, name, &v, value != NULL, out);
}

/* Who was written to, where that was somebody else. */
static void add_written(struct buf *out, const struct bounce *b, const struct bounce_rcpt *rcpt)
{
    struct buf plain = { 0 }, shown = { 0 };
    if (b->kind == BOUNCE_NOTICE) return;
    if (xtext_orcpt_address(rcpt->orcpt, &plain) && !slice_ieq(buf_slice(&plain), rcpt->address)) {
        add_address(&shown, buf_slice(&plain));
        buf_add_char(out, ' ');
        add_phrase(out, b, "recipient-original", "address", buf_slice(&shown));
    }
    buf_deinit(&plain);
    buf_deinit(&shown);
}

static void add_people_rcpt(struct buf *out, const struct bounce *b, const struct bounce_rcpt *rcpt)
{
    struct reason r;
    reason_parse(rcpt->reason, b->kind != BOUNCE_DELAYED, &r);
    buf_add_str(out, out->n ? "\n\n<" : "<");
    add_address(out, rcpt->address);
    buf_add_char(out, '>');
    add_written(out, b, rcpt);
    buf_add_str(out, "\n  ");
    if (r.remote && r.host.n) add_phrase(out, b, "recipient-answer", "server", r.host);
    else if (r.remote) add_phrase(out, b, "recipient-answer-unnamed", NULL, r.host);
    if (r.remote) buf_add_str(out, "\n  ");
    if (r.diagnostic.n && utf8_clean(r.diagnostic)) html_add_plain(out, r.diagnostic, r.diagnostic.n); /* a server may speak UTF-8 */
    else if (r.diagnostic.n) add_clean(out, r.diagnostic);
    else add_phrase(out, b, "recipient-untried", NULL, r.host);
}

static void add_people_rcpts(struct buf *out, const struct bounce *b)
{
    char more[24];
    for (size_t i = 0; i < b->rcpt_n; i++) add_people_rcpt(out, b, &b->rcpts[i]);
    if (!b->more_n) return;
    snprintf(more, sizeof more, "%zu", b->more_n);
    buf_add_str(out, "\n\n");
    add_phrase(out, b, "more", "count", slice_str(more));
}

/* The subject as it came, with encoded words. */
static void add_subject(struct buf *out, struct slice subject)
{
    struct buf words = { 0 };
    words_add(&words, subject);
    html_add_plain(out, slice_trim(buf_slice(&words)), SUBJECT_SHOWN);
    buf_deinit(&words);
}

static void add_people(struct buf *out, const struct bounce *b)
{
    static const char *const whys[] = { [BOUNCE_WHY_NULL] = "why-null", [BOUNCE_WHY_OFF] = "why-off", [BOUNCE_WHY_FORGED] = "why-forged",
                                       [BOUNCE_WHY_COPY] = "why-copy" };
    struct buf id = { 0 }, arrival = { 0 }, until = { 0 }, rcpts = { 0 }, sender = { 0 }, subject = { 0 }, why = { 0 };
    id_add(&id, b->original_id);
    template_add_date(&b->wording, "date", b->arrival, &arrival);
    if (b->kind == BOUNCE_DELAYED) template_add_date(&b->wording, "date", b->until, &until);
    add_people_rcpts(&rcpts, b);
    buf_add_char(&sender, '<');
    add_address(&sender, b->sender);
    buf_add_char(&sender, '>');
    add_subject(&subject, b->subject);
    if (b->kind == BOUNCE_NOTICE) add_phrase(&why, b, whys[b->why], NULL, SLICE(""));
    const struct template_value values[] = {
        { .name = "hostname", .text = slice_str(b->hostname) }, { .name = "id", .text = buf_slice(&id) },
        { .name = "arrival", .text = buf_slice(&arrival) },     { .name = "until", .text = buf_slice(&until) },
        { .name = "sender", .text = buf_slice(&sender) },       { .name = "subject", .text = buf_slice(&subject) },
        { .name = "why", .text = buf_slice(&why) },             { .name = "recipients", .text = buf_slice(&rcpts), .lines = true },
    };
    template_add_body(&b->wording, kinds[b->kind].kind, values, countof(values), out);
    struct buf *const all[] = { &id, &arrival, &until, &rcpts, &sender, &subject, &why };
    for (size_t i = 0; i < countof(all); i++) buf_deinit(all[i]);
}

/* What RFC 5322 says of lines holds of this part, too: it is encoded when it must be. */
static void add_people_part(struct buf *out, const struct bounce *b)
{
    struct buf text = { 0 };
    add_people(&text, b);
    buf_add_str(out, "\r\n--");
    add_boundary(out, b);
    buf_add_str(out, "\r\n");
    template_add_part(&b->wording, "text/plain", buf_slice(&text), out);
    buf_deinit(&text);
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
    struct reason r;
    bool delayed = b->kind == BOUNCE_DELAYED;
    reason_parse(rcpt->reason, !delayed, &r);
    buf_add_str(out, "\r\n");
    if (rcpt->orcpt.n) add_original(out, rcpt->orcpt);
    buf_add_str(out, utf8_ascii(rcpt->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; "); /* RFC 6533 §4 */
    add_address(out, rcpt->address);
    buf_addf(out, "\r\nAction: %s\r\nStatus: %s\r\n", rcpt->expanded ? "expanded" : rcpt->delivered ? "delivered" : kinds[b->kind].action, r.status);
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

static void add_status_part(struct buf *out, const struct bounce *b)
{
    struct buf text = { 0 };
    if (!is_wide(b)) {
        start_part(out, b, "message/delivery-status", NULL);
        add_status(out, b);
        return;
    }
    add_status(&text, b);
    start_part(out, b, "message/global-delivery-status", "quoted-printable"); /* 7-bit all the same: RFC 6533 §6.1 allows any encoding */
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
    add_people_part(out, b);
    add_status_part(out, b);
    add_original_message(out, b);
    buf_add_str(out, "\r\n--");
    add_boundary(out, b);
    buf_add_str(out, "--\r\n");
}
