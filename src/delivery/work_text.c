/* SPDX-License-Identifier: Apache-2.0
 * A message's text as it is sent: with its edits, from memory or from its file. */
#include "delivery/internal.h"

/* A run of the kept text becomes pieces of the text. */
static void add_run(struct work *w, uint64_t skip, uint64_t left)
{
    const struct spool_text *kept = &w->content->text;
    for (size_t i = 0; i < kept->piece_n && left; i++) {
        struct slice s = slice_sub(kept->pieces[i], skip < kept->pieces[i].n ? (size_t)skip : kept->pieces[i].n, kept->pieces[i].n);
        skip -= kept->pieces[i].n - s.n;
        s = slice_sub(s, 0, left < s.n ? (size_t)left : s.n);
        if (s.n) w->text.pieces[w->text.piece_n++] = s;
        left -= s.n;
    }
}

/* With its edits. In memory each run is found anew in the pieces: there are few of both. */
void work_set_text(struct work *w)
{
    const struct spool_text *kept = &w->content->text;
    w->text = *kept;
    w->text.n = envelope_sent_size(&w->env);
    if (!w->env.cut_n || !kept->pieces) return;
    w->text.pieces = arena_alloc(&w->arena, (kept->piece_n + 2 * w->env.cut_n) * sizeof *w->text.pieces);
    w->text.piece_n = 0;
    struct slice with;
    uint64_t from, n;
    for (uint64_t at = 0; (n = envelope_run(&w->env, at, &from, &with)); at += n) {
        if (with.p) w->text.pieces[w->text.piece_n++] = with;
        else add_run(w, from, n);
    }
}

bool work_ends_line(const struct work *w)
{
    char last[2];
    uint64_t n = w->text.n;
    if (!w->env.cut_n || !n) return true;
    return n >= 2 && work_read_text(w, n - 2, last, 2) == 2 && last[0] == '\r' && last[1] == '\n';
}

size_t work_read_text(const struct work *w, uint64_t at, char *to, size_t n)
{
    const struct spool_text *t = &w->text;
    size_t done = 0;
    uint64_t skip = at;
    for (size_t i = 0; t->pieces && i < t->piece_n && done < n; i++) {
        struct slice s = t->pieces[i];
        if (skip < s.n) {
            s = slice_sub(s, (size_t)skip, (size_t)skip + n - done);
            memcpy(to + done, s.p, s.n);
            done += s.n;
            skip = 0;
        } else
            skip -= s.n;
    }
    return t->pieces ? done : envelope_read(&w->env, t->fd, t->offset, at, to, n);
}
