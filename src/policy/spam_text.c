/* SPDX-License-Identifier: Apache-2.0
 * X-Spam-*, and the report for readers. */
#include "policy/spam_text.h"
#include <stdio.h>
#include "base/mem.h"

#define STARS_MAX 50
#define STATUS_MAX 6000   /* bytes of X-Spam-Status */
#define LINE_WIDTH 76     /* where it is folded */
#define NAME_MAX_N 60
#define LISTED_MAX 60     /* symbols in the report for readers */

static void add_score(struct buf *out, int32_t score)
{
    unsigned abs = score < 0 ? 0u - (unsigned)score : (unsigned)score;
    buf_addf(out, "%s%u.%u", score < 0 ? "-" : "", abs / 100, abs / 10 % 10);
    if (abs % 10) buf_add_char(out, (char)('0' + abs % 10));
}

/* Names of engines beside us are made words. */
static void add_symbol(struct buf *out, const struct report_symbol *s)
{
    for (size_t i = 0; i < s->name.n && i < NAME_MAX_N; i++) {
        char c = s->name.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        buf_add_char(out, word ? c : '_');
    }
    buf_add_char(out, '=');
    add_score(out, s->score);
}

/* "tests=A=1.5,B=0.3", folded behind commas. */
static void add_tests(struct buf *out, const struct report *r)
{
    size_t line = 7; /* with the tab as one */
    buf_add_str(out, "\r\n\ttests=");
    if (!r->symbol_n) buf_add_str(out, "none");
    for (size_t i = 0; i < r->symbol_n && out->n < STATUS_MAX; i++) {
        struct buf one = { 0 };
        add_symbol(&one, &r->symbols[i]);
        if (i + 1 < r->symbol_n) buf_add_char(&one, ',');
        if (i && line + one.n > LINE_WIDTH) {
            buf_add_str(out, "\r\n\t");
            line = 1;
        }
        line += one.n;
        buf_add(out, buf_slice(&one));
        buf_deinit(&one);
    }
    buf_add_str(out, "\r\n");
}

void spam_fields_format(const struct config_spam *c, const struct report *r, bool marked, struct buf *out)
{
    size_t stars = r->score >= 100 ? (size_t)r->score / 100 : 0;
    buf_addf(out, "X-Spam-Status: %s, score=", r->score >= c->mark ? "Yes" : "No");
    add_score(out, r->score);
    buf_add_str(out, " required=");
    add_score(out, c->mark);
    buf_addf(out, " class=%s", report_class_name(r->class));
    add_tests(out, r);
    if (stars) buf_add_str(out, "X-Spam-Level: ");
    for (size_t i = 0; i < stars && i < STARS_MAX; i++) buf_add_char(out, '*');
    if (stars) buf_add_str(out, "\r\n");
    if (marked) buf_add_str(out, "X-Spam-Flag: YES\r\n");
}

/* What a test is about is its author's words. */
static void add_readable(struct buf *out, const struct report *r, const struct wording *w)
{
    char count[24];
    for (size_t i = 0; i < r->symbol_n && i < LISTED_MAX; i++) {
        const struct report_symbol *s = &r->symbols[i];
        if (i) buf_add_char(out, '\n');
        add_score(out, s->score);
        buf_add_str(out, "  ");
        buf_add_printable(out, s->name, NAME_MAX_N);
        if (s->text.n) buf_add_str(out, ": ");
        buf_add_printable(out, s->text, 200);
    }
    if (r->symbol_n <= LISTED_MAX) return;
    snprintf(count, sizeof count, "%zu", r->symbol_n - LISTED_MAX);
    buf_add_char(out, '\n');
    template_add_phrase(w, TEMPLATE_WORDS, "more", &(struct template_value){ .name = "count", .text = slice_str(count) }, 1, out);
}

void spam_report_format(const struct config_spam *c, const struct report *r, const char *hostname, const struct wording *w, struct buf *out)
{
    struct buf score = { 0 }, limit = { 0 }, tests = { 0 };
    add_score(&score, r->score);
    add_score(&limit, c->mark);
    add_readable(&tests, r, w);
    const struct template_value values[] = {
        { .name = "hostname", .text = slice_str(hostname) }, { .name = "score", .text = buf_slice(&score) },
        { .name = "limit", .text = buf_slice(&limit) },      { .name = "tests", .text = buf_slice(&tests), .lines = true },
    };
    template_add_body(w, TEMPLATE_REPORT, values, countof(values), out);
    buf_deinit(&score);
    buf_deinit(&limit);
    buf_deinit(&tests);
}
