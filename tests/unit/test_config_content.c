/* SPDX-License-Identifier: Apache-2.0
 * The configuration of what looks into messages: defaults, values, what they are when they are written again, mistakes. */
#include "config_world.h"

static bool has(const char **list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], word)) return true;
    return false;
}

static void test_defaults(void **state)
{
    struct config *c = must_parse(FIRST);
    assert_true(!c->scan.processes && c->scan.timeout == 60000 && c->scan.memory == 1ull << 30 && c->scan.depth == 10 &&
                c->scan.parts == 2000 && c->scan.unpacked == 200ull << 20 && c->scan.ratio == 200 && c->scan.unpack_time == 5000);
    const struct config_attachments *a = &c->attachments;
    assert_true(!a->enabled && a->action == CONFIG_HANDLE_REJECT && !a->address && a->archives && a->double_extensions && !a->encrypted &&
                !a->macros && a->limits && a->trusted_mail && !a->allow_n && !a->notify.address && !a->notify.recipients && a->notify.own_only);
    static const char *const extensions[] = { "exe", "com", "scr", "pif", "bat", "cmd", "js", "jse", "vbs", "wsf", "hta", "lnk", "iso",
                                              "img", "vhd", "one", "jar", "msi", "cpl", "ps1", "dmg", "pkg", "desktop", "xnk", "ade" };
    for (size_t i = 0; i < countof(extensions); i++) assert_true(has(a->extensions, a->extension_n, extensions[i]));
    assert_true(has(a->types, a->type_n, "application/vnd.microsoft.portable-executable") &&
                has(a->types, a->type_n, "application/x-sharedlib") && has(a->types, a->type_n, "text/x-ms-scf"));
    assert_true(!has(a->extensions, a->extension_n, "pdf") && !has(a->extensions, a->extension_n, ""));
    assert_true(c->virus.action == CONFIG_HANDLE_REJECT && !c->virus.address);
    const struct config_spam *s = &c->spam;
    assert_true(s->enabled && s->builtin && !s->trusted_mail && s->short_circuit && s->max_size == 1 << 20);
    assert_true(s->tag == 300 && s->mark == 500 && s->quarantine == 1000 && s->confirmed == 1000 && s->bulk == 700 && s->suspected == 500 &&
                s->unknown == 100 && s->non_spam == -100);
    assert_true(s->action == CONFIG_HANDLE_MARK && !s->report && !s->notify.address && !s->notify.below && s->dns && !s->uri_list_n);
    assert_string_equal(s->subject, "[SPAM] ");
    assert_true(s->bayes.enabled && s->bayes.auto_learn && s->bayes.tokens == 64 << 20 && s->bayes.min_spam == 50 && s->bayes.min_ham == 50 &&
                s->bayes.learn_spam == 1200 && s->bayes.learn_ham == -200 && !s->bayes.spam_address && !s->bayes.ham_address);
    const struct config_quarantine *q = &c->quarantine;
    assert_true(q->keep == 30 * 86400000ull && !q->size && !q->digest.enabled && q->digest.at_n == 1 && q->digest.at[0] == 420 &&
                q->digest.valid == 14 * 86400000ull && !q->digest.url && !q->digest.listen);
    assert_true(!c->scanner_n && !c->rule_n && !c->header_check_n);
    assert_string_equal(c->system.scan_user, "postern");
    config_free(c);
}

#define SCANNERS \
    "scanners:\n  - {name: clamav, type: clamd, address: \"unix:/run/clamav/clamd.ctl\"}\n" \
    "  - {name: sa, type: spamd, address: \"127.0.0.1:783\", service: joe}\n" \
    "  - {name: shell, type: command, command: \"/bin/sh -c true {}\", infected_code: 7, max_size: 0}\n" \
    "  - {name: web, type: icap, address: \"[::1]:1344\", service: avscan, trouble: defer, trusted_mail: no}\n" \
    "  - {name: third, type: milter, address: \"127.0.0.1:8891\", enabled: no}\n"
#define FULL \
    FIRST SCANNERS \
    "scan: {processes: 3, timeout: 90s, unpacked: 200M}\n" \
    "attachments: {enabled: yes, action: strip, extensions: [EXE, Js], types: [Video/*], allow: [\"report-[0-9].js\"], " \
    "notify: {address: a@example.com, recipients: yes}}\n" \
    "virus: {action: redirect, address: v@example.com}\n" \
    "spam:\n  levels: {tag: 0.1, mark: 4.25, quarantine: 99.9}\n  classes: {non_spam: -2.5}\n  subject: \"\"\n" \
    "  notify: {address: s@example.com, below: 8.5}\n  exempt: [192.0.2.0/24]\n  always_spam: [.spam.example]\n" \
    "  never_spam: [{match: partner.example, proven: yes}]\n  scores: [{symbol: A, score: -1.25}, {symbol: B, score: 0}]\n" \
    "  uri_lists: [dbl.example.org]\n  bayes: {learn_ham: -0.5, spam_address: sp@example.com}\n" \
    "header_checks: [\"/^X-Bad:/ REJECT\", {line: \"/^X-Good:/ DUNNO\"}]\n" \
    "rules:\n  - name: no invoices\n    if:\n      direction: [in]\n      zones: internet\n" \
    "      headers: [{name: Subject, match: \"invoice\\\\b\"}]\n" \
    "      attachments: [macro, {kind: [script, executable], name: \"*.js\", larger: 1K}]\n      spf: [fail, softfail]\n" \
    "      spam: [bulk, confirmed]\n      virus: yes\n      senders: [.example.org]\n" \
    "    then: [{action: tag_subject, text: \"[Invoice] \"}, {action: copy, address: c@example.com}, quarantine]\n" \
    "  - {name: other, enabled: no, then: [accept]}\n" \
    "quarantine: {keep: 7d, size: 10G, digest: {enabled: yes, at: [\"07:00\", \"23:59\"], domains: example.com, " \
    "url: \"http://127.0.0.1:8080\", listen: \"*:8080\"}}\n"

static void test_values(void **state)
{
    struct config *c = must_parse(FULL);
    assert_true(c->scanner_n == 5 && c->scanners[0].trusted_mail && !c->scanners[1].trusted_mail && c->scanners[2].trusted_mail &&
                !c->scanners[3].trusted_mail && c->scanners[4].trusted_mail && !c->scanners[4].enabled);
    assert_true(c->scanners[0].type == CONFIG_SCANNER_CLAMD && c->scanners[0].timeout == 30000 && c->scanners[0].max_size == 25 << 20 &&
                c->scanners[0].trouble == CONFIG_TROUBLE_DEFER && c->scanners[2].infected_code == 7 && c->scanners[0].place.line == 4);
    assert_true(c->scan.processes == 3 && c->scan.timeout == 90000 && c->scan.place.line == 9);
    assert_string_equal(c->attachments.extensions[0], "exe");
    assert_string_equal(c->attachments.extensions[1], "js");
    assert_string_equal(c->attachments.types[0], "video/*");
    assert_true(c->attachments.extension_n == 2 && c->attachments.type_n == 1 && c->attachments.action == CONFIG_HANDLE_STRIP);
    const struct config_spam *s = &c->spam;
    assert_true(s->tag == 10 && s->mark == 425 && s->quarantine == 9990 && s->non_spam == -250 && s->notify.below == 850 &&
                s->bayes.learn_ham == -50 && s->scores[0].score == -125 && s->scores[1].score == 0 && s->never_spam.entries[0].proven);
    assert_string_equal(s->subject, "");
    assert_string_equal(c->header_checks[0].line, "/^X-Bad:/ REJECT");
    assert_true(c->header_check_n == 2 && !c->header_checks[1].file);
    const struct config_rule *r = &c->rules[0];
    assert_true(r->when.directions == CONFIG_DIRECTION_IN && r->when.zone_n == 1 && r->when.header_n == 1 && r->when.attachment_n == 2 &&
                r->when.attachments[0].kinds == CONFIG_KIND_MACRO &&
                r->when.attachments[1].kinds == (CONFIG_KIND_SCRIPT | CONFIG_KIND_EXECUTABLE) && r->when.attachments[1].larger == 1024 &&
                r->when.spf == (CONFIG_RESULT_FAIL | CONFIG_RESULT_SOFTFAIL) && !r->when.dkim && r->when.virus &&
                r->when.spam == (CONFIG_SPAM_BULK | CONFIG_SPAM_CONFIRMED) && r->when.senders.n == 1);
    assert_string_equal(r->when.headers[0].match, "invoice\\b");
    assert_true(r->action_n == 3 && r->actions[0].action == CONFIG_DO_TAG_SUBJECT && r->actions[2].action == CONFIG_DO_QUARANTINE &&
                !r->actions[2].text && r->enabled && !c->rules[1].enabled && c->rules[1].actions[0].action == CONFIG_DO_ACCEPT);
    assert_string_equal(r->actions[0].text, "[Invoice] ");
    assert_true(c->quarantine.digest.at_n == 2 && c->quarantine.digest.at[1] == 23 * 60 + 59 && c->quarantine.size == 10ull << 30);
    config_free(c);
}

/* What is written again says the same. */
static void test_dump(void **state)
{
    struct config *c = must_parse(FULL);
    json_t *first = config_to_json(c);
    struct buf yaml = { 0 };
    config_json_yaml(first, &yaml);
    struct config *again = must_parse(buf_cstr(&yaml));
    json_t *second = config_to_json(again);
    if (!json_equal(first, second)) fail_msg("%s", buf_cstr(&yaml));
    assert_non_null(strstr(buf_cstr(&yaml), "    tag: 0.1\n    mark: 4.25\n    quarantine: 99.9\n"));
    assert_non_null(strstr(buf_cstr(&yaml), "      score: -1.25\n"));
    assert_non_null(strstr(buf_cstr(&yaml), "subject: \"\"\n"));
    assert_non_null(strstr(buf_cstr(&yaml), "at: [07:00, 23:59]\n"));
    json_decref(first);
    json_decref(second);
    buf_deinit(&yaml);
    config_free(c);
    config_free(again);
}

static json_t *at(json_t *schema, const char *group, const char *option)
{
    json_t *in = json_object_get(json_object_get(json_object_get(schema, "properties"), group), "properties");
    return json_object_get(in, option);
}

static void test_schema(void **state)
{
    json_t *schema = schema_to_json();
    json_t *tag = json_object_get(json_object_get(at(schema, "spam", "levels"), "properties"), "tag");
    assert_true(json_number_value(json_object_get(tag, "minimum")) == 0.1 && json_number_value(json_object_get(tag, "maximum")) == 100 &&
                json_integer_value(json_object_get(tag, "default")) == 3);
    assert_true(json_array_size(json_object_get(at(schema, "attachments", "extensions"), "default")) > 100);
    json_decref(schema);
}

#define SCANNER(fields) FIRST "scanners: [{name: s, " fields "}]\n"
#define RULE(fields) FIRST "rules: [{name: r, " fields "}]\n"
static const struct {
    const char *text, *want;
} mistakes[] = {
    /* scores, times of the day */
    { FIRST "spam: {levels: {mark: five}}\n",
      "3:23: spam.levels.mark: \"five\" is not a score | write for example 5, 5.5 or -1.25" },
    { FIRST "spam: {levels: {mark: 5.125}}\n",
      "3:23: spam.levels.mark: \"5.125\" is not a score | write for example 5, 5.5 or -1.25" },
    { FIRST "spam: {levels: {tag: 0.09}}\n", "3:22: spam.levels.tag: 0.09 is too small: the least is 0.1" },
    { FIRST "spam: {levels: {quarantine: 100.01}}\n", "3:29: spam.levels.quarantine: 100.01 is too large: the most is 100" },
    { FIRST "spam: {classes: {non_spam: -0.5}}\n", "3:28: spam.classes.non_spam: -0.5 is too large: the most is -1" },
    { FIRST "quarantine: {digest: {at: [\"7\"]}}\n",
      "3:28: quarantine.digest.at[0]: \"7\" is not a time of the day | write for example \"07:00\"" },
    { FIRST "quarantine: {digest: {at: \"24:00\"}}\n",
      "3:27: quarantine.digest.at: \"24:00\" is not a time of the day | write for example \"07:00\"" },
    /* how messages are looked into */
    { FIRST "scan: {timeout: 5s}\n", "3:17: scan.timeout: unpack_time is not shorter than timeout: nothing would be left for the scanners | "
                                      "make timeout longer" },
    { FIRST "scan: {memory: 128M}\n", "3:16: scan.memory: unpacked is more than memory: a message that is unpacked would end the process | "
                                      "make memory larger, twice as much is usual" },
    /* scanners */
    { FIRST "scanners: [{type: clamd}]\n",
      "3:12: scanners[0].name: is missing | add for example name: clamav\n"
      "3:19: scanners[0].type: a scanner of type clamd needs address | add for example address: unix:/run/clamav/clamd.ctl" },
    { SCANNER("type: clam"), "3:28: scanners[0].type: \"clam\" is none of clamd, icap, command, spamd, rspamd, milter | did you mean clamd?" },
    { SCANNER("type: rspamd, address: \"127.0.0.1\""),
      "3:45: scanners[0].address: \"127.0.0.1\" is no address: the port is missing | write for example 127.0.0.1:11333" },
    { SCANNER("type: clamd, address: /run/x"),
      "3:44: scanners[0].address: \"/run/x\" is no address: before the path of a socket write unix: | write for example "
      "unix:/run/clamav/clamd.ctl" },
    { SCANNER("type: milter, address: \"inet:localhost:8891\""),
      "3:45: scanners[0].address: \"inet:localhost:8891\" is no address: write it as host:port, without inet: | write for example "
      "unix:/run/milter/milter.sock" },
    { SCANNER("type: icap, address: \"127.0.0.1:1344\""),
      "3:28: scanners[0].type: a scanner of type icap needs service | add for example service: avscan, as the server calls it" },
    { SCANNER("type: command"),
      "3:28: scanners[0].type: a scanner of type command needs command | add for example command: /usr/local/bin/scan {}" },
    { SCANNER("type: command, command: scan -q"),
      "3:46: scanners[0].command: \"scan\" is not the path of a program | write the whole path, as in /usr/bin/scan --quiet {}" },
    { SCANNER("type: command, command: /nowhere/scan"), "3:46: scanners[0].command: /nowhere/scan: No such file or directory" },
    { SCANNER("type: command, command: /etc/passwd"), "3:46: scanners[0].command: /etc/passwd is not a program | name a program" },
    { SCANNER("type: clamd, address: \"127.0.0.1:3310\", command: /bin/true"),
      "3:71: scanners[0].command: scanners of type clamd have no command | leave it out" },
    { FIRST "scanners: [{name: builtin, type: spamd, address: \"127.0.0.1:783\"}]\n",
      "3:19: scanners[0].name: \"builtin\" is the name of the built-in engine | call it otherwise" },
    { FIRST "scanners: [{name: a, type: spamd, address: \"127.0.0.1:783\"}, {name: a, type: spamd, address: \"127.0.0.1:784\"}]\n",
      "3:69: scanners[1].name: a is written twice: also at line 3 | keep one of the two" },
    { SCANNER("type: clamd, address: \"127.0.0.1:3310\", trouble: mark"),
      "warning 3:71: scanners[0].trouble: while the scanner is away viruses are delivered: a header tells that nobody looked | trouble: "
      "defer holds mail back until it is looked at" },
    { SCANNER("type: clamd, address: \"127.0.0.1:3310\", max_size: 10M"),
      "warning 3:72: scanners[0].max_size: messages above 10M are not looked at for viruses, and always deferred | write max_size: as "
      "large as limits.message_size, or 0" },
    { SCANNER("type: spamd, address: \"127.0.0.1:783\", timeout: 2m"),
      "warning 3:70: scanners[0].timeout: it is waited for longer than scan.timeout allows for all of them | make scan.timeout longer" },
    /* attachments, viruses */
    { FIRST "attachments: {enabled: yes, action: mark}\n",
      "3:37: attachments.action: \"mark\" is none of pass, strip, quarantine, redirect, reject, discard" },
    { FIRST "attachments: {enabled: yes, action: redirect}\n",
      "3:37: attachments.action: redirect needs address: where the mail goes | add for example address: held@example.com" },
    { FIRST "attachments: {enabled: yes, extensions: [.exe]}\n",
      "3:42: attachments.extensions[0]: \".exe\": extensions are written without the dot | write exe" },
    { FIRST "attachments: {enabled: yes, types: [exe]}\n",
      "3:37: attachments.types[0]: \"exe\" is not a type | write for example application/x-dosexec or video/*" },
    { FIRST "attachments: {enabled: yes, allow: [\"report-[0-9.js\"]}\n",
      "3:37: attachments.allow[0]: \"report-[0-9.js\": a [ without its ] | write for example report-*.js" },
    { FIRST "attachments: {action: strip}\n",
      "warning 3:14: attachments: nothing is blocked: attachments are not looked at | add enabled: yes" },
    { FIRST "attachments: {enabled: yes, action: pass}\n",
      "warning 3:37: attachments.action: blocked attachments are delivered: only a header tells | strip, quarantine or reject hold them back" },
    { FIRST "attachments: {enabled: yes, notify: {own_only: no, recipients: yes}}\n",
      "warning 3:48: attachments.notify.own_only: people elsewhere would be told of mail they never asked for | remove it: own_only: yes "
      "is the default" },
    { FIRST "attachments: {enabled: yes, notify: {from: a@example.com}}\n",
      "warning 3:44: attachments.notify.from: nobody is told | set address, or recipients: yes" },
    { FIRST "attachments: {enabled: yes, notify: {own_only: no}}\n",
      "warning 3:48: attachments.notify.own_only: recipients are not told at all | set recipients: yes, or remove it" },
    { FIRST "virus: {action: quarantine}\n",
      "warning 3:8: virus: there is no scanner for viruses: none is ever found | add for example scanners: [{name: clamav, type: clamd, "
      "address: \"unix:/run/clamav/clamd.ctl\"}]" },
    { FIRST SCANNERS "virus: {action: discard}\n",
      "warning 9:17: virus.action: the mail is lost, and neither sender nor recipient learns of it | quarantine keeps it, reject tells the "
      "sender" },
    { FIRST SCANNERS "virus: {action: pass}\n", "warning 9:17: virus.action: viruses are delivered | reject is usual" },
    { FIRST SCANNERS "virus: {address: v@example.com}\n",
      "warning 9:18: virus.address: nothing goes to this address | set action: redirect, or remove it" },
    /* spam */
    { FIRST "spam: {builtin: no}\n", "3:17: spam.builtin: there is no engine that judges | set builtin: yes, add a scanner of type spamd or "
                                     "rspamd, or set enabled: no" },
    { FIRST "spam: {levels: {tag: 6}}\n", "3:22: spam.levels.tag: mark (5) is less than tag (6)" },
    { FIRST "spam: {classes: {bulk: 4.5}}\n", "3:24: spam.classes.bulk: bulk (4.5) is less than suspected (5)" },
    { FIRST "spam: {action: strip}\n", "3:16: spam.action: \"strip\" is none of mark, quarantine, redirect, reject, discard, pass" },
    { FIRST "spam: {action: redirect}\n",
      "3:16: spam.action: redirect needs address: where the mail goes | add for example address: held@example.com" },
    { FIRST "spam: {scores: [{symbol: A}]}\n", "3:17: spam.scores[0].score: is missing | add for example score: 4.5" },
    { FIRST "spam: {scores: [{symbol: A, score: 1}, {symbol: A, score: 2}]}\n",
      "3:49: spam.scores[1].symbol: A has a score already, in line 3 | keep one of the two" },
    { FIRST "spam: {rules: [own.rules]}\n", "3:16: spam.rules[0]: /nowhere/own.rules: No such file or directory" },
    { FIRST "spam: {exempt: [joe@example.org]}\n",
      "3:17: spam.exempt[0]: \"joe@example.org\": a mail address: it belongs into a list of senders or recipients" },
    { FIRST "spam: {uri_lists: [local]}\n", "3:20: spam.uri_lists[0]: local is not a zone of a list | write for example dbl.spamhaus.org" },
    { FIRST "spam: {uri_lists: a.example, dns: no}\n", "warning 3:19: spam.uri_lists: they are not asked: dns is off | set dns: yes" },
    { FIRST "spam: {bayes: {learn_ham: 10, learn_spam: 9}}\n", "3:27: spam.bayes.learn_ham: learn_ham is not less than learn_spam" },
    { FIRST "spam: {bayes: {learn_spam: 4}}\n",
      "warning 3:28: spam.bayes.learn_spam: mail that is not even marked would be learnt as spam | 12 is a careful value" },
    { FIRST "spam: {bayes: {spam_address: a@example.com, ham_address: a@example.com}}\n",
      "3:58: spam.bayes.ham_address: the same address as spam_address | give it an address of its own" },
    { FIRST "spam: {notify: {below: 8}}\n", "warning 3:16: spam.notify: nobody is told | add address" },
    { FIRST "spam: {notify: {address: a@example.com, below: 5}}\n",
      "warning 3:48: spam.notify.below: what is below is not marked: nobody is ever told | write more than levels.mark, or 0 for all" },
    /* header checks */
    { FIRST "header_checks: [{}]\n", "3:17: header_checks[0]: the entry names nothing: neither line nor file | add line: or file:" },
    { FIRST "header_checks: [{line: /a/ REJECT, file: checks}]\n",
      "3:42: header_checks[0].file: an entry has either line or file, not both | make two entries of it\n"
      "3:42: header_checks[0].file: /nowhere/checks: No such file or directory" },
    /* rules */
    { FIRST "rules: [{name: r}]\n", "3:9: rules[0].then: is missing | add for example then: [quarantine]" },
    { RULE("then: []"), "3:25: rules[0].then: the rule does nothing | write for example [quarantine]" },
    { RULE("then: [drop]"), "3:26: rules[0].then[0]: \"drop\" is none of accept, reject, defer, discard, quarantine, tag_subject, add_header, "
                            "remove_header, redirect, copy, notify, strip, stop | did you mean stop?" },
    { RULE("then: [copy]"), "3:26: rules[0].then[0]: the action needs address | write for example {action: copy, address: "
                            "archive@example.com}" },
    { RULE("then: [add_header]"), "3:26: rules[0].then[0]: the action needs text | write for example {action: add_header, text: \"X-Checked: "
                                  "yes\"}" },
    { RULE("then: [{action: add_header, text: nothing}]"),
      "3:53: rules[0].then[0].text: \"nothing\" is no header line | write for example \"X-Checked: yes\"" },
    { RULE("then: [{action: remove_header, text: \"X Y\"}]"),
      "3:56: rules[0].then[0].text: \"X Y\" is no name of a header field | write the name of a header field, without a colon" },
    { RULE("then: [{action: strip, text: x}]"), "3:48: rules[0].then[0].text: this action has no text | remove it" },
    { RULE("then: [{action: stop, address: a@example.com}]"), "3:50: rules[0].then[0].address: this action has no address | remove it" },
    { RULE("if: {larger: 1M}, then: [{action: reject, text: \"\xC3\xBC\"}]"),
      "3:67: rules[0].then[0].text: the reason has characters that replies cannot have: only ASCII | it is told to clients" },
    { RULE("if: {larger: 1M}, then: [reject, strip]"),
      "3:52: rules[0].then[1]: what stands before ends the rules: this is never done | put it before" },
    { FIRST "rules: [{name: r, then: [stop]}, {name: r, then: [stop]}]\n",
      "3:41: rules[1].name: r is written twice: also at line 3 | keep one of the two" },
    { RULE("if: {headers: [{name: \"Subject:\", match: x}]}, then: [stop]"),
      "3:41: rules[0].if.headers[0].name: \"Subject:\" is no name of a header field | write the name of a header field, without a colon" },
    { RULE("if: {headers: [{name: Subject, match: \"a(b\"}]}, then: [stop]"),
      "3:57: rules[0].if.headers[0].match: \"a(b\": missing closing parenthesis (at character 4 of the regular expression)" },
    { RULE("if: {zones: [lan]}, then: [stop]"), "3:32: rules[0].if.zones[0]: there is no zone \"lan\" | declare it below zones:" },
    { RULE("if: {zones: [internett]}, then: [stop]"),
      "3:32: rules[0].if.zones[0]: there is no zone \"internett\" | did you mean internet?" },
    { RULE("if: {direction: inn}, then: [stop]"),
      "3:35: rules[0].if.direction: \"inn\" is none of in, out, through | did you mean in?" },
    { RULE("if: {attachments: [programs]}, then: [strip]"),
      "3:38: rules[0].if.attachments[0]: \"programs\" is none of executable, script, archive, document, macro, encrypted, image, audio, "
      "video, message, any" },
    { RULE("if: {attachments: [{name: \"[\", type: pdf}]}, then: [strip]"),
      "3:45: rules[0].if.attachments[0].name: \"[\": a [ without its ] | write for example \"*.docm\"\n"
      "3:56: rules[0].if.attachments[0].type: \"pdf\" is not a type | write for example application/pdf or image/*" },
    { RULE("if: {spf: failed}, then: [stop]"),
      "3:29: rules[0].if.spf: \"failed\" is none of none, neutral, pass, fail, softfail, temperror, permerror | did you mean fail?" },
    { RULE("if: {virus: yes}, then: [stop]"),
      "warning 3:31: rules[0].if.virus: no scanner looks for viruses: the rule is never used | add one to scanners" },
    { FIRST "spam: {enabled: no}\nrules: [{name: r, if: {spam: bulk}, then: [stop]}]\n",
      "warning 4:30: rules[0].if.spam: spam is not looked for: the rule is never used | set spam.enabled: yes" },
    { RULE("then: [discard]"),
      "warning 3:26: rules[0].then[0]: the rule has no condition: no message at all gets through | add if: with a condition" },
    { RULE("if: {larger: 2M, smaller: 1M}, then: [stop]"),
      "3:45: rules[0].if.smaller: no message is smaller than this and larger than larger" },
    { RULE("if: {senders: [10.0.0.1]}, then: [stop]"),
      "3:34: rules[0].if.senders[0]: \"10.0.0.1\": an IP address or network: it belongs into a list of clients" },
    /* quarantine */
    { FIRST "quarantine: {digest: {url: ftp://x, listen: \"*:1\"}}\n",
      "3:28: quarantine.digest.url: \"ftp://x\" is not the URL of a page | write for example https://mail.example.com:8443" },
    { FIRST "quarantine: {digest: {url: https://x}}\n",
      "3:28: quarantine.digest.url: nobody listens where the links lead to | add for example listen: \"*:8443\"" },
    { FIRST "quarantine: {digest: {listen: \"*:8443\"}}\n",
      "3:31: quarantine.digest.listen: without url there are no links that lead here | add for example url: https://mail.example.com:8443" },
    { FIRST "quarantine: {digest: {url: https://x, listen: \"8443\"}}\n",
      "3:47: quarantine.digest.listen: \"8443\" is not an address with a port | write for example \"*:8443\", 192.0.2.1:8443 or "
      "\"[2001:db8::1]:8443\"" },
    { FIRST "quarantine: {digest: {url: http://mail.example.com, listen: \"127.0.0.1:80\"}}\n",
      "warning 3:28: quarantine.digest.url: whoever reads a link on its way can release the mail | use https://" },
    { FIRST "quarantine: {digest: {url: https://x, listen: \"*:1\"}}\n",
      "warning 3:47: quarantine.digest.listen: the page speaks plain HTTP where others can reach it | add certificate and key, or listen on "
      "127.0.0.1 with a proxy in front" },
    { FIRST "quarantine: {digest: {url: \"http://127.0.0.1:1\", listen: \"127.0.0.1:1\", certificate: /etc/passwd, key: /etc/passwd}}\n",
      "3:28: quarantine.digest.url: the page speaks TLS: with http:// nobody reaches it | write https://\n"
      "3:104: quarantine.digest.key: everybody on this machine can read /etc/passwd | chmod o= /etc/passwd" },
    { FIRST "quarantine: {digest: {url: https://x, listen: \"*:1\", certificate: /etc/passwd}}\n",
      "3:67: quarantine.digest.certificate: certificate and key belong together | add key" },
    { FIRST "quarantine: {digest: {domains: [other.example]}}\n",
      "3:33: quarantine.digest.domains[0]: other.example is not a relay domain | declare it below domains:" },
    { FIRST "quarantine: {digest: {enabled: yes, at: []}}\n",
      "3:41: quarantine.digest.at: a digest is never sent | write for example [\"07:00\"]" },
    { FIRST "quarantine: {size: 1M}\n",
      "warning 3:20: quarantine.size: less than limits.message_size: there are messages that never fit" },
};

static void test_mistakes(void **state)
{
    bool bad = false;
    for (size_t i = 0; i < countof(mistakes); i++) {
        char *got = findings(mistakes[i].text, NOWHERE);
        if (strcmp(got, mistakes[i].want) != 0) {
            print_error("for\n%s\nwanted\n%s\ngot\n%s\n", mistakes[i].text, mistakes[i].want, got);
            bad = true;
        }
        free(got);
    }
    assert_false(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_values),   cmocka_unit_test(test_dump),
        cmocka_unit_test(test_schema),   cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
