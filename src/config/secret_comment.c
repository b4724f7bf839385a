/* SPDX-License-Identifier: Apache-2.0
 * Secrets that were commented out, or noted down: "# password: old one". */
#include <stdlib.h>
#include "base/mem.h"
#include "config/schema.h"
#include "config/secret.h"

#define STEPS_MAX 1000000 /* comparisons of comments */

static bool is_word(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* The comment's bytes from its "#" on. */
static void look_into(struct slice text, size_t head, size_t end, struct secret_comments *out)
{
    while (end > head && strchr(" \t\r", text.p[end - 1])) end--;
    for (size_t colon = head; colon < end; colon++) {
        if (text.p[colon] != ':') continue;
        size_t last = colon, first, from = colon + 1;
        while (last > head && strchr(" \t\"'", text.p[last - 1])) last--;
        for (first = last; first > head && is_word(text.p[first - 1]);) first--;
        while (from < end && strchr(" \t", text.p[from])) from++;
        if (from == end || first == last || !secret_is_name(slice_sub(text, first, last))) continue;
        out->all = mem_grow(out->all, out->n + 1, sizeof *out->all);
        out->all[out->n++] = (struct secret_comment){ head, from, end };
        return;
    }
}

/* Text between names and values: nothing but marks, blanks and comments. */
static void look_between(struct slice text, size_t from, size_t to, struct secret_comments *out)
{
    for (size_t i = from; i < to; i++) {
        if (text.p[i] != '#' || (i && !strchr(" \t\r\n", text.p[i - 1]))) continue;
        size_t end = i;
        while (end < to && text.p[end] != '\n') end++;
        look_into(text, i, end, out);
        i = end;
    }
}

/* Returns where the last name or value ended. */
static size_t walk(struct slice text, const struct yaml_node *in, size_t at, struct secret_comments *out)
{
    for (const struct yaml_node *c = in->children; c; c = c->next) {
        if (in->kind == YAML_GROUP && c->key_from >= at && c->key_to > c->key_from) {
            look_between(text, at, c->key_from, out);
            at = c->key_to;
        }
        if (c->kind != YAML_SCALAR) at = walk(text, c, at, out);
        else if (c->from >= at && c->to > c->from) {
            look_between(text, at, c->from, out);
            at = c->to;
        }
    }
    return at;
}

void secret_comments_find(struct slice text, const struct yaml_node *root, struct secret_comments *out)
{
    size_t at = root && root->kind != YAML_SCALAR ? walk(text, root, 0, out) : root ? root->to : 0;
    look_between(text, at, text.n, out);
}

void secret_comments_deinit(struct secret_comments *c)
{
    free(c->all);
    *c = (struct secret_comments){ .n = 0 };
}

void secret_comments_copy(struct secret_comments *c, struct slice text, size_t from, size_t to, struct buf *out)
{
    for (; c->at < c->n && c->all[c->at].from < to; c->at++) {
        const struct secret_comment *one = &c->all[c->at];
        if (one->from < from) continue; /* in what is hidden as a whole */
        buf_add(out, slice_sub(text, from, one->from));
        buf_add(out, one->was.p ? one->was : SLICE(SCHEMA_HIDDEN));
        from = one->to;
    }
    if (from < to) buf_add(out, slice_sub(text, from, to));
}

void secret_comments_restore(struct slice old_text, const struct secret_comments *old, struct slice text, struct secret_comments *c)
{
    size_t at = 0, left = STEPS_MAX, kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct secret_comment *one = &c->all[i];
        struct slice head = slice_sub(text, one->head, one->from);
        if (!slice_eq(slice_sub(text, one->from, one->to), SLICE(SCHEMA_HIDDEN))) continue;
        for (size_t k = 0; k < old->n && left; k++, left--) { /* in their order, and each once while there are others */
            const struct secret_comment *o = &old->all[(at + k) % old->n];
            if (!slice_eq(head, slice_sub(old_text, o->head, o->from))) continue;
            one->was = slice_sub(old_text, o->from, o->to);
            at = (size_t)(o - old->all) + 1;
            break;
        }
        if (one->was.p) c->all[kept++] = *one;
    }
    c->n = kept;
}
