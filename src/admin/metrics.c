/* SPDX-License-Identifier: Apache-2.0
 * The text of the metrics: counters from the memory that all processes share, the rest from figures that they were asked for. */
#include "admin/metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"

struct writer {
    struct buf bodies[METRICS_MAX];            /* samples, of each row of the table */
    uint64_t buckets[COUNTER_BUCKETS + 1], sum; /* of the histogram */
    json_t *series;                            /* counters: "row/label": number */
};

/* ---- samples */

static void add_label_value(struct buf *b, struct slice s)
{
    struct buf text = { 0 };
    buf_add_printable(&text, s, 256);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\') buf_add_char(b, '\\');
        buf_add_char(b, text.p[i]);
    }
    buf_deinit(&text);
}

/* labels of the row, each with a part of `value`, which are separated by '/' where there is more than one. */
static void add_labels(struct buf *b, const struct metric *m, struct slice value)
{
    struct slice names = slice_str(m->labels), name, part;
    if (!names.n) return;
    buf_add_char(b, '{');
    for (bool more = true, first = true; more; first = false) {
        more = slice_cut(&names, ' ', &name);
        if (more) slice_cut(&value, '/', &part);
        else part = value;
        if (!first) buf_add_char(b, ',');
        buf_add(b, name);
        buf_add_str(b, "=\"");
        add_label_value(b, part);
        buf_add_char(b, '"');
    }
    buf_add_char(b, '}');
}

static size_t row_of(const char *name)
{
    size_t i = 0;
    while (i < metrics_n && strcmp(metrics_table[i].name + sizeof "postern_" - 1, name) != 0) i++;
    return i;
}

static void add_sample(struct writer *w, const char *name, struct slice label, const char *value)
{
    size_t row = row_of(name);
    if (row == metrics_n) return;
    struct buf *b = &w->bodies[row];
    buf_add_str(b, metrics_table[row].name);
    add_labels(b, &metrics_table[row], label);
    buf_addf(b, " %s\n", value);
}

static void add_number(struct writer *w, const char *name, struct slice label, json_int_t n)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)n);
    add_sample(w, name, label, text);
}

static void add_ms(struct writer *w, const char *name, struct slice label, json_int_t ms)
{
    char text[40];
    if (ms < 0) ms = 0;
    snprintf(text, sizeof text, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
    add_sample(w, name, label, text);
}

/* ---- counters */

static void on_counter(void *arg, enum counter c, const char *label, uint64_t n)
{
    struct writer *w = arg;
    char key[COUNTER_LABEL_MAX + 16];
    if (c == COUNTER_DELIVERY_TIME) {
        unsigned long bucket = strtoul(label, NULL, 10);
        if (!strcmp(label, "sum")) w->sum += n;
        else if (bucket <= COUNTER_BUCKETS) w->buckets[bucket] += n;
        return;
    }
    snprintf(key, sizeof key, "%d/%s", c, label);
    n += (uint64_t)json_integer_value(json_object_get(w->series, key));
    json_object_set_new(w->series, key, json_integer((json_int_t)n));
}

static void add_counter(struct writer *w, const struct metric *m)
{
    const char *key, *label, *short_name = m->name + sizeof "postern_" - 1;
    json_t *v;
    bool any = false;
    json_object_foreach(w->series, key, v) {
        if (atoi(key) != m->counter) continue;
        label = strchr(key, '/') + 1;
        if (m->divisor > 1) add_ms(w, short_name, slice_str(label), json_integer_value(v) / (m->divisor / 1000));
        else add_number(w, short_name, slice_str(label), json_integer_value(v));
        any = true;
    }
    if (!any && !m->labels[0]) add_number(w, short_name, SLICE(""), 0);
}

static void add_histogram(struct writer *w, size_t row)
{
    const char *name = metrics_table[row].name;
    struct buf *b = &w->bodies[row];
    uint64_t so_far = 0;
    for (size_t i = 0; i < COUNTER_BUCKETS; i++) {
        so_far += w->buckets[i];
        buf_addf(b, "%s_bucket{le=\"%g\"} %llu\n", name, counter_buckets[i] / 1000.0, (unsigned long long)so_far);
    }
    so_far += w->buckets[COUNTER_BUCKETS];
    buf_addf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %llu.%03llu\n%s_count %llu\n", name, (unsigned long long)so_far, name,
             (unsigned long long)(w->sum / 1000), (unsigned long long)(w->sum % 1000), name, (unsigned long long)so_far);
}

static void add_counters(struct writer *w)
{
    w->series = json_object();
    counters_each(on_counter, w);
    for (size_t i = 0; i < metrics_n; i++) {
        if (metrics_table[i].type == METRIC_HISTOGRAM) add_histogram(w, i);
        else if (metrics_table[i].counter >= 0) add_counter(w, &metrics_table[i]);
    }
    json_decref(w->series);
}

/* ---- figures */

static json_int_t number(const json_t *o, const char *group, const char *key)
{
    return json_integer_value(json_object_get(group ? json_object_get(o, group) : o, key));
}

static void add_processes(struct writer *w, const json_t *f)
{
    json_t *roles = json_object(), *v;
    const json_t *h;
    const char *role;
    size_t i;
    json_object_set_new(roles, "master", json_integer(1));
    json_object_set_new(roles, "relay", json_integer((json_int_t)json_array_size(json_object_get(f, "workers"))));
    json_array_foreach(json_object_get(f, "helpers"), i, h) {
        role = json_string_value(json_object_get(h, "role"));
        if (role) json_object_set_new(roles, role, json_integer(json_integer_value(json_object_get(roles, role)) + 1));
    }
    json_object_foreach(roles, role, v) add_number(w, "processes", slice_str(role), json_integer_value(v));
    json_decref(roles);
}

static void add_master(struct writer *w, const json_t *f)
{
    struct buf label = { 0 };
    const json_t *c;
    size_t i;
    buf_add(&label, json_text(f, "version"));
    buf_add_char(&label, '/');
    buf_add(&label, json_text(f, "hostname"));
    add_number(w, "info", buf_slice(&label), 1);
    buf_deinit(&label);
    add_ms(w, "start_time_seconds", SLICE(""), number(f, NULL, "started"));
    add_number(w, "generation", SLICE(""), number(f, NULL, "generation"));
    add_number(w, "workers_silent", SLICE(""), number(f, NULL, "missing"));
    add_processes(w, f);
    json_array_foreach(json_object_get(f, "certificates"), i, c)
        add_ms(w, "certificate_expiry_seconds", json_text(c, "name"), number(c, NULL, "not_after"));
}

/* Of all workers. */
static json_int_t sum(const json_t *f, const char *group, const char *key)
{
    const json_t *one;
    uint64_t n = 0;
    size_t i;
    json_array_foreach(json_object_get(f, "figures"), i, one) n += (uint64_t)number(one, group, key);
    return (json_int_t)n;
}

static json_int_t most(const json_t *f, const char *group, const char *key)
{
    const json_t *one;
    json_int_t n = 0;
    size_t i;
    json_array_foreach(json_object_get(f, "figures"), i, one)
        if (number(one, group, key) > n) n = number(one, group, key);
    return n;
}

static void add_queue(struct writer *w, const json_t *f)
{
    static const char *const states[] = { "incoming", "active", "deferred", "held" };
    const json_t *one;
    bool full = false;
    size_t i;
    for (i = 0; i < countof(states); i++) add_number(w, "queue_messages", slice_str(states[i]), sum(f, "queue", states[i]));
    add_ms(w, "queue_oldest_seconds", SLICE(""), most(f, "queue", "oldest"));
    add_number(w, "queue_memory_bytes", SLICE(""), sum(f, "queue", "memory"));
    add_number(w, "delivery_connections", SLICE(""), sum(f, "queue", "connections"));
    add_number(w, "sessions", SLICE(""), sum(f, "server", "sessions"));
    add_number(w, "spool_messages", SLICE(""), sum(f, "spool", "messages"));
    add_number(w, "spool_bytes", SLICE(""), sum(f, "spool", "bytes"));
    add_number(w, "spool_alive_bytes", SLICE(""), sum(f, "spool", "alive"));
    add_number(w, "spool_free_bytes", SLICE(""), most(f, "spool", "free"));
    add_number(w, "spool_disk_bytes", SLICE(""), most(f, "spool", "disk"));
    json_array_foreach(json_object_get(f, "figures"), i, one)
        full |= json_is_true(json_object_get(json_object_get(one, "spool"), "full"));
    add_number(w, "spool_full", SLICE(""), full);
}

static void add_others(struct writer *w, const json_t *f)
{
    const json_t *first = json_array_get(json_object_get(f, "figures"), 0), *one;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(first, "scan"), "scanners"), i, one)
        add_number(w, "scanner_up", json_text(one, "name"), !json_is_true(json_object_get(one, "paused")));
    json_array_foreach(json_object_get(json_object_get(first, "policy"), "dns_lists"), i, one)
        add_number(w, "dns_list_up", json_text(one, "zone"), !slice_eq(json_text(one, "state"), SLICE("off")));
    add_number(w, "tables", SLICE(""), number(first, "tables", "count"));
    add_number(w, "tables_broken", SLICE(""), (json_int_t)json_array_size(json_object_get(json_object_get(first, "tables"), "broken")));
}

static void add_store(struct writer *w, const json_t *f)
{
    const json_t *s = json_object_get(f, "store"), *v;
    const char *space;
    if (!s) return;
    add_number(w, "quarantine_messages", SLICE(""), number(s, "quarantine", "messages"));
    add_number(w, "quarantine_bytes", SLICE(""), number(s, "quarantine", "bytes"));
    add_number(w, "quarantine_limit_bytes", SLICE(""), number(s, "quarantine", "size"));
    add_number(w, "history_bytes", SLICE(""), number(s, NULL, "history_bytes"));
    add_number(w, "store_writing", SLICE(""), json_is_true(json_object_get(s, "writing")));
    json_object_foreach((json_t *)(uintptr_t)json_object_get(s, "entries"), space, v)
        add_number(w, "store_entries", slice_str(space), json_integer_value(v));
}

void metrics_write(struct buf *out, const json_t *figures)
{
    struct writer w = { .sum = 0 };
    add_counters(&w);
    add_master(&w, figures);
    add_queue(&w, figures);
    add_others(&w, figures);
    add_store(&w, figures);
    for (size_t i = 0; i < metrics_n; i++) {
        const struct metric *m = &metrics_table[i];
        if (w.bodies[i].n) buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, metric_type_name(m->type));
        buf_add(out, buf_slice(&w.bodies[i]));
        buf_deinit(&w.bodies[i]);
    }
}
