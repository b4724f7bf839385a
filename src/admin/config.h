/* SPDX-License-Identifier: Apache-2.0
 * Questions about the configuration, which the master has a process answer that may read and write it. */
#ifndef POSTERN_ADMIN_CONFIG_H
#define POSTERN_ADMIN_CONFIG_H
#include "admin/internal.h"

/* {"op": ...} (config/change.h); taken. done: the answer with its "status", the callee's, and "reload" behind a change. From the loop, always. */
typedef void config_done(struct http_request *r, json_t *answer);
void config_ask(struct http_request *r, json_t *request, config_done *done);
void config_ask_users(struct http_request *r, json_t *request, config_done *done); /* of change_answer_users */
/* As answer of the request; taken. */
void config_answer(struct http_request *r, json_t *answer);
/* {"op": op} and who asks, for a change. */
json_t *config_change(const struct http_request *r, const char *op);
/* Of a copy of these members, where they are there. */
void config_take(json_t *request, const json_t *from, const char *const *names);

#endif
