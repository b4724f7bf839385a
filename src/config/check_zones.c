/* SPDX-License-Identifier: Apache-2.0
 * Zones: exceptions for old devices are not for strangers; who is a customer of a provider is not thereby one of us; connections
 * that are taken must arrive somewhere. */
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
        if (z->senders[i][0] && !config_may_be_domain(k->c, slice_str(z->senders[i])))
            yaml_error(k->report, item, "add it to domains, or remove it here",
                       "zone %s would relay for strangers: %s is none of our domains", z->name, z->senders[i]);
}

/* Where connections to others can arrive: SMTP between servers, in the clear at first, without a proxy's header; and not where all
 * clients are of another zone. */
static bool takes_intercepted(const struct config *c, const struct config_zone *z, const struct config_listener *l)
{
    return l->role == CONFIG_ROLE_RELAY && l->tls != CONFIG_TLS_IMPLICIT && !l->proxy_n && (l->zone < 0 || &c->zones[l->zone] == z);
}

const struct config_listener *config_arrival(const struct config *c, const struct config_zone *z)
{
    if (z->intercept.listener >= 0) return &c->listeners[z->intercept.listener];
    for (size_t i = 0; i < c->listener_n; i++)
        if (takes_intercepted(c, z, &c->listeners[i])) return &c->listeners[i];
    return NULL;
}

static void check_arrival(const struct check *k, const struct config_zone *z, const struct yaml_node *node)
{
    const struct config *c = k->c;
    const struct yaml_node *written = yaml_get(yaml_get(node, "intercept"), "listener");
    const struct config_listener *l = config_arrival(c, z);
    if (z->intercept.listener < 0 && written) return; /* told already */
    if (!l)
        yaml_error(k->report, yaml_get(node, "mode"),
                   "add a listener with role: relay, without proxies and without another zone, and not tls: implicit",
                   "there is no listener where connections that are taken could arrive");
    else if (!takes_intercepted(c, z, l))
        yaml_error(k->report, written, "name a listener with role: relay, without proxies and without another zone, and not tls: implicit",
                   "connections to other servers cannot arrive at this listener");
    else if (z->intercept.by == CONFIG_INTERCEPT_REDIRECT && ip_is_loopback(&l->ip))
        yaml_warning(k->report, yaml_either(written, yaml_get(node, "mode")), "listen on \"*\" or on the zone's address, or write by: tproxy",
                     "what is redirected arrives at the address of the interface, and not at this listener");
}

static void check_transparent(const struct check *k, const struct config_zone *z, const struct yaml_node *node)
{
    const struct yaml_node *mode = yaml_get(node, "mode"), *intercept = yaml_get(node, "intercept");
    bool some = z->intercept.by != CONFIG_INTERCEPT_REDIRECT || z->intercept.source_n || z->intercept.destination_n || z->intercept.mac_n ||
                z->intercept.port != 25 || z->intercept.listener >= 0;
    if (z->mode != CONFIG_ZONE_TRANSPARENT) {
        if (intercept && some)
            yaml_warning(k->report, intercept, "set mode: transparent, or remove it", "nothing is taken: the zone is not transparent");
        return;
    }
    if (!strcmp(z->name, "internet")) {
        yaml_error(k->report, mode, "make a zone with the networks whose connections are to be taken",
                   "the zone internet is everybody else: it cannot be transparent");
        return;
    }
    if (!z->network_n && !z->interface_n)
        yaml_error(k->report, mode, "add networks or interfaces", "it is not known whose connections are to be taken");
    if (z->trust != CONFIG_TRUST_RELAY)
        yaml_warning(k->report, mode, "set trust: relay, or mode: active",
                     "its clients' mail to other servers is taken, and refused: they may not relay");
    check_arrival(k, z, node);
}

void check_zones(const struct check *k)
{
    const struct yaml_node *node = yaml_first(k->root, "zones");
    for (size_t i = 0; i < k->c->zone_n && node; i++, node = node->next) {
        const struct config_zone *z = &k->c->zones[i];
        if (!strcmp(z->name, "internet")) check_internet(k, z, node);
        check_senders(k, z, node);
        check_transparent(k, z, node);
    }
}
