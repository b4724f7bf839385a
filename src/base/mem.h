/* SPDX-License-Identifier: Apache-2.0
 * Memory that cannot be had ends the process: a worker that dies loses no acknowledged message, one that
 * limps on might. Sizes that come from outside are bounded by the callers before they get here. */
#ifndef POSTERN_BASE_MEM_H
#define POSTERN_BASE_MEM_H
#include <stddef.h>
#include "base/slice.h"

void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));             /* not cleared; free() it */
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));            /* cleared */
void *mem_grow(void *p, size_t count, size_t size) __attribute__((returns_nonnull)); /* realloc, checked product */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *mem_slicedup(struct slice s) __attribute__((malloc, returns_nonnull));    /* NUL added */
void mem_wipe(void *p, size_t n);                                               /* for secrets; never optimised away; NULL with n 0 is fine */

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#endif
