/* SPDX-License-Identifier: Apache-2.0
 * Traces, written and read. An entry is: stage and outcome in one byte; line and microseconds as numbers of 7 bits a byte, the
 * score likewise after folding its sign; name, reason and recipient each with one byte for its length. */
#include "store/trace.h"
#include "base/mem.h"

#define VERSION 1
#define TEXT_MAX 255

const char *trace_stage_name(unsigned stage)
{
    static const char *const names[TRACE_STAGES] = { "connect", "helo", "mail", "rcpt", "data", "content" };
    return stage < TRACE_STAGES ? names[stage] : "unknown";
}

const char *trace_outcome_name(unsigned outcome)
{
    static const char *const names[] = { "pass", "skip", "allow", "score", "hold", "defer", "reject", "discard", "quarantine" };
    _Static_assert(countof(names) == TRACE_OUTCOMES && TRACE_OUTCOMES <= 16, "each has a name, and fits into four bits");
    return outcome < countof(names) ? names[outcome] : "unknown";
}

/* ---- writing */

static void add_number(struct buf *out, uint64_t v)
{
    for (; v > 0x7f; v >>= 7) buf_add_char(out, (char)(v | 0x80));
    buf_add_char(out, (char)v);
}

static void add_text(struct buf *out, struct slice s)
{
    s = slice_sub(s, 0, TEXT_MAX);
    buf_add_char(out, (char)s.n);
    buf_add(out, s);
}

void trace_add(struct buf *out, const struct trace_entry *e)
{
    bool refusal = e->outcome >= TRACE_HOLD;
    if (out->n > (refusal ? TRACE_MAX - 1000 : TRACE_MAX - 2000)) return;
    if (!out->n) buf_add_char(out, VERSION);
    buf_add_char(out, (char)(e->stage << 4 | e->outcome));
    add_number(out, e->line);
    add_number(out, e->us);
    add_number(out, (uint64_t)(uint32_t)(e->score < 0 ? ~((uint32_t)e->score << 1) : (uint32_t)e->score << 1));
    add_text(out, e->check);
    add_text(out, e->why);
    add_text(out, e->about);
}

/* ---- reading: what comes from the disk may be damaged */

static bool take_number(struct slice *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; in->n && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)in->p[0];
        *in = slice_sub(*in, 1, in->n);
        *out |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) return true;
    }
    return false;
}

static bool take_text(struct slice *in, struct slice *out)
{
    if (!in->n || (unsigned char)in->p[0] >= in->n) return false;
    size_t n = (unsigned char)in->p[0];
    *out = slice_sub(*in, 1, 1 + n);
    *in = slice_sub(*in, 1 + n, in->n);
    return true;
}

bool trace_open(struct slice trace, struct slice *in)
{
    *in = slice_sub(trace, 1, trace.n);
    return trace.n && trace.p[0] == VERSION;
}

bool trace_next(struct slice *in, struct trace_entry *out)
{
    uint64_t line, score;
    if (!in->n) return false;
    unsigned char head = (unsigned char)in->p[0];
    *in = slice_sub(*in, 1, in->n);
    *out = (struct trace_entry){ .stage = head >> 4, .outcome = head & 15 };
    if (!take_number(in, &line) || !take_number(in, &out->us) || !take_number(in, &score) || !take_text(in, &out->check) ||
        !take_text(in, &out->why) || !take_text(in, &out->about))
        return false;
    uint32_t folded = (uint32_t)score;
    out->line = (uint32_t)line;
    out->score = (int32_t)(folded & 1 ? ~(folded >> 1) : folded >> 1);
    return true;
}

/* Texts may have been cut within a character. */
static json_t *text_json(struct slice s)
{
    struct buf shown = { 0 };
    buf_add_printable(&shown, s, TEXT_MAX);
    json_t *out = json_stringn(shown.p ? shown.p : "", shown.n);
    buf_deinit(&shown);
    return out;
}

static json_t *entry_json(const struct trace_entry *e)
{
    json_t *o = json_pack("{s:s, s:o, s:s, s:f}", "stage", trace_stage_name(e->stage), "check", text_json(e->check), "outcome",
                          trace_outcome_name(e->outcome), "ms", (double)e->us / 1000);
    if (e->why.n) json_object_set_new(o, "why", text_json(e->why));
    if (e->about.n) json_object_set_new(o, "recipient", text_json(e->about));
    if (e->line) json_object_set_new(o, "line", json_integer(e->line));
    if (e->score) json_object_set_new(o, "score", json_integer(e->score));
    return o;
}

json_t *trace_json(struct slice trace)
{
    struct trace_entry e;
    struct slice in;
    json_t *all = json_array();
    for (unsigned stage = 0; stage < TRACE_STAGES; stage++) { /* in the file the first recipients stand in front */
        if (!trace_open(trace, &in)) break;
        while (trace_next(&in, &e))
            if (e.stage == stage) json_array_append_new(all, entry_json(&e));
    }
    return all;
}

/* "example.org: pass (..); EHLO mail.example.net: fail": the first is the sender's. */
bool trace_sender_proven(struct slice trace)
{
    struct trace_entry e;
    struct slice in;
    if (!trace_open(trace, &in)) return false;
    while (trace_next(&in, &e)) {
        ptrdiff_t at = slice_eq(e.check, SLICE("spf")) ? slice_find(e.why, ' ') : -1;
        if (at <= 0 || e.outcome != TRACE_PASS || e.why.p[at - 1] != ':') continue;
        struct slice result = slice_sub(e.why, (size_t)at + 1, e.why.n);
        if (slice_starts(result, SLICE("pass")) && (result.n == 4 || strchr(" ;", result.p[4]))) return true;
    }
    return false;
}
