/* SPDX-License-Identifier: Apache-2.0
 * Lists of matches: entries taken apart, files, the nearest entry, many entries, expressions that never end; and allow and block
 * lists in the pipeline: who decides when several entries fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/mem.h"
#include "policy/checks.h"
#include "config/list.h"
#include "policy/pipeline.h"

/* ---- lists by hand */

static struct list_match *make(enum list_of of, const char *const *entries)
{
    struct config_match matches[16];
    struct config_match_list all = { .entries = matches };
    struct err err;
    for (; entries && entries[all.n]; all.n++) all.entries[all.n] = (struct config_match){ .match = entries[all.n], .place = { 5, 3 } };
    struct list_match *l = list_new(&all, of, NULL, &err);
    if (!l) fail_msg("%s", err.text);
    return l;
}

#define CLIENTS(...) make(LIST_OF_CLIENTS, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
#define ADDRESSES(...) make(LIST_OF_ADDRESSES, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static const char *by_ip(const struct list_match *l, const char *text)
{
    struct list_found f;
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    list_find_ip(l, &ip, &f);
    return f.kind ? f.entry->match : "";
}

static const char *by_host(const struct list_match *l, const char *name)
{
    struct list_found f;
    list_find_host(l, slice_str(name), &f);
    return f.kind ? f.entry->match : "";
}

static const char *by_address(const struct list_match *l, const char *text)
{
    struct list_found f;
    struct slice domain = slice_str(text), local = { 0 };
    char name[256];
    const char *at = strrchr(text, '@');
    if (at) local = slice_of(text, (size_t)(at - text)), domain = slice_str(at + 1);
    if (address_domain_ascii(domain, name)) domain = slice_str(name);
    list_find_address(l, local, domain, &f);
    return f.kind ? f.entry->match : "";
}

/* ---- entries */

static void entries_are_what_they_look_like(void **state)
{
    static const struct {
        const char *text;
        enum list_of of;
        int form; /* -1: wrong */
    } cases[] = {
        { "192.0.2.7", LIST_OF_CLIENTS, MATCH_NETWORK }, { "2001:db8::1", LIST_OF_CLIENTS, MATCH_NETWORK },
        { "192.0.2.0/24", LIST_OF_CLIENTS, MATCH_NETWORK }, { "10.0.0.0/255.0.0.0", LIST_OF_CLIENTS, MATCH_NETWORK },
        { "192.168.88", LIST_OF_CLIENTS, MATCH_NETWORK }, { "192.168.88.", LIST_OF_CLIENTS, MATCH_NETWORK },
        { "10.", LIST_OF_CLIENTS, MATCH_NETWORK }, { "10", LIST_OF_CLIENTS, -1 }, { "10..1", LIST_OF_CLIENTS, -1 },
        { "10.256", LIST_OF_CLIENTS, -1 }, { "1.2.3.4.5", LIST_OF_CLIENTS, -1 }, { "1.2.3.", LIST_OF_CLIENTS, MATCH_NETWORK },
        { ".", LIST_OF_CLIENTS, -1 }, { "192.0.2.1/24", LIST_OF_CLIENTS, -1 }, { "192.0.2.0/33", LIST_OF_CLIENTS, -1 },
        { "10.1/16", LIST_OF_CLIENTS, -1 }, { "192.0.2.7", LIST_OF_ADDRESSES, -1 }, { "2001:db8::", LIST_OF_ADDRESSES, -1 },
        { "a@example.org", LIST_OF_ADDRESSES, MATCH_MAILBOX }, { "a@example.org", LIST_OF_CLIENTS, -1 },
        { "a@", LIST_OF_ADDRESSES, MATCH_LOCAL }, { "@example.org", LIST_OF_ADDRESSES, -1 }, { "@", LIST_OF_ADDRESSES, -1 },
        { "\"a b\"@example.org", LIST_OF_ADDRESSES, MATCH_MAILBOX }, { "a b@example.org", LIST_OF_ADDRESSES, -1 },
        { "a@[192.0.2.1]", LIST_OF_ADDRESSES, -1 }, { "a@b@c", LIST_OF_ADDRESSES, -1 }, { "<>", LIST_OF_ADDRESSES, MATCH_NULL },
        { "<>", LIST_OF_CLIENTS, -1 }, { "example.org", LIST_OF_CLIENTS, MATCH_NAME }, { ".example.org", LIST_OF_ADDRESSES, MATCH_TREE },
        { "b\xc3\xbc" "cher.example", LIST_OF_ADDRESSES, MATCH_NAME }, { "*.example.org", LIST_OF_ADDRESSES, -1 },
        { "..example.org", LIST_OF_ADDRESSES, -1 }, { "example.123", LIST_OF_CLIENTS, -1 }, { "-a.example", LIST_OF_CLIENTS, -1 },
        { "/.*@example\\.org/", LIST_OF_ADDRESSES, MATCH_EXPRESSION }, { "/dsl-.*/", LIST_OF_CLIENTS, MATCH_EXPRESSION },
        { "/", LIST_OF_CLIENTS, -1 }, { "//", LIST_OF_CLIENTS, -1 }, { "/(/", LIST_OF_CLIENTS, -1 }, { "/a", LIST_OF_CLIENTS, -1 },
        { "/\\C/", LIST_OF_CLIENTS, -1 }, { "", LIST_OF_CLIENTS, -1 }, { "a\x01", LIST_OF_CLIENTS, -1 }, { " a", LIST_OF_CLIENTS, -1 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct match m;
        struct err err = { .text = "" };
        bool ok = match_check(slice_str(cases[i].text), cases[i].of, &err);
        if (ok != (cases[i].form >= 0)) fail_msg("%s: %s", cases[i].text, err.text);
        if (ok && (match_parse(slice_str(cases[i].text), cases[i].of, &m) || (int)m.form != cases[i].form))
            fail_msg("%s: form %d", cases[i].text, m.form);
        if (!ok) assert_true(err.text[0]);
    }
}

static void the_nearest_network_is_found(void **state)
{
    struct list_match *l = CLIENTS("10.", "10.1.0.0/16", "10.1.2.3", "10.1.2", "192.168.88", "2001:db8::/32", "2001:db8:1::/48", "10.1.2.3/32");
    assert_string_equal(by_ip(l, "10.9.9.9"), "10.");
    assert_string_equal(by_ip(l, "10.1.9.9"), "10.1.0.0/16");
    assert_string_equal(by_ip(l, "10.1.2.9"), "10.1.2");
    assert_string_equal(by_ip(l, "10.1.2.3"), "10.1.2.3"); /* the first of two */
    assert_string_equal(by_ip(l, "::ffff:10.1.2.3"), "10.1.2.3");
    assert_string_equal(by_ip(l, "192.168.88.255"), "192.168.88");
    assert_string_equal(by_ip(l, "192.168.89.0"), "");
    assert_string_equal(by_ip(l, "2001:db8:1::5"), "2001:db8:1::/48");
    assert_string_equal(by_ip(l, "2001:db8:2::5"), "2001:db8::/32");
    struct list_found f;
    list_find_ip(l, &(struct ip){ 0 }, &f);
    assert_int_equal(f.kind, LIST_NONE);
    assert_false(list_has_hosts(l));
    list_free(l);
    l = CLIENTS();
    assert_true(list_is_empty(l));
    assert_string_equal(by_ip(l, "10.1.2.3"), "");
    list_free(l);
}

static void the_nearest_name_is_found(void **state)
{
    struct list_match *l = CLIENTS(".example.org", "mail.example.org", ".deep.mail.example.org", "/dsl-\\d+\\.example\\.net/", "B\xc3\x9c" "CHER.example");
    assert_true(list_has_hosts(l));
    assert_string_equal(by_host(l, "example.org"), ".example.org");
    assert_string_equal(by_host(l, "a.b.example.org"), ".example.org");
    assert_string_equal(by_host(l, "mail.example.org"), "mail.example.org");
    assert_string_equal(by_host(l, "x.mail.example.org"), ".example.org");
    assert_string_equal(by_host(l, "x.deep.mail.example.org"), ".deep.mail.example.org");
    assert_string_equal(by_host(l, "notexample.org"), "");
    assert_string_equal(by_host(l, "dsl-17.example.net"), "/dsl-\\d+\\.example\\.net/");
    assert_string_equal(by_host(l, "dsl-17.example.net.evil.test"), "");
    assert_string_equal(by_host(l, "xn--bcher-kva.example"), "B\xc3\x9c" "CHER.example");
    assert_string_equal(by_host(l, "org"), "");
    assert_string_equal(by_host(l, ""), "");
    list_free(l);
}

static void the_nearest_address_is_found(void **state)
{
    struct list_match *l = ADDRESSES("Joe@example.org", "joe@", "example.org", ".example.org", "/.*@(sub\\.)?example\\.org/", "<>", "\"a b\"@x.example");
    assert_string_equal(by_address(l, "JOE@EXAMPLE.org"), "Joe@example.org");
    assert_string_equal(by_address(l, "\"jo\\e\"@example.org"), "Joe@example.org");
    assert_string_equal(by_address(l, "joe@elsewhere.test"), "joe@");
    assert_string_equal(by_address(l, "ann@sub.example.org"), "/.*@(sub\\.)?example\\.org/");
    assert_string_equal(by_address(l, "ann@other.example.org"), ".example.org");
    assert_string_equal(by_address(l, "\"a b\"@x.example"), "\"a b\"@x.example");
    assert_string_equal(by_address(l, ""), "<>");
    assert_string_equal(by_address(l, "ann@elsewhere.test"), "");
    list_free(l);
    l = ADDRESSES("/.*/", "example.org");
    assert_string_equal(by_address(l, ""), ""); /* bounces are named by <> alone */
    assert_string_equal(by_address(l, "\xff\xfe@a.example"), "/.*/"); /* no UTF-8 */
    list_free(l);
    l = ADDRESSES("postmaster@", "example.org", ".example.org", ".org");
    assert_string_equal(by_address(l, "postmaster@"), "postmaster@");
    assert_string_equal(by_address(l, "a@example.org"), "example.org");
    assert_string_equal(by_address(l, "a@x.example.org"), ".example.org");
    assert_string_equal(by_address(l, "a@x.test.org"), ".org");
    list_free(l);
}

/* ---- files */

static char folder[] = "/tmp/postern-lists-XXXXXX";

static const char *file(const char *text, size_t n)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/list", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    return path;
}

static struct list_match *from_file(enum list_of of, const char *text, size_t n, struct err *err)
{
    struct config_match m = { .file = file(text, n), .place = { 9, 5 } };
    return list_new(&(struct config_match_list){ &m, 1 }, of, NULL, err);
}

static void files_have_entries_reasons_and_comments(void **state)
{
    static const char text[] = "\xEF\xBB\xBF# blocked\r\n\r\n192.0.2.7\r\n  203.0.113.0/24 \t spam came from here  \n198.51.100.1 # for now\n/a b-\\d/ two words\n"
                               "192.0.2.7 again\nlast.example";
    struct err err;
    struct list_found f;
    struct list_match *l = from_file(LIST_OF_CLIENTS, text, sizeof text - 1, &err);
    assert_non_null(l);
    list_find_ip(l, &(struct ip){ .family = 4, .bytes = { 203, 0, 113, 9 } }, &f);
    assert_string_equal(f.entry->match, "203.0.113.0/24");
    assert_string_equal(f.entry->reason, "spam came from here");
    assert_int_equal(f.entry->line, 4);
    assert_int_equal(f.entry->place.line, 9);
    assert_non_null(f.entry->file);
    list_find_ip(l, &(struct ip){ .family = 4, .bytes = { 198, 51, 100, 1 } }, &f);
    assert_null(f.entry->reason);
    assert_string_equal(f.entry->comment, "for now");
    list_find_ip(l, &(struct ip){ .family = 4, .bytes = { 192, 0, 2, 7 } }, &f);
    assert_int_equal(f.entry->line, 3);
    assert_string_equal(by_host(l, "a b-3"), "/a b-\\d/");
    assert_string_equal(by_host(l, "last.example"), "last.example");
    list_free(l);
    l = from_file(LIST_OF_ADDRESSES, "\"a b\"@x.example no more\n", 24, &err);
    assert_non_null(l);
    assert_string_equal(by_address(l, "\"a b\"@x.example"), "\"a b\"@x.example");
    list_free(l);
}

static void errors_name_file_and_line(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *part;
    } cases[] = {
        { "example.org\n\n10.0.0.999\n", 24, "/list:3: \"10.0.0.999\": not an IP address" },
        { "a\0b\n", 4, "/list:1: \"a\": the line has a NUL" },
        { "a.example w\xc3\xbcst\n", 16, "/list:1: \"a.example\": the reason has characters" },
        { "x\x1b[2J.example\n", 14, "/list:1: \"x\\x1b[2J.example\": " },
        { "/(a/\n", 5, "/list:1: \"/(a/\": missing closing parenthesis" },
        { "a@b.example", 11, "a mail address: it belongs into a list of senders" },
    };
    struct err err;
    for (size_t i = 0; i < countof(cases); i++) {
        assert_null(from_file(LIST_OF_CLIENTS, cases[i].text, cases[i].n, &err));
        if (!strstr(err.text, cases[i].part)) fail_msg("%s", err.text);
    }
    struct config_match m = { .file = "/nonexistent/list" };
    assert_null(list_new(&(struct config_match_list){ &m, 1 }, LIST_OF_CLIENTS, NULL, &err));
    assert_string_equal(err.text, "cannot read /nonexistent/list: No such file or directory");
    m.file = "/tmp";
    assert_null(list_new(&(struct config_match_list){ &m, 1 }, LIST_OF_CLIENTS, NULL, &err));
    assert_string_equal(err.text, "/tmp is not a file");
    m = (struct config_match){ .match = "10", .place = { 4, 2 } };
    assert_null(list_new(&(struct config_match_list){ &m, 1 }, LIST_OF_CLIENTS, NULL, &err));
    assert_non_null(strstr(err.text, "line 4: \"10\": "));
}

#define MANY 100000u

static void many_entries_cost_little(void **state)
{
    struct buf clients = { 0 }, senders = { 0 };
    struct err err;
    for (unsigned i = 0; i < MANY; i++) {
        buf_addf(&clients, "10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
        buf_addf(&senders, i % 2 ? "user%u@example.org\n" : "d%u.example\n", i);
    }
    uint64_t begun = clock_mono_us();
    struct list_match *l = from_file(LIST_OF_CLIENTS, clients.p, clients.n, &err),
                      *s = from_file(LIST_OF_ADDRESSES, senders.p, senders.n, &err);
    uint64_t loaded = clock_mono_us();
    assert_non_null(l);
    assert_non_null(s);
    struct list_found f;
    for (unsigned i = 0; i < MANY; i++) {
        struct ip ip = { .family = 4, .bytes = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
        char name[64];
        list_find_ip(l, &ip, &f);
        assert_int_equal(f.entry->line, i + 1);
        snprintf(name, sizeof name, i % 2 ? "user%u" : "d%u.example", i);
        list_find_address(s, i % 2 ? slice_str(name) : SLICE("x"), i % 2 ? SLICE("example.org") : slice_str(name), &f);
        assert_int_equal(f.entry->line, i + 1);
    }
    uint64_t found = clock_mono_us();
    print_message("200000 entries read in %.0f ms, a look-up takes %.0f ns\n", (double)(loaded - begun) / 1000,
                  (double)(found - loaded) * 1000 / (2 * MANY));
    assert_true(loaded - begun < 20000000 && found - loaded < 20000000); /* far from quadratic, even with sanitizers */
    list_free(l);
    list_free(s);
    buf_deinit(&clients);
    buf_deinit(&senders);
}

static void expressions_are_bounded(void **state)
{
    struct list_match *l = ADDRESSES("/((a+)+)+@b/", "/(.*)*\\1@c/", "example.org");
    uint64_t begun = clock_mono_us();
    assert_string_equal(by_address(l, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org"), "example.org");
    assert_true(clock_mono_us() - begun < 2000000);
    list_free(l);
    struct config_match *many = mem_zalloc((LIST_EXPRESSIONS_MAX + 1) * sizeof *many);
    struct err err;
    for (size_t i = 0; i <= LIST_EXPRESSIONS_MAX; i++) many[i].match = "/a/";
    assert_null(list_new(&(struct config_match_list){ many, LIST_EXPRESSIONS_MAX + 1 }, LIST_OF_CLIENTS, NULL, &err));
    assert_non_null(strstr(err.text, "more than 1000 regular expressions"));
    free(many);
}

/* ---- in the pipeline */

struct world {
    struct config config;
    struct policy policy;
    struct policy_engine engine;
    const struct check *checks[7];
};
static struct config_zone internet = { .name = "internet" };
static struct config_domain domains[] = { { .name = "example.com", .place = { 3, 5 } } };

static void begin(struct world *w)
{
    static const struct check *const rows[] = { &check_client_list, &check_client_names, &check_sender_list, &check_relay, &check_recipient_list };
    struct err err;
    w->config = (struct config){ .hostname = "mx.example.com", .checks.delay_reject = true, .domains = domains, .domain_n = 1 };
    w->policy = (struct policy){ .config = &w->config, .checks = w->checks };
    w->policy.lists.relaying = relaying_new(&w->config, &err);
    struct policy *p = &w->policy;
    size_t stage = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        while (stage < rows[i]->stage) p->from[++stage] = p->n;
        w->checks[p->n++] = rows[i];
    }
    while (stage < STAGES) p->from[++stage] = p->n;
    w->engine = (struct policy_engine){ .o = { .config = &w->config, .policy = p } };
    w->engine.counts = mem_zalloc(p->n * sizeof *w->engine.counts);
    w->engine.places = mem_zalloc(p->n * sizeof *w->engine.places);
}

static void end(struct world *w)
{
    struct policy_lists *l = &w->policy.lists;
    const struct list_match *all[] = { l->allow_clients, l->block_clients, l->allow_senders, l->block_senders, l->allow_recipients, l->block_recipients };
    for (size_t i = 0; i < countof(all); i++) list_free((struct list_match *)all[i]);
    relaying_free((struct relaying *)l->relaying);
    free(w->engine.counts);
    free(w->engine.places);
}

static void never(void *arg, const struct policy_verdict *v) { fail(); }

/* One message from 192.0.2.7, named mail.sender.example, by joe@sender.example to ann@example.com. */
static void ask(struct world *w, struct policy_verdict *v, unsigned *allowed, char who[64])
{
    struct policy_client client = { .zone = &internet, .ip = { .family = 4, .bytes = { 192, 0, 2, 7 } } };
    struct policy_run *run = policy_run_new(&w->engine, &client, false);
    struct address sender, rcpt;
    run->facts.reverse = REVERSE_CONFIRMED;
    run->facts.reverse_name = SLICE("mail.sender.example");
    policy_ask(run, STAGE_CONNECT, v, never, NULL);
    policy_set_helo(run, SLICE("mail.sender.example"));
    policy_ask(run, STAGE_HELO, v, never, NULL);
    assert_null(address_parse(SLICE("Joe@Sender.example"), &sender));
    policy_set_sender(run, &sender);
    policy_ask(run, STAGE_MAIL, v, never, NULL);
    assert_null(address_parse(SLICE("ann@example.com"), &rcpt));
    policy_set_recipient(run, &rcpt, 0);
    policy_ask(run, STAGE_RCPT, v, never, NULL);
    *allowed = run_allowed(run, STAGE_DATA);
    snprintf(who, 64, "%s", v->check);
    if (v->outcome == POLICY_PASS) assert_true(policy_relay_verdict(run)->allowed);
    v->text = v->why = "";
    policy_run_free(&run);
}

static void permitted_forbidden_and_nearer(void **state)
{
    /* ip: the client's address; name: its name; mailbox, domain: of the sender; rcpt: the recipient. + allowed, - blocked */
    static const struct {
        const char *ip, *name, *sender_allow, *sender_block, *rcpt_allow, *rcpt_block;
        const char *refused_by; /* "": taken */
        unsigned allowed;
    } cases[] = {
        /* the mailbox in both lists: permitted */
        { "", "", "joe@sender.example", "joe@sender.example", "", "", "", ALLOW_MAIL },
        { "", "", "sender.example", "sender.example", "", "", "", ALLOW_MAIL },
        /* the address of the server is forbidden, the domain permitted: blocked by the address */
        { "-192.0.2.7", "", "sender.example", "", "", "", "client-list", 0 },
        /* the address is permitted, the domain forbidden: blocked, at the later stage */
        { "+192.0.2.7", "", "", "sender.example", "", "", "sender-list", ALLOW_CLIENT },
        /* the domain is permitted, a mailbox of it forbidden: blocked */
        { "", "", "sender.example", "joe@sender.example", "", "", "sender-list", 0 },
        { "", "", "sender.example", "/jo.@.*/", "", "", "sender-list", 0 },
        { "", "", ".example", "joe@", "", "", "sender-list", 0 },
        /* the mailbox is permitted, its domain forbidden: taken */
        { "", "", "joe@sender.example", "sender.example", "", "", "", ALLOW_MAIL },
        { "", "", "/jo.@.*/", "sender.example", "", "", "", ALLOW_MAIL },
        /* within one kind the nearer */
        { "", "", "sender.example", ".sender.example", "", "", "", ALLOW_MAIL },
        { "", "", ".sender.example", "sender.example", "", "", "sender-list", 0 },
        { "", "", "joe@", "joe@sender.example", "", "", "sender-list", 0 },
        { "", "", "/jo.@.*/", "/.*@sender.*/", "", "", "", ALLOW_MAIL }, /* expressions are equally near */
        /* a mailbox by itself before one in an expression */
        { "", "", "/.*/", "joe@sender.example", "", "", "sender-list", 0 },
        { "", "", "joe@sender.example", "/.*/", "", "", "", ALLOW_MAIL },
        /* no block is undone by a later stage */
        { "", "", "", "sender.example", "ann@example.com", "", "sender-list", 0 },
        { "", "-mail.sender.example", "joe@sender.example", "", "ann@example.com", "", "client-names", 0 },
        { "-192.0.2.7", "+mail.sender.example", "", "", "", "", "client-list", 0 },
        /* nor does an earlier allow undo a later block */
        { "", "", "joe@sender.example", "", "", "ann@", "recipient-list", ALLOW_MAIL },
        { "+192.0.2.7", "", "joe@sender.example", "", "", "example.com", "recipient-list", ALLOW_CLIENT | ALLOW_MAIL },
        /* an address is nearer than any name of the same client */
        { "+192.0.2.7", "-mail.sender.example", "", "", "", "", "", ALLOW_CLIENT },
        { "", "+mail.sender.example", "", "", "", "", "", ALLOW_CLIENT },
        { "", "+/mail\\..*/", "", "", "", "", "", ALLOW_CLIENT },
        { "", "", "", "", "ann@example.com", "example.com", "", ALLOW_MAIL },
        { "", "", "", "", "", "", "", 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct world w;
        struct policy_verdict v;
        unsigned allowed;
        char who[64];
        begin(&w);
        struct policy_lists *l = &w.policy.lists;
        const char *client[2][3] = { { NULL } }; /* allowed, blocked */
        size_t n[2] = { 0 };
        const char *const marked[] = { cases[i].ip, cases[i].name };
        for (size_t k = 0; k < 2; k++)
            if (marked[k][0]) client[marked[k][0] == '-'][n[marked[k][0] == '-']++] = marked[k] + 1;
#define ONE(text) (const char *const[]){ (text)[0] ? (text) : NULL, NULL }
        l->allow_clients = make(LIST_OF_CLIENTS, client[0]);
        l->block_clients = make(LIST_OF_CLIENTS, client[1]);
        l->allow_senders = make(LIST_OF_ADDRESSES, ONE(cases[i].sender_allow));
        l->block_senders = make(LIST_OF_ADDRESSES, ONE(cases[i].sender_block));
        l->allow_recipients = make(LIST_OF_ADDRESSES, ONE(cases[i].rcpt_allow));
        l->block_recipients = make(LIST_OF_ADDRESSES, ONE(cases[i].rcpt_block));
        ask(&w, &v, &allowed, who);
        if (strcmp(who, cases[i].refused_by) != 0 || (v.outcome == POLICY_REJECT) != (cases[i].refused_by[0] != 0) ||
            allowed != cases[i].allowed)
            fail_msg("case %zu: outcome %d by \"%s\", allowed %u", i, v.outcome, who, allowed);
        if (v.outcome == POLICY_REJECT) {
            assert_int_equal(v.code, !strncmp(who, "client", 6) ? 554 : 550);
            assert_string_equal(v.enhanced, "5.7.1");
            assert_int_equal(v.place.line, 5);
        }
        end(&w);
    }
}

static void reasons_are_told(void **state)
{
    struct config_match m = { .match = "192.0.2.0/24", .reason = "your network sends spam, see our page", .place = { 8, 1 } };
    struct policy_client client = { .zone = &internet, .ip = { .family = 4, .bytes = { 192, 0, 2, 7 } } };
    struct policy_verdict v;
    struct world w;
    struct err err;
    begin(&w);
    struct policy_lists *l = &w.policy.lists;
    w.config.checks.delay_reject = false;
    l->allow_clients = CLIENTS();
    l->block_clients = list_new(&(struct config_match_list){ &m, 1 }, LIST_OF_CLIENTS, NULL, &err);
    struct policy_run *run = policy_run_new(&w.engine, &client, false);
    policy_ask(run, STAGE_CONNECT, &v, never, NULL);
    assert_int_equal(v.outcome, POLICY_REJECT);
    assert_string_equal(v.text, "your network sends spam, see our page");
    assert_string_equal(v.why, "block.clients has 192.0.2.0/24");
    assert_int_equal(v.place.line, 8);
    policy_run_free(&run);
    list_free((struct list_match *)l->block_clients);
    l->block_clients = from_file(LIST_OF_CLIENTS, "# x\n192.0.2.7\n", 14, &err);
    run = policy_run_new(&w.engine, &client, false);
    policy_ask(run, STAGE_CONNECT, &v, never, NULL);
    assert_non_null(strstr(v.why, "block.clients has 192.0.2.7, /tmp/postern-lists-"));
    assert_non_null(strstr(v.why, "/list:2"));
    policy_run_free(&run);
    end(&w);
}

static int make_folder(void **state) { return mkdtemp(folder) ? 0 : -1; }
static int remove_folder(void **state)
{
    char path[64];
    snprintf(path, sizeof path, "%s/list", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_what_they_look_like),
        cmocka_unit_test(the_nearest_network_is_found),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(the_nearest_address_is_found),
        cmocka_unit_test(files_have_entries_reasons_and_comments),
        cmocka_unit_test(errors_name_file_and_line),
        cmocka_unit_test(many_entries_cost_little),
        cmocka_unit_test(expressions_are_bounded),
        cmocka_unit_test(permitted_forbidden_and_nearer),
        cmocka_unit_test(reasons_are_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
