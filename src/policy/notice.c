/* SPDX-License-Identifier: Apache-2.0
 * The texts of notices. */
#include "policy/notice.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LISTED_RCPTS 20
#define SHOWN 255

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

static const enum template_kind kinds[NOTICE_REASONS] = { TEMPLATE_VIRUS, TEMPLATE_FILE, TEMPLATE_SPAM, TEMPLATE_RULE };
static const char *const dones[] = {
    [NOTICE_REFUSED] = "done-refused",       [NOTICE_DISCARDED] = "done-discarded",   [NOTICE_QUARANTINED] = "done-quarantined",
    [NOTICE_HELD] = "done-held",             [NOTICE_REDIRECTED] = "done-redirected", [NOTICE_EDITED] = "done-edited",
    [NOTICE_PASSED] = "done-passed",
};

static void add_header(const struct notice_mail *m, struct slice id, struct buf *out)
{
    const struct template_value values[] = { { .name = "hostname", .text = slice_str(m->hostname) }, { .name = "id", .text = id } };
    template_add_from(&m->wording, "notices-from", m->from, out);
    if (m->to.n) buf_addf(out, "To: <%.*s>\r\n", SLICE_ARG(m->to));
    else buf_add_str(out, "To: undisclosed-recipients:;\r\n");
    template_add_subject(&m->wording, kinds[m->reason], values, countof(values), out);
    buf_add_str(out, "Date: ");
    clock_add_rfc5322(out, m->now);
    buf_add_str(out, "\r\nMessage-ID: <");
    id_add(out, m->id);
    buf_addf(out, "@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", m->hostname); /* RFC 3834 §5 */
}

static void add_phrase(const struct notice_mail *m, const char *name, uint32_t count, struct buf *out)
{
    char number[16];
    snprintf(number, sizeof number, "%u", count);
    const struct template_value v = { .name = "count", .text = slice_str(number) };
    template_add_phrase(&m->wording, TEMPLATE_WORDS, name, &v, 1, out);
}

static void add_address(struct buf *out, struct slice address)
{
    buf_add_char(out, '<');
    buf_add_printable(out, address, SHOWN);
    buf_add_char(out, '>');
}

static void add_rcpts(const struct notice_mail *m, struct buf *out)
{
    for (uint32_t i = 0; i < m->rcpt_n && i < LISTED_RCPTS; i++) {
        if (i) buf_add_char(out, '\n');
        add_address(out, m->rcpts[i]);
    }
    if (m->rcpt_n <= LISTED_RCPTS) return;
    buf_add_char(out, '\n');
    add_phrase(m, "more", m->rcpt_n - LISTED_RCPTS, out);
}

enum { FOUND, DONE, SENDER, RCPTS, CLIENT, SUBJECT, MESSAGE_ID, UNTOLD, LAST, TEXTS };

static void add_texts(const struct notice_mail *m, struct buf texts[TEXTS])
{
    buf_add_printable(&texts[FOUND], m->what, 1000);
    add_phrase(m, dones[m->done], 0, &texts[DONE]);
    add_address(&texts[SENDER], m->sender);
    add_rcpts(m, &texts[RCPTS]);
    if (m->client.family) ip_add(&texts[CLIENT], &m->client);
    buf_add_printable(&texts[SUBJECT], m->subject, SHOWN);
    buf_add_printable(&texts[MESSAGE_ID], m->message_id, SHOWN);
    if (m->untold) add_phrase(m, "notice-untold", m->untold, &texts[UNTOLD]);
    if (m->last) add_phrase(m, "notice-last", 0, &texts[LAST]);
}

void notice_format(const struct notice_mail *m, struct buf *out)
{
    static const char *const names[TEXTS] = { "found", "done", "sender", "recipients", "client", "subject", "message-id", "untold", "last" };
    struct buf texts[TEXTS] = { { .p = NULL } }, id = { 0 }, body = { 0 };
    struct template_value values[TEXTS + 2];
    add_texts(m, texts);
    id_add(&id, m->about);
    for (size_t i = 0; i < TEXTS; i++) values[i] = (struct template_value){ .name = names[i], .text = buf_slice(&texts[i]), .lines = i == RCPTS };
    values[TEXTS] = (struct template_value){ .name = "hostname", .text = slice_str(m->hostname) };
    values[TEXTS + 1] = (struct template_value){ .name = "id", .text = buf_slice(&id) };
    add_header(m, buf_slice(&id), out);
    template_add_body(&m->wording, kinds[m->reason], values, countof(values), &body);
    template_add_part(&m->wording, "text/plain", buf_slice(&body), out);
    for (size_t i = 0; i < TEXTS; i++) buf_deinit(&texts[i]);
    buf_deinit(&id);
    buf_deinit(&body);
}
