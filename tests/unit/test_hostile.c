/* SPDX-License-Identifier: Apache-2.0
 * Messages made to be missed, or to take long: what a mail program opens is found, and what is small costs little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include <zlib.h>
#include "base/mem.h"
#include "content/message_internal.h"
#include "content/unpack_parts.h"
#include "spam/facts.h"

static const struct config_scan limits = { .depth = 10, .parts = 2000, .unpacked = 100 << 20, .ratio = 200, .unpack_time = 20000 };

/* ---- time and memory */

static void repeat(struct buf *b, const char *s, size_t n)
{
    while (n--) buf_add_str(b, s);
}

static void at_once(const char *what, struct buf *b)
{
    struct arena arena = { 0 };
    struct content_message m;
    struct facts f;
    clock_t began = clock();
    content_message_read(&m, buf_slice(b), &limits, NULL, &arena);
    facts_take(&f, &m, NULL, NULL, 0, NULL, &arena);
    double s = (double)(clock() - began) / CLOCKS_PER_SEC;
    if (s > 5) fail_msg("%s took %.1f s", what, s);
    if (arena.used > 40 * b->n + (4 << 20)) fail_msg("%s: %zu bytes of memory for %zu", what, arena.used, b->n);
    arena_deinit(&arena);
    buf_deinit(b);
}

static void test_cost(void **state)
{
    static const char html[] = "Content-Type: text/html\r\n\r\n";
    struct buf b = { 0 };
    buf_add_str(&b, "From: a@b\r\nSubject: ");
    repeat(&b, "aaaaaaaa", 40000);
    buf_add_str(&b, "\r\nTo: <");
    repeat(&b, "aaaaaaaa", 12000);
    buf_add_str(&b, "@b>\r\n\r\nx\r\n");
    at_once("a greeting", &b);

    buf_add_str(&b, html);
    buf_add_str(&b, "<p ");
    repeat(&b, "align ", 40000);
    repeat(&b, "        ", 20000);
    at_once("attributes and blanks", &b);

    buf_add_str(&b, html);
    buf_add_str(&b, "<base href=\"http://");
    repeat(&b, "@@@@@@@@", 50000);
    buf_add_str(&b, "\">");
    repeat(&b, "<a href=x>", 40000);
    at_once("a long base", &b);

    for (int i = 0; i < 2; i++) {
        buf_add_str(&b, html);
        buf_add_str(&b, "<style>");
        for (int k = 0; k < 60; k++) {
            buf_add_str(&b, ".a{color:#fff;");
            repeat(&b, "x:y;", 2000);
            buf_add_str(&b, "}");
        }
        buf_add_str(&b, i ? "</style>" : "</style><b class=\"");
        repeat(&b, i ? "<b class=a>" : "a ", i ? 40000 : 200000);
        at_once("a style sheet", &b);
    }

    for (int i = 0; i < 1900; i++) {
        buf_add_str(&b, "Content-Transfer-Encoding: x");
        repeat(&b, "; a=\"\"", 100);
        buf_add_str(&b, "; b=");
        repeat(&b, "xxxxxxxx", 200);
        buf_add_str(&b, "\r\n");
    }
    at_once("parameters", &b);

    for (int i = 0; i < 100; i++)
        buf_addf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n--b%d\r\n", i, i);
    repeat(&b, "aaaaaaaa", 200000);
    at_once("encoded containers", &b);

    buf_add_str(&b, "\r\n(This file must be converted with BinHex 4.0)\r\n:");
    repeat(&b, "!!!!!!!!", 200000);
    buf_add_str(&b, ":\r\n");
    at_once("BinHex", &b);
}

/* ---- what is opened */

struct world {
    struct arena arena;
    struct content_message m;
    struct unpack u;
};

/* Takes `data` for a file of that name; all that was found. */
static unsigned findings_of(const char *name, struct slice data)
{
    struct world *w = mem_new(struct world);
    w->m.arena = &w->arena;
    w->u = (struct unpack){ .message = &w->m, .limits = &limits };
    unpack_add_part(&w->u, 0);
    uint32_t n = unpack_add_file(&w->u, 0, slice_str(name));
    unsigned found = 0;
    unpack_give(&w->u, n, data);
    for (size_t i = 0; i < w->m.part_n; i++) found |= w->m.parts[i].findings;
    arena_deinit(&w->arena);
    free(w);
    return found;
}

static void add_numbers(struct buf *b, size_t bytes, const uint32_t *v, size_t n)
{
    for (size_t i = 0; i < n * bytes; i++) buf_add_char(b, (char)(v[i / bytes] >> (8 * (i % bytes))));
}

/* A file's headers in a ZIP file: both begin alike. */
static void zip_header(struct buf *b, bool central, const char *name, struct slice data, uint32_t at)
{
    uint32_t crc = (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)data.p, (uInt)data.n), size = (uint32_t)data.n;
    buf_add(b, central ? slice_of("PK\1\2\24\0\24\0\0\0\0\0\0\0\0\0", 16) : slice_of("PK\3\4\24\0\0\0\0\0\0\0\0\0", 14));
    add_numbers(b, 4, (uint32_t[]){ crc, size, size }, 3);
    add_numbers(b, 2, (uint32_t[]){ (uint32_t)strlen(name), 0 }, 2);
    if (central) add_numbers(b, 2, (uint32_t[]){ 0, 0, 0, 0, 0 }, 5);
    if (central) add_numbers(b, 4, &at, 1);
    buf_add_str(b, name);
    if (!central) buf_add(b, data);
}

static void zip_end(struct buf *b, size_t directory, uint32_t comment)
{
    uint32_t size = (uint32_t)(b->n - directory);
    buf_add(b, slice_of("PK\5\6\0\0\0\0\1\0\1\0", 12));
    add_numbers(b, 4, (uint32_t[]){ size, (uint32_t)directory }, 2);
    add_numbers(b, 2, &comment, 1);
}

static void zip_one(struct buf *b, const char *name, struct slice data)
{
    uint32_t at = (uint32_t)b->n;
    zip_header(b, false, name, data, 0);
    size_t directory = b->n;
    zip_header(b, true, name, data, at);
    zip_end(b, directory, 0);
}

static void must(const char *what, const char *name, struct buf *b, unsigned finding)
{
    unsigned found = findings_of(name, buf_slice(b));
    if ((found & finding) != finding) fail_msg("%s: %x", what, found);
    buf_deinit(b);
}

static void test_archives(void **state)
{
    struct slice harmless = SLICE("Hello there.");
    struct buf b = { 0 };
    repeat(&b, "Nothing to see here.\r\n", 500);
    zip_one(&b, "a.exe", harmless);
    must("a ZIP file behind text", "a.zip", &b, CONTENT_EXECUTABLE);

    buf_add_str(&b, "%PDF-1.4\n%%EOF\n");
    zip_one(&b, "a.exe", harmless);
    must("a ZIP file behind a PDF", "a.zip", &b, CONTENT_EXECUTABLE);

    zip_header(&b, false, "a.txt", harmless, 0); /* two directories: the last end record tells of the first */
    size_t first = b.n;
    zip_header(&b, true, "a.txt", harmless, 0);
    size_t first_n = b.n - first, evil = b.n;
    zip_header(&b, false, "b.exe", harmless, 0);
    size_t second = b.n;
    zip_header(&b, true, "b.exe", harmless, (uint32_t)evil);
    zip_end(&b, second, 22);
    buf_add(&b, slice_of("PK\5\6\0\0\0\0\1\0\1\0", 12));
    add_numbers(&b, 4, (uint32_t[]){ (uint32_t)first_n, (uint32_t)first }, 2);
    add_numbers(&b, 2, (uint32_t[]){ 0 }, 1);
    must("a ZIP file with two directories", "a.zip", &b, CONTENT_EXECUTABLE | CONTENT_BROKEN);

    repeat(&b, "\1", 32768);
    buf_add(&b, slice_of("\1CD001\1", 7));
    while (b.n < 40 * 2048) buf_add_char(&b, 0);
    memcpy(b.p + 18 * 2048, "\0BEA01", 6);
    memcpy(b.p + 19 * 2048, "\0NSR02", 6);
    must("a disk image with two directories", "a.iso", &b, CONTENT_BROKEN | CONTENT_ARCHIVE);

    repeat(&b, "Nothing to see here.\r\n", 500);
    buf_add(&b, slice_of("Rar!\x1A\x07\0", 7));
    buf_add(&b, slice_of("\0\0\x73\x80\0\x0D\0\0\0\0\0\0\0", 13)); /* its headers are encrypted */
    must("a RAR file behind text", "a.rar", &b, CONTENT_ENCRYPTED);
}

/* What says how a message is read stands where a reader with a limit does not look any more. */
static void test_crowds(void **state)
{
    static const char body[] = "\r\n--b\r\nContent-Type: a/b; name=a.exe\r\n\r\nx\r\n--b--\r\n";
    static const char multipart[] = "Content-Type: multipart/mixed; boundary=b\r\n", plain[] = "Content-Type: text/plain\r\n";
    for (int i = 0; i < 5; i++) {
        struct buf b = { 0 };
        struct arena arena = { 0 };
        struct content_message m;
        if (i == 0) repeat(&b, "X: y\r\n", 2100); /* a field behind many */
        if (i == 1) repeat(&b, plain, 5);         /* the last of many */
        if (i == 2) repeat(&b, plain, 2100);
        if (i < 3) buf_add_str(&b, multipart);
        if (i < 3) buf_add_str(&b, body);
        if (i >= 3) buf_add_str(&b, "Content-Type: a/b");
        if (i == 3) repeat(&b, "; x=y", 200);
        for (int k = 0; k < 200 && i == 4; k++) buf_addf(&b, "; name=%d.txt", k);
        if (i >= 3) buf_add_str(&b, "; name=a.exe\r\n\r\nx");
        content_message_read(&m, buf_slice(&b), &limits, NULL, &arena);
        if (!(m.findings & CONTENT_EXECUTABLE)) fail_msg("case %d: %zu parts, %x", i, m.part_n, m.findings);
        arena_deinit(&arena);
        buf_deinit(&b);
    }
}

static void test_documents(void **state)
{
    static const char *const relations[] = {
        "<Relationships><Relationship Id=\"r\" TargetMode=\"External\" Target=\"http://a.example/x\" Type=\"t/attachedTemplate\"/>",
        "<Relationships><Relationship\n\tId=\"r\"\n\tType=\"t/attachedTemplate\"\n\tTarget=\"http://a.example/x\"\n\tTargetMode=\"External\"/>",
        "<Relationships><Relationship Id=\"a> Type\" Type=\"t/attachedTemplate\" Target=\"http://a.example/x\" TargetMode=\"External\"/>",
        "<Relationships><Relationship Id=\"r\" Type=\"t/attachedTemplate\" Target=\"&#104;ttp://a.example/x\" TargetMode=\"External\"/>",
    };
    struct buf b = { 0 };
    for (size_t i = 0; i < countof(relations); i++) {
        zip_header(&b, false, "[Content_Types].xml", SLICE("<Types/>"), 0);
        uint32_t at = (uint32_t)b.n;
        struct slice xml = slice_str(relations[i]);
        zip_header(&b, false, "word/_rels/settings.xml.rels", xml, 0);
        size_t directory = b.n;
        zip_header(&b, true, "[Content_Types].xml", SLICE("<Types/>"), 0);
        zip_header(&b, true, "word/_rels/settings.xml.rels", xml, at);
        zip_end(&b, directory, 0);
        b.p[b.n - 14] = b.p[b.n - 12] = 2;
        must(relations[i], "a.docx", &b, CONTENT_EXTERNAL_LINK);
    }

    buf_add_str(&b, "{\\rtf1{\\object\\objemb{\\*\\objdata\\bin86 ");
    add_numbers(&b, 4, (uint32_t[]){ 0x501, 2, 0, 0, 0, 62 }, 6);
    buf_add(&b, slice_of("MZ\x90\0\3\0\0\0", 8));
    while (b.n < 38 + 86) buf_add_char(&b, 1);
    buf_add_str(&b, "}}}");
    must("an object in bytes", "a.rtf", &b, CONTENT_EXECUTABLE);

    buf_add_str(&b, "%PDF-1.5\n1 0 obj<</Type/ObjStm/Filter 5 0 R/Length 3>>stream\nabc\nendstream endobj\n5 0 obj/FlateDecode endobj");
    must("a filter told elsewhere", "a.pdf", &b, CONTENT_BROKEN);
}

static void test_pages(void **state)
{
    struct buf b = { 0 };
    struct arena arena = { 0 };
    struct content_message m;
    buf_add_str(&b, "<html>");
    repeat(&b, "<img src=\"data:image/png;base64,iVBORw0KGgo=\">", 300);
    buf_add_str(&b, "<a download href=\"data:application/octet-stream;base64,TVqQAAMAAAA=\">");
    must("a file behind pictures", "a.html", &b, CONTENT_EXECUTABLE);
    buf_add_str(&b, "<html><a href=\"data:application/zip;name=");
    repeat(&b, "0123456789", 40);
    buf_add_str(&b, "; base64,TVqQAAMAAAA=\">");
    must("a long type", "a.html", &b, CONTENT_EXECUTABLE);

    buf_add_str(&b, "Content-Type: text/html\r\n\r\nHello, <a href=\"data:a/b;base64,TVqQAAMAAAA=\">");
    content_message_read(&m, buf_slice(&b), &limits, NULL, &arena);
    assert_true(m.findings & CONTENT_EXECUTABLE);
    buf_clear(&b);

    static const char page[] = "<html><a href='https://evil.example/'>x</a>";
    buf_add_str(&b, "Content-Type: application/octet-stream; name=a.html\r\n\r\n\xFF\xFE");
    for (const char *p = page; *p; p++) buf_add(&b, slice_of((char[]){ *p, 0 }, 2));
    content_message_read(&m, buf_slice(&b), &limits, NULL, &arena);
    assert_int_equal(m.link_n, 1);
    assert_true(slice_eq(m.links[0].host, SLICE("evil.example")));
    buf_deinit(&b);
    arena_deinit(&arena);
}

static int set_up(void **state)
{
    struct err err;
    content_message_init();
    return unpack_init(&err) ? 0 : -1;
}

static int tear_down(void **state)
{
    unpack_deinit();
    content_message_deinit();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost), cmocka_unit_test(test_archives), cmocka_unit_test(test_crowds),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
