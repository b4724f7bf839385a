/* SPDX-License-Identifier: Apache-2.0
 * Writing a backup. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <grp.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "backup/backup.h"
#include "base/mem.h"

#define LOOK_BYTES (4u << 20) /* between two looks at how much room there is */

struct backup_writer {
    struct archive *archive;
    json_t *entries;
    unsigned files;
    int fd;
    uint64_t keep_free, until_look; /* bytes */
};

const char *backup_kind_name(enum backup_kind k)
{
    static const char *const names[] = { "configuration", "revision", "named", "data", "folder" };
    return names[k];
}

static bool fail(const struct backup_writer *w, struct err *err)
{
    if (archive_errno(w->archive) == ENOSPC) {
        err_set_text(err, "writing the backup: the disk that it is written to is full");
        err->code = ENOSPC;
        return false;
    }
    return err_set(err, "writing the backup: %s", archive_error_string(w->archive) ? archive_error_string(w->archive) : "it failed");
}

struct backup_writer *backup_writer_new(int fd, struct err *err)
{
    struct backup_writer *w = mem_new(struct backup_writer);
    w->archive = archive_write_new();
    w->entries = json_array();
    w->fd = fd;
    if (w->archive && archive_write_set_format_pax_restricted(w->archive) == ARCHIVE_OK &&
        archive_write_add_filter_zstd(w->archive) == ARCHIVE_OK && archive_write_set_bytes_in_last_block(w->archive, 1) == ARCHIVE_OK && archive_write_open_fd(w->archive, fd) == ARCHIVE_OK)
        return w;
    (void)fail(w, err);
    backup_writer_free(w);
    return NULL;
}

void backup_writer_free(struct backup_writer *w)
{
    if (!w) return;
    archive_write_free(w->archive);
    json_decref(w->entries);
    free(w);
}

size_t backup_writer_count(const struct backup_writer *w)
{
    return w->files;
}

void backup_writer_keep_free(struct backup_writer *w, uint64_t bytes)
{
    w->keep_free = bytes;
}

bool backup_writer_has_room(const struct backup_writer *w, uint64_t bytes, struct err *err)
{
    struct statvfs v;
    if (!w->keep_free || fstatvfs(w->fd, &v) != 0 || (uint64_t)v.f_bavail * v.f_frsize >= w->keep_free + bytes) return true;
    err_set_text(err, "there is not enough room for the backup: what is free on that disk is needed for mail");
    err->code = ENOSPC;
    return false;
}

/* NULL: a path that is no UTF-8, or that no backup may have. */
static json_t *describe(enum backup_kind kind, const char *path, const struct stat *st)
{
    if (!backup_path_ok(path, path[0] == '/')) return NULL;
    const struct passwd *pw = getpwuid(st->st_uid);
    const struct group *gr = getgrgid(st->st_gid);
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", (unsigned)st->st_mode & 0777);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", backup_kind_name(kind), "path", path, "mode", mode, "owner", pw ? pw->pw_name : "",
                     "group", gr ? gr->gr_name : "");
}

void backup_write_folder(struct backup_writer *w, const char *path, const struct stat *st)
{
    json_t *one = describe(BACKUP_FOLDER, path, st);
    if (one) json_array_append_new(w->entries, one); /* NULL: such a name is none of ours */
}

static bool begin_entry(struct backup_writer *w, const char *name, uint64_t size, struct err *err)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0600);
    archive_entry_set_size(e, (la_int64_t)size);
    bool ok = archive_write_header(w->archive, e) == ARCHIVE_OK;
    archive_entry_free(e);
    return ok ? true : fail(w, err);
}

/* What became shorter meanwhile is filled up: a tar file has said how long it is. */
static bool copy(struct backup_writer *w, int fd, uint64_t size, EVP_MD_CTX *digest, struct err *err)
{
    char piece[65536];
    for (uint64_t left = size; left;) {
        size_t want = left < sizeof piece ? (size_t)left : sizeof piece;
        if (w->until_look < want) {
            if (!backup_writer_has_room(w, LOOK_BYTES, err)) return false;
            w->until_look = LOOK_BYTES;
        }
        w->until_look -= want;
        ssize_t n = read(fd, piece, want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(err, errno, "reading");
        if (n == 0) memset(piece, 0, (size_t)(n = (ssize_t)want));
        EVP_DigestUpdate(digest, piece, (size_t)n);
        if (archive_write_data(w->archive, piece, (size_t)n) != n) return fail(w, err);
        left -= (uint64_t)n;
    }
    return true;
}

static void add_digest(json_t *one, EVP_MD_CTX *digest)
{
    unsigned char d[BACKUP_DIGEST_N];
    char text[2 * BACKUP_DIGEST_N + 1];
    EVP_DigestFinal_ex(digest, d, NULL);
    for (size_t i = 0; i < sizeof d; i++) snprintf(text + 2 * i, 3, "%02x", d[i]);
    json_object_set_new(one, "sha256", json_string(text));
}

static bool bad_path(const char *path, struct err *err)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(path), 200);
    err_set_text(err, "%s cannot be kept, as its name is no UTF-8, or has control characters or \"..\": rename it, or remove it", buf_cstr(&b));
    buf_deinit(&b);
    return false;
}

bool backup_write(struct backup_writer *w, enum backup_kind kind, const char *path, int fd, const struct stat *st, struct err *err)
{
    char name[32];
    json_t *one = describe(kind, path, st);
    if (!one) return bad_path(path, err);
    snprintf(name, sizeof name, "files/%08u", ++w->files);
    json_object_set_new(one, "name", json_string(name));
    json_object_set_new(one, "size", json_integer((json_int_t)st->st_size));
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
    bool ok = begin_entry(w, name, (uint64_t)st->st_size, err) && copy(w, fd, (uint64_t)st->st_size, digest, err);
    if (ok) add_digest(one, digest);
    EVP_MD_CTX_free(digest);
    json_array_append_new(w->entries, one);
    return ok;
}

bool backup_writer_finish(struct backup_writer *w, json_t *facts, struct err *err)
{
    json_object_set(facts, "entries", w->entries);
    char *text = json_dumps(facts, JSON_COMPACT);
    size_t n = text ? strlen(text) : 0;
    json_decref(facts);
    bool ok = text && begin_entry(w, BACKUP_MANIFEST, n, err);
    if (!text) err_set(err, "the manifest cannot be written");
    if (ok && archive_write_data(w->archive, text, n) != (la_ssize_t)n) ok = fail(w, err);
    if (ok && archive_write_close(w->archive) != ARCHIVE_OK) ok = fail(w, err);
    free(text);
    backup_writer_free(w);
    return ok;
}
