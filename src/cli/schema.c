/* SPDX-License-Identifier: Apache-2.0
 * `postern schema`: what the schema table says, for people and for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/openapi.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/dump.h"

static void usage(FILE *to)
{
    fputs("usage: postern schema --man | --json | --openapi\n\n"
          "  --man      the manual page postern.yaml(5); read it with: postern schema --man | man -l -\n"
          "  --json     a JSON Schema (draft 2020-12) of the file, for editors\n"
          "  --openapi  the OpenAPI document (3.1) of the HTTP API\n", to);
}

int cli_schema(int argc, char **argv)
{
    bool man = argc == 2 && cli_flag(argv, 1, "--man"), json = argc == 2 && cli_flag(argv, 1, "--json");
    bool openapi = argc == 2 && cli_flag(argv, 1, "--openapi");
    if (!man && !json && !openapi) {
        bool help = argc == 2 && (cli_flag(argv, 1, "--help") || cli_flag(argv, 1, "-h"));
        usage(help ? stdout : stderr);
        return help ? 0 : EX_USAGE;
    }
    if (man) {
        struct buf out = { 0 };
        schema_add_manual(&out);
        fwrite(out.p, 1, out.n, stdout);
        buf_deinit(&out);
    } else {
        json_t *schema = json ? schema_to_json() : openapi_document();
        cli_print_json(schema);
        json_decref(schema);
    }
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}
