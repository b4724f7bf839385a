/* SPDX-License-Identifier: Apache-2.0
 * Lists in the DNS of domains that spam links to: each domain of a link is asked for below each zone, all at once. */
#include "spam/engine.h"

#define NAMES_MAX 40             /* questions for one message */

static bool may_be_asked(struct slice domain)
{
    bool letters = false;
    if (!domain.n || domain.n > 200 || slice_find(domain, '.') < 0)
        return false;
    for (size_t i = 0; i < domain.n; i++) {
        char c = ascii_lower(domain.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
            return false;
        letters |= c >= 'a' && c <= 'z';
    }
    return letters;
}

/* Links that are clicked, each domain once, the first ones. */
static size_t pick_domains(const struct content_message *m, struct slice *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < m->link_n && n < max; i++) {
        bool known = false;
        for (size_t k = 0; k < n && !known; k++)
            known = slice_ieq(out[k], m->links[i].domain);
        if (!known && may_be_asked(m->links[i].domain))
            out[n++] = m->links[i].domain;
    }
    return n;
}

/* 127.0.0.0/8 says that it is listed; 127.255.255.0/24 that the list does not answer us. */
static bool is_listed(uint32_t answer)
{
    return answer >> 24 == 127 && (answer & 0xFFFFFF00u) != 0x7FFFFF00u && answer != 0x7F000001u;
}

size_t dns_lists_ask(const struct spam_engine *e, const struct content_message *m, uint64_t deadline, struct arena *arena,
                     struct dns_list_hit hits[static DNS_LIST_HITS_MAX])
{
    const struct config_spam *c = e->options.config;
    struct slice domains[NAMES_MAX];
    const char *names[NAMES_MAX];
    uint32_t answers[NAMES_MAX] = { 0 };
    size_t asked = 0, found = 0;
    if (!c->dns || !e->options.dns || !c->uri_list_n || c->uri_list_n > NAMES_MAX)
        return 0;
    size_t n = pick_domains(m, domains, NAMES_MAX / c->uri_list_n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c->uri_list_n; k++)
            names[asked++] = arena_printf(arena, "%.*s.%s", SLICE_ARG(domains[i]), c->uri_lists[k]);
    if (!asked)
        return 0;
    e->options.dns(e->options.dns_arg, names, answers, asked, deadline);
    for (size_t i = 0; i < asked && found < DNS_LIST_HITS_MAX; i++)
        if (is_listed(answers[i]))
            hits[found++] = (struct dns_list_hit){ c->uri_lists[i % c->uri_list_n], domains[i / c->uri_list_n] };
    return found;
}
