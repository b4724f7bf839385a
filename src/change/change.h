/* SPDX-License-Identifier: Apache-2.0
 * Changes of the configuration file: made, checked, shown, written as a revision. `postern config` and the API use the
 * same. */
#ifndef POSTERN_CHANGE_CHANGE_H
#define POSTERN_CHANGE_CHANGE_H
#include <jansson.h>
#include "config/report.h"
#include "config/revision.h"

/* `text` as the configuration `file`, with all that it names: lists, tables, keys, certificates, rules, texts. NULL
 * when there is an error; *report as config_parse. What may not be read is a warning. Blocks on files. full_check.c */
struct config *change_check_text(const char *file, struct slice text, struct config_report *report) MUST_CHECK;
/* [{"severity", "line", "column", "option", "text", "hint"}] */
json_t *change_findings(const struct config_report *r);

/* ---- imported.c */
struct import;
/* What an error is about in what was imported (import/import.h) is left out of it, with a note, until there is none. False: err says what remains.
 * Blocks on files. */
bool change_import_right(struct import *im, const char *file, struct err *err) MUST_CHECK;

/* ---- apply.c */
/* The text with these changes, an array of {"path", and "value": any | "unset": true | "insert": any | "move": index}:
 * a value takes the place of what is there, with as few changes as it takes; insert puts it in front of the entry of a
 * list; move makes the entry the one with that index. Secrets that are "***" stay as they are. what: a clause for the
 * revision, without secrets. */
bool change_make_text(struct slice text, const json_t *changes, struct buf *out, struct buf *what,
                      struct err *err) MUST_CHECK;
/* Checks new_text and, when it has no errors and differs, keeps the old text and writes it. */
enum change_outcome { CHANGE_WRITTEN, CHANGE_SAME, CHANGE_ERRORS, CHANGE_FAILED };
enum change_outcome change_write(struct store *s, struct slice old_text, struct slice new_text, const char *what,
                                 struct config_report *report, uint64_t *revision, struct err *err) MUST_CHECK;

/* ---- senders.c: an entry in checks.allow.senders or checks.block.senders */
struct config;
struct change_sender {
    struct slice address;        /* or domain, plain: it is written as it is */
    const char *comment;         /* NULL, "": none */
    bool allow;
    bool unproven;               /* of allowed ones: it counts without proof, too; one that is there and asks for proof does so no more */
    size_t most;                 /* as long as the list may get; 0: without end */
    bool proven;                 /* out: what stands there counts only where SPF proves the sender */
};
/* The text with an entry for it; as it was when there is one. Allowed ones ask for proof where checks.spf can give it. c: what old_text
 * says; NULL: it has errors, which what is made has, too. Entries may be added one after the other by the same c. */
bool change_add_sender(const struct config *c, struct change_sender *s, struct slice old_text, struct buf *out,
                       struct err *err) MUST_CHECK;

/* ---- written.c */
/* What is written in the file, without defaults: numbers, scores and yes/no as in config_to_json, else texts; secrets
 * are "***". NULL: it is not YAML. */
json_t *change_written(struct slice text);

struct templates;
/* ---- answer.c: for the API. All of it blocks on files. */
struct change_world {
    const char *file;            /* the configuration's */
    uint64_t running;            /* config->fingerprint of what is in force */
    const struct config *config; /* in force, and */
    const struct templates *templates; /* the texts of notices */
};
/* One request, {"op": ...}, and its answer: {"status": of HTTP, ...}. *wrote: the file is another one now. The answers
 * are those of the API (docs/manual/web.md) and hold no secret. The caller's. */
json_t *change_answer(const struct change_world *w, const json_t *request, bool *wrote);
json_t *change_answer_text(struct slice s); /* as JSON, whatever it is */

/* ---- users.c: those who log in to send mail, likewise */
struct change_users_world {
    const struct config *config; /* in force */
    int64_t group;               /* users_group_of(system.auth_user) */
    const char *file, *directory; /* the configuration's, and system.directory as the relay was started with */
};
json_t *change_answer_users(const struct change_users_world *w, const json_t *request);
struct users_entry;
json_t *change_users_addresses_of(const struct users_entry *u); /* an array */
/* "a,b" of ["a", "b"]. False: one of them is no address. */
bool change_users_addresses(const json_t *list, struct buf *out, struct err *err) MUST_CHECK;

#endif
