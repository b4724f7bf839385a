/* SPDX-License-Identifier: Apache-2.0
 * Messages of the queue for people: tables of 80 columns. */
#ifndef POSTERN_CLI_QUEUE_PRINT_H
#define POSTERN_CLI_QUEUE_PRINT_H
#include <jansson.h>
#include <stdbool.h>

void queue_print_list(const json_t *answer);
void queue_print_groups(const json_t *answer); /* of GET /v1/queue/groups */
void queue_print_message(const json_t *message, bool empty_line_before);
void queue_print_missing(const json_t *answer); /* a warning when some worker has not answered */

#endif
