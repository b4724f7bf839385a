/* SPDX-License-Identifier: Apache-2.0
 * postern run: the daemon. */
#include <stdio.h>
#include <string.h>
#include "admin/admin.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "config/config.h"
#include "proc/master.h"

static const char help[] =
    "usage: postern run [-c FILE]\n"
    "\n"
    "Runs the relay in the foreground. SIGHUP or `postern reload` brings a changed configuration in\n"
    "force without dropping a connection; SIGTERM or Ctrl-C lets open sessions finish\n"
    "(system.drain) and ends; a second one ends at once.\n"
    "\n"
    "  -c, --config FILE   the configuration (" CLI_DEFAULT_CONFIG ")\n";

int cli_run(int argc, char **argv)
{
    const char *file = CLI_DEFAULT_CONFIG;
    struct config_report report = { 0 };
    for (int i = 1; i < argc; i++) {
        if (cli_config_option(argc, argv, &i, &file)) continue;
        return cli_help("run", argv[i], help);
    }
    struct config *c = config_load(file, &report);
    for (size_t i = 0; i < report.n; i++) {
        const struct config_finding *f = &report.findings[i];
        cli_print_finding(file, f->place.line, f->place.column, f->warning, f->option, f->text, f->hint);
    }
    config_report_deinit(&report);
    if (!c) return EX_CONFIG;
    return master_run(&(struct master_options){ .config = c, .file = file, .admin_main = admin_main });
}
