/* SPDX-License-Identifier: Apache-2.0
 * Arenas. */
#include "base/arena.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

#define BLOCK_SIZE 2048

struct arena_block {
    struct arena_block *next;
    size_t n, cap;
    _Alignas(16) char bytes[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    size_t want = (n + 15) & ~(size_t)15;
    struct arena_block *b = a->blocks;
    if (!b || b->cap - b->n < want) {
        size_t cap = want > BLOCK_SIZE ? want : BLOCK_SIZE;
        b = mem_alloc(sizeof *b + cap);
        *b = (struct arena_block){ .next = a->blocks, .cap = cap };
        a->blocks = b;
    }
    void *p = b->bytes + b->n;
    b->n += want;
    a->used += want;
    memset(p, 0, want);
    return p;
}

char *arena_strdup(struct arena *a, struct slice s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}

struct slice arena_slice(struct arena *a, struct slice s)
{
    return slice_of(arena_strdup(a, s), s.n);
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        if (!keep && b->cap == BLOCK_SIZE) {
            keep = b;
            continue;
        }
        free(b);
    }
    if (keep) {
        keep->next = NULL;
        keep->n = 0;
    }
    a->blocks = keep;
    a->used = 0;
}

void arena_deinit(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){ 0 };
}
