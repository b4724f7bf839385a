/* SPDX-License-Identifier: Apache-2.0
 * Authentication: known answers of the mechanisms, the users file, the brake, base64, what back ends' replies mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/internal.h"
#include "auth/methods.h"
#include "auth/users_file.h"
#include "base/base64.h"
#include "base/mem.h"

static void test_base64(void **state)
{
    static const char *const bad[] = { "A", "AA", "AAA", "=AAA", "A=AA", "AA=A", "AB==", "AAB=", "AA==AAAA", "AA\n=", "A A=", "####" };
    struct buf b = { 0 };
    for (size_t i = 0; i < countof(bad); i++) assert_false(base64_decode(slice_str(bad[i]), &b));
    assert_int_equal(b.n, 0);
    assert_true(base64_decode(SLICE(""), &b) && base64_decode(SLICE("Zm9vYg=="), &b));
    assert_true(slice_eq(buf_slice(&b), SLICE("foob")));
    buf_clear(&b);
    base64_add(&b, SLICE("fooba"));
    assert_true(slice_eq(buf_slice(&b), SLICE("Zm9vYmE=")));
    buf_deinit(&b);
}

/* RFC 7677 §3 */
static void test_scram(void **state)
{
    struct buf salt = { 0 }, out = { 0 };
    struct scram_secret secret;
    struct scram s = { 0 };
    bool proven;
    base64_decode(SLICE("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt);
    secret_scram(SLICE("pencil"), (unsigned char *)salt.p, salt.n, 4096, &secret);
    assert_null(scram_client_first(&s, SLICE("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")));
    assert_string_equal(s.name, "user");
    s.secret = secret;
    buf_add(&s.server_first, SLICE("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    buf_clear(&s.nonce);
    buf_add(&s.nonce, SLICE("rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"));
    assert_null(scram_client_final(&s, SLICE("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                             "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &proven, &out));
    assert_true(proven);
    assert_true(slice_eq(buf_slice(&out), SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    buf_deinit(&out);
    buf_deinit(&salt);
    scram_deinit(&s);
}

/* RFC 2195 §2 */
static void test_cram(void **state)
{
    struct cram_secret s;
    char hex[33];
    secret_cram(SLICE("tanstaaftanstaaf"), &s);
    secret_cram_response(&s, SLICE("<1896.697170952@postoffice.reston.mci.net>"), hex);
    assert_string_equal(hex, "b913a602c7eda7a495b4e6e7334d3890");
}

static void test_plain(void **state)
{
    struct slice name, password;
    assert_null(sasl_plain_split(slice_of("\0anna\0x", 7), &name, &password));
    assert_null(sasl_plain_split(slice_of("anna\0anna\0x", 11), &name, &password));
    assert_non_null(sasl_plain_split(slice_of("bert\0anna\0x", 11), &name, &password));
    assert_non_null(sasl_plain_split(slice_of("\0anna\0", 6), &name, &password));
    assert_non_null(sasl_plain_split(slice_of("\0\0x", 3), &name, &password));
    assert_non_null(sasl_plain_split(slice_of("\0a\0b\0c", 6), &name, &password));
    assert_non_null(sasl_plain_split(SLICE(""), &name, &password));
}

static void test_users(void **state)
{
    char path[] = "/tmp/postern-users-XXXXXX";
    struct err err;
    close(mkstemp(path));
    unlink(path);
    struct users_change add = { .name = SLICE("Anna@example.com"), .addresses = SLICE("a@b.example,@c.example"), .must_not_exist = true, .cram_md5 = true,
                                .group = -1 };
    struct buf secret = { 0 };
    assert_true(users_secret_make(SLICE("secret"), &secret, &err));
    add.secret = buf_slice(&secret);
    assert_true(users_file_change(path, &add, &err));
    assert_false(users_file_change(path, &add, &err));
    assert_int_equal(err.code, EEXIST);
    buf_wipe(&secret);
    struct users *u = users_new(path);
    struct auth_verdict v = { 0 };
    users_check(u, SLICE("anna@EXAMPLE.com"), SLICE("secret"), &v);
    assert_int_equal(v.outcome, AUTH_OK);
    assert_string_equal(v.account, "Anna@example.com");
    assert_int_equal(v.senders.n, strlen("a@b.example") + strlen("@c.example") + 2);
    users_check(u, SLICE("anna@example.com"), SLICE("Secret"), &v);
    assert_int_equal(v.outcome, AUTH_FAILED);
    struct user one, two;
    assert_false(users_find(u, SLICE("nobody"), &one, &v) || users_find(u, SLICE("NOBODY"), &two, &v));
    assert_memory_equal(one.scram.salt, two.scram.salt, sizeof one.scram.salt);
    assert_int_equal(one.scram.iterations, 16384);
    unlink(path);
    users_check(u, SLICE("anna@example.com"), SLICE("secret"), &v);
    assert_int_equal(v.outcome, AUTH_TEMPFAIL);
    auth_verdict_deinit(&v);
    users_free(u);
}

/* What a directory, but not the brake would take for the same name; and a file that was made by hand. */
static void test_names_and_files(void **state)
{
    static const char *const bad[] = { "", " anna", "anna ", "an  na", "anna\xc2\xa0", "\xe3\x80\x80" "anna", "an\nna", "\xc2\xad" };
    char path[] = "/tmp/postern-users-XXXXXX", text[1000] = "";
    struct buf b = { 0 };
    struct err err;
    for (size_t i = 0; i < countof(bad); i++, buf_clear(&b)) assert_false(secret_prepare_name(slice_str(bad[i]), &b));
    assert_true(secret_prepare_name(SLICE("Anna\xc2\xa0" "B"), &b));
    assert_true(slice_eq(buf_slice(&b), SLICE("Anna B")));
    buf_deinit(&b);
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "locked:!:::\n", 12), 12);
    assert_int_equal(fchmod(fd, 0600), 0);
    close(fd);
    struct users_change add = { .name = SLICE("anna"), .secret = SLICE("$y$x::"), .group = -1 };
    assert_true(users_file_change(path, &add, &err) && (add.name = SLICE("bert"), users_file_change(path, &add, &err)));
    FILE *f = fopen(path, "r");
    struct stat st;
    assert_true(fread(text, 1, sizeof text - 1, f) > 0 && fstat(fileno(f), &st) == 0);
    fclose(f);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_non_null(strstr(text, "#seed:"));
    assert_null(strstr(strstr(text, "#seed:") + 1, "#seed:"));
    struct users *u = users_new(path);
    struct auth_verdict v = { 0 };
    struct user one;
    users_check(u, SLICE("locked"), SLICE("!"), &v);
    assert_int_equal(v.outcome, AUTH_FAILED);
    assert_false(users_find(u, SLICE("locked"), &one, &v)); /* for no mechanism */
    users_dummy(u, SLICE("x"), &one);
    assert_true(slice_starts(slice_str(one.hash), SLICE("$y$"))); /* costs what the others cost, whoever is the first */
    users_free(u);
    auth_verdict_deinit(&v);
    unlink(path);
}

/* What may not get into the file: each would be a line of its own, or another field. */
static void test_changes_refused(void **state)
{
    static const char *const names[] = { "", "a:b", "#a", "a\nb", "a\tb", "\xff" }, *const lists[] = { "a@b.example\nx:y:::", "a", ",", "a@b.example,,c@d.example", "@", "a@b.example c@d.example", "@b\n.example", "**" },
                             *const secrets[] = { "", "x", "x:y:z", "x::\n", "x::\ny:z:::", "x:::", "::", "x y::" };
    char path[] = "/tmp/postern-users-XXXXXX";
    struct err err;
    struct users_change change = { .secret = SLICE("x::"), .group = -1 };
    close(mkstemp(path));
    for (size_t i = 0; i < countof(names); i++) {
        change.name = slice_str(names[i]);
        assert_false(users_file_change(path, &change, &err));
        assert_int_equal(err.code, EINVAL);
    }
    change.name = SLICE("anna");
    for (size_t i = 0; i < countof(lists); i++) {
        change.addresses = slice_str(lists[i]);
        assert_false(users_file_change(path, &change, &err));
        assert_int_equal(err.code, EINVAL);
    }
    change.addresses = SLICE("");
    for (size_t i = 0; i < countof(secrets); i++) {
        change.secret = slice_str(secrets[i]);
        assert_false(users_file_change(path, &change, &err));
    }
    change.secret = SLICE("x::");
    change.must_exist = true;
    assert_false(users_file_change(path, &change, &err));
    assert_int_equal(err.code, ESRCH);
    assert_false(users_password_ok(SLICE(""), &err) || users_password_ok(SLICE("a\0b"), &err) || users_password_ok(SLICE("a\nb"), &err));
    assert_true(users_password_ok(SLICE("x"), &err));
    struct stat st;
    assert_true(stat(path, &st) == 0 && st.st_size == 0);
    unlink(path);
}

static void test_brake(void **state)
{
    struct brake *b = brake_new(3, 1000, 5000, 100);
    struct ip a, c;
    char name[20];
    assert_true(ip_parse(SLICE("2001:db8::1"), &a) && ip_parse(SLICE("2001:db8::ffff"), &c));
    assert_int_equal(brake_failed(b, &a, SLICE("x"), 1), 250);
    assert_int_equal(brake_failed(b, &c, SLICE("y"), 2), 500); /* the same /64 */
    assert_true(brake_allows(b, &a, SLICE("x"), 3));
    brake_failed(b, &a, SLICE("z"), 4);
    assert_false(brake_allows(b, &c, SLICE(""), 5));
    for (unsigned i = 0; i < 1000; i++) { /* a flood does not free it */
        struct ip other = { .family = 4, .bytes = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };
        snprintf(name, sizeof name, "n%u", i);
        brake_failed(b, &other, slice_str(name), 6);
    }
    assert_false(brake_allows(b, &a, SLICE(""), 5003));
    assert_true(brake_allows(b, &a, SLICE(""), 5004));
    /* an account under attack stays open to who used it before */
    struct ip own = { .family = 4, .bytes = { 192, 0, 2, 1 } };
    brake_succeeded(b, &own, SLICE("anna"), 6000);
    for (uint8_t i = 0; i < 3; i++) brake_failed(b, &(struct ip){ .family = 4, .bytes = { 203, 0, 113, i } }, SLICE("ANNA"), 6001);
    assert_true(brake_allows(b, &own, SLICE("anna"), 6002));
    assert_false(brake_allows(b, &(struct ip){ .family = 4, .bytes = { 203, 0, 113, 9 } }, SLICE("anna"), 6002));
    brake_free(b);
}

static void test_backend_replies(void **state)
{
    static const struct {
        const char *line;
        enum auth_outcome imap;
    } lines[] = { { "c OK done", AUTH_OK }, { "c NO [AUTHENTICATIONFAILED] no", AUTH_FAILED }, { "c NO", AUTH_FAILED },
                  { "c NO [UNAVAILABLE] later", AUTH_TEMPFAIL }, { "c BAD what", AUTH_TEMPFAIL }, { "c ", AUTH_TEMPFAIL } };
    for (size_t i = 0; i < countof(lines); i++) {
        struct auth_verdict v = { 0 };
        assert_true(imap_judge(slice_str(lines[i].line), SLICE("c"), &v));
        assert_int_equal(v.outcome, lines[i].imap);
    }
    struct auth_verdict v = { 0 };
    struct buf challenge = { 0 };
    assert_false(imap_judge(SLICE("* OK x"), SLICE("c"), &v));
    assert_false(dovecot_judge(SLICE("OK\t2\tuser=anna"), &challenge, &v));
    assert_true(dovecot_judge(SLICE("OK\t1\tfoo\tuser=anna\tbar"), &challenge, &v));
    assert_string_equal(v.account, "anna");
    assert_true(dovecot_judge(SLICE("FAIL\t1\tuser=x\ttemp"), &challenge, &v) && v.outcome == AUTH_TEMPFAIL);
    assert_true(dovecot_judge(SLICE("CONT\t1\tQUJD"), &challenge, &v) && v.outcome == AUTH_CONTINUE && challenge.n == 3);
    buf_clear(&challenge);
    ldap_fill(&challenge, "(&(uid=%n)(o=%d))", SLICE("a*b)(@x\\y"));
    assert_true(slice_eq(buf_slice(&challenge), SLICE("(&(uid=a\\2ab\\29\\28)(o=x\\5cy))")));
    buf_deinit(&challenge);
}

static bool change_at(const char *path, const char *const *new_in, const char *word)
{
    struct err err = { .text = "" };
    struct users_change change = { .name = SLICE("anna"), .secret = SLICE("$y$x::"), .group = -1, .new_in = new_in };
    bool ok = users_file_change(path, &change, &err);
    if (!ok && !strstr(err.text, word)) fail_msg("%s: %s", path, err.text);
    return ok;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Whoever names the file, but is not root, chooses by that no file that is none. */
static void test_where_it_may_be(void **state)
{
    char base[] = "/tmp/postern-users-XXXXXX";
    assert_true(mkdtemp(base) && chdir(base) == 0 && mkdir("own", 0700) == 0 && mkdir("other", 0700) == 0 && symlink("own", "by-link") == 0);
    const char *const own[] = { "missing", "own", NULL };
    put("own/words", "some words\n");
    put("own/by-hand", "# mine\n\nbert:!:::\n");
    put("other/by-hand", "bert:!:::\n");
    put("other/made", "#seed:c2VlZA==\n");
    assert_true(change_at("own/new", own, "") && change_at("own/new", own, "") && change_at("by-link/new2", own, "") && change_at("own/by-hand", own, ""));
    assert_true(change_at("other/made", own, ""));
    assert_false(change_at("own/words", own, "no users file") || change_at("other/by-hand", own, "no users file") || change_at("other/new", own, "no users file"));
    assert_true(access("other/new", F_OK) != 0);
    assert_true(change_at("other/by-hand", NULL, "") && change_at("other/new", NULL, ""));
    assert_true(symlink("new", "own/link") == 0);
    assert_false(change_at("own/link", own, "symbolic link") || change_at("own/link", NULL, "symbolic link"));
    static const char *const made[] = { "own/words", "own/by-hand", "own/new", "own/new2", "own/link", "other/by-hand", "other/made", "other/new", "by-link" };
    for (size_t i = 0; i < countof(made); i++) assert_int_equal(unlink(made[i]), 0);
    assert_true(rmdir("own") == 0 && rmdir("other") == 0 && chdir("/") == 0 && rmdir(base) == 0); /* nothing else was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64), cmocka_unit_test(test_scram), cmocka_unit_test(test_cram), cmocka_unit_test(test_plain),
        cmocka_unit_test(test_users), cmocka_unit_test(test_names_and_files), cmocka_unit_test(test_changes_refused), cmocka_unit_test(test_where_it_may_be),
        cmocka_unit_test(test_brake), cmocka_unit_test(test_backend_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
