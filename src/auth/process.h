/* SPDX-License-Identifier: Apache-2.0
 * The auth process: the one place where passwords are known. Plain blocking code in a pool of threads behind an event
 * loop that only carries frames. One for each generation of workers. */
#ifndef POSTERN_AUTH_PROCESS_H
#define POSTERN_AUTH_PROCESS_H
#include "proc/helper.h"

/* Needed when there are users of ours, credentials for a next hop, or recipients in a directory.
 *
 * Worker → auth: {"id", "op": "server", "mechanism", "initial"?, "client", "tls", "binding"?}
 *                {"id", "op": "client", "hop", "mechanisms", "host", "port", "tls", "binding"?}
 *                {"id", "op": "recipient", "domain", "address"}: answered OK, FAILED or TEMPFAIL
 *                {"id", "op": "step", "data"}, {"id", "op": "done", "success"}, {"id", "op": "cancel"}
 * Auth → worker: {"id", "outcome", "reason", "data"?, "has_data", "mechanism"?, "account"?, "senders"?, "any_sender"}
 * Data of the mechanisms is in base64. An answer with another outcome than AUTH_CONTINUE ends the exchange; "done"
 * without success and "cancel" are not answered. */
extern const struct helper_kind auth_helper;

#endif
