/* SPDX-License-Identifier: Apache-2.0
 * The admin process. */
#include "admin/admin.h"
#include <event2/event.h>
#include <signal.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include "admin/auth.h"
#include "admin/events.h"
#include "admin/figures.h"
#include "admin/internal.h"
#include "admin/web.h"
#include "base/log.h"
#include "proc/privilege.h"

static bool prepare(struct admin *a, const struct admin_start *s, struct err *err)
{
    struct landlock l;
    if (!privilege_drop(s->user, err)) return false;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return err_sys(err, errno, "PR_SET_DUMPABLE"); /* it gets the secret of digests */
    tzset(); /* before files are out of reach */
    if (s->sandbox) {
        landlock_init(&l);
        landlock_write(&l, s->directory);
        if (!landlock_restrict(&l, err)) return false;
    }
    umask(077);
    if (!auth_open(a, s->directory, err)) return false;
    a->http = http_open(a, s->socket, err);
    return a->http && (!s->sandbox || seccomp_restrict(SECCOMP_ADMIN, err));
}

int admin_main(const struct admin_start *start)
{
    struct admin a = { .base = event_base_new() };
    struct err err;
    signal(SIGTERM, SIG_IGN); /* it serves until the last worker is gone; the master's channel tells */
    peers_open(&a, start->channel);
    digest_open(&a);
    a.health = health_open(&a);
    events_open(&a);
    web_open(&a);
    if (!prepare(&a, start, &err)) {
        log_event(LOG_ERROR, "admin-failed", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    while (!a.stop) {
        event_base_loop(a.base, EVLOOP_ONCE);
        log_flush();
    }
    peers_close(&a);
    health_close(&a.health);
    digest_close(&a);
    auth_close(&a);
    events_leave(&a, NULL);
    web_close(&a);
    http_close(&a.http);
    events_close(&a);
    json_decref(a.keys);
    event_base_free(a.base);
    return 0;
}
