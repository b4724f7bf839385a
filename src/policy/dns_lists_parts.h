/* SPDX-License-Identifier: Apache-2.0
 * What dns_lists.c and dns_lists_test.c share. */
#ifndef POSTERN_POLICY_DNS_LISTS_PARTS_H
#define POSTERN_POLICY_DNS_LISTS_PARTS_H
#include "policy/dns_lists.h"

struct event;
struct resolver_query;

/* The test points (RFC 5782 §5). */
enum point { IPV4_LISTED, IPV4_CLEAN, IPV6_LISTED, IPV6_CLEAN, NAME_LISTED, NAME_CLEAN, POINTS };
enum point_result { POINT_NOT_ASKED, POINT_ASKED, POINT_LISTED, POINT_CLEAN, POINT_FAILED };

struct dns_list_test {
    struct dns_list *list;
    struct resolver_query *query;
    enum point point;
    enum point_result result;
    char reason[120];              /* of FAILED */
};

struct dns_list {
    struct dns_lists *all;
    const struct config_dns_list *config;
    const struct dns_catalogue_entry *known; /* NULL: not in the catalogue */
    uint32_t of;
    struct dns_answers answers;
    enum dns_list_state state;
    bool tested;                   /* it must list its test points */
    bool ipv6;
    char reason[200];              /* why it is off */
    uint64_t until;                /* off: wall ms */
    unsigned failures;             /* in a row */
    uint64_t asked, listed, failed;
    struct event *timer;           /* to the next test */
    struct dns_list_test tests[POINTS];
    unsigned testing;              /* that have not come back */
};

struct dns_lists {
    struct policy_engine_options o;
    size_t n;
    struct dns_list lists[];
};

/* dns_lists_test.c */
void dns_list_test_open(struct dns_list *l);  /* begins the first test */
void dns_list_test_close(struct dns_list *l);
void dns_list_switch_off(struct dns_list *l, const char *why, ...) __attribute__((format(printf, 2, 3)));

#endif
