/* SPDX-License-Identifier: Apache-2.0
 * Errors. */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void err_set_text(struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    e->code = 0;
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
}

void err_set_sys(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    e->code = code;
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(code));
}
