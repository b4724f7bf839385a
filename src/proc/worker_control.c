/* SPDX-License-Identifier: Apache-2.0
 * What the admin process asks a worker: figures, and the requests of `postern queue`. */
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "content/scan.h"
#include "fetch/fetch.h"
#include "policy/explain.h"
#include "policy/provider.h"
#include "proc/worker_int.h"

#define ANSWER_MAX (CHANNEL_FRAME_MAX - 1024)

struct worker_request {
    struct list node;
    struct worker *worker;
    json_int_t id;
    unsigned admin; /* which admin process asked */
    bool status;
};

/* An answer larger than a frame loses messages from its end, and says so. */
static void fit(json_t *answer)
{
    json_t *messages = json_object_get(answer, "messages");
    while (json_array_size(messages) && json_dumpb(answer, NULL, 0, JSON_COMPACT) > ANSWER_MAX) {
        size_t keep = json_array_size(messages) / 2;
        while (json_array_size(messages) > keep) json_array_remove(messages, json_array_size(messages) - 1);
        json_object_set_new(answer, "truncated", json_true());
    }
}

static void add_figures(const struct worker *w, json_t *answer)
{
    struct server_figures f;
    struct spool_figures s;
    server_get_figures(w->server, &f);
    spool_get_figures(queue_spool(w->queue), &s);
    json_object_set_new(answer, "server",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sessions", (json_int_t)f.sessions, "accepted",
                                  (json_int_t)f.accepted_connections, "refused", (json_int_t)f.refused_connections,
                                  "messages", (json_int_t)f.messages, "recipients_refused",
                                  (json_int_t)f.recipients_refused, "bytes", (json_int_t)f.bytes, "intercepted",
                                  (json_int_t)f.intercepted));
    json_object_set_new(answer, "spool", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "messages",
        (json_int_t)s.messages, "segments", (json_int_t)s.segments, "bytes", (json_int_t)s.bytes_total, "alive",
        (json_int_t)s.bytes_alive, "flushes", (json_int_t)s.flushes, "records", (json_int_t)s.records, "damaged",
        (json_int_t)s.damaged, "free", (json_int_t)s.free_bytes, "disk", (json_int_t)s.disk_bytes, "full",
        spool_full(queue_spool(w->queue))));
}

static void add_providers(const struct worker *w, json_t *answer)
{
    struct provider_figures f;
    json_t *list = json_array();
    for (size_t i = 0; provider_get_figures(w->providers, i, &f); i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:b}", "name", f.name, "networks",
                                              (json_int_t)f.networks, "age", (json_int_t)f.age, "failing", f.failing));
    json_object_set_new(answer, "providers", list);
}

json_t *worker_status(const struct worker *w, json_t *queue)
{
    unsigned adopted = 0;
    int n = -1;
    list_each(it, &w->spools) {
        const struct worker_spool *s = list_entry(it, struct worker_spool, node);
        if (s->adopted) adopted++;
        else n = s->n;
    }
    json_t *a =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:b, s:I, s:o}", "pid", (int)getpid(), "slot", (int)w->start->slot,
                  "generation", (int)w->start->generation, "spool_number", n, "adopted", (int)adopted, "draining",
                  w->draining, "uptime", (json_int_t)(clock_mono_ms() - w->started), "queue", queue);
    add_figures(w, a);
    add_providers(w, a);
    if (w->scan_state) json_object_set(a, "scan", w->scan_state);
    else if (scan_is_needed(w->config)) json_object_set_new(a, "scan", json_pack("{s:b}", "starting", 1));
    worker_add_tables(w, a);
    json_object_set_new(a, "policy", policy_figures(w->policy));
    return a;
}

static void on_answer(void *arg, json_t *answer)
{
    struct worker_request *r = arg;
    struct worker *w = r->worker;
    if (w->admin && r->admin == w->admin_count) { /* else nobody waits for it any more */
        if (r->status && w->queue) answer = worker_status(w, answer);
        fit(answer);
        json_t *m = json_pack("{s:I, s:O}", "id", r->id, "answer", answer);
        channel_send(w->admin, m, -1);
        json_decref(m);
    }
    json_decref(answer);
    list_remove(&r->node);
    free(r);
}

static void on_admin(void *arg, const json_t *m, int fd)
{
    struct worker *w = arg;
    json_t *id = json_object_get(m, "id"), *request = json_object_get(m, "request");
    const char *op = json_string_value(json_object_get(request, "op"));
    if (!json_is_integer(id) || !op) {
        if (fd >= 0) close(fd);
        return;
    }
    struct worker_request *r = mem_new(struct worker_request);
    *r = (struct worker_request){
        .worker = w, .id = json_integer_value(id), .admin = w->admin_count, .status = !strcmp(op, "status")
    };
    list_push_back(&w->requests, &r->node);
    if (worker_file_request(w, request, fd, on_answer, r) || worker_digest_request(w, request, on_answer, r) ||
        worker_test_request(w, request, on_answer, r) ||
        worker_table_request(w, request, on_answer, r) || worker_doctor_request(w, request, on_answer, r)) return;
    if (!strcmp(op, "webhook-test") && w->config->webhook_n) {
        fetch_try_hooks(w->fetch, json_string_value(json_object_get(request, "url")), on_answer, r);
        return;
    }
    if (!strcmp(op, "webhook-test")) {
        on_answer(r, json_pack("{s:s}", "error", "there are no webhooks in the configuration"));
        return;
    }
    bool report = !strcmp(op, "tls-report");
    if (report) fetch_report_now(w->fetch); /* those of a day go out once, however many workers are asked */
    if (w->queue && !strcmp(op, "explain")) {
        policy_explain(w->policy, json_object_get(request, "mail"), on_answer, r);
    } else if (!w->queue || report) {
        on_answer(r, report ? json_pack("{s:b}", "wanted", w->config->delivery.tls_reports) : json_object());
    } else if (r->status) {
        json_t *figures = json_pack("{s:s}", "op", "figures");
        queue_control(w->queue, figures, on_answer, r);
        json_decref(figures);
    } else {
        queue_control(w->queue, request, on_answer, r);
    }
}

static void on_admin_end(void *arg)
{
    struct worker *w = arg;
    channel_free(&w->admin);
}

void worker_control_open(struct worker *w, int fd)
{
    channel_free(&w->admin);
    w->admin_count++;
    w->admin = channel_new(w->base, fd, on_admin, on_admin_end, w);
}

/* The requests themselves go with the queue, whose end may still answer them. */
void worker_control_free(struct worker *w)
{
    channel_free(&w->admin);
    worker_file_requests_free(w);
}
