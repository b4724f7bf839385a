/* SPDX-License-Identifier: Apache-2.0
 * Command lines (RFC 5321 §4.1.1): verb, path and parameters, and nothing lenient. */
#ifndef POSTERN_SMTP_COMMAND_H
#define POSTERN_SMTP_COMMAND_H
#include "smtp/address.h"

#define COMMAND_LINE_MAX 4096 /* with CRLF; RFC 5321 §4.5.3.1.4 says 512, extensions raise it */
#define COMMAND_PARAMS_MAX 16

enum command_verb {
    COMMAND_EHLO, COMMAND_HELO, COMMAND_MAIL, COMMAND_RCPT, COMMAND_DATA, COMMAND_RSET, COMMAND_NOOP, COMMAND_VRFY,
    COMMAND_EXPN, COMMAND_HELP, COMMAND_QUIT, COMMAND_STARTTLS, COMMAND_AUTH, COMMAND_BDAT, COMMAND_UNKNOWN
};

struct command_param {
    struct slice keyword, value; /* value.p NULL when there was no "=" */
};

struct command {
    enum command_verb verb;
    struct slice arg;            /* EHLO/HELO name; the rest of the line for the others */
    struct address path;         /* MAIL, RCPT */
    struct command_param params[COMMAND_PARAMS_MAX];
    size_t param_n;
};

/* What is wrong with a line, with the reply to give. */
struct command_error {
    int code;                    /* 500, 501, 555 */
    const char *enhanced;        /* "5.5.2" */
    const char *text;
};

/* `line` is without CRLF and holds neither CR nor LF (the reader saw to that). False: *error says why; out->verb is set as far
 * as it was known. */
bool command_parse(struct slice line, struct command *out, struct command_error *error);
const char *command_name(enum command_verb v);

/* Parameters of MAIL FROM known today: SIZE, BODY (RFC 1870, 6152). RCPT knows none yet. */
struct command_mail_params {
    uint64_t size;               /* 0: not given */
    bool body_8bit;
};
bool command_mail_params(const struct command *c, struct command_mail_params *out, struct command_error *error);

#endif
