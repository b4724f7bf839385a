/* SPDX-License-Identifier: Apache-2.0
 * The lists in the DNS of one worker: what counts as listed, and whether each list can be believed at the moment (RFC 5782). */
#ifndef POSTERN_POLICY_DNS_LISTS_H
#define POSTERN_POLICY_DNS_LISTS_H
#include "policy/policy.h"

struct dns_lists;

/* NULL: none is on. Asks each list's test points at once, and now and then. */
struct dns_lists *dns_lists_new(const struct policy_engine_options *o);
void dns_lists_free(struct dns_lists *d); /* NULL is fine */
/* [{"zone", "home", "state": "up|off|unknown", "reason", "until", "asked", "listed", "failed"}]; NULL d: empty. */
json_t *dns_lists_figures(const struct dns_lists *d);

/* One of the catalogue that comes with the program (dns_catalogue.c); NULL: not known. */
struct dns_catalogue_entry {
    const char *zone, *home, *title;
    uint32_t of;                 /* enum config_dns_list_of */
    const char *answers;         /* "127.0.0.2-127.0.0.11, ..." */
    bool allow;                  /* who is listed is good */
};
const struct dns_catalogue_entry *dns_catalogue_find(const char *zone);
const struct dns_catalogue_entry *dns_catalogue_at(size_t i); /* NULL at the end */

/* Ranges of answers, as the configuration writes them. */
struct dns_answers {
    uint32_t from[16], to[16];   /* IPv4 addresses in host order */
    size_t n;
};
/* One range more; NULL, or what is wrong with it. */
const char *dns_answers_add(struct dns_answers *a, struct slice text);
/* Never true of 127.255.255.0/24, nor of anything outside 127.0.0.0/8. */
bool dns_answers_has(const struct dns_answers *a, const struct ip *answer);

#endif
