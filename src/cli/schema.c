/* SPDX-License-Identifier: Apache-2.0
 * `postern schema`: what the schema table says, for people and for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/common.h"
#include "config/dump.h"

static void usage(FILE *to)
{
    fputs("usage: postern schema --man | --json\n\n"
          "  --man    the manual page postern.yaml(5); read it with: postern schema --man | man -l -\n"
          "  --json   a JSON Schema (draft 2020-12) of the file, for editors\n", to);
}

int cli_schema(int argc, char **argv)
{
    bool man = argc == 2 && cli_flag(argv, 1, "--man"), json = argc == 2 && cli_flag(argv, 1, "--json");
    if (!man && !json) {
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
        json_t *schema = schema_to_json();
        cli_print_json(schema);
        json_decref(schema);
    }
    return fflush(stdout) == 0 ? 0 : EX_IOERR;
}
