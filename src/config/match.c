/* SPDX-License-Identifier: Apache-2.0
 * Entries of lists, taken apart: what an entry looks like decides what it is. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "config/match.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include "smtp/address.h"

#define ENTRY_MAX 1000
#define MATCH_STEPS 10000 /* of one expression; an address has 320 characters at most */
#define MATCH_HEAP 1024   /* KiB */

/* ---- addresses and networks */

static bool is_of(struct slice s, const char *chars)
{
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(chars, s.p[i])) return false;
    return s.n > 0;
}

static bool looks_like_ip(struct slice s)
{
    return is_of(s, "0123456789./") || (slice_find(s, ':') >= 0 && is_of(s, "0123456789abcdefABCDEF.:/"));
}

/* "192.168.88", "192.168.", "10.": one to three whole numbers. A number alone could be anything, so its dot must be there. */
static bool parse_beginning(struct slice text, struct ip_net *out)
{
    struct slice rest = text, part;
    *out = (struct ip_net){ .ip = { .family = 4 } };
    size_t n = 0;
    for (bool more = true; more; n++) {
        uint64_t number;
        more = slice_cut(&rest, '.', &part);
        if (!part.n && !more && n) break; /* behind the last dot */
        if (n == 3 || part.n > 3 || !slice_to_u64(part, 255, &number)) return false;
        out->ip.bytes[n] = (uint8_t)number;
    }
    out->prefix = (uint8_t)(8 * n);
    return slice_find(text, '.') >= 0;
}

static const char *parse_network(struct slice text, enum list_of of, struct match *out)
{
    out->form = MATCH_NETWORK;
    if (of != LIST_OF_CLIENTS) return "an IP address or network: it belongs into a list of clients";
    const char *why = ip_net_parse(text, &out->net);
    return why && parse_beginning(text, &out->net) ? NULL : why;
}

/* ---- mail addresses and names */

static const char *parse_local(struct slice local, struct match *out)
{
    char text[80];
    struct address a;
    static const char tail[] = "@x.example";
    if (!local.n) return "nothing before the @: for all addresses of a domain write the domain alone";
    if (local.n > sizeof out->local) return "more than 64 characters before the @";
    memcpy(text, local.p, local.n);
    memcpy(text + local.n, tail, sizeof tail - 1);
    if (address_parse(slice_of(text, local.n + sizeof tail - 1), &a)) return "not the local part of a mail address";
    out->local_n = address_local_unquote(local, out->local);
    return NULL;
}

static const char *parse_domain(struct slice domain, struct match *out)
{
    uint64_t number;
    if (slice_starts(domain, SLICE("*."))) return "with all names below a domain begin with a dot: .example.org";
    if (!address_domain_ascii(domain, out->domain)) return "not a domain or host name";
    const char *dot = strrchr(out->domain, '.');
    return slice_to_u64(slice_str(dot ? dot + 1 : out->domain), UINT64_MAX, &number) ? "neither a host name nor an IP address"
                                                                                      : NULL;
}

static const char *parse_mailbox(struct slice text, enum list_of of, struct match *out)
{
    if (of == LIST_OF_MAPPINGS || of == LIST_OF_DOMAINS) return "a mail address: only domains stand here";
    if (of == LIST_OF_CLIENTS) return "a mail address: it belongs into a list of senders or recipients";
    size_t at = text.n;
    while (text.p[at - 1] != '@') at--;
    struct slice local = slice_sub(text, 0, at - 1), domain = slice_sub(text, at, text.n);
    out->form = domain.n ? MATCH_MAILBOX : MATCH_LOCAL;
    const char *why = parse_local(local, out);
    if (why || !domain.n) return why;
    return domain.p[0] == '[' ? "an address literal: write it as a regular expression" : parse_domain(domain, out);
}

const char *match_parse(struct slice text, enum list_of of, struct match *out)
{
    *out = (struct match){ .form = MATCH_NAME };
    if (!text.n) return "the entry is empty";
    if (text.n > ENTRY_MAX) return "the entry is longer than 1000 characters";
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F) return "the entry has control characters";
    if (text.p[0] == '/' && (of == LIST_OF_CLIENTS || of == LIST_OF_ADDRESSES)) {
        out->form = MATCH_EXPRESSION;
        out->expression = slice_sub(text, 1, text.n - 1);
        return text.n > 2 && text.p[text.n - 1] == '/' ? NULL : "a regular expression stands between two slashes";
    }
    if (slice_eq(text, SLICE("<>"))) {
        out->form = MATCH_NULL;
        return of == LIST_OF_ADDRESSES ? NULL : "the empty sender: it belongs into a list of senders";
    }
    if (slice_find(text, '@') >= 0) return parse_mailbox(text, of, out);
    if (of == LIST_OF_ALIASES) {
        out->form = MATCH_USER;
        return parse_local(text, out);
    }
    if (looks_like_ip(text)) return parse_network(text, of, out);
    if (text.p[0] == '.') out->form = MATCH_TREE;
    return parse_domain(slice_sub(text, out->form == MATCH_TREE, text.n), out);
}

struct slice match_key(const struct match *m, char room[MATCH_KEY_MAX])
{
    int n = 0;
    switch (m->form) {
    case MATCH_NULL: n = snprintf(room, MATCH_KEY_MAX, "<>"); break;
    case MATCH_USER: n = snprintf(room, MATCH_KEY_MAX, "%.*s", (int)m->local_n, m->local); break;
    case MATCH_MAILBOX:
    case MATCH_LOCAL: n = snprintf(room, MATCH_KEY_MAX, "%.*s@%s", (int)m->local_n, m->local, m->domain); break;
    case MATCH_TREE: n = snprintf(room, MATCH_KEY_MAX, ".%s", m->domain); break;
    default: n = snprintf(room, MATCH_KEY_MAX, "%s", m->domain);
    }
    for (int i = 0; i < n; i++) room[i] = ascii_lower(room[i]);
    return slice_of(room, (size_t)n);
}

/* ---- what is told, what is compiled */

const char *match_reason_problem(struct slice reason)
{
    if (reason.n > MATCH_REASON_MAX) return "the reason is longer than 200 characters";
    for (size_t i = 0; i < reason.n; i++)
        if (reason.p[i] < 0x20 || reason.p[i] > 0x7E) return "the reason has characters that replies cannot have: only ASCII";
    return NULL;
}

/* Matching is a matter of bytes where the text is no UTF-8. \C would split characters; JIT would need memory that is writable and
 * executable. */
pcre2_code *match_compile(struct slice expression, struct err *err)
{
    return match_compile_as(expression, PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED |
                                            PCRE2_ENDANCHORED, err);
}

pcre2_code *match_compile_as(struct slice expression, uint32_t options, struct err *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];
    pcre2_code *made = pcre2_compile((PCRE2_SPTR)(expression.n ? expression.p : ""), expression.n, options, &code, &at, NULL);
    if (made) return made;
    pcre2_get_error_message(code, why, sizeof why);
    err_set_text(err, "%s (at character %zu of the regular expression)", (const char *)why, (size_t)at + 1);
    return NULL;
}

void match_free(pcre2_code *code) { pcre2_code_free(code); }

void match_limits_new(pcre2_match_data **data, pcre2_match_context **limits)
{
    *data = pcre2_match_data_create(1, NULL);
    *limits = pcre2_match_context_create(NULL);
    if (!*data || !*limits) abort(); /* as mem_alloc */
    pcre2_set_match_limit(*limits, MATCH_STEPS);
    pcre2_set_heap_limit(*limits, MATCH_HEAP);
}

bool match_check(struct slice text, enum list_of of, struct err *err)
{
    struct match m;
    const char *why = match_parse(text, of, &m);
    if (why) return err_set(err, "%s", why);
    if (m.form != MATCH_EXPRESSION) return true;
    pcre2_code *code = match_compile(m.expression, err);
    pcre2_code_free(code);
    return code;
}
