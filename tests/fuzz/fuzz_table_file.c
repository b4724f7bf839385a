/* SPDX-License-Identifier: Apache-2.0
 * Files of tables: the first byte chooses what the table is for and its type, the rest are its lines. What is taken becomes a block in which
 * each entry is found by itself, and an error names its line. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "config/tables.h"
#include "fuzz.h"

static void look(const struct snapshot *s, enum list_of of)
{
    struct snapshot_entry e, f;
    struct match m;
    char room[MATCH_KEY_MAX];
    for (size_t i = 0; i < snapshot_entries(s); i++) {
        must(snapshot_entry_at(s, i, &e) && e.line);
        must(!match_parse(slice_str(e.match), of, &m));
        must(!e.reason || !match_reason_problem(slice_str(e.reason)));
        must((of == LIST_OF_ALIASES || of == LIST_OF_MAPPINGS) == (e.value != NULL));
        if (e.form == SNAPSHOT_KEY) must(slice_eq(e.key, match_key(&m, room)) && snapshot_find_key(s, e.key, &f) && f.line == e.line);
        if (e.form == SNAPSHOT_NETWORK) must(snapshot_find_ip(s, &m.net.ip, &f) && f.net.prefix >= m.net.prefix);
        if (e.form == SNAPSHOT_EXPRESSION) must(m.form == MATCH_EXPRESSION);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_table table = { .name = "t", .entries = 1000 };
    struct table_source source = { .table = &table };
    struct err err = { .text = "" };
    char path[64];
    size_t n;
    if (!size) return 0;
    source.of = data[0] % 5;
    table.type = data[0] / 5 % 4;
    int fd = memfd_create("table", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    table.file = path;
    void *block = tables_read_file(&source, &n, &err);
    close(fd);
    must(block || strstr(err.text, path));
    struct snapshot *s = block ? snapshot_open(block, n, &err) : NULL;
    must(!block == !s);
    if (s) look(s, source.of);
    snapshot_free(s);
    return 0;
}
