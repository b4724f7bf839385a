/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a file of rules: an error with its line, or rules that can be asked. */
#include "fuzz.h"
#include "base/mem.h"
#include "spam/rule.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_scan limits = { .depth = 3, .parts = 50, .unpacked = 1 << 20, .ratio = 100, .unpack_time = 1000 };
    struct rules r;
    struct err err = { .text = "" };
    rules_init(&r);
    if (!rules_parse(&r, "f", slice_of(data, size), &err) || !rules_finish(&r, &err)) {
        assert(strncmp(err.text, "f:", 2) == 0);
        rules_deinit(&r);
        return 0;
    }
    struct arena arena = { 0 };
    struct content_message m;
    struct facts f;
    content_message_read(&m, SLICE("From: A <a@b.example>\r\nSubject: free\r\nContent-Type: text/html\r\n\r\n<b>Cheap</b> offer aaaa\r\n"), &limits,
        NULL, &arena);
    facts_take(&f, &m, NULL, r.fields, r.field_n, NULL, &arena);
    bool *hits = mem_zalloc(r.n + 1);
    struct slice *found = mem_zalloc((r.n + 1) * sizeof *found);
    rules_ask(&r, &f, hits, found);
    free(hits);
    free(found);
    arena_deinit(&arena);
    rules_deinit(&r);
    return 0;
}
