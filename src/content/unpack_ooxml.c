/* SPDX-License-Identifier: Apache-2.0
 * Office documents that are ZIP files: Office Open XML (ECMA-376) and OpenDocument. Their own XML and pictures are no
 * parts; macros, embedded files and whatever else is in them are. */
#include "base/mem.h"
#include "content/unpack_zip.h"

#define XML_MOST (4u << 20)  /* bytes of one XML file that are looked at */

static struct slice read_named(struct unpack *u, uint32_t n, const struct zip *z, const struct zip_entry *e)
{
    return e && !(e->flags & ZIP_FLAG_ENCRYPTED) ? zip_unpack(u, n, z, e, XML_MOST) : (struct slice){ 0 };
}

/* ---- Office Open XML */
static struct slice attribute(struct slice tag, struct slice name) /* name: with blank before and ="; the value */
{
    char quote = 0;
    tag = slice_trim(tag);
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];
        if (quote || c == '"' || c == '\'') {
            quote = !quote ? c : c == quote ? 0 : quote;
            continue;
        }
        if (!slice_starts(slice_sub(tag, i, tag.n), name)) continue;
        struct slice rest = slice_trim(slice_sub(tag, i + name.n, tag.n));
        if (!rest.n || rest.p[0] != '=') continue;
        rest = slice_trim(slice_sub(rest, 1, rest.n));
        if (!rest.n || (rest.p[0] != '"' && rest.p[0] != '\'')) return (struct slice){ 0 };
        ptrdiff_t end = slice_find(slice_sub(rest, 1, rest.n), rest.p[0]);
        return slice_sub(rest, 1, end < 0 ? 0 : (size_t)end + 1);
    }
    return (struct slice){ 0 };
}

/* Links that a reader clicks are none of our business: what is fetched when the document is opened is. */
static bool loads(struct slice type)
{
    static const struct slice kinds[] = {
        UNPACK_TEXT("/attachedtemplate"), UNPACK_TEXT("/oleobject"),    UNPACK_TEXT("/frame"),
        UNPACK_TEXT("/subdocument"),      UNPACK_TEXT("/externallink"), UNPACK_TEXT("/externallinkpath"),
        UNPACK_TEXT("/package"),          UNPACK_TEXT("/control"),      UNPACK_TEXT("/mailmergesource"),
    };
    for (size_t i = 0; i < countof(kinds); i++)
        if (slice_iends(type, kinds[i])) return true;
    return false;
}

/* Where the element that is at `at` ends: ">" may stand in its values. Always behind its name. */
static size_t tag_end(struct slice xml, size_t at)
{
    char quote = 0;
    for (at += 13; at < xml.n; at++) {
        char c = xml.p[at];
        if (c == quote) quote = 0;
        else if (!quote && (c == '"' || c == '\'')) quote = c;
        else if (c == '<' || (!quote && c == '>')) break; /* "<" is in no value (XML 1.0 §2.3) */
    }
    return at;
}

/* With blanks for whatever XML takes for such, and UTF-16 as UTF-8. */
static struct slice plain_xml(struct arena *arena, struct slice xml)
{
    unsigned mark = unpack_be16(xml, 0);
    if (mark == 0xFEFF || mark == 0xFFFE) xml = unpack_utf8_of_marked(arena, xml);
    char *out = arena_alloc(arena, xml.n + 1);
    for (size_t i = 0; i < xml.n; i++) out[i] = xml.p[i] == '\t' || xml.p[i] == '\r' || xml.p[i] == '\n' ? ' ' : xml.p[i];
    return slice_of(out, xml.n);
}

static unsigned judge_relations(struct slice xml)
{
    unsigned found = 0;
    struct arena arena = { 0 };
    xml = plain_xml(&arena, xml);
    for (size_t at = 0, end; (at = unpack_search(xml, at, SLICE("Relationship "))) != SIZE_MAX; at = end) {
        end = tag_end(xml, at);
        struct slice head = slice_sub(xml, at, end);
        struct slice type = attribute(head, SLICE(" Type")), target = attribute(head, SLICE(" Target"));
        bool outside = slice_ieq(attribute(head, SLICE(" TargetMode")), SLICE("External"));
        if (slice_iends(type, SLICE("/vbaproject"))) found |= CONTENT_MACRO;
        if (slice_iends(type, SLICE("/xlMacrosheet")) || slice_iends(type, SLICE("/xlIntlMacrosheet")))
            found |= CONTENT_MACRO;
        bool remote = unpack_search(target, 0, SLICE("&#")) != SIZE_MAX || slice_istarts(target, SLICE("http:")) || slice_istarts(target, SLICE("https:")) ||
                      slice_istarts(target, SLICE("mhtml:")) || slice_istarts(target, SLICE("ftp:")) ||
                      slice_istarts(target, SLICE("\\\\")) || slice_istarts(target, SLICE("file:")) ||
                      slice_istarts(target, SLICE("//"));
        if (outside && remote && loads(type)) found |= CONTENT_EXTERNAL_LINK;
    }
    arena_deinit(&arena);
    return found;
}

static bool is_picture(struct slice head)
{
    return slice_starts(head, SLICE("\x89PNG")) || slice_starts(head, SLICE("\xFF\xD8\xFF")) ||
           slice_starts(head, SLICE("GIF8")) || slice_starts(head, SLICE("RIFF")) || slice_starts(head, SLICE("BM")) ||
           slice_starts(head, SLICE("II*\0")) || slice_starts(head, SLICE("\x01\0\0\0")) ||
           slice_starts(head, SLICE("\xD7\xCD\xC6\x9A"));
}

/* The document's own things: markup, pictures, fonts, settings of printers. */
static bool is_own(struct slice name, struct slice head)
{
    static const struct slice markup[] = { UNPACK_TEXT(".xml"), UNPACK_TEXT(".rels"), UNPACK_TEXT(".vml"),
                                           UNPACK_TEXT(".rdf") };
    static const struct slice pictures[] = { UNPACK_TEXT(".png"), UNPACK_TEXT(".jpg"), UNPACK_TEXT(".jpeg"),
                                             UNPACK_TEXT(".gif"), UNPACK_TEXT(".emf"), UNPACK_TEXT(".wmf"),
                                             UNPACK_TEXT(".bmp"), UNPACK_TEXT(".tif"), UNPACK_TEXT(".tiff"),
                                             UNPACK_TEXT(".wdp"), UNPACK_TEXT(".svg"), UNPACK_TEXT(".jfif") };
    if (slice_starts(head, SLICE("\xEF\xBB\xBF"))) head = slice_sub(head, 3, head.n);
    head = slice_trim(head);
    bool is_markup =
        !head.n || head.p[0] == '<' || slice_starts(head, SLICE("\xFF\xFE")) || slice_starts(head, SLICE("\xFE\xFF"));
    for (size_t i = 0; i < countof(markup); i++)
        if (slice_iends(name, markup[i])) return is_markup;
    for (size_t i = 0; i < countof(pictures); i++)
        if (slice_iends(name, pictures[i]))
            return is_picture(head) || slice_starts(head, SLICE("\x49\x49\xBC\x01")) || is_markup;
    static const struct slice harmful[] = { UNPACK_TEXT("MZ"), UNPACK_TEXT("PK"), UNPACK_TEXT("\xD0\xCF\x11\xE0"),
                                            UNPACK_TEXT("\x7F"
                                                        "ELF"),
                                            UNPACK_TEXT("\x4C\0\0\0") };
    for (size_t i = 0; i < countof(harmful); i++)
        if (slice_starts(head, harmful[i])) return false;
    return slice_iends(name, SLICE(".odttf")) || slice_iends(name, SLICE("mimetype")) || slice_iends(name, SLICE("/")) ||
        (unpack_isearch(name, 0, SLICE("printersettings")) != SIZE_MAX && slice_iends(name, SLICE(".bin")));
}

static void add_others(struct unpack *u, uint32_t n, const struct zip *z)
{
    for (size_t i = 0; i < z->n && unpack_in_time(u, n); i++) {
        const struct zip_entry *e = &z->entries[i];
        struct slice head = zip_unpack(u, n, z, e, 16);
        if (!(e->flags & ZIP_FLAG_ENCRYPTED) && !e->lies && is_own(e->name, head)) continue;
        zip_add(u, n, z, e);
        if (!unpack_has_room(u, n)) return;
    }
}

static struct slice ooxml_type(const struct zip *z, struct slice types, bool *macros)
{
    *macros = unpack_isearch(types, 0, SLICE("macroenabled")) != SIZE_MAX;
    bool project = unpack_isearch(types, 0, SLICE("ms-office.vbaproject")) != SIZE_MAX;
    for (size_t i = 0; i < z->n; i++) {
        struct slice name = z->entries[i].name;
        bool m = *macros || project;
        if (slice_istarts(name, SLICE("word/")))
            return m ? SLICE("application/vnd.ms-word.document.macroenabled.12")
                     : SLICE("application/vnd.openxmlformats-officedocument.wordprocessingml.document");
        if (slice_istarts(name, SLICE("xl/"))) {
            if (zip_find(z, SLICE("xl/workbook.bin"))) return SLICE("application/vnd.ms-excel.sheet.binary.macroenabled.12");
            return m ? SLICE("application/vnd.ms-excel.sheet.macroenabled.12")
                     : SLICE("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
        }
        if (slice_istarts(name, SLICE("ppt/")))
            return m ? SLICE("application/vnd.ms-powerpoint.presentation.macroenabled.12")
                     : SLICE("application/vnd.openxmlformats-officedocument.presentationml.presentation");
    }
    return SLICE("application/vnd.openxmlformats-officedocument");
}

static void ooxml(struct unpack *u, uint32_t n, const struct zip *z, const struct zip_entry *types)
{
    unsigned found = CONTENT_DOCUMENT;
    bool macros, sheets = false;
    struct slice list = read_named(u, n, z, types);
    u->message->parts[n].type = ooxml_type(z, list, &macros);
    if (unpack_isearch(list, 0, SLICE("ms-office.vbaproject")) != SIZE_MAX) found |= CONTENT_MACRO;
    for (size_t i = 0; i < z->n && unpack_in_time(u, n); i++) {
        const struct zip_entry *e = &z->entries[i];
        if (slice_iends(e->name, SLICE(".rels"))) found |= judge_relations(read_named(u, n, z, e));
        if (slice_iends(e->name, SLICE("vbaproject.bin")) || slice_istarts(e->name, SLICE("xl/macrosheets/")))
            found |= CONTENT_MACRO;
        sheets |= slice_istarts(e->name, SLICE("xl/macrosheets/"));
    }
    struct slice book = sheets ? read_named(u, n, z, zip_find(z, SLICE("xl/workbook.xml"))) : (struct slice){ 0 };
    if (unpack_isearch(book, 0, SLICE("auto_open")) != SIZE_MAX) found |= CONTENT_MACRO_AUTO;
    unpack_find(u, n, found);
    u->message->parts[n].findings &= ~(unsigned)CONTENT_ARCHIVE;
    uint32_t first = (uint32_t)u->message->part_n;
    add_others(u, n, z);
    for (uint32_t i = first; i < u->message->part_n; i++) { /* the project is looked at as a file of its own */
        const struct content_part *p = &u->message->parts[i];
        if (p->parent == n && slice_eq(p->type, SLICE("application/vnd.ms-office.vbaproject")))
            unpack_find(u, n, p->findings & (CONTENT_MACRO | CONTENT_MACRO_AUTO));
    }
}

/* ---- OpenDocument */
static void odf(struct unpack *u, uint32_t n, const struct zip *z, struct slice type)
{
    unsigned found = CONTENT_DOCUMENT;
    u->message->parts[n].type = arena_slice(u->message->arena, type);
    struct slice manifest = read_named(u, n, z, zip_find(z, SLICE("META-INF/manifest.xml")));
    if (unpack_search(manifest, 0, SLICE("encryption-data")) != SIZE_MAX) found |= CONTENT_ENCRYPTED;
    for (size_t i = 0; i < z->n; i++) {
        struct slice name = z->entries[i].name;
        bool library = slice_istarts(name, SLICE("Basic/")) || slice_istarts(name, SLICE("Scripts/"));
        if (library && !slice_iends(name, SLICE("script-lc.xml")) && !slice_iends(name, SLICE("/"))) found |= CONTENT_MACRO;
    }
    struct slice content = { 0 };
    if ((found & (CONTENT_MACRO | CONTENT_ENCRYPTED)) == CONTENT_MACRO)
        content = read_named(u, n, z, zip_find(z, SLICE("content.xml")));
    static const struct slice events[] = { UNPACK_TEXT("dom:load"), UNPACK_TEXT("office:event-listener"),
                                           UNPACK_TEXT("script:event-listener") };
    for (size_t i = 0; i < countof(events); i++)
        if (unpack_search(content, 0, events[i]) != SIZE_MAX) found |= CONTENT_MACRO_AUTO;
    unpack_find(u, n, found);
    u->message->parts[n].findings &= ~(unsigned)CONTENT_ARCHIVE;
    if (!(found & CONTENT_ENCRYPTED)) add_others(u, n, z);
}

bool unpack_zip_document(struct unpack *u, uint32_t n, const struct zip *z)
{
    const struct zip_entry *types = zip_find(z, SLICE("[Content_Types].xml"));
    if (types) {
        ooxml(u, n, z, types);
        return true;
    }
    const struct zip_entry *mime = zip_find(z, SLICE("mimetype"));
    if (!mime) return false;
    struct slice type = slice_trim(zip_unpack(u, n, z, mime, 100));
    if (!slice_starts(type, SLICE("application/vnd.oasis.opendocument."))) return false;
    odf(u, n, z, type);
    return true;
}
