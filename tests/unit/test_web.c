/* SPDX-License-Identifier: Apache-2.0
 * Routes: which one a request is for, that the tables hold together, names of hosts, the document about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "admin/openapi.h"
#include "admin/web_int.h"
#include "base/mem.h"

/* An asterisk is one segment; what is spelled out goes first; 405 where the path is there. */
static void look_up(void **state)
{
    static const struct {
        const char *method, *path, *found, *rest;
        int status;
    } cases[] = {
        { "GET", "/v1/queue", "/v1/queue", "", 0 },
        { "GET", "/v1/queue/ABC", "/v1/queue/*", "ABC", 0 },
        { "GET", "/v1/quarantine/digest", "/v1/quarantine/digest", "", 0 },
        { "GET", "/v1/quarantine/digests", "/v1/quarantine/*", "digests", 0 },
        { "GET", "/v1/quarantine/A/view", "/v1/quarantine/*/view", "A", 0 },
        { "GET", "/v1/queue/", NULL, NULL, 404 },
        { "GET", "/v1/queue/a/b", NULL, NULL, 404 },
        { "GET", "/v1/quarantine//view", NULL, NULL, 404 },
        { "GET", "/v1/Queue", NULL, NULL, 404 },
        { "GET", "/v1/queue/*/x", NULL, NULL, 404 },
        { "GET", "", NULL, NULL, 404 },
        { "DELETE", "/v1/queue", NULL, NULL, 405 },
        { "get", "/v1/queue", NULL, NULL, 405 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice rest = { 0 };
        int status = 0;
        const struct route *t = api_route_find(cases[i].method, slice_str(cases[i].path), &rest, &status);
        assert_int_equal(t != NULL, cases[i].found != NULL);
        if (!t) assert_int_equal(status, cases[i].status);
        if (!t) continue;
        assert_string_equal(t->path, cases[i].found);
        assert_true(slice_eq(rest, slice_str(cases[i].rest)));
    }
}

static void allowed_methods(void **state)
{
    char text[80], few[8];
    api_route_methods(SLICE("/v1/quarantine/digest"), text, sizeof text);
    assert_string_equal(text, "GET, HEAD, POST");
    api_route_methods(SLICE("/v1/nothing"), text, sizeof text);
    assert_string_equal(text, "");
    api_route_methods(SLICE("/v1/quarantine/digest"), few, sizeof few); /* cut, not overrun */
    assert_true(strlen(few) < sizeof few);
}

static bool has_name(const struct route_field *f, const char *name)
{
    for (; f && f->name; f++)
        if (!strcmp(f->name, name)) return true;
    return false;
}

/* Each route can be served, asks for one right, and says no field twice. */
static void tables_hold_together(void **state)
{
    for (unsigned i = 0; i < route_table_n; i++)
        for (const struct route *t = route_tables[i]; t->path; t++) {
            assert_non_null(t->serve);
            assert_non_null(t->help);
            assert_true((t->right & (t->right - 1)) == 0);
            assert_true(strcmp(t->method, "GET") != 0 || (!t->body && !t->body_file));
            const struct route_field *const lists[] = { t->arguments, t->body };
            for (size_t k = 0; k < countof(lists); k++)
                for (const struct route_field *f = lists[k]; f && f->name; f++) assert_false(has_name(f + 1, f->name));
        }
}

static void hosts(void **state)
{
    static const char *const cases[][2] = {
        { "mail.example.com", "mail.example.com" }, { "mail.example.com:9443", "mail.example.com" }, { "[::1]:9443", "::1" }, { "[::1]", "::1" },
        { "[::1", "::1" }, { ":9443", "" }, { "", "" }, { "[", "" }, { "[]", "" }, { "a:b:c", "a" },
    };
    for (size_t i = 0; i < countof(cases); i++) assert_true(slice_eq(web_host_name(slice_str(cases[i][0])), slice_str(cases[i][1])));
}

static void document(void **state)
{
    json_t *d = openapi_document();
    const json_t *paths = json_object_get(d, "paths"), *one = json_object_get(json_object_get(paths, "/v1/quarantine/train"), "post");
    const json_t *body = json_object_get(json_object_get(json_object_get(json_object_get(one, "requestBody"), "content"), "application/json"), "schema");
    unsigned n = 0;
    assert_string_equal(json_string_value(json_object_get(d, "openapi")), "3.1.0");
    for (unsigned i = 0; i < route_table_n; i++)
        for (const struct route *t = route_tables[i]; t->path; t++) n++;
    const char *path;
    const json_t *item;
    json_object_foreach((json_t *)paths, path, item) n -= (unsigned)json_object_size(item);
    assert_int_equal(n, 0); /* no route twice, none left out */
    assert_string_equal(json_string_value(json_object_get(one, "x-right")), "change");
    assert_string_equal(json_string_value(json_array_get(json_object_get(body, "required"), 0)), "as");
    assert_true(json_is_false(json_object_get(body, "additionalProperties")));
    assert_int_equal(json_array_size(json_object_get(json_object_get(json_object_get(body, "properties"), "as"), "enum")), 3);
    json_decref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_up),  cmocka_unit_test(allowed_methods), cmocka_unit_test(tables_hold_together),
        cmocka_unit_test(hosts),    cmocka_unit_test(document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
