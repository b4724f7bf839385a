/* SPDX-License-Identifier: Apache-2.0
 * What the auth process opens at its start, and what it gives up then. */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "auth/exchange.h"
#include "base/log.h"
#include "proc/privilege.h"

#define PATHS_MAX 200

bool auth_services_open(struct sasl_services *s, const struct config *c, size_t brake_entries, struct err *err)
{
    const struct config_auth *a = &c->auth;
    setenv("LDAPNOINIT", "1", 1); /* ldap.conf(5): what we ask is written in our configuration alone */
    s->config = c;
    if (a->backend != CONFIG_AUTH_OFF && a->failures)
        s->brake = brake_new(a->failures, a->window, a->block, brake_entries);
    if (a->backend == CONFIG_AUTH_USERS) s->users = users_new(a->users);
    if (a->backend == CONFIG_AUTH_IMAP && !(s->imap = imap_backend_new(c, err))) return false;
    return true;
}

static bool runs_commands(const struct config *c)
{
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->auth.user && c->hops[i]->auth.token.command) return true;
    return false;
}

struct paths {
    const char *list[PATHS_MAX + 1];
    size_t n;
    char *own[PATHS_MAX]; /* the last ones of list, to free */
    size_t own_n;
};

/* The folder: such files are replaced, and a new one is another file to Landlock. */
static void add_folder_of(struct paths *p, const char *file)
{
    if (!file || !*file || p->n == PATHS_MAX) return;
    char *copy = mem_strdup(file);
    const char *folder = dirname(copy);
    bool there = false;
    for (size_t i = 0; i < p->n && !there; i++) there = !strcmp(p->list[i], folder);
    if (there) {
        free(copy);
        return;
    }
    p->list[p->n++] = folder;
    p->own[p->own_n++] = copy;
}

static void add(struct paths *p, const char *path)
{
    if (path && *path && p->n < PATHS_MAX) p->list[p->n++] = path;
}

bool auth_restrict_files(const struct config *c, struct err *err)
{
    static const char *const system[] = {
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/nsswitch.conf",
        "/etc/gai.conf",
        "/etc/services",
        "/etc/protocols",
        "/etc/localtime",
        "/usr/share/zoneinfo",
        "/etc/ssl",
        "/usr/share/ca-certificates",
        "/lib",
        "/lib64",
        "/usr/lib",
        "/etc/ld.so.cache",
        "/dev/urandom",
        "/proc/self",
        "/proc/meminfo",
        "/proc/sys",
        "/sys/devices/system/cpu",
    };
    struct paths p = { 0 }, write = { 0 };
    if (!c->system.sandbox) return true;
    if (runs_commands(c)) {
        log_event(LOG_INFO, "no-landlock", LOG_STR("reason", "a token command needs files that only it knows"));
        return true;
    }
    for (size_t i = 0; i < countof(system); i++) add(&p, system[i]);
    add(&p, c->tls.ca);
    add(&p, c->auth.imap.ca);
    add(&p, c->auth.ldap.ca);
    add_folder_of(&p, c->auth.users);
    add_folder_of(&p, c->auth.ldap.password_file);
    for (size_t i = 0; i < c->hop_n; i++) {
        const struct config_credentials *a = &c->hops[i]->auth;
        if (!a->user) continue;
        add(&p, c->hops[i]->ca);
        add_folder_of(&p, a->password_file);
        add_folder_of(&p, a->token.client_secret_file);
        add_folder_of(&write, a->token.refresh_token_file); /* it is replaced when the endpoint gives a new one */
    }
    add(&write, "/dev/null");
    bool ok = landlock_restrict(write.list, p.list, err);
    while (write.own_n) free(write.own[--write.own_n]);
    while (p.own_n) free(p.own[--p.own_n]);
    return ok;
}

bool auth_restrict_calls(const struct config *c, struct err *err)
{
    return !c->system.sandbox || seccomp_restrict(runs_commands(c) ? SECCOMP_AUTH_COMMAND : SECCOMP_AUTH, err);
}
