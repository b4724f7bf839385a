/* SPDX-License-Identifier: Apache-2.0
 * SRS: there and back, with addresses as other programs make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/mem.h"
#include "mailauth/srs.h"

#define DAY 86400000ull
#define NOW (20000 * DAY + 5)

static const struct srs_key keys[] = { { { "tops3cret", 9 } }, { { "older", 5 } } };

static struct srs setup(unsigned hash_n)
{
    return (struct srs){ .keys = keys, .keys_n = 1, .domain = SLICE("fwd.example"), .hash_n = hash_n };
}

static struct srs as_others(void)
{
    struct srs s = setup(4);
    s.shared = true;
    return s;
}

static const char *forward(struct srs s, const char *sender, uint64_t now)
{
    static struct buf b;
    buf_clear(&b);
    return srs_forward(&s, slice_str(sender), now, &b) ? buf_cstr(&b) : "false";
}

static const char *reverse(struct srs s, const char *rcpt, uint64_t now)
{
    static struct buf b;
    static const char *const names[] = { "not", "ok", "forged", "expired" };
    buf_clear(&b);
    enum srs_outcome o = srs_reverse(&s, slice_str(rcpt), now, &b);
    if (o != SRS_OK) assert_int_equal(b.n, 0);
    return o == SRS_OK ? buf_cstr(&b) : names[o];
}

/* Addresses that Mail::SRS 0.31 made of the same secret with a hash of four characters. */
static void peers(void **state)
{
    static const struct {
        const char *sender, *srs;
    } cases[] = {
        { "joe@example.com", "SRS0=8JmC=RA=example.com=joe@fwd.example" },
        { "Joe.User@Example.COM", "SRS0=hAf7=RA=Example.COM=Joe.User@fwd.example" },
        { "prvs=123=joe@example.com", "SRS0=doZl=RA=example.com=prvs=123=joe@fwd.example" },
        { "a+b@x.example", "SRS0=WyCH=RA=x.example=a+b@fwd.example" },
        { "SRS0=HHHH=TT=example.com=joe@first.example", "SRS1=Jq9q=first.example==HHHH=TT=example.com=joe@fwd.example" },
        { "SRS0+HHHH=TT=example.com=joe@first.example", "SRS1=dmcn=first.example=+HHHH=TT=example.com=joe@fwd.example" },
        { "SRS0-abcd=AB=Example.com=J@First.example", "SRS1=2UkN=First.example=-abcd=AB=Example.com=J@fwd.example" },
        { "SRS1=GGGG=first.example==HHHH=TT=example.com=joe@second.example", "SRS1=Jq9q=first.example==HHHH=TT=example.com=joe@fwd.example" },
        { "srs1+GGGG=first.example=-HHHH=TT=example.com=joe@second.example", "SRS1=kxjS=first.example=-HHHH=TT=example.com=joe@fwd.example" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        assert_string_equal(forward(as_others(), cases[i].sender, NOW), cases[i].srs);
        if (!slice_istarts(slice_str(cases[i].sender), SLICE("SRS"))) assert_string_equal(reverse(as_others(), cases[i].srs, NOW), cases[i].sender);
    }
}

/* Where a domain ends is signed, too. */
static void borders(void **state)
{
    char address[300];
    snprintf(address, sizeof address, "%s", forward(setup(0), "mjoe@example.co", NOW));
    char *at = strstr(address, "example.co=mjoe");
    assert_non_null(at);
    assert_string_equal(reverse(setup(0), address, NOW), "mjoe@example.co");
    memcpy(at, "example.com=joe", 15);
    assert_string_equal(reverse(setup(0), address, NOW), "forged");
}

static void there_and_back(void **state)
{
    static const char *const senders[] = {
        "joe@example.com", "joe=x=y@example.com", "o'neil+tag@example.com", "\"joe smith\"@example.com", "\"a@b\"@example.com",
        "\"a\\\"b\\\\c\"@example.com", "joe@[192.0.2.1]", "j\xc3\xb6@b\xc3\xbc" "cher.example", "SRS0@example.com", "SRS0x=a@example.com",
        "srs1=only@example.com", "SRS2=a=b@example.com",
    };
    for (size_t i = 0; i < countof(senders); i++) {
        char srs[300];
        snprintf(srs, sizeof srs, "%s", forward(setup(0), senders[i], NOW));
        assert_string_not_equal(srs, "false");
        assert_string_equal(reverse(setup(0), srs, NOW), senders[i]);
        assert_string_equal(reverse(setup(0), srs, NOW + 21 * DAY), senders[i]);
        assert_string_equal(reverse(setup(0), srs, NOW - DAY), senders[i]);
        assert_string_equal(reverse(setup(0), srs, NOW + 22 * DAY), "expired");
        assert_string_equal(reverse(setup(0), srs, NOW - 2 * DAY), "expired");
        for (char *p = srs; *p; p++) /* a server that folds letter case */
            if (*p >= 'A' && *p <= 'Z') *p |= 0x20;
        assert_string_not_equal(reverse(setup(0), srs, NOW), "forged");
    }
    assert_string_equal(forward(setup(0), "joe@FWD.example", NOW), "joe@FWD.example");
    assert_string_equal(forward(setup(0), "SRS0=x@fwd.example", NOW), "SRS0=x@fwd.example");
}

static void several_stations(void **state)
{
    struct srs second = { .keys = keys + 1, .keys_n = 1, .domain = SLICE("second.example") };
    struct srs third = { .keys = keys + 1, .keys_n = 1, .domain = SLICE("third.example") };
    char first[300], outer[300], again[300];
    snprintf(first, sizeof first, "%s", forward(setup(0), "joe@example.com", NOW));
    snprintf(outer, sizeof outer, "%s", forward(second, first, NOW));
    assert_true(strncmp(outer, "SRS1=", 5) == 0 && strstr(outer, "=fwd.example=="));
    snprintf(again, sizeof again, "%s", forward(third, outer, NOW));
    assert_true(strlen(again) == strlen(outer) - 1);
    assert_string_equal(reverse(second, outer, NOW + 400 * DAY), first); /* the day is the first one's to check */
    assert_string_equal(reverse(third, again, NOW), first);
    assert_string_equal(reverse(setup(0), first, NOW), "joe@example.com");
    outer[6] = outer[6] == 'x' ? 'y' : 'x';
    assert_string_equal(reverse(second, outer, NOW), "forged");
    /* other separators are kept, as the first one wrote them */
    assert_non_null(strstr(forward(second, "SRS0+ab=cd=example.com=joe@fwd.example", NOW), "=fwd.example=+ab=cd="));
    assert_non_null(strstr(forward(second, "SRS1-HHHH=x.example=-ab=cd=example.com=joe@fwd.example", NOW), "=x.example=-ab=cd="));
    assert_non_null(strstr(forward(second, "SRS1=x.example==ab=cd=example.com=joe@fwd.example", NOW), "=x.example==ab=cd="));
    assert_string_equal(reverse(second, "SRS1=x.example==ab=cd=example.com=joe@second.example", NOW), "forged");
}

static void rotation(void **state)
{
    struct srs s = setup(0), old = { .keys = keys + 1, .keys_n = 1, .domain = SLICE("fwd.example") };
    char address[300];
    snprintf(address, sizeof address, "%s", forward(old, "joe@example.com", NOW));
    assert_string_equal(reverse(s, address, NOW), "forged");
    s.keys_n = 2;
    assert_string_equal(reverse(s, address, NOW), "joe@example.com");
    s.hash_n = 9;
    assert_string_equal(reverse(s, address, NOW), "forged"); /* shorter than wanted now */
    s.hash_n = 7;
    assert_string_equal(reverse(s, address, NOW), "joe@example.com");
    s.keys_n = 0;
    assert_string_equal(reverse(s, address, NOW), "forged");
    assert_string_equal(forward(s, "joe@example.com", NOW), "false");
}

static void malformed(void **state)
{
    static const struct {
        const char *rcpt, *outcome;
    } cases[] = {
        { "joe@fwd.example", "not" },
        { "SRS0@fwd.example", "not" },
        { "SRS0=@fwd.example", "not" },
        { "SRS0=a@fwd.example", "not" },
        { "SRS0=a=b=c@fwd.example", "not" },
        { "SRS0_a=b=c=d@fwd.example", "not" },
        { "SRS0=abcdefgh=AA=example.com=joe@other.example", "not" },
        { "SRS0=abcdefgh=AA=example.com=joe", "not" },
        { "SRS0=abcdefgh=AA=example.com=joe@fwd.example", "forged" },
        { "SRS0==AA=example.com=joe@fwd.example", "forged" },
        { "SRS1=a@fwd.example", "not" },
        { "SRS1=a=b@fwd.example", "not" },
        { "SRS1=a=b=@fwd.example", "forged" },
        { "", "not" },
        { "@fwd.example", "not" },
    };
    for (size_t i = 0; i < countof(cases); i++) assert_string_equal(reverse(setup(0), cases[i].rcpt, NOW), cases[i].outcome);
    assert_string_equal(forward(setup(0), "", NOW), "false");
    assert_string_equal(forward(setup(0), "joe", NOW), "false");
    assert_string_equal(forward(setup(0), "joe@", NOW), "false");
    assert_string_equal(forward(setup(0), "joe@x..y", NOW), "false");
    assert_string_equal(forward(setup(0), "\"j\x01\"@example.com", NOW), "false");
    char longest[300];
    memset(longest, 'a', sizeof longest);
    size_t taken = strlen("SRS0=hhhhhhhh=dd=example.com=@fwd.example");
    memcpy(longest + 254 - taken, "@example.com", 13);
    assert_int_equal(strlen(forward(setup(0), longest, NOW)), 254);
    assert_string_equal(reverse(setup(0), forward(setup(0), longest, NOW), NOW), longest);
    memcpy(longest + 254 - taken, "a@example.com", 14);
    assert_string_equal(forward(setup(0), longest, NOW), "false");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers),
        cmocka_unit_test(borders), cmocka_unit_test(there_and_back), cmocka_unit_test(several_stations),
        cmocka_unit_test(rotation), cmocka_unit_test(malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
