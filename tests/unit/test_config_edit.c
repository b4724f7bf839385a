/* SPDX-License-Identifier: Apache-2.0
 * Changing the text of the file: JSON as YAML, entries of lists put in, moved and taken away, secrets that stay as they were. */
#include "config/edit.h"
#include "config/secret.h"
#include "config_world.h"

static json_t *json_of(const char *text)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &e);
    if (!v) fail_msg("%s: %s", text, e.text);
    return v;
}

static const char lists[] =
    "# top\nroutes:   # where to\n  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n\n  # the second,\n  # of two lines\n"
    "  - to: b.example  # B\n    via: 10.0.0.2\n  # the third\n  - {to: c.example, via: 10.0.0.3}\n\n# about nothing\n"
    "names: [x, 'y z', w]  # three\nplain:\n- 1\n- 2\n- 3\n";

enum op { SET, INSERT, MOVE, REMOVE, MERGE };
struct edit_case {
    enum op op;
    const char *path, *value;
    size_t to;
    const char *was, *is; /* NULL: want all */
};

static bool edit(struct slice text, const struct edit_case *c, struct buf *out, struct err *err)
{
    json_t *v = c->value ? json_of(c->value) : NULL;
    bool ok = c->op == SET      ? edit_set_json(text, c->path, v, out, err)
              : c->op == MERGE  ? edit_merge_json(text, c->path, v, out, err)
              : c->op == INSERT ? edit_insert_json(text, c->path, v, out, err)
              : c->op == MOVE   ? edit_move(text, c->path, c->to, out, err)
                                : edit_remove(text, c->path, out, err);
    json_decref(v);
    return ok;
}

/* `was` gives way to `is`. */
static void expect_edit(const char *text, const struct edit_case *c)
{
    struct buf out = { 0 }, want = { 0 };
    struct err err = { 0 };
    const char *at = strstr(text, c->was);
    if (!at) fail_msg("%s: \"%s\" is not in the text", c->path, c->was);
    buf_addf(&want, "%.*s%s%s", (int)(at - text), text, c->is, at + strlen(c->was));
    if (!edit(slice_str(text), c, &out, &err)) fail_msg("%s: %s", c->path, err.text);
    assert_string_equal(buf_cstr(&out), buf_cstr(&want));
    buf_deinit(&out);
    buf_deinit(&want);
}

static void test_lists(void **state)
{
    static const struct edit_case cases[] = {
        { REMOVE, "routes[1]", NULL, 0, "  # the second,\n  # of two lines\n  - to: b.example  # B\n    via: 10.0.0.2\n", "" },
        { REMOVE, "routes[0]", NULL, 0, "  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n", "" },
        { REMOVE, "names[1]", NULL, 0, "'y z', ", "" },
        { REMOVE, "plain[2]", NULL, 0, "- 3\n", "" },
        { INSERT, "routes[1]", "{\"to\": \"n.example\", \"via\": \"10.0.0.9\"}", 0, "  # the second,", "  - {to: n.example, via: 10.0.0.9}\n  # the second," },
        { INSERT, "routes[0]", "{\"to\": \"n.example\"}", 0, "  # the first", "  - {to: n.example}\n  # the first" },
        { INSERT, "routes[3]", "{\"to\": \"n.example\"}", 0, "10.0.0.3}\n", "10.0.0.3}\n  - {to: n.example}\n" },
        { INSERT, "names[2]", "\"a, b\"", 0, "'y z', ", "'y z', \"a, b\", " },
        { INSERT, "plain[0]", "7", 0, "- 1", "- 7\n- 1" },
        { INSERT, "others[0]", "7", 0, "- 3", "- 3\nothers:\n  - 7" },
        { MOVE, "routes[2]", NULL, 0, "  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n\n  # the second,\n  # of two lines\n"
          "  - to: b.example  # B\n    via: 10.0.0.2\n  # the third\n  - {to: c.example, via: 10.0.0.3}\n",
          "  # the third\n  - {to: c.example, via: 10.0.0.3}\n  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n\n  # the second,\n  # of two lines\n"
          "  - to: b.example  # B\n    via: 10.0.0.2\n" },
        { MOVE, "routes[0]", NULL, 1, "  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n\n  # the second,\n  # of two lines\n"
          "  - to: b.example  # B\n    via: 10.0.0.2\n",
          "\n  # the second,\n  # of two lines\n  - to: b.example  # B\n    via: 10.0.0.2\n  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n" },
        { MOVE, "names[2]", NULL, 0, "x, 'y z', w", "w, x, 'y z'" },
        { MOVE, "names[0]", NULL, 2, "x, 'y z', w", "'y z', w, x" },
        { MOVE, "plain[0]", NULL, 2, "- 1\n- 2\n- 3", "- 2\n- 3\n- 1" },
        { MOVE, "plain[2]", NULL, 1, "- 2\n- 3", "- 3\n- 2" },
    };
    for (size_t i = 0; i < countof(cases); i++) expect_edit(lists, &cases[i]);
}

static void expect_no(const char *text, const struct edit_case *c, const char *want)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    assert_false(edit(slice_str(text), c, &out, &err));
    assert_string_equal(err.text, want);
    buf_deinit(&out);
}

static void test_refused(void **state)
{
    expect_no(lists, &(struct edit_case){ INSERT, "routes[5]", "1" }, "there is no entry [5] to put it in front of");
    expect_no(lists, &(struct edit_case){ INSERT, "routes.x", "1" }, "write the place in the list: domains[0]");
    expect_no(lists, &(struct edit_case){ MOVE, "routes[0]", NULL, 3 }, "there is no such entry to move: routes[0]");
    expect_no(lists, &(struct edit_case){ MOVE, "nothing[0]", NULL, 3 }, "there is no such entry to move: nothing[0]");
    expect_no(lists, &(struct edit_case){ REMOVE, "routes[7]" }, "routes[7] is not set in the file");
    expect_no("- - 1\n  - 2\n", &(struct edit_case){ INSERT, "[0][0]", "1" }, "line 1 is written in a form that cannot be edited here");
}

static void test_values(void **state)
{
    static const struct {
        const char *path, *value, *want;
    } cases[] = {
        { "a", "\"\"", "a: \"\"\n" },
        { "a", "\"10M\"", "a: 10M\n" },
        { "a", "\"null\"", "a: \"null\"\n" },
        { "a", "\" x: {\\n\"", "a: \" x: {\\x0a\"\n" },
        { "a", "true", "a: yes\n" },
        { "a", "-12", "a: -12\n" },
        { "a", "-1.25", "a: -1.25\n" },
        { "a", "0.1", "a: 0.1\n" },
        { "a", "1e3", "a: 1000\n" },
        { "a", "[]", "a: []\n" },
        { "a", "{}", "a: {}\n" },
        { "a", "{\"x\": 1, \"y\": null}", "a: {x: 1}\n" },
        { "a", "[\"b\", \"c d\", \"*:25\"]", "a: [b, c d, \"*:25\"]\n" },
        { "a.b", "[{\"x\": 1, \"y\": [\"p\", \"q\"]}, {\"x\": 2}]", "a:\n  b:\n    - {x: 1, y: [p, q]}\n    - {x: 2}\n" },
        { "a", "{\"lan\": {\"networks\": [\"10.0.0.0/8\"]}, \"dmz\": {}}", "a:\n  lan: {networks: [10.0.0.0/8]}\n  dmz: {}\n" },
        { "a[+]", "{\"x\": {\"y\": 1}, \"z\": [{\"k\": 1}]}", "a:\n  - x: {y: 1}\n    z:\n      - {k: 1}\n" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf out = { 0 };
        struct err err = { 0 };
        json_t *v = json_of(cases[i].value);
        if (!edit_set_json(SLICE(""), cases[i].path, v, &out, &err)) fail_msg("%s: %s", cases[i].value, err.text);
        assert_string_equal(buf_cstr(&out), cases[i].want);
        json_decref(v);
        buf_deinit(&out);
    }
}

static void test_blocks(void **state)
{
    static const struct edit_case cases[] = {
        { SET, "names", "[{\"a\": 1}, {\"b\": 2}]", 0, "names: [x, 'y z', w]  # three\n", "names:  # three\n  - {a: 1}\n  - {b: 2}\n" },
        { SET, "routes[1]", "{\"to\": \"x\", \"more\": {\"deep\": {\"a\": 1}}}", 0, "  - to: b.example  # B\n    via: 10.0.0.2\n",
          "  - to: x\n    more:\n      deep: {a: 1}\n" },
        { SET, "routes[0].via", "[{\"a\": 1}]", 0, "via: 10.0.0.1", "via: [{a: 1}]" },
        { INSERT, "routes[2]", "{\"to\": \"x\", \"more\": {\"deep\": {\"a\": 1}}}", 0, "  # the third",
          "  - to: x\n    more:\n      deep: {a: 1}\n  # the third" },
    };
    for (size_t i = 0; i < countof(cases); i++) expect_edit(lists, &cases[i]);
}

static void test_merge(void **state)
{
    static const struct edit_case cases[] = {
        { MERGE, "names", "[\"x\", \"y z\", \"w\"]", 0, "# top", "# top" },
        { MERGE, "plain", "[1, 2, 3, 4]", 0, "- 3", "- 3\n- 4" },
        { MERGE, "plain", "[2, 9]", 0, "- 1\n- 2\n- 3", "- 2\n- 9" },
        { MERGE, "routes", "[{\"to\": \"a.example\", \"via\": \"10.0.0.1\"}, {\"to\": \"b.example\", \"via\": \"10.0.0.7\"}, "
                           "{\"to\": \"c.example\", \"via\": \"10.0.0.3\"}]", 0, "10.0.0.2", "10.0.0.7" },
        { MERGE, "routes", "[{\"to\": \"a.example\", \"via\": \"10.0.0.1\"}, {\"to\": \"b.example\", \"via\": \"10.0.0.2\", \"port\": 25}, "
                           "{\"to\": \"n.example\"}, {\"to\": \"c.example\", \"via\": \"10.0.0.3\"}]", 0,
          "    via: 10.0.0.2\n", "    via: 10.0.0.2\n    port: 25\n  - {to: n.example}\n" },
        { MERGE, "routes", "[{\"to\": \"b.example\", \"via\": \"10.0.0.2\"}, {\"to\": \"c.example\", \"via\": \"10.0.0.3\"}]", 0,
          "  # the first\n  - {to: a.example, via: 10.0.0.1}   # A\n", "" },
        { MERGE, "routes[1]", "{\"to\": \"b.example\"}", 0, "    via: 10.0.0.2\n", "" },
        { MERGE, "limits", "{\"hops\": 60, \"message_size\": \"10M\"}", 0, "- 3", "- 3\nlimits: {hops: 60, message_size: 10M}" },
    };
    for (size_t i = 0; i < countof(cases); i++) expect_edit(lists, &cases[i]);
}

/* ---- secrets */

static const char secret[] =
    "hostname: h\nsmarthost: {host: s, user: u, password: old one}\nroutes:\n  - {to: a, user: u, password: first}\n"
    "  - {to: b, user: u, password: \"sec: ond\"}\n  - {to: c}\n";

static void expect_restored(const char *now, const char *want)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    bool ok = secret_restore(slice_str(secret), slice_str(now), &out, &err);
    assert_string_equal(ok ? buf_cstr(&out) : err.text, want);
    buf_deinit(&out);
}

static void test_restore(void **state)
{
    struct buf hidden = { 0 };
    secret_hide_quoted(slice_str(secret), &hidden);
    assert_null(strstr(buf_cstr(&hidden), "first"));
    expect_restored(buf_cstr(&hidden), secret);
    buf_deinit(&hidden);
    expect_restored("smarthost: {host: t, password: '***'} # x\n", "smarthost: {host: t, password: old one} # x\n");
    expect_restored("routes:\n  - {to: b, user: u, password: \"***\"}\n  - {to: a, user: u, password: '***'}\n",
                    "routes:\n  - {to: b, user: u, password: \"sec: ond\"}\n  - {to: a, user: u, password: first}\n"); /* moved */
    expect_restored("routes: [{to: b, user: other, password: '***'}]\n", "routes: [{to: b, user: other, password: \"sec: ond\"}]\n"); /* by its name */
    expect_restored("routes: [{to: x, user: other, password: '***'}]\n",
                    "line 1: routes[0].password: *** stands for a secret as it was, and which one that is cannot be told: write it out");
    expect_restored("routes:\n  - {to: c, password: \"***\"}\n",
                    "line 2: routes[0].password: *** stands for a secret as it was, and which one that is cannot be told: write it out");
    expect_restored("comment: '***'\n", "comment: '***'\n");
    expect_restored("a: [\n", "a: [\n");
}

/* What was commented out, or noted down, is a secret, too. */
static void test_secret_comments(void **state)
{
    static const char old[] = "# password: one\r\na:\n  # - {host: x, password: two}\n  - {host: y, password: three} # old password: four # five\n"
                              "text: |\n  # password: content\nb: \"# password: value\" #passwd:six\n# password:\n# secret_file: /x\n";
    static const char seen[] = "# password: ***\r\na:\n  # - {host: x, password: ***\n  - {host: y, password: \"***\"} # old password: ***\n"
                               "text: |\n  # password: content\nb: \"# password: value\" #passwd:***\n# password:\n# secret_file: /x\n";
    struct buf hidden = { 0 }, out = { 0 };
    struct err err = { 0 };
    secret_hide_quoted(slice_str(old), &hidden);
    assert_string_equal(buf_cstr(&hidden), seen);
    assert_true(secret_restore(slice_str(old), buf_slice(&hidden), &out, &err));
    assert_string_equal(buf_cstr(&out), old);
    buf_clear(&out);
    assert_true(secret_restore(slice_str(old), SLICE("b: 1 #passwd:***\n# password: ***\n# my password: ***\n# pwd: new\n"), &out, &err));
    assert_string_equal(buf_cstr(&out), "b: 1 #passwd:six\n# password: one\n# my password: ***\n# pwd: new\n");
    buf_clear(&out);
    buf_clear(&hidden);
    secret_hide(SLICE("# nothing but\n# password: x\n"), &hidden);
    assert_string_equal(buf_cstr(&hidden), "# nothing but\n# password: ***\n");
    assert_true(secret_restore(SLICE("# password: x\n"), SLICE("# password: ***\n"), &out, &err));
    assert_string_equal(buf_cstr(&out), "# password: x\n");
    buf_deinit(&out);
    buf_deinit(&hidden);
}

static void test_restore_doubtful(void **state)
{
    static const char old[] = "a:\n  - {host: x, password: p1}\n  - {host: x, password: p2}\n", one[] = "a:\n  - {host: x, password: \"***\"}\n",
                      two[] = "a:\n  - {host: x, password: \"***\"}\n  - {host: x, password: \"***\"}\n";
    struct buf out = { 0 };
    struct err err = { 0 };
    assert_true(secret_restore(slice_str(old), slice_str(two), &out, &err));
    assert_string_equal(buf_cstr(&out), old);
    buf_clear(&out);
    assert_false(secret_restore(slice_str(old), slice_str(one), &out, &err));
    buf_deinit(&out);
}

static void test_merge_secrets(void **state)
{
    static const struct edit_case cases[] = {
        { MERGE, "smarthost", "{\"host\": \"t\", \"user\": \"u\", \"password\": \"***\"}", 0, "{host: s", "{host: t" },
        { MERGE, "smarthost.password", "\"***\"", 0, "old one", "old one" },
        { MERGE, "routes", "[{\"to\": \"b\", \"user\": \"u\", \"password\": \"***\"}, {\"to\": \"c\"}]", 0, "  - {to: a, user: u, password: first}\n", "" },
        { MERGE, "routes", "[{\"to\": \"x\", \"user\": \"v\", \"password\": \"***\"}]", 0,
          "routes:\n  - {to: a, user: u, password: first}\n  - {to: b, user: u, password: \"sec: ond\"}\n  - {to: c}\n",
          "routes:\n  - {to: x, user: v, password: \"***\"}\n" },
    };
    for (size_t i = 0; i < countof(cases); i++) expect_edit(secret, &cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),  cmocka_unit_test(test_refused), cmocka_unit_test(test_values),
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_merge),   cmocka_unit_test(test_restore), cmocka_unit_test(test_secret_comments),
        cmocka_unit_test(test_restore_doubtful), cmocka_unit_test(test_merge_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
