/* SPDX-License-Identifier: Apache-2.0
 * Who brought the message. When that is not known, because a command looks at a file of a mailbox, the Received fields tell: the last
 * one that names a client with a public address. Relays within the same house, and programs that fetch mail, stand above it. */
#include "base/mem.h"
#include "spam/facts.h"

struct client {
    struct slice helo, name;     /* name: of the DNS; empty: it has none */
    bool known, named;           /* named: it is known whether there is a name */
};

static bool is_private(struct slice text)
{
    static const char *const beginnings[] = { "10.", "127.", "192.168.", "169.254.", "0.", "172.16.", "172.17.", "172.18.", "172.19.",
        "172.20.", "172.21.", "172.22.", "172.23.", "172.24.", "172.25.", "172.26.", "172.27.", "172.28.", "172.29.", "172.30.", "172.31.",
        "::1", "fe80", "fc", "fd", "IPv6:::1", "IPv6:fe80", "IPv6:fc", "IPv6:fd" };
    for (size_t i = 0; i < countof(beginnings); i++)
        if (slice_istarts(text, slice_str(beginnings[i])))
            return true;
    return false;
}

static bool is_address(struct slice s)
{
    size_t dots = 0, colons = 0;
    for (size_t i = 0; i < s.n; i++) {
        dots += s.p[i] == '.';
        colons += s.p[i] == ':';
        if (!(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '.' && s.p[i] != ':' && ascii_hex(s.p[i]) < 0 && !slice_istarts(s, SLICE("IPv6")))
            return false;
    }
    return dots == 3 || colons >= 2;
}

static struct slice cut_to(struct slice *s, const char *ends)
{
    size_t n = 0;
    while (n < s->n && !strchr(ends, s->p[n]))
        n++;
    struct slice head = slice_sub(*s, 0, n);
    *s = slice_sub(*s, n, s->n);
    return head;
}

/* "from HELO (NAME [ADDRESS]) by ..." and its kin. */
static bool read_received(struct slice v, struct client *c)
{
    if (!slice_istarts(v, SLICE("from ")) || memmem(v.p, v.n, "fetchmail", 9) || memmem(v.p, v.n, "with POP3", 9) ||
        memmem(v.p, v.n, "with IMAP", 9))
        return false;
    v = slice_sub(v, 5, v.n);
    struct slice helo = cut_to(&v, " \t([");
    v = slice_trim(v);
    const char *by = memmem(v.p ? v.p : "", v.n, "by ", 3);
    struct slice inside = slice_sub(v, 0, by ? (size_t)(by - v.p) : v.n);
    ptrdiff_t open = slice_find(inside, '[');
    struct slice address = slice_sub(inside, open < 0 ? inside.n : (size_t)open + 1, inside.n);
    address = cut_to(&address, "] \t)");
    if (!address.n) {            /* "from HELO (ADDRESS)" */
        address = slice_trim(slice_sub(inside, inside.n && inside.p[0] == '(', inside.n));
        address = cut_to(&address, " \t)");
        if (is_address(address))
            open = 0;
    }
    if (open < 0 || !is_address(address) || is_private(address))
        return false;
    struct slice name = inside.n && inside.p[0] == '(' ? slice_sub(inside, 1, inside.n) : (struct slice){ 0 };
    if (slice_istarts(name, SLICE("HELO ")) || slice_istarts(name, SLICE("EHLO "))) { /* qmail: the name stands in front */
        name = slice_sub(name, 5, name.n);
        struct slice said = cut_to(&name, " \t)");
        name = helo;
        helo = said;
    } else
        name = cut_to(&name, " \t)[");
    if (slice_find(name, '@') >= 0) /* an ident's answer before the name */
        name = slice_sub(name, (size_t)slice_find(name, '@') + 1, name.n);
    bool unknown = slice_ieq(name, SLICE("unknown")) || is_address(name) || slice_find(name, '.') < 0;
    *c = (struct client){ .helo = helo, .name = slice_sub(name, 0, unknown ? 0 : name.n), .known = true, .named = true };
    return true;
}

void facts_take_client(struct facts *f, const struct content_message *m, const struct scan_context *c,
                       const struct public_suffix *suffixes, struct arena *arena)
{
    struct client client = { 0 };
    if (c && c->client.family)
        client = (struct client){ .helo = c->helo, .name = c->client_name, .known = true, .named = true };
    for (size_t i = 0; i < m->field_n && !client.known; i++)
        if (slice_ieq(m->fields[i].name, SLICE("Received")))
            (void)read_received(m->fields[i].value, &client);
    if (!client.known)
        return;
    facts_set_text(f, LOOK_HELO, client.helo, arena);
    facts_set_text(f, LOOK_CLIENT, client.name, arena);
    f->n[FACT_CLIENT_UNNAMED] = client.named && !client.name.n;
    f->n[FACT_HELO_DIFFERS] = client.helo.n && slice_find(client.helo, '.') > 0 && !is_address(client.helo) && client.helo.p[0] != '[' &&
        !slice_ieq(fact_registrable(suffixes, fact_lower(client.helo, arena)), fact_registrable(suffixes, fact_lower(client.name, arena)));
}
