/* SPDX-License-Identifier: Apache-2.0
 * What commands share: options, the control socket. */
#ifndef POSTERN_CLI_COMMON_H
#define POSTERN_CLI_COMMON_H
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"

/* One request to the running daemon: method "GET", "POST", "PATCH", "DELETE"; path "/v1/queue?...", body may be NULL. The answer's JSON
 * is the caller's to json_decref. NULL with err: not running, refused, or the error text of the answer. Blocks. */
json_t *cli_request(const char *socket_path, const char *method, const char *path, const json_t *body, struct err *err);
/* The same of the daemon that --socket and -c mean, or its default; body is taken. */
json_t *cli_ask(const char *socket, const char *config, const char *method, const char *path, json_t *body, struct err *err);
/* POST of any bytes, answered by JSON as above; and GET of any bytes, at most 256 MiB. */
json_t *cli_post(const char *socket_path, const char *path, struct slice body, struct err *err);
bool cli_download(const char *socket_path, const char *path, struct buf *out, struct err *err) MUST_CHECK;
/* The same by GET, with arguments: strings and whole numbers. */
json_t *cli_get(const char *socket_path, const char *path, const json_t *arguments, struct err *err);

/* An answer fit for a terminal: control characters in its strings become '?', members whose names hold some are
 * removed. The daemon answers for workers, which strangers speak to. (In JSON output they are escaped.) */
void cli_disarm(json_t *answer);

/* Takes "--name VALUE", "--name=VALUE" or "-c VALUE" at argv[*at]; moves *at. False when argv[*at] is another word.
 * Prints an error and exits with EX_USAGE when the value is missing. */
bool cli_option(int argc, char **argv, int *at, const char *name, const char **value);
bool cli_flag(char **argv, int at, const char *name);
/* Adds a message's id to a list of them, once. False: it is none. */
bool cli_take_id(const char *word, json_t *ids);
/* "-c FILE" or "--config FILE"; also "--socket PATH" of commands that ask the daemon. */
bool cli_config_option(int argc, char **argv, int *at, const char **config);
bool cli_daemon_option(int argc, char **argv, int *at, const char **config, const char **socket);

/* A whole file, or standard input ("-"), of about max bytes at the most. False with err, err->code set when it cannot be
 * read. Blocks. */
bool cli_read_file(const char *name, size_t max, struct buf *out, struct err *err) MUST_CHECK;

/* For the last word of a command that none of its options is: its help, asked for by --help or -h, on standard output and 0; else a complaint
 * with the help on standard error, and EX_USAGE. */
int cli_help(const char *command, char *word, const char *help);

/* Where the daemon listens: socket if given, else below run_directory of the configuration, else the default. Blocks.
 * The caller frees. */
char *cli_socket_path(const char *socket, const char *config);
/* "postern: TEXT" on standard error; the exit code that goes with a cli_request that failed. */
int cli_fail(const struct err *err);
/* "postern COMMAND: BEFORE WHAT BEHIND", without blanks between, and an empty line on standard error; `what`, which somebody typed, is made
 * printable. False. */
bool cli_complain(const char *command, const char *before, const char *what, const char *behind);
/* A configuration's findings, a line each: "file:line:column: error: option: text (hint)". */
void cli_print_finding(const char *file, unsigned line, unsigned column, bool warning, const char *option,
                       const char *text, const char *hint);
/* Takes an answer: as JSON, or disarmed by `print`; NULL: it failed, of which err tells. The exit code. */
int cli_show(json_t *answer, bool json, void (*print)(const json_t *answer), const struct err *err);
/* With line breaks, on standard output. */
void cli_print_json(const json_t *j);
/* Of a member; "" and 0 when it is not there or of another type. */
const char *cli_text_of(const json_t *j, const char *key);
json_int_t cli_number_of(const json_t *j, const char *key);
/* A size or count in at most five columns: "812", "4.0K", "1.2M"; a span of time as clock_add_span, "-" for none. Valid
 * until the buffer changes. */
const char *cli_size(struct buf *b, uint64_t bytes);
const char *cli_span(struct buf *b, int64_t ms);
/* Text made printable, in at most `width` columns; what does not fit ends in "~". A wide character takes two of them (utf8_width). */
void cli_add_fitted(struct buf *out, const char *s, size_t width);

/* "90s", "30m", "1h", "2d", "1w" in ms. */
bool cli_parse_span(struct slice s, uint64_t *ms);
/* A span before now, or a time in UTC ("2026-11-22", "2026-11-22T14:05:30"), in wall ms. A date alone is its first moment, or with `end` its
 * last one. */
bool cli_parse_when(const char *text, bool end, uint64_t *ms);

#endif
