/* SPDX-License-Identifier: Apache-2.0
 * The lists in the DNS of one worker: what counts as listed, and whether each list can be believed at the moment (RFC 5782). */
#ifndef POSTERN_POLICY_DNS_LISTS_H
#define POSTERN_POLICY_DNS_LISTS_H
#include "config/dns_catalogue.h"
#include "policy/policy.h"

struct dns_lists;
struct resolver_answer;

/* NULL: none is on. Asks each list's test points at once, and now and then. */
struct dns_lists *dns_lists_new(const struct policy_engine_options *o);
void dns_lists_free(struct dns_lists *d); /* NULL is fine */
/* [{"zone", "home", "state": "up|off|unknown", "reason", "until", "asked", "listed", "failed"}]; NULL d: empty. until: ms since 1970,
 * when a list that is off is tested anew. */
json_t *dns_lists_figures(const struct dns_lists *d);

/* ---- for the checks */

enum dns_list_state { DNS_LIST_UNKNOWN, DNS_LIST_UP, DNS_LIST_OFF }; /* UNKNOWN: its test is not over */
struct dns_list;
struct dns_list *dns_lists_at(struct dns_lists *d, size_t i); /* NULL at the end */
const struct config_dns_list *dns_list_config(const struct dns_list *l);
const char *dns_list_home(const struct dns_list *l);          /* NULL: none is known */
uint32_t dns_list_of(const struct dns_list *l);               /* enum config_dns_list_of */
uint32_t dns_list_kinds(const struct config_dns_list *l);     /* the same, of one that need not be on */
enum dns_list_state dns_list_state(const struct dns_list *l);
bool dns_list_has_family(const struct dns_list *l, const struct ip *ip); /* IPv6 is not asked of lists that have none */

enum dns_list_result { DNS_LIST_NOT_LISTED, DNS_LIST_LISTED, DNS_LIST_FAILED };
/* What an answer to an A look-up in the list says. *which: the address that decided, of LISTED and FAILED; family 0: none. count:
 * it adds to the figures and, when it failed, to what switches the list off. */
enum dns_list_result dns_list_judge(struct dns_list *l, const struct resolver_answer *a, bool count, struct ip *which);
void dns_list_late(struct dns_list *l, bool count); /* it was not waited for any longer */

#endif
