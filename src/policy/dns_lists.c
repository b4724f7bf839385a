/* SPDX-License-Identifier: Apache-2.0
 * Lists in the DNS: what each answer means, and what is told of them. */
#include "policy/dns_lists.h"
#include <event2/event.h>
#include <stdlib.h>
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/dns_lists_parts.h"

#define FAILURES_MAX 5 /* in a row; then the list is off */

/* ---- life */

uint32_t dns_list_kinds(const struct config_dns_list *l)
{
    const struct dns_catalogue_entry *known = l->of ? NULL : dns_catalogue_find(l->zone);
    return l->of ? l->of : known ? known->of : CONFIG_DNS_LIST_CLIENT;
}

static void read_answers(struct dns_list *l)
{
    for (size_t i = 0; i < l->config->answer_n; i++) {
        const char *wrong = dns_answers_add(&l->answers, slice_str(l->config->answers[i]));
        (void)wrong; /* was told when the configuration was checked */
    }
    if (l->config->answer_n || !l->known || !l->known->answers) return;
    struct slice rest = slice_str(l->known->answers), one;
    bool more = true;
    while (more) {
        more = slice_cut(&rest, ',', &one);
        (void)dns_answers_add(&l->answers, one);
    }
}

static void open_list(struct dns_lists *d, struct dns_list *l, const struct config_dns_list *config)
{
    l->all = d;
    l->config = config;
    l->known = dns_catalogue_find(config->zone);
    l->of = dns_list_kinds(config);
    l->tested = config->test && (!l->known || l->known->tested);
    read_answers(l);
    dns_list_test_open(l);
}

struct dns_lists *dns_lists_new(const struct policy_engine_options *o)
{
    const struct config_checks *k = &o->config->checks;
    size_t n = 0;
    for (size_t i = 0; i < k->dns_lists.n; i++) n += k->dns_lists.lists[i].enabled;
    if (!n || !o->resolver) return NULL;
    struct dns_lists *d = mem_zalloc(sizeof *d + n * sizeof *d->lists);
    d->o = *o;
    for (size_t i = 0; i < k->dns_lists.n; i++)
        if (k->dns_lists.lists[i].enabled) open_list(d, &d->lists[d->n++], &k->dns_lists.lists[i]);
    return d;
}

void dns_lists_free(struct dns_lists *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n; i++) dns_list_test_close(&d->lists[i]);
    free(d);
}

struct dns_list *dns_lists_at(struct dns_lists *d, size_t i) { return d && i < d->n ? &d->lists[i] : NULL; }
const struct config_dns_list *dns_list_config(const struct dns_list *l) { return l->config; }
uint32_t dns_list_of(const struct dns_list *l) { return l->of; }
enum dns_list_state dns_list_state(const struct dns_list *l) { return l->state; }

const char *dns_list_home(const struct dns_list *l)
{
    return l->config->home && l->config->home[0] ? l->config->home : l->known ? l->known->home : NULL;
}

bool dns_list_has_family(const struct dns_list *l, const struct ip *ip)
{
    return ip->family == 4 || (ip->family == 6 && (l->ipv6 || l->state == DNS_LIST_UNKNOWN));
}

/* ---- answers */

static enum dns_list_result look_at(const struct dns_list *l, const struct resolver_answer *a, struct ip *which)
{
    static const struct dns_answers any = { .n = 0 };
    *which = (struct ip){ 0 };
    if (a->status == RESOLVER_TEMPFAIL) return DNS_LIST_FAILED;
    if (a->status != RESOLVER_OK) return DNS_LIST_NOT_LISTED;
    for (size_t i = 0; i < a->n; i++)
        if (!dns_answers_has(&any, &a->ips[i])) { /* an error, or made up by somebody: then none of them counts */
            *which = a->ips[i];
            return DNS_LIST_FAILED;
        }
    for (size_t i = 0; i < a->n; i++)
        if (dns_answers_has(&l->answers, &a->ips[i])) {
            *which = a->ips[i];
            return l->state == DNS_LIST_UP ? DNS_LIST_LISTED : DNS_LIST_NOT_LISTED;
        }
    return DNS_LIST_NOT_LISTED;
}

static void count_failure(struct dns_list *l, const char *reason, const struct ip *answer)
{
    struct buf b = { 0 };
    l->failed++;
    if (++l->failures < FAILURES_MAX || l->state == DNS_LIST_OFF) return;
    if (answer->family) ip_add(&b, answer);
    if (answer->family && dns_answer_is_error(answer))
        dns_list_switch_off(l, "it refuses to be asked from here: %s", buf_cstr(&b));
    else if (answer->family) dns_list_switch_off(l, "it answers %s, which is no answer of a list", buf_cstr(&b));
    else dns_list_switch_off(l, "%d look-ups in a row failed: %s", FAILURES_MAX, reason);
    buf_deinit(&b);
}

enum dns_list_result dns_list_judge(struct dns_list *l, const struct resolver_answer *a, bool count, struct ip *which)
{
    enum dns_list_result result = look_at(l, a, which);
    if (!count) return result;
    l->asked++;
    if (result == DNS_LIST_FAILED) count_failure(l, a->reason, which);
    else l->failures = 0;
    if (result == DNS_LIST_LISTED) l->listed++;
    return result;
}

void dns_list_late(struct dns_list *l, bool count)
{
    static const struct ip none;
    if (!count) return;
    l->asked++;
    count_failure(l, "it did not answer in time", &none);
}

/* ---- figures */

json_t *dns_lists_figures(const struct dns_lists *d)
{
    static const char *const states[] = { "unknown", "up", "off" };
    json_t *all = json_array();
    for (size_t i = 0; d && i < d->n; i++) {
        const struct dns_list *l = &d->lists[i];
        const char *home = dns_list_home(l);
        bool off = l->state == DNS_LIST_OFF;
        json_t *one = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "zone", l->config->zone, "state", states[l->state],
                                "asked", (json_int_t)l->asked, "listed", (json_int_t)l->listed, "failed",
                                (json_int_t)l->failed, "ipv6", (int)l->ipv6);
        if (home) json_object_set_new(one, "home", json_string(home));
        if (off) json_object_set_new(one, "reason", json_string(l->reason));
        if (off) json_object_set_new(one, "until", json_integer((json_int_t)l->until));
        json_array_append_new(all, one);
    }
    return all;
}
