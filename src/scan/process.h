/* SPDX-License-Identifier: Apache-2.0
 * The helper process "scan": a dispatcher with a queue, and its children, which look into messages. One for each generation of workers. */
#ifndef POSTERN_SCAN_PROCESS_H
#define POSTERN_SCAN_PROCESS_H
#include "proc/helper.h"

/* Worker → scan, each with a descriptor of the message: {"id", "op": "scan", "context", "size", "offset", "wait"},
 * {"id", "op": "learn", "as": "spam" | "ham" | "forget", ...}, {"id", "op": "view", ...}; wait: ms after which nobody waits any more.
 * "file": true: lines of the message may end in LF alone.
 * Without one: {"id", "op": "cancel"}: nobody waits for that any more.
 * Scan → worker: {"id", "report"}, {"id", "learnt": true}, {"id", "view"} or {"id", "error"}; and, whenever it has changed, how all is:
 * {"op": "state", "queue", "queue_bytes", "processes", "busy", "messages", "crashes", "timeouts", "refused",
 *  "scanners": [{"name", "state", "since", "error"}]}. */
extern const struct helper_kind scan_helper;

#endif
