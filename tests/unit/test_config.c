/* SPDX-License-Identifier: Apache-2.0
 * The configuration: values and units, mistakes with their places, open relays, edits, revisions, look-ups. */
#include "base/log.h"
#include "config/edit.h"
#include "config/revision.h"
#include "config_world.h"

static void test_defaults(void **state)
{
    struct config *c =
        must_parse("hostname: MX.Example.com\ndomains:\n  - {name: Example.com, deliver: 10.20.30.40}\nzones:\n"
                   "  lan: {networks: [10.20.30.0/24], trust: relay}\n");
    assert_string_equal(c->hostname, "mx.example.com");
    assert_string_equal(c->postmaster, "postmaster@mx.example.com");
    assert_true(c->listener_n == 1 && c->listeners[0].port == 25 && c->listeners[0].ip.family == 0 &&
                c->listeners[0].zone == -1 && c->listeners[0].tls == CONFIG_TLS_OFFER &&
                c->listeners[0].place.line == 0);
    assert_int_equal(c->zone_n, 2);
    assert_string_equal(c->zones[0].name, "lan");
    assert_true(c->zones[0].trust == CONFIG_TRUST_RELAY && c->zones[0].dsn && c->zones[0].place.line == 5 &&
                c->zones[0].place.column == 3);
    assert_string_equal(c->zones[1].name, "internet");
    assert_true(c->zones[1].trust == CONFIG_TRUST_NONE && c->zones[1].mode == CONFIG_ZONE_ACTIVE && c->zones[1].dsn);
    assert_string_equal(c->domains[0].name, "example.com");
    assert_string_equal(c->domains[0].deliver.text, "10.20.30.40");
    assert_true(c->domains[0].deliver.ip.family == 4 && c->domains[0].deliver.port == 25 &&
                c->domains[0].deliver.tls == CONFIG_CLIENT_TLS_MAY);
    assert_true(c->limits.message_size == 20 << 20 && c->limits.message_size_filtered == 40 << 20 &&
                c->limits.recipients == 1000);
    assert_true(c->timeouts.command == 300000 && c->timeouts.session == 0 && c->queue.lifetime == 5 * 86400000ull &&
                c->queue.free_space == 5);
    assert_true(!c->inner_host.host && !c->smarthost.host && c->log.level == LOG_INFO && c->tls.min_version == 12);
    assert_string_equal(c->system.user, "postern");
    assert_string_equal(c->delivery.helo, "");
    assert_true(c->system.sandbox);
    const struct config_zone *z = &c->zones[0];
    assert_true(z->tls == CONFIG_TLS_IMPLICIT && !z->min_version && !z->bare_lf && !z->auth_without_tls && !z->providers &&
                !z->sender_n);
    const struct config_listener *l = &c->listeners[0];
    assert_true(l->role == CONFIG_ROLE_RELAY && !l->auth && !l->client_certificate && !l->client_ca && !l->proxy_n &&
                !l->xclient_n);
    assert_true(c->hop_n == 1 && c->hops[0] == &c->domains[0].deliver && c->hops[0]->id == 0 && c->smarthost.id == -1);
    assert_true(!c->hops[0]->implicit_tls && !c->hops[0]->ca && !c->hops[0]->auth.user && !c->hops[0]->auth.methods);
    assert_true(!c->delivery.mta_sts && !c->delivery.tls_reports && !c->delivery.tls_report_contact &&
                c->delivery.probe == 3600000 && c->tls.ticket_life == 12 * 3600000);
    assert_true(!c->tls.ca[0] && !c->dns.trust_anchor[0] && !c->tls_policy_n && !c->tls.certificate_n);
    assert_string_equal(c->system.auth_user, "postern-auth");
    assert_string_equal(c->auth.users, "/var/lib/postern/users");
    assert_int_equal(c->auth.methods, CONFIG_SASL_PLAIN | CONFIG_SASL_LOGIN | CONFIG_SASL_SCRAM_SHA_256 |
                                          CONFIG_SASL_SCRAM_SHA_256_PLUS);
    assert_true(c->auth.backend == CONFIG_AUTH_OFF && c->auth.sender_must_match && c->auth.timeout == 10000 &&
                c->auth.failures == 5 && c->auth.window == 600000 && c->auth.block == 900000);
    assert_true(c->auth.imap.port == 993 && c->auth.imap.implicit_tls && c->auth.imap.verify && !c->auth.imap.ca &&
                c->auth.imap.connections == 10 && !c->auth.imap.host[0]);
    assert_true(!c->auth.ldap.url[0] && !c->auth.ldap.starttls && !c->auth.ldap.bind_dn && !c->auth.ldap.user_dn &&
                !c->auth.ldap.password_file && !c->auth.dovecot[0]);
    assert_string_equal(c->auth.ldap.mail, "mail");
    config_free(c);
}

static void test_values(void **state)
{
    struct config *c = must_parse(
        FIRST "limits: {message_size: 20 MB, header_size: 128k, line_length: 2000, recipients: 100}\n"
              "timeouts: {command: 1h, data: 90s, connect: 1500ms, message: 1h30m, session: 1d 2h, reply: 5 m}\n"
              "queue: {free_space: 7, lifetime: 2w, memory: 1GiB}\n"
              "smarthost: {host: Relay.example, port: 587, tls: none, source: 192.0.2.9}\n"
              "inner_host: mx:inner.example:26\n"
              "routes:\n  - {tls: none, source: \"2001:db8::2\", to: Jane@Partner.Example, via: {host: "
              "\"2001:db8::1\", port: 26}}\n"
              "  - {to: .partner.example, via: \"[2001:db8::1]:25\"}\n"
              "listeners: [{address: \"[::1]:2525\", tls: none}, {address: \"127.0.0.1:26\", zone: lan}]\n"
              "zones:\n  internet: {max_connections: 7}\n  lan: {networks: 10.0.0.0/255.0.0.0, dsn: off}\n"
              "tls: {min_version: 1.3}\ndns: {servers: [127.0.0.1:5353]}\nsystem: {user: \"\", sandbox: False, "
              "directory: spool}\n"
              "delivery: {helo: out.example.com, source6: \"2001:db8::9\", family: any}\nlog: {level: debug}\n");
    assert_true(c->limits.message_size == 20 << 20);
    assert_true(c->limits.header_size == 128 << 10 && c->limits.line_length == 2000 &&
                c->limits.message_size_filtered == 40 << 20);
    assert_true(c->timeouts.command == 3600000 && c->timeouts.data == 90000 && c->timeouts.connect == 1500 &&
                c->timeouts.message == 5400000 && c->timeouts.session == 93600000 && c->timeouts.reply == 300000);
    assert_true(c->queue.free_space == 7 && c->queue.lifetime == 14 * 86400000ull && c->queue.memory == 1 << 30);
    assert_string_equal(c->smarthost.host, "relay.example");
    assert_string_equal(c->smarthost.text, "relay.example:587");
    assert_true(c->smarthost.port == 587 && c->smarthost.tls == CONFIG_CLIENT_TLS_NONE &&
                c->smarthost.source4.family == 4);
    assert_true(c->inner_host.mx && c->inner_host.port == 26 && c->inner_host.tls == CONFIG_CLIENT_TLS_MAY);
    assert_string_equal(c->routes[0].to, "jane@partner.example");
    assert_string_equal(c->routes[0].via.text, "[2001:db8::1]:26");
    assert_true(c->routes[0].via.tls == CONFIG_CLIENT_TLS_NONE && c->routes[0].via.source6.family == 6);
    assert_true(c->routes[1].via.ip.family == 6 && c->routes[1].via.port == 25 &&
                c->routes[1].via.tls == CONFIG_CLIENT_TLS_MAY);
    assert_string_equal(c->routes[1].via.host, "2001:db8::1");
    assert_true(c->listeners[0].ip.family == 6 && c->listeners[0].port == 2525 && c->listeners[1].zone == 0);
    assert_string_equal(c->zones[0].name, "lan"); /* internet is last, wherever it is written */
    assert_true(c->zone_n == 2 && c->zones[1].max_connections == 7 && c->zones[0].networks[0].prefix == 8 &&
                !c->zones[0].dsn);
    assert_true(c->tls.min_version == 13 && c->dns.server_n == 1 && !c->system.sandbox && c->log.level == LOG_DEBUG);
    assert_string_equal(c->system.user, "");
    assert_string_equal(c->system.directory, "/nowhere/spool");
    config_free(c);
}

static const struct {
    const char *text, *want;
} mistakes[] = {
    { "", "1:1: hostname: is missing | add for example hostname: mx.example.com" },
    { "hostnam: mx.example.com\n", "1:1: hostnam: there is no such option | did you mean hostname?\n"
                                   "1:1: hostname: is missing | add for example hostname: mx.example.com" },
    { "hostname: mx\n",
      "1:11: hostname: \"mx\" is not a full host name | write it with its domain, for example mx.example.com" },
    { "hostname: 10.0.0.1\n", "1:11: hostname: \"10.0.0.1\" is an address, not a host name" },
    { FIRST "message_size: 20M\n", "3:1: message_size: there is no such option | write it as limits.message_size" },
    { FIRST "limits:\n  recipient: 5\n", "4:3: limits.recipient: there is no such option | did you mean recipients?" },
    { FIRST "limits:\n  recipients: 99\n", "4:15: limits.recipients: 99 is too small: the least is 100" },
    { FIRST "limits: {message_size: 9G}\n", "3:24: limits.message_size: 9G is too large: the most is 2G" },
    { FIRST "limits: {message_size: 20 MX}\n",
      "3:24: limits.message_size: \"20 MX\" is not a size | write for example 128K, 20M or 1G" },
    { FIRST "limits: {message_size: 99999999999999999999G}\n",
      "3:24: limits.message_size: \"99999999999999999999G\" is not a size | write for example 128K, 20M or 1G" },
    { FIRST "limits: {message_size_filtered: 30M}\n",
      "3:33: limits.message_size_filtered: less than twice message_size | write at least 40M, or leave the line out" },
    { FIRST "timeouts: {command: 30}\n", "3:21: timeouts.command: \"30\" has no unit | write 30s, 30m, 30h or 30d" },
    { FIRST "timeouts: {command: 5min}\n",
      "3:21: timeouts.command: \"5min\" is not a time | write for example 500ms, 30s, 5m, 1h30m or 7d" },
    { FIRST "queue: {retry_first: 5h}\n", "3:22: queue.retry_first: retry_first is longer than retry_max" },
    { FIRST "queue: {lifetime: 1m, delay_warning: 0}\n",
      "3:19: queue.lifetime: lifetime is shorter than retry_first | mail would be returned before its second try" },
    { FIRST "queue: {free_space: 95%}\n", "3:21: queue.free_space: 95% is too large: the most is 90%" },
    { FIRST "queue:\n  memory:\n", "4:3: queue.memory: has no value | leave the line out for the default" },
    { FIRST "system: {sandbox: maybe}\n", "3:19: system.sandbox: \"maybe\" is neither yes nor no" },
    { FIRST "delivery: {tls: encript}\n",
      "3:17: delivery.tls: \"encript\" is none of none, may, dane, encrypt, verify, dane-only | did you mean encrypt?" },
    { FIRST "log: {level: debuk}\n",
      "3:14: log.level: \"debuk\" is none of debug, info, warning, error | did you mean debug?" },
    { FIRST "listeners: [{address: \"*:25\", role: lmtp}]\n",
      "3:37: listeners[0].role: lmtp is not available yet | this version knows: relay, submission" },
    { FIRST "listeners: [{address: 127.0.0.1}]\n",
      "3:23: listeners[0].address: \"127.0.0.1\" has no port | write \"*:25\", "
      "\"192.0.2.1:25\" or \"[2001:db8::1]:25\"" },
    { FIRST "listeners: [{address: *:25}]\n",
      "3:24: : \"*\" and \"&\" begin references in YAML | put the value into quotes: \"*:25\"" },
    { FIRST "listeners:\n - {address: \"*:25\"}\n - {address: \"[::]:25\"}\n",
      "5:14: listeners[1].address: *:25 is written twice: also at line 4 | keep one of the two" },
    { FIRST "listeners: [{address: \"*:25\", zone: lann}]\nzones: {lan: {networks: [10.0.0.0/8]}}\n",
      "3:37: listeners[0].zone: there is no zone \"lann\" | did you mean lan?" },
    { FIRST "zones:\n  lan: {networks: [10.20.30.1/24]}\n",
      "4:20: zones.lan.networks[0]: \"10.20.30.1/24\": the address has bits set beyond the network's prefix | the "
      "network is "
      "10.20.30.0/24; a single address has no \"/24\"" },
    { FIRST "zones:\n  a: {networks: [10.0.0.0/8]}\n  b: {networks: [10.0.0.0/255.0.0.0]}\n",
      "5:18: zones.b.networks[0]: 10.0.0.0/255.0.0.0 is in zone a already: line 4 | remove one of the two" },
    { FIRST "hostname: mx2.example.com\n", "3:1: hostname: written twice: also at line 1 | keep one of the two" },
    { FIRST "limits:\n\trecipients: 5\n", "4:1: : a tab where blanks are expected | indent with blanks, not tabs" },
    { FIRST "limits: &a {}\n",
      "3:9: : anchors (&name) are not supported | write the value out; if it begins with \"*\" or \"&\", "
      "put it into quotes" },
    { FIRST "limits: {a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}\n", "3:27: : too many levels of nesting" },
    { "hostname: mx.example.com\ndomains:\n  - example.com\n",
      "3:5: domains[0]: expects a group of entries | write {name: example.com, ...}" },
    { "hostname: mx.example.com\ndomains:\n  - {name: a.example, deliver: 10.0.0.1}\n  - {name: A.example, deliver: "
      "b.example}\n",
      "4:12: domains[1].name: a.example is written twice: also at line 3 | keep one of the two" },
    { "hostname: mx.example.com\ndomains: [{name: m\xC3\xBCller.example, deliver: 10.0.0.1}]\n",
      "2:18: domains[0].name: \"m\xC3\xBCller.example\" is not in its ASCII form | write international names as "
      "A-labels, for example "
      "xn--mller-kva.example" },
    { "hostname: mx.example.com\ndomains: [{name: \"*.a.example\", deliver: 10.0.0.1}]\n",
      "2:18: domains[0].name: \"*.a.example\" is not a domain name | write {name: a.example, subdomains: yes}" },
    { "hostname: mx.example.com\ndomains: [{name: a.example, deliver: mailboxes}]\n",
      "2:38: domains[0].deliver: \"mailboxes\" is not a next hop | write \"lmtp:host:24\", \"lmtp:/path/of/socket\" or "
      "\"maildir:/path/%d/%n\"" },
    { "hostname: mx.example.com\ndomains: [{name: a.example, deliver: \"10.0.0.1:smtp\"}]\n",
      "2:38: domains[0].deliver: \"smtp\" is not a port | a port is a number from 1 to 65535" },
    { "hostname: mx.example.com\ndomains: [{name: a.example, tls: none}]\n",
      "warning 2:11: domains[0]: a.example has no next hop: its mail goes to its MX, which is most likely this relay | "
      "add deliver to the domain, or set inner_host\n"
      "2:29: domains[0].tls: there is no such option | write it as deliver: {host: ..., tls: ...}" },
    { FIRST "smarthost: {port: 25}\n", "3:12: smarthost.host: is missing | add for example host: relay.example.net" },
    { FIRST "smarthost: 127.0.0.1\n",
      "3:12: smarthost: 127.0.0.1 is this relay itself, which listens on *:25: mail would loop | name "
      "the host that takes the mail, or another port" },
    { FIRST "listeners:\n  - {address: \"10.1.2.3:25\"}\ninner_host: 10.1.2.3\n",
      "5:13: inner_host: 10.1.2.3 is this relay itself, which listens on 10.1.2.3:25 (line 4): mail would loop | name "
      "the host that "
      "takes the mail, or another port" },
    { FIRST "inner_host: mx.example.com\n", "warning 3:13: inner_host: the next hop has the name of this relay "
                                            "(hostname): it may take the relay's mail for a loop and "
                                            "refuse it | give the relay a name of its own" },
    { FIRST "routes: [{to: a.example, via: 10.0.0.1, source: \"::1\"}]\n",
      "3:49: routes[0].source: source and next hop are of different families (IPv4, IPv6)" },
    { FIRST "tls: {certificate: none.pem, key: none.key}\n",
      "3:20: tls.certificate: /nowhere/none.pem: No such file or directory\n3:35: tls.key: /nowhere/none.key: No such "
      "file or directory" },
    { "hostname: mx.example.com\n",
      "warning 1:1: : there are no domains and no trusted zone: all mail would be refused | add domains, "
      "or a zone with trust: relay" },
};

static void test_mistakes(void **state)
{
    for (size_t i = 0; i < countof(mistakes); i++) expect_findings(mistakes[i].text, mistakes[i].want);
}

static void test_many_findings(void **state)
{
    struct buf b = { 0 };
    struct config_report r;
    for (int i = 0; i < 80; i++) buf_addf(&b, "x%d: 1\n", i);
    assert_null(config_parse(buf_slice(&b), "x.yaml", &r));
    assert_int_equal(r.n, REPORT_FINDINGS_MAX);
    assert_int_equal(r.errors, 81);
    config_report_deinit(&r);
    buf_deinit(&b);
}

/* The refusal stands at the line that opens the relay. */
static void expect_open(const char *text, const char *place)
{
    char *got = findings(text, NOWHERE);
    if (!strstr(got, "for strangers") || strncmp(got, place, strlen(place)) != 0)
        fail_msg("for\n%s\ngot\n%s", text, got);
    free(got);
}

static void test_open_relay(void **state)
{
    static const char *const open[] = { "0.0.0.0/0",        "\"::/0\"",          "0.0.0.0/1",        "8.0.0.0/7",
                                        "\"2000::/3\"",     "\"::ffff:0:0/96\"", "\"64:ff9b::/96\"", "\"64::/16\"",
                                        "\"2002::/16\"",    "\"2001::/32\"",     "0.0.0.0/0.0.0.0",  "10.0.0.0/7",
                                        "\"2001:0:1::/48\"" };
    static const char *const closed[] = { "10.0.0.0/8",  "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                          "127.0.0.0/8", "\"fc00::/7\"",  "\"::1\"",        "\"2001:db8::/32\"",
                                          "9.0.0.0/8",   "203.0.113.7" };
    char text[400];
    for (size_t i = 0; i < countof(open); i++) {
        snprintf(text, sizeof text, FIRST "zones:\n  lan:\n    networks: [10.1.0.0/16, %s]\n    trust: relay\n",
                 open[i]);
        expect_open(text, "5:29: zones.lan.networks[1]: zone lan would relay for strangers");
        snprintf(text, sizeof text, FIRST "zones:\n  lan:\n    networks: [%s]\n    trust: none\n", open[i]);
        config_free(must_parse(text));
    }
    for (size_t i = 0; i < countof(closed); i++) {
        snprintf(text, sizeof text, FIRST "zones:\n  lan:\n    networks: [%s]\n    trust: relay\n", closed[i]);
        config_free(must_parse(text));
    }
    expect_open(FIRST
                "zones:\n  lan: {networks: [1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 4.0.0.0/8, 5.0.0.0/8], trust: relay}\n",
                "4:64: ");
    expect_open(FIRST "zones: {internet: {trust: relay}}\n", "3:27: zones.internet.trust: ");
    expect_open(FIRST
                "listeners: [{address: \"*:25\", zone: lan}]\nzones: {lan: {networks: [10.0.0.0/8], trust: relay}}\n",
                "3:37: listeners[0].zone: ");
    expect_open(FIRST "listeners: [{address: \"192.0.2.1:25\", zone: lan}]\nzones: {lan: {trust: relay}}\n", "3:45: ");
    config_free(must_parse(FIRST "listeners: [{address: \"10.0.0.1:25\", zone: lan}]\nzones: {lan: {trust: relay}}\n"));
    expect_open("hostname: mx.example.com\ndomains: [{name: \"*\", deliver: 10.0.0.1}]\n", "2:18: domains[0].name: ");
    expect_open("hostname: mx.example.com\ndomains: [{name: \".\", deliver: 10.0.0.1}]\n", "2:18: domains[0].name: ");
    expect_open("hostname: mx.example.com\ndomains: [{name: com, subdomains: yes, deliver: 10.0.0.1}]\n",
                "2:18: domains[0].name: ");
    expect_findings(FIRST "zones: {lan: {interfaces: [\"*\"], trust: relay}}\n",
                    "3:28: zones.lan.interfaces[0]: \"*\" would stand for everybody; a name is expected | write the "
                    "names, one by one");
}

static void test_private_key(void **state)
{
    char dir[] = "/tmp/postern-config-XXXXXX", text[300], path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    snprintf(text, sizeof text, FIRST "tls: {certificate: %s, key: %s}\n", path, path);
    assert_int_equal(chmod(path, 0644), 0);
    char *got = findings(text, NOWHERE);
    assert_non_null(strstr(got, "tls.key: everybody on this machine can read"));
    free(got);
    assert_int_equal(chmod(path, 0640), 0);
    config_free(must_parse(text));
    unlink(path);
    rmdir(dir);
}

static void test_report(void **state)
{
    static const char text[] =
        "hostname: mx.example.com\ndomains: [{name: a.example, deliver: 10.0.0.1}]\nlimits: {\"\\e\xC3\xBC\": 1}\n";
    struct config_report r;
    struct buf b = { 0 };
    assert_null(config_parse(slice_str(text), "p.yaml", &r));
    report_format(&r, "p.yaml", slice_str(text), &b);
    assert_non_null(strstr(buf_cstr(&b),
                           "p.yaml:3:10: error: limits.\\x1b\xC3\xBC: there is no such option\n"
                           "    limits: {\"\\e\xC3\xBC\": 1}\n             ^\n  hint: known here: message_size, "));
    config_report_deinit(&r);
    buf_deinit(&b);
    assert_null(config_load("/nowhere/at/all.yaml", &r));
    assert_string_equal(r.findings[0].text, "cannot read /nowhere/at/all.yaml: No such file or directory");
    config_report_deinit(&r);
}

static const char *zone_of(const struct config *c, const struct config_listener *l, const char *client)
{
    struct ip ip;
    assert_true(ip_parse(slice_str(client), &ip));
    return config_zone_of(c, l, &ip)->name;
}

static void test_zone_of(void **state)
{
    struct config *c = must_parse(FIRST "zones:\n  lan: {networks: [10.0.0.0/8, \"2001:db8::/32\"], trust: relay}\n"
                                        "  dmz: {networks: [10.1.0.0/16, 10.1.2.3, \"2001:db8:1::/48\"], mode: "
                                        "inactive}\n  host: {networks: [10.1.2.4/32, 10.1.2.0/24]}\n"
                                        "  fixed: {}\n  here: {interfaces: [lo]}\nlisteners: [{address: \"*:25\"}, "
                                        "{address: \"*:26\", zone: fixed}]\n");
    const struct config_listener *l = &c->listeners[0];
    assert_string_equal(zone_of(c, l, "10.9.9.9"), "lan");
    assert_string_equal(zone_of(c, l, "10.1.9.9"), "dmz");
    assert_string_equal(zone_of(c, l, "10.1.2.3"), "dmz");
    assert_string_equal(zone_of(c, l, "10.1.2.4"), "host");
    assert_string_equal(zone_of(c, l, "10.1.2.5"), "host");
    assert_string_equal(zone_of(c, l, "::ffff:10.1.2.5"), "host");
    assert_string_equal(zone_of(c, l, "2001:db8:2::1"), "lan");
    assert_string_equal(zone_of(c, l, "2001:db8:1::1"), "dmz");
    assert_string_equal(zone_of(c, l, "192.0.2.1"), "internet");
    assert_string_equal(zone_of(c, l, "2001:db9::1"), "internet");
    assert_string_equal(zone_of(c, l, "127.0.0.1"), "here");
    assert_string_equal(zone_of(c, &c->listeners[1], "10.1.2.5"), "fixed");
    assert_string_equal(zone_of(c, NULL, "10.9.9.9"), "lan");
    lookup_free(c); /* as of a configuration put together by hand */
    assert_string_equal(zone_of(c, NULL, "10.1.2.4"), "host");
    assert_string_equal(zone_of(c, NULL, "192.0.2.1"), "internet");
    assert_string_equal(config_domain_of(c, SLICE("EXAMPLE.com"))->name, "example.com");
    assert_null(config_domain_of(c, SLICE("x.example.com")));
    config_free(c);
}

static void test_domain_of(void **state)
{
    struct config *c =
        must_parse("hostname: mx.example.com\ninner_host: 10.0.0.1\ndomains: [{name: example.com, subdomains: yes}, "
                   "{name: b.example.com}, {name: c.b.example.com, subdomains: yes}, {name: example.org}]\n");
    static const struct {
        const char *domain, *name;
    } cases[] = {
        { "example.com", "example.com" },
        { "EXAMPLE.Com", "example.com" },
        { "x.example.com", "example.com" },
        { "b.example.com", "b.example.com" },
        { "x.b.example.com", "example.com" },
        { "X.C.b.example.com", "c.b.example.com" },
        { "example.org", "example.org" },
        { "x.example.org", NULL },
        { "com", NULL },
        { "", NULL },
        { "xexample.com", NULL },
        { ".example.com", "example.com" },
        { "example.com.", NULL },
        { "[10.0.0.1]", NULL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        const struct config_domain *d = config_domain_of(c, slice_str(cases[i].domain));
        if (!cases[i].name) assert_null(d);
        else assert_string_equal(d->name, cases[i].name);
    }
    config_free(c);
}

/* What is written out reads back as the same. */
static void test_dump(void **state)
{
    struct config *c =
        must_parse(FIRST "routes: [{to: a.example, via: \"[2001:db8::1]:26\", tls: none}]\n"
                         "smarthost: {host: a.example, port: 587, mx: yes, tls: none, source: 10.0.0.1}\n"
                         "listeners: [{address: \"*:25\"}, {address: \"127.0.0.1:26\", zone: lan}]\n"
                         "zones: {lan: {networks: [10.0.0.0/8], trust: relay}}\ndelivery: {source4: 10.0.0.9}\n");
    json_t *j = config_to_json(c);
    struct buf once = { 0 }, twice = { 0 };
    config_json_yaml(j, &once);
    config_free(c);
    json_decref(j);
    c = must_parse(buf_cstr(&once));
    j = config_to_json(c);
    config_json_yaml(j, &twice);
    assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
    struct err err;
    buf_clear(&once);
    config_json_yaml(config_json_at(j, "smarthost.port", &err), &once);
    assert_string_equal(buf_cstr(&once), "587\n");
    assert_string_equal(json_string_value(config_json_at(j, "zones.lan.networks[0]", &err)), "10.0.0.0/8");
    assert_null(config_json_at(j, "limits.size", &err));
    assert_string_equal(err.text, "there is no limits.size");
    config_free(c);
    json_decref(j);
    buf_deinit(&once);
    buf_deinit(&twice);
}

static const char edited[] =
    "# top\nhostname: mx.example.com   # name\nlimits:   # allowed\n  message_size: 20M  # big\n  # remark\n\n"
    "domains:   # ours\n  # first\n  - {name: example.com, deliver: 10.20.30.40}   # A\n\n"
    "  - name: example.org  # B\n    deliver: 10.20.30.41 # its server\nzones:\n"
    "  lan: {networks: [10.20.30.0/24], trust: relay}\n  dmz:\n    networks:\n    - 192.0.2.0/24  # half\n"
    "    - 198.51.100.0/24\nqueue:\n# end\n";

/* Setting (value) or unsetting (NULL) replaces `was` by `is`, and nothing else. */
static const struct {
    const char *path, *value, *was, *is;
} edits[] = {
    { "limits.message_size", "30M", "20M  # big", "30M  # big" },
    { "limits.recipients", "200", "# big\n", "# big\n  recipients: 200\n" },
    { "domains[0].deliver", "10.0.0.1", "10.20.30.40}", "10.0.0.1}" },
    { "domains[0].subdomains", "yes", "10.20.30.40}", "10.20.30.40, subdomains: yes}" },
    { "domains[1].subdomains", "yes", "# its server\n", "# its server\n    subdomains: yes\n" },
    { "domains[+]", "{name: example.net, deliver: mx:a.b}", "# its server\n",
      "# its server\n  - {name: example.net, deliver: mx:a.b}\n" },
    { "domains[+].name", "example.net", "# its server\n", "# its server\n  - {name: example.net}\n" },
    { "domains[1]", "{name: a.example}", "name: example.org  # B\n    deliver: 10.20.30.41 #", "{name: a.example} #" },
    { "zones.dmz.networks[+]", "203.0.113.0/24", "51.100.0/24\n", "51.100.0/24\n    - 203.0.113.0/24\n" },
    { "zones.lan.networks[+]", "10.20.31.0/24", "[10.20.30.0/24]", "[10.20.30.0/24, 10.20.31.0/24]" },
    { "zones.dmz.networks", "[10.1.0.0/16]", "networks:\n    - 192.0.2.0/24  # half\n    - 198.51.100.0/24\n",
      "networks: [10.1.0.0/16]\n" },
    { "queue.lifetime", "3d", "queue:\n", "queue:\n  lifetime: 3d\n" },
    { "queue", "{lifetime: 3d}", "queue:\n", "queue: {lifetime: 3d}\n" },
    { "log.level", "debug", "queue:\n", "queue:\nlog:\n  level: debug\n" },
    { "routes[+].to", "a b: c", "queue:\n", "queue:\nroutes:\n  - {to: \"a b: c\"}\n" },
    { "smarthost", "*:x", "queue:\n", "queue:\nsmarthost: \"*:x\"\n" },
    { "limits.message_size", NULL, "  message_size: 20M  # big\n", "" },
    { "domains[0]", NULL, "  - {name: example.com, deliver: 10.20.30.40}   # A\n", "" },
    { "domains[1]", NULL, "  - name: example.org  # B\n    deliver: 10.20.30.41 # its server\n", "" },
    { "domains[1].name", NULL, "name: example.org  # B\n    deliver", "  # B\n    deliver" },
    { "domains[0].name", NULL, "{name: example.com, deliver", "{deliver" },
    { "domains[0].deliver", NULL, ", deliver: 10.20.30.40}", "}" },
    { "zones.dmz.networks[0]", NULL, "    - 192.0.2.0/24  # half\n", "" },
    { "zones.lan", NULL, "  lan: {networks: [10.20.30.0/24], trust: relay}\n", "" },
    { "queue", NULL, "queue:\n", "" },
};

static void test_edit(void **state)
{
    for (size_t i = 0; i < countof(edits); i++) {
        struct buf out = { 0 }, want = { 0 };
        struct err err = { 0 };
        const char *at = strstr(edited, edits[i].was);
        assert_non_null(at);
        buf_addf(&want, "%.*s%s%s", (int)(at - edited), edited, edits[i].is, at + strlen(edits[i].was));
        bool ok = edits[i].value ? edit_set(slice_str(edited), edits[i].path, edits[i].value, &out, &err)
                                 : edit_unset(slice_str(edited), edits[i].path, &out, &err);
        if (!ok) fail_msg("%s: %s", edits[i].path, err.text);
        assert_string_equal(buf_cstr(&out), buf_cstr(&want));
        buf_deinit(&out);
        buf_deinit(&want);
    }
}

static void expect_no_edit(const char *text, const char *path, const char *value, const char *want)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    assert_false(value ? edit_set(slice_str(text), path, value, &out, &err)
                       : edit_unset(slice_str(text), path, &out, &err));
    assert_string_equal(err.text, want);
    buf_deinit(&out);
}

static void test_edit_refused(void **state)
{
    expect_no_edit(edited, "domains[7].deliver", "x", "there is no entry [7]; write [+] to add one");
    expect_no_edit(edited, "limits[0]", "x", "a name is expected at line 4");
    expect_no_edit(edited, "domains.name", "x", "[number] is expected at line 9");
    expect_no_edit(edited, "hostname.x", "x", "line 2 holds no group of entries; set it as a whole");
    expect_no_edit(edited, "limits.recipients", NULL, "limits.recipients is not set in the file");
    expect_no_edit(edited, "limits..x", "1", "write a path like limits.message_size or domains[0].deliver");
    expect_no_edit(edited, "limits.x", "a\nb", "the value must be one line");
    expect_no_edit(edited, "limits.x", "{a: ", "the value is not YAML: this cannot begin a value here");
    expect_no_edit("a: [\n", "a", "1", "the file is not right as it is; see `postern check`");
    expect_no_edit("? a\n: b\n", "a.b", "1", "line 2 holds no group of entries; set it as a whole");
}

static void test_edit_forms(void **state)
{
    static const struct {
        const char *text, *path, *value, *want;
    } cases[] = {
        { "", "hostname", "mx.example.com", "hostname: mx.example.com\n" },
        { "# only\n", "limits.hops", "60", "# only\nlimits:\n  hops: 60\n" },
        { "a: 1", "b", "2", "a: 1\nb: 2" },
        { "a: 1\r\nb:\r\n", "b.c", "2", "a: 1\r\nb:\r\n  c: 2\r\n" },
        { "{a: {b}, c: }\n", "c.d", "2", "{a: {b}, c: {d: 2} }\n" },
        { "\xEF\xBB\xBFm\xC3\xBC: \xC3\xBC # \xC3\xBC\nb: 1\n", "b", "2",
          "\xEF\xBB\xBFm\xC3\xBC: \xC3\xBC # \xC3\xBC\nb: 2\n" },
        { "a: |\n  text\n  more\nb: 1\n", "c", "2", "a: |\n  text\n  more\nb: 1\nc: 2\n" },
        { "b: 1\na: |\n  text\n\n# c\n", "c", "2", "b: 1\na: |\n  text\nc: 2\n\n# c\n" },
        { "a:\n- b\n- c\n", "a[+]", "d", "a:\n- b\n- c\n- d\n" },
        { "a: []\n", "a[+]", "d", "a: [d]\n" },
        { "a: 'x'\n", "a", "\"y\"", "a: \"y\"\n" },
        { "a: x\n", "a", "", "a: \"\"\n" },
        { "a: x\n", "a", "b # c", "a: \"b # c\"\n" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf out = { 0 };
        struct err err = { 0 };
        if (!edit_set(slice_str(cases[i].text), cases[i].path, cases[i].value, &out, &err))
            fail_msg("%zu: %s", i, err.text);
        assert_string_equal(buf_cstr(&out), cases[i].want);
        buf_deinit(&out);
    }
}

static void test_diff(void **state)
{
    struct buf b = { 0 };
    diff_unified(SLICE("same\n"), "a", SLICE("same\n"), "b", &b);
    assert_int_equal(b.n, 0);
    diff_unified(SLICE("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n"), "a", SLICE("1\n2\n3\n4\n5x\n6\n7\n8\n9\n10\n11\n13"),
                 "b", &b);
    assert_string_equal(buf_cstr(&b),
                        "--- a\n+++ b\n@@ -2,10 +2,11 @@\n 2\n 3\n 4\n-5\n+5x\n 6\n 7\n 8\n 9\n 10\n 11\n+13\n"
                        "\\ No newline at end of file\n");
    buf_clear(&b);
    diff_unified(SLICE("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), "a", SLICE("0\n1\n2\n3\n4\n5\n6\n7\n8\n"), "b", &b);
    assert_string_equal(buf_cstr(&b),
                        "--- a\n+++ b\n@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -6,4 +7,3 @@\n 6\n 7\n 8\n-9\n");
    buf_clear(&b);
    diff_unified(SLICE(""), "a", SLICE("x\n"), "b", &b);
    assert_string_equal(buf_cstr(&b), "--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n");
    buf_deinit(&b);
}

static void expect_file(const char *path, const char *want)
{
    struct buf b = { 0 };
    struct err err;
    assert_true(config_read_file(path, &b, &err));
    assert_string_equal(buf_cstr(&b), want);
    buf_deinit(&b);
}

static void test_revisions(void **state)
{
    char dir[] = "/tmp/postern-config-XXXXXX", path[80], other[80];
    struct store s;
    struct err err;
    uint64_t number;
    struct buf b = { 0 };
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    snprintf(other, sizeof other, "%s/link.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs("one\n", f) >= 0 && fclose(f) == 0 && chmod(path, 0640) == 0 &&
                symlink("p.yaml", other) == 0);

    assert_true(store_open(&s, path, false, &err) && s.n == 0); /* looking makes no folder */
    store_close(&s);
    for (int i = 1; i <= 2; i++) { /* through a symbolic link, which stays one */
        assert_true(store_open(&s, other, true, &err));
        assert_true(store_replace(&s, i == 1 ? SLICE("one\n") : SLICE("two\n"),
                                  i == 1 ? SLICE("two\n") : SLICE("three\n"), "set a\nb", &number, &err));
        assert_int_equal(number, i);
        store_close(&s);
    }
    expect_file(path, "three\n");
    assert_true(lstat(other, &st) == 0 && S_ISLNK(st.st_mode) && stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
    assert_true(store_open(&s, path, false, &err) && s.n == 2);
    assert_string_equal(s.revisions[0].what, "set a\\x0ab");
    assert_true(s.revisions[0].who[0] && s.revisions[0].when[0]);
    assert_true(store_read(&s, 2, &b, &err));
    assert_string_equal(buf_cstr(&b), "two\n");
    assert_false(store_read(&s, 3, &b, &err));
    assert_string_equal(err.text, "there is no revision 3; see `postern config history`");
    store_close(&s); /* another file of the folder has revisions of its own */
    snprintf(other, sizeof other, "%s/q.yaml", dir);
    assert_true((f = fopen(other, "w")) != NULL && fclose(f) == 0 && store_open(&s, other, false, &err));
    assert_true(s.n == 0 && s.last == 2);
    store_close(&s);
    unlink(other);
    snprintf(other, sizeof other, "%s/link.yaml", dir);
    assert_true(store_open(&s, path, false, &err) && s.n == 2);
    for (size_t i = 0; i < s.n; i++) {
        char file[200];
        snprintf(file, sizeof file, "%s/%s", s.directory, s.revisions[i].file);
        assert_true(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
        unlink(file);
    }
    rmdir(s.directory);
    store_close(&s);
    unlink(path);
    unlink(other);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left */
    buf_deinit(&b);
}

/* Each option of the schema is in the manual and in the JSON schema. */
static void test_documents(void **state)
{
    struct buf man = { 0 };
    schema_add_manual(&man);
    json_t *root = schema_to_json(), *properties = json_object_get(root, "properties");
    assert_string_equal(json_string_value(json_object_get(root, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    for (size_t i = 0; i < schema_root.n; i++) {
        const struct schema_option *o = &schema_root.options[i];
        assert_true(strstr(buf_cstr(&man), o->name) && json_object_get(properties, o->name));
        for (size_t k = 0; o->type == SCHEMA_GROUP && k < o->table->n; k++) {
            char line[100];
            snprintf(line, sizeof line, ".B %s.%s\n", o->name, o->table->options[k].name);
            assert_non_null(strstr(buf_cstr(&man), line));
            assert_non_null(json_object_get(json_object_get(json_object_get(properties, o->name), "properties"),
                                            o->table->options[k].name));
        }
    }
    json_decref(root);
    buf_deinit(&man);
}

static void test_large(void **state)
{
    struct buf b = { 0 };
    buf_add_str(&b, "hostname: mx.example.com\ninner_host: 10.0.0.1\ndomains:\n");
    for (int i = 0; i < 50000; i++) buf_addf(&b, "  - {name: d%d.example}\n", i);
    struct config *c = must_parse(buf_cstr(&b));
    assert_int_equal(c->domain_n, 50000);
    assert_string_equal(config_domain_of(c, SLICE("d49999.example"))->name, "d49999.example");
    config_free(c);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_values),       cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_many_findings), cmocka_unit_test(test_open_relay), cmocka_unit_test(test_private_key),
        cmocka_unit_test(test_report),      cmocka_unit_test(test_zone_of),      cmocka_unit_test(test_domain_of),
        cmocka_unit_test(test_dump),        cmocka_unit_test(test_edit),         cmocka_unit_test(test_edit_refused),
        cmocka_unit_test(test_edit_forms),  cmocka_unit_test(test_diff),         cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_documents),   cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
