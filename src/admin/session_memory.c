/* SPDX-License-Identifier: Apache-2.0
 * Sessions that the database cannot take: a full disk must not keep out those who would make room. */
#include <stdio.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/log.h"

#define STEP_VALID_MS 120000 /* a code is none any more after that */

static void forget(struct memory_session *s) { *s = (struct memory_session){ 0 }; }

int64_t memory_add(struct auth *u, const struct account *one, const char *address, const char *token)
{
    struct session_memory *m = &u->memory;
    struct memory_session *s = &m->sessions[0];
    if (one->role != ROLE_ADMINISTRATOR) return 0;
    for (size_t i = 0; i < MEMORY_SESSIONS; i++) /* a free one, else the one not seen longest */
        if (m->sessions[i].seen < s->seen) s = &m->sessions[i];
    uint64_t now = clock_wall_ms();
    *s = (struct memory_session){ .id = --m->last_id, .account = one->id, .created = now, .seen = now };
    snprintf(s->address, sizeof s->address, "%s", address);
    secret_hash_of(slice_str(token), s->hash);
    log_event(LOG_WARNING, "login-unwritten", LOG_STR("name", one->name),
              LOG_STR("reason", u->db.full ? "the disk is full: the session is kept in memory until a restart"
                                           : "the database of accounts cannot be written: the session is kept in memory until a restart"));
    return s->id;
}

static bool is_over(const struct auth *u, const struct memory_session *s)
{
    uint64_t now = clock_wall_ms();
    return !s->id || now >= s->seen + u->set.session_idle || now >= s->created + u->set.session_max;
}

struct memory_session *memory_find(struct auth *u, const unsigned char hash[HASH_N])
{
    for (struct memory_session *s = u->memory.sessions; s < u->memory.sessions + MEMORY_SESSIONS; s++) {
        if (!s->id || memcmp(s->hash, hash, HASH_N) != 0) continue;
        if (!is_over(u, s)) return s;
        forget(s);
    }
    return NULL;
}

bool memory_end(struct auth *u, int64_t account, int64_t id)
{
    for (struct memory_session *s = u->memory.sessions; s < u->memory.sessions + MEMORY_SESSIONS; s++) {
        if (id >= 0 || s->id != id || s->account != account) continue;
        forget(s);
        return true;
    }
    return false;
}

void memory_list(struct auth *u, int64_t account, int64_t current, json_t *all)
{
    for (const struct memory_session *s = u->memory.sessions; s < u->memory.sessions + MEMORY_SESSIONS; s++)
        if (s->account == account && !is_over(u, s))
            json_array_append_new(all, json_pack("{s:I, s:I, s:I, s:s, s:n, s:b}", "id", (json_int_t)s->id, "created", (json_int_t)s->created, "seen",
                                                 (json_int_t)s->seen, "address", s->address, "agent", "current", s->id == current));
}

/* Ids go on: none is given twice. */
void memory_forget(struct auth *u)
{
    u->memory = (struct session_memory){ .last_id = u->memory.last_id };
}

void memory_end_others(struct auth *u, int64_t account, int64_t id)
{
    for (size_t i = 0; i < MEMORY_SESSIONS; i++)
        if (u->memory.sessions[i].account == account && u->memory.sessions[i].id != id) forget(&u->memory.sessions[i]);
}

uint64_t memory_step(const struct auth *u, int64_t account)
{
    for (size_t i = 0; i < MEMORY_SESSIONS; i++)
        if (u->memory.steps[i].account == account) return u->memory.steps[i].step;
    return 0;
}

bool memory_take_step(struct auth *u, const struct account *one, uint64_t step)
{
    struct memory_step *s = NULL, *free = NULL;
    uint64_t now = clock_wall_ms();
    if (one->role != ROLE_ADMINISTRATOR) return false;
    for (size_t i = 0; i < MEMORY_SESSIONS; i++) {
        if (u->memory.steps[i].account == one->id) s = &u->memory.steps[i];
        if (now > u->memory.steps[i].at + STEP_VALID_MS) free = &u->memory.steps[i];
    }
    if (!s) s = free;
    if (!s) return false;
    *s = (struct memory_step){ one->id, step, now };
    return true;
}
