/* SPDX-License-Identifier: Apache-2.0
 * What the files of `postern quarantine` share. */
#ifndef POSTERN_CLI_QUARANTINE_H
#define POSTERN_CLI_QUARANTINE_H
#include <jansson.h>
#include <stdbool.h>

struct quarantine_options {
    const char *op, *config, *socket, *as, *file, *recipient; /* recipient: of digest */
    json_t *filters, *ids, *recipients; /* as the API takes them */
    bool all, yes, json, filtered, view, remove, allow, unproven, now;
};

/* quarantine_options.c: -1: go on; else the exit code */
int quarantine_read_options(int argc, char **argv, struct quarantine_options *o);
/* quarantine_print.c: answers that were disarmed */
void quarantine_print_list(const json_t *answer);
void quarantine_print_message(const json_t *message, bool empty_line_before);
void quarantine_print_view(json_t *view);
/* quarantine_digest.c: the exit code */
int quarantine_digest(const struct quarantine_options *o, const char *socket);
/* quarantine_allow.c: 0, or the exit code: quarantine_allow would not be able to, so nothing is to be released; that was said. */
int quarantine_may_allow(const char *config, bool unproven);
/* Adds the senders of what was released (objects with "sender") to checks.allow.senders of the configuration file, keeps the former text as
 * a revision, and has the daemon reload. The exit code. */
int quarantine_allow(const char *config, const char *socket, const json_t *released, bool unproven);

#endif
