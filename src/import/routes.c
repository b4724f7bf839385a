/* SPDX-License-Identifier: Apache-2.0
 * Ways for domains that are none of ours, for single recipients, and for senders. */
#include <stdlib.h>
#include "import/parts.h"

/* Transports for domains that are none of ours are routes. */
static void routes(struct import *im)
{
    for (size_t i = 0; i < im->transports.n; i++) {
        struct import_entry *e = &im->transports.entries[i];
        struct import_hop hop;
        if (e->used || slice_eq(e->key, SLICE("*"))) continue;
        if (e->kind != IMPORT_EXACT) left_out(im, &e->from, "write a route for each domain", "a route is for a domain or address");
        else if (slice_istarts(e->value, SLICE("error")) || slice_istarts(e->value, SLICE("retry"))) {
            struct slice text = e->value, type;
            slice_cut(&text, ':', &type);
            if (slice_ieq(type, SLICE("retry"))) left_out(im, &e->from, NULL, "mail is not put off by a transport here");
            else import_list_entry(im, PUT_BLOCK_RECIPIENTS, LIST_OF_ADDRESSES, e->key, text, &e->from);
        } else if (slice_istarts(e->value, SLICE("discard:")))
            import_put(im, PUT_RULES, &e->from, "name: %s\nif: {recipients: [%s]}\nthen: [discard]",
                       import_scalar(im, slice_str(arena_printf(&im->arena, "discard %s", import_show(im, e->key)))), import_scalar(im, e->key));
        else if (import_transport(im, e->value, &hop, &e->from)) {
            import_add_route(im, e->key, &hop, &e->from);
            if (!hop.text && im->smarthost.text) import_put(im, PUT_ROUTES, &e->from, "{to: %s, via: %s}", import_scalar(im, e->key),
                                    import_scalar(im, slice_str(arena_printf(&im->arena, "mx:%.*s", SLICE_ARG(slice_sub(e->key, e->key.p[0] == '.', e->key.n))))));
        }
    }
}

static void sender_routes(struct import *im, const char *param, bool transport)
{
    struct import_map m = import_map_of(im, param, NULL);
    for (size_t i = 0; i < m.n; i++) {
        struct import_entry *e = &m.entries[i];
        struct import_hop hop;
        struct slice key = e->key, value = e->value, service;
        if (key.n && key.p[0] == '@') key = slice_sub(key, 1, key.n);
        if (e->kind != IMPORT_EXACT || !key.n || slice_eq(key, SLICE("<>"))) {
            left_out(im, &e->from, "write a route for each sender or domain", "a route is for an address or a domain");
            continue;
        }
        if (slice_ieq(value, SLICE("DUNNO"))) continue;
        const char *name = "smtp";
        if (transport && slice_cut(&value, ':', &service)) {
            name = service.n ? import_str(im, service) : "smtp";
        } else if (transport) {
            name = import_str(im, e->value);
            value = SLICE("");
        }
        if (value.n) {
            if (import_next_hop(im, value, key, name, &hop, &e->from))
                import_put(im, PUT_ROUTES, &e->from, "{from: %s, via: %s}", import_scalar(im, key), hop.text);
            continue;
        }
        const struct import_service *s = import_service(im, name, "unix");
        const char *source = import_source_of(im, s);
        if (!source || strcmp(s->command, "smtp") != 0) left_out(im, &e->from, NULL, "%s says nothing that a route can say", import_show(im, e->value));
        else import_put(im, PUT_ROUTES, &e->from, "{from: %s, source: %s}", import_scalar(im, key), source);
    }
    import_map_deinit(&m);
}

void import_routes(struct import *im)
{
    routes(im);
    sender_routes(im, "sender_dependent_relayhost_maps", false);
    sender_routes(im, "sender_dependent_default_transport_maps", true);
}
