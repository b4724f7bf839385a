/* SPDX-License-Identifier: Apache-2.0
 * Logging in here: the backend is described, can do what is offered, and is there where listeners need it. */
#include "config/parse.h"

static bool starts(const char *url, const char *scheme) { return slice_istarts(slice_str(url), slice_str(scheme)); }

bool check_is_here(struct slice authority)
{
    struct slice host, name, port;
    struct ip ip;
    bool bracketed;
    slice_cut(&authority, '/', &host);
    if (!value_split_port(host, &name, &port, &bracketed)) return false;
    return slice_ieq(name, SLICE("localhost")) || (ip_parse(name, &ip) && ip_is_loopback(&ip));
}

static void check_imap(const struct check *k, const struct yaml_node *auth)
{
    const struct config_auth *a = &k->c->auth;
    const struct yaml_node *group = yaml_get(auth, "imap"), *verify = yaml_get(group, "verify");
    check_file(k, yaml_get(group, "ca"), a->imap.ca, CHECK_FILE);
    if (a->backend != CONFIG_AUTH_IMAP) return;
    if (!a->imap.host[0])
        yaml_error(k->report, yaml_get(auth, "backend"), "add for example imap: {host: imap.example.com}",
                   "backend imap needs imap.host");
    else if (!a->imap.verify && !check_is_here(slice_str(a->imap.host)))
        yaml_warning(k->report, verify, "set verify: yes, with ca for a certificate of your own",
                     "whoever stands between here and %s can read every password", a->imap.host);
}

static void check_ldap_url(const struct check *k, const struct yaml_node *group)
{
    const struct config_auth *a = &k->c->auth;
    const struct yaml_node *url = yaml_get(group, "url");
    const char *text = a->ldap.url;
    if (!starts(text, "ldap://") && !starts(text, "ldaps://") && !starts(text, "ldapi://")) {
        yaml_error(k->report, url, "write for example ldaps://ldap.example.com",
                   "this is not the address of an LDAP server");
        return;
    }
    if (strchr(text, '@')) {
        yaml_error(k->report, url, "use user_dn and password_file", "names and passwords do not belong into the URL");
        return;
    }
    if (a->ldap.starttls && !starts(text, "ldap://"))
        yaml_error(k->report, yaml_get(group, "starttls"), "leave starttls out", "it is for ldap:// only");
    if (starts(text, "ldap://") && !a->ldap.starttls && !check_is_here(slice_str(text + 7)))
        yaml_warning(k->report, url, "use ldaps://, or set starttls: yes", "passwords cross the network unencrypted");
}

static void check_ldap(const struct check *k, const struct yaml_node *auth)
{
    const struct config_auth *a = &k->c->auth;
    const struct yaml_node *group = yaml_get(auth, "ldap"), *password = yaml_get(group, "password_file");
    check_file(k, yaml_get(group, "ca"), a->ldap.ca, CHECK_FILE);
    check_file(k, password, a->ldap.password_file, CHECK_FILE_SECRET_LATER);
    if (a->ldap.user_dn && !a->ldap.password_file)
        yaml_error(k->report, yaml_get(group, "user_dn"), "add password_file", "user_dn needs a password");
    if (!a->ldap.user_dn && a->ldap.password_file)
        yaml_error(k->report, password, "add user_dn", "password_file without user_dn: whose password is it?");
    if (a->ldap.url[0]) check_ldap_url(k, group);
    if (a->backend != CONFIG_AUTH_LDAP) return;
    if (!a->ldap.url[0])
        yaml_error(k->report, yaml_get(auth, "backend"), "add for example ldap: {url: ldaps://ldap.example.com, ...}",
                   "backend ldap needs ldap.url");
    else if (!a->ldap.bind_dn && !a->ldap.base[0])
        yaml_error(k->report, group, "add for example bind_dn: uid=%n,ou=people,dc=example,dc=com",
                   "it needs bind_dn, or base to search for users");
}

static void check_backend(const struct check *k, const struct yaml_node *auth)
{
    const struct config_auth *a = &k->c->auth;
    const struct yaml_node *methods = yaml_get(auth, "methods"), *backend = yaml_get(auth, "backend");
    check_imap(k, auth);
    check_ldap(k, auth);
    if (a->backend == CONFIG_AUTH_DOVECOT && !a->dovecot[0])
        yaml_error(k->report, backend, "add for example dovecot: {socket: /run/dovecot/auth-postern}",
                   "backend dovecot needs dovecot.socket");
    bool by_bind = a->backend == CONFIG_AUTH_IMAP || a->backend == CONFIG_AUTH_LDAP;
    if (by_bind && (a->methods & ~(uint32_t)(CONFIG_SASL_PLAIN | CONFIG_SASL_LOGIN)))
        yaml_error(k->report, methods, "set methods: [plain, login], or leave the line out",
                   "backend %s can do plain and login only: it needs the password itself",
                   a->backend == CONFIG_AUTH_IMAP ? "imap" : "ldap");
    if (a->backend && methods && !a->methods)
        yaml_error(k->report, methods, "leave the line out for the usual ones", "no way to log in is left");
}

static void check_listener(const struct check *k, const struct config_listener *l, const struct yaml_node *node)
{
    if (!l->auth) return;
    const struct yaml_node *where = yaml_either(yaml_get(node, "auth"), yaml_either(yaml_get(node, "role"), node));
    if (k->c->auth.backend == CONFIG_AUTH_OFF)
        yaml_error(k->report, where, "set auth.backend (users, imap, ldap, dovecot), or auth: no here",
                   "clients log in here, but auth.backend is off: nobody could");
    bool clear = l->tls == CONFIG_TLS_NONE;
    for (size_t i = 0; i < k->c->zone_n && clear; i++) clear = !k->c->zones[i].auth_without_tls;
    if (clear)
        yaml_warning(k->report, yaml_get(node, "tls"), "set another tls, or auth_without_tls for a zone of your own",
                     "passwords are not taken without TLS: nobody can log in here");
}

void check_auth(const struct check *k)
{
    check_backend(k, yaml_get(k->root, "auth"));
    const struct yaml_node *node = yaml_first(k->root, "listeners");
    for (size_t i = 0; i < k->c->listener_n && node; i++, node = node->next)
        check_listener(k, &k->c->listeners[i], node);
}
