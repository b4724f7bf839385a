/* SPDX-License-Identifier: Apache-2.0
 * The users that processes become: all that are missing are told at once. */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "proc/master.h"
#include "proc/process.h"

struct missing {
    const char *names[16];
    size_t n;
};

static void look_up(struct missing *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->names[i], name)) return;
    errno = 0;
    if (!*name || m->n == countof(m->names) || getpwnam(name) || (errno && errno != ENOENT)) return;
    m->names[m->n++] = name;
}

static void look_up_helper(void *arg, const char *user) { look_up(arg, user); }

bool master_users_there(const struct config *c, struct buf *names, struct buf *hint)
{
    struct missing m = { .n = 0 };
    if (geteuid() != 0) return true; /* nobody is changed */
    look_up(&m, c->system.user);
    look_up(&m, c->system.admin_user);
    look_up(&m, c->system.store_user);
    helpers_each_user(c, look_up_helper, &m);
    for (size_t i = 0; i < m.n; i++) {
        buf_addf(names, "%s\"%.60s\"", i ? ", nor " : "", m.names[i]);
        buf_addf(hint, "%suseradd --system %.60s", i ? " && " : m.n > 1 ? "make them with `" : "make it with `", m.names[i]);
    }
    if (m.n) buf_add_str(hint, m.n > 1 ? "`, or name others in `system`" : "`, or name another in `system`");
    return !m.n;
}
