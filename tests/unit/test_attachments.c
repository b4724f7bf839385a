/* SPDX-License-Identifier: Apache-2.0
 * What `attachments` blocks, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/mem.h"
#include "content/attachments.h"

static struct arena arena;
static const char *extensions[] = { "exe", "js", "iso", "com" }, *types[] = { "application/x-dosexec", "video/*" }, *allow[] = { "report-*.js" };
static const struct config_attachments all = {
    .extensions = extensions, .extension_n = countof(extensions), .types = types, .type_n = countof(types), .archives = true,
    .double_extensions = true, .encrypted = true, .macros = true, .limits = true, .allow = allow, .allow_n = countof(allow),
};

static int teardown(void **state)
{
    arena_deinit(&arena);
    return 0;
}

static const char *why(const struct config_attachments *c, const struct content_message *m, uint32_t part)
{
    return arena_strdup(&arena, attachments_blocked(c, m, part, &arena));
}

/* Of one file with these names, type and findings. */
static const char *why_one(const struct config_attachments *c, const char *a, const char *b, const char *type, unsigned findings)
{
    struct slice names[] = { slice_str(a), slice_str(b) };
    struct content_part parts[] = {
        { .is_mime = true, .declared = SLICE("multipart/mixed") },
        { .depth = 1, .is_file = true, .is_mime = true, .names = names, .name_n = b ? 2 : a ? 1 : 0, .type = slice_str(type), .findings = findings },
    };
    struct content_message m = { .parts = parts, .part_n = 2 };
    return why(c, &m, 1);
}

static void names_are_blocked_by_their_end(void **state)
{
    static const struct {
        const char *name, *why;
    } cases[] = {
        { "a.exe", "extension exe" }, { "A.EXE", "extension exe" },  { "a.exe. . ", "extension exe" }, { "a.pdf.exe", "extension exe" },
        { "a.exe.pdf", "double extension exe" }, { "a.exe.pdf.", "double extension exe" }, { "a.exe.b.pdf", "" }, { "exe", "" },
        { ".exe", "extension exe" }, { "a.", "" }, { "...", "" }, { "", "" }, { "a.exe ", "extension exe" }, { "a.pdf", "" },
        { "report-5.js", "" }, { "Report-5.JS", "" }, { "report-5.exe", "extension exe" }, { "a. exe", "extension exe" },
        { "\xE6\x97\xA5.exe", "extension exe" },
    };
    for (size_t i = 0; i < countof(cases); i++) assert_string_equal(why_one(&all, cases[i].name, NULL, NULL, 0), cases[i].why);
    struct config_attachments c = all;
    c.double_extensions = false;
    assert_string_equal(why_one(&c, "a.exe.pdf", NULL, NULL, 0), "");
}

static void each_name_counts(void **state)
{
    assert_string_equal(why_one(&all, "a.pdf", "a.exe", NULL, 0), "extension exe");
    assert_string_equal(why_one(&all, "report-1.js", "evil.js", NULL, 0), "extension js"); /* one of both is allowed */
    assert_string_equal(why_one(&all, "report-1.js", "report-2.js", "application/x-dosexec", 0), "");
}

static void types_are_blocked_whatever_the_name(void **state)
{
    assert_string_equal(why_one(&all, "a.jpg", NULL, "application/x-dosexec", 0), "type application/x-dosexec");
    assert_string_equal(why_one(&all, NULL, NULL, "video/mp4", 0), "type video/mp4");
    assert_string_equal(why_one(&all, "a.jpg", NULL, "image/jpeg", 0), "");
    struct config_attachments c = all;
    static const char *text[] = { "text/*" };
    c.types = text;
    c.type_n = 1;
    struct content_part part = { .is_mime = true, .type = SLICE("text/html") };
    struct content_message m = { .parts = &part, .part_n = 1 };
    assert_string_equal(why(&c, &m, 0), ""); /* the text itself */
    part.is_file = true;
    assert_string_equal(why(&c, &m, 0), "type text/html");
}

static void findings_are_blocked_when_asked_for(void **state)
{
    struct config_attachments c = all;
    assert_string_equal(why_one(&c, "a.zip", NULL, NULL, CONTENT_ENCRYPTED | CONTENT_ARCHIVE), "encrypted");
    assert_string_equal(why_one(&c, "a.doc", NULL, NULL, CONTENT_MACRO | CONTENT_MACRO_AUTO), "macros");
    assert_string_equal(why_one(&c, "a.doc", NULL, NULL, CONTENT_MACRO), "");
    assert_string_equal(why_one(&c, "a.zip", NULL, NULL, CONTENT_LIMIT_RATIO), "limit ratio");
    assert_string_equal(why_one(&c, "a.zip", NULL, NULL, CONTENT_BROKEN | CONTENT_ARCHIVE), "damaged");
    assert_string_equal(why_one(&c, "a.txt", NULL, NULL, CONTENT_BROKEN), "");
    c.encrypted = c.macros = c.limits = false;
    assert_string_equal(why_one(&c, "a.zip", NULL, NULL, CONTENT_ENCRYPTED | CONTENT_MACRO_AUTO | CONTENT_LIMITS), "");
}

static void files_in_archives_count_when_asked_for(void **state)
{
    struct slice zip = SLICE("a.zip"), txt = SLICE("dir/a.exe"), eml = SLICE("b.exe");
    struct content_part parts[] = {
        { .is_mime = true },
        { .is_mime = true, .is_file = true, .names = &zip, .name_n = 1, .findings = CONTENT_ARCHIVE },
        { .parent = 1, .depth = 2, .is_file = true, .names = &txt, .name_n = 1 },
        { .parent = 2, .depth = 3, .is_file = true, .names = &txt, .name_n = 1 },
        { .parent = 0, .depth = 1, .is_file = true, .names = &eml, .name_n = 1 },
    };
    struct content_message m = { .parts = parts, .part_n = countof(parts) };
    struct config_attachments c = all;
    assert_string_equal(why(&c, &m, 2), "extension exe");
    c.archives = false;
    assert_string_equal(why(&c, &m, 2), "");
    assert_string_equal(why(&c, &m, 3), "");
    assert_string_equal(why(&c, &m, 4), "extension exe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(names_are_blocked_by_their_end, teardown),
        cmocka_unit_test_teardown(each_name_counts, teardown),
        cmocka_unit_test_teardown(types_are_blocked_whatever_the_name, teardown),
        cmocka_unit_test_teardown(findings_are_blocked_when_asked_for, teardown),
        cmocka_unit_test_teardown(files_in_archives_count_when_asked_for, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
