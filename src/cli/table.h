/* SPDX-License-Identifier: Apache-2.0
 * What the files of `postern table` share: answers on a terminal, disarmed already. */
#ifndef POSTERN_CLI_TABLE_H
#define POSTERN_CLI_TABLE_H
#include <jansson.h>

void table_print_list(const json_t *answer);    /* of GET /v1/tables */
void table_print_entries(const json_t *answer); /* {"table", "entries"} */
void table_print_found(const json_t *answer);   /* of GET /v1/tables/query */

#endif
