/* SPDX-License-Identifier: Apache-2.0
 * What the auth process opens at its start, and which files it reaches. */
#include <libgen.h>
#include <stdlib.h>
#include "auth/exchange.h"
#include "proc/helper.h"

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

bool auth_asks_directories(const struct config *c)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].recipients.verify == CONFIG_VERIFY_LDAP) return true;
    return false;
}

const char *auth_runs_programs(const struct config *c)
{
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->auth.user && c->hops[i]->auth.token.command)
            return "a token command needs files that only it knows";
    return NULL;
}

/* The folder: such files are replaced, and a new one is another file to Landlock. */
static void add_folder_of(struct landlock *l, landlock_add_path *add, const char *file)
{
    if (!file || !*file) return;
    char *copy = mem_strdup(file);
    add(l, dirname(copy));
    free(copy);
}

void auth_paths(const struct helper_process *p, struct landlock *l)
{
    const struct config *c = p->config;
    landlock_add_network(l);
    landlock_read(l, "/proc/sys");
    landlock_read(l, c->tls.ca);
    landlock_read(l, c->auth.imap.ca);
    landlock_read(l, c->auth.ldap.ca);
    add_folder_of(l, landlock_read, c->auth.users);
    add_folder_of(l, landlock_read, c->auth.ldap.password_file);
    for (size_t i = 0; i < c->domain_n; i++) {
        const struct config_recipients *r = &c->domains[i].recipients;
        if (r->verify != CONFIG_VERIFY_LDAP) continue;
        landlock_read(l, r->ldap.ca);
        add_folder_of(l, landlock_read, r->ldap.password_file);
    }
    for (size_t i = 0; i < c->hop_n; i++) {
        const struct config_credentials *a = &c->hops[i]->auth;
        if (!a->user) continue;
        landlock_read(l, c->hops[i]->ca);
        add_folder_of(l, landlock_read, a->password_file);
        add_folder_of(l, landlock_read, a->token.client_secret_file);
        /* it is replaced when the endpoint gives a new one */
        add_folder_of(l, landlock_write, a->token.refresh_token_file);
    }
}
