/* SPDX-License-Identifier: Apache-2.0
 * One-time links: of the first start, which makes an administrator, and of accounts, which set a new password. */
#include <stdlib.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/log.h"

char *link_make(struct auth *u, int64_t account)
{
    char token[SECRET_TEXT_N + 1];
    unsigned char hash[HASH_N];
    struct buf link = { 0 };
    char *out = NULL;
    secret_make(token);
    secret_hash_of(slice_str(token), hash);
    bool ok = db_write(&u->db);
    db_bind_number(&u->db, LINK_DELETE_OF, 1, (uint64_t)account);
    ok = ok && db_run(&u->db, LINK_DELETE_OF) == DB_DONE;
    db_bind_blob(&u->db, LINK_ADD, 1, slice_of(hash, HASH_N));
    db_bind_number(&u->db, LINK_ADD, 2, (uint64_t)account);
    db_bind_number(&u->db, LINK_ADD, 3, clock_wall_ms() + LINK_MS);
    ok = ok && db_run(&u->db, LINK_ADD) == DB_DONE && auth_commit(u);
    /* behind a #, so that browsers send it to nobody: neither servers' logs nor other sites see it */
    buf_addf(&link, "%s/#/setup/%s", u->set.url ? u->set.url : "", token);
    if (ok) out = mem_strdup(buf_cstr(&link));
    mem_wipe(token, sizeof token);
    buf_wipe(&link);
    return out;
}

bool link_find(struct auth *u, struct slice token, int64_t *account)
{
    unsigned char hash[HASH_N];
    if (token.n != SECRET_TEXT_N) return false;
    secret_hash_of(token, hash);
    db_bind_blob(&u->db, LINK_FIND, 1, slice_of(hash, HASH_N));
    db_bind_number(&u->db, LINK_FIND, 2, clock_wall_ms());
    if (db_step(&u->db, LINK_FIND) != DB_ROW) return false;
    *account = (int64_t)db_number(&u->db, LINK_FIND, 0);
    db_reset(&u->db, LINK_FIND);
    return *account || !db_number_of(&u->db, ACCOUNT_COUNT); /* the first start is over when there is somebody */
}

/* Printed once: whoever reads the log later finds it used, or too old. */
void link_first_start(struct auth *u)
{
    if (!u->set.url || !u->db.sql || db_number_of(&u->db, ACCOUNT_COUNT)) return;
    db_bind_number(&u->db, LINK_FIRST, 1, clock_wall_ms());
    if (db_number_of(&u->db, LINK_FIRST)) return;
    char *link = link_make(u, 0);
    if (link)
        log_event(LOG_WARNING, "setup-link", LOG_STR("link", link),
                  LOG_STR("for", "there is no account yet: open it within 24 hours to make the administrator's"));
    if (link) mem_wipe(link, strlen(link));
    free(link);
}
