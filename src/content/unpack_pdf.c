/* SPDX-License-Identifier: Apache-2.0
 * PDF: scripts, actions that start programs, embedded files, encryption. Read from front to end as tokens, whatever the
 * tables of contents say: an object that some reader finds is found here. */
#include "content/unpack_pdf.h"
#include <stdlib.h>
#include "base/mem.h"

#define STRING_MOST (1u << 20)

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\0';
}

static bool regular(char c) /* §7.2.2: neither blank nor delimiter */
{
    return !blank(c) && !strchr("()<>[]{}/%", c);
}

static struct pdf_level *level(struct pdf *p)
{
    return &p->levels[p->depth < PDF_NEST ? p->depth : PDF_NEST - 1];
}

static void new_object(struct pdf *p, uint32_t number)
{
    p->depth = 0;
    p->levels[0] = (struct pdf_level){ 0 };
    p->at = (struct pdf_stream){ .object = number };
}

/* ---- values */
static void note_filter(struct pdf *p, struct slice name)
{
    static const struct {
        struct slice name;
        enum pdf_filter filter;
    } filters[] = {
        { UNPACK_TEXT("FlateDecode"), PDF_FLATE },   { UNPACK_TEXT("Fl"), PDF_FLATE },
        { UNPACK_TEXT("ASCIIHexDecode"), PDF_HEX },  { UNPACK_TEXT("AHx"), PDF_HEX },
        { UNPACK_TEXT("ASCII85Decode"), PDF_85 },    { UNPACK_TEXT("A85"), PDF_85 },
        { UNPACK_TEXT("LZWDecode"), PDF_LZW },       { UNPACK_TEXT("LZW"), PDF_LZW },
        { UNPACK_TEXT("Crypt"), PDF_CRYPT },         { UNPACK_TEXT("DCTDecode"), PDF_PICTURE },
        { UNPACK_TEXT("JPXDecode"), PDF_PICTURE },   { UNPACK_TEXT("CCITTFaxDecode"), PDF_PICTURE },
        { UNPACK_TEXT("JBIG2Decode"), PDF_PICTURE },
    };
    if (p->at.filter_n == PDF_FILTERS) {
        p->broken = true;
        return;
    }
    enum pdf_filter f = PDF_UNKNOWN;
    for (size_t i = 0; i < countof(filters); i++)
        if (slice_eq(filters[i].name, name)) f = filters[i].filter;
    p->at.filters[p->at.filter_n++] = f;
}

static void on_value_name(struct pdf *p, struct pdf_level *l, struct slice name)
{
    if (slice_eq(l->key, SLICE("Filter")) && p->depth == 1) note_filter(p, name);
    if (!slice_eq(l->key, SLICE("Type"))) return;
    if (slice_eq(name, SLICE("ObjStm"))) p->at.is_objects = true;
    if (slice_eq(name, SLICE("EmbeddedFile"))) p->at.is_embedded = true;
}

static void on_name(struct pdf *p, struct slice raw)
{
    char room[32];
    size_t n = 0;
    for (size_t i = 0; i < raw.n && n < sizeof room; i++) { /* §7.3.5: #4A is J */
        int high = i + 2 < raw.n ? ascii_hex(raw.p[i + 1]) : -1, low = i + 2 < raw.n ? ascii_hex(raw.p[i + 2]) : -1;
        bool coded = raw.p[i] == '#' && high >= 0 && low >= 0;
        room[n++] = coded ? (char)(high * 16 + low) : raw.p[i];
        i += coded ? 2 : 0;
    }
    struct slice name = slice_of(room, n);
    if (slice_eq(name, SLICE("JS")) || slice_eq(name, SLICE("JavaScript")) || slice_eq(name, SLICE("Launch")))
        p->found |= CONTENT_PDF_SCRIPT;
    struct pdf_level *l = level(p);
    if (l->awaits || l->arrays) {
        l->awaits = false;
        on_value_name(p, l, name);
        return;
    }
    if (slice_eq(name, SLICE("Encrypt"))) p->encrypted = true;
    if (n) memcpy(l->key_room, room, n);
    l->key = slice_of(l->key_room, n);
    l->awaits = p->depth > 0;
}

static struct slice text_of(struct pdf *p, struct slice raw, bool hex)
{
    struct buf out = { 0 };
    int high = -1;
    for (size_t i = 0; i < raw.n && out.n < 2000; i++) {
        char c = raw.p[i];
        if (hex) {
            int v = ascii_hex(c);
            if (v >= 0 && high >= 0) buf_add_char(&out, (char)(high << 4 | v));
            if (v >= 0) high = high < 0 ? v : -1;
            continue;
        }
        if (c == '\\' && i + 1 < raw.n) { /* §7.3.4.2 */
            c = raw.p[++i];
            unsigned code = 0, digits = 0;
            for (; digits < 3 && i < raw.n && raw.p[i] >= '0' && raw.p[i] <= '7'; digits++)
                code = code * 8 + (unsigned)(raw.p[i++] - '0');
            if (digits) {
                i--;
                c = (char)code;
            } else if (c == '\r' || c == '\n') {
                continue;
            }
        }
        buf_add_char(&out, c);
    }
    struct arena *arena = p->u->message->arena;
    struct slice s = buf_keep(&out, arena);
    return slice_starts(s, SLICE("\xFE\xFF")) ? unpack_utf8_of_marked(arena, s) : unpack_utf8_of_1252(arena, s);
}

static void on_string(struct pdf *p, struct slice raw, bool hex)
{
    struct pdf_level *l = level(p);
    l->awaits = false;
    bool f = slice_eq(l->key, SLICE("F")), uf = slice_eq(l->key, SLICE("UF"));
    if (uf || (f && !l->name.n)) l->name = text_of(p, raw, hex);
}

static void on_number(struct pdf *p, uint64_t number)
{
    struct pdf_level *l = level(p);
    l->awaits = false;
    p->numbers[0] = p->numbers[1];
    p->numbers[1] = (uint32_t)(number < UINT32_MAX ? number : UINT32_MAX);
    if (slice_eq(l->key, SLICE("Length")) && p->depth == 1 && !p->at.length) p->at.length = number;
    if (!l->is_parms) return;
    if (slice_eq(l->key, SLICE("Predictor"))) p->at.predictor = p->numbers[1];
    if (slice_eq(l->key, SLICE("Columns"))) p->at.columns = p->numbers[1];
    if (slice_eq(l->key, SLICE("Colors"))) p->at.colors = p->numbers[1];
    if (slice_eq(l->key, SLICE("BitsPerComponent"))) p->at.bits = p->numbers[1];
}

static void on_open(struct pdf *p)
{
    struct pdf_level *l = level(p);
    bool ef = slice_eq(l->key, SLICE("EF")), parms = slice_eq(l->key, SLICE("DecodeParms")) || slice_eq(l->key, SLICE("DP"));
    l->awaits = false;
    if (p->depth < UINT16_MAX) p->depth++;
    *level(p) = (struct pdf_level){ .is_ef = ef, .is_parms = parms };
}

static void note_file(struct pdf *p, uint32_t object, struct slice name)
{
    for (size_t i = 0; i < p->file_n; i++)
        if (p->files[i].object == object && slice_eq(p->files[i].name, name)) return;
    if (p->file_n == PDF_FILES) {
        p->found |= CONTENT_LIMIT_PARTS;
        return;
    }
    if (!p->files) p->files = mem_grow(NULL, PDF_FILES, sizeof *p->files);
    p->files[p->file_n++] = (struct pdf_file){ object, name };
}

static void on_close(struct pdf *p)
{
    struct pdf_level closed = *level(p);
    if (!p->depth) return;
    p->depth--;
    if (closed.is_ef) level(p)->file = closed.file;
    else if (closed.file) note_file(p, closed.file, closed.name);
}

static void on_word(struct pdf *p, struct slice word)
{
    struct pdf_level *l = level(p);
    l->awaits = false;
    if (slice_eq(word, SLICE("R"))) {
        if (l->is_ef && p->numbers[0]) l->file = p->numbers[0];
        if (slice_eq(l->key, SLICE("Filter")) && p->depth == 1) note_filter(p, word); /* told elsewhere: it cannot be decoded */
    } else if (slice_iends(word, SLICE("obj")) && !slice_eq(word, SLICE("endobj")) && !p->nested) {
        new_object(p, p->numbers[0]);
        p->objects++;
    } else if (slice_eq(word, SLICE("endobj")) || slice_eq(word, SLICE("trailer"))) {
        new_object(p, 0);
    }
}

/* ---- streams */
static void scan(struct pdf *p, struct slice d);

/* What is within a stream; it has no streams itself. */
static void scan_nested(struct pdf *p, struct slice bytes)
{
    p->nested = true;
    new_object(p, 0);
    scan(p, bytes);
    p->nested = false;
}

static void look_into_objects(struct pdf *p, const struct pdf_stream *s)
{
    bool ok;
    struct slice bytes = pdf_decode(p->u, p->n, s, &ok);
    if (ok) scan_nested(p, bytes);
    else p->broken = true;
}

static void note_stream(struct pdf *p)
{
    if (p->stream_n == PDF_STREAMS) {
        p->found |= CONTENT_LIMIT_PARTS;
        return;
    }
    if (p->stream_n == p->stream_room) {
        p->stream_room = p->stream_room ? p->stream_room * 2 : 64;
        p->streams = mem_grow(p->streams, p->stream_room, sizeof *p->streams);
    }
    p->streams[p->stream_n++] = p->at;
}

/* Where the stream that begins at `at` ends, as its dictionary says; SIZE_MAX: that cannot be true. */
static size_t said_end(const struct pdf *p, struct slice d, size_t at)
{
    if (!p->at.length || p->at.length > d.n - at) return SIZE_MAX;
    size_t end = at + p->at.length, k = end;
    while (k < d.n && k < end + 4 && blank(d.p[k])) k++;
    return slice_starts(slice_sub(d, k, d.n), SLICE("endstream")) ? end : SIZE_MAX;
}

/* From behind the word "stream"; where to go on. */
static size_t on_stream(struct pdf *p, struct slice d, size_t at)
{
    if (at < d.n && d.p[at] == '\r') at++;
    if (at < d.n && d.p[at] == '\n') at++;
    size_t end = said_end(p, d, at);
    if (end == SIZE_MAX && !p->no_ends) end = unpack_search(d, at, SLICE("endstream"));
    if (end == SIZE_MAX) { /* none at all, whatever the word was for */
        p->broken = p->no_ends = true;
        return at;
    }
    p->at.raw = slice_sub(d, at, end);
    if (!p->at.filter_n || p->at.filters[p->at.filter_n - 1] != PDF_PICTURE) note_stream(p);
    struct pdf_stream s = p->at;
    if (s.is_objects && unpack_in_time(p->u, p->n)) look_into_objects(p, &s);
    /* Objects that a reader finds by the table of contents, and a stream in front is to hide. */
    if (unpack_search(s.raw, 0, SLICE("endobj")) != SIZE_MAX) scan_nested(p, s.raw);
    new_object(p, 0);
    return end;
}

/* ---- tokens */
static size_t string_end(struct slice d, size_t at, size_t most) /* behind its last parenthesis; 0: it has none */
{
    unsigned depth = 0;
    for (size_t i = at; i < d.n && i - at < most; i++) {
        if (d.p[i] == '\\') i++;
        else if (d.p[i] == '(') depth++;
        else if (d.p[i] == ')' && !--depth) return i + 1;
    }
    return 0;
}

static size_t take_string(struct pdf *p, struct slice d, size_t at)
{
    size_t end = string_end(d, at, p->unclosed < 10 ? STRING_MOST : p->unclosed < 10000 ? 300 : 0);
    p->unclosed += !end;
    if (!end) return at + 1; /* a parenthesis that nobody closes hides nothing */
    on_string(p, slice_sub(d, at + 1, end - 1), false);
    return end;
}

static size_t take_angle(struct pdf *p, struct slice d, size_t at)
{
    if (at + 1 < d.n && d.p[at + 1] == d.p[at]) {
        if (d.p[at] == '<') on_open(p);
        else on_close(p);
        return at + 2;
    }
    if (d.p[at] == '>') return at + 1;
    size_t end = at + 1;
    while (end < d.n && (ascii_hex(d.p[end]) >= 0 || blank(d.p[end]))) end++;
    if (end < d.n && d.p[end] == '>') on_string(p, slice_sub(d, at + 1, end), true);
    return end;
}

static size_t take_regular(struct pdf *p, struct slice d, size_t at)
{
    size_t end = at;
    while (end < d.n && regular(d.p[end])) end++;
    struct slice word = slice_sub(d, at, end);
    uint64_t number;
    if (slice_to_u64(word, UINT64_MAX, &number)) {
        on_number(p, number);
    } else if (slice_starts(word, SLICE("stream")) && !p->nested && (p->at.object || p->objects)) {
        return on_stream(p, d, at + 6);
    } else {
        on_word(p, word);
    }
    return end;
}

static size_t take_other(struct pdf *p, struct slice d, size_t at)
{
    struct pdf_level *l = level(p);
    switch (d.p[at]) {
    case '%':
        while (at < d.n && d.p[at] != '\r' && d.p[at] != '\n') at++;
        return at;
    case '/': {
        size_t end = at + 1;
        while (end < d.n && regular(d.p[end])) end++;
        on_name(p, slice_sub(d, at + 1, end));
        return end;
    }
    case '(': return take_string(p, d, at);
    case '<':
    case '>': return take_angle(p, d, at);
    case '[':
        l->awaits = false;
        l->arrays++;
        return at + 1;
    case ']':
        if (l->arrays) l->arrays--;
        return at + 1;
    default: return at + 1;
    }
}

static void scan(struct pdf *p, struct slice d)
{
    unsigned tokens = 0;
    for (size_t at = 0; at < d.n;) {
        if (blank(d.p[at])) {
            at++;
            continue;
        }
        if (!(++tokens & 0xFFF) && !unpack_in_time(p->u, p->n)) return;
        at = regular(d.p[at]) ? take_regular(p, d, at) : take_other(p, d, at);
    }
}

/* ---- embedded files */
static void add_file(struct pdf *p, struct pdf_stream *s, struct slice name)
{
    bool ok;
    uint32_t child = unpack_add_file(p->u, p->n, name);
    if (child == UNPACK_NONE) return;
    s->taken = true;
    struct slice data = { 0 };
    if (!p->encrypted) data = pdf_decode(p->u, child, s, &ok);
    if (p->encrypted) unpack_find(p->u, child, CONTENT_ENCRYPTED);
    else if (!ok) unpack_find(p->u, child, CONTENT_BROKEN);
    unpack_give(p->u, child, data);
}

static void add_files(struct pdf *p)
{
    for (size_t i = 0; i < p->file_n; i++)
        for (size_t k = p->stream_n; k > 0; k--) /* the last of that number is the one that counts */
            if (p->streams[k - 1].object == p->files[i].object) {
                add_file(p, &p->streams[k - 1], p->files[i].name);
                break;
            }
    for (size_t k = 0; k < p->stream_n; k++)
        if (p->streams[k].is_embedded && !p->streams[k].taken) add_file(p, &p->streams[k], (struct slice){ 0 });
}

void unpack_pdf(struct unpack *u, uint32_t n)
{
    struct slice d = u->message->parts[n].data;
    struct pdf p = { .u = u, .n = n };
    scan(&p, d);
    if (p.encrypted) p.found |= CONTENT_ENCRYPTED;
    else if (p.broken || !p.objects) p.found |= CONTENT_BROKEN;
    unpack_find(u, n, p.found | CONTENT_DOCUMENT);
    add_files(&p);
    free(p.streams);
    free(p.files);
}
