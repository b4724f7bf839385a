/* SPDX-License-Identifier: Apache-2.0
 * Everything that can be known of a configuration before it is in force. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "change/change.h"
#include "config/parse.h"
#include "config/tables.h"
#include "content/rules.h"
#include "net/tls.h"
#include "notice/template.h"
#include "policy/policy.h"
#include "route/expand.h"
#include "route/rewrite.h"
#include "scan/scanning.h"
#include "signer/signer.h"

/* "line 5: ..." is said of entries in the file: their place as others have it. Returns what is said behind that. */
static const char *take_place(const struct config *c, struct slice text, const char *said, struct config_place *out)
{
    struct slice rest = slice_str(said), head, line = { 0 };
    uint64_t n;
    *out = (struct config_place){ 0 };
    if (!slice_starts(rest, SLICE("line ")) || !slice_cut(&rest, ':', &head) ||
        !slice_to_u64(slice_sub(head, 5, head.n), UINT32_MAX, &n))
        return said;
    for (uint64_t i = 0; i < n && text.n; i++) slice_cut(&text, '\n', &line);
    *out = (struct config_place){ (uint32_t)n, 1 };
    while (out->column <= line.n && strchr(" \t-", line.p[out->column - 1])) out->column++;
    for (size_t i = 0; i < c->mapping_n; i++)
        if (c->mappings[i].place.line == n) *out = c->mappings[i].place;
    for (size_t i = 0; i < c->alias_n; i++)
        if (c->aliases[i].place.line == n) *out = c->aliases[i].place;
    return rest.p + (rest.n && rest.p[0] == ' ');
}

/* The files that lists and tables name, and what is put together from them. */
static struct policy *lists_ok(const struct config *c, struct slice text, struct config_report *r)
{
    struct config_place place;
    struct err err;
    struct policy *p = policy_new(c, &err);
    const struct err *fault = p ? tables_fault(policy_tables(p)) : &err;
    if (!fault) return p;
    const char *said = take_place(c, text, fault->text, &place);
    report_error(r, place, "", strstr(said, " loop: ") ? "take one of them out, or let it lead to somebody else" : NULL,
                 "%s", said);
    policy_free(p);
    return NULL;
}

/* Who may not read secrets can check the rest. True: no error. */
static bool told(struct config_report *r, struct config_place place, const char *option, const struct err *err)
{
    if (err->code == EACCES) report_warning(r, place, option, "run it as root", "%s", err->text);
    else report_error(r, place, option, NULL, "%s", err->text);
    return err->code == EACCES;
}

/* Keys for signing. */
static bool keys_ok(const struct config *c, struct config_report *r)
{
    struct err err;
    struct signer_keys *k = signer_keys_new(c, &err);
    bool ok = k || told(r, (struct config_place){ 0 }, "", &err);
    signer_keys_free(k);
    return ok;
}

/* Secrets of rewritten senders. */
static bool rewriter_ok(const struct config *c, struct config_report *r)
{
    struct err err;
    struct rewriter *w = rewriter_new(c, &err);
    bool ok = w || told(r, c->srs.place, "srs.secrets_file", &err);
    rewriter_free(w);
    return ok;
}

/* Texts in place of the built-in ones. */
struct doubts {
    struct config_report *report;
    struct config_place place;
};
static void doubt(void *arg, const char *text)
{
    const struct doubts *d = arg;
    report_warning(d->report, d->place, "notices.templates", NULL, "%s", text);
}

static bool notices_ok(const struct config *c, struct slice text, struct config_report *r)
{
    struct err err;
    struct doubts doubts = { r, config_place_of(text, "notices.templates") };
    struct templates *t = templates_load(c->notices.templates, &err);
    bool ok = t || told(r, doubts.place, "notices.templates", &err);
    if (t) templates_doubt(t, c->notices.templates, doubt, &doubts);
    templates_free(t);
    return ok;
}

/* Header checks, rules, rules for spam. */
static bool content_ok(const struct config *c, const struct policy *p, struct config_report *r)
{
    struct err err = { 0 };
    struct config_place place = { 0 };
    if (!rules_check(c, policy_tables(p), &place, &err)) return told(r, place, "", &err);
    return scanning_check(c, policy_tables(p), &err) || told(r, (struct config_place){ 0 }, "", &err);
}

/* Whom everybody may write to, and who hears of trouble. */
static void look_for_postmaster(const struct config *c, const struct policy *p, struct slice text,
                                struct config_report *r)
{
    const struct expander *x = policy_expander(p);
    const char *hint = "set postmaster to a mailbox that somebody reads";
    struct config_place place = config_place_of(text, "postmaster");
    struct arena arena = { 0 };
    struct expand_result e;
    expand(x, SLICE("postmaster"), &arena, &e);
    bool waits = e.status == EXPAND_SAME ? expand_waits(x, slice_str(c->postmaster)) : e.status == EXPAND_DONE;
    for (uint32_t i = 0; i < e.to_n && waits; i++) waits = expand_waits(x, e.to[i].address);
    if (waits && !place.line)
        report_warning(r, config_place_of(text, "hostname"), "postmaster", hint,
                       "postmaster is not set: mail for %s, and what the relay reports of trouble, "
                       "waits in the queue and is read by nobody", c->postmaster);
    else if (waits)
        report_warning(r, place, "postmaster", hint, "nobody delivers mail for %s: it waits in the queue",
                       c->postmaster);
    else if (e.status > EXPAND_LATER)
        report_warning(r, place, "postmaster", hint, "%s leads nowhere: %.*s", c->postmaster, SLICE_ARG(e.steps));
    arena_deinit(&arena);
}

struct config *change_check_text(const char *file, struct slice text, struct config_report *report)
{
    struct policy *policy = NULL;
    struct config *c = config_parse(text, file, report);
    bool ok = c && config_check_sources(c, text, report) && tls_check(c, text, report) &&
              (policy = lists_ok(c, text, report)) && keys_ok(c, report) && rewriter_ok(c, report) &&
              notices_ok(c, text, report) && content_ok(c, policy, report);
    if (ok) look_for_postmaster(c, policy, text, report);
    policy_free(policy);
    if (ok) return c;
    config_free(c);
    return NULL;
}
