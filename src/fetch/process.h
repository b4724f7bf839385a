/* SPDX-License-Identifier: Apache-2.0
 * The fetch process: HTTPS with strangers, on an event loop. One for each generation of workers. */
#ifndef POSTERN_FETCH_PROCESS_H
#define POSTERN_FETCH_PROCESS_H
#include "proc/helper.h"

/* Needed for MTA-STS policies and TLS reports, which it keeps in its folder.
 *
 * Worker → fetch: {"id", "op": "policy", "domain"}; answered by {"id", "known", "policy": [lines]?, "failure", "reason", "ttl"}
 *                 {"op": "count", "domain", "type", "policy"?, "mx"?, "failure"?, "reason"?, "host"?, "ip"?, "our"?}
 *                 {"op": "submitted", "ticket", "ok"}, {"op": "report"}: send all reports now
 * Fetch → worker: {"ticket", "to", "text"}: a message to be sent */
extern const struct helper_kind fetch_helper;

#endif
