/* SPDX-License-Identifier: Apache-2.0
 * Examinations: who asks for one, what it looks at, when it is over, and how long its result is good for. */
#include <event2/event.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "doctor/internal.h"
#include "smtp/address.h"

#define RUNS_MAX 32   /* that are kept */
#define ACTIVE_MAX 4  /* at the same time */
#define ASKERS_MAX 50 /* of one */
#define ROUNDS_MAX 50
#define ANSWER_MAX (900u << 10)

struct asker {
    struct list node;
    bool records;
    void (*reply)(void *arg, json_t *answer);
    void *arg;
};

/* ---- parts */

const struct auth_dns_answer *exam_look(struct exam *x, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    const struct auth_dns_answer *a = x->dns.get(x->dns.arg, type, name, ip);
    if (!a) x->missing = true;
    return a;
}

void exam_wake(struct exam *x)
{
    static const struct timeval soon = { 0, 2000 }; /* answers come in swarms */
    x->woken = true;
    if (!evtimer_pending(x->run->again, NULL)) evtimer_add(x->run->again, &soon);
}

static void on_lookup(void *arg) { exam_wake(arg); }

struct late *exam_late(struct exam *x)
{
    struct late *l = x->lates[x->late_n++] = mem_new(struct late);
    l->exam = x;
    return l;
}

void late_reply(void *arg, json_t *answer)
{
    struct late *l = arg;
    if (!l->exam) {
        json_decref(answer);
        free(l);
        return;
    }
    l->answer = answer;
    exam_wake(l->exam);
}

bool exam_came(struct exam *x, const struct late *l)
{
    if (!l->answer && !x->run->over) x->missing = true;
    return l->answer != NULL;
}

static void exam_new(struct doctor_run *r, void (*examine)(struct exam *x), const char *domain)
{
    struct exam *x = mem_new(struct exam);
    x->run = r;
    x->config = r->doctor->o.config;
    x->examine = examine;
    snprintf(x->domain, sizeof x->domain, "%s", domain);
    x->link = (struct mailauth_dns){ .resolver = r->doctor->o.resolver, .on_answer = on_lookup, .arg = x };
    struct lookups_calls calls = mailauth_dns_calls(&x->link);
    x->lookups = lookups_new(&calls);
    x->dns = lookups_dns(x->lookups);
    x->woken = true;
    list_push_back(&r->exams, &x->node);
}

static void exam_free(struct exam *x)
{
    lookups_free(&x->lookups);
    sts_look_free(&x->sts);
    for (size_t i = 0; i < x->late_n; i++) {
        x->lates[i]->exam = NULL;
        if (!x->lates[i]->answer) continue; /* its answer frees it */
        json_decref(x->lates[i]->answer);
        free(x->lates[i]);
    }
    arena_deinit(&x->arena);
    json_decref(x->findings);
    json_decref(x->records);
    list_remove(&x->node);
    free(x);
}

void exam_once(struct exam *x)
{
    arena_reset(&x->arena);
    json_decref(x->findings);
    json_decref(x->records);
    x->findings = json_array();
    x->records = json_array();
    x->missing = false;
    x->examine(x);
}

/* When the time is up each answer is there as soon as it is asked for. */
static void exam_call(struct exam *x)
{
    unsigned rounds = 0;
    x->woken = false;
    do exam_once(x);
    while (x->missing && x->run->over && ++rounds < ROUNDS_MAX);
    x->done = !x->missing || x->run->over;
}

/* ---- answers */

/* What is larger than a frame between processes loses the ends of its list. */
static json_t *fitting(const json_t *list)
{
    json_t *all = json_array(), *one;
    size_t i, bytes = 0;
    json_array_foreach(list, i, one) {
        bytes += json_dumpb(one, NULL, 0, JSON_COMPACT) + 1;
        if (bytes > ANSWER_MAX) break;
        json_array_append(all, one);
    }
    return all;
}

static json_t *answer_of(const struct doctor_run *r, bool records)
{
    json_t *a = records ? json_pack("{s:o}", "records", fitting(r->records))
                        : json_pack("{s:o, s:b}", "findings", fitting(r->findings), "running", 0);
    if (r->left_out) json_object_set_new(a, "left_out", json_integer((json_int_t)r->left_out));
    return a;
}

static void tell(struct doctor_run *r, const char *error)
{
    struct list *node;
    while ((node = list_pop_front(&r->askers))) {
        struct asker *k = list_entry(node, struct asker, node);
        k->reply(k->arg, error ? json_pack("{s:s}", "error", error) : answer_of(r, k->records));
        free(k);
    }
}

static void run_end(struct doctor_run *r)
{
    r->findings = json_array();
    r->records = json_array();
    list_each_safe(it, &r->exams) {
        struct exam *x = list_entry(it, struct exam, node);
        json_array_extend(r->findings, x->findings);
        json_array_extend(r->records, x->records);
        exam_free(x);
    }
    evtimer_del(r->limit);
    evtimer_del(r->again);
    r->ended = clock_mono_ms();
    tell(r, NULL);
}

static void go_on(struct doctor_run *r)
{
    bool all = true;
    list_each(it, &r->exams) {
        struct exam *x = list_entry(it, struct exam, node);
        if (!x->done && (x->woken || r->over)) exam_call(x);
        if (!x->done) all = false;
    }
    if (all) run_end(r);
}

static void on_again(evutil_socket_t fd, short what, void *arg) { go_on(arg); }

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct doctor_run *r = arg;
    r->over = true;
    list_each(it, &r->exams) lookups_give_up(list_entry(it, struct exam, node)->lookups);
    go_on(r);
}

/* ---- one examination */

static void add_domains(struct doctor_run *r)
{
    const struct config *c = r->doctor->o.config;
    size_t n = 0;
    for (size_t i = 0; i < c->domain_n; i++) {
        if (c->domains[i].table) continue; /* those of a table by name: they may be many */
        if (n++ < DOCTOR_DOMAINS_MAX) exam_new(r, exam_domain, c->domains[i].name);
    }
    r->left_out = n > DOCTOR_DOMAINS_MAX ? n - DOCTOR_DOMAINS_MAX : 0;
}

static struct doctor_run *run_new(struct doctor *d, const char *domain)
{
    static const struct timeval limit = { DOCTOR_LIMIT_MS / 1000, 0 }, now = { 0, 0 };
    struct doctor_run *r = mem_new(struct doctor_run);
    const struct config *c = d->o.config;
    r->doctor = d;
    r->helo = c->delivery.helo[0] ? c->delivery.helo : c->hostname;
    snprintf(r->domain, sizeof r->domain, "%s", domain);
    list_init(&r->exams);
    list_init(&r->askers);
    list_push_back(&d->runs, &r->node);
    doctor_addresses_find(c, &r->addresses);
    r->limit = evtimer_new(d->o.base, on_limit, r);
    r->again = evtimer_new(d->o.base, on_again, r);
    exam_new(r, exam_host, "");
    if (domain[0]) exam_new(r, exam_domain, domain);
    else {
        exam_new(r, exam_certificates, "");
        exam_new(r, exam_relay, "");
        exam_new(r, exam_lists, "");
        exam_new(r, exam_resolver, "");
        exam_new(r, exam_health, "");
        add_domains(r);
    }
    evtimer_add(r->limit, &limit);
    evtimer_add(r->again, &now);
    return r;
}

static void run_free(struct doctor_run *r)
{
    list_remove(&r->node);
    list_each_safe(it, &r->exams) exam_free(list_entry(it, struct exam, node));
    tell(r, "the worker ends");
    json_decref(r->findings);
    json_decref(r->records);
    event_free(r->limit);
    event_free(r->again);
    free(r);
}

/* Results that are too old, or one too many, go. *active: how many are under way. */
static void tidy(struct doctor *d, unsigned *active)
{
    uint64_t now = clock_mono_ms();
    size_t n = 0;
    *active = 0;
    list_each(it, &d->runs) n++;
    list_each_safe(it, &d->runs) {
        struct doctor_run *r = list_entry(it, struct doctor_run, node);
        if (!r->ended) (*active)++;
        else if (now - r->ended > DOCTOR_KEEP_MS || n > RUNS_MAX) {
            run_free(r);
            n--;
        }
    }
}

static struct doctor_run *find_run(const struct doctor *d, const char *domain, bool fresh)
{
    list_each(it, &d->runs) {
        struct doctor_run *r = list_entry(it, struct doctor_run, node);
        if (!strcmp(r->domain, domain) && !(fresh && r->ended)) return r;
    }
    return NULL;
}

static size_t count(const struct list *l)
{
    size_t n = 0;
    list_each(it, l) n++;
    return n;
}

static const char *ask(struct doctor *d, const char *domain, bool fresh, const struct asker *who)
{
    unsigned active;
    tidy(d, &active);
    struct doctor_run *r = find_run(d, domain, fresh);
    if (!r && active >= ACTIVE_MAX) return "too many examinations are under way: try again in some seconds";
    if (!r) {
        struct doctor_run *old = find_run(d, domain, false);
        if (old) run_free(old);
        r = run_new(d, domain);
    }
    if (r->ended) {
        who->reply(who->arg, answer_of(r, who->records));
        return NULL;
    }
    if (count(&r->askers) >= ASKERS_MAX) return "too many wait for this already";
    struct asker *k = mem_new(struct asker);
    *k = *who;
    list_push_back(&r->askers, &k->node);
    return NULL;
}

/* ---- requests */

bool doctor_request(struct doctor *d, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    struct slice op = json_text(request, "op"), name = json_text(request, "domain");
    bool records = slice_eq(op, SLICE("records"));
    char domain[256] = "";
    if (slice_eq(op, SLICE("probe"))) {
        doctor_probe(d, request, reply, arg);
        return true;
    }
    if (!records && !slice_eq(op, SLICE("doctor"))) return false;
    const char *wrong = name.n && !address_domain_ascii(name, domain) ? "domain: a domain name is expected" : NULL;
    if (!wrong)
        wrong = ask(d, domain, json_is_true(json_object_get(request, "fresh")),
                    &(struct asker){ .records = records, .reply = reply, .arg = arg });
    if (wrong) reply(arg, json_pack("{s:s}", "error", wrong));
    return true;
}

struct doctor *doctor_new(const struct doctor_options *o)
{
    struct doctor *d = mem_new(struct doctor);
    d->o = *o;
    list_init(&d->runs);
    list_init(&d->probes);
    return d;
}

void doctor_free(struct doctor **dp)
{
    struct doctor *d = *dp;
    *dp = NULL;
    if (!d) return;
    doctor_probes_free(d);
    while (!list_empty(&d->runs)) run_free(list_entry(d->runs.next, struct doctor_run, node));
    free(d);
}
