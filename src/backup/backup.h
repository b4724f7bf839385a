/* SPDX-License-Identifier: Apache-2.0
 * A backup: a tar file with zstd, of mode 0600. Its entries have numbers for names; the last one, manifest.json, says what each is, where it
 * belongs, whose it is, how long it is and its SHA-256. Nothing of an archive is believed before all of that was seen to be so. */
#ifndef POSTERN_BACKUP_BACKUP_H
#define POSTERN_BACKUP_BACKUP_H
#include <jansson.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/err.h"

#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_MANIFEST_MAX (64u << 20)
#define BACKUP_ENTRIES_MAX 2000000u
#define BACKUP_DIGEST_N 32

enum backup_kind {
    BACKUP_CONFIGURATION,        /* the file itself */
    BACKUP_REVISION,             /* a file of .postern-revisions beside it; path: its name */
    BACKUP_NAMED,                /* a file that the configuration names; path: absolute */
    BACKUP_DATA,                 /* path: below system.directory */
    BACKUP_FOLDER,               /* the same, a folder; in the manifest alone */
    BACKUP_KINDS,
};
const char *backup_kind_name(enum backup_kind k);

/* ---- write.c */
struct backup_writer;
/* fd stays the caller's. */
struct backup_writer *backup_writer_new(int fd, struct err *err) MUST_CHECK;
/* The rest of fd, as many bytes as *st says. */
bool backup_write(struct backup_writer *w, enum backup_kind kind, const char *path, int fd, const struct stat *st, struct err *err) MUST_CHECK;
void backup_write_folder(struct backup_writer *w, const char *path, const struct stat *st);
/* facts: more members of the manifest, taken. Frees w, also when it fails. */
bool backup_writer_finish(struct backup_writer *w, json_t *facts, struct err *err) MUST_CHECK;
void backup_writer_free(struct backup_writer *w);
size_t backup_writer_count(const struct backup_writer *w);
/* So many bytes of the disk that fd lies on are left to others: what would take more fails. 0: all may be used. */
void backup_writer_keep_free(struct backup_writer *w, uint64_t bytes);
/* Whether so many can be written; err says that they cannot. */
bool backup_writer_has_room(const struct backup_writer *w, uint64_t bytes, struct err *err) MUST_CHECK;

/* ---- collect.c */
struct config;
struct backup_options {
    const struct config *config;
    const char *file;            /* of the configuration, absolute */
    const char *near;            /* folder for copies of databases: the target's; NULL: none */
    uint64_t keep_free;          /* backup_writer_keep_free */
    bool queue, quarantine;
    bool downloaded;             /* for who could name any file in the configuration, but is not root: what the system keeps for root is an error */
};
/* All that belongs to it. */
bool backup_collect(struct backup_writer *w, const struct backup_options *o, struct err *err) MUST_CHECK;
/* ---- make.c: all of it, to fd, which stays the caller's. *n: how many files. err->code ENOSPC: the disk is full, or would be too full. */
bool backup_make(int fd, const struct backup_options *o, size_t *n, struct err *err) MUST_CHECK;
/* ---- snapshot.c: a copy of the database as it is at this moment, made by its owner, as *st has him, in the first of these
 * folders (ended by NULL) that has room and lets him in; a descriptor of a file without a name, whose size is in *st; -1 with err. */
int backup_snapshot(const char *path, const char *const *scratch, struct stat *st, struct err *err);

/* ---- read.c */
struct backup_entry {
    enum backup_kind kind;
    const char *name, *path, *owner, *group; /* the manifest's */
    uint64_t size;
    mode_t mode;                 /* no more than rw for owner and group, r for others; of folders rwx */
    unsigned char digest[BACKUP_DIGEST_N];
};
struct backup_archive {
    json_t *manifest;
    struct backup_entry *entries;
    size_t n, files;             /* files: those that the archive has, in its order; folders come after them */
    const char *config, *directory, *run_directory, *hostname, *version;
    uint64_t made, bytes;
};
/* Reads all of fd and checks it: names, sizes, digests, paths. Blocks. */
bool backup_read(int fd, struct backup_archive *out, struct err *err) MUST_CHECK;
bool backup_read_memory(struct slice bytes, struct backup_archive *out, struct err *err) MUST_CHECK;
void backup_archive_deinit(struct backup_archive *a);
/* Again from the start of fd: each file's content, which is checked once more. False of f: it ends, err was set by it. */
typedef bool backup_file_fn(void *arg, const struct backup_entry *e, int (*next)(void *from, const void **bytes, size_t *n), void *from, struct err *err);
bool backup_each(int fd, const struct backup_archive *a, backup_file_fn *f, void *arg, struct err *err) MUST_CHECK;
/* A path of a manifest: no empty, "." or ".." part, no control character; absolute or not. */
bool backup_path_ok(const char *path, bool absolute);
/* An absolute one as a manifest may have it: without empty parts and "."; with ".." the one that it really is, when it is there. Freed by the
 * caller. */
char *backup_path_tidy(const char *path);

/* ---- place.c */
struct backup_place {
    const char *to;              /* in front of all paths; "" */
    const char *config;          /* where the configuration goes; NULL: where it was */
    bool force, outside;
};
bool backup_relay_runs(const char *run_directory);
bool backup_restore(int fd, const struct backup_archive *a, const struct backup_place *p, struct err *err) MUST_CHECK;

#endif
