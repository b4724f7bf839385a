/* SPDX-License-Identifier: Apache-2.0
 * Conversion to 7-bit: what becomes of each kind of part, and of header fields. That bodies come out the same is shown with another
 * program's eyes in tests/integration/test_8bit.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/mem.h"
#include "message/convert.h"
#include "message/encode.h"

static struct buf out;
static const char *refused;

static const char *run(struct slice in, size_t piece)
{
    struct convert *v = convert_new();
    buf_clear(&out);
    for (size_t at = 0; at < in.n; at += piece) convert_push(v, slice_sub(in, at, at + piece), &out);
    convert_end(v, &out);
    refused = convert_refused(v);
    convert_free(&v);
    return buf_cstr(&out);
}

static void becomes(const char *in, const char *expected)
{
    static const size_t pieces[] = { 1000000, 1, 3, 7 };
    for (size_t i = 0; i < countof(pieces); i++) {
        assert_string_equal(run(slice_str(in), pieces[i]), expected);
        assert_null(refused);
    }
}

static void leaves(void **state)
{
    becomes("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8BIT\r\nX: y\r\n\r\nGr\xC3\xBC\xC3\x9F" "e = \r\nend\r\n",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "Gr=C3=BC=C3=9Fe =3D=20\r\nend\r\n");
    becomes("A: b\r\n\r\n\xE4\r\n", "A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
                                   "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n");
    becomes("MIME-Version: 1.0\r\nContent-Type: application/x; a=b\r\nContent-Transfer-Encoding: binary\r\n\r\n\xFF\r\nx\r\n",
            "MIME-Version: 1.0\r\nContent-Type: application/x; a=b\r\nContent-Transfer-Encoding: base64\r\n\r\n/w0KeA0K\r\n");
    becomes("A: b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n", "A: b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nplain\r\n");
    becomes("A: b\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n", "A: b\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Q=\r\n");
    becomes("A: b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3\xE4\r\n",
            "A: b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=E4\r\n");
    becomes("A: b", "A: b\r\n\r\n");
    becomes("", "\r\n");
}

static void multiparts(void **state)
{
    becomes("MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"x y\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre \xE4\r\n--x y\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n\xE4\r\n\r\n--x y\r\nContent-Type: image/x\r\n\r\n\xE4\r\n--x y \r\n\r\nascii\r\n--x y--\r\nepi\r\n",
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"x y\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\npre ?\r\n--x y\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n\r\n--x y\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            "5A==\r\n--x y\r\n\r\nascii\r\n--x y--\r\nepi\r\n");
    becomes("Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: x\r\n\r\n\xE4\r\n--d--\r\n",
            "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
            "charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n--d--\r\n");
    becomes("Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\n\r\n\xE4", /* unterminated */
            "Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n");
}

static void what_cannot_be_converted(void **state)
{
    run(SLICE("Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\xE4\r\n--s--\r\n"), 9);
    assert_non_null(refused);
    becomes("Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nA: b\r\n\r\n=\r\n--s--\r\n\r\n",
            "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nA: b\r\n\r\n=\r\n--s--\r\n\r\n");
    run(SLICE("Content-Transfer-Encoding: x-uuencode\r\n\r\n\xE4\r\n"), 9);
    assert_non_null(refused);
    struct buf deep = { 0 };
    for (int i = 0; i < 30; i++) buf_addf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    run(buf_slice(&deep), 1000);
    assert_non_null(refused);
    buf_deinit(&deep);
}

static void field(const char *in, const char *expected)
{
    buf_clear(&out);
    encode_field(slice_str(in), &out);
    assert_string_equal(buf_cstr(&out), expected);
}

static void fields(void **state)
{
    field("Subject: Gr\xC3\xBC\xC3\x9F" "e", "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n");
    field("Subject: A \xE4 b\r\n \xE4 c", "Subject: A\r\n =?unknown-8bit?B?5CBiIOQ=?=\r\n c\r\n");
    field("From: J\xC3\xB6rg X <j@x.example>, \"\xC3\x84, B\" <b@x.example>, c@x.example",
          "From: =?utf-8?B?SsO2cmcgWA==?= <j@x.example>, =?utf-8?B?w4QsIEI=?= <b@x.example>, c@x.example\r\n");
    field("Content-Type: text/plain; name=\xE4", "Content-Type: text/plain; name=?\r\n");
    field("X-A: b\r\n\tc", "X-A: b\r\n\tc\r\n");
    field(" a\xE4:b", " a?:b\r\n"); /* the rest of a long one does not become a field */
}

static void large_parts_are_not_held(void **state)
{
    struct buf in = { 0 };
    buf_add_str(&in, "Content-Type: text/plain\r\n\r\n");
    for (int i = 0; i < 20000; i++) buf_add_str(&in, "plain text in lines\r\n");
    struct convert *v = convert_new();
    buf_clear(&out);
    convert_push(v, slice_sub(buf_slice(&in), 0, 100000), &out);
    assert_true(out.n > 90000);
    convert_push(v, slice_sub(buf_slice(&in), 100000, in.n), &out);
    convert_end(v, &out);
    convert_free(&v);
    assert_non_null(strstr(buf_cstr(&out), "quoted-printable"));
    buf_deinit(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves), cmocka_unit_test(multiparts), cmocka_unit_test(what_cannot_be_converted),
        cmocka_unit_test(fields), cmocka_unit_test(large_parts_are_not_held),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_deinit(&out);
    return failed;
}
