/* SPDX-License-Identifier: Apache-2.0
 * A message taken apart: the walk from its first byte. */
#include "content/message_internal.h"

void content_message_init(void)
{
    message_charset_init();
}

void content_message_deinit(void)
{
    message_charset_deinit();
}

uint64_t walk_offset(const struct walk *w, const char *p)
{
    uintptr_t at = (uintptr_t)p, from = (uintptr_t)w->m->bytes.p;
    return at >= from && at <= from + w->m->bytes.n ? at - from : UINT64_MAX;
}

bool walk_spend(struct walk *w, uint32_t n, uint64_t bytes)
{
    if (bytes > w->work) {
        w->work = 0;
        walk_found(w, n, CONTENT_LIMIT_DEPTH);
        return false;
    }
    w->work -= bytes;
    return true;
}

/* A message that was found in an archive or a document, or by what a part holds. */
static void read_found(struct unpack *u, uint32_t n, void *arg)
{
    struct walk *w = arg;
    struct slice bytes = walk_part(w, n)->data;
    uint32_t inner = walk_spend(w, n, bytes.n) ? unpack_add_part(u, n) : UINT32_MAX;
    walk_found(w, n, CONTENT_MESSAGE);
    if (inner != UINT32_MAX) message_entity_read(w, inner, bytes, "text/plain", true);
}

void content_message_read(struct content_message *m, struct slice bytes, const struct config_scan *limits,
                          const struct public_suffix *suffixes, struct arena *arena)
{
    *m = (struct content_message){ .arena = arena, .bytes = bytes };
    struct walk w = { .m = m, .suffixes = suffixes, .arena = arena, .work = 32 * (uint64_t)bytes.n + (1 << 20), .readings = 16,
                      .text.max = MESSAGE_TEXT_MAX, .hidden.max = MESSAGE_TEXT_MAX, .html.max = MESSAGE_TEXT_MAX };
    struct unpack u = { .message = m, .limits = limits, .on_message = read_found, .on_message_arg = &w };
    w.u = &u;
    uint32_t root = unpack_add_part(&u, 0);
    message_entity_read(&w, root, bytes, "text/plain", false);
    m->fields = m->parts[0].fields;
    m->field_n = m->parts[0].field_n;
    m->header_n = m->parts[0].body_at;
    const struct content_field *subject = content_message_field(m, "subject");
    m->subject = subject ? subject->value : SLICE("");
    m->text = buf_keep(&w.text, arena);
    m->hidden = buf_keep(&w.hidden, arena);
    m->html = buf_keep(&w.html, arena);
    for (size_t i = 0; i < m->part_n; i++) m->findings |= m->parts[i].findings;
}

const struct content_field *content_message_field(const struct content_message *m, const char *name)
{
    struct slice want = slice_str(name);
    for (size_t i = 0; i < m->field_n; i++)
        if (slice_ieq(m->fields[i].name, want)) return &m->fields[i];
    return NULL;
}
