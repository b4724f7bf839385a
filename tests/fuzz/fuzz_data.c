/* SPDX-License-Identifier: Apache-2.0
 * Message text: the way it is cut into pieces changes nothing, and the text ends at CRLF.CRLF only. The first bytes of
 * the input choose the sizes of the pieces. */
#include "base/buf.h"
#include "base/mem.h"
#include "smtp/data.h"
#include "fuzz.h"

struct outcome {
    struct data_reader reader;
    struct buf text;
    size_t used;
    bool end;
};

static void read_text(struct outcome *o, struct slice in, size_t piece_max, size_t room)
{
    data_reader_init(&o->reader, 100);
    while (!o->end && o->used < in.n) {
        size_t k = in.n - o->used < piece_max ? in.n - o->used : piece_max, used, put;
        char *piece = mem_slicedup(slice_sub(in, o->used, o->used + k)), *out = mem_alloc(room);
        o->end = data_read(&o->reader, slice_of(piece, k), &used, out, room, &put) == DATA_END;
        must(used <= k && put <= room && (used || put));
        buf_add(&o->text, slice_of(out, put));
        o->used += used;
        free(piece);
        free(out);
    }
}

static void check_end(const struct outcome *o, struct slice in)
{
    struct slice text = slice_sub(in, 0, o->used), out = buf_slice(&o->text);
    must(slice_eq(text, SLICE(".\r\n")) || slice_iends(text, SLICE("\r\n.\r\n")));
    must(out.n == 0 || slice_iends(out, SLICE("\r\n")));
    if (o->reader.bare_cr || o->reader.bare_lf) return;
    bool start = true;
    char *wire = mem_alloc(2 * out.n);
    size_t wire_n = data_stuff(out, &start, wire);
    must(start && wire_n <= 2 * out.n && (wire_n == out.n) == !o->reader.has_dots);
    must(wire_n + 3 <= text.n); /* a dot before a letter is legal, though needless */
    free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) return 0;
    struct slice in = slice_of(data + 2, n - 2);
    struct outcome whole = { 0 }, split = { 0 };
    read_text(&whole, in, in.n, in.n + 1);
    read_text(&split, in, 1 + data[0] % 40, 1 + data[1] % 40);
    must(whole.end == split.end && whole.used == split.used &&
         slice_eq(buf_slice(&whole.text), buf_slice(&split.text)));
    struct data_reader *a = &whole.reader, *b = &split.reader;
    must(a->state == b->state && a->size == b->size && a->line_n == b->line_n && a->bare_cr == b->bare_cr &&
         a->bare_lf == b->bare_lf && a->nul == b->nul && a->long_line == b->long_line && a->has_dots == b->has_dots &&
         a->has_8bit == b->has_8bit);
    if (whole.end) check_end(&whole, in);
    buf_deinit(&whole.text);
    buf_deinit(&split.text);
    return 0;
}
