/* SPDX-License-Identifier: Apache-2.0
 * What went wrong, in words an administrator can act on. Functions that fail return false (or NULL) and
 * fill *err; the caller looks at the result always and passes err on or shows it. */
#ifndef POSTERN_BASE_ERR_H
#define POSTERN_BASE_ERR_H
#include <stdbool.h>

struct err {
    int code;       /* an errno, or 0 when the system was not involved */
    char text[400]; /* one sentence, no newline; text from outside in it is printable already */
};

#define MUST_CHECK __attribute__((warn_unused_result))

void err_set_text(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_set_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Sets the text and is false (visibly: whoever reads the code, or analyses it, knows that a success is not this way). */
#define err_set(e, ...) __extension__({ err_set_text(e, __VA_ARGS__); false; })
/* The same with ": " and strerror(code) at the end. */
#define err_sys(e, code, ...) __extension__({ err_set_sys(e, code, __VA_ARGS__); false; })

#endif
