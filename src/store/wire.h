/* SPDX-License-Identifier: Apache-2.0
 * What workers and the store process say to each other: small binary frames over a socketpair, many to a write. Both ends are of one
 * binary and one machine, so numbers are as they are in memory; lengths are checked nevertheless: a worker may have been taken over by
 * what it parsed.
 *
 * A frame is the bytes that follow (u32), an operation (u8), and its fields in the order of struct wire_frame; texts have their length
 * (u16) before them. */
#ifndef POSTERN_STORE_WIRE_H
#define POSTERN_STORE_WIRE_H
#include "base/buf.h"
#include "store/store.h"

#define WIRE_FRAME_MAX 65536u
#define WIRE_RCPTS_MAX HISTORY_RCPTS_KEPT

enum wire_op { WIRE_GET = 1, WIRE_PUT_NEW, WIRE_PUT, WIRE_REMOVE, WIRE_COUNT, WIRE_HISTORY, WIRE_ANSWER };

struct wire_frame {
    enum wire_op op;
    uint32_t id;                /* of GET, PUT_NEW and ANSWER */
    uint8_t space;              /* enum store_space: GET, PUT_NEW, PUT, REMOVE */
    struct slice key;           /* all but HISTORY and ANSWER */
    uint64_t until;             /* PUT_NEW, PUT, ANSWER: expires, wall ms; COUNT: half life in ms */
    struct slice value;         /* PUT_NEW, PUT, ANSWER */
    double good, bad;           /* COUNT, ANSWER */
    uint8_t status;             /* enum store_status: ANSWER */
    struct history_event event; /* HISTORY; read: its rcpts are those below */
    struct slice rcpts[WIRE_RCPTS_MAX];
};

/* Keys and values must not be longer than store.h says; the texts of an event are cut, and its recipients past the 100th left out. */
void wire_add(struct buf *out, struct wire_frame *f); /* only rcpts is changed */
/* Takes one frame off *in; texts point into it. MORE: the rest has not come yet. BAD: no end that behaves says this. */
enum wire_status { WIRE_FRAME, WIRE_MORE, WIRE_BAD };
enum wire_status wire_take(struct slice *in, struct wire_frame *out);

#endif
