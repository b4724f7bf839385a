/* SPDX-License-Identifier: Apache-2.0
 * Host names, domains, mail addresses, users, paths. */
#include "config/value.h"

static bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80) return false;
    return true;
}

/* RFC 1123 §2.1, RFC 5321 §2.3.5. NULL: fine. */
static const char *label_problem(struct slice label, bool loose)
{
    if (!label.n) return "has an empty part: two dots in a row, or one at the beginning";
    if (label.n > 63) return "has a part of more than 63 characters";
    if (label.p[0] == '-' || label.p[label.n - 1] == '-') return "has a part that begins or ends with a hyphen";
    for (size_t i = 0; i < label.n; i++)
        if (!is_alnum(label.p[i]) && label.p[i] != '-' && !(loose && label.p[i] == '_'))
            return "has a character that host names cannot have";
    return NULL;
}

bool value_parse_host(const struct value_source *v, struct slice text, bool loose, const char **out)
{
    const char *shown = report_quote(v->report, text);
    if (!text.n) return value_fail(v, NULL, "a name is expected");
    if (!is_ascii(text))
        return value_fail(v, "write international names as A-labels, for example xn--mller-kva.example",
                          "\"%s\" is not in its ASCII form", shown);
    if (text.n > 1 && text.p[text.n - 1] == '.')
        return value_fail(v, "write it without the last dot", "\"%s\" ends with a dot", shown);
    if (text.n > 253) return value_fail(v, NULL, "\"%s\" is longer than 253 characters", shown);
    struct slice rest = text, label;
    bool more = true;
    size_t labels = 0;
    while (more) {
        more = slice_cut(&rest, '.', &label);
        const char *problem = label_problem(label, loose);
        if (problem) return value_fail(v, NULL, "\"%s\" %s", shown, problem);
        labels++;
    }
    uint64_t number;
    struct ip ip;
    if (slice_to_u64(label, UINT64_MAX, &number))
        return value_fail(v, NULL, ip_parse(text, &ip) ? "\"%s\" is an address, not a host name"
                                                       : "\"%s\" is neither a host name nor an IP address", shown);
    if (!loose && labels < 2)
        return value_fail(v, report_text(v->report, "write it with its domain, for example %s.example.com", shown),
                          "\"%s\" is not a full host name", shown);
    char *lower = arena_strdup(v->arena, text);
    for (size_t i = 0; i < text.n; i++) lower[i] = ascii_lower(lower[i]);
    *out = lower;
    return true;
}

static bool parse_domain(const struct value_source *v, struct slice text, const char **out)
{
    const char *shown = report_quote(v->report, text);
    if (slice_eq(text, SLICE("*")) || slice_eq(text, SLICE(".")))
        return value_fail(v, "name the domains whose mail is yours; mail to other domains is accepted from zones with "
                             "trust: relay",
                          "\"%s\" would relay to every domain for strangers", shown);
    size_t skip = slice_starts(text, SLICE("*.")) ? 2 : slice_starts(text, SLICE(".")) ? 1 : 0;
    if (skip)
        return value_fail(v, report_text(v->report, "write {name: %s, subdomains: yes}",
                                         report_quote(v->report, slice_sub(text, skip, text.n))),
                          "\"%s\" is not a domain name", shown);
    if (slice_find(text, '@') >= 0)
        return value_fail(v, "write the part after the @; for a single address use routes",
                          "\"%s\" is a mail address, not a domain", shown);
    return value_parse_host(v, text, true, out);
}

/* A dot-string (RFC 5321 §4.1.2). */
static bool is_local(struct slice local)
{
    bool ok = local.n > 0 && local.n <= 64 && local.p[0] != '.' && local.p[local.n - 1] != '.';
    for (size_t i = 0; i < local.n && ok; i++)
        ok = is_alnum(local.p[i]) || (strchr("!#$%&'*+-/=?^_`{|}~.", local.p[i]) && local.p[i]);
    for (size_t i = 1; i < local.n && ok; i++) ok = !(local.p[i] == '.' && local.p[i - 1] == '.');
    return ok;
}

/* An address people write: such a local part, then a domain. */
static bool parse_mailbox(const struct value_source *v, struct slice text, const char **out)
{
    const char *shown = report_quote(v->report, text), *name = NULL;
    struct slice domain = text, local;
    if (!slice_cut(&domain, '@', &local) || slice_find(domain, '@') >= 0)
        return value_fail(v, "write for example postmaster@example.com", "\"%s\" is not a mail address", shown);
    if (!is_local(local)) return value_fail(v, NULL, "\"%s\" has a wrong part before the @", shown);
    if (!value_parse_host(v, domain, true, &name)) return false;
    *out = arena_printf(v->arena, "%.*s@%s", SLICE_ARG(local), name);
    return true;
}

/* "example.org", ".example.org". */
static bool parse_tree_name(const struct value_source *v, struct slice text, const char **out)
{
    const char *name = NULL;
    if (slice_starts(text, SLICE("*.")))
        return value_fail(v,
                          report_text(v->report, "write \"%s\"", report_quote(v->report, slice_sub(text, 1, text.n))),
                          "\"%s\" is not a domain name", report_quote(v->report, text));
    if (!slice_starts(text, SLICE("."))) return value_parse_host(v, text, true, out);
    if (!value_parse_host(v, slice_sub(text, 1, text.n), true, &name)) return false;
    *out = arena_printf(v->arena, ".%s", name);
    return true;
}

static const char *lower(const struct value_source *v, struct slice text)
{
    char *out = arena_strdup(v->arena, text);
    for (char *p = out; *p; p++) *p = ascii_lower(*p);
    return out;
}

static bool parse_recipient(const struct value_source *v, struct slice text, const char **out)
{
    if (slice_eq(text, SLICE("*")) || slice_eq(text, SLICE(".")))
        return value_fail(v, "for mail to all other domains set smarthost", "a route cannot stand for every domain");
    const char *name = NULL;
    if (slice_find(text, '@') < 0 || text.p[0] == '.') return parse_tree_name(v, text, out);
    if (!parse_mailbox(v, text, &name)) return false;
    *out = lower(v, slice_str(name));
    return true;
}

static bool parse_local(const struct value_source *v, struct slice text, const char **out)
{
    if (slice_find(text, '@') >= 0)
        return value_fail(v, "write the part before the @", "\"%s\" is a mail address, not a name", report_quote(v->report, text));
    if (!is_local(text)) return value_fail(v, NULL, "\"%s\" is not the name of a mailbox", report_quote(v->report, text));
    *out = lower(v, text);
    return true;
}

static bool parse_alias(const struct value_source *v, struct slice text, const char **out)
{
    const char *name = NULL;
    bool anywhere = text.n > 1 && slice_find(text, '@') == (ptrdiff_t)text.n - 1;
    if (text.n > 1 && text.p[0] == '@')
        return value_fail(v, "name each address; mail for all of a domain goes by domains, routes or mappings",
                          "\"%s\" would stand for every name there: there are no catch-alls", report_quote(v->report, text));
    if (anywhere ? !is_local(slice_sub(text, 0, text.n - 1)) : slice_find(text, '@') < 0 && !is_local(text))
        return value_fail(v, "write \"sales\", \"sales@example.com\" or \"sales@\"", "\"%s\" is not the name of a mailbox",
                          report_quote(v->report, text));
    if (!anywhere && slice_find(text, '@') >= 0 && !parse_mailbox(v, text, &name)) return false;
    *out = lower(v, name ? slice_str(name) : text);
    return true;
}

/* The files of other programs have commands, files and lists in this place. */
static bool parse_target(const struct value_source *v, struct slice text, const char **out)
{
    const char *shown = report_quote(v->report, text);
    if (text.n && strchr("|/:\"", text.p[0]))
        return value_fail(v, "write addresses; for mailboxes on this machine see deliver: maildir:/path",
                          "\"%s\": mail is not given to commands, files or included lists", shown);
    if (slice_find(text, '@') >= 0) return parse_mailbox(v, text, out);
    if (!is_local(text))
        return value_fail(v, "write for example anna, or anna@example.com", "\"%s\" is neither an address nor a name", shown);
    *out = arena_strdup(v->arena, text);
    return true;
}

static bool parse_mac(const struct value_source *v, struct slice text, const char **out)
{
    bool ok = text.n == 17;
    for (size_t i = 0; i < text.n && ok; i++)
        ok = i % 3 == 2 ? text.p[i] == ':' : text.p[i] && strchr("0123456789abcdefABCDEF", text.p[i]);
    if (!ok)
        return value_fail(v, "write six pairs of hex digits: \"02:00:00:00:00:01\"", "\"%s\" is not a MAC address",
                          report_quote(v->report, text));
    *out = lower(v, text);
    return true;
}

static bool parse_word(const struct value_source *v, struct slice text, const char **out)
{
    bool ok = text.n <= 32;
    for (size_t i = 0; i < text.n && ok; i++)
        ok = is_alnum(text.p[i]) || text.p[i] == '_' ||
             (i && (text.p[i] == '-' || text.p[i] == '.' || text.p[i] == '@'));
    if (slice_eq(text, SLICE("*")))
        return value_fail(v, "write the names, one by one", "\"*\" would stand for everybody; a name is expected");
    if (!ok)
        return value_fail(v, "up to 32 letters, digits, \"-\", \"_\" and \".\"", "\"%s\" is not a name",
                          report_quote(v->report, text));
    *out = arena_strdup(v->arena, text);
    return true;
}

static bool parse_peer(const struct value_source *v, struct slice text, const char **out)
{
    struct ip ip;
    if (!ip_parse(text, &ip)) return value_parse_host(v, text, true, out);
    *out = arena_strdup(v->arena, text);
    return true;
}

static bool parse_text(const struct value_source *v, struct slice text, const char **out)
{
    bool ok = text.n > 0 && text.n < 4096;
    for (size_t i = 0; i < text.n && ok; i++) ok = (unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7F;
    if (!ok)
        return value_fail(v, NULL, text.n ? "the text has control characters or is too long" : "the text is empty");
    *out = arena_strdup(v->arena, text);
    return true;
}

static bool parse_path(const struct value_source *v, struct slice text, const char **out)
{
    const char *path = "";
    if (!parse_text(v, text, &path)) return false;
    *out = arena_printf(v->arena, "%s%s", path[0] == '/' ? "" : v->directory, path);
    return true;
}

bool value_parse_name(const struct value_source *v, enum schema_type type, struct slice text, const char **out)
{
    switch (type) {
    case SCHEMA_HOST: return value_parse_host(v, text, false, out);
    case SCHEMA_DOMAIN: return parse_domain(v, text, out);
    case SCHEMA_DNS_NAME: return value_parse_host(v, text, true, out);
    case SCHEMA_DOMAIN_TREE: return parse_tree_name(v, text, out);
    case SCHEMA_PEER: return parse_peer(v, text, out);
    case SCHEMA_MAILBOX: return parse_mailbox(v, text, out);
    case SCHEMA_RECIPIENT: return parse_recipient(v, text, out);
    case SCHEMA_LOCAL: return parse_local(v, text, out);
    case SCHEMA_ALIAS: return parse_alias(v, text, out);
    case SCHEMA_TARGET: return parse_target(v, text, out);
    case SCHEMA_MAC: return parse_mac(v, text, out);
    case SCHEMA_NAME: return parse_word(v, text, out);
    case SCHEMA_PATH: return parse_path(v, text, out);
    default: return parse_text(v, text, out);
    }
}
