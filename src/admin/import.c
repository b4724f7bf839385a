/* SPDX-License-Identifier: Apache-2.0
 * POST /v1/import/postfix: what `postern import` makes of another server's configuration. Nothing is changed. */
#include <stdio.h>
#include "admin/config.h"
#include "base/json.h"

#define BODY_MAX (12u << 20) /* 8 MB of files as JSON */

/* Passwords for other servers are among what was sent. */
static void wipe(json_t *files)
{
    const char *name;
    json_t *text;
    json_object_foreach(files, name, text) json_wipe(text);
}

static void serve_postfix(struct http_request *r)
{
    static const char *const names[] = { "files", NULL };
    json_t *request = json_pack("{s:s}", "op", "import-postfix"), *files = json_object_get(r->json, "files");
    char detail[40];
    snprintf(detail, sizeof detail, "%zu files", json_object_size(files));
    http_audit(r, "postfix", detail);
    config_take(request, r->json, names);
    config_ask(r, request, config_answer);
    wipe(files);
}

static const struct route_field no_fields[] = { { 0 } };
static const struct route_field postfix_body[] = {
    { "files", ROUTE_OBJECT, true,
      "texts of the folder's files by name: main.cf, master.cf, the tables that they name (\"maps/virtual\"); at most 500, 8 MB", NULL },
    { 0 },
};

const struct route routes_import[] = {
    { "POST", "/v1/import/postfix",
      "a Postfix configuration as one for the relay, with notes of what is left out or means something else; nothing is changed",
      serve_postfix, RIGHT_CONFIGURE, no_fields, postfix_body,
      "config: string, taken: integer, left_out: integer, different: integer, notes: array", .body_max = BODY_MAX },
    { 0 },
};
