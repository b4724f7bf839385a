/* SPDX-License-Identifier: Apache-2.0
 * The checks behind a report: reports made here, and what the run then says of the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "config/config.h"
#include "policy/content_look.h"
#include "policy/pipeline.h"

#define TEXT "From: a@client.example\r\nSubject: hello\r\nContent-Type: text/plain\r\n\r\nbody\r\n"

struct world {
    struct config *config;
    struct policy *policy;
    struct policy_engine *engine;
    struct policy_run *run;
    struct content_look look;
    struct report report;
    struct slice rcpts[2];
    struct policy_verdict v;
};

static void on_verdict(void *arg, const struct policy_verdict *v) { *(struct policy_verdict *)arg = *v; }

static struct world *begin(const char *more)
{
    static const char base[] = "hostname: mx.postern.example\nlisteners: [{address: \"127.0.0.1:2525\"}]\n"
                               "domains: [{name: example.com, deliver: 127.0.0.1}]\n"
                               "checks: {sender: {resolvable: no, fqdn: no}, recipient: {resolvable: no, fqdn: no}, spf: {enabled: no}, dkim: {enabled: no}, "
                               "arc: {enabled: no}, dmarc: {enabled: no}, reverse_dns: {enabled: no}}\n";
    struct world *w = mem_new(struct world);
    struct config_report problems = { 0 };
    struct err err;
    struct buf text = { 0 };
    buf_add_str(&text, base);
    buf_add_str(&text, more);
    w->config = config_parse(buf_slice(&text), "/nowhere/postern.yaml", &problems);
    buf_deinit(&text);
    if (!w->config) fail_msg("%s", problems.n ? problems.findings[0].text : "?");
    config_report_deinit(&problems);
    w->policy = policy_new(w->config, &err);
    if (!w->policy) fail_msg("%s", err.text);
    w->engine = policy_engine_new(&(struct policy_engine_options){ .config = w->config, .policy = w->policy });
    struct policy_client client = { .zone = &w->config->zones[w->config->zone_n - 1] };
    ip_parse(SLICE("192.0.2.1"), &client.ip);
    w->run = policy_run_new(w->engine, &client, false);
    struct address a = { 0 };
    policy_set_helo(w->run, SLICE("client.example"));
    assert_null(address_parse(SLICE("eve@client.example"), &a));
    policy_set_sender(w->run, &a);
    w->look.share = (struct spool_share){ .fd = memfd_create("text", MFD_CLOEXEC), .size = sizeof TEXT - 1 };
    assert_int_equal(write(w->look.share.fd, TEXT, sizeof TEXT - 1), sizeof TEXT - 1);
    w->look.report = &w->report;
    w->rcpts[0] = SLICE("bob@example.com");
    w->rcpts[1] = SLICE("carol@example.com");
    return w;
}

static const struct content_outcome *ask(struct world *w)
{
    policy_set_recipients(w->run, 2);
    policy_set_envelope(w->run, 1, w->rcpts, 2, false);
    w->run->look = &w->look;
    policy_ask(w->run, STAGE_CONTENT, &w->v, on_verdict, &w->v);
    assert_int_not_equal(w->v.outcome, POLICY_WAIT);
    return policy_outcome(w->run);
}

static void end(struct world *w)
{
    close(w->look.share.fd);
    policy_run_free(&w->run);
    policy_engine_free(w->engine);
    policy_free(w->policy);
    config_free(w->config);
    free(w);
}

#define RULES "header_checks: [\"/^X:/ DUNNO\"]\nspam: {enabled: no}\nscanners: [{name: m, type: milter, address: \"127.0.0.1:1\"}]\n"
#define ACTION(...) { .by = SLICE("rule"), .name = SLICE("mine"), __VA_ARGS__ }

static struct world *with(struct report_action *actions, size_t n)
{
    struct world *w = begin(RULES);
    w->report.actions = actions;
    w->report.action_n = n;
    return w;
}

static void actions_decide(void **state)
{
    struct report_action all[] = {
        ACTION(.action = CONFIG_DO_HOLD), ACTION(.action = CONFIG_DO_QUARANTINE), ACTION(.action = CONFIG_DO_DISCARD),
        ACTION(.action = CONFIG_DO_DEFER), ACTION(.action = CONFIG_DO_REJECT, .text = SLICE("go away"), .code = 554, .enhanced = SLICE("5.7.9")),
    };
    static const enum policy_outcome told[] = { POLICY_HOLD, POLICY_QUARANTINE, POLICY_DISCARD, POLICY_DEFER, POLICY_REJECT };
    for (size_t i = 0; i < countof(all); i++) {
        struct world *w = with(all, i + 1); /* the strongest counts */
        ask(w);
        assert_int_equal(w->v.outcome, told[i]);
        assert_string_equal(w->v.check, "rules");
        assert_non_null(strstr(w->v.why, "by rule mine"));
        if (told[i] == POLICY_QUARANTINE) assert_int_equal(w->v.quarantine, QUARANTINE_RULE);
        if (told[i] == POLICY_DEFER) assert_int_equal(w->v.code, 451);
        if (told[i] == POLICY_REJECT) {
            assert_int_equal(w->v.code, 554);
            assert_string_equal(w->v.enhanced, "5.7.9");
            assert_string_equal(w->v.text, "go away");
        }
        end(w);
    }
}

/* Whoever makes reports may lie: mail goes nowhere where nobody has sent it. */
static void only_what_is_configured_is_done(void **state)
{
    static const char rule[] = "rules: [{name: r, if: {larger: 1}, then: [{action: copy, address: log@example.com}]}]\nspam: {enabled: no}\n";
    struct report_action all[] = {
        ACTION(.action = CONFIG_DO_COPY, .address = SLICE("LOG@example.com")), ACTION(.action = CONFIG_DO_COPY, .address = SLICE("eve@evil.example")),
        ACTION(.action = CONFIG_DO_REDIRECT, .address = SLICE("log@example.com")), ACTION(.action = CONFIG_DO_NOTIFY, .address = SLICE("log@example.com")),
        ACTION(.action = CONFIG_DO_DISCARD), ACTION(.action = CONFIG_DO_REMOVE_RCPT, .address = SLICE("bob@example.com")),
        ACTION(.action = CONFIG_DO_CHANGE_SENDER, .address = SLICE("eve@evil.example")),
    };
    for (size_t i = 0; i < countof(all); i++) {
        struct world *w = begin(rule);
        w->report.actions = &all[i];
        w->report.action_n = 1;
        const struct content_outcome *o = ask(w);
        assert_int_equal(w->v.outcome, i ? POLICY_DEFER : POLICY_PASS);
        assert_int_equal(o->copy_n, !i);
        assert_true(!o->redirect.n && !o->removed_n && !o->has_sender && !o->notice_n);
        end(w);
    }
}

/* What header checks and milters want out of a message must not stay in it for want of room; nor what is forged. */
static void edits_without_room_let_nothing_through(void **state)
{
    static char large[OUTCOME_CUTS_TEXT_MAX + 100];
    struct envelope_cut edit = { .at = 68, .n = 4, .with = slice_of(large, sizeof large) };
    memset(large, 'x', sizeof large);
    struct world *w = begin(RULES);
    w->report.edits = &edit;
    w->report.edit_n = 1;
    ask(w);
    assert_int_equal(w->v.outcome, POLICY_QUARANTINE);
    end(w);
    struct envelope_cut edits[10];
    struct buf text = { 0 };
    for (int i = 0; i < 40; i++) buf_addf(&text, "X-Spam-%02d: no\r\nA: b\r\n", i);
    for (size_t i = 0; i < countof(edits); i++) edits[i] = (struct envelope_cut){ .at = text.n + i * 6, .n = 6 };
    for (size_t i = 0; i < countof(edits); i++) buf_addf(&text, i % 2 ? "D: e\r\n" : "C: d\r\n");
    buf_add_str(&text, "\r\nbody\r\n");
    w = begin("header_checks: [\"/^X:/ DUNNO\"]\n");
    assert_int_equal(pwrite(w->look.share.fd, text.p, text.n, 0), text.n);
    w->look.share.size = text.n;
    w->report.edits = edits;
    w->report.edit_n = countof(edits);
    ask(w);
    assert_int_equal(w->v.outcome, POLICY_REJECT);
    buf_deinit(&text);
    end(w);
}

/* A code that does not fit what is done is ours. */
static void codes(void **state)
{
    struct report_action reject[] = { ACTION(.action = CONFIG_DO_REJECT, .code = 450, .enhanced = SLICE("4.2.0")) };
    struct world *w = with(reject, 1);
    ask(w);
    assert_int_equal(w->v.code, 550);
    assert_string_equal(w->v.enhanced, "5.7.1");
    end(w);
}

static void actions_change(void **state)
{
    struct envelope_cut edits[] = { { .at = 0, .n = 24, .with = SLICE("From: b@client.example\r\n") } };
    struct report_action all[] = {
        ACTION(.action = CONFIG_DO_TAG_SUBJECT, .text = SLICE("[A] ")), ACTION(.action = CONFIG_DO_TAG_SUBJECT, .text = SLICE("[B] ")),
        ACTION(.action = CONFIG_DO_REDIRECT, .address = SLICE("lab@example.com")), ACTION(.action = CONFIG_DO_COPY, .address = SLICE("c@example.com")),
        ACTION(.action = CONFIG_DO_COPY, .address = SLICE("no address")), ACTION(.action = CONFIG_DO_NOTIFY, .address = SLICE("n@example.com")),
        ACTION(.action = CONFIG_DO_REMOVE_RCPT, .address = SLICE("BOB@example.com")),
        ACTION(.action = CONFIG_DO_CHANGE_SENDER, .address = SLICE("")), ACTION(.action = CONFIG_DO_STOP), ACTION(.action = CONFIG_DO_WARN),
    };
    struct world *w = with(all, countof(all));
    w->report.edits = edits;
    w->report.edit_n = 1;
    w->report.prepend = SLICE("X-New: 1\r\n");
    const struct content_outcome *o = ask(w);
    assert_int_equal(w->v.outcome, POLICY_PASS);
    assert_int_equal(o->cut_n, 3);
    assert_true(slice_eq(o->cuts[1].with, SLICE("[A] ")) && slice_eq(o->cuts[2].with, SLICE("[B] ")) && o->cuts[1].at == 33);
    assert_true(slice_eq(o->prepend, SLICE("X-New: 1\r\n")));
    assert_true(slice_eq(o->redirect, SLICE("lab@example.com")));
    assert_int_equal(o->copy_n, 1);
    assert_int_equal(o->removed_n, 1);
    assert_true(o->has_sender && !o->sender.n);
    assert_int_equal(o->notice_n, 1);
    assert_non_null(memmem(o->notices[0].what.p, o->notices[0].what.n, "mine", 4));
    end(w);
}

/* What an edit puts in the place of the Subject gets the prefix; where it takes it away a new one is made. */
static void subjects_that_are_edited(void **state)
{
    struct report_action tag[] = { ACTION(.action = CONFIG_DO_TAG_SUBJECT, .text = SLICE("[A] ")), ACTION(.action = CONFIG_DO_TAG_SUBJECT, .text = SLICE("[B] ")) };
    struct envelope_cut edit = { .at = 24, .n = 16, .with = SLICE("Subject: new\r\n") };
    struct world *w = with(tag, 0);
    const struct content_outcome *o;
    ask(w);
    assert_true(policy_outcome_add_cut(w->run, edit.at, edit.n, edit.with, w->look.share.size));
    assert_true(policy_outcome_tag_subject(w->run, 33, SLICE("[A] "), w->look.share.size));
    o = policy_outcome(w->run);
    assert_true(o->cut_n == 1 && slice_eq(o->cuts[0].with, SLICE("Subject: [A] new\r\n")));
    end(w);
    w = with(tag, 1);
    w->report.edits = &edit;
    w->report.edit_n = 1;
    o = ask(w);
    assert_int_equal(w->v.outcome, POLICY_PASS);
    assert_true(o->cut_n == 1 && slice_eq(o->cuts[0].with, SLICE("Subject: [A] new\r\n")));
    end(w);
    w = with(tag, 0);
    ask(w);
    assert_true(policy_outcome_add_cut(w->run, edit.at, edit.n, SLICE(""), w->look.share.size));
    for (size_t i = 0; i < 2; i++) assert_true(policy_outcome_tag_subject(w->run, 33, tag[i].text, w->look.share.size));
    assert_true(policy_outcome_add_prepend(w->run, SLICE("X: y\r\n")));
    o = policy_outcome(w->run);
    assert_true(slice_eq(o->prepend, SLICE("X: y\r\nSubject: [A] [B] \r\n")));
    end(w);
}

static void all_removed(void **state)
{
    struct report_action all[] = { ACTION(.action = CONFIG_DO_REMOVE_RCPT, .address = SLICE("bob@example.com")),
                                   ACTION(.action = CONFIG_DO_REMOVE_RCPT, .address = SLICE("carol@example.com")),
                                   ACTION(.action = CONFIG_DO_COPY, .address = SLICE("new@example.com")) };
    struct world *w = with(all, 2);
    ask(w);
    assert_int_equal(w->v.outcome, POLICY_DISCARD);
    end(w);
    w = with(all, 3); /* somebody is left */
    assert_true(slice_eq(ask(w)->redirect, SLICE("new@example.com")));
    assert_int_equal(w->v.outcome, POLICY_PASS);
    end(w);
}

static void strips(void **state)
{
    struct report_part parts[] = { { .is_mime = true, .is_file = true, .n = sizeof TEXT - 1 }, { .is_file = true, .name = SLICE("a.zip") } };
    uint32_t which[] = { 1 }, beyond[] = { 0 };
    struct report_action strip[] = { ACTION(.action = CONFIG_DO_STRIP, .parts = which, .part_n = 1) };
    struct world *w = with(strip, 1);
    w->report.parts = parts;
    w->report.part_n = 2;
    const struct content_outcome *o = ask(w);
    assert_int_equal(w->v.outcome, POLICY_PASS);
    assert_int_equal(o->cut_n, 2); /* Content-Type, and all that is behind the header */
    assert_non_null(memmem(o->cuts[1].with.p, o->cuts[1].with.n, "a.zip (mine)", 12));
    end(w);
    w = with(strip, 1); /* it cannot be done: nobody gets it as it is */
    strip[0].parts = beyond;
    w->report.parts = parts;
    w->report.part_n = 1;
    close(w->look.share.fd);
    ask(w);
    assert_int_equal(w->v.outcome, POLICY_QUARANTINE);
    end(w);
}

/* ---- handling */

static void handlings(void **state)
{
    static const struct {
        const char *options;
        enum policy_outcome outcome;
        const char *redirect;
    } cases[] = {
        { "action: reject", POLICY_REJECT, "" }, { "action: quarantine", POLICY_QUARANTINE, "" }, { "action: discard", POLICY_DISCARD, "" },
        { "action: pass", POLICY_PASS, "" }, { "action: redirect, address: lab@example.com", POLICY_PASS, "lab@example.com" },
    };
    struct report_virus virus = { SLICE("clamav"), SLICE("Eicar\x1b[31m"), SLICE("a.exe") };
    for (size_t i = 0; i < countof(cases); i++) {
        char text[300];
        snprintf(text, sizeof text, "scanners: [{name: clamav, type: clamd, address: \"127.0.0.1:1\"}]\nspam: {enabled: no}\nvirus: {%s, notify: {recipients: yes}}\n",
                 cases[i].options);
        struct world *w = begin(text);
        w->report.viruses = &virus;
        w->report.virus_n = 1;
        const struct content_outcome *o = ask(w);
        assert_int_equal(w->v.outcome, cases[i].outcome);
        assert_true(slice_eq(o->redirect, slice_str(cases[i].redirect)));
        assert_int_equal(o->notice_n, 1);
        assert_null(memchr(o->notices[0].what.p, 0x1b, o->notices[0].what.n));
        if (w->v.outcome == POLICY_PASS) assert_non_null(memmem(o->prepend.p, o->prepend.n, "X-Postern-Virus: the virus Eicar", 32));
        if (w->v.outcome == POLICY_QUARANTINE) assert_true(o->findings.n && w->v.quarantine == QUARANTINE_VIRUS);
        end(w);
    }
}

/* Findings fit into an envelope, whatever there is of them. */
static void findings_are_bounded(void **state)
{
    static char text[300];
    struct report_symbol symbols[REPORT_SYMBOLS_MAX];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < countof(symbols); i++) symbols[i] = (struct report_symbol){ SLICE("builtin"), SLICE("S"), slice_of(text, sizeof text), 10 };
    struct world *w = begin("");
    w->report.judged = true;
    w->report.score = 2000;
    w->report.class = CONFIG_SPAM_CONFIRMED;
    w->report.symbols = symbols;
    w->report.symbol_n = countof(symbols);
    const struct content_outcome *o = ask(w);
    assert_int_equal(w->v.outcome, POLICY_QUARANTINE);
    assert_true(o->findings.n > 4000 && o->findings.n <= OUTCOME_FINDINGS_MAX && o->score == 2000);
    json_t *j = json_loadb(o->findings.p, o->findings.n, 0, NULL);
    assert_true(json_array_size(json_object_get(j, "symbols")) > 10);
    json_decref(j);
    end(w);
}

/* Of as many parts as a report can have, all worth telling: it is done on the loop, where others wait. */
static void findings_of_many_parts_are_made_at_once(void **state)
{
    static char name[300];
    static struct report_part parts[REPORT_PARTS_MAX];
    struct timespec before, after;
    memset(name, '"', sizeof name);
    for (size_t i = 0; i < countof(parts); i++) parts[i] = (struct report_part){ .is_file = true, .name = slice_of(name, sizeof name), .findings = 3 };
    struct world *w = begin("");
    w->report = (struct report){ .judged = true, .score = 2000, .class = CONFIG_SPAM_CONFIRMED, .parts = parts, .part_n = countof(parts) };
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    const struct content_outcome *o = ask(w);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double ms = (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    assert_int_equal(w->v.outcome, POLICY_QUARANTINE);
    assert_true(o->findings.n > 4000 && o->findings.n <= OUTCOME_FINDINGS_MAX);
    if (ms > 250) fail_msg("it took %.0f ms", ms);
    end(w);
}

static void nobody_looked(void **state)
{
    struct world *w = begin("");
    w->look.report = NULL;
    ask(w);
    assert_int_equal(w->v.outcome, POLICY_PASS);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_decide), cmocka_unit_test(only_what_is_configured_is_done), cmocka_unit_test(edits_without_room_let_nothing_through),
        cmocka_unit_test(codes),     cmocka_unit_test(actions_change), cmocka_unit_test(subjects_that_are_edited),
        cmocka_unit_test(all_removed),    cmocka_unit_test(strips),    cmocka_unit_test(handlings),      cmocka_unit_test(findings_are_bounded),
        cmocka_unit_test(findings_of_many_parts_are_made_at_once),
        cmocka_unit_test(nobody_looked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
