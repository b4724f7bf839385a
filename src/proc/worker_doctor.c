/* SPDX-License-Identifier: Apache-2.0
 * A worker's set-up check: what the doctor gets of the worker, and the requests for it. */
#include "doctor/doctor.h"
#include "proc/worker_int.h"

static json_t *health(void *arg)
{
    struct worker *w = arg;
    return worker_status(w, json_object());
}

void worker_doctor_open(struct worker *w)
{
    w->doctor = doctor_new(&(struct doctor_options){ .base = w->base,
                                                     .streams = w->streams,
                                                     .config = w->config,
                                                     .resolver = w->resolver,
                                                     .server_tls = w->start->server_tls,
                                                     .client_tls = w->start->client_tls,
                                                     .keys = w->start->keys,
                                                     .fetch = w->fetch,
                                                     .policy = w->policy,
                                                     .queue = w->queue,
                                                     .health = health,
                                                     .arg = w });
}

bool worker_doctor_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    return w->doctor && doctor_request(w->doctor, request, reply, arg);
}
