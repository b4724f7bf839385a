/* SPDX-License-Identifier: Apache-2.0
 * Which templates there are, and how they are read. */
#include "notice/kinds.h"
#include <assert.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "base/builtin.h"

#define TIMES "day month year hour minute second zone rfc5322"
#define BOUNCE "hostname id arrival recipients sender subject"
#define FOUND "hostname id found done sender recipients client subject message-id untold last"

static const struct phrase_kind subject[] = { { "Subject", "hostname id" } };
static const struct phrase_kind alarm_subject[] = { { "Subject", "hostname check" } };
static const struct phrase_kind digest_subject[] = { { "Subject", "hostname messages" } };
static const struct phrase_kind page[] = {
    { "ask-title", "" },   { "ask-text", "" },   { "ask-button", "" },   { "done-title", "" },   { "done-text", "" },
    { "again-title", "" }, { "again-text", "" }, { "none-title", "" },   { "none-text", "" },    { "later-title", "" },
    { "later-text", "" },  { "method-title", "" }, { "method-text", "" }, { "from", "" },        { "to", "" },
    { "subject", "" },     { "since", "" },
};
static const struct phrase_kind words[] = {
    { "bounces-from", "" },         { "notices-from", "" },
    { "date", TIMES },              { "time", TIMES },
    { "recipient-answer", "server" }, { "recipient-answer-unnamed", "" },
    { "recipient-untried", "" },    { "more", "count" },
    { "why-null", "" },             { "why-off", "" },
    { "why-forged", "" },           { "why-copy", "" },
    { "recipient-original", "address" }, { "done-refused", "" },
    { "done-discarded", "" },       { "done-quarantined", "" },
    { "done-held", "" },            { "done-redirected", "" },
    { "done-edited", "" },          { "done-passed", "" },
    { "notice-untold", "count" },   { "notice-last", "" },
    { "messages-one", "count" },    { "messages-many", "count" },
    { "no-subject", "" },           { "no-sender", "" },
    { "from", "sender" },           { "reason-spam", "" },
    { "reason-virus", "" },         { "reason-file", "" },
    { "reason-rule", "" },          { "reason-crash", "" },
    { "reason-auth", "" },          { "reason-other", "" },
    { "kept-until", "time" },       { "release", "" },
    { "digest-more", "messages" },  { "digest-advice", "" },
    { "digest-rest", "" },          { "digest-ask", "" },
    { "no-name", "" },
};
#define PHRASES(list) list, countof(list)
const struct kind template_kinds[TEMPLATE_KINDS] = {
    [TEMPLATE_FAILED] = { "failed", PHRASES(subject), BOUNCE },
    [TEMPLATE_DELAYED] = { "delayed", PHRASES(subject), BOUNCE " until" },
    [TEMPLATE_UNDELIVERABLE] = { "undeliverable", PHRASES(subject), BOUNCE " why" },
    [TEMPLATE_RELAYED] = { "relayed", PHRASES(subject), BOUNCE },
    [TEMPLATE_VIRUS] = { "virus", PHRASES(subject), FOUND },
    [TEMPLATE_FILE] = { "file", PHRASES(subject), FOUND },
    [TEMPLATE_SPAM] = { "spam", PHRASES(subject), FOUND },
    [TEMPLATE_RULE] = { "rule", PHRASES(subject), FOUND },
    [TEMPLATE_ALARM] = { "alarm", PHRASES(alarm_subject), "hostname check text" },
    [TEMPLATE_TEST] = { "test", PHRASES(subject), "hostname id recipient" },
    [TEMPLATE_DIGEST] = { "digest", PHRASES(digest_subject), "hostname recipient messages list more advice rest" },
    [TEMPLATE_REMOVED] = { "removed", NULL, 0, "hostname id files" },
    [TEMPLATE_REPORT] = { "report", NULL, 0, "hostname score limit tests" },
    [TEMPLATE_PAGE] = { "page", PHRASES(page), NULL },
    [TEMPLATE_WORDS] = { "words", PHRASES(words), NULL },
};

/* What each is for. */
static const char *const abouts[TEMPLATE_KINDS] = {
    [TEMPLATE_FAILED] = "to the sender: a message could not be delivered",
    [TEMPLATE_DELAYED] = "to the sender: it is still being tried",
    [TEMPLATE_UNDELIVERABLE] = "to the postmaster: it could not, and the sender is not told",
    [TEMPLATE_RELAYED] = "to the sender who asked: a server has it that does not report",
    [TEMPLATE_VIRUS] = "a virus was found",
    [TEMPLATE_FILE] = "a blocked file was found",
    [TEMPLATE_SPAM] = "spam was found",
    [TEMPLATE_RULE] = "a rule tells of a message",
    [TEMPLATE_ALARM] = "to the postmaster: a check raises an alarm",
    [TEMPLATE_TEST] = "to a recipient: an administrator tries whether mail arrives",
    [TEMPLATE_DIGEST] = "to recipients: what is in the quarantine",
    [TEMPLATE_REMOVED] = "stands in a message where a part was",
    [TEMPLATE_REPORT] = "stands in front of a message that is spam",
    [TEMPLATE_PAGE] = "the page behind the links of digests",
    [TEMPLATE_WORDS] = "phrases that the others use",
};

static const char *const languages[LANGUAGES] = { "en", "de", "it", "ja" };

const char *template_language_name(enum template_language l) { return languages[l]; }

const char *template_kind_name(enum template_kind k) { return template_kinds[k].name; }

const char *template_placeholders(enum template_kind k) { return template_kinds[k].body ? template_kinds[k].body : ""; }

const char *template_kind_about(enum template_kind k) { return abouts[k]; }

bool template_is_mail(enum template_kind k) { return template_kinds[k].phrases && !strcmp(template_kinds[k].phrases[0].name, "Subject"); }

bool template_language_find(struct slice name, enum template_language *out)
{
    for (unsigned i = 0; i < LANGUAGES; i++) {
        if (!slice_eq(name, slice_str(languages[i]))) continue;
        *out = (enum template_language)i;
        return true;
    }
    return false;
}

bool template_kind_find(struct slice name, enum template_kind *out)
{
    for (unsigned i = 0; i < TEMPLATE_KINDS; i++) {
        if (!slice_eq(name, slice_str(template_kinds[i].name))) continue;
        *out = (enum template_kind)i;
        return true;
    }
    return false;
}

struct slice template_builtin(enum template_language l, enum template_kind k)
{
    const struct builtin *t = &builtin_texts[(unsigned)l * TEMPLATE_KINDS + (unsigned)k];
    return slice_of(t->text, t->n);
}

bool placeholder_in(const char *list, struct slice name)
{
    struct slice rest = slice_str(list), word;
    while (rest.n) {
        slice_cut(&rest, ' ', &word);
        if (slice_eq(word, name)) return true;
    }
    return false;
}

/* ---- reading */

bool template_line(struct slice *rest, struct slice *line)
{
    if (!rest->n) return false;
    slice_cut(rest, '\n', line);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return true;
}

static bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }

/* At a brace. */
static void read_brace(struct slice *line, struct piece *out)
{
    size_t i = 1;
    if (line->n > 1 && line->p[1] == line->p[0]) { /* one that is meant */
        out->text = slice_sub(*line, 0, 1);
        *line = slice_sub(*line, 2, line->n);
        return;
    }
    while (i < line->n && is_name_char(line->p[i])) i++;
    if (line->p[0] == '{' && i > 1 && i < line->n && line->p[i] == '}') {
        out->is_name = true;
        out->text = slice_sub(*line, 1, i);
    } else {
        out->fault = line->p[0] == '{' ? "a \"{\" without a name and \"}\" after it; for a brace write \"{{\"" : "a \"}\" without a \"{\" before it; for a brace write \"}}\"";
        out->text = slice_sub(*line, 0, 1);
        i = 0;
    }
    *line = slice_sub(*line, i + 1, line->n);
}

bool template_piece(struct slice *line, struct piece *out)
{
    size_t n = 0;
    *out = (struct piece){ .fault = NULL };
    if (!line->n) return false;
    while (n < line->n && line->p[n] != '{' && line->p[n] != '}') n++;
    if (n) {
        out->text = slice_sub(*line, 0, n);
        *line = slice_sub(*line, n, line->n);
    } else {
        read_brace(line, out);
    }
    return true;
}

bool template_find_phrase(struct slice text, const char *name, struct slice *out)
{
    struct slice line, head;
    while (template_line(&text, &line) && line.n) {
        if (line.p[0] == '#' || !slice_cut(&line, ':', &head) || !slice_eq(head, slice_str(name))) continue;
        *out = slice_trim(line);
        return true;
    }
    return false;
}

struct slice template_body(struct slice text)
{
    struct slice line;
    while (template_line(&text, &line) && line.n) continue;
    return text;
}
