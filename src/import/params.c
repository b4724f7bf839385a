/* SPDX-License-Identifier: Apache-2.0
 * main.cf: parameters, later definitions before earlier ones, and the names in their values. */
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "import/parts.h"

#define DEPTH_MAX 20
#define STEPS_MAX 10000

/* What Postfix takes where main.cf says nothing, as far as it matters here. */
static const struct {
    const char *name, *value;
} defaults[] = {
    { "inet_interfaces", "all" },
    { "inet_protocols", "all" },
    { "mydestination", "$myhostname, localhost.$mydomain, localhost" },
    { "myorigin", "$myhostname" },
    { "mail_name", "Postfix" },
    { "config_directory", "." },
    { "queue_directory", "/var/spool/postfix" },
    { "parent_domain_matches_subdomains",
      "debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, qmqpd_authorized_clients, relay_domains, smtpd_access_maps" },
    { "smtpd_relay_restrictions", "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination" },
    { "virtual_alias_domains", "$virtual_alias_maps" },
    { "virtual_alias_maps", "$virtual_maps" },
    { "virtual_mailbox_domains", "$virtual_mailbox_maps" },
    { "unverified_recipient_reject_code", "450" },
    { "unknown_client_reject_code", "450" },
    { "postscreen_dnsbl_threshold", "1" },
};

static bool is_name_char(char c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(s.p[i]) && s.p[i] != '.' && s.p[i] != '-') return false;
    return s.n > 0 && s.n <= 100;
}

static struct import_param *find(struct import *im, struct slice name)
{
    for (size_t i = im->param_n; i-- > 0;)
        if (slice_eq(slice_str(im->params[i].name), name)) return &im->params[i];
    return NULL;
}

/* Passwords may stand in a value itself ("static:user:password"). */
static bool is_secret(struct slice name) { return slice_ihas(name, SLICE("passw")) || slice_iends(name, SLICE("_pw")); }

bool import_read_params(struct import *im, struct import_text *t)
{
    struct slice line, name;
    struct import_from from;
    while (import_next(im, t, &line, &from)) {
        struct slice value = line;
        bool has = slice_cut(&value, '=', &name);
        name = slice_trim(name);
        if (!has || !is_name(name)) {
            left_out(im, &from, "write NAME = VALUE", "it is no parameter");
            continue;
        }
        if (im->param_n == IMPORT_NAMES_MAX) return false;
        for (size_t i = 0; i < value.n && (value.p[i] == '\n' || value.p[i] == ' ' || value.p[i] == '\t'); i++) from.skipped += value.p[i] == '\n';
        if (is_secret(name)) from.text = slice_str(arena_printf(&im->arena, "%.*s = ***", SLICE_ARG(name)));
        struct import_param *before = find(im, name);
        if (before) before->replaced = true;
        import_grow(im->params, im->param_n, im->param_cap);
        im->params[im->param_n++] = (struct import_param){ .name = arena_strdup(&im->arena, name), .value = slice_trim(value), .from = from };
    }
    return true;
}

/* ---- names in values */

struct expanding {
    struct import *im;
    struct buf *out;
    struct err *err;
    unsigned depth;
};
static bool expand(struct expanding *e, struct slice s);

static struct slice raw_value(struct import *im, struct slice name)
{
    struct import_param *p = find(im, name);
    if (p) {
        p->used = true;
        return p->value;
    }
    if (slice_eq(name, SLICE("myhostname"))) return slice_str(im->hostname);
    if (slice_eq(name, SLICE("mydomain"))) return slice_str(im->domain);
    for (size_t i = 0; i < countof(defaults); i++)
        if (slice_eq(name, slice_str(defaults[i].name))) return slice_str(defaults[i].value);
    return SLICE("");
}

static bool expand_name(struct expanding *e, struct slice name)
{
    if (!is_name(name)) return err_set(e->err, "a name after $ that is none");
    if (++e->im->steps > STEPS_MAX) return err_set(e->err, "too many names in one value");
    if (e->depth == DEPTH_MAX) return err_set(e->err, "$%.*s leads back to itself, or too deep", SLICE_ARG(name));
    e->depth++;
    bool ok = expand(e, raw_value(e->im, name));
    e->depth--;
    return ok;
}

/* The end of what begins with an opening bracket at s.p[0]; 0: none. */
static size_t closing(struct slice s)
{
    char open = s.p[0], close = open == '{' ? '}' : ')';
    size_t depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == open) depth++;
        else if (s.p[i] == close && !--depth) return i;
    }
    return 0;
}

/* What stands between the braces of ${...}: a name, perhaps with ? or : and what to take where it is set, or not. */
static bool expand_braced(struct expanding *e, struct slice s)
{
    size_t n = 0;
    s = slice_trim(s);
    while (n < s.n && is_name_char(s.p[n])) n++;
    struct slice name = slice_sub(s, 0, n), rest = slice_trim(slice_sub(s, n, s.n)), then, other = SLICE("");
    if (!rest.n) return expand_name(e, name);
    char mark = rest.p[0];
    if (!is_name(name) || (mark != '?' && mark != ':')) return err_set(e->err, "${...} with a comparison is not understood");
    rest = slice_trim(slice_sub(rest, 1, rest.n));
    if (rest.n && rest.p[0] == '{') {
        size_t end = closing(rest);
        if (!end) return err_set(e->err, "a bracket after $ is not closed");
        then = slice_trim(slice_sub(rest, 1, end));
        rest = slice_trim(slice_sub(rest, end + 1, rest.n));
        if (rest.n > 1 && rest.p[0] == ':') (void)import_word(&(struct slice){ rest.p + 1, rest.n - 1 }, &other);
    } else then = rest;
    bool set = slice_trim(raw_value(e->im, name)).n > 0;
    if (++e->im->steps > STEPS_MAX || e->depth == DEPTH_MAX) return err_set(e->err, "names within names, too deep");
    e->depth++;
    bool ok = expand(e, mark == '?' ? (set ? then : other) : set ? other : then);
    e->depth--;
    return ok;
}

static bool expand(struct expanding *e, struct slice s)
{
    while (s.n) {
        ptrdiff_t dollar = slice_find(s, '$');
        size_t plain = dollar < 0 ? s.n : (size_t)dollar, n = 0;
        size_t from = e->out->n;
        buf_add(e->out, slice_sub(s, 0, plain));
        for (size_t i = from; e->depth && i < e->out->n; i++) /* lines are those of the value itself */
            if (e->out->p[i] == '\n') e->out->p[i] = ' ';
        if (e->out->overflow) return err_set(e->err, "the value becomes longer than %u bytes", IMPORT_VALUE_MAX);
        s = slice_sub(s, plain + 1, s.n);
        if (dollar < 0) break;
        if (!s.n) return err_set(e->err, "a $ at the end");
        if (s.p[0] == '$') {
            buf_add_char(e->out, '$');
            n = 1;
        } else if (s.p[0] == '{' || s.p[0] == '(') {
            n = closing(s);
            if (!n) return err_set(e->err, "a bracket after $ is not closed");
            if (!expand_braced(e, slice_sub(s, 1, n++))) return false;
        } else {
            while (n < s.n && is_name_char(s.p[n])) n++;
            if (!expand_name(e, slice_sub(s, 0, n))) return false;
        }
        s = slice_sub(s, n, s.n);
    }
    return true;
}

bool import_expand(struct import *im, struct slice text, struct slice *out, struct err *err)
{
    struct buf b = { .max = IMPORT_VALUE_MAX };
    struct expanding e = { im, &b, err, 0 };
    im->steps = 0;
    bool ok = expand(&e, text);
    *out = ok ? slice_trim(arena_slice(&im->arena, buf_slice(&b))) : SLICE("");
    buf_deinit(&b);
    return ok;
}

struct slice import_get(struct import *im, const char *name, struct import_from *from)
{
    struct import_param *p = find(im, slice_str(name));
    struct import_from nowhere = { "main.cf", 0, slice_str(name) };
    struct slice value;
    struct err err = { .text = "" };
    bool first = p && !p->used;
    if (from) *from = p ? p->from : nowhere;
    if (import_expand(im, raw_value(im, slice_str(name)), &value, &err)) {
        if (from) from->value = value;
        return value;
    }
    if (first) left_out(im, &p->from, "write the value without it", "%s", err.text);
    return SLICE("");
}

struct import_from import_from_word(struct import *im, struct import_from *walk, struct slice word, const char *shown)
{
    struct slice ahead = walk->value, rest = walk->text, name;
    if (!walk->line || !ahead.n || word.p < ahead.p || word.p > ahead.p + ahead.n) return *walk;
    for (const char *c = ahead.p; c < word.p; c++) walk->skipped += *c == '\n';
    walk->value = slice_sub(ahead, (size_t)(word.p - ahead.p), ahead.n);
    struct import_from out = *walk;
    out.line += walk->skipped;
    out.skipped = 0;
    if (slice_cut(&rest, '=', &name)) out.text = slice_str(arena_printf(&im->arena, "%.*s: %s", SLICE_ARG(slice_trim(name)), shown));
    return out;
}

bool import_yes(struct import *im, const char *name, struct import_from *from)
{
    return slice_ieq(import_get(im, name, from), SLICE("yes"));
}

struct slice import_socket_path(struct import *im, struct slice path)
{
    if (path.n && path.p[0] == '/') return path;
    return slice_str(arena_printf(&im->arena, "%.*s/%.*s", SLICE_ARG(import_get(im, "queue_directory", NULL)), SLICE_ARG(path)));
}

const char *import_str(struct import *im, struct slice s) { return arena_strdup(&im->arena, s); }

bool import_parents_match(struct import *im, const char *feature)
{
    struct slice list = im->parents, word;
    if (!list.p) im->parents = list = import_get(im, "parent_domain_matches_subdomains", NULL);
    while (import_word(&list, &word))
        if (slice_eq(word, slice_str(feature))) return true;
    return false;
}
