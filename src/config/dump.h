/* SPDX-License-Identifier: Apache-2.0
 * The configuration and the schema turned into text again: effective values, the manual page, the JSON schema. */
#ifndef POSTERN_CONFIG_DUMP_H
#define POSTERN_CONFIG_DUMP_H
#include <jansson.h>
#include "config/config.h"

/* All effective values in the words and the structure of the file; what is not set is null. The caller's to
 * json_decref. */
json_t *config_to_json(const struct config *c);
/* A part by its path ("limits.message_size", "domains[2].deliver"), borrowed; NULL with err when there is none. */
json_t *config_json_at(json_t *root, const char *path, struct err *err);
/* As YAML that config_parse reads; a lone scalar without quotes. What is null is left out. */
void config_json_yaml(const json_t *value, struct buf *out);

void schema_add_manual(struct buf *out); /* postern.yaml(5), roff */
json_t *schema_to_json(void);            /* JSON Schema, draft 2020-12 */
/* The same for forms, with in each option: x-type (bool, number, percent, score, port, clock, size,
 * time, enum, set, text, secret, host, ..., list, group, records, map), x-type-text (for people: "list of networks"), x-item (of lists: an
 * x-type), x-unit (bytes, ms, percent, points), minimum and maximum in it, x-default-text (the default in words, where it is no value), x-words
 * (with planned, refused), x-place (its order), x-required, x-nullable, x-scalar (the member a lone value stands for). */
json_t *schema_to_json_full(void);

/* A YAML scalar that reads back as s, quoted where needed. */
void yaml_add_scalar(struct buf *out, struct slice s);

#endif
