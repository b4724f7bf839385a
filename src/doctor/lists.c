/* SPDX-License-Identifier: Apache-2.0
 * Is one of our addresses on a list in the DNS? Asked of the lists that the relay itself asks about its clients. */
#include "doctor/internal.h"
#include "net/resolver.h"
#include "policy/dns_lists.h"

static const char *home_of(struct exam *x, const struct dns_list *l)
{
    const char *home = dns_list_home(l);
    return home ? arena_printf(&x->arena, "find out why at %s, mend it, and ask to be taken off", home)
                : "find out why on the list's pages, mend it, and ask to be taken off";
}

static struct resolver_answer as_resolved(const struct auth_dns_answer *a)
{
    static const enum resolver_status as[] = { [AUTH_DNS_OK] = RESOLVER_OK,
                                               [AUTH_DNS_NODATA] = RESOLVER_NODATA,
                                               [AUTH_DNS_NXDOMAIN] = RESOLVER_NXDOMAIN,
                                               [AUTH_DNS_TEMPFAIL] = RESOLVER_TEMPFAIL };
    return (struct resolver_answer){ .status = as[a->status], .ips = a->ips, .n = a->n, .reason = "no answer" };
}

static void tell(struct exam *x, struct dns_list *l, const struct ip *ip, const struct auth_dns_answer *a)
{
    const struct config_dns_list *c = dns_list_config(l);
    struct resolver_answer answer = as_resolved(a);
    struct ip which;
    enum dns_list_result result = dns_list_judge(l, &answer, false, &which);
    const char *subject = exam_ip(x, ip);
    bool good = c->action == CONFIG_DNS_LIST_ALLOW;
    if (result == DNS_LIST_FAILED)
        exam_find(x, "dns-list", subject, DOCTOR_UNKNOWN,
                  which.family ? arena_printf(&x->arena, "%s answers %s, which is %s", c->zone, exam_ip(x, &which),
                                              dns_answer_is_error(&which) ? "a refusal to be asked from here"
                                                                          : "no answer of a list")
                               : arena_printf(&x->arena, "%s does not answer", c->zone),
                  "many lists refuse large public resolvers: use one of your own (dns.servers)", NULL, 0);
    else if (result == DNS_LIST_LISTED && !good)
        exam_find(x, "dns-list", subject, DOCTOR_ERROR,
                  arena_printf(&x->arena, "the address is on the list %s (%s): others refuse mail from it", c->zone,
                               exam_ip(x, &which)),
                  home_of(x, l), NULL, 0);
    else
        exam_find(x, "dns-list", subject, DOCTOR_OK,
                  arena_printf(&x->arena, good ? "%s, a list of good senders, %s it" : "%s %s it", c->zone,
                               result == DNS_LIST_LISTED ? "lists" : "does not list"),
                  "", NULL, 0);
}

static void look(struct exam *x, struct dns_list *l, const struct ip *ip)
{
    struct buf name = { 0 };
    if (!dns_list_has_family(l, ip)) return;
    resolver_add_reversed(&name, ip);
    buf_addf(&name, ".%s", dns_list_config(l)->zone);
    const struct auth_dns_answer *a = exam_look(x, AUTH_DNS_A, buf_slice(&name), NULL);
    if (a) tell(x, l, ip, a);
    buf_deinit(&name);
}

void exam_lists(struct exam *x)
{
    struct dns_lists *lists = policy_dns_lists(x->run->doctor->o.policy);
    const struct doctor_addresses *a = &x->run->addresses;
    struct dns_list *l;
    size_t asked = 0;
    for (size_t i = 0; (l = dns_lists_at(lists, i)); i++) {
        const char *zone = dns_list_config(l)->zone;
        if (dns_list_state(l) == DNS_LIST_OFF) {
            exam_find(x, "dns-list-health", zone, DOCTOR_WARNING,
                      "the list is not asked at the moment, as it failed its test or did not answer",
                      "`postern status` says why; when it stays so, remove the list", NULL, 0);
            continue;
        }
        if (!(dns_list_of(l) & CONFIG_DNS_LIST_CLIENT)) continue;
        asked++;
        if (dns_list_state(l) == DNS_LIST_UNKNOWN) {
            exam_find(x, "dns-list-health", zone, DOCTOR_UNKNOWN, "its test is not over yet", "look again in a minute",
                      NULL, 0);
            continue;
        }
        for (size_t k = 0; k < a->n; k++) look(x, l, &a->ips[k]);
    }
    if (!asked || !a->n)
        exam_find(x, "dns-list", x->config->hostname, DOCTOR_SKIPPED,
                  !asked ? "no list in the DNS that could be asked is configured (checks.dns_lists)"
                         : "the lists cannot be asked: no public address is known",
                  "", NULL, 0);
}
