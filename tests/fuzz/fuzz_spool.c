/* SPDX-License-Identifier: Apache-2.0
 * Spool directories of whatever records: the input says what records two segments hold (their sums are made right, as
 * no input would guess them) and which bytes are then damaged. All that reads a spool must stand it, and the scanner
 * must leave no byte out. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "spool/private.h"
#include "fuzz.h"

static char dir[64];

static void remove_dir(void)
{
    char path[128];
    for (uint64_t i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "%s/seg-%016x", dir, (unsigned)i);
        unlink(path);
    }
    rmdir(dir);
}

static void make_dir(void)
{
    if (dir[0]) return;
    snprintf(dir, sizeof dir, "%s/postern-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(dir) != NULL);
    atexit(remove_dir);
}

static unsigned take(const uint8_t **p, size_t *n)
{
    if (!*n) return 0;
    --*n;
    return *(*p)++;
}

/* A record of 6 bytes that say what it is, and content out of the input. */
static void add_record(struct buf *out, const struct segment_head *head, const uint8_t **p, size_t *n)
{
    unsigned type = take(p, n), flags = take(p, n), id = take(p, n), meta = take(p, n), text = take(p, n),
             back = take(p, n);
    char b[RECORD_HEAD];
    if (meta > *n) meta = (unsigned)*n;
    if (text > *n - meta) text = (unsigned)(*n - meta);
    struct record_head h = {
        .type = (uint8_t)(type % 16),
        .flags = (uint8_t)flags,
        .id = id,
        .meta_n = meta,
        .text_n = text,
        .back = back % 4,
        .meta_crc = crc32c(0, *p, meta),
        .text_crc = crc32c(0, *p + meta, text),
    };
    if (type & 64) h.text_n = (uint64_t)back << 28; /* more than there is */
    if (type & 128) h.meta_n = back << 24;
    record_encode(&h, head->sequence, segment_seed(head), b);
    buf_add(out, slice_of(b, sizeof b));
    buf_add(out, slice_of(*p, meta + text));
    while (out->n % 8) buf_add_char(out, 0);
    *p += meta + text;
    *n -= meta + text;
}

static int write_segment(const struct segment_head *head, struct buf *records)
{
    char path[128];
    struct err err;
    snprintf(path, sizeof path, "%s/seg-%016x", dir, (unsigned)head->sequence);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && segment_head_write(fd, head, &err));
    if (records->n) must(pwrite(fd, records->p, records->n, SEGMENT_HEAD) == (ssize_t)records->n);
    return fd;
}

static void check_scan(int fd, uint64_t size, const struct segment_head *head)
{
    struct scan s;
    struct scan_event ev;
    uint64_t at = SEGMENT_HEAD;
    scan_init(&s, fd, size, head);
    while (scan_next(&s, &ev) != SCAN_EOF) {
        must(ev.offset == at && ev.size >= 8 && ev.offset % 8 == 0);
        at += ev.size;
        if (ev.kind == SCAN_RECORD) must(ev.meta.n == ev.head.meta_n && ev.offset + RECORD_HEAD + ev.meta.n <= size);
        scan_text_ok(&s, &ev);
    }
    must(at + RECORD_HEAD > size || at >= size);
    scan_deinit(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err;
    make_dir();
    for (unsigned i = 1; i <= 2; i++) {
        struct segment_head head = { .sequence = i, .epoch = take(&data, &n) % 2 + 1, .salt = 42 };
        struct buf records = { 0 };
        unsigned count = take(&data, &n) % 32, damaged = take(&data, &n) % 4;
        for (unsigned k = 0; k < count && n; k++) add_record(&records, &head, &data, &n);
        for (unsigned k = 0; k < damaged && records.n; k++) {
            size_t at = (take(&data, &n) << 8 | take(&data, &n)) % records.n;
            records.p[at] ^= (char)(take(&data, &n) | 1);
        }
        int fd = write_segment(&head, &records);
        check_scan(fd, SEGMENT_HEAD + records.n, &head);
        close(fd);
        buf_deinit(&records);
    }
    struct buf out = { 0 };
    for (int json = 0; json < 2; json++) {
        if (!spool_tool_verify(dir, json, &out, &err)) must(err.text[0]);
        must(spool_tool_dump(dir, json, &out, &err));
    }
    for (size_t i = 0; i < out.n; i++) must((unsigned char)out.p[i] >= 0x20 || out.p[i] == '\n');
    if (!spool_tool_cat(dir, 1, &out, &err)) must(err.text[0]);
    buf_deinit(&out);
    return 0;
}
