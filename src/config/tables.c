/* SPDX-License-Identifier: Apache-2.0
 * The tables of a process: blocks that are taken up when there are newer ones, and kept for a while after. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "config/tables.h"
#include <errno.h>
#include <fcntl.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/tables_parts.h"

#define FORMERS_MAX (64u << 20) /* bytes of the blocks of one table */

/* ---- taking up */

static void take_up(struct table *t, struct snapshot *s)
{
    t->made = snapshot_made(s);
    t->told = false;
    if (t->now && snapshot_same(t->now, s)) {
        snapshot_free(s);
        return;
    }
    if (t->now) {
        struct table_former *f = mem_new(struct table_former);
        *f = (struct table_former){ t->formers, t->now, clock_mono_ms() };
        t->formers = f;
    }
    t->now = s;
    t->serial++;
    table_compile(t);
}

static void forget_formers(struct table *t, uint64_t before)
{
    struct table_former **at = &t->formers; /* the newest is the first */
    while (*at && (*at)->since >= before) at = &(*at)->next;
    while (*at) {
        struct table_former *f = *at;
        *at = f->next;
        snapshot_free(f->snapshot);
        free(f);
    }
}

static struct snapshot *read_block(int fd, size_t n, struct err *err)
{
    char *block = malloc(n ? n : 1);
    if (!block) {
        err_set_text(err, "there is no memory for it (%zu MB)", n >> 20);
        return NULL;
    }
    errno = 0;
    if (io_read_at(fd, block, n, 0) == n) return snapshot_open(block, n, err);
    if (errno) err_set_sys(err, errno, "cannot read it");
    else err_set_text(err, "the table is cut short");
    free(block);
    return NULL;
}

/* A clock that was set back must not keep the old block for ever. */
static bool is_newer(const struct table *t, const struct snapshot *s)
{
    return !t->now || snapshot_made(s) > t->made || t->made > clock_wall_ms() + 1000;
}

static void tell(struct table *t, const struct err *why)
{
    if (!t->told) log_event(LOG_WARNING, "table-unusable", LOG_STR("table", table_name(t)), LOG_STR("file", t->source.id), LOG_ERR(why));
    t->told = true;
}

/* Of its blocks, with the former ones. */
static size_t size_of(const struct table *t)
{
    size_t n = t->now ? snapshot_size(t->now) : 0;
    for (const struct table_former *f = t->formers; f; f = f->next) n += snapshot_size(f->snapshot);
    return n;
}

/* Former blocks must stay for a while, but not fill the memory: then the newest has to wait. */
static bool has_room(const struct table *t) { return !t->formers || size_of(t) <= FORMERS_MAX; }

static int open_block(const struct table *t, struct stat *st)
{
    char path[4400];
    int n = snprintf(path, sizeof path, "%s/%s.table", t->tables->folder, t->source.id);
    if (n < 0 || (size_t)n >= sizeof path || stat(path, st) < 0) return -1;
    if (t->number == st->st_ino && t->size == st->st_size && t->changed.tv_sec == st->st_mtim.tv_sec && t->changed.tv_nsec == st->st_mtim.tv_nsec)
        return -1;
    if (!has_room(t)) return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
}

static void poll_one(struct table *t)
{
    struct stat st = { 0 };
    struct err err = { 0 };
    errno = 0;
    int fd = open_block(t, &st);
    if (fd < 0) {
        if (errno == ENOENT || !errno) return;
        err_set_sys(&err, errno, "cannot read it");
        tell(t, &err);
        return;
    }
    struct snapshot *s = NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > SNAPSHOT_MAX) err_set_text(&err, "it is no table");
    else s = read_block(fd, (size_t)st.st_size, &err);
    close(fd);
    t->number = st.st_ino;
    t->size = st.st_size;
    t->changed = st.st_mtim;
    if (!s) tell(t, &err);
    else if (is_newer(t, s)) take_up(t, s);
    else snapshot_free(s);
}

void tables_poll(struct tables *t)
{
    uint64_t now = clock_mono_ms();
    for (size_t i = 0; i < t->n; i++) {
        poll_one(t->all[i]);
        if (t->all[i]->formers && now > TABLES_GRACE) forget_formers(t->all[i], now - TABLES_GRACE);
    }
}

/* ---- the set */

/* What is in the folder was read from it before; the file itself is newer. Where that is broken, the block is what is left. */
static bool read_file(struct table *t, struct err *err)
{
    struct snapshot *s = table_read_source(t, err);
    if (!s) {
        poll_one(t);
        if (!t->now) return false;
        t->fault = *err;
        return true;
    }
    take_up(t, s);
    return true;
}

static bool read_all(struct tables *t, struct err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!config_table_is_lines(t->all[i]->source.table->type)) poll_one(t->all[i]);
        else if (!read_file(t->all[i], err)) return false;
    }
    return true;
}

static struct tables *make(const struct config *c)
{
    struct tables *t = mem_new(struct tables);
    struct buf folder = { 0 };
    buf_addf(&folder, "%s/tables", c && c->system.directory ? c->system.directory : "");
    t->folder = mem_strdup(buf_cstr(&folder));
    t->config = c;
    buf_deinit(&folder);
    return t;
}

static struct tables *finish(struct tables *t, bool ok)
{
    if (ok) return t;
    tables_free(t);
    return NULL;
}

struct tables *tables_new(const struct config *c, struct err *err)
{
    struct tables *t = make(c);
    return finish(t, tables_find_sources(t, c, err) && read_all(t, err));
}

struct tables *tables_new_of_sources(const struct config *c, struct err *err)
{
    struct tables *t = make(c);
    return finish(t, tables_find_sources(t, c, err));
}

struct tables *tables_new_of_list(const struct config_match_list *list, enum list_of of, struct err *err)
{
    struct tables *t = make(NULL);
    return finish(t, tables_find_in_list(t, list, of, err) && read_all(t, err));
}

static void free_table(struct table *t)
{
    table_forget_expressions(t);
    forget_formers(t, UINT64_MAX);
    snapshot_free(t->now);
    free(t);
}

void tables_free(struct tables *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n; i++) free_table(t->all[i]);
    pcre2_match_data_free(t->match_data);
    pcre2_match_context_free(t->match_limits);
    free(t->all);
    free(t->folder);
    free(t);
}

void tables_forget_unused(struct tables *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->all[i]->used) t->all[n++] = t->all[i];
        else free_table(t->all[i]);
    }
    t->n = n;
}

const struct err *tables_fault(const struct tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i]->fault.text[0]) return &t->all[i]->fault;
    return NULL;
}

size_t tables_size(const struct tables *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += size_of(t->all[i]);
    return n;
}

size_t tables_count(const struct tables *t) { return t->n; }
const struct table_source *tables_source(const struct tables *t, size_t i) { return &t->all[i]->source; }

/* ---- asking */

struct table *tables_of_name(const struct tables *t, const char *name, enum list_of of)
{
    for (size_t i = 0; i < t->n; i++) {
        struct table *one = t->all[i];
        if (one->source.of != of || one->source.table == &one->own || strcmp(one->source.table->name, name) != 0) continue;
        one->used = true;
        return one;
    }
    return NULL;
}

struct table *tables_of_file(const struct tables *t, const char *path, enum list_of of)
{
    for (size_t i = 0; i < t->n; i++) {
        struct table *one = t->all[i];
        if (one->source.of != of || one->source.table != &one->own || strcmp(one->own.file, path) != 0) continue;
        one->used = true;
        return one;
    }
    return NULL;
}

const struct snapshot *table_snapshot(const struct table *t) { return t->now; }
uint64_t table_serial(const struct table *t) { return t->serial; }
const char *table_name(const struct table *t) { return t->source.table->name; }
const struct table_source *table_source(const struct table *t) { return &t->source; }
