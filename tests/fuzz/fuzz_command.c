/* SPDX-License-Identifier: Apache-2.0
 * Command lines: an answer for every line, and only clean slices in what is accepted. */
#include <stdlib.h>
#include "smtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice line = slice_of(data, n);
    struct command c;
    struct command_error e = { 0 };
    struct command_mail_params p;
    if (n > COMMAND_LINE_MAX) return 0;
    bool ok = command_parse(line, &c, &e);
    must(ok || ((e.code == 500 || e.code == 501 || e.code == 555) && e.enhanced && e.text));
    must(command_name(c.verb) != NULL);
    if (!ok) return 0;
    must(c.verb != COMMAND_UNKNOWN && c.param_n <= COMMAND_PARAMS_MAX);
    for (size_t i = 0; i < n; i++) must(data[i] >= 0x20 || data[i] == '\t');
    if (c.verb == COMMAND_RCPT) must(c.path.text.n > 0 && c.param_n == 0);
    if (c.verb != COMMAND_MAIL) return 0;
    e = (struct command_error){ 0 };
    must(command_mail_params(&c, &(struct command_offer){ .esmtp = true }, &p, &e) || e.code == 501 || e.code == 555);
    return 0;
}
