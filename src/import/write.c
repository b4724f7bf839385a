/* SPDX-License-Identifier: Apache-2.0
 * The configuration that comes out: settings and entries, each with the line it came from, in the order of our manual; files beside it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "config/dump.h"
#include "import/parts.h"

enum shape { SCALAR, GROUP, LIST };
static const struct {
    const char *path; /* groups above it, separated by dots; its own name comes last */
    enum shape shape;
} sections[PUT_SECTIONS] = {
    [PUT_HOSTNAME] = { "", SCALAR },
    [PUT_POSTMASTER] = { "", SCALAR },
    [PUT_LISTENERS] = { "listeners", LIST },
    [PUT_ZONES] = { "zones", GROUP },
    [PUT_MAIN_DOMAIN] = { "", SCALAR },
    [PUT_DOMAINS] = { "domains", LIST },
    [PUT_ROUTES] = { "routes", LIST },
    [PUT_SMARTHOST] = { "", SCALAR },
    [PUT_MAPPINGS] = { "mappings", LIST },
    [PUT_ALIASES] = { "aliases", LIST },
    [PUT_COPIES] = { "copies", LIST },
    [PUT_TABLES] = { "tables", GROUP },
    [PUT_LIMITS] = { "limits", GROUP },
    [PUT_TIMEOUTS] = { "timeouts", GROUP },
    [PUT_QUEUE] = { "queue", GROUP },
    [PUT_DELIVERY] = { "delivery", GROUP },
    [PUT_TLS_POLICIES] = { "tls_policies", LIST },
    [PUT_TLS] = { "tls", GROUP },
    [PUT_AUTH] = { "auth", GROUP },
    [PUT_CHECKS] = { "checks", GROUP },
    [PUT_ALLOW_CLIENTS] = { "checks.allow.clients", LIST },
    [PUT_ALLOW_SENDERS] = { "checks.allow.senders", LIST },
    [PUT_ALLOW_RECIPIENTS] = { "checks.allow.recipients", LIST },
    [PUT_BLOCK_CLIENTS] = { "checks.block.clients", LIST },
    [PUT_BLOCK_SENDERS] = { "checks.block.senders", LIST },
    [PUT_BLOCK_RECIPIENTS] = { "checks.block.recipients", LIST },
    [PUT_PAUSE] = { "checks.greeting_pause", GROUP },
    [PUT_CLIENT_LIMITS] = { "checks.client_limits", GROUP },
    [PUT_RECIPIENT_LIMIT] = { "checks.recipient_limit", GROUP },
    [PUT_HELO] = { "checks.helo", GROUP },
    [PUT_REVERSE] = { "checks.reverse_dns", GROUP },
    [PUT_SENDER] = { "checks.sender", GROUP },
    [PUT_RECIPIENT] = { "checks.recipient", GROUP },
    [PUT_DNS] = { "checks.dns_lists", GROUP },
    [PUT_DNS_LISTS] = { "checks.dns_lists.lists", LIST },
    [PUT_GREYLIST] = { "checks.greylist", GROUP },
    [PUT_SPF] = { "checks.spf", GROUP },
    [PUT_RELAYING] = { "relaying", LIST },
    [PUT_SCANNERS] = { "scanners", LIST },
    [PUT_HEADER_CHECKS] = { "header_checks", LIST },
    [PUT_RULES] = { "rules", LIST },
};

/* ---- units */

static uint64_t hash_of_unit(const void *item)
{
    const struct import_unit *u = item;
    return hash_bytes(slice_str(u->text)) + u->where;
}
static bool unit_is(const void *item, const void *key)
{
    const struct import_unit *a = item, *b = key;
    return a->where == b->where && !strcmp(a->text, b->text);
}

void import_put(struct import *im, enum import_section where, const struct import_from *from, const char *fmt, ...)
{
    va_list args;
    char *made = NULL;
    va_start(args, fmt);
    int n = vasprintf(&made, fmt, args);
    va_end(args);
    if (n < 0) return;
    char *text = arena_strdup(&im->arena, slice_of(made, (size_t)n));
    free(made);
    if (import_is_binary(slice_str(text)) || !utf8_clean(slice_str(text))) {
        left_out(im, from, NULL, "it has characters that a configuration cannot have");
        return;
    }
    struct import_unit *u = arena_alloc(&im->arena, sizeof *u);
    *u = (struct import_unit){ .where = where, .from = *from, .text = text };
    if (!im->seen.hash_of) htable_init(&im->seen, hash_of_unit);
    if (htable_find(&im->seen, hash_of_unit(u), unit_is, u)) return;
    htable_add(&im->seen, u);
    import_grow(im->units, im->unit_n, im->unit_cap);
    im->units[im->unit_n++] = *u;
    im->taken++;
}

/* ---- scalars */

/* Which others than us would not read as a text. */
static bool is_switch(struct slice s)
{
    static const char *const words[] = { "yes", "no", "true", "false", "on", "off" };
    for (size_t i = 0; i < countof(words); i++)
        if (slice_ieq(s, slice_str(words[i]))) return true;
    return false;
}

const char *import_scalar(struct import *im, struct slice s)
{
    struct buf b = { 0 };
    if (is_switch(s)) buf_addf(&b, "\"%.*s\"", SLICE_ARG(s));
    else yaml_add_scalar(&b, s);
    return buf_keep(&b, &im->arena).p;
}

/* ---- files beside it */

const char *import_keep(struct import *im, const char *folder, struct slice name, struct slice text, bool secret)
{
    if (!im->beside) return NULL;
    struct buf b = { 0 };
    for (size_t i = 0; i < name.n && b.n < 60; i++) {
        char c = ascii_lower(name.p[i]);
        buf_add_char(&b, (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '.' && b.n) || c == '_' ? c : '-');
    }
    const char *base = arena_strdup(&im->arena, buf_slice(&b)), *path = arena_printf(&im->arena, "%s/%s", folder, base[0] ? base : "list");
    buf_deinit(&b);
    for (unsigned n = 2;; n++) {
        size_t i = 0;
        while (i < im->file_n && strcmp(im->files[i].name, path) != 0) i++;
        if (i == im->file_n) break;
        if (slice_eq(im->files[i].text, text)) return path;
        path = arena_printf(&im->arena, "%s/%s-%u", folder, base, n);
    }
    import_grow(im->files, im->file_n, im->file_cap);
    im->files[im->file_n++] = (struct import_file){ path, arena_slice(&im->arena, text), secret };
    return path;
}

size_t import_file_count(const struct import *im) { return im->file_n; }
const struct import_file *import_file_at(const struct import *im, size_t i) { return &im->files[i]; }

/* ---- composing */

struct composing {
    struct buf *out;
    uint32_t line;
    const char *open; /* path of the groups that are open */
    const char *origin;
};

static void add_line(struct composing *c, unsigned depth, struct slice text)
{
    for (unsigned i = 0; i < depth; i++) buf_add_str(c->out, "  ");
    buf_add(c->out, text);
    buf_add_char(c->out, '\n');
    c->line++;
}

static unsigned depth_of(const char *path)
{
    unsigned n = path[0] != 0;
    for (; *path; path++) n += *path == '.';
    return n;
}

/* Names of the groups above a section, as far as they are not open yet. */
static void open_groups(struct composing *c, const char *path)
{
    struct slice rest = slice_str(path), open = slice_str(c->open), name, other;
    bool same = true, more = path[0] != 0;
    for (unsigned depth = 0; more; depth++) {
        more = slice_cut(&rest, '.', &name);
        slice_cut(&open, '.', &other);
        if (same && slice_eq(name, other)) continue;
        same = false;
        struct buf b = { 0 };
        if (!depth) add_line(c, 0, SLICE(""));
        buf_add(&b, name);
        buf_add_char(&b, ':');
        add_line(c, depth, buf_slice(&b));
        buf_deinit(&b);
        c->origin = "";
    }
    c->open = path;
}

/* Where it came from, unless that was just said. */
static void add_origin(struct import *im, struct composing *c, unsigned depth, const struct import_from *from)
{
    struct slice name = from->text, rest = from->text;
    bool words = from->line && slice_find(rest, ':') >= 0 && (slice_find(rest, '=') < 0 || slice_find(rest, ':') < slice_find(rest, '='));
    if (slice_cut(&rest, words ? ':' : '=', &name)) name = slice_trim(name);
    if (!from->line && !name.n) return;
    const char *shown = strcmp(from->file, "main.cf") != 0 || name.n > 60 ? "" : import_show(im, name);
    const char *origin = from->line ? arena_printf(&im->arena, "# %s:%u %s", from->file, from->line, shown)
                                    : arena_printf(&im->arena, "# %s has no %s", from->file, shown);
    if (strcmp(origin, c->origin) != 0) add_line(c, depth, slice_trim(slice_str(origin)));
    c->origin = origin;
}

static void add_unit(struct import *im, struct composing *c, struct import_unit *u)
{
    struct slice rest = slice_str(u->text), line;
    const char *path = sections[u->where].path;
    unsigned depth = depth_of(path);
    bool first = true;
    if (depth) open_groups(c, path);
    add_origin(im, c, depth, &u->from);
    u->first = c->line + 1;
    for (bool more = true; more; first = false) {
        struct buf b = { 0 };
        more = slice_cut(&rest, '\n', &line);
        if (sections[u->where].shape == LIST) buf_add_str(&b, first ? "- " : "  ");
        buf_add(&b, line);
        add_line(c, depth, buf_slice(&b));
        buf_deinit(&b);
    }
    u->last = c->line;
}

struct slice import_compose(struct import *im)
{
    buf_clear(&im->text);
    struct composing c = { &im->text, 0, "", "" };
    add_line(&c, 0, SLICE("# Taken over from Postfix by `postern import`. Behind a # stands the line that something came from."));
    for (size_t s = 0; s < PUT_SECTIONS; s++)
        for (size_t i = 0; i < im->unit_n; i++)
            if (im->units[i].where == s && !im->units[i].dropped) add_unit(im, &c, &im->units[i]);
    return buf_slice(&im->text);
}

bool import_drop_line(struct import *im, uint32_t line, const char *why)
{
    for (size_t i = 0; i < im->unit_n; i++) {
        struct import_unit *u = &im->units[i];
        if (u->dropped || !u->first || line < u->first || line > u->last || u->where == PUT_HOSTNAME) continue;
        u->dropped = true;
        im->taken--;
        left_out(im, &u->from, "write it by hand", "what it would become is refused: %s", why);
        return true;
    }
    return false;
}
