/* SPDX-License-Identifier: Apache-2.0
 * Command lines (RFC 5321 §4.1.1): verb, path and parameters, and nothing lenient. */
#ifndef POSTERN_SMTP_COMMAND_H
#define POSTERN_SMTP_COMMAND_H
#include "smtp/address.h"

#define COMMAND_LINE_MAX 4096 /* with CRLF; RFC 5321 §4.5.3.1.4 says 512, extensions raise it */
#define COMMAND_PARAMS_MAX 16

enum command_verb {
    COMMAND_EHLO, COMMAND_HELO, COMMAND_MAIL, COMMAND_RCPT, COMMAND_DATA, COMMAND_RSET, COMMAND_NOOP, COMMAND_VRFY,
    COMMAND_EXPN, COMMAND_HELP, COMMAND_QUIT, COMMAND_STARTTLS, COMMAND_AUTH, COMMAND_BDAT, COMMAND_XCLIENT, COMMAND_UNKNOWN
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
 * as it was known. Bytes above 0x7F only as well-formed UTF-8 in paths (path.utf8 tells), parameters' values, and in the argument
 * of VRFY when SMTPUTF8 ends it (RFC 6531 §3.3, §3.7.4.2). */
bool command_parse(struct slice line, struct command *out, struct command_error *error);
const char *command_name(enum command_verb v);

enum command_ret { COMMAND_RET_HDRS = 128, COMMAND_RET_FULL = 256 }; /* as in spool/envelope.h */
#define COMMAND_NOTIFY_NEVER 8 /* likewise */

/* What has been offered, and so may be used: other parameters are answered 555 (RFC 5321 §4.1.1.11). utf8 at RCPT: the
 * transaction was begun with SMTPUTF8. */
struct command_offer {
    bool esmtp, dsn, utf8, requiretls, auth;
};
/* Parameters of MAIL FROM: SIZE, BODY (RFC 1870, 6152), SMTPUTF8 (6531), RET, ENVID (3461), REQUIRETLS (8689), AUTH (4954). */
struct command_mail_params {
    uint64_t size;               /* 0: not given */
    bool body_8bit, utf8, requiretls;
    uint32_t ret;                /* enum command_ret; 0: not given */
    struct slice envid;          /* xtext, checked, as given */
};
bool command_mail_params(const struct command *c, const struct command_offer *offer, struct command_mail_params *out,
                         struct command_error *error);
/* Parameters of RCPT TO: NOTIFY, ORCPT (RFC 3461 §4.1, §4.2). notify: bits 1 success, 2 failure, 4 delay, 8 never; 0: not
 * given. orcpt: "type;xtext", checked, as given. */
struct command_rcpt_params {
    uint8_t notify;
    bool given;
    struct slice orcpt;
};
bool command_rcpt_params(const struct command *c, const struct command_offer *offer, struct command_rcpt_params *out,
                         struct command_error *error);
/* BDAT's argument (RFC 3030 §2): size, and LAST. After an error nobody knows where the chunk ends. */
bool command_bdat(const struct command *c, uint64_t *size, bool *last, struct command_error *error);

#endif
