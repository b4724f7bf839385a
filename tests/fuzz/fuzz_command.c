/* SPDX-License-Identifier: Apache-2.0
 * Command lines: an answer for every line, and only clean slices in what is accepted. */
#include "smtp/command.h"
#include "fuzz.h"

static void refused(const struct command_error *e)
{
    must((e->code == 501 || e->code == 555) && e->enhanced && e->text);
}

static void mail(const struct command *c, bool all)
{
    struct command_offer offer = { true, all, all, all, all };
    struct command_mail_params p;
    struct command_error e = { 0 };
    if (!command_mail_params(c, &offer, &p, &e)) {
        refused(&e);
        return;
    }
    must(all || (!p.utf8 && !p.requiretls && !p.ret && !p.envid.n));
    must(p.envid.n <= 100);
    for (size_t i = 0; i < p.envid.n; i++) must(p.envid.p[i] > 0x20 && p.envid.p[i] < 0x7F);
}

static void rcpt(const struct command *c, bool utf8)
{
    struct command_offer offer = { .esmtp = true, .dsn = true, .utf8 = utf8 };
    struct command_rcpt_params p;
    struct command_error e = { 0 };
    must(c->path.text.n > 0);
    if (!command_rcpt_params(c, &offer, &p, &e)) {
        refused(&e);
        return;
    }
    must(p.orcpt.n <= 500 && p.notify <= 8 && (p.given || (!p.orcpt.n && !p.notify)));
    for (size_t i = 0; i < p.orcpt.n; i++) must(p.orcpt.p[i] > 0x20 || (utf8 && p.orcpt.p[i] < 0));
}

static void bdat(const struct command *c)
{
    uint64_t size;
    bool last;
    struct command_error e = { 0 };
    if (!command_bdat(c, &size, &last, &e)) refused(&e);
    else must(c->arg.p[0] >= '0' && c->arg.p[0] <= '9');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice line = slice_of(data, n);
    struct command c;
    struct command_error e = { 0 };
    if (n > COMMAND_LINE_MAX) return 0;
    bool ok = command_parse(line, &c, &e);
    must(ok || ((e.code == 500 || e.code == 501 || e.code == 555) && e.enhanced && e.text));
    must(command_name(c.verb) != NULL);
    if (!ok) return 0;
    must(c.verb != COMMAND_UNKNOWN && c.param_n <= COMMAND_PARAMS_MAX);
    for (size_t i = 0; i < n; i++) must(data[i] >= 0x20 || data[i] == '\t');
    if (c.verb == COMMAND_MAIL) mail(&c, true), mail(&c, false);
    if (c.verb == COMMAND_RCPT) rcpt(&c, true), rcpt(&c, false);
    if (c.verb == COMMAND_BDAT) bdat(&c);
    return 0;
}
