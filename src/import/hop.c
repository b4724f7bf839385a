/* SPDX-License-Identifier: Apache-2.0
 * Next hops: relayhost, transports, and who we are to them. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/dump.h"
#include "import/parts.h"
#include "smtp/address.h"

struct target {
    struct slice host;   /* without brackets; of a socket its path */
    bool bracketed, socket;
    uint64_t port;       /* 0: none */
};

static bool parse_port(struct slice s, uint64_t *port)
{
    static const struct {
        const char *name;
        uint64_t port;
    } names[] = { { "smtp", 25 }, { "submission", 587 }, { "smtps", 465 }, { "submissions", 465 }, { "lmtp", 24 } };
    for (size_t i = 0; i < countof(names); i++)
        if (slice_ieq(s, slice_str(names[i].name))) {
            *port = names[i].port;
            return true;
        }
    return slice_to_u64(s, 65535, port) && *port;
}

static bool is_host(struct slice s)
{
    struct ip ip;
    return ip_parse(s, &ip) || address_domain_ok(s, false);
}

/* "[host]:port", "host:port", "[ipv6:2001:db8::1]" */
static bool parse_target(struct slice s, struct target *t)
{
    struct slice port = SLICE("");
    *t = (struct target){ 0 };
    if (slice_istarts(s, SLICE("inet:"))) s = slice_sub(s, 5, s.n);
    if (s.n && s.p[0] == '[') {
        ptrdiff_t end = slice_find(s, ']');
        if (end < 0) return false;
        t->bracketed = true;
        t->host = slice_sub(s, 1, (size_t)end);
        port = slice_sub(s, (size_t)end + 1, s.n);
        if (port.n && port.p[0] != ':') return false;
        if (slice_istarts(t->host, SLICE("ipv6:"))) t->host = slice_sub(t->host, 5, t->host.n);
    } else {
        t->host = s;
        ptrdiff_t colon = slice_find(s, ':');
        if (colon >= 0) t->host = slice_sub(s, 0, (size_t)colon), port = slice_sub(s, (size_t)colon, s.n);
    }
    if (port.n && !parse_port(slice_sub(port, 1, port.n), &t->port)) return false;
    return is_host(t->host);
}

/* ---- passwords */

static struct import_entry *find_password(struct import *im, struct slice dest, struct slice host, struct slice sender)
{
    if (!import_yes(im, "smtp_sasl_auth_enable", NULL)) return NULL;
    if (sender.n) {
        struct import_entry *e = import_yes(im, "smtp_sender_dependent_authentication", NULL) ? import_find(&im->passwords, sender) : NULL;
        if (e) return e;
    }
    struct import_entry *e = import_find(&im->passwords, dest);
    if (!e) e = import_find(&im->passwords, host);
    for (size_t i = 0; !e && i < im->passwords.n; i++)
        if (im->passwords.entries[i].kind == IMPORT_STATIC) e = &im->passwords.entries[i];
    return e;
}

/* ", user: joe, password_file: secrets/host". The password goes nowhere else. */
static void add_password(struct import *im, struct import_entry *e, const struct target *t, struct buf *out)
{
    struct slice password = e->value, user;
    e->used = true;
    if (!slice_cut(&password, ':', &user) || !user.n) {
        left_out(im, &e->from, "add user and password_file to this next hop", "there is no user and password");
        return;
    }
    const char *file = import_keep(im, "secrets", t->host, slice_str(arena_printf(&im->arena, "%.*s\n", SLICE_ARG(password))), true);
    if (file) buf_addf(out, ", user: %s, password_file: %s", import_scalar(im, user), import_scalar(im, slice_str(file)));
    else left_out(im, &e->from, "set it by hand, or import with -o FILE: the password goes to a file beside the configuration",
                  "the password for %s is not shown", import_show(im, t->host));
}

void import_unused_passwords(struct import *im)
{
    bool used = import_yes(im, "smtp_sasl_auth_enable", NULL);
    for (size_t i = 0; i < im->passwords.n; i++)
        if (!im->passwords.entries[i].used)
            left_out(im, &im->passwords.entries[i].from, "add user and password_file to the next hop it is for",
                     used ? "no next hop of this configuration has that name" : "smtp_sasl_auth_enable is not yes");
}

/* ---- how they are written */

const char *import_source_of(struct import *im, const struct import_service *s)
{
    struct slice four = import_override(im, s, "smtp_bind_address"), six = import_override(im, s, "smtp_bind_address6");
    if (four.n && six.n) return arena_printf(&im->arena, "[%s, %s]", import_scalar(im, four), import_scalar(im, six));
    return four.n || six.n ? import_scalar(im, four.n ? four : six) : NULL;
}

static void write_smtp(struct import *im, const struct target *t, struct slice dest, struct slice sender, const struct import_service *s,
                       struct buf *out)
{
    struct buf more = { 0 };
    struct ip ip;
    bool mx = !t->bracketed && !ip_parse(t->host, &ip), v6 = ip_parse(t->host, &ip) && ip.family == 6;
    struct import_entry *login = find_password(im, dest, t->host, sender);
    const char *tls = s ? import_tls_level(import_override(im, s, "smtp_tls_security_level")) : NULL;
    if (tls) buf_addf(&more, ", tls: %s", tls);
    else if (login && slice_ieq(import_get(im, "smtp_tls_security_level", NULL), SLICE("none"))) buf_add_str(&more, ", tls: may");
    if (import_yes(im, "smtp_tls_wrappermode", NULL) && t->port != 465) buf_add_str(&more, ", implicit_tls: yes");
    const char *source = import_source_of(im, s);
    if (source) buf_addf(&more, ", source: %s", source);
    if (login) add_password(im, login, t, &more);
    if (more.n) {
        buf_addf(out, "{host: %s", import_scalar(im, t->host));
        if (t->port) buf_addf(out, ", port: %u", (unsigned)t->port);
        if (mx) buf_add_str(out, ", mx: yes");
        buf_add(out, buf_slice(&more));
        buf_add_char(out, '}');
    } else {
        struct buf b = { 0 };
        buf_addf(&b, "%s%s%.*s%s", mx ? "mx:" : "", v6 ? "[" : "", SLICE_ARG(t->host), v6 ? "]" : "");
        if (t->port) buf_addf(&b, ":%u", (unsigned)t->port);
        yaml_add_scalar(out, buf_slice(&b));
        buf_deinit(&b);
    }
    buf_deinit(&more);
}

bool import_next_hop(struct import *im, struct slice text, struct slice sender, const char *service, struct import_hop *out,
                     const struct import_from *from)
{
    struct slice first, rest = text;
    struct target t;
    struct buf b = { 0 };
    *out = (struct import_hop){ 0 };
    if (!import_word(&rest, &first) || !parse_target(first, &t)) {
        left_out(im, from, "write host, host:port or mx:domain", "%s is no next hop", import_show(im, text));
        return false;
    }
    if (slice_trim(rest).n) different(im, from, "give one name several addresses, or MX records", "only the first of several next hops is taken over");
    write_smtp(im, &t, first, sender, service ? import_service(im, service, "unix") : NULL, &b);
    out->text = buf_keep(&b, &im->arena).p;
    return true;
}

/* "unix:private/dovecot-lmtp", "inet:host:port" */
static bool lmtp(struct import *im, struct slice text, struct import_hop *out, const struct import_from *from)
{
    struct target t;
    const char *hop;
    if (slice_istarts(text, SLICE("unix:"))) {
        struct slice path = slice_sub(text, 5, text.n);
        hop = arena_printf(&im->arena, "lmtp:%.*s", SLICE_ARG(import_socket_path(im, path)));
        if (!path.n || path.p[0] != '/') different(im, from, "have the server make it where system.user can reach it", "a socket in Postfix's own folder: %s", import_show(im, path));
    } else if (parse_target(text, &t)) {
        struct ip ip;
        bool v6 = ip_parse(t.host, &ip) && ip.family == 6;
        hop = arena_printf(&im->arena, "lmtp:%s%.*s%s:%u", v6 ? "[" : "", SLICE_ARG(t.host), v6 ? "]" : "", (unsigned)(t.port ? t.port : 24));
    } else {
        left_out(im, from, "write lmtp:host:port or lmtp:/path", "%s is no LMTP server", import_show(im, text));
        return false;
    }
    *out = (struct import_hop){ .text = import_scalar(im, slice_str(hop)) };
    return true;
}

bool import_transport(struct import *im, struct slice text, struct import_hop *out, const struct import_from *from)
{
    struct slice hop = text, service;
    *out = (struct import_hop){ 0 };
    if (!slice_cut(&hop, ':', &service)) {
        service = text;
        hop = SLICE("");
    }
    const char *name = service.n ? import_str(im, service) : "smtp";
    const struct import_service *s = import_service(im, name, "unix");
    bool smtp = !strcmp(name, "smtp") || !strcmp(name, "relay") || (s && !strcmp(s->command, "smtp"));
    if (!strcmp(name, "lmtp") || (s && !strcmp(s->command, "lmtp") && !smtp)) return lmtp(im, hop, out, from);
    if (!smtp) {
        left_out(im, from, "deliver to a server over SMTP or LMTP, or to a folder (maildir:/path/%d/%n)",
                 "%s is %s", import_show(im, service), s && !strcmp(s->command, "pipe") ? "a program: mail does not go to programs" : "no way that mail can go here");
        return false;
    }
    if (hop.n) return import_next_hop(im, hop, SLICE(""), name, out, from);
    out->mx = true;
    if (s && import_override(im, s, "smtp_bind_address").n)
        left_out(im, from, "add a route with source for it", "an address to send from without a next hop, for recipients");
    return true;
}

bool import_transport_of(struct import *im, struct slice domain, bool tree, struct import_hop *out)
{
    struct slice key = tree ? slice_str(arena_printf(&im->arena, ".%.*s", SLICE_ARG(domain))) : domain;
    struct import_entry *e = import_find(&im->transports, key);
    *out = (struct import_hop){ 0 };
    if (!e) return false;
    e->used = true;
    return import_transport(im, e->value, out, &e->from);
}
