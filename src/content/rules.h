/* SPDX-License-Identifier: Apache-2.0
 * Header checks in Postfix's syntax (E9) and the ordered rules of the configuration (E10), read at load time and held against a message
 * in a scan process. PCRE2 with limits on matches and depth: a pattern that exceeds them does not match, and a symbol says so. */
#ifndef POSTERN_CONTENT_RULES_H
#define POSTERN_CONTENT_RULES_H
#include "content/context.h"
#include "content/message.h"
#include "content/report.h"

struct rules;
struct tables;
/* Reads files; blocks. tables: those of the configuration, which must outlive the rules. NULL and an error that names file and line. Called
 * by the master at load time, too, so that `postern check` and reload refuse what cannot be used. */
struct rules *rules_new(const struct config *c, const struct tables *tables, struct err *err) MUST_CHECK;
void rules_free(struct rules *r); /* NULL is fine */
/* Can they be read? *place: of the entry that cannot; the error names a file and the line in it, but not that place. Blocks. */
bool rules_check(const struct config *c, const struct tables *tables, struct config_place *place, struct err *err) MUST_CHECK;
/* Header checks first, then rules in their order, with what report has of parts, viruses and spam. Adds actions, edits and prepend to
 * the report; edits of the same bytes: the first wins. */
void rules_apply(const struct rules *r, const struct content_message *m, const struct scan_context *c, struct report *report,
                 struct arena *arena);

#endif
