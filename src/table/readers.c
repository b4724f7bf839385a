/* SPDX-License-Identifier: Apache-2.0
 * The threads: when they read, and what. */
#include "table/readers.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/client_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "table/source.h"
#include "table/watch.h"

#define READING_MS 300000     /* the longest that one reading may take */
#define TICK_MS 1000          /* between two looks at the files */
#define PASSWORD_MAX 1024
#define STATES_MAX (500u << 10) /* bytes */
#define STACK_SIZE (1u << 20)

/* What is seen of a file without reading it. */
struct seen {
    dev_t device;
    ino_t number;
    off_t size;
    struct timespec written, changed; /* `changed`: its rights, too */
};
struct file {
    struct watch watch;
    struct seen read, last;      /* when it was read; a second ago */
    bool done;                   /* it was read, well or not */
    uint64_t again;              /* monotonic: what is wrong is not in the file; 0: when it changes */
};
/* A directory or database, with all uses of it. */
struct reader {
    struct readers *all;
    const struct config_table *table;
    struct watch *watches;
    size_t watch_n;
    struct buf password;         /* as it was at the start */
    char why[200];               /* there is none */
};
struct readers {
    struct watch_world world;
    const struct config *config;
    struct tables *tables;       /* whose sources these are; NULL: the configuration is wrong, which a check tells */
    struct file *files;
    size_t file_n;
    struct reader *readers;
    size_t reader_n;
};

/* ---- waiting: for the time, or for somebody who wants it now */

static const bool never = false;

static void sleep_until(struct watch_world *w, uint64_t at, const bool *wanted)
{
    struct timespec ts = { (time_t)(at / 1000), (long)(at % 1000 * 1000000) };
    pthread_mutex_lock(&w->lock);
    while (!*wanted && clock_mono_ms() < at)
        if (pthread_cond_timedwait(&w->wake, &w->lock, &ts) != 0) break;
    pthread_mutex_unlock(&w->lock);
}

/* trouble: text empty: it is another process that may. */
static bool may_read(struct watch_world *w, struct err *trouble)
{
    pthread_mutex_lock(&w->lock);
    bool us = block_owner_is_us(&w->owner);
    *trouble = w->owner.trouble;
    pthread_mutex_unlock(&w->lock);
    return us;
}

/* There is no room for the lock, or no right to make it: nothing that is read could be kept. */
static void give_up(struct watch *w, const struct err *trouble)
{
    watch_begin(w);
    watch_break(w, trouble, 0);
}

/* ---- directories and databases */

static bool take_password(struct reader *r, struct buf *out, struct err *err)
{
    char why[200];
    const char *file = r->table->password_file;
    if (!file || auth_secret_file(file, PASSWORD_MAX, out, why)) return true; /* it may be another one by now */
    if (r->password.n) buf_add(out, buf_slice(&r->password));
    return r->password.n || err_set(err, "tables.%.60s.password_file: %.190s", r->table->name, r->why);
}

/* A server may say the password back to us. One that is so short is in every sentence. */
static void hide(char *text, const char *password)
{
    size_t n = strlen(password);
    for (char *at = n < 4 ? NULL : strstr(text, password); at; at = strstr(at + n, password)) memset(at, '*', n);
}

static bool read_source(struct reader *r, struct rows *rows, struct err *err)
{
    static source_read *const reads[] = { [CONFIG_TABLE_LDAP] = source_ldap, [CONFIG_TABLE_SQLITE] = source_sqlite,
                                          [CONFIG_TABLE_POSTGRESQL] = source_postgresql };
    struct buf password = { 0 };
    struct reading reading = { .config = r->all->config, .table = r->table, .deadline = clock_mono_ms() + READING_MS, .rows = rows };
    bool ok = take_password(r, &password, err);
    if (password.n) reading.password = slice_of(buf_cstr(&password), password.n);
    ok = ok && reads[r->table->type](&reading, err);
    if (!ok && password.n) hide(err->text, buf_cstr(&password));
    buf_wipe(&password);
    return ok;
}

static void take_rows(struct reader *r, struct rows *rows, uint64_t made, uint64_t next)
{
    const uint64_t soon = clock_wall_ms() + WATCH_RETRY_MS;
    for (size_t i = 0; i < r->watch_n; i++) {
        struct rows_use *use = &rows->uses[i];
        struct err err;
        size_t n;
        void *block = snapshot_finish(use->builder, made, &n);
        struct snapshot *s = snapshot_open(block, n, &err);
        if (s && use->skipped && !snapshot_entries(s)) { /* a column or attribute has become something else */
            err_set_text(&err, "none of its %llu rows can be used; %s", (unsigned long long)use->skipped, use->first);
            snapshot_free(s);
            s = NULL;
        }
        if (s) watch_take(&r->watches[i], s, use->skipped, use->first, next, false);
        else watch_break(&r->watches[i], &err, next < soon ? next : soon);
    }
}

/* Returns when it is read next, monotonic. */
static uint64_t read_once(struct reader *r)
{
    const struct config_table *t = r->table;
    const struct table_source *sources[LIST_OF_DOMAINS + 1];
    uint64_t made = clock_wall_ms();
    struct rows rows;
    struct err err = { 0 };
    for (size_t i = 0; i < r->watch_n; i++) {
        sources[i] = r->watches[i].source;
        watch_begin(&r->watches[i]);
    }
    watch_tell(&r->all->world);
    rows_init(&rows, t, sources, r->watch_n);
    bool ok = read_source(r, &rows, &err);
    uint64_t pause = ok || t->refresh < WATCH_RETRY_MS ? t->refresh : WATCH_RETRY_MS, next = clock_wall_ms() + pause;
    if (ok) take_rows(r, &rows, made, next);
    for (size_t i = 0; !ok && i < r->watch_n; i++) watch_break(&r->watches[i], &err, next);
    rows_deinit(&rows);
    for (size_t i = 0; i < r->watch_n; i++)
        if (r->watches[i].told.state == WATCH_BROKEN && pause > WATCH_RETRY_MS) pause = WATCH_RETRY_MS;
    return clock_mono_ms() + pause;
}

static void *run_reader(void *arg)
{
    struct reader *r = arg;
    struct err trouble;
    for (;;) {
        uint64_t next = 0;
        if (may_read(&r->all->world, &trouble)) next = read_once(r);
        for (size_t i = 0; trouble.text[0] && i < r->watch_n; i++) give_up(&r->watches[i], &trouble);
        sleep_until(&r->all->world, clock_mono_ms() + TICK_MS, &never); /* not faster than that, whoever asks */
        sleep_until(&r->all->world, next, &r->watches[0].wanted);
    }
    return NULL;
}

/* ---- files */

static bool look(const char *path, struct seen *out, struct err *err)
{
    struct stat st;
    memset(out, 0, sizeof *out); /* they are compared as they lie there */
    if (stat(path, &st) != 0) return err_sys(err, errno, "cannot read %.200s", path);
    out->device = st.st_dev;
    out->number = st.st_ino;
    out->size = st.st_size;
    out->written = st.st_mtim;
    out->changed = st.st_ctim;
    return true;
}

static bool same(const struct seen *a, const struct seen *b) { return !memcmp(a, b, sizeof *a); }

static void mend_hint(struct err *err)
{
    size_t n = strlen(err->text);
    if (err->code == EACCES || err->code == EPERM) snprintf(err->text + n, sizeof err->text - n, ": system.table_user must be able to read it");
}

static void read_file(struct file *f)
{
    const struct table_source *s = f->watch.source;
    struct seen after;
    struct err err;
    size_t n = 0;
    bool first = !f->done;
    watch_begin(&f->watch);
    void *block = tables_read_file(s, &n, &err);
    struct snapshot *read = block ? snapshot_open(block, n, &err) : NULL;
    struct err gone;
    if (!look(s->table->file, &after, &gone) || !same(&after, &f->last)) { /* it is being written: once more when it is quiet */
        snapshot_free(read);
        watch_put_off(&f->watch);
        return;
    }
    f->read = f->last;
    f->done = true;
    bool wrong = !read && !err.code; /* the file itself */
    if (read) {
        watch_take(&f->watch, read, 0, "", 0, first); /* who was started meanwhile has read something in between, perhaps */
    } else {
        mend_hint(&err);
        watch_break(&f->watch, &err, wrong ? 0 : clock_wall_ms() + WATCH_RETRY_MS);
    }
    f->again = f->watch.told.state == WATCH_BROKEN && !wrong ? clock_mono_ms() + WATCH_RETRY_MS : 0;
}

/* A file counts when it is another one than was read, and has been quiet for a second. */
static void look_after(struct file *f)
{
    struct seen now;
    struct err err;
    bool wanted = watch_wanted(&f->watch);
    if (!look(f->watch.source->table->file, &now, &err)) {
        bool told = f->watch.told.state == WATCH_BROKEN && !f->last.number && !wanted;
        memset(&f->last, 0, sizeof f->last);
        memset(&f->read, 0, sizeof f->read);
        if (told) return;
        watch_begin(&f->watch);
        mend_hint(&err);
        watch_break(&f->watch, &err, 0);
        return;
    }
    bool quiet = same(&now, &f->last), fresh = !f->done && !f->last.number;
    f->last = now;
    bool again = f->again && clock_mono_ms() >= f->again;
    if (wanted || fresh || again || (quiet && !same(&now, &f->read))) read_file(f);
}

static void *run_files(void *arg)
{
    struct readers *r = arg;
    struct err trouble = { .text = "" };
    for (;;) {
        bool before = trouble.text[0];
        uint64_t next = clock_mono_ms() + TICK_MS;
        if (may_read(&r->world, &trouble) && before) readers_refresh(r, NULL); /* what was told of them is over */
        for (size_t i = 0; may_read(&r->world, &trouble) && i < r->file_n; i++) look_after(&r->files[i]);
        for (size_t i = 0; trouble.text[0] && i < r->file_n; i++) give_up(&r->files[i].watch, &trouble);
        sleep_until(&r->world, next, &never);
    }
    return NULL;
}

/* ---- all of them */

static struct reader *reader_of(struct readers *r, const struct config_table *t)
{
    for (size_t i = 0; i < r->reader_n; i++)
        if (r->readers[i].table == t) return &r->readers[i];
    struct reader *one = &r->readers[r->reader_n++];
    *one = (struct reader){ .all = r, .table = t, .watches = mem_zalloc((LIST_OF_DOMAINS + 1) * sizeof *one->watches) };
    if (t->password_file && !auth_secret_file(t->password_file, PASSWORD_MAX, &one->password, one->why)) buf_clear(&one->password);
    return one;
}

static void init_lock(struct watch_world *w)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
}

struct readers *readers_new(const struct config *c, const char *directory)
{
    struct readers *r = mem_new(struct readers);
    struct err err;
    r->config = c;
    r->world.directory = directory;
    r->world.owner.fd = -1;
    r->world.told_fd = -1;
    init_lock(&r->world);
    r->tables = tables_new_of_sources(c, &err);
    size_t n = r->tables ? tables_count(r->tables) : 0;
    r->files = mem_zalloc((n + 1) * sizeof *r->files);
    r->readers = mem_zalloc((n + 1) * sizeof *r->readers);
    for (size_t i = 0; i < n; i++) {
        const struct table_source *s = tables_source(r->tables, i);
        if (config_table_is_lines(s->table->type)) {
            r->files[r->file_n++].watch.source = s;
        } else {
            struct reader *one = reader_of(r, s->table);
            one->watches[one->watch_n++].source = s;
        }
    }
    return r;
}

static bool start_thread(void *(*run)(void *), void *arg, struct err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    int rc = pthread_create(&thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    return rc == 0 || err_sys(err, rc, "starting a thread for a table");
}

bool readers_start(struct readers *r, int told, struct err *err)
{
    r->world.told_fd = told;
    block_owner_take(&r->world.owner, r->world.directory);
    if (r->tables) block_file_clean(r->world.directory, r->tables);
    for (size_t i = 0; i < r->file_n; i++) watch_init(&r->files[i].watch, &r->world, r->files[i].watch.source);
    for (size_t i = 0; i < r->reader_n; i++) {
        struct reader *one = &r->readers[i];
        for (size_t k = 0; k < one->watch_n; k++) watch_init(&one->watches[k], &r->world, one->watches[k].source);
        if (!start_thread(run_reader, one, err)) return false;
    }
    return !r->file_n || start_thread(run_files, r, err);
}

/* Calls `visit` for each, under the lock or not as the callee likes. */
static void each(struct readers *r, void (*visit)(struct watch *w, void *arg), void *arg)
{
    for (size_t i = 0; i < r->reader_n; i++)
        for (size_t k = 0; k < r->readers[i].watch_n; k++) visit(&r->readers[i].watches[k], arg);
    for (size_t i = 0; i < r->file_n; i++) visit(&r->files[i].watch, arg);
}

static void want(struct watch *w, void *arg)
{
    const char *name = arg;
    if (!name || !strcmp(w->source->table->name, name)) w->wanted = true;
}

void readers_refresh(struct readers *r, const char *name)
{
    pthread_mutex_lock(&r->world.lock);
    each(r, want, (void *)(uintptr_t)name);
    pthread_cond_broadcast(&r->world.wake);
    pthread_mutex_unlock(&r->world.lock);
    watch_tell(&r->world);
}

struct states {
    json_t *all;
    size_t bytes;
};

/* They must fit into a frame; of those that do not nothing is known. */
static void add_state(struct watch *w, void *arg)
{
    struct states *s = arg;
    json_t *one = watch_json(w);
    s->bytes += json_dumpb(one, NULL, 0, JSON_COMPACT);
    if (s->bytes < STATES_MAX) json_array_append(s->all, one);
    json_decref(one);
}

json_t *readers_state(struct readers *r)
{
    struct states s = { .all = json_array() };
    each(r, add_state, &s);
    return s.all;
}
