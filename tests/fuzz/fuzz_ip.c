/* SPDX-License-Identifier: Apache-2.0
 * Addresses and networks: what is accepted prints to something that is accepted as the same. */
#include "base/ip.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice in = slice_of(data, n);
    struct buf text = { 0 };
    struct ip ip, again;
    struct ip_net net, net_again;
    if (ip_parse(in, &ip)) {
        ip_add(&text, &ip);
        must(ip_parse(buf_slice(&text), &again) && ip_eq(&ip, &again));
        must(!ip_net_parse(in, &net) && ip_net_has(&net, &ip));
    }
    buf_clear(&text);
    if (!ip_net_parse(in, &net)) {
        ip_add(&text, &net.ip);
        buf_addf(&text, "/%u", net.prefix);
        must(!ip_net_parse(buf_slice(&text), &net_again) && ip_eq(&net.ip, &net_again.ip) &&
             net.prefix == net_again.prefix);
        must(ip_net_has(&net, &net.ip));
    }
    buf_deinit(&text);
    return 0;
}
