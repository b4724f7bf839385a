/* SPDX-License-Identifier: Apache-2.0
 * Counts on disk. A process that drains keeps its own beside those of its successor, so each has a file, and takes over what the dead
 * left. */
#include "fetch/counts_files.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "fetch/json_file.h"

#define DAY 86400

static struct counts_file *file_new(const char *path, json_t *counts)
{
    struct counts_file *f = mem_new(struct counts_file);
    f->path = mem_strdup(path);
    f->counts = counts;
    f->left = json_object_size(json_object_get(counts, "domains"));
    return f;
}

struct counts_file *counts_file_new(const char *directory, int64_t day)
{
    char path[4300];
    int n = 0;
    do snprintf(path, sizeof path, "%s/counts-%lld-%d-%d.json", directory, (long long)day, (int)getpid(), n);
    while (access(path, F_OK) == 0 && n++ < 100000); /* one who had our number, or an earlier part of the day */
    return file_new(path, tls_counts_new(day));
}

void counts_file_save(struct counts_file *f)
{
    if (!f->changed) return;
    f->changed = false;
    if (!tls_counts_next(f->counts, NULL)) {
        (void)unlink(f->path);
        return;
    }
    json_file_write(f->path, f->counts, false, "tls-counts-not-saved");
}

void counts_file_free(struct counts_file *f)
{
    list_remove(&f->link);
    json_decref(f->counts);
    free(f->path);
    free(f);
}

static bool is_known(const struct list *known, const struct counts_file *own, const char *path)
{
    if (!strcmp(own->path, path)) return true;
    list_each(it, known) {
        if (!strcmp(list_entry(it, struct counts_file, link)->path, path)) return true;
    }
    return false;
}

static bool is_alive(int pid)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d", pid);
    return pid != getpid() && access(path, F_OK) == 0;
}

/* Numbers of processes are given anew: one that lived two days ago is not asked for. */
static bool is_somebodys(long long day, int pid, int64_t last)
{
    return day > last - 2 * DAY && is_alive(pid);
}

static bool take(const char *path, long long day, struct list *known)
{
    json_t *counts = json_load_file(path, 0, NULL);
    if (counts && tls_counts_next(counts, NULL) && tls_counts_day(counts) == day) {
        list_push_back(known, &file_new(path, counts)->link);
        return true;
    }
    json_decref(counts);
    (void)unlink(path);
    return false;
}

bool counts_files_find(const char *directory, int64_t oldest, int64_t last, struct list *known, const struct counts_file *own)
{
    DIR *d = opendir(directory);
    struct dirent *e;
    bool found = false;
    while (d && (e = readdir(d))) {
        char path[4400], end[8];
        long long day;
        int pid, n;
        if (sscanf(e->d_name, "counts-%lld-%d-%d.%7s", &day, &pid, &n, end) != 4 || day > last) continue;
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        if (is_known(known, own, path) || is_somebodys(day, pid, last)) continue;
        if (day < oldest || strcmp(end, "json") != 0) (void)unlink(path);
        else if (take(path, day, known)) found = true;
    }
    if (d) closedir(d);
    return found;
}
