/* SPDX-License-Identifier: Apache-2.0
 * The text of digests, twice: plain and HTML. What others wrote is only ever text in them. */
#include "proc/digest_mail.h"
#include <time.h>
#include "base/clock.h"
#include "base/html.h"
#include "base/log.h"
#include "base/mem.h"
#include "message/encode.h"
#include "message/words.h"

#define SUBJECT_SHOWN 120
#define SENDER_SHOWN 120
#define ADVICE "A link opens a page; only the button there delivers the message. Whoever has this mail can do that: do not pass it on."

static const char *kind_text(struct slice kind)
{
    static const struct {
        const char *kind, *text;
    } texts[] = {
        { "spam", "it looks like spam" }, { "virus", "it has a virus" },      { "file", "a blocked attachment" },
        { "rule", "a rule" },             { "crash", "it is dangerous" },     { "auth", "its sender is not proven" },
    };
    for (size_t i = 0; i < countof(texts); i++)
        if (slice_eq(kind, slice_str(texts[i].kind))) return texts[i].text;
    return "held back";
}

static void add_time(struct buf *out, uint64_t wall_ms)
{
    char text[40];
    struct tm tm;
    time_t t = (time_t)(wall_ms / 1000);
    if (!localtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm)) return;
    buf_add_str(out, text);
}

static void add_count(struct buf *out, uint64_t n)
{
    buf_addf(out, "%llu message%s", (unsigned long long)n, n == 1 ? "" : "s");
}

static void add_subject(struct buf *out, const struct digest_line *l, bool html)
{
    struct buf words = { 0 };
    words_add(&words, l->subject);
    struct slice s = slice_trim(buf_slice(&words));
    if (!s.n) s = SLICE("(no subject)");
    if (html) html_add(out, s, SUBJECT_SHOWN);
    else html_add_plain(out, s, SUBJECT_SHOWN);
    buf_deinit(&words);
}

static struct slice sender_of(const struct digest_line *l)
{
    return l->sender.n ? l->sender : SLICE("(a mail system)");
}

static bool has_links(const struct digest_mail *m)
{
    for (size_t i = 0; i < m->line_n; i++)
        if (m->lines[i].link.n) return true;
    return false;
}

static const char *last_words(bool links)
{
    return links ? "What has no link only the administrators can release." : "If you miss one of them ask the administrators for it.";
}

/* "2026-01-31 07:00, it looks like spam; is kept until 2026-03-02 07:00" */
static void add_fate(struct buf *out, const struct digest_line *l)
{
    add_time(out, l->stored);
    buf_addf(out, ", %s", kind_text(l->kind));
    if (!l->expires) return;
    buf_add_str(out, "; is kept until ");
    add_time(out, l->expires);
}

/* ---- plain text */

static void add_plain_line(const struct digest_line *l, size_t number, struct buf *out)
{
    buf_addf(out, "%zu. ", number);
    add_subject(out, l, false);
    buf_add_str(out, "\r\n   from ");
    html_add_plain(out, sender_of(l), SENDER_SHOWN);
    buf_add_str(out, "\r\n   ");
    add_fate(out, l);
    buf_add_str(out, "\r\n");
    if (l->link.n) buf_addf(out, "   %.*s\r\n", SLICE_ARG(l->link));
    buf_add_str(out, "\r\n");
}

static void add_plain(const struct digest_mail *m, struct buf *out)
{
    struct buf text = { 0 };
    bool links = has_links(m);
    buf_addf(&text, "This is the mail relay %s.\r\n\r\n", m->hostname);
    add_count(&text, m->count);
    buf_add_str(&text, " to ");
    html_add_plain(&text, m->to, SENDER_SHOWN);
    buf_addf(&text, " %s held back since the last list\r\nlike this.\r\n\r\n", m->count == 1 ? "was" : "were");
    for (size_t i = 0; i < m->line_n; i++) add_plain_line(&m->lines[i], i + 1, &text);
    if (m->count > m->line_n) {
        buf_add_str(&text, "And ");
        add_count(&text, m->count - m->line_n);
        buf_add_str(&text, " more, which are not listed.\r\n\r\n");
    }
    buf_addf(&text, "%s%s\r\n", links ? ADVICE "\r\n" : "", last_words(links));
    quoted_printable_text(buf_slice(&text), out);
    buf_deinit(&text);
}

/* ---- HTML */

static void add_html_line(const struct digest_line *l, struct buf *out)
{
    buf_add_str(out, "<tr>\r\n<td style=\"padding:6px;border-bottom:1px solid #ccc\">\r\n<b>");
    add_subject(out, l, true);
    buf_add_str(out, "</b><br>\r\n");
    html_add(out, sender_of(l), SENDER_SHOWN);
    buf_add_str(out, "<br>\r\n<small>");
    add_fate(out, l);
    buf_add_str(out, "</small></td>\r\n<td style=\"padding:6px;border-bottom:1px solid #ccc\">\r\n");
    if (l->link.n) buf_addf(out, "<a rel=\"noreferrer\" href=\"%.*s\">Release</a>", SLICE_ARG(l->link));
    buf_add_str(out, "</td>\r\n</tr>\r\n");
}

static void add_html(const struct digest_mail *m, struct buf *out)
{
    struct buf text = { 0 };
    bool links = has_links(m);
    buf_addf(&text, "<!DOCTYPE html>\r\n<html lang=\"en\">\r\n<head><meta charset=\"utf-8\"><title>Held back</title></head>\r\n"
                    "<body style=\"font-family:sans-serif\">\r\n<p>This is the mail relay %s.</p>\r\n<p>", m->hostname);
    add_count(&text, m->count);
    buf_add_str(&text, " to ");
    html_add(&text, m->to, SENDER_SHOWN);
    buf_addf(&text, " %s held back since the last list like this.</p>\r\n<table style=\"border-collapse:collapse\">\r\n", m->count == 1 ? "was" : "were");
    for (size_t i = 0; i < m->line_n; i++) add_html_line(&m->lines[i], &text);
    buf_add_str(&text, "</table>\r\n");
    if (m->count > m->line_n) {
        buf_add_str(&text, "<p>And ");
        add_count(&text, m->count - m->line_n);
        buf_add_str(&text, " more, which are not listed.</p>\r\n");
    }
    buf_addf(&text, "%s<p>%s</p>\r\n</body>\r\n</html>\r\n", links ? "<p>" ADVICE "</p>\r\n" : "", last_words(links));
    quoted_printable_text(buf_slice(&text), out);
    buf_deinit(&text);
}

/* ---- the mail */

void digest_mail_format(const struct digest_mail *m, struct buf *out)
{
    char id[ID_TEXT_LEN + 1];
    id_format(m->id, id);
    buf_addf(out, "From: Mail relay <%.*s>\r\nTo: <%.*s>\r\nSubject: %s: ", SLICE_ARG(m->from), SLICE_ARG(m->to), m->hostname);
    add_count(out, m->count);
    buf_add_str(out, " held back\r\nDate: ");
    clock_add_rfc5322(out, m->now);
    buf_addf(out, "\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n" /* RFC 3834 §5 */
                  "Content-Type: multipart/alternative; boundary=\"=_%s\"\r\n\r\n", id, m->hostname, id);
    buf_addf(out, "--=_%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", id);
    add_plain(m, out);
    buf_addf(out, "\r\n--=_%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", id);
    add_html(m, out);
    buf_addf(out, "\r\n--=_%s--\r\n", id);
}
