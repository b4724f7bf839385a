/* SPDX-License-Identifier: Apache-2.0
 * All the names a MIME part goes by. What one reader takes from "filename", another takes from "name"; whoever looks at one alone is
 * deceived. */
#include "base/utf8.h"
#include "content/message_internal.h"

#define NAMES_MAX 24
#define NAME_MAX_N 1000 /* bytes of one: beyond any file system's */

struct names {
    struct walk *w;
    struct slice list[NAMES_MAX];
    size_t n;
    unsigned findings;
};

static void add(struct names *t, struct slice name)
{
    for (size_t i = 0; i < t->n; i++)
        if (slice_eq(t->list[i], name)) return;
    if (!slice_trim(name).n) return;
    if (t->n == NAMES_MAX) t->n--; /* the first ones, and the last */
    t->list[t->n++] = name;
}

/* Without control characters; where there is a NUL, what is before it is a name as well. */
static void add_clean(struct names *t, struct slice name)
{
    char *out = arena_alloc(t->w->arena, name.n + 1);
    size_t n = 0, step;
    for (size_t i = 0; i < name.n; i += step) {
        uint32_t code;
        step = utf8_char(slice_sub(name, i, name.n), &code);
        if (!step) step = 1, code = 0;
        if (code >= 0x20 && code != 0x7F && (code < 0x80 || code >= 0xA0)) {
            memcpy(out + n, name.p + i, step);
            n += step;
            continue;
        }
        t->findings |= CONTENT_NAME_CONTROL;
        if (code == 0) add(t, slice_of(arena_strdup(t->w->arena, slice_of(out, n)), n));
    }
    add(t, slice_of(out, n));
}

static void add_any(struct names *t, struct slice name)
{
    if (name.n <= NAME_MAX_N) {
        add_clean(t, name);
        return;
    }
    t->findings |= CONTENT_NAME_CONFLICT; /* readers cut it, here or there */
    size_t head = NAME_MAX_N, tail = name.n - 200;
    while ((name.p[head] & 0xC0) == 0x80) head--;
    while (tail < name.n && (name.p[tail] & 0xC0) == 0x80) tail++;
    add_clean(t, slice_sub(name, 0, head));
    add_clean(t, slice_sub(name, tail, name.n));
}

static struct slice extension(struct slice s)
{
    while (s.n && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == ' ')) s.n--;
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == '.') return slice_sub(s, i + 1, s.n);
    return SLICE("");
}

static struct slice base(struct slice s)
{
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == '/' || s.p[i] == '\\') return slice_sub(s, i + 1, s.n);
    return s;
}

/* One with its backslashes, and one of which a reader took them for quoting? */
static bool is_unquoted(struct slice a, struct slice b)
{
    size_t k = 0;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != '\\' && (k == b.n || a.p[i] != b.p[k++])) return false;
    return k == b.n;
}

/* Different files by their names? An ASCII form beside one that is not is what well-meaning senders write. */
static bool differ(struct slice a, struct slice b)
{
    if (is_unquoted(a, b) || is_unquoted(b, a)) return false;
    a = base(a), b = base(b);
    if (slice_ieq(a, b)) return false;
    return !slice_ieq(extension(a), extension(b)) || (utf8_ascii(a) && utf8_ascii(b));
}

void message_names_set(struct walk *w, uint32_t n, const struct message_params *fields, size_t field_n)
{
    static const char *const params[] = { "filename", "name" };
    struct names t = { .w = w };
    bool broken = false;
    for (size_t i = 0; i < field_n; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct slice found[NAMES_MAX];
            size_t found_n = message_params_get(w, &fields[i], params[k], true, found, NAMES_MAX, &broken);
            for (size_t j = 0; j < found_n; j++) add_any(&t, found[j]);
        }
    }
    for (size_t i = 1; i < t.n && !(t.findings & CONTENT_NAME_CONFLICT); i++)
        if (differ(t.list[0], t.list[i])) t.findings |= CONTENT_NAME_CONFLICT;
    if (broken) t.findings |= CONTENT_MIME_BROKEN;
    walk_found(w, n, t.findings);
    if (!t.n) return;
    struct content_part *p = walk_part(w, n);
    p->names = arena_alloc(w->arena, t.n * sizeof *p->names);
    memcpy(p->names, t.list, t.n * sizeof *p->names);
    p->name_n = t.n;
}
