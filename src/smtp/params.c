/* SPDX-License-Identifier: Apache-2.0
 * The parameters of MAIL, RCPT and BDAT: each keyword in a table with who may use it. */
#include "base/mem.h"
#include "base/utf8.h"
#include "smtp/command.h"
#include "smtp/xtext.h"

#define ENVID_MAX 100 /* RFC 3461 §4.4 */
#define ORCPT_MAX 500 /* §4.2 */

static bool fail(struct command_error *e, int code, const char *text)
{
    *e = (struct command_error){ code, "5.5.4", text };
    return false;
}

/* ---- MAIL */

static bool take_size(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    /* RFC 1870 §6: 1*20DIGIT, which may be more than 64 bits: that is too large for us in any case. */
    bool digits = p->value.n > 0 && p->value.n <= 20;
    for (size_t i = 0; i < p->value.n; i++) digits = digits && p->value.p[i] >= '0' && p->value.p[i] <= '9';
    if (!digits) return fail(e, 501, "SIZE needs a number of at most 20 digits");
    if (!slice_to_u64(p->value, UINT64_MAX, &out->size)) out->size = UINT64_MAX;
    return true;
}

static bool take_body(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    out->body_8bit = slice_ieq(p->value, SLICE("8BITMIME"));
    return out->body_8bit || slice_ieq(p->value, SLICE("7BIT")) || /* RFC 6152 §2 */
           fail(e, 501, "BODY must be 7BIT or 8BITMIME");
}

static bool take_ret(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    if (slice_ieq(p->value, SLICE("FULL"))) out->ret = COMMAND_RET_FULL;
    else if (slice_ieq(p->value, SLICE("HDRS"))) out->ret = COMMAND_RET_HDRS;
    else return fail(e, 501, "RET must be FULL or HDRS");
    return true;
}

static bool take_envid(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    if (p->value.n > ENVID_MAX) return fail(e, 501, "ENVID is longer than 100 characters");
    if (!xtext_ok(p->value)) return fail(e, 501, "ENVID must be xtext of printable characters");
    out->envid = p->value;
    return true;
}

static bool take_utf8(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    out->utf8 = true; /* RFC 6531 §3.4 */
    return !p->value.p || fail(e, 501, "SMTPUTF8 has no value");
}

static bool take_requiretls(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    out->requiretls = true; /* RFC 8689 §2 */
    return !p->value.p || fail(e, 501, "REQUIRETLS has no value");
}

/* RFC 4954 §5: read, and not believed: what a client says of others' authentication says nothing here. */
static bool take_auth(const struct command_param *p, struct command_mail_params *out, struct command_error *e)
{
    return slice_eq(p->value, SLICE("<>")) || xtext_ok(p->value) || fail(e, 501, "AUTH must be <> or a mailbox in xtext");
}

enum { ALWAYS, IF_DSN, IF_UTF8, IF_REQUIRETLS, IF_AUTH };

static bool is_offered(const struct command_offer *o, int when)
{
    return o->esmtp && (when == ALWAYS || (when == IF_DSN && o->dsn) || (when == IF_UTF8 && o->utf8) ||
                        (when == IF_REQUIRETLS && o->requiretls) || (when == IF_AUTH && o->auth));
}

bool command_mail_params(const struct command *c, const struct command_offer *offer, struct command_mail_params *out,
                         struct command_error *error)
{
    static const struct {
        const char *keyword;
        int when;
        bool (*take)(const struct command_param *p, struct command_mail_params *out, struct command_error *e);
    } known[] = {
        { "SIZE", ALWAYS, take_size }, { "BODY", ALWAYS, take_body }, { "SMTPUTF8", IF_UTF8, take_utf8 },
        { "RET", IF_DSN, take_ret }, { "ENVID", IF_DSN, take_envid },
        { "REQUIRETLS", IF_REQUIRETLS, take_requiretls }, { "AUTH", IF_AUTH, take_auth },
    };
    *out = (struct command_mail_params){ 0 };
    for (size_t i = 0; i < c->param_n; i++) {
        size_t k = 0;
        while (k < countof(known) && !slice_ieq(c->params[i].keyword, slice_str(known[k].keyword))) k++;
        if (k == countof(known) || !is_offered(offer, known[k].when)) /* RFC 5321 §4.1.1.11 */
            return fail(error, 555, "A parameter of MAIL FROM is not known here");
        if (!known[k].take(&c->params[i], out, error)) return false;
    }
    return true;
}

/* ---- RCPT */

static bool take_notify(struct slice value, struct command_rcpt_params *out, struct command_error *e)
{
    static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" }; /* bits 1, 2, 4 */
    struct slice word;
    if (slice_ieq(value, SLICE("NEVER"))) {
        out->notify = COMMAND_NOTIFY_NEVER;
        return true;
    }
    for (bool more = true; more;) {
        more = slice_cut(&value, ',', &word);
        unsigned k = 0;
        while (k < countof(words) && !slice_ieq(word, slice_str(words[k]))) k++;
        if (k == countof(words)) return fail(e, 501, "NOTIFY must be NEVER or a list of SUCCESS, FAILURE and DELAY");
        out->notify |= (uint8_t)(1u << k);
    }
    return true;
}

static bool is_atom(struct slice s) /* addr-type (RFC 3461 §4.2) is an atom (RFC 822) */
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || strchr("()<>@,;:\\\".[]", s.p[i])) return false;
    return s.n > 0;
}

static bool take_orcpt(struct slice value, bool utf8, struct command_rcpt_params *out, struct command_error *e)
{
    struct slice type, address = value;
    if (value.n > ORCPT_MAX) return fail(e, 501, "ORCPT is longer than 500 characters");
    if (!slice_cut(&address, ';', &type) || !is_atom(type)) return fail(e, 501, "ORCPT must be type;address");
    bool wide = slice_ieq(type, SLICE("utf-8")); /* RFC 6533 §3 */
    if (wide ? !xtext_utf8_ok(address, utf8) : !xtext_ok(address))
        return fail(e, 501, "the address in ORCPT must be xtext of printable characters");
    out->orcpt = value;
    return true;
}

bool command_rcpt_params(const struct command *c, const struct command_offer *offer, struct command_rcpt_params *out,
                         struct command_error *error)
{
    *out = (struct command_rcpt_params){ 0 };
    for (size_t i = 0; i < c->param_n; i++) {
        const struct command_param *p = &c->params[i];
        bool ok;
        if (!is_offered(offer, IF_DSN)) ok = fail(error, 555, "No parameter of RCPT TO is known here");
        else if (slice_ieq(p->keyword, SLICE("NOTIFY")) && p->value.p) ok = take_notify(p->value, out, error);
        else if (slice_ieq(p->keyword, SLICE("ORCPT")) && p->value.p) ok = take_orcpt(p->value, offer->utf8, out, error);
        else if (slice_ieq(p->keyword, SLICE("NOTIFY")) || slice_ieq(p->keyword, SLICE("ORCPT")))
            ok = fail(error, 501, "NOTIFY and ORCPT need a value");
        else ok = fail(error, 555, "A parameter of RCPT TO is not known here");
        if (!ok) return false;
        out->given = true;
    }
    return true;
}

/* ---- BDAT */

bool command_bdat(const struct command *c, uint64_t *size, bool *last, struct command_error *error)
{
    struct slice rest = c->arg, number;
    bool more = slice_cut(&rest, ' ', &number); /* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] */
    *last = more;
    return (slice_to_u64(number, UINT64_MAX, size) && (!more || slice_ieq(rest, SLICE("LAST")))) ||
           fail(error, 501, "The syntax is BDAT size [LAST]");
}
