/* SPDX-License-Identifier: Apache-2.0
 * Taking over another server's configuration: Postfix's main.cf, master.cf and the tables they name become a configuration of ours, and a
 * report says of each line that was left out, or means something else here. Nothing is executed or looked up in the network; no file is read
 * but those in the folder and those that are named there. Blocks on files. */
#ifndef POSTERN_IMPORT_IMPORT_H
#define POSTERN_IMPORT_IMPORT_H
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"

enum import_kind {
    IMPORT_LEFT_OUT,  /* not in the configuration: somebody must look */
    IMPORT_DIFFERENT, /* in the configuration, with another meaning */
};
struct import;

/* Files beside the configuration: "lists/aliases", "secrets/relay.example". */
struct import_file {
    const char *name;
    struct slice text;
    bool secret;
};

/* beside: other files can be written next to the configuration; without that lists stand in it, and passwords are left out. */
struct import *import_new(const char *folder, bool beside);
/* Of files that are given, and of no others: nothing is read from disk. What the configuration calls by an absolute path is looked for by its last
 * parts, as many as fit. */
struct import *import_new_given(void);
#define IMPORT_GIVEN_MAX 500
/* name: "main.cf", "maps/virtual"; both stay the caller's, as long as im is there. False: the name cannot be one (absolute, "..", control
 * characters), or there are too many. */
bool import_give(struct import *im, const char *name, struct slice text) MUST_CHECK;
void import_free(struct import *im); /* NULL is fine */
/* Reads all. False: nothing can be made of it; err->code ENOENT: there is no main.cf. */
bool import_read_postfix(struct import *im, struct err *err) MUST_CHECK;
/* The configuration as it stands now; valid until the next call. */
struct slice import_compose(struct import *im);
/* Something in this line of the composed text cannot be: what it belongs to is left out from now on, and reported. False: it belongs to
 * nothing that could be left out. */
bool import_drop_line(struct import *im, uint32_t line, const char *why);
size_t import_file_count(const struct import *im);
const struct import_file *import_file_at(const struct import *im, size_t i);

size_t import_count(const struct import *im, enum import_kind kind);
void import_add_report(const struct import *im, struct buf *out); /* for people: printable, passwords hidden */
json_t *import_report_json(const struct import *im);

#endif
