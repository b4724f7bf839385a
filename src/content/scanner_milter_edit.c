/* SPDX-License-Identifier: Apache-2.0
 * What a milter wants changed, gathered field by field and made edits of the kept bytes at the end. */
#include <arpa/inet.h>
#include "base/utf8.h"
#include "content/scanner_internal.h"
#include "smtp/reply.h"

#define NAME_MAX_N 200
#define ADDRESS_MAX 254         /* RFC 5321 §4.5.3.1.3 */
#define PREPEND_MAX 16384

/* SMFIF_* */
enum change { ADD_HEADERS = 1, CHANGE_BODY = 2, ADD_RCPT = 4, DELETE_RCPT = 8, CHANGE_HEADERS = 0x10, QUARANTINE = 0x20, CHANGE_SENDER = 0x40,
              ADD_RCPT_PAR = 0x80 };

static const char broken[] = "a change that ends too early", too_long[] = "more than 64 KiB of new text";

void milter_edits_init(struct milter_edits *e, struct ask *a)
{
    *e = (struct milter_edits){ .ask = a, .fields = arena_alloc(a->arena, (a->m->field_n + 1) * sizeof *e->fields) };
}

/* ---- words of a frame */

static bool take_number(struct slice *s, uint32_t *out)
{
    if (s->n < 4) return false;
    memcpy(out, s->p, 4);
    *out = ntohl(*out);
    *s = slice_sub(*s, 4, s->n);
    return true;
}

static bool take_string(struct slice *s, struct slice *out)
{
    return slice_cut(s, 0, out);
}

static bool name_ok(struct slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7F || name.p[i] == ':') return false; /* RFC 5322 §2.2 */
    return name.n > 0 && name.n <= NAME_MAX_N;
}

/* A field with its line ends made CRLF and no line that is not one of its own: whatever a value holds, it is this one field. */
static void format_field(struct buf *b, struct slice name, struct slice value, bool lead_space)
{
    buf_add(b, name);
    buf_add_char(b, ':');
    if (!lead_space) buf_add_char(b, ' ');
    bool first = true;
    while (value.n) {
        struct slice line;
        slice_cut(&value, '\n', &line);
        bool blank = true;
        for (size_t i = 0; i < line.n; i++) blank = blank && (line.p[i] == ' ' || line.p[i] == '\t' || line.p[i] == '\r' || !line.p[i]);
        if (blank && !first) continue;
        if (!first) buf_add_str(b, line.p[0] == ' ' || line.p[0] == '\t' ? "\r\n" : "\r\n\t");
        for (size_t i = 0; i < line.n; i++)
            if (line.p[i] && line.p[i] != '\r') buf_add_char(b, line.p[i]);
        first = false;
    }
    buf_add_str(b, "\r\n");
}

static const char *make_field(struct milter_edits *e, struct slice name, struct slice value, struct slice *out)
{
    struct buf b = { 0 };
    if (!name_ok(name)) return "a header field whose name is none";
    if (value.n > ENVELOPE_CUTS_TEXT_MAX) return too_long;
    format_field(&b, name, value, e->lead_space);
    *out = buf_keep(&b, e->ask->arena);
    e->bytes += out->n;
    return e->bytes > ENVELOPE_CUTS_TEXT_MAX ? too_long : NULL;
}

static struct slice join(struct arena *arena, struct slice a, struct slice b)
{
    char *p = arena_alloc(arena, a.n + b.n + 1);
    if (a.n) memcpy(p, a.p, a.n);
    if (b.n) memcpy(p + a.n, b.p, b.n);
    return slice_of(p, a.n + b.n);
}

/* ---- the header */

static const char *add_header(struct milter_edits *e, struct slice data)
{
    struct slice name, value, field;
    if (!take_string(&data, &name) || !take_string(&data, &value)) return broken;
    const char *why = make_field(e, name, value, &field);
    if (!why) e->tail = join(e->ask->arena, e->tail, field);
    return why;
}

/* Its count begins with the Received field that the relay puts in front: 0 and 1 are in front of the first one that came. */
static const char *insert_header(struct milter_edits *e, struct slice data)
{
    struct slice name, value, field;
    uint32_t at;
    if (!take_number(&data, &at) || !take_string(&data, &name) || !take_string(&data, &value)) return broken;
    const char *why = make_field(e, name, value, &field);
    if (why) return why;
    struct arena *arena = e->ask->arena;
    if (at <= 1) e->top = join(arena, field, e->top);
    else if (at - 1 < e->ask->m->field_n) e->fields[at - 1].before = join(arena, field, e->fields[at - 1].before);
    else e->tail = join(arena, e->tail, field);
    return NULL;
}

/* The nth of that name, from 1; an empty value removes it; one that is not there is added. */
const char *milter_change_header(struct milter_edits *e, struct slice data)
{
    struct slice name, value, field = slice_of(NULL, 0);
    uint32_t nth;
    const struct content_message *m = e->ask->m;
    if (!take_number(&data, &nth) || !take_string(&data, &name) || !take_string(&data, &value)) return broken;
    const char *why = value.n ? make_field(e, name, value, &field) : name_ok(name) ? NULL : "a header field whose name is none";
    if (why) return why;
    if (!nth) nth = 1;
    for (size_t i = 0; i < m->field_n; i++) {
        if (!slice_ieq(slice_trim_blanks(m->fields[i].name), name) || --nth) continue;
        e->fields[i].changed = true;
        e->fields[i].text = field;
        return NULL;
    }
    e->tail = join(e->ask->arena, e->tail, field);
    return NULL;
}

/* ---- the body */

/* Comes in pieces; a line end may be cut in two. */
static const char *replace_body(struct milter_edits *e, struct slice data)
{
    e->new_body = true;
    e->bytes += data.n;
    if (e->bytes > ENVELOPE_CUTS_TEXT_MAX) return too_long;
    e->body = join(e->ask->arena, e->body, data);
    return NULL;
}

static struct slice with_crlf(struct arena *arena, struct slice s)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') continue;
        if (s.p[i] == '\n' || s.p[i] == '\r') buf_add_str(&b, "\r\n");
        else buf_add_char(&b, s.p[i]);
    }
    if (b.n && b.p[b.n - 1] != '\n') buf_add_str(&b, "\r\n");
    return buf_keep(&b, arena);
}

/* ---- the end */

static bool add_edit(struct scanner_answer *out, uint64_t at, uint64_t n, struct slice with)
{
    if (!n && !with.n) return true;
    if (out->edit_n == REPORT_EDITS_MAX) return false;
    out->edits[out->edit_n++] = (struct envelope_cut){ .at = at, .n = n, .with = with };
    return true;
}

/* What stands behind the last field: new fields, and the new body with an empty line if there was none. */
static bool add_last_edits(struct milter_edits *e, uint64_t fields_end)
{
    const struct content_message *m = e->ask->m;
    struct scanner_answer *out = e->ask->out;
    struct slice body = with_crlf(e->ask->arena, e->body), tail = e->tail;
    bool has_line = m->header_n > fields_end, ends = !fields_end || m->bytes.p[fields_end - 1] == '\n';
    if (!ends && (tail.n || e->new_body)) tail = join(e->ask->arena, SLICE("\r\n"), tail); /* the last field is cut off */
    if (has_line) return add_edit(out, fields_end, 0, tail) && (!e->new_body || add_edit(out, m->header_n, m->bytes.n - m->header_n, body));
    if (e->new_body) tail = join(e->ask->arena, tail, join(e->ask->arena, SLICE("\r\n"), body));
    return add_edit(out, fields_end, e->new_body ? m->bytes.n - fields_end : 0, tail);
}

const char *milter_edits_finish(struct milter_edits *e)
{
    const struct content_message *m = e->ask->m;
    struct scanner_answer *out = e->ask->out;
    uint64_t end = 0;
    bool ok = true;
    if (e->top.n > PREPEND_MAX) return "more than 16 KiB of new header in front";
    out->prepend = e->top;
    out->edits = arena_alloc(e->ask->arena, REPORT_EDITS_MAX * sizeof *out->edits);
    for (size_t i = 0; i < m->field_n && ok; i++) {
        const struct content_field *f = &m->fields[i];
        const struct milter_field *change = &e->fields[i];
        if (f->at < end || f->at > m->bytes.n || f->n > m->bytes.n - f->at) continue; /* not in the bytes */
        end = f->at + f->n;
        if (change->changed) ok = add_edit(out, f->at, f->n, join(e->ask->arena, change->before, change->text));
        else ok = add_edit(out, f->at, 0, change->before);
    }
    return ok && add_last_edits(e, end) ? NULL : "more changes than there is room for";
}

/* ---- refusals and the envelope */

static bool digits(struct slice s)
{
    uint64_t v;
    return s.n >= 1 && s.n <= 3 && slice_to_u64(s, 999, &v);
}

/* A line of it, without code and enhanced code; "%%" is one. */
static void add_reply_line(struct buf *b, struct slice line, struct report_action *action)
{
    line = slice_trim(line);
    if (line.n >= 4 && digits(slice_sub(line, 0, 3)) && (line.p[3] == ' ' || line.p[3] == '-')) line = slice_trim(slice_sub(line, 4, line.n));
    size_t n = reply_enhanced_length((int)action->code, line);
    if (n) {
        action->enhanced = slice_sub(line, 0, n);
        line = slice_trim(slice_sub(line, n, line.n));
    }
    if (b->n && line.n) buf_add_char(b, ' ');
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != '%' || i == 0 || line.p[i - 1] != '%') buf_add_char(b, line.p[i]);
}

bool milter_parse_reply(struct slice text, struct arena *arena, struct report_action *action)
{
    uint64_t code;
    struct slice line;
    struct buf b = { .max = 2000 };
    while (text.n && !text.p[text.n - 1]) text.n--;
    text = slice_trim(text);
    if (text.n < 3 || !slice_to_u64(slice_sub(text, 0, 3), 599, &code) || code < 400 || (text.n > 3 && text.p[3] != ' ' && text.p[3] != '-')) return false;
    *action = (struct report_action){ .action = code >= 500 ? CONFIG_DO_REJECT : CONFIG_DO_DEFER, .code = (uint32_t)code };
    if (text.n == 3) text = slice_sub(text, 3, 3);
    while (text.n) {
        slice_cut(&text, '\n', &line);
        add_reply_line(&b, line, action);
    }
    action->enhanced = arena_slice(arena, action->enhanced);
    action->text = scanner_text(arena, buf_slice(&b));
    buf_deinit(&b);
    return true;
}

static const char *change_envelope(struct milter_edits *e, enum config_rule_do what, struct slice data)
{
    struct slice address;
    if (!take_string(&data, &address)) return broken;
    address = slice_trim(address);
    if (address.n >= 2 && address.p[0] == '<' && address.p[address.n - 1] == '>') address = slice_sub(address, 1, address.n - 1);
    bool ok = address.n <= ADDRESS_MAX && utf8_clean(address) && (address.n || what == CONFIG_DO_CHANGE_SENDER);
    for (size_t i = 0; i < address.n; i++) ok = ok && (unsigned char)address.p[i] >= ' ' && address.p[i] != 0x7F && address.p[i] != '<' && address.p[i] != '>';
    if (!ok) return "an address that is none";
    struct report_action *action = scanner_add_action(e->ask, what);
    if (!action) return "too many changes";
    action->address = arena_slice(e->ask->arena, address);
    return NULL;
}

static const char *quarantine(struct milter_edits *e, struct slice data)
{
    struct slice reason;
    if (!take_string(&data, &reason)) return broken;
    struct report_action *action = scanner_add_action(e->ask, CONFIG_DO_QUARANTINE);
    if (!action) return "too many changes";
    action->text = scanner_text(e->ask->arena, reason);
    return NULL;
}

const char *milter_modify(struct milter_edits *e, const struct milter_frame *f, uint32_t actions)
{
    static const struct { char command; unsigned change; } needed[] = {
        { 'h', ADD_HEADERS }, { 'i', ADD_HEADERS }, { 'm', CHANGE_HEADERS }, { 'e', CHANGE_SENDER }, { '+', ADD_RCPT }, { '2', ADD_RCPT_PAR },
        { '-', DELETE_RCPT }, { 'b', CHANGE_BODY }, { 'q', QUARANTINE },
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (needed[i].command == f->command && !(actions & needed[i].change)) return "a change that it had not announced";
    switch (f->command) {
    case 'h': return add_header(e, f->data);
    case 'i': return insert_header(e, f->data);
    case 'm': return milter_change_header(e, f->data);
    case 'b': return replace_body(e, f->data);
    case 'q': return quarantine(e, f->data);
    case '+': case '2': return change_envelope(e, CONFIG_DO_COPY, f->data);
    case '-': return change_envelope(e, CONFIG_DO_REMOVE_RCPT, f->data);
    case 'e': return change_envelope(e, CONFIG_DO_CHANGE_SENDER, f->data);
    default: return "a change that is none";
    }
}
