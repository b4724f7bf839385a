/* SPDX-License-Identifier: Apache-2.0
 * What checks want done with a message, gathered. */
#include "policy/outcome.h"
#include "base/mem.h"
#include "content/edits.h"
#include "policy/pipeline.h"

#define FIELD_LINE_MAX 998 /* RFC 5322 §2.1.1 */

static struct arena *arena_of(struct policy_run *run) { return &run->arenas[SCOPE_TRANSACTION]; }

static struct content_outcome *own(struct policy_run *run)
{
    if (!run->outcome) run->outcome = arena_alloc(arena_of(run), sizeof *run->outcome);
    return run->outcome;
}

const struct content_outcome *policy_outcome(const struct policy_run *run)
{
    static const struct content_outcome nothing;
    return run->outcome ? run->outcome : &nothing;
}

/* *text with `more` at `at`. */
static void put_in(struct policy_run *run, struct slice *text, size_t at, struct slice more)
{
    struct buf all = { 0 };
    buf_add(&all, slice_sub(*text, 0, at));
    buf_add(&all, more);
    buf_add(&all, slice_sub(*text, at, text->n));
    *text = buf_keep(&all, arena_of(run));
}

/* ---- the text */

static bool lines_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!s.p[i]) return false;
        if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')) return false;
        if (s.p[i] == '\n' && (!i || s.p[i - 1] != '\r')) return false;
    }
    return true;
}

bool policy_outcome_add_cut(struct policy_run *run, uint64_t at, uint64_t n, struct slice with, uint64_t text_size)
{
    struct content_outcome *o = own(run);
    if ((!n && !with.n) || at > text_size || n > text_size - at || !lines_ok(with)) return false;
    if (o->cut_n == OUTCOME_CUTS_MAX || with.n > OUTCOME_CUTS_TEXT_MAX - o->cut_text) return false;
    if (!o->cuts) o->cuts = arena_alloc(arena_of(run), OUTCOME_CUTS_MAX * sizeof *o->cuts);
    struct envelope_cut cut = { .at = at, .n = n, .with = with.n ? arena_slice(arena_of(run), with) : SLICE("") };
    if (!envelope_cuts_add(o->cuts, &o->cut_n, cut)) return false;
    o->cut_text += (uint32_t)with.n;
    return true;
}

bool policy_outcome_has_cut(const struct policy_run *run, uint64_t at, uint64_t n)
{
    const struct content_outcome *o = policy_outcome(run);
    for (uint32_t i = 0; i < o->cut_n; i++)
        if (o->cuts[i].at <= at && at < o->cuts[i].at + o->cuts[i].n && n <= o->cuts[i].at + o->cuts[i].n - at) return true;
    return false;
}

bool policy_outcome_add_cuts(struct policy_run *run, const struct envelope_cut *cuts, uint32_t n, uint64_t text_size)
{
    struct content_outcome *o = own(run);
    uint32_t had = o->cut_n, had_text = o->cut_text;
    struct envelope_cut *before = had ? arena_alloc(arena_of(run), had * sizeof *before) : NULL;
    if (had) memcpy(before, o->cuts, had * sizeof *before);
    for (uint32_t i = 0; i < n; i++) {
        if (policy_outcome_add_cut(run, cuts[i].at, cuts[i].n, cuts[i].with, text_size)) continue;
        if (had) memcpy(o->cuts, before, had * sizeof *before);
        o->cut_n = had;
        o->cut_text = had_text;
        return false;
    }
    return true;
}

/* ---- fields */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* A line without its end; first: it begins a field. */
static bool line_ok(struct slice line, bool first)
{
    size_t i = 0;
    if (line.n > FIELD_LINE_MAX) return false;
    if (line.n && is_blank(line.p[0])) return !first && slice_trim(line).n; /* nobody may take it for the empty line */
    while (i < line.n && line.p[i] > 32 && line.p[i] < 127 && line.p[i] != ':') i++; /* RFC 5322 §3.6.8 */
    return i && i < line.n && line.p[i] == ':';
}

static bool fields_ok(struct slice s)
{
    if (!s.n || s.p[s.n - 1] != '\n' || !lines_ok(s)) return false;
    for (bool first = true; s.n; first = false) {
        struct slice line;
        slice_cut(&s, '\n', &line);
        if (!line_ok(slice_sub(line, 0, line.n - 1), first)) return false;
    }
    return true;
}

bool policy_outcome_add_prepend(struct policy_run *run, struct slice fields)
{
    struct content_outcome *o = own(run);
    if (fields.n > OUTCOME_PREPEND_MAX - o->prepend.n || !fields_ok(fields)) return false;
    put_in(run, &o->prepend, o->prepend.n - o->subject_n, fields);
    return true;
}

/* ---- the subject */

/* The edit that takes the place of the byte at `at`; NULL: none. */
static struct envelope_cut *edit_over(struct content_outcome *o, uint64_t at)
{
    for (uint32_t i = 0; i < o->cut_n; i++)
        if (o->cuts[i].at < at && at < o->cuts[i].at + o->cuts[i].n) return &o->cuts[i];
    return NULL;
}

bool policy_outcome_tag_subject(struct policy_run *run, uint64_t at, struct slice prefix, uint64_t text_size)
{
    struct content_outcome *o = own(run);
    struct envelope_cut *over = at ? edit_over(o, at) : NULL;
    size_t in = over ? (size_t)edit_subject_in(over->with) : 0;
    struct buf field = { 0 };
    if (!prefix.n || !lines_ok(prefix)) return false;
    if (at && !over) return policy_outcome_add_cut(run, at, 0, prefix, text_size);
    if (in) {
        if (prefix.n > OUTCOME_CUTS_TEXT_MAX - o->cut_text) return false;
        put_in(run, &over->with, in, prefix);
        o->cut_text += (uint32_t)prefix.n;
        return true;
    }
    if (prefix.n + 16 > OUTCOME_PREPEND_MAX - o->prepend.n) return false;
    if (o->subject_n) {
        put_in(run, &o->prepend, o->prepend.n - 2, prefix);
        o->subject_n += (uint32_t)prefix.n;
        return true;
    }
    buf_add_str(&field, "Subject: ");
    buf_add(&field, prefix);
    buf_add_str(&field, "\r\n");
    put_in(run, &o->prepend, o->prepend.n, buf_slice(&field));
    o->subject_n = (uint32_t)field.n;
    buf_deinit(&field);
    return true;
}

/* ---- recipients */

static bool is_address(struct slice s)
{
    struct address a;
    return !address_parse(s, &a);
}

bool policy_outcome_redirect(struct policy_run *run, struct slice address)
{
    struct content_outcome *o = own(run);
    if (o->redirect.n || !is_address(address)) return false;
    o->redirect = arena_slice(arena_of(run), address);
    return true;
}

bool policy_outcome_copy(struct policy_run *run, struct slice address)
{
    struct content_outcome *o = own(run);
    if (!is_address(address)) return false;
    for (uint32_t i = 0; i < o->copy_n; i++)
        if (slice_ieq(o->copies[i], address)) return true;
    if (o->copy_n == OUTCOME_COPIES_MAX) return false;
    if (!o->copies) o->copies = arena_alloc(arena_of(run), OUTCOME_COPIES_MAX * sizeof *o->copies);
    o->copies[o->copy_n++] = arena_slice(arena_of(run), address);
    return true;
}

bool policy_outcome_remove(struct policy_run *run, struct slice address)
{
    struct content_outcome *o = own(run);
    if (o->removed_n == OUTCOME_REMOVED_MAX) return false;
    if (!o->removed) o->removed = arena_alloc(arena_of(run), OUTCOME_REMOVED_MAX * sizeof *o->removed);
    o->removed[o->removed_n++] = arena_slice(arena_of(run), address);
    return true;
}

bool policy_outcome_change_sender(struct policy_run *run, struct slice address)
{
    struct content_outcome *o = own(run);
    if (address.n && !is_address(address)) return false;
    o->sender = arena_slice(arena_of(run), address);
    o->has_sender = true;
    return true;
}

/* ---- who is told */

static bool add_notice(struct policy_run *run, struct policy_notice n)
{
    struct content_outcome *o = own(run);
    if (o->notice_n == OUTCOME_NOTICES_MAX || (n.to.n && !is_address(n.to)) || (n.from.n && !is_address(n.from))) return false;
    if (!o->notices) o->notices = arena_alloc(arena_of(run), OUTCOME_NOTICES_MAX * sizeof *o->notices);
    n.to = arena_slice(arena_of(run), n.to);
    n.from = arena_slice(arena_of(run), n.from);
    n.what = arena_slice(arena_of(run), n.what);
    o->notices[o->notice_n++] = n;
    return true;
}

bool policy_outcome_notify(struct policy_run *run, enum notice_reason reason, struct slice to, struct slice from, struct slice what)
{
    return add_notice(run, (struct policy_notice){ .reason = reason, .to = to, .from = from, .what = what });
}

void policy_outcome_notify_all(struct policy_run *run, enum notice_reason reason, const struct config_notify *n, struct slice what)
{
    struct policy_notice notice = { .reason = reason, .from = slice_str(n->from), .what = what };
    if (n->recipients) {
        notice.own_only = n->own_only;
        (void)add_notice(run, notice);
    }
    notice.own_only = false;
    notice.to = slice_str(n->address);
    if (notice.to.n) (void)add_notice(run, notice);
}

/* ---- for the quarantine */

bool policy_outcome_set_findings(struct policy_run *run, struct slice json, int32_t score)
{
    struct content_outcome *o = own(run);
    bool fits = json.n <= OUTCOME_FINDINGS_MAX;
    o->score = score;
    o->findings = fits ? arena_slice(arena_of(run), json) : SLICE("");
    return fits;
}

void policy_outcome_set_subject(struct policy_run *run, struct slice subject)
{
    own(run)->subject = arena_slice(arena_of(run), subject);
}
