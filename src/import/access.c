/* SPDX-License-Identifier: Apache-2.0
 * Tables of access(5): what they refuse and let pass becomes lists, other actions rules. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

enum verdict { PASS, REFUSE, NOTHING, RULE, NONE };
struct action {
    enum verdict verdict;
    struct slice text;
    const char *rule;    /* of RULE: what stands in `then` */
    const char *why;     /* of NONE */
};

bool import_list_entry(struct import *im, enum import_section where, enum list_of of, struct slice entry, struct slice reason,
                       const struct import_from *from)
{
    struct err err;
    reason = slice_trim(reason);
    if (!match_check(entry, of, &err)) {
        left_out(im, from, NULL, "%s: %s", import_show(im, entry), err.text);
        return false;
    }
    if (reason.n && match_reason_problem(reason)) {
        different(im, from, "shorten it", "clients are told our own words: %s", match_reason_problem(reason));
        reason = SLICE("");
    }
    if (reason.n) import_put(im, where, from, "{match: %s, reason: %s}", import_scalar(im, entry), import_scalar(im, reason));
    else import_put(im, where, from, "%s", import_scalar(im, entry));
    return true;
}

/* "5.7.1 text": the code is ours. */
static struct slice without_code(struct slice s)
{
    struct slice rest = slice_trim(s), word;
    if (rest.n > 5 && (rest.p[0] == '4' || rest.p[0] == '5') && rest.p[1] == '.' && slice_cut(&rest, ' ', &word)) return slice_trim(rest);
    return slice_trim(s);
}

static struct action action_of(struct import *im, struct slice value)
{
    struct slice rest = slice_trim(value), word;
    slice_cut(&rest, ' ', &word);
    uint64_t number;
    bool is_number = slice_to_u64(word, UINT64_MAX, &number);
    rest = slice_trim(rest);
    if (slice_ieq(word, SLICE("OK")) || slice_ieq(word, SLICE("RELAY")) || slice_ieq(word, SLICE("PERMIT"))) return (struct action){ PASS };
    if (slice_ieq(word, SLICE("REJECT")) || (is_number && word.n == 3 && number / 100 == 5)) return (struct action){ REFUSE, without_code(rest) };
    if (is_number && word.n == 3 && number / 100 == 4) return (struct action){ NONE, .why = "lists refuse for good: putting off is not known there" };
    if (is_number) return (struct action){ PASS };
    if (slice_ieq(word, SLICE("DUNNO")) || slice_ieq(word, SLICE("WARN")) || slice_ieq(word, SLICE("INFO"))) return (struct action){ NOTHING };
    if (slice_ieq(word, SLICE("DISCARD"))) return (struct action){ RULE, .rule = "discard" };
    if (slice_ieq(word, SLICE("PREPEND")) && rest.n)
        return (struct action){ RULE, .rule = arena_printf(&im->arena, "{action: add_header, text: %s}", import_scalar(im, rest)) };
    if ((slice_ieq(word, SLICE("REDIRECT")) || slice_ieq(word, SLICE("BCC"))) && rest.n)
        return (struct action){ RULE, .rule = arena_printf(&im->arena, "{action: %s, address: %s}", slice_ieq(word, SLICE("BCC")) ? "copy" : "redirect",
                                                           import_scalar(im, rest)) };
    if (slice_ieq(word, SLICE("HOLD"))) return (struct action){ NONE, .why = "lists do not hold mail: a rule with quarantine does" };
    return (struct action){ NONE, .why = "this action is not known here" };
}

/* ---- keys */

static bool is_digits(struct slice s)
{
    uint64_t n;
    return slice_to_u64(s, 255, &n);
}

/* As an entry of a list: names stand for all below them, beginnings of addresses end in a dot. */
static struct slice entry_of(struct import *im, const struct import_entry *e, enum import_access of)
{
    struct slice key = e->key, rest = key, part;
    struct ip_net net;
    if (e->kind == IMPORT_CIDR) return ip_net_parse(key, &net) ? SLICE("") : key;
    if (e->kind == IMPORT_REGEXP || slice_eq(key, SLICE("<>"))) return key;
    if (key.p[0] == '/') return SLICE(""); /* an expression for us, a name that nobody has for Postfix */
    bool parents = import_parents_match(im, "smtpd_access_maps");
    slice_cut(&rest, '.', &part);
    if (of == ACCESS_CLIENT && is_digits(part)) {
        struct ip ip;
        return ip_parse(key, &ip) || slice_find(key, '/') >= 0 ? key : slice_str(arena_printf(&im->arena, "%.*s.", SLICE_ARG(slice_sub(key, 0, key.n - (key.p[key.n - 1] == '.')))));
    }
    if (slice_find(key, '@') >= 0 || slice_find(key, ':') >= 0 || key.p[0] == '.' || !parents) return key;
    return slice_str(arena_printf(&im->arena, ".%.*s", SLICE_ARG(key)));
}

/* A look-up that ends there without a word keeps wider entries of the table from counting. */
static bool has_wider(struct import_map *m, struct slice key)
{
    struct slice rest = key, part;
    if (slice_find(key, '@') >= 0) {
        slice_cut(&rest, '@', &part);
        if (import_find(m, rest)) return true;
    }
    for (bool more = true; more && rest.n;) {
        more = slice_cut(&rest, '.', &part);
        if (more && rest.n && import_find(m, rest)) return true;
    }
    return false;
}

/* ---- one entry */

static const enum import_section allow[] = { PUT_ALLOW_CLIENTS, PUT_ALLOW_SENDERS, PUT_ALLOW_RECIPIENTS },
                                 block[] = { PUT_BLOCK_CLIENTS, PUT_BLOCK_SENDERS, PUT_BLOCK_RECIPIENTS };
static const char *const words[] = { "clients", "senders", "recipients" };

static void let_relay(struct import *im, const struct import_entry *e, enum import_access of, struct slice entry)
{
    struct match m;
    if (of == ACCESS_SENDER || of == ACCESS_HELO)
        left_out(im, &e->from, "let them log in, or name their networks in a zone", "it would open the relay: anybody can claim to be %s", import_show(im, e->key));
    else if (e->kind == IMPORT_REGEXP || match_parse(entry, LIST_OF_CLIENTS, &m))
        left_out(im, &e->from, "name addresses, networks or domains below relaying", "who may relay is not decided by such an entry");
    else
        import_put(im, PUT_RELAYING, &e->from, "{match: %s, on: %s, action: relay}", import_scalar(im, entry),
                   of == ACCESS_CLIENT ? "connect" : "to");
}

static void add_rule(struct import *im, const struct import_entry *e, enum import_access of, struct slice entry, const char *rule)
{
    const char *name = arena_printf(&im->arena, "%s:%u %s", e->from.file, e->from.line, import_show(im, e->key));
    import_put(im, PUT_RULES, &e->from, "name: %s\nif: {%s: [%s]}\nthen: [%s]", import_scalar(im, slice_str(name)), words[of],
               import_scalar(im, entry), rule);
}

static void add_entry(struct import *im, struct import_map *m, const struct import_entry *e, const struct import_place_of_check *where)
{
    struct action a = action_of(im, e->value);
    struct slice entry = e->key.n ? entry_of(im, e, where->of) : e->key;
    enum list_of of = where->of == ACCESS_CLIENT ? LIST_OF_CLIENTS : LIST_OF_ADDRESSES;
    struct err err;
    if (e->kind == IMPORT_STATIC) {
        left_out(im, &e->from, NULL, "an entry for everybody");
    } else if (a.verdict == NONE) left_out(im, &e->from, "write a rule", "%s", a.why);
    else if (a.verdict == NOTHING) {
        if (e->kind != IMPORT_EXACT || has_wider(m, e->key))
            left_out(im, &e->from, "write an entry of checks.allow, if it may be spared all filtering", "an exception from another entry, without saying more");
    } else if (a.verdict == PASS && where->before_relay) let_relay(im, e, where->of, entry);
    else if (where->of == ACCESS_HELO)
        left_out(im, &e->from, "write an entry for the client's name or address", "there are no lists of names in EHLO");
    else if (e->kind == IMPORT_EXACT && e->key.n && e->key.p[0] == '.' && import_parents_match(im, "smtpd_access_maps"))
        left_out(im, &e->from, "leave out the dot", "it never counted: parent_domain_matches_subdomains has smtpd_access_maps");
    else if (a.verdict == RULE) {
        if (match_check(entry, of, &err)) add_rule(im, e, where->of, entry, a.rule);
        else left_out(im, &e->from, NULL, "%s: %s", import_show(im, entry), err.text);
    } else
        import_list_entry(im, a.verdict == PASS ? allow[where->of] : block[where->of], of, entry, a.text, &e->from);
}

/* ---- a table */

/* Long lists of one kind go to a file, and are read again when that changes. */
static bool add_file(struct import *im, struct import_map *m, const struct import_place_of_check *where, enum verdict verdict, struct slice spec,
                     const struct import_from *from)
{
    struct buf file = { 0 };
    struct err err;
    size_t n = 0;
    if (!im->beside || where->of == ACCESS_HELO || (verdict == PASS && where->before_relay)) return false;
    for (size_t i = 0; i < m->n; i++) {
        struct import_entry *e = &m->entries[i];
        struct action a = action_of(im, e->value);
        if (a.verdict != verdict || e->kind == IMPORT_STATIC || !e->key.n || (e->kind == IMPORT_EXACT && e->key.p[0] == '.')) continue;
        struct slice entry = entry_of(im, e, where->of);
        if (!match_check(entry, where->of == ACCESS_CLIENT ? LIST_OF_CLIENTS : LIST_OF_ADDRESSES, &err) || slice_find(entry, ' ') >= 0) continue;
        bool reason = a.text.n && !match_reason_problem(a.text) && a.text.p[0] != '#';
        buf_addf(&file, "%.*s%s%.*s\n", SLICE_ARG(entry), reason ? " " : "", reason ? (int)a.text.n : 0, reason ? a.text.p : "");
        n++;
    }
    struct slice base = spec;
    for (size_t i = spec.n; i-- > 0 && spec.p[i] != '/' && spec.p[i] != ':';) base = slice_sub(spec, i, spec.n);
    const char *name = n > IMPORT_INLINE_MAX
                           ? import_keep(im, "lists", slice_str(arena_printf(&im->arena, "%s-%.*s", verdict == PASS ? "allow" : "block", SLICE_ARG(base))), buf_slice(&file), false)
                           : NULL;
    buf_deinit(&file);
    if (!name) return false;
    import_put(im, verdict == PASS ? allow[where->of] : block[where->of], from, "{file: %s}", import_scalar(im, slice_str(name)));
    im->taken += n - 1;
    for (size_t i = 0; i < m->n; i++) { /* those are done */
        struct import_entry *e = &m->entries[i];
        if (action_of(im, e->value).verdict == verdict && e->kind != IMPORT_STATIC && e->key.n && !(e->kind == IMPORT_EXACT && e->key.p[0] == '.') &&
            match_check(entry_of(im, e, where->of), where->of == ACCESS_CLIENT ? LIST_OF_CLIENTS : LIST_OF_ADDRESSES, &err) && slice_find(entry_of(im, e, where->of), ' ') < 0)
            e->used = true;
    }
    return true;
}

static void tell_differences(struct import *im, const struct import_map *m, const struct import_place_of_check *where, const struct import_from *from)
{
    size_t passes = 0, refusals = 0;
    for (size_t i = 0; i < m->n; i++) {
        enum verdict v = action_of(im, m->entries[i].value).verdict;
        passes += v == PASS, refusals += v == REFUSE;
    }
    if (where->of == ACCESS_HELO) return;
    if (passes && refusals && m->entries[0].kind != IMPORT_EXACT)
        different(im, from, "look at entries of which one holds another", "the nearest entry counts here, not the first");
    if (passes && !where->before_relay)
        different(im, from, NULL, "who is allowed is spared greylisting and filtering of spam, too; what a list blocks stays blocked, also where OK stood before it");
    if (refusals && where->after_trusted)
        different(im, from, NULL, "what is blocked is blocked for clients that may relay and users, too");
}

void import_access(struct import *im, struct slice spec, const struct import_place_of_check *where, const struct import_from *from)
{
    struct import_map m = import_maps(im, spec, from, false, false);
    for (size_t i = 0; i < m.table_n; i++)
        left_out(im, from, "write {table: ...} in the list that it is for", "what a directory or database answers is an action there, and here an entry");
    add_file(im, &m, where, PASS, spec, from);
    add_file(im, &m, where, REFUSE, spec, from);
    for (size_t i = 0; i < m.n; i++)
        if (!m.entries[i].used) add_entry(im, &m, &m.entries[i], where);
    if (m.n) tell_differences(im, &m, where, from);
    import_map_deinit(&m);
}
