/* SPDX-License-Identifier: Apache-2.0
 * Metrics for Prometheus: a table of all there are, and their text. */
#ifndef POSTERN_ADMIN_METRICS_H
#define POSTERN_ADMIN_METRICS_H
#include <jansson.h>
#include "base/buf.h"
#include "base/counters.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
struct metric {
    const char *name, *labels, *help; /* labels: "stage", "check outcome"; "" : none */
    enum metric_type type;
    int counter;                      /* enum counter; -1: of figures */
    uint32_t divisor;                 /* of the counter's numbers: 1000 makes seconds of ms */
};
#define METRICS_MAX 128
extern const struct metric metrics_table[];
extern const size_t metrics_n;
const char *metric_type_name(enum metric_type t);

/* figures: as GET /v1/status answers. Text format 0.0.4. */
void metrics_write(struct buf *out, const json_t *figures);
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
