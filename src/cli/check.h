/* SPDX-License-Identifier: Apache-2.0
 * Everything that `postern check` looks at, for others who made a configuration. */
#ifndef POSTERN_CLI_CHECK_H
#define POSTERN_CLI_CHECK_H
#include "config/config.h"

/* `text` as the configuration `file`: NULL when there is an error; *report as config_parse. Blocks on files. */
struct config *cli_check_text(const char *file, struct slice text, struct config_report *report) MUST_CHECK;

#endif
