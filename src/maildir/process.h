/* SPDX-License-Identifier: Apache-2.0
 * The maildir process: writes messages into mailboxes on this machine, for next hops "maildir:/path". It reaches the folders that the
 * configuration names and nothing else.
 *
 * Worker → maildir: {"op": "deliver", "id", "hop": number of the next hop, "to", "head": base64 of lines in front, "runs": [from, n | base64, 0,
 *                   ...]} + descriptor of the message's text
 * Maildir → worker: {"id", "state": "done" | "later" | "failed", "text": a reason as of a server, "5.1.1 ..."}
 *
 * One that ended before it answered may have written the message: it is asked for again, and there are two then. For the same reason what no
 * worker waits for any more is not begun. */
#ifndef POSTERN_MAILDIR_PROCESS_H
#define POSTERN_MAILDIR_PROCESS_H
#include "proc/helper.h"

#define MAILDIR_RUNS_MAX 400 /* more than edits can make */
#define MAILDIR_WAIT_MS 60000 /* so long the worker waits for an answer, over the end of the process */
extern const struct helper_kind maildir_helper;

#endif
