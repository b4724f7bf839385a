/* SPDX-License-Identifier: Apache-2.0
 * mynetworks: who may relay. What would be the whole world never becomes a zone. */
#include <stdlib.h>
#include "config/parse.h"
#include "import/parts.h"

static void add_network(struct import *im, struct slice word, const struct import_from *from, void *arg)
{
    struct ip_net net;
    struct buf b = { 0 }, shown = { 0 };
    bool not = word.n && word.p[0] == '!';
    if (not) word = slice_sub(word, 1, word.n);
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] != '[' && word.p[i] != ']') buf_add_char(&b, word.p[i]);
    if (slice_istarts(buf_slice(&b), SLICE("::ffff:"))) { /* IPv4 in another form, with its own prefix */
        struct slice rest = slice_sub(buf_slice(&b), 7, b.n), address;
        uint64_t prefix = 128;
        bool has = slice_cut(&rest, '/', &address);
        if (has && (!slice_to_u64(rest, 128, &prefix) || prefix < 96)) prefix = 96;
        const char *as = arena_printf(&im->arena, "%.*s/%u", SLICE_ARG(address), (unsigned)(prefix - 96));
        buf_clear(&b);
        buf_add_str(&b, as);
    }
    const char *why = ip_net_parse(slice_str(buf_cstr(&b)), &net), *wide = NULL;
    if (why) left_out(im, from, "write an address or network", "%s: %s", import_show(im, word), why);
    else if (!not && (!net.prefix || (wide = check_net_too_wide(&net))))
        left_out(im, from, "name only networks of your own", "%s would open the relay: it is %s", import_show(im, word), wide ? wide : "the whole world");
    else {
        ip_add(&shown, &net.ip);
        if (net.prefix < (net.ip.family == 4 ? 32 : 128)) buf_addf(&shown, "/%u", net.prefix);
        struct buf *out = (struct buf *)arg + not;
        const char *word_there = import_scalar(im, buf_slice(&shown));
        if (!import_has_word(buf_slice(out), slice_str(word_there))) buf_addf(out, "%s%s", out->n ? ", " : "", word_there);
    }
    buf_deinit(&b);
    buf_deinit(&shown);
}

void import_networks(struct import *im)
{
    struct buf lists[2] = { 0 };
    struct import_from from;
    import_get(im, "mynetworks", &from);
    if (from.line) import_each(im, "mynetworks", add_network, lists);
    else {
        struct slice style = import_get(im, "mynetworks_style", NULL);
        buf_add_str(&lists[0], "127.0.0.0/8, \"::1\"");
        if (!slice_ieq(style, SLICE("host")))
            different(im, &from, "name the networks that may relay below zones", "what Postfix would find out of this machine is not taken over: only the machine itself may relay");
    }
    if (lists[0].n)
        import_put(im, PUT_ZONES, &from, "mynetworks:\n  networks: [%s]%s", buf_cstr(&lists[0]), im->trust_networks ? "\n  trust: relay" : "");
    if (lists[1].n) import_put(im, PUT_ZONES, &from, "not-mynetworks:\n  networks: [%s]", buf_cstr(&lists[1]));
    if (lists[0].n && !im->trust_networks)
        different(im, &from, "add trust: relay to the zone if they shall", "no list of restrictions lets mynetworks relay (permit_mynetworks)");
    buf_deinit(&lists[0]);
    buf_deinit(&lists[1]);
}
