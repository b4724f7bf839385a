/* SPDX-License-Identifier: Apache-2.0
 * Writing a report: always one that can be read again. What cannot be in one is left out; of parts there are always all that it has,
 * if need be with shortened names. */
#include "content/report.h"
#include "base/channel.h"
#include "base/mem.h"
#include "content/report_parts.h"
#include "content/wire.h"

#define FRAME_ROOM 8192      /* for what the frame has beside the report */
#define TEXT_SHORT 40        /* bytes, where room is scarce */
#define PART_SHORT_MAX 600   /* bytes of JSON of a part whose texts are that short */

/* ---- what may be */

/* No line end but CRLF: a bare one is an end of line to some servers only, and so a way to smuggle. */
static bool has_clean_lines(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char next = i + 1 < s.n ? s.p[i + 1] : 0;
        if (!s.p[i] || s.p[i] == '\n' || (s.p[i] == '\r' && next != '\n')) return false;
        if (s.p[i] == '\r') i++;
    }
    return true;
}

bool report_edit_fits(const struct envelope_cut *e, uint64_t end)
{
    return e->at >= end && e->n <= INT64_MAX && e->at <= INT64_MAX - e->n && (e->n || e->with.n) && has_clean_lines(e->with);
}

static bool is_field_start(struct slice line)
{
    ptrdiff_t colon = slice_find(line, ':');
    for (ptrdiff_t i = 0; i < colon; i++)
        if (line.p[i] <= ' ' || (unsigned char)line.p[i] >= 0x7F) return false;
    return colon > 0;
}

bool report_is_header(struct slice s)
{
    struct slice line;
    if (s.n > REPORT_PREPEND_MAX || !has_clean_lines(s) || (s.n && s.p[s.n - 1] != '\n')) return false;
    for (bool first = true; s.n; first = false) {
        slice_cut(&s, '\n', &line);
        bool folded = line.p[0] == ' ' || line.p[0] == '\t';
        if (folded ? first || !slice_trim(line).n : !is_field_start(line)) return false;
    }
    return true;
}

bool report_is_enhanced(struct slice s, uint32_t code)
{
    if (!s.n) return true;
    if (!code) return false;
    bool digits = false;
    unsigned dots = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !digits) return false;
        dots += s.p[i] == '.';
        digits = s.p[i] >= '0' && s.p[i] <= '9';
        if (!digits && s.p[i] != '.') return false;
    }
    return digits && dots == 2 && s.n <= REPORT_ENHANCED_MAX && s.p[1] == '.' && (uint32_t)(s.p[0] - '0') == code / 100;
}

bool report_is_code(uint64_t code) { return !code || (code >= 400 && code <= 599); }

bool report_is_class(uint64_t class) { return !(class & (class - 1)) && class <= CONFIG_SPAM_CONFIRMED; }

/* ---- lists */

static json_t *put_viruses(const struct report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->virus_n && i < REPORT_VIRUSES_MAX; i++) {
        json_t *o = json_object();
        wire_put_text(o, "scanner", r->viruses[i].scanner, REPORT_TEXT_MAX);
        wire_put_text(o, "name", r->viruses[i].name, REPORT_TEXT_MAX);
        wire_put_text(o, "part", r->viruses[i].part, REPORT_TEXT_MAX);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *put_scanners(const struct report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->scanner_n && i < REPORT_SCANNERS_MAX; i++) {
        json_t *o = json_object();
        wire_put_text(o, "name", r->scanners[i].name, REPORT_TEXT_MAX);
        wire_put_number(o, "state", r->scanners[i].state);
        wire_put_text(o, "text", r->scanners[i].text, REPORT_TEXT_MAX);
        wire_put_number(o, "us", r->scanners[i].us);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *put_symbols(const struct report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->symbol_n && i < REPORT_SYMBOLS_MAX; i++) {
        json_t *o = json_object();
        wire_put_text(o, "engine", r->symbols[i].engine, 100);
        wire_put_text(o, "name", r->symbols[i].name, 100);
        wire_put_text(o, "text", r->symbols[i].text, REPORT_TEXT_MAX);
        wire_put_number(o, "score", r->symbols[i].score);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *put_action(const struct report_action *a, size_t part_n)
{
    json_t *o = json_object(), *parts = json_array();
    uint32_t code = report_is_code(a->code) ? a->code : 0;
    wire_put_text(o, "by", a->by, 100);
    wire_put_text(o, "name", a->name, 100);
    wire_put_number(o, "line", a->place.line);
    wire_put_number(o, "column", a->place.column);
    wire_put_number(o, "do", a->action);
    wire_put_text(o, "text", a->text, REPORT_TEXT_MAX);
    wire_put_text(o, "address", a->address, REPORT_TEXT_MAX);
    wire_put_number(o, "code", code);
    if (code && report_is_enhanced(a->enhanced, code)) wire_put_text(o, "enhanced", a->enhanced, REPORT_ENHANCED_MAX);
    for (size_t i = 0; i < a->part_n && i < REPORT_PARTS_MAX; i++)
        if (a->parts[i] < part_n) json_array_append_new(parts, json_integer(a->parts[i]));
    wire_put_list(o, "parts", parts);
    return o;
}

static json_t *put_actions(const struct report *r, size_t part_n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->action_n && i < REPORT_ACTIONS_MAX; i++) json_array_append_new(all, put_action(&r->actions[i], part_n));
    return all;
}

static json_t *put_edits(const struct report *r)
{
    json_t *all = json_array();
    uint64_t end = 0;
    size_t room = ENVELOPE_CUTS_TEXT_MAX;
    for (size_t i = 0; i < r->edit_n && json_array_size(all) < REPORT_EDITS_MAX; i++) {
        const struct envelope_cut *e = &r->edits[i];
        if (!report_edit_fits(e, end) || e->with.n > room) continue;
        json_t *o = json_object();
        wire_put_number(o, "at", (json_int_t)e->at);
        wire_put_number(o, "n", (json_int_t)e->n);
        wire_put_bytes(o, "with", e->with);
        json_array_append_new(all, o);
        end = e->at + e->n;
        room -= e->with.n;
    }
    return all;
}

/* ---- parts */

static json_t *put_part(const struct report_part *p, uint32_t number, size_t text_max)
{
    json_t *o = json_object();
    wire_put_number(o, "parent", number ? p->parent : 0);
    wire_put_number(o, "depth", p->depth);
    wire_put_flag(o, "file", p->is_file);
    wire_put_flag(o, "mime", p->is_mime);
    wire_put_text(o, "name", p->name, text_max);
    wire_put_text(o, "declared", p->declared, text_max < 100 ? text_max : 100);
    wire_put_text(o, "type", p->type, text_max < 100 ? text_max : 100);
    wire_put_number(o, "size", (json_int_t)(p->size > INT64_MAX ? INT64_MAX : p->size));
    if (p->is_mime) wire_put_number(o, "at", (json_int_t)p->at);
    if (p->is_mime) wire_put_number(o, "n", (json_int_t)p->n);
    wire_put_number(o, "findings", p->findings);
    wire_put_text(o, "blocked", p->blocked, text_max);
    return o;
}

/* Each part leaves room for those behind it. */
static json_t *put_parts(const struct report *r, size_t part_n, size_t room)
{
    json_t *all = json_array();
    for (size_t i = 0; i < part_n; i++) {
        json_t *o = put_part(&r->parts[i], (uint32_t)i, REPORT_TEXT_MAX);
        size_t n = json_dumpb(o, NULL, 0, JSON_COMPACT) + 1;
        if (n + (part_n - i - 1) * PART_SHORT_MAX > room) {
            json_decref(o);
            o = put_part(&r->parts[i], (uint32_t)i, TEXT_SHORT);
            n = json_dumpb(o, NULL, 0, JSON_COMPACT) + 1;
        }
        room -= n < room ? n : room;
        json_array_append_new(all, o);
    }
    return all;
}

json_t *report_encode(const struct report *r)
{
    json_t *o = json_object();
    size_t part_n = r->part_n < REPORT_PARTS_MAX ? r->part_n : REPORT_PARTS_MAX;
    wire_put_number(o, "parts_more", (json_int_t)r->parts_more + (json_int_t)(r->part_n - part_n));
    wire_put_number(o, "findings", r->findings);
    wire_put_list(o, "viruses", put_viruses(r));
    wire_put_list(o, "scanners", put_scanners(r));
    wire_put_flag(o, "judged", r->judged);
    wire_put_number(o, "score", r->score);
    wire_put_number(o, "class", r->class);
    wire_put_list(o, "symbols", put_symbols(r));
    wire_put_list(o, "actions", put_actions(r, part_n));
    wire_put_list(o, "edits", put_edits(r));
    if (report_is_header(r->prepend)) wire_put_bytes(o, "prepend", r->prepend);
    wire_put_number(o, "subject_at", (json_int_t)r->subject_at);
    wire_put_text(o, "subject", r->subject, REPORT_SUBJECT_MAX);
    wire_put_number(o, "us", r->us);
    wire_put_flag(o, "crashed", r->crashed);
    size_t used = json_dumpb(o, NULL, 0, JSON_COMPACT) + FRAME_ROOM;
    wire_put_list(o, "parts", put_parts(r, part_n, used < CHANNEL_FRAME_MAX ? CHANNEL_FRAME_MAX - used : 0));
    return o;
}
