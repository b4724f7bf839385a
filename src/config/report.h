/* SPDX-License-Identifier: Apache-2.0
 * Collecting findings: at most 50 are kept, all are counted. */
#ifndef POSTERN_CONFIG_REPORT_H
#define POSTERN_CONFIG_REPORT_H
#include "base/buf.h"
#include "config/config.h"

#define REPORT_FINDINGS_MAX 50

/* Adds one finding. `option` and `hint` are copied, NULL stands for "". Text from the file is passed through
 * report_quote first. */
void report_add(struct config_report *r, bool warning, struct config_place at, const char *option, const char *hint,
                const char *fmt, ...) __attribute__((format(printf, 6, 7)));
#define report_error(r, at, option, hint, ...) report_add(r, false, at, option, hint, __VA_ARGS__)
#define report_warning(r, at, option, hint, ...) report_add(r, true, at, option, hint, __VA_ARGS__)
/* printf into the report's arena: for hints and option names made on the spot. Empty when the report is full. */
const char *report_text(struct config_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Printable and not longer than a line: for words of the file that go into a text. Lives in the report. */
const char *report_quote(struct config_report *r, struct slice s);
/* Where an option ("tls.certificates[2].key") stands in a text; as near to it as there is something, line 0: nowhere. */
struct config_place config_place_of(struct slice text, const char *option);
/* Each address that mail is to go out from must be one of this machine (check_sources.c). text: the file, for places. False: errors were
 * added. Blocks for some system calls. */
bool config_check_sources(const struct config *c, struct slice text, struct config_report *report) MUST_CHECK;
/* Orders findings by their place in the file. */
void report_sort(struct config_report *r);
/* "file:line:column: error: option: text", the line of the file with a caret, "  hint: ...". text: the file, or
 * empty when there is none; its secrets are shown as "***". */
void report_format(const struct config_report *r, const char *file, struct slice text, struct buf *out);

#endif
