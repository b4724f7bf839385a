/* SPDX-License-Identifier: Apache-2.0
 * What a report tells of the message itself: its parts, what of them is blocked, its subject. */
#include "base/mem.h"
#include "content/attachments.h"
#include "content/report_parts.h"
#include "scan/parts.h"

static bool blocks_attachments(const struct scan_run *r)
{
    const struct config_attachments *c = &r->config->attachments;
    return c->enabled && !r->context->allowed && (!r->context->trusted || c->trusted_mail);
}

/* Which parts are told of when there are too many: what is blocked and what it is in, then whatever comes first. */
static bool *choose_parts(const struct scan_run *r, const struct slice *blocked, size_t *n)
{
    const struct content_message *m = r->message;
    bool *chosen = arena_alloc(r->arena, m->part_n);
    size_t left = REPORT_PARTS_MAX;
    for (size_t i = 0; i < m->part_n && left > m->parts[i].depth + 1; i++) {
        if (!blocked[i].n) continue;
        for (uint32_t k = (uint32_t)i; !chosen[k] && left; k = m->parts[k].parent) {
            chosen[k] = true;
            left--;
            if (!k) break;
        }
    }
    for (size_t i = 0; i < m->part_n && left; i++) {
        if (chosen[i] || (i && !chosen[m->parts[i].parent])) continue;
        chosen[i] = true;
        left--;
    }
    *n = REPORT_PARTS_MAX - left;
    return chosen;
}

static struct report_part part_of(const struct content_part *p, uint32_t parent, struct slice blocked)
{
    return (struct report_part){ .parent = parent, .depth = p->depth, .is_file = p->is_file, .is_mime = p->is_mime,
                                 .name = p->name_n ? p->names[0] : SLICE(""), .declared = p->declared, .type = p->type,
                                 .size = p->size, .at = p->is_mime ? p->at : 0, .n = p->is_mime ? p->n : 0,
                                 .findings = p->findings, .blocked = blocked };
}

static void tell_subject(struct scan_run *r)
{
    const struct content_field *f = content_message_field(r->message, "Subject");
    r->report->subject = r->message->subject;
    if (!f || f->at == UINT64_MAX) return;
    const char *value = f->raw.p, *end = f->raw.p + f->raw.n;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    if (value >= r->message->bytes.p && value <= r->message->bytes.p + r->message->bytes.n)
        r->report->subject_at = (uint64_t)(value - r->message->bytes.p);
}

void scan_tell_parts(struct scan_run *r)
{
    const struct content_message *m = r->message;
    struct report *out = r->report;
    bool blocks = blocks_attachments(r);
    struct slice *blocked = arena_alloc(r->arena, m->part_n * sizeof *blocked);
    uint32_t *numbers = arena_alloc(r->arena, m->part_n * sizeof *numbers);
    size_t n;
    for (size_t i = 0; blocks && i < m->part_n; i++)
        blocked[i] = attachments_blocked(&r->config->attachments, m, (uint32_t)i, r->arena);
    const bool *chosen = choose_parts(r, blocked, &n);
    out->parts = arena_alloc(r->arena, n * sizeof *out->parts);
    for (size_t i = 0; i < m->part_n; i++) {
        if (!chosen[i]) continue;
        numbers[i] = (uint32_t)out->part_n;
        out->parts[out->part_n++] = part_of(&m->parts[i], numbers[m->parts[i].parent], blocked[i]);
    }
    for (size_t i = 0; i < m->part_n && !out->parts[0].blocked.n; i++) /* it cannot be taken out alone: all of it has to go */
        if (blocked[i].n && !chosen[i]) out->parts[0].blocked = blocked[i];
    out->parts_more = (uint32_t)(m->part_n - n);
    out->findings = m->findings;
    tell_subject(r);
}
