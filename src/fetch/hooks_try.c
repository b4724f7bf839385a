/* SPDX-License-Identifier: Apache-2.0
 * Trying webhooks: an event "test", of which somebody waits for the outcome. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "fetch/hooks_int.h"

#define TESTS_MAX 8

json_t *hooks_event(struct hooks *a, const char *name, json_int_t time)
{
    char id[40];
    snprintf(id, sizeof id, "%llx-%x-%llx", (unsigned long long)clock_wall_ms(), (unsigned)getpid(), (unsigned long long)++a->counter);
    return json_pack("{s:s, s:I, s:s, s:s}", "event", name, "time", time, "hostname", a->o.config->hostname, "id", id);
}

struct test {
    struct hooks *all;
    json_t *results;
    unsigned waiting;
    void (*cb)(void *arg, json_t *answer);
    void *arg;
};
struct test_post {
    struct test *test;
    const struct hook *hook;
};

static void test_done(struct test *t)
{
    t->cb(t->arg, json_pack("{s:o}", "results", t->results));
    t->all->test_n--;
    free(t);
}

static void on_tested(void *arg, const struct hook_result *r)
{
    struct test_post *p = arg;
    struct test *t = p->test;
    json_t *one = json_pack("{s:s, s:b, s:I}", "url", p->hook->config->url, "ok", !r->error[0], "ms", (json_int_t)r->ms);
    if (r->status) json_object_set_new(one, "status", json_integer(r->status));
    if (r->error[0]) json_object_set_new(one, "error", json_string(r->error));
    json_array_append_new(t->results, one);
    free(p);
    if (!--t->waiting) test_done(t);
}

static void start_test(struct test *t, const struct hook *h)
{
    struct test_post *p = mem_new(struct test_post);
    json_t *body = hooks_event(t->all, "test", (json_int_t)clock_wall_ms());
    char *text = json_dumps(body, JSON_COMPACT);
    *p = (struct test_post){ t, h };
    t->waiting++;
    (void)hook_post_start(&t->all->sender, h->config, buf_slice(&h->secret), slice_str(text), on_tested, p);
    free(text);
    json_decref(body);
}

bool hooks_test(struct hooks *a, const char *url, void (*cb)(void *arg, json_t *answer), void *arg)
{
    if (a->test_n >= TESTS_MAX) return false;
    struct test *t = mem_new(struct test);
    *t = (struct test){ .all = a, .results = json_array(), .cb = cb, .arg = arg };
    a->test_n++;
    for (size_t i = 0; i < a->n; i++)
        if (!url || !strcmp(url, a->hooks[i].config->url)) start_test(t, &a->hooks[i]);
    if (!t->waiting) test_done(t);
    return true;
}
