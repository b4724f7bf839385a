/* SPDX-License-Identifier: Apache-2.0
 * The texts of notices. */
#include "policy/notice.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LISTED_RCPTS 20
#define SHOWN 255
#define WIDTH 72

const char *notice_reason_name(unsigned reason)
{
    static const char *const names[NOTICE_REASONS] = { "virus", "file", "spam", "rule" };
    return reason < NOTICE_REASONS ? names[reason] : "unknown";
}

const char *notice_subject(enum notice_reason reason)
{
    static const char *const subjects[NOTICE_REASONS] = { "A virus was found in a message", "A blocked file was found in a message",
                                                          "Spam was found", "A rule has met a message" };
    return subjects[reason];
}

static const char *done_text(enum notice_done done)
{
    static const char *const texts[] = {
        [NOTICE_REFUSED] = "The message was refused; whoever sent it was told so by the sending server.",
        [NOTICE_DISCARDED] = "The message was dropped. Its sender was not told.",
        [NOTICE_QUARANTINED] = "The message is kept in the quarantine, from where it can be released.",
        [NOTICE_HELD] = "The message is held in the queue, from where it can be released.",
        [NOTICE_REDIRECTED] = "The message was sent to another address instead of its recipients.",
        [NOTICE_EDITED] = "The message was passed on, edited as the configuration says.",
        [NOTICE_PASSED] = "The message was passed on as it came.",
    };
    return texts[done];
}

static void add_wrapped(struct buf *out, struct slice text)
{
    while (text.n) {
        size_t n = text.n <= WIDTH ? text.n : WIDTH;
        while (n < text.n && n && text.p[n] != ' ') n--;
        if (!n) { /* a long word: to its end */
            ptrdiff_t blank = slice_find(text, ' ');
            n = blank < 0 ? text.n : (size_t)blank;
        }
        buf_add(out, slice_sub(text, 0, n));
        buf_add_str(out, "\r\n");
        text = slice_sub(text, n + 1, text.n);
    }
}

static void add_line(struct buf *out, const char *name, struct slice value)
{
    if (!value.n) return;
    buf_addf(out, "%-12s", name);
    buf_add_printable(out, value, SHOWN);
    buf_add_str(out, "\r\n");
}

static void add_address(struct buf *out, const char *name, struct slice address)
{
    buf_addf(out, "%-12s<", name);
    buf_add_printable(out, address, SHOWN);
    buf_add_str(out, ">\r\n");
}

static void add_header(const struct notice_mail *m, struct buf *out)
{
    buf_addf(out, "From: Mail relay <%.*s>\r\n", SLICE_ARG(m->from));
    if (m->to.n) buf_addf(out, "To: <%.*s>\r\n", SLICE_ARG(m->to));
    else buf_add_str(out, "To: undisclosed-recipients:;\r\n");
    buf_addf(out, "Subject: %s: %s\r\nDate: ", m->hostname, notice_subject(m->reason));
    clock_add_rfc5322(out, m->now);
    buf_add_str(out, "\r\nMessage-ID: <");
    id_add(out, m->id);
    buf_addf(out, "@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n" /* RFC 3834 §5 */
                  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", m->hostname);
}

static void add_message(const struct notice_mail *m, struct buf *out)
{
    struct buf b = { 0 };
    buf_add_str(out, "\r\n");
    add_address(out, "Sender:", m->sender);
    for (uint32_t i = 0; i < m->rcpt_n && i < LISTED_RCPTS; i++) add_address(out, i ? "" : "Recipient:", m->rcpts[i]);
    if (m->rcpt_n > LISTED_RCPTS) buf_addf(out, "%-12sand %u more\r\n", "", m->rcpt_n - LISTED_RCPTS);
    if (m->client.family) ip_add(&b, &m->client);
    add_line(out, "Client:", buf_slice(&b));
    add_line(out, "Subject:", m->subject);
    add_line(out, "Message-ID:", m->message_id);
    buf_clear(&b);
    id_add(&b, m->about);
    add_line(out, "Known as:", buf_slice(&b));
    buf_deinit(&b);
}

void notice_format(const struct notice_mail *m, struct buf *out)
{
    struct buf text = { 0 };
    add_header(m, out);
    buf_addf(out, "This is the mail relay %s.\r\n\r\n", m->hostname);
    buf_add_str(&text, "Found: ");
    buf_add_printable(&text, m->what, 1000);
    add_wrapped(out, buf_slice(&text));
    buf_add_str(out, "\r\n");
    add_wrapped(out, slice_str(done_text(m->done)));
    add_message(m, out);
    buf_deinit(&text);
    if (m->untold) buf_addf(out, "\r\nOf %u more messages like this since the last notice nothing was told: the log\r\nhas them.\r\n", m->untold);
    if (m->last) buf_add_str(out, "\r\nThis is the last notice of this kind within this hour: the log has those to\r\ncome.\r\n");
}
