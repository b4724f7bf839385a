/* SPDX-License-Identifier: Apache-2.0
 * Between parsing and checking: what the files of this folder share. */
#ifndef POSTERN_CONFIG_PARSE_H
#define POSTERN_CONFIG_PARSE_H
#include "config/value.h"

/* A parsed configuration, its tree (children of lists and of `zones` in the order of the structs; NULL for an empty
 * file) and the report. */
struct check {
    const struct config *c;
    const struct yaml_node *root;
    struct config_report *report;
};

/* Fills *c from the tree and the defaults. Findings go to the report; *c is complete even then. */
void parse_tree(struct config *c, struct yaml_node *root, struct config_report *report);

void check_all(const struct check *k);        /* check.c: all of these */
void check_relay(const struct check *k);      /* check_relay.c: nothing relays for strangers */
void check_hops(const struct check *k);       /* check_hops.c: no next hop is ourselves */

/* The look-up tables over a complete configuration; freed by config_free. Adds warnings about interfaces that do not
 * exist to the report. */
void lookup_build(struct config *c, const struct yaml_node *root, struct config_report *report);
void lookup_free(struct config *c);

/* Reads a whole file of at most YAML_TEXT_MAX bytes. Blocks. */
bool config_read_file(const char *path, struct buf *out, struct err *err) MUST_CHECK;

/* system.run_directory of a file that may have errors elsewhere: where its daemon, which runs on with an earlier text, is to be
 * asked. false: the text is not even YAML. */
bool config_run_directory(struct slice text, const char *path, struct buf *out) MUST_CHECK;

#endif
