/* SPDX-License-Identifier: Apache-2.0
 * HTTP/1.1's framing of an answer (RFC 9112), which ICAP shares: a head, then a body by length, in chunks or up to the end. */
#include "content/scanner_internal.h"

#define CHUNK_LINE_MAX 1024

static bool parse_first_line(struct slice line, struct http_head *out)
{
    uint64_t status;
    struct slice word;
    if (!slice_cut(&line, ' ', &out->protocol) || slice_find(out->protocol, '/') <= 0) return false;
    line = slice_trim_blanks(line);
    slice_cut(&line, ' ', &word);
    if (word.n != 3 || !slice_to_u64(word, 999, &status) || status < 100) return false;
    out->status = (unsigned)status;
    return true;
}

bool http_parse_head(struct slice head, struct http_head *out)
{
    struct slice line;
    *out = (struct http_head){ 0 };
    slice_cut(&head, '\n', &line);
    out->fields = head;
    return parse_first_line(slice_trim(line), out);
}

/* Where the empty line ends, 0: not yet. */
static size_t head_end(struct slice in)
{
    for (size_t i = 0; i + 1 < in.n; i++) {
        if (in.p[i] != '\n') continue;
        if (in.p[i + 1] == '\n') return i + 2;
        if (i + 2 < in.n && in.p[i + 1] == '\r' && in.p[i + 2] == '\n') return i + 3;
    }
    return 0;
}

enum talk_step http_read_head(struct buf *in, struct arena *arena, struct http_head *out)
{
    size_t n = head_end(slice_sub(buf_slice(in), 0, HTTP_HEAD_MAX));
    if (!n) return in->n >= HTTP_HEAD_MAX ? TALK_BAD : TALK_MORE;
    struct slice head = arena_slice(arena, slice_of(in->p, n));
    buf_consume(in, n);
    return http_parse_head(head, out) ? TALK_DONE : TALK_BAD;
}

bool http_field(const struct http_head *h, const char *name, struct slice *value)
{
    struct slice rest = h->fields, line, word;
    while (rest.n) {
        slice_cut(&rest, '\n', &line);
        if (!slice_cut(&line, ':', &word) || !slice_ieq(word, slice_str(name))) continue;
        *value = slice_trim(line);
        return true;
    }
    return false;
}

/* ---- chunks */

/* A line with its end off `in`. */
static enum talk_step take_line(struct buf *in, char *line, size_t *n)
{
    struct slice seen = slice_sub(buf_slice(in), 0, CHUNK_LINE_MAX);
    ptrdiff_t end = slice_find(seen, '\n');
    if (end < 0) return seen.n == CHUNK_LINE_MAX ? TALK_BAD : TALK_MORE;
    *n = (size_t)end;
    memcpy(line, seen.p, *n);
    while (*n && (line[*n - 1] == '\r' || line[*n - 1] == ' ')) --*n;
    buf_consume(in, (size_t)end + 1);
    return TALK_DONE;
}

/* RFC 9112 §7.1.1: what is behind a semicolon may be passed over. */
static enum talk_step read_size(struct http_chunks *c, struct buf *in)
{
    char line[CHUNK_LINE_MAX];
    size_t n, i = 0;
    enum talk_step step = take_line(in, line, &n);
    if (step != TALK_DONE) return step;
    c->left = 0;
    for (; i < n && i < 8 && ascii_hex(line[i]) >= 0; i++) c->left = c->left * 16 + (uint64_t)ascii_hex(line[i]);
    if (!i || (i < n && line[i] != ';' && line[i] != ' ')) return TALK_BAD;
    c->at = c->left ? CHUNK_DATA : CHUNK_TRAILER;
    return TALK_DONE;
}

static enum talk_step read_data(struct http_chunks *c, struct buf *in)
{
    size_t n = c->left < in->n ? (size_t)c->left : in->n;
    if (!n) return TALK_MORE;
    if (!c->sink(c->arg, slice_of(in->p, n))) return TALK_BAD;
    buf_consume(in, n);
    c->left -= n;
    if (!c->left) c->at = CHUNK_DATA_END;
    return TALK_DONE;
}

enum talk_step http_read_chunks(struct http_chunks *c, struct buf *in)
{
    char line[CHUNK_LINE_MAX];
    size_t n;
    enum talk_step step = TALK_DONE;
    while (c->at != CHUNK_END && step == TALK_DONE) {
        if (c->at == CHUNK_SIZE) step = read_size(c, in);
        else if (c->at == CHUNK_DATA) step = read_data(c, in);
        else if ((step = take_line(in, line, &n)) == TALK_DONE) {
            if (c->at == CHUNK_DATA_END && n) return TALK_BAD;
            c->at = c->at == CHUNK_DATA_END ? CHUNK_SIZE : n ? CHUNK_TRAILER : CHUNK_END;
        }
    }
    return step;
}

/* ---- an answer */

static bool add_body(void *arg, struct slice data)
{
    struct http_reader *r = arg;
    buf_add(&r->body, data);
    return !r->body.overflow;
}

static enum talk_step read_head(struct http_reader *r, struct buf *in)
{
    struct slice value;
    enum talk_step step = http_read_head(in, r->arena, &r->head);
    if (step == TALK_BAD) r->why = "its answer is not HTTP";
    if (step != TALK_DONE) return step;
    r->has_head = true;
    r->chunked = http_field(&r->head, "Transfer-Encoding", &value) && slice_iends(value, SLICE("chunked"));
    r->has_length = !r->chunked && http_field(&r->head, "Content-Length", &value);
    r->chunks = (struct http_chunks){ .sink = add_body, .arg = r };
    r->why = "the length of its answer";
    return r->has_length && !slice_to_u64(value, INT64_MAX, &r->left) ? TALK_BAD : TALK_DONE;
}

enum talk_step http_read(void *arg, struct buf *in, bool end)
{
    struct http_reader *r = arg;
    if (!r->has_head) {
        enum talk_step step = read_head(r, in);
        if (step != TALK_DONE) return step;
    }
    r->why = "its answer is too long, or its chunks are none";
    if (r->chunked) return http_read_chunks(&r->chunks, in);
    size_t n = r->has_length && r->left < in->n ? (size_t)r->left : in->n;
    if (!add_body(r, slice_of(in->p, n))) return TALK_BAD;
    buf_consume(in, n);
    if (!r->has_length) return end ? TALK_DONE : TALK_MORE;
    r->left -= n;
    return r->left ? TALK_MORE : TALK_DONE;
}
