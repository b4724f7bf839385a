/* SPDX-License-Identifier: Apache-2.0
 * The reader of header fields: a state per place in a line, values taken in runs. */
#include "message/header.h"
#include <assert.h>

#define NAME_MAX_N 998 /* a line's length (RFC 5322 §2.1.1): what has no colon by then is no field */

enum {
    AT_LINE,     /* at the beginning of a line */
    AT_EMPTY_CR, /* behind a CR there */
    IN_NAME,
    BEHIND_NAME, /* blanks between name and colon (RFC 5322 §4.5) */
    IN_VALUE,
};

void header_reader_init(struct header_reader *r, header_field_cb *on_field, void *arg)
{
    *r = (struct header_reader){ .on_field = on_field, .arg = arg };
}

void header_reader_deinit(struct header_reader *r)
{
    buf_deinit(&r->field);
}

/* Two bytes more than a field may have, so that a line end behind the last one is seen. */
static void keep(struct header_reader *r, struct slice s)
{
    r->field_n += s.n;
    buf_add(&r->field, slice_sub(s, 0, HEADER_FIELD_MAX + 2 - r->field.n));
}

/* Hands on the field at hand, if there is one, without its line end. */
static void emit(struct header_reader *r)
{
    struct slice all = slice_of(r->field.p, r->field.n), name;
    if (!all.n) return;
    if (r->field_n == all.n && all.p[all.n - 1] == '\n') all.n -= all.p[all.n - 2] == '\r' ? 2 : 1;
    bool truncated = all.n > HEADER_FIELD_MAX, colon;
    all = slice_sub(all, 0, HEADER_FIELD_MAX);
    colon = slice_cut(&all, ':', &name);
    assert(colon);
    r->on_field(r->arg, slice_trim(name), all, truncated);
    buf_clear(&r->field);
    r->field_n = 0;
}

/* The line at hand is no field: it belongs to the body. `at` bytes of this piece were taken, `line_n` of the line in
 * all. Returns where the header ends in this piece. */
static size_t end_malformed(struct header_reader *r, size_t at, size_t line_n)
{
    r->ended = r->malformed = true;
    r->size -= line_n;
    buf_clear(&r->field);
    r->field_n = 0;
    return at > line_n ? at - line_n : 0;
}

/* A name's character (RFC 5322 §2.2: printable ASCII but colon). */
static bool is_name_char(char c) { return c > 0x20 && c < 0x7F && c != ':'; }
static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* The byte that begins a line. False: it cannot. */
static bool begin_line(struct header_reader *r, char c)
{
    if (is_blank(c)) {
        r->state = IN_VALUE;
        return r->field_n > 0;
    }
    emit(r);
    r->state = c == '\r' ? AT_EMPTY_CR : IN_NAME;
    return c == '\r' || is_name_char(c);
}

/* A byte of a name or behind it. False: this is no field. */
static bool in_name(struct header_reader *r, char c)
{
    if (c == ':')
        r->state = IN_VALUE;
    else if (is_blank(c))
        r->state = BEHIND_NAME;
    else if (r->state == BEHIND_NAME || !is_name_char(c))
        return false;
    return r->field_n < NAME_MAX_N;
}

size_t header_read(struct header_reader *r, struct slice in)
{
    for (size_t i = 0; i < in.n && !r->ended;) {
        char c = in.p[i];
        size_t line_n = r->state == AT_LINE ? 0 : r->state == AT_EMPTY_CR ? 1 : r->field_n, n = 1;
        if (r->state == IN_VALUE) {
            ptrdiff_t lf = slice_find(slice_sub(in, i, in.n), '\n');
            n = lf < 0 ? in.n - i : (size_t)lf + 1;
            if (lf >= 0) r->state = AT_LINE;
        } else if (c == '\n' && (r->state == AT_LINE || r->state == AT_EMPTY_CR)) {
            emit(r);
            r->size++;
            r->ended = true;
            return i + 1;
        } else if (r->state == AT_LINE ? !begin_line(r, c) : r->state == AT_EMPTY_CR || !in_name(r, c))
            return end_malformed(r, i, line_n);
        if (r->state != AT_EMPTY_CR) keep(r, slice_sub(in, i, i + n));
        r->size += n;
        i += n;
    }
    return r->ended ? 0 : in.n;
}

void header_finish(struct header_reader *r)
{
    if (r->ended) return;
    if (r->state == AT_EMPTY_CR || r->state == IN_NAME || r->state == BEHIND_NAME)
        end_malformed(r, 0, r->state == AT_EMPTY_CR ? 1 : r->field_n);
    else
        emit(r);
    r->ended = true;
}
