/* SPDX-License-Identifier: Apache-2.0
 * The admin process. */
#include "admin/admin.h"
#include <event2/event.h>
#include <signal.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include "admin/internal.h"
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
        if (!landlock_restrict(&l, err)) return false;
    }
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
    if (!prepare(&a, start, &err)) {
        log_event(LOG_ERROR, "admin-failed", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    while (!a.stop) {
        event_base_loop(a.base, EVLOOP_ONCE);
        log_flush();
    }
    peers_close(&a);
    digest_close(&a);
    http_close(&a.http);
    event_base_free(a.base);
    return 0;
}
