/* SPDX-License-Identifier: Apache-2.0
 * Earlier texts of a configuration file, kept beside it in .postern-revisions/: one file of mode 0600 for each change,
 * with the text as it was before and a first line that says of which file, when, by whom and what was changed. */
#ifndef POSTERN_CONFIG_REVISION_H
#define POSTERN_CONFIG_REVISION_H
#include "base/buf.h"
#include "base/err.h"

struct revision {
    uint64_t number;   /* 1, 2, ...; how people name it */
    char file[64];     /* 20261121T213011Z-3.yaml */
    char *when, *who, *what;
};

/* A configuration file whose change is under way: others wait at store_open until store_close. */
struct store {
    char *file;        /* the real path, symbolic links resolved */
    char *directory;   /* of the revisions */
    int lock;          /* -1: opened for reading only */
    struct revision *revisions; /* by number */
    size_t n;
    uint64_t last;     /* the highest number in the folder, which several files may share */
    const char *author; /* who changes it, the caller's: "web:anna"; NULL: the user of this process */
};

/* write: makes the folder when it is missing and waits for the lock. A missing folder is no error otherwise. */
bool store_open(struct store *s, const char *config_file, bool write, struct err *err) MUST_CHECK;
void store_close(struct store *s);
/* The text of a revision without its first line. */
bool store_read(const struct store *s, uint64_t number, struct buf *text, struct err *err) MUST_CHECK;
/* Keeps `old_text` as a revision, then replaces the file by `new_text`, both synced to disk; mode and owner stay. The
 * new revision's number goes to *number. At any moment the file is whole: the old text or the new one; steps of crash tests: config-kept,
 * config-written, config-replaced. */
bool store_replace(struct store *s, struct slice old_text, struct slice new_text, const char *what, uint64_t *number,
                   struct err *err) MUST_CHECK;

#endif
