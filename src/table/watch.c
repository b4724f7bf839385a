/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a reading. */
#include "table/watch.h"
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static const char *const uses[] = { [LIST_OF_CLIENTS] = "clients", [LIST_OF_ADDRESSES] = "addresses", [LIST_OF_ALIASES] = "aliases",
                                    [LIST_OF_MAPPINGS] = "mappings", [LIST_OF_DOMAINS] = "domains" };
static const char *const types[] = { [CONFIG_TABLE_ANY] = "file", [CONFIG_TABLE_EXACT] = "exact", [CONFIG_TABLE_CIDR] = "cidr",
                                     [CONFIG_TABLE_PCRE] = "pcre", [CONFIG_TABLE_LDAP] = "ldap", [CONFIG_TABLE_SQLITE] = "sqlite",
                                     [CONFIG_TABLE_POSTGRESQL] = "postgresql" };
static const char *const states[] = { [WATCH_WAITING] = "waiting", [WATCH_KEPT] = "kept", [WATCH_GOOD] = "good", [WATCH_BROKEN] = "broken" };

static const char *name_of(const struct watch *w) { return w->source->table->name; }
static const char *use_of(const struct watch *w) { return uses[w->source->of]; }

void watch_tell(struct watch_world *world)
{
    uint64_t one = 1;
    if (write(world->told_fd, &one, sizeof one) < 0) return; /* it is full: the loop will look */
}

void watch_init(struct watch *w, struct watch_world *world, const struct table_source *s)
{
    *w = (struct watch){ .world = world, .source = s, .wanted = true };
    struct snapshot *before = block_file_read(world->directory, s->id);
    if (!before) return;
    w->told.state = WATCH_KEPT;
    w->told.entries = snapshot_entries(before);
    w->told.made = snapshot_made(before);
    snapshot_free(before);
}

void watch_begin(struct watch *w)
{
    pthread_mutex_lock(&w->world->lock);
    w->told.reading = true;
    w->wanted = false;
    pthread_mutex_unlock(&w->world->lock);
}

bool watch_wanted(struct watch *w)
{
    pthread_mutex_lock(&w->world->lock);
    bool wanted = w->wanted;
    pthread_mutex_unlock(&w->world->lock);
    return wanted;
}

void watch_put_off(struct watch *w)
{
    pthread_mutex_lock(&w->world->lock);
    w->told.reading = false;
    w->wanted = true;
    pthread_mutex_unlock(&w->world->lock);
}

/* Returns what was told before. */
static struct watch_told tell(struct watch *w, const struct watch_told *now)
{
    pthread_mutex_lock(&w->world->lock);
    struct watch_told before = w->told;
    w->told = *now;
    w->told.tried = clock_wall_ms();
    pthread_mutex_unlock(&w->world->lock);
    watch_tell(w->world);
    return before;
}

/* ---- trouble */

static bool is_owner(struct watch *w)
{
    pthread_mutex_lock(&w->world->lock);
    bool us = block_owner_is_us(&w->world->owner);
    pthread_mutex_unlock(&w->world->lock);
    return us;
}

void watch_break(struct watch *w, const struct err *err, uint64_t next)
{
    struct watch_told now = w->told; /* this thread alone writes it */
    now.state = WATCH_BROKEN;
    now.reading = false;
    now.next = next;
    snprintf(now.error, sizeof now.error, "%s", err->text);
    struct watch_told before = tell(w, &now);
    if (before.state == WATCH_BROKEN && !strcmp(before.error, now.error)) return;
    log_event(before.state == WATCH_BROKEN ? LOG_DEBUG : LOG_WARNING, "table-broken", LOG_STR("table", name_of(w)), LOG_STR("use", use_of(w)),
              LOG_ERR(err), LOG_NUM("entries", now.made ? now.entries : 0),
              LOG_STR("keeps", now.made ? "the last good state" : "nothing, as it was never read"));
}

/* ---- a new state */

static void log_skipped(const struct watch *w, const struct watch_told *before, const struct watch_told *now)
{
    if (!now->skipped || (before->skipped == now->skipped && !strcmp(before->first, now->first))) return;
    log_event(LOG_WARNING, "table-rows", LOG_STR("table", name_of(w)), LOG_STR("use", use_of(w)), LOG_NUM("skipped", now->skipped),
              LOG_STR("first", now->first));
}

/* The newest block may be of another process: what is on disk is what counts. */
static bool put(struct watch *w, struct snapshot *s, bool always, struct watch_told *now, bool *changed, struct err *err)
{
    struct snapshot *there = block_file_read(w->world->directory, w->source->id);
    bool same = there && snapshot_same(there, s), stays = same && (!always || snapshot_made(there) >= snapshot_made(s));
    *changed = !same;
    now->made = snapshot_made(stays ? there : s);
    snapshot_free(there);
    return stays || block_file_write(w->world->directory, w->source->id, s, err);
}

static bool check_size(const struct watch *w, const struct snapshot *s, struct err *err)
{
    const struct config_table *t = w->source->table;
    if (!t->entries || snapshot_entries(s) <= t->entries) return true;
    return err_set(err, "%s has %zu entries, more than the %u of tables.%.60s.entries: raise that, or make it smaller", t->file ? t->file : "it",
                   snapshot_entries(s), t->entries, t->name);
}

void watch_take(struct watch *w, struct snapshot *s, uint64_t skipped, const char *first, uint64_t next, bool always)
{
    struct watch_told now = { .state = WATCH_GOOD, .entries = snapshot_entries(s), .skipped = skipped, .next = next };
    struct err err;
    bool changed = false, owner = is_owner(w);
    snprintf(now.first, sizeof now.first, "%s", first);
    if (!owner || !check_size(w, s, &err) || !put(w, s, always, &now, &changed, &err)) {
        snapshot_free(s);
        uint64_t soon = clock_wall_ms() + WATCH_RETRY_MS;
        if (owner && is_owner(w)) watch_break(w, &err, next && next < soon ? next : soon);
        return;
    }
    snapshot_free(s);
    struct watch_told before = tell(w, &now);
    if (changed)
        log_event(before.entries && !now.entries ? LOG_WARNING : LOG_INFO, "table-changed", LOG_STR("table", name_of(w)), LOG_STR("use", use_of(w)),
                  LOG_NUM("entries", now.entries), LOG_NUM("before", before.made ? before.entries : 0));
    log_skipped(w, &before, &now);
    if (before.state == WATCH_BROKEN)
        log_event(LOG_INFO, "table-good", LOG_STR("table", name_of(w)), LOG_STR("use", use_of(w)), LOG_NUM("entries", now.entries));
}

/* ---- for people */

/* JSON is UTF-8; an error may have been cut within a character. */
static json_t *text_of(const char *s)
{
    size_t n = strlen(s);
    json_t *j = json_string(s);
    for (size_t less = 1; !j && less < 4 && less <= n; less++) j = json_stringn(s, n - less);
    return j ? j : json_string("");
}

static const char *source_of(const struct config_table *t)
{
    return t->file ? t->file : t->ldap.url ? t->ldap.url : ""; /* of PostgreSQL: who writes a password into it should not meet it again */
}

json_t *watch_json(struct watch *w)
{
    const struct config_table *t = w->source->table;
    pthread_mutex_lock(&w->world->lock);
    struct watch_told s = w->told;
    bool reading = s.reading || w->wanted;
    pthread_mutex_unlock(&w->world->lock);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:o, s:I, s:o, s:s}", "name", t->name, "use", use_of(w), "type",
                     types[t->type], "id", w->source->id, "state", states[s.state], "entries", (json_int_t)s.entries, "made",
                     (json_int_t)s.made, "tried", (json_int_t)s.tried, "next", (json_int_t)s.next, "reading", reading, "error",
                     text_of(s.state == WATCH_BROKEN ? s.error : ""), "skipped", (json_int_t)s.skipped, "first", text_of(s.first), "source", source_of(t));
}
