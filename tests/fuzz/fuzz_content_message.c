/* SPDX-License-Identifier: Apache-2.0
 * Messages taken apart: what is said of them holds, and a part that is cut out leaves the parts before it as they were. */
#include "base/mem.h"
#include "content_message.h"

static void must_cut(const struct content_message *m, const struct content_part *p)
{
    const struct slice note = SLICE("Content-Type: text/plain\r\n\r\nGone.");
    struct arena arena = { 0 };
    struct content_message cut;
    char *bytes = mem_alloc(m->bytes.n + note.n);
    memcpy(bytes, m->bytes.p, p->at);
    memcpy(bytes + p->at, note.p, note.n);
    memcpy(bytes + p->at + note.n, m->bytes.p + p->at + p->n, m->bytes.n - p->at - p->n);
    must_read(slice_of(bytes, m->bytes.n + note.n - p->n), &arena, &cut);
    must(m->findings & (CONTENT_MIME_BROKEN | CONTENT_LIMITS) || !(cut.findings & CONTENT_MIME_BROKEN));
    arena_deinit(&arena);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = { 0 };
    struct content_message m;
    must_read(slice_of(data, n), &arena, &m);
    size_t last = m.part_n - 1;
    while (last && !m.parts[last].is_mime) last--;
    if (last && slice_starts(m.parts[m.parts[last].parent].declared, SLICE("multipart/mixed"))) must_cut(&m, &m.parts[last]);
    arena_deinit(&arena);
    return 0;
}
