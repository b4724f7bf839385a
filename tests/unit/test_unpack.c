/* SPDX-License-Identifier: Apache-2.0
 * What is in files: names, limits, and what is awkward to craft as a message. The formats:
 * tests/content/generate_unpack.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include "base/mem.h"
#include "content/unpack_parts.h"

struct world {
    struct arena arena;
    struct content_message m;
    struct config_scan limits;
    struct unpack u;
};

static struct world *world_new(void)
{
    struct world *w = mem_new(struct world);
    w->limits = (struct config_scan){ .depth = 5, .parts = 50, .unpacked = 10 << 20, .ratio = 100, .unpack_time = 10000 };
    w->m.arena = &w->arena;
    w->u = (struct unpack){ .message = &w->m, .limits = &w->limits };
    unpack_add_part(&w->u, 0);
    return w;
}

static void world_free(struct world *w)
{
    arena_deinit(&w->arena);
    free(w);
}

static struct content_part *look(struct world *w, const char *name, struct slice data)
{
    uint32_t n = unpack_add_file(&w->u, 0, slice_str(name));
    assert_int_not_equal(n, UNPACK_NONE);
    unpack_give(&w->u, n, data);
    return &w->m.parts[n];
}

static unsigned all_findings(const struct world *w)
{
    unsigned found = 0;
    for (size_t i = 0; i < w->m.part_n; i++) found |= w->m.parts[i].findings;
    return found;
}

static void names(void **state)
{
    static const struct {
        const char *name;
        unsigned findings;
    } cases[] = {
        { "letter.pdf", 0 },
        { "run.exe", CONTENT_EXECUTABLE },
        { "RUN.EXE", CONTENT_EXECUTABLE },
        { "run.exe.", CONTENT_EXECUTABLE | CONTENT_NAME_CONTROL },
        { "run.exe . ", CONTENT_EXECUTABLE | CONTENT_NAME_CONTROL },
        { "exe", 0 },
        { ".exe", CONTENT_EXECUTABLE },
        { "a.pdf.exe", CONTENT_EXECUTABLE | CONTENT_DOUBLE_EXTENSION },
        { "a.pdf      .exe", CONTENT_EXECUTABLE | CONTENT_DOUBLE_EXTENSION },
        { "a.pdf.js", CONTENT_EXECUTABLE | CONTENT_SCRIPT | CONTENT_DOUBLE_EXTENSION },
        { "a.pdf.html", CONTENT_DOUBLE_EXTENSION },
        { "a.1.exe", CONTENT_EXECUTABLE },
        { "a.tar.gz", 0 },
        { "a.js.exe", CONTENT_EXECUTABLE },
        { "a.txt.py", CONTENT_SCRIPT | CONTENT_DOUBLE_EXTENSION },
        { "jquery.min.js", CONTENT_EXECUTABLE | CONTENT_SCRIPT },
        { "a.\xE2\x80\xAE" "fdp.exe", CONTENT_EXECUTABLE | CONTENT_NAME_BIDI },
        { "a\x01.exe", CONTENT_EXECUTABLE | CONTENT_NAME_CONTROL },
        { "a.ex\xFF" "e", 0 },
        { "", 0 },
        { "...", CONTENT_NAME_CONTROL },
    };
    for (size_t i = 0; i < countof(cases); i++)
        if (unpack_name_findings(slice_str(cases[i].name)) != cases[i].findings)
            fail_msg("%s: %x, not %x", cases[i].name, unpack_name_findings(slice_str(cases[i].name)), cases[i].findings);
}

static void worst_name_first(void **state)
{
    struct slice list[] = { SLICE("a.txt"), SLICE("a.pdf"), SLICE("a.pdf.exe"), SLICE("b.exe") };
    struct content_part p = { .names = list, .name_n = 4 };
    unpack_judge_names(&p);
    assert_true(slice_eq(p.names[0], SLICE("a.pdf.exe")));
    assert_true(slice_eq(p.names[1], SLICE("a.txt")));
    assert_true(slice_eq(p.names[3], SLICE("b.exe")));
    assert_int_equal(p.findings, CONTENT_EXECUTABLE | CONTENT_DOUBLE_EXTENSION);
}

static void clean_names(void **state)
{
    static const struct {
        struct slice raw;
        const char *clean;
        unsigned findings;
    } cases[] = {
        { UNPACK_TEXT("a.txt"), "a.txt", 0 },
        { UNPACK_TEXT("/etc/passwd"), "passwd", 0 },
        { UNPACK_TEXT("..\\..\\a.exe"), "a.exe", 0 },
        { UNPACK_TEXT("folder/"), "", 0 },
        { UNPACK_TEXT("a\0b.exe"), "ab.exe", CONTENT_NAME_CONTROL },
        { UNPACK_TEXT("a\r\n.txt"), "a.txt", CONTENT_NAME_CONTROL },
        { UNPACK_TEXT("  a.txt  "), "a.txt", 0 },
        { UNPACK_TEXT("a.exe. ."), "a.exe", CONTENT_NAME_CONTROL },
        { UNPACK_TEXT("\xE2\x80\xAEgpj.exe"), "gpj.exe", CONTENT_NAME_BIDI },
        { UNPACK_TEXT("\xFF\xFE.txt"), "\xEF\xBF\xBD\xEF\xBF\xBD.txt", 0 },
        { UNPACK_TEXT("\xE6\x97\xA5.txt"), "\xE6\x97\xA5.txt", 0 },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        unsigned findings = 0;
        struct slice clean = unpack_clean_name(&arena, cases[i].raw, &findings);
        if (!slice_eq(clean, slice_str(cases[i].clean)) || findings != cases[i].findings)
            fail_msg("case %zu: \"%.*s\", %x", i, SLICE_ARG(clean), findings);
    }
    char raw[3000];
    memset(raw, 'x', sizeof raw);
    memcpy(raw + 1000, "a.exe", 5);
    unsigned findings = 0;
    struct slice clean = unpack_clean_name(&arena, slice_of(raw, 1005), &findings);
    assert_int_equal(clean.n, 255);
    assert_true(slice_iends(clean, SLICE("a.exe")));
    arena_deinit(&arena);
}

static struct slice deflated(struct arena *arena, size_t zeros, int window_bits)
{
    char *in = mem_zalloc(zeros);
    z_stream z = { .next_in = (Bytef *)in, .avail_in = (uInt)zeros };
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uLong room = deflateBound(&z, zeros);
    char *out = arena_alloc(arena, room);
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    struct slice packed = slice_of(out, z.total_out);
    deflateEnd(&z);
    free(in);
    return packed;
}

static void limit_ratio(void **state)
{
    struct world *w = world_new();
    struct slice small = deflated(&w->arena, 1 << 20, 31), big = deflated(&w->arena, 4 << 20, 31);
    look(w, "a.gz", small); /* below it nothing matters */
    assert_int_equal(all_findings(w) & CONTENT_LIMITS, 0);
    look(w, "b.gz", big);
    assert_int_equal(all_findings(w) & CONTENT_LIMITS, CONTENT_LIMIT_RATIO);
    const struct content_part *last = &w->m.parts[w->m.part_n - 1];
    assert_true(last->findings & CONTENT_LIMIT_RATIO); /* the file that was unpacked has it, not what it was in */
    assert_true(last->data.n <= (1 << 20) + 65536);
    world_free(w);
}

static void limit_size(void **state)
{
    struct world *w = world_new();
    w->limits.unpacked = 100000;
    w->limits.ratio = 0;
    look(w, "a.gz", deflated(&w->arena, 1 << 20, 31));
    assert_int_equal(all_findings(w) & CONTENT_LIMITS, CONTENT_LIMIT_SIZE);
    assert_int_equal(w->u.unpacked, 100000);
    assert_int_equal(w->m.parts[w->m.part_n - 1].data.n, 100000);
    look(w, "b.gz", deflated(&w->arena, 1000, 31)); /* nothing is left */
    assert_int_equal(w->u.unpacked, 100000);
    assert_true(w->m.parts[w->m.part_n - 1].findings & CONTENT_LIMIT_SIZE);
    world_free(w);
}

/* A ZIP file of `n` files, each of so many zeros, and a program behind them. */
static struct slice zip_of_zeros(struct arena *arena, unsigned n, size_t zeros)
{
    size_t room = 1 << 20, used = 0;
    char *out = arena_alloc(arena, room), *in = mem_zalloc(zeros), name[16];
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    archive_write_set_format_zip(a);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open_memory(a, out, room, &used), ARCHIVE_OK);
    for (unsigned i = 0; i <= n; i++) {
        snprintf(name, sizeof name, i < n ? "%u.txt" : "%u.exe", i);
        archive_entry_clear(e);
        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_size(e, (la_int64_t)zeros);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, in, zeros), (int)zeros);
    }
    archive_entry_free(e);
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
    free(in);
    return slice_of(out, used);
}

static void a_limit_is_paid_for_once(void **state)
{
    struct world *w = world_new();
    w->limits.unpacked = 1 << 30;
    struct slice bomb = zip_of_zeros(&w->arena, 10, 4 << 20);
    look(w, "a.zip", bomb);
    uint64_t paid = w->u.unpacked;
    assert_true(all_findings(w) & CONTENT_LIMIT_RATIO);
    assert_true(paid < 2 << 20);
    assert_int_equal(w->m.part_n, 2 + 11);
    assert_true(w->m.parts[12].findings & CONTENT_EXECUTABLE); /* it is named in a directory that was read */
    assert_true(w->m.parts[12].findings & CONTENT_LIMIT_RATIO);
    const struct content_part *p = look(w, "b.zip", bomb);
    assert_true((p->findings & CONTENT_LIMIT_RATIO) && (p->findings & CONTENT_ARCHIVE));
    p = look(w, "c.gz", deflated(&w->arena, 1000, 31));
    assert_true(p->findings & CONTENT_LIMIT_RATIO);
    assert_int_equal(w->u.unpacked, paid);
    p = look(w, "letter.txt", SLICE("MZ\x90\0"));
    assert_true(p->findings & CONTENT_EXECUTABLE); /* what need not be unpacked is looked at */
    assert_int_equal(p->findings & CONTENT_LIMITS, 0);
    world_free(w);
}

static void limit_time(void **state)
{
    struct world *w = world_new();
    w->u.deadline_us = 1;
    struct content_part *p = look(w, "a.gz", deflated(&w->arena, 1000, 31));
    assert_true(p->findings & CONTENT_LIMIT_TIME);
    assert_true(p->findings & CONTENT_ARCHIVE); /* what costs nothing is still seen */
    p = look(w, "run.exe", SLICE("MZ\0\0"));
    assert_true(p->findings & CONTENT_EXECUTABLE);
    world_free(w);
}

static void limit_parts(void **state)
{
    struct world *w = world_new();
    w->limits.parts = 3;
    assert_int_equal(unpack_add_part(&w->u, 0), 1);
    assert_int_equal(unpack_add_part(&w->u, 1), 2);
    assert_int_equal(unpack_add_part(&w->u, 1), UINT32_MAX);
    assert_true(w->m.parts[1].findings & CONTENT_LIMIT_PARTS);
    assert_int_equal(w->m.parts[2].depth, 2);
    world_free(w);
}

static void on_message(struct unpack *u, uint32_t n, void *arg)
{
    (*(unsigned *)arg)++;
    unpack_find(u, n, CONTENT_MESSAGE);
}

static void messages(void **state)
{
    struct world *w = world_new();
    unsigned seen = 0;
    w->u.on_message = on_message;
    w->u.on_message_arg = &seen;
    struct slice mail = SLICE("From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\nHello\r\n");
    look(w, "a.eml", mail);
    assert_int_equal(seen, 1);
    uint32_t n = unpack_add_part(&w->u, 0); /* a MIME part that its reader takes apart himself */
    w->m.parts[n].is_mime = true;
    w->m.parts[n].declared = SLICE("message/rfc822");
    unpack_give(&w->u, n, mail);
    assert_int_equal(seen, 1);
    n = unpack_add_part(&w->u, 0); /* and text that merely looks like one */
    w->m.parts[n].is_mime = true;
    w->m.parts[n].declared = SLICE("text/plain");
    unpack_give(&w->u, n, mail);
    assert_int_equal(seen, 1);
    assert_true(slice_eq(w->m.parts[n].type, SLICE("text/plain")));
    world_free(w);
}

static void uuencode(void **state)
{
    static const struct {
        const char *text;
        size_t parts;
        const char *data;
        unsigned findings;
    } cases[] = {
        { "begin 644 a.txt\n%:&5L;&\\\n`\nend\n", 1, "hello", CONTENT_UUENCODE },
        { "x\r\nbegin 644 a.txt\r\n%:&5L;&\\\r\n \r\nend\r\n", 1, "hello", CONTENT_UUENCODE },
        { "begin a.txt\n%:&5L;&\\\n`\nend\n", 1, "hello", CONTENT_UUENCODE },
        { "begin 644 a.txt\n%:&5L;&\\\n", 1, "hello", CONTENT_UUENCODE | CONTENT_BROKEN },
        { "begin 644 a.txt\n%:&5L;&\\\nnot a line of it\n", 1, "hello", CONTENT_UUENCODE | CONTENT_BROKEN },
        { "begin-base64 644 a.txt\naGVsbG8=\n====\n", 1, "hello", CONTENT_UUENCODE },
        { "begin 644\n%:&5L;&\\\n`\nend\n", 1, "hello", CONTENT_UUENCODE },
        { "begin here\n%:&5L;&\\\n", 0, "", 0 },
        { "begin 644 a.txt\nand some words that are text\n", 0, "", 0 },
        { "to begin 644 a.txt\n%:&5L;&\\\n`\nend\n", 0, "", 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world *w = world_new();
        unpack_text(&w->u, 0, slice_str(cases[i].text));
        const struct content_part *p = &w->m.parts[w->m.part_n - 1];
        if (w->m.part_n - 1 != cases[i].parts ||
            (cases[i].parts && (p->findings != cases[i].findings || !slice_eq(p->data, slice_str(cases[i].data)))))
            fail_msg("case %zu: %zu parts, %x, \"%.*s\"", i, w->m.part_n - 1, p->findings, SLICE_ARG(p->data));
        world_free(w);
    }
}

static void types(void **state)
{
    static const struct {
        struct slice data;
        const char *type;
    } cases[] = {
        { UNPACK_TEXT("hello"), "text/plain" },
        { UNPACK_TEXT("\xEF\xBB\xBF  \n<!-- x --><HTML>"), "text/html" },
        { UNPACK_TEXT("<?xml version='1.0'?><a/>"), "text/xml" },
        { UNPACK_TEXT("<?xml version='1.0'?><svg><script/></svg>"), "image/svg+xml" },
        { UNPACK_TEXT("a < b and <html> is a tag"), "text/plain" },
        { UNPACK_TEXT("#!/usr/bin/perl\n"), "text/x-shellscript" },
        { UNPACK_TEXT("MZ is a country code"), "text/plain" },
        { UNPACK_TEXT("MZ\x90\0\3\0"), "application/x-dosexec" },
        { UNPACK_TEXT("junk %PDF-1.3"), "application/pdf" },
        { UNPACK_TEXT("{\\rtf1"), "text/rtf" },
        { UNPACK_TEXT("\xCA\xFE\xBA\xBE\0\0\0\x34"), "application/x-java-applet" },
        { UNPACK_TEXT("\xCA\xFE\xBA\xBE\0\0\0\x02"), "application/x-mach-binary" },
        { UNPACK_TEXT("BZh91AY&SY"), "application/x-bzip2" },
        { UNPACK_TEXT("BZhello"), "text/plain" },
        { UNPACK_TEXT("RIFF\0\0\0\0WEBP"), "image/webp" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world *w = world_new();
        w->limits.depth = 0;
        const struct content_part *p = look(w, "x", cases[i].data);
        if (!slice_eq(p->type, slice_str(cases[i].type)))
            fail_msg("case %zu: %.*s, not %s", i, SLICE_ARG(p->type), cases[i].type);
        world_free(w);
    }
}

/* ---- formats that need libarchive to be written */
typedef int set_format(struct archive *a);

static struct slice packed_by(struct arena *arena, set_format *format, set_format *filter, struct slice data)
{
    size_t room = 1 << 20, used = 0;
    char *out = arena_alloc(arena, room);
    struct archive *a = archive_write_new();
    if (format(a) != ARCHIVE_OK || (filter && filter(a) != ARCHIVE_OK) ||
        archive_write_open_memory(a, out, room, &used) != ARCHIVE_OK) {
        archive_write_free(a);
        return (struct slice){ 0 }; /* built without it */
    }
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "RUN.EXE");
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)data.n);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    archive_write_data(a, data.p, data.n);
    archive_entry_free(e);
    archive_write_close(a);
    archive_write_free(a);
    return slice_of(out, used);
}

static void formats(void **state)
{
    static const struct {
        set_format *format, *filter;
    } cases[] = {
        { archive_write_set_format_iso9660, NULL },
        { archive_write_set_format_7zip, NULL },
        { archive_write_set_format_xar, NULL },
        { archive_write_set_format_cpio_newc, NULL },
        { archive_write_set_format_ar_svr4, NULL },
        { archive_write_set_format_gnutar, NULL },
        { archive_write_set_format_v7tar, NULL },
        { archive_write_set_format_raw, archive_write_add_filter_gzip },
        { archive_write_set_format_pax, archive_write_add_filter_zstd },
        { archive_write_set_format_pax, archive_write_add_filter_lz4 },
        { archive_write_set_format_raw, archive_write_add_filter_lzip },
        { archive_write_set_format_raw, archive_write_add_filter_compress },
        { archive_write_set_format_pax, archive_write_add_filter_bzip2 },
        { archive_write_set_format_raw, archive_write_add_filter_xz },
    };
    char program[3000] = "MZ\x90";
    for (size_t i = 0; i < countof(cases); i++) {
        struct world *w = world_new();
        struct slice archive = packed_by(&w->arena, cases[i].format, cases[i].filter, slice_of(program, sizeof program));
        if (archive.n) look(w, "a", archive);
        const struct content_part *last = &w->m.parts[w->m.part_n - 1];
        bool found = last->data.n == sizeof program && memcmp(last->data.p, program, sizeof program) == 0 &&
                     slice_eq(last->type, SLICE("application/x-dosexec"));
        if (archive.n && (!found || (all_findings(w) & (CONTENT_BROKEN | CONTENT_LIMITS))))
            fail_msg("case %zu: %zu parts, %.*s, %x", i, w->m.part_n, SLICE_ARG(last->type), all_findings(w));
        world_free(w);
    }
}

static int start(void **state)
{
    struct err err;
    return unpack_init(&err) ? 0 : -1;
}

static int stop(void **state)
{
    unpack_deinit();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),       cmocka_unit_test(worst_name_first), cmocka_unit_test(clean_names),
        cmocka_unit_test(limit_ratio), cmocka_unit_test(limit_size),       cmocka_unit_test(a_limit_is_paid_for_once),
        cmocka_unit_test(limit_time),
        cmocka_unit_test(limit_parts), cmocka_unit_test(messages),         cmocka_unit_test(uuencode),
        cmocka_unit_test(types),       cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
