/* SPDX-License-Identifier: Apache-2.0
 * Zones: exceptions for old devices are not for strangers; who is a customer of a provider is not thereby one of us. */
#include "config/parse.h"

static void check_internet(const struct check *k, const struct config_zone *z, const struct yaml_node *node)
{
    static const char hint[] = "make a zone with the networks of the devices that need it";
    if (z->min_version && z->min_version < 12)
        yaml_error(k->report, yaml_get(node, "min_version"), hint, "TLS below 1.2 is not for the zone internet");
    if (z->bare_lf)
        yaml_error(k->report, yaml_get(node, "bare_lf"), hint,
                   "with bare LF accepted from everybody, messages could be smuggled in");
    if (z->auth_without_tls)
        yaml_error(k->report, yaml_get(node, "auth_without_tls"), hint,
                   "passwords must not cross the internet unencrypted");
}

static void check_senders(const struct check *k, const struct config_zone *z, const struct yaml_node *node)
{
    const struct yaml_node *list = yaml_get(node, "senders"), *item = yaml_items(list);
    if (z->sender_n && z->trust != CONFIG_TRUST_RELAY)
        yaml_warning(k->report, list, "set trust: relay, or leave it out",
                     "senders says who may relay, but nobody in this zone may");
    if (!z->providers || z->trust != CONFIG_TRUST_RELAY) return;
    if (!z->sender_n)
        yaml_error(k->report, yaml_get(node, "providers"), "add senders: [your domains]",
                   "zone %s would relay for strangers: every customer of the provider sends from its networks",
                   z->name);
    for (size_t i = 0; i < z->sender_n && item; i++, item = item->next)
        if (z->senders[i][0] && !config_domain_of(k->c, slice_str(z->senders[i])))
            yaml_error(k->report, item, "add it to domains, or remove it here",
                       "zone %s would relay for strangers: %s is none of our domains", z->name, z->senders[i]);
}

void check_zones(const struct check *k)
{
    const struct yaml_node *node = yaml_first(k->root, "zones");
    for (size_t i = 0; i < k->c->zone_n && node; i++, node = node->next) {
        const struct config_zone *z = &k->c->zones[i];
        if (!strcmp(z->name, "internet")) check_internet(k, z, node);
        check_senders(k, z, node);
    }
}
