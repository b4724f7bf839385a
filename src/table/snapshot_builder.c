/* SPDX-License-Identifier: Apache-2.0
 * Making a block: entries are collected with their texts, what is there already is found by a hash, and all is put into its places at the
 * end. Values that are joined are kept in pieces until then. */
#include <errno.h>
#include <stdlib.h>
#include "base/crc32c.h"
#include "base/mem.h"
#include "table/snapshot_format.h"

#define NONE UINT32_MAX
#define SLACK 16384 /* bytes: the head, all runs, numbers of expressions */

struct piece { /* of a value */
    uint32_t text, next;
};
struct draft { /* texts: where they begin in `texts`; 0: none */
    uint32_t key, match, comment, reason, line;
    uint32_t first, last, value_n;
    uint16_t key_n;
    uint8_t form;
};
struct snapshot_builder {
    struct draft *entries;
    struct piece *pieces;
    uint32_t *slots; /* entry + 1 */
    size_t n, room, piece_n, piece_room, slot_n, key_n, net_n, expression_n;
    struct buf texts;
    uint32_t comment, reason; /* the last of each: many entries have the same */
    unsigned tree_labels;
    size_t size; /* of the block, at least */
};

struct snapshot_builder *snapshot_builder_new(void)
{
    struct snapshot_builder *b = mem_new(struct snapshot_builder);
    buf_add_char(&b->texts, 0);
    return b;
}

static void empty(struct snapshot_builder *b)
{
    free(b->entries);
    free(b->pieces);
    free(b->slots);
    buf_deinit(&b->texts);
    *b = (struct snapshot_builder){ 0 };
    buf_add_char(&b->texts, 0);
}

void snapshot_builder_free(struct snapshot_builder *b)
{
    if (!b) return;
    empty(b);
    buf_deinit(&b->texts);
    free(b);
}

size_t snapshot_builder_entries(const struct snapshot_builder *b) { return b->n; }
size_t snapshot_builder_expressions(const struct snapshot_builder *b) { return b->expression_n; }

/* ---- what is there already */

/* A network's key is its bytes, behind what no other key begins with. */
static struct slice key_of(const struct snapshot_entry *e, char room[SNAPSHOT_KEY_MAX])
{
    if (e->form == SNAPSHOT_KEY) return slice_of(memcpy(room, e->key.p, e->key.n), e->key.n);
    struct ip net = e->net.ip;
    ip_mask(&net, e->net.prefix);
    room[0] = 0;
    room[1] = (char)net.family;
    room[2] = (char)e->net.prefix;
    memcpy(room + 3, net.bytes, 16);
    return slice_of(room, 19);
}

static struct slice draft_key(const struct snapshot_builder *b, const struct draft *d) { return slice_of(b->texts.p + d->key, d->key_n); }

static uint32_t *slot_of(const struct snapshot_builder *b, struct slice key)
{
    size_t at = hash_bytes(key) & (b->slot_n - 1);
    while (b->slots[at] && !slice_eq(draft_key(b, &b->entries[b->slots[at] - 1]), key)) at = (at + 1) & (b->slot_n - 1);
    return &b->slots[at];
}

static void grow_slots(struct snapshot_builder *b)
{
    if (2 * (b->key_n + b->net_n + 1) <= b->slot_n) return;
    free(b->slots);
    b->slot_n = b->slot_n ? 2 * b->slot_n : 64;
    b->slots = mem_zalloc(b->slot_n * sizeof *b->slots);
    for (size_t i = 0; i < b->n; i++)
        if (b->entries[i].key) *slot_of(b, draft_key(b, &b->entries[i])) = (uint32_t)i + 1;
}

/* ---- adding */

static uint32_t keep(struct snapshot_builder *b, const char *text)
{
    uint32_t at = (uint32_t)b->texts.n;
    if (!text) return 0;
    buf_add(&b->texts, slice_of(text, strlen(text) + 1));
    b->size += strlen(text) + 1;
    return at;
}

static uint32_t keep_once(struct snapshot_builder *b, const char *text, uint32_t *last)
{
    if (text && (!*last || strcmp(b->texts.p + *last, text) != 0)) *last = keep(b, text);
    return text ? *last : 0;
}

static bool join_value(struct snapshot_builder *b, struct draft *d, const char *value, struct err *err)
{
    size_t n = value ? strlen(value) : 0;
    if (!n) return true;
    if (d->value_n + n + 2 > SNAPSHOT_TEXT_MAX) return err_set(err, "its values are longer than %u bytes", SNAPSHOT_TEXT_MAX);
    if (b->piece_n == b->piece_room) {
        b->piece_room = b->piece_room ? 2 * b->piece_room : 16;
        b->pieces = mem_grow(b->pieces, b->piece_room, sizeof *b->pieces);
    }
    b->pieces[b->piece_n] = (struct piece){ keep(b, value), NONE };
    if (d->first == NONE) d->first = (uint32_t)b->piece_n;
    else b->pieces[d->last].next = (uint32_t)b->piece_n;
    d->value_n += (uint32_t)(n + (d->first == b->piece_n ? 0 : 2));
    d->last = (uint32_t)b->piece_n++;
    b->size += 2;
    return true;
}

static bool fits(const struct snapshot_builder *b, const struct snapshot_entry *e, struct err *err)
{
    const char *const texts[] = { e->match, e->value, e->comment, e->reason };
    size_t more = e->key.n;
    for (size_t i = 0; i < countof(texts); i++) {
        size_t n = texts[i] ? strlen(texts[i]) : 0;
        if (n > SNAPSHOT_TEXT_MAX) return err_set(err, "a text longer than %u bytes", SNAPSHOT_TEXT_MAX);
        more += n;
    }
    if (e->form == SNAPSHOT_KEY && (!e->key.n || e->key.n > SNAPSHOT_KEY_MAX)) return err_set(err, "an entry longer than %d bytes", SNAPSHOT_KEY_MAX);
    return b->size + more + SLACK <= SNAPSHOT_MAX || err_sys(err, EFBIG, "the table is larger than %u MB", SNAPSHOT_MAX >> 20);
}

static void count_form(struct snapshot_builder *b, const struct snapshot_entry *e)
{
    b->size += sizeof(struct snapshot_record);
    if (e->form == SNAPSHOT_EXPRESSION) b->expression_n++;
    if (e->form == SNAPSHOT_NETWORK) b->net_n++;
    if (e->form != SNAPSHOT_KEY) return;
    unsigned labels = 0;
    b->key_n++;
    b->size += 4 * sizeof(uint32_t);
    for (size_t i = 0; i < e->key.n && e->key.p[0] == '.'; i++) labels += e->key.p[i] == '.';
    if (labels > b->tree_labels) b->tree_labels = labels;
}

static void keep_key(struct snapshot_builder *b, const struct snapshot_entry *e, struct slice key, struct draft *d)
{
    d->key_n = (uint16_t)key.n;
    if (e->form == SNAPSHOT_KEY && slice_eq(slice_str(e->match), key)) {
        d->key = d->match;
        return;
    }
    d->key = (uint32_t)b->texts.n;
    buf_add(&b->texts, key);
    buf_add_char(&b->texts, 0);
    b->size += key.n + 1;
}

bool snapshot_add(struct snapshot_builder *b, const struct snapshot_entry *e, bool join, struct err *err)
{
    char room[SNAPSHOT_KEY_MAX];
    struct slice key = SLICE("");
    uint32_t *slot = NULL;
    if (!fits(b, e, err)) return false;
    if (e->form != SNAPSHOT_EXPRESSION) {
        grow_slots(b);
        key = key_of(e, room);
        slot = slot_of(b, key);
        if (*slot) return !join || join_value(b, &b->entries[*slot - 1], e->value, err);
    }
    if (b->n == b->room) {
        b->room = b->room ? 2 * b->room : 64;
        b->entries = mem_grow(b->entries, b->room, sizeof *b->entries);
    }
    struct draft *d = &b->entries[b->n];
    *d = (struct draft){ .match = keep(b, e->match), .comment = keep_once(b, e->comment, &b->comment),
                         .reason = keep_once(b, e->reason, &b->reason), .line = e->line, .form = (uint8_t)e->form, .first = NONE, .last = NONE };
    if (slot) keep_key(b, e, key, d);
    if (!join_value(b, d, e->value, err)) return false;
    if (slot) *slot = (uint32_t)b->n + 1;
    count_form(b, e);
    b->n++;
    return true;
}

/* ---- the block */

struct layout {
    char *block, *texts;
    size_t at;               /* in texts */
    struct snapshot_head *head;
    struct snapshot_record *entries;
    uint32_t *slots, *expressions;
    struct snapshot_net *nets;
    struct snapshot_run *runs;
};

struct sorted { /* a network: as its key has it */
    uint8_t family, prefix, bytes[16];
    uint32_t entry;
};

static int by_length(const void *pa, const void *pb)
{
    const struct sorted *a = pa, *b = pb;
    if (a->family != b->family) return a->family - b->family;
    if (a->prefix != b->prefix) return b->prefix - a->prefix;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static struct sorted *sort_nets(const struct snapshot_builder *b)
{
    struct sorted *nets = mem_alloc((b->net_n + 1) * sizeof *nets);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->entries[i].form != SNAPSHOT_NETWORK) continue;
        const char *key = b->texts.p + b->entries[i].key;
        nets[n] = (struct sorted){ .family = (uint8_t)key[1], .prefix = (uint8_t)key[2], .entry = (uint32_t)i };
        memcpy(nets[n++].bytes, key + 3, 16);
    }
    if (n) qsort(nets, n, sizeof *nets, by_length);
    return nets;
}

/* With runs NULL they are only counted. */
static uint32_t make_runs(const struct sorted *nets, size_t n, struct snapshot_run *runs)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!i || nets[i].family != nets[i - 1].family || nets[i].prefix != nets[i - 1].prefix) {
            if (runs) runs[count] = (struct snapshot_run){ .family = nets[i].family, .prefix = nets[i].prefix, .from = (uint32_t)i };
            count++;
        }
        if (runs) runs[count - 1].n++;
    }
    return count;
}

static size_t texts_size(const struct snapshot_builder *b)
{
    size_t n = 2;
    uint32_t comment = 0, reason = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct draft *d = &b->entries[i];
        n += strlen(b->texts.p + d->match) + 1;
        if (d->form == SNAPSHOT_KEY && d->key != d->match) n += d->key_n + 1u;
        if (d->value_n) n += d->value_n + 1;
        if (d->comment && d->comment != comment) n += strlen(b->texts.p + (comment = d->comment)) + 1;
        if (d->reason && d->reason != reason) n += strlen(b->texts.p + (reason = d->reason)) + 1;
    }
    return n;
}

static uint32_t put_text(struct layout *l, const struct snapshot_builder *b, uint32_t text)
{
    uint32_t at = (uint32_t)l->at;
    const char *p = b->texts.p + text;
    size_t n = strlen(p) + 1;
    memcpy(l->texts + l->at, p, n);
    l->at += n;
    return at;
}

static uint32_t put_value(struct layout *l, const struct snapshot_builder *b, const struct draft *d)
{
    uint32_t at = (uint32_t)l->at;
    if (!d->value_n) return 0;
    for (uint32_t i = d->first; i != NONE; i = b->pieces[i].next) {
        if (i != d->first) {
            l->texts[l->at++] = ',';
            l->texts[l->at++] = ' ';
        }
        put_text(l, b, b->pieces[i].text);
        l->at--;
    }
    l->texts[l->at++] = 0;
    return at;
}

static void put_entries(struct layout *l, const struct snapshot_builder *b)
{
    uint32_t comment = 0, reason = 0, comment_at = 0, reason_at = 0, expressions = 0;
    l->at = 1;
    for (size_t i = 0; i < b->n; i++) {
        const struct draft *d = &b->entries[i];
        struct snapshot_record *r = &l->entries[i];
        *r = (struct snapshot_record){ .match = put_text(l, b, d->match), .line = d->line, .form = d->form };
        if (d->form == SNAPSHOT_KEY) r->key = d->key == d->match ? r->match : put_text(l, b, d->key);
        if (d->form == SNAPSHOT_EXPRESSION) l->expressions[expressions++] = (uint32_t)i;
        r->value = put_value(l, b, d);
        if (d->comment && d->comment != comment) comment_at = put_text(l, b, comment = d->comment);
        if (d->reason && d->reason != reason) reason_at = put_text(l, b, reason = d->reason);
        r->comment = d->comment ? comment_at : 0;
        r->reason = d->reason ? reason_at : 0;
    }
}

static bool put_slots(struct layout *l, const struct snapshot_builder *b)
{
    const uint64_t mask = (uint64_t)l->head->slot_n - 1;
    memset(l->slots, 0, l->head->slot_n * sizeof *l->slots);
    for (size_t i = 0; i < b->n; i++) {
        if (b->entries[i].form != SNAPSHOT_KEY) continue;
        uint64_t at = hash_keyed(l->head->own, draft_key(b, &b->entries[i]));
        unsigned tries = 0;
        while (l->slots[at & mask] && ++tries < SNAPSHOT_PROBES_MAX) at++;
        if (tries == SNAPSHOT_PROBES_MAX) return false;
        l->slots[at & mask] = (uint32_t)i + 1;
    }
    return true;
}

/* Another secret, should so many keys ever stand in one place. */
static void hash_keys(struct layout *l, const struct snapshot_builder *b)
{
    if (!b->key_n) return;
    for (uint64_t n = l->head->made;; n += 2) {
        l->head->own[0] = hash_u64(n);
        l->head->own[1] = hash_u64(n + 1);
        if (put_slots(l, b)) return;
    }
}

static void put_nets(struct layout *l, const struct sorted *nets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        l->nets[i].entry = nets[i].entry;
        memcpy(l->nets[i].bytes, nets[i].bytes, 16);
        l->entries[nets[i].entry].key = (uint32_t)i;
    }
    make_runs(nets, n, l->runs);
}

static uint32_t slots_for(size_t keys)
{
    uint32_t n = keys ? 4 : 0;
    while (n && n < 2 * keys) n *= 2;
    return n;
}

void *snapshot_finish(struct snapshot_builder *b, uint64_t made, size_t *n)
{
    struct snapshot_parts p;
    struct sorted *nets = sort_nets(b);
    struct snapshot_head h = { .magic = SNAPSHOT_MAGIC, .version = SNAPSHOT_VERSION, .made = made, .entry_n = (uint32_t)b->n,
                               .slot_n = slots_for(b->key_n), .net_n = (uint32_t)b->net_n, .run_n = make_runs(nets, b->net_n, NULL),
                               .expression_n = (uint32_t)b->expression_n, .text_n = (uint32_t)texts_size(b), .key_n = (uint32_t)b->key_n,
                               .tree_labels = b->tree_labels };
    if (!snapshot_lay_out(&h, &p)) abort(); /* snapshot_add counts */
    h.size = *n = p.size;
    char *block = mem_zalloc(p.size);
    struct layout l = { .block = block, .texts = block + p.texts, .head = memcpy(block, &h, sizeof h), .entries = (void *)(block + p.entries),
                        .slots = (void *)(block + p.slots), .expressions = (void *)(block + p.expressions), .nets = (void *)(block + p.nets),
                        .runs = (void *)(block + p.runs) };
    put_entries(&l, b);
    put_nets(&l, nets, b->net_n);
    hash_keys(&l, b);
    l.head->crc = crc32c(0, block + SNAPSHOT_SUMMED, p.size - SNAPSHOT_SUMMED);
    free(nets);
    empty(b);
    return block;
}
