/* SPDX-License-Identifier: Apache-2.0
 * Allocation that does not fail. */
#include "base/mem.h"
#include <stdlib.h>
#include <unistd.h>

static void out_of_memory(void)
{
    static const char text[] = "postern: out of memory\n";
    if (write(2, text, sizeof text - 1) < 0) { /* nothing left to do */ }
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) out_of_memory();
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) out_of_memory();
    return p;
}

void *mem_grow(void *p, size_t count, size_t size)
{
    void *q = reallocarray(p, count ? count : 1, size);
    if (!q) out_of_memory();
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_slicedup(slice_str(s));
}

char *mem_slicedup(struct slice s)
{
    char *p = mem_alloc(s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

void mem_wipe(void *p, size_t n)
{
    if (n) explicit_bzero(p, n);
}
