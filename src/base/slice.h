/* SPDX-License-Identifier: Apache-2.0
 * Byte strings that are not C strings: a pointer and a length. Text from outside is always a slice.
 * A slice never owns its bytes; who made it says how long they live. */
#ifndef POSTERN_BASE_SLICE_H
#define POSTERN_BASE_SLICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *p; /* may be NULL when n is 0 */
    size_t n;
};

/* A slice over a string literal. */
#define SLICE(lit) ((struct slice){ "" lit, sizeof(lit) - 1 })
/* For printf("%.*s", SLICE_ARG(s)). Only for text known to be clean; see buf_add_printable. */
#define SLICE_ARG(s) (int)(s).n, (s).p

static inline struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){ (const char *)p, n };
}

static inline struct slice slice_str(const char *cstr) /* NULL gives the empty slice */
{
    return (struct slice){ cstr, cstr ? strlen(cstr) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline int ascii_hex(char c) /* the value of a hexadecimal digit, else -1 */
{
    char l = ascii_lower(c);
    return l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

struct slice slice_sub(struct slice s, size_t from, size_t to); /* bytes from..to (to exclusive), both clamped */
bool slice_ieq(struct slice a, struct slice b);                 /* ASCII case folded */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);        /* ASCII case folded */
bool slice_iends(struct slice s, struct slice suffix);          /* ASCII case folded */
bool slice_ihas(struct slice s, struct slice part);             /* anywhere, ASCII case folded */
int slice_cmp(struct slice a, struct slice b);                  /* as memcmp, shorter first */
ptrdiff_t slice_find(struct slice s, char c);                   /* index or -1 */
struct slice slice_trim(struct slice s);                        /* without blanks, tabs, CR and LF at both ends */
struct slice slice_trim_blanks(struct slice s);                 /* without blanks and tabs */
/* Cuts the part before the first c off *s into *head; false (head = all, *s empty) when there is no c. */
bool slice_cut(struct slice *s, char c, struct slice *head);
/* A decimal number of digits only, at most max; false for anything else. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

#endif
