/* SPDX-License-Identifier: Apache-2.0
 * A backup of unknown origin: what is taken from it leads nowhere but below the folders it belongs to. */
#include "backup/backup.h"
#include "base/mem.h"
#include "fuzz.h"

static void check_path(const char *path, bool absolute)
{
    must(backup_path_ok(path, absolute));
    must(!strstr(path, "/../") && strncmp(path, "../", 3) != 0 && strcmp(path, "..") != 0 && (path[0] == '/') == absolute);
    size_t n = strlen(path);
    must(n < 3 || strcmp(path + n - 3, "/..") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct backup_archive a;
    struct err err;
    char *text = mem_slicedup(slice_of(data, n));
    if (backup_path_ok(text, false)) check_path(text, false);
    free(text);
    if (!backup_read_memory(slice_of(data, n), &a, &err)) return 0;
    for (size_t i = 0; i < a.n; i++) {
        const struct backup_entry *e = &a.entries[i];
        check_path(e->path, e->kind == BACKUP_CONFIGURATION || e->kind == BACKUP_NAMED);
        must(e->kind != BACKUP_REVISION || !strchr(e->path, '/'));
        must(!(e->mode & (e->kind == BACKUP_FOLDER ? 07022u : 07113u)));
    }
    must(a.files <= a.n);
    backup_archive_deinit(&a);
    return 0;
}
