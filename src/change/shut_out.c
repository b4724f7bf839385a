/* SPDX-License-Identifier: Apache-2.0
 * Whoever changes the configuration on the web is told before a change shuts him out of it. */
#include <stdio.h>
#include "base/ip.h"
#include "change/answer_int.h"
#include "config/config.h"
#include "config/parse.h"
#include "config/value.h"

static bool reaches_only_here(const char *listen)
{
    struct slice host, port;
    bool bracketed;
    struct ip ip;
    return listen && value_split_port(slice_str(listen), &host, &port, &bracketed) && ip_parse(host, &ip) &&
           ip_is_loopback(&ip);
}

/* The option that would do it, and why; NULL: he stays. */
static const char *shuts_out(const struct config_web *w, const char *client, struct buf *why)
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
    if (ip_is_loopback(&ip) || !reaches_only_here(w->listen)) return NULL;
    buf_addf(why, "this shuts you out: %s is reached from that machine alone, and you come from %s", w->listen, client);
    return "web.listen";
}

bool answer_shuts_out(const struct config *c, const json_t *request, struct slice text, struct config_report *report,
                      struct buf *why)
{
    const char *client = json_string_value(json_object_get(request, "client"));
    const char *option = c && client ? shuts_out(&c->web, client, why) : NULL;
    if (option)
        report_warning(report, config_place_of(text, option), option,
                       "apply it with \"anyway\": true when that is meant", "%s", buf_cstr(why));
    return option != NULL;
}
