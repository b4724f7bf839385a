/* SPDX-License-Identifier: Apache-2.0
 * Numbers about the header: who writes to whom, when, and whether its fields agree with each other. */
#include "base/mem.h"
#include "spam/facts.h"
#include "spam/facts_date.h"

struct header {
    struct facts *f;
    const struct content_message *m;
    const struct scan_context *c;
    const struct public_suffix *suffixes;
    struct arena *arena;
    struct fact_address from, reply;
};

static struct slice value_of(const struct content_message *m, const char *name)
{
    const struct content_field *f = content_message_field(m, name);
    return f ? f->value : (struct slice){ 0 };
}

static bool same_domain(struct header *h, struct slice a, struct slice b)
{
    return slice_ieq(fact_registrable(h->suffixes, a), fact_registrable(h->suffixes, b));
}

/* An address in a name shown beside another one: what a reader takes for the sender. */
static bool name_is_other_address(struct header *h)
{
    struct slice name = h->from.name;
    ptrdiff_t at = slice_find(name, '@');
    if (at <= 0 || !h->from.domain.n)
        return false;
    size_t end = (size_t)at + 1;
    while (end < name.n && strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", ascii_lower(name.p[end])))
        end++;
    struct slice domain = fact_lower(slice_sub(name, (size_t)at + 1, end), h->arena);
    return slice_find(domain, '.') > 0 && !same_domain(h, domain, h->from.domain);
}

static void take_from(struct header *h)
{
    struct fact_address many[4] = { 0 };
    int32_t *n = h->f->n;
    n[FACT_FROM_COUNT] = (int32_t)fact_addresses(value_of(h->m, "From"), h->arena, many, countof(many));
    h->from = many[0];
    struct fact_address reply[1] = { 0 };
    if (fact_addresses(value_of(h->m, "Reply-To"), h->arena, reply, 1))
        h->reply = reply[0];
    facts_set_text(h->f, LOOK_FROM, h->from.address, h->arena);
    facts_set_text(h->f, LOOK_FROM_NAME, h->from.name, h->arena);
    facts_set_text(h->f, LOOK_REPLY_TO, h->reply.address, h->arena);
    h->f->from_domain = fact_registrable(h->suffixes, h->from.domain);
    for (size_t i = 0; i < h->from.local.n; i++)
        n[FACT_FROM_DIGITS] += h->from.local.p[i] >= '0' && h->from.local.p[i] <= '9';
    n[FACT_FROM_NAME_ADDRESS] = name_is_other_address(h);
    n[FACT_REPLY_DIFFERS] = h->reply.domain.n && h->from.domain.n && !same_domain(h, h->reply.domain, h->from.domain);
    if (h->c && h->c->sender.n && h->from.domain.n) {
        struct fact_address sender[1] = { 0 };
        if (fact_addresses(h->c->sender, h->arena, sender, 1))
            n[FACT_SENDER_DIFFERS] = sender[0].domain.n && !same_domain(h, sender[0].domain, h->from.domain);
    }
    struct slice rest = h->c ? h->c->dkim_domains : (struct slice){ 0 }, one;
    while (rest.n) {
        slice_cut(&rest, ' ', &one);
        n[FACT_FROM_SIGNED] |= one.n && h->from.domain.n && same_domain(h, one, h->from.domain);
    }
}

static size_t common_start(struct slice a, struct slice b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && ascii_lower(a.p[n]) == ascii_lower(b.p[n]))
        n++;
    return n;
}

static void take_recipients(struct header *h)
{
    struct fact_address *to = arena_alloc(h->arena, FACT_ADDRESSES_MAX * sizeof *to);
    size_t n = 0;
    int32_t *f = h->f->n;
    for (size_t i = 0; i < h->m->field_n && n < FACT_ADDRESSES_MAX; i++)
        if (slice_ieq(h->m->fields[i].name, SLICE("To")) || slice_ieq(h->m->fields[i].name, SLICE("Cc")))
            n += fact_addresses(h->m->fields[i].value, h->arena, to + n, FACT_ADDRESSES_MAX - n);
    struct slice *v = arena_alloc(h->arena, (n + 1) * sizeof *v);
    size_t count = 0;
    int32_t sorted = 0, row = 0;
    for (size_t i = 0; i < n; i++) {
        if (!to[i].domain.n)
            continue;
        if (count) {
            f[FACT_RCPTS_ALIKE] += common_start(v[count - 1], to[i].address) >= 4;
            row = slice_cmp(fact_lower(v[count - 1], h->arena), fact_lower(to[i].address, h->arena)) < 0 ? row + 1 : 0;
            sorted = row > sorted ? row : sorted;
        }
        v[count++] = to[i].address;
        f[FACT_FROM_IS_RCPT] |= h->from.address.n && slice_ieq(to[i].address, h->from.address);
    }
    f[FACT_RCPTS] = (int32_t)count;
    f[FACT_RCPTS_SORTED] = sorted ? sorted + 1 : 0;
    h->f->texts[LOOK_TO] = (struct fact_texts){ v, count };
    if (!h->c || !h->c->rcpt_n)
        return;
    f[FACT_TO_HAS_CLIENT_RCPT] = 0;
    for (size_t i = 0; i < h->c->rcpt_n && i < 100; i++)
        for (size_t k = 0; k < count; k++)
            f[FACT_TO_HAS_CLIENT_RCPT] |= slice_ieq(v[k], h->c->rcpts[i]);
}

#define LOOK_MAX 2000            /* bytes of a text that are looked through */
#define ADDRESS_MAX 254          /* RFC 5321 §4.5.3.1.3: what is longer is nobody's */

static bool has_text(struct slice text, struct slice what)
{
    return what.n && what.n <= ADDRESS_MAX && slice_ihas(slice_sub(text, 0, LOOK_MAX), what);
}

/* Mail to many knows its readers by their addresses only: "jane, lower your rate", "Dear jane@example.com". */
static void take_greeting(struct header *h)
{
    for (size_t i = 0; i < h->f->texts[LOOK_TO].n && i < 3; i++) {
        struct slice address = h->f->texts[LOOK_TO].v[i], local = slice_sub(address, 0, (size_t)slice_find(address, '@'));
        struct slice subject = h->m->subject;
        bool begins = local.n >= 3 && subject.n > local.n && slice_istarts(subject, local) && strchr(", :-", subject.p[local.n]);
        h->f->n[FACT_SUBJECT_HAS_RCPT] |= begins || has_text(subject, address);
        h->f->n[FACT_TEXT_HAS_RCPT] |= address.n >= 6 && has_text(slice_sub(h->m->text, 0, 300), address);
    }
}

static void take_message_id(struct header *h)
{
    struct slice id = slice_trim(value_of(h->m, "Message-ID"));
    ptrdiff_t at = slice_find(id, '@');
    if (at < 0)
        return;
    struct slice host = slice_sub(id, (size_t)at + 1, id.n);
    if (slice_find(host, '>') >= 0)
        host = slice_sub(host, 0, (size_t)slice_find(host, '>'));
    h->f->n[FACT_MSGID_DIFFERS] = h->from.domain.n && !same_domain(h, fact_lower(host, h->arena), h->from.domain);
    /* A Received that says "by" the very host: that host added what was missing. The first one may, for mail of its own domain. */
    bool first = true;
    for (size_t i = h->m->field_n; i > 0; i--) {
        if (!slice_ieq(h->m->fields[i - 1].name, SLICE("Received")))
            continue;
        struct slice v = h->m->fields[i - 1].value;
        const char *by = memmem(v.p ? v.p : "", v.n, "by ", 3);
        bool from = slice_istarts(v, SLICE("from ")), itself = from && slice_istarts(slice_sub(v, 5, v.n), host);
        if (by && host.n >= 4 && slice_istarts(slice_sub(v, (size_t)(by - v.p) + 3, v.n), host) && !itself &&
            (!first || h->f->n[FACT_MSGID_DIFFERS]))
            h->f->n[FACT_MSGID_LATE] = 1;
        first = first && !from;
    }
}

static void take_date(struct header *h)
{
    struct slice date = value_of(h->m, "Date");
    uint64_t at = h->c && h->c->arrival && h->c->client.family ? h->c->arrival / 1000 : 0;
    int64_t sent, seen;
    bool known = facts_date_read(date, &sent);
    h->f->n[FACT_DATE_BAD] = date.n && !known;
    if (!at)                     /* a file that is looked at later: what the last relay says */
        for (size_t i = 0; i < h->m->field_n && !at; i++) {
            struct slice v = h->m->fields[i].value, head, rest = v;
            if (!slice_ieq(h->m->fields[i].name, SLICE("Received")))
                continue;
            while (slice_cut(&rest, ';', &head))
                ;
            if (facts_date_read(slice_trim(head), &seen) && seen > 0)
                at = (uint64_t)seen;
        }
    if (known && at) {
        int64_t off = (sent - (int64_t)at) / 3600;
        h->f->n[FACT_DATE_OFF] = off > 1000000 ? 1000000 : off < -1000000 ? -1000000 : (int32_t)off;
    }
}

void facts_take_header(struct facts *f, const struct content_message *m, const struct scan_context *c,
                       const struct public_suffix *suffixes, struct arena *arena)
{
    struct header h = { .f = f, .m = m, .c = c, .suffixes = suffixes, .arena = arena };
    f->n[FACT_FIELDS] = (int32_t)m->field_n;
    for (size_t i = 0; i < m->field_n; i++) {
        f->n[FACT_RECEIVED] += slice_ieq(m->fields[i].name, SLICE("Received"));
        if (slice_ieq(m->fields[i].name, SLICE("From")) || slice_ieq(m->fields[i].name, SLICE("Subject")))
            for (size_t k = 0; k < m->fields[i].raw.n; k++)
                f->n[FACT_SUBJECT_8BIT] += (uint8_t)m->fields[i].raw.p[k] > 127;
    }
    take_from(&h);
    take_recipients(&h);
    take_greeting(&h);
    take_message_id(&h);
    take_date(&h);
}
