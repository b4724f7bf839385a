/* SPDX-License-Identifier: Apache-2.0
 * Shared counts: a table of cells in a mapping, found by hash. A cell is taken once and never given back. */
#include "base/counters.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/mem.h"

#define CELLS 1024
#define PROBES 64

enum { CELL_FREE, CELL_TAKEN, CELL_READY };
struct counter_place {
    _Atomic uint32_t state;
    uint32_t counter;
    char label[COUNTER_LABEL_MAX + 1];
    _Atomic uint64_t n;
};
struct counters {
    _Atomic uint32_t wanted;
    struct counter_place cells[CELLS];
};
/* The process's only other state outside its context, beside the log's: it is counted where it is logged. */
static struct counters *counters;

const uint32_t counter_buckets[COUNTER_BUCKETS] = { 50,    100,   250,    500,    1000,    2500,     5000, 10000, 30000, 60000, 300000,
                                                    900000, 3600000, 14400000, 86400000 };

void counters_open(void)
{
    if (counters) return;
    void *p = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED) counters = p;
}

void counters_forget(void)
{
    if (counters) munmap(counters, sizeof *counters);
    counters = NULL;
}

static uint32_t hash(enum counter c, const char *label)
{
    uint32_t h = 2166136261u ^ (uint32_t)c * 16777619u;
    for (; *label; label++) h = (h ^ (unsigned char)*label) * 16777619u;
    return h ^ h >> 15;
}

/* NULL: no room near its place. Two processes may take a cell for one series at the same time: readers add them. */
static struct counter_place *find(enum counter c, const char *label)
{
    uint32_t at = hash(c, label);
    for (unsigned i = 0; i < PROBES; i++) {
        struct counter_place *cell = &counters->cells[(at + i) % CELLS];
        uint32_t state = atomic_load_explicit(&cell->state, memory_order_acquire);
        if (state == CELL_FREE && atomic_compare_exchange_strong(&cell->state, &state, CELL_TAKEN)) {
            cell->counter = c;
            memcpy(cell->label, label, strlen(label) + 1);
            atomic_store_explicit(&cell->state, CELL_READY, memory_order_release);
            return cell;
        }
        if (state == CELL_READY && cell->counter == c && !strcmp(cell->label, label)) return cell;
    }
    return NULL;
}

struct counter_place *counters_place(enum counter c, const char *label)
{
    char cut[COUNTER_LABEL_MAX + 1];
    if (!counters) return NULL;
    snprintf(cut, sizeof cut, "%s", label ? label : "");
    struct counter_place *p = find(c, cut);
    return p ? p : find(c, "other");
}

void counters_add_at(struct counter_place *p, uint64_t n)
{
    if (p && counters) atomic_fetch_add_explicit(&p->n, n, memory_order_relaxed);
}

void counters_add(enum counter c, const char *label, uint64_t n)
{
    counters_add_at(counters_place(c, label), n);
}

void counters_time(enum counter c, uint64_t ms)
{
    char label[8];
    unsigned i = 0;
    while (i < COUNTER_BUCKETS && ms > counter_buckets[i]) i++;
    snprintf(label, sizeof label, "%u", i);
    counters_add(c, label, 1);
    counters_add(c, "sum", ms);
}

void counters_each(void (*cb)(void *arg, enum counter c, const char *label, uint64_t n), void *arg)
{
    for (unsigned i = 0; counters && i < CELLS; i++) {
        struct counter_place *cell = &counters->cells[i];
        char label[COUNTER_LABEL_MAX + 1];
        if (atomic_load_explicit(&cell->state, memory_order_acquire) != CELL_READY || cell->counter >= COUNTERS) continue;
        memcpy(label, cell->label, sizeof label); /* others may write into it: what is checked is what is used */
        label[sizeof label - 1] = 0;
        cb(arg, (enum counter)cell->counter, label, atomic_load_explicit(&cell->n, memory_order_relaxed));
    }
}

void counters_set_wanted(uint32_t events)
{
    if (counters) atomic_store(&counters->wanted, events);
}

uint32_t counters_wanted(void)
{
    return counters ? atomic_load_explicit(&counters->wanted, memory_order_relaxed) : 0;
}
