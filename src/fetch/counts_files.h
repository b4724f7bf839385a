/* SPDX-License-Identifier: Apache-2.0
 * Counts of TLS sessions on disk: a file for each day and process, counts-<day>-<pid>-<n>.json. */
#ifndef POSTERN_FETCH_COUNTS_FILES_H
#define POSTERN_FETCH_COUNTS_FILES_H
#include "base/list.h"
#include "fetch/tls_report.h"

struct counts_file {
    struct list link;
    char *path;
    json_t *counts;
    size_t left;  /* domains that wait for their turn in this round */
    bool changed;
};

/* Empty counts of a day; on disk once they are saved. */
struct counts_file *counts_file_new(const char *directory, int64_t day);
/* Writes what changed; one in which nothing is left to tell is taken away. */
void counts_file_save(struct counts_file *f);
void counts_file_free(struct counts_file *f); /* unlinks it from its list; not from the disk */
/* Appends to `known` those of days up to `last`, without `own`, that no living process keeps; true: there were any. What is older than
 * `oldest` is deleted. */
bool counts_files_find(const char *directory, int64_t oldest, int64_t last, struct list *known, const struct counts_file *own);

#endif
