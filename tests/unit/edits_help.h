/* SPDX-License-Identifier: Apache-2.0
 * Messages, their reports and what edits make of them, for the tests of edits. */
#ifndef POSTERN_TESTS_UNIT_EDITS_HELP_H
#define POSTERN_TESTS_UNIT_EDITS_HELP_H
#include "base/mem.h"
#include "content/edits.h"
#include "content/message.h"
#include "cuts_help.h"

static const struct config_scan edit_limits = { .depth = 10, .parts = 400, .unpacked = 4 << 20, .ratio = 200, .unpack_time = 2000 };

/* As a scan process tells it, of files the first name alone. */
static inline struct report report_of(const struct content_message *m, struct arena *a)
{
    struct report r = { .part_n = m->part_n < REPORT_PARTS_MAX ? m->part_n : REPORT_PARTS_MAX };
    r.parts = arena_alloc(a, (r.part_n + 1) * sizeof *r.parts);
    for (size_t i = 0; i < r.part_n; i++) {
        const struct content_part *p = &m->parts[i];
        r.parts[i] = (struct report_part){ .parent = p->parent, .depth = p->depth, .is_file = p->is_file, .is_mime = p->is_mime,
                                           .name = p->name_n ? p->names[0] : SLICE(""), .declared = p->declared, .type = p->type,
                                           .size = p->size, .at = p->is_mime ? p->at : 0, .n = p->is_mime ? p->n : 0 };
    }
    return r;
}

/* The text as it would be sent. */
static inline struct slice edited(struct slice text, const struct envelope_cut *cuts, uint32_t n, struct arena *a)
{
    struct buf b = { 0 };
    edit(text, cuts, n, &b);
    struct slice s = arena_slice(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

/* Lines that end in CRLF, all of them. */
static inline bool lines_are_whole(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')) return false;
        if (s.p[i] == '\n' && (!i || s.p[i - 1] != '\r')) return false;
    }
    return !s.n || s.p[s.n - 1] == '\n';
}

#endif
