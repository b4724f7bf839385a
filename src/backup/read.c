/* SPDX-License-Identifier: Apache-2.0
 * Reading a backup: nothing of it is believed. */
#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backup/backup.h"
#include "base/json.h"
#include "base/mem.h"

#define PATH_LENGTH_MAX 4000

struct seen {                    /* an entry of the archive */
    char name[32];
    uint64_t size;
    unsigned char digest[BACKUP_DIGEST_N];
};
struct reading {
    struct seen *files;
    size_t n, room;
    struct buf manifest;
    bool has_manifest;
};

static bool fail(struct archive *a, struct err *err)
{
    return err_set(err, "this is no backup of Postern, or it is damaged: %s", archive_error_string(a) ? archive_error_string(a) : "it cannot be read");
}

static struct archive *archive_new(void)
{
    struct archive *a = archive_read_new();
    archive_read_support_filter_zstd(a);
    archive_read_support_format_tar(a);
    return a;
}

/* ---- the first time: what is in there */

static bool read_file(struct archive *a, struct seen *s, struct err *err)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    const void *p;
    size_t n;
    la_int64_t at;
    int rc;
    EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
    while ((rc = archive_read_data_block(a, &p, &n, &at)) == ARCHIVE_OK) {
        if ((uint64_t)at != s->size) break; /* sparse files are none of ours */
        EVP_DigestUpdate(digest, p, n);
        s->size += n;
    }
    EVP_DigestFinal_ex(digest, s->digest, NULL);
    EVP_MD_CTX_free(digest);
    return rc == ARCHIVE_EOF ? true : fail(a, err);
}

static bool read_manifest(struct archive *a, struct reading *r, struct err *err)
{
    const void *p;
    size_t n;
    la_int64_t at;
    int rc;
    r->manifest.max = BACKUP_MANIFEST_MAX;
    while ((rc = archive_read_data_block(a, &p, &n, &at)) == ARCHIVE_OK && !r->manifest.overflow && (uint64_t)at == r->manifest.n)
        buf_add(&r->manifest, slice_of(p, n));
    r->has_manifest = true;
    return rc == ARCHIVE_EOF && !r->manifest.overflow ? true : fail(a, err);
}

static bool read_entry(struct archive *a, struct archive_entry *e, struct reading *r, struct err *err)
{
    const char *name = archive_entry_pathname(e);
    if (!name || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) || archive_entry_symlink(e) || r->has_manifest ||
        r->n >= BACKUP_ENTRIES_MAX)
        return err_set(err, "this is no backup of Postern, or it is damaged: there is something in it that is not ours");
    if (!strcmp(name, BACKUP_MANIFEST)) return read_manifest(a, r, err);
    if (strncmp(name, "files/", 6) != 0 || strlen(name) != 14) return err_set(err, "this is no backup of Postern: there is something in it that is not ours");
    if (r->n == r->room) r->files = mem_grow(r->files, r->room = r->room ? r->room * 2 : 64, sizeof *r->files);
    struct seen *s = &r->files[r->n++];
    *s = (struct seen){ .size = 0 };
    snprintf(s->name, sizeof s->name, "%s", name);
    return read_file(a, s, err);
}

static bool read_all(struct archive *a, struct reading *r, struct err *err)
{
    struct archive_entry *e;
    int rc;
    while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK)
        if (!read_entry(a, e, r, err)) return false;
    if (rc != ARCHIVE_EOF) return fail(a, err);
    return r->has_manifest ? true : err_set(err, "this is no backup of Postern, or it is cut: its manifest is missing");
}

/* ---- the manifest */

/* No control character, also none of U+0080 to U+009F: it may be shown. */
static bool is_plain(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0)) return false;
    return true;
}

bool backup_path_ok(const char *path, bool absolute)
{
    struct slice rest = slice_str(path), part;
    if (!path[0] || rest.n > PATH_LENGTH_MAX || (path[0] == '/') != absolute || !is_plain(path)) return false;
    if (absolute) rest = slice_sub(rest, 1, rest.n);
    for (bool more = true; more;) {
        more = slice_cut(&rest, '/', &part);
        if (!part.n || part.n > 255 || slice_eq(part, SLICE(".")) || slice_eq(part, SLICE(".."))) return false;
    }
    return true;
}

char *backup_path_tidy(const char *path)
{
    struct slice rest = slice_str(path), part;
    struct buf b = { 0 };
    while (rest.n) {
        slice_cut(&rest, '/', &part);
        if (!part.n || slice_eq(part, SLICE("."))) continue;
        buf_add_char(&b, '/');
        buf_add(&b, part);
    }
    char *real = backup_path_ok(buf_cstr(&b), true) ? NULL : realpath(path, NULL), *tidy = real ? real : mem_slicedup(buf_slice(&b));
    buf_deinit(&b);
    return tidy;
}

static bool find_kind(const char *name, enum backup_kind *out)
{
    for (unsigned k = 0; k < BACKUP_KINDS; k++) {
        *out = (enum backup_kind)k;
        if (!strcmp(name, backup_kind_name(*out))) return true;
    }
    return false;
}

static bool read_digest(const char *text, unsigned char out[BACKUP_DIGEST_N])
{
    if (strlen(text) != 2 * BACKUP_DIGEST_N || strspn(text, "0123456789abcdef") != 2 * BACKUP_DIGEST_N) return false;
    for (size_t i = 0; i < BACKUP_DIGEST_N; i++) {
        char two[3] = { text[2 * i], text[2 * i + 1], 0 };
        out[i] = (unsigned char)strtoul(two, NULL, 16);
    }
    return true;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s && strlen(s) == json_string_length(json_object_get(o, key)) ? s : "";
}

static bool path_fits(const struct backup_entry *e)
{
    switch (e->kind) {
    case BACKUP_CONFIGURATION:
    case BACKUP_NAMED: return backup_path_ok(e->path, true);
    case BACKUP_REVISION: return backup_path_ok(e->path, false) && !strchr(e->path, '/') && e->path[0] != '.';
    default: return backup_path_ok(e->path, false);
    }
}

static bool take_entry(const json_t *o, struct backup_entry *e)
{
    unsigned long mode;
    char *end;
    *e = (struct backup_entry){ .name = text_of(o, "name"), .path = text_of(o, "path"), .owner = text_of(o, "owner"), .group = text_of(o, "group"),
                                .size = (uint64_t)json_integer_value(json_object_get(o, "size")) };
    mode = strtoul(text_of(o, "mode"), &end, 8);
    if (!find_kind(text_of(o, "kind"), &e->kind) || *end || end == text_of(o, "mode")) return false;
    bool folder = e->kind == BACKUP_FOLDER;
    e->mode = (mode_t)mode & (folder ? 0750 : 0644) ? (mode_t)mode & (folder ? 0755 : 0664) : (folder ? 0700 : 0600);
    return path_fits(e) && is_plain(e->owner) && is_plain(e->group) && (folder || read_digest(text_of(o, "sha256"), e->digest));
}

static bool bad(struct err *err, const char *path)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(path), 200);
    err_set(err, "the backup is damaged, or was changed: %s", buf_cstr(&b));
    buf_deinit(&b);
    return false;
}

/* Files stand in the manifest as they do in the archive. */
static bool take_entries(struct backup_archive *out, const struct reading *r, struct err *err)
{
    const json_t *all = json_object_get(out->manifest, "entries"), *one;
    unsigned configurations = 0;
    size_t i, k = 0;
    if (!json_is_array(all) || json_array_size(all) > BACKUP_ENTRIES_MAX) return bad(err, "its manifest makes no sense");
    out->n = json_array_size(all);
    out->entries = mem_zalloc((out->n + 1) * sizeof *out->entries);
    json_array_foreach(all, i, one) {
        struct backup_entry *e = &out->entries[i];
        if (!take_entry(one, e)) return bad(err, "its manifest makes no sense");
        configurations += e->kind == BACKUP_CONFIGURATION;
        if (e->kind == BACKUP_FOLDER) continue;
        if (k == r->n || strcmp(r->files[k].name, e->name) != 0 || r->files[k].size != e->size ||
            memcmp(r->files[k].digest, e->digest, BACKUP_DIGEST_N) != 0)
            return bad(err, e->path);
        out->bytes += e->size;
        k++;
    }
    out->files = k;
    return k == r->n && configurations == 1 ? true : bad(err, "it has more than its manifest says, or no configuration");
}

static bool take_manifest(struct backup_archive *out, struct reading *r, struct err *err)
{
    out->manifest = json_loadb(r->manifest.p ? r->manifest.p : "", r->manifest.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *m = out->manifest;
    if (!json_is_object(m) || strcmp(text_of(m, "format"), "postern-backup") != 0) return bad(err, "its manifest makes no sense");
    if (json_integer_value(json_object_get(m, "version")) != 1) return err_set(err, "the backup is of a newer Postern: use that one to restore it");
    out->config = text_of(m, "config");
    out->directory = text_of(m, "directory");
    out->run_directory = text_of(m, "run_directory");
    out->hostname = text_of(m, "hostname");
    out->version = text_of(m, "relay");
    out->made = (uint64_t)json_integer_value(json_object_get(m, "made"));
    if (!backup_path_ok(out->config, true) || !backup_path_ok(out->directory, true) || !backup_path_ok(out->run_directory, true) ||
        !is_plain(out->hostname) || !is_plain(out->version))
        return bad(err, "its manifest makes no sense");
    return take_entries(out, r, err);
}

static bool read_archive(struct archive *a, int opened, struct backup_archive *out, struct err *err)
{
    struct reading r = { .n = 0 };
    *out = (struct backup_archive){ .n = 0 };
    bool ok = (opened == ARCHIVE_OK || fail(a, err)) && read_all(a, &r, err) && take_manifest(out, &r, err);
    archive_read_free(a);
    free(r.files);
    buf_deinit(&r.manifest);
    if (!ok) backup_archive_deinit(out);
    return ok;
}

bool backup_read(int fd, struct backup_archive *out, struct err *err)
{
    struct archive *a = archive_new();
    (void)lseek(fd, 0, SEEK_SET);
    return read_archive(a, archive_read_open_fd(a, fd, 65536), out, err);
}

bool backup_read_memory(struct slice bytes, struct backup_archive *out, struct err *err)
{
    struct archive *a = archive_new();
    return read_archive(a, archive_read_open_memory(a, bytes.p, bytes.n), out, err);
}

void backup_archive_deinit(struct backup_archive *a)
{
    free(a->entries);
    json_decref(a->manifest);
    *a = (struct backup_archive){ .n = 0 };
}

/* ---- the second time */

struct content {
    struct archive *a;
    EVP_MD_CTX *digest;
    uint64_t n;
};

/* 1: a piece, 0: the end, -1: damaged */
static int next_piece(void *from, const void **p, size_t *n)
{
    struct content *c = from;
    la_int64_t at;
    int rc = archive_read_data_block(c->a, p, n, &at);
    if (rc == ARCHIVE_EOF) return 0;
    if (rc != ARCHIVE_OK || (uint64_t)at != c->n) return -1;
    EVP_DigestUpdate(c->digest, *p, *n);
    c->n += *n;
    return 1;
}

static bool one_file(struct archive *a, const struct backup_entry *e, backup_file_fn *f, void *arg, struct err *err)
{
    struct content c = { .a = a, .digest = EVP_MD_CTX_new() };
    unsigned char digest[BACKUP_DIGEST_N];
    EVP_DigestInit_ex(c.digest, EVP_sha256(), NULL);
    bool ok = f(arg, e, next_piece, &c, err);
    EVP_DigestFinal_ex(c.digest, digest, NULL);
    EVP_MD_CTX_free(c.digest);
    return ok && (memcmp(digest, e->digest, sizeof digest) == 0 || bad(err, e->path)); /* somebody wrote to the file between the two */
}

bool backup_each(int fd, const struct backup_archive *b, backup_file_fn *f, void *arg, struct err *err)
{
    struct archive *a = archive_new();
    struct archive_entry *e;
    (void)lseek(fd, 0, SEEK_SET);
    bool ok = archive_read_open_fd(a, fd, 65536) == ARCHIVE_OK || fail(a, err);
    for (size_t i = 0; ok && i < b->n; i++) {
        if (b->entries[i].kind == BACKUP_FOLDER) continue;
        if (archive_read_next_header(a, &e) != ARCHIVE_OK || strcmp(archive_entry_pathname(e), b->entries[i].name) != 0) ok = bad(err, b->entries[i].path);
        else ok = one_file(a, &b->entries[i], f, arg, err);
    }
    archive_read_free(a);
    return ok;
}
