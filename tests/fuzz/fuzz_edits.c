/* SPDX-License-Identifier: Apache-2.0
 * Files taken out of any message, and a text put in front of it: the edits are within it, its lines stay lines, and who reads it again
 * finds no file that was taken out. The first byte chooses. */
#include "../unit/edits_help.h"
#include "fuzz.h"

/* As the relay takes text: CRLF, no NUL. */
static struct slice as_taken(struct slice in, struct arena *a)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '\n') buf_add_str(&b, "\r\n");
        else if (in.p[i] && in.p[i] != '\r') buf_add_char(&b, in.p[i]);
    }
    if (b.n && b.p[b.n - 1] != '\n') buf_add_str(&b, "\r\n");
    struct slice s = arena_slice(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

static struct slice apply(struct slice text, const struct edits *e, struct arena *a)
{
    must(envelope_cuts_ok(e->cuts, e->n, text.n));
    struct slice out = edited(text, e->cuts, e->n, a);
    must(lines_are_whole(out));
    return out;
}

static void strip(struct slice text, const struct edit_header *h, unsigned which, struct arena *a)
{
    struct content_message m, again;
    struct edits e;
    content_message_read(&m, text, &edit_limits, NULL, a);
    struct report r = report_of(&m, a);
    struct slice *why = arena_alloc(a, (r.part_n + 1) * sizeof *why);
    struct edit_notes notes = { .hostname = "mx.example", .reference = "id", .wording.language = (enum template_language)(which % LANGUAGES), .why = why };
    bool all = which == 0 && m.part_n == r.part_n && !(m.findings & CONTENT_LIMITS);
    for (size_t i = 0; i < r.part_n; i++)
        if (r.parts[i].is_file && (all || (i + which) % 3 == 0)) why[i] = SLICE("a file");
    if (!edits_strip(&e, h, &r, text.n, &notes, a)) return;
    struct slice out = apply(text, &e, a);
    if (!all) return;
    content_message_read(&again, out, &edit_limits, NULL, a);
    for (size_t i = 0; i < again.part_n; i++) must(!again.parts[i].is_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena = { 0 };
    struct edit_header h;
    struct edits e;
    if (!n || n > 20000) return 0;
    struct slice text = as_taken(slice_of(data + 1, n - 1), &arena);
    if (edit_header_read(&h, text, text.n, &arena)) {
        must(h.end <= text.n);
        if (data[0] & 1) strip(text, &h, data[0] >> 1 & 3, &arena);
        if (edits_wrap(&e, &h, text.n, "=_x", SLICE("\xC3\xA4\r\n"), &arena)) apply(text, &e, &arena);
        if (edits_remove(&e, &h, SLICE("X-Spam-"))) apply(text, &e, &arena);
        struct slice with = edit_subject_prefix(h.bytes, edit_subject_at(&h), SLICE(""), slice_sub(text, 0, 30), &arena);
        must(lines_are_whole(with) || !memchr(with.p, '\r', with.n) || with.p[with.n - 1] == ' ');
    }
    arena_deinit(&arena);
    return 0;
}
