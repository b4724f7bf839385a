/* SPDX-License-Identifier: Apache-2.0
 * What the tables process reaches: the folders of its files, the network only where a source is there. */
#include <libgen.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/tables.h"
#include "proc/privilege.h"
#include "table/readers.h"

/* The folder: such files are replaced, and a new one is another file to Landlock. */
static void add_folder_of(struct landlock *l, const char *file)
{
    if (!file || file[0] != '/') return;
    char *copy = mem_strdup(file);
    landlock_read(l, dirname(copy));
    free(copy);
}

/* Certificates and the like that a connection names. */
static void add_connection(struct landlock *l, const char *connection)
{
    char *problem = NULL;
    PQconninfoOption *all = PQconninfoParse(connection, &problem);
    for (const PQconninfoOption *o = all; o && o->keyword; o++)
        if (strncmp(o->keyword, "ssl", 3) == 0 || !strcmp(o->keyword, "passfile")) add_folder_of(l, o->val);
    PQconninfoFree(all);
    PQfreemem(problem);
}

bool readers_need_network(const struct config *c)
{
    for (size_t i = 0; i < c->table_n; i++)
        if (c->tables[i].type == CONFIG_TABLE_LDAP || c->tables[i].type == CONFIG_TABLE_POSTGRESQL) return true;
    return false;
}

void readers_paths(const struct config *c, struct landlock *l)
{
    struct err err;
    struct tables *t = tables_new_of_sources(c, &err);
    if (readers_need_network(c)) {
        landlock_add_network(l);
        landlock_read(l, "/proc/sys");
        landlock_read(l, c->tls.ca);
    }
    for (size_t i = 0; t && i < tables_count(t); i++) {
        const struct config_table *one = tables_source(t, i)->table;
        add_folder_of(l, one->file);
        add_folder_of(l, one->password_file);
        landlock_read(l, one->ldap.ca);
        if (one->connection) add_connection(l, one->connection);
    }
    tables_free(t);
}
