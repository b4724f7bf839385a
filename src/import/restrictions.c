/* SPDX-License-Identifier: Apache-2.0
 * smtpd_*_restrictions: rows of conditions there, single checks here. */
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

static const char *const lists[] = { "smtpd_client_restrictions", "smtpd_helo_restrictions",      "smtpd_sender_restrictions",
                                     "smtpd_relay_restrictions",  "smtpd_recipient_restrictions", "smtpd_data_restrictions",
                                     "smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions" };
enum { AT_RELAY = 3, AT_RECIPIENT = 4 };

struct found {
    struct import_from sender_domain, recipient_domain, sender_fqdn, recipient_fqdn; /* line 0: not there */
};
struct row {
    struct import *im;
    struct import_from from, list_from; /* of the word at hand; of the whole list */
    struct slice rest;
    bool relay;          /* this list says who may relay */
    bool decided;        /* reject_unauth_destination came */
    bool trusted;        /* permit_mynetworks came */
    size_t list;
    struct found *found;
};

/* ---- lists in the DNS */

/* "127.0.0.[2..11]", "127.0.0.2", "127.0.0.[2;4]" */
static const char *answers(struct import *im, struct slice s)
{
    ptrdiff_t open = slice_find(s, '[');
    struct slice head = slice_sub(s, 0, (size_t)open), in, part, rest;
    if (open < 0) return slice_find(s, ';') < 0 ? import_scalar(im, s) : NULL;
    if (s.p[s.n - 1] != ']' || slice_find(slice_sub(s, (size_t)open + 1, s.n), '[') >= 0) return NULL;
    struct buf all = { 0 }, one = { 0 };
    rest = slice_sub(s, (size_t)open + 1, s.n - 1);
    for (bool more = true; more; buf_clear(&one)) {
        more = slice_cut(&rest, ';', &part);
        const char *dots = strstr(import_str(im, part), "..");
        in = dots ? slice_sub(part, 0, part.n - strlen(dots)) : part;
        buf_addf(&one, "%.*s%.*s", SLICE_ARG(head), SLICE_ARG(in));
        if (dots) buf_addf(&one, "-%.*s%s", SLICE_ARG(head), dots + 2);
        buf_addf(&all, "%s%s", all.n ? ", " : "", import_scalar(im, buf_slice(&one)));
    }
    buf_deinit(&one);
    return buf_keep(&all, &im->arena).p;
}

static void add_dns_list(struct import *im, const struct import_from *from, struct slice spec, const char *of, const char *action, int weight)
{
    struct slice codes = spec, zone;
    bool has = slice_cut(&codes, '=', &zone);
    const char *a = has ? answers(im, codes) : NULL;
    if (!zone.n || (has && !a)) {
        left_out(im, from, "write the list with its answers", "%s is not understood", import_show(im, spec));
        return;
    }
    struct buf b = { 0 };
    buf_addf(&b, "{zone: %s", import_scalar(im, zone));
    if (of) buf_addf(&b, ", of: [%s]", of);
    if (a) buf_addf(&b, ", answers: [%s]", a);
    if (action) buf_addf(&b, ", action: %s", action);
    if (weight > 0) buf_addf(&b, ", weight: %d", weight);
    import_put(im, PUT_DNS_LISTS, from, "%s}", buf_cstr(&b));
    buf_deinit(&b);
}

/* ---- words with an argument */

static bool take_argument(struct row *r, struct slice word)
{
    static const struct {
        const char *word, *of, *action;
    } dns[] = {
        { "reject_rbl_client", "client", NULL },       { "reject_rhsbl_sender", "sender", NULL }, { "reject_rhsbl_helo", "helo", NULL },
        { "reject_rhsbl_client", "reverse", NULL },    { "reject_rhsbl_reverse_client", "reverse", NULL },
        { "permit_dnswl_client", "client", "allow" },  { "permit_rhswl_client", "reverse", "allow" },
    };
    static const struct {
        const char *word;
        enum import_access of;
    } access[] = { { "check_client_access", ACCESS_CLIENT }, { "check_sender_access", ACCESS_SENDER },
                   { "check_recipient_access", ACCESS_RECIPIENT }, { "check_helo_access", ACCESS_HELO } };
    struct slice arg;
    for (size_t i = 0; i < countof(dns); i++)
        if (slice_ieq(word, slice_str(dns[i].word))) {
            if (import_word(&r->rest, &arg)) add_dns_list(r->im, &r->from, arg, dns[i].of, dns[i].action, 0);
            return true;
        }
    for (size_t i = 0; i < countof(access); i++)
        if (slice_ieq(word, slice_str(access[i].word))) {
            struct import_place_of_check where = { access[i].of, r->relay && !r->decided, r->trusted };
            if (import_word(&r->rest, &arg)) import_access(r->im, arg, &where, &r->from);
            return true;
        }
    return false;
}

/* postgrey and SPF's policy servers are known by where they usually listen. */
static void add_policy_service(struct row *r, struct slice spec)
{
    struct import *im = r->im;
    struct slice rest = spec, what;
    if (!import_word(&rest, &what)) what = spec;
    if (slice_ihas(what, SLICE("postgrey")) || slice_iends(what, SLICE(":10023")) || slice_iends(what, SLICE(":60000"))) {
        import_put(im, PUT_GREYLIST, &r->from, "enabled: yes");
        import_put(im, PUT_GREYLIST, &r->from, "delay: 5m");
        different(im, &r->from, "see checks.greylist", "greylisting is the relay's own; what postgrey's files exempt and what it has learnt is not taken over");
    } else if (slice_ihas(what, SLICE("spf"))) {
        import_put(im, PUT_SPF, &r->from, "enabled: yes");
        import_put(im, PUT_SPF, &r->from, "reject: yes");
        different(im, &r->from, "see checks.spf", "SPF is checked by the relay itself; settings of that program are not taken over");
    } else
        left_out(im, &r->from, "see whether a check of the relay does the same", "servers for policies are not asked: %s", import_show(im, what));
}

/* ---- single words */

static void trust_networks(struct row *r)
{
    r->trusted = true;
    if (r->relay && !r->decided) r->im->trust_networks = true;
}

static bool take_word(struct row *r, struct slice word)
{
    static const char *const always[] = {
        "permit_sasl_authenticated", "permit_auth_destination", "reject_unauth_pipelining", "reject_unlisted_recipient", "permit_inet_interfaces",
        "reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch", "reject_known_sender_login_mismatch", "permit",
    };
    static const struct {
        const char *word;
        enum import_section where;
        const char *text;
    } settings[] = {
        { "reject_invalid_helo_hostname", PUT_HELO, "reject_invalid: yes" },   { "reject_invalid_hostname", PUT_HELO, "reject_invalid: yes" },
        { "reject_non_fqdn_helo_hostname", PUT_HELO, "reject_non_fqdn: yes" }, { "reject_non_fqdn_hostname", PUT_HELO, "reject_non_fqdn: yes" },
    };
    struct import *im = r->im;
    for (size_t i = 0; i < countof(always); i++)
        if (slice_ieq(word, slice_str(always[i]))) return true;
    for (size_t i = 0; i < countof(settings); i++)
        if (slice_ieq(word, slice_str(settings[i].word))) {
            import_put(im, settings[i].where, &r->from, "%s", settings[i].text);
            return true;
        }
    if (slice_ieq(word, SLICE("permit_mynetworks"))) trust_networks(r);
    else if (slice_ieq(word, SLICE("reject_unauth_destination")) || slice_ieq(word, SLICE("defer_unauth_destination"))) r->decided = true;
    else if (slice_ieq(word, SLICE("reject")) || slice_ieq(word, SLICE("defer")) || slice_ieq(word, SLICE("defer_if_permit"))) {
        if (r->list == AT_RELAY || r->decided) r->decided = true;
        else left_out(im, &r->from, "block what may not come in, or listen at inner addresses only", "strangers are refused altogether: here they may write to relay domains");
    } else if (slice_ieq(word, SLICE("reject_unknown_sender_domain"))) r->found->sender_domain = r->from;
    else if (slice_ieq(word, SLICE("reject_unknown_recipient_domain"))) r->found->recipient_domain = r->from;
    else if (slice_ieq(word, SLICE("reject_non_fqdn_sender"))) r->found->sender_fqdn = r->from;
    else if (slice_ieq(word, SLICE("reject_non_fqdn_recipient"))) r->found->recipient_fqdn = r->from;
    else if (slice_ieq(word, SLICE("reject_unknown_client_hostname")) || slice_ieq(word, SLICE("reject_unknown_client"))) {
        bool hard = slice_starts(import_get(im, "unknown_client_reject_code", NULL), SLICE("5"));
        import_put(im, PUT_REVERSE, &r->from, "enabled: yes");
        import_put(im, PUT_REVERSE, &r->from, "action: %s", hard ? "reject" : "defer");
    } else if (slice_ieq(word, SLICE("reject_unverified_recipient"))) {
        im->verify_recipients = true;
        im->verify_code = slice_eq(import_get(im, "unverified_recipient_reject_code", NULL), SLICE("550")) ? 550 : 450;
    } else
        return false;
    return true;
}

static void take_unknown(struct row *r, struct slice word)
{
    static const char *const with_argument[] = { "check_", "reject_rhsbl_", "defer_rhsbl_", "sleep", "permit_rhswl" };
    struct slice arg = SLICE("");
    for (size_t i = 0; i < countof(with_argument); i++)
        if (slice_istarts(word, slice_str(with_argument[i]))) import_word(&r->rest, &arg);
    if (slice_ieq(word, SLICE("check_policy_service"))) {
        add_policy_service(r, arg);
        return;
    }
    const char *todo = slice_ieq(word, SLICE("reject_unknown_reverse_client_hostname")) ? "checks.reverse_dns asks for more: a name that leads back"
                     : slice_ieq(word, SLICE("reject_unknown_helo_hostname")) ? "checks.helo looks at the form of the name"
                                                                              : "see the manual's page on checks";
    left_out(r->im, &r->from, todo, "%s %s has no counterpart", import_show(r->im, word), import_show(r->im, arg));
}

static void read_list(struct import *im, size_t list, bool relay, struct found *found)
{
    struct row r = { .im = im, .relay = relay, .list = list, .found = found };
    struct slice word;
    r.rest = import_get(im, lists[list], &r.list_from);
    r.from = r.list_from;
    if (!r.from.line && list != AT_RELAY) return;
    while (import_word(&r.rest, &word)) {
        struct slice ahead = r.rest, arg = SLICE("");
        bool takes = slice_istarts(word, SLICE("check_")) || slice_istarts(word, SLICE("reject_r"));
        if (takes) import_word(&ahead, &arg);
        r.from = import_from_word(im, &r.list_from, takes && arg.n ? arg : word, import_show(im, slice_str(arena_printf(&im->arena, "%.*s %.*s", SLICE_ARG(word), SLICE_ARG(arg)))));
        if (slice_ieq(word, SLICE("warn_if_reject"))) {
            if (!import_word(&r.rest, &word)) break;
            left_out(im, &r.from, "postern explain shows what a check would do", "a restriction that only warns: %s", import_show(im, word));
            if (slice_istarts(word, SLICE("check_")) || slice_istarts(word, SLICE("reject_r"))) import_word(&r.rest, &word);
            continue;
        }
        if (!take_argument(&r, word) && !take_word(&r, word)) take_unknown(&r, word);
        if (slice_ieq(word, SLICE("permit")) && r.relay && !r.decided)
            different(im, &r.from, NULL, "this list lets strangers relay: that is never done here");
    }
}

static void put_yes(struct import *im, enum import_section where, const char *name, const struct import_from *found, const char *missing)
{
    struct import_from none = { "main.cf", 0, slice_str(missing) };
    import_put(im, where, found->line ? found : &none, "%s: %s", name, found->line ? "yes" : "no");
}

void import_restrictions(struct import *im)
{
    struct found found = { 0 };
    struct import_from from;
    bool own = import_get(im, "smtpd_relay_restrictions", &from).n > 0;
    for (size_t i = 0; i < countof(lists); i++) read_list(im, i, own ? i == AT_RELAY : i == AT_RECIPIENT, &found);
    import_put(im, PUT_HELO, &from, "required: %s", import_yes(im, "smtpd_helo_required", &from) ? "yes" : "no");
    put_yes(im, PUT_SENDER, "fqdn", &found.sender_fqdn, "reject_non_fqdn_sender");
    put_yes(im, PUT_SENDER, "resolvable", &found.sender_domain, "reject_unknown_sender_domain");
    put_yes(im, PUT_RECIPIENT, "fqdn", &found.recipient_fqdn, "reject_non_fqdn_recipient");
    put_yes(im, PUT_RECIPIENT, "resolvable", &found.recipient_domain, "reject_unknown_recipient_domain");
}

/* ---- postscreen */

static bool is_in_force(const struct import *im)
{
    for (size_t i = 0; i < im->service_n; i++)
        if (!strcmp(im->services[i].command, "postscreen") && !strcmp(im->services[i].type, "inet")) return true;
    return false;
}

static void access_list(struct import *im)
{
    struct import_from from;
    struct slice list = import_get(im, "postscreen_access_list", &from), word;
    while (import_word(&list, &word)) {
        if (slice_ieq(word, SLICE("permit_mynetworks"))) continue;
        struct import_map m = import_maps(im, word, &from, false, false);
        for (size_t i = 0; i < m.n; i++) {
            struct slice v = m.entries[i].value;
            bool permit = slice_ieq(v, SLICE("permit")), reject = slice_ieq(v, SLICE("reject"));
            if (permit || reject)
                import_list_entry(im, permit ? PUT_ALLOW_CLIENTS : PUT_BLOCK_CLIENTS, LIST_OF_CLIENTS, m.entries[i].key, SLICE(""), &m.entries[i].from);
            else left_out(im, &m.entries[i].from, NULL, "an exception from another entry, without saying more");
        }
        import_map_deinit(&m);
    }
}

static void sites(struct import *im)
{
    struct import_from from;
    struct slice list = import_get(im, "postscreen_dnsbl_sites", &from), word, spec;
    bool any = list.n > 0;
    while (import_word(&list, &word)) {
        struct slice weight = word;
        uint64_t n = 1;
        bool negative = false;
        if (slice_cut(&weight, '*', &spec)) {
            negative = weight.n && weight.p[0] == '-';
            if (!slice_to_u64(slice_sub(weight, negative, weight.n), 1000, &n)) n = 1;
        }
        add_dns_list(im, &from, spec, "client", negative ? "allow" : "score", negative ? 0 : (int)n);
        if (negative) different(im, &from, NULL, "a list of the good spares the other lists altogether: %s", import_show(im, word));
    }
    if (!any) return;
    struct slice threshold = import_get(im, "postscreen_dnsbl_threshold", &from);
    uint64_t number;
    if (slice_to_u64(threshold, 100000, &number)) import_put(im, PUT_DNS, &from, "threshold: %u", (unsigned)number);
}

void import_postscreen(struct import *im)
{
    struct import_from from;
    if (!is_in_force(im)) return;
    access_list(im);
    struct slice action = import_get(im, "postscreen_dnsbl_action", &from);
    if (slice_ieq(action, SLICE("enforce")) || slice_ieq(action, SLICE("drop"))) sites(im);
    action = import_get(im, "postscreen_greet_action", &from);
    if (!slice_ieq(action, SLICE("enforce")) && !slice_ieq(action, SLICE("drop"))) return;
    import_put(im, PUT_PAUSE, &from, "enabled: yes");
    struct slice wait = import_get(im, "postscreen_greet_wait", &from);
    if (wait.n && from.line && slice_find(wait, '{') < 0 && slice_find(wait, '$') < 0) import_put(im, PUT_PAUSE, &from, "pause: %s", import_scalar(im, wait));
}
