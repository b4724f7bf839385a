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

/* Sets the text and returns false. */
bool err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with ": " and strerror(code) at the end. */
bool err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
