/* SPDX-License-Identifier: Apache-2.0
 * The walk into files and the limits that bound it. */
#include "content/unpack.h"
#include <assert.h>
#include <time.h>
#include "base/mem.h"
#include "content/unpack_parts.h"

#define CLOCK_EACH 4096       /* bytes of one file */
#define ENDING (CONTENT_LIMIT_SIZE | CONTENT_LIMIT_RATIO | CONTENT_LIMIT_TIME)
#define PROGRAM_LOOK (1u << 20) /* bytes of a program in which an archive may begin */

void unpack_find(struct unpack *u, uint32_t n, unsigned findings)
{
    u->message->parts[n].findings |= findings;
    u->ended |= findings & ENDING;
    if ((findings & CONTENT_LIMIT_PARTS) && u->message->part_n >= u->limits->parts) u->ended |= CONTENT_LIMIT_PARTS;
}

/* A limit is paid for once, however many files would each reach it: part n, which nobody looks into then, has its finding, too. */
static bool goes_on(struct unpack *u, uint32_t n)
{
    if (u->ended) u->message->parts[n].findings |= u->ended;
    return !u->ended;
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool unpack_in_time(struct unpack *u, uint32_t n)
{
    if (!u->limits->unpack_time) return true;
    uint64_t now = cpu_us();
    if (!u->deadline_us) u->deadline_us = now + u->limits->unpack_time * 1000;
    if (now < u->deadline_us) return true;
    unpack_find(u, n, CONTENT_LIMIT_TIME);
    return false;
}

bool unpack_spend(struct unpack *u, uint32_t n, uint64_t bytes)
{
    if (!goes_on(u, n)) return false;
    if (bytes > u->limits->unpacked || u->unpacked > u->limits->unpacked - bytes) {
        unpack_find(u, n, CONTENT_LIMIT_SIZE);
        return false;
    }
    u->unpacked += bytes;
    return true;
}

/* Files and messages in each other count; the multiparts of one message do not. */
static uint32_t levels(const struct content_message *m, uint32_t n)
{
    uint32_t count = 0;
    for (; n; n = m->parts[n].parent)
        if (!m->parts[n].is_mime || (m->parts[n].findings & CONTENT_MESSAGE)) count++;
    return count;
}

bool unpack_may_enter(struct unpack *u, uint32_t n)
{
    if (levels(u->message, n) < u->limits->depth) return unpack_in_time(u, n) && goes_on(u, n);
    unpack_find(u, n, CONTENT_LIMIT_DEPTH);
    return false;
}

bool unpack_has_room(struct unpack *u, uint32_t n)
{
    if (u->message->part_n < u->limits->parts) return true;
    unpack_find(u, n, CONTENT_LIMIT_PARTS);
    return false;
}

uint32_t unpack_add_part(struct unpack *u, uint32_t parent)
{
    struct content_message *m = u->message;
    assert(!m->part_n || parent < m->part_n);
    if (m->part_n && !unpack_has_room(u, parent)) return UINT32_MAX;
    if (m->part_n == u->part_room) {
        size_t room = u->part_room ? u->part_room * 2 : 16;
        struct content_part *parts = arena_alloc(m->arena, room * sizeof *parts);
        if (m->part_n) memcpy(parts, m->parts, m->part_n * sizeof *parts);
        m->parts = parts;
        u->part_room = room;
    }
    struct content_part *p = &m->parts[m->part_n];
    *p = (struct content_part){ .parent = parent, .depth = m->part_n ? m->parts[parent].depth + 1 : 0 };
    return (uint32_t)m->part_n++;
}

void unpack_add_name(struct unpack *u, uint32_t n, struct slice name)
{
    unsigned findings = 0;
    struct slice clean = unpack_clean_name(u->message->arena, name, &findings);
    unpack_find(u, n, findings);
    struct content_part *p = &u->message->parts[n];
    for (size_t i = 0; i < p->name_n; i++)
        if (slice_eq(p->names[i], clean)) return;
    if (!clean.n) return;
    struct slice *names = arena_alloc(u->message->arena, (p->name_n + 1) * sizeof *names);
    if (p->name_n) memcpy(names, p->names, p->name_n * sizeof *names);
    names[p->name_n] = clean;
    p->names = names;
    p->name_n++;
}

uint32_t unpack_add_file(struct unpack *u, uint32_t parent, struct slice name)
{
    uint32_t n = unpack_add_part(u, parent);
    if (n == UNPACK_NONE) return n;
    u->message->parts[n].is_file = true;
    unpack_add_name(u, n, name);
    return n;
}

void unpack_give(struct unpack *u, uint32_t n, struct slice data)
{
    struct content_part *p = &u->message->parts[n];
    p->data = data;
    if (p->size < data.n) p->size = data.n;
    unpack_part(u, n);
}

void unpack_add_data(struct unpack *u, uint32_t parent, struct slice name, struct slice data)
{
    uint32_t n = unpack_add_file(u, parent, name);
    if (n == UNPACK_NONE) return;
    u->message->parts[n].size = data.n;
    unpack_give(u, n, unpack_spend(u, n, data.n) ? data : (struct slice){ 0 });
}

bool unpack_sink_add(struct unpack_sink *s, struct slice bytes, uint64_t packed)
{
    if (s->stopped) return false;
    if (!goes_on(s->u, s->n)) {
        s->stopped = true;
        return false;
    }
    uint64_t all = s->before + s->bytes.n + bytes.n, ratio = s->u->limits->ratio;
    if (ratio && s->bytes.n + bytes.n > UNPACK_RATIO_FROM && all / (packed ? packed : 1) > ratio) {
        unpack_find(s->u, s->n, CONTENT_LIMIT_RATIO);
        s->stopped = true;
        return false;
    }
    if (s->most && s->bytes.n + bytes.n >= s->most) {
        bytes = slice_sub(bytes, 0, s->most - s->bytes.n);
        s->stopped = true;
    }
    uint64_t left = s->u->limits->unpacked > s->u->unpacked ? s->u->limits->unpacked - s->u->unpacked : 0;
    struct slice fits = slice_sub(bytes, 0, bytes.n < left ? bytes.n : left);
    buf_add(&s->bytes, fits);
    s->u->unpacked += fits.n;
    if (fits.n < bytes.n) unpack_find(s->u, s->n, CONTENT_LIMIT_SIZE);
    /* Some readers come with single bytes: the clock is asked now and then. */
    bool look = s->bytes.n / CLOCK_EACH != (s->bytes.n - fits.n) / CLOCK_EACH || s->bytes.n == fits.n;
    s->stopped |= fits.n < bytes.n || (look && !unpack_in_time(s->u, s->n));
    return !s->stopped;
}

struct slice unpack_sink_take(struct unpack_sink *s)
{
    return buf_keep(&s->bytes, s->u->message->arena);
}

/* Content that harms under a name or type that promises none. */
static bool misleads(const struct content_part *p, unsigned found)
{
    bool html = slice_eq(p->type, SLICE("text/html")) || slice_eq(p->type, SLICE("image/svg+xml"));
    bool runs = (found & CONTENT_EXECUTABLE) != 0, script = (found & CONTENT_SCRIPT) != 0;
    if (!runs && !script && !html) return false;
    enum unpack_kind promised[2] = { p->name_n ? unpack_name_kind(p->names[0]) : UNPACK_KIND_UNKNOWN,
                                     unpack_declared_kind(p->declared) };
    for (size_t i = 0; i < countof(promised); i++) {
        enum unpack_kind k = promised[i];
        if (k == UNPACK_KIND_UNKNOWN || k == UNPACK_KIND_RUNS) continue;
        if (k == UNPACK_KIND_IMAGE && slice_eq(p->type, SLICE("image/svg+xml"))) continue;
        if (runs
                ? k != UNPACK_KIND_ARCHIVE || !(found & CONTENT_ARCHIVE)
                : k != UNPACK_KIND_TEXT && k != UNPACK_KIND_HTML && k != UNPACK_KIND_SCRIPT && k != UNPACK_KIND_MESSAGE)
            return true;
    }
    return false;
}

/* A name that promises a file of packed or written content of one form, and content that is none at all. */
static bool breaks_promise(const struct content_part *p, unsigned found)
{
    if (!p->name_n || (found & (CONTENT_ARCHIVE | CONTENT_DOCUMENT | CONTENT_EXECUTABLE))) return false;
    static const struct slice strict[] = {
        UNPACK_TEXT("zip"),  UNPACK_TEXT("7z"),   UNPACK_TEXT("rar"),  UNPACK_TEXT("cab"),  UNPACK_TEXT("gz"),
        UNPACK_TEXT("tgz"),  UNPACK_TEXT("pdf"),  UNPACK_TEXT("docx"), UNPACK_TEXT("xlsx"), UNPACK_TEXT("pptx"),
        UNPACK_TEXT("docm"), UNPACK_TEXT("xlsm"), UNPACK_TEXT("pptm"), UNPACK_TEXT("jar"),  UNPACK_TEXT("iso"),
        UNPACK_TEXT("xz"),   UNPACK_TEXT("bz2"),
    };
    for (size_t i = 0; i < countof(strict); i++)
        if (slice_ieq(unpack_extension(p->names[0]), strict[i])) return true;
    return false;
}

static void enter_message(struct unpack *u, uint32_t n)
{
    const struct content_part *p = &u->message->parts[n];
    if (p->is_mime && slice_istarts(p->declared, SLICE("message/")))
        return; /* whoever took the message apart goes on with it */
    if (u->on_message && unpack_may_enter(u, n)) u->on_message(u, n, u->on_message_arg);
}

typedef void unpack_reader(struct unpack *u, uint32_t n);
static const struct {
    struct slice type;
    unpack_reader *read;
} readers[] = {
    { UNPACK_TEXT("application/zip"), unpack_zip },
    { UNPACK_TEXT("application/pdf"), unpack_pdf },
    { UNPACK_TEXT("application/x-ole-storage"), unpack_ole },
    { UNPACK_TEXT("text/rtf"), unpack_rtf },
    { UNPACK_TEXT("application/vnd.ms-tnef"), unpack_tnef },
    { UNPACK_TEXT("application/onenote"), unpack_onenote },
    { UNPACK_TEXT("application/x-mso"), unpack_active_mime },
    { UNPACK_TEXT("application/x-office-xml"), unpack_office_xml },
    { UNPACK_TEXT("application/x-ms-compress-szdd"), unpack_szdd },
    { UNPACK_TEXT("application/mac-binhex40"), unpack_lines },
};

/* Texts of MIME parts are looked through by who decoded them: unpack_text. */
static bool has_lines(const struct content_part *p)
{
    if (!p->declared.n) return !p->is_mime;
    return !slice_starts(p->declared, SLICE("text")) && !slice_starts(p->declared, SLICE("multipart"));
}

/* What browsers and mail programs show as a page, whatever it begins with. */
static bool is_page(const struct content_part *p, struct slice type)
{
    if (slice_eq(type, SLICE("text/html")) || slice_eq(type, SLICE("image/svg+xml"))) return true;
    return unpack_declared_kind(p->declared) == UNPACK_KIND_HTML ||
           (p->name_n && unpack_name_kind(p->names[0]) == UNPACK_KIND_HTML);
}

/* Programs that unpack what they carry. */
static void look_into_program(struct unpack *u, uint32_t n)
{
    static const struct slice archives[] = { UNPACK_TEXT("Rar!\x1A\x07"), UNPACK_TEXT("7z\xBC\xAF\x27\x1C"),
                                             UNPACK_TEXT("MSCF\0\0\0\0") };
    struct slice data = u->message->parts[n].data;
    for (size_t i = 0; i < countof(archives); i++) {
        size_t at = unpack_search(unpack_at(data, 0, PROGRAM_LOOK), 64, archives[i]);
        bool headed = at != SIZE_MAX && (i || unpack_u8(data, at + 6) < 2);
        if (headed && unpack_may_enter(u, n)) unpack_add_data(u, n, (struct slice){ 0 }, slice_sub(data, at, data.n));
    }
}

/* Files that are two things at once. */
static void look_behind(struct unpack *u, uint32_t n)
{
    unpack_zip_behind(u, n);
    const struct content_part *p = &u->message->parts[n];
    if (slice_eq(p->type, SLICE("application/x-dosexec")) || (p->findings & CONTENT_BROKEN)) look_into_program(u, n);
    p = &u->message->parts[n];
    if (unpack_search(unpack_at(p->data, 0, 1024), 0, SLICE("%PDF-")) == SIZE_MAX || !unpack_may_enter(u, n)) return;
    unpack_find(u, n, CONTENT_TYPE_CONFLICT);
    unpack_pdf(u, n);
}

/* What such a name has is read from its end, whatever it begins with. */
static void look_by_name(struct unpack *u, uint32_t n, struct slice type)
{
    static const struct slice zips[] = {
        UNPACK_TEXT("zip"),  UNPACK_TEXT("zipx"), UNPACK_TEXT("jar"),  UNPACK_TEXT("docx"), UNPACK_TEXT("docm"), UNPACK_TEXT("xlsx"),
        UNPACK_TEXT("xlsm"), UNPACK_TEXT("xlsb"), UNPACK_TEXT("pptx"), UNPACK_TEXT("pptm"), UNPACK_TEXT("apk"),
    };
    const struct content_part *p = &u->message->parts[n];
    for (size_t i = 0; i < p->name_n * countof(zips) && !slice_eq(type, SLICE("application/zip")); i++)
        if (slice_ieq(unpack_extension(p->names[i / countof(zips)]), zips[i % countof(zips)])) {
            unpack_zip_behind(u, n);
            return;
        }
}

static void enter_unknown(struct unpack *u, uint32_t n, struct slice type)
{
    if (is_page(&u->message->parts[n], type)) unpack_html(u, n);
    bool text = unpack_is_text(u->message->parts[n].data);
    look_behind(u, n); /* text before an archive is nothing to who reads it from its end */
    if (text && has_lines(&u->message->parts[n])) unpack_lines(u, n);
}

static unpack_reader *reader_of(struct slice type, unsigned found)
{
    for (size_t i = 0; i < countof(readers); i++)
        if (slice_eq(type, readers[i].type)) return readers[i].read;
    return found & CONTENT_ARCHIVE ? unpack_archive : NULL;
}

static void enter(struct unpack *u, uint32_t n, struct slice type, unsigned found)
{
    unpack_reader *read = reader_of(type, found);
    bool message = slice_eq(type, SLICE("message/rfc822"));
    if (!read && !message) {
        enter_unknown(u, n, type);
        return;
    }
    if (message) enter_message(u, n);
    else if (unpack_may_enter(u, n)) read(u, n);
    look_by_name(u, n, type);
}

void unpack_part(struct unpack *u, uint32_t n)
{
    struct content_part *p = &u->message->parts[n];
    unpack_judge_names(p);
    if (!p->data.n) return;
    p->type = unpack_true_type(u, n);
    unsigned found = unpack_type_findings(p->type);
    if (misleads(p, found)) found |= CONTENT_TYPE_CONFLICT;
    if (breaks_promise(p, found)) found |= CONTENT_BROKEN;
    unpack_find(u, n, found);
    enter(u, n, p->type, found);
}
