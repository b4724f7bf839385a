/* SPDX-License-Identifier: Apache-2.0
 * Where mail for a domain goes: to us? */
#include "doctor/internal.h"

#define HOSTS_MAX 10 /* that are followed */

/* One of our addresses: those mail comes from, those of our name, those we listen on. */
static bool is_our_address(const struct exam *x, const struct ip *own, size_t own_n, const struct ip *ip)
{
    const struct doctor_addresses *a = &x->run->addresses;
    if (doctor_ips_have(a->ips, a->n, ip) || doctor_ips_have(own, own_n, ip)) return true;
    for (size_t i = 0; i < x->config->listener_n; i++)
        if (ip_eq(&x->config->listeners[i].ip, ip)) return true;
    return false;
}

enum whose { OURS, OTHERS, NOBODYS, NOT_KNOWN };

/* False: not known yet. */
static bool whose_host(struct exam *x, struct slice name, enum whose *out)
{
    struct ip *own, *ips;
    size_t own_n, n;
    bool failed;
    *out = OURS;
    if (slice_ieq(name, slice_str(x->config->hostname))) return true;
    bool known = exam_addresses(x, slice_str(x->config->hostname), &own, &own_n, &failed);
    if (!exam_addresses(x, name, &ips, &n, &failed) || !known) return false;
    for (size_t i = 0; i < n; i++)
        if (is_our_address(x, own, own_n, &ips[i])) return true;
    *out = n ? OTHERS : failed ? NOT_KNOWN : NOBODYS;
    return true;
}

struct look {
    const struct auth_dns_answer *mx;
    struct slice all[HOSTS_MAX];
    size_t n, ours, others, nobodys;
    unsigned best, our_best; /* preferences */
    struct slice dead;       /* a host without address */
};

static bool look_at(struct exam *x, struct look *l)
{
    bool complete = true;
    l->best = l->our_best = 65536;
    for (size_t i = 0; i < l->mx->n && l->n < HOSTS_MAX; i++) {
        enum whose whose;
        l->all[l->n++] = l->mx->mx[i].name;
        if (!whose_host(x, l->mx->mx[i].name, &whose)) {
            complete = false;
            continue;
        }
        if (l->mx->mx[i].preference < l->best) l->best = l->mx->mx[i].preference;
        if (whose == OURS && l->mx->mx[i].preference < l->our_best) l->our_best = l->mx->mx[i].preference;
        l->ours += whose == OURS;
        l->others += whose == OTHERS;
        l->nobodys += whose == NOBODYS;
        if (whose == NOBODYS) l->dead = l->mx->mx[i].name;
    }
    return complete;
}

static json_t *found_json(const struct auth_dns_answer *mx)
{
    json_t *all = json_array();
    for (size_t i = 0; mx->status == AUTH_DNS_OK && i < mx->n && i < HOSTS_MAX; i++) {
        struct buf b = { 0 };
        buf_addf(&b, "%u ", mx->mx[i].preference);
        buf_add_printable(&b, mx->mx[i].name.n ? mx->mx[i].name : SLICE("."), 253);
        json_array_append_new(all, json_string(buf_cstr(&b)));
        buf_deinit(&b);
    }
    return all;
}

static json_t *record_of(struct exam *x, const struct look *l, enum record_state s)
{
    return exam_record(x, "mx", "MX", x->domain, arena_printf(&x->arena, "10 %s", x->config->hostname),
                       "mail for the domain is sent to the hosts of its MX records", s, found_json(l->mx));
}

static void tell(struct exam *x, const struct look *l)
{
    static const char enter[] = "point the domain's MX record to this relay";
    const char *names = exam_names(x, l->all, l->n);
    bool null_mx = l->n == 1 && !l->all[0].n;
    json_t *record = record_of(x, l, l->ours ? RECORD_OK : RECORD_DIFFERENT);
    if (null_mx)
        exam_find(x, "mx", x->domain, DOCTOR_ERROR, "its MX record says that it takes no mail at all (RFC 7505)", enter,
                  &record, 1);
    else if (!l->ours)
        exam_find(x, "mx", x->domain, DOCTOR_WARNING,
                  arena_printf(&x->arena, "mail for it goes to %s, not to this relay", names), enter, &record, 1);
    else if (l->nobodys)
        exam_find(x, "mx", x->domain, DOCTOR_WARNING,
                  arena_printf(&x->arena, "its MX host %s has no address", exam_shown(x, l->dead)),
                  "remove that MX record, or give the name an address", NULL, 0);
    else if (l->others && l->ours + l->others == l->n && l->our_best > l->best)
        exam_find(
            x, "mx", x->domain, DOCTOR_WARNING,
            arena_printf(&x->arena, "of its hosts %s this relay is not the first", names),
            "give this relay the lowest preference; those with a higher one are only asked when it cannot be reached",
            NULL, 0);
    else if (l->others)
        exam_find(
            x, "mx", x->domain, DOCTOR_OK,
            arena_printf(&x->arena, "%s; what comes to a host that is not this relay does not pass its checks", names),
            "", NULL, 0);
    else
        exam_find(x, "mx", x->domain, DOCTOR_OK, arena_printf(&x->arena, "mail for it comes to this relay (%s)", names),
                  "", NULL, 0);
}

/* RFC 5321 §5.1: without an MX record the domain's own address counts. */
static void tell_none(struct exam *x, const struct look *l)
{
    enum whose whose;
    if (!whose_host(x, slice_str(x->domain), &whose)) return;
    json_t *record = record_of(x, l, RECORD_MISSING);
    if (whose == OURS || whose == OTHERS)
        exam_find(x, "mx", x->domain, DOCTOR_WARNING,
                  whose == OURS
                      ? "it has no MX record; its own address, which is this relay's, is used instead"
                      : "it has no MX record, so mail for it goes to its own address, which is not this relay's",
                  "enter an MX record", &record, 1);
    else
        exam_find(x, "mx", x->domain, DOCTOR_ERROR,
                  "it has no MX record, and no address: mail for it cannot be delivered", "enter an MX record", &record,
                  1);
}

void exam_mx(struct exam *x, struct exam_mx *out)
{
    struct look l = { .mx = exam_look(x, AUTH_DNS_MX, slice_str(x->domain), NULL) };
    *out = (struct exam_mx){ 0 };
    if (!l.mx) return;
    out->known = l.mx->status != AUTH_DNS_TEMPFAIL;
    if (l.mx->status == AUTH_DNS_TEMPFAIL) {
        json_t *record = record_of(x, &l, RECORD_UNKNOWN);
        exam_find(x, "mx", x->domain, DOCTOR_UNKNOWN, "no answer from the DNS for its MX records",
                  "try again later; or see the finding on the resolver", &record, 1);
    } else if (l.mx->status != AUTH_DNS_OK) tell_none(x, &l);
    else {
        for (size_t i = 0; i < l.mx->n && out->n < countof(out->hosts); i++) out->hosts[out->n++] = l.mx->mx[i].name;
        if (look_at(x, &l)) tell(x, &l);
    }
}
