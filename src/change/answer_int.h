/* SPDX-License-Identifier: Apache-2.0
 * What the files of answers to the API share. */
#ifndef POSTERN_CHANGE_ANSWER_INT_H
#define POSTERN_CHANGE_ANSWER_INT_H
#include "change/change.h"

#define STATUS_OK 200
#define STATUS_BAD 400
#define STATUS_NONE 404
#define STATUS_CONFLICT 409
#define STATUS_FAILED 500

/* An answer to one kind of request: answer.c has the table. *wrote is false before; who changes the file says so. */
typedef json_t *answer_op(const struct change_world *w, const json_t *request, bool *wrote);

/* ---- answer.c */
json_t *answer_failure(int status, const char *text);
const char *answer_word(const json_t *request, const char *name); /* NULL: not there, or no text */
uint64_t answer_number(const json_t *request, const char *name);  /* 0: not there, or none */
#define ANSWER_VERSION_N 65
void answer_version(struct slice text, char out[ANSWER_VERSION_N]);
/* As change_findings, without what was read from files at fault. */
json_t *answer_findings(const struct config_report *r);

/* ---- answer_show.c */
answer_op answer_show, answer_history, answer_differences, answer_revision;
/* The difference of two texts, secrets hidden; that of secrets alone is a comment. */
void answer_diff(struct slice a, const char *a_name, struct slice b, const char *b_name, struct buf *out);

/* ---- answer_change.c */
answer_op answer_check, answer_apply, answer_rollback, answer_sender;
/* Makes the new text; false: *answer says why not. */
typedef bool make_text(void *arg, struct slice old_text, struct buf *out, struct buf *what, json_t **answer);
/* The arg of those that need no more. */
struct answer_arg {
    const struct change_world *world;
    const json_t *request;
};
/* Under the lock: the version is checked when it is there, the text made, checked, written. The answer. */
json_t *answer_change(const struct change_world *w, const json_t *request, make_text *make, void *arg, bool *wrote);

/* ---- shut_out.c: would the configuration c, whose text is `text`, shut out who asks ("client" of the request, an address;
 * without one: nobody), or move the pages away from where they are in force? Adds a warning, and the reason to *why. */
bool answer_shuts_out(const struct change_world *w, const struct config *c, const json_t *request, struct slice text,
                      struct config_report *report, struct buf *why);

/* ---- answer_keys.c */
answer_op answer_keys, answer_key_new, answer_key_plan, answer_key_switch, answer_key_retire;
/* The configuration as the file is; NULL: *answer says that it has errors. The caller's. */
struct config *answer_config(const struct change_world *w, json_t **answer);

/* ---- answer_look.c */
answer_op answer_notices, answer_notice, answer_nft;

/* ---- imported.c */
answer_op answer_import;

/* ---- certificates.c: those of all options, an array */
json_t *answer_certificates(const struct config *c);

#endif
