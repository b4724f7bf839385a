/* SPDX-License-Identifier: Apache-2.0
 * postern spool: reads a spool directory by hand. */
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "spool/spool.h"

static void usage(FILE *to)
{
    fputs("usage: postern spool verify DIR [--json]   check every record and every text; exit code 65 when something "
          "is damaged\n"
          "       postern spool dump DIR [--json]     one line a record: segment, offset, bytes, type, message, "
          "envelope\n"
          "       postern spool cat DIR ID            the message as it would be sent, also one that has ended while "
          "it is there\n\n"
          "DIR is a spool directory (one of a worker, with files lock and seg-*). Nothing is changed; a running relay "
          "may own it.\n",
          to);
}

int cli_spool(int argc, char **argv)
{
    const char *words[3] = { NULL };
    size_t n = 0;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            usage(stdout);
            return 0;
        }
        if (!strcmp(argv[i], "--json"))
            json = true;
        else if (argv[i][0] == '-' || n == 3)
            n = 4;
        else if (n < 3)
            words[n++] = argv[i];
        if (n > 3) break;
    }
    struct buf out = { 0 };
    struct err err = { 0 };
    uint64_t id = 0;
    bool cat = n == 3 && !strcmp(words[0], "cat") && !json, ok;
    if (n == 2 && !strcmp(words[0], "verify")) {
        ok = spool_tool_verify(words[1], json, &out, &err);
    } else if (n == 2 && !strcmp(words[0], "dump")) {
        ok = spool_tool_dump(words[1], json, &out, &err);
    } else if (cat && id_parse(slice_str(words[2]), &id)) {
        ok = spool_tool_cat(words[1], id, &out, &err);
    } else {
        if (cat) fprintf(stderr, "postern spool: that is not a message id: 13 letters and digits\n");
        usage(stderr);
        return EX_USAGE;
    }
    if (out.n && fwrite(out.p, 1, out.n, stdout) != out.n) ok = false;
    if (fflush(stdout) != 0) ok = false;
    if (!ok) fprintf(stderr, "postern spool: %s\n", err.text[0] ? err.text : "cannot write to standard output");
    buf_deinit(&out);
    return ok ? 0 : err.code ? EX_NOINPUT : EX_DATAERR;
}
