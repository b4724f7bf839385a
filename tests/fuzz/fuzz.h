/* SPDX-License-Identifier: Apache-2.0
 * What each fuzz target has: its entry point (of libFuzzer or replay.c), and how it tells that a promise was broken. */
#ifndef POSTERN_TESTS_FUZZ_H
#define POSTERN_TESTS_FUZZ_H
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void must(bool ok)
{
    if (!ok) abort();
}

#endif
