/* SPDX-License-Identifier: Apache-2.0
 * The context of a message on its way to a scan process. */
#include "content/context.h"
#include "base/mem.h"
#include "content/wire.h"

#define TEXT_MAX 1000          /* bytes of a name or an address */
#define WORD_MAX 40
#define DOMAINS_MAX 4000
#define RCPTS_BYTES_MAX 300000 /* of all recipients together: a frame must hold them, even if each byte needs an escape */
#define DOWN_MAX 64

const struct scan_context scan_context_of_file = { .reputation = -1, .direction = CONFIG_DIRECTION_IN };

/* ---- writing */

static json_t *put_rcpts(const struct scan_context *c, uint32_t *more)
{
    json_t *all = json_array();
    size_t bytes = 0;
    uint32_t i = 0;
    for (; i < c->rcpt_n && i < CONTEXT_RCPTS_MAX; i++) {
        size_t n = c->rcpts[i].n < TEXT_MAX ? c->rcpts[i].n : TEXT_MAX;
        if (bytes + n + 3 > RCPTS_BYTES_MAX) break;
        bytes += n + 3;
        json_array_append_new(all, wire_clean_text(c->rcpts[i], TEXT_MAX));
    }
    *more = c->rcpt_more + (c->rcpt_n - i);
    return all;
}

static void put_ip(json_t *o, const struct ip *ip)
{
    struct buf b = { 0 };
    if (!ip->family) return;
    ip_add(&b, ip);
    wire_put_text(o, "client", buf_slice(&b), WORD_MAX * 2);
    buf_deinit(&b);
}

json_t *scan_context_encode(const struct scan_context *c)
{
    json_t *o = json_object(), *down = json_array();
    uint32_t more;
    wire_put_number(o, "message", (json_int_t)c->id);
    wire_put_number(o, "arrival", (json_int_t)c->arrival);
    put_ip(o, &c->client);
    wire_put_text(o, "client_name", c->client_name, TEXT_MAX);
    wire_put_text(o, "helo", c->helo, TEXT_MAX);
    wire_put_text(o, "account", c->account, TEXT_MAX);
    wire_put_text(o, "zone", c->zone, TEXT_MAX);
    wire_put_text(o, "sender", c->sender, TEXT_MAX);
    wire_put_list(o, "rcpts", put_rcpts(c, &more));
    wire_put_number(o, "rcpt_more", more);
    wire_put_flag(o, "trusted", c->trusted);
    wire_put_flag(o, "allowed", c->allowed);
    wire_put_number(o, "direction", c->direction);
    wire_put_text(o, "spf", c->spf, WORD_MAX);
    wire_put_text(o, "dkim", c->dkim, WORD_MAX);
    wire_put_text(o, "dmarc", c->dmarc, WORD_MAX);
    wire_put_text(o, "arc", c->arc, WORD_MAX);
    wire_put_text(o, "dkim_domains", c->dkim_domains, DOMAINS_MAX);
    wire_put_number(o, "dns_score", c->dns_score);
    wire_put_number(o, "reputation", c->reputation + 1);
    wire_put_flag(o, "greylist_known", c->greylist_known);
    wire_put_flag(o, "tls", c->tls);
    for (uint32_t i = 0; i < c->down_n && i < DOWN_MAX; i++) json_array_append_new(down, wire_clean_text(c->down[i], TEXT_MAX));
    wire_put_list(o, "down", down);
    return o;
}

/* ---- reading */

static void read_ip(struct wire *w, const json_t *j, struct ip *out)
{
    struct slice text = wire_text(w, j, "client", (size_t)WORD_MAX * 2);
    if (text.n && !ip_parse(text, out)) wire_fail(w, "client");
}

static struct slice *read_texts(struct wire *w, const json_t *j, const char *key, size_t max, uint32_t *n)
{
    size_t count;
    const json_t *all = wire_list(w, j, key, max, false, &count);
    struct slice *texts = arena_alloc(w->arena, (count + 1) * sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = wire_text_of(w, json_array_get(all, i), key, TEXT_MAX);
    *n = (uint32_t)count;
    return texts;
}

static enum config_direction read_direction(struct wire *w, const json_t *j)
{
    uint64_t d = wire_number(w, j, "direction", CONFIG_DIRECTION_THROUGH);
    if (d & (d - 1)) wire_fail(w, "direction");
    return (enum config_direction)d;
}

static void read_results(struct wire *w, const json_t *j, struct scan_context *out)
{
    out->spf = wire_text(w, j, "spf", WORD_MAX);
    out->dkim = wire_text(w, j, "dkim", WORD_MAX);
    out->dmarc = wire_text(w, j, "dmarc", WORD_MAX);
    out->arc = wire_text(w, j, "arc", WORD_MAX);
    out->dkim_domains = wire_text(w, j, "dkim_domains", DOMAINS_MAX);
    out->dns_score = wire_score(w, j, "dns_score");
    out->reputation = (int8_t)((int)wire_number(w, j, "reputation", 101) - 1);
    out->greylist_known = wire_flag(w, j, "greylist_known");
}

bool scan_context_decode(const json_t *j, struct arena *arena, struct scan_context *out, struct err *err)
{
    struct wire w = { .arena = arena, .err = err };
    *out = (struct scan_context){ .reputation = -1 };
    if (!json_is_object(j)) return err_set(err, "the context is none");
    out->id = (uint64_t)json_integer_value(json_object_get(j, "message")); /* any 64 bits */
    out->arrival = wire_number(&w, j, "arrival", INT64_MAX);
    read_ip(&w, j, &out->client);
    out->client_name = wire_text(&w, j, "client_name", TEXT_MAX);
    out->helo = wire_text(&w, j, "helo", TEXT_MAX);
    out->account = wire_text(&w, j, "account", TEXT_MAX);
    out->zone = wire_text(&w, j, "zone", TEXT_MAX);
    out->sender = wire_text(&w, j, "sender", TEXT_MAX);
    out->rcpts = read_texts(&w, j, "rcpts", CONTEXT_RCPTS_MAX, &out->rcpt_n);
    out->rcpt_more = (uint32_t)wire_number(&w, j, "rcpt_more", UINT32_MAX);
    out->trusted = wire_flag(&w, j, "trusted");
    out->allowed = wire_flag(&w, j, "allowed");
    out->direction = read_direction(&w, j);
    read_results(&w, j, out);
    out->tls = wire_flag(&w, j, "tls");
    out->down = read_texts(&w, j, "down", DOWN_MAX, &out->down_n);
    return !w.failed;
}
