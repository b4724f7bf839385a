/* SPDX-License-Identifier: Apache-2.0
 * All files that a configuration names, led by the schema table. */
#include "config/config.h"
#include "base/mem.h"
#include "config/schema.h"

struct walk {
    void (*cb)(void *arg, const char *option, const char *path);
    void *arg;
};

static void walk_table(const struct walk *w, const struct schema_table *t, const char *record);

static void walk_list(const struct walk *w, const struct schema_option *o, const char *record)
{
    const char *array;
    size_t n;
    memcpy(&array, record + o->offset, sizeof array);
    memcpy(&n, record + o->count_offset, sizeof n);
    for (size_t i = 0; i < n; i++) {
        if (o->type != SCHEMA_LIST) walk_table(w, o->table, array + i * o->table->size);
        else if (o->item == SCHEMA_PATH) w->cb(w->arg, o->name, ((const char *const *)(const void *)array)[i]);
    }
}

static void walk_option(const struct walk *w, const struct schema_option *o, const char *record)
{
    const char *path = NULL;
    switch (o->type) {
    case SCHEMA_GROUP: walk_table(w, o->table, record); break;
    case SCHEMA_HOP: walk_table(w, o->table, record + o->offset); break;
    case SCHEMA_LIST:
    case SCHEMA_RECORDS:
    case SCHEMA_MAP: walk_list(w, o, record); break;
    case SCHEMA_PATH:
        memcpy(&path, record + o->offset, sizeof path);
        if (path && *path) w->cb(w->arg, o->name, path);
        break;
    default: break;
    }
}

static void walk_table(const struct walk *w, const struct schema_table *t, const char *record)
{
    for (size_t i = 0; t && i < t->n; i++) walk_option(w, &t->options[i], record);
}

void config_each_path(const struct config *c, void (*cb)(void *arg, const char *option, const char *path), void *arg)
{
    const struct walk w = { cb, arg };
    walk_table(&w, &schema_root, (const char *)c);
}
