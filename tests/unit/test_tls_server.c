/* SPDX-License-Identifier: Apache-2.0
 * TLS as a server: what is refused of certificates, which one a client gets to see, versions, client certificates,
 * tickets. */
#include "net/tls.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "config/report.h"
#include "net/tls_parts.h"
#include "tls_world.h"

static char dir[64];
static struct made root, middle, mx, other, rsa, wild;

static const char *file(const char *name)
{
    static char paths[256][128]; /* they stay: more than one test asks for */
    static unsigned next;
    char *path = paths[next++ % countof(paths)];
    snprintf(path, 128, "%s/%s", dir, name);
    return path;
}

static int set_up(void **state)
{
    char path[128];
    strcpy(dir, "/tmp/postern-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    root = make(&(struct make){ .name = "Root", .authority = true });
    middle = make(&(struct make){ .name = "Middle", .authority = true, .issuer = &root });
    mx = make(&(struct make){ .name = "mx", .san = "DNS:mx.example.com,DNS:MAIL.example.com", .issuer = &middle });
    other = make(&(struct make){ .name = "other", .san = "DNS:mail.example.org", .issuer = &middle });
    rsa = make(&(struct make){ .name = "mx", .san = "DNS:mx.example.com", .issuer = &middle, .kind = "RSA" });
    wild = make(&(struct make){ .name = "w", .san = "DNS:*.wild.example", .issuer = &middle });
    write_chain(path, dir, "root.pem", &root, NULL);
    write_chain(path, dir, "mx.pem", &mx, &middle, &root, NULL);
    write_key(path, dir, "mx.key", &mx, NULL);
    write_chain(path, dir, "other.pem", &other, &middle, &root, NULL);
    write_key(path, dir, "other.key", &other, NULL);
    write_chain(path, dir, "rsa.pem", &rsa, &middle, &root, NULL);
    write_key(path, dir, "rsa.key", &rsa, NULL);
    write_chain(path, dir, "wild.pem", &wild, &middle, &root, NULL);
    write_key(path, dir, "wild.key", &wild, NULL);
    return 0;
}

static int tear_down(void **state)
{
    char command[100];
    struct made *all[] = { &root, &middle, &mx, &other, &rsa, &wild };
    for (size_t i = 0; i < countof(all); i++) made_free(all[i]);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* ---- certificates */

static bool check_pair(const char *certificate, const char *key, const char *const *names, size_t name_n,
                       struct tls_certificate_facts *facts, struct err *err)
{
    struct tls_pair pair;
    bool ok = tls_pair_read(certificate, key, names, name_n, &pair, facts, err);
    tls_pair_deinit(&pair);
    return ok;
}

/* "" : fine. Else what the error says. */
static void check(const char *certificate, const char *key, const char *name, const char *error, const char *hint)
{
    struct tls_certificate_facts facts;
    struct err err = { 0 };
    bool ok = check_pair(file(certificate), file(key), &name, name != NULL, &facts, &err);
    assert_int_equal(ok, !*error);
    if (!ok && !strstr(err.text, error)) fail_msg("%s\ndoes not say: %s", err.text, error);
    if (!strstr(facts.hint, hint)) fail_msg("%s\ndoes not say: %s", facts.hint, hint);
    assert_int_equal(ERR_peek_error(), 0);
}

static void chains(void **state)
{
    char path[128];
    check("mx.pem", "mx.key", NULL, "", "");
    check("mx.pem", "mx.key", "mx.example.com", "", "");
    check("mx.pem", "mx.key", "Mail.Example.COM", "", "");
    check("wild.pem", "wild.key", "a.wild.example", "", "");
    check("wild.pem", "wild.key", "*.wild.example", "", "");
    check("wild.pem", "wild.key", "a.b.wild.example", "is for *.wild.example, not for a.b.wild.example",
          "take a certificate");
    check("wild.pem", "wild.key", "wild.example", "not for wild.example", "");
    check("other.pem", "other.key", "mx.example.com", "other.pem is for mail.example.org, not for mx.example.com", "");
    check("mx.pem", "other.key", NULL, "other.key belongs to another certificate than that of",
          "the certificate was asked for with");
    write_chain(path, dir, "order.pem", &middle, &mx, &root, NULL);
    check("order.pem", "mx.key", NULL, "wrong order: the one of the key is number 2", "certificate first");
    write_chain(path, dir, "gap.pem", &mx, &root, NULL);
    check("gap.pem", "mx.key", NULL,
          "the intermediate certificate is missing or in the wrong order: number 2 must be CN = Middle", "");
    write_chain(path, dir, "mixed.pem", &mx, &root, &middle, NULL);
    check("mixed.pem", "mx.key", NULL, "missing or in the wrong order", "");
    struct made false_middle = make(&(struct make){ .name = "Middle", .authority = true, .issuer = &root });
    write_chain(path, dir, "forged.pem", &mx, &false_middle, &root, NULL);
    check("forged.pem", "mx.key", NULL, "missing or in the wrong order", "");
    made_free(&false_middle);
}

static void files(void **state)
{
    char path[128];
    FILE *f;
    check("none.pem", "mx.key", NULL, "No such file", "");
    check("mx.pem", "none.key", NULL, "No such file", "");
    check("mx.pem", "mx.pem", NULL, "there is no private key in", "PEM");
    check("mx.key", "mx.key", NULL, "there is no certificate in", "PEM");
    write_key(path, dir, "locked.key", &mx, "secret");
    check("mx.pem", "locked.key", NULL, "is encrypted", "openssl pkey");
    f = fopen(file("half.pem"), "w");
    fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", f);
    fclose(f);
    check("half.pem", "mx.key", NULL, "reading a certificate of", "PEM");
    f = fopen(file("large.pem"), "w");
    for (int i = 0; i < 300; i++) fprintf(f, "%1023d\n", i);
    fclose(f);
    check("large.pem", "mx.key", NULL, "is larger than", "");
    struct tls_certificate_facts facts;
    struct err err;
    assert_false(check_pair(file("mx.pem"), dir, NULL, 0, &facts, &err));
    assert_true(facts.key_at_fault);
}

static void one(const struct make *m, const char *error, const char *warning)
{
    char path[128];
    struct tls_certificate_facts facts;
    struct err err = { 0 };
    struct made x = make(m);
    if (m->issuer) write_chain(path, dir, "one.pem", &x, m->issuer, m->issuer == &root ? NULL : &root, NULL);
    else write_chain(path, dir, "one.pem", &x, NULL);
    write_key(path, dir, "one.key", &x, NULL);
    bool ok = check_pair(file("one.pem"), file("one.key"), NULL, 0, &facts, &err);
    if (ok != !*error || !strstr(err.text, error)) fail_msg("%s: %s\ndoes not say: %s", m->name, err.text, error);
    if (*warning ? !strstr(facts.warning, warning) : facts.warning[0])
        fail_msg("%s: \"%s\", not \"%s\"", m->name, facts.warning, warning);
    if (*warning) assert_true(facts.hint[0]);
    made_free(&x);
}

static void dates_and_strength(void **state)
{
    one(&(struct make){ .name = "fine", .issuer = &middle }, "", "");
    one(&(struct make){ .name = "ended", .issuer = &middle, .from = -20 * DAY, .to = -DAY }, "ended of", "");
    one(&(struct make){ .name = "ended", .issuer = &middle, .from = -20 * DAY, .to = -DAY }, "has expired on 20", "");
    one(&(struct make){ .name = "early", .issuer = &middle, .from = DAY }, "is not valid before 20", "");
    one(&(struct make){ .name = "soon", .issuer = &middle, .to = 13 * DAY }, "", "expires on 20");
    one(&(struct make){ .name = "later", .issuer = &middle, .to = 15 * DAY }, "", "");
    one(&(struct make){ .name = "alone" }, "", "is signed by itself");
    one(&(struct make){ .name = "weak", .issuer = &middle, .kind = "RSA1024" }, "", "is weak: RSA with 1024 bits");
    one(&(struct make){ .name = "sha", .issuer = &middle, .digest = EVP_sha1() }, "is signed with SHA1", "");
    one(&(struct make){ .name = "usage", .issuer = &middle, .usage = "clientAuth" }, "", "is not meant for servers");
    struct made old =
        make(&(struct make){ .name = "Old", .authority = true, .issuer = &root, .from = -9 * DAY, .to = -DAY });
    one(&(struct make){ .name = "below", .issuer = &old }, "Old of", "");
    made_free(&old);
    char path[128];
    struct tls_certificate_facts facts;
    struct err err;
    write_chain(path, dir, "alone.pem", &mx, NULL);
    assert_true(check_pair(file("alone.pem"), file("mx.key"), NULL, 0, &facts, &err));
    assert_non_null(strstr(facts.warning, "does not hold CN = Middle"));
}

/* ---- the configuration's */

static void findings_with_places(void **state)
{
    struct config_certificate more[] = { { .certificate = file("mx.pem"), .key = file("mx.key") },
                                         { .certificate = file("wild.pem"), .key = file("other.key") } };
    struct config_listener l = { .client_certificate = CONFIG_CLIENT_CERT_ASK, .client_ca = file("mx.key") };
    struct config c = { .hostname = "mx.example.com", .listeners = &l, .listener_n = 1 };
    struct config_report report = { 0 };
    c.tls.certificate = file("other.pem");
    c.tls.key = file("other.key");
    c.tls.certificates = more;
    c.tls.certificate_n = 2;
    struct slice text = SLICE("hostname: x\ntls:\n  certificate: a\n  certificates:\n    - {certificate: a, key: b}\n"
                              "    - certificate: c\n      key: d\nlisteners: [{client_ca: x}]\n");
    assert_false(tls_check(&c, text, &report));
    assert_int_equal(report.n, 3);
    assert_int_equal(report.errors, 2);
    assert_string_equal(report.findings[0].option, "tls.certificate");
    assert_true(report.findings[0].warning && report.findings[0].place.line == 3 &&
                strstr(report.findings[0].text, "(hostname)"));
    assert_string_equal(report.findings[1].option, "tls.certificates[1].key");
    assert_int_equal(report.findings[1].place.line, 7);
    assert_int_equal(report.findings[1].place.column, 12);
    assert_string_equal(report.findings[2].option, "listeners[0].client_ca");
    assert_int_equal(report.findings[2].place.line, 8);
    config_report_deinit(&report);
    assert_false(tls_check(&c, SLICE(""), &report));
    config_report_deinit(&report);
    struct err err;
    assert_null(tls_server_new(&c, dir, NULL, &err));
    assert_non_null(strstr(err.text, "tls.certificates[1].key: the key of"));
    l.client_ca = file("root.pem");
    c.tls.certificate_n = 1;
    assert_true(tls_check(&c, SLICE(""), &report));
    config_report_deinit(&report);
}

/* ---- contexts */

static struct config base(void)
{
    static struct config_certificate more[3];
    struct config c = { .hostname = "mx.example.com" };
    more[0] = (struct config_certificate){ .certificate = file("rsa.pem"), .key = file("rsa.key") };
    more[1] = (struct config_certificate){ .certificate = file("wild.pem"), .key = file("wild.key") };
    more[2] = (struct config_certificate){ .certificate = file("other.pem"), .key = file("other.key") };
    c.tls.certificate = file("mx.pem");
    c.tls.key = file("mx.key");
    c.tls.certificates = more;
    c.tls.certificate_n = 3;
    c.tls.min_version = 12;
    c.tls.ticket_life = 3600000;
    return c;
}

static SSL_CTX *client_new(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_CTX_set_security_level(ctx, 0);
    return ctx;
}

static struct tls_server *server_new(const struct config *c, struct tls_tickets *tickets)
{
    struct err err = { 0 };
    struct tls_server *t = tls_server_new(c, dir, tickets, &err);
    if (!t) fail_msg("%s", err.text);
    return t;
}

static void sees(const struct tls_server *t, SSL_CTX *client, const char *name, const struct made *expected)
{
    struct talk k = talk(client, tls_server_context(t, NULL, NULL), name, NULL);
    assert_true(k.ok);
    X509 *got = SSL_get0_peer_certificate(k.client);
    if (X509_cmp(got, expected->cert) != 0) fail_msg("wrong certificate for %s", name ? name : "no name");
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(k.client)), 3);
    talk_free(&k);
}

static void certificate_by_name(void **state)
{
    struct config c = base();
    struct tls_server *t = server_new(&c, NULL);
    char longest[256];
    memset(longest, 'a', 255);
    longest[255] = '\0';
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *client = client_new(version), *rsa_only = client_new(version);
        SSL_CTX_set1_sigalgs_list(rsa_only, "RSA-PSS+SHA256:RSA+SHA256");
        if (version == TLS1_2_VERSION) SSL_CTX_set_cipher_list(rsa_only, "aRSA");
        sees(t, client, "mail.example.org", &other);
        sees(t, client, "MAIL.Example.ORG", &other);
        sees(t, client, "mail.example.org.", &other);
        sees(t, client, "a.wild.example", &wild);
        sees(t, client, NULL, &mx);
        sees(t, client, "mail.example.com", &mx);
        sees(t, client, "wild.example", &mx);
        sees(t, client, "a.b.wild.example", &mx);
        sees(t, client, "*.wild.example", &mx);
        sees(t, client, "unknown", &mx);
        sees(t, client, ".", &mx);
        sees(t, client, longest, &mx);
        sees(t, rsa_only, NULL, &rsa); /* both kinds for our own name */
        sees(t, rsa_only, "mx.example.com", &rsa);
        sees(t, client, "mx.example.com", &mx);
        struct talk k = talk(rsa_only, tls_server_context(t, NULL, NULL), "mail.example.org", NULL);
        assert_false(k.ok); /* none of another name */
        talk_free(&k);
        SSL_CTX_free(client);
        SSL_CTX_free(rsa_only);
    }
    tls_server_free(t);
}

static void names_of_the_configuration(void **state)
{
    struct config c = base();
    const char *names[] = { "*.Wild.example" }, *wrong[] = { "x.example" };
    struct config_certificate more[] = {
        { .certificate = file("wild.pem"), .key = file("wild.key"), .names = names, .name_n = 1 }
    };
    c.tls.certificates = more;
    c.tls.certificate_n = 1;
    struct tls_server *t = server_new(&c, NULL);
    SSL_CTX *client = client_new(TLS1_3_VERSION);
    sees(t, client, "z.wild.example", &wild);
    SSL_CTX_free(client);
    tls_server_free(t);
    more[0].names = wrong;
    struct err err;
    assert_null(tls_server_new(&c, dir, NULL, &err));
    assert_non_null(strstr(err.text, "is for *.wild.example, not for x.example"));
}

static bool can(SSL_CTX *server, int version, const char *ciphers)
{
    SSL_CTX *client = client_new(version);
    if (ciphers) assert_int_equal(SSL_CTX_set_cipher_list(client, ciphers), 1);
    struct talk k = talk(client, server, NULL, NULL);
    bool ok = k.ok;
    talk_free(&k);
    SSL_CTX_free(client);
    return ok;
}

static void versions_by_zone(void **state)
{
    struct config_zone zones[] = { { .name = "old", .min_version = 10 },
                                   { .name = "new", .min_version = 13 },
                                   { .name = "internet" } };
    struct config_listener l = { .zone = -1 };
    struct config c = base();
    c.zones = zones;
    c.zone_n = countof(zones);
    c.listeners = &l;
    c.listener_n = 1;
    struct tls_server *t = server_new(&c, NULL);
    SSL_CTX *old = tls_server_context(t, &l, &zones[0]), *new = tls_server_context(t, &l, &zones[1]),
            *all = tls_server_context(t, &l, &zones[2]);
    assert_true(can(old, TLS1_VERSION, "ALL:@SECLEVEL=0") && can(old, TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
    assert_true(can(old, TLS1_VERSION, "AES128-SHA:@SECLEVEL=0") && can(old, TLS1_2_VERSION, "AES256-SHA256") &&
                can(old, TLS1_3_VERSION, NULL));
    assert_false(can(all, TLS1_VERSION, "ALL:@SECLEVEL=0") || can(all, TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
    assert_true(can(all, TLS1_2_VERSION, NULL) && can(all, TLS1_3_VERSION, NULL));
    assert_true(can(all, TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305") &&
                can(all, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    assert_false(can(all, TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA") ||
                 can(all, TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384"));
    assert_false(can(all, TLS1_2_VERSION, "AES128-GCM-SHA256") ||
                 can(all, TLS1_2_VERSION, "DHE-RSA-AES256-GCM-SHA384"));
    assert_false(can(new, TLS1_2_VERSION, NULL));
    assert_true(can(new, TLS1_3_VERSION, NULL));
    tls_server_free(t);
}

static void ciphers_in_our_order(void **state)
{
    struct config c = base();
    struct tls_server *t = server_new(&c, NULL);
    SSL_CTX *client = client_new(TLS1_3_VERSION);
    const struct {
        const char *offers, *chosen;
    } cases[] = {
        { "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384" },
        { "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256" },
        { "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        SSL_CTX_set_ciphersuites(client, cases[i].offers);
        struct talk k = talk(client, tls_server_context(t, NULL, NULL), NULL, NULL);
        assert_true(k.ok);
        assert_string_equal(SSL_get_cipher_name(k.client), cases[i].chosen);
        talk_free(&k);
    }
    SSL_CTX_free(client);
    tls_server_free(t);
}

static void renegotiation(void **state)
{
    struct config c = base();
    struct tls_server *t = server_new(&c, NULL);
    SSL_CTX *client = client_new(TLS1_2_VERSION);
    struct talk k = talk(client, tls_server_context(t, NULL, NULL), NULL, NULL);
    char byte;
    assert_true(k.ok);
    assert_int_equal(SSL_renegotiate(k.client), 1);
    for (int i = 0; i < 5; i++) {
        SSL_do_handshake(k.client);
        (void)SSL_read(k.server, &byte, 1);
    }
    assert_true(SSL_num_renegotiations(k.server) == 0 && SSL_renegotiate_pending(k.client));
    talk_free(&k);
    SSL_CTX_free(client);
    tls_server_free(t);
}

/* ---- client certificates */

static void client_certificates(void **state)
{
    struct config_listener l[] = { { .client_certificate = CONFIG_CLIENT_CERT_ASK, .client_ca = file("root.pem") },
                                   { .client_certificate = CONFIG_CLIENT_CERT_REQUIRE, .client_ca = file("root.pem") },
                                   { .client_certificate = CONFIG_CLIENT_CERT_NONE } };
    struct config c = base();
    struct err err;
    struct tls_tickets *tickets = tls_tickets_new(&err);
    char name[100];
    tls_tickets_rotate(tickets, 1, c.tls.ticket_life);
    c.listeners = l;
    c.listener_n = countof(l);
    struct tls_server *t = server_new(&c, tickets);
    struct made good = make(&(struct make){ .name = "client", .issuer = &middle, .usage = "clientAuth" });
    struct made self = make(&(struct make){ .name = "client" });
    struct made ended = make(&(struct make){ .name = "client", .issuer = &middle, .from = -9 * DAY, .to = -DAY });
    const struct {
        const struct made *client;
        bool counts;
    } cases[] = { { NULL, false }, { &good, true }, { &self, false }, { &ended, false } };
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (size_t i = 0; i < countof(cases); i++) {
            SSL_CTX *client = client_new(version);
            if (cases[i].client) {
                SSL_CTX_use_certificate(client, cases[i].client->cert);
                SSL_CTX_use_PrivateKey(client, cases[i].client->key);
                SSL_CTX_add1_chain_cert(client, middle.cert);
            }
            struct talk k = talk(client, tls_server_context(t, &l[0], NULL), "mail.example.org", NULL);
            assert_true(k.ok);
            assert_int_equal(tls_client_certificate(k.server, name, sizeof name), cases[i].counts);
            assert_string_equal(name, cases[i].client ? "CN = client" : "");
            SSL_SESSION *s = SSL_get1_session(k.client);
            assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(k.client)), 1);
            talk_free(&k);
            k = talk(client, tls_server_context(t, &l[1], NULL), "mail.example.org",
                     s); /* what was proved elsewhere is not taken */
            assert_int_equal(k.ok, cases[i].counts);
            assert_false(SSL_session_reused(k.server));
            talk_free(&k);
            SSL_SESSION_free(s);
            k = talk(client, tls_server_context(t, &l[2], NULL), "mail.example.org", NULL);
            assert_true(k.ok && !tls_client_certificate(k.server, name, sizeof name));
            s = SSL_get1_session(k.client);
            talk_free(&k);
            k = talk(client, tls_server_context(t, &l[1], NULL), "mail.example.org", s);
            assert_false(SSL_session_reused(k.server));
            assert_int_equal(k.ok, cases[i].counts);
            talk_free(&k);
            SSL_SESSION_free(s);
            SSL_CTX_free(client);
        }
    }
    tls_server_free(t);
    l[1].client_ca = NULL;
    assert_null(tls_server_new(&c, dir, tickets, &err));
    assert_non_null(strstr(err.text, "client_ca"));
    tls_tickets_free(tickets);
    made_free(&good);
    made_free(&self);
    made_free(&ended);
}

/* ---- tickets */

static bool resumes(const struct tls_server *t, SSL_CTX *client, SSL_SESSION **s)
{
    struct talk k = talk(client, tls_server_context(t, NULL, NULL), "mx.example.com", *s);
    assert_true(k.ok);
    bool reused = SSL_session_reused(k.server);
    assert_int_equal(reused, SSL_session_reused(k.client));
    SSL_SESSION_free(*s);
    *s = SSL_get1_session(k.client);
    assert_int_equal(SSL_SESSION_get_max_early_data(*s), 0);
    talk_free(&k);
    return reused;
}

static void resumption(void **state)
{
    struct config c = base();
    struct err err;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_tickets *tickets = tls_tickets_new(&err);
        struct tls_server *one_worker = server_new(&c, tickets), *another = server_new(&c, tickets);
        SSL_CTX *client = client_new(version);
        SSL_SESSION *s = NULL;
        assert_false(resumes(one_worker, client, &s)); /* no key yet */
        assert_false(resumes(one_worker, client, &s));
        tls_tickets_rotate(tickets, 1000, c.tls.ticket_life);
        assert_false(resumes(one_worker, client, &s));
        assert_true(resumes(one_worker, client, &s));
        assert_true(resumes(another, client, &s));
        tls_tickets_rotate(tickets, 1000 + c.tls.ticket_life - 1, c.tls.ticket_life); /* not yet */
        SSL_SESSION *kept = SSL_SESSION_dup(s);
        tls_tickets_rotate(tickets, 1000 + c.tls.ticket_life, c.tls.ticket_life);
        assert_true(resumes(another, client, &s)); /* by the key before, and gets a ticket of the new one */
        tls_tickets_rotate(tickets, 1000 + 2 * c.tls.ticket_life, c.tls.ticket_life);
        assert_true(resumes(another, client, &s));
        assert_false(resumes(another, client, &kept));
        tls_tickets_rotate(tickets, 1000 + 9 * c.tls.ticket_life, c.tls.ticket_life); /* after a long sleep */
        assert_false(resumes(another, client, &s));
        assert_true(resumes(another, client, &s));
        tls_tickets_rotate(tickets, 1001 + 9 * c.tls.ticket_life, 0);
        assert_false(resumes(another, client, &s));
        SSL_SESSION_free(kept);
        SSL_SESSION_free(s);
        SSL_CTX_free(client);
        tls_server_free(one_worker);
        tls_server_free(another);
        tls_tickets_free(tickets);
    }
}

static void no_resumption(void **state)
{
    struct config c = base();
    struct err err;
    struct tls_tickets *tickets = tls_tickets_new(&err);
    tls_tickets_rotate(tickets, 1, 1000);
    for (int i = 0; i < 2; i++) {
        c.tls.ticket_life = i ? 0 : 1000;
        struct tls_server *t = server_new(&c, i ? tickets : NULL);
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            SSL_CTX *client = client_new(version);
            SSL_SESSION *s = NULL;
            assert_false(resumes(t, client, &s));
            assert_false(SSL_SESSION_has_ticket(s));
            assert_false(resumes(t, client, &s));
            SSL_SESSION_free(s);
            SSL_CTX_free(client);
        }
        tls_server_free(t);
    }
    tls_tickets_free(tickets);
}

static _Atomic bool over;

static void *rotate(void *arg)
{
    for (uint64_t now = 1; !over; now += 10) tls_tickets_rotate(arg, now, 10);
    return NULL;
}

/* A key is never half one and half another: its parts are found again under its name, or not at all. */
static void keys_are_whole(void **state)
{
    struct err err;
    struct tls_tickets *t = tls_tickets_new(&err);
    pthread_t writer;
    unsigned seen = 0;
    tls_tickets_rotate(t, 1, 10);
    over = false;
    assert_int_equal(pthread_create(&writer, NULL, rotate, t), 0);
    for (int i = 0; i < 20000; i++) {
        struct tls_ticket_key a, b;
        bool newest;
        if (!tls_tickets_newest(t, &a) || !tls_tickets_find(t, a.name, &b, &newest)) continue;
        assert_memory_equal(&a, &b, sizeof a);
        seen++;
    }
    over = true;
    pthread_join(writer, NULL);
    assert_true(seen);
    tls_tickets_free(t);
}

static void keys_are_shared(void **state)
{
    struct err err;
    struct tls_tickets *t = tls_tickets_new(&err);
    struct tls_ticket_key key, same;
    bool newest;
    int status, go[2];
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (!child) {
        char byte;
        _exit(read(go[0], &byte, 1) == 1 && tls_tickets_newest(t, &key) ? key.name[0] | 1 : 0);
    }
    tls_tickets_rotate(t, 1, 10);
    assert_true(tls_tickets_newest(t, &key) && tls_tickets_find(t, key.name, &same, &newest) && newest);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), key.name[0] | 1);
    assert_false(tls_tickets_find(t, (const unsigned char *)"0123456789abcdef", &same, &newest));
    close(go[0]);
    close(go[1]);
    tls_tickets_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),
        cmocka_unit_test(files),
        cmocka_unit_test(dates_and_strength),
        cmocka_unit_test(findings_with_places),
        cmocka_unit_test(certificate_by_name),
        cmocka_unit_test(names_of_the_configuration),
        cmocka_unit_test(versions_by_zone),
        cmocka_unit_test(ciphers_in_our_order),
        cmocka_unit_test(renegotiation),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(resumption),
        cmocka_unit_test(no_resumption),
        cmocka_unit_test(keys_are_whole),
        cmocka_unit_test(keys_are_shared),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
