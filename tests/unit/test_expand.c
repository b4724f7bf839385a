/* SPDX-License-Identifier: Apache-2.0
 * What becomes of recipients: mapped domains, aliases and groups, names of the system, tables, loops and limits; and who gets copies. */
#include <sys/stat.h>
#include "config_world.h"
#include "base/clock.h"
#include "route/expand_parts.h"
#include "spool/envelope.h"

#define HEAD \
    "hostname: mx.example.com\n" \
    "main_domain: example.com\n" \
    "postmaster: admin@example.net\n" \
    "domains: [{name: example.net, deliver: 10.20.30.40}, {name: example.com, deliver: \"maildir:/var/mail/%d/%n\"}]\n"

struct world {
    struct config *config;
    struct tables *tables;
    struct expander *x;
    struct arena arena;
    char folder[64];
};

static void make_folder(struct world *w)
{
    snprintf(w->folder, sizeof w->folder, "/tmp/postern-expand-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
}

static void write_file(const struct world *w, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

/* `text` may name the folder as %s, at most three times. */
static bool open_world(struct world *w, const char *text, struct err *err)
{
    struct buf b = { 0 };
    for (const char *at; (at = strstr(text, "%s")); text = at + 2) {
        buf_add(&b, slice_of(text, (size_t)(at - text)));
        buf_add_str(&b, w->folder);
    }
    buf_add_str(&b, text);
    w->config = must_parse(buf_cstr(&b));
    buf_deinit(&b);
    w->tables = tables_new(w->config, err);
    if (!w->tables) fail_msg("%s", err->text);
    config_set_tables(w->config, w->tables);
    w->x = expander_new(w->config, w->tables, err);
    return w->x;
}

static void must_open(struct world *w, const char *text)
{
    struct err err;
    if (!open_world(w, text, &err)) fail_msg("%s", err.text);
}

static void close_world(struct world *w)
{
    expander_free(w->x);
    config_set_tables(w->config, NULL);
    tables_free(w->tables);
    config_free(w->config);
    arena_deinit(&w->arena);
    if (w->folder[0]) {
        char command[100];
        snprintf(command, sizeof command, "rm -r %s", w->folder);
        assert_int_equal(system(command), 0);
    }
    *w = (struct world){ 0 };
}

/* "same", "later" ..., or the targets, each with "*" when it is forwarded. */
static const char *becomes(struct world *w, const char *rcpt, struct expand_result *r)
{
    static const char *const words[] = { "same", NULL, "later", "loop", "many", "broken", "deep", "nobody" };
    struct buf b = { 0 };
    expand(w->x, slice_str(rcpt), &w->arena, r);
    assert_true(r->steps.n <= 400);
    if (words[r->status]) return words[r->status];
    for (uint32_t i = 0; i < r->to_n; i++)
        buf_addf(&b, "%s%.*s%s", i ? " " : "", SLICE_ARG(r->to[i].address), r->to[i].marks & MARK_FORWARDED ? "*" : "");
    const char *out = arena_strdup(&w->arena, buf_slice(&b));
    buf_deinit(&b);
    return out;
}

static void expect(struct world *w, const char *rcpt, const char *want)
{
    struct expand_result r;
    const char *got = becomes(w, rcpt, &r);
    if (strcmp(got, want) != 0) fail_msg("%s: wanted %s, got %s (%.*s)", rcpt, want, got, SLICE_ARG(r.steps));
}

static void expect_steps(struct world *w, const char *rcpt, const char *want)
{
    struct expand_result r;
    (void)becomes(w, rcpt, &r);
    if (!slice_eq(r.steps, slice_str(want))) fail_msg("%s: wanted\n%s\ngot\n%.*s", rcpt, want, SLICE_ARG(r.steps));
}

static void expect_refused(const char *text, const char *want)
{
    struct world w = { 0 };
    struct err err;
    if (open_world(&w, text, &err)) fail_msg("taken:\n%s", text);
    if (strcmp(err.text, want) != 0) fail_msg("wanted\n%s\ngot\n%s", want, err.text);
    close_world(&w);
}

/* ---- aliases */

static void aliases(void **state)
{
    struct world w = { 0 };
    must_open(&w, HEAD "aliases:\n"
                       "  - {name: Sales, to: [anna, Bert@elsewhere.example]}\n"
                       "  - {name: info@example.net, to: [sales@example.com, cleo@example.net]}\n"
                       "  - {name: hr@, to: [dora@example.net]}\n"
                       "  - {name: off, to: [anna], enabled: no}\n");
    expect(&w, "sales@example.com", "anna@example.com Bert@elsewhere.example*");
    expect(&w, "SALES@MX.example.com", "anna@example.com Bert@elsewhere.example*");
    expect(&w, "\"Sales\"@example.com", "anna@example.com Bert@elsewhere.example*");
    expect(&w, "sales@example.net", "same");
    expect(&w, "sales@elsewhere.example", "same");
    expect(&w, "info@example.net", "anna@example.com Bert@elsewhere.example* cleo@example.net");
    expect(&w, "info@example.com", "same");
    expect(&w, "hr@example.net", "dora@example.net");
    expect(&w, "hr@example.com", "dora@example.net");
    expect(&w, "hr@elsewhere.example", "same");
    expect(&w, "off@example.com", "same");
    expect(&w, "x@[192.0.2.1]", "same");
    /* A local part that looks like an address is none. */
    expect(&w, "\"info@example.net\"@example.com", "same");
    expect(&w, "\"sales@\"@example.com", "same");
    assert_true(expand_knows(w.x, SLICE("Sales"), SLICE("EXAMPLE.com")));
    assert_true(expand_knows(w.x, SLICE("sales+x"), SLICE("example.com")));
    assert_false(expand_knows(w.x, SLICE("sales"), SLICE("example.net")));
    assert_false(expand_knows(w.x, SLICE("anna"), SLICE("example.com")));
    close_world(&w);
}

static void result_tells(void **state)
{
    struct world w = { 0 };
    struct expand_result r;
    must_open(&w, HEAD "mappings: [{from: old.example, to: example.com}]\n" /* line 5 */
                       "aliases:\n"
                       "  - {name: sales, to: [anna@example.net, bert@example.net]}\n" /* 7 */
                       "  - {name: anna@example.net, to: [carl@example.net], keep: yes}\n");
    assert_string_equal(becomes(&w, "Sales@old.example", &r), "anna@example.net carl@example.net bert@example.net");
    assert_true(r.mapped && r.aliased && !r.keeps);
    assert_string_equal(arena_strdup(&w.arena, r.mapped_to), "Sales@example.com");
    assert_int_equal(r.place.line, 5);
    expect_steps(&w, "sales@old.example",
                 "old.example -> example.com (line 5); sales -> anna@example.net, bert@example.net (line 7); "
                 "anna@example.net -> carl@example.net, and itself (line 8)");
    assert_string_equal(becomes(&w, "Anna@example.net", &r), "Anna@example.net carl@example.net");
    assert_true(!r.mapped && r.aliased && r.keeps);
    assert_int_equal(r.place.line, 8);
    (void)becomes(&w, "nobody@example.net", &r);
    assert_true(r.status == EXPAND_SAME && !r.steps.n && !r.to_n && !r.place.line);
    close_world(&w);
}

static void own_copies(void **state)
{
    struct world w = { 0 };
    struct expand_result r;
    must_open(&w, HEAD "aliases:\n"
                       "  - {name: anna, to: [anna, bert@elsewhere.example]}\n"
                       "  - {name: dora@example.net, to: [emil@example.net], keep: yes}\n"
                       "  - {name: all@example.net, to: [dora@example.net, emil@example.net, all@example.net, ALL@example.NET]}\n"
                       "  - {name: out@elsewhere.example, to: [out@elsewhere.example, emil@example.net]}\n"
                       "  - {name: same@example.net, to: [same@example.net]}\n"
                       "  - {name: info@, to: [info@example.com, anna]}\n");
    expect(&w, "anna@example.com", "anna@example.com bert@elsewhere.example*");
    expect(&w, "anna@mx.example.com", "anna@example.com bert@elsewhere.example*");
    expect(&w, "dora@example.net", "dora@example.net emil@example.net");
    expect(&w, "all@example.net", "dora@example.net emil@example.net all@example.net");
    /* What somebody sends there himself is not forwarded by us. */
    expect(&w, "out@elsewhere.example", "out@elsewhere.example emil@example.net");
    assert_string_equal(becomes(&w, "same@example.net", &r), "same@example.net");
    assert_true(r.keeps && r.aliased && r.status == EXPAND_DONE);
    expect(&w, "info@example.net", "info@example.com anna@example.com bert@elsewhere.example*");
    close_world(&w);
}

static void details(void **state)
{
    struct world w = { 0 };
    must_open(&w, HEAD "mappings: [{from: old.example, to: example.com}]\n"
                       "aliases:\n"
                       "  - {name: anna, to: [anna.long@example.net]}\n"
                       "  - {name: anna+spam, to: [trash@example.net]}\n"
                       "  - {name: both, to: [anna, bert@example.net]}\n"
                       "  - {name: kept@example.net, to: [kept@example.net, bert@example.net]}\n"
                       "  - {name: fixed, to: [bert+inbox@example.net]}\n");
    expect(&w, "anna+News@example.com", "anna.long+News@example.net");
    expect(&w, "anna+a+b@example.com", "anna.long+a+b@example.net");
    expect(&w, "anna+spam@example.com", "trash@example.net");
    expect(&w, "anna+@example.com", "anna.long+@example.net");
    expect(&w, "anna+x@old.example", "anna.long+x@example.net");
    expect(&w, "both+x@example.com", "anna.long@example.net bert@example.net");
    expect(&w, "kept+x@example.net", "kept+x@example.net bert@example.net");
    expect(&w, "fixed+x@example.com", "bert+inbox@example.net");
    expect(&w, "+anna@example.com", "same");
    expect(&w, "emil+x@example.net", "same");
    expect(&w, "anna+0123456789012345678901234567890123456789012345678901234567@example.com", "anna.long@example.net"); /* too long */
    expect(&w, "postmaster+x@example.com", "admin@example.net");
    close_world(&w);
    /* No address longer than one may be: RFC 5321 §4.5.3.1.3. */
#define LABEL "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh."
    must_open(&w, HEAD "aliases: [{name: far, to: [anna@" LABEL LABEL LABEL "example]}]\n");
    expect(&w, "far+x@example.com", "anna+x@" LABEL LABEL LABEL "example*");
    expect(&w, "far+012345678901234567890123456789012345678901234567890123456789@example.com", "anna@" LABEL LABEL LABEL "example*");
    close_world(&w);
}

/* ---- the system */

static void system_mail(void **state)
{
    struct world w = { 0 };
    must_open(&w, HEAD "system_mail: [root, abuse]\naliases: [{name: abuse, to: [anna@example.net]}, {name: admin@example.net, to: [boss@elsewhere.example]}]\n");
    expect(&w, "postmaster", "boss@elsewhere.example*");
    expect(&w, "Postmaster@MX.example.com", "boss@elsewhere.example*");
    expect(&w, "postmaster@example.com", "boss@elsewhere.example*");
    expect(&w, "root@example.com", "boss@elsewhere.example*");
    expect(&w, "root@example.net", "same");
    expect(&w, "abuse@mx.example.com", "anna@example.net");
    expect(&w, "hostmaster@example.com", "same");
    expect_steps(&w, "root@mx.example.com", "root -> admin@example.net (system_mail); admin@example.net -> boss@elsewhere.example (line 6)");
    assert_true(expand_knows(w.x, SLICE("Root"), SLICE("mx.example.com")));
    assert_true(expand_knows(w.x, SLICE("postmaster"), SLICE("")));
    close_world(&w);

    must_open(&w, "hostname: mx.example.com\ndomains: [{name: example.net, deliver: 10.20.30.40}]\nsystem_mail: [root]\n"); /* postmaster@mx.example.com */
    expect(&w, "postmaster", "same");
    expect(&w, "postmaster@mx.example.com", "same");
    expect(&w, "root@mx.example.com", "postmaster@mx.example.com");
    assert_true(expand_knows(w.x, SLICE("postmaster"), SLICE("mx.example.com")));
    close_world(&w);

    must_open(&w, "hostname: mx.example.com\nmain_domain: example.com\npostmaster: root@example.com\nsystem_mail: [root]\n"
                  "domains: [{name: example.net, deliver: 10.20.30.40}]\naliases: [{name: root, to: [anna@example.net]}]\n");
    expect(&w, "postmaster", "anna@example.net");
    expect(&w, "root@example.com", "anna@example.net");
    close_world(&w);
    must_open(&w, "hostname: mx.example.com\nmain_domain: example.com\npostmaster: root@example.com\nsystem_mail: [root]\n"
                  "domains: [{name: example.net, deliver: 10.20.30.40}]\n");
    expect(&w, "postmaster", "root@example.com");
    expect(&w, "root@mx.example.com", "root@example.com");
    expect(&w, "root@example.com", "same");
    close_world(&w);
}

/* ---- mappings */

static void mappings(void **state)
{
    struct world w = { 0 };
    struct config_place place;
    must_open(&w, HEAD "mappings:\n"
                       "  - {from: old.example, to: older.example}\n"
                       "  - {from: older.example, to: example.net}\n"
                       "  - {from: .tree.example, to: example.net}\n"
                       "  - {from: .near.tree.example, to: example.com}\n"
                       "  - {from: .self.example, to: new.self.example}\n"
                       "  - {from: gone.example, to: elsewhere.example}\n"
                       "  - {from: off.example, to: example.net, enabled: no}\n"
                       "  - {from: xn--bcher-kva.example, to: example.net}\n");
    expect(&w, "Anna@OLD.example", "Anna@example.net");
    expect(&w, "\"a b\"@old.example", "\"a b\"@example.net");
    expect(&w, "anna@tree.example", "anna@example.net");
    expect(&w, "anna@x.y.tree.example", "anna@example.net");
    expect(&w, "anna@near.tree.example", "anna@example.com");
    expect(&w, "anna@x.near.tree.example", "anna@example.com");
    expect(&w, "anna@self.example", "anna@new.self.example");
    expect(&w, "anna@new.self.example", "same");
    expect(&w, "anna@gone.example", "anna@elsewhere.example*");
    expect(&w, "anna@off.example", "same");
    expect(&w, "anna@b\xc3\xbc" "cher.example", "anna@example.net");
    expect(&w, "anna@xn--bcher-kva.example", "anna@example.net");
    expect(&w, "root@near.tree.example", "admin@example.net");
    expect(&w, "anna@oldold.example", "same");
    assert_true(expand_takes_domain(w.x, SLICE("OLD.example"), &place));
    assert_int_equal(place.line, 6);
    assert_true(expand_takes_domain(w.x, SLICE("x.tree.example"), &place));
    assert_true(expand_takes_domain(w.x, SLICE("example.com"), &place));
    assert_int_equal(place.line, 0);
    assert_false(expand_takes_domain(w.x, SLICE("mx.example.com"), &place));
    assert_false(expand_takes_domain(w.x, SLICE("off.example"), &place));
    assert_false(expand_takes_domain(w.x, SLICE("elsewhere.example"), &place));
    assert_true(expand_is_ours(w.x, SLICE("old.example")));
    assert_true(expand_is_ours(w.x, SLICE("example.net")));
    assert_false(expand_is_ours(w.x, SLICE("elsewhere.example")));
    close_world(&w);
}

/* ---- what is wrong in a configuration */

static void loops_written(void **state)
{
    expect_refused(HEAD "aliases:\n  - {name: a, to: [b]}\n  - {name: b, to: [a]}\n", "line 6: aliases loop: a (line 6) -> b (line 7) -> a");
    expect_refused(HEAD "mappings:\n  - {from: a.example, to: b.example}\n  - {from: b.example, to: a.example}\n",
                   "line 6: mappings loop: a.example (line 6) -> b.example (line 7) -> a.example");
    expect_refused(HEAD "mappings:\n  - {from: .a.example, to: x.b.example}\n  - {from: .b.example, to: x.a.example}\n",
                   "line 6: mappings loop: .a.example (line 6) -> .b.example (line 7) -> .a.example");
    expect_refused(HEAD "mappings: [{from: old.example, to: example.net}]\naliases: [{name: x@old.example, to: [a@example.net]}]\n",
                   "line 6: x@old.example: no mail gets there, as line 5 maps its domain: give the name at example.net");
    expect_refused(HEAD "aliases: [{name: admin@example.net, to: [anna, root@mx.example.com]}]\nsystem_mail: [root]\n",
                   "line 5: aliases loop: admin@example.net (line 5) -> root (system_mail) -> admin@example.net");
}

/* By way of mapping a name may well get to itself. */
static void no_loops(void **state)
{
    struct world w = { 0 };
    must_open(&w, HEAD "mappings: [{from: old.example, to: example.net}]\n"
                       "aliases: [{name: a@example.net, to: [a@old.example, b@old.example]}, {name: b@example.net, to: [c@old.example]}]\n");
    expect(&w, "a@example.net", "a@example.net c@example.net");
    expect(&w, "a@old.example", "a@example.net c@example.net");
    close_world(&w);
}

static void limits_written(void **state)
{
    struct buf b = { 0 };
    struct err err;
    struct world w = { 0 };
    buf_add_str(&b, HEAD "aliases:\n");
    for (unsigned i = 0; i < EXPAND_DEPTH_MAX - 1; i++) buf_addf(&b, "  - {name: n%u, to: [n%u]}\n", i, i + 1);
    buf_add_str(&b, "  - {name: n19, to: [end@example.net]}\n");
    must_open(&w, buf_cstr(&b));
    expect(&w, "n0@example.com", "end@example.net");
    close_world(&w);
    buf_add_str(&b, "  - {name: more, to: [n0]}\n");
    assert_false(open_world(&w, buf_cstr(&b), &err));
    assert_true(slice_find(slice_str(err.text), 'm') >= 0 && strstr(err.text, "alias more: "));
    assert_non_null(strstr(err.text, "too often"));
    close_world(&w);
    buf_clear(&b);
    buf_add_str(&b, HEAD "aliases: [{name: crowd, to: [");
    for (unsigned i = 0; i < EXPAND_MAX; i++) buf_addf(&b, "u%u@example.net, ", i);
    size_t n = b.n;
    buf_add_str(&b, "u1@example.net]}]\n");
    must_open(&w, buf_cstr(&b));
    struct expand_result r;
    (void)becomes(&w, "crowd@example.com", &r);
    assert_int_equal(r.to_n, EXPAND_MAX);
    assert_non_null(memmem(r.steps.p, r.steps.n, " and 996 more", 13));
    close_world(&w);
    b.n = n;
    buf_add_str(&b, "one@example.net]}]\n");
    assert_false(open_world(&w, buf_cstr(&b), &err));
    assert_non_null(strstr(err.text, "line 5: alias crowd: "));
    close_world(&w);
    buf_deinit(&b);
}

/* Each way doubles: 2^19 of them, and 20 addresses. */
static void fan_out(void **state)
{
    struct buf b = { 0 };
    struct world w = { 0 };
    buf_add_str(&b, HEAD "aliases:\n");
    for (unsigned i = 0; i < EXPAND_DEPTH_MAX - 1; i++)
        buf_addf(&b, "  - {name: a%u, to: [a%u, b%u, own%u@example.net]}\n  - {name: b%u, to: [a%u, b%u]}\n", i, i + 1, i + 1, i, i, i + 1, i + 1);
    must_open(&w, buf_cstr(&b));
    struct expand_result r;
    uint64_t begin = clock_mono_ms();
    for (unsigned i = 0; i < 100; i++) (void)becomes(&w, "b0@example.com", &r);
    assert_true(clock_mono_ms() - begin < 2000);
    assert_int_equal(r.status, EXPAND_DONE);
    assert_int_equal(r.to_n, EXPAND_DEPTH_MAX);
    close_world(&w);
    buf_deinit(&b);
}

/* Many aliases that lead to one and the same: work that is not seen in what it becomes. */
static void work_is_told(void **state)
{
    struct buf b = { 0 };
    struct world w = { 0 };
    struct expand_result r;
    buf_add_str(&b, HEAD "aliases:\n  - {name: one, to: [anna@example.net]}\n  - {name: all, to: [x0");
    for (unsigned i = 1; i < 2000; i++) buf_addf(&b, ", x%u", i);
    buf_add_str(&b, "]}\n");
    for (unsigned i = 0; i < 2000; i++) buf_addf(&b, "  - {name: x%u, to: [anna@example.net]}\n", i);
    must_open(&w, buf_cstr(&b));
    expect(&w, "all@example.com", "anna@example.net");
    (void)becomes(&w, "all+x@example.com", &r);
    assert_int_equal(r.cost, 800);
    (void)becomes(&w, "one@example.com", &r);
    assert_int_equal(r.cost, 1);
    (void)becomes(&w, "nobody@far.example", &r);
    assert_int_equal(r.cost, 1);
    close_world(&w);
    buf_deinit(&b);
}

/* ---- tables */

#define TABLES HEAD "tables: {groups: {type: exact, file: %s/groups}, names: {file: %s/names}}\n" \
                    "aliases: [{name: written, to: [list]}, {table: groups}]\nmappings: [{table: names}]\n"

static void from_tables(void **state)
{
    struct world w = { 0 };
    struct expand_result r;
    make_folder(&w);
    write_file(&w, "groups", "list anna, bert@elsewhere.example\n"
                             "Info@example.net list, list@example.com\n"
                             "hr@ dora@example.net\n"
                             "a b\nb a\n"
                             "c d\nd c, e@example.net\n"
                             "written never@example.net\n"
                             "me@example.net me@example.net\n");
    write_file(&w, "names", "old.example example.net\n.tree.example example.com\nfree.tree.example free.tree.example\nx.example y.example\ny.example x.example\n");
    must_open(&w, TABLES);
    expect(&w, "list@example.com", "anna@example.com bert@elsewhere.example*");
    expect(&w, "info@example.net", "anna@example.com bert@elsewhere.example*");
    expect(&w, "hr@old.example", "dora@example.net");
    expect(&w, "written@example.com", "anna@example.com bert@elsewhere.example*");
    expect(&w, "list@x.tree.example", "anna@example.com bert@elsewhere.example*");
    expect(&w, "me@example.net", "me@example.net");
    expect(&w, "a@example.com", "loop");
    expect_steps(&w, "a@example.com", "a -> b@example.com (table groups); b -> a@example.com (table groups); it leads back to itself and nowhere "
                                      "else: a@example.com");
    expect(&w, "c@example.com", "c@example.com e@example.net");
    expect(&w, "any@x.example", "loop");
    expect(&w, "any@free.tree.example", "same"); /* an exception */
    expect_steps(&w, "list@old.example", "old.example -> example.net (table names)");
    (void)becomes(&w, "list@example.com", &r);
    assert_int_equal(r.place.line, 0);
    assert_true(expand_is_ready(w.x));
    close_world(&w);
}

static void never_read(void **state)
{
    struct world w = { 0 };
    struct config_place place;
    make_folder(&w);
    must_open(&w, HEAD "system: {directory: %s}\ntables:\n"
                       "  people: {type: sqlite, file: %s/db, query: \"SELECT a, b FROM c\"}\n"
                       "aliases: [{name: known@example.net, to: [anna@elsewhere.example]},\n"
                       "  {name: staff, to: [anna@example.net, other@elsewhere.example]}, {table: people}]\n");
    expect(&w, "known@example.net", "anna@elsewhere.example*");
    expect(&w, "other@example.net", "later");
    expect(&w, "other@example.com", "later");
    expect(&w, "root@example.com", "later");
    expect(&w, "postmaster@example.com", "admin@example.net");
    expect(&w, "staff@example.com", "anna@example.net other@elsewhere.example*");
    expect(&w, "other@elsewhere.example", "same"); /* others do not wait for our tables */
    assert_true(expand_knows(w.x, SLICE("other"), SLICE("example.com")));
    assert_true(expand_is_ready(w.x));
    close_world(&w);
    make_folder(&w);
    must_open(&w, HEAD "system: {directory: %s}\ntables:\n"
                       "  names: {type: sqlite, file: %s/db, query: \"SELECT a, b FROM c\"}\n"
                       "mappings: [{from: old.example, to: example.net}, {table: names}]\n");
    expect(&w, "x@old.example", "x@example.net"); /* what is written does not wait */
    expect(&w, "x@example.net", "same");
    expect(&w, "postmaster@mx.example.com", "admin@example.net");
    expect(&w, "x@elsewhere.example", "later");
    assert_false(expand_is_ready(w.x));
    assert_true(expand_takes_domain(w.x, SLICE("old.example"), &place));
    assert_false(expand_takes_domain(w.x, SLICE("elsewhere.example"), &place));
    close_world(&w);
}

/* ---- copies */

static const char *copies_of(struct world *w, const char *sender, const char *rcpt, bool outgoing)
{
    struct slice rcpts[2] = { slice_str(rcpt), SLICE("Archive@example.NET") };
    struct expand_copies m = { .sender = slice_str(sender), .rcpts = rcpts, .rcpt_n = rcpt[0] == '+' ? 2 : 1, .outgoing = outgoing };
    struct expand_copy *all;
    struct buf b = { 0 };
    if (rcpt[0] == '+') rcpts[0] = slice_str(rcpt + 1);
    size_t n = expand_copies(w->x, &m, &w->arena, &all);
    for (size_t i = 0; i < n; i++) buf_addf(&b, "%s%.*s:%u", i ? " " : "", SLICE_ARG(all[i].address), all[i].place.line);
    const char *out = arena_strdup(&w->arena, buf_slice(&b));
    buf_deinit(&b);
    return out;
}

static void copies(void **state)
{
    struct world w = { 0 };
    must_open(&w, HEAD "copies:\n"
                       "  - {to: archive@example.net}\n"                                                             /* 6 */
                       "  - {to: in@example.net, mail: incoming}\n"
                       "  - {to: out@example.net, mail: outgoing}\n"
                       "  - {to: boss@example.net, senders: [anna@example.net, .sub.example]}\n"                      /* 9 */
                       "  - {to: BOSS@example.net, recipients: [bert@]}\n"
                       "  - {to: both@example.net, senders: [anna@example.net], recipients: [elsewhere.example]}\n"
                       "  - {to: never@example.net, enabled: no}\n"
                       "  - {to: null@example.net, senders: [\"<>\"]}\n");
    assert_string_equal(copies_of(&w, "x@y.example", "z@example.net", false), "archive@example.net:6 in@example.net:7");
    assert_string_equal(copies_of(&w, "x@y.example", "z@example.net", true), "archive@example.net:6 out@example.net:8");
    assert_string_equal(copies_of(&w, "x@y.example", "+z@example.net", true), "out@example.net:8");
    assert_string_equal(copies_of(&w, "Anna@Example.net", "bert@example.net", true), "archive@example.net:6 out@example.net:8 boss@example.net:9");
    assert_string_equal(copies_of(&w, "x@a.sub.example", "z@example.net", true), "archive@example.net:6 out@example.net:8 boss@example.net:9");
    assert_string_equal(copies_of(&w, "x@y.example", "Bert@any.example", true), "archive@example.net:6 out@example.net:8 BOSS@example.net:10");
    assert_string_equal(copies_of(&w, "anna@example.net", "c@elsewhere.example", true),
                        "archive@example.net:6 out@example.net:8 boss@example.net:9 both@example.net:11");
    assert_string_equal(copies_of(&w, "", "z@example.net", false), "archive@example.net:6 in@example.net:7 null@example.net:13");
    close_world(&w);
}

/* At main_domain and hostname there are no mailboxes unless somebody has them: what would be sent on there comes back. */
#define BARE "hostname: mx.example.com\nmain_domain: example.com\ndomains: [{name: example.net, deliver: 10.20.30.40}]\n"
static void nobody_there(void **state)
{
    struct world w = { 0 };
    struct expand_result r;
    make_folder(&w);
    write_file(&w, "groups", "a b\nb a\nc d\nd c, e@example.net\nghosts x, y@mx.example.com\n");
    must_open(&w, BARE "postmaster: root@example.com\nroutes: [{to: far@example.com, via: 10.20.30.41}]\ntables: {groups: {file: %s/groups}}\n"
                       "mappings: [{from: old.example, to: example.com}, {from: .example.com, to: example.net}]\n"
                       "aliases:\n  - {name: anna, to: [anna, bert@example.net]}\n"
                       "  - {name: dora, to: [dora@example.net], keep: yes}\n"
                       "  - {name: self, to: [self]}\n  - {name: lost, to: [nobody]}\n  - {name: far, to: [far], keep: yes}\n  - {table: groups}\n");
    expect(&w, "anna@example.com", "bert@example.net");
    expect_steps(&w, "anna@example.com", "anna -> anna@example.com, bert@example.net (line 9); anna@example.com: there is no mailbox");
    expect(&w, "anna@old.example", "bert@example.net");
    expect(&w, "dora@mx.example.com", "dora@example.net");
    expect_steps(&w, "dora@example.com", "dora -> dora@example.net, and itself, where there is no mailbox (line 10)");
    expect(&w, "self@example.com", "nobody");
    expect(&w, "lost@example.com", "nobody");
    expect(&w, "far@example.com", "far@example.com");
    expect(&w, "a@example.com", "loop");
    expect(&w, "c@example.com", "e@example.net");
    expect(&w, "ghosts@example.com", "nobody");
    expect(&w, "nobody@example.com", "nobody");
    expect(&w, "nobody@old.example", "nobody");
    expect(&w, "nobody@mx.example.com", "nobody"); /* a tree that is mapped leaves our own names alone */
    expect(&w, "x@example.net", "same");
    (void)becomes(&w, "nobody@example.com", &r);
    assert_int_equal(r.to_n, 0);
    /* The postmaster is there in any case. */
    expect(&w, "postmaster", "root@example.com");
    expect(&w, "root@example.com", "same");
    assert_true(expand_waits(w.x, SLICE("root@example.com")) && !expand_is_nobody(w.x, SLICE("root@example.com")));
    assert_true(expand_is_nobody(w.x, SLICE("any@example.com")) && !expand_is_nobody(w.x, SLICE("far@example.com")));
    assert_false(expand_is_nobody(w.x, SLICE("any@example.net")));
    close_world(&w);
    must_open(&w, BARE);
    expect(&w, "postmaster", "same");
    expect(&w, "root@example.com", "postmaster@mx.example.com");
    expect(&w, "any@mx.example.com", "nobody");
    close_world(&w);
}

/* As only a process that was taken over would write it: groups of groups, each with as many members as there is room for. */
static void hostile_groups(void **state)
{
    struct world w = { 0 };
    struct expand_result r;
    struct buf values = { 0 };
    char path[200];
    struct err err;
    size_t n;
    make_folder(&w);
    write_file(&w, "groups", "list anna\n");
    write_file(&w, "names", "");
    must_open(&w, "system: {directory: %s}\n" TABLES);
    struct snapshot_builder *b = snapshot_builder_new();
    for (unsigned i = 0; i < 40; i++) {
        char key[20];
        snprintf(key, sizeof key, "g%u", i);
        buf_clear(&values);
        buf_addf(&values, "g%u", i + 1);
        while (values.n < SNAPSHOT_TEXT_MAX - 3) buf_add_str(&values, i % 2 ? ",a" : ",,");
        assert_true(snapshot_add(b, &(struct snapshot_entry){ .form = SNAPSHOT_KEY, .key = slice_str(key), .match = key, .value = buf_cstr(&values) }, false, &err));
    }
    static const char *const odd[] = { "a@b\r\nDATA", "a b@example.net", "<a@example.net>", "a@example.net> NOTIFY=NEVER", "a@[192.0.2.1]", ",,,", "\xFF@example.net",
                                       "@example.net", "a@", "a@example.net.", "\"a\nb\"@example.net", "a@xn--\x01.example" };
    for (size_t i = 0; i < countof(odd); i++) {
        char key[20];
        snprintf(key, sizeof key, "odd%zu", i);
        assert_true(snapshot_add(b, &(struct snapshot_entry){ .form = SNAPSHOT_KEY, .key = slice_str(key), .match = key, .value = odd[i] }, false, &err));
    }
    void *block = snapshot_finish(b, clock_wall_ms() + 1, &n);
    const struct table *t = tables_of_name(w.tables, "groups", LIST_OF_ALIASES);
    snprintf(path, sizeof path, "%s/tables", w.folder);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/tables/%s.table", w.folder, table_source(t)->id);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(block, 1, n, f), n);
    fclose(f);
    tables_poll(w.tables);
    uint64_t start = clock_mono_ms();
    for (unsigned i = 0; i < 20; i++) assert_string_equal(becomes(&w, "g0@example.com", &r), "many");
    print_message("20 groups of groups: %llu ms\n", (unsigned long long)(clock_mono_ms() - start));
    assert_true(clock_mono_ms() - start < 1000);
    for (size_t i = 0; i < countof(odd); i++) {
        char rcpt[40];
        snprintf(rcpt, sizeof rcpt, "odd%zu@example.com", i);
        const char *what = becomes(&w, rcpt, &r);
        if (strcmp(what, "broken") != 0) fail_msg("%s became %s", odd[i], what);
        for (size_t k = 0; k < r.steps.n; k++) assert_true(r.steps.p[k] >= 0x20 && r.steps.p[k] < 0x7F);
    }
    free(block);
    snapshot_builder_free(b);
    buf_deinit(&values);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases),       cmocka_unit_test(result_tells),   cmocka_unit_test(own_copies), cmocka_unit_test(details),
        cmocka_unit_test(system_mail),   cmocka_unit_test(mappings),       cmocka_unit_test(loops_written), cmocka_unit_test(no_loops),
        cmocka_unit_test(limits_written), cmocka_unit_test(fan_out),       cmocka_unit_test(from_tables), cmocka_unit_test(never_read),
        cmocka_unit_test(copies),        cmocka_unit_test(hostile_groups), cmocka_unit_test(nobody_there), cmocka_unit_test(work_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
