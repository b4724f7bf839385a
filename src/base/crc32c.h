/* SPDX-License-Identifier: Apache-2.0
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), in hardware where there is some. */
#ifndef POSTERN_BASE_CRC32C_H
#define POSTERN_BASE_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/* Continues from `crc` (0 to begin with): crc32c(crc32c(0, a), b) is the sum over a followed by b. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
