/* SPDX-License-Identifier: Apache-2.0
 * Blocks of tables: any bytes, with a right sum, opened and looked into. No look-up leaves the block, and what is listed is text. The first
 * byte chooses what is done: 0: the bytes are a block; 1: they are lines, of which one is made. */
#include "base/crc32c.h"
#include "base/mem.h"
#include "fuzz.h"
#include "table/snapshot_format.h"

static void look(const struct snapshot *s)
{
    static const char *const keys[] = { "example.org", ".example.org", "a@example.org", "a@", "<>", "a", "" };
    struct snapshot_entry e;
    for (size_t i = 0; i < countof(keys); i++)
        if (snapshot_find_key(s, slice_str(keys[i]), &e)) must(e.form == SNAPSHOT_KEY && e.match && slice_ieq(e.key, slice_str(keys[i])));
    const struct ip ips[] = { { .family = 4, .bytes = { 192, 0, 2, 7 } }, { .family = 6, .bytes = { 0x20, 1, 0xd, 0xb8 } }, { 0 } };
    for (size_t i = 0; i < countof(ips); i++)
        if (snapshot_find_ip(s, &ips[i], &e)) must(e.match && ip_net_has(&e.net, &ips[i]));
    for (size_t i = 0; i < 100; i++) {
        if (snapshot_expression(s, i, &e)) must(e.match && strlen(e.match) <= SNAPSHOT_TEXT_MAX);
        if (!snapshot_entry_at(s, i, &e)) continue;
        must(e.match && strlen(e.match) <= SNAPSHOT_TEXT_MAX && (!e.value || strlen(e.value) <= SNAPSHOT_TEXT_MAX));
        must(!e.reason || strlen(e.reason) <= SNAPSHOT_TEXT_MAX);
    }
    must(!snapshot_entry_at(s, snapshot_entries(s), &e));
    snapshot_made(s);
    snapshot_tree_labels(s);
}

static void open_bytes(const uint8_t *data, size_t size)
{
    struct err err;
    uint8_t *block = mem_alloc(size ? size : 1);
    memcpy(block, data, size);
    if (size >= sizeof(struct snapshot_head)) { /* what the sum is there for is not to be tried here */
        struct snapshot_head *h = (struct snapshot_head *)block;
        h->magic = SNAPSHOT_MAGIC;
        h->version = SNAPSHOT_VERSION;
        h->size = size;
        h->crc = crc32c(0, block + SNAPSHOT_SUMMED, size - SNAPSHOT_SUMMED);
    }
    struct snapshot *s = snapshot_open(block, size, &err);
    if (s) look(s);
    snapshot_free(s);
}

/* Each line is an entry, what is behind a blank its value; networks begin with a digit, expressions with a slash. */
static void add(struct snapshot_builder *b, struct slice line, uint32_t number)
{
    char text[200], key[200];
    struct err err;
    struct slice value = line, head;
    struct snapshot_entry e = { .match = text, .line = number };
    slice_cut(&value, ' ', &head);
    if (!head.n || head.n + value.n + 2 > sizeof text || memchr(line.p, 0, line.n)) return;
    memcpy(text, head.p, head.n);
    text[head.n] = 0;
    memcpy(text + head.n + 1, value.p, value.n);
    text[head.n + 1 + value.n] = 0;
    if (value.n) e.value = e.reason = e.comment = text + head.n + 1;
    for (size_t i = 0; i < head.n; i++) key[i] = ascii_lower(head.p[i]);
    e.key = slice_of(key, head.n);
    if (!ip_net_parse(head, &e.net)) e.form = SNAPSHOT_NETWORK;
    else if (head.p[0] == '/') e.form = SNAPSHOT_EXPRESSION;
    must(snapshot_add(b, &e, number % 2, &err));
    if (e.form == SNAPSHOT_NETWORK) must(ip_net_has(&e.net, &e.net.ip));
}

/* What was put in is found, and comes out in the order in which it was put in. */
static void look_again(const struct snapshot *s)
{
    struct snapshot_entry e, f;
    uint32_t line = 0;
    for (size_t i = 0; i < snapshot_entries(s); i++) {
        must(snapshot_entry_at(s, i, &e) && e.line > line);
        line = e.line;
        if (e.form == SNAPSHOT_KEY) must(snapshot_find_key(s, e.key, &f) && f.line == line);
        if (e.form == SNAPSHOT_NETWORK) must(snapshot_find_ip(s, &e.net.ip, &f) && f.net.prefix >= e.net.prefix);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    size_t n;
    uint32_t number = 0;
    if (!size) return 0;
    open_bytes(data + 1, size - 1);
    if (!(data[0] & 1)) return 0;
    struct snapshot_builder *b = snapshot_builder_new();
    struct slice rest = slice_of(data + 1, size - 1), line;
    for (bool more = true; more;) {
        more = slice_cut(&rest, '\n', &line);
        add(b, line, ++number);
    }
    void *block = snapshot_finish(b, 1, &n);
    struct snapshot *s = snapshot_open(block, n, &err);
    must(s);
    look_again(s);
    look(s);
    snapshot_free(s);
    snapshot_builder_free(b);
    return 0;
}
