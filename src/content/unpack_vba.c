/* SPDX-License-Identifier: Apache-2.0
 * Macros in Visual Basic (MS-OVBA): whether there are any, and whether they run when the document is opened. */
#include "content/unpack_cfb.h"
#include "base/mem.h"

#define SOURCE_MAX (4u << 20)
#define CHUNK 4096
#define FOLDERS_MAX 100      /* each is looked for in all entries */

/* One chunk's tokens; flags of eight tokens come before them. */
static void decompress_chunk(struct slice in, struct buf *out)
{
    char chunk[CHUNK] = { 0 };
    size_t n = 0, at = 0;
    while (at < in.n && n < CHUNK) {
        unsigned flags = unpack_u8(in, at++);
        for (unsigned bit = 0; bit < 8 && at < in.n && n < CHUNK; bit++) {
            if (!(flags >> bit & 1)) {
                chunk[n++] = in.p[at++];
                continue;
            }
            unsigned token = unpack_le16(in, at), bits = 4;
            at += 2;
            while ((1u << bits) < n) bits++;
            size_t length = (token & (0xFFFFu >> bits)) + 3, offset = (token >> (16 - bits)) + 1;
            if (offset > n) goto end; /* before the beginning */
            for (; length && n < CHUNK; length--, n++) chunk[n] = chunk[n - offset];
        }
    }
end:
    buf_add(out, slice_of(chunk, n));
}

struct slice vba_decompress(struct slice packed, struct arena *arena)
{
    struct buf out = { 0 };
    if (unpack_u8(packed, 0) == 1)
        for (size_t at = 1; at + 2 <= packed.n && out.n < SOURCE_MAX;) {
            unsigned head = unpack_le16(packed, at);
            struct slice chunk = unpack_at(packed, at + 2, (head & 0xFFF) + 1u);
            if ((head >> 12 & 7) != 3) break;
            if (head & 0x8000) decompress_chunk(chunk, &out);
            else buf_add(&out, chunk);
            at += 2 + (head & 0xFFF) + 1u;
        }
    return buf_keep(&out, arena);
}

static bool word_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Procedures that Office calls by their names. */
static bool calls_itself(struct slice name)
{
    static const struct slice names[] = {
        UNPACK_TEXT("autoexec"),
        UNPACK_TEXT("autoopen"),
        UNPACK_TEXT("auto_open"),
        UNPACK_TEXT("autoclose"),
        UNPACK_TEXT("auto_close"),
        UNPACK_TEXT("autonew"),
        UNPACK_TEXT("autoexit"),
        UNPACK_TEXT("document_open"),
        UNPACK_TEXT("document_close"),
        UNPACK_TEXT("document_new"),
        UNPACK_TEXT("document_beforeclose"),
        UNPACK_TEXT("document_contentcontrolonenter"),
        UNPACK_TEXT("documentopen"),
        UNPACK_TEXT("documentbeforeclose"),
        UNPACK_TEXT("documentchange"),
        UNPACK_TEXT("workbook_open"),
        UNPACK_TEXT("workbook_close"),
        UNPACK_TEXT("workbook_activate"),
        UNPACK_TEXT("workbook_beforeclose"),
        UNPACK_TEXT("workbook_windowactivate"),
        UNPACK_TEXT("workbook_deactivate"),
        UNPACK_TEXT("worksheet_activate"),
        UNPACK_TEXT("worksheet_calculate"),
        UNPACK_TEXT("auto_remove"),
        UNPACK_TEXT("auto_activate"),
        UNPACK_TEXT("auto_add"),
        UNPACK_TEXT("newdocument"),
        UNPACK_TEXT("presentation_open"),
        UNPACK_TEXT("app_presentationopen"),
        UNPACK_TEXT("onslideshowpagechange"),
        UNPACK_TEXT("slideshow_begin"),
        UNPACK_TEXT("auto_nextslide"),
        UNPACK_TEXT("application_startup"),
        UNPACK_TEXT("application_itemload"),
    };
    static const struct slice events[] = {
        /* of controls that are in the document */
        UNPACK_TEXT("_layout"),           UNPACK_TEXT("_painted"),
        UNPACK_TEXT("_painting"),         UNPACK_TEXT("_gotfocus"),
        UNPACK_TEXT("_mousehover"),       UNPACK_TEXT("_mousemove"),
        UNPACK_TEXT("_beforenavigate2"),  UNPACK_TEXT("_navigatecomplete2"),
        UNPACK_TEXT("_documentcomplete"), UNPACK_TEXT("_progresschange"),
        UNPACK_TEXT("_resize"),           UNPACK_TEXT("_onconnecting"),
    };
    for (size_t i = 0; i < countof(names); i++)
        if (slice_ieq(name, names[i])) return true;
    for (size_t i = 0; i < countof(events); i++)
        if (slice_iends(name, events[i])) return true;
    return false;
}

static bool source_runs(struct slice text)
{
    static const struct slice openers[] = { UNPACK_TEXT("sub "), UNPACK_TEXT("function ") };
    for (size_t k = 0; k < countof(openers); k++)
        for (size_t at = 0; (at = unpack_isearch(text, at, openers[k])) != SIZE_MAX; at++) {
            if (at && word_char(text.p[at - 1])) continue;
            struct slice rest = slice_trim_blanks(slice_sub(text, at + openers[k].n, text.n));
            size_t n = 0;
            while (n < rest.n && word_char(rest.p[n])) n++;
            if (calls_itself(slice_sub(rest, 0, n))) return true;
        }
    return false;
}

/* Names within compiled code, where the source was taken out: whole words. */
static bool names_run(struct slice code)
{
    for (size_t at = 0, n; at < code.n; at += n + 1) {
        n = 0;
        while (at + n < code.n && word_char(code.p[at + n])) n++;
        if (n > 6 && calls_itself(slice_of(code.p + at, n))) return true;
    }
    return false;
}

/* What is decompressed counts as unpacked. */
static struct slice source_at(struct unpack *u, uint32_t n, struct cfb *c, struct slice module, size_t at)
{
    if (!unpack_in_time(u, n)) return (struct slice){ 0 };
    struct slice source = vba_decompress(slice_sub(module, at, module.n), c->arena);
    return unpack_spend(u, n, source.n) ? source : (struct slice){ 0 };
}

/* A module's source stands behind compiled code, whose length the project's directory tells: but the first line is
 * always the same. */
static struct slice module_source(struct unpack *u, uint32_t n, struct cfb *c, struct slice module)
{
    unsigned tries = 0;
    for (size_t at = 0; (at = unpack_search(module, at, SLICE("\0Attribut"))) != SIZE_MAX && tries < 8; at++) {
        if (at < 3 || module.p[at - 3] != 1) continue;
        tries++;
        struct slice source = source_at(u, n, c, module, at - 3);
        if (slice_starts(source, SLICE("Attribut"))) return source;
    }
    return (struct slice){ 0 };
}

/* Records of the directory: MODULESTREAMNAME 0x1A, MODULEOFFSET 0x31 (§2.3.4.2.3.2). */
static uint32_t module_offset(struct slice directory, struct slice name)
{
    bool mine = false;
    for (size_t at = 0; at + 6 <= directory.n;) {
        unsigned id = unpack_le16(directory, at);
        uint64_t n = unpack_le32(directory, at + 2);
        if (id == 9) n = 6; /* PROJECTVERSION: its length is said wrongly */
        if (id == 0x1A) mine = slice_ieq(unpack_at(directory, at + 6, n), name);
        if (id == 0x31 && mine) return unpack_le32(directory, at + 6);
        at += 6 + n;
    }
    return UINT32_MAX;
}

static bool module_runs(struct unpack *u, uint32_t n, struct cfb *c, const struct cfb_entry *e, struct slice directory,
                        bool *stomped)
{
    struct slice module = cfb_take(u, n, c, e, c->data.n), source = module_source(u, n, c, module);
    uint32_t at = source.n ? UINT32_MAX : module_offset(directory, e->name);
    if (at < module.n) source = source_at(u, n, c, module, at);
    if (!source.n) *stomped = true;
    return source.n ? source_runs(source) : names_run(module);
}

unsigned vba_look(struct unpack *u, uint32_t n, struct cfb *c)
{
    unsigned found = 0, folders = 0;
    for (size_t i = 1; i < c->n; i++) {
        const struct cfb_entry *folder = &c->entries[i];
        if (folder->type != CFB_STORAGE || !slice_ieq(folder->name, SLICE("VBA"))) continue;
        found |= CONTENT_MACRO;
        if (folders++ == FOLDERS_MAX) return found | CONTENT_LIMIT_PARTS;
        const struct cfb_entry *dir = cfb_find(c, (uint32_t)i, SLICE("dir"));
        struct slice directory = vba_decompress(cfb_take(u, n, c, dir, SOURCE_MAX), c->arena);
        if (!unpack_spend(u, n, directory.n)) return found;
        bool stomped = false;
        for (size_t k = 1; k < c->n; k++) {
            const struct cfb_entry *e = &c->entries[k];
            if (e->parent != i || e->type != CFB_STREAM || e == dir || slice_istarts(e->name, SLICE("_")) ) continue;
            if (!unpack_in_time(u, n)) return found;
            if (module_runs(u, n, c, e, directory, &stomped)) found |= CONTENT_MACRO_AUTO;
        }
        const struct cfb_entry *project = cfb_find(c, (uint32_t)i, SLICE("_VBA_PROJECT"));
        if (stomped && names_run(cfb_take(u, n, c, project, SOURCE_MAX))) found |= CONTENT_MACRO_AUTO;
    }
    return found;
}
