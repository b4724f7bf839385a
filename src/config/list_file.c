/* SPDX-License-Identifier: Apache-2.0
 * Files of entries: one on a line, perhaps followed by blanks and the reason that clients are told, or by # and a comment. The text
 * stays in memory, and the entries point into it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "config/list_parts.h"

/* The whole file with room for one more byte; NULL: *err. */
static char *read_all(int fd, const char *path, size_t *n, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        err_set_sys(err, errno, "cannot read %s", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)LIST_FILE_MAX) {
        if (!S_ISREG(st.st_mode)) err_set_text(err, "%s is not a file", path);
        else err_set_text(err, "%s is larger than %u MB", path, LIST_FILE_MAX >> 20);
        return NULL;
    }
    size_t room = (size_t)st.st_size;
    char *text = mem_alloc(room + 1);
    ssize_t got = 1;
    for (*n = 0; *n < room && got > 0; *n += (size_t)got)
        if ((got = read(fd, text + *n, room - *n)) < 0) {
            err_set_sys(err, errno, "cannot read %s", path);
            free(text);
            return NULL;
        }
    text[*n] = 0;
    return text;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* How long the entry at the beginning of a line is. Quoted local parts and expressions may have blanks in them. */
static size_t entry_length(struct slice line)
{
    bool quoted = false;
    if (line.p[0] == '/') {
        for (size_t i = 1; i < line.n; i++)
            if (line.p[i] == '/' && (i + 1 == line.n || is_blank(line.p[i + 1]))) return i + 1;
        return line.n;
    }
    for (size_t i = 0; i < line.n; i++) {
        if (quoted && line.p[i] == '\\') i++;
        else if (line.p[i] == '"') quoted = !quoted;
        else if (!quoted && is_blank(line.p[i])) return i;
    }
    return line.n;
}

/* line: trimmed and not empty, within `text` with a byte behind it that may be written. */
static bool add_line(struct list_match *l, struct slice line, char *text, struct list_entry *e, struct err *err)
{
    size_t n = entry_length(line), at = (size_t)(line.p - text);
    struct slice note = slice_trim(slice_sub(line, n, line.n));
    const char *why = NULL;
    if (memchr(line.p, 0, line.n)) return err_set(err, "the line has a NUL character");
    text[at + n] = text[at + line.n] = 0;
    e->match = text + at;
    e->reason = e->comment = NULL;
    if (slice_starts(note, SLICE("#"))) e->comment = slice_trim(slice_sub(note, 1, note.n)).p;
    else if (note.n) {
        why = match_reason_problem(note);
        e->reason = note.p;
    }
    return why ? err_set(err, "%s", why) : list_add(l, e, err);
}

static bool add_lines(struct list_match *l, const struct config_match *from, char *text, size_t size, struct err *err)
{
    struct list_entry e = { .file = from->file, .place = from->place, .proven = from->proven };
    struct slice rest = slice_of(text, size), line;
    struct err why;
    if (slice_starts(rest, SLICE("\xEF\xBB\xBF"))) rest = slice_sub(rest, 3, rest.n); /* a mark of some editors */
    while (rest.n) {
        slice_cut(&rest, '\n', &line);
        line = slice_trim(line);
        e.line++;
        if (!line.n || line.p[0] == '#') continue;
        if (add_line(l, line, text, &e, &why)) continue;
        struct buf shown = { 0 };
        buf_add_printable(&shown, slice_str(line.p), 100);
        err_set(err, "%s:%u: \"%s\": %s", from->file, e.line, buf_cstr(&shown), why.text);
        buf_deinit(&shown);
        return false;
    }
    return true;
}

bool list_add_file(struct list_match *l, const struct config_match *from, struct err *err)
{
    int fd = open(from->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t n = 0;
    if (fd < 0) return err_sys(err, errno, "cannot read %s", from->file);
    char *text = read_all(fd, from->file, &n, err);
    close(fd);
    if (!text) return false;
    l->texts = mem_grow(l->texts, l->text_n + 1, sizeof *l->texts);
    l->texts[l->text_n++] = text;
    return add_lines(l, from, text, n, err);
}
