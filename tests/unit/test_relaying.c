/* SPDX-License-Identifier: Apache-2.0
 * The list `relaying`: who decides, what it opens and what it never does, whatever stands in it and in whatever order; and what the
 * check of a configuration says of lists and of this one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "config/config.h"
#include "policy/checks.h"
#include "policy/pipeline.h"
#include "route/expand.h"
#include "route/rewrite.h"

static struct config_domain domains[] = {
    { .name = "example.com", .place = { 3, 5 } },
    { .name = "example.net", .subdomains = true, .place = { 4, 5 } },
};
static const struct config_zone internet = { .name = "internet", .place = { 8, 3 } };
static const struct config_zone lan = { .name = "lan", .trust = CONFIG_TRUST_RELAY, .place = { 7, 3 } };

static struct relaying *compile(struct config *c, struct config_relaying *entries, size_t n)
{
    struct err err;
    *c = (struct config){ .hostname = "mx.example.com", .domains = domains, .domain_n = countof(domains), .relaying = entries, .relaying_n = n };
    struct relaying *l = relaying_new(c, &err);
    if (!l) fail_msg("%s", err.text);
    return l;
}

struct mail {
    const struct config_zone *zone;
    bool authed, distrusted;
    const char *ip, *name, *sender, *rcpt; /* sender, rcpt: domains */
};

static struct relay_verdict judge(const struct config *c, const struct relaying *l, const struct mail *m)
{
    struct relay_client who = { .zone = m->zone, .authed = m->authed, .distrusted = m->distrusted, .sender = slice_str(m->sender),
                                .name = slice_str(m->name), .list = l };
    struct relay_verdict v;
    struct address a;
    char text[300];
    if (m->ip) assert_true(ip_parse(slice_str(m->ip), &who.ip));
    snprintf(text, sizeof text, "user@%s", m->rcpt);
    assert_null(address_parse(slice_str(text), &a));
    relay_judge(c, &who, &a, &v);
    assert_int_equal(v.allowed, v.code == 250);
    assert_int_equal(v.allowed, v.text[0] == 0);
    assert_true(v.why[0]);
    return v;
}

/* The recipient as written. */
static struct relay_verdict judge_rewritten(const struct config *c, const struct relaying *l, const struct rewriter *r, const struct config_zone *zone,
                                            uint64_t now, const char *rcpt)
{
    struct relay_client who = { .zone = zone, .rewriter = r, .now_ms = now, .list = l };
    struct relay_verdict v;
    struct address a;
    assert_null(address_parse(slice_str(rcpt), &a));
    relay_judge(c, &who, &a, &v);
    assert_int_equal(v.allowed, v.text[0] == 0);
    assert_int_equal(v.rewritten, v.original[0] != 0);
    if (!v.allowed) assert_false(v.rewritten || v.postmaster);
    return v;
}

#define CONNECT CONFIG_RELAYING_CONNECT
#define FROM CONFIG_RELAYING_FROM
#define TO CONFIG_RELAYING_TO
#define ANY (CONNECT | FROM | TO)
#define RELAY CONFIG_RELAYING_RELAY
#define REJECT CONFIG_RELAYING_REJECT
#define OK CONFIG_RELAYING_OK

static struct config_relaying entries[] = {
    { .match = "192.0.2.0/24", .on = CONNECT, .action = RELAY, .place = { 101, 1 } },
    { .match = "192.0.2.66", .on = CONNECT, .action = REJECT, .place = { 102, 1 } },
    { .match = "192.0.2.77", .on = ANY, .action = OK, .place = { 103, 1 } },
    { .match = ".office.example", .on = CONNECT, .action = RELAY, .place = { 104, 1 } },
    { .match = "guest.office.example", .on = CONNECT, .action = REJECT, .place = { 105, 1 } },
    { .match = ".spam.example", .on = ANY, .action = REJECT, .place = { 106, 1 } },
    { .match = "good.spam.example", .on = ANY, .action = OK, .place = { 107, 1 } },
    { .match = "partner.example", .on = TO, .action = RELAY, .place = { 108, 1 } },
    { .match = "closed.example.net", .on = TO, .action = REJECT, .place = { 109, 1 } },
    { .match = "10.0.0.0/8", .on = CONNECT, .action = OK, .place = { 110, 1 } },
    { .match = "192.0.2.88", .on = CONNECT, .action = RELAY, .place = { 111, 1 } },
    { .match = "192.0.2.88", .on = CONNECT, .action = REJECT, .place = { 112, 1 } },
    { .match = "claimed.example", .on = FROM, .action = RELAY, .place = { 113, 1 } }, /* check refuses it, and it does nothing */
};

static void who_decides(void **state)
{
    static const struct {
        struct mail m;
        bool allowed;
        uint32_t line;
    } cases[] = {
        { { &internet, .ip = "192.0.2.5", .name = "", .sender = "a.test", .rcpt = "far.test" }, true, 101 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "far.test" }, false, 8 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "example.com" }, true, 3 },
        { { &internet, .ip = "192.0.2.66", .name = "", .sender = "a.test", .rcpt = "example.com" }, false, 102 },
        { { &lan, .ip = "192.0.2.66", .name = "", .sender = "a.test", .rcpt = "example.com" }, false, 102 },
        { { &internet, true, .ip = "192.0.2.66", .name = "", .sender = "a.test", .rcpt = "example.com" }, false, 102 },
        /* ok: relay domains, and no others; a user of ours stays one */
        { { &internet, .ip = "192.0.2.77", .name = "", .sender = "a.test", .rcpt = "example.com" }, true, 3 },
        { { &internet, .ip = "192.0.2.77", .name = "", .sender = "a.spam.example", .rcpt = "closed.example.net" }, true, 4 },
        { { &internet, .ip = "192.0.2.77", .name = "", .sender = "a.test", .rcpt = "far.test" }, false, 103 },
        { { &internet, .ip = "192.0.2.77", .name = "x.office.example", .sender = "a.test", .rcpt = "far.test" }, false, 103 },
        { { &lan, .ip = "10.1.1.1", .name = "", .sender = "a.test", .rcpt = "far.test" }, false, 110 },
        { { &lan, .ip = "10.1.1.1", .name = "", .sender = "a.test", .rcpt = "partner.example" }, true, 108 },
        { { &lan, true, .ip = "10.1.1.1", .name = "", .sender = "a.test", .rcpt = "far.test" }, true, 0 },
        /* names of clients, when confirmed */
        { { &internet, .ip = "198.51.100.5", .name = "pc.office.example", .sender = "", .rcpt = "far.test" }, true, 104 },
        { { &internet, .ip = "198.51.100.5", .name = "guest.office.example", .sender = "", .rcpt = "far.test" }, false, 105 },
        { { &internet, .ip = "192.0.2.5", .name = "guest.office.example", .sender = "", .rcpt = "far.test" }, true, 101 },
        { { &internet, .ip = "198.51.100.5", .name = "pc.office.example.evil.test", .sender = "", .rcpt = "far.test" }, false, 8 },
        { { &internet, .name = "", .sender = "", .rcpt = "far.test" }, false, 8 },
        /* connect before from before to */
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.spam.example", .rcpt = "example.com" }, false, 106 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "good.spam.example", .rcpt = "example.com" }, true, 3 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "good.spam.example", .rcpt = "far.test" }, false, 107 },
        { { &internet, .ip = "192.0.2.5", .name = "", .sender = "a.spam.example", .rcpt = "far.test" }, true, 101 },
        { { &internet, .ip = "198.51.100.5", .name = "good.spam.example", .sender = "b.spam.example", .rcpt = "example.com" }, true, 3 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "b.spam.example" }, false, 106 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.spam.example", .rcpt = "partner.example" }, false, 106 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "closed.example.net" }, false, 109 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "good.spam.example", .rcpt = "closed.example.net" }, true, 4 },
        /* relay domains of the list */
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "Partner.Example" }, true, 108 },
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "sub.partner.example" }, false, 8 },
        /* the strictest of the same */
        { { &internet, .ip = "192.0.2.88", .name = "", .sender = "a.test", .rcpt = "far.test" }, false, 112 },
        /* a sender is claimed */
        { { &internet, .ip = "198.51.100.5", .name = "", .sender = "claimed.example", .rcpt = "far.test" }, false, 8 },
        /* no trust left */
        { { &internet, .distrusted = true, .ip = "192.0.2.5", .name = "", .sender = "a.test", .rcpt = "far.test" }, false, 8 },
        { { &lan, .distrusted = true, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "far.test" }, false, 7 },
        { { &internet, .distrusted = true, .ip = "192.0.2.5", .name = "", .sender = "a.spam.example", .rcpt = "example.com" }, false, 106 },
        { { &internet, .distrusted = true, .ip = "192.0.2.66", .name = "", .sender = "a.test", .rcpt = "example.com" }, false, 102 },
        { { &internet, true, true, .ip = "198.51.100.5", .name = "", .sender = "a.test", .rcpt = "far.test" }, true, 0 },
    };
    struct config c;
    struct relaying *l = compile(&c, entries, countof(entries));
    for (size_t i = 0; i < countof(cases); i++) {
        struct relay_verdict v = judge(&c, l, &cases[i].m);
        if (v.allowed != cases[i].allowed || v.place.line != cases[i].line)
            fail_msg("case %zu: allowed %d, line %u, %s", i, v.allowed, v.place.line, v.why);
    }
    relaying_free(l);
}

static void listed_domains_are_no_detour(void **state)
{
    static const char *const paths[] = { "u%far.test@partner.example", "far.test!u@partner.example", "\"u@far.test\"@partner.example" };
    struct config c;
    struct relaying *l = compile(&c, entries, countof(entries));
    for (size_t i = 0; i < countof(paths); i++) {
        struct relay_client who = { .zone = &internet, .list = l };
        struct relay_verdict v;
        struct address a;
        assert_null(address_parse(slice_str(paths[i]), &a));
        relay_judge(&c, &who, &a, &v);
        assert_false(v.allowed);
        assert_int_equal(v.place.line, 108);
    }
    relaying_free(l);
}

static void postmaster_is_reached_all_the_same(void **state)
{
    struct config c;
    struct relaying *l = compile(&c, entries, countof(entries));
    struct relay_client who = { .zone = &internet, .list = l, .sender = SLICE("a.spam.example") };
    struct slice in = SLICE("<postmaster>");
    struct relay_verdict v;
    struct address a;
    assert_true(ip_parse(SLICE("192.0.2.66"), &who.ip));
    assert_null(address_parse_path(&in, false, true, &a));
    relay_judge(&c, &who, &a, &v);
    assert_true(v.postmaster);
    relaying_free(l);
}

/* ---- no list, in no order, opens the relay */

static const char *const nets[] = { "192.0.2.1", "192.0.2.0/30", "192.0.2", "192.0.0.0/16", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1", "10." };
static const char *const names[] = { "a.test", ".a.test", "b.a.test", ".b.a.test", "test", ".test", "far.example", ".example", "example.com", ".example.net", "partner.example" };
static const char *const ips[] = { "192.0.2.1", "192.0.2.2", "192.0.2.200", "192.0.77.1", "203.0.113.1", "2001:db8::1", "2001:db8::2", "::1" };
static const char *const hosts[] = { "", "a.test", "b.a.test", "c.b.a.test", "test", "far.example", "x.example.net", "example.com" };

static uint32_t seed = 1;
static uint32_t below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* By itself, and slowly: does the entry name this address, or this name? */
static bool names_ip(const char *match, const char *text)
{
    struct ip_net net;
    struct ip ip;
    if (!strcmp(match, "192.0.2")) match = "192.0.2.0/24";
    if (!strcmp(match, "10.")) match = "10.0.0.0/8";
    return !ip_net_parse(slice_str(match), &net) && ip_parse(slice_str(text), &ip) && ip_net_has(&net, &ip);
}

static bool names_name(const char *match, const char *name)
{
    size_t m = strlen(match), n = strlen(name);
    if (!n) return false;
    if (match[0] != '.') return !strcmp(match, name);
    return !strcmp(match + 1, name) || (n > m && !strcmp(name + n - m, match));
}

static bool is_named(const struct config *c, const struct mail *m)
{
    for (size_t i = 0; i < c->relaying_n; i++) {
        const struct config_relaying *r = &c->relaying[i];
        if (r->action != RELAY) continue;
        if (r->on & CONNECT && (names_ip(r->match, m->ip) || names_name(r->match, m->name))) return true;
        if (r->on & TO && names_name(r->match, m->rcpt)) return true;
    }
    return false;
}

static void shuffle(struct config_relaying *e, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = below((uint32_t)i);
        struct config_relaying swap = e[k];
        e[k] = e[i - 1];
        e[i - 1] = swap;
    }
}

static void no_list_opens_the_relay(void **state)
{
    unsigned opened = 0, refused = 0;
    for (unsigned round = 0; round < 3000; round++) {
        struct config_relaying list[12];
        struct mail mails[16];
        bool allowed[16];
        struct config c;
        size_t n = below(countof(list) + 1);
        for (size_t i = 0; i < n; i++) {
            const char *match = below(2) ? nets[below(countof(nets))] : names[below(countof(names))];
            list[i] = (struct config_relaying){ .match = match, .on = 1 + below(7), .action = (enum config_relaying_action)below(3) };
        }
        for (unsigned turn = 0; turn < 3; turn++) {
            struct relaying *l = compile(&c, list, n);
            for (size_t i = 0; i < countof(mails); i++) {
                struct mail *m = &mails[i];
                if (!turn) *m = (struct mail){ &internet, false, below(8) == 0, ips[below(countof(ips))], hosts[below(countof(hosts))],
                                               hosts[below(countof(hosts))], hosts[1 + below(countof(hosts) - 1)] };
                struct relay_verdict v = judge(&c, l, m);
                bool ours = config_domain_of(&c, slice_str(m->rcpt));
                if (v.allowed && !ours && !is_named(&c, m)) fail_msg("round %u: %s [%s] to %s", round, m->name, m->ip, m->rcpt);
                if (turn && v.allowed != allowed[i]) fail_msg("round %u: the order of entries decides", round);
                allowed[i] = v.allowed;
                if (!ours) v.allowed ? opened++ : refused++;
            }
            relaying_free(l);
            shuffle(list, n);
        }
    }
    assert_true(opened > 1000 && refused > 1000);
}

/* ---- in the pipeline: clients of the list are trusted, until they are not */

static bool withdrawn;
static unsigned asked_strangers;
static void run_guard(struct check_call *c)
{
    if (withdrawn) check_distrust(c);
    check_pass(c, "watched");
}
static void run_stranger(struct check_call *c)
{
    asked_strangers++;
    check_pass(c, "a stranger");
}
static void never(void *arg, const struct policy_verdict *v) { fail(); }

/* The reply to one recipient; 250: taken. */
static int ask(const struct config *c, const struct relaying *l, const char *ip, const char *name)
{
    static const struct check guard = { .name = "guard", .stage = STAGE_CONNECT, .step = 1, .whom = FOR_TRUSTED, .run = run_guard },
                              stranger = { .name = "stranger", .stage = STAGE_HELO, .whom = FOR_STRANGERS, .run = run_stranger };
    const struct check *rows[] = { &check_relaying_client, &check_relaying_name, &guard, &stranger, &check_relay };
    struct policy p = { .config = c, .checks = rows, .n = countof(rows), .lists.relaying = l, .from = { 0, 3, 4, 4, 5, 5 } };
    uint64_t counts[countof(rows)][POLICY_WAIT] = { { 0 } };
    struct counter_place *places[countof(rows)][POLICY_WAIT + 1] = { { NULL } };
    struct policy_engine e = { .o = { .config = c, .policy = &p }, .counts = counts, .places = places };
    struct policy_client client = { .zone = &internet };
    struct policy_verdict v;
    struct address a;
    assert_true(check_relaying_client.wanted(c, &p) && check_relaying_name.wanted(c, &p));
    assert_true(ip_parse(slice_str(ip), &client.ip));
    struct policy_run *run = policy_run_new(&e, &client, false);
    run->facts.reverse = name[0] ? REVERSE_CONFIRMED : REVERSE_UNCONFIRMED;
    run->facts.reverse_name = name[0] ? slice_str(name) : SLICE("pc.office.example");
    asked_strangers = 0;
    policy_ask(run, STAGE_CONNECT, &v, never, NULL);
    policy_set_helo(run, SLICE("client.example"));
    policy_ask(run, STAGE_HELO, &v, never, NULL);
    assert_null(address_parse(SLICE("joe@a.test"), &a));
    policy_set_sender(run, &a);
    policy_ask(run, STAGE_MAIL, &v, never, NULL);
    assert_null(address_parse(SLICE("ann@far.test"), &a));
    policy_set_recipient(run, &a, 0);
    policy_ask(run, STAGE_RCPT, &v, never, NULL);
    assert_int_equal(policy_relay_verdict(run)->allowed, v.outcome == POLICY_PASS);
    if (v.outcome == POLICY_REJECT) assert_int_equal(v.place.line, policy_relay_verdict(run)->place.line);
    int code = v.outcome == POLICY_PASS ? 250 : v.code;
    policy_run_free(&run);
    return code;
}

static void listed_clients_are_trusted(void **state)
{
    struct config c;
    struct relaying *l = compile(&c, entries, countof(entries));
    c.checks.delay_reject = true;
    withdrawn = false;
    assert_int_equal(ask(&c, l, "192.0.2.5", ""), 250);
    assert_int_equal(asked_strangers, 0);
    assert_int_equal(ask(&c, l, "198.51.100.5", ""), 550); /* a name that is not confirmed */
    assert_int_equal(asked_strangers, 1);
    assert_int_equal(ask(&c, l, "198.51.100.5", "pc.office.example"), 250);
    assert_int_equal(asked_strangers, 0);
    assert_int_equal(ask(&c, l, "198.51.100.5", "guest.office.example"), 550);
    assert_int_equal(asked_strangers, 1);
    withdrawn = true;
    assert_int_equal(ask(&c, l, "192.0.2.5", ""), 550);
    assert_int_equal(asked_strangers, 1);
    assert_int_equal(ask(&c, l, "198.51.100.5", "pc.office.example"), 550);
    relaying_free(l);
}

/* ---- what the check of a configuration says */

/* Behind `head`: a finding that has `part` in it; NULL: none at all. */
static void finds(const char *head, const char *yaml, const char *part, bool error)
{
    struct config_report r;
    struct buf text = { 0 };
    buf_addf(&text, "hostname: mx.example.com\n%s%s", head, yaml);
    struct config *c = config_parse(buf_slice(&text), "test.yaml", &r);
    bool found = !part && !r.n;
    for (size_t i = 0; i < r.n; i++) found |= part && strstr(r.findings[i].text, part) && r.findings[i].warning == !error;
    if (!found || !c != error) {
        for (size_t i = 0; i < r.n; i++) print_error("%s: %s\n", r.findings[i].option, r.findings[i].text);
        fail_msg("%s", yaml);
    }
    for (size_t i = 0; i < r.n; i++) assert_true(r.findings[i].place.line > 1);
    config_free(c);
    config_report_deinit(&r);
    buf_deinit(&text);
}

static void findings(const char *yaml, const char *part, bool error) { finds("domains: [{name: example.com, deliver: 10.20.30.40}]\n", yaml, part, error); }

static void dangerous_entries_are_refused(void **state)
{
    findings("relaying: [{match: 10.20.30.0/24, action: relay}]", NULL, false);
    findings("relaying: [{match: 192.168, action: relay}, {match: mail.partner.example, action: relay, on: [connect, to]}]", NULL, false);
    findings("relaying: [{match: partner.example, on: from, action: relay}]", "anybody can claim to be a sender", true);
    findings("relaying: [{match: partner.example, on: any, action: relay}]", "anybody can claim to be a sender", true);
    findings("relaying: [{match: 0.0.0.0/0, action: relay}]", "it would relay for strangers: 0.0.0.0/0 is wider", true);
    findings("relaying: [{match: 2002::/16, action: relay}]", "6to4", true);
    findings("relaying: [{match: 0.0.0.0/0, action: reject}]", NULL, false);
    findings("relaying: [{match: 11., action: relay}, {match: 12., action: relay}, {match: 13., action: relay}, {match: 14., action: relay}, "
             "{match: 15., action: relay}]", "more than 67108864 addresses", true);
    findings("relaying: [{match: .com, action: relay}]", "com is a top-level domain", true);
    findings("relaying: [{match: com, on: to, action: relay}]", "com is a top-level domain", true);
    findings("relaying: [{match: .co.uk, action: relay}]", "everybody below co.uk", true);
    findings("relaying: [{match: .co.uk, on: to, action: relay}]", "looks like a registry", false);
    findings("relaying: [{match: .com, on: any, action: reject}]", NULL, false);
    findings("relaying: [{match: user@partner.example, action: reject}]", "a mail address", true);
    findings("relaying: [{match: /.*/, action: relay}]", "regular expressions are not for this list", true);
    findings("relaying: [{match: 192.0.2.1, on: to, action: reject}]", "senders and recipients have no address", true);
    findings("relaying: [{match: 10, action: relay}]", "", true);
    findings("relaying: [{match: a.example, action: reject}, {match: A.example, on: any, action: ok}]", "written twice", true);
    findings("relaying: [{match: a.example, action: ok}, {match: a.example, action: ok}]", "written twice", false);
    findings("relaying: [{match: a.example, action: ok}, {match: a.example, on: to, action: reject}]", NULL, false);
}

static void lists_are_checked(void **state)
{
    findings("checks: {block: {clients: [192.168.88, {match: 203.0.113.0/24, reason: spam}], senders: [.example.org, joe@example.org, \"/a.*@b/\", <>]}}",
             NULL, false);
    findings("checks: {block: {clients: [joe@example.org]}}", "it belongs into a list of senders or recipients", true);
    findings("checks: {allow: {senders: [192.0.2.1]}}", "it belongs into a list of clients", true);
    findings("checks: {allow: {recipients: [\"/(/\"]}}", "missing closing parenthesis", true);
    findings("checks: {allow: {clients: [{reason: x}]}}", "the entry names nothing", true);
    findings("checks: {allow: {clients: [{match: a.example, file: /etc/passwd}]}}", "just one of match, file and table", true);
    findings("checks: {allow: {clients: [{file: /nonexistent}]}}", "/nonexistent: No such file", false); /* an error when it is read */
    findings("checks: {block: {clients: [{match: a.example, reason: n\xc3\xb6}]}}", "only ASCII", true);
    findings("checks: {greylist: {exempt: {clients: [10]}}}", "\"10\": ", true);
    findings("checks: {greeting_pause: {exempt: [a@]}}", "\"a@\": a mail address", true);
    findings("checks: {block: {recipients: [Postmaster@example.com]}}", "the postmaster must be reachable", false);
    findings("checks: {block: {recipients: [postmaster@]}}", "the postmaster must be reachable", false);
}

#define NOW 1795335178000u
#define A_DAY 86400000u

static struct rewriter *rewriter(struct config *c, const char *domain)
{
    struct err err;
    char name[] = "/tmp/postern-secrets-XXXXXX";
    static const char text[] = "\n  the-secret-of-this-test  \r\nanother-secret-of-it\n";
    int fd = mkstemp(name);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    c->srs = (struct config_srs){ .domain = domain, .secrets_file = name, .keep = 21ull * A_DAY };
    struct rewriter *r = rewriter_new(c, &err);
    unlink(name);
    if (!r) fail_msg("%s", err.text);
    return r;
}

static void wrap(const struct rewriter *r, const char *sender, struct buf *out)
{
    buf_clear(out);
    assert_true(rewriter_wrap(r, slice_str(sender), NOW, out));
    buf_cstr(out);
}

static void rewritten_senders_come_back(void **state)
{
    struct config_relaying listed[] = { { .match = "bad.example", .on = TO, .action = REJECT, .place = { 20, 5 } } };
    struct config c;
    struct relaying *l = compile(&c, listed, 1);
    struct rewriter *r = rewriter(&c, "srs.example");
    struct buf b = { 0 };
    wrap(r, "user@away.example", &b);
    const struct config_zone *const zones[] = { &internet, &lan };
    for (size_t i = 0; i < countof(zones); i++) {
        for (unsigned days = 0; days <= 21; days += 7) {
            struct relay_verdict v = judge_rewritten(&c, l, r, zones[i], NOW + (uint64_t)days * A_DAY, buf_cstr(&b));
            assert_true(v.allowed && v.rewritten);
            assert_string_equal(v.original, "user@away.example");
        }
        assert_string_equal(judge_rewritten(&c, l, r, zones[i], NOW + 22ull * A_DAY, buf_cstr(&b)).enhanced, "5.1.1");
        for (size_t at = 5; at < b.n && b.p[at] != '@'; at++) { /* every character counts, but for letter case */
            char was = b.p[at];
            b.p[at] = was == 'x' || was == 'X' ? 'y' : 'x';
            assert_false(judge_rewritten(&c, l, r, zones[i], NOW, buf_cstr(&b)).allowed);
            b.p[at] = was;
        }
        assert_string_equal(judge_rewritten(&c, l, r, zones[i], NOW, "user@srs.example").enhanced, "5.1.1");
        assert_true(judge_rewritten(&c, l, r, zones[i], NOW, "Postmaster@SRS.example").postmaster);
    }
    /* without the secrets it is a domain like any other */
    assert_string_equal(judge_rewritten(&c, l, NULL, &internet, NOW, buf_cstr(&b)).enhanced, "5.7.1");
    wrap(r, "user@bad.example", &b);
    assert_string_equal(judge_rewritten(&c, l, r, &lan, NOW, buf_cstr(&b)).enhanced, "5.7.1");
    buf_clear(&b);
    static const char *const kept[] = { "", "user", "a@example.com", "a@deep.example.net", "a@mx.example.com", "a@srs.example", "a@[192.0.2.1]" };
    for (size_t i = 0; i < countof(kept); i++) assert_false(rewriter_wrap(r, slice_str(kept[i]), NOW, &b));
    assert_int_equal(b.n, 0);
    wrap(r, "a@b\xC3\xBC" "cher.example", &b); /* its domain as A-labels, in a local part that is ASCII */
    assert_non_null(strstr(buf_cstr(&b), "=xn--bcher-kva.example=a@srs.example"));
    rewriter_free(r);
    /* a domain that has others, too */
    r = rewriter(&c, "example.com");
    wrap(r, "user@away.example", &b);
    assert_true(judge_rewritten(&c, l, r, &internet, NOW, buf_cstr(&b)).rewritten);
    assert_true(judge_rewritten(&c, l, r, &internet, NOW, "user@example.com").allowed);
    b.p[6] ^= 1;
    assert_string_equal(judge_rewritten(&c, l, r, &internet, NOW, buf_cstr(&b)).enhanced, "5.7.1");
    rewriter_free(r);
    relaying_free(l);
    buf_deinit(&b);
}

static void other_checks_are_checked(void **state)
{
    findings("checks: {greylist: {enabled: yes, delay: 10s}}", "hardly any spam", false);
    findings("checks: {greylist: {enabled: yes, delay: 30s}}", NULL, false);
    findings("checks: {greylist: {enabled: yes, delay: 30m, retry_within: 20m}}", "nothing would ever pass", true);
    findings("checks: {client_limits: {enabled: yes, connections: 0, rate: 0}}", "nothing is limited", false);
    findings("checks: {reputation: {reject_below: 90%}}", "one mail in five", false);
    findings("guard: {outbound: {account: {messages: 100, recipients: 50}}}", "each message has a recipient", false);
}

static void recipients_are_checked(void **state)
{
    static const char head[] = "domains:\n  - name: example.com\n    deliver: 10.20.30.40\n    recipients: ";
    finds(head, "{verify: list, list: [ann@example.com], reject_code: 550}", NULL, false);
    finds(head, "{reject_code: 500}", "450 or 550", true);
    finds(head, "{verify: list}", "all mail would be refused", true);
    finds(head, "{list: [ann@example.com]}", "nobody looks into this list", false);
    finds(head, "{verify: list, list: [192.0.2.1]}", "it belongs into a list of clients", true);
    finds(head, "{verify: ldap}", "needs ldap.url", true);
    finds(head, "{verify: ldap, ldap: {url: \"ldaps://a.example\", base: \"dc=a\", filter: \"(mail=%s)\"}}", NULL, false);
    finds(head, "{verify: ldap, ldap: {url: \"http://a.example\", base: \"dc=a\", filter: \"(mail=%s)\"}}", "not the address of an LDAP server", true);
    finds(head, "{verify: ldap, ldap: {url: \"ldaps://a.example\", base: \"dc=a\", filter: \"(mail=x)\"}}", "does not ask for the recipient", true);
    finds(head, "{verify: ldap, ldap: {url: \"ldaps://a.example\", base: \"dc=a\", filter: \"(mail=%s)\", user_dn: \"cn=x\"}}", "belong together", true);
}

/* ---- mapped domains, the main domain, names of the system */

static const char *to_alias[] = { "user@example.com" };
static struct config_alias aliases[] = { { .name = "sales", .to = to_alias, .to_n = 1, .enabled = true, .place = { 31, 5 } } };
static struct config_mapping mappings[] = {
    { .from = "old.test", .to = "example.com", .enabled = true, .place = { 21, 5 } },
    { .from = ".tree.test", .to = "far.test", .enabled = true, .place = { 22, 5 } },
    { .from = "off.test", .to = "example.com", .place = { 23, 5 } },
};
static const char *system_names[] = { "root", "abuse" };

static void what_is_ours(void **state)
{
    static const struct {
        const char *rcpt;
        bool stranger, trusted;
        uint32_t line; /* of what decides about the stranger */
    } cases[] = {
        { "user@old.test", true, true, 21 },
        { "USER@Old.Test", true, true, 21 },
        { "user@tree.test", true, true, 22 },
        { "user@a.b.tree.test", true, true, 22 },
        { "user@far.test", false, true, 8 }, /* where a mapping leads is no domain of ours */
        { "user@off.test", false, true, 8 },
        { "user@sub.old.test", false, true, 8 },
        { "user@notold.test", false, true, 8 },
        { "sales@main.test", true, true, 0 },
        { "nobody@main.test", true, true, 0 }, /* who is there, the check "rewriting" says */
        { "postmaster@main.test", true, true, 0 },
        { "abuse@mx.example.com", true, true, 0 },
        { "Abuse@MX.example.com", true, true, 0 },
        { "root@mx.example.com", false, true, 8 },
        { "sales@mx.example.com", false, true, 8 },
        { "hostmaster@mx.example.com", false, true, 8 },
        /* routing */
        { "user%far.test@old.test", false, true, 21 },
        { "\"user@far.test\"@tree.test", false, true, 22 },
        { "far.test!user@main.test", false, true, 0 },
        { "abuse%far.test@mx.example.com", false, true, 8 },
    };
    struct config c;
    struct err err;
    struct relaying *l = compile(&c, NULL, 0);
    c.main_domain = "main.test";
    c.postmaster = "chief@example.com";
    c.aliases = aliases;
    c.alias_n = countof(aliases);
    c.mappings = mappings;
    c.mapping_n = countof(mappings);
    c.system_mail = system_names;
    c.system_mail_n = countof(system_names);
    struct expander *x = expander_new(&c, NULL, &err);
    if (!x) fail_msg("%s", err.text);
    for (size_t i = 0; i < countof(cases); i++)
        for (unsigned trusted = 0; trusted < 2; trusted++) {
            struct relay_client who = { .zone = trusted ? &lan : &internet, .list = l, .expander = x };
            struct relay_verdict v;
            struct address a;
            assert_null(address_parse(slice_str(cases[i].rcpt), &a));
            relay_judge(&c, &who, &a, &v);
            bool wanted = trusted ? cases[i].trusted : cases[i].stranger;
            if (v.allowed != wanted || (!trusted && v.place.line != cases[i].line))
                fail_msg("%s: %s (line %u): %s", cases[i].rcpt, v.allowed ? "allowed" : "refused", v.place.line, v.why);
            assert_false(v.postmaster || v.rewritten);
        }
    expander_free(x);
    relaying_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_decides), cmocka_unit_test(what_is_ours),
        cmocka_unit_test(listed_domains_are_no_detour),
        cmocka_unit_test(postmaster_is_reached_all_the_same),
        cmocka_unit_test(no_list_opens_the_relay),
        cmocka_unit_test(rewritten_senders_come_back),
        cmocka_unit_test(listed_clients_are_trusted),
        cmocka_unit_test(dangerous_entries_are_refused),
        cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(other_checks_are_checked),
        cmocka_unit_test(recipients_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
