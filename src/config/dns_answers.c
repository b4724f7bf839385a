/* SPDX-License-Identifier: Apache-2.0
 * What a list in the DNS may answer: addresses of 127.0.0.0/8 (RFC 5782 §2.1). Those of 127.255.255.0/24 mean that the list does
 * not want to be asked, and what lies outside comes from a domain that was sold, or from a name server that makes answers up. */
#include "config/dns_catalogue.h"

#define LOOPBACK 0x7F000000u /* /8 */
#define ERRORS 0x7FFFFF00u   /* /24 */

static uint32_t number_of(const struct ip *ip)
{
    return (uint32_t)ip->bytes[0] << 24 | (uint32_t)ip->bytes[1] << 16 | (uint32_t)ip->bytes[2] << 8 | ip->bytes[3];
}

/* NULL, or what is wrong. */
static const char *read_range(struct slice text, uint32_t *from, uint32_t *to)
{
    struct ip_net net;
    struct ip ip;
    struct slice first;
    if (slice_cut(&text, '-', &first)) {
        if (!ip_parse(slice_trim(first), &ip) || ip.family != 4) return "the range does not begin with an IPv4 address";
        *from = number_of(&ip);
        if (!ip_parse(slice_trim(text), &ip) || ip.family != 4) return "the range does not end with an IPv4 address";
        *to = number_of(&ip);
        return *from <= *to ? NULL : "the range ends before it begins";
    }
    const char *wrong = ip_net_parse(first, &net);
    if (wrong) return wrong;
    if (net.ip.family != 4) return "lists answer with IPv4 addresses";
    *from = number_of(&net.ip);
    *to = *from | (net.prefix ? (uint32_t)((UINT64_C(1) << (32 - net.prefix)) - 1) : UINT32_MAX);
    return NULL;
}

const char *dns_answers_add(struct dns_answers *a, struct slice text)
{
    uint32_t from, to;
    if (a->n == DNS_ANSWERS_MAX) return "more than 16 ranges";
    const char *wrong = read_range(slice_trim(text), &from, &to);
    if (wrong) return wrong;
    if (from >> 24 != LOOPBACK >> 24 || to >> 24 != LOOPBACK >> 24) return "lists answer within 127.0.0.0/8";
    if (from >> 8 == ERRORS >> 8) return "127.255.255.0/24 is for errors and never counts as listed";
    a->from[a->n] = from;
    a->to[a->n++] = to;
    return NULL;
}

bool dns_answer_is_error(const struct ip *answer)
{
    return answer->family == 4 && number_of(answer) >> 8 == ERRORS >> 8;
}

bool dns_answers_has(const struct dns_answers *a, const struct ip *answer)
{
    if (answer->family != 4) return false;
    uint32_t it = number_of(answer);
    if (it >> 24 != LOOPBACK >> 24 || it >> 8 == ERRORS >> 8) return false;
    for (size_t i = 0; i < a->n; i++)
        if (it >= a->from[i] && it <= a->to[i]) return true;
    return !a->n;
}
