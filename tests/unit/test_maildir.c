/* SPDX-License-Identifier: Apache-2.0
 * Folders of mailboxes, and writing into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "maildir/folder.h"

static void test_folders(void **state)
{
    static const struct {
        const char *path, *rcpt, *folder; /* NULL: refused */
    } cases[] = {
        { "/var/mail/%d/%n", "Anna@Example.COM", "/var/mail/example.com/anna" },
        { "/var/mail/%u/Maildir", "a.b+c@x.example", "/var/mail/a.b+c@x.example/Maildir" },
        { "/var/mail/%d/%n", "\"Odd\\ One\"@x.example", "/var/mail/x.example/odd one" },
        { "/var/mail/%n", "gr\xC3\xBC\xC3\x9F@x.example", "/var/mail/gr\xC3\xBC\xC3\x9F" },
        { "/var/mail/%d/%n", "a@b\xC3\xBC" "cher.example", "/var/mail/xn--bcher-kva.example/a" },
        { "/var/mail/all", "\"../x\"@x.example", "/var/mail/all" },
        { "/var/mail/%n", "\"a/b\"@x.example", NULL },
        { "/var/mail/%n", "\"..\"@x.example", NULL },
        { "/var/mail/%n", "\"../../etc/passwd\"@x.example", NULL },
        { "/var/mail/%n", "a..b@x.example", NULL },
        { "/var/mail/%n", ".hidden@x.example", NULL },
        { "/var/mail/%n", "\".\"@x.example", NULL },
        { "/var/mail/%n", "\"\"@x.example", NULL },
        { "/var/mail/%n", "@x.example", NULL },
        { "/var/mail/%n", "\"a\tb\"@x.example", NULL },
        { "/var/mail/%n", "\"a\x7F\"@x.example", NULL },
        { "/var/mail/%n", "\xFF@x.example", NULL },
        { "/var/mail/%d/%n", "a@../x", NULL },
        { "/var/mail/%d/%n", "a@.x", NULL },
        { "/var/mail/%d/%n", "a@[192.0.2.1]", NULL },
        { "/var/mail/%d/%n", "nobody", NULL },
        { "/var/mail/%d/%n", "", NULL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b = { 0 };
        const char *why = maildir_folder(cases[i].path, slice_str(cases[i].rcpt), &b);
        if (!why != (cases[i].folder != NULL)) fail_msg("%s: %s", cases[i].rcpt, why ? why : buf_cstr(&b));
        if (!why) assert_string_equal(buf_cstr(&b), cases[i].folder);
        buf_deinit(&b);
    }
    char long_name[400];
    struct buf b = { 0 };
    memset(long_name, 'x', sizeof long_name);
    memcpy(long_name + 201, "@y.example", 11);
    assert_non_null(maildir_folder("/var/mail/%n", slice_str(long_name), &b));
    memcpy(long_name + 195, "@y.example", 11);
    assert_null(maildir_folder("/var/mail/%n", slice_str(long_name), &b));
    assert_non_null(maildir_folder("/var/mail/%u", slice_str(long_name), &b));
    buf_deinit(&b);
}

static void test_fixed(void **state)
{
    static const struct {
        const char *path;
        size_t n;
    } cases[] = { { "/var/mail/%d/%n", 9 }, { "/var/mail/x-%d/y", 9 }, { "/%n", 1 }, { "/var/mail/all", 9 }, { "/var/mail/all/", 9 }, { "/all", 1 },
                  { "/a%n", 1 }, { "/srv/mail/%u/Maildir/", 9 } };
    for (size_t i = 0; i < countof(cases); i++) assert_int_equal(maildir_fixed(cases[i].path), cases[i].n);
}

static unsigned count(const char *root, const char *below, char *last)
{
    char path[300];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/%s", root, below);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        if (last) snprintf(last, 600, "%s/%s", path, e->d_name);
        n++;
    }
    closedir(d);
    return n;
}

static void test_writing(void **state)
{
    char root[] = "/tmp/maildir-XXXXXX", folder[100], file[600], text[200], spool[100];
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/x.example/anna", root);
    snprintf(spool, sizeof spool, "%s/spool", root);
    int fd = open(spool, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "..Subject: a\r\n\r\nbare\rcr\r\nend\r", 29), 29);
    const struct maildir_run runs[] = { { .from = 2, .n = 9 }, { .n = 3, .with = SLICE("[x]") }, { .from = 11, .n = 18 } };
    struct maildir_mail m = { .hostname = "mx/a:b.example", .head = SLICE("Return-Path: <>\r\n"), .fd = fd, .runs = runs, .run_n = countof(runs) };
    struct err err;
    struct stat st;
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(maildir_write(folder, strlen(root), &m, &err));
        assert_int_equal(count(folder, "new", file), i);
        assert_int_equal(count(folder, "tmp", NULL), 0);
        assert_int_equal(count(folder, "cur", NULL), 0);
    }
    assert_true(strstr(file, ".mx_a_b.example"));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    FILE *f = fopen(file, "r");
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    assert_string_equal(text, "Return-Path: <>\nSubject: [x]a\n\nbare\rcr\nend\r");
    /* a file that is too short leaves nothing behind */
    const struct maildir_run beyond = { .from = 30, .n = 100 };
    m.runs = &beyond;
    m.run_n = 1;
    assert_false(maildir_write(folder, strlen(root), &m, &err));
    assert_int_equal(err.code, EIO);
    assert_int_equal(count(folder, "new", NULL), 3);
    assert_int_equal(count(folder, "tmp", NULL), 0);
    /* no link is followed, and what must be there is not made */
    char link_at[100];
    snprintf(link_at, sizeof link_at, "%s/y.example", root);
    assert_int_equal(symlink("/tmp", link_at), 0);
    snprintf(folder, sizeof folder, "%s/y.example/anna", root);
    assert_false(maildir_write(folder, strlen(root), &m, &err));
    assert_true(err.code == ENOTDIR || err.code == ELOOP);
    snprintf(folder, sizeof folder, "%s/missing/anna", root);
    assert_false(maildir_write(folder, strlen(root) + 8, &m, &err));
    assert_int_equal(err.code, ENOENT);
    close(fd);
    char command[200];
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_folders), cmocka_unit_test(test_fixed), cmocka_unit_test(test_writing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
