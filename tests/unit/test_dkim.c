/* SPDX-License-Identifier: Apache-2.0
 * DKIM: the RFCs' examples, each tag, keys of all kinds, signing. */
#include <stdio.h>
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

    struct slice rsa = slice_str(strstr(all.p, "\r\nDKIM-Signature") + 2); /* the other one alone */
    told = judge(slice_of(rsa.p, all.n - (size_t)(rsa.p - all.p)), &t, NULL);
    assert_true(told.result == DKIM_PASS && told.n == 1 && told.s.bits == 1024);
    *strstr(all.p, "hungry") = 'H';
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

/* A message with a signature field made by hand: `before`, b=, `after`; its only other field is From, simple form. */
static void by_hand(struct buf *out, const char *before, const char *after, const char *body)
{
    struct err err;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    struct buf text = { 0 }, hash = { 0 }, b = { 0 }, canonical = { 0 };
    struct dkim_key *k = dkim_key_parse(SLICE(ED_SECRET), &err);
    sha256(slice_str(body), digest);
    base64_add(&hash, slice_of(digest, 32));
    const char *mark = strstr(before, "BH");
    assert_non_null(mark);
    buf_addf(&text, "%.*s%s%s", (int)(mark - before), before, buf_cstr(&hash), mark + 2);
    buf_addf(&canonical, "From: joe@example.com\r\n%s%s", buf_cstr(&text), after);
    sha256(buf_slice(&canonical), digest);
    size_t n = dkim_key_sign(k, digest, signature);
    base64_add(&b, slice_of(signature, n));
    buf_clear(out);
    buf_addf(out, "%s \t%.20s\r\n %s \r\n\t%s\r\nFrom: joe@example.com\r\n\r\n%s", buf_cstr(&text), buf_cstr(&b), b.p + 20, after, body);
    dkim_key_free(&k);
    buf_deinit(&text);
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
        { SIGNED(""), "; z=From:x|To:y; x-unknown=;", DKIM_PASS, NULL, "" },
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
        { SIGNED("x=1000000000000;"), "", DKIM_NEUTRAL, "x= is malformed", "" },
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
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "d= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=exa mple.com; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "d= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com.; s=ed; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "d= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=EXAMPLE.com; s=ED; h=from; bh=BH; b=", "", DKIM_PASS, NULL, "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "there is no s=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=e..d; h=from; bh=BH; b=", "", DKIM_NEUTRAL, "s= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; bh=BH; b=", "", DKIM_NEUTRAL, "there is no h=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=; bh=BH; b=", "", DKIM_NEUTRAL, "there is no h=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from::to; bh=BH; b=", "", DKIM_NEUTRAL, "h= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=fr om; bh=BH; b=", "", DKIM_NEUTRAL, "h= is malformed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=to:date; bh=BH; b=", "", DKIM_PERMERROR, "From is not signed", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; x-bh=BH; b=", "", DKIM_NEUTRAL, "there is no bh=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; x-bh=BH; bh=AAAA; b=", "", DKIM_NEUTRAL, "bh= is no SHA-256 hash", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH; b=!", "", DKIM_NEUTRAL, "b= is not base64", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=ed; h=from; bh=BH; x-b=", "", DKIM_NEUTRAL, "there is no b=", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=none; h=from; bh=BH; b=", "", DKIM_PERMERROR, "no key at none._domainkey.example.com", "" },
        { "DKIM-Signature: v=1; a=ed25519-sha256; d=b\xc3\xbc" "cher.example; s=\xc3\xb6; h=from; bh=BH; b=", "", DKIM_PASS, NULL, "" }, /* RFC 8616 */
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        struct dns_table t = { 0 };
        dns_add(&t, "ed._domainkey.example.com", AUTH_DNS_OK, ED);
        dns_add(&t, "xn--nda._domainkey.xn--bcher-kva.example", AUTH_DNS_OK, ED);
        if (strstr(cases[i].before, "BH"))
            by_hand(&out, cases[i].before, cases[i].after, "hello\r\n" + 1);
        else { /* bh= is behind b= */
            uint8_t digest[32];
            struct buf text = { 0 }, hash = { 0 };
            sha256(SLICE("ello\r\n"), digest);
            base64_add(&hash, slice_of(digest, 32));
            const char *mark = strstr(cases[i].after, "BH");
            buf_addf(&text, "%.*s%s%s", (int)(mark - cases[i].after), cases[i].after, buf_cstr(&hash), mark + 2);
            struct buf begin = { 0 };
            buf_addf(&begin, "X-BH: x\r\n%s", cases[i].before);
            by_hand(&out, cases[i].before, buf_cstr(&text), "ello\r\n");
            buf_deinit(&begin);
            buf_deinit(&text);
            buf_deinit(&hash);
        }
        struct told told = judge(buf_slice(&out), &t, NULL);
        if (told.result != cases[i].result) print_error("%s: %s\n", cases[i].before, told.reason);
        assert_int_equal(told.result, cases[i].result);
        if (cases[i].reason) assert_string_equal(told.reason, cases[i].reason);
        if (!cases[i].reason) assert_string_equal(told.identity, cases[i].identity);
    }
    buf_deinit(&out);
}
