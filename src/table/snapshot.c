/* SPDX-License-Identifier: Apache-2.0
 * Looking into a block: keys by open addressing, networks by a search in each run of one prefix length, long ones first. Whatever a number
 * in it says, nothing outside it is touched, and no look-up goes on for long. */
#include "table/snapshot.h"
#include <stdlib.h>
#include "base/crc32c.h"
#include "base/mem.h"
#include "table/snapshot_format.h"

struct snapshot {
    char *block;
    const struct snapshot_head *head;
    const struct snapshot_record *entries;
    const uint32_t *slots, *expressions;
    const struct snapshot_net *nets;
    const struct snapshot_run *runs;
    const char *texts;
    size_t n;
};

bool snapshot_lay_out(const struct snapshot_head *h, struct snapshot_parts *out)
{
    const uint64_t sizes[] = { sizeof *h, (uint64_t)h->entry_n * sizeof(struct snapshot_record), (uint64_t)h->slot_n * sizeof(uint32_t),
                               (uint64_t)h->net_n * sizeof(struct snapshot_net), (uint64_t)h->run_n * sizeof(struct snapshot_run),
                               (uint64_t)h->expression_n * sizeof(uint32_t), h->text_n };
    size_t *const places[] = { &out->entries, &out->slots, &out->nets, &out->runs, &out->expressions, &out->texts, &out->size };
    uint64_t at = 0;
    for (size_t i = 0; i < countof(sizes); i++) {
        at += sizes[i]; /* seven numbers below 2^37 */
        if (at > SNAPSHOT_MAX) return false;
        *places[i] = (size_t)at;
    }
    return true;
}

/* ---- taking one over */

static bool check_head(const struct snapshot_head *h, size_t n, struct snapshot_parts *parts, struct err *err)
{
    if (n < sizeof *h || h->magic != SNAPSHOT_MAGIC) return err_set(err, "it is no table");
    if (h->version != SNAPSHOT_VERSION) return err_set(err, "a table of another version (%u)", h->version);
    if (h->size != n || !snapshot_lay_out(h, parts) || parts->size != n) return err_set(err, "the table is cut short");
    const char *block = (const char *)h;
    if (crc32c(0, block + SNAPSHOT_SUMMED, n - SNAPSHOT_SUMMED) != h->crc) return err_set(err, "the table is damaged: its sum is wrong");
    bool ends = h->text_n && !block[parts->texts] && !block[n - 1];
    if (!ends || (h->slot_n & (h->slot_n - 1)) || h->run_n > SNAPSHOT_RUNS_MAX) return err_set(err, "the table makes no sense");
    return true;
}

struct snapshot *snapshot_open(void *block, size_t n, struct err *err)
{
    struct snapshot_parts parts;
    const struct snapshot_head *h = block;
    char *bytes = block;
    if (!check_head(h, n, &parts, err)) {
        free(block);
        return NULL;
    }
    struct snapshot *s = mem_new(struct snapshot);
    *s = (struct snapshot){ .block = bytes, .head = h, .n = n, .entries = (const void *)(bytes + parts.entries),
                            .slots = (const void *)(bytes + parts.slots), .nets = (const void *)(bytes + parts.nets),
                            .runs = (const void *)(bytes + parts.runs), .expressions = (const void *)(bytes + parts.expressions),
                            .texts = bytes + parts.texts };
    return s;
}

void snapshot_free(struct snapshot *s)
{
    if (!s) return;
    free(s->block);
    free(s);
}

uint64_t snapshot_made(const struct snapshot *s) { return s->head->made; }
size_t snapshot_entries(const struct snapshot *s) { return s->head->entry_n; }
size_t snapshot_size(const struct snapshot *s) { return s->n; }

const void *snapshot_block(const struct snapshot *s, size_t *n)
{
    *n = s->n;
    return s->block;
}

unsigned snapshot_tree_labels(const struct snapshot *s) { return s->head->tree_labels; }
bool snapshot_has_keys(const struct snapshot *s) { return s->head->key_n; }

bool snapshot_same(const struct snapshot *a, const struct snapshot *b)
{
    const struct snapshot_head *x = a->head, *y = b->head;
    return x->entry_n == y->entry_n && x->net_n == y->net_n && x->text_n == y->text_n &&
           !memcmp(a->entries, b->entries, x->entry_n * sizeof *a->entries) && !memcmp(a->nets, b->nets, x->net_n * sizeof *a->nets) &&
           !memcmp(a->texts, b->texts, x->text_n);
}

/* ---- entries */

static const char *text_at(const struct snapshot *s, uint32_t at)
{
    if (!at || at >= s->head->text_n) return NULL;
    size_t room = s->head->text_n - at;
    return memchr(s->texts + at, 0, room <= SNAPSHOT_TEXT_MAX ? room : SNAPSHOT_TEXT_MAX + 1) ? s->texts + at : NULL;
}

/* However long the text is: only as much of it is looked at. */
static bool is_text(const struct snapshot *s, uint32_t at, struct slice key)
{
    return at && at < s->head->text_n && key.n < s->head->text_n - at && !memcmp(s->texts + at, key.p, key.n) && !s->texts[at + key.n];
}

/* A network stands in a run, which knows its family. */
static bool read_net(const struct snapshot *s, uint32_t number, struct ip_net *out)
{
    for (uint32_t i = 0; i < s->head->run_n && number < s->head->net_n; i++) {
        const struct snapshot_run *r = &s->runs[i];
        if (number < r->from || number - r->from >= r->n) continue;
        if ((r->family != 4 && r->family != 6) || r->prefix > (r->family == 4 ? 32 : 128)) return false;
        *out = (struct ip_net){ .ip = { .family = r->family }, .prefix = r->prefix };
        memcpy(out->ip.bytes, s->nets[number].bytes, sizeof out->ip.bytes);
        return true;
    }
    return false;
}

bool snapshot_entry_at(const struct snapshot *s, size_t i, struct snapshot_entry *out)
{
    if (i >= s->head->entry_n) return false;
    const struct snapshot_record *r = &s->entries[i];
    *out = (struct snapshot_entry){ .form = (enum snapshot_form)r->form, .match = text_at(s, r->match), .value = text_at(s, r->value),
                                    .comment = text_at(s, r->comment), .reason = text_at(s, r->reason), .line = r->line };
    if (!out->match || r->form > SNAPSHOT_EXPRESSION) return false;
    if (out->form == SNAPSHOT_NETWORK) return read_net(s, r->key, &out->net);
    if (out->form == SNAPSHOT_KEY) out->key = slice_str(text_at(s, r->key));
    return out->form != SNAPSHOT_KEY || out->key.n;
}

bool snapshot_find_key(const struct snapshot *s, struct slice key, struct snapshot_entry *out)
{
    char room[SNAPSHOT_KEY_MAX];
    if (!s->head->slot_n || !key.n || key.n > sizeof room) return false;
    for (size_t i = 0; i < key.n; i++) room[i] = ascii_lower(key.p[i]);
    uint64_t mask = s->head->slot_n - 1, at = hash_keyed(s->head->own, slice_of(room, key.n));
    for (unsigned tries = 0; tries < SNAPSHOT_PROBES_MAX; tries++, at++) {
        uint32_t entry = s->slots[at & mask];
        if (!entry || entry > s->head->entry_n) return false;
        if (s->entries[entry - 1].form == SNAPSHOT_KEY && is_text(s, s->entries[entry - 1].key, slice_of(room, key.n)))
            return snapshot_entry_at(s, entry - 1, out);
    }
    return false;
}

static const struct snapshot_net *find_in_run(const struct snapshot *s, const struct snapshot_run *r, const uint8_t bytes[16])
{
    size_t from = r->from, to = from + r->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int c = memcmp(bytes, s->nets[middle].bytes, 16);
        if (!c) return &s->nets[middle];
        if (c < 0) to = middle;
        else from = middle + 1;
    }
    return NULL;
}

bool snapshot_find_ip(const struct snapshot *s, const struct ip *ip, struct snapshot_entry *out)
{
    for (uint32_t i = 0; i < s->head->run_n; i++) {
        const struct snapshot_run *r = &s->runs[i];
        if (r->family != ip->family || r->prefix > (ip->family == 4 ? 32 : 128) || r->from > s->head->net_n || r->n > s->head->net_n - r->from)
            continue;
        struct ip net = *ip;
        net.scope = 0;
        ip_mask(&net, r->prefix);
        const struct snapshot_net *found = find_in_run(s, r, net.bytes);
        if (!found || !snapshot_entry_at(s, found->entry, out) || out->form != SNAPSHOT_NETWORK) continue;
        out->net = (struct ip_net){ .ip = net, .prefix = r->prefix };
        return true;
    }
    return false;
}

bool snapshot_expression(const struct snapshot *s, size_t i, struct snapshot_entry *out)
{
    return i < s->head->expression_n && snapshot_entry_at(s, s->expressions[i], out) && out->form == SNAPSHOT_EXPRESSION;
}
