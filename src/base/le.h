/* SPDX-License-Identifier: Apache-2.0
 * Numbers in little-endian order, wherever they lie. */
#ifndef POSTERN_BASE_LE_H
#define POSTERN_BASE_LE_H
#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void le_put32(char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static inline void le_put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

static inline uint32_t le_get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t le_get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

#endif
