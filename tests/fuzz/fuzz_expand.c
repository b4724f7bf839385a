/* SPDX-License-Identifier: Apache-2.0
 * Expanding an address by tables that say anything: the first line is the address; lines "a NAME VALUES" and "m DOMAIN VALUE" are rows of aliases and
 * mappings. What comes out are whole addresses, each once, within the bounds. */
#include "base/mem.h"
#include "config/tables_parts.h"
#include "fuzz.h"
#include "route/expand_parts.h"
#include "spool/envelope.h"

#define ROWS_MAX 200

static bool add_row(struct snapshot_builder *b, struct slice key, struct slice value)
{
    struct arena arena = { 0 };
    struct err err;
    struct buf lower = { 0 };
    for (size_t i = 0; i < key.n; i++) buf_add_char(&lower, ascii_lower(key.p[i]));
    struct snapshot_entry e = { .form = SNAPSHOT_KEY, .key = buf_slice(&lower), .match = arena_strdup(&arena, key), .value = arena_strdup(&arena, value) };
    bool ok = snapshot_add(b, &e, true, &err);
    buf_deinit(&lower);
    arena_deinit(&arena);
    return ok;
}

static struct snapshot *finish(struct snapshot_builder *b)
{
    struct err err;
    size_t n;
    void *block = snapshot_finish(b, 1, &n);
    struct snapshot *s = snapshot_open(block, n, &err);
    snapshot_builder_free(b);
    must(s);
    return s;
}

static void check(const struct expander *x, const struct expand_result *r)
{
    struct expand_name a, b;
    struct address parsed;
    must(r->steps.n <= 400 && r->to_n <= EXPAND_MAX);
    must((r->status == EXPAND_DONE) == (r->to_n > 0));
    for (uint32_t i = 0; i < r->to_n; i++) {
        must(expand_name_make(x, r->to[i].address, &a) && !(r->to[i].marks & ~MARK_FORWARDED));
        must(!address_parse(r->to[i].address, &parsed) || slice_ieq(r->to[i].address, SLICE("postmaster")));
        for (uint32_t k = 0; k < i && i < 50; k++)
            must(expand_name_make(x, r->to[k].address, &b) && !slice_eq(expand_name_all(&a), expand_name_all(&b)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice rest = slice_of(data, n), rcpt, line, key;
    struct snapshot_builder *aliases = snapshot_builder_new(), *mappings = snapshot_builder_new();
    struct config_alias alias = { .table = "a", .enabled = true };
    struct config_mapping mapping = { .table = "m", .enabled = true };
    struct config_domain domain = { .name = "example.net" };
    const char *const names[] = { "root", "abuse" };
    struct config c = { .hostname = "mx.example.com", .main_domain = "example.com", .postmaster = "admin@example.net", .domains = &domain, .domain_n = 1,
                        .system_mail = (const char **)names, .system_mail_n = 2 };
    struct address a;
    struct err err;
    slice_cut(&rest, '\n', &rcpt);
    for (unsigned i = 0; rest.n && i < ROWS_MAX; i++) {
        slice_cut(&rest, '\n', &line);
        if (line.n < 3 || line.p[1] != ' ' || memchr(line.p, 0, line.n)) continue;
        bool is_alias = line.p[0] == 'a';
        line = slice_sub(line, 2, line.n);
        slice_cut(&line, ' ', &key);
        if (key.n && !add_row(is_alias ? aliases : mappings, key, line)) break;
    }
    struct table alias_table = { .now = finish(aliases) }, mapping_table = { .now = finish(mappings) };
    struct expander *x = expander_new(&c, NULL, &err);
    must(x);
    x->alias_tables[x->alias_table_n++] = (struct expand_table){ &alias_table, "a", { .alias = &alias } };
    x->mapping_tables[x->mapping_table_n++] = (struct expand_table){ .table = &mapping_table, .name = "m", .mapping = &mapping };
    if (slice_ieq(rcpt, SLICE("postmaster")) || !address_parse(rcpt, &a)) {
        struct arena arena = { 0 };
        struct expand_result r;
        expand(x, rcpt, &arena, &r);
        check(x, &r);
        arena_deinit(&arena);
    }
    expander_free(x);
    snapshot_free(alias_table.now);
    snapshot_free(mapping_table.now);
    return 0;
}
