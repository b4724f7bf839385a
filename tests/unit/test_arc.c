/* SPDX-License-Identifier: Apache-2.0
 * ARC: chains made here, whole, broken and marked; the structure of sets. */
#include "dkim_world.h"

static const char mail[] = "From: joe@example.com\r\nTo: list@example.net\r\nSubject:  hello\r\nDKIM-Signature: v=1; x\r\n\r\nHi  there.\r\n\r\n";

struct sealed {
    struct buf text; /* the message with its chain */
    struct dns_table t;
    struct dkim_key *keys[2];
    struct buf records[2];
};

static void begin(struct sealed *s)
{
    static const char *const names[] = { "rsa._domainkey.a.example", "ed._domainkey.b.example" };
    struct err err;
    *s = (struct sealed){ 0 };
    for (int i = 0; i < 2; i++) {
        s->keys[i] = dkim_key_new((enum dkim_key_type)i, 1024, &err);
        dkim_key_record(s->keys[i], false, &s->records[i]);
        dns_add(&s->t, names[i], AUTH_DNS_OK, buf_cstr(&s->records[i]));
    }
    buf_add_str(&s->text, mail);
}

static void end(struct sealed *s)
{
    for (int i = 0; i < 2; i++) {
        dkim_key_free(&s->keys[i]);
        buf_deinit(&s->records[i]);
    }
    buf_deinit(&s->text);
}

static void put_front(struct buf *text, struct slice front)
{
    struct buf all = { 0 };
    buf_add(&all, front);
    buf_add(&all, buf_slice(text));
    buf_deinit(text);
    *text = all;
}

static void replace(struct buf *text, const char *what, const char *by)
{
    struct buf all = { 0 };
    const char *at = strstr(buf_cstr(text), what);
    assert_non_null(at);
    buf_add(&all, slice_of(text->p, (size_t)(at - text->p)));
    buf_add_str(&all, by);
    buf_add_str(&all, at + strlen(what));
    buf_deinit(text);
    *text = all;
}

/* Validates as a relay does, and seals with key `k` (-1: no seal; -2: as if the chain had passed). */
static struct arc visit(struct sealed *s, int k, char reason[200])
{
    struct mail m;
    struct arc arc;
    struct dkim_options o = { .now = NOW * 1000ull };
    struct auth_dns dns = { dns_get, &s->t };
    struct slice domains[] = { SLICE("a.example"), SLICE("b.example") }, selectors[] = { SLICE("rsa"), SLICE("ed") };
    int key = k == 0 ? 0 : 1;
    struct dkim_sign_options so = { .domain = domains[key], .selector = selectors[key], .type = (enum dkim_key_type)key, .time = NOW,
                                    .header_canon = k & 1, .body_canon = AUTH_RELAXED };
    mail_begin(&m, buf_slice(&s->text));
    struct arc_verifier *v = arc_verify_begin(&o, &m.header, m.body, &m.arena);
    struct arc_sealer *sealer = k != -1 ? arc_seal_begin(&so, &m.header, m.body, &m.arena) : NULL;
    arc_verify_ask(v, &dns);
    mail_push(&m);
    for (unsigned rounds = 0; !arc_verify(v, &dns, &arc); rounds++) assert_true(rounds < 10);
    snprintf(reason, 200, "%s", arc.reason);
    struct arc chain = arc;
    if (k == -2) chain.result = ARC_PASS;
    if (sealer && arc_may_seal(&chain)) {
        uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
        struct buf out = { 0 };
        arc_seal_message_digest(sealer, &chain, SLICE(" mx.b.example;\r\n\tspf=none"), digest);
        arc_seal_digest(sealer, slice_of(signature, dkim_key_sign(s->keys[key], digest, signature)), digest);
        arc_seal_finish(sealer, slice_of(signature, dkim_key_sign(s->keys[key], digest, signature)), &out);
        assert_true(slice_starts(buf_slice(&out), SLICE("ARC-Seal: i=")));
        put_front(&s->text, buf_slice(&out));
        buf_deinit(&out);
    }
    for (size_t i = 0; i < arc.n && arc.result == ARC_PASS; i++) {
        assert_true(slice_eq(arc.sets[i].results, SLICE("mx.b.example;\r\n\tspf=none")));
        assert_true(arc.sets[i].seal_domain.n == 9 && arc.sets[i].message_domain.n == 9 && arc.sets[i].seal_selector.n);
        assert_int_equal(arc.sets[i].seen, i ? ARC_PASS : ARC_NONE);
    }
    arc_verify_deinit(v);
    mail_end(&m);
    return arc; /* its numbers only */
}

static void whole(void **state)
{
    struct sealed s;
    char reason[200];
    begin(&s);
    struct arc a = visit(&s, 0, reason);
    assert_true(a.result == ARC_NONE && a.n == 0);
    for (size_t i = 1; i <= 5; i++) {
        s.t.records[0].late = s.t.records[0].asked + (unsigned)i % 3; /* comes late */
        a = visit(&s, (int)i % 2, reason);
        assert_string_equal(reason, "the chain is whole");
        assert_true(a.result == ARC_PASS && a.n == i && a.oldest_pass == 0);
    }
    put_front(&s.text, SLICE("Received: x\r\n"));
    assert_int_equal(visit(&s, -1, reason).result, ARC_PASS);
    end(&s);
}

/* One change each, of a chain with three sets. */
static void broken(void **state)
{
    static const struct {
        const char *what, *by, *reason;
    } cases[] = {
        { "Hi ", "Ho ", "message signature of instance 3: body hash did not verify" },
        { "hello", "hallo", "message signature of instance 3: the signature did not verify" },
        { "v=1; x", "v=1; y", "message signature of instance 3: the signature did not verify" },
        { "i=3; mx.b.example", "i=3; mx.c.example", "seal of instance 3: the signature did not verify" },
        { "i=1; mx.b.example", "i=1; mx.c.example", "seal of instance 3: the signature did not verify" },
        { "ARC-Seal: i=2", "ARC-Seal: i=1", "an instance is there twice" },
        { "ARC-Seal: i=3", "ARC-Seal: i=4", "a set is not complete" },
        { "ARC-Seal: i=2", "X-Seal: i=2", "a set is not complete" },
        { "ARC-Message-Signature: i=2", "X-AMS: i=2", "a set is not complete" },
        { "ARC-Authentication-Results: i=2;", "X-AAR: i=2;", "a set is not complete" },
        { "ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=51;", "a field has no instance (i=) from 1 to 50" },
        { "ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=0;", "a field has no instance (i=) from 1 to 50" },
        { "ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i2;", "a field has no instance (i=) from 1 to 50" },
        { "ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=2", "a field has no instance (i=) from 1 to 50" },
        { "ARC-Authentication-Results: i=2;", "ARC-Authentication-Results: i=999999999999999999999;", "a field has no instance (i=) from 1 to 50" },
        { "ARC-Seal: i=2;", "ARC-Seal: ;;i=2;", "a field has no instance (i=) from 1 to 50" },
        { "cv=none", "cv=pass", "seal of instance 1: cv= is not none" },
        { "cv=pass", "cv=none", "seal of instance 3: cv= is not pass" },
        { "cv=pass", "cv=fail", "the chain was marked as failed before" },
        { "cv=pass", "cw=pass", "seal of instance 3: there is no cv=" },
        { "ARC-Seal: i=2;", "ARC-Seal: i=2; h=from;", "seal of instance 2: it has h=" },
        { "ARC-Seal: i=3; a=ed25519-sha256", "ARC-Seal: i=3; a=rsa-sha1", "seal of instance 3: rsa-sha1 proves nothing any more" },
        { "h=From:", "h=ARC-Seal:", "message signature of instance 3: h= has ARC-Seal in it" },
        { "h=From:From:", "h=To:", "message signature of instance 3: From is not signed" },
    };
    char reason[200];
    for (size_t i = 0; i < countof(cases); i++) {
        struct sealed s;
        begin(&s);
        for (int k = 1; k >= -1; k--) assert_int_equal(visit(&s, k < 0 ? 1 : k, reason).n, 1 - k);
        replace(&s.text, cases[i].what, cases[i].by);
        struct arc a = visit(&s, -1, reason);
        assert_string_equal(reason, cases[i].reason);
        assert_true(a.result == ARC_FAIL && a.oldest_pass == 0);
        /* §5.1.2: a seal that says so; nothing is sealed after it. */
        if (!strstr(reason, "marked")) {
            a = visit(&s, 1, reason);
            a = visit(&s, 1, reason);
            assert_string_equal(reason, "the chain was marked as failed before");
            struct arc_set last = { .seen = ARC_FAIL };
            assert_false(arc_may_seal(&(struct arc){ .result = ARC_FAIL, .sets = &last, .n = 1 }));
        }
        end(&s);
    }
}

/* §5.2 step 5: which message signatures still hold. */
static void oldest(void **state)
{
    struct sealed s;
    char reason[200];
    begin(&s);
    visit(&s, 0, reason);
    visit(&s, 1, reason);
    replace(&s.text, "hello", "[list] hello"); /* somebody who changes it, and seals what it was before */
    visit(&s, -2, reason);
    struct arc a = visit(&s, 1, reason);
    assert_true(a.result == ARC_PASS && a.n == 3 && a.oldest_pass == 3);
    a = visit(&s, -1, reason);
    assert_true(a.result == ARC_PASS && a.n == 4 && a.oldest_pass == 3);
    end(&s);
}

static void keys(void **state)
{
    struct sealed s;
    char reason[200];
    begin(&s);
    visit(&s, 0, reason);
    visit(&s, 1, reason);
    s.t.records[0].status = AUTH_DNS_TEMPFAIL; /* of the older set's seal */
    struct arc a = visit(&s, 1, reason);
    assert_int_equal(a.result, ARC_TEMPERROR);
    assert_string_equal(reason, "seal of instance 1: DNS did not answer for rsa._domainkey.a.example");
    assert_false(arc_may_seal(&a));
    replace(&s.text, "hello", "hallo"); /* what failed counts more */
    assert_int_equal(visit(&s, -1, reason).result, ARC_FAIL);
    s.t.records[0].status = AUTH_DNS_NXDOMAIN;
    replace(&s.text, "hallo", "hello");
    assert_int_equal(visit(&s, -1, reason).result, ARC_FAIL);
    assert_string_equal(reason, "seal of instance 1: no key at rsa._domainkey.a.example");
    end(&s);
}

/* A chain that is broken costs one signature, not fifty sets of them; keys of older message signatures are asked for only when it is whole. */
static void costs(void **state)
{
    struct sealed s;
    char reason[200];
    begin(&s);
    for (size_t i = 0; i < 5; i++) visit(&s, (int)i % 2, reason);
    replace(&s.text, "hello", "hallo");
    s.t.records[0].asked = s.t.records[1].asked = 0;
    assert_int_equal(visit(&s, -1, reason).result, ARC_FAIL);
    assert_string_equal(reason, "message signature of instance 5: the signature did not verify");
    assert_int_equal(s.t.records[0].asked + s.t.records[1].asked, 1 + 5 + 1); /* ahead, and then the newest one */
    end(&s);
}

/* 50 sets are the most. */
static void many(void **state)
{
    struct sealed s;
    char reason[200];
    begin(&s);
    for (size_t i = 0; i < ARC_SETS_MAX; i++) assert_int_equal(visit(&s, 1, reason).n, i);
    struct arc a = visit(&s, 1, reason);
    assert_true(a.result == ARC_PASS && a.n == ARC_SETS_MAX);
    assert_false(arc_may_seal(&a));
    assert_int_equal(visit(&s, -1, reason).n, ARC_SETS_MAX);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole), cmocka_unit_test(broken), cmocka_unit_test(oldest), cmocka_unit_test(keys), cmocka_unit_test(many), cmocka_unit_test(costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
