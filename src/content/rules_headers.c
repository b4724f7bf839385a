/* SPDX-License-Identifier: Apache-2.0
 * Header checks held against the header of the message, those of its parts and those of the messages in it, field by field. */
#include "base/mem.h"
#include "content/rules_int.h"
#include "smtp/address.h"
#include "smtp/reply.h"

#define FIELD_MAX 102400     /* bytes of a field that are looked at */
#define LINE_MAX_N 998       /* RFC 5322 §2.1.1 */

/* ---- a field as text */

/* "Name: value" with the line breaks it has, each a single LF; nothing between the name and its colon. */
static struct slice text_of(struct rules_run *run, const struct content_field *f)
{
    size_t n = f->name.n + 1;
    char *p = arena_alloc(run->arena, f->name.n + f->raw.n + 2);
    memcpy(p, f->name.p, f->name.n);
    p[f->name.n] = ':';
    for (size_t i = 0; i < f->raw.n; i++)
        if (f->raw.p[i] != '\r' || i + 1 == f->raw.n || f->raw.p[i + 1] != '\n') p[n++] = f->raw.p[i];
    return slice_of(p, n < FIELD_MAX ? n : FIELD_MAX);
}

const struct header_line *rules_find_line(struct rules_run *run, struct slice subject, struct slice *text)
{
    const struct rules *r = run->rules;
    for (size_t i = 0; i < r->line_n; i++) {
        const struct header_line *l = &r->lines[i];
        if (l->kind == HEADER_LINE_ENDIF) continue;
        run->name = l->where;
        run->place = l->place;
        bool fits = rules_match(run, &l->pattern, subject);
        if (l->kind == HEADER_LINE_IF && !fits) i = l->endif;
        if (l->kind == HEADER_LINE_IF || !fits) continue;
        *text = rules_text_expand(r, l->text, subject, run->arena);
        return l;
    }
    return NULL;
}

/* ---- what is made of texts */

/* A text as header lines: line breaks, which can only come from the message, stay where a folded line follows. Empty: it is none. */
static struct slice lines_of(struct rules_run *run, struct slice text)
{
    struct buf b = { 0 };
    struct slice line, out = SLICE(""), name;
    bool ok = text.n > 0;
    while (ok && text.n) {
        slice_cut(&text, '\n', &line);
        if (b.n && (!slice_trim(line).n || (line.p[0] != ' ' && line.p[0] != '\t'))) buf_add_char(&b, ' ');
        else if (b.n) buf_add_str(&b, "\r\n");
        for (size_t i = 0; i < line.n; i++)
            if (line.p[i] && line.p[i] != '\r') buf_add_char(&b, line.p[i]);
    }
    buf_add_str(&b, "\r\n");
    struct slice rest = buf_slice(&b);
    ok = ok && slice_cut(&rest, ':', &name) && name.n;
    for (size_t i = 0; ok && i < name.n; i++) ok = name.p[i] > ' ' && (unsigned char)name.p[i] < 0x7F;
    rest = buf_slice(&b);
    while (ok && slice_cut(&rest, '\n', &line)) ok = line.n <= LINE_MAX_N + 1;
    if (ok) out = arena_slice(run->arena, buf_slice(&b));
    buf_deinit(&b);
    return out;
}

/* For the reply to a client: printable ASCII. */
static struct slice reply_text(struct rules_run *run, struct slice text)
{
    text = slice_sub(text, 0, REPORT_TEXT_MAX);
    char *p = arena_alloc(run->arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) p[i] = text.p[i] == '\n' || text.p[i] == '\t' ? ' ' : text.p[i] < ' ' || text.p[i] > '~' ? '?' : text.p[i];
    return slice_of(p, text.n);
}

/* "5.7.1 text" */
static struct slice take_status(struct slice *text)
{
    bool refuses = text->n && (text->p[0] == '4' || text->p[0] == '5');
    struct slice status = slice_sub(*text, 0, refuses ? reply_enhanced_length((text->p[0] - '0') * 100, *text) : 0);
    if (status.n) *text = slice_trim(slice_sub(*text, status.n, text->n));
    return status;
}

static void reject(struct rules_run *run, struct slice text)
{
    text = reply_text(run, text);
    struct report_action a = { .action = CONFIG_DO_REJECT };
    a.enhanced = take_status(&text);
    if (a.enhanced.n) a.code = a.enhanced.p[0] == '4' ? 451 : 550;
    if (a.code == 451) a.action = CONFIG_DO_DEFER;
    a.text = text;
    rules_tell(run, a);
}

static void send_to(struct rules_run *run, enum config_rule_do what, struct slice text)
{
    struct address address;
    text = slice_trim(text);
    if (address_parse(text, &address) || address.utf8) {
        rules_note(run, CONFIG_DO_WARN, slice_str(arena_printf(run->arena, "%s: not an address", report_action_name(what))));
        return;
    }
    rules_tell(run, (struct report_action){ .action = what, .address = arena_slice(run->arena, text) });
}

/* ---- changes */

static bool change(struct rules_run *run, const struct content_field *f, uint64_t n, struct slice with)
{
    if (rules_change(run, f, n, with)) return true;
    rules_note(run, CONFIG_DO_WARN, SLICE("the field cannot be changed: something else is done with it already"));
    return false;
}

static void put(struct rules_run *run, const struct content_field *f, bool replace, struct slice text)
{
    struct slice lines = lines_of(run, text);
    if (!lines.n) {
        rules_note(run, CONFIG_DO_WARN, SLICE("what is to be put in is no header line"));
        return;
    }
    if (!change(run, f, replace ? f->n : 0, lines)) return;
    if (replace) rules_note(run, CONFIG_DO_REMOVE_HEADER, f->name);
    rules_note(run, CONFIG_DO_ADD_HEADER, slice_trim(lines));
}

static void take_out(struct rules_run *run, const struct content_field *f, const char *told, struct slice text)
{
    if (!change(run, f, f->n, SLICE(""))) return;
    rules_note(run, CONFIG_DO_REMOVE_HEADER, f->name);
    if (told) rules_note(run, CONFIG_DO_WARN, slice_str(arena_printf(run->arena, "%s%.*s", told, SLICE_ARG(text))));
}

/* ---- fields */

enum goes { GO_ON, GO_TO_RULES, GO_NOWHERE };
struct redirection {             /* of several the last one counts */
    struct slice name, text;
    struct config_place place;
};

static enum goes act(struct rules_run *run, const struct header_line *l, const struct content_field *f, struct slice text,
                     struct redirection *redirect)
{
    switch (l->action) {
    case HEADER_BCC: send_to(run, CONFIG_DO_COPY, text); break;
    case HEADER_DISCARD:
        rules_tell(run, (struct report_action){ .action = CONFIG_DO_DISCARD, .text = text });
        return GO_NOWHERE;
    case HEADER_HOLD: rules_tell(run, (struct report_action){ .action = CONFIG_DO_HOLD, .text = text }); break;
    case HEADER_IGNORE: take_out(run, f, NULL, text); break;
    case HEADER_STRIP: take_out(run, f, text.n ? "strip: " : NULL, text); break;
    case HEADER_INFO:
    case HEADER_WARN: rules_note(run, CONFIG_DO_WARN, text.n ? text : f->name); break;
    case HEADER_PASS:
        rules_note(run, CONFIG_DO_WARN, slice_str(arena_printf(run->arena, "pass%s%.*s", text.n ? ": " : "", SLICE_ARG(text))));
        return GO_TO_RULES;
    case HEADER_PREPEND: put(run, f, false, text); break;
    case HEADER_REPLACE: put(run, f, true, text); break;
    case HEADER_REDIRECT: *redirect = (struct redirection){ run->name, text, run->place }; break;
    case HEADER_REJECT: reject(run, text); return GO_NOWHERE;
    default: break; /* DUNNO, OK */
    }
    return GO_ON;
}

/* What a reader may take for a field, behind a lone CR, is in the one before for us. */
static bool is_within(const struct content_field *f, const struct content_field *before)
{
    return f->raw.p >= before->raw.p && f->raw.p < before->raw.p + before->raw.n;
}

static enum goes check_part(struct rules_run *run, const struct content_part *p, struct redirection *redirect)
{
    const struct content_field *before = NULL;
    for (size_t i = 0; i < p->field_n; i++) {
        const struct content_field *f = &p->fields[i];
        struct slice text;
        if (before && f->at == UINT64_MAX && is_within(f, before)) continue;
        before = f;
        const struct header_line *l = rules_find_line(run, text_of(run, f), &text);
        enum goes goes = l ? act(run, l, f, text, redirect) : GO_ON;
        if (goes) return goes;
    }
    return GO_ON;
}

bool rules_apply_headers(struct rules_run *run)
{
    const struct content_message *m = run->message;
    struct redirection redirect = { 0 };
    enum goes goes = GO_ON;
    run->by = SLICE("header check");
    for (size_t i = 0; i < m->part_n && !goes; i++)
        if (m->parts[i].is_mime) goes = check_part(run, &m->parts[i], &redirect);
    run->name = redirect.name;
    run->place = redirect.place;
    if (redirect.name.n && goes != GO_NOWHERE) send_to(run, CONFIG_DO_REDIRECT, redirect.text);
    return goes != GO_NOWHERE;
}
