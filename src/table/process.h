/* SPDX-License-Identifier: Apache-2.0
 * The helper process "tables": reads files, directories and databases as a whole, again and again, and writes their entries to blocks, which
 * all who look into tables take up. One for each generation of workers; of two only the younger one reads. */
#ifndef POSTERN_TABLE_PROCESS_H
#define POSTERN_TABLE_PROCESS_H
#include "proc/helper.h"

/* Needed when an option names a table, or a list a file. Nobody waits for it.
 *
 * Worker → tables: {"op": "refresh", "name"?}: to be read now
 * Tables → worker: {"op": "state", "tables": as of readers_state}, whenever something has changed */
extern const struct helper_kind table_helper;

#endif
