/* SPDX-License-Identifier: Apache-2.0
 * DKIM: the RFCs' examples, each tag, keys of all kinds, signing. */
#include <stdio.h>
#include <openssl/x509.h>
#include "dkim_world.h"

#define ED "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ED_SECRET "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"
#define RSA "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/" \
            "BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

/* RFC 8463 §A.3 */
static const char signatures[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n";
static const char message[] =
    "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

static void examples(void **state)
{
    struct dns_table t = { 0 };
    struct buf all = { 0 };
    dns_add(&t, "brisbane._domainkey.football.example.com", AUTH_DNS_OK, ED);
    dns_add(&t, "test._domainkey.football.example.com", AUTH_DNS_OK, RSA)->late = 2;
    buf_add_str(&all, signatures);
    buf_add_str(&all, message);
    struct told told = judge(buf_slice(&all), &t, NULL);
    assert_string_equal(told.reason, "the signature verified");
    assert_int_equal(told.result, DKIM_PASS);
    assert_int_equal(told.rounds, 3);
    assert_int_equal(t.records[0].asked, 1); /* what is known is not asked again */
    assert_string_equal(told.identity, "@football.example.com");
    assert_string_equal(told.b, "/gCrinpc");
    assert_true(told.n == 2 && told.s.bits == 256 && told.s.time == 1528637909 && !told.s.testing && told.s.covers_from);

    struct slice rsa = slice_str(strstr(buf_cstr(&all), "\r\nDKIM-Signature") + 2); /* the other one alone */
    told = judge(slice_of(rsa.p, all.n - (size_t)(rsa.p - all.p)), &t, NULL);
    assert_true(told.result == DKIM_PASS && told.n == 1 && told.s.bits == 1024);
    *strstr((char *)(uintptr_t)buf_cstr(&all), "hungry") = 'H';
    told = judge(buf_slice(&all), &t, NULL);
    assert_string_equal(told.reason, "body hash did not verify");
    assert_int_equal(told.result, DKIM_FAIL);
    *strstr(all.p, "Hungry") = 'h';
    *strstr(all.p, "dinner") = 'D';
    told = judge(buf_slice(&all), &t, NULL);
    assert_string_equal(told.reason, "the signature did not verify");
    assert_int_equal(told.result, DKIM_FAIL);
    buf_deinit(&all);
    told = judge(slice_str(message), &t, NULL);
    assert_true(told.result == DKIM_NONE && told.n == 0);
}

static void put_hash(struct buf *out, const char *text, const char *hash)
{
    const char *mark = strstr(text, "BH");
    if (mark)
        buf_addf(out, "%.*s%s%s", (int)(mark - text), text, hash, mark + 2);
    else
        buf_add_str(out, text);
}

/* A message with a signature field made by hand: `before`, b=, `after` ("BH" in them is the body's hash); its only other field is From,
 * simple form. */
static void by_hand(struct buf *out, const char *before, const char *after, const char *body)
{
    struct err err;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    struct buf head = { 0 }, tail = { 0 }, hash = { 0 }, b = { 0 }, canonical = { 0 };
    struct dkim_key *k = dkim_key_parse(SLICE(ED_SECRET), &err);
    sha256(slice_str(body), digest);
    base64_add(&hash, slice_of(digest, 32));
    put_hash(&head, before, buf_cstr(&hash));
    put_hash(&tail, after, hash.p);
    buf_addf(&canonical, "From: joe@example.com\r\n%s", buf_cstr(&head));
    buf_add(&canonical, buf_slice(&tail));
    sha256(buf_slice(&canonical), digest);
    size_t n = dkim_key_sign(k, digest, signature);
    base64_add(&b, slice_of(signature, n));
    buf_clear(out);
    buf_addf(out, "%s \t%.20s\r\n %s \r\n\t%s\r\nFrom: joe@example.com\r\n\r\n%s", head.p, buf_cstr(&b), b.p + 20, buf_cstr(&tail), body);
    dkim_key_free(&k);
    buf_deinit(&head);
    buf_deinit(&tail);
    buf_deinit(&hash);
    buf_deinit(&b);
    buf_deinit(&canonical);
}

#define SIGNED(tags) "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH;" tags " b="

static void tags(void **state)
{
    static const struct {
        const char *before, *after;
        enum dkim_result result;
        const char *reason, *identity;
    } cases[] = {
        { SIGNED(""), "", DKIM_PASS, NULL, "" },
        { SIGNED(""), ";", DKIM_PASS, NULL, "" },
        { SIGNED(""), "; z=From:x|To:y; x_unknown=;", DKIM_PASS, NULL, "" },
        { "DkIM-SIGNATURE :b=", ";v\t=\r\n 1;a= ed25519-sha256 ;d =\texample.com;s= ed\r\n\t; h = from : From:X-No\r\n : Subject ; bh=BH ", DKIM_PASS, NULL, "" },
        { SIGNED("c=simple;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("c=simple/simple; q=dns/txt;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("q=x/y : dns/txt;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("q=x/y;"), "", DKIM_NEUTRAL, "the way to its key (q=) is not known", "" },
        { SIGNED("c=relaxed/none;"), "", DKIM_NEUTRAL, "the canonical form (c=) is not known", "" },
        { SIGNED("c=;"), "", DKIM_NEUTRAL, "the canonical form (c=) is not known", "" },
        { SIGNED("i=joe@EXAMPLE.com;"), "", DKIM_PASS, NULL, "joe@example.com" },
        { SIGNED("i=j=3Do=\r\n =3B@a.example.com;"), "", DKIM_NEUTRAL, "i= is malformed", "" },
        { SIGNED("i=j=3Do\r\n =3B@a.example.com;"), "", DKIM_PASS, NULL, "j=o;@a.example.com" },
        { SIGNED("i=@a.example.com;"), "", DKIM_PASS, NULL, "@a.example.com" },
        { SIGNED("i=a=40b@example.com;"), "", DKIM_PASS, NULL, "a@b@example.com" },
        { SIGNED("i=j=C3=B6@example.com;"), "", DKIM_PASS, NULL, "j\xc3\xb6@example.com" },
        { SIGNED("i=j=C3@example.com;"), "", DKIM_NEUTRAL, "i= is malformed", "" },
        { SIGNED("i=j=0D=0A@example.com;"), "", DKIM_NEUTRAL, "i= is malformed", "" },
        { SIGNED("i=example.com;"), "", DKIM_NEUTRAL, "i= is malformed", "" },
        { SIGNED("i=;"), "", DKIM_NEUTRAL, "i= is malformed", "" },
        { SIGNED("i=@xexample.com;"), "", DKIM_PERMERROR, "i= is outside of d=", "" },
        { SIGNED("i=@com;"), "", DKIM_PERMERROR, "i= is outside of d=", "" },
        { SIGNED("t=1600000000; x=1700000000;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("t=1600000000; x=1699999999;"), "", DKIM_POLICY, "the signature has expired", "" },
        { SIGNED("t=1600000000; x=1600000000;"), "", DKIM_NEUTRAL, "x= is not after t=", "" },
        { SIGNED("t=1700086400;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("t=1700086401;"), "", DKIM_POLICY, "the signature is from the future", "" },
        { SIGNED("t=;"), "", DKIM_NEUTRAL, "t= is malformed", "" },
        { SIGNED("t=-1;"), "", DKIM_NEUTRAL, "t= is malformed", "" },
        { SIGNED("t=1600000000; x=999999999999;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("x=1000000000000;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("x=10000000000OO;"), "", DKIM_NEUTRAL, "x= is malformed", "" },
        { SIGNED("x=;"), "", DKIM_NEUTRAL, "x= is malformed", "" },
        { SIGNED("t=99999999999999999999999;"), "", DKIM_POLICY, "the signature is from the future", "" },
        { SIGNED("l=6;"), "", DKIM_PASS, NULL, "" },
        { SIGNED("l=7;"), "", DKIM_FAIL, "l= is larger than the body", "" },
        { SIGNED("l=99999999999999999999999999999;"), "", DKIM_FAIL, "l= is larger than the body", "" },
        { SIGNED("l=0;"), "", DKIM_FAIL, "body hash did not verify", "" },
        { SIGNED("l=-6;"), "", DKIM_NEUTRAL, "l= is malformed", "" },
        { SIGNED("l=;"), "", DKIM_NEUTRAL, "l= is malformed", "" },
        { SIGNED("l=6;l=6;"), "", DKIM_NEUTRAL, "a tag is there twice", "" },
        { SIGNED("oops;"), "", DKIM_NEUTRAL, "a tag has no \"=\"", "" },
        { "DKIM-Signature: v=2; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "v= is not 1", "" },
        { "DKIM-Signature: a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "there is no v=", "" },
        { "DKIM-Signature: v=1; d=example.com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "there is no a=", "" },
        { "DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=ed; h=from; bh=BH; b=", "", DKIM_PERMERROR, "rsa-sha1 proves nothing any more", "" },
        { "DKIM-Signature: v=1; a=rsa-md5; d=example.com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "the algorithm (a=) is not known", "" },
        { "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=ed; h=from; bh=BH; b=", "", DKIM_PERMERROR, "the key is of another type than a= says", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "there is no d=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=com; s=ed; h=from; bh=BH; b=", "", DKIM_PERMERROR, "no key at ed._domainkey.com", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=exa mple.com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "d= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com.; s=ed; h=from; bh=BH; b=", "", DKIM_PASS, NULL, "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com..; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "d= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=.; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "d= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=EXAMPLE.com; s=ED; h=from; bh=BH; b=", "", DKIM_PASS, NULL, "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "there is no s=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=e..d; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "s= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; bh=BH; b=", "", DKIM_NEUTRAL, "there is no h=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=; bh=BH; b=", "", DKIM_NEUTRAL, "there is no h=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from::to; bh=BH; b=", "", DKIM_PASS, NULL, "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=:; bh=BH; b=", "", DKIM_PERMERROR, "From is not signed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from:dkim-signature; bh=BH; b=", "", DKIM_FAIL, "the signature did not verify", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=fr om; bh=BH; b=", "", DKIM_NEUTRAL, "h= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=to:date; bh=BH; b=", "", DKIM_PERMERROR, "From is not signed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; x_bh=BH; b=", "", DKIM_NEUTRAL, "there is no bh=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; x_bh=BH; bh=AAAA; b=", "", DKIM_NEUTRAL, "bh= is no SHA-256 hash", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH; b=!", "", DKIM_NEUTRAL, "b= is not base64", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH; x_b=", "", DKIM_NEUTRAL, "there is no b=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=none; h=from; bh=BH; b=", "", DKIM_PERMERROR, "no key at none._domainkey.example.com", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=b\xc3\xbc" "cher.example; s=\xc3\xb6; h=from; bh=BH; b=", "", DKIM_PASS, NULL, "" }, /* RFC 8616 */
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        struct dns_table t = { 0 };
        dns_add(&t, "ed._domainkey.example.com", AUTH_DNS_OK, ED);
        dns_add(&t, "xn--nda._domainkey.xn--bcher-kva.example", AUTH_DNS_OK, ED);
        by_hand(&out, cases[i].before, cases[i].after, "hey!\r\n");
        struct told told = judge(buf_slice(&out), &t, NULL);
        if (told.result != cases[i].result) print_error("%s: %s\n", cases[i].before, told.reason);
        assert_int_equal(told.result, cases[i].result);
        if (cases[i].reason) assert_string_equal(told.reason, cases[i].reason);
        if (!cases[i].reason) assert_string_equal(told.identity, cases[i].identity);
    }
    buf_deinit(&out);
}

static void keys(void **state)
{
    static const struct {
        const char *tags, *first, *second;
        enum auth_dns_status status;
        enum dkim_result result;
        const char *reason;
    } cases[] = {
        { "", ED, NULL, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "", NULL, NULL, AUTH_DNS_TEMPFAIL, DKIM_TEMPERROR, "DNS did not answer for ed._domainkey.example.com" },
        { "", NULL, NULL, AUTH_DNS_NODATA, DKIM_PERMERROR, "no key at ed._domainkey.example.com" },
        { "", NULL, NULL, AUTH_DNS_NXDOMAIN, DKIM_PERMERROR, "no key at ed._domainkey.example.com" },
        { "", "v=DKIM1; p=", NULL, AUTH_DNS_OK, DKIM_PERMERROR, "the key is revoked" },
        { "", "v=spf1 -all", NULL, AUTH_DNS_OK, DKIM_PERMERROR, "key at ed._domainkey.example.com: v= is not DKIM1" },
        { "", "v=spf1 -all", ED, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "", ED "; t=y", NULL, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "", RSA, ED, AUTH_DNS_OK, DKIM_PASS, "the signature verified" }, /* §6.1.2: one after the other */
        { "", ED, RSA, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "", "v=DKIM1; p=", ED, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "", RSA, "v=DKIM1; p=", AUTH_DNS_OK, DKIM_PERMERROR, "the key is revoked" },
        { "", "k=ed25519; p=/cHURo11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaa=", NULL, AUTH_DNS_OK, DKIM_FAIL, "the signature did not verify" },
        { "", ED "; h=sha1", NULL, AUTH_DNS_OK, DKIM_PERMERROR, "the key is not for SHA-256 (h=)" },
        { "", ED "; s=tlsrpt", NULL, AUTH_DNS_OK, DKIM_PERMERROR, "the key is not for mail (s=)" },
        { "", ED "; t=s", NULL, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "i=joe@example.com;", ED "; t=s", NULL, AUTH_DNS_OK, DKIM_PASS, "the signature verified" },
        { "i=joe@a.example.com;", ED "; t=s", NULL, AUTH_DNS_OK, DKIM_PERMERROR, "the key allows no subdomain in i= (t=s)" },
        { "l=4;", ED, NULL, AUTH_DNS_OK, DKIM_POLICY, "the signature leaves the body's end out (l=)" },
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        struct dns_table t = { 0 };
        char before[300];
        snprintf(before, sizeof before, "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH;%s b=", cases[i].tags);
        dns_add(&t, "ed._domainkey.example.com", cases[i].status, cases[i].first)->late = (unsigned)i % 3;
        if (cases[i].second) dns_add(&t, "ed._domainkey.example.com", cases[i].status, cases[i].second);
        bool part = cases[i].result == DKIM_POLICY;
        by_hand(&out, before, "", part ? "abcd" : "abcd\r\n"); /* the hash of all that is there */
        if (part) buf_add_str(&out, "e\r\n");
        struct told told = judge(buf_slice(&out), &t, NULL);
        assert_string_equal(told.reason, cases[i].reason);
        assert_int_equal(told.result, cases[i].result);
        assert_int_equal(told.s.testing, cases[i].first && strstr(cases[i].first, "t=y") != NULL);
        assert_int_equal(told.rounds, i % 3 + 1);
        if (!part) continue;
        assert_true(told.s.length == 4 && told.s.body == 7);
        struct dkim_options o = { .trust_length = true };
        assert_int_equal(judge(buf_slice(&out), &t, &o).result, DKIM_PASS);
    }
    buf_deinit(&out);
}

/* Signs with a key that is made for it. */
static void sign(struct buf *out, struct slice text, const struct dkim_sign_options *o, const struct dkim_key *k)
{
    struct mail m;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    mail_begin(&m, text);
    struct dkim_signer *s = dkim_sign_begin(o, &m.header, m.body, &m.arena);
    assert_non_null(s);
    mail_push(&m);
    dkim_sign_digest(s, digest);
    size_t n = dkim_key_sign(k, digest, signature);
    buf_clear(out);
    dkim_sign_finish(s, slice_of(signature, n), out);
    mail_end(&m);
}

static void check_lines(struct slice field)
{
    struct slice line;
    while (slice_cut(&field, '\n', &line) || line.n) assert_true(line.n <= 79 && line.p[line.n - 1] == '\r');
}

static void signing(void **state)
{
    static const char *const bodies[] = { "", "\r\n", "a", "a \r\n\r\n", "  a\tb \r\n\r\n \r\n", "\x80\xff\r\n" };
    struct err err;
    struct buf field = { 0 }, all = { 0 }, record = { 0 };
    for (int type = DKIM_RSA; type <= DKIM_ED25519; type++) {
        struct dkim_key *k = dkim_key_new((enum dkim_key_type)type, 1024, &err);
        struct dns_table t = { 0 };
        buf_clear(&record);
        dkim_key_record(k, false, &record);
        dns_add(&t, "s2026._domainkey.example.com", AUTH_DNS_OK, buf_cstr(&record));
        for (size_t i = 0; i < 4 * countof(bodies); i++) {
            struct dkim_sign_options o = { .domain = SLICE("Example.COM"), .selector = SLICE("s2026"), .type = (enum dkim_key_type)type,
                                           .identity = SLICE("j=;\xc3\xb6 x@sub.example.com"), .header_canon = i & 1, .body_canon = i >> 1 & 1,
                                           .time = NOW, .expires = NOW + 100 };
            buf_clear(&all);
            buf_addf(&all, "Received: x\r\nList-Id: a\r\nlist-ID:  b\r\nFROM: joe@example.com\r\nSubject:  a\r\n  b\r\nX-Y: z\r\n\r\n%s", bodies[i / 4]);
            sign(&field, buf_slice(&all), &o, k);
            check_lines(buf_slice(&field));
            size_t n = field.n;
            buf_add(&field, buf_slice(&all));
            struct told told = judge(buf_slice(&field), &t, NULL);
            assert_string_equal(told.reason, "the signature verified");
            assert_string_equal(told.identity, "j=;\xc3\xb6 x@sub.example.com");
            assert_string_equal(told.domain, "example.com");
            assert_true(told.s.time == NOW && told.s.expires == NOW + 100 && told.s.length == UINT64_MAX);
            assert_true(told.s.header_canon == o.header_canon && told.s.body_canon == o.body_canon);
            /* Fields that are signed cannot be added (oversigning), others can. */
            static const char *const more[] = { "From: eve@example.com\r\n", "To: eve\r\n", "Content-Type: x\r\n" };
            for (size_t j = 0; j < countof(more); j++) {
                buf_clear(&all);
                buf_add_str(&all, more[j]);
                buf_add(&all, buf_slice(&field));
                assert_int_equal(judge(buf_slice(&all), &t, NULL).result, DKIM_FAIL);
            }
            buf_clear(&all);
            buf_add_str(&all, "Received: y\r\nX-Y: y\r\nList-Id: c\r\nSender: z\r\n");
            buf_add(&all, buf_slice(&field));
            assert_int_equal(judge(buf_slice(&all), &t, NULL).result, DKIM_PASS);
            assert_true(n < 1000);
        }
        dkim_key_free(&k);
    }
    buf_deinit(&field);
    buf_deinit(&all);
    buf_deinit(&record);
}

/* RFC 8463 §A.2's key gives the same field each time. */
static void field_text(void **state)
{
    static const struct slice names[] = { { "subject", 7 }, { "X-None", 6 }, { "To", 2 }, { "Subject", 7 } }, over[] = { { "To", 2 }, { "X-Over", 6 } };
    struct err err;
    struct buf field = { 0 };
    struct dkim_key *k = dkim_key_parse(SLICE(ED_SECRET), &err);
    struct dkim_sign_options o = { .domain = SLICE("football.example.com"), .selector = SLICE("brisbane"), .type = DKIM_ED25519,
                                   .header_canon = AUTH_RELAXED, .body_canon = AUTH_RELAXED, .time = 1528637909 };
    sign(&field, slice_str(message), &o, k);
    assert_string_equal(buf_cstr(&field),
                        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\td=football.example.com; s=brisbane; t=1528637909; h=From:From:To:To:Cc:\r\n"
                        "\tSubject:Subject:Date:Date:Reply-To:Message-ID:Message-ID:In-Reply-To:\r\n"
                        "\tReferences:MIME-Version:Content-Type:Content-Transfer-Encoding;\r\n"
                        "\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=m2qjfiVIC2etcnirmHK5j5JS3f\r\n"
                        "\tVVxI5LNwlaTAgBanlGwe9Ge6LjD91vWysE1kjWq51shfT1xPOI+Ie5gx/YAA==\r\n");
    o.domain = SLICE("b.example");
    o.headers = names;
    o.headers_n = countof(names);
    sign(&field, slice_str(message), &o, k);
    assert_non_null(strstr(buf_cstr(&field), "h=From:From:subject:subject:To:To;")); /* oversigned where listed */
    o.oversign = over;
    o.oversign_n = countof(over);
    sign(&field, slice_str(message), &o, k);
    assert_non_null(strstr(buf_cstr(&field), "h=From:From:subject:To:To:X-Over;"));
    dkim_key_free(&k);
    buf_deinit(&field);
}

/* h= walks from the bottom (§5.4.2): a field more at the top is not covered, one at the bottom is. */
static void from_bottom(void **state)
{
    static const struct slice names[] = { { "Received", 8 }, { "Received", 8 } };
    struct err err;
    struct dns_table t = { 0 };
    struct buf field = { 0 }, all = { 0 };
    struct dkim_key *k = dkim_key_parse(SLICE(ED_SECRET), &err);
    dns_add(&t, "b._domainkey.example.com", AUTH_DNS_OK, ED);
    struct dkim_sign_options o = { .domain = SLICE("example.com"), .selector = SLICE("b"), .type = DKIM_ED25519, .headers = names, .headers_n = 2 };
    sign(&field, SLICE("Received: 2\r\nReceived: 1\r\nFrom: a@b\r\n\r\nx\r\n"), &o, k);
    static const struct {
        const char *header;
        enum dkim_result result;
    } cases[] = {
        { "Received: 2\r\nReceived: 1\r\nFrom: a@b\r\n", DKIM_PASS },
        { "Received: 3\r\nReceived: 2\r\nFrom: a@b\r\nReceived: 1\r\n", DKIM_PASS },
        { "Received: 2\r\nReceived: 1\r\nReceived: 0\r\nFrom: a@b\r\n", DKIM_FAIL },
        { "Received: 1\r\nReceived: 2\r\nFrom: a@b\r\n", DKIM_FAIL },
        { "Received: 1\r\nFrom: a@b\r\n", DKIM_FAIL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        buf_clear(&all);
        buf_addf(&all, "%s%s\r\nx\r\n", buf_cstr(&field), cases[i].header);
        assert_int_equal(judge(buf_slice(&all), &t, NULL).result, cases[i].result);
    }
    dkim_key_free(&k);
    buf_deinit(&field);
    buf_deinit(&all);
}

static void small_keys(void **state)
{
    static const unsigned sizes[] = { 512, 768, 1016 };
    for (size_t i = 0; i < countof(sizes); i++) { /* RFC 8301 §3.2 */
        unsigned char *der = NULL;
        EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)sizes[i]);
        struct buf record = { 0 }, out = { 0 };
        struct dns_table t = { 0 };
        char reason[80];
        int n = i2d_PUBKEY(k, &der);
        buf_add_str(&record, "p=");
        base64_add(&record, slice_of(der, (size_t)n));
        dns_add(&t, "ed._domainkey.example.com", AUTH_DNS_OK, buf_cstr(&record));
        by_hand(&out, "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=ed; h=from; bh=BH; b=", "", "x\r\n");
        struct told told = judge(buf_slice(&out), &t, NULL);
        snprintf(reason, sizeof reason, "the key has %u bits; 1024 are needed", sizes[i]);
        assert_string_equal(told.reason, reason);
        assert_true(told.result == DKIM_POLICY && told.s.bits == sizes[i]);
        struct dkim_options o = { .rsa_min = 512 };
        assert_int_equal(judge(buf_slice(&out), &t, &o).result, DKIM_FAIL);
        OPENSSL_free(der);
        EVP_PKEY_free(k);
        buf_deinit(&record);
        buf_deinit(&out);
    }
}

static void bounds(void **state)
{
    struct dns_table t = { 0 };
    struct buf all = { 0 };
    struct dkim_options o = { .signatures_max = 2 };
    dns_add(&t, "brisbane._domainkey.football.example.com", AUTH_DNS_OK, ED);
    dns_add(&t, "test._domainkey.football.example.com", AUTH_DNS_OK, RSA);
    for (int i = 0; i < 2; i++) buf_add_str(&all, "DKIM-Signature: v=1\r\n");
    buf_add_str(&all, signatures);
    buf_add_str(&all, message);
    struct told told = judge(buf_slice(&all), &t, &o); /* the good ones are beyond what is judged */
    assert_true(told.result == DKIM_POLICY && told.n == 4);
    o.signatures_max = 3;
    assert_int_equal(judge(buf_slice(&all), &t, &o).result, DKIM_PASS);

    struct buf many = { 0 };
    for (int i = 0; i < AUTH_FIELDS_MAX; i++) buf_add_str(&many, "X: y\r\n");
    buf_add(&many, buf_slice(&all));
    assert_int_equal(judge(buf_slice(&many), &t, NULL).n, 0); /* beyond the header's limit: not even seen */
    buf_clear(&many);
    buf_add(&many, slice_of(signatures, strlen(signatures)));
    for (int i = 0; i < AUTH_FIELDS_MAX; i++) buf_add_str(&many, "X: y\r\n");
    buf_add_str(&many, message);
    told = judge(buf_slice(&many), &t, NULL);
    assert_string_equal(told.reason, "the header is too large to be judged");
    assert_int_equal(told.result, DKIM_PERMERROR);

    buf_clear(&many);
    buf_add_str(&many, "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA; h=from");
    for (int i = 0; i < 1024; i++) buf_add_str(&many, ":a");
    buf_add_str(&many, "\r\nFrom: a\r\n\r\n");
    assert_string_equal(judge(buf_slice(&many), &t, NULL).reason, "h= has too many names");
    buf_deinit(&many);
    buf_deinit(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples), cmocka_unit_test(tags), cmocka_unit_test(keys), cmocka_unit_test(signing), cmocka_unit_test(field_text),
        cmocka_unit_test(from_bottom), cmocka_unit_test(small_keys), cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
