/* SPDX-License-Identifier: Apache-2.0
 * Whoever changes the configuration on the web is told before a change shuts him out of it. */
#include <stdio.h>
#include "base/ip.h"
#include "change/answer_int.h"
#include "config/config.h"
#include "config/parse.h"
#include "config/value.h"

struct place {
    struct ip ip;                /* family 0: any, of both */
    struct slice port;
};

static bool place_of(const char *listen, struct place *out)
{
    struct slice host;
    bool bracketed;
    *out = (struct place){ 0 };
    return listen && value_split_port(slice_str(listen), &host, &out->port, &bracketed) &&
           (slice_eq(host, SLICE("*")) || ip_parse(host, &out->ip));
}

static bool reaches_only_here(const char *listen)
{
    struct place p;
    return place_of(listen, &p) && ip_is_loopback(&p.ip);
}

/* Does whoever reached the pages there reach them by the same address still? What cannot be read has an error of its own. */
static bool reaches_still(const char *was, const char *is, const struct ip *client)
{
    struct place a, b;
    if (!place_of(was, &a) || !place_of(is, &b)) return true;
    if (!slice_eq(a.port, b.port)) return false;
    return !b.ip.family || ip_eq(&a.ip, &b.ip) || (b.ip.family == client->family && ip_is_unspecified(&b.ip));
}

static void tell_move(const struct config_web *w, struct buf *why)
{
    struct place p;
    buf_add_str(why, "this moves the web administration: from then on it is at ");
    if (place_of(w->listen, &p) && ip_is_unspecified(&p.ip))
        buf_addf(why, "port %.*s of this machine (https)", SLICE_ARG(p.port));
    else buf_addf(why, "https://%s/", w->listen);
    if (w->url) buf_addf(why, "; what leads %s there has to follow", w->url);
}

/* The option that would do it, and why; NULL: he stays. now: what is in force. */
static const char *shuts_out(const struct config_web *now, const struct config_web *w, const char *client, struct buf *why)
{
    struct ip ip;
    bool has = false;
    if (!w->enabled) {
        buf_add_str(why, "this switches the web administration off: "
                         "only `postern config set web.enabled yes` and `postern reload` bring it back");
        return "web.enabled";
    }
    if (!ip_parse(slice_str(client), &ip)) return NULL;
    for (size_t i = 0; i < w->network_n; i++) has |= ip_net_has(&w->networks[i], &ip);
    if (w->network_n && !has) {
        buf_addf(why, "this shuts you out: your address, %s, is not in web.networks", client);
        return "web.networks";
    }
    if (!ip_is_loopback(&ip) && reaches_only_here(w->listen)) {
        buf_addf(why, "this shuts you out: %s is reached from that machine alone, and you come from %s", w->listen, client);
        return "web.listen";
    }
    if (reaches_still(now->listen, w->listen, &ip)) return NULL;
    tell_move(w, why);
    return "web.listen";
}

bool answer_shuts_out(const struct change_world *w, const struct config *c, const json_t *request, struct slice text,
                      struct config_report *report, struct buf *why)
{
    const char *client = json_string_value(json_object_get(request, "client"));
    const char *option = c && client ? shuts_out(&w->config->web, &c->web, client, why) : NULL;
    if (option)
        report_warning(report, config_place_of(text, option), option,
                       "apply it with \"anyway\": true when that is meant", "%s", buf_cstr(why));
    return option != NULL;
}
