/* SPDX-License-Identifier: Apache-2.0
 * Conversion to 7-bit: a walk through the parts of a message, line by line. The line end before a boundary belongs to the
 * boundary, so each line's end waits for the next line. */
#include "message/convert.h"
#include <stdlib.h>
#include "base/mem.h"
#include "message/encode.h"
#include "message/mime.h"

#define PIECE_MAX 2048        /* longer lines are handled in pieces */
#define FIELD_MAX 65536
#define HELD_MAX 65536
#define DEPTH_MAX 20
#define LINE_MAX_OCTETS 998
#define BREAK_AT 900          /* lines of encoded parts that are too long are broken from here */

enum line_end { END_NONE, END_LF, END_CRLF };

enum mode {
    IN_HEADER,
    HOLDING,                  /* a part without encoding: kept until it is known whether it needs one */
    TO_QP, TO_BASE64,
    IS_QP, IS_BASE64,         /* encoded already */
    AS_IS,                    /* must not be changed: signed, encrypted, of unknown encoding */
    BETWEEN,                  /* before the first and behind the last part: nobody reads it */
};

struct level {
    char boundary[MIME_BOUNDARY_MAX];
    size_t n;
    bool digest, as_is;
};

struct convert {
    struct buf line, field, held;
    struct level levels[DEPTH_MAX];
    unsigned depth;
    enum mode mode;
    struct mime_type type;
    struct buf encoding;      /* the Content-Transfer-Encoding field of this part */
    bool whole;               /* this header is that of a message, not of a part */
    bool has_type, has_version;
    bool field_long;          /* too long to be understood */
    bool mid_line;            /* the next piece does not begin a line */
    enum line_end end;        /* that waits */
    size_t column;            /* bytes put out in this line, where lines are not made by an encoder */
    unsigned since_equals;    /* bytes since "=" in IS_QP */
    struct quoted_printable qp;
    struct base64_lines base64;
    const char *refused;
};

struct convert *convert_new(void)
{
    struct convert *v = mem_new(struct convert);
    v->whole = v->type.is_text = true;
    return v;
}

void convert_free(struct convert **v)
{
    if (!*v) return;
    buf_deinit(&(*v)->line);
    buf_deinit(&(*v)->field);
    buf_deinit(&(*v)->held);
    buf_deinit(&(*v)->encoding);
    free(*v);
    *v = NULL;
}

const char *convert_refused(const struct convert *v)
{
    return v->refused;
}

static void refuse(struct convert *v, const char *why)
{
    if (!v->refused) v->refused = why;
}

/* ---- bodies that are not encoded by us */

static void put_broken(struct convert *v, const char *with, struct buf *out)
{
    buf_add_str(out, with);
    v->column = 0;
}

static void put_quoted(struct convert *v, unsigned char c, struct buf *out)
{
    bool bad = c >= 0x7F || (c < 0x20 && c != '\t');
    if (v->column >= BREAK_AT && (bad || c == '=' || v->since_equals >= 3)) put_broken(v, "=\r\n", out);
    v->since_equals = c == '=' ? 1 : v->since_equals + 1;
    if (bad) buf_addf(out, "=%02X", c);
    else buf_add_char(out, (char)c);
    v->column += bad ? 3 : 1;
}

static void put_as_is(struct convert *v, unsigned char c, struct buf *out)
{
    bool bad = c >= 0x80 || c == '\r' || c == 0, full = v->column >= LINE_MAX_OCTETS;
    if (v->mode == AS_IS && (bad || full)) refuse(v, "it holds a part that is signed, encrypted or of unknown encoding, and 8-bit");
    if (full) put_broken(v, "\r\n", out);
    buf_add_char(out, bad ? '?' : (char)c);
    v->column++;
}

static void put_unencoded(struct convert *v, struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (v->mode == IS_QP) put_quoted(v, c, out);
        else if (v->mode == IS_BASE64) {
            if (c >= 0x7F || (c < 0x20 && c != '\t')) continue; /* RFC 2045 §6.8: decoders pass over it */
            if (v->column >= BREAK_AT) put_broken(v, "\r\n", out);
            buf_add_char(out, (char)c);
            v->column++;
        } else
            put_as_is(v, c, out);
    }
}

/* ---- bodies */

static void put_end(struct convert *v, struct buf *out)
{
    enum line_end end = v->end;
    v->end = END_NONE;
    if (end == END_NONE) return;
    if (v->mode == TO_BASE64) base64_lines_add(&v->base64, end == END_LF ? SLICE("\n") : SLICE("\r\n"), out);
    else if (v->mode == TO_QP && end == END_LF) quoted_printable_add(&v->qp, SLICE("\n"), out);
    else if (v->mode == TO_QP) quoted_printable_break(&v->qp, out);
    else put_broken(v, "\r\n", out);
    v->since_equals = 3;
}

static void put_text(struct convert *v, struct slice text, enum line_end end, struct buf *out)
{
    put_end(v, out);
    if (v->mode == TO_QP) quoted_printable_add(&v->qp, text, out);
    else if (v->mode == TO_BASE64) base64_lines_add(&v->base64, text, out);
    else put_unencoded(v, text, out);
    v->end = end;
}

/* The header of a part is complete but for this, and ends. */
static void end_header(struct convert *v, const char *encoding, struct buf *out)
{
    if (encoding) buf_addf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
    else if (v->encoding.n) encode_field(buf_slice(&v->encoding), out);
    buf_add_str(out, "\r\n");
    v->column = 0;
    v->end = END_NONE;
}

/* RFC 2045 §4, RFC 1428 §3: a message that knew nothing of MIME does from here on. */
static void add_mime_fields(struct convert *v, struct buf *out)
{
    if (!v->whole) return;
    if (!v->has_version) buf_add_str(out, "MIME-Version: 1.0\r\n");
    if (!v->has_type) buf_add_str(out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
}

static void stop_holding(struct convert *v, bool encode, struct buf *out)
{
    struct buf held = v->held;
    enum line_end end = v->end;
    v->held = (struct buf){ 0 };
    if (encode) {
        bool text = v->type.is_text;
        add_mime_fields(v, out);
        end_header(v, text ? "quoted-printable" : "base64", out);
        v->mode = text ? TO_QP : TO_BASE64;
        v->qp = (struct quoted_printable){ 0 };
        struct slice rest = buf_slice(&held), line;
        while (slice_cut(&rest, '\n', &line)) put_text(v, slice_sub(line, 0, line.n - 1), END_CRLF, out);
        if (line.n) put_text(v, line, END_NONE, out);
    } else {
        end_header(v, mime_is_8bit(buf_slice(&v->encoding)) ? "7bit" : NULL, out);
        buf_add(out, buf_slice(&held));
        v->column = held.n && held.p[held.n - 1] != '\n';
        v->mode = BETWEEN;
    }
    if (end != END_NONE) {
        if (v->end != END_NONE) put_end(v, out);
        v->end = end;
    }
    buf_deinit(&held);
}

static bool needs_encoding(const struct convert *v, struct slice text, enum line_end end)
{
    if (end == END_LF || text.n > LINE_MAX_OCTETS || v->held.n + text.n + 2 > HELD_MAX) return true;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80 || c == '\r' || c == 0) return true;
    }
    return false;
}

static void on_body(struct convert *v, struct slice text, enum line_end end, struct buf *out)
{
    if (v->mode == HOLDING && needs_encoding(v, text, end)) {
        if (v->end == END_CRLF) buf_add_str(&v->held, "\r\n");
        v->end = END_NONE;
        stop_holding(v, true, out);
    }
    if (v->mode != HOLDING) {
        put_text(v, text, end, out);
        return;
    }
    if (v->end == END_CRLF) buf_add_str(&v->held, "\r\n");
    buf_add(&v->held, text);
    v->end = end;
}

/* last: the message is over, so that the line end that waits is one of the text; else it is the boundary's. */
static void finish_part(struct convert *v, bool last, struct buf *out)
{
    if (v->mode == HOLDING) stop_holding(v, false, out);
    if (v->mode == TO_BASE64) {
        if (last) put_end(v, out);
        base64_lines_end(&v->base64, out);
    } else if (v->end != END_NONE || v->column || (v->mode == TO_QP && v->qp.column))
        buf_add_str(out, "\r\n");
    v->end = END_NONE;
    v->column = 0;
    v->qp.column = 0;
}

/* ---- headers */

static void begin_header(struct convert *v, bool whole, bool digest)
{
    v->mode = IN_HEADER;
    v->whole = whole;
    v->has_type = v->has_version = v->field_long = false;
    v->type = (struct mime_type){ .is_text = !digest, .is_message = digest }; /* RFC 2046 §5.1.5 */
    buf_clear(&v->encoding);
}

static void end_field(struct convert *v, struct buf *out)
{
    struct slice value = buf_slice(&v->field), name;
    bool known = slice_cut(&value, ':', &name) && !v->field_long;
    name = slice_trim(name);
    if (!v->field.n) return;
    if (known && slice_ieq(name, SLICE("Content-Transfer-Encoding"))) {
        if (!v->encoding.n) buf_add(&v->encoding, slice_sub(buf_slice(&v->field), 0, PIECE_MAX));
    } else {
        if (known && slice_ieq(name, SLICE("MIME-Version"))) v->has_version = true;
        if (known && slice_ieq(name, SLICE("Content-Type")) && !v->has_type) {
            v->has_type = true;
            mime_type_parse(value, &v->type);
        }
        encode_field(buf_slice(&v->field), out);
    }
    buf_clear(&v->field);
    v->field_long = false;
}

static void enter_parts(struct convert *v, struct buf *out)
{
    if (v->depth == DEPTH_MAX) {
        refuse(v, "its parts are nested too deep");
        v->mode = AS_IS;
        return;
    }
    struct level *l = &v->levels[v->depth++];
    memcpy(l->boundary, v->type.boundary, v->type.boundary_n);
    l->n = v->type.boundary_n;
    l->digest = v->type.is_digest;
    l->as_is = v->type.is_sealed;
    v->mode = l->as_is ? AS_IS : BETWEEN;
}

static void on_header_end(struct convert *v, struct buf *out)
{
    end_field(v, out);
    struct slice encoding = buf_slice(&v->encoding);
    const char *plain = mime_is_8bit(encoding) ? "7bit" : NULL;
    bool identity = mime_is_identity(encoding);
    if (v->type.is_multipart && v->type.boundary_n) {
        end_header(v, plain, out);
        enter_parts(v, out);
    } else if (v->type.is_message && identity) {
        end_header(v, plain, out);
        begin_header(v, true, false);
    } else if (identity) {
        v->mode = HOLDING;
        v->end = END_NONE;
    } else {
        end_header(v, NULL, out);
        v->mode = mime_is(encoding, "quoted-printable") ? IS_QP : mime_is(encoding, "base64") ? IS_BASE64 : AS_IS;
        v->since_equals = 3;
    }
}

static bool begins_field(struct slice line)
{
    size_t i = 0;
    while (i < line.n && line.p[i] > 0x20 && line.p[i] < 0x7F && line.p[i] != ':') i++;
    return i && i < line.n && line.p[i] == ':';
}

static void on_header(struct convert *v, struct slice text, bool start, enum line_end end, struct buf *out)
{
    bool more = !start || (text.n && (text.p[0] == ' ' || text.p[0] == '\t'));
    if (start && !text.n) {
        on_header_end(v, out);
        return;
    }
    if (!more || (!v->field.n && start)) {
        if (!begins_field(text)) { /* a line that is no field: the body begins without an empty line */
            on_header_end(v, out);
            if (v->mode == IN_HEADER) on_header_end(v, out); /* of an empty message within */
            on_body(v, text, end, out);
            return;
        }
        end_field(v, out);
    } else if (v->field.n + text.n + 3 > FIELD_MAX) { /* the rest goes on as a fold of what nobody looks at */
        v->field_long = true;
        end_field(v, out);
        v->field_long = true;
        if (!text.n || (text.p[0] != ' ' && text.p[0] != '\t')) buf_add_char(&v->field, ' ');
        start = false;
    }
    if (start && v->field.n) buf_add_str(&v->field, "\r\n");
    buf_add(&v->field, text);
}

/* ---- lines */

/* The level whose boundary this line is, from the innermost on; -1: of none. */
static int find_boundary(const struct convert *v, struct slice line, bool *closing)
{
    if (line.n < 3 || line.p[0] != '-' || line.p[1] != '-') return -1;
    while (line.n && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t')) line.n--;
    struct slice rest = slice_sub(line, 2, line.n);
    for (int i = (int)v->depth - 1; i >= 0; i--) {
        const struct level *l = &v->levels[i];
        if (!slice_starts(rest, slice_of(l->boundary, l->n))) continue;
        *closing = rest.n == l->n + 2 && memcmp(rest.p + l->n, "--", 2) == 0;
        if (*closing || rest.n == l->n) return i;
    }
    return -1;
}

static void on_boundary(struct convert *v, unsigned at, bool closing, struct buf *out)
{
    for (int i = 0; v->mode == IN_HEADER && i < 2; i++) on_header_end(v, out);
    finish_part(v, false, out);
    const struct level *l = &v->levels[at];
    v->depth = closing ? at : at + 1;
    buf_add_str(out, "--");
    encode_masked(slice_of(l->boundary, l->n), out);
    buf_add_str(out, closing ? "--\r\n" : "\r\n");
    if (closing) v->mode = BETWEEN;
    else if (l->as_is) v->mode = AS_IS;
    else begin_header(v, false, l->digest);
}

/* A line, or a piece of one: `end` is END_NONE for all but its last piece. */
static void on_line(struct convert *v, struct slice text, enum line_end end, bool last, struct buf *out)
{
    bool start = !v->mid_line, closing;
    int at = start && (end != END_NONE || last) ? find_boundary(v, text, &closing) : -1;
    v->mid_line = end == END_NONE;
    if (at >= 0) on_boundary(v, (unsigned)at, closing, out);
    else if (v->mode == IN_HEADER) on_header(v, text, start, end, out);
    else on_body(v, text, end, out);
}

void convert_push(struct convert *v, struct slice text, struct buf *out)
{
    while (text.n) {
        const char *nl = memchr(text.p, '\n', text.n);
        size_t n = nl ? (size_t)(nl - text.p) + 1 : text.n, room = PIECE_MAX - v->line.n;
        if (n > room) n = room;
        buf_add(&v->line, slice_sub(text, 0, n));
        text = slice_sub(text, n, text.n);
        struct slice line = buf_slice(&v->line);
        if (line.p[line.n - 1] == '\n') {
            bool crlf = line.n > 1 && line.p[line.n - 2] == '\r';
            on_line(v, slice_sub(line, 0, line.n - 1 - crlf), crlf ? END_CRLF : END_LF, false, out);
            buf_clear(&v->line);
        } else if (line.n == PIECE_MAX) {
            size_t keep = line.p[line.n - 1] == '\r'; /* its LF may follow */
            on_line(v, slice_sub(line, 0, line.n - keep), END_NONE, false, out);
            buf_clear(&v->line);
            if (keep) buf_add_char(&v->line, '\r');
        }
    }
}

void convert_end(struct convert *v, struct buf *out)
{
    if (v->line.n) on_line(v, buf_slice(&v->line), END_NONE, true, out);
    buf_clear(&v->line);
    for (int i = 0; v->mode == IN_HEADER && i < 2; i++) on_header_end(v, out);
    finish_part(v, true, out);
}
