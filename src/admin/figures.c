/* SPDX-License-Identifier: Apache-2.0
 * Figures of master, workers and store, put together. */
#include "admin/figures.h"
#include <stdlib.h>
#include "admin/internal.h"

#define STATUS_MS 5000
#define STORE_MS 1000 /* its figures may be missing */

struct figures {
    struct admin *admin;
    json_t *all;
    void (*cb)(void *arg, const json_t *all);
    void *arg;
};

static void on_store(void *arg, json_t *answers, unsigned missing)
{
    struct figures *f = arg;
    if (json_array_size(answers)) json_object_set(f->all, "store", json_array_get(answers, 0));
    json_decref(answers);
    f->cb(f->arg, f->all);
    json_decref(f->all);
    free(f);
}

static void on_workers(void *arg, json_t *answers, unsigned missing)
{
    struct figures *f = arg;
    json_object_set_new(f->all, "figures", answers);
    json_object_set_new(f->all, "missing", json_integer(missing));
    ask_store(f->admin, json_pack("{s:s}", "op", "figures"), STORE_MS, on_store, f);
}

static void on_master(void *arg, json_t *answers, unsigned missing)
{
    struct figures *f = arg;
    f->all = json_incref(json_array_get(answers, 0));
    json_decref(answers);
    if (!f->all) f->all = json_object();
    ask_workers(f->admin, json_pack("{s:s}", "op", "status"), STATUS_MS, on_workers, f);
}

void figures_ask(struct admin *a, void (*cb)(void *arg, const json_t *all), void *arg)
{
    struct figures *f = mem_new(struct figures);
    *f = (struct figures){ .admin = a, .cb = cb, .arg = arg };
    ask_master(a, "status", STATUS_MS, on_master, f);
}
