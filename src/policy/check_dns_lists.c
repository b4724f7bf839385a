/* SPDX-License-Identifier: Apache-2.0
 * The checks against lists in the DNS: of the client's address and name, of the name in EHLO, of the sender's domain. All lists of
 * a stage are asked at the same time. Weights are summed up over the stages, and an allow list of one stage spares the later ones:
 * so before one of them refuses, those before it must have answered. */
#include <event2/event.h>
#include <stdlib.h>
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/checks.h"
#include "policy/dns_lists.h"
#include "policy/pipeline.h"
#include "smtp/address.h"

#define TEXT_MAX 150     /* of a list's own words to a client */
#define REPLY_MAX 360
#define AGAIN_MS 20      /* while an earlier stage is still asking */

enum asked { ASKED, ASKED_TEXT, ASKED_NO, ASKED_YES, ASKED_FAILED };

struct question {
    struct asking *asking;
    struct dns_list *list;
    struct slice subject;          /* what is looked up, printable */
    const char *name;
    struct resolver_query *query;
    enum asked state;
    struct ip answer;
    const char *text;              /* the list's own; "" : none */
};
struct asking {
    struct check_call *call;
    struct event *timer;
    size_t n, open;                /* open: not answered */
    unsigned off;                  /* lists that are not asked at the moment */
    bool waiting;                  /* for an earlier stage */
    struct question questions[];
};

static bool wants(const struct config *c, uint32_t of)
{
    for (size_t i = 0; i < c->checks.dns_lists.n; i++) {
        const struct config_dns_list *l = &c->checks.dns_lists.lists[i];
        const struct dns_catalogue_entry *known = l->of ? NULL : dns_catalogue_find(l->zone);
        if (l->enabled && (l->of ? l->of : known ? known->of : CONFIG_DNS_LIST_CLIENT) & of) return true;
    }
    return false;
}

/* ---- what the stages before this one found */

static bool is_row_of_ours(const struct check *k)
{
    return k == &check_dns_lists_client || k == &check_dns_lists_helo || k == &check_dns_lists_sender;
}

/* The sum of their weights. *pending: one of them has not answered. */
static int look_back(const struct check_call *call, bool *pending)
{
    const struct policy_run *run = call->run;
    const struct policy *p = run_policy(run);
    int sum = 0;
    *pending = false;
    for (unsigned stage = 0; stage < call->check->stage; stage++)
        for (size_t i = p->from[stage]; run->begun[stage] && i < p->from[stage + 1]; i++) {
            const struct slot *s = &run->slots[i];
            if (!is_row_of_ours(p->checks[i])) continue;
            if (s->state == SLOT_DONE) sum += s->score;
            else if (s->state == SLOT_RUNNING || run->next[stage] <= i) *pending = true;
        }
    return sum;
}

/* ---- the end */

static void stop(struct asking *a)
{
    for (size_t i = 0; i < a->n; i++) resolver_cancel(&a->questions[i].query);
    if (a->timer) event_free(a->timer);
    a->timer = NULL;
    a->call->own = NULL;
}

static void cancel(struct check_call *call) { stop(call->own); }

static bool is_action(const struct question *q, enum config_dns_list_action action)
{
    return dns_list_config(q->list)->action == action;
}

/* The first that is listed. */
static const struct question *listed(const struct asking *a, enum config_dns_list_action action)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->questions[i].state == ASKED_YES && is_action(&a->questions[i], action)) return &a->questions[i];
    return NULL;
}

static void add_finding(struct buf *out, const struct question *q)
{
    if (out->n) buf_add_str(out, ", ");
    buf_addf(out, "%s: ", dns_list_config(q->list)->zone);
    ip_add(out, &q->answer);
    if (is_action(q, CONFIG_DNS_LIST_SCORE)) buf_addf(out, " (weight %u)", dns_list_config(q->list)->weight);
}

/* "listed in zen.spamhaus.org: 127.0.0.4, ..."; of all lists with the action. */
static const char *found_in(const struct asking *a, enum config_dns_list_action action, int *sum)
{
    struct buf b = { 0 };
    *sum = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct question *q = &a->questions[i];
        if (q->state != ASKED_YES || !is_action(q, action)) continue;
        add_finding(&b, q);
        if (action == CONFIG_DNS_LIST_SCORE) *sum += (int)dns_list_config(q->list)->weight;
    }
    const char *text = arena_strdup(check_arena(a->call), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static void refuse(struct asking *a, const struct question *q, const char *why)
{
    struct check_call *call = a->call;
    const char *zone = dns_list_config(q->list)->zone, *home = dns_list_home(q->list);
    struct buf b = { .max = REPLY_MAX }; /* what does not fit is left out */
    buf_add(&b, q->subject);
    buf_addf(&b, " is listed in %s", zone);
    if (q->text[0]) buf_addf(&b, ": %s", q->text);
    if (home) buf_addf(&b, "; see %s", home);
    const char *text = arena_strdup(check_arena(call), buf_slice(&b));
    buf_deinit(&b);
    stop(a);
    check_refuse(call, 554, "5.7.1", dns_list_config(q->list)->place, text, "listed in %s", why);
}

static void pass(struct asking *a)
{
    struct check_call *call = a->call;
    size_t clean = 0;
    struct buf b = { 0 };
    for (size_t i = 0; i < a->n; i++) {
        clean += a->questions[i].state == ASKED_NO;
        if (a->questions[i].state == ASKED_FAILED)
            buf_addf(&b, ", no answer of %s", dns_list_config(a->questions[i].list)->zone);
    }
    if (a->off) buf_addf(&b, ", %u switched off", a->off);
    const char *rest = arena_strdup(check_arena(call), buf_slice(&b));
    buf_deinit(&b);
    stop(a);
    if (clean) check_pass(call, "not listed in %zu%s", clean, rest);
    else check_skip(call, "no list could be asked%s", rest);
}

/* All have answered that matter. An allow list decides, then one that rejects, then the weights. */
static void finish(struct asking *a)
{
    struct check_call *call = a->call;
    const struct question *good = listed(a, CONFIG_DNS_LIST_ALLOW), *bad = listed(a, CONFIG_DNS_LIST_REJECT),
                          *heavy = listed(a, CONFIG_DNS_LIST_SCORE);
    uint32_t threshold = check_engine(call)->config->checks.dns_lists.threshold;
    bool pending;
    int sum, before = look_back(call, &pending);
    if (good) {
        struct config_place place = dns_list_config(good->list)->place;
        const char *why = found_in(a, CONFIG_DNS_LIST_ALLOW, &sum);
        stop(a);
        check_allow(call, ALLOW_LISTED, place, "listed in %s", why);
        return;
    }
    const char *weights = found_in(a, CONFIG_DNS_LIST_SCORE, &sum);
    if (pending && (bad || (heavy && threshold))) {
        struct timeval again = { 0, AGAIN_MS * 1000 };
        a->waiting = true;
        evtimer_add(a->timer, &again);
    } else if ((bad || heavy) && run_allowed(call->run, call->check->stage) & ALLOW_LISTED) {
        stop(a);
        check_pass(call, "an allow list spares it");
    } else if (bad)
        refuse(a, bad, found_in(a, CONFIG_DNS_LIST_REJECT, &sum));
    else if (heavy && threshold && (uint32_t)(before + sum) >= threshold)
        refuse(a, heavy, arena_strdup(check_arena(call), slice_str(weights)));
    else if (heavy) {
        struct config_place place = dns_list_config(heavy->list)->place;
        stop(a);
        check_score(call, sum, place, "listed in %s; %d of %u", weights, before + sum, threshold);
    } else
        pass(a);
}

/* An early end: who is listed is refused, unless an allow list may yet say otherwise. */
static void settle(struct asking *a)
{
    bool good = listed(a, CONFIG_DNS_LIST_ALLOW), open = false;
    for (size_t i = 0; i < a->n; i++)
        open |= a->questions[i].state <= ASKED_TEXT && is_action(&a->questions[i], CONFIG_DNS_LIST_ALLOW);
    if (!a->open || good || (!open && listed(a, CONFIG_DNS_LIST_REJECT))) {
        if (a->timer) event_del(a->timer);
        for (size_t i = 0; i < a->n; i++) resolver_cancel(&a->questions[i].query);
        finish(a);
    }
}

/* ---- asking */

/* RFC 5782 §2.1: the TXT record says why. It comes from outside and goes into a reply. */
static void on_text(void *arg, const struct resolver_answer *answer)
{
    struct question *q = arg;
    char text[TEXT_MAX + 1];
    size_t n = 0;
    q->query = NULL;
    if (answer->status == RESOLVER_OK && answer->n)
        for (; n < TEXT_MAX && n < answer->texts[0].n; n++) {
            char c = answer->texts[0].p[n];
            text[n] = c >= ' ' && c < 0x7f ? c : '?';
        }
    q->text = arena_strdup(check_arena(q->asking->call), slice_trim(slice_of(text, n)));
    q->state = ASKED_YES;
    q->asking->open--;
    settle(q->asking);
}

static void on_answer(void *arg, const struct resolver_answer *answer)
{
    struct question *q = arg;
    struct asking *a = q->asking;
    q->query = NULL;
    switch (dns_list_judge(q->list, answer, !check_dry(a->call), &q->answer)) {
    case DNS_LIST_NOT_LISTED: q->state = ASKED_NO; break;
    case DNS_LIST_FAILED: q->state = ASKED_FAILED; break;
    case DNS_LIST_LISTED:
        if (is_action(q, CONFIG_DNS_LIST_REJECT)) {
            q->state = ASKED_TEXT;
            q->query = resolver_txt(check_engine(a->call)->resolver, slice_str(q->name), on_text, q);
            return;
        }
        q->state = ASKED_YES;
        break;
    }
    a->open--;
    settle(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct asking *a = arg;
    for (size_t i = 0; i < a->n && !a->waiting; i++) {
        struct question *q = &a->questions[i];
        resolver_cancel(&q->query);
        if (q->state == ASKED) dns_list_late(q->list, !check_dry(a->call));
        q->state = q->state == ASKED ? ASKED_FAILED : q->state == ASKED_TEXT ? ASKED_YES : q->state;
    }
    a->open = 0;
    finish(a);
}

/* Subjects of a stage: for each list that is asked of it, one question. */
struct subject {
    uint32_t of;
    struct slice label, shown;
};

static void add_questions(struct asking *a, const struct subject *s)
{
    struct check_call *call = a->call;
    struct dns_list *l;
    for (size_t i = 0; (l = dns_lists_at(check_parts(call)->dns_lists, i)); i++) {
        struct buf name = { 0 };
        if (!(dns_list_of(l) & s->of)) continue;
        if (dns_list_state(l) == DNS_LIST_OFF) {
            a->off++;
            continue;
        }
        if (s->of == CONFIG_DNS_LIST_CLIENT && !dns_list_has_family(l, &check_facts(call)->client.ip)) continue;
        buf_add(&name, s->label);
        buf_addf(&name, ".%s", dns_list_config(l)->zone);
        a->questions[a->n++] = (struct question){ .asking = a, .list = l, .subject = s->shown, .text = "",
                                                  .name = arena_strdup(check_arena(call), buf_slice(&name)) };
        buf_deinit(&name);
    }
}

static void ask(struct check_call *call, const struct subject *subjects, size_t n)
{
    size_t lists = 0;
    while (dns_lists_at(check_parts(call)->dns_lists, lists)) lists++;
    struct asking *a = arena_alloc(check_arena(call), sizeof *a + n * lists * sizeof *a->questions);
    a->call = call;
    for (size_t i = 0; i < n; i++) add_questions(a, &subjects[i]);
    if (!a->n) {
        if (a->off) check_skip(call, "all lists are switched off");
        else check_skip(call, n ? "no list has such entries" : "nothing to look up");
        return;
    }
    uint64_t timeout = check_engine(call)->config->checks.dns_lists.timeout;
    struct timeval at = { (time_t)(timeout / 1000), (suseconds_t)(timeout % 1000 * 1000) };
    call->own = a;
    a->open = a->n;
    a->timer = evtimer_new(check_engine(call)->base, on_timer, a);
    evtimer_add(a->timer, &at);
    for (size_t i = 0; i < a->n; i++) {
        struct question *q = &a->questions[i];
        q->query = resolver_addresses(check_engine(call)->resolver, slice_str(q->name), true, false, on_answer, q);
    }
}

/* ---- the three rows */

static bool client_wanted(const struct config *c, const struct policy *p)
{
    return wants(c, CONFIG_DNS_LIST_CLIENT | CONFIG_DNS_LIST_REVERSE);
}
static bool helo_wanted(const struct config *c, const struct policy *p) { return wants(c, CONFIG_DNS_LIST_HELO); }
static bool sender_wanted(const struct config *c, const struct policy *p) { return wants(c, CONFIG_DNS_LIST_SENDER); }

static void client_run(struct check_call *call)
{
    const struct check_facts *f = check_facts(call);
    struct subject s[2];
    struct buf b = { 0 };
    size_t n = 0;
    if (f->client.ip.family) {
        resolver_add_reversed(&b, &f->client.ip);
        s[n].of = CONFIG_DNS_LIST_CLIENT;
        s[n].label = arena_slice(check_arena(call), buf_slice(&b));
        buf_clear(&b);
        ip_add(&b, &f->client.ip);
        s[n++].shown = arena_slice(check_arena(call), buf_slice(&b));
        buf_deinit(&b);
    }
    if (f->reverse == REVERSE_CONFIRMED)
        s[n++] = (struct subject){ CONFIG_DNS_LIST_REVERSE, f->reverse_name, f->reverse_name };
    ask(call, s, n);
}

/* A name as clients write it; no look-up of what is none. */
static void ask_name(struct check_call *call, uint32_t of, struct slice domain)
{
    char name[256];
    struct ip ip;
    bool ok = address_domain_ascii(domain, name) && address_domain_ok(slice_str(name), true) &&
              !ip_parse(slice_str(name), &ip);
    struct slice kept = ok ? arena_slice(check_arena(call), slice_str(name)) : SLICE("");
    struct subject s = { of, kept, kept };
    ask(call, &s, ok);
}

static void helo_run(struct check_call *call) { ask_name(call, CONFIG_DNS_LIST_HELO, check_facts(call)->helo); }
static void sender_run(struct check_call *call)
{
    ask_name(call, CONFIG_DNS_LIST_SENDER, check_facts(call)->sender_domain);
}

const struct check check_dns_lists_client = { .name = "dns-lists-client",
                                              .stage = STAGE_CONNECT,
                                              .step = 2,
                                              .whom = FOR_STRANGERS,
                                              .spared_by = ALLOW_CLIENT,
                                              .wanted = client_wanted,
                                              .run = client_run,
                                              .cancel = cancel };
const struct check check_dns_lists_helo = { .name = "dns-lists-helo",
                                            .stage = STAGE_HELO,
                                            .step = 1,
                                            .whom = FOR_STRANGERS,
                                            .spared_by = ALLOW_CLIENT | ALLOW_LISTED,
                                            .wanted = helo_wanted,
                                            .run = helo_run,
                                            .cancel = cancel };
const struct check check_dns_lists_sender = { .name = "dns-lists-sender",
                                              .stage = STAGE_MAIL,
                                              .step = 1,
                                              .whom = FOR_STRANGERS,
                                              .spared_by = ALLOW_CLIENT | ALLOW_LISTED,
                                              .wanted = sender_wanted,
                                              .run = sender_run,
                                              .cancel = cancel };
