/* SPDX-License-Identifier: Apache-2.0
 * Does a domain's SPF record allow mail from here, in the eyes of receivers? And what should it be? */
#include "base/clock.h"
#include "doctor/internal.h"
#include "mailauth/spf.h"

#define FROM_MAX 6     /* addresses judged */
#define LOOKUPS_NEAR 9 /* of the 10 of RFC 7208 §4.6.4 */

static bool is_spf(struct slice text)
{
    return slice_istarts(text, SLICE("v=spf1")) && (text.n == 6 || text.p[6] == ' ');
}

/* The last directive: what comes behind it is not looked at. */
static bool ends_record(struct slice term)
{
    if (term.n && strchr("+-~?", term.p[0])) term = slice_sub(term, 1, term.n);
    return slice_ieq(term, SLICE("all")) || slice_istarts(term, SLICE("redirect="));
}

static void add_missing(struct exam *x, const bool *allowed, struct buf *out)
{
    const struct doctor_addresses *a = &x->run->addresses;
    for (size_t i = 0; i < a->n && i < FROM_MAX; i++)
        if (!allowed[i]) buf_addf(out, " %s:%s", a->ips[i].family == 4 ? "ip4" : "ip6", exam_ip(x, &a->ips[i]));
}

/* The record with what it lacks, in front of its last directive; or a new one. */
static const char *proposal(struct exam *x, struct slice record, const bool *allowed)
{
    struct buf b = { 0 };
    bool added = false;
    for (struct slice rest = record, term; rest.n;) {
        slice_cut(&rest, ' ', &term);
        if (!term.n) continue;
        if (!added && ends_record(term)) {
            add_missing(x, allowed, &b);
            added = true;
        }
        if (b.n) buf_add_char(&b, ' ');
        buf_add_printable(&b, term, 300);
    }
    if (!record.n) {
        buf_add_str(&b, "v=spf1");
        if (!x->run->addresses.n) buf_add_str(&b, " mx");
    }
    if (!added) add_missing(x, allowed, &b);
    if (!record.n) buf_add_str(&b, " ~all"); /* who else sends for the domain is not known here */
    return exam_kept(x, &b);
}

struct judged {
    struct spf spf[FROM_MAX];
    bool allowed[FROM_MAX];
    size_t n, passes;
    const struct spf *worst; /* one that is not pass; else the first */
    unsigned lookups;
};

/* False: not known yet. */
static bool judge(struct exam *x, struct judged *j)
{
    const struct doctor_addresses *a = &x->run->addresses;
    static const struct ip stranger = { .family = 4,
                                        .bytes = { 192, 0, 2, 1 } }; /* to see whether the record can be read */
    bool complete = true;
    j->n = a->n < FROM_MAX ? a->n : FROM_MAX;
    for (size_t i = 0; i < (j->n ? j->n : 1); i++) {
        struct spf_input in = { .ip = j->n ? a->ips[i] : stranger,
                                .helo = slice_str(x->run->helo),
                                .receiver = slice_str(x->config->hostname),
                                .sender = slice_str(arena_printf(&x->arena, "postmaster@%s", x->domain)),
                                .now = clock_wall_ms() };
        if (!spf_check(&in, &x->dns, &x->arena, &j->spf[i])) {
            complete = false;
            x->missing = true;
            continue;
        }
        j->allowed[i] = j->n && j->spf[i].result == SPF_PASS;
        j->passes += j->allowed[i];
        if (j->spf[i].lookups > j->lookups) j->lookups = j->spf[i].lookups;
        if (!j->worst || (j->worst->result == SPF_PASS && j->spf[i].result != SPF_PASS)) j->worst = &j->spf[i];
    }
    return complete;
}

static void tell_judged(struct exam *x, const struct judged *j, json_t *record)
{
    static const char few[] = "each include, a, mx, exists and redirect costs look-ups, and receivers stop at 10 (RFC "
                              "7208): remove what is not needed";
    const char *result = spf_result_name(j->worst->result), *why = exam_shown(x, j->worst->reason);
    if (j->worst->result == SPF_TEMPERROR)
        exam_find(x, "spf", x->domain, DOCTOR_UNKNOWN,
                  arena_printf(&x->arena, "the record cannot be judged at the moment: %s", why), "try again later",
                  &record, 1);
    else if (j->worst->result == SPF_PERMERROR)
        exam_find(x, "spf", x->domain, DOCTOR_ERROR,
                  arena_printf(&x->arena, "receivers cannot use the record: %s (%u of 10 look-ups)", why, j->lookups),
                  j->lookups > 10 ? few : "mend the record; where there are several, make one of them", NULL, 0);
    else if (!j->n)
        exam_find(x, "spf", x->domain, DOCTOR_SKIPPED,
                  "there is a record that can be read; whether it allows mail from here is not known, as no public "
                  "address is",
                  "see the finding on addresses", NULL, 0);
    else if (j->passes < j->n && x->run->addresses.smarthost)
        exam_find(x, "spf", x->domain, DOCTOR_OK,
                  arena_printf(&x->arena,
                               "the record does not allow this relay's own address, and need not: mail goes out by the "
                               "smarthost %s, whose "
                               "addresses it must allow",
                               x->config->smarthost.text),
                  "", NULL, 0);
    else if (j->passes < j->n)
        exam_find(x, "spf", x->domain, DOCTOR_ERROR,
                  arena_printf(&x->arena, "the record does not allow mail from %s: receivers see %s (%s)",
                               exam_ip(x, &x->run->addresses.ips[j->worst - j->spf]), result, why),
                  "enter the record below", &record, 1);
    else if (j->lookups >= LOOKUPS_NEAR)
        exam_find(x, "spf", x->domain, DOCTOR_WARNING,
                  arena_printf(&x->arena, "the record allows mail from here, with %u of the 10 look-ups there may be",
                               j->lookups),
                  few, NULL, 0);
    else
        exam_find(x, "spf", x->domain, DOCTOR_OK,
                  arena_printf(&x->arena, "the record allows mail from here (%s), with %u of 10 look-ups",
                               exam_shown(x, j->worst->mechanism), j->lookups),
                  "", NULL, 0);
}

/* By a smarthost others send for us: which, its operator knows. */
static void tell_none(struct exam *x, const struct judged *j)
{
    if (x->run->addresses.smarthost) {
        exam_find(x, "spf", x->domain, DOCTOR_WARNING, "it has no SPF record",
                  arena_printf(&x->arena, "ask the operator of the smarthost %s what to enter: mail goes out by it",
                               x->config->smarthost.text),
                  NULL, 0);
        return;
    }
    json_t *record = exam_record(x, "spf", "TXT", x->domain, proposal(x, SLICE(""), j->allowed),
                                 "it says who may send mail as this domain", RECORD_MISSING, NULL);
    exam_find(x, "spf", x->domain, DOCTOR_ERROR,
              "it has no SPF record, so nothing tells its mail from forged mail, and large providers refuse it",
              "enter the record below, with all others that send for the domain", &record, 1);
}

static const char *whole(struct exam *x, struct slice text)
{
    struct buf b = { 0 };
    buf_add_printable(&b, text, 4000);
    return exam_kept(x, &b);
}

void exam_spf(struct exam *x)
{
    const struct auth_dns_answer *a = exam_look(x, AUTH_DNS_TXT, slice_str(x->domain), NULL);
    struct judged j = { .n = 0 };
    struct slice found[4];
    size_t n = 0;
    if (!a) return;
    for (size_t i = 0; a->status == AUTH_DNS_OK && i < a->n && n < countof(found); i++)
        if (is_spf(a->texts[i])) found[n++] = a->texts[i];
    if (a->status != AUTH_DNS_TEMPFAIL && !n) {
        tell_none(x, &j);
        return;
    }
    if (!judge(x, &j)) return;
    bool good = j.worst->result != SPF_PERMERROR && j.worst->result != SPF_TEMPERROR &&
                (j.passes == j.n || x->run->addresses.smarthost);
    enum record_state s = j.worst->result == SPF_TEMPERROR || !n ? RECORD_UNKNOWN : good ? RECORD_OK : RECORD_DIFFERENT;
    const char *value = good && n ? whole(x, found[0]) : proposal(x, n ? found[0] : SLICE(""), j.allowed);
    json_t *record = exam_record(x, "spf", "TXT", x->domain, value, "it says who may send mail as this domain", s,
                                 exam_texts(found, n));
    tell_judged(x, &j, record);
}
