/* SPDX-License-Identifier: Apache-2.0
 * Files of a Postfix configuration, and their logical lines. Whoever wrote them is not believed: only plain files, of bounded size, are read. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "import/parts.h"

/* A descriptor, or -1 with errno; ENOTSUP: no plain file. Devices and pipes are not even waited for. */
static int open_plain(const char *path, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) return fd;
    close(fd);
    errno = ENOTSUP;
    return -1;
}

/* Where it is: as written, relative to the folder. What lies elsewhere is taken from the folder when it has a file of that last name: a
 * copy of another machine's files must not be filled up with this one's. */
static int find(struct import *im, const char *path, const struct import_from *from, struct stat *st, const char **name)
{
    const char *last = strrchr(path, '/');
    while (slice_starts(slice_str(path), SLICE("./"))) path += 2;
    *name = path;
    if (path[0] != '/') return open_plain(arena_printf(&im->arena, "%s/%s", im->folder, path), st);
    const char *copy = arena_printf(&im->arena, "%s%s", im->folder, last);
    int fd = strcmp(copy, path) != 0 && last[1] ? open_plain(copy, st) : -1;
    if (fd < 0) return open_plain(path, st);
    *name = last + 1;
    different(im, from, "see that it is the right one", "%s in the folder was read, not %s", import_show(im, slice_str(last + 1)),
              import_show(im, slice_str(path)));
    return fd;
}

static const struct import_given *given_called(const struct import *im, const char *name)
{
    for (size_t i = 0; i < im->given_n; i++)
        if (!strcmp(im->given[i].name, name)) return &im->given[i];
    return NULL;
}

/* The same among files that were given: of an absolute path as many of its last parts as fit. */
static const struct import_given *find_given(struct import *im, const char *path, const struct import_from *from)
{
    const struct import_given *g = NULL;
    while (!strncmp(path, "./", 2)) path += 2;
    if (path[0] != '/') return given_called(im, path);
    for (const char *p = path; p && !g; p = strchr(p + 1, '/')) g = given_called(im, p + 1);
    if (g)
        different(im, from, "see that it is the right one", "%s in the folder was read, not %s",
                  import_show(im, slice_str(g->name)), import_show(im, slice_str(path)));
    return g;
}

bool import_is_there(struct import *im, const char *name)
{
    if (im->given) return given_called(im, name) != NULL;
    return access(arena_printf(&im->arena, "%s/%s", im->folder, name), F_OK) == 0;
}

static bool fits(struct import *im, const char *path, uint64_t size, const struct import_from *from)
{
    if (size <= IMPORT_FILE_MAX && im->read + size <= IMPORT_TOTAL_MAX) {
        im->read += size;
        return true;
    }
    left_out(im, from, "split it", "%s is too large: %llu bytes; one file may have %u, all together %u", import_show(im, slice_str(path)),
             (unsigned long long)size, IMPORT_FILE_MAX, IMPORT_TOTAL_MAX);
    return false;
}

static struct import_text *text_new(struct import *im, const char *name, struct slice text)
{
    struct import_text *t = arena_alloc(&im->arena, sizeof *t);
    *t = (struct import_text){ .name = import_show(im, slice_str(name)), .rest = text };
    return t;
}

static struct import_text *open_given(struct import *im, const char *path, const struct import_from *from)
{
    const struct import_given *g = find_given(im, path, from);
    if (!g) left_out(im, from, "give it together with the others, or remove it", "%s is not among the files", import_show(im, slice_str(path)));
    return g && fits(im, path, g->text.n, from) ? text_new(im, g->name, g->text) : NULL;
}

struct import_text *import_open(struct import *im, const char *path, const struct import_from *from)
{
    struct stat st;
    const char *name;
    if (im->given) return open_given(im, path, from);
    int fd = find(im, path, from, &st, &name);
    if (fd < 0) {
        left_out(im, from, "make it readable, or remove it", "%s cannot be read: %s", import_show(im, slice_str(path)),
                 errno == ENOTSUP ? "it is no plain file" : strerror(errno));
        return NULL;
    }
    struct import_text *t = NULL;
    if (fits(im, path, st.st_size < 0 ? UINT64_MAX : (uint64_t)st.st_size, from)) {
        char *p = arena_alloc(&im->arena, (size_t)st.st_size + 1);
        t = text_new(im, name, slice_of(p, io_read_at(fd, p, (size_t)st.st_size, 0)));
    }
    close(fd);
    return t;
}

bool import_is_binary(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 0x20 && !strchr("\t\n\v\f\r", s.p[i])) || !s.p[i] || s.p[i] == 0x7F) return true;
    return false;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }

/* Comments and empty lines may stand between a line and its continuation. */
static bool take_logical(struct import_text *t, struct buf *b, uint32_t *first)
{
    *first = 0;
    while (t->rest.n) {
        struct slice rest = t->rest, line;
        slice_cut(&rest, '\n', &line);
        struct slice bare = slice_trim(line);
        bool comment = !bare.n || bare.p[0] == '#', more = bare.n && is_blank(line.p[0]);
        if (!comment && *first && !more) break;
        t->rest = rest;
        t->line++;
        if (*first) buf_add_char(b, t->lines ? '\n' : ' ');
        if (comment) continue;
        if (!*first) *first = t->line;
        buf_add(b, bare);
    }
    return *first != 0;
}

bool import_next(struct import *im, struct import_text *t, struct slice *line, struct import_from *from)
{
    struct buf b = { .max = IMPORT_LINE_MAX };
    uint32_t first;
    while (take_logical(t, &b, &first)) {
        *line = arena_slice(&im->arena, buf_slice(&b));
        bool overflow = b.overflow;
        buf_deinit(&b);
        *from = (struct import_from){ t->name, first, t->secret ? SLICE("***") : *line };
        if (!overflow && !import_is_binary(*line)) return true;
        left_out(im, from, NULL, "%s", overflow ? "the line is too long" : "the line has control characters");
    }
    buf_deinit(&b);
    return false;
}

bool import_word(struct slice *s, struct slice *word)
{
    size_t i = 0, depth = 0;
    while (i < s->n && (is_blank(s->p[i]) || s->p[i] == ',')) i++;
    size_t from = i;
    for (; i < s->n && (depth || (!is_blank(s->p[i]) && s->p[i] != ',')); i++) {
        if (s->p[i] == '{') depth++;
        else if (s->p[i] == '}' && depth) depth--;
    }
    *word = slice_sub(*s, from, i);
    *s = slice_sub(*s, i, s->n);
    if (word->n >= 2 && word->p[0] == '{' && word->p[word->n - 1] == '}') *word = slice_trim(slice_sub(*word, 1, word->n - 1));
    return i > from;
}

bool import_has_word(struct slice list, struct slice word)
{
    struct slice one;
    while (import_word(&list, &one))
        if (slice_ieq(one, word)) return true;
    return false;
}
