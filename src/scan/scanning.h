/* SPDX-License-Identifier: Apache-2.0
 * What a scan process does with one message; also `postern scan FILE`, in the command's own process. Plain blocking code. */
#ifndef POSTERN_SCAN_SCANNING_H
#define POSTERN_SCAN_SCANNING_H
#include "content/context.h"
#include "content/message.h"
#include "content/report.h"

struct tables;
/* Whether rules, header checks and lists of a configuration can be used: read and forgotten. When it is loaded, so that a reload refuses what
 * cannot. Blocks; an error names file and line. */
bool scanning_check(const struct config *c, const struct tables *tables, struct err *err) MUST_CHECK;

struct scanning;                 /* what is kept between messages: engine, rules, scanners */

/* Reads all that is read once: libmagic's database, rules, lists, secrets of scanners. It may be inherited by fork, and has no descriptors
 * open. directory: for tokens and temporary files; NULL: none. Blocks. */
struct scanning *scanning_new(const struct config *c, const char *directory, struct err *err) MUST_CHECK;
/* What each process must have for itself: the engine for spam with its table of tokens, name servers. Once; blocks. Where the table can
 * neither be opened nor made there is no classifier: scanning_trouble. */
bool scanning_start(struct scanning *s, struct err *err) MUST_CHECK;
const char *scanning_trouble(const struct scanning *s); /* why there is no classifier, though there should be; NULL: there is none to tell */
void scanning_free(struct scanning **s); /* NULL is fine */
/* Takes up newer tables: between messages. Fast when there are none. */
void scanning_poll(struct scanning *s);
/* Bytes that tables may grow by, while old and new ones stay together. */
size_t scanning_tables_room(const struct scanning *s);

/* Takes the message apart and asks whoever is to be asked. The report is valid as long as the arena and the bytes. */
void scanning_run(struct scanning *s, struct slice bytes, const struct scan_context *context, struct arena *arena, struct report *out);
/* What can wait until the answer is given: learning. The bytes and the arena of the last run must still be there. */
void scanning_settle(struct scanning *s);

/* As scan_view and scan_learn (content/scan.h) say. The view is the caller's. */
json_t *scanning_view(const struct scanning *s, struct slice bytes, struct arena *arena);
bool scanning_learn(struct scanning *s, struct slice bytes, struct slice as, struct arena *arena, struct err *err) MUST_CHECK;

#endif
