/* SPDX-License-Identifier: Apache-2.0
 * A message with one part whose data is the input, for the fuzz targets of what looks into files; and what must hold afterwards. */
#ifndef POSTERN_TESTS_FUZZ_UNPACK_INPUT_H
#define POSTERN_TESTS_FUZZ_UNPACK_INPUT_H
#include "base/utf8.h"
#include "content/unpack_parts.h"
#include "fuzz.h"

static inline void unpack_input(const uint8_t *data, size_t n, const char *type, void (*look)(struct unpack *u, uint32_t n))
{
    static const struct config_scan limits = { .depth = 6, .parts = 60, .unpacked = 4 << 20, .ratio = 200, .unpack_time = 2000 };
    struct err err;
    must(unpack_init(&err));
    struct arena arena = { 0 };
    struct content_message m = { .arena = &arena, .bytes = slice_of(data, n) };
    struct unpack u = { .message = &m, .limits = &limits };
    unpack_add_part(&u, 0);
    uint32_t part = unpack_add_part(&u, 0);
    struct slice *name = arena_alloc(&arena, sizeof *name);
    *name = SLICE("a.bin");
    m.parts[part].is_mime = true;
    m.parts[part].names = name;
    m.parts[part].name_n = 1;
    m.parts[part].data = m.bytes;
    m.parts[part].type = slice_str(type);
    look(&u, part);
    must(m.part_n <= limits.parts && u.unpacked <= limits.unpacked);
    for (uint32_t i = 1; i < m.part_n; i++) {
        const struct content_part *p = &m.parts[i];
        must(p->parent < i && p->depth == m.parts[p->parent].depth + 1);
        for (size_t k = 0; k < p->name_n; k++) must(utf8_ok(p->names[k]) && p->names[k].n <= 255 && p->names[k].n > 0);
        for (size_t k = 0; k < p->data.n; k += 4096) must(p->data.p[k] == p->data.p[k]);
    }
    arena_deinit(&arena);
}

#endif
