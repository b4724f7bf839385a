/* SPDX-License-Identifier: Apache-2.0
 * Rows of tables, checked and added; and files of them: an entry on a line, perhaps followed by blanks and what it stands for (aliases and
 * mappings) or the reason that clients are told (all others), or by # and a comment. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "config/list.h"
#include "config/tables_parts.h"
#include "smtp/address.h"

#define VALUE_SHOWN 60
#define FILE_MAX (64u << 20) /* bytes */

/* ---- one row */

/* What the table's type allows, of what its use does. */
static const char *check_form(const struct match *m, enum config_table_type type)
{
    bool net = m->form == MATCH_NETWORK, one = net && m->net.prefix == (m->net.ip.family == 4 ? 32 : 128);
    switch (type) {
    case CONFIG_TABLE_EXACT:
        if (m->form == MATCH_EXPRESSION) return "a regular expression: a table of type exact has none";
        if (m->form == MATCH_TREE) return "a domain with all below it: a table of type exact has single names";
        return net && !one ? "a network: a table of type exact has single addresses" : NULL;
    case CONFIG_TABLE_CIDR: return net ? NULL : "neither an IP address nor a network, and the table is of type cidr";
    case CONFIG_TABLE_PCRE: return m->form == MATCH_EXPRESSION ? NULL : "no regular expression between two slashes, and the table is of type pcre";
    default: return NULL;
    }
}

static bool wrong_value(struct slice value, const char *why, struct err *err)
{
    struct buf shown = { 0 };
    buf_add_printable(&shown, value, VALUE_SHOWN);
    err_set_text(err, "\"%s\" is %s", buf_cstr(&shown), why);
    buf_deinit(&shown);
    return false;
}

static bool is_local(struct slice s)
{
    struct match m;
    return slice_find(s, '@') < 0 && s.p[0] != '"' && !match_parse(s, LIST_OF_ALIASES, &m) && m.form == MATCH_USER;
}

static bool check_addresses(struct slice rest, struct err *err)
{
    struct slice part;
    struct address a;
    char domain[256];
    for (bool more = true; more;) {
        more = slice_cut(&rest, ',', &part);
        part = slice_trim(part);
        if (!part.n) return err_set(err, "there is an empty place among the addresses that it stands for");
        if (strchr("|/:", part.p[0])) return wrong_value(part, "a command, a file or an included list: mail is not given to them", err);
        if (is_local(part)) continue;
        if (address_parse(part, &a) || a.kind != ADDRESS_NAME || !address_domain_ascii(a.domain, domain))
            return wrong_value(part, "neither an address nor a name", err);
    }
    return true;
}

static bool check_value(enum list_of of, struct slice value, struct err *err)
{
    char domain[256];
    if (!value.n) return err_set(err, of == LIST_OF_ALIASES ? "it has no addresses that it stands for" : "it has no domain that takes its place");
    if (value.n > SNAPSHOT_TEXT_MAX) return err_set(err, "what it stands for is longer than %u bytes", SNAPSHOT_TEXT_MAX);
    if (of == LIST_OF_ALIASES) return check_addresses(value, err);
    return (slice_find(value, '@') < 0 && address_domain_ascii(value, domain)) || wrong_value(value, "no domain", err);
}

struct row {
    struct slice entry, value, comment;
    const char *reason;      /* NULL: none */
    uint32_t line;
    bool join;
    struct arena *arena;     /* for what is needed while it is added */
};

static bool check_expression(const struct snapshot_builder *b, struct slice expression, struct err *err)
{
    if (snapshot_builder_expressions(b) == LIST_EXPRESSIONS_MAX) {
        err_set_text(err, "more than %d regular expressions in one table", LIST_EXPRESSIONS_MAX);
        err->code = E2BIG;
        return false;
    }
    struct pcre2_real_code_8 *code = match_compile(expression, err);
    match_free(code);
    return code;
}

static const char *copy(struct arena *a, struct slice s) { return s.n ? arena_strdup(a, s) : NULL; }

static bool add_entry(struct snapshot_builder *b, const struct match *m, const struct row *r, struct err *err)
{
    char room[MATCH_KEY_MAX];
    struct snapshot_entry e = { .form = SNAPSHOT_KEY, .match = arena_strdup(r->arena, r->entry), .value = copy(r->arena, r->value),
                                .comment = copy(r->arena, r->comment), .reason = r->reason, .line = r->line };
    if (m->form == MATCH_EXPRESSION) e.form = SNAPSHOT_EXPRESSION;
    else if (m->form == MATCH_NETWORK) e.form = SNAPSHOT_NETWORK, e.net = m->net;
    else e.key = match_key(m, room);
    bool ok = snapshot_add(b, &e, r->join, err);
    arena_reset(r->arena);
    return ok;
}

static bool add_row(struct snapshot_builder *b, const struct table_source *s, const struct row *r, struct err *err)
{
    struct match m;
    const char *why = match_parse(r->entry, s->of, &m);
    err->code = 0;
    if (!why) why = check_form(&m, s->table->type);
    if (why) return err_set(err, "%s", why);
    if (list_has_values(s->of) && !check_value(s->of, r->value, err)) return false;
    if (m.form == MATCH_EXPRESSION && !check_expression(b, m.expression, err)) return false;
    if (!add_entry(b, &m, r, err)) return false;
    if (snapshot_builder_entries(b) <= s->table->entries) return true;
    err_set_text(err, "more than %u entries (tables.%s.entries)", s->table->entries, s->table->name);
    err->code = E2BIG;
    return false;
}

bool tables_add_row(struct snapshot_builder *b, const struct table_source *s, struct slice entry, struct slice value, struct err *err)
{
    char reason[MATCH_REASON_MAX + 1] = "";
    struct arena arena = { 0 };
    struct row r = { .entry = slice_trim(entry), .value = slice_trim(value), .join = true, .arena = &arena };
    if (!list_has_values(s->of)) {
        if (r.value.n && !match_reason_problem(r.value)) r.reason = memcpy(reason, r.value.p, r.value.n);
        r.value = SLICE("");
    }
    bool ok = add_row(b, s, &r, err);
    arena_deinit(&arena);
    return ok;
}

/* ---- files */

/* The whole file; NULL: *err. */
static char *read_all(int fd, const char *path, size_t *n, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        err_set_sys(err, errno, "cannot read %.200s", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX) {
        if (!S_ISREG(st.st_mode)) err_set_text(err, "%.200s is not a file", path);
        else err_set_text(err, "%.200s is larger than %u MB", path, FILE_MAX >> 20);
        return NULL;
    }
    char *text = mem_alloc((size_t)st.st_size + 1);
    errno = 0;
    *n = io_read_at(fd, text, (size_t)st.st_size, 0);
    if (*n == (size_t)st.st_size || !errno) return text;
    err_set_sys(err, errno, "cannot read %.200s", path);
    free(text);
    return NULL;
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

/* Where a comment begins behind values, which may have a # in them themselves: behind a blank, but not where another value is due. */
static size_t comment_at(struct slice note)
{
    for (size_t i = 0; i < note.n; i++) {
        if (note.p[i] != '#' || (i && !is_blank(note.p[i - 1]))) continue;
        struct slice before = slice_trim(slice_sub(note, 0, i));
        if (!before.n || before.p[before.n - 1] != ',') return i;
    }
    return note.n;
}

/* line: trimmed and not empty. */
static bool add_line(struct snapshot_builder *b, const struct table_source *s, struct slice line, uint32_t number, struct arena *arena,
                     struct err *err)
{
    size_t n = entry_length(line);
    struct slice note = slice_trim(slice_sub(line, n, line.n));
    struct row r = { .entry = slice_sub(line, 0, n), .line = number, .arena = arena };
    char reason[MATCH_REASON_MAX + 1] = "";
    size_t at = list_has_values(s->of) ? comment_at(note) : note.n && note.p[0] == '#' ? 0 : note.n;
    if (memchr(line.p, 0, line.n)) return err_set(err, "the line has a NUL character");
    if (at < note.n) r.comment = slice_trim(slice_sub(note, at + 1, note.n));
    note = slice_trim(slice_sub(note, 0, at));
    if (list_has_values(s->of)) r.value = note;
    else if (note.n) {
        const char *why = match_reason_problem(note);
        if (why) return err_set(err, "%s", why);
        r.reason = memcpy(reason, note.p, note.n);
    }
    return add_row(b, s, &r, err);
}

static bool wrong_line(const struct table_source *s, struct slice line, uint32_t number, const struct err *why, struct err *err)
{
    struct buf shown = { 0 };
    size_t n = entry_length(line);
    const char *nul = memchr(line.p, 0, n);
    buf_add_printable(&shown, slice_sub(line, 0, nul ? (size_t)(nul - line.p) : n), 100);
    err_set_text(err, "%.120s:%u: \"%s\": %s", s->table->file, number, buf_cstr(&shown), why->text);
    buf_deinit(&shown);
    return false;
}

static bool add_lines(struct snapshot_builder *b, const struct table_source *s, struct slice rest, struct err *err)
{
    struct slice line;
    struct err why;
    struct arena arena = { 0 };
    uint32_t number = 0;
    bool ok = true;
    if (slice_starts(rest, SLICE("\xEF\xBB\xBF"))) rest = slice_sub(rest, 3, rest.n); /* a mark of some editors */
    while (rest.n && ok) {
        slice_cut(&rest, '\n', &line);
        line = slice_trim(line);
        number++;
        if (!line.n || line.p[0] == '#' || add_line(b, s, line, number, &arena, &why)) continue;
        ok = wrong_line(s, line, number, &why, err);
    }
    arena_deinit(&arena);
    return ok;
}

void *tables_read_file(const struct table_source *s, size_t *n, struct err *err)
{
    const uint64_t made = clock_wall_ms();
    int fd = open(s->table->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t size = 0;
    if (fd < 0) {
        err_set_sys(err, errno, "cannot read %.200s", s->table->file);
        return NULL;
    }
    char *text = read_all(fd, s->table->file, &size, err);
    close(fd);
    if (!text) return NULL;
    struct snapshot_builder *b = snapshot_builder_new();
    void *block = add_lines(b, s, slice_of(text, size), err) ? snapshot_finish(b, made, n) : NULL;
    free(text);
    snapshot_builder_free(b);
    return block;
}

struct snapshot *table_read_source(const struct table *t, struct err *err)
{
    size_t n = 0;
    void *block = tables_read_file(&t->source, &n, err);
    return block ? snapshot_open(block, n, err) : NULL;
}
