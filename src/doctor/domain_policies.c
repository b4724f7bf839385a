/* SPDX-License-Identifier: Apache-2.0
 * What a domain asks of others: DMARC, MTA-STS, reports of TLS. */
#include <stdlib.h>
#include "base/clock.h"
#include "doctor/internal.h"
#include "fetch/fetch.h"
#include "mailauth/dmarc_record.h"

/* ---- DMARC */

static const char *host_of(struct exam *x, const char *label)
{
    return arena_printf(&x->arena, "%s.%s", label, x->domain);
}

static void tell_policy(struct exam *x, const struct dmarc_node *node, json_t *record)
{
    bool above = !slice_eq(node->domain, slice_str(x->domain));
    enum dmarc_policy p = above ? node->record.sp : node->record.p;
    const char *where = above ? arena_printf(&x->arena, " (the record of %s)", exam_shown(x, node->domain)) : "";
    if (!node->record.usable)
        exam_find(x, "dmarc", x->domain, DOCTOR_ERROR,
                  arena_printf(&x->arena, "the record has no valid policy%s: receivers pass over it", where),
                  "it needs p=none, p=quarantine or p=reject right behind v=DMARC1;", &record, 1);
    else if (p == DMARC_ASK_NONE)
        exam_find(x, "dmarc", x->domain, DOCTOR_WARNING,
                  arena_printf(&x->arena, "the policy is none%s: forged mail is let through", where),
                  node->record.rua.n ? "when the reports show that all mail of the domain passes, change it to "
                                       "p=quarantine, later to p=reject"
                                     : "ask for reports (rua=mailto:...) to see who sends for the domain; then change "
                                       "it to p=quarantine, later to p=reject",
                  NULL, 0);
    else if (node->record.testing || node->record.pct < 100)
        exam_find(x, "dmarc", x->domain, DOCTOR_WARNING,
                  arena_printf(&x->arena, "the policy is %s%s, but holds for a part of the mail only (t=y, or pct=)",
                               dmarc_policy_name(p), where),
                  "remove t= and pct= when the reports look well", NULL, 0);
    else
        exam_find(x, "dmarc", x->domain, DOCTOR_OK,
                  arena_printf(&x->arena, "the policy is %s%s", dmarc_policy_name(p), where), "", NULL, 0);
}

/* Where a look-up failed, the organisation is not known: the nearest record is good enough for people. */
static const struct dmarc_node *found_node(const struct dmarc_walk *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].found == DMARC_FOUND && (i == 0 || w->temp || slice_eq(w->nodes[i].domain, w->organisation)))
            return &w->nodes[i];
    return NULL;
}

void exam_dmarc(struct exam *x)
{
    static const char why[] =
        "it says what receivers do with mail that is not proven to be the domain's, and where they report";
    struct dmarc_walk *w = arena_alloc(&x->arena, sizeof *w);
    const char *host = host_of(x, "_dmarc"),
               *value = arena_printf(&x->arena, "v=DMARC1; p=none; rua=mailto:postmaster@%s", x->domain);
    if (!dmarc_walk(&x->dns, slice_str(x->domain), w)) {
        x->missing = true;
        return;
    }
    const struct dmarc_node *node = found_node(w);
    enum dmarc_found own = w->nodes[0].found;
    const char *printable = own == DMARC_FOUND ? exam_shown(x, w->nodes[0].text) : "";
    bool good = node && node->record.usable;
    enum record_state s = own == DMARC_FOUND_TEMPFAIL  ? RECORD_UNKNOWN
                          : own == DMARC_FOUND_SEVERAL ? RECORD_DIFFERENT
                          : good                       ? RECORD_OK
                          : own == DMARC_FOUND         ? RECORD_DIFFERENT
                                                       : RECORD_MISSING;
    json_t *record = exam_record(x, "dmarc", "TXT", host, own == DMARC_FOUND && good ? printable : value, why, s,
                                 own == DMARC_FOUND ? exam_texts(&w->nodes[0].text, 1) : NULL);
    if (own == DMARC_FOUND_SEVERAL)
        exam_find(x, "dmarc", x->domain, DOCTOR_ERROR, "there are several DMARC records, so none of them counts",
                  "remove all but one", NULL, 0);
    else if (node) tell_policy(x, node, record);
    else if (own == DMARC_FOUND_TEMPFAIL || w->temp)
        exam_find(x, "dmarc", x->domain, DOCTOR_UNKNOWN, "no answer from the DNS for its DMARC record",
                  "try again later", &record, 1);
    else
        exam_find(x, "dmarc", x->domain, DOCTOR_WARNING,
                  "it has no DMARC record: receivers decide by themselves about forged mail, and large ones ask for it",
                  "enter the record below, and look at the reports", &record, 1);
}

/* ---- MTA-STS */

struct sts_look {
    struct exam *exam;
    struct fetch_query *query;
    bool known;
    enum sts_mode mode;
    struct sts_policy *policy;
    char failure[320]; /* "" : none */
};

void sts_look_free(struct sts_look **sp)
{
    struct sts_look *s = *sp;
    *sp = NULL;
    if (!s) return;
    fetch_cancel(&s->query);
    free(s->policy);
    free(s);
}

static void on_policy(void *arg, const struct fetch_policy *p)
{
    struct sts_look *s = arg;
    s->query = NULL;
    s->known = true;
    s->mode = p->mode;
    if (p->policy) {
        s->policy = mem_new(struct sts_policy);
        *s->policy = *p->policy;
    }
    if (!p->known || p->failure[0])
        snprintf(s->failure, sizeof s->failure, "%s", p->reason[0] ? p->reason : p->failure);
    exam_wake(s->exam);
}

/* False: nobody here fetches policies. */
static bool fetches(struct exam *x)
{
    struct link *fetch = x->config->delivery.mta_sts ? x->run->doctor->o.fetch : NULL;
    if (!fetch) return false;
    if (x->sts) return true;
    x->sts = mem_new(struct sts_look);
    x->sts->exam = x;
    x->sts->query = fetch_policy_start(fetch, x->domain, on_policy, x->sts);
    return true;
}

/* The first MX host that the policy does not cover. */
static bool not_covered(const struct sts_policy *p, const struct exam_mx *mx, struct slice *out)
{
    for (size_t i = 0; i < mx->n; i++)
        if (!sts_policy_covers(p, mx->hosts[i])) {
            *out = mx->hosts[i];
            return true;
        }
    return false;
}

static void tell_sts(struct exam *x, const struct sts_look *s, const struct exam_mx *mx)
{
    struct slice host = { 0 };
    if (!s->known)
        exam_find(x, "mta-sts", x->domain, DOCTOR_UNKNOWN, "its policy did not come in time", "try again later", NULL,
                  0);
    else if (s->failure[0])
        exam_find(x, "mta-sts", x->domain, DOCTOR_ERROR,
                  arena_printf(&x->arena, "a policy is announced, but cannot be had: %s",
                               exam_shown(x, slice_str(s->failure))),
                  arena_printf(&x->arena,
                               "https://mta-sts.%s/.well-known/mta-sts.txt must be there, with a valid certificate; or "
                               "remove the record",
                               x->domain),
                  NULL, 0);
    else if (s->policy && not_covered(s->policy, mx, &host))
        exam_find(x, "mta-sts", x->domain, DOCTOR_ERROR,
                  arena_printf(&x->arena, "its policy does not name the MX host %s: senders will not deliver there",
                               exam_shown(x, host)),
                  "add a line \"mx: HOST\" to the policy, and change the id in the record", NULL, 0);
    else if (s->mode == STS_TESTING)
        exam_find(x, "mta-sts", x->domain, DOCTOR_OK, "there is a policy, in mode testing", "", NULL, 0);
    else
        exam_find(x, "mta-sts", x->domain, DOCTOR_OK,
                  s->mode == STS_ENFORCE ? "there is a policy, and it is enforced" : "there is a policy, of mode none",
                  "", NULL, 0);
}

static const char *fresh_id(struct exam *x)
{
    return arena_printf(&x->arena, "v=STSv1; id=%llu", (unsigned long long)(clock_wall_ms() / 1000));
}

void exam_mta_sts(struct exam *x, const struct exam_mx *mx)
{
    static const char why[] =
        "together with a policy at https://mta-sts.DOMAIN it makes senders use TLS to the MX hosts only";
    const char *host = host_of(x, "_mta-sts");
    const struct auth_dns_answer *a = exam_look(x, AUTH_DNS_TXT, slice_str(host), NULL);
    char id[STS_ID_MAX + 1];
    if (!a) return;
    bool there = a->status == AUTH_DNS_OK && sts_record_parse(a->texts, a->n, id),
         fails = a->status == AUTH_DNS_TEMPFAIL;
    json_t *found = there || a->status == AUTH_DNS_OK ? exam_texts(a->texts, a->n) : NULL;
    const char *value = there ? arena_printf(&x->arena, "v=STSv1; id=%s", id) : fresh_id(x);
    json_t *record = exam_record(x, "mta-sts", "TXT", host, value, why,
                                 there                      ? RECORD_OK
                                 : fails                    ? RECORD_UNKNOWN
                                 : a->status == AUTH_DNS_OK ? RECORD_DIFFERENT
                                                            : RECORD_MISSING,
                                 found);
    if (fails)
        exam_find(x, "mta-sts", x->domain, DOCTOR_UNKNOWN, "no answer from the DNS for its MTA-STS record",
                  "try again later", &record, 1);
    else if (!there && a->status == AUTH_DNS_OK)
        exam_find(x, "mta-sts", x->domain, DOCTOR_ERROR, "what is published is no MTA-STS record, or there are several",
                  "enter the record below, or remove it", &record, 1);
    else if (!there)
        exam_find(x, "mta-sts", x->domain, DOCTOR_SKIPPED, "it has no MTA-STS policy, which is no fault",
                  "it is worth having when the certificate is one that others can verify", NULL, 0);
    else if (!fetches(x))
        exam_find(x, "mta-sts", x->domain, DOCTOR_OK,
                  "it announces a policy, which was not fetched as delivery.mta_sts is off", "", NULL, 0);
    else if (!x->sts->known && !x->run->over) x->missing = true;
    else tell_sts(x, x->sts, mx);
}

/* ---- TLS reports (RFC 8460 §3) */

void exam_tls_rpt(struct exam *x)
{
    const char *host = host_of(x, "_smtp._tls"),
               *value = arena_printf(&x->arena, "v=TLSRPTv1; rua=mailto:postmaster@%s", x->domain);
    const struct auth_dns_answer *a = exam_look(x, AUTH_DNS_TXT, slice_str(host), NULL);
    size_t n = 0;
    struct slice text = { 0 };
    if (!a) return;
    for (size_t i = 0; a->status == AUTH_DNS_OK && i < a->n; i++)
        if (slice_starts(a->texts[i], SLICE("v=TLSRPTv1"))) {
            n++;
            text = a->texts[i];
        }
    bool good = n == 1 && slice_ihas(text, SLICE("rua=")), fails = a->status == AUTH_DNS_TEMPFAIL;
    json_t *record = exam_record(x, "tls-rpt", "TXT", host, good ? exam_shown(x, text) : value,
                                 "senders report there how TLS to the MX hosts went",
                                 good    ? RECORD_OK
                                 : fails ? RECORD_UNKNOWN
                                 : n     ? RECORD_DIFFERENT
                                         : RECORD_MISSING,
                                 n ? exam_texts(&text, 1) : NULL);
    if (fails)
        exam_find(x, "tls-rpt", x->domain, DOCTOR_UNKNOWN, "no answer from the DNS for its TLS-RPT record",
                  "try again later", &record, 1);
    else if (!n)
        exam_find(x, "tls-rpt", x->domain, DOCTOR_SKIPPED, "it asks for no reports of TLS, which is no fault", "", NULL,
                  0);
    else if (!good)
        exam_find(x, "tls-rpt", x->domain, DOCTOR_WARNING,
                  n > 1 ? "it has several TLS-RPT records" : "its TLS-RPT record names no address for reports (rua=)",
                  "enter the record below", &record, 1);
    else exam_find(x, "tls-rpt", x->domain, DOCTOR_OK, "it asks for reports of TLS", "", NULL, 0);
}
