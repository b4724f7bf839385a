/* SPDX-License-Identifier: Apache-2.0
 * Which files `attachments` blocks: by name, by true type, by what was found in them. */
#include "content/attachments.h"
#include <fnmatch.h>
#include "base/mem.h"

#define NAME_MAX_LEN 1000      /* longer names are held against no pattern */
#define EXTENSION_MAX_LEN 40

/* ---- names */

static bool fits_pattern(const char *pattern, struct slice s)
{
    char text[NAME_MAX_LEN + 1];
    if (s.n > NAME_MAX_LEN) return false;
    memcpy(text, s.n ? s.p : "", s.n);
    text[s.n] = 0;
    return fnmatch(pattern, text, FNM_CASEFOLD | FNM_NOESCAPE) == 0;
}

static bool name_is_allowed(const struct config_attachments *c, struct slice name)
{
    for (size_t i = 0; i < c->allow_n; i++)
        if (fits_pattern(c->allow[i], name)) return true;
    return false;
}

/* All that it goes by: one harmless name among others allows nothing. */
static bool is_allowed(const struct config_attachments *c, const struct content_part *p)
{
    for (size_t i = 0; i < p->name_n; i++)
        if (!name_is_allowed(c, p->names[i])) return false;
    return p->name_n > 0;
}

/* Cuts the last extension off: false when there is none. Dots and blanks at the end do not count: Windows drops them. */
static bool cut_extension(struct slice *name, struct slice *extension)
{
    size_t n = name->n;
    while (n && (name->p[n - 1] == '.' || name->p[n - 1] == ' ')) n--;
    const char *dot = n ? memrchr(name->p, '.', n) : NULL;
    if (!dot) return false;
    size_t at = (size_t)(dot - name->p);
    *extension = slice_trim(slice_of(dot + 1, n - at - 1));
    *name = slice_of(name->p, at);
    return true;
}

static const char *listed(const struct config_attachments *c, struct slice extension)
{
    if (!extension.n || extension.n > EXTENSION_MAX_LEN) return NULL;
    for (size_t i = 0; i < c->extension_n; i++)
        if (slice_ieq(extension, slice_str(c->extensions[i]))) return c->extensions[i];
    return NULL;
}

static const char *by_name(const struct config_attachments *c, struct slice name, struct arena *arena)
{
    struct slice extension;
    const char *found;
    if (!cut_extension(&name, &extension)) return NULL;
    found = listed(c, extension);
    if (found) return arena_printf(arena, "extension %s", found);
    if (!c->double_extensions || !cut_extension(&name, &extension)) return NULL;
    found = listed(c, extension);
    return found ? arena_printf(arena, "double extension %s", found) : NULL;
}

/* ---- types and findings */

static const char *by_type(const struct config_attachments *c, const struct content_part *p, struct arena *arena)
{
    bool text = !p->is_file && slice_starts(p->type, SLICE("text/")); /* what is read is no attachment */
    for (size_t i = 0; p->type.n && !text && i < c->type_n; i++)
        if (fits_pattern(c->types[i], p->type)) return arena_printf(arena, "type %.*s", SLICE_ARG(p->type));
    return NULL;
}

static const char *by_limit(const struct content_part *p)
{
    static const struct {
        unsigned finding;
        const char *text;
    } limits[] = {
        { CONTENT_LIMIT_DEPTH, "limit depth" }, { CONTENT_LIMIT_PARTS, "limit parts" },  { CONTENT_LIMIT_SIZE, "limit unpacked" },
        { CONTENT_LIMIT_RATIO, "limit ratio" }, { CONTENT_LIMIT_TIME, "limit unpack_time" },
    };
    for (size_t i = 0; i < countof(limits); i++)
        if (p->findings & limits[i].finding) return limits[i].text;
    return (p->findings & CONTENT_BROKEN) && (p->findings & CONTENT_ARCHIVE) ? "damaged" : NULL;
}

static const char *by_finding(const struct config_attachments *c, const struct content_part *p)
{
    if (c->encrypted && (p->findings & CONTENT_ENCRYPTED)) return "encrypted";
    if (c->macros && (p->findings & CONTENT_MACRO_AUTO)) return "macros";
    return c->limits ? by_limit(p) : NULL;
}

static bool is_in_archive(const struct content_message *m, uint32_t part)
{
    for (uint32_t i = part; i && m->parts[i].parent < i; i = m->parts[i].parent)
        if (m->parts[m->parts[i].parent].findings & CONTENT_ARCHIVE) return true;
    return false;
}

struct slice attachments_blocked(const struct config_attachments *c, const struct content_message *m, uint32_t part, struct arena *arena)
{
    const struct content_part *p = &m->parts[part];
    const char *why = NULL;
    if (is_allowed(c, p) || (!c->archives && is_in_archive(m, part))) return SLICE("");
    for (size_t i = 0; !why && i < p->name_n; i++) why = by_name(c, p->names[i], arena);
    if (!why) why = by_type(c, p, arena);
    if (!why) why = by_finding(c, p);
    return slice_str(why);
}
