/* SPDX-License-Identifier: Apache-2.0
 * Command lines: a table of verbs with what each takes, and the form of parameters (what they mean: params.c). */
#include "smtp/command.h"
#include "base/mem.h"
#include "base/utf8.h"

enum argument { ARG_NONE, ARG_OPTIONAL, ARG_STRING, ARG_HELO, ARG_REVERSE_PATH, ARG_FORWARD_PATH };

static const struct verb {
    const char *name;
    enum argument argument;
    const char *usage; /* the answer when the argument is missing or there is one too many */
} verbs[] = {
    [COMMAND_EHLO] = { "EHLO", ARG_HELO, "EHLO needs a domain name or an address literal" },
    [COMMAND_HELO] = { "HELO", ARG_HELO, "HELO needs a domain name or an address literal" },
    [COMMAND_MAIL] = { "MAIL", ARG_REVERSE_PATH, "The syntax is MAIL FROM:<address> [parameters]" },
    [COMMAND_RCPT] = { "RCPT", ARG_FORWARD_PATH, "The syntax is RCPT TO:<address> [parameters]" },
    [COMMAND_DATA] = { "DATA", ARG_NONE, "DATA takes no argument" },
    [COMMAND_RSET] = { "RSET", ARG_NONE, "RSET takes no argument" },
    [COMMAND_NOOP] = { "NOOP", ARG_OPTIONAL, "" },
    [COMMAND_VRFY] = { "VRFY", ARG_STRING, "VRFY needs an argument" },
    [COMMAND_EXPN] = { "EXPN", ARG_STRING, "EXPN needs an argument" },
    [COMMAND_HELP] = { "HELP", ARG_OPTIONAL, "" },
    [COMMAND_QUIT] = { "QUIT", ARG_NONE, "QUIT takes no argument" },
    [COMMAND_STARTTLS] = { "STARTTLS", ARG_NONE, "STARTTLS takes no argument" },
    [COMMAND_AUTH] = { "AUTH", ARG_STRING, "AUTH needs a mechanism" },
    [COMMAND_BDAT] = { "BDAT", ARG_STRING, "BDAT needs a size" },
    [COMMAND_XCLIENT] = { "XCLIENT", ARG_STRING, "XCLIENT needs attributes" },
};

static bool fail(struct command_error *e, int code, const char *enhanced, const char *text)
{
    *e = (struct command_error){ code, enhanced, text };
    return false;
}

const char *command_name(enum command_verb v)
{
    return (size_t)v < countof(verbs) ? verbs[v].name : "unknown";
}

static enum command_verb find_verb(struct slice word)
{
    for (size_t i = 0; i < countof(verbs); i++)
        if (slice_ieq(word, slice_str(verbs[i].name))) return (enum command_verb)i;
    return COMMAND_UNKNOWN;
}

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F) return true;
    return false;
}

static bool keyword_ok(struct slice s) /* esmtp-keyword */
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0))) return false;
    }
    return s.n > 0;
}

static bool value_ok(struct slice s) /* esmtp-value, with UTF-8 (RFC 6531 §3.3) */
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == '=' || s.p[i] == 0x7F) return false;
    return s.n > 0 && utf8_clean(s);
}

/* *(SP esmtp-param), RFC 5321 §4.1.2. */
static bool parse_params(struct slice rest, struct command *out, struct command_error *error)
{
    while (rest.n) {
        if (rest.p[0] != ' ') return fail(error, 501, "5.5.4", "There must be a space between address and parameters");
        rest = slice_sub(rest, 1, rest.n);
        ptrdiff_t space = slice_find(rest, ' ');
        struct slice value = slice_sub(rest, 0, space < 0 ? rest.n : (size_t)space);
        struct command_param param = { 0 };
        rest = slice_sub(rest, value.n, rest.n);
        bool has_value = slice_cut(&value, '=', &param.keyword);
        if (has_value) param.value = value;
        if (!keyword_ok(param.keyword) || (has_value && !value_ok(value)))
            return fail(error, 501, "5.5.4", "A parameter is malformed");
        for (size_t i = 0; i < out->param_n; i++)
            if (slice_ieq(out->params[i].keyword, param.keyword))
                return fail(error, 501, "5.5.4", "A parameter is given twice");
        if (out->param_n == COMMAND_PARAMS_MAX) return fail(error, 555, "5.5.4", "Too many parameters");
        out->params[out->param_n++] = param;
    }
    return true;
}

static bool parse_path(struct command *out, bool reverse, struct command_error *error)
{
    struct slice word = reverse ? SLICE("FROM:") : SLICE("TO:"), rest = out->arg;
    if (!slice_istarts(rest, word)) return fail(error, 501, "5.5.4", verbs[out->verb].usage);
    rest = slice_sub(rest, word.n, rest.n);
    while (rest.n && rest.p[0] == ' ') rest = slice_sub(rest, 1, rest.n); /* not in the grammar, yet usual */
    const char *why = address_parse_path(&rest, reverse, !reverse, &out->path);
    if (why) return fail(error, 501, reverse ? "5.1.7" : "5.1.3", why);
    return parse_params(rest, out, error);
}

/* RFC 6531 §3.7.4.2: "VRFY name SMTPUTF8". */
static bool may_be_wide(const struct command *c)
{
    return c->verb == COMMAND_VRFY && slice_iends(c->arg, SLICE(" SMTPUTF8")) && utf8_clean(c->arg);
}

bool command_parse(struct slice line, struct command *out, struct command_error *error)
{
    struct slice word, rest = line;
    *out = (struct command){ .verb = COMMAND_UNKNOWN };
    while (rest.n && (rest.p[rest.n - 1] == ' ' || rest.p[rest.n - 1] == '\t')) rest.n--; /* RFC 5321 §4.1.1 */
    bool has_arg = slice_cut(&rest, ' ', &word);
    out->verb = find_verb(word);
    out->arg = rest;
    if (has_control(word) || has_control(rest))
        return fail(error, 500, "5.5.2", "Control characters are not allowed in commands");
    if (out->verb == COMMAND_UNKNOWN) return fail(error, 500, "5.5.2", "No such command");
    const struct verb *v = &verbs[out->verb];
    switch (v->argument) {
    case ARG_NONE: return !has_arg || fail(error, 501, "5.5.4", v->usage);
    case ARG_HELO: return address_helo_ok(rest) || fail(error, 501, "5.5.4", v->usage);
    case ARG_REVERSE_PATH: return parse_path(out, true, error);
    case ARG_FORWARD_PATH: return parse_path(out, false, error);
    case ARG_STRING:
        if (!rest.n) return fail(error, 501, "5.5.4", v->usage);
        break;
    case ARG_OPTIONAL: break;
    }
    return utf8_ascii(rest) || may_be_wide(out) || fail(error, 501, "5.5.2", "8-bit characters are not allowed in commands");
}
