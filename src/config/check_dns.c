/* SPDX-License-Identifier: Apache-2.0
 * Lists in the DNS: answers that can be read, lists that still exist, and good and bad not taken for each other. */
#include "config/dns_catalogue.h"
#include "config/parse.h"

static void check_answers(const struct check *k, const struct config_dns_list *l, const struct yaml_node *node)
{
    struct dns_answers all = { .n = 0 };
    const struct yaml_node *answers = yaml_get(node, "answers");
    for (size_t i = 0; i < l->answer_n; i++) {
        const char *wrong = dns_answers_add(&all, slice_str(l->answers[i]));
        const struct yaml_node *item = yaml_at(answers, i);
        if (wrong)
            yaml_error(k->report, item ? item : answers, "for example 127.0.0.2, or 127.0.0.2-127.0.0.11", "%s: %s",
                       report_quote(k->report, slice_str(l->answers[i])), wrong);
    }
}

static void check_list(const struct check *k, const struct config_dns_list *l, const struct yaml_node *node)
{
    if (!l->zone) return;
    const struct dns_catalogue_entry *known = dns_catalogue_find(l->zone);
    const struct yaml_node *zone = yaml_get(node, "zone"), *action = yaml_get(node, "action");
    check_answers(k, l, node);
    if (!known || !l->enabled) return;
    if (known->closed)
        yaml_warning(k->report, zone ? zone : node, "remove it; `postern dns-lists` shows others", "%s is no more: %s",
                     l->zone, known->closed);
    else if (known->allow && l->action != CONFIG_DNS_LIST_ALLOW)
        yaml_error(k->report, action ? action : node, "write action: allow",
                   "%s lists good clients: their mail would be refused", l->zone);
    else if (!known->allow && l->action == CONFIG_DNS_LIST_ALLOW)
        yaml_error(k->report, action ? action : node, "write action: reject, or score",
                   "%s lists bad clients: they would be spared", l->zone);
}

void check_dns_lists(const struct check *k)
{
    const struct yaml_node *lists = yaml_get(yaml_get(yaml_get(k->root, "checks"), "dns_lists"), "lists");
    const struct yaml_node *node = lists ? lists->children : NULL;
    for (size_t i = 0; i < k->c->checks.dns_lists.n && node; i++, node = node->next)
        check_list(k, &k->c->checks.dns_lists.lists[i], node);
}
