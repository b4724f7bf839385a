/* SPDX-License-Identifier: Apache-2.0
 * postern quarantine digest: who will be told of what, and telling them now. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/common.h"
#include "cli/quarantine.h"

static void print_messages(const json_t *a)
{
    size_t i;
    const json_t *m;
    json_int_t shown = (json_int_t)json_array_size(json_object_get(a, "messages")), count = cli_number_of(a, "count");
    json_array_foreach(json_object_get(a, "messages"), i, m) {
        struct buf b = { 0 };
        buf_addf(&b, "%-13s %-5s ", cli_text_of(m, "id"), cli_text_of(m, "kind"));
        cli_add_fitted(&b, *cli_text_of(m, "sender") ? cli_text_of(m, "sender") : "<>", 26);
        buf_add_str(&b, "  ");
        cli_add_fitted(&b, cli_text_of(m, "subject"), 30);
        puts(buf_cstr(&b));
        buf_deinit(&b);
    }
    if (shown < count) printf("and %lld more\n", (long long)(count - shown));
    if (!count) puts("nothing new");
}

static void print_recipients(const json_t *a)
{
    size_t i;
    const json_t *r;
    json_array_foreach(json_object_get(a, "recipients"), i, r)
        printf("%6lld  %s\n", (long long)cli_number_of(r, "count"), cli_text_of(r, "address"));
    if (!i) puts("nothing new");
    if (json_is_true(json_object_get(a, "more"))) puts("and others");
}

static int show(const struct quarantine_options *o, const char *socket)
{
    struct err err;
    struct buf at = { 0 };
    json_t *arguments = json_object();
    if (o->recipient) json_object_set_new(arguments, "recipient", json_string(o->recipient));
    json_t *a = cli_get(socket, "/v1/quarantine/digest", arguments, &err);
    json_decref(arguments);
    if (!a) return cli_fail(&err);
    if (!o->json) cli_disarm(a);
    if (o->json) cli_print_json(a);
    else if (o->recipient) print_messages(a);
    else print_recipients(a);
    if (cli_number_of(a, "next")) clock_add_rfc3339(&at, (uint64_t)cli_number_of(a, "next"));
    if (!o->json && at.n) printf("the next digests are sent at %s\n", buf_cstr(&at));
    if (!o->json && !json_is_true(json_object_get(a, "enabled"))) puts("quarantine.digest.enabled is no: digests are sent only by --now");
    buf_deinit(&at);
    json_decref(a);
    return 0;
}

static int send_now(const struct quarantine_options *o, const char *socket)
{
    struct err err;
    json_t *body = json_object();
    if (o->recipient) json_object_set_new(body, "recipient", json_string(o->recipient));
    json_t *a = cli_request(socket, "POST", "/v1/quarantine/digest", body, &err);
    json_decref(body);
    if (!a) return cli_fail(&err);
    json_int_t sent = cli_number_of(a, "sent"), skipped = cli_number_of(a, "skipped");
    bool running = json_is_true(json_object_get(a, "running"));
    if (o->json) cli_print_json(a);
    else printf("%lld digest%s sent%s\n", (long long)sent, sent == 1 ? "" : "s", running ? " so far; the others follow" : "");
    if (!o->json && skipped)
        printf("%lld recipient%s passed over: they get no digests (quarantine.digest.domains)\n", (long long)skipped, skipped == 1 ? "" : "s");
    json_decref(a);
    return 0;
}

int quarantine_digest(const struct quarantine_options *o, const char *socket)
{
    return o->now ? send_now(o, socket) : show(o, socket);
}
