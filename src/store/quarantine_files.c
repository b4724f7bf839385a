/* SPDX-License-Identifier: Apache-2.0
 * Files of the quarantine: writing, reading, notes. */
#include "store/quarantine_files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/io.h"
#include "base/le.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/spool.h"

#define NOTE_N 24
#define COPY_N 65536
#define NOTES_MAX UINT64_C(1000000) /* of one file are looked at */

static const char magic[] = { 'P', 'S', 'T', 'Q', 'U', 'A', 'R', '1' }, note_magic[] = { 'P', 'S', 'Q', 'N' };

unsigned quarantine_folder(uint64_t id)
{
    return (unsigned)(id >> 22) & (QUARANTINE_FOLDERS - 1); /* of the millisecond in which it was drawn */
}

uint64_t quarantine_text_at(const struct quarantine_head *h)
{
    return QUARANTINE_HEAD_N + (uint64_t)h->envelope_n;
}

static uint64_t notes_at(const struct quarantine_head *h)
{
    return quarantine_text_at(h) + h->text_n;
}

static void path_of(char out[QUARANTINE_PATH_MAX], const char *root, uint64_t id, const char *end)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    snprintf(out, QUARANTINE_PATH_MAX, "%s/%02x/%s%s", root, quarantine_folder(id), text, end);
}

static void folder_path(char out[QUARANTINE_PATH_MAX], const char *root, unsigned folder)
{
    snprintf(out, QUARANTINE_PATH_MAX, "%s/%02x", root, folder);
}

/* ---- heads */

static void head_encode(const struct quarantine_head *h, char out[QUARANTINE_HEAD_N])
{
    memset(out, 0, QUARANTINE_HEAD_N);
    memcpy(out, magic, sizeof magic);
    le_put64(out + 8, h->id);
    le_put64(out + 16, h->stored);
    le_put64(out + 24, h->text_n);
    le_put32(out + 32, h->envelope_n);
    le_put32(out + 36, h->envelope_crc);
    le_put32(out + 40, h->text_crc);
    le_put32(out + 60, crc32c(0, out, 60));
}

static bool head_decode(const char in[QUARANTINE_HEAD_N], struct quarantine_head *h)
{
    *h = (struct quarantine_head){ .id = le_get64(in + 8), .stored = le_get64(in + 16), .text_n = le_get64(in + 24),
                                   .envelope_n = le_get32(in + 32), .envelope_crc = le_get32(in + 36), .text_crc = le_get32(in + 40) };
    return !memcmp(in, magic, sizeof magic) && le_get32(in + 60) == crc32c(0, in, 60) && h->envelope_n <= QUARANTINE_ENVELOPE_MAX &&
           h->text_n < UINT64_C(1) << 48;
}

/* ---- bytes */

static bool write_at(int fd, const char *p, size_t n, uint64_t at, struct err *err)
{
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_sys(err, k < 0 ? errno : EIO, "cannot write to the quarantine");
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return true;
}

static bool copy_text(int to, struct quarantine_head *h, const struct quarantine_source *from, struct err *err)
{
    char *room = mem_alloc(COPY_N);
    bool ok = true;
    uint64_t at = quarantine_text_at(h);
    for (uint64_t done = 0; ok && done < from->n;) {
        size_t n = from->n - done < COPY_N ? (size_t)(from->n - done) : COPY_N;
        ok = io_read_at(from->fd, room, n, from->offset + done) == n || err_set(err, "the message's text ends too early");
        if (ok) ok = write_at(to, room, n, at + done, err);
        h->text_crc = crc32c(h->text_crc, room, n);
        done += n;
    }
    free(room);
    return ok;
}

/* ---- writing */

static bool sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int code = errno;
    if (fd >= 0) close(fd);
    return ok || err_sys(err, code, "cannot bring %.250s to disk", path);
}

bool quarantine_root_make(const char *root, struct err *err)
{
    char above[QUARANTINE_PATH_MAX];
    snprintf(above, sizeof above, "%s/..", root);
    if (mkdir(root, 0700) == 0) return sync_folder(above, err);
    return errno == EEXIST || err_sys(err, errno, "cannot make %.250s", root);
}

static bool make_folder(const char *root, uint64_t id, struct err *err)
{
    char path[QUARANTINE_PATH_MAX];
    folder_path(path, root, quarantine_folder(id));
    int rc = mkdir(path, 0700);
    if (rc != 0 && errno == ENOENT) { /* there was no room for it at the start */
        if (!quarantine_root_make(root, err)) return false;
        rc = mkdir(path, 0700);
    }
    if (rc == 0) return sync_folder(root, err);
    return errno == EEXIST || err_sys(err, errno, "cannot make %.250s", path);
}

static bool fill(int fd, struct quarantine_head *h, const struct quarantine_source *from, struct err *err)
{
    char head[QUARANTINE_HEAD_N];
    h->text_n = from->n;
    h->envelope_n = (uint32_t)from->envelope.n;
    h->envelope_crc = crc32c(0, from->envelope.p, from->envelope.n);
    h->text_crc = 0;
    if (!write_at(fd, from->envelope.p, from->envelope.n, QUARANTINE_HEAD_N, err) || !copy_text(fd, h, from, err)) return false;
    head_encode(h, head);
    return write_at(fd, head, sizeof head, 0, err) && (fsync(fd) == 0 || err_sys(err, errno, "cannot bring the message to disk"));
}

/* It is there already: the relay did not hear of it the last time. */
static bool is_known(const char *root, struct quarantine_head *h, uint64_t *size)
{
    struct err err;
    struct quarantine_head there;
    struct buf envelope = { 0 };
    int fd = quarantine_file_open(root, h->id, &err);
    if (fd < 0) return false;
    bool known = quarantine_file_read(fd, &there, &envelope, size, &err) && there.id == h->id;
    if (known) *h = there;
    close(fd);
    buf_deinit(&envelope);
    return known;
}

bool quarantine_file_write(const char *root, struct quarantine_head *h, const struct quarantine_source *from, bool *known, uint64_t *size,
                           struct err *err)
{
    char path[QUARANTINE_PATH_MAX], made[QUARANTINE_PATH_MAX], folder[QUARANTINE_PATH_MAX];
    if (from->envelope.n > QUARANTINE_ENVELOPE_MAX) return err_set(err, "the envelope is too large");
    *known = is_known(root, h, size);
    folder_path(folder, root, quarantine_folder(h->id));
    if (*known) return sync_folder(folder, err);
    if (!make_folder(root, h->id, err)) return false;
    path_of(path, root, h->id, "");
    path_of(made, root, h->id, ".new");
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(err, errno, "cannot make %.250s", made);
    bool ok = fill(fd, h, from, err);
    close(fd);
    if (ok) crash_point("quarantine-written");
    if (ok && rename(made, path) != 0) ok = err_sys(err, errno, "cannot name %.250s", path);
    if (!ok) (void)unlink(made);
    if (ok) crash_point("quarantine-renamed");
    *size = notes_at(h);
    return ok && sync_folder(folder, err);
}

/* ---- reading */

int quarantine_file_open(const char *root, uint64_t id, struct err *err)
{
    char path[QUARANTINE_PATH_MAX];
    path_of(path, root, id, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) err_set_sys(err, errno, "cannot open %.250s", path);
    return fd;
}

bool quarantine_file_read(int fd, struct quarantine_head *h, struct buf *envelope, uint64_t *size, struct err *err)
{
    char head[QUARANTINE_HEAD_N];
    struct stat st;
    if (fstat(fd, &st) != 0) return err_sys(err, errno, "cannot read a file of the quarantine");
    *size = (uint64_t)st.st_size;
    buf_clear(envelope);
    if (io_read_at(fd, head, sizeof head, 0) == sizeof head && head_decode(head, h) && *size >= notes_at(h)) {
        char *to = buf_reserve(envelope, h->envelope_n + 1);
        if (io_read_at(fd, to, h->envelope_n, QUARANTINE_HEAD_N) == h->envelope_n && crc32c(0, to, h->envelope_n) == h->envelope_crc) {
            envelope->n = h->envelope_n;
            return true;
        }
    }
    err_set_text(err, "a file of the quarantine is damaged");
    err->code = EBADMSG;
    return false;
}

/* ---- notes */

uint64_t quarantine_note_count(const struct quarantine_head *h, uint64_t size)
{
    uint64_t n = size > notes_at(h) ? (size - notes_at(h)) / NOTE_N : 0;
    return n < NOTES_MAX ? n : NOTES_MAX;
}

bool quarantine_file_note(int fd, const struct quarantine_head *h, uint64_t n, struct quarantine_note *out)
{
    char b[NOTE_N];
    if (io_read_at(fd, b, NOTE_N, notes_at(h) + n * NOTE_N) != NOTE_N) return false;
    uint32_t crc = le_get32(b + 12), what = le_get32(b + 4);
    le_put32(b + 12, 0);
    if (memcmp(b, note_magic, sizeof note_magic) != 0 || crc32c(0, b, NOTE_N) != crc) return false;
    if (what < QUARANTINE_NOTE_RELEASED || what > QUARANTINE_NOTE_TOLD) return false;
    *out = (struct quarantine_note){ .what = (enum quarantine_note_what)what, .which = le_get32(b + 8), .when = le_get64(b + 16) };
    return true;
}

static void note_encode(const struct quarantine_note *n, char out[NOTE_N])
{
    memcpy(out, note_magic, sizeof note_magic);
    le_put32(out + 4, n->what);
    le_put32(out + 8, n->which);
    le_put32(out + 12, 0);
    le_put64(out + 16, n->when);
    le_put32(out + 12, crc32c(0, out, NOTE_N));
}

static bool add_notes(int fd, const struct quarantine_note *notes, size_t n, uint64_t *size, struct err *err)
{
    struct quarantine_head h;
    struct buf envelope = { 0 }, b = { 0 };
    bool ok = quarantine_file_read(fd, &h, &envelope, size, err);
    buf_deinit(&envelope);
    if (!ok) return false;
    uint64_t at = notes_at(&h) + (*size - notes_at(&h)) / NOTE_N * NOTE_N;
    for (size_t i = 0; i < n; i++, b.n += NOTE_N) note_encode(&notes[i], buf_reserve(&b, NOTE_N));
    ok = write_at(fd, b.p, b.n, at, err) && (fdatasync(fd) == 0 || err_sys(err, errno, "cannot bring a note to disk"));
    *size = at + b.n;
    buf_deinit(&b);
    return ok;
}

bool quarantine_file_add_notes(const char *root, uint64_t id, const struct quarantine_note *notes, size_t n, uint64_t *size, struct err *err)
{
    char path[QUARANTINE_PATH_MAX];
    path_of(path, root, id, "");
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return err_sys(err, errno, "cannot open %.250s", path);
    bool ok = add_notes(fd, notes, n, size, err);
    close(fd);
    if (ok) crash_point("quarantine-noted");
    return ok;
}

bool quarantine_file_remove(const char *root, uint64_t id, struct err *err)
{
    char path[QUARANTINE_PATH_MAX];
    path_of(path, root, id, "");
    return unlink(path) == 0 || errno == ENOENT || err_sys(err, errno, "cannot remove %.250s", path);
}

bool quarantine_file_set_aside(const char *root, uint64_t id)
{
    char path[QUARANTINE_PATH_MAX], to[QUARANTINE_PATH_MAX];
    path_of(path, root, id, "");
    path_of(to, root, id, ".damaged");
    return rename(path, to) == 0;
}

/* ---- folders */

static void look_at(int folder, const char *name, void (*found)(void *arg, uint64_t id, uint64_t size, bool rest), void *arg)
{
    struct slice s = slice_str(name);
    struct stat st;
    uint64_t id;
    bool rest = slice_iends(s, SLICE(".new"));
    if (rest) s = slice_sub(s, 0, s.n - 4);
    if (s.n != ID_TEXT_LEN || !id_parse(s, &id) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return;
    found(arg, id, (uint64_t)st.st_size, rest);
}

bool quarantine_folder_read(const char *root, unsigned folder, void (*found)(void *arg, uint64_t id, uint64_t size, bool rest), void *arg,
                            struct err *err)
{
    char path[QUARANTINE_PATH_MAX];
    folder_path(path, root, folder);
    DIR *d = opendir(path);
    if (!d) return errno == ENOENT || err_sys(err, errno, "cannot read %.250s", path);
    errno = 0;
    for (const struct dirent *e; (e = readdir(d)); errno = 0) look_at(dirfd(d), e->d_name, found, arg);
    int code = errno;
    closedir(d);
    return !code || err_sys(err, code, "cannot read %.250s", path);
}

void quarantine_folder_remove_rest(const char *root, uint64_t id)
{
    char path[QUARANTINE_PATH_MAX];
    path_of(path, root, id, ".new");
    (void)unlink(path);
}
