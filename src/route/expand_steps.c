/* SPDX-License-Identifier: Apache-2.0
 * What people are told of an expansion, step by step: "old.example -> example.com (line 12); sales -> anna@example.com (table staff)". */
#include "route/expand_parts.h"

#define STEPS_MAX 400
#define MEMBERS_SHOWN 5             /* of one alias, */
#define STEP_SHOWN 250              /* unless they are longer than this, in bytes */

/* Beside the mark that there was more: "; ...". */
static bool has_room(const struct expand_steps *s, size_t n) { return s->text.n + 2 + n <= STEPS_MAX - 5; }

/* Frees the step. */
static void tell(struct expand_steps *s, struct buf *step)
{
    if (!s->cut) {
        s->cut = !has_room(s, step->n);
        if (s->text.n) buf_add_str(&s->text, "; ");
        buf_add(&s->text, s->cut ? SLICE("...") : buf_slice(step));
    }
    buf_deinit(step);
}

static void add_source(struct buf *b, const char *table, unsigned line)
{
    if (table) buf_addf(b, " (table %s)", table);
    else if (line) buf_addf(b, " (line %u)", line);
}

/* Of the system when it is of nobody else. */
static void add_origin(struct buf *b, const struct expand_group *g)
{
    if (g->from) add_source(b, g->table, g->from->place.line);
    else buf_add_str(b, " (system_mail)");
}

void expand_tell_way(struct expand_steps *s, const struct expand_way *way)
{
    struct buf b = { 0 };
    buf_add_printable(&b, way->key, 100);
    buf_add_str(&b, " -> ");
    buf_add_printable(&b, way->to, 100);
    add_source(&b, way->table, way->place.line);
    tell(s, &b);
}

void expand_tell_no_mailbox(struct expand_steps *s, struct slice address)
{
    struct buf b = { 0 };
    buf_add_printable(&b, address, 80);
    buf_add_str(&b, ": there is no mailbox");
    tell(s, &b);
}

void expand_tell_group(struct expand_steps *s, const struct expand_group *g, const struct slice *to, size_t n, bool no_mailbox)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_of(g->key, g->key_n), 80);
    size_t i = 0;
    for (; i < n && i < MEMBERS_SHOWN && b.n < STEP_SHOWN; i++) {
        buf_add_str(&b, i ? ", " : " -> ");
        buf_add_printable(&b, to[i], 80);
    }
    if (i < n) buf_addf(&b, " and %zu more", n - i);
    if (g->from && g->from->keep) buf_add_str(&b, no_mailbox ? ", and itself, where there is no mailbox" : ", and itself");
    add_origin(&b, g);
    tell(s, &b);
}

void expand_tell_stop(struct expand_steps *s, const char *what, struct slice which)
{
    struct buf b = { 0 };
    buf_add_str(&b, what);
    buf_add_printable(&b, which, 60); /* up to 240 */
    if (s->cut || !has_room(s, b.n)) buf_clear(&s->text);
    s->cut = false;
    tell(s, &b);
}

void expand_add_label(const struct expand_group *g, struct buf *out)
{
    buf_add_printable(out, slice_of(g->key, g->key_n), 80);
    add_origin(out, g);
}
