/* SPDX-License-Identifier: Apache-2.0
 * A trace as a table of 80 columns, for explain and trace. */
#ifndef POSTERN_CLI_TRACE_PRINT_H
#define POSTERN_CLI_TRACE_PRINT_H
#include <jansson.h>

/* trace_json of store/trace.h, disarmed: stage, check, outcome, line, milliseconds, and why below what it does not fit beside. */
void trace_print(const json_t *trace);
/* Text in lines of at most 80 columns, each moved in by `indent`. */
void trace_print_wrapped(const char *text, int indent);

#endif
