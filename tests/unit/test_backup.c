/* SPDX-License-Identifier: Apache-2.0
 * Copies of databases for a backup: with whose rights they are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backup/backup.h"

#define SOMEBODY 65534

/* The database that was seen was his; what the path leads to when it is opened is root's. */
static void a_path_that_leads_elsewhere_by_now(void **state)
{
    char base[] = "/tmp/postern-copies-XXXXXX", path[100], link[100];
    struct stat st;
    struct err err = { .text = "" };
    if (geteuid() != 0) skip();
    assert_true(mkdtemp(base) && chmod(base, 0755) == 0);
    snprintf(path, sizeof path, "%s/x.db", base);
    snprintf(link, sizeof link, "%s/y.db", base);
    FILE *f = fopen(path, "w");
    assert_true(f && fchmod(fileno(f), 0600) == 0 && fchown(fileno(f), SOMEBODY, SOMEBODY) == 0 && fclose(f) == 0);
    assert_int_equal(lstat(path, &st), 0);
    const char *const folders[] = { base, NULL };
    int fd = backup_snapshot(path, folders, &st, &err);
    if (fd < 0) fail_msg("%s", err.text);
    assert_true(st.st_uid == SOMEBODY && (st.st_mode & 0777) == 0600);
    close(fd);
    assert_true(chown(path, 0, 0) == 0 && symlink(path, link) == 0);
    assert_int_equal(backup_snapshot(path, folders, &st, &err), -1);
    assert_int_equal(backup_snapshot(link, folders, &st, &err), -1);
    assert_true(unlink(path) == 0 && unlink(link) == 0 && rmdir(base) == 0); /* nothing else was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_leads_elsewhere_by_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
