/* SPDX-License-Identifier: Apache-2.0
 * The table of scanners: what is opened, who is asked, and what is given to them. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "content/scanner_internal.h"

#define PASSWORD_MAX 500
#define ARGUMENTS_MAX 50

static void (*const asks[])(struct ask *a) = {
    [CONFIG_SCANNER_CLAMD] = scanner_ask_clamd,
    [CONFIG_SCANNER_ICAP] = scanner_ask_icap,
    [CONFIG_SCANNER_COMMAND] = scanner_ask_command,
    [CONFIG_SCANNER_SPAMD] = scanner_ask_spamd,
    [CONFIG_SCANNER_RSPAMD] = scanner_ask_rspamd,
    [CONFIG_SCANNER_MILTER] = scanner_ask_milter,
};

/* ---- opening */

/* Its first line. */
static bool read_password(struct scanner *s, struct err *err)
{
    const char *path = s->c->password_file;
    char text[PASSWORD_MAX + 1];
    if (!path) return true;
    struct err inner;
    int fd = io_open_file(path, &inner);
    if (fd < 0) return err_set(err, "scanner %s: %s", s->c->name, inner.text);
    ssize_t n = read(fd, text, sizeof text);
    int code = errno;
    close(fd);
    if (n < 0) return err_sys(err, code, "scanner %s: %s", s->c->name, path);
    struct slice all = slice_of(text, (size_t)n), line;
    slice_cut(&all, '\n', &line);
    line = slice_trim(line);
    bool ok = line.n > 0 && line.n < PASSWORD_MAX;
    for (size_t i = 0; i < line.n; i++) ok = ok && (unsigned char)line.p[i] >= ' ';
    if (ok) s->password = mem_slicedup(line);
    mem_wipe(text, sizeof text);
    return ok || err_set(err, "scanner %s: %s has no password in its first line", s->c->name, path);
}

/* "/usr/bin/x --y {}" at its blanks, as long as it runs. */
static bool split_command(struct scanner *s, struct err *err)
{
    struct slice rest = slice_str(s->c->command), word;
    size_t n = 0;
    if (!rest.n || rest.p[0] != '/') return err_set(err, "scanner %s: command begins with the absolute path of a program", s->c->name);
    s->argv = mem_zalloc((ARGUMENTS_MAX + 1) * sizeof *s->argv);
    while (rest.n) {
        slice_cut(&rest, ' ', &word);
        if (!word.n) continue;
        if (n == ARGUMENTS_MAX) return err_set(err, "scanner %s: command has more than %d words", s->c->name, ARGUMENTS_MAX);
        s->argv[n++] = mem_slicedup(word);
        s->by_file = s->by_file || strstr(s->argv[n - 1], "{}");
    }
    return true;
}

struct scanner *scanner_open(const struct config_scanner *c, const char *directory, struct err *err)
{
    struct scanner *s = mem_new(struct scanner);
    s->c = c;
    s->directory = mem_strdup(directory ? directory : "/tmp");
    bool command = c->type == CONFIG_SCANNER_COMMAND;
    if ((command ? split_command(s, err) : scanner_address_parse(s, err)) && read_password(s, err)) return s;
    scanner_close(&s);
    return NULL;
}

void scanner_close(struct scanner **s)
{
    struct scanner *x = *s;
    if (!x) return;
    *s = NULL;
    if (x->password) mem_wipe(x->password, strlen(x->password));
    for (size_t i = 0; x->argv && x->argv[i]; i++) free(x->argv[i]);
    free(x->argv);
    free(x->password);
    free(x->unresolved);
    free(x->directory);
    free(x);
}

/* ---- asking */

size_t scanner_pieces(const struct content_message *m, struct scanner_piece out[SCANNER_PIECES_MAX])
{
    size_t n = 0;
    out[n++] = (struct scanner_piece){ .data = m->bytes };
    for (size_t i = 1; i < m->part_n && n < SCANNER_PIECES_MAX; i++) {
        const struct content_part *p = &m->parts[i];
        if (!p->is_file || !p->data.n) continue;
        bool packed = false;
        for (uint32_t up = (uint32_t)i; up && !packed;) {
            up = m->parts[up].parent < up ? m->parts[up].parent : 0;
            packed = m->parts[up].findings & (CONTENT_ARCHIVE | CONTENT_DOCUMENT);
        }
        if (!packed) out[n++] = (struct scanner_piece){ .data = p->data, .name = p->name_n ? p->names[0] : SLICE("a file without a name") };
    }
    return n;
}

void scanner_ask(struct scanner *s, const struct content_message *m, const struct scan_context *c, const struct config *config,
                 uint64_t deadline, struct arena *arena, struct scanner_answer *out)
{
    uint64_t own = clock_mono_ms() + s->c->timeout;
    struct ask a = { .s = s, .m = m, .context = c, .config = config, .until = own < deadline ? own : deadline, .arena = arena, .out = out };
    *out = (struct scanner_answer){ .state = SCANNER_FINE };
    assert((size_t)s->c->type < countof(asks));
    if (s->c->max_size && m->bytes.n > s->c->max_size)
        (void)scanner_fail(&a, scanner_is_for_virus(s->c->type) ? SCANNER_TOO_LARGE : SCANNER_NOT_ASKED,
                           "the message has %zu bytes, and max_size is %llu", m->bytes.n, (unsigned long long)s->c->max_size);
    else asks[s->c->type](&a);
    if (out->virus_n && out->state != SCANNER_FINE) out->state = SCANNER_FINE;
    if (out->state == SCANNER_FINE) return;
    out->judged = false; /* a part of an answer is none */
    out->score = 0;
    out->symbol_n = out->action_n = out->edit_n = 0;
    out->prepend = slice_of(NULL, 0);
}
