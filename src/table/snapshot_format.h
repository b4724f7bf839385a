/* SPDX-License-Identifier: Apache-2.0
 * How a block is laid out: its head, then without gaps the entries, the slots of the keys, the networks, their runs, the expressions, the
 * texts. Numbers as this machine writes them; where each part begins follows from the counts. */
#ifndef POSTERN_TABLE_SNAPSHOT_FORMAT_H
#define POSTERN_TABLE_SNAPSHOT_FORMAT_H
#include <stddef.h>
#include <stdint.h>
#include "base/hash.h"
#include "table/snapshot.h"

#define SNAPSHOT_MAGIC UINT64_C(0x0A656C6261547450) /* "PtTable\n" */
#define SNAPSHOT_VERSION 1
#define SNAPSHOT_RUNS_MAX 200   /* prefix lengths of both families */
#define SNAPSHOT_PROBES_MAX 512 /* slots that are looked at for one key */
#define SNAPSHOT_KEY_MAX 400

struct snapshot_head {
    uint64_t magic;
    uint32_t version, crc;      /* of all but these 16 bytes */
    uint64_t size, made;
    uint64_t own[2];            /* for hash_keyed */
    uint32_t entry_n, slot_n, net_n, run_n, expression_n, text_n;
    uint32_t key_n, tree_labels;
};
/* Texts are numbers of bytes in the part of the texts, which begins and ends with a NUL; 0: none. */
struct snapshot_record {
    uint32_t key;               /* of a network: its number among the networks */
    uint32_t match, value, comment, reason, line;
    uint8_t form, spare[3];
};
struct snapshot_net {
    uint8_t bytes[16];
    uint32_t entry;
};
struct snapshot_run {
    uint8_t family, prefix, spare[2];
    uint32_t from, n;
};

#define SNAPSHOT_SUMMED offsetof(struct snapshot_head, size)

/* Where the parts are; false: the counts do not fit the size. */
struct snapshot_parts {
    size_t entries, slots, nets, runs, expressions, texts, size;
};
bool snapshot_lay_out(const struct snapshot_head *h, struct snapshot_parts *out);

#endif
