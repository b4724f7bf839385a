/* SPDX-License-Identifier: Apache-2.0
 * The configuration of TLS, logging in and exceptions for clients: values, checks with their places, secrets. */
#include "config/secret.h"
#include "config_world.h"

#define SECRET "Tr0ub4dor"

static void test_listeners(void **state)
{
    struct config *c = must_parse(
        FIRST
        "auth: {backend: users}\nlisteners:\n  - {address: \"*:465\", role: submission}\n"
        "  - {address: \"*:587\", role: submission, tls: require, auth: no}\n"
        "  - {address: \"*:26\", tls: implicit, auth: yes, proxies: 10.1.2.3, xclient: [\"::1\", 127.0.0.0/8]}\n");
    const struct config_listener *l = c->listeners;
    assert_true(l[0].tls == CONFIG_TLS_IMPLICIT && l[0].role == CONFIG_ROLE_SUBMISSION && l[0].auth);
    assert_true(l[1].tls == CONFIG_TLS_REQUIRE && !l[1].auth);
    assert_true(l[2].tls == CONFIG_TLS_IMPLICIT && l[2].auth && l[2].proxy_n == 1 && l[2].xclient_n == 2 &&
                l[2].xclient[1].prefix == 8);
    config_free(c);
}

static void test_zones(void **state)
{
    struct config *c = must_parse(
        FIRST "zones:\n  old: {networks: 10.9.0.0/16, tls: none, min_version: 1.0, bare_lf: accept, auth_without_tls: "
              "yes}\n  cloud: {providers: [microsoft365, google], trust: relay, senders: [Example.com]}\n"
              "  strict: {networks: 10.8.0.0/16, tls: require, min_version: 1.3, bare_lf: refuse}\n");
    const struct config_zone *z = c->zones;
    assert_true(z[0].tls == CONFIG_TLS_NONE && z[0].min_version == 10 && z[0].bare_lf && z[0].auth_without_tls);
    assert_true(z[1].providers == (CONFIG_PROVIDER_MICROSOFT365 | CONFIG_PROVIDER_GOOGLE) && z[1].sender_n == 1);
    assert_string_equal(z[1].senders[0], "example.com");
    assert_true(z[2].tls == CONFIG_TLS_REQUIRE && z[2].min_version == 13 && !z[2].bare_lf);
    assert_true(z[3].tls == CONFIG_TLS_IMPLICIT && !z[3].min_version);
    config_free(c);
}

static void test_hops(void **state)
{
    struct config *c = must_parse(
        "hostname: mx.example.com\ndelivery: {tls: dane, mta_sts: yes, tls_reports: yes, tls_report_contact: "
        "t@a.example, "
        "probe: 0}\n"
        "domains:\n  - {name: a.example, deliver: {host: b.example, tls: verify, names: [C.example], implicit_tls: "
        "yes}}\n"
        "  - {name: b.example}\n"
        "routes:\n  - {to: c.example, via: \"d.example:465\"}\n"
        "  - {to: d.example, tls: encrypt, via: {host: e.example, user: u, password: " SECRET ", methods: [cram-md5, "
        "scram-sha-1]}}\n"
        "inner_host: 10.0.0.1\n"
        "smarthost: {host: f.example, port: 465, implicit_tls: no, tls: dane-only, user: u, methods: oauthbearer, "
        "token: "
        "{endpoint: \"https://f.example/t\", client_id: i, refresh_token_file: r, scope: a b}}\n");
    assert_int_equal(c->hop_n, 5);
    for (size_t i = 0; i < c->hop_n; i++) assert_true(c->hops[i]->host && c->hops[i]->id == (int)i);
    const struct config_hop *a = &c->domains[0].deliver, *r = &c->routes[1].via, *s = &c->smarthost;
    assert_true(a->tls == CONFIG_CLIENT_TLS_VERIFY && a->implicit_tls && a->port == 25 && a->name_n == 1);
    assert_string_equal(a->names[0], "c.example");
    assert_true(!c->domains[1].deliver.host && c->domains[1].deliver.id == -1);
    assert_true(c->routes[0].via.implicit_tls && c->routes[0].via.tls == CONFIG_CLIENT_TLS_DANE);
    assert_true(r->tls == CONFIG_CLIENT_TLS_ENCRYPT &&
                r->auth.methods == (CONFIG_SASL_CRAM_MD5 | CONFIG_SASL_SCRAM_SHA_1));
    assert_string_equal(r->auth.password, SECRET);
    assert_true(!s->implicit_tls && s->tls == CONFIG_CLIENT_TLS_DANE_ONLY && !s->auth.token.command);
    assert_string_equal(s->auth.token.refresh_token_file, "/nowhere/r");
    assert_string_equal(s->auth.token.scope, "a b");
    assert_true(c->delivery.mta_sts && c->delivery.tls_reports && c->delivery.probe == 0);
    assert_string_equal(c->delivery.tls_report_contact, "t@a.example");
    config_free(c);
}

static void test_auth(void **state)
{
    struct config *c =
        must_parse(FIRST "auth: {backend: imap, imap: {host: 10.0.0.9, port: 143}, sender_must_match: no}\n"
                         "system: {directory: /d}\n");
    assert_true(c->auth.backend == CONFIG_AUTH_IMAP && !c->auth.imap.implicit_tls && !c->auth.sender_must_match);
    assert_int_equal(c->auth.methods, CONFIG_SASL_PLAIN | CONFIG_SASL_LOGIN);
    assert_string_equal(c->auth.users, "/d/users");
    config_free(c);
    c = must_parse(FIRST
                   "auth: {backend: ldap, ldap: {url: \"ldap://[::1]:389\", bind_dn: \"uid=%n,dc=a\", mail: \"\"}}\n");
    assert_string_equal(c->auth.ldap.bind_dn, "uid=%n,dc=a");
    assert_string_equal(c->auth.ldap.mail, "");
    config_free(c);
    c = must_parse(FIRST "auth: {backend: dovecot, methods: [plain, cram-md5], dovecot: {socket: /run/d}}\n");
    assert_true(c->auth.methods == (CONFIG_SASL_PLAIN | CONFIG_SASL_CRAM_MD5));
    assert_string_equal(c->auth.dovecot, "/run/d");
    config_free(c);
}

static void test_policies(void **state)
{
    struct config *c = must_parse(
        FIRST "delivery: {mta_sts: yes}\ntls_policies:\n  - {to: Example.org, tls: verify}\n"
              "  - {to: .example.org, tls: encrypt, min_version: 1.3, mta_sts: no}\n  - {to: .a.example.org}\n");
    static const struct {
        const char *name;
        int policy;
    } cases[] = {
        { "example.ORG", 0 },
        { "b.example.org", 1 },
        { "x.b.example.org", 1 },
        { "a.example.org", 2 },
        { "X.a.example.org", 2 },
        { "org", -1 },
        { "xexample.org", -1 },
        { "", -1 },
        { ".", -1 },
        { "example.org.", -1 },
    };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < countof(cases); i++) {
            const struct config_tls_policy *t = config_tls_policy_of(c, slice_str(cases[i].name));
            assert_ptr_equal(t, cases[i].policy < 0 ? NULL : &c->tls_policies[cases[i].policy]);
        }
        lookup_free(c); /* as of a configuration put together by hand */
    }
    const struct config_tls_policy *t = c->tls_policies;
    assert_true(t[0].mta_sts && !t[0].min_version && t[1].min_version == 13 && !t[1].mta_sts &&
                t[2].tls == CONFIG_CLIENT_TLS_MAY);
    config_free(c);
}

static const struct {
    const char *text, *want;
} mistakes[] = {
    /* listeners */
    { FIRST "listeners: [{address: \"*:587\"}]\n", "warning 3:23: listeners[0].address: port 587 is for submission: "
                                                   "role: submission | set role: submission, or role: "
                                                   "relay if it is meant" },
    { FIRST "listeners: [{address: \"*:587\", role: relay}]\n", "" },
    { FIRST "listeners: [{address: \"*:465\", role: relay, tls: offer}]\n",
      "warning 3:50: listeners[0].tls: programs that connect to port 465 begin with TLS | set tls: implicit, or leave "
      "it "
      "out" },
    { FIRST "listeners: [{address: \"*:587\", role: submission}]\n",
      "3:38: listeners[0].role: clients log in here, but auth.backend is off: nobody could | set auth.backend (users, "
      "imap, ldap, dovecot), or auth: no here" },
    { FIRST "listeners: [{address: \"*:25\", auth: yes}]\n",
      "3:37: listeners[0].auth: clients log in here, but auth.backend is off: nobody could | set auth.backend (users, "
      "imap, ldap, dovecot), or auth: no here" },
    { FIRST "listeners: [{address: \"*:587\", role: submission, tls: none}]\nauth: {backend: users}\n",
      "warning 3:55: listeners[0].tls: passwords are not taken without TLS: nobody can log in here | set another tls, "
      "or "
      "auth_without_tls for a zone of your own" },
    { FIRST "listeners: [{address: \"*:25\", client_certificate: ask}]\n",
      "3:51: listeners[0].client_certificate: client certificates cannot be checked without client_ca | add client_ca: "
      "a "
      "PEM file with the authority that made them" },
    { FIRST "listeners: [{address: \"*:25\", client_certificate: require, client_ca: ca.pem, tls: none}]\n",
      "3:51: listeners[0].client_certificate: without TLS there are no certificates | set tls: offer, require or "
      "implicit\n3:71: listeners[0].client_ca: /nowhere/ca.pem: No such file or directory" },
    { FIRST "listeners: [{address: \"*:25\", proxies: [10.0.0.0/8, 0.0.0.0/0], xclient: \"::/0\"}]\n",
      "3:53: listeners[0].proxies[1]: it would relay for strangers: 0.0.0.0/0 is wider than any organisation's "
      "network, "
      "and may give any client's address | name the addresses of your own proxies\n"
      "3:74: listeners[0].xclient: it would relay for strangers: ::/0 is wider than any organisation's network, and "
      "may "
      "give any client's address | name the addresses of your own proxies" },
    /* zones */
    { FIRST "zones: {internet: {min_version: 1.1, bare_lf: accept, auth_without_tls: yes}}\n",
      "3:33: zones.internet.min_version: TLS below 1.2 is not for the zone internet | make a zone with the networks of "
      "the "
      "devices that need it\n"
      "3:47: zones.internet.bare_lf: with bare LF accepted from everybody, messages could be smuggled in | make a zone "
      "with the networks of the devices that need it\n"
      "3:73: zones.internet.auth_without_tls: passwords must not cross the internet unencrypted | make a zone with the "
      "networks of the devices that need it" },
    { FIRST "zones: {internet: {min_version: 1.2, providers: google}}\n",
      "3:19: zones.internet: the zone internet is everybody who is in no other zone | remove its networks, interfaces "
      "and "
      "providers, or give the zone another name" },
    { FIRST "zones: {c: {providers: [google], trust: relay}}\n",
      "3:24: zones.c.providers: zone c would relay for strangers: every customer of the provider sends from its "
      "networks | "
      "add senders: [your domains]" },
    { FIRST "zones: {c: {providers: google, networks: 10.0.0.1, trust: relay, senders: [example.com, b.example]}}\n",
      "3:89: zones.c.senders[1]: zone c would relay for strangers: b.example is none of our domains | add it to "
      "domains, or "
      "remove it here" },
    { FIRST "zones: {c: {providers: [microsoft]}}\n",
      "3:25: zones.c.providers[0]: \"microsoft\" is none of microsoft365, google | did you mean microsoft365?" },
    { FIRST "zones: {c: {networks: 10.0.0.1, senders: example.com}}\n",
      "warning 3:42: zones.c.senders: senders says who may relay, but nobody in this zone may | set trust: relay, or "
      "leave "
      "it out" },
    { FIRST "zones: {c: {networks: 10.0.0.1, bare_lf: yes}}\n",
      "3:42: zones.c.bare_lf: \"yes\" is none of refuse, accept" },
    /* next hops */
    { FIRST "smarthost: {host: a.example, tls: verify, user: u}\n",
      "3:49: smarthost.user: there is no password for this user | add password_file, password, or token" },
    { FIRST "smarthost: {host: a.example, tls: verify, password: " SECRET "}\n",
      "3:53: smarthost.password: there is no user to log in as | add user" },
    { FIRST "smarthost: {host: a.example, tls: verify, methods: [plain]}\n",
      "3:52: smarthost.methods: there is no user to log in as | add user and password_file" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, password: " SECRET ", methods: [plain, xoauth2]}\n",
      "3:82: smarthost.methods: xoauth2 and oauthbearer need an access token | add token: {command: ...} or token: "
      "{endpoint: ..., ...}" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, methods: [plain], token: {command: x}}\n",
      "3:61: smarthost.methods: there is a token, but no method that uses it | add xoauth2 or oauthbearer, or a "
      "password_file\n3:61: smarthost.methods: the other methods need a password | keep xoauth2 and oauthbearer, or "
      "add "
      "password_file" },
    { FIRST "smarthost: {host: a.example, user: u, password: " SECRET "}\n",
      "warning 3:36: smarthost.user: with tls: may the password may be sent unencrypted, or to somebody else | set "
      "tls: "
      "verify" },
    { FIRST "smarthost: {host: a.example, tls: none, user: u, password: " SECRET "}\n",
      "3:35: smarthost.tls: the password would be sent unencrypted | set tls: verify, or methods that send no "
      "password: "
      "[scram-sha-256, cram-md5]" },
    { FIRST "smarthost: {host: a.example, tls: none, user: u, password: " SECRET ", methods: [cram-md5, digest-md5]}\n",
      "" },
    { FIRST "smarthost: {host: a.example, tls: none, user: u, password: " SECRET ", methods: [cram-md5, login]}\n",
      "3:35: smarthost.tls: the password would be sent unencrypted | set tls: verify, or methods that send no "
      "password: "
      "[scram-sha-256, cram-md5]" },
    { FIRST "routes: [{to: b.example, tls: none, via: {host: a.example, user: u, token: {command: x}}}]\n",
      "3:31: routes[0].tls: the token would be sent unencrypted | set tls: verify, or methods that send no password: "
      "[scram-sha-256, cram-md5]" },
    { FIRST "inner_host: {host: a.example, port: 465, tls: none}\n",
      "3:47: inner_host.tls: a.example:465 begins with TLS (port 465), and tls is none | set tls: encrypt or verify "
      "for "
      "this hop" },
    { FIRST "smarthost: {host: a.example, ca: none.pem}\n",
      "3:34: smarthost.ca: /nowhere/none.pem: No such file or directory\n"
      "warning 3:34: smarthost.ca: it has an effect with tls: verify only | set tls: verify" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, password_file: p, password: " SECRET "}\n",
      "warning 3:67: smarthost.password_file: /nowhere/p: No such file or directory\n"
      "3:80: smarthost.password: there is a password_file as well | keep password_file" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, token: {endpoint: \"http://a.example\", client_id: i, "
            "refresh_token_file: r}}\n",
      "3:70: smarthost.token.endpoint: the endpoint would send secrets unencrypted: use https://\n"
      "warning 3:124: smarthost.token.refresh_token_file: /nowhere/r: No such file or directory" },
    { FIRST
      "smarthost: {host: a.example, tls: verify, user: u, token: {endpoint: \"http://[::1]:80/x\", client_id: i}}\n",
      "3:70: smarthost.token.endpoint: an endpoint needs refresh_token_file | add client_id and refresh_token_file" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, token: {command: x, scope: s}}\n",
      "3:59: smarthost.token: client_id, scope and their files are for an endpoint, and there is none | add endpoint" },
    /* passwords that are not what they seem */
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, password: \"***\"}\n",
      "warning 3:62: smarthost.password: \"***\" stands for a password that is not shown | write the password itself, "
      "or "
      "better password_file" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, password: Tr,ub4dor}\n",
      "3:65: smarthost: there is no such option | put a password with a comma into quotes" },
    { FIRST "smarthost: {host: a.example, tls: verify, user: u, password: [" SECRET "]}\n",
      "3:49: smarthost.user: there is no password for this user | add password_file, password, or token\n"
      "3:62: smarthost.password: expects a single value" },
    /* auth */
    { FIRST "auth: {methods: [plain, digest-md5, scram-sha-1, xoauth2]}\n",
      "3:25: auth.methods[1]: digest-md5 is not possible here: it is for logging in to next hops only (RFC 6331: "
      "historic) "
      "| possible here: plain, login, cram-md5, scram-sha-256, scram-sha-256-plus\n"
      "3:37: auth.methods[2]: scram-sha-1 is not possible here: it is for logging in to next hops only; scram-sha-256 "
      "is "
      "the same with a better hash | possible here: plain, login, cram-md5, scram-sha-256, scram-sha-256-plus\n"
      "3:50: auth.methods[3]: xoauth2 is not possible here: it is for logging in to next hops only | possible here: "
      "plain, "
      "login, cram-md5, scram-sha-256, scram-sha-256-plus" },
    { FIRST "auth: {backend: imap, methods: [plain, scram-sha-256], imap: {host: a.example, verify: no}}\n",
      "3:32: auth.methods: backend imap can do plain and login only: it needs the password itself | set methods: "
      "[plain, "
      "login], or leave the line out\n"
      "warning 3:88: auth.imap.verify: whoever stands between here and a.example can read every password | set verify: "
      "yes, with ca for a certificate of your own" },
    { FIRST "auth: {backend: imap}\n",
      "3:17: auth.backend: backend imap needs imap.host | add for example imap: {host: imap.example.com}" },
    { FIRST "auth: {backend: ldap}\n",
      "3:17: auth.backend: backend ldap needs ldap.url | add for example ldap: {url: ldaps://ldap.example.com, ...}" },
    { FIRST "auth: {backend: dovecot}\n",
      "3:17: auth.backend: backend dovecot needs dovecot.socket | add for example dovecot: {socket: "
      "/run/dovecot/auth-postern}" },
    { FIRST "auth: {backend: ldap, ldap: {url: \"ldap://l.example\"}}\n",
      "3:29: auth.ldap: it needs bind_dn, or base to search for users | add for example bind_dn: "
      "uid=%n,ou=people,dc=example,dc=com\n"
      "warning 3:35: auth.ldap.url: passwords cross the network unencrypted | use ldaps://, or set starttls: yes" },
    { FIRST "auth: {ldap: {url: \"http://l.example\", user_dn: cn=a}}\n",
      "3:20: auth.ldap.url: this is not the address of an LDAP server | write for example ldaps://ldap.example.com\n"
      "3:49: auth.ldap.user_dn: user_dn needs a password | add password_file" },
    { FIRST "auth: {ldap: {url: \"ldaps://l.example\", starttls: yes, base: dc=a}}\n",
      "3:51: auth.ldap.starttls: it is for ldap:// only | leave starttls out" },
    { FIRST "auth: {backend: users, methods: []}\n",
      "3:33: auth.methods: no way to log in is left | leave the line out for the usual ones" },
    /* policies, certificates, files */
    { FIRST "tls_policies: [{to: a.example}, {to: A.example}]\n",
      "3:38: tls_policies[1].to: a.example is written twice: also at line 3 | keep one of the two" },
    { FIRST "tls_policies: [{to: u@a.example}]\n",
      "3:21: tls_policies[0].to: \"u@a.example\" has a character that host names cannot have" },
    { FIRST "tls_policies: [{to: a.example, names: b.example}]\n",
      "warning 3:39: tls_policies[0].names: it has an effect with tls: verify only | set tls: verify" },
    { FIRST "tls: {certificates: [{certificate: c.pem}], ca: none, ticket_life: 30d}\n",
      "3:22: tls.certificates[0].key: is missing | add for example key: tls/example.org.key\n"
      "3:36: tls.certificates[0].certificate: /nowhere/c.pem: No such file or directory\n"
      "3:49: tls.ca: /nowhere/none: No such file or directory\n"
      "3:68: tls.ticket_life: 30d is too large: the most is 7d" },
    { FIRST "dns: {trust_anchor: a.key}\n", "3:21: dns.trust_anchor: /nowhere/a.key: No such file or directory" },
};

static void test_mistakes(void **state)
{
    for (size_t i = 0; i < countof(mistakes); i++) expect_findings(mistakes[i].text, mistakes[i].want);
}

/* A folder is fine for tls.ca; files that all can read are told of. */
static void test_files(void **state)
{
    char dir[] = "/tmp/postern-config-XXXXXX", text[600], path[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    snprintf(text, sizeof text,
             FIRST "tls: {ca: %s}\nsmarthost: {host: a.example, tls: verify, user: u, password: " SECRET "}\n"
                   "inner_host: {host: b.example, tls: verify, user: u, password_file: %s}\n",
             dir, path);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, 0644) == 0);
    char *got = findings(text, path);
    assert_non_null(strstr(got, "warning 4:62: smarthost.password: everybody on this machine can read this"));
    assert_non_null(strstr(got, "inner_host.password_file: everybody on this machine can read"));
    assert_null(strstr(got, "tls.ca"));
    free(got);
    assert_int_equal(chmod(path, 0640), 0);
    got = findings(text, path);
    assert_string_equal(got, "");
    free(got);
    unlink(path);
    rmdir(dir);
}

/* Every option that is new here: written out, it reads back as the same. */
static void test_dump(void **state)
{
    struct config *c = must_parse(
        FIRST
        "listeners: [{address: \"*:465\", role: submission, proxies: [10.0.0.1], xclient: [\"::1\"]}]\n"
        "zones: {old: {networks: 10.9.0.0/16, tls: none, min_version: 1.0, bare_lf: accept}, c: {providers: google}}\n"
        "auth: {backend: ldap, ldap: {url: \"ldaps://a.example\", bind_dn: \"uid=%n\"}}\n"
        "tls_policies: [{to: .example.org, tls: dane-only, mta_sts: yes}]\ndelivery: {tls: verify}\n"
        "routes: [{to: b.example, via: {host: c.example, user: u, password: " SECRET "}, tls: encrypt}]\n"
        "inner_host: \"10.0.0.1:465\"\n"
        "smarthost: {host: a.example, methods: [xoauth2], user: u, token: {command: \"get # it\"}}\n");
    json_t *j = config_to_json(c), *again;
    struct buf out = { 0 };
    struct err err;
    config_json_yaml(j, &out);
    config_free(c);
    assert_null(strstr(buf_cstr(&out), SECRET));
    assert_string_equal(json_string_value(config_json_at(j, "routes[0].via.password", &err)), "***");
    assert_string_equal(json_string_value(config_json_at(j, "inner_host", &err)), "10.0.0.1:465");
    assert_string_equal(json_string_value(config_json_at(j, "zones.old.bare_lf", &err)), "accept");
    assert_string_equal(json_string_value(config_json_at(j, "zones.c.providers[0]", &err)), "google");
    assert_true(json_is_null(config_json_at(j, "zones.c.tls", &err)));
    c = must_parse(buf_cstr(&out));
    again = config_to_json(c);
    assert_true(json_equal(j, again));
    config_free(c);
    json_decref(j);
    json_decref(again);
    buf_deinit(&out);
}

static const char with_secrets[] =
    FIRST "smarthost: {host: a.example, bogus: 1, password: \"" SECRET ", 1\", user: 'u', tls: bad}\n"
          "inner_host:\n  password: >\n    " SECRET "\n    " SECRET "2\n  host: 10.0.0.1 # inner\n"
          "routes:\n  - {to: a.example, via: {host: b.example, passwort: '" SECRET "'}}\n"
          "  - {to: b.example, via: {host: b.example, password: x," SECRET "}}\n"
          "domains2: [{deliver: {password: [" SECRET "]}}]\n";

/* Whatever is wrong, messages, excerpts and diffs hide what stands behind "password". */
static void test_secrets_hidden(void **state)
{
    static const char *const broken[] = {
        "a: 1\n b: [}\npassword: " SECRET "\n",
        "smarthost: {host: a, password: " SECRET ",\n  tls: [}\n",
        "password: *" SECRET "\n",
        "password: !x " SECRET "\n",
        "password:\n  " SECRET "\n  x: ]\n",
        "x: {\"password\": \"" SECRET "\n y\n",
        "password: {" SECRET "\n",
        "password: " SECRET ": x: y\n",
        "smarthost: {host: h, password: &" SECRET " x}\n",
        "smarthost:\n\tpassword: " SECRET "\n",
    };
    struct buf out = { 0 };
    struct config_report r;
    for (size_t i = 0; i <= countof(broken); i++) {
        const char *text = i < countof(broken) ? broken[i] : with_secrets;
        buf_clear(&out);
        config_free(config_parse(slice_str(text), "p.yaml", &r));
        assert_true(r.errors > 0);
        report_format(&r, "p.yaml", slice_str(text), &out);
        for (size_t k = 0; k < r.n; k++)
            buf_addf(&out, "%s %s %s\n", r.findings[k].option, r.findings[k].text, r.findings[k].hint);
        config_report_deinit(&r);
        diff_unified(SLICE(""), "a", slice_str(text), "b", &out);
        diff_unified(slice_str(text), "a", SLICE("x: 1\n"), "b", &out);
        if (strstr(buf_cstr(&out), SECRET)) fail_msg("for\n%s\ngot\n%s", text, buf_cstr(&out));
    }
    buf_clear(&out);
    config_free(config_parse(slice_str(with_secrets), "p.yaml", &r));
    report_format(&r, "p.yaml", slice_str(with_secrets), &out); /* the caret follows what moved */
    assert_non_null(strstr(buf_cstr(&out),
                           "    smarthost: {host: a.example, bogus: 1, password: ***, user: 'u', tls: bad}\n"
                           "                                                                          ^"));
    config_report_deinit(&r);
    buf_clear(&out);
    diff_unified(slice_str(with_secrets), "a", SLICE(""), "b", &out);
    assert_non_null(strstr(buf_cstr(&out), "-  password: ***\n-\n-\n-  host: 10.0.0.1 # inner\n"));
    buf_clear(&out);
    diff_unified(SLICE("password: a\n"), "a", SLICE("password: b\n"), "b", &out); /* a change is seen, not what */
    assert_string_equal(buf_cstr(&out), "--- a\n+++ b\n@@ -1 +1 @@\n-password: ***\n+password: ***\n");
    buf_clear(&out);
    secret_hide_value("smarthost.password", SECRET, &out);
    secret_hide_value("smarthost", "{host: a, password: " SECRET "}", &out);
    secret_hide_value("limits.hops", "30", &out);
    secret_hide_value("smarthost.password_file", "/x", &out);
    assert_string_equal(buf_cstr(&out), "***{host: a, password: ***}30/x");
    buf_deinit(&out);
}

static void test_forget(void **state)
{
    struct config *c = must_parse(
        FIRST "smarthost: {host: a.example, user: u, password: " SECRET ", tls: verify}\n"
              "routes: [{to: b.example, tls: verify, via: {host: c.example, user: u, password: " SECRET "}}]\n");
    char *a = c->smarthost.auth.password, *b = c->routes[0].via.auth.password;
    assert_string_equal(a, SECRET);
    config_forget_secrets(c);
    for (size_t i = 0; i < sizeof SECRET; i++) assert_true(a[i] == 0 && b[i] == 0);
    assert_ptr_equal(c->smarthost.auth.password, a);
    config_forget_secrets(c);
    config_free(c);
    struct config wrong = { .file = NOWHERE }; /* a next hop that cannot be used is in no list */
    struct config_report r = { 0 };
    struct arena nodes = { 0 };
    bool empty;
    static const char text[] = "smarthost: {host: a_-, user: u, password: " SECRET "}\n";
    parse_tree(&wrong, yaml_parse(slice_str(text), &nodes, &r, &empty), &r);
    assert_null(wrong.smarthost.host);
    for (size_t i = 0; i < sizeof SECRET; i++) assert_int_equal(wrong.smarthost.auth.password[i], 0);
    arena_deinit(&nodes);
    arena_deinit(&wrong.arena);
    config_report_deinit(&r);
}

/* Nested groups and lists are in the documents under their whole names. */
static void test_documents(void **state)
{
    static const char *const lines[] = { ".B auth.imap.host\n",           ".B auth.ldap.bind_dn\n",
                                         ".B tls.certificates[].names\n", ".B token.endpoint\n",
                                         ".B tls_policies[].to\n",        ".B zones.NAME.bare_lf\n",
                                         ".B listeners[].client_ca\n",    "dane\\-only" };
    struct buf man = { 0 };
    schema_add_manual(&man);
    for (size_t i = 0; i < countof(lines); i++)
        if (!strstr(buf_cstr(&man), lines[i])) fail_msg("%s is not in the manual", lines[i]);
    buf_deinit(&man);
    json_t *j = schema_to_json(), *p = json_object_get(j, "properties");
    p = json_object_get(json_object_get(json_object_get(p, "auth"), "properties"), "methods");
    assert_int_equal(json_array_size(json_object_get(p, "default")), 4);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listeners), cmocka_unit_test(test_zones),     cmocka_unit_test(test_hops),
        cmocka_unit_test(test_auth),      cmocka_unit_test(test_policies),  cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_dump),      cmocka_unit_test(test_secrets_hidden),
        cmocka_unit_test(test_forget),    cmocka_unit_test(test_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
