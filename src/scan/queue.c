/* SPDX-License-Identifier: Apache-2.0
 * The queue before the children: one for all workers, first come, first served, but for large messages, which never hold all children,
 * clients whose messages take long, which do not hold up others, and what people ask for, which holds up no mail. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "scan/dispatch.h"

#define BYTES_MAX (UINT64_C(1) << 30)
#define ID_ROOM 32
#define LARGE (1u << 20) /* bytes: what may take long */
#define LONG_MS 1000     /* what takes long */
#define IPV6_PREFIX 64   /* what one client has */
#define ASKED_PART 4     /* of the room: so much of it, one in so many, is for what people ask for */

/* What a child sent may be as large as a frame can be, and larger with another id, or written by us. The worker's channel would end. */
static json_t *within_frame(json_t *m)
{
    if (json_dumpb(m, NULL, 0, JSON_COMPACT) + ID_ROOM <= CHANNEL_FRAME_MAX) return m;
    json_decref(m);
    return json_pack("{s:s}", "error", "the scan process answered too much");
}

void job_end(struct job *j, json_t *m)
{
    m = within_frame(m);
    json_object_set_new(m, "id", json_integer(j->id));
    if (j->peer) channel_send(j->peer->helper.channel, m, -1);
    json_decref(m);
    json_decref(j->frame);
    close(j->fd);
    free(j);
}

void job_fail(struct job *j, const char *error) { job_end(j, json_pack("{s:s}", "error", error)); }

static void add(struct process *p, struct job *j, bool first)
{
    if (first) list_push_front(&p->waiting, &j->node);
    else list_push_back(&p->waiting, &j->node);
    p->waiting_n++;
    p->waiting_bytes += j->size;
}

static void take_out(struct process *p, struct job *j)
{
    list_remove(&j->node);
    p->waiting_n--;
    p->waiting_bytes -= j->size;
}

/* However much people ask for, there is room for mail. */
static bool is_asked_too_much(const struct process *p, const struct job *j)
{
    size_t n = 0;
    uint64_t bytes = j->size;
    list_each(it, &p->waiting) {
        const struct job *other = list_entry(it, struct job, node);
        n += other->asked;
        bytes += other->asked ? other->size : 0;
    }
    return j->asked && n && (n >= p->waiting_max / ASKED_PART || bytes > BYTES_MAX / ASKED_PART);
}

void queue_take(struct process *p, struct job *j)
{
    if (is_asked_too_much(p, j)) {
        job_fail(j, "too many messages wait to be looked into; try again");
        return;
    }
    if (p->waiting_n >= p->waiting_max || (p->waiting_n && p->waiting_bytes + j->size > BYTES_MAX)) {
        if (!p->refused++) log_event(LOG_WARNING, "scan-full", LOG_NUM("waiting", p->waiting_n), LOG_NUM("bytes", p->waiting_bytes));
        job_fail(j, "too many messages wait to be looked into");
        return;
    }
    add(p, j, false);
}

void queue_again(struct process *p, struct job *j) { add(p, j, true); }

static bool is_large(const struct job *j) { return j->size > LARGE; }

static bool has_room_for_large(const struct process *p)
{
    unsigned large = 0;
    for (unsigned i = 0; i < p->runner_n; i++) large += p->runners[i].job && is_large(p->runners[i].job);
    return p->runner_n == 1 || large + 1 < p->runner_n;
}

void queue_expire(struct process *p)
{
    uint64_t now = clock_mono_ms();
    list_each_safe(it, &p->waiting) {
        struct job *j = list_entry(it, struct job, node);
        if (now < j->expires) continue;
        take_out(p, j);
        job_fail(j, "it waited too long to be looked into");
    }
}

/* ---- clients */

struct ip queue_client(const json_t *context)
{
    struct ip client = { 0 };
    if (!ip_parse(json_text(context, "client"), &client)) return (struct ip){ 0 };
    if (client.family == 6) ip_mask(&client, IPV6_PREFIX);
    return client;
}

/* Then each of those that wait has somebody beside it. */
static bool several_wait(const struct process *p)
{
    const struct job *first = NULL;
    list_each(it, &p->waiting) {
        const struct job *j = list_entry(it, struct job, node);
        if (j->asked) continue;
        if (!first) first = j;
        else if (!ip_eq(&first->client, &j->client)) return true;
    }
    return false;
}

/* How many children the job's client has; *is_long: one of them for a while. */
static unsigned held_by_client(const struct process *p, const struct job *j, uint64_t now, bool *is_long)
{
    unsigned n = 0;
    *is_long = false;
    for (unsigned i = 0; i < p->runner_n && j->client.family; i++) {
        const struct job *other = p->runners[i].job;
        if (!other || !ip_eq(&other->client, &j->client)) continue;
        n++;
        *is_long |= now - other->begun > LONG_MS;
    }
    return n;
}

/* The first of those whose clients are in nobody's way; else one of the client that has the fewest children. */
static struct job *next_mail(const struct process *p, bool room)
{
    bool is_long, several = several_wait(p);
    uint64_t now = clock_mono_ms();
    struct job *best = NULL;
    unsigned best_held = UINT_MAX;
    list_each(it, &p->waiting) {
        struct job *j = list_entry(it, struct job, node);
        if (j->asked || (is_large(j) && !room)) continue;
        unsigned held = held_by_client(p, j, now, &is_long);
        if (held && 2 * (held + 1) > p->runner_n && several) continue;
        if (!is_long) held = 0;
        if (held < best_held) {
            best = j;
            best_held = held;
        }
        if (!held) break;
    }
    return best;
}

static struct job *next_asked(const struct process *p, bool room)
{
    unsigned held = 0;
    for (unsigned i = 0; i < p->runner_n; i++) held += p->runners[i].job && p->runners[i].job->asked;
    if (held && 2 * (held + 1) > p->runner_n) return NULL;
    list_each(it, &p->waiting) {
        struct job *j = list_entry(it, struct job, node);
        if (j->asked && (!is_large(j) || room)) return j;
    }
    return NULL;
}

struct job *queue_next(struct process *p)
{
    bool room = has_room_for_large(p);
    queue_expire(p);
    struct job *best = next_mail(p, room);
    if (!best) best = next_asked(p, room);
    if (best) take_out(p, best);
    return best;
}

static void forget(struct process *p, const struct peer *peer, const json_int_t *id)
{
    list_each_safe(it, &p->waiting) {
        struct job *j = list_entry(it, struct job, node);
        if (j->peer != peer || (id && j->id != *id)) continue;
        take_out(p, j);
        j->peer = NULL;
        job_fail(j, "");
    }
    for (unsigned i = 0; i < p->runner_n; i++) {
        struct job *j = p->runners[i].job;
        if (j && j->peer == peer && (!id || j->id == *id)) j->peer = NULL;
    }
}

void queue_cancel(struct process *p, const struct peer *peer, json_int_t id) { forget(p, peer, &id); }

void queue_forget_peer(struct process *p, const struct peer *peer) { forget(p, peer, NULL); }
