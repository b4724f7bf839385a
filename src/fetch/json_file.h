/* SPDX-License-Identifier: Apache-2.0
 * What the fetch process keeps, as files of JSON. */
#ifndef POSTERN_FETCH_JSON_FILE_H
#define POSTERN_FETCH_JSON_FILE_H
#include <jansson.h>
#include <stdbool.h>

/* Puts v in the place of what is there: whole, or not at all. durable: also when the machine fails in the next moment. Logs `event` when it
 * cannot. Blocks. */
void json_file_write(const char *path, const json_t *v, bool durable, const char *event);

#endif
