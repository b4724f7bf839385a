/* SPDX-License-Identifier: Apache-2.0
 * What all programs of this benchmark work on: messages, an envelope and a DNS zone from a folder that world.py made. */
#ifndef POSTERN_TESTS_BENCH_MAILAUTH_CASE_H
#define POSTERN_TESTS_BENCH_MAILAUTH_CASE_H
#include <stdbool.h>
#include <stddef.h>

#define CASE_FIELDS 64
#define CASE_PIECE 16384 /* the body comes in pieces of so many bytes */

struct case_text {
    char *p;
    size_t n;
};
struct case_record {
    const char *type, *name, *value; /* "TXT", "A" */
};
struct case_message {
    struct case_text all, fields[CASE_FIELDS], body; /* fields without their last CRLF */
    size_t n;
};
struct case_world {
    struct case_message plain, arc;  /* signed; signed and sealed once */
    struct case_record zone[64];
    size_t zone_n;
    char *ip, *helo, *sender;
    const char *folder;
};

void case_load(struct case_world *w, const char *folder);
struct case_text case_file(const struct case_world *w, const char *name);
/* NULL: there is none. No more than one record is at a name. */
const struct case_record *case_find(const struct case_world *w, const char *type, const char *name, size_t n);
void case_must(bool ok, const char *what); /* or the program ends */
/* Calls `once` for so long ("2s" of CPU time) or so often ("100"), after a short warm-up, and prints a line of JSON. */
void case_measure(const char *program, const char *what, const char *how_long, void (*once)(void *arg), void *arg);

#endif
