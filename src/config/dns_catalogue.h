/* SPDX-License-Identifier: Apache-2.0
 * Well-known lists in the DNS, as they come with the program; and which answers of a list count. */
#ifndef POSTERN_CONFIG_DNS_CATALOGUE_H
#define POSTERN_CONFIG_DNS_CATALOGUE_H
#include <jansson.h>
#include "base/ip.h"

struct dns_catalogue_entry {
    const char *zone, *home, *title;
    uint32_t of;                 /* enum config_dns_list_of */
    const char *answers;         /* "127.0.0.2-127.0.0.11, 127.0.0.20"; NULL: all that are no error */
    bool allow;                  /* who is listed is good */
    bool tested;                 /* it has the test points of RFC 5782; else it is only tested for what no list may list */
    bool ipv6;                   /* it lists IPv6 addresses */
    const char *closed;          /* it is no more: what an administrator should know; NULL: it is in use */
};
/* NULL: not known. Any case. */
const struct dns_catalogue_entry *dns_catalogue_find(const char *zone);
const struct dns_catalogue_entry *dns_catalogue_at(size_t i); /* NULL at the end */
/* [{"zone", "title", "of": ["client", "reverse", "helo", "sender"], "allow", "ipv6", "test_points", "home"?, "answers"?, "closed"?}] */
json_t *dns_catalogue_to_json(void);

/* Ranges of answers, as the configuration writes them. */
#define DNS_ANSWERS_MAX 16
struct dns_answers {
    uint32_t from[DNS_ANSWERS_MAX], to[DNS_ANSWERS_MAX]; /* IPv4 addresses in host order */
    size_t n;                    /* 0: all that are no error */
};
/* One range more: an address, "from-to" or a network. NULL, or what is wrong with it. */
const char *dns_answers_add(struct dns_answers *a, struct slice text);
/* Never true of 127.255.255.0/24, nor of anything outside 127.0.0.0/8. */
bool dns_answers_has(const struct dns_answers *a, const struct ip *answer);
/* Is the answer one by which lists say that they refuse to be asked (127.255.255.0/24)? */
bool dns_answer_is_error(const struct ip *answer);

#endif
