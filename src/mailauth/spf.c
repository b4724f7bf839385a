/* SPDX-License-Identifier: Apache-2.0
 * The evaluation of SPF (RFC 7208): check_host() and what surrounds it.
 *
 * An answer that is missing counts as no match for the time being: the evaluation goes on, and so asks for what the next terms need,
 * until something ends it. Then it begins anew, when answers have come. */
#include "base/mem.h"
#include "base/utf8.h"
#include "mailauth/spf_record.h"
#include "smtp/address.h"

#define TERMS_MAX 10   /* §4.6.4: terms that cost a look-up */
#define VOIDS_MAX 2    /* §4.6.4 */
#define NAMES_MAX 10   /* §4.6.4: of an MX or PTR answer */
#define BYTES_MAX 65536 /* of all records: they are read anew with each answer */
#define EXPLANATION_MAX 1000
#define QUOTE_MAX 256  /* bytes of a term or name in reasons */

enum verdict { MATCH, NO_MATCH, TEMPERROR, PERMERROR };

struct name {
    char p[SPF_NAME_MAX];
    size_t n;
};
struct eval {
    const struct spf_input *in;
    const struct auth_dns *dns;
    struct spf_scope scope;      /* its domain is that of the record being judged */
    unsigned terms, voids;
    size_t bytes;                /* of the records so far */
    bool waiting;                /* an answer is missing: whatever comes out is not yet true */
    bool wide;                   /* the sender's local part is not ASCII */
    struct slice mechanism;      /* what matched, or is at fault */
    struct name where;           /* in whose record */
    struct slice exp;            /* of that record */
    const char *fault;           /* one clause */
};

static struct slice name_slice(const struct name *n) { return slice_of(n->p, n->n); }

static void name_set(struct name *to, struct slice s)
{
    to->n = s.n < sizeof to->p ? s.n : sizeof to->p;
    if (to->n) memmove(to->p, s.p, to->n);
}

static const struct auth_dns_answer *ask(struct eval *e, enum auth_dns_type type, struct slice name)
{
    const struct auth_dns_answer *a = e->dns->get(e->dns->arg, type, name, type == AUTH_DNS_PTR ? &e->in->ip : NULL);
    e->waiting |= !a;
    return a;
}

static enum auth_dns_type address_type(const struct eval *e) { return e->in->ip.family == 4 ? AUTH_DNS_A : AUTH_DNS_AAAA; }

/* What is said of an outcome: of the record that is being judged. */
static void note(struct eval *e, struct slice term, const char *fault)
{
    name_set(&e->where, e->scope.domain);
    e->mechanism = term;
    e->fault = fault;
    e->exp = slice_of(NULL, 0);
}

static enum verdict permerror(struct eval *e, const struct spf_term *t, const char *why)
{
    note(e, t->text, why);
    return PERMERROR;
}

static enum verdict temperror(struct eval *e, const struct spf_term *t)
{
    note(e, t->text, "the look-up failed");
    return TEMPERROR;
}

static const char too_many_voids[] = "more than 2 look-ups without an answer";

/* A question that had no answer (§4.6.4). Not counted: addresses of names that the client chose (§5.5), or it could make an error of a
 * failure. */
static enum verdict count_void(struct eval *e, const struct spf_term *t)
{
    return ++e->voids > VOIDS_MAX ? permerror(e, t, too_many_voids) : NO_MATCH;
}

/* ---- names of the client (§5.5) */

static bool is_validated(struct eval *e, struct slice name)
{
    if (!auth_dns_name_ok(name)) return false;
    const struct auth_dns_answer *a = ask(e, address_type(e), name);
    for (size_t i = 0; a && i < a->n; i++)
        if (ip_eq(&a->ips[i], &e->in->ip)) return true;
    return false; /* errors as well: "that domain name is skipped" */
}

/* %{p} (§7.3): the domain itself, else one below it, else any. */
static struct slice validated_name(struct eval *e)
{
    const struct auth_dns_answer *a = ask(e, AUTH_DNS_PTR, SLICE(""));
    struct slice best = SLICE("unknown");
    int rank = 0;
    if (a && !a->n && a->status != AUTH_DNS_TEMPFAIL) e->voids++;
    for (size_t i = 0; a && i < a->n && i < NAMES_MAX; i++) {
        struct slice name = a->names[i];
        int r = slice_ieq(name, e->scope.domain) ? 3 : spf_name_below(name, e->scope.domain) ? 2 : 1;
        if (!is_validated(e, name) || r <= rank) continue;
        best = name;
        rank = r;
    }
    return best;
}

/* ---- target names */

/* May this text be expanded now? False: not yet, or a sender that fits in no name (RFC 8616 §4). */
static bool prepare(struct eval *e, struct slice spec)
{
    if (!spf_macro_uses(spec, 'p')) return true;
    bool waited = e->waiting;
    e->waiting = false;
    e->scope.validated = validated_name(e);
    bool ready = !e->waiting;
    e->waiting |= waited;
    return ready;
}

/* The target name of a term (§4.8). False: it has none, or none yet: no match. */
static bool find_target(struct eval *e, struct slice spec, struct name *out)
{
    if (!spec.n) {
        name_set(out, e->scope.domain);
        return true;
    }
    if (spec.n <= SPF_NAME_MAX && slice_find(spec, '%') < 0) { /* most have no macro */
        name_set(out, spec);
        if (out->p[out->n - 1] == '.') out->n--; /* §7.3 */
        return auth_dns_name_ok(name_slice(out));
    }
    if (e->wide && (spf_macro_uses(spec, 'l') || spf_macro_uses(spec, 's'))) return false; /* RFC 8616 §4 */
    if (!prepare(e, spec)) return false;
    out->n = spf_expand_name(&e->scope, spec, out->p);
    return auth_dns_name_ok(name_slice(out));
}

/* ---- mechanisms */

static enum verdict match_addresses(struct eval *e, const struct spf_term *t, struct slice name)
{
    if (!auth_dns_name_ok(name)) return NO_MATCH;
    const struct auth_dns_answer *a = ask(e, address_type(e), name);
    if (!a) return NO_MATCH;
    if (a->status == AUTH_DNS_TEMPFAIL) return temperror(e, t); /* §5 */
    if (!a->n) return count_void(e, t);
    struct ip_net net = { .prefix = e->in->ip.family == 4 ? t->prefix4 : t->prefix6 };
    for (size_t i = 0; i < a->n; i++) {
        net.ip = a->ips[i];
        if (ip_net_has(&net, &e->in->ip)) return MATCH;
    }
    return NO_MATCH;
}

static enum verdict match_mx(struct eval *e, const struct spf_term *t, struct slice target) /* §5.4 */
{
    bool ahead = e->waiting;
    const struct auth_dns_answer *a = ask(e, AUTH_DNS_MX, target);
    if (!a) return NO_MATCH;
    if (a->status == AUTH_DNS_TEMPFAIL) return temperror(e, t);
    if (!a->n) return count_void(e, t); /* no address record stands in for them */
    if (a->n > NAMES_MAX) return permerror(e, t, "more than 10 names of mail exchangers");
    /* Ten questions of a term that may never be reached would be too many. */
    for (size_t i = 0; i < a->n && !ahead; i++) {
        enum verdict v = match_addresses(e, t, a->mx[i].name);
        if (v != NO_MATCH) return v;
    }
    return NO_MATCH;
}

/* §5.5. Only names that would match are looked up: what comes out is the same, for less. */
static enum verdict match_ptr(struct eval *e, const struct spf_term *t, struct slice target)
{
    bool ahead = e->waiting;
    const struct auth_dns_answer *a = ask(e, AUTH_DNS_PTR, SLICE(""));
    if (!a || a->status == AUTH_DNS_TEMPFAIL) return NO_MATCH;
    if (!a->n) return count_void(e, t);
    for (size_t i = 0; i < a->n && i < NAMES_MAX && !ahead; i++)
        if (spf_name_below(a->names[i], target) && is_validated(e, a->names[i])) return MATCH;
    return NO_MATCH;
}

static enum verdict match_exists(struct eval *e, const struct spf_term *t, struct slice target) /* §5.7 */
{
    const struct auth_dns_answer *a = ask(e, AUTH_DNS_A, target); /* "even when the connection type is IPv6" */
    if (!a) return NO_MATCH;
    if (a->status == AUTH_DNS_TEMPFAIL) return temperror(e, t);
    return a->n ? MATCH : count_void(e, t);
}

static enum spf_result check_host(struct eval *e, struct slice domain);

static enum verdict match_include(struct eval *e, const struct spf_term *t, const struct name *target) /* §5.2 */
{
    enum spf_result r = target->n ? check_host(e, name_slice(target)) : SPF_NONE;
    switch (r) {
    case SPF_PASS: return MATCH;
    case SPF_TEMPERROR: return TEMPERROR;
    case SPF_PERMERROR: return PERMERROR;
    case SPF_NONE: return permerror(e, t, "the included domain has no SPF record");
    default: return NO_MATCH;
    }
}

static enum verdict match_term(struct eval *e, const struct spf_term *t)
{
    struct name target;
    if (t->kind == SPF_ALL) return MATCH; /* §5.1 */
    if (t->kind == SPF_IP4 || t->kind == SPF_IP6) return ip_net_has(&t->net, &e->in->ip) ? MATCH : NO_MATCH; /* §5.6 */
    if (t->kind >= SPF_REDIRECT) return NO_MATCH; /* modifiers */
    if (++e->terms > TERMS_MAX) return permerror(e, t, "more than 10 terms that cost a look-up");
    target.n = 0;
    bool named = find_target(e, t->spec, &target);
    if (e->voids > VOIDS_MAX) return permerror(e, t, too_many_voids); /* by %{p} */
    if (!named && (t->kind != SPF_INCLUDE || e->waiting || e->wide)) return NO_MATCH; /* §4.8: no such name */
    switch (t->kind) {
    case SPF_INCLUDE: return match_include(e, t, &target);
    case SPF_A: return match_addresses(e, t, name_slice(&target)); /* §5.3 */
    case SPF_MX: return match_mx(e, t, name_slice(&target));
    case SPF_PTR: return match_ptr(e, t, name_slice(&target));
    default: return match_exists(e, t, name_slice(&target));
    }
}

/* ---- records */

/* §4.4, §4.5. *result is NONE, TEMPERROR or PERMERROR when there is no record to be judged; NEUTRAL while its answer is missing. */
static bool find_record(struct eval *e, struct slice domain, struct slice *text, enum spf_result *result)
{
    size_t found = 0;
    *result = SPF_NONE;
    note(e, slice_of(NULL, 0), "there is no SPF record");
    if (!auth_dns_name_ok(domain) || slice_find(domain, '.') < 0) return false; /* §4.3 */
    const struct auth_dns_answer *a = ask(e, AUTH_DNS_TXT, domain);
    if (!a) {
        *result = SPF_NEUTRAL;
    } else if (a->status == AUTH_DNS_TEMPFAIL) {
        *result = SPF_TEMPERROR;
        e->fault = "the look-up failed";
    }
    for (size_t i = 0; a && i < a->n; i++) {
        if (!spf_record_is(a->texts[i])) continue;
        *text = a->texts[i];
        found++;
    }
    if (found > 1) {
        *result = SPF_PERMERROR;
        e->fault = "there is more than one SPF record";
    }
    return found == 1;
}

/* The directives from left to right (§4.6.2). False: none matched. */
static bool judge_terms(struct eval *e, const struct spf_record *record, enum spf_result *result)
{
    struct slice rest = record->rest;
    struct spf_term spare;
    const char *why;
    for (size_t i = 0; i < record->n || spf_term_next(&rest, &spare, &why); i++) {
        const struct spf_term *t = i < record->n ? &record->terms[i] : &spare;
        enum verdict v = match_term(e, t);
        if (v == NO_MATCH) continue;
        *result = v == MATCH ? t->result : v == TEMPERROR ? SPF_TEMPERROR : SPF_PERMERROR;
        if (v != MATCH || (t->kind == SPF_INCLUDE && t->result == SPF_PASS)) return true;
        note(e, t->text, NULL);
        e->exp = record->exp;
        return true;
    }
    return false;
}

/* §6.1: moves on to another domain. False: it is all over, with *result. */
static bool redirect(struct eval *e, const struct spf_record *record, struct name *domain, enum spf_result *result)
{
    struct name target;
    *result = SPF_PERMERROR;
    if (++e->terms > TERMS_MAX) {
        note(e, SLICE("redirect"), "more than 10 terms that cost a look-up");
    } else if (!find_target(e, record->redirect, &target) || e->voids > VOIDS_MAX) {
        note(e, SLICE("redirect"), e->voids > VOIDS_MAX ? too_many_voids : "the domain is no valid name");
    } else {
        *domain = target;
        return true;
    }
    return false;
}

static enum spf_result judge_domain(struct eval *e, struct name *domain)
{
    struct spf_record record;
    struct slice text, bad = { NULL, 0 };
    enum spf_result result;
    for (bool redirected = false;; redirected = true) {
        e->scope.domain = name_slice(domain);
        if (!find_record(e, e->scope.domain, &text, &result))
            return redirected && result == SPF_NONE ? SPF_PERMERROR : result; /* §6.1 */
        e->bytes += text.n;
        const char *why = e->bytes > BYTES_MAX ? "more than 64 KiB of records" : spf_record_parse(text, &record, &bad);
        if (why) { /* §4.6: before anything is judged */
            note(e, bad, why);
            return SPF_PERMERROR;
        }
        if (judge_terms(e, &record, &result)) return result;
        if (!record.redirect.n || record.all) break;
        if (!redirect(e, &record, domain, &result)) return result;
    }
    note(e, slice_of(NULL, 0), NULL);
    return SPF_NEUTRAL; /* §4.7 */
}

static enum spf_result check_host(struct eval *e, struct slice first)
{
    struct slice outer = e->scope.domain;
    struct name domain;
    name_set(&domain, first);
    enum spf_result r = judge_domain(e, &domain);
    e->scope.domain = outer;
    return r;
}

/* ---- the whole */

/* §6.2. Any trouble: no explanation. False: answers are missing. */
static bool explain(struct eval *e, struct arena *arena, struct spf *out)
{
    struct name target;
    char text[EXPLANATION_MAX];
    if (!e->exp.n) return true;
    e->scope.domain = name_slice(&e->where);
    if (!find_target(e, e->exp, &target)) return !e->waiting;
    const struct auth_dns_answer *a = ask(e, AUTH_DNS_TXT, name_slice(&target));
    if (!a) return false;
    if (a->n != 1 || spf_macro_string_check(a->texts[0], true)) return true;
    if (!prepare(e, a->texts[0])) return false;
    size_t n = spf_expand_text(&e->scope, a->texts[0], text, sizeof text);
    for (size_t i = 0; i < n; i++) /* it goes into replies: US-ASCII */
        if (text[i] < 0x20 || text[i] > 0x7E) text[i] = '?';
    out->explanation = arena_slice(arena, slice_of(text, n));
    return true;
}

static void add_text(struct buf *b, struct slice s) /* mostly it is printable */
{
    size_t i = 0;
    while (i < s.n && i < QUOTE_MAX && s.p[i] >= 0x20 && s.p[i] < 0x7F && s.p[i] != '\\') i++;
    i == s.n ? buf_add(b, s) : buf_add_printable(b, s, QUOTE_MAX);
}

static struct slice describe(const struct eval *e, struct arena *arena)
{
    struct buf b = { 0 };
    if (e->fault && !e->mechanism.n) {
        buf_addf(&b, "%s at ", e->fault);
    } else if (!e->mechanism.n) {
        buf_add_str(&b, "no directive matches in the record of ");
    } else {
        buf_add_str(&b, e->fault ? "\"" : "the client matches \"");
        add_text(&b, e->mechanism);
        buf_add_str(&b, "\" in the record of ");
    }
    add_text(&b, name_slice(&e->where));
    if (e->fault && e->mechanism.n) buf_addf(&b, ": %s", e->fault);
    struct slice text = arena_slice(arena, buf_slice(&b));
    buf_deinit(&b);
    return text;
}

/* The identity: its local part and domain (§2.4, §4.3). False: no domain that could have a record. */
static bool find_identity(struct eval *e, char domain[256])
{
    struct slice text = e->in->identity == SPF_HELO ? slice_of(NULL, 0) : e->in->sender;
    e->scope.local = SLICE("postmaster");
    if (!text.n) {
        text = e->in->helo; /* §2.4 */
    } else {
        size_t at = text.n;
        while (at && text.p[at - 1] != '@') at--;
        if (at > 1) e->scope.local = slice_sub(text, 0, at - 1);
        text = slice_sub(text, at, text.n);
    }
    e->wide = !utf8_ascii(e->scope.local);
    domain[0] = 0;
    if (!address_domain_ascii(text, domain)) return false;
    e->scope.sender_domain = e->scope.domain = slice_str(domain);
    return e->scope.domain.n <= SPF_NAME_MAX && slice_find(e->scope.domain, '.') >= 0;
}

bool spf_check(const struct spf_input *in, const struct auth_dns *dns, struct arena *arena, struct spf *out)
{
    struct eval e = { .in = in, .dns = dns, .scope.in = in };
    char domain[256];
    *out = (struct spf){ .result = SPF_NONE };
    bool named = find_identity(&e, domain);
    bool able = named && (in->ip.family == 4 || in->ip.family == 6);
    if (able) out->result = check_host(&e, slice_str(domain));
    out->lookups = e.terms;
    out->voids = e.voids;
    if (e.waiting || (out->result == SPF_FAIL && !explain(&e, arena, out))) return false;
    out->domain = arena_slice(arena, slice_str(domain));
    out->mechanism = e.fault ? SLICE("") : arena_slice(arena, e.mechanism);
    out->record_domain = arena_slice(arena, name_slice(&e.where));
    out->reason = !named ? SLICE("the domain is not a name of at least two labels")
                : !able  ? SLICE("the client's address is not known")
                         : describe(&e, arena);
    return true;
}
