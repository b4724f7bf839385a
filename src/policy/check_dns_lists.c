/* SPDX-License-Identifier: Apache-2.0
 * The checks against lists in the DNS: of the client's address and name, of the name in EHLO, of the sender's domain. All lists of
 * a stage are asked at the same time. Weights are summed up over the stages, and an allow list of one stage spares the later ones:
 * so before one of them finds fault, the stages before it must be complete. */
#include <event2/event.h>
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/checks.h"
#include "policy/dns_lists.h"
#include "smtp/address.h"

#define NAME_MAX_N 253   /* RFC 1035 §2.3.4, as text */
#define TEXT_MAX 150     /* of a list's own words to a client */
#define REPLY_MAX 360

/* What is known of a list. NO_ANSWER may still change while its query is there. */
enum found { NO_ANSWER, TOO_LONG, CLEAN, LISTED };

struct question {
    struct asking *asking;
    struct dns_list *list;
    struct slice subject;          /* what is looked up, printable */
    const char *name;
    struct resolver_query *query;  /* of the address, then, where LISTED, of the list's own words; NULL: it is over */
    enum found found;
    struct ip answer;
    const char *text;              /* the list's own; "" : none */
};
struct asking {
    struct check_call *call;
    struct event *timer;
    size_t n;
    unsigned off;                  /* lists that are not asked at the moment */
    struct question questions[];
};

/* ---- what is listed */

static bool is_action(const struct question *q, enum config_dns_list_action action)
{
    return dns_list_config(q->list)->action == action;
}

/* The first that is; one that said why before others. */
static const struct question *listed(const struct asking *a, enum config_dns_list_action action)
{
    const struct question *first = NULL;
    for (size_t i = 0; i < a->n; i++) {
        const struct question *q = &a->questions[i];
        if (q->found != LISTED || !is_action(q, action)) continue;
        if (q->text[0]) return q;
        if (!first) first = q;
    }
    return first;
}

/* "zen.spamhaus.org: 127.0.0.4, ..."; of all lists with the action. */
static const char *found_in(const struct asking *a, enum config_dns_list_action action)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < a->n; i++) {
        const struct question *q = &a->questions[i];
        if (q->found != LISTED || !is_action(q, action)) continue;
        buf_addf(&b, "%s%s: ", b.n ? ", " : "", dns_list_config(q->list)->zone);
        ip_add(&b, &q->answer);
        if (action == CONFIG_DNS_LIST_SCORE) buf_addf(&b, " (weight %u)", dns_list_config(q->list)->weight);
    }
    const char *text = arena_strdup(check_arena(a->call), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static int weight_of(const struct asking *a)
{
    int sum = 0;
    for (size_t i = 0; i < a->n; i++)
        if (a->questions[i].found == LISTED && is_action(&a->questions[i], CONFIG_DNS_LIST_SCORE))
            sum += (int)dns_list_config(a->questions[i].list)->weight;
    return sum;
}

/* The weights of the stages before this one. */
static int earlier_weight(const struct check_call *call)
{
    static const struct check *const rows[] = { &check_dns_lists_client, &check_dns_lists_helo };
    int sum = 0;
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i]->stage < call->check->stage) sum += check_score_of(call, rows[i]);
    return sum;
}

/* ---- the answers */

static void refuse(struct asking *a, enum config_dns_list_action action)
{
    struct check_call *call = a->call;
    const struct question *q = listed(a, action);
    const char *home = dns_list_home(q->list);
    struct buf b = { .max = REPLY_MAX }; /* what does not fit is left out */
    buf_add(&b, q->subject);
    buf_addf(&b, " is listed in %s", dns_list_config(q->list)->zone);
    if (q->text[0]) buf_addf(&b, ": %s", q->text);
    if (home) buf_addf(&b, "; see %s", home);
    const char *text = arena_strdup(check_arena(call), buf_slice(&b));
    buf_deinit(&b);
    check_refuse(call, 554, "5.7.1", dns_list_config(q->list)->place, text, "listed in %s", found_in(a, action));
}

/* Something is listed, and all before it is known: an allow list spares it, else a list that rejects decides, then the weights. */
static void weigh(struct check_call *call)
{
    struct asking *a = call->own;
    uint32_t threshold = check_engine(call)->config->checks.dns_lists.threshold;
    int sum = weight_of(a), all = earlier_weight(call) + sum;
    if (check_allowed(call) & ALLOW_LISTED) check_pass(call, "an allow list spares it");
    else if (listed(a, CONFIG_DNS_LIST_REJECT)) refuse(a, CONFIG_DNS_LIST_REJECT);
    else if (threshold && (uint32_t)all >= threshold) refuse(a, CONFIG_DNS_LIST_SCORE);
    else
        check_score(call, sum, dns_list_config(listed(a, CONFIG_DNS_LIST_SCORE)->list)->place, "listed in %s; %d of %u",
                    found_in(a, CONFIG_DNS_LIST_SCORE), all, threshold);
}

static void pass(struct asking *a)
{
    struct check_call *call = a->call;
    size_t clean = 0;
    struct buf b = { 0 };
    for (size_t i = 0; i < a->n; i++) {
        const char *zone = dns_list_config(a->questions[i].list)->zone;
        clean += a->questions[i].found == CLEAN;
        if (a->questions[i].found == NO_ANSWER) buf_addf(&b, ", no answer of %s", zone);
        if (a->questions[i].found == TOO_LONG) buf_addf(&b, ", the name is too long to ask %s", zone);
    }
    if (a->off) buf_addf(&b, ", %u switched off", a->off);
    const char *rest = arena_strdup(check_arena(call), buf_slice(&b));
    buf_deinit(&b);
    if (clean) check_pass(call, "not listed in %zu%s", clean, rest);
    else check_skip(call, "no list could be asked%s", rest);
}

static void stop(struct asking *a)
{
    for (size_t i = 0; i < a->n; i++) resolver_cancel(&a->questions[i].query);
    if (a->timer) event_free(a->timer);
    a->timer = NULL;
}

static void cancel(struct check_call *call) { stop(call->own); }

static void finish(struct asking *a)
{
    struct check_call *call = a->call;
    stop(a);
    const struct question *good = listed(a, CONFIG_DNS_LIST_ALLOW);
    if (good)
        check_allow(call, ALLOW_LISTED, dns_list_config(good->list)->place, "listed in %s",
                    found_in(a, CONFIG_DNS_LIST_ALLOW));
    else if (listed(a, CONFIG_DNS_LIST_REJECT) || listed(a, CONFIG_DNS_LIST_SCORE)) check_when_earlier_done(call, weigh);
    else pass(a);
}

/* An allow list settles it; once none may do so any more, so does a list that rejects. */
static bool is_settled(const struct asking *a)
{
    bool open = false, may_allow = false, rejects = false;
    for (size_t i = 0; i < a->n; i++) {
        const struct question *q = &a->questions[i];
        open |= q->query != NULL;
        may_allow |= q->query && is_action(q, CONFIG_DNS_LIST_ALLOW);
        rejects |= !q->query && q->found == LISTED && is_action(q, CONFIG_DNS_LIST_REJECT);
    }
    return !open || listed(a, CONFIG_DNS_LIST_ALLOW) || (rejects && !may_allow);
}

static void settle(struct asking *a)
{
    if (is_settled(a)) finish(a);
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
    settle(q->asking);
}

static void on_answer(void *arg, const struct resolver_answer *answer)
{
    struct question *q = arg;
    struct check_call *call = q->asking->call;
    q->query = NULL;
    switch (dns_list_judge(q->list, answer, !check_dry(call), &q->answer)) {
    case DNS_LIST_NOT_LISTED: q->found = CLEAN; break;
    case DNS_LIST_FAILED: break;
    case DNS_LIST_LISTED:
        q->found = LISTED;
        if (is_action(q, CONFIG_DNS_LIST_REJECT))
            q->query = resolver_txt(check_engine(call)->resolver, slice_str(q->name), on_text, q);
        break;
    }
    settle(q->asking);
}

static void on_time_out(evutil_socket_t fd, short what, void *arg)
{
    struct asking *a = arg;
    for (size_t i = 0; i < a->n; i++)
        if (a->questions[i].query && a->questions[i].found == NO_ANSWER)
            dns_list_late(a->questions[i].list, !check_dry(a->call));
    finish(a);
}

/* Subjects of a stage: for each list that is asked of it, one question. */
struct subject {
    uint32_t of;
    struct slice label, shown;
};

static void add_question(struct asking *a, struct dns_list *l, const struct subject *s)
{
    struct question *q = &a->questions[a->n++];
    struct buf name = { 0 };
    buf_add(&name, s->label);
    buf_addf(&name, ".%s", dns_list_config(l)->zone);
    *q = (struct question){ .asking = a, .list = l, .subject = s->shown, .text = "" };
    q->found = name.n > NAME_MAX_N ? TOO_LONG : NO_ANSWER;
    q->name = arena_strdup(check_arena(a->call), buf_slice(&name));
    buf_deinit(&name);
}

static void add_questions(struct asking *a, const struct subject *s)
{
    const struct ip *ip = &check_facts(a->call)->client.ip;
    struct dns_list *l;
    for (size_t i = 0; (l = dns_lists_at(check_parts(a->call)->dns_lists, i)); i++) {
        if (!(dns_list_of(l) & s->of)) continue;
        if (dns_list_state(l) == DNS_LIST_OFF) a->off++;
        else if (s->of != CONFIG_DNS_LIST_CLIENT || dns_list_has_family(l, ip)) add_question(a, l, s);
    }
}

static void begin(struct asking *a)
{
    const struct policy_engine_options *e = check_engine(a->call);
    uint64_t timeout = e->config->checks.dns_lists.timeout;
    struct timeval at = { (time_t)(timeout / 1000), (suseconds_t)(timeout % 1000 * 1000) };
    a->timer = evtimer_new(e->base, on_time_out, a);
    evtimer_add(a->timer, &at);
    for (size_t i = 0; i < a->n; i++) {
        struct question *q = &a->questions[i];
        if (q->found == NO_ANSWER) q->query = resolver_addresses(e->resolver, slice_str(q->name), true, false, on_answer, q);
    }
    settle(a);
}

static void ask(struct check_call *call, const struct subject *subjects, size_t n)
{
    size_t lists = 0;
    while (dns_lists_at(check_parts(call)->dns_lists, lists)) lists++;
    struct asking *a = arena_alloc(check_arena(call), sizeof *a + n * lists * sizeof *a->questions);
    a->call = call;
    call->own = a;
    for (size_t i = 0; i < n; i++) add_questions(a, &subjects[i]);
    if (a->n) begin(a);
    else if (a->off) check_skip(call, "all lists are switched off");
    else check_skip(call, n ? "no list has such entries" : "nothing to look up");
}

/* ---- the three rows */

static bool wants(const struct config *c, uint32_t of)
{
    for (size_t i = 0; i < c->checks.dns_lists.n; i++) {
        const struct config_dns_list *l = &c->checks.dns_lists.lists[i];
        if (l->enabled && dns_list_kinds(l) & of) return true;
    }
    return false;
}

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

#define ROW(which, at, in, by)                                                                                         \
    const struct check check_dns_lists_##which = { .name = "dns-lists-" #which, .stage = (at), .step = (in),           \
                                                   .whom = FOR_STRANGERS, .spared_by = (by), .wanted = which##_wanted, \
                                                   .run = which##_run, .cancel = cancel }
ROW(client, STAGE_CONNECT, 2, ALLOW_CLIENT);
ROW(helo, STAGE_HELO, 1, ALLOW_CLIENT | ALLOW_LISTED);
ROW(sender, STAGE_MAIL, 1, ALLOW_CLIENT | ALLOW_LISTED);
