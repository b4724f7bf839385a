/* SPDX-License-Identifier: Apache-2.0
 * The text of digests, twice: plain and HTML. What others wrote is only ever text in them. */
#include "proc/digest_mail.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/html.h"
#include "base/log.h"
#include "base/mem.h"
#include "message/words.h"

#define SUBJECT_SHOWN 120
#define SENDER_SHOWN 120
#define TEXT_SHOWN 500
#define LINK_MAX_N 2000

static void add_phrase(const struct digest_mail *m, const char *name, const char *value, struct slice text, struct buf *out)
{
    const struct template_value v = { .name = value, .text = text };
    template_add_phrase(&m->wording, TEMPLATE_WORDS, name, &v, value != NULL, out);
}

static void add_reason(const struct digest_mail *m, struct slice kind, struct buf *out)
{
    static const char *const kinds[] = { "spam", "virus", "file", "rule", "crash", "auth" };
    char name[24] = "reason-other";
    for (size_t i = 0; i < countof(kinds); i++)
        if (slice_eq(kind, slice_str(kinds[i]))) snprintf(name, sizeof name, "reason-%s", kinds[i]);
    add_phrase(m, name, NULL, kind, out);
}

static void add_count(const struct digest_mail *m, uint64_t n, struct buf *out)
{
    char count[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)n);
    add_phrase(m, n == 1 ? "messages-one" : "messages-many", "count", slice_str(count), out);
}

/* Text in an element, or plain. */
static void add_text(struct slice s, size_t max, bool html, struct buf *out)
{
    if (html) html_add(out, s, max);
    else html_add_plain(out, s, max);
}

static void add_subject(const struct digest_mail *m, const struct digest_line *l, bool html, struct buf *out)
{
    struct buf words = { 0 };
    words_add(&words, l->subject);
    if (!slice_trim(buf_slice(&words)).n) {
        buf_clear(&words);
        add_phrase(m, "no-subject", NULL, SLICE(""), &words);
    }
    add_text(slice_trim(buf_slice(&words)), SUBJECT_SHOWN, html, out);
    buf_deinit(&words);
}

static void add_sender(const struct digest_mail *m, const struct digest_line *l, bool html, struct buf *out)
{
    struct buf text = { 0 };
    if (l->sender.n) buf_add(&text, l->sender);
    else add_phrase(m, "no-sender", NULL, SLICE(""), &text);
    add_text(buf_slice(&text), SENDER_SHOWN, html, out);
    buf_deinit(&text);
}

/* "2026-11-22 14:05, it looks like spam; is kept until 2026-12-22 14:05" */
static void add_story(const struct digest_mail *m, const struct digest_line *l, bool html, struct buf *out)
{
    struct buf text = { 0 }, until = { 0 };
    template_add_date(&m->wording, "time", l->stored, &text);
    buf_add_str(&text, ", ");
    add_reason(m, l->kind, &text);
    if (l->expires) {
        template_add_date(&m->wording, "time", l->expires, &until);
        buf_add_str(&text, "; ");
        add_phrase(m, "kept-until", "time", buf_slice(&until), &text);
    }
    add_text(buf_slice(&text), TEXT_SHOWN, html, out);
    buf_deinit(&text);
    buf_deinit(&until);
}

static bool has_links(const struct digest_mail *m)
{
    for (size_t i = 0; i < m->line_n; i++)
        if (m->lines[i].link.n) return true;
    return false;
}

/* ---- the list, twice */

static void add_plain_line(const struct digest_mail *m, const struct digest_line *l, size_t number, struct buf *out)
{
    struct buf sender = { 0 };
    buf_addf(out, "%s%zu. ", number > 1 ? "\n\n" : "", number);
    add_subject(m, l, false, out);
    buf_add_str(out, "\n   ");
    add_sender(m, l, false, &sender);
    add_phrase(m, "from", "sender", buf_slice(&sender), out);
    buf_add_str(out, "\n   ");
    add_story(m, l, false, out);
    if (l->link.n) buf_addf(out, "\n   %.*s", SLICE_ARG(l->link));
    buf_deinit(&sender);
}

static void add_html_line(const struct digest_mail *m, const struct digest_line *l, struct buf *out)
{
    struct buf release = { 0 };
    buf_add_str(out, "<tr>\r\n<td style=\"padding:6px;border-bottom:1px solid #ccc\">\r\n<b>");
    add_subject(m, l, true, out);
    buf_add_str(out, "</b><br>\r\n");
    add_sender(m, l, true, out);
    buf_add_str(out, "<br>\r\n<small>");
    add_story(m, l, true, out);
    buf_add_str(out, "</small></td>\r\n<td style=\"padding:6px;border-bottom:1px solid #ccc\">\r\n");
    if (l->link.n) {
        add_phrase(m, "release", NULL, SLICE(""), &release);
        buf_add_str(out, "<a rel=\"noreferrer\" href=\"");
        html_add(out, l->link, LINK_MAX_N);
        buf_add_str(out, "\">");
        html_add(out, buf_slice(&release), TEXT_SHOWN);
        buf_add_str(out, "</a>");
    }
    buf_add_str(out, "</td>\r\n</tr>\r\n");
    buf_deinit(&release);
}

/* ---- the mail */

enum { RECIPIENT, MESSAGES, LIST, MORE, ADVICE, REST, TEXTS };

static void add_texts(const struct digest_mail *m, struct buf texts[TEXTS], struct buf *table)
{
    struct buf more = { 0 };
    html_add_plain(&texts[RECIPIENT], m->to, SENDER_SHOWN);
    add_count(m, m->count, &texts[MESSAGES]);
    buf_add_str(table, "<table style=\"border-collapse:collapse\">\r\n");
    for (size_t i = 0; i < m->line_n; i++) {
        add_plain_line(m, &m->lines[i], i + 1, &texts[LIST]);
        add_html_line(m, &m->lines[i], table);
    }
    buf_add_str(table, "</table>\r\n");
    if (m->count > m->line_n) {
        add_count(m, m->count - m->line_n, &more);
        add_phrase(m, "digest-more", "messages", buf_slice(&more), &texts[MORE]);
    }
    if (has_links(m)) add_phrase(m, "digest-advice", NULL, SLICE(""), &texts[ADVICE]);
    add_phrase(m, has_links(m) ? "digest-rest" : "digest-ask", NULL, SLICE(""), &texts[REST]);
    buf_deinit(&more);
}

static void add_html(const struct digest_mail *m, const struct template_value *values, size_t n, struct buf *out)
{
    struct buf text = { 0 }, title = { 0 };
    template_add_phrase(&m->wording, TEMPLATE_DIGEST, "Subject", values, n, &title);
    buf_addf(&text, "<!DOCTYPE html>\r\n<html lang=\"%s\">\r\n<head><meta charset=\"utf-8\"><title>", template_language_name(m->wording.language));
    html_add(&text, buf_slice(&title), TEXT_SHOWN);
    buf_add_str(&text, "</title></head>\r\n<body style=\"font-family:sans-serif\">\r\n");
    template_add_html(&m->wording, TEMPLATE_DIGEST, values, n, &text);
    buf_add_str(&text, "</body>\r\n</html>\r\n");
    template_add_part(&m->wording, "text/html", buf_slice(&text), out);
    buf_deinit(&text);
    buf_deinit(&title);
}

static void add_parts(const struct digest_mail *m, const char *id, const struct template_value *values, size_t n, struct buf *out)
{
    struct buf plain = { 0 };
    template_add_body(&m->wording, TEMPLATE_DIGEST, values, n, &plain);
    buf_addf(out, "--=_%s\r\n", id);
    template_add_part(&m->wording, "text/plain", buf_slice(&plain), out);
    buf_addf(out, "\r\n--=_%s\r\n", id);
    add_html(m, values, n, out);
    buf_addf(out, "\r\n--=_%s--\r\n", id);
    buf_deinit(&plain);
}

void digest_mail_format(const struct digest_mail *m, struct buf *out)
{
    static const char *const names[TEXTS] = { "recipient", "messages", "list", "more", "advice", "rest" };
    char id[ID_TEXT_LEN + 1];
    struct buf texts[TEXTS] = { { .p = NULL } }, table = { 0 };
    struct template_value values[TEXTS + 1];
    id_format(m->id, id);
    add_texts(m, texts, &table);
    for (size_t i = 0; i < TEXTS; i++) values[i] = (struct template_value){ .name = names[i], .text = buf_slice(&texts[i]) };
    values[LIST].lines = true;
    values[LIST].html = buf_slice(&table);
    values[TEXTS] = (struct template_value){ .name = "hostname", .text = slice_str(m->hostname) };
    template_add_from(&m->wording, "notices-from", m->from, out);
    buf_addf(out, "To: <%.*s>\r\n", SLICE_ARG(m->to));
    template_add_subject(&m->wording, TEMPLATE_DIGEST, values, countof(values), out);
    buf_add_str(out, "Date: ");
    clock_add_rfc5322(out, m->now);
    buf_addf(out, "\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n" /* RFC 3834 §5 */
                  "Content-Type: multipart/alternative; boundary=\"=_%s\"\r\n\r\n", id, m->hostname, id);
    add_parts(m, id, values, countof(values), out);
    for (size_t i = 0; i < TEXTS; i++) buf_deinit(&texts[i]);
    buf_deinit(&table);
}
