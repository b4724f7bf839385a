/* SPDX-License-Identifier: Apache-2.0
 * How a frame begins. */
#ifndef POSTERN_BASE_CHANNEL_FRAME_H
#define POSTERN_BASE_CHANNEL_FRAME_H
#include <stdint.h>

struct frame_head {
    uint32_t n;      /* bytes of text that follow */
    uint32_t has_fd; /* 0 or 1 */
};

#endif
