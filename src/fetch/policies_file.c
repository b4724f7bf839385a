/* SPDX-License-Identifier: Apache-2.0
 * policies.json: what holds over restarts. Of two processes that share it the one that fetched a policy later is right. */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include "fetch/json_file.h"
#include "fetch/policies_int.h"

/* Was it written since we looked? */
static bool has_changed(struct policies *p)
{
    struct stat st = { 0 };
    (void)stat(p->file, &st);
    bool same = st.st_ino == p->seen.st_ino && st.st_size == p->seen.st_size &&
                !memcmp(&st.st_mtim, &p->seen.st_mtim, sizeof st.st_mtim);
    p->seen = st;
    return !same;
}

static void read_entry(struct policies *p, const char *domain, const json_t *v)
{
    const char *id = json_string_value(json_object_get(v, "id"));
    json_t *lines = json_object_get(v, "policy");
    uint64_t until = (uint64_t)json_integer_value(json_object_get(v, "until")), now = clock_wall_ms();
    uint64_t refresh_at = (uint64_t)json_integer_value(json_object_get(v, "refresh"));
    if (!id || strlen(id) > STS_ID_MAX || !json_is_array(lines) || strlen(domain) > 240 || until <= now) return;
    struct entry *e = policies_entry(p, domain);
    if (policy_holds(e) && e->refresh_at >= refresh_at) return;
    snprintf(e->id, sizeof e->id, "%s", id);
    e->until = until < now + STS_AGE_MAX * 1000ull ? until : now + STS_AGE_MAX * 1000ull;
    e->refresh_at = refresh_at;
    json_decref(e->lines);
    e->lines = json_incref(lines);
}

void policies_read_changes(struct policies *p)
{
    const char *domain;
    json_t *v;
    if (!has_changed(p)) return;
    json_t *all = json_load_file(p->file, 0, NULL); /* the first start, or damaged: it is all fetched again */
    json_object_foreach(all, domain, v) read_entry(p, domain, v);
    json_decref(all);
}

void policies_save(struct policies *p)
{
    size_t at = 0;
    struct entry *e;
    json_t *all = json_object();
    policies_read_changes(p);
    p->changed = false;
    p->saved_at = clock_mono_ms();
    while ((e = htable_next(&p->entries, &at)))
        if (policy_holds(e))
            json_object_set_new(all, e->domain, json_pack("{s:s, s:I, s:I, s:O}", "id", e->id, "until", (json_int_t)e->until,
                                                          "refresh", (json_int_t)e->refresh_at, "policy", e->lines));
    json_file_write(p->file, all, true, "sts-policies-not-saved");
    (void)has_changed(p);
    json_decref(all);
}

void policies_save_soon(struct policies *p)
{
    uint64_t pause = 1000 + p->entries.n / 2, passed = clock_mono_ms() - p->saved_at; /* the larger it is, the less often */
    if (p->changed) return;
    p->changed = true;
    if (!p->saved_at || passed > pause) passed = pause;
    event_add(p->save_timer, &(struct timeval){ (time_t)((pause - passed) / 1000), (suseconds_t)((pause - passed) % 1000 * 1000) });
}
