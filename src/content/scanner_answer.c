/* SPDX-License-Identifier: Apache-2.0
 * What scanners have said, made fit for a report: printable, bounded, with numbers that are numbers. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "content/scanner_internal.h"

#define ACTIONS_MAX 40             /* a report has room for some more */
#define TRACE_NAME_MAX 255

/* Not in the middle of a character. */
static size_t whole_chars(const char *p, size_t n)
{
    while (n && ((unsigned char)p[n] & 0xC0) == 0x80) n--;
    return n;
}

struct slice scanner_cut(struct arena *arena, struct slice clean)
{
    if (clean.n <= REPORT_TEXT_MAX) return arena_slice(arena, clean);
    size_t n = whole_chars(clean.p, REPORT_TEXT_MAX - 3);
    return slice_of(arena_printf(arena, "%.*s...", (int)n, clean.p), n + 3);
}

struct slice scanner_text(struct arena *arena, struct slice raw)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_trim(raw), REPORT_TEXT_MAX);
    struct slice text = scanner_cut(arena, buf_slice(&b));
    buf_deinit(&b);
    return text;
}

bool scanner_fail(struct ask *a, enum scanner_state state, const char *fmt, ...)
{
    char text[2 * REPORT_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    a->out->state = state;
    a->out->text = scanner_cut(a->arena, slice_str(text));
    return false;
}

void scanner_add_virus(struct ask *a, struct slice name, struct slice part)
{
    struct scanner_answer *out = a->out;
    name = scanner_text(a->arena, name);
    if (!name.n) name = SLICE("unnamed");
    for (size_t i = 0; i < out->virus_n; i++) { /* first in the message, then in the file that brought it */
        if (!slice_eq(out->viruses[i].name, name) || (out->viruses[i].part.n && part.n)) continue;
        if (part.n) out->viruses[i].part = scanner_text(a->arena, part);
        return;
    }
    if (!out->viruses) out->viruses = arena_alloc(a->arena, SCANNER_VIRUSES_MAX * sizeof *out->viruses);
    if (out->virus_n == SCANNER_VIRUSES_MAX) return;
    out->viruses[out->virus_n++] = (struct report_virus){ .scanner = slice_str(a->s->c->name), .name = name,
                                                          .part = scanner_text(a->arena, part) };
}

/* ---- scores */

int32_t scanner_hundredths(double score)
{
    double h = score * 100;
    if (isnan(h)) return 0;
    if (h > SCANNER_SCORE_MAX) return SCANNER_SCORE_MAX;
    if (h < -SCANNER_SCORE_MAX) return -SCANNER_SCORE_MAX;
    return (int32_t)lround(h);
}

bool scanner_number(struct slice s, double *out)
{
    bool minus = s.n && s.p[0] == '-', point = false;
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0, first = i;
    double value = 0, place = 1;
    if (s.n > 20 || i == s.n) return false;
    for (; i < s.n; i++) {
        if (s.p[i] == '.' && !point && i > first) {
            point = true;
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        value = value * 10 + (s.p[i] - '0');
        if (point) place *= 10;
    }
    *out = (minus ? -value : value) / place;
    return true;
}

void scanner_set_score(struct ask *a, double score, double threshold, double *factor)
{
    double mark = a->config->spam.mark / 100.0;
    *factor = threshold > 0 && mark > 0 ? mark / threshold : 1;
    a->out->judged = true;
    a->out->score = scanner_hundredths(score * *factor);
}

void scanner_add_symbol(struct ask *a, struct slice name, struct slice text, double score)
{
    struct scanner_answer *out = a->out;
    if (!out->symbols) out->symbols = arena_alloc(a->arena, REPORT_SYMBOLS_MAX * sizeof *out->symbols);
    if (out->symbol_n == REPORT_SYMBOLS_MAX) return;
    out->symbols[out->symbol_n++] = (struct report_symbol){ .engine = slice_str(a->s->c->name), .name = scanner_text(a->arena, name),
                                                            .text = scanner_text(a->arena, text), .score = scanner_hundredths(score) };
}

struct report_action *scanner_add_action(struct ask *a, enum config_rule_do action)
{
    struct scanner_answer *out = a->out;
    if (!out->actions) out->actions = arena_alloc(a->arena, ACTIONS_MAX * sizeof *out->actions);
    if (out->action_n == ACTIONS_MAX) return NULL;
    struct report_action *r = &out->actions[out->action_n++];
    *r = (struct report_action){ .by = slice_str(a->s->c->name), .action = action };
    return r;
}

/* ---- what is told of the client */

void scanner_add_clean(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7F) buf_add_char(out, s.p[i]);
}

/* A name as it can stand in a Received field: no blanks, brackets or quotes. */
static void add_word(struct buf *out, struct slice s, const char *otherwise)
{
    s = slice_sub(s, 0, TRACE_NAME_MAX);
    if (!s.n) buf_add_str(out, otherwise);
    for (size_t i = 0; i < s.n; i++) {
        bool fits = s.p[i] > ' ' && s.p[i] < 0x7F && !strchr("()<>\"\\;,", s.p[i]);
        buf_add_char(out, fits ? s.p[i] : '?');
    }
}

void scanner_add_trace(struct buf *out, const struct ask *a)
{
    const struct scan_context *c = a->context;
    buf_add(out, SLICE("Return-Path: <"));
    scanner_add_clean(out, slice_sub(c->sender, 0, 1000));
    buf_add(out, SLICE(">\r\n"));
    if (!c->client.family) return;
    buf_add(out, SLICE("Received: from "));
    add_word(out, c->helo, "unknown");
    buf_add(out, SLICE(" ("));
    add_word(out, c->client_name, "unknown");
    buf_add(out, SLICE(" ["));
    ip_add(out, &c->client);
    buf_add(out, SLICE("])\r\n\tby "));
    add_word(out, slice_str(a->config->hostname), "localhost");
    buf_addf(out, " (Postern) with ESMTP%s%s id ", c->tls ? "S" : "", c->account.n ? "A" : "");
    id_add(out, c->id);
    buf_add(out, SLICE(";\r\n\t"));
    clock_add_rfc5322(out, c->arrival ? c->arrival : clock_wall_ms());
    buf_add(out, SLICE("\r\n"));
}
