/* SPDX-License-Identifier: Apache-2.0
 * The configuration of rewriting and routing: mappings, aliases, copies, tables, routes for senders, deliveries on this machine, transparent
 * zones; what is shown of it, and what changes it; addresses that are not ours. */
#include "config/edit.h"
#include "config_world.h"

static const char all[] =
    "hostname: mx.example.com\n"
    "main_domain: Example.org\n"
    "domains:\n  - {name: example.com, deliver: 10.20.30.40}\n  - {table: customers, subdomains: yes, deliver: \"lmtp:10.20.30.41\"}\n"
    "  - {name: local.example, deliver: maildir:/var/mail/%d/%n}\n"
    "inner_host: lmtp:/run/dovecot/lmtp\n"
    "routes:\n"
    "  - {to: one@far.example, via: {host: \"lmtp:mail.far.example\", port: 2424, tls: none, source: \"2001:db8::2\"}}\n"
    "  - {from: News@Example.com, source: [192.0.2.1, \"2001:db8::1\"]}\n"
    "  - {from: .example.com, via: 192.0.2.7, source: 192.0.2.2}\n"
    "  - {to: two@far.example, via: {host: /run/lmtp, protocol: lmtp}}\n"
    "mappings:\n  - {from: .old.example, to: Example.com}\n  - {table: names, enabled: no, comment: later}\n"
    "aliases:\n  - {name: Sales, to: [anna, Bert@Example.com]}\n  - {name: info@, to: anna@example.com, keep: yes}\n"
    "  - {name: Boss@Example.com, to: boss@example.com}\n  - {table: groups}\n"
    "system_mail: [Root, noc]\n"
    "copies:\n  - {to: archive@example.com, mail: outgoing, senders: [.example.com, {table: staff}], recipients: [a@b.example]}\n"
    "tables:\n"
    "  customers: {type: exact, file: customers}\n"
    "  names: {type: sqlite, file: /var/lib/names.db, query: \"SELECT a, b FROM c\", refresh: 30s}\n"
    "  groups: {type: ldap, password_file: /etc/secret, ldap: {url: \"ldaps://dc.example.com\", base: dc=example, filter: (mail=*), user_dn: "
    "cn=me, key: mail, value: maildrop}}\n"
    "  staff: {type: postgresql, connection: host=/run/postgresql dbname=mail, query: SELECT a FROM b, entries: 5}\n"
    "notices: {language: ja}\n"
    "listeners: [{address: \"*:25\"}, {address: \"*:10025\"}]\n"
    "zones:\n"
    "  lan:\n    networks: [10.0.0.0/8]\n    trust: relay\n    mode: transparent\n    language: de\n    skip_checks: [greylist]\n"
    "    intercept: {by: tproxy, sources: [10.0.0.1], destinations: 192.0.2.0/24, macs: [\"02:00:00:00:00:AB\"], port: 26, listener: \"*:10025\"}\n"
    "relaying: [{match: 10.1.0.0/16, action: relay, on: connect}, {match: .b.example, action: reject, on: [from, to]}, {match: c.example, action: ok}]\n"
    "system: {auth_user: reader}\n";

static void expect_routes(const struct config *c)
{
    const struct config_route *r = c->routes;
    assert_true(r[0].via.kind == CONFIG_HOP_LMTP && r[0].via.port == 2424 && !r[0].via.path && r[0].via.source6.family == 6);
    assert_true(r[0].source6.family == 6 && !r[0].source4.family); /* it shows beside the hop */
    assert_string_equal(r[0].via.text, "lmtp:mail.far.example:2424");
    assert_true(!r[1].to && !r[1].via.host && r[1].source4.family == 4 && r[1].source6.family == 6);
    assert_string_equal(r[1].from, "news@example.com");
    assert_true(r[2].via.source4.family == 4 && !r[2].via.source6.family);
    assert_true(r[3].via.kind == CONFIG_HOP_LMTP);
    assert_string_equal(r[3].via.path, "/run/lmtp");
    assert_string_equal(r[3].via.text, "lmtp:/run/lmtp");
}

static void expect_hops(const struct config *c)
{
    const struct config_domain *d = c->domains;
    assert_string_equal(c->main_domain, "example.org");
    assert_true(!d[0].table && d[1].table && d[1].subdomains && d[1].deliver.kind == CONFIG_HOP_LMTP && d[1].deliver.port == 24);
    assert_string_equal(d[1].name, "customers");
    assert_true(d[2].deliver.kind == CONFIG_HOP_MAILDIR && d[2].deliver.id >= 0 && d[2].deliver.tls == CONFIG_CLIENT_TLS_NONE);
    assert_string_equal(d[2].deliver.path, "/var/mail/%d/%n");
    assert_string_equal(d[2].deliver.host, "maildir:/var/mail/%d/%n");
    assert_true(c->inner_host.kind == CONFIG_HOP_LMTP && c->inner_host.ip.family == 0);
    assert_string_equal(c->inner_host.path, "/run/dovecot/lmtp");
    assert_null(config_domain_of(c, SLICE("customers")));
    assert_true(config_has_route(c, SLICE("one"), SLICE("far.example")) && !config_has_route(c, SLICE("news"), SLICE("example.com")));
}

static void expect_rewriting(const struct config *c)
{
    assert_true(c->mapping_n == 2 && c->mappings[0].enabled && !c->mappings[1].enabled && !c->mappings[1].from);
    assert_string_equal(c->mappings[0].from, ".old.example");
    assert_string_equal(c->mappings[0].to, "example.com");
    assert_true(c->alias_n == 4 && c->aliases[0].to_n == 2 && c->aliases[1].keep && !c->aliases[3].name && c->aliases[0].place.line == 17);
    assert_string_equal(c->aliases[0].name, "sales");
    assert_string_equal(c->aliases[0].to[1], "Bert@example.com"); /* what is before the @ is the recipient's affair */
    assert_string_equal(c->aliases[1].name, "info@");
    assert_string_equal(c->aliases[2].name, "boss@example.com");
    assert_true(c->system_mail_n == 2 && !strcmp(c->system_mail[0], "root"));
    assert_true(c->copies[0].mail == CONFIG_COPY_OUTGOING && c->copies[0].senders.n == 2 && c->copies[0].recipients.n == 1);
    assert_string_equal(c->copies[0].senders.entries[1].table, "staff");
}

static void expect_rest(const struct config *c)
{
    const struct config_table *t = c->tables;
    assert_true(c->table_n == 4 && t[0].type == CONFIG_TABLE_EXACT && t[1].type == CONFIG_TABLE_SQLITE && t[1].refresh == 30000 &&
                t[1].entries == 1000000 && t[3].entries == 5);
    assert_string_equal(t[0].name, "customers");
    assert_string_equal(t[0].file, "/nowhere/customers");
    assert_string_equal(t[2].ldap.value, "maildrop");
    const struct config_zone *z = &c->zones[0];
    assert_true(z->mode == CONFIG_ZONE_TRANSPARENT && z->language == CONFIG_LANGUAGE_DE && z->skip_check_n == 1);
    assert_true(z->intercept.by == CONFIG_INTERCEPT_TPROXY && z->intercept.source_n == 1 && z->intercept.destination_n == 1 &&
                z->intercept.port == 26 && z->intercept.listener == 1);
    assert_string_equal(z->intercept.macs[0], "02:00:00:00:00:ab");
    assert_true(c->zones[1].language == CONFIG_LANGUAGES && c->zones[1].intercept.listener == -1 && c->zones[1].intercept.port == 25);
    assert_true(c->notices.language == CONFIG_LANGUAGE_JA && !c->notices.templates);
    assert_string_equal(c->system.table_user, "reader");
    assert_string_equal(c->system.mail_user, "postern");
}

static void test_values(void **state)
{
    struct config *c = must_parse(all);
    expect_routes(c);
    expect_hops(c);
    expect_rewriting(c);
    expect_rest(c);
    config_free(c);
}

static void test_defaults(void **state)
{
    struct config *c = must_parse(FIRST);
    assert_true(!c->main_domain && !c->mapping_n && !c->alias_n && !c->copy_n && !c->table_n && c->system_mail_n == 8);
    assert_string_equal(c->system_mail[7], "noc");
    assert_string_equal(c->system_mail[3], "mailer-daemon");
    assert_string_equal(c->system.table_user, "postern-auth");
    config_free(c);
}

/* What `config get` shows is the same configuration, and shows the same. */
static void test_shown(void **state)
{
    struct config *c = must_parse(all);
    json_t *one = config_to_json(c), *two;
    struct buf text = { 0 };
    config_json_yaml(one, &text);
    struct config *again = must_parse(buf_cstr(&text));
    two = config_to_json(again);
    if (!json_equal(one, two)) fail_msg("%s", buf_cstr(&text));
    expect_routes(again);
    expect_hops(again);
    assert_non_null(strstr(buf_cstr(&text), "table: customers"));
    assert_null(strstr(buf_cstr(&text), "name: customers"));
    json_decref(one);
    json_decref(two);
    buf_deinit(&text);
    config_free(c);
    config_free(again);
}

/* ---- what goes together */

#define SRS "srs: {domain: example.com, secrets_file: /etc/shadow}\n"

static const struct {
    const char *text, *want;
} mistakes[] = {
    /* next hops on this machine */
    { FIRST "smarthost: lmtp:10.0.0.1\n", "3:12: smarthost: the smarthost takes mail for everybody; lmtp:10.0.0.1 holds mailboxes | write it as "
                                          "deliver of a domain, or as inner_host" },
    { FIRST "inner_host: lmtp:mx:a.example\n", "3:13: inner_host: LMTP is not spoken with MX hosts | name the host itself" },
    { FIRST "inner_host: {host: lmtp:a.example, mx: yes}\n", "3:13: inner_host: LMTP is not spoken with MX hosts | name the host itself" },
    { FIRST "inner_host: {host: lmtp:a.example, protocol: maildir}\n",
      "3:13: inner_host: \"lmtp:a.example\" says another protocol | leave protocol out" },
    { FIRST "inner_host: lmtp:run/lmtp\n", "3:13: inner_host: \"lmtp:run/lmtp\" is not a next hop | write \"lmtp:host:24\", "
                                           "\"lmtp:/path/of/socket\" or \"maildir:/path/%d/%n\"" },
    { FIRST "inner_host: maildir:mail/%n\n", "3:13: inner_host: \"maildir:mail/%n\" is not a next hop | write \"lmtp:host:24\", "
                                             "\"lmtp:/path/of/socket\" or \"maildir:/path/%d/%n\"" },
    { FIRST "inner_host: maildir:/mail/%h\n", "3:13: inner_host: \"/mail/%h\" has a \"%\" that means nothing | %d is the domain of a recipient, "
                                              "%n the part before the @, %u both" },
    { FIRST "inner_host: maildir:/mail/%d\n", "warning 3:13: inner_host: all mail goes into one folder: neither %n nor %u is in the path | write "
                                              "for example maildir:/var/mail/%d/%n" },
    { FIRST "inner_host: {host: lmtp:/run/lmtp, tls: verify, user: me}\n",
      "3:41: inner_host.tls: tls means nothing for lmtp:/run/lmtp: it is on this machine | remove it\n"
      "3:55: inner_host.user: user means nothing for lmtp:/run/lmtp: it is on this machine | remove it\n"
      "3:55: inner_host.user: there is no password for this user | add password_file, password, or token" },
    { FIRST "routes: [{to: a@b.example, via: maildir:/var/mail/a, source: 127.0.0.1}]\n",
      "3:62: routes[0].source: source means nothing for maildir:/var/mail/a: it is on this machine | remove it" },
    /* routes */
    { FIRST "routes: [{via: 10.0.0.1}]\n", "3:10: routes[0]: it says neither to nor from whom | add to: partner.example for recipients, or from: for "
                                           "senders" },
    { FIRST "routes: [{to: a.example, from: b.example, via: 10.0.0.1}]\n",
      "3:32: routes[0].from: a route is for recipients (to) or for senders (from), not both | make two routes of it; the recipient's wins" },
    { FIRST "routes: [{to: a.example, tls: none}]\n",
      "3:10: routes[0]: it changes nothing: neither via nor source | add via: and the next hop, or source:\n"
      "3:31: routes[0].tls: tls is that of the next hop, and there is no via | add via, or write it below tls_policies" },
    { FIRST "routes: [{from: a.example, via: lmtp:10.0.0.1}]\n",
      "3:33: routes[0].via: lmtp:10.0.0.1 holds mailboxes of recipients; what a sender sends is for anybody | write it in a route with to:, or as "
      "deliver of a domain" },
    { FIRST "routes:\n  - {from: a.example, via: 10.0.0.1}\n  - {from: A.example, via: 10.0.0.2}\n",
      "5:12: routes[1].from: a.example is written twice: also at line 4 | keep one of the two" },
    { FIRST "routes: [{from: a.example, source: [10.0.0.1, 10.0.0.2]}]\n",
      "3:47: routes[0].source[1]: there is an address of this family already | write one IPv4 address and one IPv6 address" },
    { "hostname: mx.example.com\nroutes: [{from: a.example, source: 10.0.0.1}]\ndelivery: {family: ipv6}\n"
      "domains: [{name: x.example, deliver: \"::5\"}]\n", "2:36: routes[0].source: delivery.family excludes this address" },
    /* domains */
    { "hostname: mx.example.com\ndomains: [{deliver: 10.0.0.1}]\n", "2:11: domains[0].name: is missing | add for example name: example.com" },
    { "hostname: mx.example.com\ndomains: [{name: a.example, table: t, deliver: 10.0.0.1}]\ntables: {t: {type: sqlite, file: /etc/passwd, query: SELECT a}}\n",
      "2:36: domains[0].table: a domain has either name or table, not both | make two entries of it" },
    { FIRST "main_domain: example.com\n",
      "3:14: main_domain: example.com is a relay domain, too (line 2), whose mail goes on to 10.20.30.40: mail for the main domain ends here, in "
      "its aliases | leave main_domain out, or remove it from domains; for mailboxes on this machine write deliver: maildir:/path/%d/%n or "
      "lmtp:..." },
    /* mappings */
    { FIRST "mappings: [{from: old.example}]\n", "3:12: mappings[0]: to is missing | add to: and the domain in its place" },
    { FIRST "mappings: [{to: example.com}]\n", "3:12: mappings[0]: from is missing | add from: old.example and to: new.example, or table:" },
    { FIRST "mappings: [{from: old.example, to: Old.example}]\n", "3:36: mappings[0].to: old.example is mapped to itself | name another domain" },
    { FIRST "mappings:\n  - {from: old.example, to: example.com}\n  - {from: OLD.example, to: mx.example.com}\n"
            "  - {from: old.example, to: example.com, enabled: no}\n",
      "5:12: mappings[1].from: old.example is written twice: also at line 4 | keep one of the two, or set enabled: no" },
    { FIRST "mappings: [{from: .co.uk, to: example.com}]\n",
      "3:19: mappings[0].from: mail for every domain below co.uk would be taken | name a domain of your own below it" },
    { FIRST "mappings: [{from: a.example, to: b.example}, {from: b.example, to: example.com}, {from: example.com, to: mx.example.com}]\n",
      "warning 3:89: mappings[2].from: example.com is a relay domain, too (line 2): its mail is mapped to mx.example.com and never goes to the next "
      "hop that is written there | remove one of the two" },
    { FIRST "mappings: [{from: old.example, to: else.example}]\naliases: [{name: a, to: [b@else.example, c@example.com]}]\n",
      "warning 3:36: mappings[0].to: else.example (and 1 more) is none of our domains: mail is sent on there with its first sender, for whom this "
      "relay may not send by SPF, and may be refused | set srs.domain and srs.secrets_file" },
    /* aliases */
    { FIRST "aliases: [{name: a}]\n", "3:11: aliases[0]: to is missing | add to: and the addresses it stands for" },
    { FIRST "aliases: [{name: a, to: []}]\n",
      "3:25: aliases[0].to: it stands for nobody: its mail would be lost | name an address, or remove the alias" },
    { FIRST "aliases:\n  - {name: Sales, to: b@example.com}\n  - {name: sales, to: c@example.com}\n",
      "5:12: aliases[1].name: sales is written twice: also at line 4 | keep one of the two, or set enabled: no" },
    { FIRST "aliases: [{name: a@else.example, to: b@example.com}]\n",
      "warning 3:18: aliases[0].name: no mail for else.example is taken here: nobody gets to this alias | add the domain to domains or mappings, or "
      "set main_domain" },
    { FIRST "aliases: [{name: a, to: \"|/usr/bin/procmail\"}]\n",
      "3:25: aliases[0].to: \"|/usr/bin/procmail\": mail is not given to commands, files or included lists | write addresses; for mailboxes on this "
      "machine see deliver: maildir:/path" },
    { FIRST "aliases: [{name: a b, to: c}]\n", "3:18: aliases[0].name: \"a b\" is not the name of a mailbox | write \"sales\", \"sales@example.com\" or "
                                               "\"sales@\"" },
    { FIRST "system_mail: [root@example.com]\n", "3:15: system_mail[0]: \"root@example.com\" is a mail address, not a name | write the part before "
                                                 "the @" },
    { FIRST "main_domain: example.org\naliases:\n  - {name: a, to: [b, c, Root, d@example.com]}\n  - {name: B@, to: d@example.com}\n",
      "warning 5:23: aliases[0].to[1]: c@example.org is nobody: it has no alias, and no mailboxes are known for example.org | name an address that has "
      "a mailbox, add an alias, or a relay domain with deliver: maildir:/path/%d/%n" },
    { FIRST "main_domain: example.org\naliases: [{name: b@example.org, to: b@Example.org}]\n",
      "warning 4:37: aliases[0].to: b@example.org is nobody: it has no alias, and no mailboxes are known for example.org | name an address that has "
      "a mailbox, add an alias, or a relay domain with deliver: maildir:/path/%d/%n" },
    { FIRST "main_domain: example.org\naliases: [{name: a, to: d@example.com, keep: yes}]\n",
      "warning 4:46: aliases[0].keep: a@example.org is nobody: it has no alias, and no mailboxes are known for example.org | name an address that has "
      "a mailbox, add an alias, or a relay domain with deliver: maildir:/path/%d/%n" },
    { FIRST "main_domain: example.org\naliases: [{table: t}, {name: a, to: [a, b@example.com]}]\ntables: {t: {file: /etc/passwd}}\n",
      "warning 4:38: aliases[1].to[0]: a@example.org is nobody: it has no alias, and no mailboxes are known for example.org | name an address that has "
      "a mailbox, add an alias, or a relay domain with deliver: maildir:/path/%d/%n" },
    { FIRST "main_domain: example.org\nmappings: [{from: example.org, to: example.com}]\n",
      "4:19: mappings[0].from: example.org is main_domain: its mail ends here, in aliases and system mail, and is not mapped | remove it, and write "
      "aliases; or name another main_domain" },
    { FIRST "main_domain: example.org\naliases: [{name: A, to: [b@example.com]}, {name: a@example.org, to: [c@example.com]}]\n",
      "warning 4:18: aliases[0].name: mail for a@example.org goes by line 4, as that is the whole address | keep one of the two" },
    { FIRST "aliases: [{name: \"@example.com\", to: [b@example.com]}]\n",
      "3:18: aliases[0].name: \"@example.com\" would stand for every name there: there are no catch-alls | name each address; mail for all of a "
      "domain goes by domains, routes or mappings" },
    { "hostname: mx.example.com\ndomains: [{name: example.com, deliver: 10.20.30.40, recipients: {verify: list, list: [anna@, b@example.com]}}]\n"
      "aliases: [{name: x, to: [anna@example.com, B@example.com, x@example.com, y@example.com]}, {name: y@, to: [anna@example.com]}]\n",
      "warning 3:59: aliases[0].to[2]: x@example.com is not in the list of recipients of example.com (line 2) | add it there, or name another address" },
    /* copies */
    { FIRST "copies: [{to: archive}]\n", "3:15: copies[0].to: \"archive\" is not a mail address | write for example postmaster@example.com" },
    { FIRST "copies: [{to: a@example.com, recipients: [A@example.com]}]\n",
      "warning 3:42: copies[0].recipients: who gets the message gets no copy of it: a@example.com is the only recipient it is for | remove it" },
    /* tables */
    { FIRST "tables: {a: {type: exact}}\n",
      "3:13: tables.a: a table of type exact needs file | add for example file: tables/customers\n"
      "warning 3:13: tables.a: no option names this table | name it in a list: {table: a}, or remove it" },
    { FIRST "tables: {a: {type: sqlite, file: /etc/passwd, query: PRAGMA table_list}}\nmappings: [{table: a}]\n",
      "3:54: tables.a.query: it must begin with SELECT or WITH | write for example SELECT address, target FROM aliases" },
    { FIRST "tables: {a: {type: sqlite, file: /etc/passwd, query: VALUES (1)}}\nmappings: [{table: a}]\n",
      "3:54: tables.a.query: it must begin with SELECT or WITH | write for example SELECT address, target FROM aliases" },
    { FIRST "tables: {a: {type: postgresql, query: EXPLAIN SELECT a, connection: dbname=a}}\nmappings: [{table: a}]\n",
      "3:39: tables.a.query: it must begin with SELECT or WITH, VALUES or TABLE | write for example SELECT address, target FROM aliases" },
    { FIRST "tables: {a: {type: postgresql, query: \"/* a */ (values (1))\", connection: dbname=a}}\nmappings: [{table: a}]\n", "" },
    { FIRST "tables: {a: {type: sqlite, file: /etc/passwd, query: \"/* b\"}}\nmappings: [{table: a}]\n",
      "3:54: tables.a.query: it must begin with SELECT or WITH | write for example SELECT address, target FROM aliases" },
    { FIRST "tables: {a: {type: postgresql, file: x, query: TABLE b, connection: host=10.0.0.1 password=secret}}\nmappings: [{table: a}]\n",
      "3:38: tables.a.file: file is nothing for a table of type postgresql | remove it, or write another type\n"
      "3:69: tables.a.connection: a password does not belong here | write it into a file of its own: password_file" },
    { FIRST "tables: {a: {type: postgresql, query: TABLE b, connection: host=10.0.0.1 dbname=a}}\nmappings: [{table: a}]\n",
      "warning 3:60: tables.a.connection: without sslmode the connection need not be encrypted | add sslmode=verify-full" },
    { FIRST "tables: {a: {type: postgresql, query: TABLE b, connection: \"host = 10.0.0.1 password = se cret\"}}\nmappings: [{table: a}]\n",
      "3:60: tables.a.connection: a password does not belong here | write it into a file of its own: password_file" },
    { FIRST "tables: {a: {type: postgresql, query: TABLE b, connection: \"postgresql://me@db.example/x\"}}\nmappings: [{table: a}]\n",
      "warning 3:60: tables.a.connection: without sslmode the connection need not be encrypted | add sslmode=verify-full" },
    { FIRST "tables: {a: {type: postgresql, query: TABLE b, connection: \"postgresql://[2001:db8::1\"}}\nmappings: [{table: a}]\n",
      "warning 3:60: tables.a.connection: without sslmode the connection need not be encrypted | add sslmode=verify-full" },
    { FIRST "tables: {a: {type: postgresql, query: TABLE b, connection: \"postgresql://me@[::1]:5432/x\"}}\nmappings: [{table: a}]\n", "" },
    { FIRST "tables: {a: {type: postgresql, query: TABLE b, connection: \"postgresql:///x?host=/run/postgresql\"}}\nmappings: [{table: a}]\n", "" },
    { FIRST "tables: {a: {type: ldap, ldap: {url: \"http://a\", base: b, filter: c}}}\naliases: [{table: a}]\n",
      "3:32: tables.a.ldap: a table of type ldap needs key | add for example key: mail\n"
      "3:38: tables.a.ldap.url: this is not the address of an LDAP server | write for example ldaps://dc.example.com\n"
      "4:19: aliases[0].table: the table a (line 3) gives no values: ldap.value is missing | name another table" },
    { FIRST "tables: {nets: {type: cidr, file: /etc/passwd}, words: {type: pcre, file: /etc/passwd}}\n"
            "checks: {block: {senders: [{table: nets}], clients: [{table: nets}, {table: word}]}}\naliases: [{table: words}]\n",
      "4:36: checks.block.senders[0].table: the table nets (line 3) has networks, which are for clients only | name another table\n"
      "4:77: checks.block.clients[1].table: there is no table \"word\" | did you mean words?\n"
      "5:19: aliases[0].table: the table words (line 3) has regular expressions, which are for clients, senders and recipients only | name another "
      "table" },
    { FIRST "tables: {a: {file: none}}\nchecks: {block: {senders: [{table: a, file: b}]}}\n",
      "warning 3:20: tables.a.file: /nowhere/none: No such file or directory\n"
      "4:45: checks.block.senders[0].file: an entry has just one of match, file and table | make entries of their own of it\n"
      "warning 4:45: checks.block.senders[0].file: /nowhere/b: No such file or directory" },
    /* zones */
    { FIRST "zones: {internet: {mode: transparent}}\n",
      "3:26: zones.internet.mode: the zone internet is everybody else: it cannot be transparent | make a zone with the networks whose connections "
      "are to be taken" },
    { FIRST "listeners: [{address: \"10.0.0.1:587\", role: submission, auth: no, zone: a}]\nzones: {a: {mode: transparent, trust: relay}}\n",
      "4:19: zones.a.mode: it is not known whose connections are to be taken | add networks or interfaces\n"
      "4:19: zones.a.mode: there is no listener where connections that are taken could arrive | add a listener with role: relay, without "
      "proxies and without another zone, and not tls: implicit" },
    { FIRST "zones: {a: {networks: [10.0.0.0/8], trust: relay, mode: transparent, intercept: {listener: \"*:26\", macs: [\"02-00-00-00-00-01\"]}}}\n",
      "3:92: zones.a.intercept.listener: there is no listener *:26 | write it as its address stands in listeners\n"
      "3:107: zones.a.intercept.macs[0]: \"02-00-00-00-00-01\" is not a MAC address | write six pairs of hex digits: \"02:00:00:00:00:01\"" },
    { FIRST "zones: {a: {networks: [10.0.0.0/8], intercept: {port: 26}}, b: {networks: [10.1.0.0/16], mode: transparent}}\n",
      "warning 3:48: zones.a.intercept: nothing is taken: the zone is not transparent | set mode: transparent, or remove it\n"
      "warning 3:96: zones.b.mode: its clients' mail to other servers is taken, and refused: they may not relay | set trust: relay, or mode: "
      "active" },
    { FIRST "listeners: [{address: \"127.0.0.1:26\"}]\nzones: {a: {networks: [10.0.0.0/8], trust: relay, mode: transparent}}\n",
      "warning 4:57: zones.a.mode: what is redirected arrives at the address of the interface, and not at this listener | listen on \"*\" or on the "
      "zone's address, or write by: tproxy" },
    /* what is right */
    { FIRST SRS "aliases: [{name: a, to: b@else.example}]\n", "" },
    { FIRST "main_domain: example.net\ninner_host: {host: /run/lmtp, protocol: lmtp}\n", "" },
    { "hostname: mx.example.com\nmain_domain: example.com\ndomains: [{name: example.com, deliver: maildir:/mail/%u}]\n", "" },
    { FIRST "routes: [{to: a@example.com, via: maildir:/var/mail/a}]\n", "" },
};

static void test_mistakes(void **state)
{
    for (size_t i = 0; i < countof(mistakes); i++) expect_findings(mistakes[i].text, mistakes[i].want);
}

/* ---- config set */

static void test_edits(void **state)
{
    static const struct {
        const char *path, *value;
    } edits[] = { { "aliases[+]", "{name: sales, to: [anna, bert]}" },
                  { "aliases[0].to[+]", "carl@example.com" },
                  { "mappings[+]", "{from: old.example, to: example.com}" },
                  { "mappings[0].enabled", "no" },
                  { "tables.staff", "{file: /etc/passwd}" },
                  { "copies[+]", "{to: archive@example.com, senders: [{table: staff}]}" },
                  { "zones.lan", "{networks: [10.0.0.0/8], trust: relay}" },
                  { "zones.lan.mode", "transparent" },
                  { "zones.lan.intercept.sources", "[10.0.0.7]" },
                  { "routes[+]", "{from: example.com, source: 192.0.2.1}" },
                  { "routes[0].source", "[192.0.2.1, \"2001:db8::1\"]" },
                  { "notices.language", "it" },
                  { "main_domain", "example.net" },
                  { "system_mail", "[root]" } };
    struct buf text = { 0 };
    struct err err;
    buf_add_str(&text, FIRST);
    for (size_t i = 0; i < countof(edits); i++) {
        struct buf out = { 0 };
        if (!edit_set(buf_slice(&text), edits[i].path, edits[i].value, &out, &err)) fail_msg("%s: %s", edits[i].path, err.text);
        buf_deinit(&text);
        text = out;
        config_free(must_parse(buf_cstr(&text)));
    }
    struct config *c = must_parse(buf_cstr(&text));
    assert_true(c->aliases[0].to_n == 3 && !c->mappings[0].enabled && c->zones[0].mode == CONFIG_ZONE_TRANSPARENT &&
                c->zones[0].intercept.source_n == 1 && c->routes[0].source6.family == 6 && c->notices.language == CONFIG_LANGUAGE_IT);
    config_free(c);
    buf_deinit(&text);
}

/* ---- addresses of this machine */

static void expect_source(const char *text, const char *want)
{
    struct config_report r = { 0 };
    struct config *c = must_parse(text);
    assert_int_equal(config_check_sources(c, slice_str(text), &r), !want);
    assert_int_equal(r.n, want ? 1 : 0);
    if (want) {
        char got[300];
        snprintf(got, sizeof got, "%u:%u: %s: %s", r.findings[0].place.line, r.findings[0].place.column, r.findings[0].option, r.findings[0].text);
        assert_string_equal(got, want);
        assert_true(r.findings[0].hint[0]);
    }
    config_report_deinit(&r);
    config_free(c);
}

static void test_sources(void **state)
{
    expect_source(FIRST "delivery: {source4: 127.0.0.1}\nroutes: [{from: a.example, source: 127.0.0.2}]\n", NULL);
    expect_source(FIRST "delivery:\n  source4: 203.0.113.9\n", "4:12: delivery.source4: 203.0.113.9 is no address of this machine");
    expect_source(FIRST "smarthost: {host: a.example, source: 203.0.113.9}\n",
                  "3:38: smarthost.source: 203.0.113.9 is no address of this machine");
    expect_source(FIRST "routes:\n  - {to: a.example, source: 127.0.0.1}\n  - {from: a.example, source: 203.0.113.9}\n",
                  "5:31: routes[1].source: 203.0.113.9 is no address of this machine");
    expect_source(FIRST "routes: [{to: a.example, via: {host: 10.0.0.1, source: 203.0.113.9}}]\n",
                  "3:10: routes[0].source: 203.0.113.9 is no address of this machine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_defaults), cmocka_unit_test(test_shown),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_edits), cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
