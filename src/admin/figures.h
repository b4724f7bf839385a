/* SPDX-License-Identifier: Apache-2.0
 * Figures of everybody, as GET /v1/status answers them; and what is in trouble, which is looked at every few seconds. */
#ifndef POSTERN_ADMIN_FIGURES_H
#define POSTERN_ADMIN_FIGURES_H
#include <jansson.h>

struct admin;
/* The callback comes from the loop, always; all: an object, the caller's (json_incref to keep it). */
void figures_ask(struct admin *a, void (*cb)(void *arg, const json_t *all), void *arg);

/* ---- health.c: what is in trouble: a scanner, DNS list, table, certificate, the queue, the disk, the quarantine, the store. Each is logged, and so
 * told to webhooks (base/watch.h), when it begins and when it is over. */
struct health;
struct health *health_open(struct admin *a);
void health_close(struct health **h);

#endif
