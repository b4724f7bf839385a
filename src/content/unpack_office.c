/* SPDX-License-Identifier: Apache-2.0
 * Documents in compound files: Word, Excel, PowerPoint of old, encrypted new ones, Outlook's messages, installers. */
#include "base/mem.h"
#include "content/unpack_cfb.h"

#define STREAM_MOST (64u << 20)

static struct slice stream(struct unpack *u, uint32_t n, struct cfb *c, const struct cfb_entry *e)
{
    return cfb_take(u, n, c, e, STREAM_MOST);
}

/* ---- Excel: records of [MS-XLS] in the stream Workbook */
static bool opens_book(struct slice d) /* Lbl, §2.4.150: a defined name */
{
    unsigned flags = unpack_le16(d, 0), n = unpack_u8(d, 3);
    struct slice name = unpack_at(d, 15, n);
    if ((flags & 0x20) && n == 1 && (unpack_u8(d, 15) == 1 || unpack_u8(d, 15) == 2))
        return true; /* Auto_Open, Auto_Close */
    return slice_istarts(name, SLICE("auto_open")) || slice_istarts(name, SLICE("auto_close"));
}

static unsigned judge_workbook(struct slice book)
{
    unsigned found = 0;
    bool opens = false;
    for (size_t at = 0; at + 4 <= book.n;) {
        unsigned type = unpack_le16(book, at), n = unpack_le16(book, at + 2);
        struct slice d = unpack_at(book, at + 4, n);
        if (type == 0x2F) return found | CONTENT_ENCRYPTED;              /* FilePass: what follows is encrypted */
        if (type == 0x85 && unpack_u8(d, 5) == 1) found |= CONTENT_MACRO; /* BoundSheet8: a sheet of Excel 4 macros */
        if (type == 0x18) opens |= opens_book(d);
        if (!type && !n) break;
        at += 4 + n;
    }
    return found | (opens && (found & CONTENT_MACRO) ? CONTENT_MACRO_AUTO : 0);
}

/* ---- PowerPoint: objects in the stream PowerPoint Document are packed storages of their own ([MS-PPT] §2.10.34) */
static void add_slides_objects(struct unpack *u, uint32_t n, struct slice d)
{
    for (size_t at = 0; at + 8 <= d.n && unpack_in_time(u, n);) {
        unsigned version = unpack_le16(d, at), type = unpack_le16(d, at + 2);
        uint64_t size = unpack_le32(d, at + 4);
        if (type == 0x1011) {
            struct slice body = unpack_at(d, at + 8, size);
            if (!(version >> 4)) {
                unpack_add_data(u, n, (struct slice){ 0 }, body);
            } else {
                uint32_t child = unpack_add_file(u, n, (struct slice){ 0 });
                if (child == UNPACK_NONE) return;
                struct unpack_sink sink = { .u = u, .n = child };
                if (unpack_flate(&sink, slice_sub(body, 4, body.n), 15) == UNPACK_FLATE_BROKEN)
                    unpack_find(u, child, CONTENT_BROKEN);
                unpack_give(u, child, unpack_sink_take(&sink));
            }
        }
        at += 8 + ((version & 0xF) == 0xF ? 0 : size);
    }
}

/* ---- Outlook: [MS-OXMSG] */
static void add_attachments(struct unpack *u, uint32_t n, struct cfb *c)
{
    for (uint32_t i = 1; i < c->n; i++) {
        if (c->entries[i].type != CFB_STORAGE || !slice_istarts(c->entries[i].name, SLICE("__attach_version1.0_"))) continue;
        static const struct slice names[] = { UNPACK_TEXT("__substg1.0_3707001F"), UNPACK_TEXT("__substg1.0_3707001E"),
                                              UNPACK_TEXT("__substg1.0_3704001F"),
                                              UNPACK_TEXT("__substg1.0_3704001E") };
        const struct cfb_entry *data = cfb_find(c, i, SLICE("__substg1.0_37010102"));
        uint32_t child = data ? unpack_add_file(u, n, (struct slice){ 0 }) : UNPACK_NONE;
        if (child == UNPACK_NONE) continue; /* a message in it: its attachments are in this very list */
        for (size_t k = 0; k < countof(names); k++) {
            const struct cfb_entry *name = cfb_find(c, i, names[k]);
            if (!name) continue;
            struct slice raw = cfb_read(c, name, 2000);
            unpack_add_name(u, child, k % 2 ? unpack_utf8_of_1252(c->arena, raw) : unpack_utf8_of_utf16(c->arena, raw));
        }
        unpack_give(u, child, stream(u, child, c, data));
    }
}

/* ---- what is embedded in any of them */
static void add_objects(struct unpack *u, uint32_t n, struct cfb *c)
{
    static const struct slice whole[] = { UNPACK_TEXT("Package"), UNPACK_TEXT("CONTENTS"), UNPACK_TEXT("EmbeddedOdf") };
    for (size_t i = 1; i < c->n && unpack_in_time(u, n); i++) {
        const struct cfb_entry *e = &c->entries[i];
        if (e->type != CFB_STREAM) continue;
        if (slice_ieq(e->name, SLICE("\1Ole10Native"))) unpack_package(u, n, stream(u, n, c, e));
        for (size_t k = 0; k < countof(whole); k++)
            if (slice_ieq(e->name, whole[k]) && e->parent != CFB_NONE) {
                uint32_t child = unpack_add_file(u, n, (struct slice){ 0 });
                if (child != UNPACK_NONE) unpack_give(u, child, stream(u, child, c, e));
            }
    }
}

/* ---- which of them it is */
static const struct {
    struct slice stream, type;
    unsigned findings;
} kinds[] = {
    { UNPACK_TEXT("EncryptedPackage"), UNPACK_TEXT("application/encrypted"), CONTENT_ENCRYPTED },
    { UNPACK_TEXT("\11DRMContent"), UNPACK_TEXT("application/encrypted"), CONTENT_ENCRYPTED },
    { UNPACK_TEXT("WordDocument"), UNPACK_TEXT("application/msword"), 0 },
    { UNPACK_TEXT("Workbook"), UNPACK_TEXT("application/vnd.ms-excel"), 0 },
    { UNPACK_TEXT("Book"), UNPACK_TEXT("application/vnd.ms-excel"), 0 },
    { UNPACK_TEXT("PowerPoint Document"), UNPACK_TEXT("application/vnd.ms-powerpoint"), 0 },
    { UNPACK_TEXT("VisioDocument"), UNPACK_TEXT("application/vnd.visio"), 0 },
    { UNPACK_TEXT("__properties_version1.0"), UNPACK_TEXT("application/vnd.ms-outlook"), CONTENT_MESSAGE },
    { UNPACK_TEXT("VBA"), UNPACK_TEXT("application/vnd.ms-office.vbaproject"), 0 },
    { UNPACK_TEXT("_VBA_PROJECT_CUR"), UNPACK_TEXT("application/vnd.ms-office.vbaproject"), 0 },
};

static struct slice name_type(struct unpack *u, uint32_t n, const struct cfb *c)
{
    static const struct slice installers[] = {
        UNPACK_TEXT("\x84\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46"), /* package, patch, transform */
        UNPACK_TEXT("\x86\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46"),
        UNPACK_TEXT("\x82\x10\x0C\0\0\0\0\0\xC0\0\0\0\0\0\0\x46"),
    };
    for (size_t i = 0; i < countof(installers); i++)
        if (slice_eq(c->entries[0].clsid, installers[i])) {
            unpack_find(u, n, CONTENT_EXECUTABLE);
            return SLICE("application/x-msi");
        }
    for (size_t i = 0; i < countof(kinds); i++)
        if (cfb_find(c, 0, kinds[i].stream)) {
            unpack_find(u, n, kinds[i].findings);
            return kinds[i].type;
        }
    return SLICE("application/x-ole-storage");
}

static void look_word(struct unpack *u, uint32_t n, struct cfb *c)
{
    const struct cfb_entry *e = cfb_find(c, 0, SLICE("WordDocument"));
    if (e && unpack_le16(cfb_read(c, e, 512), 10) & 0x100)
        unpack_find(u, n, CONTENT_ENCRYPTED); /* [MS-DOC] §2.5.2, fEncrypted */
}

static void look_excel(struct unpack *u, uint32_t n, struct cfb *c)
{
    static const struct slice names[] = { UNPACK_TEXT("Workbook"), UNPACK_TEXT("Book") };
    for (size_t i = 0; i < countof(names); i++)
        unpack_find(u, n, judge_workbook(stream(u, n, c, cfb_find(c, CFB_NONE, names[i]))));
}

static void look_powerpoint(struct unpack *u, uint32_t n, struct cfb *c)
{
    const struct cfb_entry *user = cfb_find(c, 0, SLICE("Current User"));
    if (user && unpack_le32(cfb_read(c, user, 64), 12) == 0xF3D1C4DF)
        unpack_find(u, n, CONTENT_ENCRYPTED); /* [MS-PPT] §2.3.2 */
    uint32_t first = (uint32_t)u->message->part_n;
    add_slides_objects(u, n, stream(u, n, c, cfb_find(c, 0, SLICE("PowerPoint Document"))));
    for (uint32_t i = first; i < u->message->part_n; i++)
        if (u->message->parts[i].parent == n)
            unpack_find(u, n, u->message->parts[i].findings & (CONTENT_MACRO | CONTENT_MACRO_AUTO));
}

static void look(struct unpack *u, uint32_t n, struct cfb *c)
{
    struct slice type = name_type(u, n, c);
    u->message->parts[n].type = type;
    if (slice_eq(type, SLICE("application/x-msi"))) u->message->parts[n].findings &= ~(unsigned)CONTENT_DOCUMENT;
    look_word(u, n, c);
    look_excel(u, n, c);
    unpack_find(u, n, vba_look(u, n, c));
    c->arena = u->message->arena; /* what is in it lives as long as the message */
    if (slice_eq(type, SLICE("application/vnd.ms-powerpoint"))) look_powerpoint(u, n, c);
    add_attachments(u, n, c);
    if (!slice_eq(type, SLICE("application/x-msi"))) add_objects(u, n, c);
    if (c->broken) unpack_find(u, n, CONTENT_BROKEN);
}

void unpack_ole(struct unpack *u, uint32_t n)
{
    struct cfb c;
    struct arena scratch = { 0 };
    if (cfb_open(&c, u->message->parts[n].data, &scratch)) look(u, n, &c);
    else unpack_find(u, n, CONTENT_BROKEN);
    arena_deinit(&scratch);
}
