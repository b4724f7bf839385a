/* SPDX-License-Identifier: Apache-2.0
 * This machine in the DNS: what its name leads to, the names of its addresses, the name in EHLO. */
#include "doctor/internal.h"
#include "net/resolver.h"

#define NAMES_MAX 4 /* of one address, that are followed */

bool exam_addresses(struct exam *x, struct slice name, struct ip **ips, size_t *n, bool *failed)
{
    const struct auth_dns_answer *a[2] = { exam_look(x, AUTH_DNS_A, name, NULL),
                                           exam_look(x, AUTH_DNS_AAAA, name, NULL) };
    *n = 0;
    *failed = false;
    if (!a[0] || !a[1]) return false;
    *ips = arena_alloc(&x->arena, (a[0]->n + a[1]->n + 1) * sizeof **ips);
    for (size_t i = 0; i < 2; i++) {
        if (a[i]->status == AUTH_DNS_TEMPFAIL) *failed = true;
        for (size_t k = 0; a[i]->status == AUTH_DNS_OK && k < a[i]->n; k++) (*ips)[(*n)++] = a[i]->ips[k];
    }
    return true;
}

/* ---- which addresses */

static void find_known(struct exam *x)
{
    const struct doctor_addresses *a = &x->run->addresses;
    const char *how = a->written ? "as delivery.public_addresses says" : "by its own addresses";
    if (a->n) {
        exam_find(x, "addresses", x->config->hostname, DOCTOR_OK,
                  arena_printf(&x->arena, "mail comes from %s, %s", exam_ips(x, a->ips, a->n), how), "", NULL, 0);
    } else if (a->hidden.family && !ip_is_loopback(&a->hidden)) {
        exam_find(x, "addresses", x->config->hostname, DOCTOR_WARNING,
                  arena_printf(
                      &x->arena,
                      "mail goes out from %s, which is a private address: behind NAT others see another one, and which "
                      "one is not known here",
                      exam_ip(x, &a->hidden)),
                  "write the addresses that others see into delivery.public_addresses", NULL, 0);
    } else {
        exam_find(x, "addresses", x->config->hostname, DOCTOR_WARNING,
                  "this machine has no address of the internet that is known",
                  "write the addresses that others see into delivery.public_addresses", NULL, 0);
    }
}

/* ---- A, AAAA */

static enum record_state state_of(const struct ip *ips, size_t n, bool failed, const struct ip *ip)
{
    if (doctor_ips_have(ips, n, ip)) return RECORD_OK;
    for (size_t i = 0; i < n; i++)
        if (ips[i].family == ip->family) return RECORD_DIFFERENT;
    return failed ? RECORD_UNKNOWN : RECORD_MISSING;
}

static json_t *of_family(struct exam *x, const struct ip *ips, size_t n, int family)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n && json_array_size(all) < 10; i++)
        if (ips[i].family == family) json_array_append_new(all, json_string(exam_ip(x, &ips[i])));
    return all;
}

static void find_address(struct exam *x)
{
    const struct doctor_addresses *a = &x->run->addresses;
    const char *host = x->config->hostname, *mend = "enter these records where the zone of this name is kept";
    json_t *records[ADDRESSES_MAX];
    struct ip *ips;
    size_t n, wrong = 0;
    bool failed;
    if (!exam_addresses(x, slice_str(host), &ips, &n, &failed)) return;
    for (size_t i = 0; i < a->n; i++) {
        enum record_state s = state_of(ips, n, failed, &a->ips[i]);
        records[i] = exam_record(x, "a", a->ips[i].family == 4 ? "A" : "AAAA", host, exam_ip(x, &a->ips[i]),
                                 "the relay's own name must lead to it: senders find it so, and receivers check it", s,
                                 of_family(x, ips, n, a->ips[i].family));
        wrong += s == RECORD_MISSING || s == RECORD_DIFFERENT;
    }
    if (!n && failed)
        exam_find(x, "a", host, DOCTOR_UNKNOWN, "no answer from the DNS for this name",
                  "see the finding on the resolver; or try again later", NULL, 0);
    else if (!n)
        exam_find(x, "a", host, DOCTOR_ERROR, "this name has no address in the DNS",
                  a->n ? mend : "give it an A record, and an AAAA record for IPv6", records, a->n);
    else if (wrong)
        exam_find(x, "a", host, DOCTOR_WARNING,
                  arena_printf(&x->arena, "it leads to %s, while mail comes from %s", exam_ips(x, ips, n),
                               exam_ips(x, a->ips, a->n)),
                  mend, records, a->n);
    else
        exam_find(x, "a", host, DOCTOR_OK, arena_printf(&x->arena, "it leads to %s", exam_ips(x, ips, n)), "", NULL, 0);
}

/* ---- PTR */

struct reverse {
    const struct ip *ip;
    struct slice names[NAMES_MAX];
    size_t n;
    bool known, confirmed, is_helo, failed;
};

/* Do the names lead back? False: not known yet. */
static bool follow(struct exam *x, struct reverse *r)
{
    bool complete = true;
    for (size_t i = 0; i < r->n; i++) {
        struct ip *ips;
        size_t n;
        bool failed;
        if (!exam_addresses(x, r->names[i], &ips, &n, &failed)) complete = false;
        else if (doctor_ips_have(ips, n, r->ip)) {
            r->confirmed = true;
            if (slice_ieq(r->names[i], slice_str(x->run->helo))) r->is_helo = true;
        } else if (failed) r->failed = true;
    }
    return complete;
}

static const char *reverse_name(struct exam *x, const struct ip *ip)
{
    struct buf b = { 0 };
    resolver_add_reversed(&b, ip);
    buf_add_str(&b, ip->family == 4 ? ".in-addr.arpa" : ".ip6.arpa");
    return exam_kept(x, &b);
}

static void tell_reverse(struct exam *x, const struct reverse *r, enum auth_dns_status status)
{
    static const char ask[] = "who gave you the address enters it: set it in the provider's panel, or ask for it";
    const char *helo = x->run->helo, *subject = exam_ip(x, r->ip);
    enum doctor_state bad = x->run->addresses.smarthost ? DOCTOR_WARNING : DOCTOR_ERROR;
    bool unknown = status == AUTH_DNS_TEMPFAIL || (r->n && !r->confirmed && r->failed);
    enum record_state s = r->is_helo ? RECORD_OK : unknown ? RECORD_UNKNOWN : r->n ? RECORD_DIFFERENT : RECORD_MISSING;
    json_t *record =
        exam_record(x, "ptr", "PTR", reverse_name(x, r->ip), helo,
                    "receivers refuse mail from addresses whose name they do not find", s, exam_texts(r->names, r->n));
    const char *names = exam_names(x, r->names, r->n);
    if (unknown)
        exam_find(x, "ptr", subject, DOCTOR_UNKNOWN, "no answer from the DNS for the name of this address",
                  "try again later", &record, 1);
    else if (!r->n) exam_find(x, "ptr", subject, bad, "this address has no name (PTR record)", ask, &record, 1);
    else if (!r->confirmed)
        exam_find(x, "ptr", subject, bad,
                  arena_printf(&x->arena, "its name is %s, which does not lead back to it", names),
                  "give that name this address, or change the PTR record to the name below", &record, 1);
    else if (!r->is_helo)
        exam_find(x, "ptr", subject, DOCTOR_WARNING,
                  arena_printf(&x->arena,
                               "its name is %s, while this relay says it is %s; some receivers take that amiss", names,
                               helo),
                  "change the PTR record, or hostname (or delivery.helo) to that name", &record, 1);
    else
        exam_find(x, "ptr", subject, DOCTOR_OK, arena_printf(&x->arena, "its name is %s, and leads back to it", names),
                  "", NULL, 0);
}

static void find_reverse(struct exam *x, const struct ip *ip)
{
    const struct auth_dns_answer *a = exam_look(x, AUTH_DNS_PTR, SLICE(""), ip);
    struct reverse r = { .ip = ip };
    if (!a) return;
    for (size_t i = 0; a->status == AUTH_DNS_OK && i < a->n && r.n < NAMES_MAX; i++) r.names[r.n++] = a->names[i];
    if (follow(x, &r)) tell_reverse(x, &r, a->status);
}

/* ---- EHLO */

static void find_helo(struct exam *x)
{
    const char *helo = x->run->helo, *option = x->config->delivery.helo[0] ? "delivery.helo" : "hostname";
    struct ip *ips, literal;
    size_t n;
    bool failed;
    if (ip_parse(slice_str(helo), &literal) || helo[0] == '[' || !strchr(helo, '.')) {
        exam_find(x, "helo", helo, DOCTOR_ERROR,
                  "the name in EHLO is no complete host name, which many receivers refuse",
                  "set hostname (or delivery.helo) to a name in the DNS, like mx.example.com", NULL, 0);
        exam_option(x, option);
        return;
    }
    if (!exam_addresses(x, slice_str(helo), &ips, &n, &failed)) return;
    if (n) exam_find(x, "helo", helo, DOCTOR_OK, "the name in EHLO leads to an address", "", NULL, 0);
    else if (failed)
        exam_find(x, "helo", helo, DOCTOR_UNKNOWN, "no answer from the DNS for the name in EHLO", "try again later",
                  NULL, 0);
    else {
        exam_find(x, "helo", helo, DOCTOR_ERROR,
                  "the name in EHLO is not in the DNS, for which many receivers refuse mail",
                  "enter it in the DNS, or take another name: hostname, or delivery.helo", NULL, 0);
        exam_option(x, option);
    }
}

void exam_host(struct exam *x)
{
    const struct doctor_addresses *a = &x->run->addresses;
    find_known(x);
    find_address(x);
    find_helo(x);
    for (size_t i = 0; i < a->n; i++) find_reverse(x, &a->ips[i]);
    if (!a->n)
        exam_find(x, "ptr", x->config->hostname, DOCTOR_SKIPPED,
                  "the names of the addresses cannot be looked at: no public one is known", "", NULL, 0);
}
