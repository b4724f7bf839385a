/* SPDX-License-Identifier: Apache-2.0
 * Adding to a report, within bounds that hold for whoever adds. */
#include "base/mem.h"
#include "content/report.h"
#include "content/report_parts.h"

/* A copy with room for one more: they are few, and may have been anybody's. */
static void *grown(struct arena *arena, const void *items, size_t n, size_t size)
{
    void *more = arena_alloc(arena, (n + 1) * size);
    if (n) memcpy(more, items, n * size);
    return more;
}

bool report_add_virus(struct report *r, const struct report_virus *v, struct arena *arena)
{
    if (r->virus_n >= REPORT_VIRUSES_MAX) return false;
    r->viruses = grown(arena, r->viruses, r->virus_n, sizeof *v);
    r->viruses[r->virus_n++] = *v;
    return true;
}

bool report_add_scanner(struct report *r, const struct report_scanner *s, struct arena *arena)
{
    if (r->scanner_n >= REPORT_SCANNERS_MAX) return false;
    r->scanners = grown(arena, r->scanners, r->scanner_n, sizeof *s);
    r->scanners[r->scanner_n++] = *s;
    return true;
}

bool report_add_symbol(struct report *r, const struct report_symbol *s, struct arena *arena)
{
    if (r->symbol_n >= REPORT_SYMBOLS_MAX) return false;
    r->symbols = grown(arena, r->symbols, r->symbol_n, sizeof *s);
    r->symbols[r->symbol_n++] = *s;
    return true;
}

bool report_add_action(struct report *r, const struct report_action *a, struct arena *arena)
{
    if (r->action_n >= REPORT_ACTIONS_MAX) return false;
    r->actions = grown(arena, r->actions, r->action_n, sizeof *a);
    r->actions[r->action_n++] = *a;
    return true;
}

static bool is_apart(const struct envelope_cut *a, const struct envelope_cut *b)
{
    return a->at + a->n <= b->at || b->at + b->n <= a->at;
}

bool report_add_edit(struct report *r, const struct envelope_cut *e, struct arena *arena)
{
    size_t at = r->edit_n, texts = e->with.n;
    if (r->edit_n >= REPORT_EDITS_MAX || !report_edit_fits(e, 0)) return false;
    for (size_t i = 0; i < r->edit_n; i++) {
        texts += r->edits[i].with.n;
        if (!is_apart(&r->edits[i], e)) return false;
    }
    if (texts > ENVELOPE_CUTS_TEXT_MAX) return false;
    while (at && (r->edits[at - 1].at > e->at || (r->edits[at - 1].at == e->at && r->edits[at - 1].n))) at--;
    r->edits = grown(arena, r->edits, r->edit_n, sizeof *e);
    memmove(r->edits + at + 1, r->edits + at, (r->edit_n - at) * sizeof *e);
    r->edits[at] = *e;
    r->edit_n++;
    return true;
}

bool report_add_prepend(struct report *r, struct slice lines, struct arena *arena)
{
    if (!lines.n || !report_is_header(lines) || r->prepend.n + lines.n > REPORT_PREPEND_MAX) return false;
    char *all = arena_alloc(arena, r->prepend.n + lines.n);
    if (r->prepend.n) memcpy(all, r->prepend.p, r->prepend.n);
    memcpy(all + r->prepend.n, lines.p, lines.n);
    r->prepend = slice_of(all, r->prepend.n + lines.n);
    return true;
}
