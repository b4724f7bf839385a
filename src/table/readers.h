/* SPDX-License-Identifier: Apache-2.0
 * The threads that read the sources of tables: one for each directory or database, one for all files. What they find is a block on disk,
 * a line in the log, and a state that is told. */
#ifndef POSTERN_TABLE_READERS_H
#define POSTERN_TABLE_READERS_H
#include <jansson.h>
#include "config/config.h"

struct readers;

/* What the configuration names; reads the password files, and so is called as who started the relay. directory: of the blocks. Both outlive
 * it. Blocks. */
struct readers *readers_new(const struct config *c, const char *directory);
/* Their threads, which run until the process ends. told: an eventfd that is written to when something has changed. */
bool readers_start(struct readers *r, int told, struct err *err) MUST_CHECK;
/* These are read soon, though it is not their time yet. name: of a table, or a file of a list; NULL: all. */
void readers_refresh(struct readers *r, const char *name);
/* [{"name", "use", "type", "id", "state", "entries", "made", "tried", "next", "reading", "error", "skipped", "first", "source"}]; made, tried,
 * next: wall ms, 0: never. state: "waiting" (there is no block yet), "kept" (one from before, its source was not asked yet), "good",
 * "broken". */
json_t *readers_state(struct readers *r);
/* What they reach. */
struct landlock;
void readers_paths(const struct config *c, struct landlock *l);
bool readers_need_network(const struct config *c);

#endif
