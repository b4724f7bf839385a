/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/statistics: what the store has counted. */
#include <microhttpd.h>
#include "admin/internal.h"

#define STATISTICS_MS 15000

static void on_answer(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "the store");
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

static void serve(struct http_request *r)
{
    ask_store(r->admin, http_arguments(r, "statistics"), STATISTICS_MS, on_answer, r);
}

static const struct route_field arguments[] = {
    { "since", ROUTE_NUMBER, false, "ms since 1970; a day ago if it is not given", NULL },
    { "until", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "limit", ROUTE_NUMBER, false, "of each list of names; 20 if it is not given, 100 is the most", NULL },
    { 0 },
};

const struct route routes_statistics[] = {
    { "GET", "/v1/statistics", "what became of mail hour by hour, what each check found, and who had most of it", serve, RIGHT_STATUS,
      .arguments = arguments, .answers = "step: integer, hours: array, stages: array, top: object, other: object" },
    { 0 },
};
