/* SPDX-License-Identifier: Apache-2.0
 * The history for people, in 80 columns: messages as GET /v1/trace gives them, disarmed. */
#ifndef POSTERN_CLI_HISTORY_PRINT_H
#define POSTERN_CLI_HISTORY_PRINT_H
#include <jansson.h>

/* A line each under a head. */
void history_print_head(void);
void history_print_line(const json_t *message);
/* All that is known of one. */
void history_print_story(const json_t *message);

#endif
