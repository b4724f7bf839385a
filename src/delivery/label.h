/* SPDX-License-Identifier: Apache-2.0
 * Short texts that many queued messages share, kept once: reasons and names of destinations. */
#ifndef POSTERN_DELIVERY_LABEL_H
#define POSTERN_DELIVERY_LABEL_H
#include "base/hash.h"

#define LABEL_MAX 300          /* bytes of a label */
#define LABEL_TIGHT 64         /* and of a new one while LABEL_BUDGET is used up */
#define LABEL_BUDGET (16u << 20)

struct label {
    uint64_t hash;
    uint32_t refs, n;
    char text[];
};

struct labels {
    struct htable table;
    size_t bytes;              /* of all texts */
};

void labels_init(struct labels *l);
void labels_deinit(struct labels *l);
/* A new reference to the label with this text (cut to LABEL_MAX, at a character's border); NULL for an empty text. */
struct label *label_get(struct labels *l, struct slice text);
void label_put(struct labels *l, struct label **label); /* gives a reference back, clears the pointer; NULL is fine */
static inline struct label *label_ref(struct label *label)
{
    if (label) label->refs++;
    return label;
}
void label_set(struct labels *l, struct label **label, struct slice text); /* another text in its place */
static inline struct slice label_text(const struct label *label) /* of NULL: empty */
{
    return label ? slice_of(label->text, label->n) : slice_of(NULL, 0);
}
/* At most max bytes of s, not cut within a UTF-8 character. */
struct slice label_cut(struct slice s, size_t max);

#endif
