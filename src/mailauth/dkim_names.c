/* SPDX-License-Identifier: Apache-2.0
 * Which fields a signature covers (RFC 6376 §5.4). */
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define NAMES_MOST 900 /* verifiers have limits, too */

/* RFC 6376 §5.4.1, and what mail programs show or follow that has come since. Not those which are changed on the way:
 * Return-Path, Received, Bcc, Comments, Keywords. */
static const struct slice usual[] = {
    { "From", 4 }, { "To", 2 }, { "Cc", 2 }, { "Subject", 7 }, { "Date", 4 }, { "Reply-To", 8 }, { "Message-ID", 10 },
    { "Sender", 6 }, { "In-Reply-To", 11 }, { "References", 10 }, { "MIME-Version", 12 }, { "Content-Type", 12 },
    { "Content-Transfer-Encoding", 25 },
    { "Content-ID", 10 }, { "Content-Description", 19 }, { "Content-Disposition", 19 }, { "Content-Language", 16 },
    { "Resent-Date", 11 }, { "Resent-From", 11 }, { "Resent-Sender", 13 }, { "Resent-To", 9 }, { "Resent-Cc", 9 },
    { "Resent-Message-ID", 17 },
    { "List-Id", 7 }, { "List-Help", 9 }, { "List-Unsubscribe", 16 }, { "List-Unsubscribe-Post", 21 },
    { "List-Subscribe", 14 }, { "List-Post", 9 }, { "List-Owner", 10 }, { "List-Archive", 12 },
    { "Auto-Submitted", 14 }, { "Autocrypt", 9 }, { "Feedback-ID", 11 },
};
#define OVERSIGNED 13 /* of these the first so many, but for Sender: lists add it to what they pass on */

struct naming {
    const struct auth_header *header;
    struct slice *names;
    size_t n;
    bool arc;
};

static bool named(const struct naming *g, struct slice name)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->names[i].n == name.n && slice_ieq(g->names[i], name)) return true;
    return false;
}

static void add(struct naming *g, struct slice name, bool over)
{
    if (named(g, name)) return;
    size_t n = auth_header_count(g->header, name) + over;
    while (n-- && g->n < NAMES_MOST) g->names[g->n++] = name;
}

static bool listed(const struct slice *list, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++)
        if (slice_ieq(list[i], name)) return true;
    return false;
}

static bool is_oversigned(const struct dkim_sign_options *o, struct slice name)
{
    if (o->oversign) return listed(o->oversign, o->oversign_n, name);
    return !slice_ieq(name, SLICE("Sender")) && listed(usual, OVERSIGNED, name);
}

static bool is_barred(const struct naming *g, struct slice name)
{
    return g->arc && (slice_istarts(name, SLICE("ARC-")) || slice_ieq(name, SLICE("Authentication-Results")));
}

struct dkim_names dkim_sign_names(const struct dkim_sign_options *o, const struct auth_header *header, bool arc,
                                  struct arena *arena)
{
    const struct slice *list = o->headers ? o->headers : usual;
    size_t n = o->headers ? o->headers_n : countof(usual);
    /* Each field once, and each name once more. */
    size_t room = header->n + n + (o->oversign ? o->oversign_n : 0) + 2;
    struct naming g = { .header = header, .arc = arc };
    g.names = arena_alloc(arena, (room < NAMES_MOST ? room : NAMES_MOST) * sizeof *g.names);
    add(&g, SLICE("From"), true);
    for (size_t i = 0; i < n; i++)
        if (!is_barred(&g, list[i])) add(&g, list[i], !arc && is_oversigned(o, list[i]));
    for (size_t i = 0; !arc && o->oversign && i < o->oversign_n; i++) add(&g, o->oversign[i], true);
    if (arc) add(&g, SLICE("DKIM-Signature"), false);
    return (struct dkim_names){ g.names, g.n };
}
